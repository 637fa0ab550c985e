"""The Python that runs around operators: functions, their lines, the modules they belong to.

Who tells of calls and lines: ``python_events``.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FrameType
from typing import Any

from predictor.graph.coldness import HALF_LINES, OPERATOR_LINES, STEEPNESS, coldness
from predictor.records import PythonWork

_SUBCLASS_CHECK = ABCMeta.__subclasscheck__.__code__
"""Runs where ``isinstance`` has no answer in its cache, which any class that is made elsewhere empties."""


class Frame:
    """A Python function call: its code, the module whose call it is, the lines that it ran."""

    __slots__ = ("code", "lines", "module", "tick")

    def __init__(self, code: int, module: int | None, tick: Callable[[], None]) -> None:
        self.code, self.module, self.tick = code, module, tick
        self.lines: set[int] = set()

    def line(self, line: int) -> None:
        """A line runs. Raises what ``tick`` raises."""
        lines = self.lines
        if line in lines:
            self.tick()
        else:
            lines.add(line)

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Local hook of ``sys.settrace``."""
        if event == "line":
            self.line(frame.f_lineno)
        return self.trace


def _no_tick() -> None:
    """A frame of a pass that is over is not counted."""


class Ran:
    """What ran in a part of a pass, and may run again for other modules: frames and marks; where modules are called,
    and which, by number.
    """

    __slots__ = ("_entries", "_modules")

    def __init__(self, entries: list[Frame | None], modules: list[tuple[int, int]]) -> None:
        self._entries, self._modules = entries, modules

    @property
    def codes(self) -> frozenset[int]:
        """Codes that ran, by identity."""
        return frozenset(frame.code for frame in self._entries if frame is not None)

    def again(self, modules: Sequence[int]) -> list[Frame | None]:
        """The same for other modules, by identity."""
        entries = self._entries.copy()
        for place, number in self._modules:
            first = entries[place]
            assert first is not None
            entries[place] = called = Frame(first.code, modules[number], first.tick)
            called.lines = first.lines
        return entries


class PythonTrace:
    """Python function calls of a pass, in order, with marks between them.

    hiders: codes of functions that are none of the pass, nor is what they call. aside: files whose functions are none
    of the pass; what they call is. module_call: code of the function that calls a module, its ``self``. tick: called at
    every call and at every line that runs again; what it raises ends the pass. is_followed: which functions ``follow``
    is told of when they are called, by their code and the names of their module; None: none.
    """

    def __init__(
        self,
        hiders: Sequence[CodeType],
        aside: frozenset[str],
        module_call: CodeType,
        tick: Callable[[], None],
        is_followed: Callable[[CodeType, Mapping[str, Any]], bool] | None = None,
        follow: Callable[[FrameType], None] = lambda frame: None,
    ) -> None:
        self.tick = tick
        self.codes: dict[int, CodeType] = {}  # that ran, by identity: their hash is that of their contents
        self.hiders = frozenset(map(id, hiders))
        self._ran: list[Frame | None] = []  # None: a mark
        self._aside = aside
        self._module_call = module_call
        self._is_followed, self._follow = is_followed, follow
        self._followed: set[int] = set()  # codes, by identity

    def is_aside(self, code: CodeType) -> bool:
        """Whether calls of a function are none of the pass."""
        return code.co_filename in self._aside or code is _SUBCLASS_CHECK

    def call(self, frame: FrameType) -> Frame:
        """A function of the pass is called, or goes on as a generator does. Raises what ``tick`` raises."""
        code = frame.f_code
        identity = id(code)
        if identity not in self.codes:
            self.codes[identity] = code
            if self._is_followed is not None and self._is_followed(code, frame.f_globals):
                self._followed.add(identity)
        if identity in self._followed:
            self._follow(frame)
        self.tick()
        module = id(frame.f_locals["self"]) if code is self._module_call else None
        called = Frame(identity, module, self.tick)
        self._ran.append(called)
        return called

    @property
    def position(self) -> int:
        """How much ran so far, as ``since`` takes it."""
        return len(self._ran)

    def since(self, position: int, modules: Sequence[int]) -> Ran | None:
        """What ran since then. modules: that may have been called, by identity; None where another was."""
        numbers = {module: number for number, module in enumerate(modules)}
        entries, called = self._ran[position:], []
        for place, frame in enumerate(entries):
            if frame is not None:
                if frame.module is not None:
                    if frame.module not in numbers:
                        return None
                    called.append((place, numbers[frame.module]))
                entries[place] = kept = Frame(frame.code, None, _no_tick)
                kept.lines = frame.lines
        return Ran(entries, called)

    def repeat(self, ran: Ran, modules: Sequence[int]) -> None:
        """What ran before runs again, for these modules."""
        self._ran += ran.again(modules)

    def mark(self) -> None:
        """An operator runs."""
        self._ran.append(None)

    @property
    def module_calls(self) -> int:
        """Calls of modules in the pass."""
        return sum(frame is not None and frame.module is not None for frame in self._ran)

    def work(self, operators: Sequence[str]) -> list[PythonWork]:
        """The Python before each mark, and after the last. operators: by their names in the order of their marks, which
        push Python's code out of the caches, too.
        """
        sizes: dict[int | str, float] = dict.fromkeys(operators, OPERATOR_LINES)
        names = iter(operators)
        ran_in_order: list[int | str] = []
        called: list[int] = []
        for frame in self._ran:
            if frame is None:
                ran_in_order.append(next(names))
                continue
            code, lines_of = frame.code, len(frame.lines)
            ran_in_order.append(code)
            if lines_of > sizes.get(code, -1):
                sizes[code] = lines_of
            if frame.module is not None:
                called.append(frame.module)
        cold = coldness(ran_in_order, HALF_LINES, sizes, STEEPNESS)
        module_cold = iter(coldness(called))
        work_by_mark = []
        calls, lines, modules = 0, 0.0, 0.0
        for frame, code_cold in zip((*self._ran, None), (*cold, 0.0), strict=True):
            if frame is None:
                work_by_mark.append(PythonWork(calls, round(lines, 2), round(modules, 2)))
                calls, lines, modules = 0, 0.0, 0.0
                continue
            calls += 1
            lines += len(frame.lines) * code_cold
            if frame.module is not None:
                modules += next(module_cold)
        return work_by_mark
