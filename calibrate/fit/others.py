"""What others measured, kernel times or latencies of whole models, fitted into calibrations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calibrate.fit.kernel_tables import fit_published
from calibrate.fit.model_latencies import fit_passes
from calibrate.samples.model_latencies import read_passes
from predictor.calibration.files import find
from predictor.errors import PredictorError


def fit_tables(
    gpu: str, kernels: Sequence[Path], published: Path | None, reference_gpu: str | None, source: str, out: Path | None
) -> list[Path]:
    """Fit files of kernel times and a table of published passes; returns the folders that were written.

    gpu: which was measured; of published passes several, comma-separated, or all. reference_gpu: calibrated GPU
    whose residuals stand in for families that nobody measured; source: who measured the kernels; out: folder of the
    calibration, by default where the GPU's is. Raises PredictorError where a file does not have what is asked of it.
    """
    rows = read_passes(published) if published is not None else []
    gpus = sorted({row.gpu for row in rows}) if gpu == "all" else gpu.split(",")
    if len(gpus) > 1 and (kernels or out):
        raise PredictorError("--kernels and --out are for one GPU")
    folders = {name: out or find(name) for name in gpus}
    if kernels:
        fit_published(gpu, folders[gpu], kernels, reference_gpu, source)
    if rows:
        fit_passes(folders, rows)
    return list(folders.values())
