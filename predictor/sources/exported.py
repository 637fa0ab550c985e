"""Files of programs: ``.pt2``, which ``torch.export.save`` wrote, and TorchScript archives, of ``torch.jit.save``.

Nothing in them is unpickled but weights: what a stranger's file holds is read, not run.
"""

from __future__ import annotations

import os
import threading
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from predictor.errors import PredictorError, one_line
from predictor.graph.inputs import batch_of
from predictor.sources.built import PIXELS, TOKENS, Built, shapes_of

SUFFIXES = (".pt2", ".pt", ".pth", ".ts", ".torchscript")
"""Ends of the names of such files."""

_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_one_load = threading.Lock()


@contextmanager
def _weights_only() -> Iterator[None]:
    """``torch.load`` reads weights alone meanwhile, whatever its caller asks for."""
    with _one_load:
        before = os.environ.get(_WEIGHTS_ONLY)
        os.environ[_WEIGHTS_ONLY] = "1"
        try:
            yield
        finally:
            os.environ.pop(_WEIGHTS_ONLY)
            if before is not None:
                os.environ[_WEIGHTS_ONLY] = before


def of_file(path: Path, batch: int | None, length: int | None) -> Built:
    """The program of a file. Raises PredictorError where it holds none (a state dict, a pickled module), and for a size
    that it was not exported for.
    """
    if not path.is_file():
        raise PredictorError(f"no such file: {path}")
    names = _members(path)
    if any(name.endswith(("models/model.json", "serialized_exported_program.json")) for name in names):
        return _of_export(path, batch, length)
    if any("/code/" in f"/{name}" for name in names) and any(name.endswith("constants.pkl") for name in names):
        return _of_script(path, batch, length)
    raise PredictorError(
        f"{path} holds weights or a pickled module, no program: save one (torch.export.save to .pt2, torch.jit.save), "
        "or write a factory, --model FILE.py:FUNCTION"
    )


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []


