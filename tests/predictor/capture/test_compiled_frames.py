"""Which graphs torch.compile makes of a pass: held against what Dynamo itself does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from predictor.capture.recorder import capture
from predictor.records import COMPILED, UNCOMPILED, CaptureMode

X = torch.rand(2, 8)


class Reads(nn.Module):
    """Decides by a value between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        if torch.isnan(x).any():
            x = x * 2
        return self.second(x)


class Calls(nn.Module):
    """Calls a part that reads a value, and goes on."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part, self.last = part, nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.part(x * 2)) + 1


class Layers(nn.Module):
    """Runs its parts in a loop, between operators of its own."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * 2
        for part in self.parts:
            x = part(x)
        return x + 1


class Adds(nn.Module):
    """A function of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 3


class Tagger(nn.Module):
    """A recurrent layer between others."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(8, 8, batch_first=True), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x[None] * 2)[0])[0]


class Reader(nn.Module):
    """A recurrent layer behind statements of others, and before one that calls a function."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.before = before
        self.rnn, self.head = nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.before):
            x = x * 2
        features = x[None] if self.before else x.view(1, *x.shape)
        out, _ = self.rnn(features)
        return torch.tanh(self.head(out))[0]


class Sizes(nn.Module):
    """Views by a number that a tensor of the CPU holds: one that its graph made, or one of the graph before."""

    def __init__(self, *, slices: bool) -> None:
        super().__init__()
        self.slices = slices

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.tensor(2)
        x = x * 2
        if self.slices:
            x = x[: rows + 0]
        return x.exp().clamp(0, rows * 3) + 1


class Lists(nn.Module):
    """Cuts a tensor where a list of another's values says: of one of the device, or of the host."""

    def __init__(self, *, on_host: bool, each: bool = False) -> None:
        super().__init__()
        self.on_host, self.each, self.last = on_host, each, nn.Linear(5, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sizes = torch.tensor([2, 4], device=None if self.on_host else x.device) + 1
        x = x * 2
        if self.each:
            parts = [torch.split(y, sizes.tolist(), 1) for y in (x, x)]
            return self.last(parts[0][1] + parts[1][1])
        return self.last(torch.split(x, sizes.tolist(), 1)[1].exp())


class Enters(nn.Module):
    """Computes some within a context that torch no longer advises."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * 2
        with torch.backends.cuda.sdp_kernel(enable_math=True):
            x = x.exp().cos()
        return (x * 3).sin()


LOCK = threading.Lock()


def make_once(model: nn.Module) -> None:
    """Makes what only the first pass lacks, as several threads may."""
    if getattr(model, "is_made", False):
        return
    with LOCK:
        model.is_made = True  # type: ignore[assignment]


class Locks(nn.Module):
    """Computes on both sides of what is made once, under a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x * 2).exp()
        make_once(self)
        return self.head(x).sin()


