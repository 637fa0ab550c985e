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

from predictor.calibration.datasheets import check_sheet, device_of, nearest, slower
from predictor.calibration.files import datasheets, find, read_json
from predictor.calibration.host_costs import HOSTS_DIFFER, HostCosts, named_host, read_host
from predictor.calibration.kernel_models import KernelFit
from predictor.errors import PredictorError, unknown
from predictor.records import Lanes

REPLAY = " replay"
"""Suffix of a dtype in kernels.json: the fit of kernels that were repeated alone."""

BORROWED_ERROR = 0.29
"""What a transfer from another GPU adds to the error of a fit, standard deviation of log time: of the kernels of
published passes on eight GPUs, transferred from the H200 before anything was fitted to them, from 0.11 on a 3090 to 0.4
in fp32 on a 1080 Ti (``benchmarks/transferred_kernels.py``).
"""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The device part of a calibration, and the way to its host parts. Build it with ``load_calibration``.

    slower: see ``derived.slower``, for fits borrowed from another GPU; factors: (family, fit's name) -> what kernels of
    models take, relative to the fit, as fitted to whole passes; kernels_error: of the kernel time of a pass, where it
    is known as a whole (standard deviation of its logarithm); known_fits: (family, dtype, context) -> the fit that
    ``pricing.kernels`` chose, so that it chooses once; known_hosts: (runtime, name) ->
    host costs that were read; priced: what ``pricing`` remembers of the last kernels that it priced.
    """

    gpu: str
    folder: Path
    device: Mapping[str, Any]
    fits: Mapping[tuple[str, str], KernelFit]
    slower: float = 1.0
    factors: Mapping[tuple[str, str], float] = field(default_factory=dict)
    kernels_error: float | None = None
    known_fits: dict[tuple[str, str, str], KernelFit] = field(default_factory=dict, init=False, repr=False)
    known_hosts: dict[tuple[str, str | None], HostCosts] = field(default_factory=dict, init=False, repr=False)
    priced: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

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

    @cached_property
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
        key = runtime, name
        if key not in self.known_hosts:
            self.known_hosts[key] = self._read_host(runtime, name)
        return self.known_hosts[key]

    def _read_host(self, runtime: str, name: str | None) -> HostCosts:
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


def load_calibration(gpu: str) -> Calibration:
    """The calibration of a GPU, by name or as a path to its folder; or one derived from a file with its datasheet
    (.json, see ``derived.check_sheet``). Raises PredictorError where there is none.
    """
    if gpu.endswith(".json"):
        return _of_datasheet(Path(gpu))
    if os.sep in gpu:
        return _load(Path(gpu), None)
    path = _find(gpu, tuple(os.environ.get(name) for name in WHERE))
    return _load(path, path.name)


WHERE = ("PREDICTOR_CALIBRATIONS", "XDG_DATA_HOME", "HOME")
"""What of the environment decides where calibrations are looked for."""


@cache
def _find(gpu: str, where: tuple[str | None, ...]) -> Path:
    return find(gpu)


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
def architecture_of(gpu: str) -> str:
    """Architecture of a GPU by its datasheet, see ``datasheets.ARCHITECTURES``; empty where it has none."""
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
    for read in (_find, read_host, _load, _of_datasheet, architecture_of):
        read.cache_clear()
