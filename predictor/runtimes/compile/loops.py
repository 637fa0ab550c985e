"""The loops of a compiled graph: which results Inductor writes, and which loops become one kernel.

As in Inductor, a result is first either written or left for each of its readers to compute again
(``GraphLowering.run_node`` in torch/_inductor/graph.py, ``StorageBox`` in ir.py); then loops whose results are written
are joined where they run alike and read what the other writes, or what the other reads (scheduler.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from predictor.graph.dataflow import Dataflow, is_in_place
from predictor.ops import Fuser, is_fused, is_transcendental, operator_of
from predictor.records import OpCall, TensorSpec, Trait
from predictor.runtimes.compile.instructions import spatial_dims, window_of
from predictor.runtimes.compile.layout import is_of_images

ALONG_ROWS = frozenset({Trait.REDUCTION, Trait.SCAN})

READS_OF_REUSED, READS = 4, 8
"""Values that a loop may read and still be computed again: where several read its result, and where one does
(``realize_reads_threshold`` and ``realize_acc_reads_threshold`` of torch/_inductor/config.py).
"""

OPERATIONS = 30
"""Operations that a loop may have and still be computed again (``realize_opcount_threshold`` there)."""

MOST_OPERATIONS = 100
"""The same of a loop that reads no more than one value, and that one loop reads (``run_node``)."""

CASTS = 2
"""Operations of a function that is computed in single precision: from half precision and back."""

OPERATIONS_OF = {"gelu": 8, "silu": 4, "clone": 0, "repeat": 0}
"""Operations of a function that is several, but for casts, or none: it reads at another place."""

OPERATIONS_OF_RANGE = 6
"""Operations of a range of floating-point numbers: a place, cast, multiplied by a step, added to where it begins."""

OPERATIONS_OF_JOINED = 6
"""Operations for each tensor that is joined with others: the comparisons that find out which it is."""

BATCH_NORMS = frozenset({"batch_norm", "native_batch_norm"})
"""Normalisations that are loops of no rows, but where they take the statistics of their input."""

_PUT = ("index_copy", "index_put", "index_add", "index_reduce", "scatter", "scatter_add", "scatter_reduce", "put")
SCATTERS = frozenset((*_PUT, *(f"{name}_" for name in _PUT), "_index_put_impl_", "_unsafe_index_put"))
"""Operators whose loop runs over what they put into their first tensor, which is written before."""

JOINING = frozenset({"cat", "stack"})
"""Operators that join tensors."""

JOINED = 8
"""Tensors that one loop joins at most (``max_pointwise_cat_inputs``)."""

UNROLLED_ROW = 8
"""Shorter rows are reduced without a loop of their own (``unroll_reductions_threshold``): as a pointwise one."""

HEADS_APART = 4
"""Dimensions of a tensor whose heads are apart; of one in windows there are more."""

FAR = 64
"""Nodes of the scheduler from which on two loops are too far apart to be one where neither reads what the other writes
(``are_long_distant_nodes``).
"""

SHARED = 10
"""Bytes of what both read from which on loops are joined that only read the same (``score_fusion_memory_threshold``).
"""

MOST = 64
"""Nodes of one kernel (``max_fusion_size``)."""

SAVED = 32
"""Elements of results that could be written over one another, a byte that is read once instead of twice: with more of
them loops that only read the same stay apart (``can_fusion_increase_peak_memory``).
"""

NODES = {Trait.REDUCTION: 3, Trait.ATTENTION: 2}
"""Nodes that a call is there: of a normalisation or a softmax two results by rows and the loop that uses them."""

MULTIPROCESSORS = 132
"""Of the GPU: an H100's or an H200's. Inductor decides by them into how many parts a reduction is split."""


Left = dict[int, tuple[frozenset[int], frozenset[int]]]
"""Loops whose results are not written -> what they read, and the loops that they compute again."""


@dataclass
class Group:
    """Loops that become one kernel. size: iterations; rows: those of its reduction, none for a pointwise one; parts:
    that each row is split into; inlined: loops that it computes again; node: of its first loop among the
    scheduler's; shapes: of what its loops write.
    """

    members: list[int]
    size: int
    rows: int | None
    inlined: set[int]
    node: int
    shapes: set[tuple[int, ...]]
    parts: int = 1

    @property
    def calls(self) -> set[int]:
        """All that it computes."""
        return {*self.members, *self.inlined}


@dataclass
class Loops:
    """Loops of a flow. channels_last: how its convolutions of images lie; written: loops whose results are written ->
    those that each computes again for itself; values: of each of these, what it reads, as it sees it; tensor_of: such
    a value's tensor; all: every loop; users: of each, what reads it: loops that are written, too, and library calls;
    running: a bit for each call that runs; copied: calls that join tensors without a loop of their own -> those of
    them that have to be copied; turned: what ``is_turned`` knows.
    """

    flow: Dataflow
    channels_last: bool = False
    written: dict[int, frozenset[int]] = field(default_factory=dict)
    values: dict[int, frozenset[int]] = field(default_factory=dict)
    all: frozenset[int] = frozenset()
    users: dict[int, set[int]] = field(default_factory=dict)
    tensor_of: dict[int, TensorSpec] = field(default_factory=dict)
    running: int = 0
    turned: dict[int, bool] = field(default_factory=dict)
    copied: dict[int, list[TensorSpec]] = field(default_factory=dict)

    @classmethod
    def of(cls, flow: Dataflow, channels_last: bool) -> Loops:
        """Decides in issue order which results are written."""
        every = frozenset(i for i, call in enumerate(flow.calls) if is_loop(call))
        loops = cls(flow, channels_last, all=every)
        readers = _readers(flow)
        left: Left = {}
        twice: dict[int, int] = {}  # what joins views of one loop that is not written -> the operations of that
        for index in sorted(every):
            call = flow.calls[index]
            values: set[int] = set()
            again: set[int] = set()
            elsewhere: dict[int, int] = {}  # a value of those that a loop is read through: at other places than another
            for value, tensor in zip(call.input_ids, call.tensors, strict=True):
                loops.tensor_of[value] = tensor
                maker = flow.maker.get(flow.root(value))
                if maker in left:
                    theirs, inlined = left[maker]
                    values |= theirs
                    again |= {maker, *inlined}
                    if elsewhere.setdefault(maker, value) != value and call.op in JOINING:
                        twice[index] = sum(_operations(flow.calls[i]) for i in (maker, *inlined))
                else:
                    values.add(value)
            operations = len(values) + sum(_operations(flow.calls[i]) + twice.get(i, 0) for i in (index, *again))
            if call.op in JOINING and not loops._is_pointwise(index, readers.get(index, set()), left):
                loops._write_one_by_one(index, left)
            elif loops._is_written(index, readers.get(index, set()), values, operations):
                loops.written[index], loops.values[index] = frozenset(again), frozenset(values)
            else:
                left[index] = frozenset(values), frozenset(again)
        for index, call in enumerate(flow.calls):
            loops.running |= (call.trait is not Trait.VIEW and index not in left) << index
        for index in loops.written:
            for maker in loops.makers(index):
                loops.users.setdefault(maker, set()).add(index)
        for index, found in readers.items():
            loops.users.setdefault(index, set()).update(found - (every - loops.copied.keys()))
        return loops

    def _is_pointwise(self, index: int, readers: set[int], left: Left) -> bool:
        """Whether tensors are joined by one loop (``cat`` in torch/_inductor/lowering.py): few, and its result is read
        by pointwise loops alone, where one of them at least would have to be copied; or all would, and none depends on
        a reduction.
        """
        flow, call = self.flow, self.flow.calls[index]
        makers = [flow.maker.get(flow.root(value), -1) for value in call.input_ids]
        copied = [flow.maker.get(value) not in self.written for value in call.input_ids]
        pointwise = all(i in self.all and rows_of(flow.calls[i]) is None for i in readers)
        behind = {i for maker in makers for i in (maker, *(self._makers(left[maker][0]) if maker in left else ()))}
        reduces = any(i in self.written and rows_of(flow.calls[i]) is not None for i in behind)
        return len(makers) <= JOINED and ((any(copied) and pointwise) or (all(copied) and not reduces))

    def _write_one_by_one(self, index: int, left: Left) -> None:
        """Each of the joined tensors is written to its place by what makes it, or copied there: inputs of the graph by
        one kernel for all of them (``register_operation_list`` in ``ConcatKernel.create``).
        """
        flow, call = self.flow, self.flow.calls[index]
        copied: list[TensorSpec] = []
        given: list[TensorSpec] = []
        for value, tensor in zip(call.input_ids, call.tensors, strict=True):
            maker = flow.maker.get(value)
            if maker in left:
                self.values[maker], self.written[maker] = left.pop(maker)
            elif maker not in self.written:
                (copied if flow.root(value) in flow.maker else given).append(tensor)
        if given:
            copied.append(TensorSpec((sum(tensor.elements for tensor in given),), given[0].dtype, (1,)))
        self.copied[index] = copied

    def _is_written(self, index: int, readers: set[int], values: set[int], operations: int) -> bool:
        flow, call = self.flow, self.flow.calls[index]
        if (
            rows_of(call) is not None
            or call.trait in (Trait.SCAN, Trait.SORT)
            or not readers <= self.all
            or not readers
        ):
            return True
        if any(flow.root(value) in flow.outputs for value in call.output_ids) or _writes_into_input(flow, call):
            return True
        scatters = [reader for reader in readers if flow.calls[reader].op in SCATTERS]
        if call.op in SCATTERS or any(flow.root(flow.calls[i].input_ids[0]) in call.output_ids for i in scatters):
            return True
        reads = len({flow.root(value) for value in values})
        windows = any(flow.calls[reader].trait is Trait.POOL for reader in readers)
        is_again = (rows_of(by) is not None or _spreads(call, by) for by in (flow.calls[reader] for reader in readers))
        uses = sum(2 if again else 1 for again in is_again)
        limit = 1 if windows else READS_OF_REUSED if uses > 1 else READS
        is_much = operations > OPERATIONS and (uses > 1 or len(values) > 1)
        return reads > limit or is_much or operations > MOST_OPERATIONS

    def makers(self, index: int) -> set[int]:
        """Loops whose written results a loop reads."""
        return self._makers(self.values[index])

    def _makers(self, values: Iterable[int]) -> set[int]:
        roots = (self.flow.root(value) for value in values)
        return {self.flow.maker[root] for root in roots if self.flow.maker.get(root) in self.written}

    def is_turned(self, index: int) -> bool:
        """Whether a written result does not lie in order: where a convolution that is channels-last reads it, or, if no
        library does, most of what it is made of (``ComputedBuffer.get_fill_order``).
        """
        if index not in self.turned:
            libraries = [self.flow.calls[reader] for reader in self.users.get(index, set()) - self.all]
            self.turned[index] = self.channels_last and any(is_of_images(call) for call in libraries)
            made = self.flow.calls[index].outputs[0]
            if not libraries and made.shape and rows_of(self.flow.calls[index]) is None:
                reads = list(_strided_reads(self, self.written.get(index, ()), index, len(made.shape) - 1))
                self.turned[index] = 2 * sum(reads) > len(reads)
        return self.turned[index]

    def reads_in_order(self, index: int, group: Group) -> bool:
        """Whether a loop reads what a reduction's loop writes row by row, as that writes it; heads apart, too, whose
        loops the scheduler puts into another order, but not windows (seen in profiles).
        """
        if group.rows is None:
            return True
        flow, members = self.flow, sum(1 << i for i in group.members)
        for i in (index, *self.written[index]):
            for value, seen in zip(flow.calls[i].input_ids, flow.calls[i].tensors, strict=True):
                maker = flow.maker.get(flow.root(value), -1)
                if maker in group.members or (maker in self.written[index] and flow.ancestors[maker] & members):
                    made = flow.calls[maker].outputs[0]
                    is_same = seen.stride == made.stride or seen.is_contiguous
                    is_of_heads = len(seen.shape) <= HEADS_APART and seen.stride[-1:] == made.stride[-1:]
                    if seen.elements == made.elements > group.rows and not is_same and not is_of_heads:
                        return False
        return True


def is_loop(call: OpCall) -> bool:
    """Whether Inductor writes a loop for a call."""
    return call.trait is not Trait.VIEW and not is_library_call(call) and bool(_size(call))


def is_library_call(call: OpCall) -> bool:
    """Whether Inductor calls what eager mode does: an operator that it has no loop for, or one of complex numbers
    (``fallback_node_due_to_unsupported_type`` in torch/_inductor/lowering.py).
    """
    if call.trait is Trait.VIEW:
        return False
    is_complex = any(tensor.dtype.startswith("complex") for tensor in (*call.tensors, *call.outputs))
    return is_complex or not is_fused(call, Fuser.INDUCTOR) or _cannot_be_added(call) or _is_large_window(call)


UNROLLED_WINDOW = 25
"""Pixels of a window up to which a pool is a loop that writes them out (``_avg_poolnd``, ``_adaptive_avg_pool2d`` in
torch/_inductor/lowering.py).
"""


def is_reduced_window(call: OpCall) -> bool:
    """Whether windows that are too large to be written out are rows of a reduction: means of windows side by side,
    and maxima of whole images.
    """
    if not _is_pool(call) or window_of(call) <= UNROLLED_WINDOW:
        return False
    return _are_side_by_side(call) if "avg" in call.op else _is_of_whole_images(call)


def _is_pool(call: OpCall) -> bool:
    """Whether a call pools windows whose places only its sizes say."""
    return call.trait is Trait.POOL and "_pool" in call.op and "fractional" not in call.op


def _is_of_whole_images(call: OpCall) -> bool:
    dims = spatial_dims(call.op)
    return math.prod(call.outputs[0].shape[-dims:]) == 1


def _are_side_by_side(call: OpCall) -> bool:
    """Whether windows neither overlap nor leave pixels out."""
    if "kernel_size" in call.args:
        return not call.args.get("stride") or call.args["stride"] == call.args["kernel_size"]
    dims = spatial_dims(call.op)
    return all(n % m == 0 for n, m in zip(call.tensors[0].shape[-dims:], call.outputs[0].shape[-dims:], strict=True))


def _is_large_window(call: OpCall) -> bool:
    """Whether eager mode's kernel pools: means of windows that are too large to be written out, and adaptive maxima of
    such, where they do not lie side by side; adaptive ones of volumes, but the mean of all.
    """
    if not _is_pool(call):
        return False
    if "adaptive" in call.op and "3d" in call.op:
        return not ("avg" in call.op and _is_of_whole_images(call))
    if not ("avg" in call.op or "adaptive" in call.op):
        return False
    return window_of(call) > UNROLLED_WINDOW and not _are_side_by_side(call)


NOT_ATOMIC = ("int64", "bool")
"""Dtypes that Triton does not add atomically (``needs_fallback_due_to_atomic_add_limitations``)."""


def _cannot_be_added(call: OpCall) -> bool:
    """Whether values are put into places in a way that a loop cannot: otherwise than as they are or added to what is
    there, or of a dtype that is not added atomically (``use_scatter_fallback`` in torch/_inductor/utils.py,
    ``index_put_impl_`` in lowering.py).
    """
    if call.op not in SCATTERS:
        return False
    if not call.op.startswith("scatter"):
        return bool(call.args.get("accumulate")) and call.tensors[0].dtype in NOT_ATOMIC
    source = call.args.get("src")
    is_atomic = not isinstance(source, TensorSpec) or source.dtype not in NOT_ATOMIC
    return not is_atomic or call.args.get("reduce") not in (None, "add", "sum")


def _spreads(call: OpCall, reader: OpCall) -> bool:
    """Whether a call reads each element of another's result several times."""
    return bool(reader.outputs) and reader.outputs[0].elements > call.outputs[0].elements and reader.op not in JOINING


