"""Models of the zoo: from their shipped graphs, without torch; what these do not have is captured."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import models_zoo
from predictor.graph import files
from predictor.graph.files import GraphSet
from predictor.plans import Plan
from predictor.predict import graph_of
from predictor.records import CaptureMode, CaptureOptions, Graph
from predictor.sources.installed import library


def plan_of(name: str, options: CaptureOptions) -> Plan:
    """The plan of a zoo model, from its file where it is captured as the file was."""
    path, source = models_zoo.graphs(name), _ZooSource(name, options)
    if path.is_file() and options == CaptureOptions():
        return Plan(files.read(path), source)
    library(models_zoo.library(name))
    parameters = inspect.signature(models_zoo.module(name).inputs).parameters
    length = parameters["length"].default if "length" in parameters else 0
    generated = models_zoo.index()[name]["generated"]
    return Plan(GraphSet(name, 1, length, notes=options.notes, generated=generated), source)


@dataclass(frozen=True)
class _ZooSource:
    """A zoo model, built at the size that is asked for."""

    name: str
    options: CaptureOptions

    @property
    def dtype(self) -> str | None:
        """None, so that it is what most people run; the dtype of the weights where autocast makes the rest."""
        return "fp32" if self.options.autocast else None

    def graph(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        """The graph for a runtime at sizes, see ``plans.Source``."""
        torch = library("torch")
        library(models_zoo.library(self.name))
        with torch.device("meta"):
            module, inputs = models_zoo.build(self.name, batch, length or None)
        return graph_of(module, inputs, dtype, runtime, self.name, self.options, mode)
