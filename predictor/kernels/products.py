"""Matrix products.

gemm: batch x (m, k) @ (k, n); nt: second operand stored as (n, k); bias: added in the epilogue; gelu: computed in the
epilogue; added: to what the result holds already, which is read. gemm_8bit: of integers
or floating-point numbers of eight bits, in torch priced where it was measured alone; ort_gemm_8bit: the same in ONNX
Runtime, by its roofline. gemm_grouped: of groups that may differ in m, of which it has the mean.
recurrent_product: of a recurrent layer's state in one step, whose weights the step before has left in the cache;
ort_recurrent_product: the same in ONNX Runtime.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from predictor.kernels.family import Array, Dims, Family, MeasuredIn, aligned, log, tile_blocks, tiles


def _gemm_flops(d: Dims) -> Array:
    return 2 * d["batch"] * d["m"] * d["n"] * d["k"]


def _gemm_bytes(d: Dims, size: int) -> Array:
    return size * d["batch"] * (d["m"] * d["k"] + d["n"] * d["k"] + (1 + d["added"]) * d["m"] * d["n"])


def _gemm_features(d: Dims, size: int, sms: int) -> list[Array]:
    logs = [log(d[x]) for x in ("batch", "m", "n", "k")]
    flags = [d["nt"], d["bias"], aligned(d["m"]), aligned(d["n"]), aligned(d["k"])]
    return [*logs, *flags, *tiles(d["m"], d["n"], d["batch"], sms)]


def _grow_gemm(dims: Dims, times: float) -> dict[str, Array]:
    """Of one product more rows, else more of the batch."""
    is_one = dims["batch"] == 1
    grown = {"m": dims["m"] * np.where(is_one, times, 1), "batch": dims["batch"] * np.where(is_one, 1, times)}
    return {**dims, **grown}


_product = partial(
    Family,
    dims={"m": None, "n": None, "k": None, "batch": 1, "nt": 1, "bias": 0, "gelu": 0, "added": 0},
    flops=_gemm_flops,
    nbytes=_gemm_bytes,
    features=_gemm_features,
    later=lambda d: [d["gelu"]],
    sizes=("m", "n", "k", "batch"),
    profiler_names=r"gemm|nvjet|cutlass|splitK|gemv|dot_kernel|Memset|scal_kernel|epilogue",
    grow=_grow_gemm,
    blocks=lambda d: tile_blocks(d["m"], d["n"], d["batch"]),
    matrix=True,
    held_out=("n", "k", "batch"),
)

ROWS = (
    _product(name="gemm"),
    _product(name="gemm_8bit", measured_in=MeasuredIn.NOWHERE, factor_group="gemm", only_measured=True),
    _product(name="ort_gemm_8bit", measured_in=MeasuredIn.NOWHERE, factor_group="gemm"),
    _product(
        name="ort_recurrent_product",
        measured_in=MeasuredIn.SESSIONS,
        stand_in="gemm",
        factor_group="gemm",
    ),
    _product(
        name="recurrent_product",
        measured_in=MeasuredIn.NOWHERE,
        tf32_by_default=True,
        stand_in="gemm",
        factor_group="gemm",
    ),
    _product(
        name="gemm_grouped",
        profiler_names=r"gemm|cutlass|[gG]roup|nvjet|Memset",
        stand_in="gemm",
        factor_group="gemm",
    ),
)
