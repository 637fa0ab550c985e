"""Who tells a ``PythonTrace`` of calls and lines: ``sys.monitoring`` from Python 3.12 on, ``sys.settrace`` before.

From 3.12 on ``sys.settrace`` is slow: it has every line of every function tell of itself, those of the capture as well,
which are most of what runs. ``sys.monitoring`` asks the lines of the pass alone. What is counted is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, Protocol

from predictor.capture.python_trace import Frame, PythonTrace


class Events(Protocol):
    """Around a pass, in the thread that runs it: ``with events: ...``."""

    def __enter__(self) -> object:
        """From here on this thread is watched."""

    def __exit__(self, *raised: object) -> None:
        """Everything is as it was before."""

    def pause(self) -> Any:
        """This thread is not watched until ``resume`` is given what this returns."""

    def resume(self, paused: Any) -> None:
        """This thread is watched as the one was that has paused."""


def events_for(trace: PythonTrace) -> Events:
    """What this Python has: ``sys.settrace`` where other tools use all places of ``sys.monitoring``, too."""
    if sys.version_info >= (3, 12):
        tool = next((tool for tool in TOOLS if sys.monitoring.get_tool(tool) is None), None)
        if tool is not None:
            return Monitoring(trace, tool)
    return Settrace(trace)


class Settrace:
    """Calls and lines as ``sys.settrace`` tells of them."""

    def __init__(self, trace: PythonTrace) -> None:
        self._trace = trace
        self._hidden = 0  # functions that hide what they call, and run
        self._before: Any = None

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._called)

    def __exit__(self, *raised: object) -> None:
        sys.settrace(self._before)

    def pause(self) -> Any:
        """See ``Events``."""
        hook = sys.gettrace()
        sys.settrace(None)
        return hook

    def resume(self, paused: Any) -> None:
        """See ``Events``."""
        sys.settrace(paused)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        code, trace = frame.f_code, self._trace
        if id(code) in trace.hiders:
            self._hidden += 1
            return self._leave
        if self._hidden or (id(code) not in trace.codes and trace.is_aside(code)):
            return None
        return trace.call(frame).trace

    def _leave(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_lines = False
        if event == "return":
            self._hidden -= 1
        return self._leave


if sys.version_info >= (3, 12):
    _EVENTS = sys.monitoring.events

    TOOLS = (3, 4, 5, 2, 1, 0)
    """Places of ``sys.monitoring``: first those that no kind of tool has for its own."""

    _OF_ALL = _EVENTS.PY_START | _EVENTS.PY_UNWIND | _EVENTS.PY_THROW
    _OF_HIDERS = _EVENTS.PY_RETURN
    _OF_THE_PASS = _EVENTS.LINE | _EVENTS.JUMP | _EVENTS.PY_RETURN | _EVENTS.PY_YIELD | _EVENTS.PY_RESUME

    class Monitoring:
        """Calls and lines as ``sys.monitoring`` tells of them. tool: its place there.

        Events come without their frame, and from all threads. So each thread that is watched has a stack of the calls
        of the pass that run in it, and of functions that hide what they call.
        """

        def __init__(self, trace: PythonTrace, tool: int) -> None:
            self._trace, self._tool = trace, tool
            self._outside = Frame(0, None, trace.tick)  # below the first call of a stack
            self._stacks: dict[int, list[Frame]] = {}  # by thread
            self._watched: dict[int, CodeType] = {}  # code that has events of its own, by identity
            self._lines: dict[tuple[int, int], int | None] = {}  # of instructions, by code and offset

        def __enter__(self) -> None:
            monitoring, tool = sys.monitoring, self._tool
            monitoring.use_tool_id(tool, __name__)
            for event, callback in self._callbacks().items():
                monitoring.register_callback(tool, event, callback)
            monitoring.set_events(tool, _OF_ALL)
            self._stacks[get_ident()] = [self._outside]

        def __exit__(self, *raised: object) -> None:
            monitoring, tool = sys.monitoring, self._tool
            self._stacks.clear()
            monitoring.set_events(tool, 0)
            for code in self._watched.values():
                monitoring.set_local_events(tool, code, 0)
            self._watched.clear()
            self._lines.clear()
            for event in self._callbacks():
                monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)

        def _callbacks(self) -> dict[int, Callable[..., Any]]:
            return {
                **dict.fromkeys((_EVENTS.PY_START, _EVENTS.PY_RESUME, _EVENTS.PY_THROW), self._begins),
                **dict.fromkeys((_EVENTS.PY_RETURN, _EVENTS.PY_YIELD, _EVENTS.PY_UNWIND), self._ends),
                _EVENTS.LINE: self._line,
                _EVENTS.JUMP: self._jump,
            }

        def pause(self) -> list[Frame] | None:
            """See ``Events``."""
            return self._stacks.pop(get_ident(), None)

        def resume(self, paused: list[Frame] | None) -> None:
            """See ``Events``."""
            if paused is not None:
                self._stacks[get_ident()] = paused.copy()  # another thread may leave calls on its own

        def _begins(self, code: CodeType, offset: int, thrown: object = None) -> Any:
            identity, trace = id(code), self._trace
            is_watched = identity in self._watched
            if not is_watched and trace.is_aside(code):
                return sys.monitoring.DISABLE if thrown is None else None  # PY_THROW cannot be
            stack = self._stacks.get(get_ident())
            if stack is None:
                return None
            hides = identity in trace.hiders
            if not hides and stack[-1].code in trace.hiders:
                return None
            if not is_watched:
                self._watched[identity] = code
                sys.monitoring.set_local_events(self._tool, code, _OF_HIDERS if hides else _OF_THE_PASS)
            stack.append(Frame(identity, None, trace.tick) if hides else trace.call(sys._getframe(1)))
            return None

        def _ends(self, code: CodeType, offset: int, result: object) -> None:
            stack = self._stacks.get(get_ident())
            if stack is not None and stack[-1].code == id(code):
                stack.pop()

        def _line(self, code: CodeType, line: int) -> None:
            stack = self._stacks.get(get_ident())
            if stack is not None and stack[-1].code == id(code):
                stack[-1].line(line)

        def _jump(self, code: CodeType, offset: int, to: int) -> Any:
            """A jump back within a line runs the line again, and is no ``LINE``."""
            line = self._line_of(code, to)
            if to > offset or line is None or line != self._line_of(code, offset):
                return sys.monitoring.DISABLE
            return self._line(code, line)

        def _line_of(self, code: CodeType, offset: int) -> int | None:
            if (id(code), offset) not in self._lines:
                for start, end, line in code.co_lines():
                    self._lines.update({(id(code), place): line for place in range(start, end, 2)})
            return self._lines[id(code), offset]
