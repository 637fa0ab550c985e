"""Latencies that people published, predicted as a user would predict them: nothing is fitted to them.

A table (.csv) with columns source, model, gpu, runtime, dtype, batch, measured_ms and note. A row's model is one of the
zoo, of timm where its source is, else of torchvision; its note says amp (automatic mixed precision), nhwc (channels
last) and the size of images other than 224 pixels.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import models_zoo
from models_zoo import _inputs
from predictor.errors import CannotRunError, PredictorError
from predictor.plans import Plan
from predictor.records import CaptureOptions
from predictor.sources import plan_of

COLUMNS = ("source", "model", "gpu", "runtime", "dtype", "batch", "measured_ms", "note")

RENAMED = {"bert-base encoder": "bert-base", "ViT": "vit-base", "mobilenetv2_100": "mobilenet_v2"}
"""Published name -> that of the same model in the zoo."""


@dataclass(frozen=True, slots=True)
class PublicLatency:
    """A row of a table."""

    source: str
    model: str
    gpu: str
    runtime: str
    dtype: str
    batch: int
    seconds: float
    note: str

    @property
    def options(self) -> CaptureOptions:
        """How its model is captured."""
        words = self.note.lower().split()
        return CaptureOptions(channels_last="nhwc" in words, autocast=self.dtype if "amp" in words else "")

    @property
    def length(self) -> int | None:
        """Tokens, None where the model takes none."""
        length = re.search(r"seq (\d+)", self.note)
        return int(length[1]) if length else None

    @property
    def spec(self) -> str:
        """What ``plan_of`` takes for its model. Raises PredictorError for images of another size than a model has."""
        name = re.sub(r" s\d+$", "", self.model)
        name = RENAMED.get(name, name)
        pixels = re.search(r"\b(\d{3})(?:x\d{3})?\b", self.note)
        if pixels and self.length is None and int(pixels[1]) != _inputs.PIXELS:
            raise PredictorError(f"images of {pixels[1]} pixels")
        if name in models_zoo.names():
            return name
        return f"timm:{name}" if self.source.startswith("timm") else f"torchvision:{name}"


def is_public_table(path: Path) -> bool:
    """Whether a file is such a table."""
    try:
        return path.read_text(encoding="utf-8").startswith(",".join(COLUMNS))
    except (OSError, UnicodeDecodeError):
        return False


def read_public(path: Path) -> list[PublicLatency]:
    """Rows of a table. Raises PredictorError where it cannot be read as one."""
    try:
        with path.open(encoding="utf-8") as file:
            return [
                PublicLatency(
                    **{name: row[name] for name in ("source", "model", "gpu", "runtime", "dtype")},
                    batch=int(row["batch"]),
                    seconds=float(row["measured_ms"]) * 1e-3,
                    note=row["note"] or "",
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise PredictorError(f"{path} cannot be read as a table of public latencies: {error}") from None


@dataclass(frozen=True, slots=True)
class PublicErrors:
    """Errors of the rows of a source, or of all. bias: median of predicted over measured; median, mape: absolute
    relative errors; covered: share within the 90 % interval.
    """

    source: str
    rows: int
    bias: float
    median: float
    mape: float
    covered: float


@dataclass(frozen=True, slots=True)
class PublicJudgement:
    """Errors by source, the last of all rows; skipped: why rows were not predicted -> how many."""

    errors: Sequence[PublicErrors]
    skipped: Counter[str]


@cache
def _plan(spec: str, options: CaptureOptions) -> Plan:
    return plan_of(spec, options=options)


def judge_public(rows: Sequence[PublicLatency], tell: Callable[[str], None]) -> PublicJudgement:
    """Predictions beside the rows. tell: takes a line for each row that cannot be predicted as measured."""
    ratios: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    skipped: Counter[str] = Counter()
    for row in rows:
        try:
            report = _plan(row.spec, row.options).report(row.gpu, row.runtime, row.dtype, row.batch, row.length)
        except (PredictorError, CannotRunError) as error:
            reason = str(error).splitlines()[0]
            skipped[reason] += 1
            if skipped[reason] == 1:
                tell(f"skipped: {row.model}, {row.gpu}: {reason}")
            continue
        low, high = report.interval_s
        ratios[row.source].append((report.latency_s / row.seconds, low <= row.seconds <= high))
    everything = [pair for pairs in ratios.values() for pair in pairs]
    named = [*sorted(ratios.items()), ("all", everything)] if everything else []
    return PublicJudgement([_judged(source, pairs) for source, pairs in named], skipped)


def _judged(source: str, pairs: Sequence[tuple[float, bool]]) -> PublicErrors:
    ratios = np.array([ratio for ratio, _ in pairs])
    errors = np.abs(ratios - 1)
    covered = float(np.mean([inside for _, inside in pairs]))
    return PublicErrors(
        source, len(pairs), float(np.median(ratios)), float(np.median(errors)), float(errors.mean()), covered
    )
