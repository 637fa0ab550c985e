"""Nodes of ONNX Runtime's own domain: multiply-accumulates by hand, kernels by kind."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from predictor.calibration.load import load_calibration
from predictor.kernels.families import FAMILIES
from predictor.ops import onnx_form, ort
from predictor.ops.ort_nodes import FOURIER_STEP
from predictor.pricing.kernels import kernel_launches, kernel_seconds
from predictor.pricing.program import CPU_ELEMENT_S, price
from predictor.records import Graph, Kernel, OpCall, PythonWork, TensorSpec, Trait
from predictor.runtimes.onnx import lowering
from predictor.runtimes.onnx_cudagraph import lowering as with_graph


def spec(*shape: int, dtype: str = "fp16") -> TensorSpec:
    return TensorSpec(shape, dtype, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))))


def node(op: str, inputs: list[TensorSpec | None], outputs: list[TensorSpec], **attributes: Any) -> OpCall:
    args = {f"input{i}": t for i, t in enumerate(inputs) if t is not None}
    return OpCall(op, {**args, **attributes}, tuple(outputs), onnx_form(op).trait)


def macs(call: OpCall) -> int:
    return onnx_form(call.op).macs(call)


def kernels(call: OpCall) -> list[Kernel]:
    return list(onnx_form(call.op).lower(call))


BATCH, LENGTH, HEADS, HEAD = 2, 128, 12, 64
WIDTH = HEADS * HEAD
X = spec(BATCH, LENGTH, WIDTH)
SCORES = BATCH * HEADS * LENGTH * LENGTH * HEAD
"""Multiply-accumulates of the scores; weighing takes as many."""


def test_attention_with_its_product_inside_counts_it_scores_and_weighing() -> None:
    call = node("Attention", [X, spec(WIDTH, 3 * WIDTH), spec(3 * WIDTH)], [X], num_heads=HEADS)
    assert macs(call) == BATCH * LENGTH * WIDTH * 3 * WIDTH + 2 * SCORES
    families = [kernel.family for kernel in kernels(call)]
    assert families == ["gemm", "ort", "attention"]
    gemm, _, attention = kernels(call)
    assert gemm.dims["m"] == BATCH * LENGTH
    assert (gemm.dims["n"], gemm.dims["k"]) == (3 * WIDTH, WIDTH)
    assert attention.dims["kv_seq"] == LENGTH


def test_attention_with_a_cache_looks_at_all_of_it() -> None:
    past = spec(2, BATCH, HEADS, 100, HEAD)
    x, present = spec(BATCH, 1, WIDTH), spec(2, BATCH, HEADS, 101, HEAD)
    inputs = [x, spec(WIDTH, 3 * WIDTH), spec(3 * WIDTH), None, past]
    call = node("Attention", inputs, [x, present], num_heads=HEADS, unidirectional=1)
    assert macs(call) == BATCH * WIDTH * 3 * WIDTH + 2 * BATCH * HEADS * 101 * HEAD
    _, _, joined, scores, softmax, mixed, _ = kernels(call)  # a cache that is joined leaves it in parts
    assert joined.dims["bytes_written"] == present.nbytes
    assert (scores.dims["batch"], scores.dims["n"], mixed.dims["k"]) == (BATCH * HEADS, 101, 101)
    assert softmax.dims == {"rows": BATCH * HEADS, "cols": 101}


@pytest.mark.parametrize(
    ("dtype", "length", "mask", "in_parts"),
    [
        ("fp16", 128, None, False),
        ("fp16", 128, (BATCH, 128), True),  # scores are masked one by one
        ("fp16", 128, (BATCH,), False),  # by lengths
        ("fp32", 197, None, True),
        ("fp32", 256, None, False),  # long enough for the kernel of single precision
        ("fp32", 256, (BATCH, 256), True),
    ],
)
def test_attention_is_one_kernel_or_its_parts(
    dtype: str, length: int, mask: tuple[int, ...] | None, in_parts: bool
) -> None:
    x = spec(BATCH, length, WIDTH, dtype=dtype)
    product = [spec(WIDTH, 3 * WIDTH, dtype=dtype), spec(3 * WIDTH, dtype=dtype)]
    call = node("Attention", [x, *product, spec(*mask, dtype="int32") if mask else None], [x], num_heads=HEADS)
    families = [kernel.family for kernel in kernels(call)]
    parts = ["gemm", "ort_attention_softmax", "gemm", "ort"]
    assert families == ["gemm", "ort", *(parts if in_parts else ["attention"])]


def test_attention_apart_puts_heads_first_before_its_parts() -> None:
    x = spec(BATCH, LENGTH, WIDTH, dtype="fp32")
    call = node("MultiHeadAttention", [x, x, x], [x], num_heads=HEADS)
    families = [kernel.family for kernel in kernels(call)]
    assert families == ["ort", "ort", "ort", "gemm", "ort_attention_softmax", "gemm", "ort"]


def test_multi_head_attention_counts_no_product() -> None:
    other = spec(BATCH, 77, WIDTH)
    call = node("MultiHeadAttention", [X, other, other], [X], num_heads=HEADS)
    assert macs(call) == 2 * BATCH * HEADS * LENGTH * 77 * HEAD
    packed = spec(BATCH, LENGTH, HEADS, 3, HEAD)
    assert macs(node("MultiHeadAttention", [packed], [X], num_heads=HEADS)) == 2 * SCORES


def test_attention_of_onnx_says_its_heads_by_its_shapes() -> None:
    query, key = spec(BATCH, HEADS, LENGTH, HEAD), spec(BATCH, 4, LENGTH, HEAD)
    call = node("Attention", [query, key, key], [query], is_causal=1)
    assert macs(call) == 2 * SCORES
    assert kernels(call)[1].dims["kv_heads"] == 4
    assert kernels(call)[1].dims["causal"] == 1.0


def test_queries_that_share_keys_look_at_the_whole_cache() -> None:
    query, key = spec(BATCH, 1, WIDTH), spec(BATCH, 1, 4 * HEAD)
    past = spec(BATCH, 4, 256, HEAD)
    inputs = [query, key, key, past, past, spec(BATCH, dtype="int32"), spec(1, dtype="int32")]
    call = node("GroupQueryAttention", inputs, [query, past, past], num_heads=HEADS, kv_num_heads=4)
    assert macs(call) == 2 * BATCH * HEADS * 256 * HEAD
    *_, first, second, append, attention = kernels(call)
    assert first.dims == second.dims == {"elements": past.elements}
    assert append.dims == {"blocks": BATCH * (HEADS + 2 * 4), "head": HEAD}
    assert attention.dims["kv_heads"] == 4


def test_attention_without_padding_has_sequences_of_the_mean_length() -> None:
    tokens = spec(200, WIDTH)
    places = spec(BATCH, LENGTH, dtype="int32")
    inputs = [tokens, spec(WIDTH, 3 * WIDTH), spec(3 * WIDTH), places, spec(BATCH + 1, dtype="int32")]
    call = node("PackedAttention", inputs, [tokens], num_heads=HEADS)
    assert macs(call) == 200 * WIDTH * 3 * WIDTH + 2 * BATCH * HEADS * 100 * 100 * HEAD


def test_quantised_attention_multiplies_integers_first() -> None:
    x, weights = spec(BATCH, LENGTH, WIDTH, dtype="int8"), spec(WIDTH, 3 * WIDTH, dtype="int8")
    call = node("QAttention", [x, weights, spec(3 * WIDTH), spec(1), spec(1)], [X], num_heads=HEADS)
    assert macs(call) == BATCH * LENGTH * WIDTH * 3 * WIDTH + 2 * SCORES
    families = [kernel.family for kernel in kernels(call)]
    assert families == ["ort_integer_product", "ort", "gemm", "softmax", "gemm", "ort"]


def test_weights_of_few_bits_are_read_packed_of_one_row_and_written_out_of_more() -> None:
    packed, scales = spec(4096, 32, 16, dtype="uint8"), spec(4096 * 32)
    numbers = {"K": 1024, "N": 4096, "bits": 4, "block_size": 32}
    single = node("MatMulNBits", [spec(1, 1, 1024), packed, scales], [spec(1, 1, 4096)], **numbers)
    assert macs(single) == 1024 * 4096
    (read,) = kernels(single)
    assert read.dims == {"rows": 1, "n": 4096, "k": 1024, "bits": 4, "itemsize": 2}
    few = node("MatMulNBits", [spec(1, 16, 1024), packed, scales], [spec(1, 16, 4096)], **numbers)
    assert [kernel.family for kernel in kernels(few)] == ["ort_few_bits"]
    of_bytes = node("MatMulNBits", [spec(1, 16, 1024), packed, scales], [spec(1, 16, 4096)], **{**numbers, "bits": 8})
    assert [kernel.family for kernel in kernels(of_bytes)] == ["ort_unpacked_bits", "gemm"]
    many = node("MatMulNBits", [spec(1, 64, 1024), packed, scales], [spec(1, 64, 4096)], **numbers)
    assert macs(many) == 64 * 1024 * 4096
    spread, product = kernels(many)
    assert spread.dims == {"elements": 4096 * 1024, "bits": 4, "itemsize": 2}
    assert product.family == "gemm"


def test_products_and_convolutions_of_integers_count_as_those_of_floats() -> None:
    x, w = spec(1, 64, 28, 28, dtype="uint8"), spec(128, 64, 3, 3, dtype="int8")
    y, scale = spec(1, 128, 28, 28, dtype="uint8"), spec(1, dtype="fp32")
    zero = spec(1, dtype="uint8")
    expected = 128 * 28 * 28 * 64 * 9
    assert macs(node("QLinearConv", [x, scale, zero, w, scale, zero, scale, zero], [y])) == expected
    assert macs(node("ConvInteger", [x, w], [spec(1, 128, 28, 28, dtype="int32")])) == expected
    a, b, c = spec(16, 256, dtype="int8"), spec(256, 512, dtype="int8"), spec(16, 512, dtype="int8")
    assert macs(node("QLinearMatMul", [a, scale, zero, b, scale, zero, scale, zero], [c])) == 16 * 256 * 512
    assert macs(node("MatMulInteger", [a, b], [spec(16, 512, dtype="int32")])) == 16 * 256 * 512
    turned = spec(512, 256, dtype="int8")
    assert macs(node("QGemm", [a, scale, zero, turned, scale, zero], [c], transB=1)) == 16 * 256 * 512


def test_a_channels_last_convolution_is_the_same_one() -> None:
    x, w, y = spec(2, 32, 32, 320), spec(640, 3, 3, 320), spec(2, 32, 32, 640)
    call = node("NhwcConv", [x, w], [y], pads=(1, 1, 1, 1), kernel_shape=(3, 3))
    assert macs(call) == 2 * 32 * 32 * 640 * 320 * 9
    (kernel,) = kernels(call)
    assert (kernel.dims["c_in"], kernel.dims["c_out"], kernel.dims["channels_last"]) == (320, 640, 1.0)
    assert (kernel.dims["h"], kernel.dims["w"], kernel.dims["r"], kernel.dims["s"]) == (32, 32, 3, 3)


@pytest.mark.parametrize(
    ("equation", "shapes", "result", "m_n_k_batch"),
    [
        ("bhqk,bhvk->bhqv", [(2, 8, 64, 32), (2, 8, 48, 32)], (2, 8, 64, 48), (64, 48, 32, 16)),
        ("...hk,hkd->...d", [(2, 64, 8, 32), (8, 32, 100)], (2, 64, 100), (128, 100, 256, 1)),
        ("ij,jk", [(3, 4), (4, 5)], (3, 5), (3, 5, 4, 1)),
    ],
)
def test_an_einsum_is_a_product_by_its_indices(
    equation: str, shapes: list[tuple[int, ...]], result: tuple[int, ...], m_n_k_batch: tuple[int, ...]
) -> None:
    call = node("Einsum", [spec(*shape) for shape in shapes], [spec(*result)], equation=equation)
    (product,) = [kernel for kernel in kernels(call) if kernel.family == "gemm"]
    assert tuple(product.dims[name] for name in ("m", "n", "k", "batch")) == m_n_k_batch


@pytest.mark.parametrize(
    ("equation", "shapes", "result", "launches"),
    [
        ("bld,de->ble", [(8, 16, 64), (64, 32)], (8, 16, 32), 3),  # two operands placed, a product
        ("bld,dhk->bhlk", [(8, 16, 64), (64, 4, 8)], (8, 4, 16, 8), 4),  # its result rearranged
        ("bid,bjd->bij", [(8, 16, 64), (8, 24, 64)], (8, 16, 24), 4),  # a batch of products
        ("bid,bjd->bij", [(1, 16, 64), (1, 24, 64)], (1, 16, 24), 6),  # once more, of dimensions that are one
    ],
)
def test_an_einsum_places_its_operands_and_its_result(
    equation: str, shapes: list[tuple[int, ...]], result: tuple[int, ...], launches: int
) -> None:
    """As many launches as single nodes had on an H100."""
    call = node("Einsum", [spec(*shape) for shape in shapes], [spec(*result)], equation=equation)
    assert len(kernels(call)) == launches


@pytest.mark.parametrize(
    ("rows", "bias", "dtype", "first"),
    [
        (1, (64,), "fp16", "ort_bias_rows"),
        (8, (64,), "fp16", "ort_bias_rows"),
        (8, (64,), "fp32", "gemm"),
        (8, (8, 64), "fp16", "ort"),
        (8, (1,), "fp16", "ort"),
    ],
)
def test_a_bias_is_a_product_with_ones_or_a_copy_that_the_product_reads(
    rows: int, bias: tuple[int, ...], dtype: str, first: str
) -> None:
    tensors = [spec(*shape, dtype=dtype) for shape in ((rows, 32), (32, 64), bias)]
    spread, product = kernels(node("Gemm", tensors, [spec(rows, 64, dtype=dtype)]))
    assert (spread.family, product.dims["k"], product.dims["added"]) == (first, 32, 1)


def test_a_product_that_is_added_reads_what_is_there() -> None:
    row, sizes = FAMILIES["gemm"], {"m": 8, "n": 64, "k": 32}
    plain, added = (row.nbytes(row.complete({**sizes, "added": added}), 2) for added in (0, 1))
    assert float(added - plain) == 2 * 8 * 64


@pytest.mark.parametrize(
    ("rows", "cols", "measured_s"),
    [
        *((401424, 576, 381.6e-6), (1569, 2304, 8.7e-6), (512, 512, 1.57e-6), (50176, 96, 7.8e-6)),
        *((262144, 256, 82.6e-6), (614656, 8, 26.4e-6), (50176, 24, 7.7e-6), (50176, 48, 5.7e-6)),
        *((401424, 192, 125.6e-6), (50176, 288, 20.3e-6)),
    ],
)
def test_a_row_is_spread_as_fast_as_cublas_does(rows: int, cols: int, measured_s: float) -> None:
    """By tiles of 64 x 64, a kernel of its own, and tiles of 128 x 128, in profiles of vision models on an H200."""
    seconds = kernel_seconds(load_calibration("h200"), "ort_bias_rows", "fp16", rows=rows, cols=cols)
    assert seconds == pytest.approx(measured_s, rel=0.1)


@pytest.mark.parametrize(
    ("op", "inputs", "out", "dtype", "measured_s"),
    [
        ("Gather", [(13_750, 1433), (212_224,)], (212_224, 1433), "fp16", 1217.7e-6),
        ("Gather", [(4096, 16), (212_224,)], (212_224, 16), "fp16", 14.6e-6),
        ("Mul", [(212_224, 1), (212_224, 1433)], (212_224, 1433), "fp16", 512e-6),
        ("Mul", [(16, 200, 30522), (16, 200, 1)], (16, 200, 30522), "fp16", 202.7e-6),
        ("Mul", [(16, 2, 128, 56, 56), (16, 2, 128, 1, 1)], (16, 2, 128, 56, 56), "fp16", 38.5e-6),
        ("Expand", [(168_896, 1)], (168_896, 1433), "int64", 787.4e-6),
        ("Expand", [(212_224, 1)], (212_224, 16), "int64", 9.3e-6),
        ("Expand", [(1, 1, 1_048_576)], (16, 1, 1_048_576), "fp16", 32.8e-6),
    ],
)
def test_what_divides_for_its_place_takes_as_long_as_measured(
    op: str, inputs: list[tuple[int, ...]], out: tuple[int, ...], dtype: str, measured_s: float
) -> None:
    """In profiles of networks of graphs, a sparse encoder and image models on an H200."""
    kinds = [dtype, "int64"] if op == "Gather" else [dtype] * 2
    tensors = [spec(*shape, dtype=kind) for shape, kind in zip(inputs, kinds, strict=False)]
    (kernel,) = kernels(node(op, tensors, [spec(*out, dtype=dtype)]))
    seconds = kernel_seconds(load_calibration("h200"), kernel.family, kernel.dtype, **kernel.dims)
    assert seconds == pytest.approx(measured_s, rel=0.15)


def test_integers_are_summed_by_a_block_for_every_result() -> None:
    (kernel,) = kernels(node("ReduceSum", [spec(212_224, dtype="int64")], [spec(1, dtype="int64")]))
    seconds = kernel_seconds(load_calibration("h200"), kernel.family, kernel.dtype, **kernel.dims)
    assert seconds == pytest.approx(226e-6, rel=0.05)


def test_what_finds_places_waits_for_their_count() -> None:
    found = kernels(node("NonZero", [spec(10_556, dtype="bool")], [spec(1, 10_556, dtype="int64")]))
    assert [kernel.family for kernel in found] == ["ort", "ort", "ort", "host_copy", "ort"]


@pytest.mark.parametrize(
    ("a", "b", "out", "args", "sizes"),
    [
        ((128, 16, 8, 64), (128, 16, 8, 64), (16, 8, 128, 128), {"transBatchA": 1, "transB": 1}, (128, 128, 64)),
        ((16, 8, 128, 96), (96, 16, 8, 64), (16, 8, 128, 64), {}, (128, 64, 96)),
        ((6, 2, 196), (196, 6, 64), (6, 2, 64), {}, (2, 64, 196)),
    ],
    ids=["scores", "what they weigh", "three dimensions"],
)
def test_a_batch_between_rows_and_columns_is_a_batch(
    a: tuple[int, ...], b: tuple[int, ...], out: tuple[int, ...], args: dict[str, int], sizes: tuple[int, int, int]
) -> None:
    """As nn.MultiheadAttention has it after ONNX Runtime's transposes are fused; its profile has one kernel each."""
    call = node("FusedMatMul", [spec(*a), spec(*b)], [spec(*out)], transBatchB=1, **args)
    (kernel,) = kernels(call)
    dims = kernel.dims
    assert (dims["m"], dims["n"], dims["k"]) == sizes
    assert dims["batch"] == math.prod(out[:-2])
    assert macs(call) == math.prod(out) * sizes[2]