def _writes_into_input(flow: Dataflow, call: OpCall) -> bool:
    return is_in_place(call) and bool(call.input_ids) and flow.root(call.input_ids[0]) not in flow.maker


def _operations(call: OpCall) -> int:
    """Operations of a loop, those that read left out."""
    if call.op in JOINING:
        return OPERATIONS_OF_JOINED * len(call.tensors) if len(set(call.input_ids)) > 1 else 1
    op = call.op.rstrip("_")
    if op == "arange" and call.outputs[0].dtype.startswith(("fp", "bf")):
        return OPERATIONS_OF_RANGE
    casts = CASTS if is_transcendental(op) and call.outputs[0].itemsize == 2 else 0
    number = len(call.tensors) == 1 and isinstance(call.args.get("other"), (int, float))
    return OPERATIONS_OF.get(op, 1) + casts + number


def _readers(flow: Dataflow) -> dict[int, set[int]]:
    """Call -> those that read its results, behind views."""
    readers: dict[int, set[int]] = {}
    for index, call in enumerate(flow.calls):
        if call.trait is not Trait.VIEW:
            for value in call.input_ids:
                if flow.root(value) in flow.maker:
                    readers.setdefault(flow.maker[flow.root(value)], set()).add(index)
    return readers


def rows_of(call: OpCall) -> int | None:
    """Rows of a reduction, None for other loops."""
    if not call.tensors or (call.op in BATCH_NORMS and not call.args.get("training")):
        return None
    x = call.tensors[0]
    if call.op in BATCH_NORMS:
        return x.shape[1]
    if is_reduced_window(call):
        return call.outputs[0].elements
    kernels = operator_of(call.op).lower(call) if call.trait in (*ALONG_ROWS, Trait.POOL) else ()
    rows = [k.dims["rows"] for k in kernels if "rows" in k.dims]
    return int(rows[0]) if rows and x.elements >= UNROLLED_ROW * rows[0] else None


