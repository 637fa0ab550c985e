"""Kernel times: ``base x exp(residual)``, the base from the roofline, the residual from a calibration's fits.

``base = max(flops / peak, bytes / bandwidth) + floor`` (the roofline of Williams et al., 2009, and what the smallest
kernel of the family takes). Every function takes a calibration and arrays of dimensions, and prices all at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.kernel_models import KernelFit
from predictor.calibration.load import Calibration, architecture_of, load_calibration
from predictor.calibration.schema import FactorKey, FitKey
from predictor.calibration.trees import Forest
from predictor.errors import PredictorError, unknown
from predictor.kernels.convolutions import is_winograd
from predictor.kernels.families import FAMILIES, Family, fit_name, itemsize
from predictor.pricing.limits import launched_as, least_s, peak_flops, units
from predictor.pricing.transfer import equal_waves, transferred

Array = NDArray[np.float64]
Dims = Mapping[str, Array]

T = TypeVar("T")

CONTEXTS = ("replay", "model")

TYPICAL = "pointwise"
"""Family whose efficiency stands in for one that is newer than a calibration."""

CLOSED_FORM = 0.2
"""Logarithm of what multiplies the base of kernels whose constants are measured (``Family.closed_form``): they were, on
an H200 and an H100, beside kernels that stream and took 1.22 times what their traffic does.
"""


@dataclass(frozen=True, slots=True, eq=False)
class KernelPrices:
    """Prices of kernels of one family, arrays (kernels,): seconds, those below which physics does not let them come
    (``limits.least_s``), launches, whether compute bounds the roofline rather than memory, and whether the kernel lies
    outside of the calibrated range (``is_extrapolated``).
    """

    seconds: Array
    least_s: Array
    launches: NDArray[np.int64]
    compute_bound: NDArray[np.bool_]
    extrapolated: NDArray[np.bool_]


LINK_BYTES_PER_S = 5.4e10
"""Of pinned memory over PCI Express 5.0 x16: 4.2 MB took 77 us behind nodes of ONNX Runtime on an H100
(calibrations/h100/onnx_files). 4.0 has half of it, 3.0 a quarter.
"""

LINKS = {"hopper": 1.0, "blackwell": 1.0, "ampere": 0.5, "ada": 0.5, "turing": 0.25, "volta": 0.25, "pascal": 0.25}
"""Architecture -> share of it that its cards' link has: PCI Express 5.0, 4.0 or 3.0 by their datasheets."""


def link_bytes_per_s(architecture: str) -> float:
    """How fast pinned memory is copied between host and device; of an unknown GPU as over PCI Express 4.0."""
    return LINK_BYTES_PER_S * LINKS.get(architecture, 0.5)


def roofline_s(calibration: Calibration, family: Family, dtype: str, dims: Dims) -> tuple[Any, Any]:
    """Roofline terms in seconds: compute and memory (Williams et al., 2009), before the floor."""
    device = calibration.device
    peak = peak_flops(device.peak_flops, family, dtype)
    bandwidth = link_bytes_per_s(device.architecture) if family.over_link else device.bandwidth_bytes_per_s
    longer = calibration.time_factor * calibration.reference_time_factor
    return family.roofline_s(dims, dtype, peak, bandwidth, device.sms, longer)


def kernel_fit(calibration: Calibration, family: str, dtype: str, context: str = "model") -> KernelFit:
    """The fit for a family and dtype in a context, see ``kernel_seconds``; memory families have one for all dtypes.

    Where one was not made the nearest of this GPU stands in: one context for the other, fp32 for TF32 where the
    device has none, the family that stands in for this one. A fit of this GPU is preferred to one of another GPU.
    For kernels of a model there is an exception: the measured kernels of a GPU of the same architecture, in the
    framework that runs the model, are preferred to a published table of this GPU's kernels alone. A family that is
    newer than the calibration has its analytic base with the efficiency that is typical of pointwise kernels, all of it
    outside of the calibrated range. Raises PredictorError where there is none.
    """
    known = calibration.known_fits.get((family, dtype, context))
    if known is None:
        known = calibration.known_fits[family, dtype, context] = _choose_fit(calibration, family, dtype, context)
    return known


