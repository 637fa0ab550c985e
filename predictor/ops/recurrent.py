"""Recurrent layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

from predictor.ops import ort
from predictor.ops.arguments import tensor
from predictor.ops.elementary import contiguous_of, copy_of, fill_of, pointwise_of, product, repeated
from predictor.ops.node_macs import recurrent_macs
from predictor.ops.row import RARE, SPELLED_OTHERWISE, GraphBreak, OnnxForm, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait

CHUNK = 32
"""Most steps whose inputs cuDNN multiplies at once where a layer works on one part while the next works on another."""

PARTS, PARTS_OF_MANY, MANY = 4, 8, 128
"""Parts that it cuts a sequence into, and one of so many steps or more."""

BROAD, BROAD_CHUNK = 128, 4
"""Sequences from which it multiplies the inputs of so few steps at once."""


MULTIPROCESSORS = 132
"""Of an H100 and an H200: a library cuts a product of few rows into the smallest tiles that are no more than these, and
each tile has a multiprocessor's memory for itself.
"""

CELL_SHARE = 2 / 3
"""Of a small product's time, what the kernel of the gates behind it takes."""


@dataclass(frozen=True, slots=True)
class _Layers:
    """What one call of torch's ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu`` computes. gates: products of a state;
    ways: directions; matrices: of every layer and direction, of its inputs, its states, and maybe of a projection.
    """

    dtype: str
    gates: int
    depth: int
    ways: int
    steps: int
    batch: int
    matrices: tuple[tuple[tuple[int, ...], ...], ...]
    is_packed: bool

    @classmethod
    def of(cls, call: OpCall, gates: int) -> _Layers:
        x = tensor(call, "input", "data")
        depth, ways = int(call.args.get("num_layers", 1)), 1 + int(bool(call.args.get("bidirectional")))
        is_packed = "batch_sizes" in call.args  # the rows of all steps, one after another
        if is_packed:
            steps = tensor(call, "batch_sizes").shape[0]
            batch = math.ceil(x.shape[0] / max(steps, 1))
        else:
            steps, batch = x.shape[:2][::-1] if call.args.get("batch_first") else x.shape[:2]
        shapes = [p.shape for p in call.args["params"] if isinstance(p, TensorSpec) and len(p.shape) == 2]
        each = len(shapes) // (depth * ways)
        matrices = tuple(tuple(shapes[first : first + each]) for first in range(0, len(shapes), each))
        return cls(x.dtype, gates, depth, ways, steps, batch, matrices, is_packed)

    @property
    def width(self) -> int:
        """Of a state, before it is projected."""
        return self.matrices[0][0][0] // self.gates

    @property
    def is_half(self) -> bool:
        return self.dtype in ("fp16", "bf16")

    @property
    def is_single_kernel(self) -> bool:
        """Whether one kernel goes through all steps of a layer and direction (get_algo in ATen/native/cudnn/RNN.cpp):
        of narrow layers, in one multiprocessor.
        """
        narrow = self.width <= (384 if self.gates == 1 else 192)
        return narrow and not self.is_packed and len(self.matrices[0]) == 2 and self.dtype != "fp64"

    @property
    def is_spread(self) -> bool:
        """Whether one kernel goes through all steps in all multiprocessors, which share the weights: of wider single
        layers in half precision (the same place; cards before Ampere and small ones, where torch does not ask for it,
        are priced as if it did).
        """
        inputs = self.matrices[0][0][1]
        single = self.depth == self.ways == 1 and self.dtype == "fp16" and not self.is_packed
        aligned = self.width % 128 == inputs % 128 == self.batch % 8 == 0 and len(self.matrices[0]) == 2
        fits = self.width <= 1024 and self.batch <= 128 and (self.gates == 4 or self.batch < 96 or self.width < 896)
        return single and aligned and fits and self.gates != 3

    @property
    def chunk(self) -> int:
        """Steps whose inputs are multiplied at once: all, but where layers that follow each other overlap, or where
        there are very many.
        """
        if self.ways > 1 or (self.depth == 1 and self.steps < PARTS_OF_MANY * CHUNK):
            return self.steps
        if self.depth > 1 and self.batch >= BROAD:
            return min(BROAD_CHUNK, self.steps)
        parts = PARTS if self.steps < MANY else PARTS_OF_MANY
        return min(math.ceil(self.steps / parts), CHUNK)

    def multiplied(self, rows: int, shape: tuple[int, ...]) -> tuple[Kernel, ...]:
        """A product with weights, in fp32 in TF32, which torch allows cuDNN unless it is told not to."""
        n, k = shape
        return product("tf32" if self.dtype == "fp32" else self.dtype, rows, n, k)

    def whole(self, matrices: tuple[tuple[int, ...], ...], spread: bool) -> tuple[Kernel, ...]:
        """A layer in one direction whose steps are one kernel. A GRU's biases are added before."""
        rows, inputs = matrices[0]
        all_gates = _dense(self.dtype, self.steps * self.batch, rows)
        dims = {"gates": self.gates, "width": self.width, "batch": self.batch, "steps": self.steps}
        flags = {"half": float(self.is_half), "spread": float(spread)}
        steps = Kernel("recurrence", self.dtype, {**dims, **flags})
        biased = pointwise_of((all_gates,), all_gates) if self.gates == 3 else ()
        marked = fill_of(_dense(self.dtype, self.steps * self.batch, self.width)) if spread else ()
        return (*self.multiplied(self.steps * self.batch, (rows, inputs)), *biased, *marked, steps)

    def stepwise(self, matrices: tuple[tuple[int, ...], ...]) -> tuple[Kernel, ...]:
        """A layer in one direction by steps: the products of its inputs, then at every step a product of the states
        and a kernel of what the gates do.
        """
        of_inputs, *of_states = matrices
        chunks = math.ceil(self.steps / max(self.chunk, 1))
        chains = self.ways if self.ways > 1 else self.depth * chunks / (chunks + self.depth - 1)
        products, cells = self.at_once(chains, of_states[0][0])
        first = self.multiplied(math.ceil(self.batch * self.steps / max(chunks, 1)), of_inputs) * chunks
        step = tuple(
            replace(kernel, family="recurrent_product", at_once=products)
            for shape in of_states
            for kernel in self.multiplied(self.batch, shape)
        )
        dims = {"elements": self.batch * self.width, "gates": self.gates}
        cell = Kernel("recurrent_cell", self.dtype, dims, at_once=cells)
        return (*(replace(kernel, at_once=chains) for kernel in first), *repeated((*step, cell), self.steps))

    def at_once(self, chains: float, rows: int) -> tuple[float, float]:
        """How many products of states, and how many kernels of gates, a CUDA graph runs side by side, of layers and
        directions that do not wait for each other (chains). Products that fill all multiprocessors follow each other,
        and hide the kernels of gates between them. rows: of the states' weights.
        """
        if self.is_half and self.batch < 8:
            tiles = next((n for n in (math.ceil(rows / 8), math.ceil(rows / 16)) if n <= MULTIPROCESSORS), rows / 64)
        else:
            tiles = math.ceil(rows / 64) * math.ceil(self.batch / (8 if self.is_half and self.batch <= 16 else 64))
        products = min(chains, max(MULTIPROCESSORS / tiles, 1.0))
        share = (1 + CELL_SHARE - chains / products) / (CELL_SHARE * chains)  # of a chain's step, without its product
        return products, 1 / max(share, 0.01)