def _of_export(path: Path, batch: int | None, length: int | None) -> Built:
    import torch

    try:
        with _weights_only(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of torch
            program = torch.export.load(path)
    except Exception as error:
        raise PredictorError(f"{path} is no exported program that this torch reads: {one_line(error)}") from error
    inputs = _example_inputs(program, path)
    sizes = {}
    exported, tokens = batch_of(inputs), _tokens(inputs)
    symbols = _symbols(program)
    for what, asked, exported_size in (("batch", batch, exported), ("length", length, tokens)):
        if asked is None or asked == exported_size:
            continue
        if what not in symbols:
            fixed = (
                f"was exported with a fixed {what} of {exported_size}: ask for that, or export it with dynamic_shapes"
            )
            none = "takes no tokens: its inputs have one size, leave --length out"
            raise PredictorError(f"{path} {fixed if exported_size else none}")
        low, high = _range(program, symbols[what])
        if not low <= asked <= high:
            raise PredictorError(f"{path} was exported for a {what} of {low} to {high}, not {asked}")
        sizes[symbols[what]] = asked
    inputs = _resized(program, inputs, sizes)
    notes = (f"inputs: {shapes_of(inputs)}",)
    return Built(program, inputs, path.stem, batch or exported, notes)


def _example_inputs(program: Any, path: Path) -> Any:
    """(Positional, keyword) inputs as it was exported with."""
    if program.example_inputs is None:
        raise PredictorError(f"{path} has no example inputs: export it again with those of this torch")
    args, kwargs = program.example_inputs
    return _Inputs(args, kwargs).mapping(program)


class _Inputs:
    """Positional and keyword inputs of a program as one mapping: its forward's names for the positional ones."""

    def __init__(self, args: Any, kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def mapping(self, program: Any) -> Any:
        """A tuple where there are no keyword inputs."""
        if not self.kwargs:
            return tuple(self.args)
        import inspect

        names = list(inspect.signature(program.module().forward).parameters)
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}


def _tokens(inputs: Any) -> int:
    import torch
    from torch.utils._pytree import tree_leaves

    tensors = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
    ids = [t for t in tensors if t.dim() == 2 and not (t.is_floating_point() or t.dtype == torch.bool)]
    return int(ids[0].shape[1]) if ids else 0


def _placeholders(program: Any) -> list[Any]:
    """Fake tensors of the user's inputs, in order, with symbols for the sizes that are open."""
    import torch

    users = set(program.graph_signature.user_inputs)
    values = [n.meta.get("val") for n in program.graph.nodes if n.op == "placeholder" and n.name in users]
    return [value for value in values if isinstance(value, torch.Tensor)]


def _symbols(program: Any) -> dict[str, str]:
    """Which open size is the batch and which the length, by its symbol."""
    import torch

    values = _placeholders(program)
    found = {}
    if values and values[0].dim() and isinstance(values[0].shape[0], torch.SymInt):
        found["batch"] = str(values[0].shape[0])
    ids = [v for v in values if v.dim() == 2 and not (v.dtype.is_floating_point or v.dtype == torch.bool)]
    if ids and isinstance(ids[0].shape[1], torch.SymInt):
        found["length"] = str(ids[0].shape[1])
    return found


def _range(program: Any, symbol: str) -> tuple[int, float]:
    for name, constraint in program.range_constraints.items():
        if str(name) == symbol:
            high = constraint.upper
            return int(constraint.lower), int(high) if high.is_Integer else float("inf")
    return 0, float("inf")


def _resized(program: Any, inputs: Any, sizes: dict[str, int]) -> Any:
    """The inputs with open sizes exchanged: cut or repeated along their dimensions."""
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    if not sizes:
        return inputs
    leaves, structure = tree_flatten(inputs)
    fakes = iter(_placeholders(program))
    resized = []
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            for dim, size in enumerate(next(fakes).shape):
                if str(size) in sizes and isinstance(size, torch.SymInt):
                    places = torch.arange(sizes[str(size)], device=leaf.device) % leaf.shape[dim]
                    leaf = leaf.index_select(dim, places)
        resized.append(leaf)
    return tree_unflatten(resized, structure)


def _of_script(path: Path, batch: int | None, length: int | None) -> Built:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise PredictorError(f"{path} is no TorchScript program that this torch reads: {one_line(error)}") from error
    arguments = [a for a in module.forward.schema.arguments[1:] if not a.has_default_value()]
    if len(arguments) != 1 or str(arguments[0].type) != "Tensor":
        raise _no_shapes(path)
    inputs = _first_input(module, path, batch or 1, length)
    note = f"inputs: {shapes_of(inputs)}, by the first layer: a TorchScript file does not say them"
    return Built(module, (inputs,), path.stem, batch or 1, (note,))


def _no_shapes(path: Path) -> PredictorError:
    return PredictorError(
        f"{path} is TorchScript, which does not say the shapes of its inputs: write def build(batch): return "
        f"torch.jit.load({path.name!r}), inputs, and --model FILE.py:build"
    )


def _first_input(module: Any, path: Path, batch: int, length: int | None) -> Any:
    """An input that the first layer with weights takes: an image for a convolution, tokens for an embedding, rows for a
    product.
    """
    import torch

    for child in module.modules():
        weight = getattr(child, "weight", None)
        kind = getattr(child, "original_name", "")
        if not isinstance(weight, torch.Tensor):
            continue
        if kind == "Conv2d":
            groups = weight.shape[0] if weight.shape[1] == 1 and "groups" in str(child.code) else 1
            return torch.empty(batch, weight.shape[1] * groups, PIXELS, PIXELS, device="meta")
        if kind == "Embedding":
            return torch.ones(batch, length or TOKENS, dtype=torch.int64)
        if kind == "Linear":
            return torch.empty(batch, weight.shape[1], device="meta")
        break
    raise _no_shapes(path)