def _choose_fit(calibration: Calibration, family: str, dtype: str, context: str) -> KernelFit:
    contexts = ("model", "replay") if context == "model" else ("replay", "model")
    dtype = units(calibration, dtype)
    names = [fit_name(family, dtype), *(["fp32"] if dtype == "tf32" else [])]
    keys = [FitKey(family, name, one_context) for name in names for one_context in contexts]
    fits = [calibration.fits[key] for key in keys if key in calibration.fits]
    if not fits and FAMILIES[family].stand_in:
        return kernel_fit(calibration, FAMILIES[family].stand_in, dtype, context)
    if not fits and not any(key.family == family for key in calibration.fits) and family != TYPICAL:
        typical = kernel_fit(calibration, TYPICAL, dtype, context)
        return replace(
            typical,
            residual=Forest.constant(CLOSED_FORM if FAMILIES[family].closed_form else typical.residual.initial),
            launches=Forest.constant(0.0),
            patterns=np.array([[0.0, 1.0]]),
            exceptions={},
            only={},
            largest=dict.fromkeys(FAMILIES[family].dims, -1.0),
        )
    if not fits:
        raise PredictorError(
            f"the calibration of {calibration.gpu} has no {family} kernels in {dtype}: run calibrate again"
        )
    related = context == "model" and any(
        fit.reference_gpu and _same_architecture(calibration, fit.reference_gpu) for fit in fits
    )
    return min(fits, key=lambda fit: fit.provenance == "derived" and not (related and fit.reference_gpu))


def _same_architecture(calibration: Calibration, gpu: str) -> bool:
    """Whether another GPU has this one's architecture, and so its libraries' kernels."""
    return bool(calibration.architecture) and architecture_of(gpu) == calibration.architecture


def is_extrapolated(fit: KernelFit, row: Family, dims: Dims) -> NDArray[np.bool_]:
    """Whether kernels lie outside the calibrated range: a dimension beyond twice the largest that was measured, or
    other than the only one that was. A flag that was never set, such as a product's bias, is a small addition.

    Such a kernel's price is its analytic base with the efficiency at the edge of the range, which is where trees
    stay; a row that is longer than any measured takes as many times what the longest takes beyond the floor.
    Kernels smaller than any measured take the floor's time, as these do.
    """
    outside = np.zeros(next(iter(dims.values())).shape, dtype=bool)
    for name, largest in fit.largest.items():
        outside |= dims[name] > (2 * largest if row.is_regime(name) else max(2 * largest, 1.0))
    for name, value in fit.only.items():
        outside |= dims[name] != value
    return outside.ravel()


def price_kernels(
    calibration: Calibration, family: str, dtype: str, dims: Mapping[str, Any], context: str = "model"
) -> KernelPrices:
    """Prices of kernels of one family and dtype; dims: numbers or arrays that broadcast, by the family's names."""
    arrays = {name: np.ravel(array) for name, array in FAMILIES[family].complete(dims).items()}
    key = "prices", family, dtype, context, as_key(arrays)
    return remembered(calibration, key, lambda: _price_kernels(calibration, family, dtype, arrays, context))


def features_of(calibration: Calibration, family: str, dtype: str, dims: Dims) -> Array:
    """What a GPU's fits are asked with, (kernels, features); dims: of one shape each."""
    key = "features", family, dtype, as_key(dims)
    return remembered(calibration, key, lambda: FAMILIES[family].matrix_of_features(dims, dtype, calibration.sms))


def as_key(dims: Dims) -> bytes:
    """Dimensions, in the family's order, as what they are remembered by."""
    return b"".join([array.tobytes() for array in dims.values()])


