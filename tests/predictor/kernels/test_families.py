"""Work of the kernel families, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from calibrate.samples.records import KernelSample
from calibrate.samples.store import SampleFile
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from predictor.kernels.convolutions import (
    conv_out,
    is_by_groups,
    is_direct,
    is_product_of_pixels,
    is_without_tensor_cores,
    of_library,
    of_one_pixel,
)
from predictor.kernels.families import FAMILIES, itemsize
from predictor.kernels.rows import ReductionGrid
from predictor.kernels.slices import LANE_S, STEP_S, THREAD_S
from predictor.pricing.kernels import kernel_launches, kernel_seconds


def work(family: str, dtype: str, **dims: Any) -> tuple[float, float]:
    row = FAMILIES[family]
    arrays = row.complete(dims)
    return float(row.flops(arrays)), float(row.nbytes(arrays, itemsize(dtype)))


def test_matrix_product() -> None:
    """(128, 768) @ (768, 3072) in half precision: two FLOPs a multiply-add, each matrix moved once."""
    flops, nbytes = work("gemm", "fp16", m=128, n=3072, k=768)
    assert flops == 2 * 128 * 3072 * 768
    assert nbytes == 2 * (128 * 768 + 768 * 3072 + 128 * 3072)


def test_batched_matrix_product() -> None:
    flops, nbytes = work("gemm", "fp32", m=2, n=3, k=5, batch=7)
    assert flops == 420
    assert nbytes == 4 * 7 * (10 + 15 + 6)


def test_depthwise_windows_that_cudnn_has_no_kernel_for_are_those_of_a_sweep() -> None:
    """Of 540 on an H200, by the names of their kernels."""
    right = []
    for sample in SampleFile(SHIPPED / "h200/samples/kernels.jsonl.gz").of(KernelSample):
        is_image = sample.dims.get("h", 1) > 1 and sample.dims.get("channels_last") == 1
        kind = {"cudnn::cnn::conv2d_grouped_direct": True, "conv2d_c1_k1_nhwc": False, "sm90_xmma_depthwise": False}
        named = next((direct for name, direct in kind.items() if sample.name.startswith(name)), None)
        if sample.id.family == "conv_depthwise" and is_image and named is not None:
            dims = {name: np.asarray(size) for name, size in FAMILIES["conv_depthwise"].complete(sample.dims).items()}
            size = itemsize(sample.dtype)
            right.append(bool(is_direct(dims) & ~is_by_groups(dims, size)) == named)
    assert len(right) > 500
    assert np.mean(right) > 0.99


def test_torchs_rule_for_depthwise_convolutions_is_that_of_a_sweep_and_its_kernel_takes_what_is_said() -> None:
    """Of 3,200 on an H200, by the names of their kernels; bf16 is left out, which the rule takes for fp16."""
    family, own, errors = FAMILIES["conv_depthwise"], [], {True: [], False: []}
    for sample in SampleFile(SHIPPED / "h200/samples/kernels.jsonl.gz").of(KernelSample):
        if sample.id.family != "conv_depthwise" or sample.dtype == "bf16" or not sample.repeats_s:
            continue
        dims, is_own = family.complete(sample.dims), sample.name.startswith("conv_depthwise")
        own.append(bool(of_library(dims, itemsize(sample.dtype))) is not is_own)
        if is_own and sample.seconds > 1e-5:
            found_s = max(family.roofline_s(dims, sample.dtype, 6e13, 4.2e12, 132))
            errors["generic" not in sample.name].append(abs(float(found_s) / sample.seconds - 1))
    assert len(own) > 2000
    assert np.mean(own) == 1.0
    assert np.median(errors[True]) < 0.1
    assert np.median(errors[False]) < 0.2


def test_convolution() -> None:
    """The stem of ResNet-50: 3 x 224 x 224 -> 64 x 112 x 112 by 7 x 7 windows."""
    flops, nbytes = work(
        "conv", "fp32", batch=1, c_in=3, c_out=64, h=224, w=224, r=7, s=7, stride_h=2, stride_w=2, pad_h=3, pad_w=3
    )
    assert flops == 2 * 112 * 112 * 64 * 3 * 49
    assert nbytes == 4 * (3 * 224 * 224 + 64 * 3 * 49 + 64 * 112 * 112)


def test_depthwise_convolution_multiplies_each_channel_with_its_own_window() -> None:
    flops, nbytes = work(
        "conv_depthwise", "fp16", batch=2, c_in=32, c_out=32, h=8, w=8, r=3, s=3, pad_h=1, pad_w=1, groups=32
    )
    assert flops == 2 * 2 * 64 * 32 * 9
    assert nbytes == 2 * (2 * 32 * 64 + 32 * 9 + 2 * 32 * 64)


def test_convolution_of_a_volume() -> None:
    """Tubes of 2 x 16 x 16 of 8 frames of 224 x 224: 4 x 14 x 14 products with 64 windows."""
    flops, nbytes = work(
        *("conv3d", "fp16"),
        **{"batch": 1, "c_in": 3, "c_out": 64, "depth": 8, "h": 224, "w": 224, "t": 2, "r": 16, "s": 16},
        **{"stride_d": 2, "stride_h": 16, "stride_w": 16},
    )
    assert flops == 2 * 4 * 14 * 14 * 64 * 3 * 512
    assert nbytes == 2 * (3 * 8 * 224 * 224 + 64 * 3 * 512 + 64 * 4 * 14 * 14)


def test_transposed_convolution() -> None:
    """Each pixel is spread over a window."""
    sizes = {"batch": 1, "c_in": 8, "c_out": 4, "h": 7, "w": 7, "r": 2, "s": 2, "stride_h": 2, "stride_w": 2}
    flops, nbytes = work("conv_transposed", "fp32", **sizes, out_h=14, out_w=14)
    assert flops == 2 * 49 * 8 * 4 * 4
    assert nbytes == 4 * (8 * 49 + 8 * 4 * 4 + 4 * 196)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation", "expected"),
    [(224, 7, 2, 3, 1, 112), (8, 3, 1, 1, 1, 8), (8, 3, 1, 0, 2, 4), (32000, 10, 5, 0, 1, 6399), (7, 7, 1, 0, 1, 1)],
)
def test_output_length_of_a_convolution(
    size: int, kernel: int, stride: int, padding: int, dilation: int, expected: int
) -> None:
    arrays = (np.asarray(float(v)) for v in (size, kernel, stride, padding, dilation))
    assert conv_out(*arrays) == expected


def test_attention() -> None:
    """12 heads over 128 tokens of 64: Q K^T and P V, each 128 x 128 x 64 multiply-adds; Q, K, V and the output move."""
    flops, nbytes = work("attention", "fp16", batch=3, heads=12, seq=128, head_dim=64)
    assert flops == 3 * 12 * 2 * (2 * 128 * 128 * 64)
    assert nbytes == 2 * 3 * 4 * (12 * 128 * 64)


def test_causal_attention_is_half_the_work() -> None:
    full, _ = work("attention", "fp16", batch=1, heads=2, seq=64, head_dim=32)
    causal, _ = work("attention", "fp16", batch=1, heads=2, seq=64, head_dim=32, causal=1)
    assert causal == full / 2


def test_attention_over_other_keys_with_a_mask() -> None:
    """Two queries' heads share one head of keys: 4 queries, 8 keys of 16; the mask is read once per batch entry."""
    flops, nbytes = work("attention", "fp32", batch=1, heads=2, kv_heads=1, seq=4, kv_seq=8, head_dim=16, mask=1)
    assert flops == 4 * 2 * 4 * 8 * 16
    assert nbytes == 4 * (2 * (2 * 4 * 16) + 2 * (1 * 8 * 16) + 4 * 8)