def _size(call: OpCall) -> int:
    if call.op in SCATTERS:
        return call.tensors[-1].elements
    if is_reduced_window(call):
        return int(call.outputs[0].elements * window_of(call))
    if call.tensors and rows_of(call) is not None:
        return max(call.tensors[0].elements, call.outputs[0].elements)
    return call.outputs[0].elements if call.outputs else 0


def groups(loops: Loops) -> list[Group]:
    """Every written loop in a group: first it joins the loops whose results it reads, then those not far from it that
    read what it reads, the nearest first, where both run alike.
    """
    flow, order = loops.flow, _Order(loops)
    node = 0
    for index, call in enumerate(flow.calls):
        order.append(index)
        if index in loops.written:
            group = Group([index], _size(call), rows_of(call), set(loops.written[index]), node, {_shape(call)})
            group.parts = _parts(loops, group)
            order.group_of[index] = group
            for producer in sorted(loops.makers(index), reverse=True):
                if loops.reads_in_order(index, order.group_of[producer]):
                    order.join(producer, index, _run_alike)
        if call.trait is not Trait.VIEW and (index in loops.written or index not in loops.all):
            node += NODES.get(call.trait, 1)
    readers: dict[int, list[int]] = {}
    is_worth = partial(_are_equal, loops, _read_once(loops))
    for index in sorted(loops.written):
        shared = [value for value in loops.values[index] if loops.tensor_of[value].nbytes >= SHARED]
        for other in sorted({other for value in shared for other in readers.get(value, ())}, reverse=True):
            order.join(other, index, is_worth)
        for value in shared:
            readers.setdefault(value, []).append(index)
    return list({id(group): group for group in order.group_of.values()}.values())