@pytest.mark.parametrize(
    ("first", "second", "out", "kind"),
    [
        ((8, 64, 128), (8, 64, 128), (8, 64, 128), ort.Kind.POINTWISE),
        ((8, 64, 128), (), (8, 64, 128), ort.Kind.POINTWISE),
        ((8, 64, 128), (128,), (8, 64, 128), ort.Kind.POINTWISE),  # a bias
        ((8, 64, 14, 14), (64, 1, 1), (8, 64, 14, 14), ort.Kind.POINTWISE),  # a channel's
        ((128,), (8, 64, 128), (8, 64, 128), ort.Kind.BROADCAST),  # the other way round
        ((8, 64, 128), (8, 64, 1), (8, 64, 128), ort.Kind.BROADCAST),  # a row's, as a norm's
        ((8, 64, 128), (64, 128), (8, 64, 128), ort.Kind.BROADCAST),  # positions
    ],
)
def test_a_tensor_is_spread_beside_another_unless_it_is_a_channels(
    first: tuple[int, ...], second: tuple[int, ...], out: tuple[int, ...], kind: ort.Kind
) -> None:
    """In profiles _BinaryElementWise, else _BinaryElementWiseSimple and _BinaryElementWiseRhsPerChannelBatchN."""
    (kernel,) = kernels(node("Mul", [spec(*first), spec(*second)], [spec(*out)]))
    assert kernel.dims["kind"] == kind


