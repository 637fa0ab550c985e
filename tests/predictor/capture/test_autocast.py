"""Autocast in a capture casts what torch's autocast casts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from predictor import plan
from predictor.capture.autocast import POLICIES, Policy
from predictor.capture.recorder import capture
from predictor.errors import CannotRunError, PredictorError
from predictor.records import CaptureOptions, Graph
from predictor.sources import plan_of
from tests.helpers import Function

X = torch.rand(4, 8, 8)
IMAGE = torch.rand(2, 4, 8, 8)


def cast(module: Any, *inputs: Tensor, dtype: str = "bf16") -> Graph:
    module = module if isinstance(module, nn.Module) else Function(module)
    return capture(module, inputs, "fp32", options=CaptureOptions(autocast=dtype))


def casts(graph: Graph) -> list[tuple[tuple[int, ...], str]]:
    """Shapes and dtypes of what was cast."""
    return [(call.outputs[0].shape, call.outputs[0].dtype) for call in graph.calls if call.op == "to"]


def test_the_lists_are_torch_s_own() -> None:
    """As its header has them: ``norm`` is called with another signature there, cuDNN's names are CUDA's alone, and
    recurrent layers have a file of their own.
    """
    header = (Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h").read_text(encoding="utf-8")

    def listed(name: str) -> set[str]:
        body = header.split(f"#define AT_FORALL_{name}(_)", 1)[1].split("\n\n", 1)[0]
        return set(re.findall(r"_\(\s*(\w+)", body))

    def ours(policy: Policy) -> set[str]:
        return {name for name, its in POLICIES.items() if its is policy}

    assert ours(Policy.LOWER) == listed("LOWER_PRECISION_FP") | {"cudnn_convolution", "cudnn_convolution_transpose"}
    assert ours(Policy.FP32) == listed("FP32")
    assert ours(Policy.FP32_RESULT) == listed("FP32_SET_OPT_DTYPE") | {"norm"}
    assert ours(Policy.PROMOTE) == listed("PROMOTE")


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "linear": (lambda x: F.linear(x, torch.rand(5, 8)), (X,)),
    "matmul": (torch.matmul, (X, X)),
    "bmm": (torch.bmm, (X, X)),
    "baddbmm": (torch.baddbmm, (X, X, X)),
    "addmm": (lambda x: torch.addmm(x[0], x[1], x[2]), (X,)),
    "einsum": (lambda x: torch.einsum("bij,bjk->bik", x, x), (X,)),
    "conv2d": (lambda x: F.conv2d(x, torch.rand(6, 4, 3, 3)), (IMAGE,)),
    "conv_transpose2d": (lambda x: F.conv_transpose2d(x, torch.rand(4, 6, 3, 3)), (IMAGE,)),
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x), (IMAGE,)),
    "product and sum": (lambda x: torch.bmm(x, x) + x, (X,)),
    "product and relu": (lambda x: torch.bmm(x, x).relu(), (X,)),
    "product and join": (lambda x: torch.cat([torch.bmm(x, x), x]), (X,)),
    "double": (lambda x: torch.bmm(x.double(), x.double()), (X,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_have_the_dtypes_that_autocast_gives_them(name: str) -> None:
    """Held against torch's autocast on the CPU, where its list agrees with that of CUDA."""
    function, inputs = FUNCTIONS[name]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        expected = function(*inputs)
    names = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float64: "fp64"}
    assert cast(function, *inputs).calls[-1].outputs[0].dtype == names[expected.dtype]


def test_a_weight_is_cast_once_a_pass_and_an_input_every_time() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) + self.layer(x)

    graph = cast(Twice(), X, dtype="fp16")
    assert casts(graph) == [((4, 8, 8), "fp16"), ((8, 8), "fp16"), ((8,), "fp16"), ((4, 8, 8), "fp16")]
    assert [call.op for call in graph.calls if call.op != "to"] == ["linear", "linear", "add"]
    assert graph.macs == 2 * 4 * 8 * 8 * 8


def test_a_cast_is_a_kernel_and_costs_the_host() -> None:
    module = nn.Linear(1024, 1024)
    plain = plan(module, torch.rand(8, 1024)).report("h200")
    amp = plan(module, torch.rand(8, 1024), options=CaptureOptions(autocast="fp16")).report("h200")
    assert (plain.dtype, amp.dtype) == ("fp32", "fp32")
    assert amp.host_s > plain.host_s
    assert amp.launches == plain.launches + 3
    assert 'operators run as torch.autocast("cuda", torch.float16) runs them' in amp.notes


