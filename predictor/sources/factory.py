"""``path/to/file.py:FUNCTION``: a function of a user's file that returns (module, inputs)."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from predictor import user_file
from predictor.errors import PredictorError, unknown
from predictor.graph.inputs import batch_of, shapes_in
from predictor.sources.built import TOKENS, Built, said, weights_on_meta
from predictor.sources.installed import library

NAMES = {"width": ("width", "hidden_size", "d_model"), "depth": ("depth", "num_layers", "num_hidden_layers")}
"""Parameters of a function, with a whole number as default, that say how wide or deep the network is to be."""


def build(
    path: Path, factory: str, batch: int | None, length: int | None, shape: Mapping[str, int] | None = None
) -> Built:
    """Call ``factory(batch)``, ``factory(batch, length=...)`` where it has such a parameter, or ``factory()`` where it
    has none. shape: values of further parameters. Raises PredictorError where the file or the function fails, and where
    its inputs have another batch size than the one that is asked for.
    """
    name = f"{path.stem}:{factory}"
    function, takes_batch, (module, inputs) = _called(path, factory, batch or 1, length, shape)
    actual = batch_of(inputs)
    if takes_batch and actual != (batch or 1):
        _, _, (_, others) = _called(path, factory, (batch or 1) + 1, length, shape)
        if shapes_in(others) == shapes_in(inputs):
            takes_batch = False
            if batch is not None:
                raise PredictorError(
                    f"{name} ignores its batch size: asked for {batch}, its inputs have {actual}; use the argument, "
                    f"or ask for --batch {actual}"
                )
    if not takes_batch and batch not in (None, actual):
        raise PredictorError(
            f"{name} takes no batch size: its inputs have {actual}; write def {factory}(batch), or ask for "
            f"--batch {actual}"
        )
    remedy = "write def FUNCTION(batch, length), which makes inputs of that length"
    said_by = _said_by(function)
    return Built(
        module,
        inputs,
        name,
        (batch or 1) if takes_batch else actual,
        remedy=remedy,
        again=partial(_without_data, path, factory, shape=shape),
        shape={dimension: (shape or {}).get(name, default) for dimension, (name, default) in said_by.items()},
        reshaped=lambda dimension, value: partial(
            _without_data, path, factory, shape={**(shape or {}), said_by[dimension][0]: value}
        ),
    )


def _without_data(
    path: Path, factory: str, batch: int | None, length: int | None, shape: Mapping[str, int] | None
) -> Built:
    """See ``build``, but that weights have no data. Also raises PredictorError where the function looks at them."""
    with warnings.catch_warnings(), weights_on_meta():
        warnings.simplefilter("ignore")  # the user has seen them when it was called first
        return build(path, factory, batch, length, shape)


def _called(
    path: Path, factory: str, batch: int, length: int | None, shape: Mapping[str, int] | None
) -> tuple[Callable[..., Any], bool, tuple[Any, Any]]:
    """The function, whether it takes a batch size, and what it returned."""
    if not path.is_file():
        raise PredictorError(f"no such file: {path}")
    torch = library("torch")
    with user_file.importing_from(path.parent):
        try:
            module = user_file.load(path)
        except (Exception, SystemExit) as error:
            raise PredictorError(f"{path} fails to import: {said(error)}{user_file.line_of(error, path)}") from error
        function = getattr(module, factory, None)
        if not callable(function):
            raise unknown(f"function of {path.name}", factory, [n for n in vars(module) if not n.startswith("_")])
        try:
            takes_batch, result = _call(function, batch, length, shape)
        except (Exception, SystemExit) as error:
            text = f"{said(error)}{user_file.line_of(error, path)}"
            raise PredictorError(f"{path.name}:{factory} raised {text}") from error
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], _models(torch))):
        raise PredictorError(f"{path.name}:{factory} must return (torch.nn.Module, inputs), not {_kind(result)}")
    return function, takes_batch, result


def _models(torch: Any) -> tuple[type, ...]:
    return torch.nn.Module, torch.export.ExportedProgram


def _said_by(function: Callable[..., Any]) -> dict[str, tuple[str, int]]:
    """Dimension -> the parameter that says it, and its default."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    return {
        dimension: (name, defaults[name])
        for dimension, names in NAMES.items()
        for name in names
        if type(defaults.get(name)) is int
    }


def _call(
    function: Callable[..., Any], batch: int, length: int | None, shape: Mapping[str, int] | None
) -> tuple[bool, Any]:
    parameters = dict(inspect.signature(function).parameters)
    tokens = parameters.pop("length", None)
    named = dict(shape or {})
    if tokens is not None and (length is not None or tokens.default is tokens.empty):
        named["length"] = length or TOKENS
    for name, _ in _said_by(function).values():
        del parameters[name]
    if parameters and next(iter(parameters)) != next(iter(inspect.signature(function).parameters)):
        return True, function(**{next(iter(parameters)): batch}, **named)
    return bool(parameters), function(*([batch] if parameters else []), **named)


def _kind(result: Any) -> str:
    if isinstance(result, tuple):
        return f"a tuple of {', '.join(type(m).__name__ for m in result)}"
    return type(result).__name__