def test_masks_that_a_batch_shares_are_read_once() -> None:
    dims = {"batch": 16, "heads": 4, "seq": 8, "head_dim": 16, "mask": 1}
    without = work("attention", "fp16", **{**dims, "mask": 0})[1]
    assert work("attention", "fp16", **dims)[1] == without + 2 * 16 * 64
    assert work("attention", "fp16", **dims, masks=4)[1] == without + 2 * 4 * 64


def test_what_came_later_stands_behind_all_other_features() -> None:
    """So that trees of older fits find their columns."""
    row = FAMILIES["gemm"]
    plain, gelu = (
        row.matrix_of_features(row.complete({"m": 8, "n": 8, "k": 8, "gelu": of}), "bf16", 132)[0] for of in (0, 1)
    )
    assert list(plain[-2:]) == [1, 0]  # bf16, then what came later
    assert list(gelu[-2:]) == [1, 1]


@pytest.mark.parametrize(
    ("dtype", "rows", "cols", "rms", "microseconds"),
    [
        ("fp16", 524_288, 128, 0, 581.6),
        ("fp16", 131_072, 384, 0, 199.4),
        ("fp16", 262_144, 1024, 0, 599.3),
        ("fp32", 1_174_272, 128, 0, 1772.6),
        ("fp32", 131_072, 512, 0, 294.9),
        ("fp16", 93_312, 64, 1, 58.1),
        ("fp16", 774_749, 25, 0, 4105.0),
        ("fp16", 182_848, 1927, 0, 2237.7),
    ],
)
def test_a_layer_norm_takes_a_block_for_every_row(
    dtype: str, rows: int, cols: int, rms: int, microseconds: float
) -> None:
    # alone on an H200; the last two by two kernels, as rows are no whole vectors
    row = FAMILIES["layer_norm"]
    found_s = max(row.roofline_s(row.complete({"rows": rows, "cols": cols, "rms": rms}), dtype, PEAK, BANDWIDTH, SMS))
    assert found_s * 1e6 == pytest.approx(microseconds, rel=0.06)


