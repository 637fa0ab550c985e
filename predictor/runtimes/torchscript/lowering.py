"""TorchScript: ``torch.jit.trace``, its interpreter and its fuser."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from predictor.graph.dataflow import Dataflow, is_in_place
from predictor.ops import Fuser, is_fused
from predictor.records import TODAY, Graph, HostCall, OpCall, Program, PythonWork, Target, TensorSpec, Trait
from predictor.runtimes.eager import lowering as eager
from predictor.runtimes.fusion import fused_kernel
from predictor.runtimes.torchscript.groups import in_groups

NAME = "torchscript"


BEFORE_VOLTA = ("maxwell", "pascal")


IN_PLACE_TOO = frozenset({Fuser.NVFUSER, Fuser.NVFUSER_PASCAL})
"""Fusers that take what writes into its input as if it did not."""


def fuser_of(target: Target) -> Fuser:
    """torch's default: nvFuser from 1.12 on and before 2.1 (github.com/pytorch/pytorch/pull/105185), else NNC."""
    numbers = re.findall(r"\d+", target.torch)
    if not (1, 12) <= tuple(map(int, numbers[:2])) < (2, 1):
        return Fuser.NNC
    return Fuser.NVFUSER_PASCAL if target.architecture in BEFORE_VOLTA else Fuser.NVFUSER


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> host calls and their kernels: constants folded, equal operators run once, and as many of them fused as
    the fuser of the target joins.
    """
    fuser = fuser_of(target)
    flow, reading_host = optimised(graph, fuser)
    sizes = _sizes_on_host(flow)
    unmodelled: Counter[str] = Counter()
    issued: list[HostCall] = []
    for group in in_groups(flow, fuser, reading_host):
        calls = [flow.calls[index] for index in group]
        if calls[0].trait is Trait.HOST:
            continue
        if len(group) > 1:
            kernel = fused_kernel(flow, group, "nnc")
            macs = sum(call.macs for call in calls)
            issued.append(HostCall("fused", (kernel,), PythonWork(), Trait.FUSED, origin=calls[0].origin, macs=macs))
        else:
            python = calls[0].python if calls[0].trait is Trait.OPAQUE else PythonWork()
            call = _with_numbers(calls[0], sizes)
            issued.append(replace(eager.host_call(call, graph.dtype, unmodelled), python=python))
    return Program(NAME, graph.dtype, tuple(issued), PythonWork(), dict(unmodelled), eager.unsupported_reason(graph))


def optimised(graph: Graph, fuser: Fuser) -> tuple[Dataflow, frozenset[int]]:
    """The calls that are left before fusion: those whose results are wanted, constants folded, equal ones once; and the
    results of those that read a tensor of the host. What Python reads of a tensor (``if mask.all()``) is a constant of
    the trace, nobody waits for it any more; a number that an operator takes is read in every pass.
    """
    calls = [part for call in graph.calls for part in _decomposed(call, fuser)]
    flow = Dataflow.of(*_with_results_of_their_own(calls, graph.outputs)).live(waits=False)
    on_host, of_sizes = _values_on_host(flow)
    constant = flow.constant()
    flow = flow.without(lambda index: index in constant).live(waits=False)
    flow = flow.once()
    reading = [c for c in flow.calls if not (of_sizes if c.op in OF_NUMBERS else on_host).isdisjoint(c.input_ids)]
    numbers = on_host - _sizes_on_host(flow)
    with_numbers = [_with_numbers(call, numbers) for call in flow.calls]
    return Dataflow.of(with_numbers, flow.outputs), frozenset(value for c in reading for value in c.output_ids)


def _values_on_host(flow: Dataflow) -> tuple[set[int], set[int]]:
    """(Values on the host, those of them that are computed of sizes and so no constants). What ``torch.tensor`` makes
    of numbers in the code is there, a copy to the device is a call of its own.
    """
    on_host: set[int] = set()
    of_sizes: set[int] = set()
    for call in flow.calls:
        is_literal = call.op == "lift_fresh" or (call.op == "detach_" and on_host.issuperset(call.input_ids))
        if call.trait is Trait.HOST or is_literal:
            on_host.update(call.output_ids)
            if call.op == "scalar_tensor" or not of_sizes.isdisjoint(call.input_ids):
                of_sizes.update(call.output_ids)
    return on_host, of_sizes


def _sizes_on_host(flow: Dataflow) -> set[int]:
    """Values on the host that are computed of the sizes of known tensors, after which they are computed."""
    return {value for call in flow.calls if call.trait is Trait.HOST for value in call.output_ids}


OF_NUMBERS = ("add", "sub", "mul", "div")
"""Operators whose constant operand, a tensor of the host in the trace, becomes a number
(torch/csrc/jit/passes/canonicalize_graph_fuser_ops.cpp).
"""


def _with_numbers(call: OpCall, on_host: set[int]) -> OpCall:
    """A call whose kernel is given the tensors of the host as numbers."""
    if on_host.isdisjoint(call.input_ids) or len(call.tensors) != sum(_is_tensor(v) for v in call.args.values()):
        return call
    operands = zip((name for name, value in call.args.items() if _is_tensor(value)), call.input_ids, strict=True)
    numbers = {name: value for name, value in operands if value in on_host and not call.args[name].shape}
    input_ids = tuple(value for value in call.input_ids if value not in numbers.values())
    return replace(call, args={**call.args, **dict.fromkeys(numbers, 1.0)}, input_ids=input_ids)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, TensorSpec)


def _with_results_of_their_own(calls: list[OpCall], outputs: Iterable[int]) -> tuple[list[OpCall], list[int]]:
    """Calls that return what they read return a new value, which later calls read: an operator of the graph like any
    other. Those that change nothing are left out (torch/csrc/jit/passes/peephole.cpp).
    """
    renamed: dict[int, int] = {}
    following = max((value for call in calls for value in call.output_ids), default=0) + 1
    kept = []
    for call in calls:
        input_ids = tuple(renamed.get(value, value) for value in call.input_ids)
        if _changes_nothing(call):
            renamed[call.output_ids[0]] = input_ids[0]
            continue
        for value in set(call.output_ids) & set(call.input_ids):
            renamed[value], following = following, following + 1
        output_ids = tuple(renamed.get(value, value) for value in call.output_ids)
        kept.append(replace(call, input_ids=input_ids, output_ids=output_ids))
    return kept, [renamed.get(value, value) for value in outputs]


def _changes_nothing(call: OpCall) -> bool:
    """Whether a call adds, or takes off, an integer 0, or multiplies by an integer 1."""
    neutral = {"add": 0, "sub": 0, "mul": 1}.get(call.op)
    other = call.args.get("other")
    return neutral is not None and type(other) is int and other == neutral and len(call.input_ids) == 1


def _decomposed(call: OpCall, fuser: Fuser) -> tuple[OpCall, ...]:
    """A product with a bias is split (torch/csrc/jit/passes/decompose_ops.cpp), so that the sum can be fused."""
    if fuser in IN_PLACE_TOO and is_in_place(call):
        functional = replace(call, op=call.op.removesuffix("_"))
        if is_fused(functional, fuser):
            return (functional,)
    if call.op != "addmm":
        return (call,)
    bias, left, right = call.input_ids
    product, out = -call.output_ids[0], call.outputs
    args = {"self": call.args["mat1"], "mat2": call.args["mat2"]}
    summands = {"self": out[0], "other": call.args["self"]}
    return (
        replace(call, op="mm", args=args, input_ids=(left, right), output_ids=(product,)),
        OpCall(
            "add",
            summands,
            out,
            Trait.POINTWISE,
            input_ids=(product, bias),
            output_ids=call.output_ids,
            origin=call.origin,
        ),
    )
