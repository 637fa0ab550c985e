"""Calls and lines of Python, whoever tells of them."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from types import CodeType
from typing import Any

import pytest
import torch
from torch import nn

from predictor.capture import recorder
from predictor.capture.python_events import Events, Settrace, events_for
from predictor.capture.python_trace import PythonTrace
from predictor.capture.recorder import capture


def hidden(function: Callable[[], Any]) -> Any:
    return function()


def add(a: int, b: int = 1) -> int:
    total = a
    total += b
    return total


def numbers(count: int) -> Iterator[int]:
    for number in range(count):
        yield number
        add(number)


def catches() -> Generator[int, None, None]:
    try:
        yield 1
    except ValueError:
        yield 2


def fails() -> None:
    raise ValueError("out of cheese")


def recurses(depth: int) -> int:
    return depth and 1 + recurses(depth - 1)


def loops() -> int:
    total = 0
    for number in range(3):
        total = add(total, number)
    return total


def loops_in_a_line() -> None:
    scope: dict[str, int] = {}
    exec("total = 3\nwhile total: total -= 1", scope)
    exec("for number in range(3): number", scope)


def generates() -> int:
    return sum(numbers(3)) + sum(number * 2 for number in range(4)) + sum([add(number) for number in range(2)])


def throws() -> None:
    generator = catches()
    next(generator)
    generator.throw(ValueError())
    generator.close()


def raises() -> None:
    with contextlib.suppress(ValueError):
        fails()
    try:
        recurses(2)
        fails()
    except ValueError:
        add(1)


def hides() -> None:
    add(1)
    hidden(lambda: hidden(lambda: add(2)))
    with contextlib.suppress(ValueError):
        hidden(fails)
    add(3)


def delegates() -> list[int]:
    def both() -> Iterator[int]:
        yield from numbers(2)
        yield from numbers(1)

    return list(both())


def defines() -> int:
    class Local:
        def __init__(self) -> None:
            self.value = 1

        @property
        def double(self) -> int:
            return self.value * 2

    return sorted([Local(), Local()], key=lambda local: local.double)[0].double


@contextlib.contextmanager
def entered() -> Iterator[int]:
    try:
        yield 1
    finally:
        add(1)


def enters() -> None:
    with entered(), entered():
        add(1)


WORK = [loops, loops_in_a_line, generates, throws, raises, hides, delegates, defines, enters]


def counted(work: Callable[[], Any], of: Callable[[PythonTrace], Events], ticks: list[int]) -> list[Any]:
    """Calls in their order, each with its lines."""
    codes: list[CodeType] = [hidden.__code__]
    trace = PythonTrace(
        codes,
        frozenset([recorder.__file__, sys.modules[Settrace.__module__].__file__ or ""]),
        codes[0],
        lambda: ticks.append(1),
    )
    with of(trace):
        work()
    return [(trace.codes[frame.code].co_qualname, sorted(frame.lines)) for frame in trace._ran if frame is not None]


@pytest.mark.parametrize("work", WORK)
def test_what_is_counted_does_not_depend_on_who_tells(work: Callable[[], Any]) -> None:
    here: list[int] = []
    there: list[int] = []
    assert counted(work, events_for, here) == counted(work, Settrace, there)
    assert len(here) == len(there)


class Branches(nn.Module):
    """Runs Python of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for work in WORK:
            work()
        return torch.relu(x + generates())


def test_what_another_thread_runs_is_not_counted() -> None:
    module, ends, alone = Branches(), threading.Event(), capture(Branches(), torch.empty(2))

    def runs() -> None:
        while not ends.is_set():
            generates()

    other = threading.Thread(target=runs)
    other.start()
    try:
        assert [capture(module, torch.empty(2)) for _ in range(3)] == [alone] * 3
    finally:
        ends.set()
        other.join()


if sys.version_info >= (3, 12):
    from predictor.capture.python_events import TOOLS

    @contextlib.contextmanager
    def taken(tools: list[int]) -> Iterator[list[int]]:
        """Other tools have these places of ``sys.monitoring``; how many lines they are told of."""
        told = [0]

        def line(code: CodeType, number: int) -> None:
            told[0] += 1

        for tool in tools:
            sys.monitoring.use_tool_id(tool, "other")
            sys.monitoring.register_callback(tool, sys.monitoring.events.LINE, line)
            sys.monitoring.set_events(tool, sys.monitoring.events.LINE)
        try:
            yield told
        finally:
            for tool in tools:
                sys.monitoring.set_events(tool, 0)
                sys.monitoring.register_callback(tool, sys.monitoring.events.LINE, None)
                sys.monitoring.free_tool_id(tool)

    @pytest.mark.parametrize("places", [1, 3, 6])
    def test_other_tools_go_on_and_change_nothing(places: int) -> None:
        free = [tool for tool in TOOLS if sys.monitoring.get_tool(tool) is None]
        alone = capture(Branches(), torch.empty(2))
        with taken(free[:places]) as told:
            assert capture(Branches(), torch.empty(2)) == alone
            during = told[0]
            loops()
            assert told[0] > during
        assert [tool for tool in TOOLS if sys.monitoring.get_tool(tool) is None] == free


def test_a_pass_that_fails_counts_nothing_afterwards() -> None:
    trace = PythonTrace([hidden.__code__], frozenset(), hidden.__code__, lambda: None)
    with pytest.raises(ValueError, match="cheese"), events_for(trace):
        fails()
    ran = trace.position
    generates()
    assert trace.position == ran
