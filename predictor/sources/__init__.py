"""``--model`` -> its plan: a file for each kind of source. Those of the zoo come from their shipped graphs, without
torch; all others are built, without weights where that is possible, and captured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import models_zoo
from predictor.errors import PredictorError, unknown
from predictor.graph.files import GraphSet
from predictor.plans import Plan, check_batch, check_length
from predictor.predict import plan_file
from predictor.records import CaptureOptions
from predictor.sources import zoo
from predictor.sources.built import Build, BuiltSource

AS_CAPTURED = CaptureOptions()
"""The options that the shipped graphs were captured with."""


@dataclass(frozen=True)
class FileSizes:
    """What is said of an ONNX file's sizes, see ``predict.plan_file``."""

    dims: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    trips: int | None = None


AS_IN_THE_FILE = FileSizes()


def plan_of(
    spec: str,
    batch: int | None = None,
    length: int | None = None,
    *,
    head: str | None = None,
    options: CaptureOptions = AS_CAPTURED,
    sizes: FileSizes = AS_IN_THE_FILE,
    strict: bool = False,
) -> Plan:
    """The plan of a model by its name or file.

    spec: a zoo model's name, ``FILE.py:FUNCTION``, ``torchvision:NAME``, ``timm:NAME``, ``diffusers:CLASS``,
    ``transformers:CLASS`` or model type, a ``config.json``, an exported program or an ONNX file; batch: None: 1, or
    that of inputs of one size; length: tokens, None: the model's usual ones; head: the task head of a configuration,
    see ``configuration``; options: how it is captured; sizes: of an ONNX file; strict: what a configuration says in
    vain is an error. Raises PredictorError for an unknown name, for a size that the model does not take, and for a
    factory or configuration that fails.
    """
    batch = batch if batch is None else check_batch(batch)
    length = length if length is None else check_length(length)
    if head is not None and not (spec.endswith(".json") or spec.startswith("transformers:")):
        raise PredictorError("--head is for configurations and models of transformers: others bring their heads")
    if spec.endswith(".onnx"):
        if options != AS_CAPTURED:
            raise PredictorError(f"{spec} is predicted as it is: nothing can be changed or assumed of an ONNX file")
        if length is not None:
            raise PredictorError("--length is for models of tokens: say an open dimension, --dim sequence=128")
        return plan_file(spec, batch=batch, dims=sizes.dims, shapes=sizes.shapes, trips=sizes.trips)
    if sizes != AS_IN_THE_FILE:
        raise PredictorError("--dim, --shape and --trips are for ONNX files")
    if spec in models_zoo.names():
        return zoo.plan_of(spec, options)
    source = BuiltSource(_build(spec, head, strict), batch, length, options)
    notes = (*source.notes, *options.notes)
    graphs = GraphSet(source.name, source.batch, source.length, notes=notes, generated=source.generated)
    return Plan(graphs, source)


def load_model(spec: str, batch: int | None = None, length: int | None = None) -> tuple[Any, Any, str]:
    """(module, inputs, name) of what is no zoo model. Raises PredictorError, see ``plan_of``."""
    built = _build(spec)(batch, length)
    return built.module, built.inputs, built.name


def _build(spec: str, head: str | None = None, strict: bool = False) -> Build:
    """What builds a model that is not of the zoo."""
    from predictor.sources import configuration, diffusion, exported, factory, vision

    path, separator, name = spec.rpartition(":")
    if separator and path.endswith(".py"):
        return partial(factory.build, Path(path), name)
    prefix, separator, name = spec.partition(":")
    of_library: dict[str, Callable[..., Any]] = {
        "torchvision": vision.of_torchvision,
        "timm": vision.of_timm,
        "diffusers": diffusion.of_class,
        "transformers": partial(configuration.of_name, head=head),
    }
    if separator and prefix in of_library:
        return partial(of_library[prefix], name)
    if spec.endswith(".json"):
        return partial(configuration.of_file, Path(spec), head=head, strict=strict)
    if spec.endswith(exported.SUFFIXES):
        return partial(exported.of_file, Path(spec))
    if spec.endswith(".py"):
        raise PredictorError(f"say which function of {spec} makes the model: --model {spec}:FUNCTION")
    if separator and len(prefix) > 1:
        raise unknown("library of models", prefix, of_library)
    raise unknown("model", spec, models_zoo.names())