@pytest.mark.parametrize(
    ("op", "inputs", "dtype", "gpu", "measured_s"),
    [
        ("QuickGelu", [(4194304,)], "fp16", "h100", 11.6e-6),
        ("Sigmoid", [(11796480,)], "fp16", "h100", 29.7e-6),
        ("Sigmoid", [(409600,)], "fp16", "h200", 2.3e-6),
        ("Pow", [(4194304,), ()], "fp32", "h100", 18.1e-6),
        ("Pow", [(524288,), ()], "fp16", "h200", 3.7e-6),
    ],
)
def test_what_has_long_code_for_an_element_is_bound_by_it(
    op: str, inputs: list[tuple[int, ...]], dtype: str, gpu: str, measured_s: float
) -> None:
    """In profiles of decoders, image models and others under ONNX Runtime."""
    out = inputs[0]
    (kernel,) = kernels(node(op, [spec(*shape, dtype=dtype) for shape in inputs], [spec(*out, dtype=dtype)]))
    seconds = kernel_seconds(load_calibration(gpu), kernel.family, kernel.dtype, **kernel.dims)
    assert seconds == pytest.approx(measured_s, rel=0.15)


def test_a_recurrent_layers_kernels_can_be_stored() -> None:
    x, w, r = spec(4, 1, 64), spec(1, 128, 64), spec(1, 128, 32)
    for kernel in kernels(node("LSTM", [x, w, r], [spec(4, 1, 1, 32)])):
        assert not any(isinstance(size, bool) for size in kernel.dims.values())


def test_both_directions_of_a_recurrent_layer_run_at_once_in_a_graph() -> None:
    x, weights, states = spec(16, 2, 64), spec(2, 4 * 32, 64), spec(2, 4 * 32, 32)
    call = node("LSTM", [x, weights, states], [spec(16, 2, 2, 32)], hidden_size=32, direction="bidirectional")
    assert {kernel.at_once for kernel in kernels(call)} == {2.0}
    one_way = node("LSTM", [x, spec(1, 4 * 32, 64), spec(1, 4 * 32, 32)], [spec(16, 1, 2, 32)], hidden_size=32)
    assert {kernel.at_once for kernel in kernels(one_way)} == {1.0}


def test_the_best_few_are_found_in_passes_over_digits() -> None:
    x, best = spec(512, 2048), spec(512, 5)
    (kernel,) = kernels(node("TopK", [x, spec(1, dtype="int64")], [best, spec(512, 5, dtype="int64")], axis=-1))
    assert kernel.dims == {"rows": 512, "cols": 2048, "itemsize": 2}


def test_an_einsum_of_three_operands_is_two_products() -> None:
    tensors = [spec(3, 4), spec(4, 5), spec(5, 6)]
    call = node("Einsum", [*tensors], [spec(3, 6)], equation="ij,jk,kl->il")
    products = [kernel.dims for kernel in kernels(call) if kernel.family == "gemm"]
    assert [(p["m"], p["n"], p["k"]) for p in products] == [(3, 5, 4), (3, 6, 5)]


def test_an_einsum_of_one_operand_moves_or_sums() -> None:
    turned = node("Einsum", [spec(3, 4, 5)], [spec(5, 4, 3)], equation="abc->cba")
    summed = node("Einsum", [spec(3, 4, 5)], [spec(3)], equation="abc->a")
    assert [kernel.family for kernel in kernels(turned)] == ["ort"]
    assert kernels(summed)[0].dims["rows"] == 3


@pytest.mark.parametrize(
    ("a", "b", "out", "m_n_k"),
    [
        ((64,), (64, 10), (10,), (1, 10, 64)),
        ((8, 64), (64,), (8,), (8, 1, 64)),
        ((64,), (64,), (), (1, 1, 64)),
    ],
)
def test_a_product_with_a_tensor_of_one_dimension_is_one_of_a_row_or_a_column(
    a: tuple[int, ...], b: tuple[int, ...], out: tuple[int, ...], m_n_k: tuple[int, ...]
) -> None:
    (product,) = kernels(node("MatMul", [spec(*a), spec(*b)], [spec(*out)]))
    assert tuple(product.dims[name] for name in ("m", "n", "k")) == m_n_k


def test_boxes_of_every_class_of_every_image_are_compared() -> None:
    boxes, scores = spec(2, 300, 4, dtype="fp32"), spec(2, 20, 300, dtype="fp32")
    call = node("NonMaxSuppression", [boxes, scores], [spec(100, 3, dtype="int64")])
    assert call.trait is Trait.SYNC
    chosen = [kernel for kernel in kernels(call) if kernel.family == "box_selection"]
    assert [kernel.dims["boxes"] for kernel in chosen] == [300] * 40


def test_the_host_waits_twice_in_every_class() -> None:
    boxes, scores = spec(2, 300, 4, dtype="fp32"), spec(2, 20, 300, dtype="fp32")
    call = node("NonMaxSuppression", [boxes, scores], [spec(100, 3, dtype="int64")])
    rounds = onnx_form(call.op).rounds
    assert rounds is not None
    assert len(rounds(call)) == 2 * 2 * 20
    assert sum(kernel.times for part in rounds(call) for kernel in part) == sum(k.times for k in kernels(call))
    graph = Graph("boxes", (call,), "fp32", 1, PythonWork(), 0, {}, ())
    calls = lowering.lower(graph).calls
    assert [c.sync for c in calls] == [True] * 80
    crowd = node("NonMaxSuppression", [spec(1, 9, 4), spec(1, 5000, 9)], [spec(100, 3, dtype="int64")])
    many = lowering.lower(replace(graph, calls=(crowd,))).calls
    assert sum(c.times for c in many) == 10_000
    assert len(many) == lowering.MOST_ROUNDS


