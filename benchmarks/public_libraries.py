"""Models of public libraries, as sets of the battery that are drawn from them build them. Weights are random."""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.torchvision_operators import import_torchvision

Made = tuple[nn.Module, dict[str, Tensor]]
"""A module in evaluation mode, and its inputs."""


def library(name: str) -> Any:
    """A library, imported when torchvision is, where that is installed: most of them look for it."""
    with suppress(ImportError):
        import_torchvision()
    return importlib.import_module(name)


def random_ids(*shape: int, below: int) -> Tensor:
    """Integers from 0 to below on the CPU, the same on every call."""
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(below, shape, generator=generator, device="cpu")


def timm_model(name: str, batch: int) -> Made:
    """A model of timm and images of the size that it was made for."""
    module = library("timm").create_model(name).eval()
    return module, {"x": torch.randn(batch, *module.pretrained_cfg["input_size"])}


def graphs(batch: int, nodes: int, edges: int) -> Tensor:
    """(2, batch * edges): random edges, each between nodes of one graph."""
    offset = nodes * torch.arange(batch, device="cpu")[:, None]
    return (random_ids(2, batch, edges, below=nodes) + offset).flatten(1)


def papers(batch: int) -> dict[str, Tensor]:
    """Graphs of Cora's size: 2708 papers with 1433 words that cite each other 10,556 times."""
    return {"x": torch.rand(2708 * batch, 1433), "edge_index": graphs(batch, 2708, 10_556)}


def transformers_model(name: str, **fields: Any) -> nn.Module:
    """What a type's configuration makes, its defaults but for some fields."""
    transformers = library("transformers")
    module: nn.Module = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(name, **fields))
    return module.eval()
