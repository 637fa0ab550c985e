"""Operators that a GPU runs in another way than the CPU and the meta device: what they consist of on a GPU, and the
shapes of those that torch has for CUDA alone.

Sources: torch/csrc/aten of torch 2.11 by file: native/RNN.cpp (cells), native/transformers/transformer.cpp and
native/transformers/cuda/attention.cu (the fused encoder layer and attention), native/cuda/GroupedBlas.cpp (grouped
products), native/PackedSequence.cpp (padding); kernels seen in profiles of an H200.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from predictor.capture.assumptions import EVEN, PADDING
from predictor.capture.capture_mode import COMPILED_MODES, mark_on_host
from predictor.records import CaptureMode


def lstm_cell(x: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Any:
    """Two products, and one kernel for all that the gates do."""
    products = torch.mm(x, w_ih.t()), torch.mm(hx[0], w_hh.t())
    hy, cy, _ = torch.ops.aten._thnn_fused_lstm_cell(*products, hx[1], b_ih, b_hh)
    return hy, cy


def gru_cell(x: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Tensor:
    """Two products, and one kernel for all that the gates do."""
    products = torch.mm(x, w_ih.t()), torch.mm(hx, w_hh.t())
    hy: Tensor = torch.ops.aten._thnn_fused_gru_cell(*products, hx, b_ih, b_hh)[0]
    return hy


def _attend(
    x: Tensor, heads: int, in_weight: Tensor, in_bias: Any, out_weight: Tensor, out_bias: Any, mask: Any, weights: bool
) -> tuple[Tensor, Tensor | None]:
    """Self-attention: in one kernel without a mask and without its weights returned, else multiplied out."""
    batch, length, width = x.shape
    packed = getattr(x, PACKED, ())
    if packed and mask is None and not weights and width // heads % 8 == 0:
        return _attend_packed(x, heads, packed, in_weight, in_bias, out_weight, out_bias), None
    if mask is None and not weights and width // heads % 8 == 0:
        q, k, v = (
            part.view(batch, length, heads, -1).transpose(1, 2)
            for part in torch.nn.functional.linear(x, in_weight, in_bias).chunk(3, dim=-1)
        )
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return torch.nn.functional.linear(y.transpose(1, 2).reshape(batch, length, width), out_weight, out_bias), None
    # the bias, the scale and the heads' order are one kernel, which the sum stands for
    product = torch.nn.functional.linear(x, in_weight) + in_bias
    heads_of = product.view(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = (part.flatten(0, 1) for part in heads_of.new_empty(3, batch, heads, length, width // heads).unbind(0))
    scores = torch.bmm(q, k.transpose(1, 2)).softmax(dim=-1)
    y = torch.bmm(scores, v).view(batch, heads, length, -1).transpose(1, 2).contiguous().view(batch * length, width)
    result = torch.addmm(out_bias, y, out_weight.t()).view(batch, length, width)
    return result, scores.view(batch, heads, length, length)


PACKED = "_packed_lengths"
"""Attribute of what stands for a nested tensor whose lengths are known: (1, all their tokens, width)."""


METADATA = {
    "linear": (2, 2, 0),
    "chunk": (9, 0, 0),
    "view": (0, 2, 1),
    "transpose": (2, 1, 0.4),
    "reshape": (0, 3, 2),
    "add": (0, 2, 0.2),
    "norm": (0, 2, 0),
    "layer": (5, 3, 0),
}
"""What an operator on nested tensors does to their sizes, strides and offsets, tensors on the CPU with a row for each
sequence: operators that compute (copies, selections of columns, comparisons), such that only allocate or view, and
walks over all rows, in one operator more. Counted with torch's profiler on a CPU (2.13), the walks by their time; what
a layer does beside its operators by an H200's host, on which one of eight sequences takes 11 us more than they do
(``benchmarks.nested_layers``).
"""

ROW = 1280
"""Elements that a CPU fills in the time that a row of a walk takes it, 0.13 us: on an H200's host a layer takes 1.1 us
more for each sequence of a batch (``benchmarks.nested_layers``).
"""

TRANSPOSED_IN_ATTENTION = 4
"""Queries, keys, values and the result: native/nested/cuda/NestedTensorTransformerUtils.cpp."""


def _on_metadata(sequences: int, *operators: str) -> None:
    """What the host does to the sizes of nested tensors in some operators."""
    with _disable_current_modes():
        rows = mark_on_host(torch.zeros(sequences, 3, dtype=torch.int64, device="cpu"))
    for computed, allocated, walked in (METADATA[name] for name in operators):
        for _ in range(computed):
            rows.clone()
        for _ in range(allocated):
            rows.view(-1)
        if walked:
            torch.zeros(round(sequences * walked * ROW), dtype=torch.uint8, device="cpu")


def _attend_packed(
    x: Tensor, heads: int, lengths: tuple[int, ...], in_weight: Tensor, in_bias: Any, out_weight: Tensor, out_bias: Any
) -> Tensor:
    """Self-attention of sequences of their own lengths: one kernel, whose blocks are those of the longest for each.
    Where each begins is counted on the host, for the queries and for the keys, and copied to the device.
    """
    torch.nn.functional.linear(x, in_weight, in_bias)
    heads_apart = ("view", "transpose") * 3
    _on_metadata(len(lengths), "linear", "chunk", *heads_apart, *("transpose",) * TRANSPOSED_IN_ATTENTION)
    begins = [torch.zeros(len(lengths) + 1, dtype=torch.int32, device="cpu").to(x.device) for _ in ("queries", "keys")]
    if x.dtype in (torch.float16, torch.bfloat16):
        q, k, v = (x.new_empty(sum(lengths), heads, x.shape[-1] // heads) for _ in range(3))
        longest = max(lengths), max(lengths)
        torch.ops.aten._flash_attention_forward(q, k, v, *begins, *longest, 0.0, False, False)
    else:
        q, k, v = (x.new_empty(len(lengths), heads, max(lengths), x.shape[-1] // heads) for _ in range(3))
        torch.nn.functional.scaled_dot_product_attention(q, k, v)
    _on_metadata(len(lengths), "transpose", "reshape", "linear")
    return torch.nn.functional.linear(x, out_weight, out_bias)


def _like(result: Tensor, x: Tensor) -> Tensor:
    """A result that is as nested as what it was computed from."""
    if lengths := getattr(x, PACKED, ()):
        setattr(result, PACKED, lengths)
    return result


def encoder_layer(
    src: Tensor,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Tensor,
    norm_bias_1: Tensor,
    norm_weight_2: Tensor,
    norm_bias_2: Tensor,
    ffn_weight_1: Tensor,
    ffn_bias_1: Tensor,
    ffn_weight_2: Tensor,
    ffn_bias_2: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """``_transformer_encoder_layer_fwd``: attention, two products (the activation is part of the first), two norms,
    two sums.
    """
    norms = ((norm_weight_1, norm_bias_1), (norm_weight_2, norm_bias_2))

    def norm(x: Tensor, number: int) -> Tensor:
        return torch.nn.functional.layer_norm(x, (embed_dim,), *norms[number], eps)

    x = _like(norm(src, 0), src) if norm_first else src
    x, _ = _attend(x, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias, mask, False)
    x = x.add_(src)
    x = x if norm_first else norm(x, 0)
    before = x
    x = norm(x, 1) if norm_first else x
    x = torch._addmm_activation(ffn_bias_1, x.view(-1, embed_dim), ffn_weight_1.t(), use_gelu=use_gelu)
    x = torch.addmm(ffn_bias_2, x, ffn_weight_2.t()).view(before.shape)
    x = x.add_(before)
    if lengths := getattr(src, PACKED, ()):
        _on_metadata(len(lengths), *("add", "norm", "linear") * 2, "layer")
    return _like(x if norm_first else norm(x, 1), src)


def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """``_native_multi_head_attention``, of one tensor with itself, as its modules call it."""
    result, weights = _attend(query, num_head, qkv_weight, qkv_bias, proj_weight, proj_bias, mask, need_weights)
    if weights is not None and need_weights and average_attn_weights:
        weights = weights.mean(dim=1)
    return result, weights if need_weights else None


def one_hot(x: Tensor, num_classes: int = -1) -> Tensor:
    """Zeros, of which one in each row is set: native/Onehot.cpp."""
    classes = num_classes if num_classes > 0 else int(x.max().item()) + 1
    return x.new_zeros((*x.shape, classes)).scatter_(-1, x.unsqueeze(-1), 1)


def grouped_products(a: Tensor, b: Tensor, offs: Any = None, *rest: Any, **named: Any) -> Tensor:
    """``_grouped_mm`` in other than bf16: the sizes of the groups go to the host, a product for each group follows."""
    result = a.new_empty(_grouped_shape(a, b, offs))
    if offs is None:
        return torch.bmm(a, b)
    total = a.shape[-1] if b.dim() == 2 and a.dim() == 2 else a.shape[-2] if a.dim() == 2 else b.shape[-1]
    start = 0
    for number, end in enumerate(_ends(offs, total)):
        if end > start:
            of = slice(start, end)
            if a.dim() == 2 and b.dim() == 3:
                torch.mm(a[of], b[number])
            elif a.dim() == 3:
                torch.mm(a[number], b[:, of])
            else:
                torch.mm(a[:, of], b[of])
        start = end
    return result


def grouped_products_into(x: Tensor, weight: Tensor, offs: Tensor) -> Tensor:
    """What the library transformers does in its place, in compiled code: each product is written into zeros."""
    result = x.new_zeros(x.shape[0], weight.shape[2])
    start = 0
    for number, end in enumerate(_ends(offs, x.shape[0])):
        if end > start:
            torch.mm(x[start:end], weight[number], out=result[start:end])
        start = end
    return result


def _ends(offs: Tensor, total: int) -> list[int]:
    """Where groups end: as the host reads it, all alike where nobody computes it."""
    groups = offs.shape[0]
    ends: list[int] = [total * (i + 1) // groups for i in range(groups)] if offs.is_meta else offs.cpu().tolist()
    return ends


def _grouped_shape(a: Tensor, b: Tensor, offs: Any) -> tuple[int, ...]:
    if a.dim() == 2 and b.dim() == 2:
        return (offs.shape[0], a.shape[0], b.shape[1])
    if a.dim() == 3 and b.dim() == 3:
        return (a.shape[0], a.shape[1], b.shape[2])
    return (a.shape[-2], b.shape[-1])


def _lengths(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where the first False of each row is, and how many True it has."""
    ended = torch.cat([mask, mask.new_zeros(mask.shape[0], 1)], dim=1)
    return ended.to(torch.int32).argmin(dim=1), mask.to(torch.int64).cumsum(dim=1)[:, -1]


