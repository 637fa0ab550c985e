"""Which operators TorchScript's fuser makes one kernel of."""

from __future__ import annotations

from collections.abc import Set
from itertools import pairwise

from predictor.graph.dataflow import Dataflow, is_in_place
from predictor.ops import Fuser, is_fused
from predictor.records import PYTHON_OP, READ_BY_OPERATOR, OpCall, TensorSpec, Trait

NEVER_FIRST = ("unsqueeze", "chunk")
"""Views that a group takes in where nobody else reads them, and that begin none."""

MOST_ARGUMENTS = 128
"""Of two groups that are joined (``subgraphArgLimit``)."""

LISTED = "cat"
"""It forms a group with the list that it reads, one that is undone if nothing joins it."""


def in_groups(flow: Dataflow, fuser: Fuser, apart: Set[int] = frozenset()) -> list[list[int]]:
    """The calls of each kernel, one or several, in the order in which they are issued after fusion.

    As in torch/csrc/jit/passes/tensorexpr_fuser.cpp: from the last call to the first, each takes in the makers
    of what it reads, the latest first, until no group grows any more; then groups that follow each other and do
    not depend on each other are joined. Who must not run before a group moves behind it (``tryMove`` in
    torch/csrc/jit/ir/alias_analysis.cpp). apart: results of calls that join none.
    """
    block = _Block(flow, fuser, apart)
    while block.has_grown():
        pass
    block.join_neighbours()
    return [sorted(block.calls[node]) for node in block.order]


class _Block:
    """order: nodes as they run now; calls: of each node; node_of: the node that a call is in."""

    def __init__(self, flow: Dataflow, fuser: Fuser, apart: Set[int]) -> None:
        every = range(len(flow.calls))
        self.flow = flow
        self.order = list(every)
        self.calls = {index: [index] for index in every}
        self.node_of = list(every)
        self.is_fusible = [_is_fusible(call, fuser) and apart.isdisjoint(call.output_ids) for call in flow.calls]
        self.after = _predecessors(flow)

    def has_grown(self) -> bool:
        """Whether any node took in another, in one round over all."""
        grown = False
        index = len(self.order)
        while index:
            index -= 1
            node = self.order[index]
            while self._may_begin(node) and self._takes_in_a_maker(node):
                grown = True
                index = self.order.index(node)
        return grown

    def join_neighbours(self) -> None:
        """Each group with the next one, if that does not depend on it."""
        groups = [node for node in self.order if self._is_group(node)]
        for group, following in pairwise(groups):
            earlier = self.node_of[group]
            self._join_following(earlier, following)

    def _is_group(self, node: int) -> bool:
        alone = self.flow.calls[node]
        return len(self.calls[node]) > 1 or (self.is_fusible[node] and alone.op == LISTED)

    def _may_begin(self, node: int) -> bool:
        call = self.flow.calls[node]
        begins = self.is_fusible[node] and call.op not in NEVER_FIRST and not _returns_its_input(call)
        return self._is_group(node) or begins

    def _makers(self, node: int) -> set[int]:
        return {self.node_of[maker] for call in self.calls[node] for maker in self.after[call]} - {node}

    def _takes_in_a_maker(self, node: int) -> bool:
        makers = sorted(self._makers(node), key=self.order.index, reverse=True)
        return any(self._can_be_taken(maker, node) and self._join_earlier(maker, node) for maker in makers)

    def _can_be_taken(self, maker: int, node: int) -> bool:
        if self._arguments(maker) + self._arguments(node) > MOST_ARGUMENTS:
            return False
        if self._is_group(maker) or not self.is_fusible[maker]:
            return self._is_group(maker)
        call = self.flow.calls[maker]
        if call.op not in NEVER_FIRST:
            return True
        return not self._is_read_outside(call.output_ids[0], node)

    def _join_earlier(self, maker: int, node: int) -> bool:
        """A node's maker moves directly before it, what depends on the maker behind it."""
        start, stop = self.order.index(maker), self.order.index(node)
        ahead, behind = [], {maker}
        for between in self.order[start + 1 : stop]:
            if self._makers(between).isdisjoint(behind):
                ahead.append(between)
            else:
                behind.add(between)
        if not self._makers(node).isdisjoint(behind - {maker}):
            return False
        self.order[start : stop + 1] = [*ahead, node, *(n for n in self.order[start + 1 : stop] if n in behind)]
        self._take(node, maker)
        return True

    def _join_following(self, group: int, following: int) -> None:
        """A later group moves directly before another one, with what it depends on."""
        start, stop = self.order.index(group), self.order.index(following)
        needed = self._makers(following)
        for between in reversed(self.order[start + 1 : stop]):
            if between in needed:
                needed |= self._makers(between)
        if group in needed or self._arguments(group) + self._arguments(following) > MOST_ARGUMENTS:
            return
        ahead = [between for between in self.order[start + 1 : stop] if between in needed]
        behind = [between for between in self.order[start + 1 : stop] if between not in needed]
        self.order[start : stop + 1] = [*ahead, group, *behind]
        self._take(group, following)

    def _arguments(self, node: int) -> int:
        """Values that a group reads from others and that others read of it; of a single call, all that it has."""
        calls = [self.flow.calls[index] for index in self.calls[node]]
        if len(calls) == 1:
            (call,) = calls
            return len(call.args) + len(call.outputs) + (len(call.tensors) if call.op == LISTED else 0)
        made = {value for call in calls for value in call.output_ids}
        read = {value for call in calls for value in call.input_ids} - made
        return len(read) + sum(self._is_read_outside(value, node) for value in made)

    def _is_read_outside(self, value: int, node: int) -> bool:
        return value in self.flow.outputs or any(self.node_of[i] != node for i in self.flow.readers.get(value, ()))

    def _take(self, node: int, other: int) -> None:
        for call in self.calls[other]:
            self.node_of[call] = node
        self.calls[node] = [*self.calls.pop(other), *self.calls[node]]


