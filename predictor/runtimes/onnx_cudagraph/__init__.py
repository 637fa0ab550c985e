"""ONNX Runtime with ``enable_cuda_graph``: the session's kernels, captured once, replayed with one launch."""

from __future__ import annotations

from predictor.records import CaptureMode
from predictor.runtimes.onnx_cudagraph.execution import prepare
from predictor.runtimes.onnx_cudagraph.lowering import NAME, lower
from predictor.runtimes.runtime import HostTerms, Runtime

RUNTIME = Runtime(
    name=NAME,
    capture_mode=CaptureMode.EXPORTED,
    needs_gpu=True,
    lower=lower,
    prepare=prepare,
    host_terms=HostTerms(base="onnx", rows=("replay",), uses_graphs=True),
)
