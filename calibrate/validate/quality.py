"""Whether a calibration should be trusted: the noise while it was measured, its fits' errors, what is missing, how old
it is. ``calibrate`` asks before it writes one, ``calibrate check`` shows the answer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from calibrate.fit import few_kernels
from calibrate.fit.errors import log_sd
from calibrate.samples.environment import cpu_model, versions
from calibrate.samples.files import FOLDER, Samples
from calibrate.samples.kernels import measured_kernels
from calibrate.samples.records import CaseRound, HostRound
from calibrate.samples.rounds import QUIET_MARGIN, quiet_level
from predictor import runtimes
from predictor.calibration import files
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import Datasheet, RuntimeCosts
from predictor.kernels.families import FAMILIES, MeasuredIn

LARGEST_ERROR, LARGE_ERROR, LARGE_KERNEL_ERROR = 0.5, 0.25, 0.4
"""Standard deviation of log time, of a host's fit and of the median kernel fit: beyond the first, intervals span more
than a factor of five and a calibration is refused; beyond the second, of kernels the third, it is remarked upon.
Judgements: the shipped measured calibrations have 0.07 to 0.25 under every runtime, and 0.30 and 0.32 of kernels; a
busy host that measured nothing of use had 2.1."""

SMALLEST_BANDWIDTH, SMALL_BANDWIDTH = 0.5, 0.7
"""Of the datasheet's: 0.88 and 0.90 on the H200 and the H100; a judgement."""

SMALLEST_PEAK, SMALL_PEAK, LARGEST_PEAK = 0.35, 0.55, 1.1
"""FLOP/s over the datasheet's: 0.77 to 0.89 on the H200 and the H100. More than the datasheet's is another GPU's, or a
clock that went wrong; a judgement."""

LARGEST_CLOCKS, LARGE_CLOCKS = 1.3, 1.1
"""How many times as long as measured before a few kernels may take on a GPU of the same name, or as short: what power
limits and other drivers explain, a judgement. The H100's kernels as its datasheet says took 1.02 times as long."""

SMALLEST_CPU_BANDWIDTH = 6.4e9
"""Bytes/s that any processor since 2010 copies: half of one channel of DDR3-1600."""

SMALLEST_QUIET, SMALL_QUIET = 0.2, 0.5
"""Share of a run's host probes at its quiet level: 0.43 to 0.97 in the shipped calibrations; at 0.2 the quiet level,
the 20th percentile, is all that there is."""

SMALLEST_GAP_S = 1e-7
"""Seconds between nodes of a CUDA graph: 3e-7 (2e-7 to 5e-7) measured by themselves on an H200; less is the bound of
the regression."""

FEWEST_MODULES = 5
"""Modules that four coefficients of a host can be fitted to."""

OLD_DAYS = 365
"""Age after which drivers and libraries are others, a judgement."""

