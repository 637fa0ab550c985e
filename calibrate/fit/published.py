"""Kernel times that others measured: read, fitted into a calibration, and how well the fits predict what they have not
seen.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibrate.fit.kernels import fit_family, unseen_seconds, work_of
from calibrate.samples.store import SampleFile
from predictor.calibration import files
from predictor.calibration.datasheets import device_of, slower
from predictor.calibration.load import REPLAY, Calibration, forget, load_calibration
from predictor.errors import PredictorError, unknown
from predictor.kernels.families import FAMILIES, MATRIX_DTYPES, fit_name
from predictor.pricing.kernels import kernel_fit

Sample = Mapping[str, Any]


def read_kernels(path: Path, gpu: str) -> list[dict[str, Any]]:
    """Samples ("family", "dtype", "dims", "seconds", "launches") of a file of measured kernels.

    Either this program's own samples (.jsonl), or a table (.csv, .csv.gz) with a column kernel_us and the dimensions of
    gemm (m, n, k) or attention (batch, seq, heads, head_dim, ...) in bf16 or as its column dtype says; of a table with
    a column gpu the rows of that GPU. Raises PredictorError for anything else.
    """
    if not path.is_file():
        raise PredictorError(f"no file of kernels at {path}")
    if path.suffix == ".jsonl":
        return [s for s in SampleFile(path).values() if "family" in s and not s.get("failed")]
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = list(csv.DictReader(content.decode("utf-8").splitlines()))
        return _rows_of_table(path, rows, files.gpu_name(gpu))
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise PredictorError(f"{path} cannot be read as a table of kernels: {error}") from None


def _rows_of_table(path: Path, rows: list[dict[str, str]], gpu: str) -> list[dict[str, Any]]:
    if not rows or "kernel_us" not in rows[0]:
        raise PredictorError(f"{path} has no column kernel_us")
    family = "gemm" if "n" in rows[0] else "attention"
    names = [name for name in FAMILIES[family].dims if name in rows[0]]
    own = [row for row in rows if files.gpu_name(row.get("gpu", gpu)) == gpu]
    for row in own:
        if row.get("dtype", "bf16") not in MATRIX_DTYPES:
            raise unknown("dtype", row["dtype"], MATRIX_DTYPES)
    return [
        {
            "family": family,
            "dtype": row.get("dtype", "bf16"),
            "dims": {name: float(row[name]) for name in names},
            "seconds": float(row["kernel_us"]) * 1e-6,
            "launches": 1,
        }
        for row in own
    ]


def _groups(samples: Sequence[Sample]) -> dict[tuple[str, str], list[Sample]]:
    found: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample["family"], fit_name(sample["family"], sample["dtype"])].append(sample)
    return dict(sorted(found.items()))


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
    for (family, name), own in _groups(samples).items():
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


@dataclass(frozen=True, slots=True)
class Judged:
    """Relative errors over a group of kernels: MAPE, median and 90th percentile of a predictor.

    decade: of the work in FLOPs, None for all.
    """

    family: str
    dtype: str
    decade: int | None
    predictor: str
    kernels: int
    mape: float
    median: float
    p90: float


def judge(samples: Sequence[Sample], calibration: Calibration, as_is: bool) -> list[Judged]:
    """How well kernels are predicted, per family, dtype and decade of work.

    as_is: with the calibration's own fits, for kernels that they have not seen. Otherwise with fits made here on three
    quarters and asked about the rest, four times; a weight matrix (n, k) or a shape is in one part only. Beside them:
    roofline, whose floor is the calibration's, and constant FLOP/s, the samples' median.
    """
    found: list[Judged] = []
    for (family, _), own in _groups(samples).items():
        base, features = work_of(own, family, calibration.device)
        seconds = np.array([s["seconds"] for s in own])
        flops = np.concatenate([_flops(family, s) for s in own])
        fit = kernel_fit(calibration, family, own[0]["dtype"], "replay")
        predictors = {
            "fit": (base + fit.floor_s) * np.exp(fit.residual.predict(features))
            if as_is
            else unseen_seconds(own, family, calibration.device),
            "roofline": base + fit.floor_s,
            "constant FLOP/s": flops / float(np.median(flops / seconds)),
        }
        decades = np.floor(np.log10(np.maximum(flops, 1))).astype(int)
        dtypes = np.array([s["dtype"] if FAMILIES[family].matrix else "any" for s in own])
        for dtype in np.unique(dtypes).tolist():
            for decade in (None, *np.unique(decades[dtypes == dtype]).tolist()):
                chosen = (dtypes == dtype) & (True if decade is None else decades == decade)
                for name, predicted in predictors.items():
                    errors = np.abs(predicted[chosen] / seconds[chosen] - 1)
                    figures = (float(errors.mean()), float(np.median(errors)), float(np.percentile(errors, 90)))
                    found.append(Judged(family, dtype, decade, name, int(chosen.sum()), *figures))
    return found


def _flops(family: str, sample: Sample) -> NDArray[np.float64]:
    row = FAMILIES[family]
    return np.ravel(row.flops(row.complete(sample["dims"])))
