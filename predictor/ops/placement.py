"""Where a session of ONNX Runtime with the CUDA provider runs a node: on the GPU, or on the CPU and why.

``onnx_kernels.json`` says which kernels the provider has, by operator, opset and types: facts of one build of
onnxruntime-gpu, asked of it by ``benchmarks/onnx_kernels.py``. What the provider decides by attributes stands below.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("onnx_kernels.json")

ONNX = ""
"""Domain of ONNX's own operators; "ai.onnx" is the same."""

ON_CPU, WEIGHTS = "on_cpu", "weights_on_cpu"
"""Arguments of a captured node that runs on the CPU: why, and the positions of its tensors that are weights."""

SIZES = frozenset({"Shape", "Size"})
"""Operators of the GPU whose result lies on the CPU: they look at no values."""

OF_SIZES = "computes with sizes, which lie on the CPU"
"""Why a node whose inputs are all of those stays there (onnxruntime, core/framework/fallback_cpu_capability.cc)."""

READ_ON_CPU: dict[str, frozenset[int]] = {
    **dict.fromkeys(("ConstantOfShape",), frozenset({0})),
    **dict.fromkeys(("Expand", "Reshape", "Squeeze", "Tile", "TopK", "Unsqueeze", "CumSum", "Trilu"), frozenset({1})),
    **dict.fromkeys(("Split", "SequenceAt", "SplitToSequence"), frozenset({1})),
    **dict.fromkeys(("Range",), frozenset({0, 1, 2})),
    **dict.fromkeys(("OneHot",), frozenset({1, 2})),
    **dict.fromkeys(("Pad", "Resize"), frozenset({1, 2, 3})),
    **dict.fromkeys(("Slice",), frozenset({1, 2, 3, 4})),
}
"""Inputs, by position, that a kernel of the GPU reads on the CPU itself (``InputMemoryType`` of its registration): with
sizes there a node stays on the GPU.
"""

NEVER_ON_CPU = frozenset({"fp16", "bf16", "fp8_e4m3", "fp8_e5m2"})
"""Types of inputs with which a node does not go to the CPU for what sizes it reads."""

SMALL_WEIGHT = 100
"""Elements of a weight up to which it may (kSmallInitializerThreshold)."""


def computes_sizes(
    op: str, inputs: Sequence[str], types: Types, elements: Sequence[int], sizes: Set[str], weights: Set[str]
) -> bool:
    """Whether a node is left to the CPU since all that it reads are sizes, which lie there, and small weights
    (onnxruntime, fallback_cpu_capability.cc, GetCpuPreferredNodes). inputs, types, elements: by position.
    """
    if not sizes & set(inputs):
        return False
    for position, (name, dtype, count) in enumerate(zip(inputs, types, elements, strict=True)):
        is_small = name in weights and count <= SMALL_WEIGHT
        is_size = name in sizes and position not in READ_ON_CPU.get(op, ())
        if name and (dtype in NEVER_ON_CPU or not (is_small or is_size)):
            return False
    return True


Types = Sequence[str | None]
"""Dtypes of a node's inputs or outputs by position, None for one that is left out."""


@dataclass(frozen=True, slots=True)
class RegisteredKernel:
    """first, last: opsets that it is for, last 0 where there is none; constraints: (positions, types), see
    ``benchmarks.onnx_kernels.table``.
    """

    first: int
    last: int
    constraints: tuple[tuple[tuple[int, ...], frozenset[str]], ...]

    def is_of(self, since: int) -> bool:
        """Whether it is for an operator as it has been defined since an opset: a kernel without a last opset is for the
        definition that it begins with alone.
        """
        return self.first == since or (self.last > 0 and self.first < since <= self.last)

    def refused(self, inputs: Types, outputs: Types) -> str:
        """The first type that it does not take, empty where it takes all."""
        for positions, types in self.constraints:
            kind = next(filter(None, (_at(p, inputs, outputs) for p in positions)), None)
            if kind is not None and kind not in types:
                return kind
        return ""


