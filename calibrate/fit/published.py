"""Kernel times that others measured, fitted into a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from calibrate.fit.kernels import by_fit, fit_family
from calibrate.samples.kernels import read_kernels
from predictor.calibration import files
from predictor.calibration.datasheets import derived_device, instruction_time_factor
from predictor.calibration.load import forget, load_calibration
from predictor.calibration.schema import Datasheet, Device, Fit, Kernels
from predictor.errors import PredictorError


def fit_published(gpu: str, folder: Path, kernels: Sequence[Path], like: str | None, source: str = "") -> None:
    """Fit published kernel times into the calibration in ``folder``.

    A GPU that was calibrated keeps all that it has, the fits come beside; one that was fitted to passes keeps its hosts
    and factors, which ``calibrate fit --published`` makes anew. Any other gets ``device.json`` from its
    ``datasheet.json`` and from what the GPU ``like`` reaches of its own, whose residuals stand in for the families that
    nobody measured. source: who measured the kernels, kept with the fits. Raises PredictorError where a file or
    ``like`` is missing.
    """
    samples = [sample for path in kernels for sample in read_kernels(path, gpu)]
    if not samples:
        raise PredictorError(f"no kernels of {gpu} in {', '.join(map(str, kernels)) or 'no file'}")
    device, content = _measured(gpu, folder) or _derived(gpu, folder, like)
    fits = [fit_family(own, family, device, "replay", "fitted", source) for (family, _), own in by_fit(samples).items()]
    content = msgspec.structs.replace(content, fits=merged(content.fits, fits))
    files.write_calibration(folder, [content, device])
    forget()


def merged(known: Sequence[Fit], new: Sequence[Fit]) -> list[Fit]:
    """Fits, the new ones in place of those of the same family, units and context."""
    return list({(fit.family, fit.units, fit.context): fit for fit in (*known, *new)}.values())


def _measured(gpu: str, folder: Path) -> tuple[Device, Kernels] | None:
    """The device and the kernels of a GPU that was calibrated."""
    if not (folder / "kernels.json").is_file():
        return None
    kernels = files.read(folder / "kernels.json", Kernels, gpu)
    return (files.read(folder / "device.json", Device, gpu), kernels) if kernels.reference_gpu is None else None


def _derived(gpu: str, folder: Path, like: str | None) -> tuple[Device, Kernels]:
    """Device and kernels of a GPU that nobody here has, but for its factors, where passes were fitted, without fits."""
    if like is None:
        raise PredictorError(f"{gpu} was not calibrated: say which calibrated GPU it is --like")
    sheet = files.read(folder / "datasheet.json", Datasheet, gpu)
    known = load_calibration(like)
    reference = files.datasheet(known.gpu)
    device = derived_device(gpu, sheet, known.device, reference)
    kernels = Kernels(
        gpu=gpu,
        provenance="derived",
        reference_gpu=known.gpu,
        time_factor=float(f"{instruction_time_factor(sheet, reference):.6g}"),
        log_sd=None,
        factors=[],
        fits=[],
    )
    if not (folder / "hosts.json").is_file():
        return device, kernels
    before = files.read(folder / "kernels.json", Kernels, gpu)  # fitted to passes: that stays
    return msgspec.structs.replace(device, provenance="fitted"), msgspec.structs.replace(
        kernels, provenance=before.provenance, factors=before.factors, log_sd=before.log_sd
    )