OK, REMARK, FAILS = "ok", "look", "BAD"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. what: in a word or two; found: its value; verdict: as above."""

    what: str
    found: str
    verdict: str = OK

    @property
    def fails(self) -> bool:
        """Whether it speaks against trusting the calibration."""
        return self.verdict == FAILS


def doubts(calibration: Calibration) -> list[str]:
    """What speaks against trusting a calibration, before it is written; its samples are in its folder."""
    return [f"{finding.what} {finding.found}" for finding in _measured(calibration) if finding.fails]


def checked(folder: str) -> list[Finding]:
    """Everything that is looked at, of a calibration's folder or of a GPU's name. Raises PredictorError where there is
    none.
    """
    calibration = load_calibration(str(Path(folder).resolve()) if Path(folder).is_dir() else folder)
    return [
        *_identity(calibration),
        *_marked(calibration),
        *_measured(calibration),
        *_whole_passes(calibration),
        *_missing(calibration),
    ]


def quality_text(findings: Sequence[Finding]) -> str:
    """The findings in lines of 80 columns, and a verdict."""
    failed, remarked = ([f for f in findings if f.verdict == verdict] for verdict in (FAILS, REMARK))
    verdict = "trust it" if not failed else f"do not trust it: {', '.join(f.what for f in failed)}"
    if remarked and not failed:
        verdict += f", but look at: {', '.join(dict.fromkeys(f.what for f in remarked))}"
    lines = [line for finding in findings for line in _lines(finding)]
    return "\n".join([*lines, "", *textwrap.wrap(verdict, 79, subsequent_indent="  ")])


def _lines(finding: Finding) -> list[str]:
    first, *others = textwrap.wrap(finding.found, 49) or [""]
    return [f"{finding.what:23} {first:49} {finding.verdict:>5}", *(f"{'':23} {line}" for line in others)]


def _graded(what: str, found: str, bad: bool, remark: bool) -> Finding:
    return Finding(what, found, FAILS if bad else REMARK if remark else OK)


def _identity(calibration: Calibration) -> Iterator[Finding]:
    """What it is, when and where it was made."""
    device, environment = calibration.device, calibration.device.environment
    of_few = f": a few kernels measured, the rest {device.reference_gpu}'s" if _is_here(calibration) else ""
    published = {"fitted": ": to published latencies", "derived": ": nobody measured it"}
    elsewhere = of_few or published.get(device.provenance, "")
    yield _graded("device", f"{device.name}, {device.provenance}{elsewhere}", False, bool(elsewhere))
    when = datetime.fromisoformat(environment.date)
    days = (datetime.now(UTC) - (when if when.tzinfo else when.replace(tzinfo=UTC))).days
    yield _graded("age", f"{max(days, 0)} days ({environment.date[:10]})", False, days > OLD_DAYS)
    here = versions()
    for package in ("torch", "transformers", "onnxruntime"):
        there, ours = environment.versions.get(package, ""), here.get(package, "")
        if there:
            differs = bool(ours) and ours.split("+")[0] != there.split("+")[0]
            yield _graded(package, there + (f", {ours} here" if differs else ""), False, differs)
    if environment.cpu:
        yield Finding("host", environment.cpu + (", as here" if environment.cpu == cpu_model() else ""))


def _is_here(calibration: Calibration) -> bool:
    """Whether the constants of a device that has a reference were measured nevertheless."""
    return bool(calibration.device.reference_gpu and calibration.device.environment.gpu)


def _marked(calibration: Calibration) -> Iterator[Finding]:
    """What it says of itself."""
    marked = [calibration.device.environment, *(c.environment for c in calibration.runtime_costs.values())]
    for text in dict.fromkeys(environment.doubts for environment in marked if environment.doubts):
        yield Finding("written by --force", text, FAILS)


def _measured(calibration: Calibration) -> Iterator[Finding]:
    """Noise, device, fits."""
    folder = calibration.folder
    samples = Samples.of(folder) if folder is not None and (folder / FOLDER).is_dir() else None
    if samples:
        yield from _noise(samples)
    yield from _device(calibration)
    for name, costs in sorted(calibration.runtime_costs.items()):
        yield from _host(name, costs)
    yield from _kernels(calibration)
    if samples and not calibration.lanes.serial:
        yield from _few_kernels(calibration, samples)


def _noise(samples: Samples) -> Iterator[Finding]:
    """How quiet the host was, from the probes beside the samples."""
    rounds: dict[str, list[tuple[float, ...]]] = {
        "operators": [r.probe_s for r in samples.host.of(HostRound)],
        "modules": [r.probe_s for r in samples.modules.of(CaseRound)],
        "runtimes": [r.probe_s for r in samples.runtimes.of(CaseRound)],
    }
    for part, probes in rounds.items():
        if probes:
            readings = [float(reading) for taken in probes for reading in taken]
            level = quiet_level(readings)
            quiet = float(np.mean(np.array(readings) <= level * (1 + QUIET_MARGIN)))
            found = f"{quiet:.0%} of {len(readings)} host probes quiet ({level * 1e3:.2g} ms)"
            yield _graded(f"noise {part}", found, quiet <= SMALLEST_QUIET, quiet < SMALL_QUIET)


def _device(calibration: Calibration) -> Iterator[Finding]:
    """Bandwidth and peaks, against the datasheet where there is one."""
    device = calibration.device
    bandwidth = device.bandwidth_bytes_per_s
    if device.provenance != "measured" and not _is_here(calibration):
        return
    path = files.datasheets().get(calibration.gpu)
    if path is None:
        slow = calibration.lanes.serial and bandwidth < SMALLEST_CPU_BANDWIDTH
        beside = "" if calibration.lanes.serial else ", no datasheet to compare with"
        yield _graded("bandwidth", f"{bandwidth / 1e9:.3g} GB/s{beside}", slow, bool(beside))
        return
    sheet = files.read(path, Datasheet, calibration.gpu)
    share = bandwidth / sheet.bandwidth_bytes_per_s
    found = f"{bandwidth / 1e9:.4g} GB/s, {share:.0%} of the datasheet's"
    yield _graded("bandwidth", found, share < SMALLEST_BANDWIDTH, share < SMALL_BANDWIDTH)
    for dtype, flops in device.peak_flops.items():
        if dtype in sheet.peak_flops:
            share = flops / sheet.peak_flops[dtype]
            found = f"{flops / 1e12:.3g} TFLOP/s, {share:.0%} of the datasheet's"
            bad = share < SMALLEST_PEAK or share > LARGEST_PEAK
            yield _graded(f"peak {dtype}", found, bad, share < SMALL_PEAK)


def _host(name: str, costs: RuntimeCosts) -> Iterator[Finding]:
    """How far a host's fit is off, and which of its coefficients the data did not settle."""
    if costs.provenance != "measured":
        return
    error = costs.error
    if error.modules:
        found = f"error {error.log_sd:.0%}, median {error.median:.0%} of {error.modules} modules"
        few = error.modules < FEWEST_MODULES
        yield _graded(f"host {name}", found, error.log_sd > LARGEST_ERROR or few, error.log_sd > LARGE_ERROR)
    if runtimes.load(name).host_terms is None:  # eager: Python is what remains of a pass
        by_call = {"a line": costs.line_s, "a module": costs.module_s, "a function": costs.function_s}
        python = {**by_call, "fixed": costs.fixed_s}
        nothing = [what for what, seconds in python.items() if seconds <= 0]
        if nothing:
            found = f"no cost of {', '.join(nothing)}: at the bound of the fit"
            yield _graded("coefficients", found, len(nothing) == len(python) and costs.op_factor <= 1, True)
    elif costs.gap_s is not None and costs.gap_s < SMALLEST_GAP_S:
        yield Finding("coefficients", f"{name}: gap of {costs.gap_s * 1e6:.2g} us a node, at its bound", REMARK)