def _shape(call: OpCall) -> tuple[int, ...]:
    return tuple(n for n in call.outputs[0].shape if n > 1)


class _Order:
    """What has to run before what, while calls are grouped. above: per call so far, a bit for each call that it depends
    on, be it through other members of its group.
    """

    def __init__(self, loops: Loops) -> None:
        self.loops, self.above = loops, list[int]()
        self.group_of: dict[int, Group] = {}

    def append(self, index: int) -> None:
        """The next call."""
        flow, above = self.loops.flow, 0
        for value in flow.calls[index].input_ids:
            if value in flow.maker:
                above |= self.above[flow.maker[value]] | 1 << flow.maker[value]
        self.above.append(above)

    def join(self, earlier: int, index: int, are_alike: Callable[[Group, Group], bool]) -> None:
        """Join the groups of two loops, where they run alike and nothing has to run between them; what reads a tensor
        that something was put into runs behind all that is put there.
        """
        first, second = self.group_of[earlier], self.group_of[index]
        if first is second or len(first.members) + len(second.members) > MOST or not are_alike(first, second):
            return
        members = sorted((*first.members, *second.members))
        bits, above = sum(1 << i for i in members), 0
        for i in members:
            above |= self.above[i]
        if any(above >> i & 1 for i in members if self.loops.flow.calls[i].op in SCATTERS):
            return
        between = above & self.loops.running & ~bits & (-1 << members[0])
        while between:
            last = between.bit_length() - 1
            if self.above[last] & bits:
                return
            between ^= 1 << last
        rows, inlined = first.rows or second.rows, first.inlined | second.inlined
        size, parts = max(first.size, second.size), max(first.parts, second.parts)
        both = Group(members, size, rows, inlined, first.node, first.shapes | second.shapes, parts)
        self.group_of.update(dict.fromkeys(members, both))
        for i in range(members[0], len(self.above)):
            if self.above[i] & bits or bits >> i & 1:
                self.above[i] |= above & ~bits


