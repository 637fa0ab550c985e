"""The operator table: every row holds what it says, and a row added in one place is found everywhere."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fvcore.nn import FlopCountAnalysis

import predictor
from calibrate.measure.operators import examples, operands
from predictor.calibration.load import Calibration
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES
from predictor.ops import (
    ONNX_OPS,
    OPS,
    Example,
    Fuser,
    OnnxForm,
    Operator,
    Variant,
    is_fused,
    rows,
)
from predictor.ops.macs import count_macs, fvcore_macs, handles
from predictor.ops.row import Operands
from predictor.pricing.program import price, row_of
from predictor.records import Graph, HostRow, Kernel, OpCall, PythonWork, TensorSpec, Trait
from predictor.runtimes.compile import lowering as inductor
from predictor.runtimes.eager import lowering as eager
from tests.helpers import Function, of

EXAMPLES = [(row, variant) for row in rows() for variant in row.examples]


@cache
def small() -> Operands:
    """What examples are built of on a CPU."""
    return operands(torch.float32, "cpu", large=False)


TENSORS = [f.name for f in fields(Operands) if isinstance(getattr(small(), f.name), torch.Tensor)]
INPUTS = tuple(getattr(small(), name).detach().clone() for name in TENSORS)


def call_of(build: Example, device: str) -> Callable[..., Any]:
    """An example's call as a function of all tensors that examples are built of."""

    def run(*tensors: torch.Tensor) -> Any:
        given = replace(small(), device=device, **dict(zip(TENSORS, tensors, strict=True)))
        return build(given)()

    return run


