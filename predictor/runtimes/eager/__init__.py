"""Eager PyTorch: one dispatch per operator, in inference mode."""

from __future__ import annotations

from predictor.records import CaptureMode
from predictor.runtimes.eager.execution import prepare
from predictor.runtimes.eager.lowering import NAME, lower
from predictor.runtimes.runtime import Runtime

RUNTIME = Runtime(
    name=NAME,
    capture_mode=CaptureMode.EAGER,
    needs_gpu=False,
    lower=lower,
    prepare=prepare,
)