REMEMBERED = 1024
"""Groups of kernels whose prices a calibration remembers: a GPU whose kernels are transferred asks for those of
another, again and again.
"""


def remembered(calibration: Calibration, key: Any, price: Callable[[], T]) -> T:
    """What was priced before, or is now. key: of all that the price depends on, besides the calibration."""
    known = calibration.priced.get(key)
    if known is None:
        while len(calibration.priced) >= REMEMBERED:
            del calibration.priced[next(iter(calibration.priced))]
        known = calibration.priced[key] = price()
    return cast("T", known)


ROWS = 2**16
"""Kernels of one family whose prices a calibration remembers one by one: candidates of a search share most of theirs.
"""


class RowPrices:
    """Numbers of rows of dimensions, each computed once."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._index: dict[bytes, int] = {}
        self._values = np.empty((0, width))

    def of(self, rows: Array, price: Callable[[Array], Array]) -> Array:
        """rows: (rows, dimensions) -> (rows, width). price: the numbers of rows that were not seen before."""
        rows = np.ascontiguousarray(rows, dtype=float)
        content, step = rows.tobytes(), rows.shape[1] * rows.itemsize
        keys = [content[start : start + step] for start in range(0, len(content), step)]
        index = self._index
        missing = {key: number for number, key in enumerate(keys) if key not in index}
        if missing:
            if len(index) + len(missing) > ROWS:
                index.clear()
                self._values = np.empty((0, self._width))
                missing = {key: number for number, key in enumerate(keys)}
            fresh = price(rows[list(missing.values())])
            index.update(zip(missing, range(len(index), len(index) + len(missing)), strict=True))
            self._values = np.concatenate([self._values, fresh])
        return self._values[[index[key] for key in keys]]


def price_rows(
    calibration: Calibration, family: str, dtype: str, names: tuple[str, ...], rows: Array, monotone: bool = False
) -> Array:
    """Prices of kernels of models, (kernels, 4): seconds, launches, compute-bound, extrapolated, see ``KernelPrices``.

    rows: (kernels, dimensions), names: of the dimensions. monotone: see ``kernel_seconds``.
    """
    key = family, dtype, names, monotone
    known = calibration.known_kernels.get(key)
    if known is None:
        known = calibration.known_kernels[key] = RowPrices(4)

    def price(missing: Array) -> Array:
        prices = price_kernels(calibration, family, dtype, dict(zip(names, missing.T, strict=True)))
        seconds = prices.seconds
        if monotone:
            seconds = _slowest_within(calibration, family, dtype, "model", names, missing)
        return np.column_stack([seconds, prices.launches, prices.compute_bound, prices.extrapolated])

    return cast("Array", known.of(rows, price))


def _price_kernels(calibration: Calibration, family: str, dtype: str, arrays: Dims, context: str) -> KernelPrices:
    """Those that run as other families' kernels as the sum of these, the others by their own fit."""
    ways = _ways(FAMILIES[family], dtype, arrays)
    if len(ways) == 1:
        return _usual_prices(calibration, family, dtype, arrays, context)
    count = next(iter(arrays.values())).size
    seconds, least = np.zeros(count), np.zeros(count)
    launches = np.zeros(count, dtype=np.int64)
    computes, far = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for way in ways:
        price = _usual_prices if way is ways[0] else price_kernels
        own, at = price(calibration, way.family, way.dtype, way.dims, context), way.places
        seconds[at] += own.seconds
        least[at] += own.least_s
        launches[at] += own.launches
        computes[at] |= own.compute_bound
        far[at] |= own.extrapolated
    return KernelPrices(seconds, least, launches, computes, far)


@dataclass(frozen=True, slots=True)
class _Way:
    """Kernels of a family that run as kernels of another, or as their own: their positions, and what they run as."""

    places: NDArray[np.intp]
    family: str
    dtype: str
    dims: Dims


