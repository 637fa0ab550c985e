"""CUDA Graphs: the eager module, captured once, replayed with one launch."""

from __future__ import annotations

from predictor.records import CaptureMode
from predictor.runtimes.cudagraph.execution import prepare
from predictor.runtimes.cudagraph.lowering import NAME, lower
from predictor.runtimes.runtime import HostTerms, Runtime

RUNTIME = Runtime(
    name=NAME,
    capture_mode=CaptureMode.CAPTURED,
    needs_gpu=True,
    lower=lower,
    prepare=prepare,
    host_terms=HostTerms(base="eager", rows=("replay",), uses_graphs=True),
)
