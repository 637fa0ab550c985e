"""ONNX Runtime: the exported graph after all of its optimisations, inputs and outputs bound to device memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from predictor.errors import PredictorError, one_line
from predictor.graph.dataflow import Dataflow
from predictor.kernels.host_copies import HOST_COPY
from predictor.ops import OnnxForm, onnx_form
from predictor.records import ITEMSIZE, TODAY, Graph, HostCall, Kernel, OpCall, Program, PythonWork, Target, Trait
from predictor.runtimes.onnx import copies

NAME = "onnx"

T = TypeVar("T")


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph of ONNX nodes -> host calls and their kernels."""
    nodes = _with_biased_softmax(graph)
    if target.is_cpu:  # there is nothing but the CPU
        nodes = [replace(call, trait=onnx_form(call.op).trait) for call in nodes]
    calls = tuple(copies.issued(nodes, graph.outputs, _host_calls))
    unmodelled: Counter[str] = Counter()
    for call in nodes:
        if onnx_form(call.op).trait is Trait.UNMODELLED:
            unmodelled[call.op] += call.times
    on_cpu = copies.reasons(nodes, calls)
    return Program(NAME, graph.dtype, calls, PythonWork(), dict(unmodelled), on_cpu=on_cpu)


MOST_ROUNDS = 4096
"""Waits within a node up to which each is a call of its own; of more so many stand for all."""


def _host_calls(call: OpCall) -> Iterator[HostCall]:
    """A node that the target's own provider runs; one call for each wait within it."""
    form = onnx_form(call.op)
    whole = HostCall(
        call.op,
        (),
        PythonWork(),
        form.trait,
        sync=form.trait is Trait.SYNC,
        origin=call.origin,
        times=call.times,
        macs=call.macs,
    )
    rounds = _checked(call, form.rounds) if form.rounds else ()
    if not rounds:
        kernels = _kernels(call, form)
        yield replace(whole, kernels=kernels, elements=NUMBER_ELEMENTS * _numbers_sent(kernels))
    for number, kernels in enumerate(rounds[:MOST_ROUNDS]):
        repeats = len(range(number, len(rounds), MOST_ROUNDS))
        yield replace(whole, kernels=kernels, times=call.times * repeats, macs=call.macs // len(rounds))


NUMBER_ELEMENTS = 9
"""Elements of a pass on the CPU in whose time a node makes a number that it sends to the device, one after another (the
map of joined or split pieces, onnxruntime, concat.cc). Measured: 1.7 to 3.4 ns, 313 to 425 thousand in three models.
"""


def _numbers_sent(kernels: tuple[Kernel, ...]) -> int:
    """Addresses, sizes and the like that a node computes and copies to the device."""
    sent = (k for k in kernels if k.family == HOST_COPY and not k.dims.get("pageable"))
    return int(sum(k.dims["bytes"] * k.times for k in sent)) // ITEMSIZE["int64"]


def _kernels(call: OpCall, form: OnnxForm) -> tuple[Kernel, ...]:
    """The kernels of a node."""
    return _checked(call, form.lower) if call.outputs else ()


def _checked(call: OpCall, lower: Callable[[OpCall], T]) -> T:
    """What a row says of a node. Raises PredictorError for one with tensors that its operator cannot have."""
    try:
        return lower(call)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        shapes = ", ".join("x".join(map(str, t.shape)) or "a number" for t in call.tensors)
        raise PredictorError(f"a node {call.op} of {shapes} cannot be: {one_line(error)}") from None


def _with_biased_softmax(graph: Graph) -> list[OpCall]:
    """The nodes, a sum before a softmax joined with it where the second summand is one block or the same for all rows
    that follow each other (onnxruntime's bias_softmax_fusion.cc, which has no part in what the CPU runs).
    """
    flow = Dataflow.of(graph.calls, graph.outputs)
    joined: dict[int, OpCall] = {}
    for index, call in enumerate(flow.calls):
        maker = flow.maker.get(call.input_ids[0]) if call.op == "Softmax" else None
        if maker is None or flow.calls[maker].op != "Add" or len(flow.readers[call.input_ids[0]]) > 1:
            continue
        whole, bias = sorted(flow.calls[maker].tensors, key=lambda t: -t.elements)
        if whole.shape == call.outputs[0].shape and _is_block(bias.shape, whole.shape):
            args = {**call.args, "input0": whole, "input1": bias}
            joined[maker] = replace(call, op="BiasSoftmax", args=args, input_ids=flow.calls[maker].input_ids)
            joined[index] = joined[maker]
    return [joined.get(i, c) for i, c in enumerate(flow.calls) if not (i in joined and c.op == "Add")]


def _is_block(bias: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a summand is broadcast along its first dimensions alone, or along those between the first and the
    last alone, down to the row.
    """
    bias = (1,) * (len(whole) - len(bias)) + bias
    same = [b == w for b, w in zip(bias, whole, strict=True)]
    first = next((i for i, s in enumerate(same) if s and whole[i] > 1), len(same))
    last_different = max((i for i, s in enumerate(same) if not s), default=-1)
    return same[-1] and (last_different < first or last_different == len(same) - 2)
