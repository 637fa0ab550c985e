"""A wider network, estimated from the program of the one at hand: its kernels with more features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from predictor.lowered import Lowered
from predictor.records import KernelGroup, SizedProgram

Array = NDArray[np.float64]
Dims = dict[str, Array]

IMAGE_CHANNELS = 4
"""Channels up to which a convolution's input is an image, whose channels do not grow. A judgement."""

GRAIN = 8
"""A dimension that is a multiple of it stays one: libraries are slower on others."""


def _scaled(values: Array, factors: Array) -> Array:
    """Dimensions (sizes, kernels) times factors (sizes, 1), as whole multiples of what they are multiples of."""
    grain = np.where(values % (8 * GRAIN) == 0, 8 * GRAIN, np.where(values % GRAIN == 0, GRAIN, 1))
    return np.maximum(np.round(values * factors / grain) * grain, 1)


def _product(dims: Dims, factors: Array) -> Dims:
    """A product with weights has more rows of weights and longer ones; one of many, as of attention, more heads."""
    single = dims.get("batch", np.ones_like(dims["m"])) == 1
    grown = {name: np.where(single, _scaled(dims[name], factors), dims[name]) for name in ("n", "k")}
    if "batch" in dims:
        grown["batch"] = np.where(single, dims["batch"], np.round(dims["batch"] * factors))
    return grown


def _convolution(dims: Dims, factors: Array) -> Dims:
    c_in = np.where(dims["c_in"] > IMAGE_CHANNELS, _scaled(dims["c_in"], factors), dims["c_in"])
    grown = {"c_in": c_in, "c_out": _scaled(dims["c_out"], factors)}
    if "groups" in dims:  # as wide as they are, but more of them
        grouped = dims["groups"] > 1
        groups = np.where(grouped, _scaled(dims["groups"], factors), 1)
        width_in, width_out = dims["c_in"] / dims["groups"], dims["c_out"] / dims["groups"]
        grown = {
            "groups": groups,
            "c_in": np.where(grouped, width_in * groups, grown["c_in"]),
            "c_out": np.where(grouped, width_out * groups, grown["c_out"]),
        }
    return grown


def _along(*names: str) -> Callable[[Dims, Array], Dims]:
    """The dimensions of that name grow."""
    return lambda dims, factors: {name: np.round(dims[name] * factors) for name in names if name in dims}


def _interpolation(dims: Dims, factors: Array) -> Dims:
    """Threads of a pixel each have more channels to go through; those of an element each are more."""
    grown = _STREAMED(dims, factors)
    each = dims["threads"] == dims["elements"]
    apart = dims["pixel_stride"]
    return {
        **grown,
        "threads": np.where(each, grown["elements"], dims["threads"]),
        "pixel_stride": np.where(apart > 1, np.round(apart * factors), apart),
    }


_STREAMED = _along("elements", "bytes_read", "bytes_written")
_ROWS, _COLUMNS = _along("rows"), _along("cols")

WIDER: dict[str, Callable[[Dims, Array], Dims]] = {
    **dict.fromkeys(
        (
            *("gemm", "gemm_8bit", "gemm_grouped", "ort_gemm_8bit", "ort_recurrent_product", "ort_integer_product"),
            *("ort_few_bits", "ort_experts", "ort_vector_products", "recurrent_product"),
        ),
        _product,
    ),
    **dict.fromkeys(
        (
            *("conv", "conv_grouped", "conv_depthwise", "conv_transposed", "conv3d", "ort_conv", "ort_conv_grouped"),
            *("ort_conv_depthwise", "ort_conv_long", "ort_conv_transposed", "conv_together"),
            *("conv_on_cores", "conv_in_turn", "conv_transposed_in_turn", "ort_conv_in_turn", "ort_conv_stem"),
        ),
        _convolution,
    ),
    "attention": _along("heads", "kv_heads"),
    "attention_packed": _along("heads"),
    "interpolate": _interpolation,
    "recurrence": _along("width"),
    "recurrent_cell": _along("elements"),
    "ort_cache_append": _along("blocks"),
    "scattered_slices": _along("indices"),
    "scattered_elements": _along("elements"),
    "exchange": _along("rows"),
    "triton_exchange": _along("rows"),
    **dict.fromkeys(("layer_norm", "group_norm", "gather", "ort_bias_rows"), _COLUMNS),
    "weight_norm": _along("rows", "cols"),
    **dict.fromkeys(
        (
            *("softmax", "batch_norm", "reduce", "scan", "sort", "fft"),
            *("ort_attention_softmax", "ort_library_softmax", "ort_channel_norm", "ort_batch_norm", "ort_row_sums"),
            *("ort_column_sums", "ort_integer_sums", "ort_reduced_across", "ort_tiled"),
            *("ort_top_k", "ort_top_parts", "ort_top_joined", "ort_extreme", "ort_extreme_across"),
        ),
        _ROWS,
    ),
    **dict.fromkeys(
        (
            *("pointwise", "copy", "cat", "pool", "fill", "unmodelled", "nnc", "triton", "ort"),
            *("ort_issued", "ort_reduction", "ort_pool", "ort_resize", "ort_conv3d_depthwise", "ort_quantised"),
            *("ort_tensor_pass", "ort_places"),
            *("ort_cache_copy", "ort_scan", "ort_unpacked_bits"),
        ),
        _STREAMED,
    ),
}
"""Kernel family -> how its dimensions grow with the features of a network. Others, as copies to the host and
decompositions, stay as they are.
"""

UNCHANGED = ("box_selection", "decomposition", "foreach_copy", "host_copy")
"""Families whose work does not follow the features."""


def widened(lowered: Lowered, inside: NDArray[np.bool_], factors: Sequence[float]) -> SizedProgram:
    """The program at several widths, as its sizes. inside: (kernels,), those that get wider; factors: of the width.

    The kernels of a group that stay as they are, and those that grow, become groups of their own.
    """
    program = lowered.program
    column = np.array(factors, dtype=float)[:, None]
    groups: list[KernelGroup] = []
    kernel_of = np.empty_like(program.kernel_of)
    start = made = 0
    for group in program.groups:
        members = (program.kernel_of >= start) & (program.kernel_of < start + group.count)
        dims = {name: np.repeat(values[:1], len(factors), axis=0) for name, values in group.dims.items()}
        for grows in (False, True):
            chosen = members & (inside == grows)
            if chosen.any():
                wider = WIDER.get(group.family)
                grown = {**dims, **wider(dims, column)} if grows and wider else dims
                groups.append(replace(group, dims=grown))
                kernel_of[chosen] = program.kernel_of[chosen] - start + made
                made += group.count
        start += group.count
    return replace(
        program,
        sizes=len(factors),
        groups=tuple(groups),
        kernel_of=kernel_of,
        elements=np.repeat(program.elements[:1], len(factors), axis=0),
    )
