"""What a capture that fails says: the cause, the operator, the user's line, the remedy; in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from predictor.capture.onnx_files import modules
from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from predictor.predict import plan
from tests.helpers import of

THIS_FILE = r"test_messages\.py:\d+"
OF_CUDA = rf"Function does with CUDA what .* \(.*{THIS_FILE}\): leave streams, events"
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")


LIBRARY = torch.library.Library("test_messages", "FRAGMENT")
LIBRARY.define("doubled(Tensor x) -> Tensor")
LIBRARY.impl("doubled", lambda x: x * 2, "CPU")
doubled = torch.ops.test_messages.doubled


def of_another_dtype(x: torch.Tensor) -> torch.Tensor:
    return torch.bmm(x[None], torch.rand(1, 4, 4).to(x.device))


def of_a_stream(x: torch.Tensor) -> torch.Tensor:
    with torch.cuda.stream(torch.cuda.Stream()):
        return x + 1


def of_a_synchronisation(x: torch.Tensor) -> torch.Tensor:
    torch.cuda.synchronize()
    return x + 1


def of_another_shape(x: torch.Tensor) -> torch.Tensor:
    return x @ torch.rand(5, 5).to(x)


def out_of_range(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(0, 7)


def of_its_own(x: torch.Tensor) -> torch.Tensor:
    raise ValueError("out of\ncheese")


def leaves(x: torch.Tensor) -> torch.Tensor:
    raise SystemExit(7)


def misspelt(x: torch.Tensor) -> torch.Tensor:
    return x.nothing  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (of_another_dtype, rf"Function mixes dtypes in fp16: .* \(bmm, .*{THIS_FILE}\): .*dtype=x\.dtype.*--dtype"),
        pytest.param(of_a_stream, OF_CUDA, marks=without_cuda),
        pytest.param(of_a_synchronisation, OF_CUDA, marks=without_cuda),
        (of_another_shape, rf"Function does not run on these inputs: .* \(mm, .*{THIS_FILE}\)$"),
        (out_of_range, rf"Function does not run on these inputs: .* \(transpose, .*{THIS_FILE}\)$"),
        (of_its_own, rf"Function raised ValueError: out of cheese \(.*{THIS_FILE}\): .*without a prediction.*"),
        (leaves, rf"Function raised SystemExit: 7 \(.*{THIS_FILE}\): .*without a prediction.*"),
        (misspelt, rf"Function raised AttributeError: .*nothing.* \(.*{THIS_FILE}\): .*without a prediction.*"),
        (doubled, r"an operator whose output shape.*\(test_messages::doubled.*\): register.*torch\.library"),
    ],
)
def test_a_failure_says_where_and_what_helps(forward: Callable[[torch.Tensor], Any], message: str) -> None:
    with pytest.raises(PredictorError, match=message) as caught:
        of(forward, torch.rand(4, 4), dtype="fp16")
    assert "\n" not in str(caught.value)


def test_an_error_that_a_model_handles_is_none() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        try:
            return of_another_shape(x)
        except RuntimeError:
            return x + 1

    assert of(forward, torch.rand(4, 4)).calls[-1].op == "add"


def test_arguments_that_a_forward_does_not_take_are_wrong_inputs() -> None:
    with pytest.raises(PredictorError, match=r"Linear does not run on these inputs: .*forward\(\) got an unexpected"):
        capture(nn.Linear(4, 4), {"inputs": torch.rand(4, 4)})


def test_what_a_model_raises_is_never_another_error_of_the_interface() -> None:
    class Odd(BaseException):
        pass

    class Unprintable(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise Odd

    for runtime in ("eager", "cudagraph", "onnx"):
        with pytest.raises(PredictorError, match="Odd"):
            plan(Unprintable(), torch.rand(2)).report("h200", runtime=runtime)
    with pytest.raises(PredictorError, match="Odd"):
        modules.exported(Unprintable(), torch.rand(2), "fp32")


def test_an_interrupt_by_the_user_ends_a_capture() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        of(forward, torch.rand(2))
    assert [call.op for call in of(lambda x: x + 1, torch.rand(2)).calls] == ["add"]