def _ways(row: Family, dtype: str, arrays: Dims) -> list[_Way]:
    """Kernels that run as their own family's, maybe none, then what the others run as, if there are others."""
    everything = _Way(np.arange(next(iter(arrays.values())).size), row.name, dtype, arrays)
    if row.runs_as is None:
        return [everything]
    differs, others = row.runs_as(arrays, itemsize(dtype))
    if not differs.any():
        return [everything]
    ways = [_where(~differs, everything)]
    for family, dims in others.items():
        works = np.prod([dims[name] for name in FAMILIES[family].sizes], axis=0) > 0
        stored = "fp32" if dtype == "tf32" and not FAMILIES[family].matrix else dtype
        ways.append(_where(differs & works, _Way(everything.places, family, stored, dims)))
    return ways


def _where(kept: NDArray[np.bool_], way: _Way) -> _Way:
    places = np.flatnonzero(kept)
    return replace(way, places=places, dims={name: array[places] for name, array in way.dims.items()})


def _usual_prices(calibration: Calibration, family: str, dtype: str, arrays: Dims, context: str) -> KernelPrices:
    row = FAMILIES[family]
    fit = kernel_fit(calibration, family, dtype, context)
    compute, memory = roofline_s(calibration, row, dtype, arrays)
    factor = _factor(calibration, family, fit_name(family, units(calibration, dtype)), arrays, context)
    roof_s = np.maximum(compute, memory)
    least = least_s(calibration, row, dtype, arrays)
    if fit.reference_gpu:
        other = load_calibration(fit.reference_gpu)
        seconds = with_factor(_transferred_s(calibration, other, row, dtype, context, arrays, roof_s), least, factor)
    else:
        features = features_of(calibration, family, dtype, arrays)
        seconds = with_factor(_measured_s(calibration, fit, row, dtype, arrays, roof_s, features), least, factor)
        for i, (known_s, _) in _exceptions(fit, row, dtype, arrays):
            seconds[i] = known_s
    launches = _usual_launches(calibration, family, dtype, arrays, context)
    outside = is_extrapolated(fit, row, arrays) & (not (row.over_link or row.closed_form))  # these have no fit
    return KernelPrices(seconds, least, launches, compute > memory, outside)


def with_factor(seconds: Any, least_s: Any, factor: Any) -> Any:
    """Seconds of kernels that take ``factor`` times as long as a fit says, but no less than ``least_s``: a factor below
    1 shortens what is beyond that, one above 1 lengthens all.
    """
    return least_s * np.maximum(factor, 1.0) + np.maximum(seconds - least_s, 0.0) * factor


def kernel_launches(
    calibration: Calibration, family: str, dtype: str, dims: Mapping[str, Any], context: str = "model"
) -> NDArray[np.int64]:
    """Launches of kernels of one family and dtype, (kernels,)."""
    arrays = {name: np.ravel(array) for name, array in FAMILIES[family].complete(dims).items()}
    key = "launches", family, dtype, context, as_key(arrays)
    return remembered(calibration, key, lambda: _kernel_launches(calibration, family, dtype, arrays, context))


def _kernel_launches(calibration: Calibration, family: str, dtype: str, dims: Dims, context: str) -> NDArray[np.int64]:
    ways = _ways(FAMILIES[family], dtype, dims)
    total = np.zeros(next(iter(dims.values())).size, dtype=np.int64)
    for way in ways:
        counted = _usual_launches if way is ways[0] else kernel_launches
        total[way.places] += counted(calibration, way.family, way.dtype, way.dims, context)
    return total


def _usual_launches(calibration: Calibration, family: str, dtype: str, dims: Dims, context: str) -> NDArray[np.int64]:
    fit = kernel_fit(calibration, family, dtype, context)
    if fit.reference_gpu:
        theirs = launched_as(calibration, FAMILIES[family], dtype)
        return kernel_launches(load_calibration(fit.reference_gpu), family, theirs, dims, context)
    launches = _launches(fit, dims, features_of(calibration, family, dtype, dims))
    if (known := FAMILIES[family].launches) is not None:
        launches = known(dims, itemsize(dtype), launches.astype(float)).astype(np.int64)
    for i, (_, known_launches) in _exceptions(fit, FAMILIES[family], dtype, dims):
        launches[i] = known_launches
    return launches


