"""Convolutions as ONNX Runtime runs them: it tries cuDNN's algorithms and keeps the fastest, where torch asks for a
guess. The sweep's own cases, each a node in a session of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from calibrate.workloads import sweeps
from calibrate.workloads.cases import KernelId
from calibrate.workloads.device import Run, synchronize
from calibrate.workloads.sweeps import IsolatedSweep, KernelCase, Made, Plan
from predictor.capture.calls import DTYPES
from predictor.kernels.families import FAMILIES
from predictor.records import Kernel
from predictor.runtimes.onnx.execution import bound_session
from predictor.runtimes.onnx.lowering import NAME

PREFIX = "ort_"
"""Of the families that ONNX Runtime's convolutions are, before the name of torch's."""

COUNTS = {"conv": 500, "conv_grouped": 900, "conv_depthwise": 160}
"""Samples of a dtype. Fewer than torch's: the fastest of several algorithms changes less abruptly than a guess."""

DTYPES_RUN = ("tf32", "fp16", "fp32")
"""What ONNX Runtime convolves in: of fp32 the TF32 units, unless told otherwise (its option use_tf32)."""

BIASED = 3
"""One in so many has a bias, which is a kernel more: a normalisation that is folded into it leaves one, but in an
untrained model, whose bias is zero, and whose export drops it.
"""


FULL = Plan(COUNTS, DTYPES_RUN, sweeps.FULL.scale)
QUICK = Plan({family: count // 16 for family, count in COUNTS.items()}, DTYPES_RUN, sweeps.QUICK_CUDA.scale)


def plan_of(dtype: str) -> Plan:
    """What of the full sweep is in one dtype."""
    return replace(FULL, dtypes=(dtype,))


def cases(plan: Plan, done: Container[KernelId] = ()) -> Iterator[KernelCase | None]:
    """Every case of a plan as a node of ONNX Runtime; None for one that is done."""
    for case in sweeps.cases(plan):
        assert case is not None
        node = as_node(case)
        yield None if node.id in done else node


def as_node(case: KernelCase) -> KernelCase:
    """A convolution of torch as one of ONNX Runtime."""
    biased = case.id.index % BIASED == 0
    dims = {**case.kernel.dims, "channels_last": 0.0, "bias": float(biased)}
    dims |= {pad: float(int(dims[pad])) for pad in ("pad_h", "pad_w")}
    kernel = Kernel(PREFIX + case.kernel.family, case.kernel.dtype, dims)
    id = KernelId(kernel.family, case.id.series, case.id.index)
    return replace(case, id=id, kernel=kernel, op="Conv")


def maker(case: KernelCase, device: str) -> Made:
    """What builds a case on a device: returns a pass of its session, and its input, which is warm in cache."""

    def make() -> tuple[Run, Sequence[torch.Tensor]]:
        x = _tensor(_sizes(case.kernel)[0], case.dtype, device)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "conv.onnx"
            _write(case, path)
            try:
                session = bound_session(
                    path, [x], {"use_tf32": "0"} if case.dtype == "fp32" and device == "cuda" else {}
                )
            except Exception as error:  # its exceptions have no common base of their own
                raise RuntimeError(f"ONNX Runtime does not take it: {error}") from error

        def run() -> None:  # the session has a stream of its own, and waits for it alone
            synchronize(device)
            session()

        return run, [x]

    return make


def _tensor(sizes: Sequence[int], dtype: str, device: str = "cpu") -> torch.Tensor:
    return torch.rand(*sizes, dtype=DTYPES[dtype], device=device)


def _sizes(kernel: Kernel) -> tuple[list[int], list[int]]:
    """Shapes of a convolution's input and weights: of one dimension if the window is as flat as the input."""
    d = {name: int(value) for name, value in FAMILIES[kernel.family].complete(kernel.dims).items()}
    flat = d["h"] == d["r"] == 1
    image = [d["w"]] if flat else [d["h"], d["w"]]
    window = [d["s"]] if flat else [d["r"], d["s"]]
    return [d["batch"], d["c_in"], *image], [d["c_out"], d["c_in"] // d["groups"], *window]


def _write(case: KernelCase, path: Path) -> None:
    """The case as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper, save

    inputs, weights = _sizes(case.kernel)
    dims = {name: int(value) for name, value in case.kernel.dims.items()}
    both = ("w",) if len(inputs) == 3 else ("h", "w")
    tensors = {"w": _tensor(weights, case.dtype)}
    if dims["bias"]:
        tensors["b"] = _tensor(weights[:1], case.dtype)
    node = helper.make_node(
        "Conv",
        ["x", *tensors],
        ["y"],
        strides=[dims[f"stride_{side}"] for side in both],
        pads=[dims[f"pad_{side}"] for side in both] * 2,
        dilations=[dims["dilation"]] * len(both),
        group=dims["groups"],
    )
    kind = TensorProto.FLOAT16 if case.dtype == "fp16" else TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "conv",
        [helper.make_tensor_value_info("x", kind, inputs)],
        [helper.make_tensor_value_info("y", kind, [None] * len(inputs))],
        [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in tensors.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def _plan(quick: bool) -> Plan:
    return QUICK if quick else FULL


SWEEP = IsolatedSweep(NAME, lambda quick: _plan(quick).total, lambda quick, done: cases(_plan(quick), done), maker)