def is_left_aligned(x: Tensor, mask: Tensor) -> bool:
    """``_nested_tensor_from_mask_left_aligned``, whose answer the host waits for: yes, where it rests on values that
    nobody computes.
    """
    return torch.equal(*_lengths(mask)) or mask.is_meta


def from_mask(x: Tensor, mask: Tensor, mask_check: bool = True) -> Tensor:
    """``_nested_tensor_from_mask``: the lengths go to the host, the padding is left out in a copy. Where the mask's
    values are known, as those of inputs are, what follows has the real tokens alone.
    """
    lengths, _ = _lengths(mask)
    sizes = torch.cat([lengths[:, None], lengths.new_full((len(lengths), 1), x.shape[-1])], dim=1)
    sizes.cpu()
    if mask.is_meta:
        return x.clone()
    with _disable_current_modes():  # what follows is no part of the pass
        known = tuple(int(length) for length in mask.sum(dim=1).tolist())
    _to_device(x, 3 * len(known)).to(torch.int32)  # sizes, padded sizes and where each begins
    packed = x.new_empty(1, sum(known), x.shape[-1]).clone()
    setattr(packed, PACKED, known)
    return packed


def _to_device(x: Tensor, count: int) -> Tensor:
    """Whole numbers that the host has counted, on the device of a tensor."""
    with _disable_current_modes():
        counted = mark_on_host(torch.zeros(count, dtype=torch.int64, device="cpu"))
    return x.new_empty(count, dtype=torch.int64).copy_(counted)


