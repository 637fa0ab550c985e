"""Calibrations: data that says what a GPU, a host and a runtime charge; no code in them.

``<folder>/<gpu>/device.json`` (peaks, bandwidth, lanes, environment), ``kernels.json`` (fits per family) and
``<runtime>.json`` (host costs); ``calibration_files`` reads and writes them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.datasheets import (
    derived_device,
    equal_waves,
    instruction_time_factor,
    nearest,
    transferred,
)
from predictor.calibration.files import datasheets, find, read
from predictor.calibration.host_costs import HOSTS_DIFFER, HostCosts, host_costs_of, named_host
from predictor.calibration.kernel_models import KernelFit, is_winograd
from predictor.calibration.schema import (
    FILES,
    Datasheet,
    Device,
    FactorKey,
    FitKey,
    Kernels,
    NamedHosts,
    RuntimeCosts,
)
from predictor.calibration.trees import Forest
from predictor.errors import PredictorError, unknown
from predictor.kernels.families import FAMILIES, Family, fit_name, itemsize
from predictor.records import Lanes

CONTEXTS = ("replay", "model")

TRANSFER_ERROR = 0.29
"""What a transfer from another GPU adds to the error of a fit, standard deviation of log time: of the kernels of
published passes on eight GPUs, transferred from the H200 before anything was fitted to them, from 0.11 on a 3090 to 0.4
in fp32 on a 1080 Ti (``benchmarks/transferred_kernels.py``).
"""


@dataclass(frozen=True)
class Calibration:
    """The device part of a calibration, and the way to its host parts. Build it with ``load_calibration``, or with
    ``Calibration.of`` from what was measured.

    folder: where its files are, None where it has none; fits: by family, units and context; time_factor: see
    ``schema.Kernels``, for fits of another GPU; factors: what kernels of models take, relative to the fit, as fitted to
    whole passes; kernels_error: of the kernel time of a pass, where it is known as a whole (standard deviation of its
    logarithm); runtime_costs: runtime -> its costs on the host; named_hosts: hosts that are known by name.
    """

    gpu: str
    folder: Path | None
    device: Device
    fits: Mapping[FitKey, KernelFit]
    time_factor: float = 1.0
    factors: Mapping[FactorKey, float] = field(default_factory=dict)
    kernels_error: float | None = None
    runtime_costs: Mapping[str, RuntimeCosts] = field(default_factory=dict)
    named_hosts: NamedHosts | None = None

    @classmethod
    def of(
        cls,
        device: Device,
        kernels: Kernels,
        runtime_costs: Mapping[str, RuntimeCosts] | None = None,
        named_hosts: NamedHosts | None = None,
        folder: Path | None = None,
    ) -> Calibration:
        """A calibration from the content of its files. Raises PredictorError where they contradict each other."""
        where = folder or device.gpu
        for name, part in {"kernels": kernels, "hosts": named_hosts}.items():
            if part is not None and part.reference_gpu != device.reference_gpu:
                raise PredictorError(
                    f"{where}/{name}.json: $.reference_gpu: expected that of device.json, {device.reference_gpu!r}, "
                    f"got {part.reference_gpu!r}"
                )
        if device.provenance == "fitted" and named_hosts is None:
            raise PredictorError(f"{where}/hosts.json: is missing: it has the hosts of a GPU whose figures are fitted")
        fits = _fits_of_reference(device.reference_gpu, where) if device.reference_gpu else {}
        for number, fit in enumerate(kernels.fits):
            try:
                fits[FitKey(fit.family, fit.units, fit.context)] = KernelFit.of(fit)
            except ValueError as error:
                raise PredictorError(f"{where}/kernels.json: $.fits[{number}]: {error}") from None
        return cls(
            device.gpu,
            folder,
            device,
            fits,
            kernels.time_factor,
            {FactorKey(f.family, f.units, f.winograd): f.time_factor for f in kernels.factors},
            kernels.log_sd,
            runtime_costs or {},
            named_hosts,
        )

    @property
    def lanes(self) -> Lanes:
        """Constants of the queue."""
        return self.device.queue_lanes

    @property
    def sms(self) -> int:
        """Multiprocessors, or cores of a CPU."""
        return self.device.sms

    @property
    def architecture(self) -> str:
        """Of the GPU, see ``schema.ARCHITECTURES``; empty where it is not known."""
        return self.device.architecture

    @property
    def provenance(self) -> str:
        """ "measured", "fitted" or "derived"."""
        return self.device.provenance

    @property
    def typical_error(self) -> float:
        """Error of kernel times, standard deviation of their logarithm: of a pass, or where that is not known of a
        half-precision product, or of what there is.
        """
        if self.kernels_error is not None:
            return self.kernels_error
        return self.fit("gemm", "fp16" if "fp16" in self.dtypes else "fp32").error

    @property
    def runtimes(self) -> list[str]:
        """Runtimes with a host part: measured with this GPU, or else with its reference GPU."""
        return sorted({*self.runtime_costs, *(self.reference.runtimes if self.reference else ())})

    @property
    def reference(self) -> Calibration | None:
        """The calibration of the measured GPU that stands in for what was not measured here."""
        gpu = self.device.reference_gpu
        return _reference(gpu, self.folder or self.gpu) if gpu else None

    @property
    def dtypes(self) -> list[str]:
        """Dtypes whose matrix products were calibrated."""
        return sorted(self.device.peak_flops)

    def lanes_of(self, host: HostCosts) -> Lanes:
        """The lanes under a runtime: kernels of a CUDA graph follow each other more closely than those of a stream."""
        return self.lanes if host.gap_s is None else replace(self.lanes, gap_s=host.gap_s)

    @property
    def hosts(self) -> list[str]:
        """Names of the hosts that the calibration knows, where it knows them by name."""
        return sorted(self.named_hosts.hosts) if self.named_hosts else []

    def host_time_factor(self, name: str) -> float:
        """How many times as long a host of ``hosts`` takes as the one that it is scaled from."""
        assert self.named_hosts is not None
        return self.named_hosts.hosts[name].time_factor

    def host(self, runtime: str, name: str | None = None) -> HostCosts:
        """Host costs of a runtime. name: of one of ``hosts``, by default the least disturbed one that was measured
        under this runtime. Raises PredictorError where the runtime was not calibrated, or for an unknown host.
        """
        if runtime not in self.runtimes:
            has = ", ".join(self.runtimes) or "none"
            raise PredictorError(f"{self.gpu} is not calibrated for runtime {runtime!r} (it has {has}): run calibrate")
        if name is not None and name not in self.hosts:
            if not self.hosts:
                raise PredictorError(f"the calibration of {self.gpu} has one host, without a name")
            raise unknown(f"host of {self.gpu}", name, self.hosts)
        if runtime in self.runtime_costs and name is None:
            return host_costs_of(runtime, self.runtime_costs, self.folder or self.gpu)
        assert self.reference is not None
        theirs = self.reference.host(runtime)
        if self.named_hosts:
            return named_host(theirs, self.named_hosts, runtime, name)
        error = math.hypot(theirs.error, HOSTS_DIFFER)
        return replace(theirs, error=error, provenance="derived", reference_gpu=self.reference.gpu)

    def base(self, family: Family, dtype: str, dims: Mapping[str, NDArray[np.float64]]) -> tuple[Any, Any]:
        """Roofline terms in seconds: compute and memory (Williams et al., 2009), before the floor."""
        peaks = self.device.peak_flops
        peak = peaks.get(dtype, peaks["fp32"]) if family.matrix else peaks["fp32"]
        compute = family.flops(dims) / peak
        memory = family.nbytes(dims, itemsize(dtype)) / self.device.bandwidth_bytes_per_s
        return compute, memory

    def fit(self, family: str, dtype: str, context: str = "model") -> KernelFit:
        """The fit for a family and dtype in a context, see ``kernel_seconds``; memory families have one for all dtypes.

        Where one was not made the nearest of this GPU stands in: one context for the other, fp32 for TF32 where the
        device has none, the family that this one is like. A fit of this GPU comes before one borrowed from another, but
        for kernels of a model that were not measured in one: those of a GPU of the same architecture, measured with
        the framework that runs the model, come before a table of others' alone. A family that is newer than the
        calibration has its analytic base with the efficiency that is typical of pointwise kernels, all of it outside of
        the calibrated range.
        """
        contexts = ("model", "replay") if context == "model" else ("replay", "model")
        dtype = self.units(dtype)
        units = [fit_name(family, dtype), *(["fp32"] if dtype == "tf32" else [])]
        keys = [FitKey(family, name, one) for name in units for one in contexts]
        found = [self.fits[key] for key in keys if key in self.fits]
        if not found and FAMILIES[family].like:
            return self.fit(FAMILIES[family].like, dtype, context)
        if not found and not any(key.family == family for key in self.fits) and family != "pointwise":
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
        kin = context == "model" and any(fit.reference_gpu and self._is_kin(fit.reference_gpu) for fit in found)
        return min(found, key=lambda fit: fit.provenance == "derived" and not (kin and fit.reference_gpu))

    def _is_kin(self, other: str) -> bool:
        """Whether another GPU has this one's architecture, and so its libraries' kernels."""
        return bool(self.architecture) and architecture_of(other) == self.architecture

    def extrapolated(self, family: str, dtype: str, context: str = "model", **dims: Any) -> Any:
        """Whether kernels lie outside the calibrated range: a dimension beyond twice the largest that was measured, or
        other than the only one that was; arrays broadcast and come back flat.

        Such a kernel's price is its analytic base with the efficiency at the edge of the range, which is where trees
        stay; a row that is longer than any measured takes as many times what the longest takes beyond the floor.
        Kernels smaller than any measured take the floor's time, as these do.
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
        factor = self._factor(family, fit_name(family, self.units(dtype)), arrays) if context == "model" else 1.0
        if fit.reference_gpu:
            other = load_calibration(fit.reference_gpu)
            seconds = self._transferred(other, row, dtype, context, arrays, np.maximum(compute, memory).ravel())
            launches = other.price(family, dtype, context, **dims)[1]  # as many as the host was seen to issue
            return factor * seconds, launches, (compute > memory).ravel()
        features = row.matrix_of_features(arrays, dtype, self.sms)
        base = (np.maximum(compute, memory) + fit.floor_s).ravel()
        seconds = factor * base * np.exp(fit.residual.predict(features))
        launches = fit.launch_count(
            features, np.ravel(arrays["groups"]) if "groups" in row.dims else np.ones(len(base))
        )
        longest = fit.largest.get("cols", -1.0)
        if 0 < longest < np.max(arrays.get("cols", 0.0), initial=0.0):
            edge = {**arrays, "cols": np.minimum(arrays["cols"], longest)}
            edge_s = self.price(family, dtype, context, **edge)[0]
            grown_s = (edge_s - factor * fit.floor_s) * np.ravel(arrays["cols"]) / longest + factor * fit.floor_s
            seconds = np.where(np.ravel(arrays["cols"]) > longest, grown_s, seconds)
        if fit.exceptions:
            for i, shape in enumerate(zip(*(np.ravel(arrays[d]) for d in row.dims), strict=True)):
                seconds[i], launches[i] = fit.exceptions.get((dtype, *shape), (seconds[i], launches[i]))
        return seconds, launches, (compute > memory).ravel()

    def _transferred(
        self, other: Calibration, row: Family, dtype: str, context: str, arrays: Mapping[str, Any], roof_s: Any
    ) -> Any:
        """Seconds of kernels, from what another GPU takes for such as load its multiprocessors as much. Where another
        library's stand in for them, which picks its own for each size: from what it takes for those of their size.
        """
        units = self.units(dtype)
        stand_in = bool(row.like) and FitKey(row.name, fit_name(row.name, units), "model") not in other.fits
        longer = self.time_factor * (other.sms / self.sms if stand_in else 1)
        logs = np.zeros(len(roof_s))
        for times, weight in equal_waves(other.sms, other.sms if stand_in else self.sms):
            theirs = row.grown(arrays, times)
            seconds = other.price(row.name, units, context, **theirs)[0]
            their_roof_s = np.maximum(*other.base(row, units, theirs)).ravel()
            logs += weight * np.log(transferred(seconds, their_roof_s, roof_s, longer))
        return np.exp(logs)

    def _factor(self, family: str, name: str, arrays: Mapping[str, Any]) -> Any:
        usual, apart = (
            self.factors.get(FactorKey(family, name, False), 1.0),
            self.factors.get(FactorKey(family, name, True)),
        )
        return usual if apart is None else np.where(is_winograd(arrays), apart, usual).ravel()

    def units(self, dtype: str) -> str:
        """What products and convolutions in a dtype run in here: exact ones where there is no TF32."""
        return "fp32" if dtype == "tf32" and "tf32" not in self.device.peak_flops else dtype

    def kernel_seconds(
        self, family: str, dtype: str, *, context: str = "replay", monotone: bool = False, **dims: Any
    ) -> Any:
        """Seconds of kernels of one family.

        dims: the family's dimensions by name (``kernels.families.FAMILIES``), numbers or arrays that broadcast:
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


def load_calibration(gpu: str) -> Calibration:
    """The calibration of a GPU, by name or as a path to its folder; or one derived from a file with its datasheet
    (.json, see ``schema.Datasheet``). Raises PredictorError where there is none, or where it is damaged.
    """
    if gpu.endswith(".json"):
        return _of_datasheet(Path(gpu))
    if os.sep in gpu:
        return _load(Path(gpu), None)
    return _named(gpu)


def _named(gpu: str) -> Calibration:
    path = find(gpu)
    return _load(path, path.name)


@cache
def _load(path: Path, gpu: str | None) -> Calibration:
    device = read(path / "device.json", Device, gpu)
    kernels = read(path / "kernels.json", Kernels, device.gpu)
    hosts = path / "hosts.json"
    named_hosts = read(hosts, NamedHosts, device.gpu) if os.path.lexists(hosts) else None
    return Calibration.of(device, kernels, RuntimeFiles(path, device.gpu), named_hosts, path)


class RuntimeFiles(Mapping[str, RuntimeCosts]):
    """Runtime -> its costs, of the files in a folder, each read when it is asked for."""

    def __init__(self, folder: Path, gpu: str) -> None:
        self.folder, self.gpu = folder, gpu
        self._read: dict[str, RuntimeCosts] = {}

    def __getitem__(self, runtime: str) -> RuntimeCosts:
        if runtime not in self._read:
            path = self.folder / f"{runtime}.json"
            if runtime in FILES or not os.path.lexists(path):
                raise KeyError(runtime)
            costs = read(path, RuntimeCosts, self.gpu)
            if costs.runtime != runtime:
                raise PredictorError(
                    f"{path}: $.runtime: expected {runtime!r} as the file is called, got {costs.runtime!r}"
                )
            self._read[runtime] = costs
        return self._read[runtime]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(path.stem for path in self.folder.glob("*.json") if path.stem not in FILES))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, runtime: object) -> bool:
        return runtime in list(iter(self))


@cache
def _reference(gpu: str, where: object) -> Calibration:
    """The calibration of a reference GPU. where: what names it, for errors. It is one that was measured, so that no
    chain of references can lead back.
    """
    path = find(gpu)
    further = read(path / "device.json", Device, path.name).reference_gpu
    if further is not None:
        raise PredictorError(
            f"{where}/device.json: $.reference_gpu: {gpu} was not measured, it has the reference {further}: "
            "name a measured GPU"
        )
    return _load(path, path.name)


@cache
def architecture_of(gpu: str) -> str:
    """Architecture of a calibrated GPU, of its own file or else its datasheet; empty where neither says it."""
    own = _named(gpu).architecture
    sheet = None if own else datasheets().get(gpu)
    return own or (read(sheet, Datasheet, gpu).architecture if sheet else "")


@cache
def _of_datasheet(path: Path) -> Calibration:
    """A calibration of a GPU that is on no list, from the measured one of the nearest architecture."""
    sheet = read(path, Datasheet)
    known = {gpu: read(own, Datasheet, gpu) for gpu, own in datasheets().items()}
    measured = {g: s.architecture for g, s in known.items() if _named(g).provenance == "measured"}
    if not measured:
        raise PredictorError("no GPU with a datasheet is measured: there is nothing to derive another from")
    reference = nearest(sheet.architecture, measured)
    device = derived_device(sheet.gpu or path.stem, sheet, _named(reference).device, known[reference])
    time_factor = instruction_time_factor(sheet, known[reference])
    return Calibration(device.gpu, path, device, _fits_of_reference(reference, path), time_factor)


def _fits_of_reference(gpu: str, where: object) -> dict[FitKey, KernelFit]:
    """Another GPU's fits for a device that was not measured, see ``datasheets.transferred``."""
    return {
        key: replace(fit, error=math.hypot(fit.error, TRANSFER_ERROR), provenance="derived", reference_gpu=gpu)
        for key, fit in _reference(gpu, where).fits.items()
        if key.context == "model"
    }


def forget() -> None:
    """Drop what was read from disk: files have changed."""
    for cached in (_load, _reference, _of_datasheet, architecture_of):
        cached.cache_clear()