def _launches(fit: KernelFit, dims: Dims, features: Array) -> NDArray[np.int64]:
    groups = dims["groups"] if "groups" in dims else np.ones(len(features))
    return fit.launch_count(features, groups).astype(np.int64)


def _exceptions(fit: KernelFit, row: Family, dtype: str, dims: Dims) -> Iterator[tuple[int, tuple[float, float]]]:
    """(Position, (seconds, launches)) of kernels that were measured and that the fit misses."""
    if fit.exceptions:
        for i, shape in enumerate(zip(*(dims[d].tolist() for d in row.dims), strict=True)):
            if (dtype, *shape) in fit.exceptions:
                yield i, fit.exceptions[(dtype, *shape)]


def _measured_s(
    calibration: Calibration, fit: KernelFit, row: Family, dtype: str, dims: Dims, roof_s: Array, features: Array
) -> Array:
    """Seconds by a fit of this GPU's own kernels."""
    seconds = (roof_s + fit.floor_s) * np.exp(fit.residual.predict(features))
    longest = fit.largest.get("cols", -1.0)
    beyond = dims["cols"] > longest if longest > 0 and "cols" in dims else np.zeros(len(roof_s), dtype=bool)
    if beyond.any():
        edge = {name: np.minimum(array, longest) if name == "cols" else array for name, array in dims.items()}
        edge_roof_s = np.maximum(*roofline_s(calibration, row, dtype, edge))
        edge_features = row.matrix_of_features(edge, dtype, calibration.sms)
        edge_s = _measured_s(calibration, fit, row, dtype, edge, edge_roof_s, edge_features)
        seconds = np.where(beyond, (edge_s - fit.floor_s) * dims["cols"] / longest + fit.floor_s, seconds)
    return np.asarray(seconds)


def _factor(calibration: Calibration, family: str, name: str, dims: Dims, context: str) -> Any:
    """What kernels of models take, relative to their fit, as fitted to whole passes."""
    if context != "model":
        return 1.0
    usual = calibration.factors.get(FactorKey(family, name, False), 1.0)
    winograd = calibration.factors.get(FactorKey(family, name, True))
    return usual if winograd is None else np.where(is_winograd(dims), winograd, usual)


def _transferred_s(
    calibration: Calibration, other: Calibration, row: Family, dtype: str, context: str, dims: Dims, roof_s: Array
) -> Array:
    """Seconds of kernels, from what another GPU takes for such as load its multiprocessors as much. Where another
    library's stand in for them, which picks its own for each size: from what it takes for those of their size.
    """
    dtype = units(calibration, dtype)
    roof_s = roof_s - _clocked_s(row, dims, calibration.sms)
    stand_in = bool(row.stand_in) and FitKey(row.name, fit_name(row.name, dtype), "model") not in other.fits
    longer = calibration.time_factor * (other.sms / calibration.sms if stand_in else 1)
    logs = np.zeros(len(roof_s))
    for times, weight in equal_waves(other.sms, other.sms if stand_in else calibration.sms):
        theirs = row.grow(dims, times)
        seconds = price_kernels(other, row.name, dtype, theirs, context).seconds
        conversion_s = _conversion_s(calibration, other, row, dtype, context, theirs, seconds)
        their_roof_s = np.maximum(*roofline_s(other, row, dtype, theirs)) - _clocked_s(row, theirs, other.sms)
        product_s = transferred(seconds - conversion_s, their_roof_s, roof_s, longer)
        slower = other.device.bandwidth_bytes_per_s / calibration.device.bandwidth_bytes_per_s / times
        logs += weight * np.log(product_s + slower * conversion_s)
    return np.exp(logs)