def padded(x: Tensor, padding: float, output_size: Any = None) -> Tensor:
    """``to_padded_tensor``: a copy, of a nested tensor by its sizes, which the device is told of."""
    if lengths := getattr(x, PACKED, ()):
        _to_device(x, 2 * len(lengths))
    return x.clone() if output_size is None else x.new_empty(output_size).clone()


def pad_sequence(
    sequences: list[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """A tensor of padding, and every sequence copied into its place. What compilers take builds it anew for each."""
    first, longest = sequences[0], max(map(len, sequences))
    sides = (len(sequences), longest) if batch_first else (longest, len(sequences))
    out = first.new_full((*sides, *first.shape[1:]), padding_value)  # its device may go by another name
    for i, sequence in enumerate(sequences):
        start = longest - len(sequence) if padding_side == "left" else 0
        out.select(0 if batch_first else 1, i).narrow(0, start, len(sequence)).copy_(sequence)
    return out


FALLBACK = "transformers::grouped_mm_fallback"

ON_DEVICE: dict[str, Callable[..., Any]] = {
    "lstm_cell": lstm_cell,
    "gru_cell": gru_cell,
    "_transformer_encoder_layer_fwd": encoder_layer,
    "_native_multi_head_attention": multi_head_attention,
    "_nested_tensor_from_mask_left_aligned": is_left_aligned,
    "_nested_tensor_from_mask": from_mask,
    "to_padded_tensor": padded,
    "one_hot": one_hot,
    "pad_sequence": pad_sequence,
    FALLBACK: grouped_products_into,
}
"""Operator -> what a GPU runs instead, in operators."""


DECOMPOSED = frozenset({"one_hot", "pad_sequence"})
"""Those of which compilers take torch's decomposition in Python instead (torch/_decomp/decompositions.py)."""


def parts_of(name: str, mode: CaptureMode, args: tuple[Any, ...]) -> Callable[..., Any] | None:
    """What an operator consists of on a GPU, None where nothing is known of that."""
    if name == "_grouped_mm":
        return grouped_products if args[0].dtype != torch.bfloat16 else None
    if name.endswith("_cell") and mode is CaptureMode.EXPORTED:
        return None
    if name in DECOMPOSED and (mode in COMPILED_MODES or mode is CaptureMode.EXPORTED):
        return None
    return ON_DEVICE.get(name)


def _cell_state(igates: Tensor, hgates: Tensor, hx: Tensor, *biases: Any, gates: int) -> tuple[Tensor, ...]:
    states = tuple(torch.empty_like(hx) for _ in range(2 if gates == 4 else 1))
    return (*states, igates.new_empty(igates.shape[0], gates * hx.shape[1]))


def _recurrent(x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    """Of a recurrent layer, padded (x, states, weights, has_biases, layers, dropout, train, bidirectional, batch_first)
    or packed (x, sizes of steps, states, weights, ...): what its last layer says at every step, and its states at the
    end. Torch's own function for shapes goes through all steps.
    """
    is_packed = isinstance(args[0], Tensor) and isinstance(args[2], (list, tuple))
    states, _, _, _, _, _, bidirectional, *batch_first = args[1:] if is_packed else args
    states = (states,) if isinstance(states, Tensor) else tuple(states)
    width = states[0].shape[-1] * (2 if bidirectional else 1)
    if batch_first and batch_first[0] and x.dim() == 3:
        out = x.new_empty(x.shape[1], x.shape[0], width).transpose(0, 1)
    else:
        out = x.new_empty(*x.shape[:-1], width)
    return (out, *(torch.empty_like(state) for state in states))


def _quantised(x: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
    """Of a fake quantisation: values as they would come back, and which were within the range."""
    return torch.empty_like(x), torch.empty_like(x, dtype=torch.bool)


def _least_squares(a: Tensor, b: Tensor, *_: Any, **__: Any) -> tuple[Tensor, ...]:
    """Solution, residuals, rank and singular values, as a GPU's only driver ("gels") gives them."""
    vector = b.dim() == 1 or (a.dim() - 1 == b.dim() and a.shape[:-1] == b.shape)
    columns = () if vector else b.shape[-1:]
    batch = a.shape[:-2]
    solved = a.new_empty(*batch, *columns, max(a.shape[-2:]))[..., : a.shape[-1]]  # columns lie together
    squares = (*batch, *columns) if a.shape[-2] > a.shape[-1] else (0,)
    empty = a.new_empty(0)
    return solved if vector else solved.mT, a.new_empty(squares), empty.to(torch.int64), empty


def _factorised(a: Tensor) -> tuple[Tensor, Tensor]:
    """Of Householder reflections: in place of the matrix, whose columns lie together, and their scales."""
    *batch, rows, columns = a.shape
    return a.new_empty(*batch, columns, rows).mT, a.new_empty(*batch, min(rows, columns))


def _aligned_loss(log_probs: Tensor, targets: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
    """Of a connectionist temporal classification: a loss each, and log probabilities of every state at every step, as
    many as where targets are as long as their longest.
    """
    batch = (log_probs.shape[1],) if log_probs.dim() == 3 else ()
    longest = targets.shape[-1] if targets.dim() > 1 or not batch else targets.shape[0] // log_probs.shape[1]
    return log_probs.new_empty(batch), log_probs.new_empty(*batch, log_probs.shape[0], 2 * longest + 1)


SHAPES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    "_thnn_fused_lstm_cell": lambda *args: _cell_state(*args, gates=4),
    "_thnn_fused_gru_cell": lambda *args: _cell_state(*args, gates=5),
    "_grouped_mm": lambda a, b, offs=None, *rest, **named: a.new_empty(_grouped_shape(a, b, offs)),
    "fake_quantize_per_tensor_affine_cachemask": _quantised,
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams": _quantised,
    "fake_quantize_per_channel_affine_cachemask": _quantised,
    "linalg_lstsq": _least_squares,
    "geqrf": _factorised,
    "_ctc_loss": _aligned_loss,
}
"""Operators of CUDA alone, such as are slow on the meta device or that it does not have -> their results there."""


def assumed(name: str, args: tuple[Any, ...]) -> str:
    """What is assumed where an operator runs, empty where nothing is."""
    if name == "_nested_tensor_from_mask":
        return PADDING if args[1].is_meta else ""
    return EVEN if name in ("_grouped_mm", FALLBACK) else ""


@contextmanager
def fused_layers(mode: CaptureMode) -> Iterator[None]:
    """Torch's transformer layers ask on which device they are, to take their fused path on a CPU, a GPU or what a
    backend is called that others have added: the capture's device is one of these.
    """
    if mode is CaptureMode.EXPORTED:
        yield
        return
    registration = torch.utils.backend_registration
    before = registration._privateuse1_backend_name
    registration._privateuse1_backend_name = "meta"
    try:
        with _without_compiler():
            yield
    finally:
        registration._privateuse1_backend_name = before


@contextmanager
def _without_compiler() -> Iterator[None]:
    """``flex_attention`` takes the capture's device and leaves itself uncompiled, which a dispatch mode forbids."""
    flexible: Any = sys.modules.get("torch.nn.attention.flex_attention")
    known = {"_validate_device": lambda *tensors: None, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG": True}
    before = {name: getattr(flexible, name) for name in known if hasattr(flexible, name)}
    for name in before:
        setattr(flexible, name, known[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(flexible, name, value)
