"""Kernel families: what a kernel works on, how much work that is, and the features its time is regressed on.

A family is one row of ``FAMILIES``. The calibration sweep samples its dimensions and fits on its features; the cost
model prices with the same functions. Dimensions are float arrays that broadcast; numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.records import ITEMSIZE

Array = NDArray[np.float64]
Dims = Mapping[str, Array]

MATRIX_DTYPES = ("fp32", "tf32", "fp16", "bf16")
"""Dtypes with a matrix peak of their own. tf32: fp32 storage, TF32 matrix units."""


_SIZES = frozenset(
    [
        *("m", "n", "k", "batch", "c_in", "c_out", "h", "w", "heads", "seq", "kv_seq", "head_dim"),
        *("rows", "cols", "elements", "bytes_read", "bytes_written"),
    ]
)


def fit_name(family: str, dtype: str) -> str:
    """Which fit prices a dtype. Dtypes that run alike share one, so that each learns from the other's samples: all off
    the matrix units ("any"), the 16-bit formats on them ("half"), fp32 and TF32 where products are a small part of the
    work ("single").
    """
    if not FAMILIES[family].matrix:
        return "any"
    if dtype in ("fp16", "bf16"):
        return "half"
    return "single" if FAMILIES[family].single else dtype


def itemsize(dtype: str) -> int:
    """Bytes of one stored element; tf32 is stored as fp32."""
    return ITEMSIZE["fp32" if dtype == "tf32" else dtype]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of kernels.

    dims: dimension name -> default (None: required); flops and bytes: work of one call, from dims and element size;
    matrix: runs on the matrix units, a fit per dtype (``fit_name``); other families have one, with the element size as
    a feature. single: fp32 and TF32 run alike. seen_in: where it is measured, "calls" of
    torch, "sessions" of ONNX Runtime, or "profiles" of modules under the runtime that makes it. like: the family whose
    fit stands in where it was not measured.
    """

    name: str
    dims: Mapping[str, float | None]
    flops: Callable[[Dims], Array]
    nbytes: Callable[[Dims, int], Array]
    features: Callable[[Dims, int, int], list[Array]]
    matrix: bool = False
    single: bool = False
    seen_in: str = "calls"
    like: str = ""

    @property
    def sizes(self) -> tuple[str, ...]:
        """Dimensions that a kernel's work grows with: not flags, windows, strides, or what picks an algorithm."""
        return tuple(name for name in self.dims if name in _SIZES)

    @property
    def regimes(self) -> tuple[str, ...]:
        """Dimensions of which one value says nothing about another: sizes, and flags that pick another kernel."""
        named = (_SIZES - {"kv_seq"}) | {"causal", "mask", "channels_last"}  # kv_seq 0 and seq are the same
        return tuple(name for name in self.dims if name in named)

    def complete(self, dims: Mapping[str, Any]) -> dict[str, Array]:
        """Dimensions as float arrays of one shape, defaults filled in. Raises KeyError for a missing or unknown one."""
        extra = set(dims) - set(self.dims)
        missing = {d for d, default in self.dims.items() if default is None} - set(dims)
        if extra or missing:
            raise KeyError(f"{self.name} takes {', '.join(self.dims)}: {', '.join(sorted(extra | missing))}?")
        arrays = np.broadcast_arrays(
            *(np.asarray(dims.get(d, default), dtype=float) for d, default in self.dims.items())
        )
        return dict(zip(self.dims, arrays, strict=True))

    def grown(self, dims: Dims, times: float) -> dict[str, Array]:
        """The same kernel with so many times the thread blocks: of one product the rows, else the batch, or all that
        it streams.
        """
        grown = dict(dims)
        if self.name == "gemm":
            one = dims["batch"] == 1
            return grown | {"m": dims["m"] * np.where(one, times, 1), "batch": dims["batch"] * np.where(one, 1, times)}
        names = ("batch",) if "batch" in dims else ("elements", "bytes_read", "bytes_written", "rows")
        return grown | {name: dims[name] * times for name in names if name in dims}

    def matrix_of_features(self, dims: Dims, dtype: str, sms: int) -> Array:
        """Feature matrix, one row per kernel. sms: multiprocessors of the device (cores of a CPU)."""
        size = itemsize(dtype)
        work = [_log(self.flops(dims)), _log(self.nbytes(dims, size)), _log(self.flops(dims) / self.nbytes(dims, size))]
        columns = [*work, *self.features(dims, size, sms)]
        if self.matrix:
            columns.append(np.asarray(float(dtype in ("bf16", "tf32"))))
        table = np.empty((work[0].size, len(columns)))
        for position, column in enumerate(columns):
            table[:, position] = np.ravel(column)
        return table


