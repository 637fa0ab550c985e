"""ONNX Runtime: the exported graph after all of its optimisations, inputs and outputs bound to device memory."""

from __future__ import annotations

from predictor.records import CaptureMode
from predictor.runtimes.onnx.execution import prepare
from predictor.runtimes.onnx.lowering import NAME, lower
from predictor.runtimes.runtime import HostTerms, Runtime

RUNTIME = Runtime(
    name=NAME,
    capture_mode=CaptureMode.EXPORTED,
    needs_gpu=False,
    lower=lower,
    prepare=prepare,
    host_terms=HostTerms(rows=("view", "gemm", "product", "conv", "other")),
)
