"""What a runtime does with a model, as data: captured and lowered on the machine that measures it."""

from __future__ import annotations

from contextlib import nullcontext

import torch

from calibrate.samples.programs import stored
from calibrate.samples.records import ProgramRecord
from calibrate.workloads.cases import Case
from calibrate.workloads.sources import build
from predictor import runtimes
from predictor.capture.onnx_files.modules import untrained
from predictor.errors import CannotRunError, PredictorError
from predictor.predict import graph_of
from predictor.records import Graph, Target
from predictor.sources.built import weights_on_meta


def record(case: Case, device: str, target: Target | None = None, is_trained: bool = True) -> ProgramRecord:
    """What a runtime does with a model of ``sources``: its program, and its MACs; or why it cannot run. target: what it
    is measured with, None: the torch of this process; is_trained: whether it was exported as if it were, see
    ``samples.environment.exports_are_trained``.
    """
    target = target or Target(torch.__version__.split("+")[0])
    try:
        return lowered(case, captured(case, device, target, is_trained), target)
    except CannotRunError as error:
        return ProgramRecord(case, capture_error=str(error))


def captured(case: Case, device: str, target: Target, is_trained: bool = True) -> Graph:
    """The graph that the case's runtime makes of its model, see ``record``. Raises CannotRunError where none is."""
    asked = case.model, device, case.batch, case.length, case.lengths
    try:
        with weights_on_meta():  # inputs keep their values, which masks are skipped by, as where a user asks
            module, inputs = build(*asked)
    except PredictorError:  # it looks at its weights as it is made
        module, inputs = build(*asked)
    mode = runtimes.load(case.runtime).mode_on(target)
    with nullcontext() if is_trained else untrained():
        return graph_of(module, inputs, case.dtype, case.runtime, case.model, mode=mode)


def lowered(case: Case, graph: Graph, target: Target) -> ProgramRecord:
    """What the case's runtime does with a graph of its model."""
    return ProgramRecord(case, stored(runtimes.load(case.runtime).lower(graph, target)), graph.macs)
