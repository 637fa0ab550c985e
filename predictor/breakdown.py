"""Where the time of a pass goes: its calls, summed by operator, by module, or by layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from predictor.errors import unknown

VIEWS = ("op", "module", "layer")
"""What a pass can be broken down by."""

MODEL = "(model)"
"""Name of the whole pass, the root of modules and layers."""

AROUND = "(around the calls)"
"""Name of what the pass costs outside of its calls: entering and leaving the runtime, the last synchronisation."""

OTHERS = "(others)"
"""Name of what was left out of a short table, summed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a part of a pass costs. Seconds.

    count: of calls; launches: of kernels; critical_s: its part of the critical path, which adds up to the latency: of
    the host where the device waits, of the device where the host does; flops: of its kernels, which compute more than
    the multiply-accumulates; active_s: kernel time, each kernel's times the share of the multiprocessors that have a
    thread block of it.
    """

    count: int = 0
    launches: int = 0
    host_s: float = 0.0
    kernel_s: float = 0.0
    critical_s: float = 0.0
    macs: int = 0
    flops: float = 0.0
    active_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.count + other.count,
            self.launches + other.launches,
            self.host_s + other.host_s,
            self.kernel_s + other.kernel_s,
            self.critical_s + other.critical_s,
            self.macs + other.macs,
            self.flops + other.flops,
            self.active_s + other.active_s,
        )

    @property
    def flops_per_s(self) -> float:
        """Achieved while its kernels run; 0 where it has none."""
        return self.flops / self.kernel_s if self.kernel_s else 0.0


@dataclass(frozen=True, slots=True)
class CallCost:
    """A call of a pass and what it costs. module, file, line: see ``records.Origin``; of the kernels that a CUDA graph
    replays each call that launched them has its own, without host time.
    """

    op: str
    module: str
    file: str
    line: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class Part:
    """A row: an operator, a module with all that it calls, or all layers of one kind.

    name: the operator, or the path ("encoder.layer.0"; of layers "encoder.layer.*"), where containers of one part are
    no row of their own; depth: of the row in the tree, 0 of the whole pass; cost: of the part with its own parts;
    share: of the latency, by the critical path.
    """

    name: str
    depth: int
    cost: Cost
    share: float


@dataclass(frozen=True, eq=False)
class Breakdown:
    """The calls of a pass, in issue order, computed when they are first asked for. latency_s: of the pass."""

    make: Callable[[], Sequence[CallCost]] = tuple
    latency_s: float = 0.0
    _calls: list[CallCost] = field(default_factory=list, init=False, repr=False)

    @property
    def calls(self) -> Sequence[CallCost]:
        """Every call, and what the pass costs around them."""
        if not self._calls:
            self._calls.extend(self.make())
        return self._calls

    @property
    def sms_active(self) -> float:
        """Average share of the multiprocessors that are active over the pass, 0 to 1: each kernel occupies as many as
        it has thread blocks, at the most all, and none is active while the device waits. An estimate, as the blocks are
        (``kernels.family``): what The Framework Tax measures as active multiprocessors (table 3).
        """
        return sum(call.cost.active_s for call in self.calls) / self.latency_s if self.latency_s else 0.0

    def by(self, view: str = "op", depth: int | None = None, top: int | None = None) -> tuple[Part, ...]:
        """The costs of operators, the costliest first; or of modules or layers, as a tree: every part is followed by
        its own parts, the costliest first.

        view: "op", "module" (each by its path) or "layer" (numbers of a path left out, so that all layers of a kind are
        one); depth: of the tree, None: all; top: rows of operators, or parts of each module, beyond which the rest is
        summed up; None: all. Raises PredictorError for another view.
        """
        if view not in VIEWS:
            raise unknown("breakdown", view, VIEWS)
        if view == "op":
            costs: dict[str, Cost] = {}
            for call in self.calls:
                costs[call.op] = costs.get(call.op, Cost()) + call.cost
            return tuple(self._part(name, 0, cost) for name, cost in _shortened(costs.items(), top))
        root = _Node()
        for call in self.calls:
            module = re.sub(r"(?<![^.])\d+(?![^.])", "*", call.module) if view == "layer" else call.module
            root.add(module.split(".") if module else [], call.cost)
        return tuple(self._rows(MODEL, root, 0, depth, top))

    def _part(self, name: str, depth: int, cost: Cost) -> Part:
        return Part(name, depth, cost, cost.critical_s / self.latency_s if self.latency_s else 0.0)

    def _rows(self, path: str, node: _Node, level: int, depth: int | None, top: int | None) -> Iterable[Part]:
        while level and len(node.parts) == 1:  # a container of one part, all of whose calls are the part's
            ((name, part),) = node.parts.items()
            if part.cost != node.cost:
                break
            path, node = f"{path}.{name}", part
        yield self._part(path, level, node.cost)
        if depth is not None and level >= depth:
            return
        prefix = f"{path}." if level else ""
        for name, cost in _shortened([(name, part.cost) for name, part in node.parts.items()], top):
            if name == OTHERS:
                yield self._part(f"{prefix}{OTHERS}", level + 1, cost)
            else:
                yield from self._rows(prefix + name, node.parts[name], level + 1, depth, top)


def _shortened(costs: Iterable[tuple[str, Cost]], top: int | None) -> list[tuple[str, Cost]]:
    """The costliest first; beyond ``top`` rows the rest is one."""
    ranked = sorted(costs, key=lambda row: (-round(row[1].critical_s, 10), -max(row[1].host_s, row[1].kernel_s)))
    if top is None or len(ranked) <= top + 1:
        return ranked
    rest = Cost()
    for _, cost in ranked[top:]:
        rest += cost
    return [*ranked[:top], (OTHERS, rest)]


@dataclass(eq=False)
class _Node:
    """A module while its calls are summed."""

    cost: Cost = field(default_factory=Cost)
    parts: dict[str, _Node] = field(default_factory=dict)

    def add(self, path: Sequence[str], cost: Cost) -> None:
        node = self
        node.cost += cost
        for name in path:
            node = node.parts.setdefault(name, _Node())
            node.cost += cost
