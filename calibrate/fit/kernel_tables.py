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


def fit_published(gpu: str, folder: Path, kernels: Sequence[Path], reference_gpu: str | None, source: str = "") -> None:
    """Fit published kernel times into the calibration in ``folder``.

    A GPU that was calibrated keeps all that it has and gets the new fits; one that was fitted to passes keeps its hosts
    and factors, which ``calibrate fit --published`` fits again. Any other GPU gets ``device.json`` from its
    ``datasheet.json`` and from the share of its own datasheet that ``reference_gpu`` reaches, whose residuals stand in
    for the families that nobody measured. source: who measured the kernels, kept with the fits. Raises PredictorError
    where a file or ``reference_gpu`` is missing.
    """
    samples = [sample for path in kernels for sample in read_kernels(path, gpu)]
    if not samples:
        raise PredictorError(f"no kernels of {gpu} in {', '.join(map(str, kernels)) or 'no file'}")
    device, content = _measured(gpu, folder) or _derived(gpu, folder, reference_gpu)
    fits = [
        fit_family(group, family, device, "replay", "fitted", source) for (family, _), group in by_fit(samples).items()
    ]
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


def _derived(gpu: str, folder: Path, reference_gpu: str | None) -> tuple[Device, Kernels]:
    """Device and kernels of a GPU that nobody here has, but for its factors, where passes were fitted, without fits."""
    if reference_gpu is None:
        raise PredictorError(
            f"{gpu} is not calibrated: name a calibrated GPU for what was not measured: --reference-gpu NAME"
        )
    sheet = files.read(folder / "datasheet.json", Datasheet, gpu)
    known = load_calibration(reference_gpu)
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
