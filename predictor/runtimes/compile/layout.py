"""Whether Inductor makes the convolutions of a graph channels-last."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.records import OpCall, TensorSpec, Trait

NODES_PER_CONV = 300
"""Convolutions keep their layout from so many nodes of the graph on for each of them."""

NODES = {
    **dict.fromkeys(("layer_norm", "native_layer_norm", "rms_norm"), 11),
    **dict.fromkeys(("group_norm", "native_group_norm", "batch_norm", "native_batch_norm"), 18),
    **dict.fromkeys(("softmax", "_softmax", "gelu"), 7),
    **dict.fromkeys(("silu", "sigmoid", "scaled_dot_product_attention", "linear"), 4),
}
"""Nodes that an operator is where torch has decomposed it, its casts from half precision and back among them; others
are one.
"""

SMALL = 64
"""Channels of a small convolution, at most."""

FACTORS = {"grouped": 1.358, "small": 0.783, "narrowing": 0.725, "usual": 0.823}
"""What a convolution's time becomes channels-last, by its kind."""


def is_convolution(call: OpCall) -> bool:
    """Whether a call is a convolution of torch's, not of a library of the user's."""
    return call.trait is Trait.CONV and isinstance(call.args.get("weight"), TensorSpec)


def is_of_images(call: OpCall) -> bool:
    """Whether it is one of images, which may be channels-last."""
    return is_convolution(call) and len(call.args["weight"].shape) == 4


def _kind(weight: TensorSpec, groups: int) -> str:
    out, inner, *window = weight.shape
    if groups > 1 and inner > 1:
        return "grouped"
    if out <= SMALL and inner <= SMALL:
        return "small"
    return "narrowing" if 2 * out <= inner and window[0] > 1 else "usual"


def wants_channels_last(calls: Sequence[OpCall]) -> bool:
    """Whether the convolutions of a graph become channels-last: there are enough of them, and their FLOPs are not
    mostly those of grouped ones (``GraphLowering.decide_layout_opt`` in torch/_inductor/graph.py, whose numbers these
    are).
    """
    convs = [call for call in calls if is_convolution(call)]
    made = {value for call in calls for value in call.output_ids}
    inputs = {value for call in calls for value in call.input_ids} - made
    if len(inputs) + sum(NODES.get(call.op, 1) for call in calls) >= NODES_PER_CONV * len(convs):
        return False
    factors = [FACTORS[_kind(call.args["weight"], int(call.args.get("groups", 1)))] for call in convs]
    return sum(call.macs * factor for call, factor in zip(convs, factors, strict=True)) <= sum(c.macs for c in convs)
