"""Inputs of a module, in the forms that users have them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from predictor.errors import PredictorError


def call_arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of ``module`` from inputs given as a tensor, a tuple or list, or a mapping."""
    import torch

    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, (tuple, list)):
        return tuple(inputs), {}
    if isinstance(inputs, torch.Tensor):
        return (inputs,), {}
    raise PredictorError(f"inputs must be a tensor, a tuple or a mapping of them, not {type(inputs).__name__}")


def batch_of(inputs: Any) -> int:
    """Size of the first dimension of the first input tensor."""
    import torch
    from torch.utils._pytree import tree_map_only

    found: list[torch.Tensor] = []
    tree_map_only(torch.Tensor, found.append, call_arguments(inputs))
    if not found:
        raise PredictorError("inputs hold no tensor")
    batch = int(found[0].shape[0]) if found[0].dim() else 1
    if batch < 1:
        raise PredictorError("the inputs are empty: their first dimension is 0")
    return batch
