"""Eager lowering: which kernels an operator puts on the device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from predictor.capture.recorder import capture
from predictor.ops import onnx_form
from predictor.records import HostCall, Kernel, OpCall, TensorSpec, Trait
from predictor.runtimes.eager import lowering as eager
from tests.helpers import of


def lowered(function: Callable[..., Any], *inputs: torch.Tensor, dtype: str = "fp16") -> tuple[HostCall, ...]:
    class Function(nn.Module):
        def forward(self, *x: torch.Tensor) -> Any:
            return function(*x)

    return eager.lower(capture(Function(), inputs, dtype)).calls


def kernels(function: Callable[..., Any], *inputs: torch.Tensor, dtype: str = "fp16") -> list[Kernel]:
    return [kernel for call in lowered(function, *inputs, dtype=dtype) for kernel in call.kernels]


def only(function: Callable[..., Any], *inputs: torch.Tensor, dtype: str = "fp16") -> Kernel:
    (kernel,) = kernels(function, *inputs, dtype=dtype)
    return kernel


def test_what_was_lowered_in_another_graph_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    class Distances(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.pdist(self.layer(x)) + F.pdist(x)

    monkeypatch.setattr(eager, "_known", {})
    first, second, other = (capture(Distances(), torch.empty(4, 16), dtype) for dtype in ("fp16", "fp16", "tf32"))
    eager.lower(first)
    anew, usual = [], eager.host_call

    def host_call(call: OpCall, *more: Any) -> HostCall:
        anew.append(call.op)
        return usual(call, *more)

    monkeypatch.setattr(eager, "host_call", host_call)
    known = eager.lower(second)
    assert anew == []
    assert known.unmodelled == {"_pdist_forward": 2}
    eager.lower(other)
    assert sorted(anew) == sorted({call.op for call in other.calls})
    monkeypatch.setattr(eager, "_known", {})
    assert eager.lower(second) == known


def test_a_linear_layer_is_one_matrix_product_over_all_rows() -> None:
    kernel = only(lambda x: F.linear(x, torch.ones(32, 16), torch.ones(32)), torch.empty(2, 8, 16))
    assert (kernel.family, kernel.dtype) == ("gemm", "fp16")
    assert {d: kernel.dims[d] for d in ("m", "n", "k", "batch", "bias")} == {
        "m": 16,
        "n": 32,
        "k": 16,
        "batch": 1,
        "bias": 1,
    }


@pytest.mark.parametrize(
    ("view", "families"),
    [
        (lambda x: x, ["gemm"]),
        (lambda x: x.transpose(0, 1), ["copy", "gemm", "pointwise"]),
        (lambda x: x[:, 1:], ["copy", "gemm", "pointwise"]),
        (lambda x: x[..., :8].reshape(2, 8, 8), ["gemm", "pointwise"]),
        (lambda x: x.view(2, 2, 4, 16), ["gemm"]),
        (lambda x: x.view(2, 2, 4, 16).transpose(1, 2), ["copy", "gemm", "pointwise"]),
        (lambda x: x[0].t().reshape(16, 8).t(), ["gemm"]),
    ],
    ids=["contiguous", "transposed", "rows left out", "columns left out", "4-D", "4-D transposed", "2-D"],
)
def test_a_linear_layer_of_a_strided_input_copies_it_and_adds_its_bias_apart(
    view: Callable[[torch.Tensor], torch.Tensor], families: list[str]
) -> None:
    """As torch does: its own operators, recorded in a real pass, say the same."""
    width = view(torch.empty(2, 8, 16)).shape[-1]
    weight, bias = nn.Parameter(torch.rand(32, width)), nn.Parameter(torch.rand(32))
    calls = lowered(lambda x: F.linear(view(x), weight, bias), torch.empty(2, 8, 16), dtype="fp32")
    (call,) = (call for call in calls if call.op == "linear")
    assert [k.family for k in call.kernels] == families
    with torch.inference_mode(), torch.profiler.profile() as profiler:
        F.linear(view(torch.rand(2, 8, 16)), weight, bias)
    ran = [event.name for event in profiler.events()]
    after = ran[ran.index("aten::linear") :]
    assert ("aten::clone" in after) == ("copy" in families)
    assert ("aten::add_" in after) == ("pointwise" in families)


@pytest.mark.parametrize(
    ("given", "wanted", "families"),
    [
        ("fp32", torch.float16, ["pointwise", "softmax"]),
        ("fp16", torch.float32, ["softmax"]),
        ("fp16", None, ["softmax"]),
    ],
)
def test_a_softmax_in_another_dtype_casts_first_unless_that_is_fused(
    given: str, wanted: torch.dtype | None, families: list[str]
) -> None:
    found = kernels(lambda x: torch.softmax(x, -1, dtype=wanted), torch.empty(4, 8), dtype=given)
    assert [k.family for k in found] == families


def test_a_batched_product_has_its_batch() -> None:
    kernel = only(torch.bmm, torch.empty(6, 8, 16), torch.empty(6, 16, 4))
    assert [kernel.dims[d] for d in ("batch", "m", "n", "k")] == [6, 8, 4, 16]


@pytest.mark.parametrize(
    ("channels", "groups", "family"), [(8, 1, "conv"), (8, 4, "conv_grouped"), (8, 8, "conv_depthwise")]
)
def test_convolutions_of_different_grouping_are_different_families(channels: int, groups: int, family: str) -> None:
    (call,) = lowered(
        lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=groups),
        torch.empty(2, channels, 10, 12),
        torch.empty(8, channels // groups, 3, 3),
    )
    (kernel,) = call.kernels
    assert kernel.family == family
    expected = {"batch": 2, "c_in": 8, "c_out": 8, "h": 10, "w": 12, "r": 3, "s": 3, "stride_h": 2, "pad_w": 1}
    assert {d: kernel.dims[d] for d in expected} == expected
    assert call.row.label == f"conv2d {family.removeprefix('conv').strip('_')}".strip()


@pytest.mark.parametrize("batch_first", [True, False])
def test_sequences_are_copied_where_their_steps_do_not_lie_in_order(batch_first: bool) -> None:
    """As in profiles of an H200: by a kernel that finds each place, 8 us of 3.1 million elements (Sequencer2D)."""
    module = nn.LSTM(8, 8, batch_first=batch_first)
    in_order, turned = torch.empty(4, 6, 8), torch.empty(6, 4, 8).transpose(0, 1)
    copied, kept = (in_order, turned) if batch_first else (turned, in_order)
    runs = [
        [
            kernel.dims["run"]
            for call in eager.lower(capture(module, (x,), "fp16")).calls
            for kernel in call.kernels
            if kernel.family == "copy"
        ]
        for x in (copied, kept)
    ]
    assert runs == [[8], []]


@pytest.mark.parametrize("batch", [1, 2])
def test_images_that_lie_neither_in_order_nor_channels_last_are_copied_before_a_convolution(batch: int) -> None:
    """As in profiles of an H200: tokens seen as images are channels-last to torch where there are several, for a single
    one's stride is not that of an image (DaViT, PiT); a part of the channels lies apart but in a single image
    (FasterNet).
    """
    window = torch.ones(8, 1, 3, 3)

    def of_tokens(x: torch.Tensor) -> Any:
        return F.conv2d(x.transpose(1, 2).view(batch, 8, 4, 4), window, padding=1, groups=8)

    def of_a_part(x: torch.Tensor) -> Any:
        return F.conv2d(x[:, :8], window, padding=1, groups=8)

    tokens = kernels(of_tokens, torch.empty(batch, 16, 8))
    assert [kernel.family for kernel in tokens] == ["copy", "conv_depthwise"][batch - 1 :]
    assert tokens[-1].dims["channels_last"] == batch - 1
    part = kernels(of_a_part, torch.empty(batch, 16, 4, 4))
    assert [kernel.family for kernel in part] == ["copy", "conv_depthwise"][2 - batch :]
    assert part[-1].dims["channels_last"] == 0
    sequence = kernels(lambda x: F.conv1d(x[..., 1:], window[..., 0], groups=8), torch.empty(batch, 8, 16))
    assert [kernel.family for kernel in sequence] == ["copy", "conv_depthwise"]
    single = kernels(lambda x: F.conv2d(x, window, groups=8), torch.empty(4, 4, 8).permute(2, 0, 1))
    assert [kernel.family for kernel in single] == ["copy", "conv_depthwise"]  # a batch of one, too


def test_a_sequence_convolution_is_an_image_of_height_one() -> None:
    kernel = only(lambda x: F.conv1d(x, torch.ones(6, 4, 3), padding=1), torch.empty(2, 4, 50))
    assert [kernel.dims[d] for d in ("h", "w", "r", "s", "pad_h", "pad_w")] == [1, 50, 1, 3, 0, 1]


def test_fused_attention_is_one_kernel_of_its_lengths() -> None:
    q, k = torch.empty(2, 4, 10, 16), torch.empty(2, 4, 20, 16)
    kernel = only(F.scaled_dot_product_attention, q, k, k)
    expected = {"batch": 2, "heads": 4, "seq": 10, "kv_seq": 20, "head_dim": 16, "causal": 0, "mask": 0}
    assert {d: kernel.dims[d] for d in expected} == expected


@pytest.mark.parametrize(
    ("shape", "expanded", "masks", "efficient"),
    [
        ((2, 1, 10, 10), (2, 4, 10, 10), 2, 0),
        ((1, 4, 10, 10), (2, 4, 10, 10), 4, 0),
        ((2, 4, 10, 10), (2, 4, 10, 10), 8, 0),
        ((10, 10), (10, 10), 1, 0),
        ((4, 10, 10), (4, 10, 10), 4, 1),  # cuDNN takes two dimensions and four
    ],
)
def test_masks_are_counted_as_they_lie_in_memory(
    shape: tuple[int, ...], expanded: tuple[int, ...], masks: int, efficient: int
) -> None:
    q, mask = torch.empty(2, 4, 10, 16), torch.empty(shape)
    kernel = only(lambda q, m: F.scaled_dot_product_attention(q, q, q, m.expand(expanded)), q, mask, dtype="fp16")
    assert (kernel.dims["mask"], kernel.dims["masks"], kernel.dims["efficient"]) == (1, masks, efficient)
    single = only(lambda q, m: F.scaled_dot_product_attention(q, q, q, m.expand(expanded)), q, mask, dtype="fp32")
    assert single.dims["efficient"] == 0  # it is the only one that takes single precision


def test_a_gelu_is_part_of_the_product_before_it() -> None:
    x, weight, bias = torch.empty(5, 8), torch.empty(8, 6), torch.empty(6)
    kernel = only(lambda b, x, w: torch._addmm_activation(b, x, w, use_gelu=True), bias, x, weight)
    assert (kernel.family, kernel.dims["gelu"], kernel.dims["bias"]) == ("gemm", 1, 1)
    relu = only(torch._addmm_activation, bias, x, weight)
    assert relu.dims.get("gelu", 0) == 0


@pytest.mark.parametrize(
    ("dtype", "product", "convolution"),
    [("fp32", "fp32", "tf32"), ("tf32", "tf32", "tf32"), ("fp16", "fp16", "fp16"), ("bf16", "bf16", "bf16")],
)
def test_single_precision_convolutions_use_the_reduced_format_by_default(
    dtype: str, product: str, convolution: str
) -> None:
    assert only(lambda x: F.linear(x, x.new_empty(4, 8)), torch.empty(2, 8), dtype=dtype).dtype == product
    image = torch.empty(1, 8, 4, 4)
    assert only(lambda x: F.conv2d(x, x.new_empty(4, 8, 1, 1)), image, dtype=dtype).dtype == convolution


def test_a_copy_in_another_order_is_a_transposed_copy() -> None:
    kernel = only(lambda x: x.transpose(0, 1).contiguous(), torch.empty(64, 32))
    assert (kernel.family, kernel.dims["transposed"], kernel.dims["elements"]) == ("copy", 1.0, 2048)


def test_contiguous_on_a_contiguous_tensor_launches_nothing() -> None:
    assert kernels(lambda x: x.contiguous(), torch.empty(64, 32)) == []


def test_a_change_of_dtype_is_a_pointwise_kernel_between_both_sizes() -> None:
    kernel = only(lambda x: x.float(), torch.empty(100))
    assert (kernel.family, kernel.dims["bytes_read"], kernel.dims["bytes_written"]) == ("pointwise", 200, 400)


def test_reductions_keep_their_rows_and_columns() -> None:
    kernel = only(lambda x: x.mean(-1), torch.empty(6, 10))
    assert (kernel.family, kernel.dims["rows"], kernel.dims["cols"], kernel.dims["inner"]) == ("reduce", 6, 10, 1.0)
    kernel = only(lambda x: x.sum(0), torch.empty(6, 10))
    assert (kernel.dims["rows"], kernel.dims["cols"], kernel.dims["inner"]) == (10, 6, 0.0)


def test_the_larger_of_two_tensors_is_pointwise_and_the_largest_of_one_a_reduction() -> None:
    assert only(torch.max, torch.empty(4), torch.empty(4)).family == "pointwise"
    assert only(lambda x: x.max(-1), torch.empty(4, 4)).family == "reduce"


@pytest.mark.parametrize(
    ("function", "shape", "family", "rows", "cols"),
    [
        (lambda x: torch.softmax(x, -1), (2, 3, 8), "softmax", 6, 8),
        (lambda x: F.layer_norm(x, (8,)), (2, 3, 8), "layer_norm", 6, 8),
        (lambda x: F.group_norm(x, 2), (2, 4, 8), "group_norm", 4, 16),
        (lambda x: torch.cumsum(x, -1), (2, 3, 8), "scan", 6, 8),
    ],
    ids=["softmax", "layer_norm", "group_norm", "cumsum"],
)
def test_normalisations_by_rows(
    function: Callable[..., Any], shape: tuple[int, ...], family: str, rows: int, cols: int
) -> None:
    kernel = only(function, torch.empty(shape))
    assert (kernel.family, kernel.dims["rows"], kernel.dims["cols"]) == (family, rows, cols)


def test_joining_tensors_reads_and_writes_all_of_them() -> None:
    kernel = only(lambda x, y: torch.cat((x, y), -1), torch.empty(4, 8), torch.empty(4, 24))
    assert (kernel.family, kernel.dims["inputs"], kernel.dims["elements"]) == ("cat", 2, 128)
    assert kernel.dims["bytes_read"] == kernel.dims["bytes_written"] == 256


def test_padding_fills_and_copies() -> None:
    families = [k.family for k in kernels(lambda x: F.pad(x, (1, 1)), torch.empty(4, 8))]
    assert families == ["fill", "copy"]


def test_attention_with_a_strided_mask_is_its_operators_one_by_one() -> None:
    """The 18 and 13 kernels that torch 2.11 was seen to launch: casts to fp32, scaled query and key, copies for the
    products, the mask, a softmax that spares rows masked as a whole, and the casts back.
    """

    def forward(q: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, q, q, attn_mask=mask)

    q = torch.empty(8, 197, 12, 64).transpose(1, 2)
    strided, dense = torch.empty(197, 197, 12).permute(2, 0, 1)[None], torch.empty(1, 12, 197, 197)
    scores = ["copy", "copy", "gemm", "pointwise", "softmax", "pointwise", "reduce", "fill", "pointwise"]
    fp16 = ["pointwise"] * 5 + scores + ["pointwise", "copy", "gemm", "pointwise"]
    fp32 = ["pointwise"] * 2 + scores + ["copy", "gemm"]
    assert [k.family for k in kernels(forward, q, strided, dtype="fp16")] == fp16
    assert [k.family for k in kernels(forward, q, strided, dtype="fp32")] == fp32
    assert [k.family for k in kernels(forward, q, dense, dtype="fp16")] == ["attention"]


def test_an_empty_tensor_launches_nothing() -> None:
    assert kernels(lambda x: torch.relu(x) + 1, torch.empty(3, 0, 8)) == []
    assert kernels(lambda x: F.linear(x, x.new_empty(4, 8)), torch.empty(3, 0, 8)) == []


def test_a_dropout_in_evaluation_mode_is_host_work_alone() -> None:
    (call,) = lowered(lambda x: F.dropout(x, 0.1, training=False), torch.empty(4))
    assert (call.op, call.kernels) == ("dropout", ())


def recurrent(module: nn.Module, *inputs: torch.Tensor, dtype: str = "fp16") -> tuple[Kernel, ...]:
    (call,) = (c for c in eager.lower(capture(module, inputs, dtype)).calls if c.trait == "rnn")
    return call.kernels


@pytest.mark.parametrize(("layer", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_wide_recurrent_layers_are_a_product_and_a_kernel_of_their_gates_for_every_step(layer: Any, gates: int) -> None:
    steps, batch, width = 5, 2, 416
    found = recurrent(layer(16, width, num_layers=2, bidirectional=True), torch.empty(steps, batch, 16))
    hidden = [k for k in found if k.family == "recurrent_product"]
    cells = [k for k in found if k.family == "recurrent_cell"]
    assert len(cells) == len(hidden) == 2 * 2 * steps
    assert {(k.dims["m"], k.dims["n"], k.dims["k"]) for k in hidden} == {(batch, gates * width, width)}
    assert {(k.dims["elements"], k.dims["gates"]) for k in cells} == {(batch * width, gates)}


def test_steps_of_a_projection_are_two_products() -> None:
    found = recurrent(nn.LSTM(16, 64, proj_size=8), torch.empty(5, 2, 16))
    assert [k.family for k in found] == ["gemm", *["recurrent_product", "recurrent_product", "recurrent_cell"] * 5]


def test_steps_of_packed_sequences_are_kernels_of_their_own() -> None:
    def forward(layer: nn.Module, x: torch.Tensor) -> Any:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 5]), batch_first=True)
        return layer(packed)[0].data

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(16, 64)

        def forward(self, x: torch.Tensor) -> Any:
            return forward(self.layer, x)

    found = recurrent(Packed(), torch.empty(2, 5, 16))
    assert [k.family for k in found] == ["gemm", *["recurrent_product", "recurrent_cell"] * 5]


ALONE = {
    "LSTM of 180 both ways": (nn.LSTM(150, 180, bidirectional=True), "fp16", ["gemm", "recurrence"] * 2),
    "GRU of 192, whose biases are added before": (nn.GRU(64, 192), "fp16", ["gemm", "pointwise", "recurrence"]),
    "RNN of 384 in fp32": (nn.RNN(64, 384), "fp32", ["gemm", "recurrence"]),
    "two layers both ways, the last copied": (
        nn.LSTM(80, 80, num_layers=2, bidirectional=True),
        "fp16",
        [*["gemm", "recurrence"] * 4, "copy"],
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_narrow_recurrent_layer_is_one_kernel_for_all_steps(name: str) -> None:
    module, dtype, families = ALONE[name]
    found = recurrent(module, torch.empty(36, 16, module.input_size), dtype=dtype)
    assert [k.family for k in found] == families
    assert {k.dims["steps"] for k in found if k.family == "recurrence"} == {36}


@pytest.mark.parametrize(
    ("module", "batch", "dtype", "is_spread"),
    [
        (nn.LSTM(512, 768), 64, "fp16", True),
        (nn.LSTM(512, 768), 63, "fp16", False),
        (nn.LSTM(512, 768), 64, "fp32", False),
        (nn.LSTM(512, 768, num_layers=2), 64, "fp16", False),
        (nn.LSTM(80, 768), 64, "fp16", False),
        (nn.GRU(512, 768), 64, "fp16", False),
        (nn.RNN(512, 896), 96, "fp16", False),
        (nn.RNN(512, 1024), 64, "fp16", True),
    ],
)
def test_a_wide_single_layer_is_one_kernel_where_torch_asks_for_it(
    module: Any, batch: int, dtype: str, is_spread: bool
) -> None:
    found = recurrent(module, torch.empty(8, batch, module.input_size), dtype=dtype)
    assert [k.dims["spread"] for k in found if k.family == "recurrence"] == [1.0] * is_spread


@pytest.mark.parametrize(("batch", "of_time"), [(1, 0.67), (16, 0.58)])
def test_directions_overlap_in_a_graph_where_their_products_leave_room(batch: int, of_time: float) -> None:
    """Two bidirectional LSTMs of 256 on an H200: 1.29 of 1.93 ms in a CUDA graph at batch 1, where products follow each
    other, whole, and the kernels of the gates take no time of their own; 0.97 of 1.67 ms at batch 16.
    """
    module = nn.LSTM(200, 256, num_layers=2, bidirectional=True, batch_first=True)
    found = recurrent(module, torch.empty(batch, 96, 200))
    took = {"recurrent_product": {1: 3.24, 16: 2.37}[batch], "recurrent_cell": {1: 1.73, 16: 1.88}[batch]}
    steps = [kernel for kernel in found if kernel.family in took]
    whole, in_graph = (
        sum(took[kernel.family] * kernel.times / at_once for kernel, at_once in zip(steps, both, strict=True))
        for both in ([1.0] * len(steps), [kernel.at_once for kernel in steps])
    )
    assert in_graph / whole == pytest.approx(of_time, rel=0.15)


def test_products_of_a_recurrent_layer_in_fp32_run_in_tf32() -> None:
    found = recurrent(nn.LSTM(512, 512), torch.empty(8, 4, 512), dtype="fp32")
    assert {k.dtype for k in found if k.family != "recurrent_cell"} == {"tf32"}


def test_a_batch_norm_without_pixels_has_no_rows_of_its_own() -> None:
    def norm(x: torch.Tensor) -> torch.Tensor:
        c = torch.ones(64)
        return F.batch_norm(x, c, c, c, c)

    flat = only(norm, torch.empty(4096, 64))
    last = only(norm, torch.empty(4, 64, 32, 32).contiguous(memory_format=torch.channels_last))
    first = only(norm, torch.empty(4, 64, 32, 32))
    assert flat.dims == last.dims == {"rows": 256, "cols": 1024}
    assert first.dims == {"rows": 256, "cols": 1024}
    assert only(norm, torch.empty(2, 64)).dims == {"rows": 1, "cols": 128}


def node(op: str, *inputs: tuple[int, ...], dtype: str = "fp16") -> list[Kernel]:
    """Kernels of an ONNX node that makes what its first input is."""
    specs = [TensorSpec(shape, dtype, (1,) * len(shape)) for shape in inputs]
    args = {f"input{i}": spec for i, spec in enumerate(specs)}
    return list(onnx_form(op).lower(OpCall(op, args, (specs[0],), onnx_form(op).trait)))


def test_onnx_runtime_casts_what_a_half_precision_batch_norm_is_made_of() -> None:
    inputs = ((8, 64, 14, 14), *[(64,)] * 4)
    *casts, norm = node("BatchNormalization", *inputs)
    assert [k.dims["elements"] for k in casts] == [64] * 4
    assert norm.dims["rows"] == 8 * 64
    assert len(node("BatchNormalization", *inputs, dtype="fp32")) == 1
    without_pixels = node("BatchNormalization", (4096, 64), *[(64,)] * 4)[-1]
    assert (without_pixels.dims["rows"], without_pixels.dims["cols"]) == (4096 * 64, 1)


def test_onnx_runtime_s_recurrent_layer_is_a_step_after_another() -> None:
    steps, batch, inputs, width = 7, 2, 16, 32
    found = node("LSTM", (steps, batch, inputs), (1, 4 * width, inputs), (1, 4 * width, width))
    assert [k.family for k in found] == ["gemm", *["ort_recurrent_product", "pointwise"] * steps]
    assert (found[0].dims["m"], found[0].dims["k"]) == (steps * batch, inputs)


def test_onnx_runtime_copies_where_uneven_pieces_are_before_it_joins_them() -> None:
    """As profiles of every such node show: a class token beside 196 patches takes four copies, equal halves none."""
    assert len(node("Concat", (1, 196, 64), (1, 196, 64))) == 1
    *copies, join = node("Concat", (1, 196, 64), (1, 1, 64))
    assert len(copies) == 4
    assert join.dims["elements"] == 196 * 64
    whole = TensorSpec((2, 64), "fp16", (64, 1))
    for sizes, count in (([16, 16, 32], 1), ([16, 48], 5), ([32, 32], 1)):
        outputs = tuple(TensorSpec((2, n), "fp16", (n, 1)) for n in sizes)
        assert len(onnx_form("Split").lower(OpCall("Split", {"input0": whole}, outputs, Trait.COPY))) == count


def test_calls_that_share_their_arguments_are_lowered_as_those_that_do_not() -> None:
    """A capture gives repeated calls the same arguments; a graph from a file gives each its own."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = torch.einsum("ij,kj->ik", x, x) * 2
            x = torch.special.i1e(x.softmax(-1)) + torch.zeros(4, 4)
        return x

    graph = of(forward, torch.rand(4, 4))
    assert graph.calls[0].args is graph.calls[len(graph.calls) // 3].args
    alone = replace(graph, calls=tuple(map(copy.deepcopy, graph.calls)))
    assert repr(eager.lower(graph)) == repr(eager.lower(alone))
