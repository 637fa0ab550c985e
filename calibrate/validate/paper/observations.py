"""Latencies that were observed: measured ones that lie with a calibration, and the paper's own, as published."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calibrate.samples.model_latencies import UNRELIABLE
from calibrate.samples.records import CaseRound
from calibrate.samples.rounds import Round, quiet_level, summarise
from calibrate.samples.store import SUFFIX, SampleFile
from calibrate.validate.paper.description import TOKENS
from calibrate.workloads.cases import Case
from predictor.calibration.load import load_calibration
from predictor.errors import PredictorError

FOLDERS = ("paper", "validation")
"""Of a calibration, with measurements of the zoo; the first that has a case counts."""

ZOO_NAMES = {
    **{name: name for name in ("albert", "alexnet", "googlenet", "longformer", "mobilenet_v2", "squeezenet", "vgg16")},
    **{name: name for name in ("resnet50", "resnet101", "resnet152")},
    **{"bert": "bert-base", "mobile_bert": "mobilebert", "funnel_transformer": "funnel-base", "vit32": "vit-b32"},
    **{"inception": "inception_v3", "shufflenet": "shufflenet_v2"},
    **{"resnext50_32x4d": "resnext50"},
}
"""A published model's name -> the zoo's model of the same design."""

PIXELS = 224


@dataclass(frozen=True, slots=True)
class Observations:
    """Seconds by GPU and case. measured: synchronised passes; published: mean of back-to-back passes."""

    measured: Mapping[tuple[str, Case], float] = field(default_factory=dict)
    published: Mapping[tuple[str, Case], float] = field(default_factory=dict)

    def seconds(self, case: Case, gpu: str) -> float | None:
        """What was measured, else what was published; None where neither was."""
        return self.measured.get((gpu, case), self.published.get((gpu, case)))


def measured(gpu: str) -> dict[tuple[str, Case], float]:
    """Latencies that lie with a GPU's calibration, by its name and case; none where nothing was measured."""
    folder = load_calibration(gpu).folder
    found: dict[tuple[str, Case], float] = {}
    for name in FOLDERS:
        for path in sorted((Path(folder) / name).glob("*" + SUFFIX)) if folder else ():
            for case, seconds in _latencies(path).items():
                found.setdefault((gpu, case), seconds)
    return found


def _latencies(path: Path) -> dict[Case, float]:
    rounds: dict[Case, list[Round]] = defaultdict(list)
    for sample in SampleFile(path).of(CaseRound):
        rounds[sample.case].append(sample.round)
    probes = [p for own in rounds.values() for r in own for p in (r.probe_before_s, r.probe_after_s)]
    if not probes:
        return {}
    level = quiet_level(probes)
    return {case: summarise(own, level).seconds for case, own in rounds.items()}


def published(path: Path) -> dict[tuple[str, Case], float]:
    """Rows of a table of published latencies that the zoo has a model of; of several sessions the largest counts.
    Raises PredictorError for anything else.
    """
    sessions: dict[str, dict[tuple[str, Case], float]] = defaultdict(dict)
    try:
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                case = _case(row)
                if case and row["session"] not in UNRELIABLE:
                    sessions[row["session"]][row["gpu"], case] = float(row["latency_ms"]) * 1e-3
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise PredictorError(f"{path} cannot be read as a table of published latencies: {error}") from None
    rows: dict[tuple[str, Case], float] = {}
    for session in sorted(sessions, key=lambda name: -len(sessions[name])):
        rows = {**sessions[session], **rows}
    return rows


def _case(row: Mapping[str, str]) -> Case | None:
    model, size = ZOO_NAMES.get(row["model"]), int(row["input_size"])
    if model is None:
        return None
    length = 0 if size in (TOKENS, PIXELS) else size
    return Case(model, int(row["batch"]), row["precision"], row["runtime"], length)