def _log(x: Array) -> Array:
    return np.log2(np.maximum(x, 2**-20))


def _fill(blocks: Array, sms: int) -> list[Array]:
    """Waves of thread blocks and how full the last wave leaves the device."""
    waves = blocks / sms
    return [_log(waves), waves / np.ceil(np.maximum(waves, 1e-9))]


def _tiles(m: Array, n: Array, batch: Array, sms: int) -> list[Array]:
    columns: list[Array] = []
    for tile_m, tile_n in ((64, 64), (128, 128), (128, 256)):
        columns += _fill(np.ceil(m / tile_m) * np.ceil(n / tile_n) * batch, sms)
    return columns


def _aligned(x: Array) -> Array:
    """Largest power of two up to 64 that divides x, as its logarithm: what vector loads and tiles care about."""
    return np.asarray(np.sum([x % 2**p == 0 for p in range(1, 7)], axis=0), dtype=float)


# gemm: batch x (m, k) @ (k, n); nt: second operand stored as (n, k); bias: added in the epilogue; shared: one weight
# matrix read cold from memory (a linear layer), 0 for two activations.


def _gemm_flops(d: Dims) -> Array:
    return 2 * d["batch"] * d["m"] * d["n"] * d["k"]


def _gemm_bytes(d: Dims, size: int) -> Array:
    return size * d["batch"] * (d["m"] * d["k"] + d["n"] * d["k"] + d["m"] * d["n"])


def _gemm_features(d: Dims, size: int, sms: int) -> list[Array]:
    logs = [_log(d[x]) for x in ("batch", "m", "n", "k")]
    flags = [d["nt"], d["bias"], _aligned(d["m"]), _aligned(d["n"]), _aligned(d["k"])]
    return [*logs, *flags, *_tiles(d["m"], d["n"], d["batch"], sms)]


# conv: batch x (c_in, h, w) -> (c_out, h_out, w_out), kernel r x s; a 1-D convolution has h = r = 1. Grouped and
# depthwise ones (as many groups as input channels) run other kernels: families of their own.


def conv_out(size: Array, kernel: Array, stride: Array, padding: Array, dilation: Array) -> Array:
    """Output length of a convolution along one dimension (torch.nn.Conv2d, the formula of its shape section)."""
    return np.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1


def _conv_pixels(d: Dims) -> Array:
    h = conv_out(d["h"], d["r"], d["stride_h"], d["pad_h"], d["dilation"])
    w = conv_out(d["w"], d["s"], d["stride_w"], d["pad_w"], d["dilation"])
    return d["batch"] * h * w


def _conv_flops(d: Dims) -> Array:
    return 2 * _conv_pixels(d) * d["c_out"] * d["c_in"] / d["groups"] * d["r"] * d["s"]


def _conv_bytes(d: Dims, size: int) -> Array:
    weights = d["c_out"] * d["c_in"] / d["groups"] * d["r"] * d["s"]
    return size * (d["batch"] * d["c_in"] * d["h"] * d["w"] + weights + _conv_pixels(d) * d["c_out"])


def _conv_features(d: Dims, size: int, sms: int) -> list[Array]:
    m, n, k = _conv_pixels(d), d["c_out"] / d["groups"], d["c_in"] / d["groups"] * d["r"] * d["s"]
    logs = [_log(x) for x in (m, n, k, d["groups"], d["c_in"], d["c_out"], d["batch"], d["h"] * d["w"], d["w"])]
    window = [d["r"] * d["s"], d["s"], d["stride_w"], d["dilation"], d["pad_w"] * 2 / d["s"]]
    flags = [(d["h"] == 1).astype(float), d["bias"], d["channels_last"]]
    flags += [_aligned(d["c_in"] / d["groups"]), _aligned(n), _aligned(d["w"])]
    copies = [_log(d["batch"] * d["c_in"] * d["h"] * d["w"]), _log(m * d["c_out"])]
    return [*logs, *window, *flags, *copies, *_tiles(m, n, np.ones_like(m), sms)]


# attention: fused scaled dot-product attention as torch picks it; kv_seq 0: the same length as seq.


def _kv_seq(d: Dims) -> Array:
    return np.where(d["kv_seq"] > 0, d["kv_seq"], d["seq"])


def _kv_heads(d: Dims) -> Array:
    return np.where(d["kv_heads"] > 0, d["kv_heads"], d["heads"])


def _attention_flops(d: Dims) -> Array:
    return 4 * d["batch"] * d["heads"] * d["seq"] * _kv_seq(d) * d["head_dim"] * np.where(d["causal"] > 0, 0.5, 1.0)