def _run_alike(first: Group, second: Group) -> bool:
    """Whether two groups run over the same iterations: all of them, or the rows of a reduction. One whose rows are
    split runs over the parts.
    """
    if second.parts > 1:
        return False
    if first.rows is not None and second.rows is not None:
        return first.parts == 1 and (first.rows, first.size) == (second.rows, second.size)
    if first.rows is None and second.rows is None:
        return first.size == second.size
    reduction, loop = (first, second) if first.rows is not None else (second, first)
    return loop.size == reduction.size or (reduction is first and loop.size == reduction.rows)


def _are_equal(loops: Loops, read_once: Mapping[int, TensorSpec], first: Group, second: Group) -> bool:
    """Whether two groups that read the same run over the same, not far from each other, and save more by that than they
    cost: what each alone reads could be written over before the other runs.
    """
    if abs(second.node - first.node) > FAR or first.shapes != second.shapes:
        return False
    if first.parts != 1 or second.parts != 1 or (first.rows, first.size) != (second.rows, second.size):
        return False
    one, other = (_read_from_outside(loops, group) for group in (first, second))
    sizes = ({_storage(read_once[root]) for root in map(loops.flow.root, v) if root in read_once} for v in (one, other))
    saved = sum(loops.tensor_of[value].nbytes for value in one & other)
    return sum(elements for _, elements in set.intersection(*sizes)) <= SAVED * saved


