"""TorchScript: ``torch.jit.trace``, its interpreter and its fuser."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from predictor.graph.dataflow import Dataflow, is_in_place
from predictor.ops import Fuser, is_fused
from predictor.records import TODAY, Graph, HostCall, OpCall, Program, PythonWork, Target, Trait
from predictor.runtimes.eager import lowering as eager
from predictor.runtimes.fusion import fused_kernel

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
    flow = Dataflow.of([part for call in graph.calls for part in _decomposed(call, fuser)], graph.outputs).live()
    constant = flow.constant()
    flow = flow.without(lambda index: index in constant or flow.calls[index].trait is Trait.HOST).live()
    flow = flow.once()
    groups = fusion_groups(flow, fuser)
    grouped = {index for group in groups for index in group}
    last = {max(group): group for group in groups}
    unmodelled: Counter[str] = Counter()
    issued: list[HostCall] = []
    for index, call in enumerate(flow.calls):
        if index in last:
            kernel = fused_kernel(flow, last[index], "nnc")
            origin, macs = flow.calls[min(last[index])].origin, sum(flow.calls[i].macs for i in last[index])
            issued.append(HostCall("fused", (kernel,), PythonWork(), Trait.FUSED, origin=origin, macs=macs))
        elif index not in grouped:
            issued.append(replace(eager.host_call(call, graph.dtype, unmodelled), python=PythonWork()))
    return Program(NAME, graph.dtype, tuple(issued), PythonWork(), dict(unmodelled), eager.unsupported_reason(graph))


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


def fusion_groups(flow: Dataflow, fuser: Fuser) -> list[list[int]]:
    """Groups of two or more calls that become one kernel: each joins the makers of what it reads, from the last one
    on; then neighbours that do not depend on each other are joined.
    """
    group_of: dict[int, list[int]] = {}
    for index in reversed(range(len(flow.calls))):
        if index not in group_of and _is_fusible(flow, index, fuser):
            group_of[index] = [index]
            while _joined_producer(flow, group_of, group_of[index], fuser):
                pass
    groups = sorted({id(group): group for group in group_of.values()}.values(), key=min)
    joined = groups[:1]
    for group in groups[1:]:
        if _is_independent(flow, joined[-1], group):
            joined[-1] = sorted((*joined[-1], *group))
        else:
            joined.append(group)
    return [group for group in joined if len(group) > 1]


def _is_independent(flow: Dataflow, group: list[int], following: list[int]) -> bool:
    """Whether all that the following group reads is computed before the group, and not by it."""
    makers = [flow.maker[v] for i in following for v in flow.calls[i].input_ids if v in flow.maker]
    return all(i in following or (i < max(group) and i not in group) for i in makers)


def _is_fusible(flow: Dataflow, index: int, fuser: Fuser) -> bool:
    call = flow.calls[index]
    if not is_fused(call, fuser) or not call.outputs or not all(o.elements for o in call.outputs):
        return False
    return call.output_ids != call.input_ids[:1]


def _joined_producer(flow: Dataflow, group_of: dict[int, list[int]], group: list[int], fuser: Fuser) -> bool:
    producers = {flow.maker[v] for i in group for v in flow.calls[i].input_ids if v in flow.maker} - set(group)
    for producer in sorted(producers, reverse=True):
        if not _is_fusible(flow, producer, fuser):
            continue
        earlier = group_of.get(producer, [producer])
        if _can_join(flow, earlier, group):
            group += earlier
            group.sort()
            group_of.update(dict.fromkeys(group, group))
            return True
    return False


def _can_join(flow: Dataflow, producers: list[int], group: list[int]) -> bool:
    """Whether a group can take its producers in; a view only where nobody else reads it."""
    views = [flow.calls[p] for p in producers if flow.calls[p].op == "unsqueeze"]
    members = {*producers, *group}
    are_private = members.issuperset(r for view in views for value in view.output_ids for r in flow.readers[value])
    return are_private and flow.are_joinable(producers, group)
