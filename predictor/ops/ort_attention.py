"""Attention as nodes of ONNX and of ONNX Runtime's own domain have it: with its product inside, without, with queries
that share keys, with a cache, without padding.

On a GPU each is one fused kernel (in half precision that of flash attention), behind what puts its operands in place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from predictor.ops import ort
from predictor.ops.row import ONNX_ALONE, OnnxForm, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait

PACKED = 5
"""Dimensions of queries, keys and values in one tensor: batch, length, heads, 3 (or 2, of keys and values), size."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of attention. length: of queries; keys: how many, those of the cache among them; head: size of one of queries and
    keys; value: of one of values; shared: heads of keys and values.
    """

    batch: int
    heads: int
    length: int
    keys: int
    head: int
    value: int
    shared: int
    causal: bool = False
    mask: bool = False

    @property
    def macs(self) -> int:
        """Scores and what they weigh; a causal mask is not subtracted."""
        return self.batch * self.heads * self.length * self.keys * (self.head + self.value)

    def kernel(self, dtype: str) -> Kernel:
        """The fused kernel."""
        dims = {
            **{"batch": self.batch, "heads": self.heads, "seq": self.length, "head_dim": self.value},
            **{"kv_heads": self.shared, "kv_seq": self.keys},
            **{"causal": float(self.causal and self.length > 1), "mask": float(self.mask)},
        }
        return Kernel("attention", dtype, dims)


def _input(call: OpCall, position: int) -> TensorSpec | None:
    found = call.args.get(f"input{position}")
    return found if isinstance(found, TensorSpec) else None


def _count(call: OpCall, name: str, default: int = 1) -> int:
    return max(int(call.args.get(name) or default), 1)


def _past_length(tensor: TensorSpec | None) -> int:
    return tensor.shape[-2] if tensor is not None and len(tensor.shape) >= 2 else 0


def _dense(shape: tuple[int, ...], dtype: str) -> TensorSpec:
    stride = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return TensorSpec(shape, dtype, tuple(stride))


def _run(sizes: Sizes, dtype: str, *before: Kernel) -> tuple[Kernel, ...]:
    empty = not min(sizes.batch, sizes.heads, sizes.length, sizes.keys, sizes.head)
    return before if empty else (*before, sizes.kernel(dtype))


LONG = 256
"""Queries or keys from which on there is a fused kernel in single precision (onnxruntime, attention_common.h, the
least length for memory efficient attention); single nodes on an H100 change between 197 and 256.
"""


def _is_fused(sizes: Sizes, dtype: str, mask: TensorSpec | None, has_past: bool) -> bool:
    """Whether a node is one kernel: none is where a cache was joined or scores are masked, but by lengths."""
    if has_past or (mask is not None and len(mask.shape) > 1):
        return False
    return dtype != "fp32" or max(sizes.length, sizes.keys) >= LONG


def _in_parts(sizes: Sizes, dtype: str, *before: Kernel) -> tuple[Kernel, ...]:
    """Scores, a softmax, what they weigh, heads put behind the sequence."""
    batch = sizes.batch * sizes.heads
    if not min(batch, sizes.length, sizes.keys, sizes.head, sizes.value):
        return before
    return (
        *before,
        ort.product(dtype, sizes.length, sizes.keys, sizes.head, batch, True),
        Kernel("ort_attention_softmax", dtype, {"rows": batch * sizes.length, "cols": sizes.keys}),
        ort.product(dtype, sizes.length, sizes.value, sizes.keys, batch, False),
        *ort.copies_of(_dense((batch * sizes.length, sizes.value), dtype)),
    )


# Attention of com.microsoft: its product inside. Inputs: data, weights, bias, mask, past, bias of the scores.


def whole_sizes(call: OpCall) -> Sizes:
    """Of a node with its product inside."""
    x, weights = call.tensors[:2]
    batch, length = (x.shape[0], x.shape[1]) if len(x.shape) == 3 else (1, x.shape[0])
    heads, widths = _count(call, "num_heads"), call.args.get("qkv_hidden_sizes")
    third = weights.shape[-1] // 3
    query, _, value = widths if isinstance(widths, tuple) and len(widths) == 3 else (third, third, third)
    keys = length + _past_length(_input(call, 4))
    causal = bool(call.args.get("unidirectional"))
    mask = any(_input(call, position) is not None for position in (3, 5))
    return Sizes(batch, heads, length, keys, query // heads, value // heads, heads, causal, mask)


def whole_macs(call: OpCall) -> int:
    """The product and the attention."""
    x, weights = call.tensors[:2]
    return x.elements * weights.shape[-1] + whole_sizes(call).macs


def whole(call: OpCall) -> tuple[Kernel, ...]:
    """The product, a pass that adds the bias and puts heads first, the cache joined, the attention."""
    x, weights = call.tensors[:2]
    sizes = whole_sizes(call)
    rows, (k, n) = sizes.batch * sizes.length, weights.shape
    if not min(rows, k, n):
        return ()
    product = ort.product(x.dtype, rows, n, k, 1, False)
    before = (product, *ort.copies_of(_dense((rows, n), x.dtype)), *ort.copies_of(*call.outputs[1:2]))
    mask, past = _input(call, 3) or _input(call, 5), _input(call, 4)
    is_fused = _is_fused(sizes, x.dtype, mask, past is not None)
    return (_run if is_fused else _in_parts)(sizes, x.dtype, *before)


def quantised_sizes(call: OpCall) -> Sizes:
    """Of QAttention: scales and zero points stand before the mask and the past."""
    x, weights = call.tensors[:2]
    heads, width = _count(call, "num_heads"), weights.shape[-1] // 3
    keys = x.shape[1] + _past_length(_input(call, 8))
    head = width // heads
    causal, mask = bool(call.args.get("unidirectional")), _input(call, 5) is not None
    return Sizes(x.shape[0], heads, x.shape[1], keys, head, head, heads, causal, mask)


def quantised_macs(call: OpCall) -> int:
    """The product and the attention."""
    x, weights = call.tensors[:2]
    return x.elements * weights.shape[-1] + quantised_sizes(call).macs


def quantised(call: OpCall) -> tuple[Kernel, ...]:
    """The product of integers, a pass that scales it and puts heads first, then scores, softmax and weighing, which are
    not fused.
    """
    weights, out = call.tensors[1], call.outputs[0]
    sizes, (k, n) = quantised_sizes(call), weights.shape
    rows, batch = sizes.batch * sizes.length, sizes.batch * sizes.heads
    if not min(rows, k, n, sizes.head, sizes.keys):
        return ()
    scores = _dense((batch, sizes.length, sizes.keys), out.dtype)
    softmax = Kernel("softmax", out.dtype, {"rows": batch * sizes.length, "cols": sizes.keys})
    return (
        ort.integer_product(rows, n, k),
        *ort.copies_of(_dense((rows, n), out.dtype)),
        ort.product(out.dtype, sizes.length, sizes.keys, sizes.head, batch, True),
        *(softmax for _ in range(bool(scores.elements))),
        ort.product(out.dtype, sizes.length, sizes.head, sizes.keys, batch, False),
        *ort.copies_of(out),
    )


# MultiHeadAttention: query, key, value, bias, padding, bias of the scores, past key, past value. Attention of ONNX: the
# same three, mask, past key, past value.


def apart_sizes(call: OpCall) -> Sizes:
    """Of a node whose queries, keys and values come apart or packed."""
    query, key, value = (_input(call, position) for position in range(3))
    assert query is not None
    of_onnx = "num_heads" not in call.args
    past = _past_length(_input(call, 4 if of_onnx else 6))
    mask = any(_input(call, position) is not None for position in ((3,) if of_onnx else (4, 5)))
    causal = bool(call.args.get("is_causal" if of_onnx else "unidirectional"))
    if len(query.shape) == PACKED:
        batch, length, heads, _, head = query.shape
        return Sizes(batch, heads, length, length + past, head, head, heads, causal, mask)
    if len(query.shape) == 4:
        batch, heads, length, head = query.shape
    else:
        heads = _count(call, "q_num_heads" if of_onnx else "num_heads")
        batch, length, head = query.shape[0], query.shape[1], query.shape[2] // heads
    shared = _count(call, "kv_num_heads", heads) if of_onnx else heads
    if key is None:
        return Sizes(batch, heads, length, length + past, head, head, heads, causal, mask)
    if len(key.shape) == PACKED:
        return Sizes(batch, heads, length, key.shape[1] + past, head, key.shape[-1], heads, causal, mask)
    keys = key.shape[-2] + past
    shared = key.shape[1] if len(key.shape) == 4 else shared
    size = head if value is None else value.shape[-1] if len(value.shape) == 4 else value.shape[-1] // shared
    return Sizes(batch, heads, length, keys, head, size, shared, causal, mask)


def apart_macs(call: OpCall) -> int:
    """Of the attention alone."""
    return apart_sizes(call).macs


def apart(call: OpCall) -> tuple[Kernel, ...]:
    """A pass over each operand that a bias is added to or that is put heads first, the cache joined, the attention."""
    query, sizes = call.tensors[0], apart_sizes(call)
    of_microsoft = "num_heads" in call.args
    mask, past = (_input(call, 4) or _input(call, 5), _input(call, 6)) if of_microsoft else (_input(call, 3), None)
    is_fused = not of_microsoft or _is_fused(sizes, query.dtype, mask, past is not None)
    moved = not is_fused or (of_microsoft and _input(call, 3) is not None)
    operands = [t for t in (_input(call, p) for p in range(3)) if t is not None] if moved else []
    before = (*ort.copies_of(*operands), *ort.copies_of(*call.outputs[1:3]))
    if not of_microsoft and len(query.shape) == 4:  # the sequence is put before the heads, and back
        if query.dtype == "fp32" and sizes.shared < sizes.heads:
            return _in_parts(sizes, query.dtype, *before)[:-1]
        return (*_run(sizes, query.dtype, *before, *ort.copies_of(query)), *ort.copies_of(call.outputs[0]))
    return (_run if is_fused else _in_parts)(sizes, query.dtype, *before)


# GroupQueryAttention: query, key, value, past key, past value, lengths, the longest, cosines, sines.


def grouped_sizes(call: OpCall) -> Sizes:
    """Of a node whose queries share keys; of a cache all of its room is taken as filled."""
    query, key = call.tensors[0], _input(call, 1)
    heads, shared = _count(call, "num_heads"), _count(call, "kv_num_heads")
    batch, length, width = query.shape
    head = width // (heads if key is not None else heads + 2 * shared)
    present = call.outputs[1].shape[-2] if len(call.outputs) > 1 and len(call.outputs[1].shape) == 4 else 0
    keys = max(present, _past_length(_input(call, 3)), length)
    return Sizes(batch, heads, length, keys, head, head, shared, causal=True)


def grouped_macs(call: OpCall) -> int:
    """Of the attention alone."""
    return grouped_sizes(call).macs


def grouped(call: OpCall) -> tuple[Kernel, ...]:
    """Lengths prepared, the cache copied, tokens turned and put into it, a block a head each, the fused kernel."""
    query, sizes = call.tensors[0], grouped_sizes(call)
    lengths = TensorSpec((sizes.batch,), "int32", (1,))
    copied = [
        Kernel("ort_cache_copy", past.dtype, {"elements": past.elements})
        for past in (_input(call, 3), _input(call, 4))
        if past is not None and past.elements
    ]
    blocks = sizes.batch * sizes.length * (sizes.heads + 2 * sizes.shared)
    if not min(blocks, sizes.head, sizes.keys):
        return ()
    append = Kernel("ort_cache_append", query.dtype, {"blocks": blocks, "head": sizes.head})
    return _run(sizes, query.dtype, *ort.copies_of(*[lengths] * GROUPED_STEPS), *copied, append)


# PackedAttention: tokens without padding, weights, bias, where each token was, where sequences begin.


def packed_sizes(call: OpCall) -> Sizes:
    """Of tokens without padding: as many a sequence as there are on average."""
    x, places = call.tensors[0], _input(call, 3)
    if call.op == "PackedMultiHeadAttention":
        places = _input(call, 4)
    batch = places.shape[0] if places is not None and places.shape else 1
    heads, width = _count(call, "num_heads"), call.outputs[0].shape[-1]
    length = math.ceil(x.shape[0] / max(batch, 1))
    return Sizes(batch, heads, length, length, width // heads, width // heads, heads)


def packed_macs(call: OpCall) -> int:
    """The attention, and the product where it is inside."""
    x = call.tensors[0]
    product = x.elements * call.tensors[1].shape[-1] if call.op == "PackedAttention" else 0
    return product + packed_sizes(call).macs


def packed(call: OpCall) -> tuple[Kernel, ...]:
    """The product where it is inside, a pass that puts heads first, the fused kernel."""
    x, sizes = call.tensors[0], packed_sizes(call)
    if call.op != "PackedAttention":
        return _run(sizes, x.dtype, *ort.copies_of(x))
    k, n = call.tensors[1].shape
    if not min(x.shape[0], k, n):
        return ()
    product = ort.product(x.dtype, x.shape[0], n, k, 1, False)
    return _run(sizes, x.dtype, product, *ort.copies_of(_dense((x.shape[0], n), x.dtype)))


def attention_macs(call: OpCall) -> int:
    """Of "Attention", which is ONNX Runtime's with its product inside where it says how many heads there are."""
    return whole_macs(call) if "num_heads" in call.args else apart_macs(call)


