"""ONNX Runtime: the exported graph after all of its optimisations, inputs and outputs bound to device memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from predictor import onnx_runtime
from predictor.graph.inputs import flat
from predictor.graph.onnx_export import export

_TORCH = {
    **{"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(bool)": "bool"},
    **{"tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"},
}
"""Types of ONNX Runtime that torch has, by name."""


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
    return open_session(path, tensors, options)[1]


def open_session(
    path: Path, tensors: Sequence[Any], options: dict[str, str], profile: Path | None = None
) -> tuple[Any, Callable[[], Any]]:
    """(session, a pass of it), see ``bound_session``. profile: where it writes what every node takes, from the first
    pass on. Results whose rank or size only a pass tells are placed by the session, on the same device.
    """
    import torch

    onnxruntime = onnx_runtime.load()

    device = tensors[0].device.type
    providers: list[Any] = [("CUDAExecutionProvider", options)] if device == "cuda" else []
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if profile is not None:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(profile)
    ort_session = onnxruntime.InferenceSession(str(path), settings, providers=[*providers, "CPUExecutionProvider"])
    binding = ort_session.io_binding()
    bound = [tensor.contiguous() for tensor in tensors]
    for wanted, tensor in zip(ort_session.get_inputs(), bound, strict=True):
        binding.bind_input(wanted.name, device, 0, _numpy_type(tensor), tuple(tensor.shape), tensor.data_ptr())
    for output in ort_session.get_outputs():
        if output.type not in _TORCH or not output.shape or not all(isinstance(size, int) for size in output.shape):
            binding.bind_output(output.name, device if output.type in _TORCH else "cpu")
            continue
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
    return ort_session, run


def _numpy_type(tensor: Any) -> Any:
    import numpy as np

    return np.dtype(str(tensor.dtype).removeprefix("torch.")).type
