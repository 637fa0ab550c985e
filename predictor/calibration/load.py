"""Calibrations: data that says what a GPU, a host and a runtime charge; no code in them.

``<folder>/<gpu>/device.json`` (peaks, bandwidth, lanes, environment), ``kernels.json`` (fits per family) and
``<runtime>.json`` (host costs); ``files`` reads and writes them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from predictor.calibration.datasheets import derived_device, instruction_time_factor, nearest
from predictor.calibration.files import (
    datasheets,
    find,
    folders,
    gpu_name,
    has_datasheet_alone,
    is_known,
    known_gpus,
    read,
)
from predictor.calibration.host_costs import (
    TYPICAL_HOST,
    HostCosts,
    host_costs_of,
    named_host,
    of_another_gpu,
    probed_host,
)
from predictor.calibration.kernel_models import KernelFit, kernel_fits
from predictor.calibration.schema import (
    ARCHITECTURES,
    FILES,
    Datasheet,
    Device,
    FactorKey,
    FitKey,
    HostProbe,
    Kernels,
    NamedHosts,
    RuntimeCosts,
)
from predictor.errors import PredictorError, unknown
from predictor.records import Lanes

TRANSFER_ERROR = 0.29
"""What a transfer from another GPU adds to the error of a fit, standard deviation of log time: of the kernels of
published passes on eight GPUs, transferred from the H200 before anything was fitted to them, from 0.11 on a 3090 to 0.4
in fp32 on a 1080 Ti (``benchmarks/transferred_kernels.py``).
"""

BEFORE_AMPERE = ARCHITECTURES[: ARCHITECTURES.index("ampere")]
SINCE_AMPERE = ("bf16", "tf32")
"""Dtypes whose matrix units came with Ampere: NVIDIA A100 Tensor Core GPU Architecture, 2020."""

DTYPE_SYNONYMS = {
    **{"float32": "fp32", "float": "fp32", "single": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16"},
    **{"tensorfloat32": "tf32", "f32": "fp32", "f16": "fp16", "torch.float16": "fp16", "torch.bfloat16": "bf16"},
}
"""What else people call the dtypes."""

TRANSFERS_ALIKE = 0.58
"""How much of the error of a transfer all models on a GPU share: 0.17 of 0.29, the spread over published sessions,
while models of one session spread by 0.24 (``benchmarks/measured_correction.py --constants``).
"""

RELATED_ERROR = 0.1
"""What a transfer from a fitted GPU of the same architecture adds, as ``TRANSFER_ERROR`` otherwise. Between GPUs of one
architecture that were both fitted it is 0.03 (the same benchmark), but these share their fit: a judgement.
"""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The device part of a calibration, and the way to its host parts. Build it with ``load_calibration``, or with
    ``Calibration.of`` from what was measured.

    folder: where its files are, None where it has none; fits: by family, units and context; time_factor: see
    ``schema.Kernels``, for fits of another GPU; factors: what kernels of models take, relative to the fit, as fitted to
    whole passes; kernels_error: of the kernel time of a pass, where it is known as a whole (standard deviation of its
    logarithm); transfer_error: what being transferred from another GPU adds to it, or is part of in the errors of fits;
    reference_time_factor: of the GPU that ``time_factor`` is relative to, where that is no measured one;
    runtime_costs: runtime -> its costs on the host; named_hosts: hosts that are known by name; known_fits: (family,
    dtype, context) -> the fit that ``pricing.kernels`` chose, so that it chooses once; known_hosts: (runtime, name) ->
    host costs that were asked for; priced: what ``pricing`` remembers of the last kernels that it priced;
    known_kernels: likewise, of single kernels of models.
    """

    gpu: str
    folder: Path | None
    device: Device
    fits: Mapping[FitKey, KernelFit]
    time_factor: float = 1.0
    factors: Mapping[FactorKey, float] = field(default_factory=dict)
    kernels_error: float | None = None
    transfer_error: float = 0.0
    reference_time_factor: float = 1.0
    runtime_costs: Mapping[str, RuntimeCosts] = field(default_factory=dict)
    named_hosts: NamedHosts | None = None
    known_fits: dict[tuple[str, str, str], KernelFit] = field(default_factory=dict, init=False, repr=False)
    known_hosts: dict[tuple[str, str | None], HostCosts] = field(default_factory=dict, init=False, repr=False)
    priced: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    known_kernels: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(
        cls,
        device: Device,
        kernels: Kernels,
        runtime_costs: Mapping[str, RuntimeCosts] | None = None,
        named_hosts: NamedHosts | None = None,
        folder: Path | None = None,
    ) -> Calibration:
        """A calibration from the content of its files. Raises PredictorError where they contradict each other.
        runtime_costs: None where its host is not fitted yet.
        """
        where = folder or device.gpu
        for name, part in {"kernels": kernels, "hosts": named_hosts}.items():
            if part is not None and part.reference_gpu != device.reference_gpu:
                raise PredictorError(
                    f"{where}/{name}.json: $.reference_gpu: expected that of device.json, {device.reference_gpu!r}, "
                    f"got {part.reference_gpu!r}"
                )
        if named_hosts is not None and TYPICAL_HOST in named_hosts.hosts:
            raise PredictorError(f"{where}/hosts.json: $.hosts.{TYPICAL_HOST}: no host can be called so")
        without_host = named_hosts is None and runtime_costs is not None and not runtime_costs
        if device.provenance == "fitted" and without_host:
            raise PredictorError(f"{where}/hosts.json: is missing: it has the hosts of a GPU whose figures are fitted")
        other = device.reference_gpu
        fits = _derived(_reference(other, where).fits, other, TRANSFER_ERROR) if other else {}
        fits |= kernel_fits(kernels, f"{where}/kernels.json")
        return cls(
            device.gpu,
            folder,
            device,
            fits,
            kernels.time_factor,
            {FactorKey(f.family, f.units, f.winograd): f.time_factor for f in kernels.factors},
            kernels.log_sd,
            transfer_error=TRANSFER_ERROR if other and kernels.log_sd is None else 0.0,
            runtime_costs=runtime_costs or {},
            named_hosts=named_hosts,
        )

    @cached_property
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

    @cached_property
    def runtimes(self) -> list[str]:
        """Runtimes with a host part: measured with this GPU, or else with its reference GPU."""
        return sorted({*self.runtime_costs, *(self.reference.runtimes if self.reference else ())})

    @property
    def reference(self) -> Calibration | None:
        """The calibration of the GPU, measured or fitted, that stands in for what was not measured here."""
        gpu = self.device.reference_gpu
        return _reference(gpu, self.folder or self.gpu, True) if gpu else None

    @property
    def dtypes(self) -> list[str]:
        """Dtypes whose matrix products were calibrated."""
        return sorted(self.device.peak_flops)

    def unknown_dtype(self, dtype: str) -> PredictorError:
        """The error for a dtype that was not calibrated, which says whether the GPU lacks it."""
        able = " or ".join(self.dtypes)
        if dtype in SINCE_AMPERE and self.architecture in BEFORE_AMPERE:
            return PredictorError(f"{self.gpu} has no {dtype}: say another, --dtype {able}")
        if dtype.lower() in DTYPE_SYNONYMS:
            return PredictorError(f"unknown dtype {dtype!r}: did you mean {DTYPE_SYNONYMS[dtype.lower()]}?")
        if dtype.lower().startswith(("int", "uint", "fp8", "float8", "fp4", "nvfp4")):
            return PredictorError(f"{dtype} is not supported, quantised kernels are not priced: --dtype {able}")
        return unknown(f"dtype of {self.gpu}", dtype, self.dtypes)

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
        """Host costs of a runtime.

        name: None: the device's ``default_host``, else the host that was measured with this GPU, else a typical one of
        those that are known by name, else that of its reference GPU; "typical": the latter two; one of ``hosts``, or of
        another GPU's; a GPU: its host, with its software; a path that ends in .json: a host that ``calibrate --probe``
        was run on. Raises PredictorError where the runtime was not calibrated, or for an unknown host.
        """
        name = name or self.device.default_host
        if name is not None and name.endswith(".json"):  # the file may change
            return self._probed(runtime, Path(name))
        key = runtime, name
        if key not in self.known_hosts:
            self.known_hosts[key] = self._host(runtime, name)
        return self.known_hosts[key]

    def own_host(self, runtime: str) -> HostCosts:
        """Host costs of a runtime as they were measured with this GPU, or stand in for that, see ``host``."""
        return self.host(runtime, self.gpu)

    def _host(self, runtime: str, name: str | None) -> HostCosts:
        is_own = name is None or gpu_name(name) == gpu_name(self.gpu)
        if is_own or name == TYPICAL_HOST:
            self._check(runtime)
            if runtime in self.runtime_costs and (is_own or not self.named_hosts):
                costs = host_costs_of(runtime, self.runtime_costs, self.folder or self.gpu)
                return replace(costs, label=f"the {self.gpu}'s host")
            assert self.reference is not None
            theirs = self.reference.host(runtime)
            if self.named_hosts:
                return named_host(theirs, self.named_hosts, runtime, None)
            return of_another_gpu(theirs, self.reference.gpu)
        if self.lanes.serial:
            raise PredictorError(f"{self.gpu} is host and device in one: it takes no other host")
        if self.named_hosts and name in self.named_hosts.hosts:
            assert self.reference is not None
            self._check(runtime)
            return named_host(self.reference.host(runtime), self.named_hosts, runtime, name)
        assert name is not None
        known = all_hosts()
        alike = next((gpu for gpu in known_gpus() if gpu_name(gpu) == gpu_name(name)), None)
        if name not in known and alike is None:
            error = unknown(f"host of {self.gpu}", name, {*self.hosts, *known})
            raise (
                error
                if "did you mean" in str(error)
                else PredictorError(
                    f"unknown host of {self.gpu} {name!r}: predict list hosts --gpu {self.gpu} tells all"
                )
            )
        owner = _named(known.get(name) or str(alike))
        host = owner.host(runtime, name if name in owner.hosts else owner.gpu)
        return of_another_gpu(host, owner.gpu) if owner.gpu != self.gpu else host

    def _check(self, runtime: str) -> None:
        if runtime not in self.runtimes:
            has = ", ".join(self.runtimes) or "none"
            raise PredictorError(f"{self.gpu} is not calibrated for runtime {runtime!r} (it has {has}): run calibrate")

    def _probed(self, runtime: str, path: Path) -> HostCosts:
        if self.lanes.serial:
            raise PredictorError(f"{self.gpu} is host and device in one: it takes no other host")
        self._check(runtime)
        measured = self
        while runtime not in measured.runtime_costs:
            assert measured.reference is not None
            measured = measured.reference
        host = measured.host(runtime)
        return probed_host(host, read(path, HostProbe), path.name, host.reference_gpu or measured.gpu)