def test_a_softmax_reads_and_writes_its_elements_once() -> None:
    assert work("softmax", "fp16", rows=10, cols=7) == (70, 2 * 2 * 70)


def test_a_reduction_writes_one_element_a_row() -> None:
    assert work("reduce", "fp32", rows=10, cols=7) == (70, 4 * (70 + 10))


def test_streaming_families_move_the_bytes_that_they_are_given() -> None:
    for family in ("pointwise", "copy", "cat", "pool"):
        assert work(family, "fp16", elements=100, bytes_read=300, bytes_written=200)[1] == 500


def test_a_tensor_core_format_is_stored_in_four_bytes() -> None:
    assert itemsize("tf32") == itemsize("fp32") == 4


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda f: f.name)
def test_features_are_finite_numbers_one_row_a_kernel(family: Any) -> None:
    dims = {name: np.array([4.0, 8.0, 16.0]) for name, default in family.dims.items() if default is None}
    features = family.matrix_of_features(family.complete(dims), "fp16", 132)
    assert features.shape[0] == 3
    assert np.isfinite(features).all()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda f: f.name)
def test_a_missing_or_unknown_dimension_is_named(family: Any) -> None:
    required = {name: 4 for name, default in family.dims.items() if default is None}
    with pytest.raises(KeyError, match="colour"):
        family.complete({**required, "colour": 3})
    gone = next(iter(required))
    with pytest.raises(KeyError, match=gone):
        family.complete({name: d for name, d in required.items() if name != gone})


def test_dimensions_broadcast() -> None:
    dims = FAMILIES["gemm"].complete({"m": np.array([[1.0], [2.0]]), "n": np.array([3.0, 4.0, 5.0]), "k": 6})
    assert {d.shape for d in dims.values()} == {(2, 3)}


@pytest.mark.parametrize(
    ("indices", "threads"),
    [(128, 128), (1000, 256), (132 * 256, 256), (132 * 256 + 1, 512)],
    ids=["one block", "blocks side by side", "one on every multiprocessor", "two on one"],
)
def test_slices_take_as_long_as_the_fullest_multiprocessor(indices: int, threads: int) -> None:
    row = FAMILIES["scattered_slices"]
    assert row.latency_s is not None
    dims = row.complete({"indices": indices, "slice": 1000})
    assert float(row.latency_s(dims, 132)) == pytest.approx(1000 * threads * THREAD_S)


@pytest.mark.parametrize(("indices", "nanoseconds"), [(1, 29.8), (32, 110.0)])
def test_slices_of_a_warp_take_a_step_an_element(indices: int, nanoseconds: float) -> None:
    """As measured: of one index 28.9 and 30.7 ns, of 32 107 to 113."""
    row = FAMILIES["scattered_slices"]
    assert row.latency_s is not None
    taken = float(row.latency_s(row.complete({"indices": indices, "slice": 1000}), 132))
    assert taken == pytest.approx(1000 * (STEP_S + LANE_S * (indices - 1)))
    assert taken == pytest.approx(1e-6 * nanoseconds, rel=0.03)


