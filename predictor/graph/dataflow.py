"""Data flow of a captured graph: who makes a value, who reads it, what depends on what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from predictor.ops import OPS, GraphBreak, graph_break
from predictor.records import READ_BY_OPERATOR, SIZES, OpCall, TensorSpec, Trait


def is_in_place(call: OpCall) -> bool:
    """Whether a call writes into its first tensor."""
    row = OPS.get(call.op)
    if row is not None and row.writes_input is not None:
        return row.writes_input
    return call.op.endswith("_") and not call.op.endswith("__")


def _is_literal(call: OpCall) -> bool:
    row = OPS.get(call.op)
    return row is not None and row.is_literal


def _is_random(call: OpCall) -> bool:
    row = OPS.get(call.op)
    return row is not None and row.is_random


@dataclass(frozen=True)
class Dataflow:
    """calls: in issue order; maker: value -> index of the call that makes it; readers: value -> indices of the calls
    that read it; children: per call, those that read what it makes; ancestors: per call, a bit for each call that it
    depends on, however far; written: values that some call writes into, or into a view of; outputs: values that the
    model returns.
    """

    calls: tuple[OpCall, ...]
    maker: dict[int, int]
    readers: dict[int, list[int]]
    children: list[list[int]]
    ancestors: list[int]
    written: frozenset[int]
    outputs: frozenset[int]

    @classmethod
    def of(cls, calls: Sequence[OpCall], outputs: Iterable[int]) -> Dataflow:
        """Of calls in issue order."""
        maker: dict[int, int] = {}
        readers: dict[int, list[int]] = {}
        children: list[list[int]] = [[] for _ in calls]
        ancestors: list[int] = []
        base: dict[int, int] = {}
        written: set[int] = set()
        for index, call in enumerate(calls):
            above = 0
            for value in call.input_ids:
                readers.setdefault(value, []).append(index)
                if value in maker:
                    children[maker[value]].append(index)
                    above |= ancestors[maker[value]] | 1 << maker[value]
            ancestors.append(above)
            maker.update(dict.fromkeys(call.output_ids, index))
            if call.input_ids and (call.trait is Trait.VIEW or is_in_place(call)):
                base.update(dict.fromkeys(call.output_ids, call.input_ids[0]))
            into = call.input_ids[0] if call.input_ids and is_in_place(call) else None
            while into is not None:
                written.add(into)
                into = base.get(into)
        return cls(tuple(calls), maker, readers, children, ancestors, frozenset(written), frozenset(outputs))

    def root(self, value: int) -> int:
        """The value that a view, of a view and so on, looks at."""
        while value in self.maker and self.calls[self.maker[value]].trait is Trait.VIEW:
            call = self.calls[self.maker[value]]
            if not call.input_ids:
                break
            value = call.input_ids[0]
        return value

    def without(self, gone: Callable[[int], bool]) -> Dataflow:
        """The flow of the calls that stay. gone: of a call's index."""
        return Dataflow.of([c for i, c in enumerate(self.calls) if not gone(i)], self.outputs)

    def live(self, *, waits: bool = True) -> Dataflow:
        """Without calls whose results nobody reads and that write into nothing that is read, in whatever view, nor into
        what the pass is given (torch/csrc/jit/passes/dead_code_elimination.cpp). waits: but with all that wait for the
        device, and not those alone whose number an operator takes.
        """
        wanted = set(self.outputs)
        memory = {self._memory(value) for value in wanted}
        kept = [False] * len(self.calls)
        for index in reversed(range(len(self.calls))):
            call = self.calls[index]
            looks = call.trait is Trait.SYNC and (waits or call.op == READ_BY_OPERATOR)
            kept[index] = looks or not wanted.isdisjoint(call.output_ids)
            if not kept[index] and is_in_place(call):
                into = self._memory(call.input_ids[0]) if call.input_ids else None
                kept[index] = into not in self.maker or into in memory
            if kept[index]:
                wanted.update(call.input_ids)
                memory.update(map(self._memory, call.input_ids))
        return self.without(lambda index: not kept[index])

    def _memory(self, value: int) -> int:
        """The first value in whose memory a value may lie: it is a view of it, or written into it."""
        while value in self.maker:
            call = self.calls[self.maker[value]]
            may_share = call.trait in (Trait.VIEW, Trait.COMPOSITE) or is_in_place(call)
            if not may_share or not call.input_ids or call.input_ids[0] == value:
                break
            value = call.input_ids[0]
        return value

    def constant(self) -> set[int]:
        """Indices of calls that depend on no input and no weight, and into whose results nothing writes. What is made
        of a size (a mask, positions) depends on the input, whose size it usually is, where it is not known.
        """
        constants: set[int] = set()
        sized: set[int] = set()  # values on the host that are computed of sizes of tensors
        for index, call in enumerate(self.calls):
            on_host = call.trait is Trait.HOST
            if on_host and (call.args.get(SIZES) or not sized.isdisjoint(call.input_ids)):
                sized.update(call.output_ids)
                continue
            is_one = all(value in self.maker and self.maker[value] in constants for value in call.input_ids)
            of_numbers = call.args.get(SIZES) == () and not _is_random(call)
            is_one = is_one and (
                bool(call.input_ids) or of_numbers or all(output.elements <= 1 for output in call.outputs)
            )
            is_one = is_one or on_host or _is_literal(call)  # made of numbers in the code
            # a copy to the device makes a constant there
            looks = call.trait is Trait.SYNC and not (call.outputs and graph_break(call.op) is GraphBreak.NONE)
            looks = looks and call.op != READ_BY_OPERATOR
            if is_one and not looks and self.written.isdisjoint((*call.output_ids, *call.input_ids)):
                constants.add(index)
        return constants

    def once(self) -> Dataflow:
        """Without calls that do the same with the same values as an earlier one."""
        known: dict[Any, OpCall] = {}
        same: dict[int, int] = {}
        kept = []
        for call in self.calls:
            input_ids = tuple(same.get(value, value) for value in call.input_ids)
            call = call if input_ids == call.input_ids else replace(call, input_ids=input_ids)
            key = call.op, input_ids, repr(call.args)
            first = known.get(key)
            if (
                first is None
                or _is_random(call)
                or not self.written.isdisjoint((*call.output_ids, *first.output_ids, *call.input_ids))
            ):
                known[key] = call
                kept.append(call)
            else:
                same.update(zip(call.output_ids, first.output_ids, strict=True))
        return Dataflow.of(kept, [same.get(value, value) for value in self.outputs])

    def are_joinable(self, first: Iterable[int], second: Iterable[int]) -> bool:
        """Whether two groups of calls can be one: no call outside depends on one of them and is needed by the other."""
        members = {*first, *second}
        own = above = below = 0
        for index in members:
            own |= 1 << index
            above |= self.ancestors[index]
            below |= self.descendants[index]
        return not above & below & ~own

    @cached_property
    def descendants(self) -> list[int]:
        """Per call, a bit for each call that depends on it, however far."""
        descendants = [0] * len(self.calls)
        for index in reversed(range(len(self.calls))):
            for child in self.children[index]:
                descendants[index] |= descendants[child] | 1 << child
        return descendants

    @cached_property
    def reads(self) -> dict[int, list[tuple[int, int, TensorSpec]]]:
        """Value -> who reads it or a view of it, without the views: call, value that it reads, tensor."""
        reads: dict[int, list[tuple[int, int, TensorSpec]]] = {}
        for index, call in enumerate(self.calls):
            if call.trait is not Trait.VIEW:
                for value, tensor in zip(call.input_ids, call.tensors, strict=True):
                    reads.setdefault(self.root(value), []).append((index, value, tensor))
        return reads