def test_a_slice_is_copied_by_one_thread_and_a_thread_stands_for_an_index_tuple() -> None:
    data, indices, updates = spec(255, 12, 128, 8), spec(128, 1, dtype="int64"), spec(128, 12, 128, 8)
    (kernel,) = kernels(node("ScatterND", [data, indices, updates], [data]))
    assert kernel.family == "scattered_slices"
    assert kernel.dims == {"indices": 128, "slice": 12 * 128 * 8}
    tuples = spec(4, 6, 2, dtype="int64")
    (elements,) = kernels(node("ScatterND", [spec(8, 9), tuples, spec(4, 6)], [spec(8, 9)]))
    assert elements.dims == {"indices": 24, "slice": 1}


def test_what_is_added_in_half_precision_is_tried_as_often_as_others_meet_it() -> None:
    """As measured on an H100, fp16: 554 to 645 ns an element where nothing meets, 4.0 to 4.1 us where twelve do."""
    alone = [spec(2048, 512), spec(2048, 1, dtype="int64"), spec(2048, 512)]
    crowd = [spec(512, 128), spec(6144, 1, dtype="int64"), spec(6144, 128)]
    seconds = FAMILIES["scattered_slices"].latency_s
    assert seconds is not None
    for inputs, measured_s in ((alone, 512 * 6.0e-7), (crowd, 128 * 4.1e-6)):
        (kernel,) = kernels(node("ScatterND", inputs, [inputs[0]], reduction="add"))
        taken = float(seconds(FAMILIES["scattered_slices"].complete(kernel.dims), 132))
        assert taken == pytest.approx(measured_s, rel=0.15)
    single = [replace(tensor, dtype="fp32") if tensor.dtype == "fp16" else tensor for tensor in crowd]
    for inputs, more in ((crowd, {}), (single, {"reduction": "add"})):  # written over; added in memory
        (kernel,) = kernels(node("ScatterND", inputs, [inputs[0]], **more))
        assert "tries" not in kernel.dims


def test_slices_are_gathered_behind_where_they_begin() -> None:
    sizes, places, slices = kernels(node("GatherND", [spec(255, 64), spec(128, 1, dtype="int64")], [spec(128, 64)]))
    assert (sizes.family, sizes.dims["bytes"]) == ("host_copy", 8)
    assert (places.dims["elements"], slices.dims["elements"]) == (128, 128 * 64)


@pytest.mark.parametrize(
    ("left", "right", "addresses"),
    [
        ((2, 6, 9, 8), (2, 6, 8, 7), 0),
        ((2, 6, 9, 8), (8, 7), 0),
        ((1, 1, 9, 8), (2, 6, 8, 7), 3),
        ((9, 8), (2, 6, 8, 7), 3),
        ((2, 6, 9, 8), (1, 6, 8, 7), 3),
    ],
    ids=["alike", "a matrix", "one for all", "a matrix on the left", "spread over a part"],
)
def test_a_batch_whose_operands_differ_takes_addresses(
    left: tuple[int, ...], right: tuple[int, ...], addresses: int
) -> None:
    """CanUseStridedBatchedGemm in matmul.cc; profiles of DeBERTa and of a recommender (a matrix on the left)."""
    *copies, whole = kernels(node("MatMul", [spec(*left), spec(*right)], [spec(2, 6, 9, 7)]))
    assert [copy.family for copy in copies] == ["host_copy"] * addresses
    assert all(copy.dims["bytes"] == 8 * 12 for copy in copies)
    assert whole.family == "gemm"


def test_pieces_of_several_sizes_are_joined_by_addresses_from_the_host() -> None:
    *copies, whole = kernels(node("Concat", [spec(2, 3), spec(2, 5)], [spec(2, 8)], axis=1))
    assert [copy.family for copy in copies] == ["host_copy"] * 4
    assert [copy.dims["bytes"] for copy in copies] == [8 * 2, 8 * 2, 8 * 2, 8 * 8]  # of which piece each column is
    assert whole.dims["kind"] == ort.Kind.UNEVEN
    (even,) = kernels(node("Concat", [spec(2, 3), spec(2, 3)], [spec(2, 6)], axis=1))
    assert even.dims["kind"] == ort.Kind.CUT


@pytest.mark.parametrize(
    ("op", "whole", "pieces", "gpu", "measured_s"),
    [
        ("Concat", (16, 196, 3072), [(16, 1, 3072), (16, 195, 3072)], "h100", 21.7e-6),
        ("Split", (16, 384, 3072), [(16, 128, 3072)] * 3, "h200", 32.4e-6),
        ("Split", (4032, 3072), [(3840, 3072), (192, 3072)], "h200", 27.6e-6),
    ],
)
def test_pieces_go_at_the_pace_of_their_elements(
    op: str, whole: tuple[int, ...], pieces: list[tuple[int, ...]], gpu: str, measured_s: float
) -> None:
    """As many in profiles of ONNX Runtime took: 9.6 million joined unevenly, 18.9 million split evenly, 12.4 not."""
    parts, row = [spec(*piece) for piece in pieces], spec(*whole)
    kernel = kernels(node(op, parts, [row]) if op == "Concat" else node(op, [row], parts))[-1]
    seconds = kernel_seconds(load_calibration(gpu), kernel.family, kernel.dtype, **kernel.dims)
    assert seconds == pytest.approx(measured_s, rel=0.2)


def test_three_pieces_along_the_last_axis_have_a_kernel_of_their_own() -> None:
    (kernel,) = kernels(node("Split", [spec(16, 128, 1536)], [spec(16, 128, 512)] * 3))
    assert kernel.dims["kind"] == ort.Kind.CUT


def test_the_host_makes_the_map_of_joined_pieces_a_number_at_a_time() -> None:
    """In a session of MViT those of 313 thousand places are 0.54 ms of 9.8, on a host whose probe takes 1.16 times as
    long as that of the H200's calibration.
    """
    pieces, whole = [spec(1, 1, 96), spec(1, 312_999, 96)], spec(1, 313_000, 96)
    graph = Graph("joined", (node("Concat", pieces, [whole], axis=1),), "fp16", 1, PythonWork(), 0, {}, ())
    even = Graph("even", (node("Concat", [pieces[1]] * 2, [whole], axis=1),), "fp16", 1, PythonWork(), 0, {}, ())
    h200 = load_calibration("h200")
    joined_s, even_s = (price(lowering.lower(g), h200, h200.host("onnx")).calls[0].host_s for g in (graph, even))
    assert joined_s - even_s == pytest.approx(0.54e-3 / 1.16, rel=0.3)


def test_a_graph_waits_for_a_copy_between_its_kernels() -> None:
    joined = node("Concat", [spec(2, 3), spec(2, 5)], [spec(2, 8)], axis=1)
    graph = Graph("joined", (joined,), "fp16", 1, PythonWork(), 0, {}, ())
    (replay,) = with_graph.lower(graph).calls
    copy, row = replay.kernels[0], FAMILIES["host_copy"]
    assert row.latency_s is not None
    assert float(row.latency_s(row.complete(copy.dims), 132)) == pytest.approx(2.8e-6)
    assert "replayed" not in lowering.lower(graph).calls[0].kernels[0].dims


def window(x: tuple[int, ...], w: tuple[int, ...], out: tuple[int, ...], **attributes: Any) -> dict[str, float]:
    (kernel,) = kernels(node("Conv", [spec(*x), spec(*w)], [spec(*out)], **attributes))
    return {name: kernel.dims[name] for name in ("h", "w", "r", "s", "stride_w", "pad_h", "pad_w")}


def test_a_column_is_convolved_as_a_sequence_and_a_row_of_channels_alone_is_turned() -> None:
    """cuDNN gets sequences as columns from ONNX Runtime: of depthwise windows it ran 65 x 1 and 31 of a sequence
    channel by channel, rows never (calibrations/h100/onnx_files, tall and windows).
    """
    along = {"strides": [2], "pads": [32, 32], "group": 64}
    sequence = window((1, 64, 200), (64, 1, 65), (1, 64, 100), **along)
    assert sequence == {"h": 1, "w": 200, "r": 1, "s": 65, "stride_w": 2, "pad_h": 0, "pad_w": 32}
    tall = {"strides": [2, 1], "pads": [32, 0, 32, 0], "group": 64}
    assert window((1, 64, 200, 1), (64, 1, 65, 1), (1, 64, 100, 1), **tall) == sequence
    wide = {"strides": [1, 1], "pads": [0, 32, 0, 32]}
    row = window((1, 64, 1, 200), (64, 1, 1, 65), (1, 64, 1, 200), group=64, **wide)
    assert row == {"h": 200, "w": 1, "r": 65, "s": 1, "stride_w": 1, "pad_h": 32, "pad_w": 0}
    mixed = window((1, 64, 1, 200), (64, 64, 1, 65), (1, 64, 1, 200), **wide)
    assert (mixed["h"], mixed["w"], mixed["s"]) == (1, 200, 65)