PEAK, BANDWIDTH, SMS = 5.1e13, 4.2e12, 132
"""Of an H200, as calibrated."""


@pytest.mark.parametrize(
    ("rows", "cols", "microseconds"), [(50176, 32, 43.4), (16384, 128, 14.5), (8192, 1024, 31.0), (8192, 2048, 61.0)]
)
def test_a_norm_takes_a_block_for_every_row(rows: int, cols: int, microseconds: float) -> None:
    """LayerNormalization in fp16 as measured: the first in a model (PVT v2 on an H100), the others alone."""
    row = FAMILIES["ort"]
    assert row.issue_s is not None
    elements = rows * cols
    dims = {"elements": elements, "bytes_read": 2 * elements, "bytes_written": 2 * elements, "inputs": 3, "kind": 4}
    blocks_s = float(row.issue_s(row.complete({**dims, "rows": rows, "blocks": rows}), 2, SMS))
    assert blocks_s == pytest.approx(1e-6 * microseconds, rel=0.1)


@pytest.mark.parametrize(("blocks", "microseconds"), [(32768, 21.1), (6272, 4.0), (12544, 8.2)])
def test_blocks_that_hold_little_take_their_turns(blocks: int, microseconds: float) -> None:
    """Transposes of heads as measured, less a microsecond for what is no block."""
    row = FAMILIES["ort"]
    assert row.issue_s is not None
    dims = {"elements": 1e6, "bytes_read": 2e6, "bytes_written": 2e6, "kind": 6, "blocks": blocks}
    assert float(row.issue_s(row.complete(dims), 2, SMS)) == pytest.approx(1e-6 * microseconds, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "elements", "microseconds"), [(11, 104.8e6, 319.7), (11, 12.58e6, 38.9), (7, 6.42e6, 16.4)]
)
def test_instructions_decide_where_an_element_takes_many(kind: int, elements: float, microseconds: float) -> None:
    """Gelu in WavLM and DistilBERT, Clip alone, in fp16, as measured on an H200."""
    row = FAMILIES["ort"]
    dims = row.complete({"elements": elements, "bytes_read": 2 * elements, "bytes_written": 2 * elements, "kind": kind})
    compute_s, memory_s = row.roofline_s(dims, "fp16", PEAK, BANDWIDTH, SMS)
    assert float(memory_s) < float(compute_s) == pytest.approx(1e-6 * microseconds, rel=0.05)


def test_a_librarys_reduction_steps_along_a_row() -> None:
    """As measured: rows of 3,136 in fp32, 165 us with all else (SwiftFormer on an H100), of 4,096 265 us."""
    row = FAMILIES["ort_reduction"]
    assert row.latency_s is not None
    dims = {"elements": 1e6, "bytes_read": 4e6, "bytes_written": 4e3, "kind": 5}
    seconds = [float(row.latency_s(row.complete({**dims, "steps": steps}), SMS)) for steps in (3136, 4096)]
    assert seconds == pytest.approx([165e-6, 265e-6], rel=0.2)


@pytest.mark.parametrize(
    ("elements", "read", "written", "inputs", "microseconds"),
    [
        (117.9e6, 2.37e8, 2.36e8, 2, 433.5),  # scores and a bias that is spread over them
        (472e6, 9.64e8, 9.44e8, 2, 1757.6),
        (49.15e6, 1.97e8, 9.83e7, 2, 200.8),
        (14.68e6, 5.87e7, 2.94e7, 2, 55.5),
    ],
)
def test_a_loop_of_torchscript_takes_its_instructions_beyond_what_was_measured(
    elements: float, read: float, written: float, inputs: int, microseconds: float
) -> None:
    """Additions and activations in profiles of an H200; traffic would take half as long."""
    dims = {"elements": elements, "bytes_read": read, "bytes_written": written, "inputs": inputs, "contiguous": 0}
    seconds = kernel_seconds(load_calibration("h200"), "nnc", "fp16", **dims)
    assert seconds == pytest.approx(1e-6 * microseconds, rel=0.2)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_kernel_has_thread_blocks(name: str) -> None:
    """What a breakdown says of the part of a GPU that it keeps busy."""
    family = FAMILIES[name]
    assert np.isfinite(family.blocks(family.complete({dim: np.array([8.0]) for dim in family.dims})))


