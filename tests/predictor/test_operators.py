"""The operator table: every row holds what it says, and a row added in one place is found everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
import torch
from fvcore.nn import FlopCountAnalysis

import predictor
from calibrate.measure.operators import examples, operands
from predictor.errors import PredictorError
from predictor.ops import (
    ONNX_OPS,
    OPS,
    Example,
    Fuser,
    OnnxForm,
    Operator,
    Variant,
    host_row,
    is_fused,
    rows,
)
from predictor.ops.macs import fvcore_macs, handles
from predictor.ops.row import Operands
from predictor.pricing.program import row_of
from predictor.records import Kernel, OpCall, TensorSpec, Trait
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


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.aten[0])
def test_a_row_has_an_example_or_says_why_it_has_none(row: Operator) -> None:
    assert bool(row.example) != bool(row.untimed)
    assert row.example or not row.variants
    assert all(row.aten)
    assert set(row.example_calls) <= set(OPS)


LABELS = {host_row(row.aten[0], variant) for row, variant in EXAMPLES}
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
    called = {op for call in program.calls for op in (row_of(call.op, LABELS), *call.parts)}
    assert host_row(row.aten[0], variant) in called
    assert set(row.example_calls) <= called


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
    from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS

    counted = {name for name, row in OPS.items() if row.macs is not None}
    assert {name for name in counted if f"aten::{name}" in _DEFAULT_SUPPORTED_OPS} == {"einsum"}


def test_what_fusers_join() -> None:
    """As the sources of the fusers say that their rows name."""

    def joined(op: str) -> set[str]:
        return {str(fuser) for fuser in Fuser if is_fused(OpCall(op, {}, (), OPS[op].trait), fuser)}

    assert joined("gelu") == set(Fuser)
    assert joined("hardtanh") == {Fuser.NNC, Fuser.INDUCTOR}
    assert joined("layer_norm") == {Fuser.NVFUSER, Fuser.INDUCTOR}
    assert joined("dropout") == {Fuser.NVFUSER, Fuser.NVFUSER_PASCAL, Fuser.INDUCTOR}
    assert joined("add_") == {Fuser.INDUCTOR}
    assert joined("linear") == joined("sort") == joined("item") == set()


def test_a_pointwise_operator_without_a_row_is_a_loop_of_inductor_alone() -> None:
    call = OpCall("erfinv", {}, (), Trait.POINTWISE)
    assert is_fused(call, Fuser.INDUCTOR)
    assert not is_fused(call, Fuser.NNC)


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
