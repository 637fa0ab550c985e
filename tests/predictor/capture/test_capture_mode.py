"""What a model's code finds when it asks how it runs: the branches that it takes under each runtime."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from predictor.capture.recorder import capture
from predictor.records import CaptureMode, OpCall, Trait
from tests.helpers import Function


def calls(function: Callable[[torch.Tensor], torch.Tensor], mode: CaptureMode) -> tuple[OpCall, ...]:
    return capture(Function(function), torch.rand(2, 16, 64), "fp16", mode=mode).calls


def test_the_branch_that_a_capture_or_a_trace_takes_is_taken() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_tracing():
            return x + 1
        if torch.compiler.is_exporting():
            return x / 2
        if torch.compiler.is_compiling():
            return x * 2
        return x - 1 if torch.cuda.is_current_stream_capturing() else x.exp()

    found = {mode: calls(forward, mode)[0].op for mode in CaptureMode if mode is not CaptureMode.EXPORTED}
    assert found == {
        CaptureMode.EAGER: "exp",
        CaptureMode.TRACED: "add",
        CaptureMode.CAPTURED: "sub",
        CaptureMode.CONVERTED: "exp",
        CaptureMode.COMPILED: "mul",
        CaptureMode.COMPILED_AS_EXPORT: "div",
    }
    assert not torch.jit.is_tracing()
    assert not torch.compiler.is_exporting()


def test_sizes_that_traced_code_rounds_are_tensors() -> None:
    """As in a trace, where a size is one; elsewhere such code has numbers."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        rows = torch.ceil(x.shape[1] / 3) if torch.jit.is_tracing() else -(-x.shape[1] // 3)
        return x[:, : int(rows)] * 2

    traced, plain = (calls(forward, mode)[-1].outputs for mode in (CaptureMode.TRACED, CaptureMode.EAGER))
    assert traced == plain
    assert torch.ceil(torch.tensor(1.5)) == 2
    with pytest.raises(TypeError):
        torch.ceil(1.5)  # type: ignore[call-overload]


def test_a_tensor_of_tensors_reads_each_of_them_and_is_copied_to_the_device() -> None:
    def of_rows(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([row.max() for row in x], device=x.device).unsqueeze(1) + x

    def waits(x: torch.Tensor) -> list[str]:
        return [call.op for call in capture(Function(of_rows), x).calls if call.trait is Trait.SYNC]

    assert waits(torch.ones(2, 7, dtype=torch.int64)) == ["item", "item", "to device"]
    assert waits(torch.rand(2, 7)) == ["to device"] * 3  # whose values nobody computes
