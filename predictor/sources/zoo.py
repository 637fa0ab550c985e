"""Models of the zoo: from their shipped graphs, without torch; what these do not have is captured."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import models_zoo
from predictor.graph import files
from predictor.graph.files import GraphSet
from predictor.plans import Plan
from predictor.predict import graph_of
from predictor.records import CaptureMode, CaptureOptions, Graph
from predictor.sources.configuration import resized, shape_of
from predictor.sources.installed import library


def plan_of(name: str, options: CaptureOptions) -> Plan:
    """The plan of a zoo model, from its file where it is captured as the file was."""
    source = _ZooSource(name, options)
    if is_shipped(name, options):
        return Plan(files.read(models_zoo.graphs(name)), source)
    library(models_zoo.library(name))
    parameters = inspect.signature(models_zoo.module(name).inputs).parameters
    length = parameters["length"].default if "length" in parameters else 0
    generated = models_zoo.index().get(name, {}).get("generated", 0)  # a file may be new
    return Plan(GraphSet(name, 1, length, notes=options.notes, generated=generated), source)


def is_shipped(name: str, options: CaptureOptions) -> bool:
    """Whether a zoo model's graphs are in a file."""
    return options == CaptureOptions() and models_zoo.graphs(name).is_file()


def _built(name: str, batch: int, length: int | None) -> tuple[Any, Any]:
    """(Module, inputs) without data."""
    torch = library("torch")
    library(models_zoo.library(name))
    with torch.device("meta"):
        return models_zoo.build(name, batch, length)


@dataclass(frozen=True)
class _ZooSource:
    """A zoo model, built at the size that is asked for. config: of transformers, where it is not the zoo's."""

    name: str
    options: CaptureOptions
    config: Any = None

    @property
    def dtype(self) -> str | None:
        """None, so that it is what most people run; the dtype of the weights where autocast makes the rest."""
        return "fp32" if self.options.autocast else None

    @property
    def shape(self) -> Mapping[str, int]:
        """Width and depth that its configuration says; none where its graphs are shipped, to be told without torch."""
        if is_shipped(self.name, self.options):
            return {}
        config = self._config()
        return shape_of(config) if config is not None else {}

    def reshaped(self, dimension: str, value: int) -> _ZooSource:
        """The model with another width or depth. Raises PredictorError where it cannot be so."""
        return replace(self, config=resized(self._config(), dimension, value))

    def _config(self) -> Any:
        return self.config or getattr(_built(self.name, 1, None)[0], "config", None)

    def graph(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        """The graph for a runtime at sizes, see ``plans.Source``."""
        module, inputs = _built(self.name, batch, length or None)
        if self.config is not None:
            with library("torch").device("meta"):
                module = type(module)(self.config).eval()
        return graph_of(module, inputs, dtype, runtime, self.name, self.options, mode)
