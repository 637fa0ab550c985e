"""The assumptions that a graph may rest on, as a report says them."""

from __future__ import annotations

EVEN = "what is chosen by values (experts, best scores, tokens) is spread evenly over the choices"
KEEPS = "a selection by values keeps {share}"
EVERYTHING = KEEPS.format(share="everything")
HOLDS = "a condition on values holds"
ONE = "a number that the host reads from the device is 1"
DISTINCT = "all values are distinct"
PADDING = "padded sequences are as long as the longest: nested tensors are priced as dense ones"
ALL_BLOCKS = "flex_attention is one fused kernel that computes every block"
EVALUATION = "the module, which is in training mode, runs in evaluation mode"
