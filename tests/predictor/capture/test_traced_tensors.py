"""In a trace numbers that sizes give are tensors, and slices of everything are calls."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from predictor.capture.recorder import capture
from predictor.capture.traced_tensors import SizeFloat, SizeInt
from predictor.records import READ_BY_OPERATOR, SIZES, CaptureMode, Graph, OpCall, Trait
from tests.helpers import Function

X = torch.rand(2, 8, 16)


def calls(function: Any, mode: CaptureMode = CaptureMode.TRACED) -> tuple[OpCall, ...]:
    graph: Graph = capture(Function(function), (X,), "fp16", mode=mode)
    return graph.calls


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x / (x.shape[-1] - 1), [("scalar_tensor", 15), ("div", None)]),
        (lambda x: x * x.size(-1) ** -0.5, [("scalar_tensor", 0.25), ("mul", None)]),
        (lambda x: 2 * x.shape[1] - x, [("scalar_tensor", 16), ("sub", None)]),
        (lambda x: x / math.sqrt(x.shape[-1]), [("div", 4.0)]),
        (lambda x: x / int(x.shape[-1]), [("div", 16)]),
        (lambda x: x.view(x.size(0), -1).expand(*x.shape[:1], 128), [("view", None), ("expand", None)]),
    ],
)
def test_a_size_that_meets_a_tensor_is_one(function: Any, expected: list[tuple[str, Any]]) -> None:
    made = calls(function)
    assert [call.op for call in made] == [op for op, _ in expected]
    for call, (_, number) in zip(made, expected, strict=True):
        operand = call.args.get("s", call.args.get("other"))
        assert operand == number or number is None
        assert (call.trait is Trait.HOST) == (call.op == "scalar_tensor")


def test_in_eager_mode_a_size_is_a_number() -> None:
    (call,) = calls(lambda x: x / (x.shape[-1] - 1), CaptureMode.EAGER)
    assert (call.op, call.args["other"]) == ("div", 15)


def test_what_is_computed_of_a_size_remembers_it() -> None:
    n = SizeInt(6)
    assert [type(m) for m in (n + 1, 2 * n, n // 4, -n, n % 4, n**2)] == [SizeInt] * 6
    assert [type(m) for m in (n / 4, n**-0.5, 1 / n, n * 0.5, (n / 4) * 2)] == [SizeFloat] * 5
    assert (n - 1, 7 - n, n / 4, [*range(8)][n]) == (5, 1, 1.5, 6)
    assert type(int(n)) is int


def test_what_is_made_of_sizes_says_whose_they_are() -> None:
    def forward(x: torch.Tensor) -> Any:
        y = x[0]
        of_both = torch.ones(x.shape[1] - y.shape[-1] // 4, device=x.device)
        return torch.zeros(4, device=x.device), torch.ones(y.shape, device=x.device), of_both

    select, *made = calls(forward)
    (x,), (y,) = select.input_ids, select.output_ids
    assert [(call.op, call.input_ids) for call in made] == [("ones", (x, y)), ("zeros", ()), ("ones", (y,))]
    assert made[1].args[SIZES] == ()
    assert [tensor.shape for tensor in made[2].tensors] == [(8, 16)]
    assert all(SIZES not in call.args for call in calls(forward, CaptureMode.EAGER))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.narrow(0, 0, x.sum().to(torch.int64)), ["sum", "to", READ_BY_OPERATOR, "narrow"]),
        (lambda x: x.narrow(0, 0, int(x.sum())), ["sum", "item", "narrow"]),
    ],
)
def test_a_trace_reads_what_an_operator_takes(function: Any, expected: list[str]) -> None:
    """As ``aten::Int``; what Python reads is a number of the trace."""
    assert [call.op for call in calls(function)] == expected
    in_eager_mode = ["item" if op == READ_BY_OPERATOR else op for op in expected]
    assert [call.op for call in calls(function, CaptureMode.EAGER)] == in_eager_mode
    traced = torch.jit.trace(function, (torch.full((2, 8, 16), 1 / 256),), check_trace=False).graph
    assert ("aten::Int" in {node.kind() for node in traced.nodes()}) == (READ_BY_OPERATOR in expected)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ((slice(None), None), ["slice", "unsqueeze"]),
        ((slice(None), None, slice(None), 3), ["slice", "unsqueeze", "slice", "select"]),
        ((..., None), ["unsqueeze"]),
        ((..., slice(0, 16), -1), ["slice", "select"]),
        (0, ["select"]),
    ],
)
def test_every_slice_is_a_call(index: Any, expected: list[str]) -> None:
    """As torch's own trace has them; in eager mode a slice of everything is none."""

    def indexed(x: torch.Tensor) -> torch.Tensor:
        return x[index]

    traced = torch.jit.trace(indexed, (X,)).graph
    assert [node.kind().removeprefix("aten::") for node in traced.nodes() if "aten" in node.kind()] == expected
    made = calls(indexed)
    assert [call.op for call in made] == expected
    assert made[-1].outputs[0].shape == X[index].shape
    assert [call.op for call in calls(indexed, CaptureMode.EAGER)] == [op for op in expected if op != "slice"]


def test_what_tensors_index_is_left_to_torch() -> None:
    assert [call.op for call in calls(lambda x: x[x[:, 0, 0] > 0])][:3] == ["slice", "select", "select"]


def test_tensors_are_as_before_afterwards() -> None:
    before = dict(vars(torch.Tensor))
    calls(lambda x: x * x.shape[0])
    assert dict(vars(torch.Tensor)) == before
    assert type(X.shape[0]) is int


@pytest.mark.parametrize(("mode", "expected"), [(CaptureMode.TRACED, ["mul"]), (CaptureMode.EAGER, ["add"])])
def test_code_that_asks_whether_a_size_is_a_tensor_is_told_so_in_a_trace(
    mode: CaptureMode, expected: list[str]
) -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        length = x.shape[1]
        if isinstance(length, (float, torch.Tensor)):
            return x * length.item() if length.dim() == 0 else x
        return x + length

    assert [call.op for call in calls(forward, mode) if call.op in ("mul", "add")] == expected
    assert isinstance(SizeInt(3), int)
    assert not isinstance(SizeInt(3), torch.Tensor)


def padded_to_the_same(x: torch.Tensor) -> torch.Tensor:
    """As timm pads for convolutions of TensorFlow's: by sizes, which a trace has as tensors, and divides as such."""

    def missing(size: Any) -> Any:
        if isinstance(size, torch.Tensor):
            return torch.clamp((size / 2).ceil() * 2 + 1 - size, min=0)
        return max(-(-size // 2) * 2 + 1 - size, 0)

    height, width = (missing(size) for size in x.shape[-2:])
    return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))


def test_a_pad_takes_what_sizes_that_are_tensors_hold() -> None:
    x = torch.rand(1, 3, 8, 9)
    module = Function(padded_to_the_same)
    traced = torch.jit.trace(module, (x,))
    (pad,) = (call for call in capture(module, x, mode=CaptureMode.TRACED).calls if call.op == "pad")
    assert pad.outputs[0].shape == tuple(traced(x).shape) == (1, 3, 9, 11)