def _dense(dtype: str, rows: int, cols: int) -> TensorSpec:
    return TensorSpec((rows, cols), dtype, (cols, 1))


def _by_steps(x: TensorSpec) -> TensorSpec:
    """Sequences of a batch as torch gives them to cuDNN, the steps first: a view, which is copied where it does not lie
    in order (``_cudnn_rnn`` in aten/src/ATen/native/cudnn/RNN.cpp).
    """
    order = (1, 0, 2)
    return TensorSpec(tuple(x.shape[d] for d in order), x.dtype, tuple(x.stride[d] for d in order))


def cudnn_layers(call: OpCall, gates: int) -> tuple[Kernel, ...]:
    """Recurrent layers as torch has cuDNN run them: all steps of a layer and direction in one kernel where that is
    narrow, or else a product and a kernel at every step.

    Of those by steps, directions are on streams of their own, and so are layers: a layer begins when the one before it
    has done its first chunk. A CUDA graph runs them side by side, a host issues them more slowly than they run.
    """
    layers = _Layers.of(call, gates)
    x = tensor(call, "input", "data")
    kernels = contiguous_of(_by_steps(x) if call.args.get("batch_first") and not layers.is_packed else x)
    if not x.elements:
        return ()
    single, spread = layers.is_single_kernel, layers.is_spread and not layers.is_single_kernel
    for matrices in layers.matrices:
        kernels += layers.whole(matrices, spread) if single or spread else layers.stepwise(matrices)
    if single and layers.ways > 1 and layers.depth % 2 == 0:  # the last layer has written where others read
        kernels += copy_of(_dense(layers.dtype, layers.steps * layers.batch, layers.ways * layers.width))
    return kernels


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
