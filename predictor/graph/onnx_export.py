"""A module as an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predictor.graph.inputs import flat

LEARNED_MEAN = "running_mean"
"""Name of what a batch norm shifts by, which training writes though it is no parameter."""

FIRST_VALUE, VALUES = 2.0**-7, 128
"""The smallest of the values that tensors of zeros get before an export, and how many there are up to its double: exact
in half precision.
"""


def export(module: Any, inputs: Any, path: Path) -> None:
    """Write a module as an ONNX file with fixed shapes, its weights beside it, as if it were ``trained``."""
    import torch

    function, tensors = flat(module, inputs)
    with torch.no_grad(), trained(module):
        torch.onnx.export(function, tensors, str(path), dynamo=True, external_data=True, verbose=False)


def learned(module: Any) -> Iterator[Any]:
    """What training writes: parameters, and the means of batch norms."""
    yield from module.parameters()
    yield from (tensor for name, tensor in module.named_buffers() if name.rpartition(".")[2] == LEARNED_MEAN)


@contextmanager
def trained(module: Any) -> Iterator[None]:
    """A module has no learned tensor of zeros meanwhile. The exporter drops a bias of zeros, of a batch norm that it
    joins with a convolution too (onnxscript, rewriter/rules/common/_remove_optional_bias.py), which only a module that
    was never trained has: each is work less for ONNX Runtime.
    """
    import torch

    zeros = [tensor for tensor in learned(module) if is_of_zeros(tensor)]
    try:
        with torch.inference_mode():  # one that was made there is written there alone
            for number, tensor in enumerate(zeros):
                tensor.fill_(FIRST_VALUE * (1 + number % VALUES / VALUES))
        yield
    finally:
        with torch.inference_mode():
            for tensor in zeros:
                tensor.zero_()


def is_of_zeros(tensor: Any) -> bool:
    """Whether a tensor with values has no other than zero, and can be given others."""
    import torch

    is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and not tensor.is_meta and 0 not in tensor.stride()
    return bool(is_plain and tensor.is_floating_point() and tensor.numel() and not tensor.any())