def test_norms_and_losses_are_in_single_precision() -> None:
    graph = cast(lambda x: F.layer_norm(torch.bmm(x, x), (8,)), X)
    assert [(call.op, call.outputs[0].dtype) for call in graph.calls] == [
        *(("to", "bf16"), ("to", "bf16"), ("bmm", "bf16"), ("to", "fp32"), ("layer_norm", "fp32")),
    ]


def test_a_softmax_reads_half_precision_and_writes_single() -> None:
    (*_, last) = cast(lambda x: torch.bmm(x, x).softmax(-1), X, dtype="fp16").calls
    assert (last.op, last.tensors[0].dtype, last.outputs[0].dtype) == ("softmax", "fp16", "fp32")
    (*_, asked) = cast(lambda x: torch.bmm(x, x).softmax(-1, dtype=torch.float16), X, dtype="fp16").calls
    assert asked.outputs[0].dtype == "fp16"


def test_what_is_promoted_takes_the_widest_dtype() -> None:
    graph = cast(lambda x: torch.addcmul(torch.bmm(x, x), x, x), X)
    assert graph.calls[-1].outputs[0].dtype == "fp32"
    narrow = cast(lambda x: torch.addcmul(*[torch.bmm(x, x)] * 3), X)
    assert narrow.calls[-1].outputs[0].dtype == "bf16"


def test_recurrent_layers_cast_their_weights_at_every_call() -> None:
    """Four weights and biases, the input, two states: cuDNN wants the weights in one buffer."""
    lstm = nn.LSTM(8, 8, batch_first=True)
    once = casts(cast(lstm, X))
    assert ((32, 8), "bf16") in once

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, x: Tensor) -> Any:
            return self.lstm(x), self.lstm(x)

    assert len(casts(cast(Twice(), X))) == 2 * len(once)


def test_what_autocast_forbids_fails_as_it_would() -> None:
    with pytest.raises(PredictorError, match="use binary_cross_entropy_with_logits"):
        cast(lambda x: F.binary_cross_entropy(x.sigmoid(), x), X)


# regions that a model opens itself


@pytest.mark.parametrize("device", ["cuda", None])
def test_a_region_of_a_model_s_own_is_autocast(device: str | None) -> None:
    """Also for the device that its input says."""

    def forward(x: Tensor) -> Tensor:
        with torch.autocast(device or x.device.type, dtype=torch.float16):
            y = torch.bmm(x, x)
        return torch.bmm(x, y.float())

    plain = capture(Function(forward), (X,), "fp32")
    assert [call.outputs[0].dtype for call in plain.calls if call.op == "bmm"] == ["fp16", "fp32"]


def test_a_region_without_autocast_is_not_cast() -> None:
    def forward(x: Tensor) -> Tensor:
        with torch.autocast("cuda", enabled=False):
            y = torch.bmm(x, x)
        return torch.bmm(y, y)

    assert [call.outputs[0].dtype for call in cast(forward, X).calls if call.op == "bmm"] == ["fp32", "bf16"]


def test_a_model_that_asks_is_told() -> None:
    def forward(x: Tensor) -> Tensor:
        assert torch.is_autocast_enabled()
        assert torch.is_autocast_enabled(x.device.type)
        assert torch.get_autocast_dtype(x.device.type) is torch.bfloat16
        return x * 2

    assert cast(forward, X).calls[-1].op == "mul"


def test_the_process_is_as_before_afterwards() -> None:
    functions = [getattr(torch, n) for n in ("is_autocast_enabled", "set_autocast_enabled", "clear_autocast_cache")]
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda"), torch.autocast.__init__
    cast(torch.bmm, X, X)
    with pytest.raises(PredictorError):
        cast(lambda x: torch.bmm(x, x[0]), X)
    assert (torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda"), torch.autocast.__init__) == before
    assert functions == [
        getattr(torch, n) for n in ("is_autocast_enabled", "set_autocast_enabled", "clear_autocast_cache")
    ]


def test_onnx_runtimes_have_no_autocast_and_no_layout() -> None:
    for options in (CaptureOptions(autocast="fp16"), CaptureOptions(channels_last=True)):
        with pytest.raises(CannotRunError, match="leave --layout and --amp out"):
            plan(nn.Linear(8, 8), X, options=options).report("h200", "onnx")


def test_a_zoo_model_is_captured_for_it() -> None:
    report = plan_of("distilbert", options=CaptureOptions(autocast="fp16")).report("h200")
    assert (report.dtype, report.dtype_origin) == ("fp32", "the model's own")
    assert report.launches > plan_of("distilbert").report("h200").launches
