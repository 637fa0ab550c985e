"""Kernel times that others measured, fitted into a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calibrate.fit.kernels import by_fit, fit_family
from calibrate.samples.kernels import read_kernels
from predictor.calibration import files
from predictor.calibration.datasheets import device_of, slower
from predictor.calibration.load import REPLAY, forget, load_calibration
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
    measured = (folder / "kernels.json").is_file() and "like" not in files.read_json(folder / "kernels.json", gpu)
    if measured:
        device, content = (files.read_json(folder / f"{name}.json", gpu) for name in ("device", "kernels"))
    else:
        device, content = _derived(gpu, folder, like)
        if (folder / "hosts.json").is_file():  # fitted to passes: that stays
            before = files.read_json(folder / "kernels.json", gpu)
            content |= {name: before[name] for name in ("provenance", "factors", "error")}
            device |= {"provenance": "fitted"}
    for (family, name), own in by_fit(samples).items():
        fit = {"provenance": "fitted", "source": source, **fit_family(own, family, device)}
        content["families"].setdefault(family, {})[f"{name}{REPLAY}"] = fit
    files.write_json(folder / "kernels.json", content)
    if not measured:
        files.write_json(folder / "device.json", device)
    forget()


def _derived(gpu: str, folder: Path, like: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """device.json and an empty kernels.json of a GPU that nobody here has."""
    if like is None:
        raise PredictorError(f"{gpu} was not calibrated: say which calibrated GPU it is --like")
    sheet = files.read_json(folder / "datasheet.json", gpu)
    known = load_calibration(like)
    reference = files.read_json(known.folder / "datasheet.json", known.gpu)
    device = {"schema": files.SCHEMA, **device_of(gpu, sheet, known.device, reference)}
    head = {"schema": files.SCHEMA, "gpu": gpu, "provenance": "derived", "like": known.gpu}
    return device, {**head, "slower": float(f"{slower(sheet, reference):.6g}"), "families": {}}