def _read_from_outside(loops: Loops, group: Group) -> set[int]:
    read = {value for i in group.members for value in loops.values[i]}
    return {value for value in read if loops.flow.maker.get(loops.flow.root(value)) not in group.members}


def _storage(tensor: TensorSpec) -> tuple[str, int]:
    """Results that are alike in this take the same memory one after another."""
    return tensor.dtype, tensor.nbytes // tensor.itemsize


def _read_once(loops: Loops) -> dict[int, TensorSpec]:
    """Results that one loop or library call reads alone."""
    flow, found = loops.flow, dict[int, set[int]]()
    for index, call in enumerate(flow.calls):
        is_left = index in loops.all and index not in loops.written and index not in loops.copied
        if call.trait is not Trait.VIEW and not is_left:
            for value in loops.values.get(index, call.input_ids):
                if (root := flow.root(value)) in flow.maker:
                    found.setdefault(root, set()).add(index)
    made = {root: flow.calls[flow.maker[root]] for root, by in found.items() if len(by) == 1}
    return {root: call.outputs[call.output_ids.index(root)] for root, call in made.items() if root not in flow.outputs}


def _dim_along(made: TensorSpec, stride: int) -> int:
    """The dimension of a call's result along which a view of it goes in steps of a stride; the last, if none is."""
    dims = [d for d, (n, s) in enumerate(zip(made.shape, made.stride, strict=True)) if n > 1 and s == stride]
    return dims[-1] if dims else len(made.shape) - 1