def _kernels(calibration: Calibration) -> Iterator[Finding]:
    """How far kernel fits are off on kernels left out."""
    errors = {key: fit.error for key, fit in calibration.fits.items() if fit.provenance == "measured"}
    if errors:
        median, worst = float(np.median(list(errors.values()))), max(errors, key=lambda key: errors[key])
        found = f"median error {median:.0%} of {len(errors)} fits, {worst.family} {errors[worst]:.0%}"
        yield _graded("kernels", found, median > LARGEST_ERROR, median > LARGE_KERNEL_ERROR)


def _few_kernels(calibration: Calibration, samples: Samples) -> Iterator[Finding]:
    """What a few kernels say, where they were too few for fits of their own."""
    kernels = measured_kernels(samples.kernels)
    if not kernels or not few_kernels.are_few(kernels):
        return
    ratios = np.concatenate(list(few_kernels.log_ratios(calibration, kernels).values()))
    off = float(np.median(ratios))
    if calibration.device.reference_gpu:
        least, most = (f"{pick(calibration.factors.values()):.2f}" for pick in (min, max))
        found = (
            f"{len(ratios)} here: families take {least} to {most} times as long as what "
            f"{calibration.device.reference_gpu}'s say, spread {log_sd(ratios):.0%}"
        )
        yield _graded("kernels", found, log_sd(ratios) > LARGEST_ERROR, log_sd(ratios) > LARGE_KERNEL_ERROR)
        return
    found = f"{len(ratios)} here: {np.exp(off):.2f} times as long as measured before, spread {log_sd(ratios - off):.0%}"
    bad, remark = (abs(off) > np.log(limit) for limit in (LARGEST_CLOCKS, LARGE_CLOCKS))
    yield _graded("kernels here", found, bool(bad), bool(remark))


def _whole_passes(calibration: Calibration) -> Iterator[Finding]:
    """Errors of what was fitted to others' passes, or derived: they are in every interval."""
    if calibration.device.provenance == "measured" or _is_here(calibration):
        return
    if calibration.kernels_error is not None:
        yield _error("kernels of a pass", calibration.kernels_error)
    yield _error("host eager", calibration.own_host("eager").error)


def _error(what: str, error: float) -> Finding:
    return _graded(what, f"error {error:.0%}", error > LARGEST_ERROR, error > LARGE_ERROR)


def _missing(calibration: Calibration) -> Iterator[Finding]:
    """Runtimes and kernel families that were not measured."""
    borrowed = [name for name in calibration.runtimes if name not in calibration.runtime_costs]
    if _is_here(calibration) and borrowed:
        yield Finding(
            "runtimes missing", f"{', '.join(borrowed)}: as on {calibration.device.reference_gpu}'s host", REMARK
        )
    if calibration.device.provenance != "measured":
        return
    serial = calibration.lanes.serial
    wanted = [name for name in runtimes.names() if not (serial and runtimes.load(name).needs_gpu)]
    lacking = [name for name in wanted if name not in calibration.runtimes]
    if lacking:
        yield Finding("runtimes missing", ", ".join(lacking), REMARK)
    fitted = {key.family for key in calibration.fits}
    families = [name for name, f in FAMILIES.items() if f.measured_in is MeasuredIn.CALLS and name not in fitted]
    if families:
        yield Finding("kernels missing", f"{len(families)}: {', '.join(families)}", REMARK)
    if calibration.folder is not None and not (calibration.folder / FOLDER).is_dir():
        yield Finding("samples missing", "it cannot be fitted again", REMARK)
