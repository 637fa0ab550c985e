"""Which graphs ``torch.compile`` makes of a pass: where Dynamo breaks one, each function that is running goes on apart.

Dynamo compiles functions, with all that they call. Where it meets what it cannot compile (Python reads a tensor),
each function that is running is cut there: what follows in it is a graph of its own. A function of torch's own, or of
Python's library, is compiled within others alone, and one that is cut in a loop not at all: what they call themselves
runs in eager mode, and the functions that they call are compiled apart. So does the rest of a function in which a
tensor is the bound of a slice, of one that enters a context that Dynamo does not know (``UNKNOWN_CONTEXTS``, a lock),
and of one that fetches a recurrent layer, from the statement on in which it does.

In torch: ``break_graph_if_unsupported``, ``maybe_has_backedge``, ``step`` and ``is_non_empty_graph`` in
torch/_dynamo/symbolic_convert.py, ``check_file`` in trace_rules.py, ``allow_rnn`` in variables/builder.py.
"""

from __future__ import annotations

import dis
import threading
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from predictor.capture.capture_mode import LIST_CODE, READ_CODE
from predictor.capture.origins import file_outside_of_torch
from predictor.ops import GraphBreak, graph_break
from predictor.records import COMPILED, UNCOMPILED, OpCall, Trait


@lru_cache(maxsize=4096)
def _jumps_and_returns(code: CodeType) -> tuple[tuple[int, int | None], ...]:
    """(Offset, target) of a function's jumps, (offset, None) of its returns."""
    found: list[tuple[int, int | None]] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("RETURN_VALUE", "RETURN_CONST"):
            found.append((instruction.offset, None))
        elif instruction.opcode in dis.hasjrel or instruction.opcode in dis.hasjabs:
            found.append((instruction.offset, int(instruction.argval)))
    return tuple(found)


def is_in_loop(code: CodeType, offset: int) -> bool:
    """Whether an instruction stands in a loop, as Dynamo tells it: before the next return there is a jump to one that
    is before it.
    """
    for at, target in _jumps_and_returns(code):
        if at > offset and (target is None or target < offset):
            return target is not None
    return False


