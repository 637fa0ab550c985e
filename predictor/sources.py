"""``--model`` -> its plan: of a zoo model (from its file, without torch), of ``path/to/file.py:factory``, of a local
transformers ``config.json``, or of an ONNX file.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from predictor import user_file
from predictor.errors import PredictorError, unknown
from predictor.graph import files
from predictor.graph.files import GraphSet
from predictor.graph.inputs import batch_of
from predictor.plans import Plan, check_batch
from predictor.predict import graph_of, plan_file
from predictor.records import Graph


@dataclass(frozen=True)
class FileSizes:
    """What is said of an ONNX file's sizes, see ``predict.plan_file``."""

    dims: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    trips: int | None = None


AS_IN_THE_FILE = FileSizes()


def plan_of(spec: str, batch: int | None = None, length: int | None = None, sizes: FileSizes = AS_IN_THE_FILE) -> Plan:
    """The plan of a model by its name or file, of a batch size (None: 1, or that of a file) and, for a zoo language
    model, a length in tokens. sizes: of an ONNX file. Raises PredictorError for an unknown name, for a length or sizes
    of a model that has none, and for a factory or configuration that fails.
    """
    import models_zoo

    if batch is not None:
        check_batch(batch)
    if spec.endswith(".onnx"):
        if length is not None:
            raise PredictorError("--length is for the zoo's language models: say an open dimension, --dim sequence=128")
        return plan_file(spec, batch=batch, dims=sizes.dims, shapes=sizes.shapes, trips=sizes.trips)
    if sizes != AS_IN_THE_FILE:
        raise PredictorError("--dim, --shape and --trips are for ONNX files")
    batch = 1 if batch is None else batch
    if spec in models_zoo.names():
        return _of_zoo(spec)
    if length is not None:
        raise PredictorError("--length is for the zoo's language models: others bring inputs of their own")
    source = _FactorySource(spec, batch)
    return Plan(GraphSet(source.name, source.batch), source)


def _of_zoo(name: str) -> Plan:
    """From the model's file; what that does not have is captured."""
    import models_zoo

    path = models_zoo.graphs(name)
    if path.is_file():
        return Plan(files.read(path), _ZooSource(name))
    parameters = inspect.signature(models_zoo.module(name).inputs).parameters
    return Plan(GraphSet(name, 1, parameters["length"].default if "length" in parameters else 0), _ZooSource(name))


@dataclass(frozen=True)
class _ZooSource:
    """A zoo model, built at the size that is asked for."""

    name: str

    def graph(self, dtype: str, runtime: str, batch: int, length: int) -> Graph:
        import torch

        import models_zoo

        with torch.device("meta"):
            module, inputs = models_zoo.build(self.name, batch, length or None)
        return graph_of(module, inputs, dtype, runtime, self.name)


class _FactorySource:
    """A model that a user's file or configuration makes, at the batch size that is asked for, if it takes one."""

    def __init__(self, spec: str, batch: int) -> None:
        self.spec = spec
        self.module, self.inputs, self.name = load_model(spec, batch)
        path, _, factory = spec.rpartition(":")
        function = getattr(sys.modules[user_file.module_name(Path(path))], factory) if path.endswith(".py") else None
        self.takes_batch = function is None or bool(inspect.signature(function).parameters)
        self.batch = batch if self.takes_batch else batch_of(self.inputs)

    def graph(self, dtype: str, runtime: str, batch: int, length: int) -> Graph:
        module, inputs = self.module, self.inputs
        if batch != self.batch:
            if not self.takes_batch:
                raise PredictorError(f"{self.name} takes no batch size: its inputs have {self.batch}")
            module, inputs, _ = load_model(self.spec, batch)
        return replace(graph_of(module, inputs, dtype, runtime, self.name), batch=batch)


def load_model(spec: str, batch: int) -> tuple[Any, Any, str]:
    """(module, inputs, name) of what is no zoo model. Raises PredictorError, see ``plan_of``."""
    path, separator, factory = spec.rpartition(":")
    if separator and path.endswith(".py"):
        return (*_from_factory(Path(path), factory, batch), f"{Path(path).stem}:{factory}")
    if spec.endswith(".json"):
        return (*_from_config(Path(spec), batch), Path(spec).resolve().parent.name)
    if spec.endswith(".py"):
        raise PredictorError(f"say which function of {spec} makes the model: --model {spec}:FUNCTION")
    import models_zoo

    raise unknown("model", spec, models_zoo.names())


def _from_factory(path: Path, factory: str, batch: int) -> tuple[Any, Any]:
    """Call ``factory(batch)``, or ``factory()`` where it takes no argument: it returns (module, inputs)."""
    if not path.is_file():
        raise PredictorError(f"no such file: {path}")
    with user_file.importing_from(path.parent):
        try:
            module = user_file.load(path)
        except (Exception, SystemExit) as error:
            raise PredictorError(f"{path} fails to import: {_said(error)}{user_file.line_of(error, path)}") from error
        function = getattr(module, factory, None)
        if not callable(function):
            raise unknown(f"function of {path.name}", factory, [n for n in vars(module) if not n.startswith("_")])
        try:
            result = _call(function, batch)
        except (Exception, SystemExit) as error:
            said = f"{_said(error)}{user_file.line_of(error, path)}"
            raise PredictorError(f"{path.name}:{factory} raised {said}") from error
    import torch

    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], torch.nn.Module)):
        raise PredictorError(f"{path.name}:{factory} must return (torch.nn.Module, inputs), not {_kind(result)}")
    return result


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _call(function: Any, batch: int) -> Any:
    return function(batch) if inspect.signature(function).parameters else function()


def _kind(result: Any) -> str:
    if isinstance(result, tuple):
        return f"a tuple of {', '.join(type(m).__name__ for m in result)}"
    return type(result).__name__


def _from_config(path: Path, batch: int) -> tuple[Any, Any]:
    """The base model of a local transformers configuration, with the inputs that its kind takes."""
    if not path.is_file():
        raise PredictorError(f"no such file: {path}")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PredictorError(f"{path} is no JSON file: {error}") from error
    if not isinstance(fields, dict) or "model_type" not in fields:
        raise PredictorError(f"{path} is no transformers configuration: it has no model_type")
    import torch
    from transformers import AutoConfig, AutoModel

    from models_zoo import _inputs

    kind = fields.pop("model_type")
    try:
        config = AutoConfig.for_model(kind, **fields)
        with torch.device("meta"):
            model = AutoModel.from_config(config).eval()
    except Exception as error:
        raise PredictorError(f"transformers cannot build {kind!r} from {path}: {str(error).splitlines()[0]}") from error
    makers = {"input_ids": _inputs.token_ids, "pixel_values": _inputs.image, "input_values": _inputs.audio}
    maker = makers.get(model.main_input_name)
    if maker is None:
        raise PredictorError(f"{kind} takes {model.main_input_name}: write a factory, --model FILE.py:FUNCTION")
    with torch.device("meta"):
        inputs = maker(batch)
    vocabulary = getattr(config, "vocab_size", None)
    if "input_ids" in inputs and vocabulary:
        inputs["input_ids"] = inputs["input_ids"] % vocabulary
    side = getattr(config, "image_size", None)
    if "pixel_values" in inputs and isinstance(side, int):
        inputs["pixel_values"] = torch.empty(batch, getattr(config, "num_channels", 3), side, side, device="meta")
    return model, inputs