def test_a_deformed_window_is_read_out_and_multiplied() -> None:
    call = node(
        "DeformConv", [spec(2, 16, 32, 32), spec(24, 8, 3, 3), spec(2, 18, 32, 32)], [spec(2, 24, 32, 32)], group=2
    )
    assert macs(call) == 2 * 24 * 32 * 32 * 8 * 9
    read, whole = kernels(call)
    assert read.dims["elements"] == 2 * 32 * 32 * 16 * 9
    assert {name: whole.dims[name] for name in "mnk"} == {"m": 12, "n": 2 * 32 * 32, "k": 72}
    assert whole.dims["batch"] == 2


@pytest.mark.parametrize(("tokens", "used", "rows"), [(64, 8, 16), (1, 2, 1)])
def test_experts_are_products_of_those_that_a_token_goes_to(tokens: int, used: int, rows: int) -> None:
    inputs = [spec(tokens, 256), spec(tokens, 8), spec(8, 512, 256), None, spec(8, 256, 512)]
    call = node("MoE", inputs, [spec(tokens, 256)], k=2)
    assert macs(call) == tokens * 2 * 2 * 512 * 256
    first, second = (kernel for kernel in kernels(call) if kernel.family == "ort_experts")
    assert (first.dims["experts"], first.dims["m"], first.dims["n"], first.dims["k"]) == (used, rows, 512, 256)
    assert (second.dims["n"], second.dims["k"]) == (256, 512)


TIMES = 2 * 8 * 128 * 64


@pytest.mark.parametrize(
    ("dtype", "shared", "families"),
    [
        ("fp16", 8, ["ort", "attention", "ort"]),
        ("fp16", 2, ["ort", "attention", "ort"]),
        ("fp32", 8, ["ort", "attention", "ort"]),
        ("fp32", 2, ["gemm", "ort_attention_softmax", "gemm"]),
    ],
)
def test_attention_of_onnx_puts_heads_behind_and_back(dtype: str, shared: int, families: list[str]) -> None:
    """As an H100 ran it with heads first: a pass before and behind; in parts where heads are shared in fp32."""
    query, key = spec(2, 8, 128, 64, dtype=dtype), spec(2, shared, 128, 64, dtype=dtype)
    call = node("Attention", [query, key, key], [query])
    assert [kernel.family for kernel in kernels(call)] == families
    assert macs(call) == 2 * TIMES * 128