_NEVER_GOES_ON = ("RETURN_VALUE", "RETURN_CONST", "RAISE", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_ABSOLUTE")
"""Begins the names of instructions behind which the next does not follow."""


@lru_cache(maxsize=4096)
def _statements(code: CodeType) -> tuple[int, ...]:
    """Offsets of a function's instructions before which its stack is empty: there a graph may end within it."""
    found: list[int] = []
    depths: dict[int, int] = {}  # where jumps lead
    depth: int | None = 0  # None: after an end, where no jump leads
    for instruction in dis.get_instructions(code):
        depth = depths.get(instruction.offset, depth)
        if depth is None:
            continue
        if depth == 0:
            found.append(instruction.offset)
        opcode, argument = instruction.opcode, instruction.arg
        if opcode in dis.hasjrel or opcode in dis.hasjabs:
            depths.setdefault(int(instruction.argval), depth + dis.stack_effect(opcode, argument, jump=True))
        depth = (
            None
            if instruction.opname.startswith(_NEVER_GOES_ON)
            else depth + dis.stack_effect(opcode, argument, jump=False)
        )
    return tuple(found)


FEWEST_CALLS = 2
"""Operators from which on a graph ends before the statement that cannot be compiled."""


_SUBSCRIPTS = frozenset({"BINARY_SUBSCR", "BINARY_SLICE", "STORE_SUBSCR", "STORE_SLICE", "DELETE_SUBSCR"})


def _is_slice(read: FrameType) -> bool:
    """Whether Python reads a tensor as the bound of a slice, while it subscripts."""
    caller = read.f_back
    if caller is None or read.f_code is LIST_CODE or read.f_locals["method"].__name__ != "__index__":
        return False
    return dis.opname[caller.f_code.co_code[caller.f_lasti]] in _SUBSCRIPTS


_LOCKS = type(threading.Lock()), type(threading.RLock())

_ENTERING = (("BEFORE_WITH",), ("SETUP_WITH",), ("COPY", "LOAD_SPECIAL"))
"""Instructions with which a ``with`` begins, of Python's releases."""


def enters_lock(code: CodeType, names: Mapping[str, Any]) -> bool:
    """Whether a function, not one of torch's or Python's, enters a lock of its module. names: of the module. It may do
    so in the first pass alone, as what makes something once does; that is the pass that Dynamo compiles.
    """
    locks = {name for name in code.co_names if isinstance(names.get(name), _LOCKS)}
    if not locks or not file_outside_of_torch(code):
        return False
    instructions = list(dis.get_instructions(code))
    ops = [instruction.opname for instruction in instructions]
    return any(
        instruction.opname == "LOAD_GLOBAL"
        and instruction.argval in locks
        and any(tuple(ops[at : at + len(entering)]) == entering for entering in _ENTERING)
        for at, instruction in enumerate(instructions, 1)
    )


def is_left_to_eager_mode(calls: Sequence[OpCall]) -> bool:
    """Whether a pass has marks, and none where a graph begins."""
    return bool(calls) and calls[0].op == UNCOMPILED and all(call.op != COMPILED for call in calls)


@dataclass(slots=True)
class _Function:
    """A call of a function. first: the first call of an operator in it; compiled_alone: whether a graph may begin in
    it; statement: where the statement begins that runs; since: the first call of an operator in that; cuts: calls of
    operators at which it was cut; eager_from: the first call of an operator that it makes in eager mode, None: of none.
    """

    first: int
    compiled_alone: bool
    statement: int = -1
    since: int = 0
    cuts: list[int] = field(default_factory=list)
    eager_from: int | None = None

    def leave_from(self, call: int) -> None:
        """It is left to eager mode from a call on."""
        self.eager_from = call if self.eager_from is None else min(self.eager_from, call)

    def leave_statement(self) -> None:
        """It is left to eager mode from the statement on that runs; with what is before, where that is no graph."""
        begun = self.cuts[-1] + 1 if self.cuts else self.first
        self.leave_from(self.since if self.since >= begun + FEWEST_CALLS else begun)


class CompiledFrames:
    """Follows the functions that run while operators are called."""

    def __init__(self, is_model: Callable[[FrameType], bool]) -> None:
        """is_model: whether a frame is the call of the model, below which the functions are not the model's."""
        self._is_model = is_model
        self._running: dict[FrameType, int] = {}  # kept: a frame that has ended is not taken for a new one
        self._functions: list[_Function] = []
        self._stacks: list[tuple[int, ...]] = []
        self._breaks: set[int] = set()
        self._cuts = 0
        self._known_since: dict[int, int] = {}  # value -> cuts before a graph made it of nothing but numbers

    def called(self, call: OpCall, frame: FrameType | None) -> None:
        """An operator is called from a frame."""
        by_python = frame is not None and frame.f_code in (LIST_CODE, READ_CODE)
        self._run_from(frame)
        breaks = self._effect(call, by_python)
        if breaks is not GraphBreak.NONE:
            self._cut(breaks, frame if by_python else None)
        self._stacks.append(tuple(self._running.values()))
        if call.trait is Trait.HOST or (call.trait is Trait.VIEW and call.input_ids):
            known = min((self._known_since.get(value, -1) for value in call.input_ids), default=self._cuts)
            self._known_since.update(dict.fromkeys(call.output_ids, known))

    def makes(self, value: int) -> None:
        """A value on the host is met that no operator has made, and that is neither a weight nor an input."""
        self._known_since[value] = self._cuts

    def enters_unknown(self, frame: FrameType) -> None:
        """A function enters a context that Dynamo does not know: it goes on in eager mode."""
        self._run_from(frame)
        for number in reversed(self._running.values()):
            if self._functions[number].compiled_alone:
                self._functions[number].leave_from(len(self._stacks))
                break
        self._cut(GraphBreak.NONE, None)

    def again(self, times: int, frame: FrameType | None) -> None:
        """A layer that is called from a frame calls so many operators."""
        self._run_from(frame)
        self._stacks += [tuple(self._running.values())] * times

    def _effect(self, call: OpCall, by_python: bool) -> GraphBreak:
        """What an operator does to a graph. C++ may read a tensor on the host whose value the graph itself has made of
        numbers: that is known while it is compiled.
        """
        own = graph_break(call.op)
        if own is GraphBreak.READS_DATA and call.trait is Trait.HOST and not by_python:
            is_known = all(self._known_since.get(value) == self._cuts for value in call.input_ids)
            return GraphBreak.NONE if is_known else own
        if call.trait is Trait.OPAQUE:
            return own
        parts = (self._effect(part, by_python) for part in call.parts)
        return own or next((breaks for breaks in parts if breaks), GraphBreak.NONE)

    def _run_from(self, frame: FrameType | None) -> None:
        """Note the functions that run, from that of a frame on."""
        new = []
        while frame is not None and frame not in self._running and not self._is_model(frame):
            new.append(frame)
            frame = frame.f_back
        running: dict[FrameType, int] = {}
        if frame in self._running:
            for known, number in self._running.items():
                running[known] = number
                if known is frame:
                    break
        for begun in reversed(new):
            running[begun] = len(self._functions)
            self._functions.append(_Function(len(self._stacks), bool(file_outside_of_torch(begun.f_code))))
        self._running = running
        for runs, number in running.items():
            function = self._functions[number]
            if function.compiled_alone:
                starts = _statements(runs.f_code)
                statement = starts[bisect(starts, runs.f_lasti) - 1]
                if statement != function.statement:
                    function.statement, function.since = statement, len(self._stacks)

    def _cut(self, breaks: GraphBreak, read: FrameType | None) -> None:
        """Cut all functions that run, at the next call of an operator: that is not compiled where it is what breaks the
        graph. read: of a read by Python.
        """
        now = len(self._stacks)
        self._cuts += 1
        if breaks is not GraphBreak.NONE:
            self._breaks.add(now)
        fetching = next((n for n in reversed(self._running.values()) if self._functions[n].compiled_alone), None)
        if (
            fetching is not None
            and read is not None
            and _is_slice(read)
            and self._functions[fetching].eager_from is None
        ):
            self._functions[fetching].eager_from = now
        for frame, number in self._running.items():
            function = self._functions[number]
            if not function.compiled_alone:
                function.leave_from(0)
            elif breaks is GraphBreak.NOT_TRACED and number == fetching:
                function.leave_statement()
            elif is_in_loop(frame.f_code, frame.f_lasti):
                function.leave_from(function.cuts[-1] if function.cuts else 0)
            function.cuts.append(now)

    def forget(self) -> None:
        """Let go of the frames."""
        self._running = {}

    def graphs(self) -> list[tuple[int, int] | None]:
        """Of each call of an operator which graph it is in, None for one that runs in eager mode."""
        return [None if call in self._breaks else self._graph(call) for call in range(len(self._stacks))]

    def _graph(self, call: int) -> tuple[int, int] | None:
        found: int | None = None
        for number in self._stacks[call]:
            function = self._functions[number]
            if function.cuts:
                is_eager = function.eager_from is not None and call >= function.eager_from
                found = None if is_eager else number
            elif found is None and function.compiled_alone:
                found = number
        return None if found is None else (found, bisect(self._functions[found].cuts, call))

    def marked(self, calls: Sequence[OpCall]) -> tuple[OpCall, ...]:
        """The calls of a pass, marked where a graph begins and where eager mode does; not where all is one graph."""
        if not self._cuts:
            return tuple(calls)
        marked: list[OpCall] = []
        before: object = ()
        for call, graph in zip(calls, self.graphs(), strict=True):
            if graph != before:
                mark = UNCOMPILED if graph is None else COMPILED
                marked.append(OpCall(mark, {}, (), Trait.HOST, origin=call.origin))
                before = graph
            marked.append(call)
        return tuple(marked)
