"""Models by name: the zoo's, the generated ones that the host coefficients are fitted on (none is both), and users'
own, ``path/to/file.py:factory``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_map_only

import models_zoo
from calibrate.workloads.generated import source_of
from calibrate.workloads.modules import CPU_WIDTHS, GPU_WIDTHS
from predictor.padding import padded
from predictor.sources import load_model


def build(name: str, device: str, batch: int = 1, length: int = 0, lengths: str = "") -> tuple[torch.nn.Module, Any]:
    """(module, inputs) of a zoo model, of a factory, or of a generated model, in sizes for a device. length, lengths:
    as of a ``Case``, of zoo models and factories.
    """
    if name in models_zoo.names():
        return models_zoo.build(name)[0], build_inputs(name, device, batch, length, lengths)
    generated = source_of(name)
    if generated is None:
        module, inputs, _ = load_model(name, batch, length or None)
        return module, padded(inputs, lengths) if lengths else inputs
    source, seed = generated
    module, inputs = source.generate(seed, GPU_WIDTHS if device == "cuda" else CPU_WIDTHS)
    return module, tree_map_only(torch.Tensor, lambda t: t.repeat(batch, *[1] * (t.dim() - 1)), inputs)


def build_inputs(name: str, device: str, batch: int, length: int = 0, lengths: str = "") -> Any:
    """The inputs alone."""
    if name not in models_zoo.names():
        return build(name, device, batch, length, lengths)[1]
    inputs = models_zoo.build_inputs(name, batch, length or None)
    return padded(inputs, lengths) if lengths else inputs
