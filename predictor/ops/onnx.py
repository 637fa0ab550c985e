"""ONNX operators, as ONNX Runtime runs them -> kernels.

Products, convolutions and softmax are the libraries' own kernels, which other runtimes call too; all else are ONNX
Runtime's, one for a node, of family "ort". An operator without a row is taken for a pointwise one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from predictor.ops.memory import pointwise_of
from predictor.records import Kernel, OpCall, TensorSpec

Lower = Callable[[OpCall], tuple[Kernel, ...]]


@dataclass(frozen=True, slots=True)
class OnnxKind:
    """A row. name: operator; trait: how the host issues it; lower: node -> kernels."""

    name: str
    trait: str
    lower: Lower


def _nothing(call: OpCall) -> tuple[Kernel, ...]:
    return ()


PLAIN, HEAVY, CHECKED, SOFTMAX, NORM, REDUCED, MOVED, CLIPPED, CUT, GATHERED, POOLED = range(11)
"""Kinds of ONNX Runtime's kernels, as it has code of its own for them: pointwise, transcendental, with a choice in it;
row-wise ones; transposes; clipping, an element at a time; splits and joins, a vector at a time; gathers; pooling.
"""


def ort(call: OpCall, kind: int = PLAIN, rows: float = 0.0, straight: bool | None = None) -> tuple[Kernel, ...]:
    """One of ONNX Runtime's kernels. rows: of a row-wise one; straight: whether it reads as it writes."""
    out, inputs = call.outputs[0], [t for t in call.tensors if t.elements]
    if not out.elements:
        return ()
    if straight is None:
        straight = all(t.elements in (1, out.elements) for t in inputs)
    dims = {
        "elements": max([out.elements, *(t.elements for t in inputs[:1] if rows)]),
        "bytes_read": sum(min(t.nbytes, out.nbytes) if call.op == "Gather" else t.nbytes for t in inputs),
        "bytes_written": sum(o.nbytes for o in call.outputs),
        "inputs": len([t for t in inputs if t.elements > 1]),
        "contiguous": float(straight),
        "kind": float(kind),
        "rows": rows,
    }
    return (Kernel("ort", out.dtype, dims),)


_HEAVY = frozenset({"Gelu", "BiasGelu", "Tanh", "Sigmoid", "Exp", "Log", "Erf", "Pow", "Sqrt"})


_CHECKED = frozenset({"Where", "IsNaN", "Cast", "Greater", "Less", "Equal", "Not", "And", "Or"})


def _pointwise(call: OpCall) -> tuple[Kernel, ...]:
    if call.op == "Clip":
        return ort(call, CLIPPED)
    return ort(call, HEAVY if call.op in _HEAVY else CHECKED if call.op in _CHECKED else PLAIN)


def _moved(call: OpCall) -> tuple[Kernel, ...]:
    return ort(call, MOVED, straight=False)


def _gathered(call: OpCall) -> tuple[Kernel, ...]:
    return ort(call, GATHERED, straight=False)


def _pooled(call: OpCall) -> tuple[Kernel, ...]:
    return ort(call, POOLED, straight=False)


def _instances(call: OpCall) -> tuple[Kernel, ...]:
    """A normalisation of every channel of every instance."""
    return ort(call, REDUCED, max(math.prod(call.outputs[0].shape[:2]), 1), straight=True)


_BLOCK = 800
"""Bytes that stand for a thread block of cuDNN's that begins and ends: on an H100 normalising a channel without pixels
took 0.60 ns, for 0.8, 1.0 and 2.0 million of them alike (LeViT, the only model seen to do that). Chosen so that the
fit, far outside of what it knows there, says the same; not measured by a calibration.
"""