@pytest.mark.parametrize(("side", "family"), [(17, "ort_conv_depthwise"), (31, "ort_conv_long"), (65, "ort_conv_long")])
def test_long_windows_of_channels_alone_are_a_family_of_their_own(side: int, family: str) -> None:
    """cuDNN runs half of them channel by channel, and none of 17."""
    x, w = spec(2, 64, 200), spec(64, 1, side)
    (kernel,) = kernels(node("Conv", [x, w], [x], group=64, pads=[side // 2] * 2))
    assert kernel.family == family
    (mixed,) = kernels(node("Conv", [x, spec(64, 64, side)], [x], pads=[side // 2] * 2))
    assert mixed.family == "ort_conv"


@pytest.mark.parametrize("op", ["DepthToSpace", "SpaceToDepth"])
def test_what_divides_for_the_place_of_each_pixel_is_bound_by_instructions(op: str) -> None:
    (kernel,) = kernels(node(op, [spec(1, 64, 16, 16)], [spec(1, 16, 32, 32)]))
    assert (kernel.family, kernel.dims["kind"]) == ("ort_issued", ort.Kind.SHUFFLED)


@pytest.mark.parametrize(
    ("shape", "out", "kind", "gpu", "measured_s"),
    [
        ((16, 32, 32, 384), (16, 42, 42, 384), ort.Kind.PADDED, "h200", 1024e-6),  # windows, channels last
        ((16, 128, 256, 1), (16, 136, 256, 1), ort.Kind.PADDED, "h200", 56e-6),
        ((16, 8, 99, 197), (16, 8, 99, 198), ort.Kind.SHUFFLED, "h200", 11.4e-6),
        ((16, 256, 512), (16, 256, 1024), ort.Kind.SHUFFLED, "h200", 17.1e-6),
        ((1, 128, 32, 32), (1, 128, 32, 32), ort.Kind.POINTWISE, "h200", 1.3e-6),  # none: a copy
    ],
)
def test_borders_of_images_are_quick_and_others_slow(
    shape: tuple[int, ...], out: tuple[int, ...], kind: ort.Kind, gpu: str, measured_s: float
) -> None:
    (kernel,) = kernels(node("Pad", [spec(*shape), spec(2 * len(shape), dtype="int64")], [spec(*out)]))
    assert kernel.dims["kind"] == kind
    seconds = kernel_seconds(load_calibration(gpu), kernel.family, kernel.dtype, **kernel.dims)
    assert seconds == pytest.approx(measured_s, rel=0.25)


@pytest.mark.parametrize(
    ("shape", "gpu", "measured_s"),
    [
        ((4096, 256), "h200", 632e-6),
        ((512, 256), "h200", 80.5e-6),
        ((16, 1024, 7, 7), "h100", 11.4e-6),
        ((16, 512, 14, 14), "h100", 6.9e-6),
    ],
)
def test_a_batch_norm_is_a_block_for_every_channel_and_image(
    shape: tuple[int, ...], gpu: str, measured_s: float
) -> None:
    x, weights = spec(*shape), [spec(shape[1])] * 4
    *casts, norm = kernels(node("BatchNormalization", [x, *weights], [x]))
    assert (len(casts), norm.dims["rows"]) == (4, math.prod(shape[:2]))
    seconds = kernel_seconds(load_calibration(gpu), norm.family, norm.dtype, **norm.dims)
    assert seconds == pytest.approx(measured_s, rel=0.3)


def test_a_convolution_of_volumes_is_that_of_cudnn_which_torch_runs_too() -> None:
    x, w, out = spec(2, 16, 32, 64, 48), spec(32, 16, 3, 5, 1), spec(2, 32, 16, 64, 48)
    call = node("Conv", [x, w, spec(32)], [out], strides=(2, 1, 1), pads=(1, 2, 0, 1, 2, 0), dilations=(1, 1, 1))
    kernel, bias = kernels(call)
    family = FAMILIES["conv3d"]
    dims = family.complete(kernel.dims)
    assert kernel.family == "conv3d"
    assert (dims["depth"], dims["h"], dims["w"]) == (32, 64, 48)
    assert (dims["t"], dims["r"], dims["s"], dims["stride_d"], dims["pad_d"], dims["pad_h"]) == (3, 5, 1, 2, 1, 2)
    assert family.flops(dims) == 2 * macs(call) == 2 * out.elements * 16 * 15
    assert (kernel.dims["bias"], bias.dims["elements"]) == (0, out.elements)


def test_a_bias_of_volumes_goes_at_the_pace_of_what_divides() -> None:
    """Of 67 million elements in fp16 on an H100 277 us, of 8.4 million on an H200 33 us."""
    for gpu, size, measured_s in (("h100", 64, 277e-6), ("h200", 32, 33.5e-6)):
        out = spec(16, 16, size, size, 64 if gpu == "h100" else 32)
        call = node("Conv", [spec(16, 8, *out.shape[2:]), spec(16, 8, 3, 3, 3), spec(16)], [out], pads=(1,) * 6)
        bias = kernels(call)[-1]
        seconds = kernel_seconds(load_calibration(gpu), bias.family, bias.dtype, **bias.dims)
        assert seconds == pytest.approx(measured_s, rel=0.2)


@pytest.mark.parametrize(("groups", "bias"), [(1, False), (1, True), (4, True)])
def test_a_transposed_convolution_of_volumes_is_a_product_between_layouts(groups: int, bias: bool) -> None:
    """Two kernels put images and weights in order, one the result; the bias is a pass, as cuDNN's profile has them."""
    x, w, out = spec(1, 128, 8, 8, 8), spec(128, 64 // groups, 2, 2, 2), spec(1, 64, 16, 16, 16)
    call = node("ConvTranspose", [x, w, *[spec(64)] * bias], [out], strides=(2, 2, 2), group=groups)
    found = kernels(call)
    assert [k.family for k in found] == ["ort", "ort", "gemm", "ort", *["ort_issued"] * bias]
    dims = found[2].dims
    assert dims["m"] * dims["n"] * dims["k"] * dims["batch"] == macs(call) == 512 * 128 * (64 // groups) * 8


def test_a_transposed_convolution_spreads_each_pixel_over_its_window() -> None:
    x, w, out = spec(2, 64, 8, 8), spec(64, 32, 4, 4), spec(2, 32, 16, 16)
    (kernel,) = kernels(node("ConvTranspose", [x, w], [out], strides=[2, 2], pads=[1, 1, 1, 1]))
    assert kernel.family == "ort_conv_transposed"
    wanted = {"c_in": 64, "c_out": 32, "r": 4, "s": 4, "stride_w": 2, "pad_w": 1, "out_h": 16, "out_w": 16}
    assert {name: kernel.dims[name] for name in wanted} == wanted


def test_the_logarithm_of_a_sum_of_exponentials_is_two_reductions_and_four_passes() -> None:
    found = kernels(node("ReduceLogSumExp", [spec(8, 20)], [spec(8, 1)]))
    assert [kernel.family for kernel in found] == ["ort_reduction"] * 2 + ["ort"] * 4


def test_a_library_reduces_by_all_but_sums() -> None:
    rows, columns = ([spec(8, 20)], [spec(8, 1)]), ([spec(8, 20)], [spec(1, 20)])
    found = [kernels(node(op, *case))[0].family for op in ("ReduceMax", "ReduceSum") for case in (rows, columns)]
    assert found == ["ort_reduction", "ort_reduction", "ort_row_sums", "ort"]


@pytest.mark.parametrize(
    ("rows", "cols", "dtype", "gpu", "measured_s"),
    [
        (128, 512, "fp32", "h100", 1.76e-6),
        (2048, 1024, "fp32", "h100", 5.1e-6),
        (8192, 16, "fp32", "h200", 6.4e-6),
        (16384, 128, "fp32", "h100", 11.4e-6),  # of norms of a decoder's queries and keys
        (32768, 49, "fp16", "h200", 21.2e-6),  # an image's channels
        (1228800, 12, "fp32", "h100", 206e-6),  # more than there are blocks
    ],
)
def test_a_sum_along_rows_is_a_block_a_row(rows: int, cols: int, dtype: str, gpu: str, measured_s: float) -> None:
    (kernel,) = kernels(node("ReduceSum", [spec(rows, cols, dtype=dtype)], [spec(rows, 1, dtype=dtype)]))
    seconds = kernel_seconds(load_calibration(gpu), kernel.family, kernel.dtype, **kernel.dims)
    assert seconds == pytest.approx(measured_s, rel=0.15)


def test_a_long_row_is_no_single_blocks() -> None:
    (kernel,) = kernels(node("ReduceSum", [spec(4, 100_000)], [spec(4, 1)]))
    assert kernel.family == "ort"


@pytest.mark.parametrize(
    ("x", "out", "family"),
    [
        ((16, 3136, 48), (16, 3136), "ort_row_sums"),
        ((16, 3136, 48), (16, 48), "ort_reduction"),
        ((1, 3136, 48), (1, 48), "ort_column_sums"),
        ((16, 48, 56, 56), (16, 48, 1, 1), "ort"),
        ((16, 48, 56, 56), (48,), "ort_reduction"),
        ((16, 48), (), "ort_row_sums"),
        ((16, 3136, 48), (), "ort_column_sums"),
    ],
    ids=["last", "middle", "first but for a batch of one", "pixels", "first and last", "all", "all of many"],
)
def test_sums_along_first_or_last_dimensions_have_kernels_of_their_own(
    x: tuple[int, ...], out: tuple[int, ...], family: str
) -> None:
    """Others are cuDNN's, in profiles of SwiftFormer; so are means, which have no division then."""
    families = ["ort"] * (family == "ort_column_sums") + [family]  # a result that blocks add to is zeroed before
    assert [kernel.family for kernel in kernels(node("ReduceSum", [spec(*x)], [spec(*out)]))] == families
    mean = kernels(node("ReduceMean", [spec(*x)], [spec(*out)]))
    assert [kernel.family for kernel in mean] == families + ["ort"] * (family != "ort_reduction")


@pytest.mark.parametrize(
    ("rows", "cols", "dtype", "measured_s"),
    [
        (43328, 16, "fp16", 243.6e-6),  # 338 blocks wait for each other at every column
        (1152, 384, "fp16", 15.8e-6),
        (196, 512, "fp16", 3.6e-6),
        (48000, 1, "fp16", 7.7e-6),
        (48000, 1, "fp32", 2.2e-6),  # memory adds
        (2, 401408, "fp32", 10.0e-6),
        (768, 256, "fp32", 1.8e-6),
    ],
)
def test_a_sum_down_columns_adds_blocks_to_one_result(rows: int, cols: int, dtype: str, measured_s: float) -> None:
    x, out = spec(rows, cols, dtype=dtype), spec(cols, dtype=dtype)
    *_, kernel = kernels(node("ReduceSum", [x], [spec(dtype=dtype) if cols == 1 else out]))
    seconds = kernel_seconds(load_calibration("h200"), kernel.family, kernel.dtype, **kernel.dims)
    assert seconds == pytest.approx(measured_s, rel=0.2)


@pytest.mark.parametrize(
    ("x", "dtype", "measured_s"),
    [
        ((16, 2, 200704), "fp32", 115.3e-6),
        ((16, 2, 50176), "fp32", 37.1e-6),
        ((114688, 9, 64), "fp32", 521e-6),
        ((4096, 96, 64), "fp32", 137.1e-6),
        ((16, 4, 196608), "fp16", 169.3e-6),
        ((12000, 32, 32), "fp16", 104.4e-6),
    ],
)
def test_a_library_goes_along_many_rows_eight_elements_at_a_time(
    x: tuple[int, ...], dtype: str, measured_s: float
) -> None:
    """The buffer that is zeroed, a cast of half precision, the reduction and what scales it, in profiles."""
    found = kernels(node("ReduceSum", [spec(*x, dtype=dtype)], [spec(x[0], 1, x[2], dtype=dtype)]))
    cast = ["ort_tensor_pass"] * (dtype == "fp16")
    assert [kernel.family for kernel in found] == ["ort", *cast, "ort_reduced_across", "ort_tensor_pass"]
    h200 = load_calibration("h200")
    seconds = sum(kernel_seconds(h200, kernel.family, kernel.dtype, **kernel.dims) for kernel in found)
    assert seconds == pytest.approx(measured_s, rel=0.15)


def test_a_biased_softmax_of_long_rows_is_a_sum_and_the_softmax_of_a_library() -> None:
    """_BinaryElementWiseRhsPerChannelBatchN of 46 us and softmax_fw_kernel of 93 in a profile on an H200."""
    scores, mask = spec(1, 12, 1500, 1500), spec(1, 1, 1500, 1500)
    total, softmax = kernels(node("BiasSoftmax", [scores, mask], [scores], axis=3))
    assert (total.family, softmax.dims) == ("ort", {"rows": 18_000, "cols": 1500})
    h200 = load_calibration("h200")
    seconds = [kernel_seconds(h200, kernel.family, kernel.dtype, **kernel.dims) for kernel in (total, softmax)]
    assert seconds == pytest.approx([46e-6, 93e-6], rel=0.2)
    short = spec(1, 12, 1500, 1024)
    assert len(kernels(node("BiasSoftmax", [short, spec(1, 1, 1500, 1024)], [short], axis=3))) == 1


def test_a_softmax_along_another_axis_is_transposed_before_and_after() -> None:
    there, softmax, back = kernels(node("Softmax", [spec(16, 2, 64)], [spec(16, 2, 64)], axis=1))
    assert softmax.dims == {"rows": 16 * 64, "cols": 2}
    assert [tuple(k.dims.values()) for k in (there, back)] == [(16, 2, 64), (16, 64, 2)]
    assert len(kernels(node("Softmax", [spec(16, 2, 64)], [spec(16, 2, 64)], axis=-1))) == 1


def test_a_library_goes_along_the_last_axis_that_it_reduces() -> None:
    (middle,) = kernels(node("ReduceMax", [spec(16, 784, 48)], [spec(16, 1, 48)]))
    (pixels,) = kernels(node("ReduceMax", [spec(16, 48, 56, 28)], [spec(16, 48)]))
    (all_of_it,) = kernels(node("ReduceMax", [spec(16, 48)], [spec()]))
    assert [kernel.dims["steps"] for kernel in (middle, pixels, all_of_it)] == [784, 28, 0]


def test_squares_are_a_product_before_their_sum_and_a_logarithm_follows_its_sum() -> None:
    squares, total = kernels(node("ReduceSumSquare", [spec(8, 20)], [spec(8)]))
    assert (squares.dims["elements"], squares.dims["inputs"], total.dims["rows"]) == (160, 2, 8)
    total, logarithm = kernels(node("ReduceLogSum", [spec(8, 20)], [spec(8)]))
    assert (total.dims["rows"], logarithm.dims["elements"]) == (8, 8)


@pytest.mark.parametrize(
    ("shape", "order", "kind", "blocks"),
    [
        ((16, 784, 2, 32), (0, 2, 1, 3), ort.Kind.MOVED, 16 * 784),
        ((16, 4, 16, 6), (0, 2, 1, 3), ort.Kind.SHUFFLED, 0),
        ((70_000, 16, 32), (0, 2, 1), ort.Kind.SHUFFLED, 0),
        ((196, 64), (1, 0), ort.Kind.MOVED, 0),
        ((16, 3136, 1, 32), (0, 2, 1, 3), ort.Kind.CUT, 0),
        ((16, 1024, 1, 1, 512), (2, 0, 3, 1, 4), ort.Kind.CUT, 0),
        ((16, 64, 49, 2, 96), (0, 3, 2, 4, 1), ort.Kind.SHUFFLED, 0),
        ((16, 28, 2, 28, 2, 96), (0, 2, 4, 1, 3, 5), ort.Kind.SHUFFLED, 0),
    ],
    ids=[
        *("heads", "heads of six", "more matrices than a grid has", "a matrix", "one head", "ones alone"),
        *("two heads of windows", "windows"),
    ],
)
def test_a_transpose_is_what_is_left_of_it(
    shape: tuple[int, ...], order: tuple[int, ...], kind: ort.Kind, blocks: int
) -> None:
    """As profiles name them: Transpose4DKernel..., TransposeKernel, the same, cuBLAS's, two copies, TransposeKernel."""
    out = spec(*(shape[axis] for axis in order))
    (kernel,) = kernels(node("Transpose", [spec(*shape)], [out], perm=order))
    assert (kernel.dims["kind"], kernel.dims["blocks"]) == (kind, blocks)


@pytest.mark.parametrize(
    ("shape", "order", "sizes"),
    [
        ((16, 64, 56, 56), (0, 2, 3, 1), (16, 64, 3136)),
        ((16, 64, 49, 1, 96), (0, 3, 2, 4, 1), (16, 64, 4704)),
        ((16, 196, 196, 8), (0, 3, 1, 2), (16, 38416, 8)),
    ],
    ids=["channels last", "a head of one", "heads first"],
)
def test_matrices_are_transposed_tile_by_tile(
    shape: tuple[int, ...], order: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    """Transpose3DKernel in profiles."""
    (kernel,) = kernels(node("Transpose", [spec(*shape)], [spec(*(shape[axis] for axis in order))], perm=order))
    assert (kernel.family, tuple(kernel.dims.values())) == ("ort_tiled", sizes)


def test_integers_are_no_matrices_that_cublas_transposes() -> None:
    x, out = spec(784, 431, dtype="int64"), spec(431, 784, dtype="int64")
    (kernel,) = kernels(node("Transpose", [x], [out], perm=(1, 0)))
    assert kernel.dims["kind"] == ort.Kind.SHUFFLED


@pytest.mark.parametrize(
    ("sizes", "measured_s"),
    [
        ((16, 196, 384), 3.5e-6),
        ((64, 6272, 96), 66.9e-6),
        ((16, 8, 38416), 30.8e-6),  # a quarter of each tile
        ((3136, 8, 196), 34.1e-6),
        ((4096, 2, 512), 100.5e-6),  # a sixteenth of each
        ((16, 12544, 24), 10.8e-6),
    ],
)
def test_a_tile_takes_its_time_though_it_is_not_full(sizes: tuple[int, int, int], measured_s: float) -> None:
    """In profiles of vision models on an H200."""
    dims = dict(zip(("batch", "rows", "cols"), sizes, strict=True))
    assert kernel_seconds(load_calibration("h200"), "ort_tiled", "fp16", **dims) == pytest.approx(measured_s, rel=0.1)


def test_a_sum_along_the_last_axis_of_a_square_is_a_row_each() -> None:
    """The last axis of the result is as long as the one that is gone."""
    (kernel,) = kernels(node("ReduceSum", [spec(16, 9, 196, 196, dtype="fp32")], [spec(16, 9, 196, dtype="fp32")]))
    assert (kernel.family, kernel.dims["rows"], kernel.dims["cols"]) == ("ort_row_sums", 16 * 9 * 196, 196)


def _conv(x: TensorSpec, w: TensorSpec, side: int, stride: int, pad: int, **attributes: int) -> list[Kernel]:
    out = spec(x.shape[0], w.shape[0], side, side, dtype=x.dtype)
    args = {"strides": (stride, stride), "pads": (pad,) * 4, "dilations": (attributes.get("dilation", 1),) * 2}
    return kernels(node("Conv", [x, w], [out], **args, group=attributes.get("group", 1)))


@pytest.mark.parametrize(("channels", "size", "measured_s"), [(512, 14, 4.9e-6), (1024, 7, 4.5e-6)])
def test_channels_by_single_pixels_are_as_fast_as_by_small_windows(channels: int, size: int, measured_s: float) -> None:
    """conv2d_c1_k1_nchw_shmem_tiling in profiles on an H200."""
    x = spec(16, channels, size, size)
    (kernel,) = _conv(x, spec(channels, 1, 1, 1), size, 1, 0, group=channels)
    seconds = kernel_seconds(load_calibration("h200"), kernel.family, "fp16", **kernel.dims)
    assert (kernel.family, seconds) == ("ort_conv_depthwise", pytest.approx(measured_s, rel=0.2))


@pytest.mark.parametrize(("dilation", "family"), [(36, "ort_conv_in_turn"), (24, "ort_conv_depthwise")])
def test_windows_wider_than_their_image_are_convolved_channel_by_channel(dilation: int, family: str) -> None:
    """DeepLab's pyramid on an image of 32 x 32: implicit_convolve_sgemm and conv2d_grouped_direct_kernel."""
    found = _conv(spec(1, 512, 32, 32), spec(512, 1, 3, 3), 32, 1, dilation, group=512, dilation=dilation)
    assert [kernel.family for kernel in found] == [family]


@pytest.mark.parametrize(("batch", "measured_s"), [(1, 2.227e-3), (16, 2.16e-3)])
def test_channels_in_turn_are_a_kernel_each(batch: int, measured_s: float) -> None:
    """In profiles on an H200."""
    (kernel,) = _conv(spec(batch, 512, 32, 32), spec(512, 1, 3, 3), 32, 1, 36, group=512, dilation=36)
    h200 = load_calibration("h200")
    assert kernel_seconds(h200, kernel.family, "fp16", **kernel.dims) == pytest.approx(measured_s, rel=0.05)
    assert kernel_launches(h200, kernel.family, "fp16", kernel.dims)[()] == 512


@pytest.mark.parametrize(
    ("batch", "size", "measured_s"),
    [(4, 224, 40.5e-6), (1, 512, 44.7e-6), (16, 224, 94.5e-6), (32, 224, 186.4e-6), (16, 512, 435.5e-6)],
)
def test_the_stem_of_a_resnet_runs_a_kernel_for_first_layers(batch: int, size: int, measured_s: float) -> None:
    """image_first_layer in profiles on an H200."""
    (kernel,) = _conv(spec(batch, 3, size, size), spec(64, 3, 7, 7), size // 2, 2, 3)
    seconds = kernel_seconds(load_calibration("h200"), kernel.family, "fp16", **kernel.dims)
    assert (kernel.family, seconds) == ("ort_conv_stem", pytest.approx(measured_s, rel=0.1))


@pytest.mark.parametrize(("batch", "dtype"), [(1, "fp16"), (16, "fp32")])
def test_a_small_stem_is_a_convolution_like_others(batch: int, dtype: str) -> None:
    x, w = spec(batch, 3, 224, 224, dtype=dtype), spec(64, 3, 7, 7, dtype=dtype)
    assert [kernel.family for kernel in _conv(x, w, 112, 2, 3)] == ["ort_conv"]


@pytest.mark.parametrize(
    ("shape", "measured_s"),
    [
        ((1, 32, 512), 2.5e-6),
        ((16, 32, 4096), 7.6e-6),
        ((1, 16, 16384), 4.9e-6),
        ((16, 512, 6399), 205e-6),  # an odd count, one element at a time
        ((1, 1, 49152), 9.5e-6),
        ((1, 1, 131072), 60e-6),  # more than a block keeps
        ((1, 1, 255744), 114e-6),
        ((1, 16, 64, 64, 64), 120e-6),
        ((16, 16, 64, 64, 64), 259e-6),
    ],
)
def test_a_block_of_cudnn_normalises_a_channel(shape: tuple[int, ...], measured_s: float) -> None:
    """In profiles of ONNX Runtime on an H100 and an H200."""
    x, weights = spec(*shape), spec(shape[1])
    found = kernels(node("InstanceNormalization", [x, weights, weights], [x]))
    (norm,) = (kernel for kernel in found if kernel.family == "ort_channel_norm")
    seconds = kernel_seconds(load_calibration("h100"), norm.family, norm.dtype, **norm.dims)
    assert seconds == pytest.approx(measured_s, rel=0.25 if measured_s < 3e-6 else 0.2)


@pytest.mark.parametrize(
    ("batch", "dtype", "count"), [(1, "fp32", 1), (1, "fp16", 3), (16, "fp16", 6), (16, "fp32", 6)]
)
def test_several_instances_are_normalised_by_statistics_and_a_pass(batch: int, dtype: str, count: int) -> None:
    """In a profile of a diffusion U-Net: two casts and bn_fw_tr of one image; of several four Memsets, bn_fw_tr, and
    _InstanceNormKernel.
    """
    x, channels = spec(batch, 64, 32, 32, dtype=dtype), spec(64, dtype=dtype)
    found = kernels(node("InstanceNormalization", [x, channels, channels], [x]))
    assert len(found) == count
    (norm,) = (k for k in found if k.family == "ort_channel_norm")
    assert (norm.dims["rows"], norm.dims["cols"]) == (batch * 64, 32 * 32)
    assert [k.dims["kind"] for k in found[5:]] == [ort.Kind.SHUFFLED] * (batch > 1)


def test_a_sum_along_an_axis_takes_a_step_for_each_before_an_element() -> None:
    x = spec(10, 100, 30)
    (kernel,) = kernels(node("CumSum", [x, spec(dtype="int64")], [x], axis=-2))
    assert kernel.dims == {"elements": 30_000, "steps": 100, "inner": 30, "itemsize": 2}


def test_more_than_a_block_sorts_are_sorted_row_by_row() -> None:
    x, count = spec(16, 50_000), spec(1, dtype="int64")
    for kept, families in ((4096, ["ort_top_k"]), (4097, ["sort"] * 16)):
        best = [spec(16, kept), spec(16, kept, dtype="int64")]
        found = kernels(node("TopK", [x, count], best, axis=-1))
        assert [kernel.family for kernel in found for _ in range(kernel.times)] == families
    assert [k.family for k in kernels(node("TopK", [x, count], best, axis=-1, sorted=0))] == ["ort_top_k"]
    assert found[0].dims == {"rows": 1, "cols": 50_000, "k": 0}


@pytest.mark.parametrize("op", ["TreeEnsembleClassifier", "StringNormalizer", "Scaler", "TfIdfVectorizer"])
def test_what_no_gpu_does_is_the_hosts(op: str) -> None:
    assert onnx_form(op).trait is Trait.HOST
    assert kernels(node(op, [spec(8, 20, dtype="fp32")], [spec(8, 3, dtype="fp32")])) == []


def test_what_has_no_row_is_priced_by_its_traffic_not_as_pointwise() -> None:
    call = node("SomethingNew", [spec(8, 20)], [spec(8, 30)])
    assert call.trait is Trait.UNMODELLED
    (kernel,) = kernels(call)
    assert kernel.family == "unmodelled"
    assert (kernel.dims["bytes_read"], kernel.dims["bytes_written"]) == (8 * 20 * 2, 8 * 30 * 2)


@pytest.mark.parametrize(
    ("shape", "axis", "points"),
    [
        ((1, 128, 768, 2), 1, 768 * 128 * 7),  # a power of two
        ((1, 128, 768, 2), -2, 2 * 128 * 2048 * 11),  # two of 2,048 points for one of 768
        ((1, 1, 16, 1), 2, 16 * 4),
    ],
)
def test_a_fourier_transform_takes_its_steps_on_the_cpu(shape: tuple[int, ...], axis: int, points: int) -> None:
    x = spec(*shape, dtype="fp32")
    form = onnx_form("DFT")
    assert form.cpu_elements is not None
    assert form.cpu_elements(node("DFT", [x], [x], axis=axis)) == FOURIER_STEP * points


def test_a_fourier_transform_back_to_real_numbers_has_as_many_points_as_they() -> None:
    """1,024 real numbers from 513 complex ones: a power of two."""
    x, out, form = spec(1, 256, 513, 2, dtype="fp32"), spec(1, 256, 1024, 1, dtype="fp32"), onnx_form("DFT")
    assert form.cpu_elements is not None
    back = node("DFT", [x], [out], axis=2, inverse=1, onesided=1)
    there = node("DFT", [out], [x], axis=2, inverse=0, onesided=1)
    assert form.cpu_elements(back) == form.cpu_elements(there) == FOURIER_STEP * 256 * 1024 * 10


@pytest.mark.parametrize(
    ("image", "grid", "args", "measured_s"),
    [
        ((16384, 1, 16, 16), (7, 7), {"align_corners": 1}, 21e-3),  # RAFT's lookups: one channel, one thread
        ((8, 64, 96, 96), (96, 96), {}, 3.3e-3 / 1.3),  # a host 1.3 times as slow as that of the passes
        ((8, 64, 96, 96), (96, 96), {"mode": "bilinear"}, 3.3e-3 / 1.3),
    ],
)
def test_samples_of_a_grid_take_as_long_on_the_cpu_as_measured(
    image: tuple[int, ...], grid: tuple[int, int], args: dict[str, object], measured_s: float
) -> None:
    call = node("GridSample", [spec(*image), spec(image[0], *grid, 2)], [spec(*image[:2], *grid)], **args)
    form = onnx_form("GridSample")
    assert form.cpu_elements is not None
    assert form.cpu_elements(call) * CPU_ELEMENT_S == pytest.approx(measured_s, rel=0.15)


def test_samples_of_a_grid_go_image_by_image_and_a_thread_a_channel() -> None:
    elements = onnx_form("GridSample").cpu_elements
    assert elements is not None

    def sampled(images: int, channels: int, side: int, **args: object) -> int:
        shape = (images, channels, side, side)
        grid = spec(images, side, side, 2)
        return elements(node("GridSample", [spec(*shape), grid], [spec(*shape)], **args))

    border = {"padding_mode": "border"}
    assert sampled(4, 16, 32, **border) == 4 * sampled(1, 1, 32, **border)  # sixteen threads
    assert sampled(1, 17, 32, **border) == 2 * sampled(1, 16, 32, **border)
    assert sampled(1, 16, 8, **border) == 16 * sampled(1, 1, 8, **border)  # one thread, of 64 places
    assert sampled(1, 1, 32, mode="nearest") < sampled(1, 1, 32) < sampled(1, 1, 32, mode="cubic")
    volume = node("GridSample", [spec(1, 1, 8, 8, 8), spec(1, 8, 8, 8, 3)], [spec(1, 1, 8, 8, 8)], **border)
    assert elements(volume) == 2 * 512 / 1024 * sampled(1, 1, 32, **border)


def test_fnets_transforms_take_as_long_as_measured() -> None:
    """192 ms of a pass at batch 1, 12 layers, on a host on which such a pass takes 0.12 ns an element."""
    x, form = spec(1, 128, 768, 2, dtype="fp32"), onnx_form("DFT")
    assert form.cpu_elements is not None
    layer = sum(form.cpu_elements(node("DFT", [x], [x], axis=axis)) for axis in (1, 2))
    assert 12 * layer * CPU_ELEMENT_S == pytest.approx(0.192, rel=0.1)


@pytest.mark.parametrize(
    ("dtype", "cols", "family"),
    [
        ("fp16", 1024, "softmax"),
        ("fp16", 1500, "ort"),
        ("fp16", 2048, "ort"),
        ("fp16", 2049, "softmax"),
        ("fp32", 1025, "softmax"),
    ],
)
def test_a_warp_takes_rows_of_softmax_up_to_four_kilobytes(dtype: str, cols: int, family: str) -> None:
    x = spec(8, 12, cols, dtype=dtype)
    (kernel,) = kernels(node("Softmax", [x], [x]))
    assert kernel.family == family
    assert kernel.dims["rows"] == 8 * 12
