"""The graphs of a module at any size, captured on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map_only

from predictor.capture.calls import DTYPE_NAMES
from predictor.capture.stand_ins import modules_in, weights_in
from predictor.errors import PredictorError, one_line
from predictor.graph.inputs import batch_of, call_arguments
from predictor.records import CaptureMode, Graph


class Capture(Protocol):
    """Captures a module for a runtime, in one of its modes."""

    def __call__(
        self, module: Any, inputs: Any, dtype: str, runtime: str, name: str, *, mode: CaptureMode
    ) -> Graph: ...


def own_dtype(module: Any, inputs: Iterable[torch.Tensor] = ()) -> str:
    """The floating-point dtype of most elements of a module's parameters, complex ones as that of their parts; of its
    buffers where it has no parameters, of its inputs where it has neither, else torch's default dtype.

    >>> own_dtype(torch.nn.Linear(2, 2).bfloat16())
    'bf16'
    """
    groups: tuple[Iterable[torch.Tensor], ...] = (inputs,)
    if isinstance(module, torch.nn.Module):
        modules = modules_in(module)
        groups = weights_in(modules, "parameters"), weights_in(modules, "buffers"), inputs
    elif isinstance(module, torch.export.ExportedProgram) or hasattr(module, "parameters"):
        groups = module.parameters(), module.buffers(), inputs
    for tensors in groups:
        elements: Counter[torch.dtype] = Counter()
        for tensor in tensors:
            if tensor.is_floating_point() or tensor.is_complex():
                elements[tensor.dtype.to_real()] += max(0 if is_lazy(tensor) else tensor.numel(), 1)
        if elements:
            dtype = max(elements, key=elements.__getitem__)
            return DTYPE_NAMES.get(dtype, str(dtype).removeprefix("torch."))
    return DTYPE_NAMES[torch.get_default_dtype()]


@dataclass(frozen=True)
class ModuleSource:
    """A module with inputs of one size, which are cut or repeated for others. capture_channels_last: captures it with
    channels-last weights and inputs, None where it has them already.
    """

    module: Any
    inputs: Any
    name: str
    capture: Capture
    capture_channels_last: Capture | None = None

    def channels_last(self) -> ModuleSource | None:
        """The module with channels-last weights and inputs, None where it has them already."""
        turned = self.capture_channels_last
        return replace(self, capture=turned, capture_channels_last=None) if turned else None

    @cached_property
    def dtype(self) -> str:
        """The module's own dtype, see ``own_dtype``."""
        return own_dtype(self.module, self._tensors)

    @cached_property
    def batch(self) -> int:
        """Size of the first dimension of the first input."""
        return batch_of(self.inputs)

    @cached_property
    def length(self) -> int:
        """Tokens: the second dimension of the first integer input that has two; 0 where there is none."""
        tokens = [t for t in self._tensors if t.dim() == 2 and not (t.is_floating_point() or t.dtype == torch.bool)]
        return int(tokens[0].shape[1]) if tokens else 0

    @property
    def _tensors(self) -> list[torch.Tensor]:
        return [leaf for leaf in tree_leaves(call_arguments(self.inputs)) if isinstance(leaf, torch.Tensor)]

    def graph(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        """The graph for a runtime at sizes, see ``plans.Source``."""
        if (batch, length) == (self.batch, self.length):
            return self.capture(self.module, self.inputs, dtype, runtime, self.name, mode=mode)
        try:
            inputs = self._inputs_at(batch, length)
        except Exception as error:
            raise PredictorError(
                f"the inputs of {self.name} cannot be cut or repeated to batch {batch}: make them at that size "
                f"({one_line(error)})"
            ) from error
        try:
            return self.capture(self.module, inputs, dtype, runtime, self.name, mode=mode)
        except PredictorError as error:
            tokens = f" and length {length}" if length else ""
            raise type(error)(f"at batch {batch}{tokens} (its inputs cut or repeated): {error}") from error

    def _inputs_at(self, batch: int, length: int) -> Any:
        def resized(tensor: torch.Tensor) -> torch.Tensor:
            shape = list(tensor.shape)
            if shape and shape[0] == self.batch:
                shape[0] = batch
            shape[1:] = [length if self.length and n == self.length else n for n in shape[1:]]
            if shape == list(tensor.shape):
                return tensor
            for dim, size in enumerate(shape):
                if size != tensor.shape[dim]:
                    tensor = tensor.index_select(dim, torch.arange(size, device=tensor.device) % tensor.shape[dim])
            return tensor

        return tree_map_only(torch.Tensor, resized, self.inputs)