def attention(call: OpCall) -> tuple[Kernel, ...]:
    """Kernels of "Attention", see ``attention_macs``."""
    return whole(call) if "num_heads" in call.args else apart(call)


GROUPED_STEPS = 4
"""Small kernels of GroupQueryAttention before its cache is copied: eight launches on an H100, of one token as of many,
of a cache that is read and written at different places.
"""

GROUPED_ON_CPU = 20
"""Passes over the queries that the CPU takes for GroupQueryAttention, in fp32: measured, of 128 queries and 256 keys, 3
to 4 ns an element of a pass, with what its products take (benchmarks/onnx_files, grouped_decoder).
"""

_FORMS = (
    OnnxForm(("Attention",), attention, Trait.ATTENTION, attention_macs),
    OnnxForm(("QAttention",), quantised, Trait.ATTENTION, quantised_macs),
    OnnxForm(("MultiHeadAttention", "DecoderMaskedMultiHeadAttention"), apart, Trait.ATTENTION, apart_macs),
    OnnxForm(("GroupQueryAttention",), grouped, Trait.ATTENTION, grouped_macs, cpu_passes=GROUPED_ON_CPU),
    OnnxForm(("PackedAttention", "PackedMultiHeadAttention"), packed, Trait.ATTENTION, packed_macs),
)

ROWS = tuple(Operator((), Trait.ATTENTION, onnx=(form,), untimed=ONNX_ALONE) for form in _FORMS)