@pytest.mark.parametrize(
    ("rows", "cols", "microseconds"), [(409152, 24, 247.6), (174248, 16, 106.3), (67200, 112, 41.6)]
)
def test_rows_read_in_vectors_take_a_block_each(rows: int, cols: int, microseconds: float) -> None:
    # of fp16, on an H200, by vectorized_gather_kernel<16, long>
    family = FAMILIES["gather"]
    dims = family.complete({"rows": rows, "cols": cols})
    assert max(family.roofline_s(dims, "fp16", 6e13, 4e12, 132)) * 1e6 == pytest.approx(microseconds, rel=0.05)
    other = family.complete({"rows": rows, "cols": cols + 1})  # no whole vectors
    assert max(family.roofline_s(other, "fp16", 6e13, 4e12, 132)) * 1e6 < 0.8 * microseconds


DEPTHWISE = {
    "batch": 16,
    "c_in": 448,
    "c_out": 448,
    "groups": 448,
    "h": 32,
    "w": 32,
    "r": 9,
    "s": 9,
    "pad_h": 4,
    "pad_w": 4,
}


@pytest.mark.parametrize(
    ("changes", "dtype", "microseconds"),
    [({}, "fp16", 471.5), ({"r": 3, "s": 3, "pad_h": 1, "pad_w": 1}, "fp32", 72.6)],
)
def test_torchs_own_depthwise_kernel_takes_its_time_an_output(
    changes: dict[str, int], dtype: str, microseconds: float
) -> None:
    # conv_depthwise2d_forward_kernel(_generic) on an H200
    family = FAMILIES["conv_depthwise"]
    dims = family.complete(DEPTHWISE | changes)
    assert max(family.roofline_s(dims, dtype, 6e13, 4e12, 132)) * 1e6 == pytest.approx(microseconds, rel=0.25)


@pytest.mark.parametrize(
    ("changes", "size", "library"),
    [
        ({}, 2, False),  # a window of nine
        ({"channels_last": 1}, 2, True),
        ({"r": 3, "s": 3}, 2, True),
        ({"r": 3, "s": 3}, 4, False),  # in half precision alone
        ({"r": 3, "s": 3, "stride_h": 2, "stride_w": 2}, 2, True),  # many channels on large images
        ({"r": 3, "s": 3, "stride_h": 2, "stride_w": 2, "c_in": 64}, 2, False),
        ({"r": 3, "s": 3, "dilation": 2}, 2, False),
        ({"r": 1, "h": 1}, 2, True),  # sequences
        ({"r": 1, "h": 1, "channels_last": 1}, 4, False),  # have no channels last
    ],
)
def test_torch_leaves_some_depthwise_convolutions_to_cudnn(changes: dict[str, int], size: int, library: bool) -> None:
    dims = FAMILIES["conv_depthwise"].complete(DEPTHWISE | changes)
    assert bool(of_library(dims, size)) is library


@pytest.mark.parametrize(
    ("changes", "dtype", "launches", "microseconds"),
    [
        ({}, "fp16", 145, 446.9),
        ({"batch": 16, "h": 56, "w": 56, "bias": 0}, "fp16", 144, 572.9),
        (
            {"r": 7, "s": 7, "pad_h": 3, "pad_w": 3, "c_out": 576, "h": 8, "w": 8, "stride_h": 1, "stride_w": 1},
            "fp16",
            145,
            782.7,
        ),
        ({"batch": 16, "h": 31, "w": 31, "stride_h": 1, "stride_w": 1, "bias": 0}, "fp16", 1, 158.4),
        ({"batch": 16, "h": 28, "w": 28, "bias": 0}, "tf32", 1, 51.2),
    ],
)
def test_several_outputs_for_each_channel_are_computed_in_turn_in_half_precision(
    changes: dict[str, int], dtype: str, launches: int, microseconds: float
) -> None:
    """Channels-last on an H200, as pooled tokens of PiT; many channels step by step are one kernel, as single precision
    is.
    """
    dims = {
        **{"batch": 2, "c_in": 144, "c_out": 288, "groups": 144, "h": 14, "w": 14, "r": 3, "s": 3},
        **{"stride_h": 2, "stride_w": 2, "pad_h": 1, "pad_w": 1, "bias": 1, "channels_last": 1},
    }
    calibration = load_calibration("h200")
    assert kernel_launches(calibration, "conv_depthwise", dtype, dims | changes)[0] == launches
    seconds = kernel_seconds(calibration, "conv_depthwise", dtype, **(dims | changes))
    assert seconds == pytest.approx(1e-6 * microseconds, rel=0.2)


