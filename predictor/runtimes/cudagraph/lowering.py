"""CUDA Graphs: the eager module, captured once, replayed with one launch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from predictor.records import TODAY, Graph, HostCall, Kernel, Program, PythonWork, Target, Trait
from predictor.runtimes.eager import lowering as eager

NAME = "cudagraph"


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> one replay of all kernels. A call that waits for the device cannot be captured."""
    program = eager.lower(graph, target)
    waits = [call for call in program.calls if call.sync]
    if waits and not program.unsupported_reason:
        first = waits[0]
        place = f" at {first.origin.file.rpartition('/')[2]}:{first.origin.line}" if first.origin.file else ""
        times = f", {len(waits)} times" if len(waits) > 1 else ""
        reason = f"a CUDA graph cannot be captured: the model waits for the device ({first.op}{place}{times})"
        return replace(program, runtime=NAME, unsupported_reason=reason)
    return replace(program, runtime=NAME, calls=replayed(program.calls), tail=PythonWork())


def replayed(issued: Iterable[HostCall]) -> tuple[HostCall, ...]:
    """Calls whose kernels one graph replays, but for what waits for the device, between two graphs, and the checks
    before them.
    """
    calls: list[HostCall] = []
    kernels: list[Kernel] = []
    launching: list[HostCall] = []

    def replay() -> None:
        if kernels:
            macs = sum(call.macs * call.times for call in launching)
            calls.append(
                HostCall("replay", tuple(kernels), PythonWork(), Trait.REPLAY, macs=macs, replayed=tuple(launching))
            )
            kernels.clear()
            launching.clear()

    for call in issued:
        if call.sync or call.trait is Trait.GUARD:
            replay()
            calls.append(call)
        elif call.trait is not Trait.HOST:
            launching.append(call)
            kernels.extend(replace(k, times=k.times * call.times) if call.times > 1 else k for k in call.kernels)
    replay()
    return tuple(calls)
