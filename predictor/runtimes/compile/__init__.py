"""torch.compile with its default backend, Inductor."""

from __future__ import annotations

from predictor.records import CaptureMode
from predictor.runtimes.compile.execution import prepare
from predictor.runtimes.compile.lowering import AS_EXPORT_BEFORE, FALLBACK, NAME, lower
from predictor.runtimes.runtime import HostTerms, Runtime

RUNTIME = Runtime(
    name=NAME,
    capture_mode=CaptureMode.COMPILED,
    earlier=AS_EXPORT_BEFORE,
    needs_gpu=False,
    lower=lower,
    prepare=prepare,
    host_terms=HostTerms(base="eager", rows=("triton", "weight", FALLBACK), recompiles=True),
)