def _strided_reads(loops: Loops, inlined: Collection[int], index: int, dim: int) -> Iterator[bool]:
    """Of all that a loop and those that it computes again read in full, whether it is strided along a dimension of the
    loop.
    """
    flow = loops.flow
    call = flow.calls[index]
    whole = call.tensors[0] if rows_of(call) is not None else call.outputs[0]
    for value, tensor in zip(call.input_ids, call.tensors, strict=True):
        along = dim - len(whole.shape) + len(tensor.shape)
        if along < 0 or tensor.elements != whole.elements:
            continue
        maker = flow.maker.get(flow.root(value))
        if maker in loops.all and maker is not None:
            made = flow.calls[maker].outputs[0]
            from_there = _dim_along(made, tensor.stride[along])
            if maker in inlined:
                yield from _strided_reads(loops, inlined, maker, from_there)
            else:
                yield (from_there < len(made.shape) - 1) != loops.is_turned(maker)
        else:
            is_turned = loops.channels_last and maker is not None and is_of_images(flow.calls[maker])
            yield (tensor.stride[along] > 1) != is_turned


def is_strided(loops: Loops, group: Group) -> bool:
    """Whether the rows of a reduction are strided, as Inductor tells it (``Reduction.num_splits``): no fewer reads of
    full size are, along what is reduced, than are not. In a channels-last graph the channels of an image are not.
    """
    reduction = group.members[0]
    call = loops.flow.calls[reduction]
    inner = [k.dims.get("inner", 1.0) for k in operator_of(call.op).lower(call)]
    if any(n > 1 for n in inner):
        return call.tensors[0].is_contiguous
    dims, dim = len(call.tensors[0].shape), call.args.get("dim")
    only: Any = dim[0] if isinstance(dim, (tuple, list)) and len(dim) == 1 else dim
    is_one = isinstance(only, int) and not isinstance(only, bool)
    if any(n == 0 for n in inner) and call.tensors[0].is_contiguous and not (is_one and loops.channels_last):
        return True
    along = only % dims if is_one and dims else dims - 1
    found = list(_strided_reads(loops, group.inlined, reduction, along))
    return any(found) and 2 * sum(found) >= len(found)


def is_turned_over(loops: Loops, group: Group) -> bool:
    """Whether a loop that reduces nothing reads a tensor of its size along another dimension than it writes."""
    flow = loops.flow
    outputs = {i: flow.calls[i].outputs[0] for i in group.members if flow.calls[i].op not in SCATTERS}
    reads = (read for i, out in outputs.items() for read in _strided_reads(loops, group.inlined, i, len(out.shape) - 1))
    return any(reads)


def finds_places(call: OpCall) -> bool:
    """Whether a reduction finds where its rows are largest or smallest: such are not split."""
    return call.op in ("argmax", "argmin") or (call.op in ("max", "min") and len(call.outputs) > 1)


THREADS = MULTIPROCESSORS * 2048
"""That the GPU runs at once."""

SHORT, LONG = 32, 8192
"""Rows of as many elements are not split: none, and none that are not strided."""


def _parts(loops: Loops, group: Group) -> int:
    """Parts that each row of a reduction is split into, where there are too few rows to keep the GPU busy: 1, where it
    is not split (``Reduction.num_splits`` and ``reduction_split_factor`` of torch/_inductor).
    """
    if group.rows is None:
        return 1
    reduction = group.members[0]
    rows, cols = group.rows, group.size // group.rows
    call = loops.flow.calls[reduction]
    scans_pairs = call.trait is Trait.SCAN and len(call.outputs) > 1
    if call.trait not in (*ALONG_ROWS, Trait.POOL) or finds_places(call) or scans_pairs:
        return 1
    if cols <= SHORT or rows >= 64 * MULTIPROCESSORS:
        return 1
    if is_strided(loops, group):
        blocks = math.ceil(rows / 128)
        each = SHORT if rows * cols < SHORT * THREADS else max(SHORT, cols * blocks * 256 // (4 * THREADS))
        return math.ceil(cols / (4 * each))
    if rows >= 2 * MULTIPROCESSORS or cols <= LONG:
        return 1
    each = SHORT if rows * cols <= SHORT * THREADS else max(SHORT, cols * rows * 2 // THREADS)
    return math.ceil(cols / (256 * each))
