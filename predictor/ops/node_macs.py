"""Multiply-accumulates of ONNX nodes."""

from __future__ import annotations

import math

from predictor.records import OpCall, TensorSpec


def product_macs(call: OpCall) -> int:
    """Of a product: every element of the result sums over the rows of the second operand, or all of it if it has one
    dimension.
    """
    if not call.outputs or len(call.tensors) < 2:
        return 0
    _, b = operand_shapes(call)
    if not b:
        return call.outputs[0].elements
    along = -1 if len(b) == 1 or call.args.get("transB") else -2
    return call.outputs[0].elements * b[along]


def operand_shapes(call: OpCall) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of a product's operands, batches first: FusedMatMul takes some with the batch between rows and columns."""
    a, b = (
        (*tensor.shape[1:-1], tensor.shape[0], tensor.shape[-1]) if call.args.get(moved) else tensor.shape
        for tensor, moved in zip(call.tensors[:2], ("transBatchA", "transBatchB"), strict=True)
    )
    return a, b


def conv_macs(call: OpCall) -> int:
    """Of a convolution: every element of the result sums over a window of the channels of its group."""
    if not call.outputs or len(call.tensors) < 2:
        return 0
    return call.outputs[0].elements * math.prod(call.tensors[1].shape[1:])


def transposed_conv_macs(call: OpCall) -> int:
    """Of a transposed convolution: every element of the input is spread over a window of the channels of its group."""
    if len(call.tensors) < 2:
        return 0
    return call.tensors[0].elements * math.prod(call.tensors[1].shape[1:])


def recurrent_macs(call: OpCall) -> int:
    """Of a recurrent layer: both weights, of each direction, once for each token."""
    if len(call.tensors) < 3:
        return 0
    x, w, r = call.tensors[:3]
    return math.prod(x.shape[:2]) * (w.elements + r.elements)


def einsum_macs(call: OpCall) -> int:
    """Of a sum of products: its operands are joined one after another, each time with a multiplication for every
    combination of indices, after which those that neither a later operand nor the result has are summed away. One
    operand multiplies nothing.
    """
    terms, result = einsum_terms(str(call.args.get("equation", "")), call.tensors)
    if len(terms) != len(call.tensors) or len(terms) < 2:
        return 0
    sizes = einsum_sizes(terms, call.tensors)
    macs, held = 0, set(terms[0])
    for position, term in enumerate(terms[1:], 1):
        space = held | set(term)
        macs += math.prod(sizes.get(index, 1) for index in space)
        held = space & (set(result).union(*terms[position + 1 :]))
    return macs


def einsum_terms(equation: str, tensors: tuple[TensorSpec, ...]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """(Indices of each operand, of the result) of an equation. The dimensions of an ellipsis, counted from the last,
    are indices "...1", "...2" and so on.

    >>> matrix = TensorSpec((2, 3, 4), "fp32", (12, 4, 1))
    >>> einsum_terms("...ij->...ji", (matrix,))
    ([('...1', 'i', 'j')], ('...1', 'j', 'i'))
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    written = left.split(",")
    dots = [
        len(tensor.shape) - len(term.replace("...", "")) if "..." in term else 0
        for term, tensor in zip(written, tensors, strict=False)
    ]
    most = max(dots, default=0)
    terms = [_indices(term, count) for term, count in zip(written, dots, strict=False)]
    if arrow:
        return terms, _indices(right, most)
    letters = left.replace("...", "").replace(",", "")
    once = "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    return terms, _indices(f"...{once}", most)


def _indices(term: str, dots: int) -> tuple[str, ...]:
    before, ellipsis, after = term.partition("...")
    inside = [f"...{number}" for number in range(dots, 0, -1)] if ellipsis else []
    return (*before, *inside, *after)


def einsum_sizes(terms: list[tuple[str, ...]], tensors: tuple[TensorSpec, ...]) -> dict[str, int]:
    """Index -> its size, the larger of two where one is broadcast."""
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, tensors, strict=False):
        for index, size in zip(term, tensor.shape, strict=False):
            sizes[index] = max(sizes.get(index, 0), size)
    return sizes
