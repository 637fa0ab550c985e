"""ONNX Runtime: the exported graph after all of its optimisations, inputs and outputs bound to device memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from predictor import onnx_runtime
from predictor.graph.inputs import flat
from predictor.graph.onnx_export import export

_TORCH = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64", "tensor(bool)": "bool"}


def prepare(module: Any, inputs: Any) -> Callable[[], Any]:
    """A callable that runs one real pass of the exported module, on the device that its inputs are on."""
    return session(module, inputs, {})


def session(module: Any, inputs: Any, options: dict[str, str]) -> Callable[[], Any]:
    """A pass of a session on the module, inputs and outputs at fixed addresses. options: of the CUDA provider."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(module, inputs, path)
        return bound_session(path, flat(module, inputs)[1], options)


def bound_session(path: Path, tensors: Sequence[Any], options: dict[str, str]) -> Callable[[], Any]:
    """A pass of a session on an ONNX file, see ``session``. tensors: its inputs, on the device that it is to run on."""
    import torch

    onnxruntime = onnx_runtime.load()

    device = tensors[0].device.type
    providers: list[Any] = [("CUDAExecutionProvider", options)] if device == "cuda" else []
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    ort_session = onnxruntime.InferenceSession(str(path), quiet, providers=[*providers, "CPUExecutionProvider"])
    binding = ort_session.io_binding()
    bound = [tensor.contiguous() for tensor in tensors]
    for wanted, tensor in zip(ort_session.get_inputs(), bound, strict=True):
        binding.bind_input(wanted.name, device, 0, _numpy_type(tensor), tuple(tensor.shape), tensor.data_ptr())
    for output in ort_session.get_outputs():
        tensor = torch.empty(output.shape, dtype=getattr(torch, _TORCH[output.type]), device=device)
        binding.bind_output(output.name, device, 0, _numpy_type(tensor), tuple(tensor.shape), tensor.data_ptr())
        bound.append(tensor)
    if device == "cuda":
        torch.cuda.synchronize()

    def run() -> Any:
        ort_session.run_with_iobinding(binding)
        return bound[len(tensors) :]

    for _ in range(3):
        run()
    return run


def _numpy_type(tensor: Any) -> Any:
    import numpy as np

    return np.dtype(str(tensor.dtype).removeprefix("torch.")).type
