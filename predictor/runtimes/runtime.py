"""What a runtime is: one record, which its folder holds as ``RUNTIME``."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from predictor.records import CaptureMode, Graph, Program, Target


class Lower(Protocol):
    """Graph -> what the runtime really does with it, on a target."""

    def __call__(self, graph: Graph, target: Target = ...) -> Program: ...


@dataclass(frozen=True, slots=True)
class HostTerms:
    """What a runtime's host time is fitted as.

    base: the runtime whose operators it calls, whose measured costs it shares but for a factor; empty for one with
    operators of its own. rows: calls with a cost of their own. uses_graphs: kernels are nodes of CUDA graphs, with a
    gap of their own. recompiles: where the graph breaks another begins, which costs a pass's fixed time again. same:
    its host time is the base's, which runs what it makes of a module: nothing is fitted.
    """

    base: str = ""
    rows: tuple[str, ...] = ()
    uses_graphs: bool = False
    recompiles: bool = False
    same: bool = False


def one_generation(target: Target) -> Hashable:
    """The generation of a runtime that lowers alike for every target."""
    return None


def unchanged(module: Any) -> Any:
    """The module that a runtime runs as it is."""
    return module


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime: how it lowers a graph, how it really runs a module, and what its host time is made of.

    name: as users type it; capture_mode: which branch a model's code takes under it; earlier: before which version of
    torch it takes another, and that one; needs_gpu: it runs nothing on a CPU. ``prepare(module, inputs)`` returns a
    callable that runs one real pass. host_terms: None where single operators are timed instead (eager). generation:
    what of a target its lowering depends on. convert: what it makes of a module before that is run, and captured.
    """

    name: str
    capture_mode: CaptureMode
    needs_gpu: bool
    lower: Lower
    prepare: Callable[[Any, Any], Callable[[], Any]]
    host_terms: HostTerms | None = None
    generation: Callable[[Target], Hashable] = one_generation
    earlier: tuple[str, CaptureMode] | None = None
    convert: Callable[[Any], Any] = unchanged

    @property
    def capture_modes(self) -> tuple[CaptureMode, ...]:
        """The branches that a model's code takes under it, by the version of torch, today's first."""
        return (self.capture_mode, self.earlier[1]) if self.earlier else (self.capture_mode,)

    def mode_on(self, target: Target) -> CaptureMode:
        """Which branch a model's code takes under it with the torch of a target."""
        if self.earlier and target.torch and _release(target.torch) < _release(self.earlier[0]):
            return self.earlier[1]
        return self.capture_mode


def _release(version: str) -> tuple[int, ...]:
    """Major and minor number of a version.

    >>> _release("2.11.0+cu130")
    (2, 11)
    """
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2])