def _attention_bytes(d: Dims, size: int) -> Array:
    queries = 2 * d["heads"] * d["seq"] * d["head_dim"]
    keys = 2 * _kv_heads(d) * _kv_seq(d) * d["head_dim"]
    return size * d["batch"] * (queries + keys + d["mask"] * d["seq"] * _kv_seq(d))


def _attention_features(d: Dims, size: int, sms: int) -> list[Array]:
    kv_seq = _kv_seq(d)
    logs = [_log(x) for x in (d["batch"] * d["heads"], d["seq"], kv_seq, d["head_dim"])]
    flags = [d["causal"], d["mask"], _log(d["heads"] / _kv_heads(d))]
    flags += [_aligned(d["head_dim"]), _aligned(d["seq"]), _aligned(kv_seq)]
    return [*logs, *flags, *_fill(d["batch"] * d["heads"] * np.ceil(d["seq"] / 64), sms), np.ceil(kv_seq / 64)]


# memory families: no matrix work, time follows bytes and access pattern.


def _streamed(d: Dims) -> Array:
    return d["bytes_read"] + d["bytes_written"]


def _elements_flops(d: Dims) -> Array:
    return d["elements"]


def _pointwise_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = _log(_streamed(d) / np.maximum(d["elements"], 1))
    return [_log(d["elements"]), ratio, d["inputs"], d["contiguous"], d["heavy"], *_fill(d["elements"] / 512, sms)]


def _copy_features(d: Dims, size: int, sms: int) -> list[Array]:
    run = _log(d["run"])
    return [_log(d["elements"]), run, d["transposed"], _log(d["bytes_read"]), _log(d["bytes_written"])]


def _cat_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = _log(_streamed(d) / np.maximum(d["elements"], 1))
    return [_log(d["elements"]), d["inputs"], _log(d["run"]), ratio, d["contiguous"]]


def _rows_flops(d: Dims) -> Array:
    return d["rows"] * d["cols"]


def _rows_through(d: Dims, size: int) -> Array:
    return 2 * size * d["rows"] * d["cols"]


def _rows_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [
        _log(d["rows"]),
        _log(d["cols"]),
        _aligned(d["cols"]),
        np.full_like(d["rows"], size),
        *_fill(d["rows"], sms),
    ]


def _reduce_bytes(d: Dims, size: int) -> Array:
    return size * (d["rows"] * d["cols"] + d["rows"])


def _reduce_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), d["inner"]]


def _gather_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [_log(d["rows"]), _log(d["cols"]), np.full_like(d["rows"], size)]


def _fft_flops(d: Dims) -> Array:
    return 5 * d["rows"] * d["cols"] * np.log2(np.maximum(d["cols"], 2))


def _fft_bytes(d: Dims, size: int) -> Array:
    return size * d["rows"] * d["cols"] * np.where(d["real"] > 0, 1.0, 2.0)


def _largest_factor(x: Array) -> Array:
    """Largest prime factor, up to 13; 17 for anything larger: what a Fourier transform is made of."""
    rest, found = np.maximum(np.rint(x), 1), np.ones_like(x)
    for prime in (2, 3, 5, 7, 11, 13):
        for _ in range(20):
            divides = rest % prime == 0
            if not divides.any():
                break
            rest, found = np.where(divides, rest / prime, rest), np.where(divides, prime, found)
    return np.where(rest > 1, 17.0, found)


def _fft_features(d: Dims, size: int, sms: int) -> list[Array]:
    logs = [_log(d["rows"]), _log(d["cols"])]
    return [*logs, _aligned(d["cols"]), _largest_factor(d["cols"]), d["strided"], d["real"]]


def _sort_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), _log(d["k"])]


def _weight_norm_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [*_rows_features(d, size, sms), d["last"]]


def _interpolate_features(d: Dims, size: int, sms: int) -> list[Array]:
    written = d["bytes_written"] / np.maximum(d["elements"], 1)
    pixels = [_log(d["pixels"]), _log(d["elements"] / np.maximum(d["pixels"], 1))]
    return [_log(d["elements"]), _log(d["bytes_read"]), d["taps"], written, *pixels]


def _pool_features(d: Dims, size: int, sms: int) -> list[Array]:
    return [_log(d["elements"]), d["window"], d["maximum"], _log(d["bytes_read"])]


# nnc, triton, ort: loops that TorchScript's and Inductor's compilers make of several operators, and ONNX Runtime's own
# kernels. rows: of a row-wise one, 0 for others; contiguous: all is read in the order in which it is written; kind: 1
# for transcendental functions, further numbers as in ops/onnx.py.