def all_hosts() -> dict[str, str]:
    """Every host that goes with any GPU -> the GPU that it was measured with: those that are known by name, and by the
    name of the GPU that of each GPU with a host of its own.
    """
    hosts: dict[str, str] = {}
    for gpu in known_gpus():
        path = _find(gpu, tuple(folders()))
        if os.path.lexists(path / "hosts.json"):
            hosts |= dict.fromkeys(read(path / "hosts.json", NamedHosts, gpu).hosts, gpu)
        if os.path.lexists(path / "eager.json") and not _load(path, path.name).lanes.serial:
            hosts[gpu] = gpu
    return hosts


def load_calibration(gpu: str) -> Calibration:
    """The calibration of a GPU, by name or as a path to its folder; or one derived from a file with its datasheet
    (.json, see ``schema.Datasheet``). A name that no calibration has may be that of a folder here. Raises
    PredictorError where there is none, or where it is damaged.
    """
    if gpu.endswith(".json"):
        return _of_datasheet(Path(gpu))
    if Path(gpu).name != gpu:
        return _load(Path(gpu), None)
    if Path(gpu).is_dir() and not is_known(gpu):
        return _load(Path(gpu).absolute(), None)
    return _named(gpu)


def _named(gpu: str) -> Calibration:
    path = _find(gpu, tuple(folders()))
    return _load(path, path.name)