def _clocked_s(row: Family, dims: Dims, sms: int) -> Any:
    """The part of a family's roofline time that follows the clock, and is no roof."""
    return row.latency_s(dims, sms) if row.latency_by_clock and row.latency_s is not None else 0.0


def _conversion_s(
    calibration: Calibration, other: Calibration, row: Family, dtype: str, context: str, dims: Dims, seconds: Array
) -> Array:
    """What another GPU takes to turn a convolution's tensors to channels last and back, which its matrix units want:
    the difference to one that has them so. That is traffic, and follows the bandwidth. Nothing where this GPU's
    libraries convert no layouts.
    """
    if not row.converts_layouts or launched_as(calibration, row, dtype) == "fp32":
        return np.zeros_like(seconds)
    channels_last = {**dims, "channels_last": np.ones_like(dims["channels_last"])}
    without_s = price_kernels(other, row.name, dtype, channels_last, context).seconds
    return np.where(dims["channels_last"] > 0, 0.0, np.maximum(seconds - without_s, 0.0))


def kernel_seconds(
    calibration: Calibration, family: str, dtype: str, *, context: str = "replay", monotone: bool = False, **dims: Any
) -> Any:
    """Seconds of kernels of one family.

    dims: the family's dimensions by name (``kernels.families.FAMILIES``), numbers or arrays that broadcast: gemm takes
    m, n, k (``y[m, n] = x[m, k] @ w[n, k]^T``) and batch; attention batch, seq, heads, head_dim, kv_heads, kv_seq,
    causal, mask. context: "replay", the kernel repeated alone as under CUDA Graph replay, what it reads still in cache
    as far as it fits; or "model", among others in a pass, weights cold. Where a GPU has one of the two, it stands for
    both. monotone: a kernel takes no less than one that is smaller by powers of four in any dimensions. Real kernels
    do: of measured bf16 products, one in nine is faster with four times the rows (another algorithm, a better
    alignment), so this costs accuracy, and it prices thousands of kernels for one. Returns an array of the common
    shape, a number for numbers. Raises KeyError for a missing or unknown dimension, PredictorError for a family or
    dtype that was not calibrated and for a kernel that cannot be, as a window larger than its image.
    """
    if family not in FAMILIES:
        raise unknown("kernel family", family, sorted(FAMILIES))
    if context not in CONTEXTS:
        raise unknown("context", context, CONTEXTS)
    FAMILIES[family].check(dims)
    shape = np.broadcast_shapes(*(np.shape(d) for d in dims.values()))
    seconds = price_kernels(calibration, family, dtype, dims, context).seconds.reshape(shape)
    if monotone:
        arrays = FAMILIES[family].complete(dims)
        kernels = np.column_stack([np.ravel(array) for array in arrays.values()])
        seconds = _slowest_within(calibration, family, dtype, context, tuple(arrays), kernels).reshape(shape)
    return seconds if shape else float(seconds)


def _slowest_within(
    calibration: Calibration, family: str, dtype: str, context: str, names: tuple[str, ...], kernels: Array
) -> Array:
    """Longest time of each kernel and of all that are smaller by powers of four in their sizes, (kernels,). kernels:
    (kernels, dimensions), names: of the dimensions.
    """
    sizes = FAMILIES[family].sizes
    grids = []
    for kernel in kernels.tolist():
        steps = [
            [value / 4**k for k in range(int(math.log(value, 4) + 1e-9) + 1 if name in sizes and value >= 1 else 1)]
            for name, value in zip(names, kernel, strict=True)
        ]
        grids.append(np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, len(names)))
    distinct, back = np.unique(np.concatenate(grids), axis=0, return_inverse=True)
    dims = dict(zip(names, distinct.T, strict=True))
    seconds = price_kernels(calibration, family, dtype, dims, context).seconds[np.ravel(back)]
    return np.maximum.reduceat(seconds, np.cumsum([0, *(len(grid) for grid in grids[:-1])]))
