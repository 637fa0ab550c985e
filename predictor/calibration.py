"""Calibrations: data that says what a GPU, a host and a runtime charge; no code in them.

``<folder>/<gpu>/device.json`` (peaks, bandwidth, lanes, environment), ``kernels.json`` (fits per family) and
``<runtime>.json`` (host costs); ``calibration_files`` reads and writes them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration_files import datasheets, find, read_json
from predictor.derived import check_sheet, device_of, floor_scale, nearest
from predictor.errors import PredictorError, unknown
from predictor.families import FAMILIES, Family, fit_name, itemsize
from predictor.forest import Forest
from predictor.kernel_fit import KernelFit
from predictor.records import Lanes

CONTEXTS = ("replay", "model")
REPLAY = " replay"
"""Suffix of a dtype in kernels.json: the fit of kernels that were repeated alone."""

BORROWED_ERROR = 0.6
"""What a residual from another architecture adds to the error of a fit, root mean square of log time. A judgement,
after a trial with the kernel-bound passes of The Framework Tax's published latencies: kernel times derived from the
H200 were off by 0.4 on an A100 and by 0.5 to 0.7 on seven GPUs of less bandwidth, mostly too long.
"""

HOSTS_DIFFER = 0.3
"""What a host that was measured with another GPU adds to the error of its costs: how much the latency of a model at
batch 1 differs between the machines of The Framework Tax's published runs (standard deviation of its logarithm,
``benchmarks/published_hosts.py``).
"""


@dataclass(frozen=True)
class HostCosts:
    """Host side of a runtime on one host.

    calls: operator -> dtype -> seconds of one call, (hot, cold): in a tight loop, and among a hundred others; launches:
    kernels that the timed call launched; typical_s: the same of a typical operator, by trait. The cost of a call is
    ``hot + (cold - hot) x its coldness`` (``reuse.coldness``), grown by ``launch_s`` for every kernel that it launches
    beyond the timed call's. On matrix units, where the library's own cost depends on the shape, it grows instead by
    what exp(shapes), of a family and dtype, says of its kernel beyond the timed call's ``shapes_s``. Host time is
    ``op_factor`` times that, ``line_s`` and ``module_s`` for the cold lines and modules of the Python before it
    (``records.PythonWork``), ``call_s`` a call, and ``fixed_s`` a pass. gap_s: between kernels, where it is not that of
    a stream. error: of generated modules, left out one at a time, root mean
    square of log time.
    """

    runtime: str
    op_factor: float
    line_s: float
    module_s: float
    fixed_s: float
    launch_s: float
    calls: Mapping[str, Mapping[str, tuple[float, float]]]
    launches: Mapping[str, Mapping[str, float]]
    shapes: Mapping[tuple[str, str], Forest]
    shapes_s: Mapping[str, Mapping[str, float]]
    typical_s: Mapping[str, tuple[float, float]]
    error: float
    probe_s: float
    environment: Mapping[str, Any]
    provenance: str
    call_s: float = 0.0
    gap_s: float | None = None
    borrowed: str = ""


@dataclass(frozen=True)
class Calibration:
    """The device part of a calibration, and the way to its host parts. Build it with ``load_calibration``."""

    gpu: str
    folder: Path
    device: Mapping[str, Any]
    fits: Mapping[tuple[str, str], KernelFit]

    @cached_property
    def lanes(self) -> Lanes:
        """Constants of the queue."""
        return Lanes(**self.device["lanes"], serial=bool(self.device["serial"]))

    @property
    def sms(self) -> int:
        """Multiprocessors, or cores of a CPU."""
        return int(self.device["sms"])

    @property
    def provenance(self) -> str:
        """ "measured", "fitted" or "derived"."""
        return str(self.device["provenance"])

    @property
    def runtimes(self) -> list[str]:
        """Runtimes with a host part: measured with this GPU, or else with the one that it is like."""
        own = {p.stem for p in self.folder.glob("*.json")} - {"datasheet", "device", "kernels"}
        return sorted(own | set(load_calibration(self.device["like"]).runtimes if "like" in self.device else ()))

    @property
    def dtypes(self) -> list[str]:
        """Dtypes whose matrix products were calibrated."""
        return sorted(self.device["peak_flops"])

    def lanes_of(self, host: HostCosts) -> Lanes:
        """The lanes under a runtime: kernels of a CUDA graph follow each other more closely than those of a stream."""
        return self.lanes if host.gap_s is None else replace(self.lanes, gap_s=host.gap_s)

    def host(self, runtime: str) -> HostCosts:
        """Host costs of a runtime. Raises PredictorError where it was not calibrated."""
        if runtime not in self.runtimes:
            has = ", ".join(self.runtimes) or "none"
            raise PredictorError(f"{self.gpu} is not calibrated for runtime {runtime!r} (it has {has}): run calibrate")
        path = self.folder / f"{runtime}.json"
        if path.is_file():
            return _host(path, self.gpu)
        theirs = load_calibration(self.device["like"]).host(runtime)
        error = math.hypot(theirs.error, HOSTS_DIFFER)
        return replace(theirs, error=error, provenance="derived", borrowed=str(self.device["like"]))

    def base(self, family: Family, dtype: str, dims: Mapping[str, NDArray[np.float64]]) -> tuple[Any, Any]:
        """Roofline terms in seconds: compute and memory (Williams et al., 2009), before the floor."""
        peaks = self.device["peak_flops"]
        peak = peaks.get(dtype, peaks["fp32"]) if family.matrix else peaks["fp32"]
        compute = family.flops(dims) / peak
        memory = family.nbytes(dims, itemsize(dtype)) / self.device["bandwidth_bytes_per_s"]
        return compute, memory

    def fit(self, family: str, dtype: str, context: str = "model") -> KernelFit:
        """The fit for a family and dtype in a context, see ``kernel_seconds``; memory families have one for all dtypes.

        Where one was not made the nearest of this GPU stands in: one context for the other, fp32 for TF32 where the
        device has none, the family that this one is like. A fit of this GPU comes before one borrowed from another. A
        family that is newer than the calibration has its analytic base with the efficiency that is typical of pointwise
        kernels, all of it outside of the calibrated range.
        """
        contexts = ("", REPLAY) if context == "model" else (REPLAY, "")
        names = [fit_name(family, dtype) + suffix for suffix in contexts]
        names += [f"fp32{suffix}" for suffix in contexts if dtype == "tf32"]
        found = [self.fits[family, name] for name in names if (family, name) in self.fits]
        if not found and FAMILIES[family].like:
            return self.fit(FAMILIES[family].like, dtype, context)
        if not found and not any(name == family for name, _ in self.fits) and family != "pointwise":
            plain = self.fit("pointwise", dtype, context)
            return replace(
                plain,
                residual=Forest.constant(plain.residual.initial),
                launches=Forest.constant(0.0),
                patterns=np.array([[0.0, 1.0]]),
                exceptions={},
                only={},
                largest=dict.fromkeys(FAMILIES[family].dims, -1.0),
            )
        if not found:
            raise PredictorError(
                f"the calibration of {self.gpu} has no {family} kernels in {dtype}: run calibrate again"
            )
        return min(found, key=lambda fit: fit.provenance == "derived")

    def extrapolated(self, family: str, dtype: str, context: str = "model", **dims: Any) -> Any:
        """Whether kernels lie outside the calibrated range: a dimension beyond twice the largest that was measured, or
        other than the only one that was; arrays broadcast and come back flat.

        Such a kernel's price is its analytic base with the efficiency at the edge of the range, which is where trees
        stay. Kernels smaller than any measured take the floor's time, as these do.
        """
        arrays = FAMILIES[family].complete(dims)
        outside = np.zeros(next(iter(arrays.values())).shape, dtype=bool)
        fit = self.fit(family, dtype, context)
        for name, largest in fit.largest.items():
            outside |= arrays[name] > 2 * largest
        for name, value in fit.only.items():
            outside |= arrays[name] != value
        return outside.ravel()

    def price(self, family: str, dtype: str, context: str = "model", **dims: Any) -> tuple[Any, Any, Any]:
        """(seconds, launches, whether compute-bound) of kernels; arrays broadcast and come back flat."""
        row = FAMILIES[family]
        arrays = row.complete(dims)
        fit = self.fit(family, dtype, context)
        compute, memory = self.base(row, dtype, arrays)
        features = row.matrix_of_features(arrays, dtype, self.sms)
        base = (np.maximum(compute, memory) + fit.floor_s).ravel()
        seconds = base * np.exp(fit.residual.predict(features))
        launches = fit.launch_count(
            features, np.ravel(arrays["groups"]) if "groups" in row.dims else np.ones(len(base))
        )
        if fit.exceptions:
            for i, shape in enumerate(zip(*(np.ravel(arrays[d]) for d in row.dims), strict=True)):
                seconds[i], launches[i] = fit.exceptions.get((dtype, *shape), (seconds[i], launches[i]))
        return seconds, launches, (compute > memory).ravel()

    def kernel_seconds(
        self, family: str, dtype: str, *, context: str = "replay", monotone: bool = False, **dims: Any
    ) -> Any:
        """Seconds of kernels of one family.

        dims: the family's dimensions by name (``predictor.families.FAMILIES``), numbers or arrays that broadcast:
        gemm takes m, n, k (``y[m, n] = x[m, k] @ w[n, k]^T``) and batch; attention batch, seq, heads, head_dim,
        kv_heads, kv_seq, causal, mask. context: "replay", the kernel repeated alone as under CUDA Graph replay, what
        it reads still in cache as far as it fits; or "model", among others in a pass, weights cold. Where a GPU has one
        of the two, it stands for both. monotone: a kernel takes no less than one that is smaller by powers of four in
        any dimensions. Real kernels do: of measured bf16 products, one in nine is faster with four times the rows
        (another algorithm, a better alignment), so this costs accuracy, and it prices thousands of kernels for one.
        Returns an array of the common shape, a number for numbers. Raises KeyError for a missing or unknown dimension,
        PredictorError for a family or dtype that was not calibrated.
        """
        if family not in FAMILIES:
            raise unknown("kernel family", family, sorted(FAMILIES))
        if context not in CONTEXTS:
            raise unknown("context", context, CONTEXTS)
        shape = np.broadcast_shapes(*(np.shape(d) for d in dims.values()))
        seconds = self.price(family, dtype, context, **dims)[0].reshape(shape)
        if monotone:
            arrays = FAMILIES[family].complete(dims)
            each = zip(*(np.ravel(array) for array in arrays.values()), strict=True)
            seconds = np.array([self._slowest_within(family, dtype, context, one) for one in each]).reshape(shape)
        return seconds if shape else float(seconds)

    def _slowest_within(self, family: str, dtype: str, context: str, dims: tuple[float, ...]) -> float:
        """Longest time of a kernel and of all that are smaller by powers of four in their sizes."""
        row = FAMILIES[family]
        steps = [
            [value / 4**k for k in range(int(math.log(value, 4) + 1e-9) + 1)]
            if name in row.sizes and value >= 1
            else [value]
            for name, value in zip(row.dims, dims, strict=True)
        ]
        grid = np.meshgrid(*steps, indexing="ij")
        smaller = {name: array.ravel() for name, array in zip(row.dims, grid, strict=True)}
        return float(self.price(family, dtype, context, **smaller)[0].max())


@cache
def _host(path: Path, gpu: str) -> HostCosts:
    data = read_json(path, gpu)
    while "like" in data:  # another runtime's table of operators, with rows of its own
        other = read_json(path.with_name(f"{data['like']}.json"), gpu)
        data = with_rows_of(other, {name: value for name, value in data.items() if name != "like"})
    return host_costs_of(data, path)


def with_rows_of(other: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """A runtime's file completed with another's rows: the same operators, called by another host."""
    tables = {name: {**other.get(name, {}), **data.get(name, {})} for name in _TABLES}
    further = {"like": other["like"]} if "like" in other else {}
    return {**data, **tables, **further}


_TABLES = ("calls", "launches", "shapes", "shapes_s", "typical_s")


def host_costs_of(data: Mapping[str, Any], path: Path) -> HostCosts:
    """Host costs from the content of a runtime's file. Raises PredictorError where something is missing."""
    try:
        return HostCosts(
            runtime=data["runtime"],
            calls={op: {d: (hot, cold) for d, (hot, cold) in costs.items()} for op, costs in data["calls"].items()},
            launches=data["launches"],
            shapes={
                (family, dtype): Forest.from_json(forest)
                for family, dtypes in data["shapes"].items()
                for dtype, forest in dtypes.items()
            },
            shapes_s=data["shapes_s"],
            typical_s={trait: (hot, cold) for trait, (hot, cold) in data["typical_s"].items()},
            error=data["error"]["log_rms"],
            probe_s=data["environment"]["probe_s"],
            environment=data["environment"],
            provenance=data["provenance"],
            **data["coefficients"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PredictorError(f"calibration file {path} is incomplete ({error}): run calibrate again") from None


def load_calibration(gpu: str) -> Calibration:
    """The calibration of a GPU, by name or as a path to its folder; or one derived from a file with its datasheet
    (.json, see ``derived.check_sheet``). Raises PredictorError where there is none.
    """
    if gpu.endswith(".json"):
        return _of_datasheet(Path(gpu))
    if os.sep in gpu:
        return _load(Path(gpu), None)
    path = find(gpu)
    return _load(path, path.name)


@cache
def _load(path: Path, gpu: str | None) -> Calibration:
    device = read_json(path / "device.json", gpu)
    kernels = read_json(path / "kernels.json", device["gpu"])
    try:
        fits = _borrowed_fits(kernels["like"], kernels["floor_scale"]) if "like" in kernels else {}
        fits |= {
            (family, name): KernelFit.from_json(fit, kernels["provenance"])
            for family, named in kernels["families"].items()
            for name, fit in named.items()
        }
        calibration = Calibration(str(device["gpu"]), path, device, fits)
        calibration.lanes, calibration.sms, device["peak_flops"]["fp32"], device["bandwidth_bytes_per_s"]
    except (KeyError, TypeError, ValueError) as error:
        raise PredictorError(f"the calibration in {path} is incomplete ({error}): run calibrate again") from None
    return calibration


@cache
def _of_datasheet(path: Path) -> Calibration:
    """A calibration of a GPU that is on no list, from the measured one of the nearest architecture."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PredictorError(f"{path} cannot be read as a datasheet: {error}") from None
    sheet = check_sheet(content, path)
    known = {gpu: read_json(own, gpu) for gpu, own in datasheets().items()}
    measured = {g: s["architecture"] for g, s in known.items() if load_calibration(g).provenance == "measured"}
    if not measured:
        raise PredictorError("no GPU with a datasheet is measured: there is nothing to derive another from")
    like = nearest(sheet["architecture"], measured)
    name = str(sheet.get("gpu", path.stem))
    device = device_of(name, sheet, load_calibration(like).device, known[like])
    fits = _borrowed_fits(like, floor_scale(sheet, known[like]))
    if "tf32" not in sheet["peak_flops"]:  # convolutions are exact there, as products are
        fits = {key: fit for key, fit in fits.items() if key[1] != "tf32"}
    return Calibration(name, path, device, fits)


def _borrowed_fits(gpu: str, floor_scale: float) -> dict[tuple[str, str], KernelFit]:
    """Another GPU's fits for a device that was not measured: its residuals stand over the device's own roofline."""
    return {
        key: replace(
            fit,
            floor_s=fit.floor_s * floor_scale,
            error=math.hypot(fit.error, BORROWED_ERROR),
            provenance="derived",
            exceptions={},
        )
        for key, fit in load_calibration(gpu).fits.items()
        if not key[1].endswith(REPLAY)
    }


def forget() -> None:
    """Drop what was read from disk: files have changed."""
    for read in (_host, _load, _of_datasheet):
        read.cache_clear()
