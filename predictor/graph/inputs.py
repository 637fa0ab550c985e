"""Inputs of a module, in the forms that users have them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from predictor.errors import PredictorError


def generated_by(module: Any) -> int:
    """Tokens that a pass generates of each sequence: what the module says in ``generated_tokens``, else 0."""
    return int(getattr(module, "generated_tokens", 0))


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
    """Size of the first dimension of the first input that has one: a tensor or an array, also one that a record holds.
    1 where there is none.
    """
    shapes = [shape for shape in _shapes(call_arguments(inputs)) if shape]
    batch = int(shapes[0][0]) if shapes else 1
    if batch < 1:
        raise PredictorError("the inputs are empty: their first dimension is 0")
    return batch


def shapes_in(inputs: Any) -> tuple[tuple[int, ...], ...]:
    """Shapes of all tensors and arrays in a module's inputs, in order."""
    return tuple(_shapes(call_arguments(inputs)))


def _shapes(value: Any) -> Iterator[tuple[int, ...]]:
    """Shapes of tensors and arrays in a value, in order."""
    from torch.utils._pytree import tree_leaves

    for leaf in tree_leaves(value):
        if getattr(leaf, "is_nested", False):  # whose other dimensions are no numbers
            yield (leaf.size(0),)
        elif isinstance(getattr(leaf, "shape", None), tuple):  # of a torch.Tensor and a numpy.ndarray
            yield tuple(leaf.shape)
        elif is_dataclass(leaf) and not isinstance(leaf, type):
            yield from _shapes([getattr(leaf, field.name) for field in fields(leaf)])


def flat(module: Any, inputs: Any) -> tuple[Any, tuple[Any, ...]]:
    """(module, tensors): a module that takes and returns tuples of tensors, as tracing and export want them."""
    import torch
    from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

    leaves, structure = tree_flatten(call_arguments(inputs))
    tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *given: Any) -> Any:
            rest = iter(given)
            args, kwargs = tree_unflatten([next(rest) if isinstance(v, torch.Tensor) else v for v in leaves], structure)
            outputs = self.module(*args, **kwargs)
            outputs = outputs.to_tuple() if hasattr(outputs, "to_tuple") else outputs
            return tuple(leaf for leaf in tree_leaves(outputs) if isinstance(leaf, torch.Tensor))

    return Flat().eval(), tensors
