"""TorchScript: ``torch.jit.trace``, its interpreter and its fuser."""

from __future__ import annotations

from predictor.records import CaptureMode
from predictor.runtimes.runtime import HostTerms, Runtime
from predictor.runtimes.torchscript.execution import prepare
from predictor.runtimes.torchscript.lowering import NAME, fuser_of, lower

RUNTIME = Runtime(
    name=NAME,
    capture_mode=CaptureMode.TRACED,
    needs_gpu=False,
    lower=lower,
    prepare=prepare,
    host_terms=HostTerms(base="eager", rows=("fused",)),
    generation=fuser_of,
)