def _predecessors(flow: Dataflow) -> list[set[int]]:
    """The calls that each one runs after: the makers of what it reads; who used the memory that it writes into,
    and wrote into memory that it uses. An operator runs after the reads of the numbers that it takes, which directly
    precede it. Nothing moves past a function in Python, which may write into whatever there is. What is made of sizes
    runs after all before it where it is not known whose they are.
    """
    memory: dict[int, int] = {}  # of a value: the value that it is a view of, or was before it was written into
    users: dict[int, set[int]] = {}  # of memory, since the last call that wrote into it, this included
    last_writer: dict[int, int] = {}
    last_made = in_python = 0
    after = []
    reads: set[int] = set()
    last_in_python: set[int] = set()
    for index, call in enumerate(flow.calls):
        before = {flow.maker[value] for value in call.input_ids if value in flow.maker}
        used = [memory.get(value, value) for value in call.input_ids]
        before |= {last_writer[value] for value in used if value in last_writer}
        if used and (call.trait is Trait.VIEW or is_in_place(call)):
            memory.update(dict.fromkeys(call.output_ids, used[0]))
        for value in used:
            users.setdefault(value, set()).add(index)
        if used and is_in_place(call):
            before |= users[used[0]] - {index}
            users[used[0]], last_writer[used[0]] = {index}, index
        if call.trait is Trait.FILL and not call.input_ids:
            before |= set(range(last_made, index))
            last_made = index
        before |= last_in_python
        if call.op == PYTHON_OP:  # what ran before the last one ran before that
            before, last_in_python, in_python = set(range(in_python, index)), {index}, index
        if call.op == READ_BY_OPERATOR:
            reads.add(index)
        elif call.trait is not Trait.HOST:
            before |= reads
            reads = set()
        after.append(before)
    return after


FLOATING = ("fp16", "bf16", "fp32", "fp64")

NOT_FUSED = ("uint8", "complex32", "complex64", "complex128")
"""Dtypes of tensors that nothing reads in a group."""


def _is_fusible(call: OpCall, fuser: Fuser) -> bool:
    """Whether a call may be in a group: ``canHandle`` and ``typesAreSupported`` in tensorexpr_fuser.cpp."""
    if (
        call.trait is Trait.HOST
        or not is_fused(call, fuser)
        or not call.outputs
        or not all(o.elements for o in call.outputs)
        or (fuser is Fuser.NNC and call.args.get("training"))  # a batch norm that computes statistics
    ):
        return False
    return fuser is not Fuser.NNC or (_has_overload(call) and all(t.dtype not in NOT_FUSED for t in call.tensors))


def _returns_its_input(call: OpCall) -> bool:
    """Whether a call converts a tensor to the dtype that it has (``unexecutedEagerOp``)."""
    return call.op == "to" and not call.parts


def _has_overload(call: OpCall) -> bool:
    """Whether an operator that NNC has is one in this form: ``max`` of two tensors, a tensor to the power of a
    number, numbers as limits of ``clamp``; ``remainder``, ``fmod`` and ``pow`` of floating-point numbers
    (``get_tensorexpr_elementwise_set`` in torch/csrc/jit/runtime/symbolic_shape_registry_util.cpp).
    """
    numbers = [name for name, value in call.args.items() if not isinstance(value, TensorSpec)]
    is_floating = all(t.dtype in FLOATING for t in call.tensors)
    match call.op:
        case "max" | "min":
            return call.trait is Trait.POINTWISE
        case "pow":
            return is_floating and "self" not in numbers and "exponent" in numbers
        case "clamp":
            return len(call.tensors) == 1
        case "remainder":
            return is_floating and "other" not in numbers
        case "fmod":
            return is_floating
    return True