def test_no_name_is_in_two_rows() -> None:
    for names in (
        [name for row in rows() for name in row.aten],
        [name for row in rows() for form in row.onnx for name in form.names],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []
    assert len(OPS) == sum(len(row.aten) for row in rows())
    assert len(ONNX_OPS) == sum(len(form.names) for row in rows() for form in row.onnx)


@pytest.mark.parametrize("row", rows(), ids=lambda row: (*row.aten, *(n for form in row.onnx for n in form.names))[0])
def test_a_row_has_an_example_or_says_why_it_has_none(row: Operator) -> None:
    assert bool(row.example) != bool(row.untimed)
    assert row.example or not row.variants
    assert all(row.aten)
    assert set(row.example_calls) <= set(OPS)


HOST_ROWS = {HostRow(row.aten[0], variant) for row, variant in EXAMPLES}
TIMED = pytest.mark.parametrize(
    ("row", "variant"),
    [(row, variant) for row, variant in EXAMPLES if row.trait is not Trait.SYNC],
    ids=lambda one: one.aten[0] if isinstance(one, Operator) else one,
)
"""All examples but those that need values, which a capture has not."""


@TIMED
def test_an_example_is_a_call_that_is_priced_by_its_row(row: Operator, variant: Variant) -> None:
    program = eager.lower(of(call_of(row.examples[variant], "meta"), *INPUTS))
    if row.aten[0] == "contiguous":  # torch returns a contiguous tensor before it dispatches anything
        assert program.calls == ()
        return
    called = {row_of(call.row, HOST_ROWS) for call in program.calls}
    parts = {part for call in program.calls for part in call.parts}
    assert HostRow(row.aten[0], variant) in called or row.aten[0] in parts
    assert set(row.example_calls) <= parts | {one.op for one in called if one}


@TIMED
def test_an_example_has_the_multiply_accumulates_that_fvcore_counts(row: Operator, variant: Variant) -> None:
    function = call_of(row.examples[variant], "cpu")
    analysis = FlopCountAnalysis(Function(function), INPUTS).set_op_handle(**handles())
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    assert of(function, *INPUTS).macs == analysis.total()


def test_the_rows_that_fvcore_knows_too_count_as_it_does() -> None:
    (call,) = of(lambda x: torch.einsum("bij,bjk->bik", x, x), torch.empty(2, 8, 8)).calls
    assert OPS["einsum"].macs is not None
    assert OPS["einsum"].macs(call) == fvcore_macs(call) == 2 * 8**3
    for square, x in ((lambda x: torch.mm(x, x), torch.empty(8, 8)), (lambda x: torch.bmm(x, x), torch.empty(2, 8, 8))):
        (call,) = of(square, x).calls
        assert count_macs(call) == fvcore_macs(call) == x.numel() * 8
    norms = (lambda x, w: F.layer_norm(x, (8,), w), 5), (lambda x, w: F.group_norm(x, 2), 4)
    for norm, flops in norms:
        (call,) = of(norm, torch.empty(2, 8, 8), torch.empty(8)).calls
        assert count_macs(call) == fvcore_macs(call) == flops * 128
    from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS

    counted = {name for name, row in OPS.items() if row.macs is not None}
    assert {name for name in counted if f"aten::{name}" in _DEFAULT_SUPPORTED_OPS} == {
        "einsum",
        "matmul",
        "_convolution",
        "mm",
        "bmm",
        "layer_norm",
        "group_norm",
    }


def packed(*shape: int, dtype: str = "fp16") -> TensorSpec:
    stride = [1]
    for n in reversed(shape[1:]):
        stride.insert(0, stride[0] * n)
    return TensorSpec(shape, dtype, tuple(stride) if shape else ())


SQUARE, BATCHED, IMAGE = packed(8, 8), packed(2, 8, 8), packed(2, 8, 8, 8)
MATRIX_8BIT, TRUTH = packed(8, 8, dtype="int8"), packed(8, 8, dtype="bool")
ARGUMENTS: dict[str, dict[str, Any]] = {
    **{"linear": {"input": SQUARE, "weight": SQUARE, "bias": packed(8)}, "mm": {"self": SQUARE, "mat2": SQUARE}},
    **{"addmm": {"self": packed(8), "mat1": SQUARE, "mat2": SQUARE}, "mv": {"self": SQUARE, "vec": packed(8)}},
    "_addmm_activation": {"self": packed(8), "mat1": SQUARE, "mat2": SQUARE, "use_gelu": True},
    **{"bmm": {"self": BATCHED, "mat2": BATCHED}, "baddbmm": {"self": BATCHED, "batch1": BATCHED, "batch2": BATCHED}},
    "_flash_attention_forward": {
        **{"query": BATCHED, "key": BATCHED, "value": BATCHED, "cum_seq_q": packed(3, dtype="int32"), "max_q": 1},
    },
    "scaled_dot_product_attention": {"query": IMAGE, "key": IMAGE, "value": IMAGE, "attn_mask": None},
    **{f"conv{n}d": {"input": packed(2, 8, *[8] * n), "weight": packed(8, 8, *[1] * n)} for n in (1, 2, 3)},
    **{name: {"input": IMAGE, "weight": packed(8, 8, 1, 1)} for name in ("convolution", "_convolution")},
    **{name: {"self": MATRIX_8BIT, "mat2": MATRIX_8BIT} for name in ("_int_mm", "_scaled_mm")},
    **{name: {"self": SQUARE, "mat2": BATCHED} for name in ("_grouped_mm", "_scaled_grouped_mm")},
    "_trilinear": {
        **{"i1": SQUARE, "i2": BATCHED, "i3": SQUARE, "expand1": (1, 3), "expand2": (0,), "expand3": (1, 2)},
        **{"sumdim": (2, 3), "unroll_dim": 1},
    },
    **{name: {"self": SQUARE, "dim": 0, "index": packed(8, dtype="int64")} for name in ("index_fill", "index_fill_")},
    **{name: {"self": SQUARE, "mask": TRUTH, "source": SQUARE} for name in ("masked_scatter", "masked_scatter_")},
    **{"masked_select": {"self": SQUARE, "mask": TRUTH}, "renorm": {"self": SQUARE, "p": 2, "dim": 0, "maxnorm": 1}},
    **{
        f"{kind}_pad{n}d": {"self": IMAGE, "padding": (1, 1) * n}
        for kind in ("reflection", "replication")
        for n in (1, 2, 3)
    },
    **{"constant_pad_nd": {"self": IMAGE, "pad": (1, 1)}, "flip": {"self": IMAGE, "dims": (1,)}},
    "im2col": {"self": IMAGE, "kernel_size": (1, 1)},
    "channel_shuffle": {"self": IMAGE, "groups": 2},
    "pixel_shuffle": {"self": IMAGE, "upscale_factor": 2},
    "pixel_unshuffle": {"self": IMAGE, "downscale_factor": 2},
    "_weight_norm_interface": {"v": BATCHED, "g": packed(2, 1, 1), "dim": 0},
}
BY_TRAIT: dict[str, dict[str, Any]] = {
    "reduction": {"self": IMAGE, "input": IMAGE, "dim": -1, "normalized_shape": (8,), "num_groups": 4, "group": 4},
    "gather": {"self": SQUARE, "weight": SQUARE, "index": packed(8, dtype="int64")},
    "copy": {"self": IMAGE, "src": IMAGE, "tensors": (IMAGE, IMAGE), "dim": 1},
    "pool": {"self": IMAGE, "kernel_size": (1, 1)},
    "scan": {"self": IMAGE, "dim": -1},
    "fft": {"self": IMAGE, "dim": (-1,)},
    "rnn": {"input": BATCHED, "params": (packed(24, 8), packed(24, 8), packed(24), packed(24)), "num_layers": 1},
}


def packed_call(name: str) -> OpCall:
    """A call of an operator on small tensors."""
    row = OPS[name]
    args = ARGUMENTS.get(name) or BY_TRAIT.get(row.trait) or {"self": IMAGE}
    return OpCall(name, args, (next(v for v in args.values() if isinstance(v, TensorSpec)),), row.trait)


LOWERED = sorted(name for name, row in OPS.items() if row.trait is not Trait.COMPOSITE)


@pytest.mark.parametrize("name", LOWERED)
def test_an_operator_lowers_to_kernels_of_known_families(name: str) -> None:
    row = OPS[name]
    kernels = row.lower(packed_call(name))
    assert bool(kernels) == (row.trait is not Trait.VIEW)
    for kernel in kernels:
        FAMILIES[kernel.family].complete(kernel.dims)


@pytest.mark.parametrize("name", LOWERED)
def test_an_operator_has_a_price_or_is_refused(name: str, h200: Calibration) -> None:
    """Products of eight bits are priced where they were measured, and not from a peak."""
    graph = Graph("one", (packed_call(name),), "fp16", 2, PythonWork(), 0)
    if any(FAMILIES[kernel.family].only_measured for kernel in OPS[name].lower(packed_call(name))):
        with pytest.raises(PredictorError, match="nobody has measured on h200"):
            price(eager.lower(graph), h200, h200.host("eager"))
        return
    priced = price(eager.lower(graph), h200, h200.host("eager"))
    (call,) = priced.calls
    assert call.host_s > 0
    assert all(kernel.seconds > 0 and kernel.launches >= 1 for kernel in call.kernels)


def test_the_names_in_the_table_are_those_of_torch() -> None:
    known = {name.removeprefix("aten::") for name in torch._C._dispatch_get_all_op_names() if "aten::" in name}
    known |= {name.split(".")[0] for name in known}
    known |= {schema.name.removeprefix("aten::") for schema in torch._C._jit_get_all_schemas()}  # a trace's own
    assert {name for name in OPS if "::" not in name} - known - {
        "to device",
        "tolist",
    } == set()  # others are of a library


def test_what_fusers_join() -> None:
    """As the sources of the fusers say that their rows name."""

    def joined(op: str) -> set[str]:
        return {str(fuser) for fuser in Fuser if is_fused(OpCall(op, {}, (), OPS[op].trait), fuser)}

    assert joined("gelu") == set(Fuser)
    assert joined("hardtanh") == {Fuser.NNC, Fuser.INDUCTOR}
    assert joined("layer_norm") == {Fuser.NVFUSER, Fuser.INDUCTOR}
    assert joined("dropout") == {Fuser.NVFUSER, Fuser.NVFUSER_PASCAL, Fuser.INDUCTOR}
    assert joined("add_") == joined("masked_fill") == joined("maximum") == {Fuser.INDUCTOR}
    assert joined("rsub") == joined("bitwise_not") == set(Fuser) - {Fuser.NNC}
    assert joined("__and__") == joined("chunk") == joined("isnan") == {Fuser.NNC, Fuser.INDUCTOR}
    assert joined("linear") == joined("sort") == joined("item") == set()


def test_a_pointwise_operator_without_a_row_is_a_loop_of_inductor_alone() -> None:
    call = OpCall("erfinv", {}, (), Trait.POINTWISE)
    assert is_fused(call, Fuser.INDUCTOR)
    assert not is_fused(call, Fuser.NNC)


def test_a_boolean_mask_of_attention_is_chosen_from_two_numbers() -> None:
    """As profiles show: two fills of a number and a choice before the attention itself."""
    heads = TensorSpec((2, 4, 16, 8), "fp16", (512, 128, 8, 1))
    mask = TensorSpec((2, 1, 16, 16), "bool", (0, 0, 16, 1))
    args = {"query": heads, "key": heads, "value": heads, "attn_mask": mask}
    kernels = OPS["scaled_dot_product_attention"].lower(
        OpCall("scaled_dot_product_attention", args, (heads,), Trait.ATTENTION)
    )
    assert [kernel.family for kernel in kernels] == ["fill", "fill", "pointwise", "attention"]
    assert [kernel.dims["elements"] for kernel in kernels[:3]] == [1, 1, 2 * 16 * 16]


@pytest.mark.parametrize(("op", "dtypes"), [("isinf", ["fp16", "bool"]), ("isfinite", ["fp16"] + ["bool"] * 3)])
def test_infinity_is_compared_with_magnitudes(op: str, dtypes: list[str]) -> None:
    x, truth = packed(2, 16), packed(2, 16, dtype="bool")
    kernels = OPS[op].lower(OpCall(op, {"self": x}, (truth,), Trait.POINTWISE))
    assert [kernel.dtype for kernel in kernels] == dtypes


def test_masks_may_be_filled_with_the_value_of_a_tensor() -> None:
    """torch does not tag that overload as pointwise; its row says that it is."""
    mask, value = torch.ones(8, dtype=torch.bool), torch.zeros(())
    (call,) = of(lambda x: x.masked_fill(mask, value), torch.empty(8)).calls
    assert call.trait is Trait.POINTWISE


def test_the_places_where_a_condition_holds_are_no_pointwise_operator() -> None:
    graph = of(lambda x: torch.where(x)[0], torch.ones(4, dtype=torch.bool))
    assert graph.calls[0].op == "where"
    assert graph.calls[0].trait is not Trait.POINTWISE


@pytest.fixture
def fancy() -> Iterator[Any]:
    """A custom operator of two matrices, and its row."""
    library = torch.library.Library("mylib", "FRAGMENT")
    library.define("fancy(Tensor x, Tensor weight) -> Tensor")
    for key in ("CPU", "Meta"):
        library.impl("fancy", lambda x, weight: x.new_empty(x.shape[0], weight.shape[1]), key)

    def lower(call: OpCall) -> tuple[Kernel, ...]:
        x, weight = call.tensors
        return (Kernel("gemm", x.dtype, {"m": x.shape[0], "n": weight.shape[1], "k": x.shape[1]}),)

    def macs(call: OpCall) -> int:
        return call.outputs[0].elements * call.tensors[0].shape[1]

    row = Operator(
        ("mylib::fancy",),
        Trait.GEMM,
        lower,
        macs,
        onnx=(OnnxForm(("Fancy",), lower, Trait.GEMM, macs),),
        example=lambda o: lambda: torch.ops.mylib.fancy(o.matrix, o.weight),
    )
    predictor.register_operator(row)
    yield torch.ops.mylib.fancy
    del OPS["mylib::fancy"], ONNX_OPS["Fancy"]
    library._destroy()


def test_an_operator_of_a_user_is_captured_counted_and_lowered(fancy: Any) -> None:
    graph = of(lambda x, w: torch.relu(fancy(x, w)), torch.empty(3, 4), torch.empty(4, 5))
    call = graph.calls[0]
    assert (call.op, call.trait, call.macs) == ("mylib::fancy", Trait.GEMM, 3 * 4 * 5)
    program = eager.lower(graph)
    assert program.unmodelled == {}
    assert program.calls[0].kernels == (Kernel("gemm", "fp32", {"m": 3, "n": 5, "k": 4}),)
    compiled = [call.op for call in inductor.lower(graph).calls if call.trait is not Trait.GUARD]
    assert compiled == ["mylib::fancy", "triton"]


def test_an_operator_of_a_user_is_counted_in_traces_and_timed_with_its_example(fancy: Any) -> None:
    analysis = FlopCountAnalysis(Function(fancy), (torch.empty(3, 4), torch.empty(4, 5))).set_op_handle(**handles())
    assert analysis.unsupported_ops_warnings(False).total() == 3 * 4 * 5
    with torch.inference_mode():
        assert examples(torch.float32, "cpu", large=False)["mylib::fancy"]().shape == (4, 16)


def test_an_operator_of_a_user_has_a_form_in_onnx(fancy: Any) -> None:
    node = {"input0": TensorSpec((3, 4), "fp16", (4, 1)), "input1": TensorSpec((4, 5), "fp16", (5, 1))}
    call = OpCall("Fancy", node, (TensorSpec((3, 5), "fp16", (5, 1)),), Trait.GEMM)
    assert ONNX_OPS["Fancy"].macs(call) == 3 * 4 * 5


@pytest.mark.parametrize("row", [Operator(("mylib::fancy",), Trait.GEMM), Operator(("new", "linear"), Trait.GEMM)])
def test_a_second_row_for_a_name_is_refused(fancy: Any, row: Operator) -> None:
    before = dict(OPS)
    with pytest.raises(PredictorError, match=f"a row for {row.aten[-1]} already"):
        predictor.register_operator(row)
    assert before == OPS


def test_a_second_row_for_a_node_is_refused() -> None:
    node = OnnxForm(("Gemm",), lambda call: (), Trait.GEMM)
    with pytest.raises(PredictorError, match="a row for Gemm already"):
        predictor.register_operator(Operator(("mylib::other",), Trait.GEMM, onnx=(node,)))
    assert "mylib::other" not in OPS


@pytest.mark.parametrize(
    ("layout", "dims", "inner"),
    [
        (torch.contiguous_format, 3, 1.0),
        (torch.contiguous_format, (2, 3), 1.0),
        (torch.contiguous_format, 1, 0.0),
        (torch.channels_last, 1, 1.0),
        (torch.channels_last, (2, 3), 0.0),
        (torch.contiguous_format, None, 1.0),
    ],
)
def test_a_reduction_goes_along_or_across_what_is_innermost_in_memory(layout: Any, dims: Any, inner: float) -> None:
    x = torch.empty(2, 8, 6, 4).to(memory_format=layout)
    (call,) = of(lambda x: x.sum() if dims is None else x.mean(dims), x).calls
    assert [k.dims["inner"] for k in OPS[call.op].lower(call)] == [inner]


def test_a_mean_of_means_goes_along_the_memory_both_times() -> None:
    graph = of(lambda x: x.mean(3, keepdim=True).mean(2, keepdim=True), torch.empty(2, 8, 6, 4))
    assert [k.dims["inner"] for call in graph.calls for k in OPS[call.op].lower(call)] == [1.0, 1.0]


def test_a_pool_to_one_pixel_of_channels_last_goes_across_the_memory() -> None:
    pool = torch.nn.functional.adaptive_avg_pool2d
    x = torch.empty(2, 8, 6, 4)
    for layout, inner in ((torch.contiguous_format, 1.0), (torch.channels_last, 0.0)):
        graph = of(lambda x: pool(x, 1), x.to(memory_format=layout))
        assert [k.dims["inner"] for k in OPS[graph.calls[-1].op].lower(graph.calls[-1])] == [inner]


def test_no_operator_is_fused_that_inductor_leaves_to_the_library() -> None:
    """As torch's own tables have it: made a fallback, with no lowering and no decomposition beside it."""
    import torch._inductor.lowering as lowerings
    from torch._inductor.decomposition import select_decomp_table

    decomposed = select_decomp_table()

    def is_fallback(name: str) -> bool:
        packet = getattr(torch.ops.aten, name.rstrip("_"), None)
        overload = getattr(packet, "default", None)
        if overload is None or overload not in lowerings.fallbacks or overload in decomposed:
            return False
        return bool(inspect.unwrap(lowerings.lowerings[overload]).__name__ == "handler")

    fallbacks = {name for name, row in OPS.items() if row.trait is not Trait.COMPOSITE and is_fallback(name)}
    assert fallbacks >= {"_embedding_bag", "histc", "segment_reduce"}
    assert not {name for name in fallbacks if Fuser.INDUCTOR in OPS[name].fused_by}
