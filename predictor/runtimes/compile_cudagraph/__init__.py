"""torch.compile with ``mode="reduce-overhead"``: Inductor's kernels in CUDA graphs."""

from __future__ import annotations

from predictor.records import CaptureMode
from predictor.runtimes.compile.lowering import AS_EXPORT_BEFORE, CHECKED_MODULE
from predictor.runtimes.compile_cudagraph.execution import prepare
from predictor.runtimes.compile_cudagraph.lowering import NAME, lower
from predictor.runtimes.runtime import HostTerms, Runtime

RUNTIME = Runtime(
    name=NAME,
    capture_mode=CaptureMode.COMPILED,
    earlier=AS_EXPORT_BEFORE,
    needs_gpu=True,
    lower=lower,
    prepare=prepare,
    host_terms=HostTerms(base="compile", rows=("weight", CHECKED_MODULE, "replay"), uses_graphs=True, recompiles=True),
)
