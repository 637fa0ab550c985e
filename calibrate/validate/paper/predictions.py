"""Predictions of cases, by the entry point that users have: plans of the zoo, priced for a GPU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import models_zoo
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.calibration.load import load_calibration
from predictor.errors import PredictorError
from predictor.plans import Plan, load_plan
from predictor.records import CaptureOptions, Report
from predictor.sources import plan_of

GRAPHS = Path(__file__).parent / "graphs"
"""What the zoo's graphs do not have, see ``benchmarks/record_padded.py``."""

NO_GRAPH = "no shipped graph (--capture makes one)"


def graph_file(model: str, lengths: str) -> Path:
    """File with a model's graphs for texts of such lengths."""
    return GRAPHS / f"{model}-{lengths or 'unpadded'}.json.gz"


def session_host(gpu: str, runtime: str, dtype: str) -> str | None:
    """The host of the paper's own session of a GPU, runtime and dtype, where its calibration knows it by name: hosts of
    one GPU differ by up to a factor of two. None: the calibration's default.
    """
    name = f"{gpu}-{runtime}-{dtype}-a"
    return name if name in load_calibration(gpu).hosts else None


class Predictions:
    """Reports of cases on a GPU. capture: whether graphs that are not shipped are captured, which needs the libraries
    that build the models, and time.
    """

    def __init__(self, gpu: str, capture: bool = False) -> None:
        self.gpu = gpu
        self.capture = capture
        self._files: dict[Path, Plan | None] = {}
        self._captured: dict[tuple[str, str], Plan] = {}
        self._reports: dict[tuple[str, Case], Report | str] = {}

    def prepare(self, cases: Iterable[tuple[str, Case]]) -> None:
        """Predict (GPU, case) pairs; all batch sizes of a model at once."""
        groups: dict[tuple[str, str, str, str, int, str], list[Case]] = defaultdict(list)
        for gpu, case in dict.fromkeys(cases):
            if (gpu, case) not in self._reports:
                key = gpu, case.model, case.runtime, case.dtype, case.length, case.lengths
                groups[key].append(case)
        for (gpu, *_), group in groups.items():
            self._predict(gpu, group)

    def report(self, case: Case, gpu: str = "") -> Report:
        """The report of a case; gpu: another than the one that is asked for. Raises PredictorError where there is none,
        with the reason.
        """
        key = gpu or self.gpu, case
        if key not in self._reports:
            self.prepare([key])
        report = self._reports[key]
        if isinstance(report, str):
            raise PredictorError(report)
        return report

    def _predict(self, gpu: str, cases: list[Case]) -> None:
        first = cases[0]
        try:
            plan = self._plan(first)
            length = [first.length] if first.length else None
            batches = [case.batch for case in cases]
            host = session_host(gpu, first.runtime, first.dtype)
            reports = plan.reports(gpu, first.runtime, first.dtype, batches, length, host=host)
            self._reports.update({(gpu, case): report for case, report in zip(cases, reports, strict=True)})
        except PredictorError as error:
            if len(cases) == 1:
                self._reports[gpu, first] = self._reason(str(error))
            else:  # one size may lack where the others have graphs
                for case in cases:
                    self._predict(gpu, [case])

    def _reason(self, text: str) -> str:
        missing = "was not captured" in text or "has no graph" in text
        return NO_GRAPH if missing and not self.capture else text.splitlines()[0]

    def _plan(self, case: Case) -> Plan:
        """The zoo's plan, or what it lacks: padded texts and the fast path."""
        mode = runtimes.load(case.runtime).capture_mode
        shipped = None if case.lengths else self._kept(models_zoo.graphs(case.model))
        if shipped and shipped.graphs.has(case.dtype, mode) and not self.capture:
            return shipped
        recorded = self._kept(graph_file(case.model, case.lengths))
        if recorded and recorded.graphs.has(case.dtype, mode):
            return recorded
        if not self.capture:
            raise PredictorError(NO_GRAPH)
        key = case.model, case.lengths
        if key not in self._captured:
            self._captured[key] = plan_of(case.model, options=CaptureOptions(lengths=case.lengths))
        return self._captured[key]

    def _kept(self, path: Path) -> Plan | None:
        """The plan of a file, which captures nothing; None without the file."""
        if path not in self._files:
            self._files[path] = load_plan(path) if path.is_file() else None
        return self._files[path]