def _made_features(d: Dims, size: int, sms: int) -> list[Array]:
    ratio = _log(_streamed(d) / np.maximum(d["elements"], 1))
    cols = np.where(d["rows"] > 0, d["elements"] / np.maximum(d["rows"], 1), 0.0)
    rows = [(d["rows"] > 0).astype(float), _log(d["rows"] + 1), _log(cols + 1)]
    flags = [d["inputs"], d["contiguous"], d["kind"]]
    return [_log(d["elements"]), ratio, *flags, *rows, *_fill(d["elements"] / 512, sms)]


_CONV: dict[str, float | None] = {
    **{"batch": None, "c_in": None, "c_out": None, "h": None, "w": None, "r": None, "s": None},
    **{"stride_h": 1, "stride_w": 1, "pad_h": 0, "pad_w": 0, "dilation": 1, "groups": 1, "bias": 0},
    "channels_last": 0,
}
_STREAM: dict[str, float | None] = {"elements": None, "bytes_read": None, "bytes_written": None}

FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family(
            "gemm",
            {"m": None, "n": None, "k": None, "batch": 1, "nt": 1, "bias": 0},
            _gemm_flops,
            _gemm_bytes,
            _gemm_features,
            matrix=True,
        ),
        *(
            Family(
                maker + name,
                _CONV,
                _conv_flops,
                _conv_bytes,
                _conv_features,
                matrix=True,
                single=name == "conv_depthwise",
                seen_in="sessions" if maker else "calls",
                like=name if maker else "",
            )
            for maker in ("", "ort_")
            for name in ("conv", "conv_grouped", "conv_depthwise")
        ),
        Family(
            "attention",
            {
                **{"batch": None, "heads": None, "seq": None, "head_dim": None},
                **{"kv_heads": 0, "kv_seq": 0, "causal": 0, "mask": 0},
            },
            _attention_flops,
            _attention_bytes,
            _attention_features,
            matrix=True,
            single=True,
        ),
        Family(
            "pointwise",
            {**_STREAM, "inputs": 1, "contiguous": 1, "heavy": 0},
            _elements_flops,
            lambda d, size: _streamed(d),
            _pointwise_features,
        ),
        Family(
            "copy",
            {**_STREAM, "run": 1, "transposed": 0},
            _elements_flops,
            lambda d, size: _streamed(d),
            _copy_features,
        ),
        Family(
            "cat",
            {**_STREAM, "inputs": 2, "run": 1, "contiguous": 1},
            _elements_flops,
            lambda d, size: _streamed(d),
            _cat_features,
        ),
        Family("softmax", {"rows": None, "cols": None}, _rows_flops, _rows_through, _rows_features),
        Family("layer_norm", {"rows": None, "cols": None}, _rows_flops, _rows_through, _rows_features),
        Family("batch_norm", {"rows": None, "cols": None}, _rows_flops, _rows_through, _rows_features),
        Family("group_norm", {"rows": None, "cols": None}, _rows_flops, _rows_through, _rows_features),
        Family("scan", {"rows": None, "cols": None}, _rows_flops, _rows_through, _rows_features),
        Family(
            "sort",
            {"rows": None, "cols": None, "k": 0},
            lambda d: d["rows"] * d["cols"] * np.log2(np.maximum(d["cols"], 2)),
            _rows_through,
            _sort_features,
        ),
        Family(
            "weight_norm", {"rows": None, "cols": None, "last": 0}, _rows_flops, _rows_through, _weight_norm_features
        ),
        Family("fft", {"rows": None, "cols": None, "strided": 0, "real": 0}, _fft_flops, _fft_bytes, _fft_features),
        Family("reduce", {"rows": None, "cols": None, "inner": 1}, _rows_flops, _reduce_bytes, _reduce_features),
        Family("gather", {"rows": None, "cols": None}, _rows_flops, _rows_through, _gather_features),
        Family(
            "pool",
            {**_STREAM, "window": 1, "maximum": 0},
            lambda d: d["elements"] * d["window"],
            lambda d, size: _streamed(d),
            _pool_features,
        ),
        Family(
            "interpolate",
            {**_STREAM, "taps": 1, "pixels": None},
            lambda d: d["elements"] * d["taps"],
            lambda d, size: _streamed(d),
            _interpolate_features,
        ),
        *(
            Family(
                name,
                {**_STREAM, "inputs": 1, "contiguous": 1, "kind": 0, "rows": 0},
                _elements_flops,
                lambda d, size: _streamed(d),
                _made_features,
                seen_in="profiles",
            )
            for name in ("nnc", "triton", "ort")
        ),
        Family(
            "fill",
            {"elements": None, "bytes_written": None},
            _elements_flops,
            lambda d, size: d["bytes_written"],
            lambda d, size, sms: [_log(d["elements"])],
        ),
    )
}
"""Family name -> row."""