def _at(position: int, inputs: Types, outputs: Types) -> str | None:
    of, index = (inputs, position) if position >= 0 else (outputs, -1 - position)
    return of[index] if index < len(of) else None


@cache
def version() -> str:
    """Version of onnxruntime-gpu whose kernels the table has."""
    return str(_table()["onnxruntime"])


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


@cache
def _kernels(name: str) -> tuple[tuple[int, ...], tuple[RegisteredKernel, ...]] | None:
    """(Opsets in which an operator's definition changed, its kernels); None for one without any."""
    row = _table()["operators"].get(name)
    if row is None:
        return None
    kernels = [
        RegisteredKernel(first, last, tuple((tuple(positions), frozenset(types)) for positions, types in constraints))
        for first, last, constraints in row["kernels"]
    ]
    return tuple(row["since"]), tuple(kernels)


def reason_for_cpu(
    op: str, domain: str, opset: int, inputs: Types, outputs: Types, attributes: Mapping[str, Any]
) -> str:
    """Why the CUDA provider leaves a node to the CPU, empty where it runs it.

    >>> reason_for_cpu("Relu", "", 17, ["fp16"], ["fp16"], {})
    ''
    >>> reason_for_cpu("StringNormalizer", "", 17, ["string"], ["string"], {})
    'no CUDA kernel'
    >>> reason_for_cpu("LpNormalization", "", 17, ["fp64"], ["fp64"], {})
    'no CUDA kernel for fp64'
    """
    if domain == "ai.onnx":
        domain = ONNX
    known = _kernels(f"{domain}:{op}")
    if known is None:
        return "no CUDA kernel"
    changes, kernels = known
    since = max((change for change in changes if change <= opset), default=opset)
    of_opset = [kernel for kernel in kernels if kernel.is_of(since)]
    if not of_opset:
        return f"no CUDA kernel for opset {opset}"
    refused = [kernel.refused(inputs, outputs) for kernel in of_opset]
    if all(refused):
        return f"no CUDA kernel for {refused[0]}"
    decide = BY_ATTRIBUTES.get(op) if domain == ONNX else None
    return decide(inputs, outputs, attributes) if decide else ""


def _of_recurrent(usual: Sequence[str]) -> Callable[[Types, Types, Mapping[str, Any]], str]:
    def reason(inputs: Types, outputs: Types, attributes: Mapping[str, Any]) -> str:
        activations = attributes.get("activations") or ()
        unusual = [a for a in activations if isinstance(a, str) and a.lower() not in usual]
        said = {
            "activations other than the usual": bool(unusual),
            "a clip": bool(attributes.get("clip")),
            "an input gate joined to the forget gate": bool(attributes.get("input_forget")),
            "peepholes": len(inputs) > 7 and inputs[7] is not None,
            "the batch first": bool(attributes.get("layout")),
        }
        return next((f"no CUDA kernel with {what}" for what, holds in said.items() if holds), "")

    return reason


def _of_gru(inputs: Types, outputs: Types, attributes: Mapping[str, Any]) -> str:
    if not attributes.get("linear_before_reset"):
        return "no CUDA kernel with linear_before_reset = 0"
    return _of_recurrent(("sigmoid", "tanh"))(inputs, outputs, attributes)


def _of_cast(inputs: Types, outputs: Types, attributes: Mapping[str, Any]) -> str:
    return "no CUDA kernel for string" if "string" in (*inputs, *outputs) else ""


def _of_extreme(inputs: Types, outputs: Types, attributes: Mapping[str, Any]) -> str:
    return "no CUDA kernel with select_last_index" if attributes.get("select_last_index") else ""


BY_ATTRIBUTES: dict[str, Callable[[Types, Types, Mapping[str, Any]], str]] = {
    "LSTM": _of_recurrent(("sigmoid", "tanh")),
    "RNN": _of_recurrent(("tanh", "relu")),
    "GRU": _of_gru,
    "Cast": _of_cast,
    "ArgMax": _of_extreme,
    "ArgMin": _of_extreme,
}
"""Operator -> what the provider decides by its attributes (ONNX Runtime, cuda_execution_provider.cc, GetCapability)."""
