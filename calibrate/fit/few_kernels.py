"""A few samples of kernels -> those of a GPU that was measured in full, and how this one departs from them.

Forests need thousands of samples. A few hundred, some of each family, do not give them (a product is off by a factor of
1.3, most other families by 1.8), but they tell by how much a family takes longer than what is known says: for a GPU of
which somebody measured all kernels that is a check; for another it is a factor for each family, beside the kernels of
the nearest GPU as they are transferred to this one (``pricing.transfer``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from msgspec.structs import replace as with_fields
from numpy.typing import NDArray

from calibrate.fit.errors import log_sd
from calibrate.samples.kernels import MeasuredKernel
from calibrate.workloads import sweeps
from predictor.calibration import files
from predictor.calibration.datasheets import instruction_time_factor, nearest
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import Datasheet, Device, FitKey, KernelFactor, Kernels
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES, MeasuredIn, fit_name
from predictor.pricing.kernels import price_kernels
from predictor.pricing.limits import units

Array = NDArray[np.float64]

FEW = 0.25
"""Share of the full sweep's samples below which no forests are fitted, a judgement: the quick sweep has a fortieth."""

USUAL_CLOCK_HZ = 1.7e9
"""Of a GPU that has no datasheet and whose driver does not tell its clock: factors of families make up for it."""


def are_few(samples: Sequence[MeasuredKernel]) -> bool:
    """Whether they are too few for fits of their own. Kernels that runtimes alone make do not count."""
    calls = sum(FAMILIES[sample.family].measured_in is MeasuredIn.CALLS for sample in samples)
    return calls < FEW * sweeps.FULL.total


def measured_in_full(gpu: str, device: Device, out: Path) -> tuple[Device, Kernels] | None:
    """Device and kernels of a GPU of this name, the same by its driver's name, that somebody measured: in ``out``, or
    in the first folder that has them. None where nobody did. device: as it was measured now.
    """
    for folder in (out, *files.folders_of(gpu)):
        with suppress(PredictorError):  # none yet, or damaged
            known = files.read(folder / "device.json", Device, gpu)
            same = known.environment.gpu == device.environment.gpu and not known.environment.doubts
            if same and known.provenance == "measured":
                return with_fields(known, default_host=None), files.read(folder / "kernels.json", Kernels, gpu)
    return None


def departing(gpu: str, device: Device, samples: Sequence[MeasuredKernel]) -> tuple[Device, Kernels]:
    """Device and kernels of a GPU of which no more is known than its constants and a few kernels: those of the nearest
    GPU that was measured in full, and a factor for each family. device: as it was measured. Raises PredictorError where
    no GPU was measured.
    """
    sheet = _datasheet(gpu, device)
    reference_gpu = nearest_measured(gpu, sheet)
    device = with_fields(device, provenance="fitted", reference_gpu=reference_gpu)
    kernels = Kernels(
        gpu=gpu,
        provenance="fitted",
        reference_gpu=reference_gpu,
        time_factor=_rounded(instruction_time_factor(sheet, files.datasheet(reference_gpu))),
        log_sd=None,
        factors=[],
        fits=[],
    )
    kernels = with_fields(kernels, factors=_factors(Calibration.of(device, kernels), samples))
    ratios = log_ratios(Calibration.of(device, kernels), samples)
    return device, with_fields(kernels, log_sd=_rounded(log_sd(np.concatenate(list(ratios.values())))))


def _datasheet(gpu: str, device: Device) -> Datasheet:
    """That of a GPU; where nobody wrote one, made of what was measured. Raises PredictorError where that does not tell
    the architecture.
    """
    with suppress(PredictorError):
        return files.datasheet(gpu)
    if not device.architecture:
        raise PredictorError(f"too few kernels for fits, and no datasheet of {gpu} to derive it from: without --quick")
    clock, _, unit = device.environment.sm_clock.partition(" ")
    return Datasheet(
        name=device.name,
        architecture=device.architecture,
        sms=device.sms,
        l2_bytes=device.l2_bytes,
        clock_hz=float(clock) * 1e6 if unit == "MHz" else USUAL_CLOCK_HZ,
        bandwidth_bytes_per_s=device.bandwidth_bytes_per_s,
        peak_flops=device.peak_flops,
    )


def measured_sheets() -> dict[str, Datasheet]:
    """GPU that was measured -> its datasheet. Raises PredictorError where there is none."""
    sheets = {name: files.datasheet(name) for name in files.datasheets()}
    measured = {name: sheet for name, sheet in sheets.items() if load_calibration(name).provenance == "measured"}
    if not measured:
        raise PredictorError("no GPU with a datasheet is measured: there is nothing to fit another from")
    return measured


def nearest_measured(gpu: str, sheet: Datasheet) -> str:
    """The measured GPU that another is derived from: never itself; the one that its calibration or its datasheet names,
    where that was measured, else the nearest. Raises PredictorError where none was measured.
    """
    measured = {n: known for n, known in measured_sheets().items() if files.gpu_name(n) != files.gpu_name(gpu)}
    if not measured:
        raise PredictorError(f"no GPU but {gpu} is measured: there is nothing to fit it from")
    named = [sheet.reference_gpu]
    with suppress(PredictorError):  # not known, or damaged
        named.insert(0, load_calibration(gpu).device.reference_gpu)
    return next((name for name in named if name in measured), None) or nearest(sheet, measured)


def log_ratios(calibration: Calibration, samples: Sequence[MeasuredKernel]) -> dict[FitKey, Array]:
    """Family and units -> logarithm of measured over predicted seconds of each kernel that can be priced."""
    groups: dict[tuple[str, str], list[MeasuredKernel]] = defaultdict(list)
    for sample in samples:
        groups[sample.family, sample.dtype].append(sample)
    ratios: dict[FitKey, list[Array]] = defaultdict(list)
    for (family, dtype), group in sorted(groups.items()):
        dims = {
            name: np.array([s.dims.get(name, default) for s in group], dtype=float)
            for name, default in FAMILIES[family].dims.items()
        }
        with suppress(PredictorError):
            predicted_s = price_kernels(calibration, family, dtype, dims).seconds
            key = FitKey(family, fit_name(family, units(calibration, dtype)), "model")
            ratios[key].append(np.log([s.seconds for s in group]) - np.log(predicted_s))
    return {key: np.concatenate(parts) for key, parts in ratios.items()}


def _factors(calibration: Calibration, samples: Sequence[MeasuredKernel]) -> list[KernelFactor]:
    """Median of measured over transferred time of every family and units, drawn to what all families have in common as
    far as chance explains that it differs (Efron and Morris, "Data analysis using Stein's estimator", 1975). What was
    not measured has what is common.
    """
    ratios = log_ratios(calibration, samples)
    counts = np.array([len(logs) for logs in ratios.values()])
    medians = np.array([np.median(logs) for logs in ratios.values()])
    within = log_sd(np.concatenate([logs - np.median(logs) for logs in ratios.values()]))
    by_chance = np.pi / 2 * within**2 / counts  # variance of a median
    common = float(np.average(medians, weights=counts))
    differ = max(float(np.average((medians - common) ** 2 - by_chance, weights=counts)), 0.0)
    drawn = common + differ / np.maximum(differ + by_chance, 1e-12) * (medians - common)
    logs = dict.fromkeys((key for key in calibration.fits if key.context == "model"), common)
    logs |= dict(zip(ratios, drawn.tolist(), strict=True))
    return [
        KernelFactor(family=key.family, units=key.units, winograd=False, time_factor=_rounded(float(np.exp(log))))
        for key, log in sorted(logs.items())
    ]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
