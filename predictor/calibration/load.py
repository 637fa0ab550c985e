"""Calibrations: data that says what a GPU, a host and a runtime charge; no code in them.

``<folder>/<gpu>/device.json`` (peaks, bandwidth, lanes, environment), ``kernels.json`` (fits per family) and
``<runtime>.json`` (host costs); ``calibration_files`` reads and writes them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.calibration.datasheets import check_sheet, device_of, equal_waves, nearest, slower, transferred
from predictor.calibration.files import datasheets, find, read_json
from predictor.calibration.host_costs import HOSTS_DIFFER, HostCosts, named_host, read_host
from predictor.calibration.kernel_models import WINOGRAD, KernelFit, is_winograd
from predictor.calibration.trees import Forest
from predictor.errors import PredictorError, unknown
from predictor.kernels.families import FAMILIES, Family, fit_name, itemsize
from predictor.records import Lanes

CONTEXTS = ("replay", "model")
REPLAY = " replay"
"""Suffix of a dtype in kernels.json: the fit of kernels that were repeated alone."""

BORROWED_ERROR = 0.29
"""What a transfer from another GPU adds to the error of a fit, standard deviation of log time: of the kernels of
published passes on eight GPUs, transferred from the H200 before anything was fitted to them, from 0.11 on a 3090 to 0.4
in fp32 on a 1080 Ti (``benchmarks/transferred_kernels.py``).
"""


@dataclass(frozen=True)
class Calibration:
    """The device part of a calibration, and the way to its host parts. Build it with ``load_calibration``.

    slower: see ``derived.slower``, for fits borrowed from another GPU; factors: (family, fit's name) -> what kernels of
    models take, relative to the fit, as fitted to whole passes; kernels_error: of the kernel time of a pass, where it
    is known as a whole (standard deviation of its logarithm).
    """

    gpu: str
    folder: Path
    device: Mapping[str, Any]
    fits: Mapping[tuple[str, str], KernelFit]
    slower: float = 1.0
    factors: Mapping[tuple[str, str], float] = field(default_factory=dict)
    kernels_error: float | None = None

    @cached_property
    def lanes(self) -> Lanes:
        """Constants of the queue."""
        return Lanes(**self.device["lanes"], serial=bool(self.device["serial"]))

    @property
    def sms(self) -> int:
        """Multiprocessors, or cores of a CPU."""
        return int(self.device["sms"])

    @property
    def architecture(self) -> str:
        """Of the GPU, see ``derived.ARCHITECTURES``; empty where it was measured itself."""
        return str(self.device.get("architecture", ""))

    @property
    def provenance(self) -> str:
        """ "measured", "fitted" or "derived"."""
        return str(self.device["provenance"])

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
        """Runtimes with a host part: measured with this GPU, or else with the one that it is like."""
        own = {p.stem for p in self.folder.glob("*.json")} - {"datasheet", "device", "kernels", "hosts"}
        return sorted(own | set(load_calibration(self.device["like"]).runtimes if "like" in self.device else ()))

    @property
    def dtypes(self) -> list[str]:
        """Dtypes whose matrix products were calibrated."""
        return sorted(self.device["peak_flops"])

    def lanes_of(self, host: HostCosts) -> Lanes:
        """The lanes under a runtime: kernels of a CUDA graph follow each other more closely than those of a stream."""
        return self.lanes if host.gap_s is None else replace(self.lanes, gap_s=host.gap_s)

    @property
    def hosts(self) -> list[str]:
        """Names of the hosts that the calibration knows, where it knows them by name."""
        return sorted(self._named["hosts"]) if self._named else []

    def slower_host(self, name: str) -> float:
        """How many times as long a host of ``hosts`` takes as the one that it is scaled from."""
        return float(self._named["hosts"][name]["slower"])

    @cached_property
    def _named(self) -> dict[str, Any]:
        path = self.folder / "hosts.json"
        return read_json(path, self.gpu) if path.is_file() else {}

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
        path = self.folder / f"{runtime}.json"
        if path.is_file() and name is None:
            return read_host(path, self.gpu)
        theirs = load_calibration(self.device["like"]).host(runtime)
        if self._named:
            return named_host(theirs, self._named, runtime, name)
        error = math.hypot(theirs.error, HOSTS_DIFFER)
        like = str(self.device["like"])
        return replace(theirs, error=error, provenance="derived", borrowed=like, beside=like)

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
        device has none, the family that this one is like. A fit of this GPU comes before one borrowed from another, but
        for kernels of a model that were not measured in one: those of a GPU of the same architecture, measured with
        the framework that runs the model, come before a table of others' alone. A family that is newer than the
        calibration has its analytic base with the efficiency that is typical of pointwise kernels, all of it outside of
        the calibrated range.
        """
        contexts = ("", REPLAY) if context == "model" else (REPLAY, "")
        dtype = self.units(dtype)
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
        kin = context == "model" and any(fit.borrowed and self._is_kin(fit.borrowed) for fit in found)
        return min(found, key=lambda fit: fit.provenance == "derived" and not (kin and fit.borrowed))

    def _is_kin(self, other: str) -> bool:
        """Whether another GPU has this one's architecture, and so its libraries' kernels."""
        return bool(self.architecture) and _architecture_of(other) == self.architecture

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
        if fit.borrowed:
            other = load_calibration(fit.borrowed)
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
        stand_in = bool(row.like) and (row.name, fit_name(row.name, units)) not in other.fits
        longer = self.slower * (other.sms / self.sms if stand_in else 1)
        logs = np.zeros(len(roof_s))
        for times, weight in equal_waves(other.sms, other.sms if stand_in else self.sms):
            theirs = row.grown(arrays, times)
            seconds = other.price(row.name, units, context, **theirs)[0]
            their_roof_s = np.maximum(*other.base(row, units, theirs)).ravel()
            logs += weight * np.log(transferred(seconds, their_roof_s, roof_s, longer))
        return np.exp(logs)

    def _factor(self, family: str, name: str, arrays: Mapping[str, Any]) -> Any:
        usual, apart = self.factors.get((family, name), 1.0), self.factors.get((family, name + WINOGRAD))
        return usual if apart is None else np.where(is_winograd(arrays), apart, usual).ravel()

    def units(self, dtype: str) -> str:
        """What products and convolutions in a dtype run in here: exact ones where there is no TF32."""
        return "fp32" if dtype == "tf32" and "tf32" not in self.device["peak_flops"] else dtype

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
        fits = _borrowed_fits(kernels["like"]) if "like" in kernels else {}
        fits |= {
            (family, name): KernelFit.from_json(fit, kernels["provenance"])
            for family, named in kernels["families"].items()
            for name, fit in named.items()
        }
        named = kernels.get("factors", {}).items()
        factors = {(family, name): float(f) for family, own in named for name, f in own.items()}
        more = float(kernels.get("slower", 1.0)), factors, kernels.get("error", {}).get("log_sd")
        calibration = Calibration(str(device["gpu"]), path, device, fits, *more)
        calibration.lanes, calibration.sms, device["peak_flops"]["fp32"], device["bandwidth_bytes_per_s"]
    except (KeyError, TypeError, ValueError) as error:
        raise PredictorError(f"the calibration in {path} is incomplete ({error}): run calibrate again") from None
    return calibration


@cache
def _architecture_of(gpu: str) -> str:
    path = datasheets().get(gpu)
    return str(read_json(path, gpu)["architecture"]) if path else ""


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
    return Calibration(name, path, device, _borrowed_fits(like), slower(sheet, known[like]))


def _borrowed_fits(gpu: str) -> dict[tuple[str, str], KernelFit]:
    """Another GPU's fits for a device that was not measured, see ``derived.transferred``."""
    return {
        key: replace(fit, error=math.hypot(fit.error, BORROWED_ERROR), provenance="derived", borrowed=gpu)
        for key, fit in load_calibration(gpu).fits.items()
        if not key[1].endswith(REPLAY)
    }


def forget() -> None:
    """Drop what was read from disk: files have changed."""
    for read in (read_host, _load, _of_datasheet, _architecture_of):
        read.cache_clear()