class Transforms(nn.Module):
    """A function of torch's own reads a value."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Transformer(8, 2, 1, 1, 8, batch_first=True), nn.Linear(8, 8)
        self.register_buffer("mask", torch.full((2, 2), float("-inf")).triu(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x[None] * 2, x[None] * 3, tgt_mask=self.mask))[0]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "one graph": lambda: Calls(Layers(Adds(), nn.Linear(8, 8))),
    "reads": Reads,
    "cuts its caller": lambda: Calls(Reads()),
    "in a loop": lambda: Layers(Reads(), Adds(), nn.Linear(8, 8), Reads()),
    "in a loop of torch": lambda: nn.Sequential(nn.Linear(8, 8), Reads(), Adds()),
    "recurrent": Tagger,
    "recurrent in a part": lambda: Calls(Tagger()),
    "recurrent behind others": lambda: Reader(3),
    "recurrent behind two": lambda: Reader(1),
    "recurrent behind one": lambda: Reader(0),
    "recurrent behind others in a part": lambda: Calls(Reader(3)),
    "known number": lambda: Sizes(slices=False),
    "sliced by a tensor": lambda: Sizes(slices=True),
    "list of values": lambda: Lists(on_host=False),
    "list of values in a part": lambda: Calls(Lists(on_host=False)),
    "list of values of the host": lambda: Lists(on_host=True),
    "list of values in a loop": lambda: Lists(on_host=False, each=True),
    "unknown context": Enters,
    "unknown context in a part": lambda: Calls(Enters()),
    "unknown context in a loop": lambda: Layers(Enters(), Adds(), nn.Linear(8, 8), Enters()),
    "lock": Locks,
    "lock in a part": lambda: Calls(Locks()),
    "torch's own": Transforms,
}


def made_by_dynamo(model: nn.Module) -> int:
    """Graphs of operators that a pass of the compiled model runs."""
    ran: list[Any] = []

    def backend(module: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            ran.append(module)
            return module.forward(*args)

        return run

    torch._dynamo.reset()
    compiled = torch.compile(model, backend=backend, dynamic=False)
    with torch.inference_mode():
        for _ in range(3):
            ran.clear()
            compiled(X)
    return len(ran)


@pytest.mark.parametrize("name", MODELS)
def test_graphs_are_those_that_dynamo_makes(name: str) -> None:
    model = MODELS[name]().eval()
    made = made_by_dynamo(model)
    calls = capture(model, X, mode=CaptureMode.COMPILED).calls
    is_marked = any(call.op in (COMPILED, UNCOMPILED) for call in calls)
    assert is_marked == (name not in ("one graph", "known number"))
    graphs = sum(call.op == COMPILED for call in calls) if is_marked else 1
    assert graphs == made


def test_what_is_cut_in_a_loop_runs_in_eager_mode() -> None:
    """The loop's function itself; the functions that it calls are compiled apart, torch's own are not."""
    calls = capture(MODELS["in a loop"]().eval(), X, mode=CaptureMode.COMPILED).calls
    assert [call.op for call in calls] == [
        *(UNCOMPILED, "mul"),
        *(COMPILED, "linear", "relu", "isnan", "any", UNCOMPILED, "is_nonzero", COMPILED, "linear"),
        *(COMPILED, "add", UNCOMPILED, "linear"),
        *(COMPILED, "linear", "relu", "isnan", "any", UNCOMPILED, "is_nonzero", COMPILED, "linear"),
        *(UNCOMPILED, "add"),
    ]


def test_a_function_that_enters_an_unknown_context_goes_on_in_eager_mode() -> None:
    calls = capture(MODELS["unknown context in a part"]().eval(), X, mode=CaptureMode.COMPILED).calls
    assert [call.op for call in calls] == [
        *(COMPILED, "mul", COMPILED, "mul", UNCOMPILED, "exp", "cos", "mul", "sin"),
        *(COMPILED, "linear", "add"),
    ]


def test_a_list_of_values_is_one_read() -> None:
    """However many values it has; a trace has a constant."""
    model = MODELS["list of values"]().eval()
    eager = [call.op for call in capture(model, X).calls]
    assert eager[-5:] == ["mul", "tolist", "split_with_sizes", "exp", "linear"]
    assert "tolist" not in [call.op for call in capture(model, X, mode=CaptureMode.TRACED).calls]
    compiled = [call.op for call in capture(model, X, mode=CaptureMode.COMPILED).calls]
    assert compiled[compiled.index("tolist") - 1 :] == [
        *(UNCOMPILED, "tolist"),
        *(COMPILED, "split_with_sizes", "exp", "linear"),
    ]
    assert "tolist" not in vars(torch.Tensor)


def test_other_runtimes_know_no_graphs() -> None:
    modes = (CaptureMode.EAGER, CaptureMode.TRACED, CaptureMode.CAPTURED)
    for mode in modes:
        assert {COMPILED, UNCOMPILED}.isdisjoint(c.op for c in capture(Reads().eval(), X, mode=mode).calls)
    assert "item" not in vars(torch.Tensor)