@pytest.mark.parametrize(
    ("changes", "dtype", "launches", "microseconds"),
    [
        ({}, "fp16", 2, 2920.0),
        ({"c_in": 64, "h": 56, "w": 56}, "fp16", 2, 378.0),
        ({"batch": 1, "c_in": 64, "h": 56, "w": 56}, "fp16", 2, 352.8),
        ({"batch": 1, "c_in": 128, "h": 28, "w": 28}, "fp16", 4, 44.4),
        (
            {"batch": 1, "c_in": 192, "c_out": 1296, "h": 256, "w": 256, "stride_h": 2, "stride_w": 2},
            "fp16",
            2,
            11903.9,
        ),
        (
            {"batch": 1, "c_in": 20, "c_out": 768, "h": 360, "w": 720, "r": 8, "s": 8, "stride_h": 8, "stride_w": 8},
            "fp16",
            2,
            252.0,
        ),
    ],
)
def test_wide_convolutions_of_large_windows_use_no_tensor_cores_in_half_precision(
    changes: dict[str, int], dtype: str, launches: int, microseconds: float
) -> None:
    """On an H200, as keys of Twins are made of windows, weather of patches; with little work they use them."""
    dims = {
        **{"batch": 16, "c_in": 512, "c_out": 1024, "h": 7, "w": 7, "r": 7, "s": 7, "stride_h": 7, "stride_w": 7},
        **changes,
    }
    calibration = load_calibration("h200")
    assert kernel_launches(calibration, "conv", dtype, dims)[0] == pytest.approx(launches, abs=launches // 4)
    assert kernel_seconds(calibration, "conv", dtype, **dims) == pytest.approx(1e-6 * microseconds, rel=0.25)


@pytest.mark.parametrize(
    ("pixels", "c_in", "c_out", "microseconds"),
    [(3136, 632, 2528, 36.9), (3136, 2528, 128, 10.2), (49, 1024, 4096, 8.2)],
)
def test_pixels_with_channels_last_are_multiplied_by_cublas(
    pixels: int, c_in: int, c_out: int, microseconds: float
) -> None:
    """As profiled in RDNet on an H200, product and bias; channels apart, odd ones and TF32 by their own fit."""
    dims = {"batch": pixels // 49, "c_in": c_in, "c_out": c_out, "h": 7, "w": 7, "r": 1, "s": 1, "bias": 1}
    dims["channels_last"] = 1
    calibration = load_calibration("h200")
    seconds = kernel_seconds(calibration, "conv", "fp16", **dims)
    assert seconds == pytest.approx(1e-6 * microseconds, rel=0.2)
    assert is_product_of_pixels(FAMILIES["conv"].complete(dims), 2)
    assert not is_product_of_pixels(FAMILIES["conv"].complete(dims), 4)
    for change in ({"channels_last": 0}, {"c_in": c_in + 1}, {"r": 3, "pad_h": 1}, {"stride_h": 2}):
        assert not is_product_of_pixels(FAMILIES["conv"].complete({**dims, **change}), 2)


@pytest.mark.parametrize("changes", [{"channels_last": 1}, {"pad_h": 3, "pad_w": 3}, {"c_out": 512}, {"r": 5, "s": 5}])
def test_other_convolutions_use_tensor_cores(changes: dict[str, int]) -> None:
    dims = {"batch": 16, "c_in": 512, "c_out": 1024, "h": 14, "w": 14, "r": 7, "s": 7, "stride_h": 7, "stride_w": 7}
    arrays = FAMILIES["conv"].complete({**dims, **changes})
    assert is_without_tensor_cores(FAMILIES["conv"].complete(dims), 2)
    assert not is_without_tensor_cores(FAMILIES["conv"].complete(dims), 4)
    assert not is_without_tensor_cores(arrays, 2)


@pytest.mark.parametrize(
    ("batch", "channels", "h", "w", "microseconds"),
    [(1, 24, 96, 32, 92.5), (16, 24, 96, 32, 469.0), (1, 3, 384, 64, 32.0), (16, 3, 384, 64, 456.0)],
)
def test_channels_of_volumes_are_spread_in_a_kernel_each(
    batch: int, channels: int, h: int, w: int, microseconds: float
) -> None:
    """As profiled in the decoder of Cosmos' video codec on an H200."""
    dims = {
        **{"batch": batch, "c_in": channels, "c_out": channels, "groups": channels, "h": h, "w": w, "r": 1, "s": 2},
        **{"stride_w": 2, "out_h": h, "out_w": 2 * w},
    }
    calibration = load_calibration("h200")
    assert kernel_launches(calibration, "conv_transposed_in_turn", "fp16", dims)[0] == channels
    seconds = kernel_seconds(calibration, "conv_transposed_in_turn", "fp16", **dims)
    assert seconds == pytest.approx(1e-6 * microseconds, rel=0.15)


@pytest.mark.parametrize(
    ("batch", "c_in", "c_out", "is_product"),
    [(8, 185, 56, True), (16, 336, 168, True), (16, 109, 54, False), (16, 1266, 105, False)],
)
def test_pixels_of_odd_channels_are_no_products_where_there_are_many(
    batch: int, c_in: int, c_out: int, is_product: bool
) -> None:
    dims = FAMILIES["conv"].complete({"batch": batch, "c_in": c_in, "c_out": c_out, "h": 1, "w": 1, "r": 1, "s": 1})
    assert bool(of_one_pixel(dims, 2)[0]) is is_product


@pytest.mark.parametrize(
    ("batch", "length", "microseconds"),
    [(1, 26, 5.8), (32, 26, 14.6), (128, 26, 39.3), (1, 512, 13.9), (64, 512, 204.8)],
)
def test_packed_attention_takes_waves_of_blocks(batch: int, length: int, microseconds: float) -> None:
    """12 heads of 64 on an H200, FlashAttention over sequences behind each other."""
    dims = {"batch": batch, "tokens": batch * length, "heads": 12, "head_dim": 64, "longest": length}
    seconds = kernel_seconds(load_calibration("h200"), "attention_packed", "fp16", **dims)
    assert seconds == pytest.approx(1e-6 * microseconds, rel=0.1)


def test_blocks_share_results_of_reductions_as_in_a_sweep() -> None:
    """Of 1,308 on an H200, by their launches: where blocks share results, torch sets semaphores to zero before."""
    sms, told, measured = 132, [], []
    for sample in SampleFile(SHIPPED / "h200/samples/kernels.jsonl.gz").of(KernelSample):
        if sample.id.family == "reduce" and sample.repeats_s and sample.id.series != "operator any":
            told.append(1 + int(ReductionGrid.of(FAMILIES["reduce"].complete(sample.dims), sms).sharing > 1))
            measured.append(sample.launches)
    assert len(told) > 1300
    assert set(measured) == {1, 2}
    assert told == measured


@pytest.mark.parametrize(
    ("family", "least", "most"), [("reduce", 0.55, 1.1), ("scan", 0.7, 1.3), ("softmax", 0.55, 1.5)]
)
def test_what_reductions_take_before_any_fit(family: str, least: float, most: float) -> None:
    """Of all on an H200 that take 10 us and more, median of predicted over measured by physics alone."""
    row, ratios = FAMILIES[family], []
    for sample in SampleFile(SHIPPED / "h200/samples/kernels.jsonl.gz").of(KernelSample):
        if sample.id.family == family and sample.repeats_s and sample.seconds > 1e-5:
            dims = row.complete(sample.dims)
            ratios.append(float(max(row.roofline_s(dims, sample.dtype, 6e13, 4.2e12, 132))) / sample.seconds)
    assert len(ratios) > 100
    assert least < np.median(ratios) < most
