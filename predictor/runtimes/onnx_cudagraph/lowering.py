"""ONNX Runtime with ``enable_cuda_graph``: the session's kernels, captured once, replayed with one launch."""

from __future__ import annotations

from dataclasses import replace

from predictor.kernels.host_copies import HOST_COPY
from predictor.ops import onnx_form
from predictor.ops.placement import OF_SIZES
from predictor.records import TODAY, Graph, Kernel, Program, PythonWork, Target
from predictor.runtimes.cudagraph.lowering import replayed
from predictor.runtimes.onnx import lowering as onnx

NAME = "onnx-cudagraph"


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph of ONNX nodes -> one replay of their kernels. ONNX Runtime captures no session with control flow."""
    program = onnx.lower(graph, target)
    branches = sorted({call.op for call in graph.calls if onnx_form(call.op).is_control_flow})
    if branches:
        reason = f"ONNX Runtime captures no CUDA graph of a model with control flow ({', '.join(branches)})"
        return replace(program, runtime=NAME, unsupported_reason=program.unsupported_reason or reason)
    computing = {op: why for op, why in program.on_cpu.items() if why != OF_SIZES}  # sizes are captured as they are
    if computing:
        op, why = next(iter(computing.items()))
        reason = f"ONNX Runtime captures no CUDA graph of a model with nodes on the CPU ({op}: {why})"
        return replace(program, runtime=NAME, unsupported_reason=program.unsupported_reason or reason)
    calls = tuple(replace(call, kernels=tuple(map(_replayed, call.kernels))) for call in replayed(program.calls))
    return replace(program, runtime=NAME, calls=calls, tail=PythonWork())


def _replayed(kernel: Kernel) -> Kernel:
    """A kernel as a graph has it."""
    return replace(kernel, dims={**kernel.dims, "replayed": 1.0}) if kernel.family == HOST_COPY else kernel