def _batch_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A row of pixels for every channel and image, a block each; in half precision what it normalises with is cast."""
    (kernel,) = _instances(call) or (None,)
    if kernel is None:
        return ()
    read = max(kernel.dims["bytes_read"], _BLOCK * kernel.dims["rows"])
    half = call.outputs[0].itemsize == 2
    casts = [
        k for t in call.tensors[1:5] if half for k in ort(OpCall("Cast", {"input0": t}, (t,), "pointwise"), CHECKED)
    ]
    return (*casts, replace(kernel, dims={**kernel.dims, "bytes_read": read}))


POINTERS = 4
"""Copies to the device before pieces of several sizes are joined or split: addresses, sizes, and which element is of
which piece. Equal pieces need none, and three along the last axis are split by a kernel of its own.
"""


def _cut(call: OpCall) -> tuple[Kernel, ...]:
    return ort(call, CUT, straight=False)


def _cut_unevenly(call: OpCall) -> tuple[Kernel, ...]:
    pieces = call.tensors if call.op == "Concat" else call.outputs
    thirds = call.op == "Split" and len(pieces) == 3 and len({piece.shape[-1] for piece in pieces}) > 1
    copies = POINTERS if len({piece.shape for piece in pieces}) > 1 and not thirds else 0
    return made_of(*[TensorSpec((len(pieces),), "int64", (1,))] * copies) + _cut(call)


def _product(dtype: str, m: int, n: int, k: int, batch: int, nt: bool, bias: bool = False) -> Kernel:
    dims = {"m": m, "n": n, "k": k, "batch": batch, "nt": float(nt), "bias": float(bias)}
    return Kernel("gemm", _units(dtype), dims)


def _units(dtype: str) -> str:
    """What a product in a dtype runs in: ONNX Runtime allows TF32 by default (option use_tf32 of its CUDA provider)."""
    return "tf32" if dtype == "fp32" else dtype


def gemm(call: OpCall) -> tuple[Kernel, ...]:
    """A product; its bias is first spread over the result, as a product with ones."""
    a, out = call.tensors[0], call.outputs[0]
    if not out.elements:
        return ()
    m, n = out.shape
    k = a.elements // max(m, 1)
    kernel = _product(a.dtype, m, n, k, 1, bool(call.args.get("transB")))
    biased = len(call.tensors) > 2 and call.tensors[2].elements < out.elements
    return (_product(a.dtype, m, n, 1, 1, False), kernel) if biased else (kernel,)


def matmul(call: OpCall) -> tuple[Kernel, ...]:
    """A batch of products, one where the second operand is a matrix."""
    a, b, out = call.tensors[0], call.tensors[1], call.outputs[0]
    if not out.elements or len(out.shape) < 2:
        return ()
    n = out.shape[-1]
    k = a.shape[-2] if call.args.get("transA") else a.shape[-1]
    batch = math.prod(out.shape[:-2]) if len(b.shape) > 2 else 1
    return (_product(a.dtype, out.elements // max(n * batch, 1), n, k, batch, bool(call.args.get("transB"))),)


def conv(call: OpCall) -> tuple[Kernel, ...]:
    """A convolution of cuDNN; a bias is added by a kernel of its own."""
    x, w, out = call.tensors[0], call.tensors[1], call.outputs[0]
    spatial = len(w.shape) - 2
    if spatial not in (1, 2) or call.op == "ConvTranspose":
        k = math.prod(w.shape[1:])
        return (_product(x.dtype, out.elements // max(out.shape[1], 1), out.shape[1], k, 1, False),)
    one = spatial == 1
    pads, strides = call.args.get("pads") or (0,) * 2 * spatial, call.args.get("strides") or (1,) * spatial
    groups = float(call.args.get("group", 1))
    dims = {
        **{"batch": x.shape[0], "c_in": x.shape[1], "c_out": w.shape[0]},
        **{"h": 1 if one else x.shape[2], "w": x.shape[-1], "r": 1 if one else w.shape[2], "s": w.shape[-1]},
        **{"stride_h": 1 if one else strides[0], "stride_w": strides[-1]},
        "pad_h": 0 if one else (pads[0] + pads[spatial]) / 2,
        "pad_w": (pads[spatial - 1] + pads[-1]) / 2,
        **{"dilation": (call.args.get("dilations") or (1,))[-1], "groups": groups},
        **{"bias": float(len(call.tensors) > 2), "channels_last": 0.0},
    }
    family = "ort_conv" if groups == 1 else "ort_conv_depthwise" if groups == x.shape[1] else "ort_conv_grouped"
    return (Kernel(family, _units(x.dtype), dims),)


_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _recurrent(call: OpCall) -> tuple[Kernel, ...]:
    """A recurrent layer as cuDNN runs it, see ``matrix.rnn``."""
    x, w, r = call.tensors[:3]
    steps, batch = x.shape[:2]
    (gates, k), width = w.shape[1:], w.shape[1] // _GATES[call.op]
    state, gated = (TensorSpec((batch, n), x.dtype, (n, 1)) for n in (width, gates))
    step = (_product(x.dtype, batch, gates, r.shape[-1], 1, True), *pointwise_of((gated, gated, state), state, True))
    return (_product(x.dtype, batch * steps, gates, k, 1, True), *step * steps) * w.shape[0]


def _rows(call: OpCall) -> tuple[Kernel, ...]:
    x = call.tensors[0]
    axis = int(call.args.get("axis", -1))
    kind = SOFTMAX if "oftmax" in call.op else NORM
    return ort(call, kind, x.elements // max(math.prod(x.shape[axis:]) if x.shape else 1, 1), straight=True)


def _softmax(call: OpCall) -> tuple[Kernel, ...]:
    """The code of torch's softmax, which ONNX Runtime has taken over."""
    x = call.tensors[0]
    axis = int(call.args.get("axis", -1))
    cols = math.prod(x.shape[axis:]) if x.shape else 1
    return (Kernel("softmax", x.dtype, {"rows": x.elements // max(cols, 1), "cols": cols}),) if x.elements else ()


def _reduced(call: OpCall) -> tuple[Kernel, ...]:
    return ort(call, REDUCED, max(call.outputs[0].elements, 1), straight=True)


def _mean(call: OpCall) -> tuple[Kernel, ...]:
    """A sum, then a division."""
    return _reduced(call) + made_of(call.outputs[0])


def made_of(*tensors: TensorSpec) -> tuple[Kernel, ...]:
    """A kernel for each of some tensors that writes one of its size."""
    return tuple(k for t in tensors for k in ort(OpCall("copy", {"input0": t}, (t,), "copy")))


def _einsum(call: OpCall) -> tuple[Kernel, ...]:
    """A product of two operands, by what its equation sums over, with copies that rearrange them and its result."""
    equation = str(call.args.get("equation", ""))
    if len(call.tensors) != 2 or "->" not in equation:
        return _pointwise(call)
    (left, right), result = (
        equation.replace(" ", "").split("->")[0].split(","),
        equation.replace(" ", "").split("->")[1],
    )
    sizes = dict(zip(left, call.tensors[0].shape, strict=False)) | dict(zip(right, call.tensors[1].shape, strict=False))
    shared, summed = set(left) & set(right) & set(result), (set(left) & set(right)) - set(result)
    batch, k = math.prod(sizes[s] for s in shared), math.prod(sizes[s] for s in summed)
    m = math.prod(sizes[s] for s in set(left) & set(result) - shared)
    n = math.prod(sizes[s] for s in set(right) & set(result) - shared)
    if not min(m, n, k, batch):
        return ()
    product = _product(call.tensors[0].dtype, m, n, k, batch, False)
    return (*made_of(*call.tensors, *call.tensors), product, *made_of(call.outputs[0]))


def _kinds(names: str, trait: str, lower: Lower) -> dict[str, OnnxKind]:
    return {name: OnnxKind(name, trait, lower) for name in names.split()}


ONNX_OPS: dict[str, OnnxKind] = {
    **_kinds("Reshape Squeeze Unsqueeze Flatten Identity Shape Dropout", "view", _nothing),
    **_kinds("Constant ConstantOfShape", "view", _nothing),
    **_kinds("Gemm FusedGemm", "gemm", gemm),
    **_kinds("MatMul FusedMatMul TransposeMatMul", "product", matmul),
    **_kinds("Einsum", "product", _einsum),
    **_kinds("Conv FusedConv ConvTranspose", "conv", conv),
    **_kinds("LSTM GRU RNN", "rnn", _recurrent),
    **_kinds("Softmax LogSoftmax", "reduction", _softmax),
    **_kinds("LayerNormalization SkipLayerNormalization", "reduction", _rows),
    **_kinds("SimplifiedLayerNormalization SkipSimplifiedLayerNormalization RMSNormalization", "reduction", _rows),
    **_kinds("BiasSoftmax", "reduction", _rows),
    **_kinds("BatchNormalization", "reduction", _batch_norm),
    **_kinds("InstanceNormalization GroupNorm", "reduction", _instances),
    **_kinds("ReduceMean", "reduction", _mean),
    **_kinds("ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceProd", "reduction", _reduced),
    **_kinds("ReduceLogSumExp ReduceSumSquare ArgMax ArgMin CumSum TopK", "reduction", _reduced),
    **_kinds("GlobalAveragePool GlobalMaxPool", "reduction", _reduced),
    **_kinds("MaxPool AveragePool Resize Upsample", "pool", _pooled),
    **_kinds("Gather GatherElements GatherND ScatterND ScatterElements", "copy", _gathered),
    **_kinds("Concat Split", "copy", _cut_unevenly),
    **_kinds("Slice", "copy", _cut),
    **_kinds("Transpose Pad Expand Tile DepthToSpace SpaceToDepth", "copy", _moved),
}
"""ONNX operator -> row."""

POINTWISE = OnnxKind("pointwise", "pointwise", _pointwise)


def onnx_kind(op: str) -> OnnxKind:
    """The row of an operator: its own, or that of pointwise ones."""
    return ONNX_OPS.get(op, POINTWISE)


def arguments(values: dict[str, Any], inputs: list[TensorSpec]) -> dict[str, Any]:
    """Arguments of a node as a captured call has them: its tensors by position, then its attributes."""
    return {**{f"input{i}": t for i, t in enumerate(inputs)}, **values}