@cache
def _find(gpu: str, folders: tuple[Path, ...]) -> Path:
    return find(gpu)


@cache
def _load(path: Path, gpu: str | None) -> Calibration:
    if has_datasheet_alone(path):
        return _of_datasheet(path / "datasheet.json")
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
def _reference(gpu: str, where: object, of_datasheet: bool = False) -> Calibration:
    """The calibration of a reference GPU. where: what names it, for errors. It is one that was measured, for a
    datasheet also one with a measured reference, so that no chain of references can lead back.
    """
    path = find(gpu)
    further = read(path / "device.json", Device, path.name).reference_gpu
    if further is not None and not of_datasheet:
        raise PredictorError(
            f"{where}/device.json: $.reference_gpu: {gpu} was not measured, it has the reference {further}: "
            "name a measured GPU"
        )
    return _load(path, path.name)


@cache
def architecture_of(gpu: str) -> str:
    """Architecture of a calibrated GPU, of its own file or else its datasheet; empty where neither says it."""
    architecture = _named(gpu).architecture
    sheet = None if architecture else datasheets().get(gpu)
    return architecture or (read(sheet, Datasheet, gpu).architecture if sheet else "")


@cache
def _of_datasheet(path: Path) -> Calibration:
    """A calibration of a GPU that is on no list, from a calibrated one: the one that the datasheet names, else the
    measured one of the nearest architecture.
    """
    sheet = read(path, Datasheet)
    known = {gpu: read(sheet_path, Datasheet, gpu) for gpu, sheet_path in datasheets().items()}
    measured = {gpu: other for gpu, other in known.items() if _named(gpu).provenance == "measured"}
    if not measured:
        raise PredictorError("no GPU with a datasheet is measured: there is nothing to derive another from")
    name = sheet.reference_gpu or nearest(sheet, measured)
    if name not in known:
        raise PredictorError(f"{path}: $.reference_gpu: {unknown('calibrated GPU', name, sorted(known))}")
    reference = _reference(name, path, True)
    related = reference.provenance != "measured" and sheet.architecture == known[name].architecture
    further = RELATED_ERROR if related else TRANSFER_ERROR
    gpu = sheet.gpu or (path.parent.name if path.stem == "datasheet" else path.stem)
    return Calibration(
        gpu,
        path,
        derived_device(gpu, sheet, reference.device, known[name]),
        _derived(reference.fits, name, further),
        instruction_time_factor(sheet, known[name]),
        kernels_error=reference.kernels_error,
        reference_time_factor=reference.time_factor,
        transfer_error=further,
    )


def _derived(fits: Mapping[FitKey, KernelFit], gpu: str, further: float) -> dict[FitKey, KernelFit]:
    """Another GPU's fits for a device that was not measured, see ``datasheets.transferred``; where that one was fitted
    to whole passes its factors are part of what its kernels take. further: what the transfer adds to their error.
    """
    return {
        key: replace(fit, error=math.hypot(fit.error, further), provenance="derived", reference_gpu=gpu)
        for key, fit in fits.items()
        if key.context == "model"
    }


def forget() -> None:
    """Drop what was read from disk: files have changed."""
    for cached in (_find, _load, _reference, _of_datasheet, architecture_of):
        cached.cache_clear()
