"""TorchScript: ``torch.jit.trace``, its interpreter and its fuser."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from predictor.graph.dataflow import Dataflow, is_in_place
from predictor.ops import Fuser, is_fused
from predictor.records import TODAY, Graph, HostCall, OpCall, Program, PythonWork, Target, Trait
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
    flow = optimised(graph, fuser)
    unmodelled: Counter[str] = Counter()
    issued: list[HostCall] = []
    for group in in_groups(flow, fuser):
        calls = [flow.calls[index] for index in group]
        if len(group) > 1:
            kernel = fused_kernel(flow, group, "nnc")
            macs = sum(call.macs for call in calls)
            issued.append(HostCall("fused", (kernel,), PythonWork(), Trait.FUSED, origin=calls[0].origin, macs=macs))
        else:
            issued.append(replace(eager.host_call(calls[0], graph.dtype, unmodelled), python=PythonWork()))
    return Program(NAME, graph.dtype, tuple(issued), PythonWork(), dict(unmodelled), eager.unsupported_reason(graph))


def optimised(graph: Graph, fuser: Fuser) -> Dataflow:
    """The calls that are left before fusion: those whose results are wanted, constants folded, equal ones once."""
    calls = [part for call in graph.calls for part in _decomposed(call, fuser)]
    flow = Dataflow.of(*_with_results_of_their_own(calls, graph.outputs)).live()
    constant = flow.constant()
    flow = flow.without(lambda index: index in constant or flow.calls[index].trait is Trait.HOST).live()
    return flow.once()


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
