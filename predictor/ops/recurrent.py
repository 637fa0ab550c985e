"""Recurrent layers."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from predictor.ops import ort
from predictor.ops.arguments import tensor
from predictor.ops.elementary import copy_of, pointwise_of, product, repeated
from predictor.ops.node_macs import recurrent_macs
from predictor.ops.row import RARE, SPELLED_OTHERWISE, GraphBreak, OnnxForm, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait

CHUNKS = 8
"""Parts of the sequence that cuDNN multiplies the input in, where a layer follows a layer: seen on an H100."""


def cudnn_layers(call: OpCall, gates: int) -> tuple[Kernel, ...]:
    """Recurrent layers as cuDNN's standard algorithm runs them: the products of a layer's inputs at once, then for each
    step a product of the hidden state and a kernel of what the gates do. cuDNN's persistent kernels, which torch has it
    use for single layers in half precision and batches of eight and more, are not modelled: they are faster.

    gates: products of the hidden state that a step takes. Directions are on streams of their own, and so are layers: a
    layer begins when the one before it has done its first chunk. A CUDA graph runs them side by side, a host issues
    them more slowly than they run.
    """
    x, params = tensor(call, "input", "data"), call.args["params"]
    layers, both = int(call.args.get("num_layers", 1)), 1 + int(bool(call.args.get("bidirectional")))
    batch_first = bool(call.args.get("batch_first"))
    steps, batch = (x.shape[1], x.shape[0]) if batch_first else (x.shape[0], x.shape[1])
    if "batch_sizes" in call.args:  # packed: the rows of all steps, one after another
        steps = tensor(call, "batch_sizes").shape[0]
        batch, batch_first = math.ceil(x.shape[0] / max(steps, 1)), False
    matrices = [p for p in params if isinstance(p, TensorSpec) and len(p.shape) == 2]
    each = len(matrices) // (layers * both)  # two, and a third for a projection
    chunks = CHUNKS if layers > 1 else 1
    at_once = both * layers * chunks / (chunks + layers - 1)
    kernels: tuple[Kernel, ...] = ()
    for first in range(0, len(matrices), each):
        (rows, inputs), *hidden = (m.shape for m in matrices[first : first + each])
        kernels += product(x.dtype, math.ceil(batch * steps / chunks), rows, inputs) * chunks
        width = rows // gates
        state, gated = (TensorSpec((batch, n), x.dtype, (n, 1)) for n in (width, rows))
        step = sum((product(x.dtype, batch, n, k) for n, k in hidden), ())
        kernels += repeated(step + pointwise_of((gated, gated, state), state, heavy=1.0), steps)
    placed = copy_of(x) if batch_first and batch > 1 else ()
    return (*placed, *(replace(kernel, at_once=at_once) for kernel in kernels))


def weights_macs(call: OpCall) -> int:
    """Every weight once for each token."""
    weights = [p.shape for p in call.args["params"] if isinstance(p, TensorSpec)]
    return math.prod(tensor(call, "input", "data").shape[:-1]) * sum(
        math.prod(shape) for shape in weights if len(shape) == 2
    )


def fused_cell(call: OpCall) -> tuple[Kernel, ...]:
    """One kernel that reads both products, the biases and the state, and writes the new state and the gates."""
    state, gates = call.outputs[0], call.outputs[-1]
    return pointwise_of((*call.tensors[:3], state), gates, heavy=1.0)


def _row(*aten: str, gates: int, node: str) -> Operator:
    return Operator(
        aten,
        Trait.RNN,
        partial(cudnn_layers, gates=gates),
        weights_macs,
        onnx=(OnnxForm((node,), partial(ort.recurrent, gates=gates), Trait.RNN, recurrent_macs),),
        graph_break=GraphBreak.NOT_TRACED,
        untimed=RARE,
    )


ROWS = (
    _row("lstm", gates=4, node="LSTM"),
    _row("gru", gates=3, node="GRU"),
    _row("rnn_tanh", "rnn_relu", gates=1, node="RNN"),
    Operator(("_thnn_fused_lstm_cell", "_thnn_fused_gru_cell"), Trait.POINTWISE, fused_cell, untimed=SPELLED_OTHERWISE),
)
