"""A module by way of an ONNX file -> ``Graph``."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import mmap
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from predictor.capture.onnx_files import cache
from predictor.capture.onnx_files.bindings import Bindings, bound
from predictor.capture.onnx_files.files import versions as package_versions
from predictor.capture.onnx_files.graphs import HALF, graph_of
from predictor.capture.onnx_files.optimiser import optimise_here
from predictor.capture.onnx_files.reading import is_hole, read
from predictor.collection import without_collection
from predictor.errors import CannotRunError, NotExportedError, missing_library
from predictor.graph.inputs import batch_of as inputs_batch
from predictor.graph.inputs import flat
from predictor.graph.onnx_export import is_of_zeros, learned
from predictor.records import CaptureMode, Graph

_untrained = ContextVar("untrained", default=False)


@contextlib.contextmanager
def untrained() -> Iterator[None]:
    """Modules are exported with the zeros that they begin with meanwhile: files that were measured before exports were
    those of trained modules (``onnx_export.trained``) are such.
    """
    before = _untrained.set(True)
    try:
        yield
    finally:
        _untrained.reset(before)


def exported(module: Any, inputs: Any, dtype: str, name: str | None = None, *, only_kept: bool = False) -> Graph:
    """Graph of a module: exported on the CPU, in half precision for either half-precision type, so that what the module
    does in fp32 itself stays told apart; learned tensors without values or of zeros with ``_StandIns``. Raises
    CannotRunError where it cannot be exported, with only_kept NotExportedError where it was not before.
    """
    from predictor.capture.isolation import isolated
    from predictor.capture.recorder import versions

    own = "fp16" if dtype in HALF else "fp32"
    kept = cache.kept_at(_fingerprint(module, inputs, own), package_versions(), _untrained.get())
    with isolated(), without_collection():
        data = cache.from_cache(kept)
        if data is None and only_kept:
            raise NotExportedError("it was not exported to ONNX yet")
        if data is None:
            data = _optimised(module, inputs, own)
            cache.to_cache(kept, data)
    plain = {part: value for part, value in data.items() if part != "scopes"}  # shipped graphs do not have them
    made = graph_of(plain, own, dtype, name or type(module).__name__)
    return replace(made, batch=inputs_batch(inputs), versions=versions())


def _optimised(module: Any, inputs: Any, dtype: str) -> dict[str, Any]:
    """Nodes and tensors of a module that is exported in a dtype and optimised."""
    import torch

    from predictor.capture.redirected import names_cuda, to
    from predictor.capture.stand_ins import Copies, modules_in

    floats = torch.float16 if dtype == "fp16" else torch.float32
    stand_ins = _StandIns(module, _untrained.get())

    def placed(tensor: torch.Tensor) -> torch.Tensor:
        kind = floats if tensor.is_floating_point() else tensor.dtype
        if tensor.is_meta and kind is floats and tensor.dim() > 1 and tensor.numel() > VALUES:
            untouched: torch.Tensor = _untouched(tensor.shape, kind)
            return untouched
        if tensor.is_meta or stand_ins.is_needed(tensor):
            stand_in: torch.Tensor = stand_ins.of(tensor, kind)
            return stand_in
        return tensor.detach().to("cpu", kind, copy=True)

    def write(path: Path) -> None:
        copies = Copies()
        _export(copies.module(modules_in(module), placed, placed), copies.of(inputs, placed), path)

    with without_collection(EXPORT), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            with _quiet():
                try:
                    write(path)
                except Exception as error:
                    if torch.cuda.is_available() or not names_cuda(_root(error)):
                        raise
                    with to("cpu"):
                        write(path)
        except ImportError as error:
            raise missing_library(error) or _not_exported(error) from error
        except Exception as error:
            raise _not_exported(error) from error
        file = read(path)
        return optimise_here(file, bound(file, Bindings()))


def _untouched(shape: Sequence[int], kind: Any) -> Any:
    """A tensor of zeros in memory of its own that nobody has written, which takes none then. What ``numpy.zeros`` gives
    is written where the process had it before.
    """
    import torch

    private = {} if sys.platform == "win32" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
    memory = mmap.mmap(-1, math.prod(shape) * kind.itemsize, **private)
    return torch.frombuffer(memory, dtype=kind).reshape(shape)


EXPORT = 8
"""Captures that leave as much behind as an export: 20,000 to 60,000 objects in cycles, 10 MB."""

VALUES = 512
"""Values of ``_StandIns``, from 2 on: exact in half precision, and none by which ONNX Runtime knows an activation."""


class _StandIns:
    """Values of a module's tensors that have none, and of learned ones of zeros, as ``onnx_export.trained`` has it. An
    exporter leaves out a bias that is zero, and computes twice the same once: so each is another number. is_untrained:
    but for biases that are zero before a training, and what batch norms begin with, which shift nothing until then.
    """

    def __init__(self, module: Any, is_untrained: bool) -> None:
        self._learned = set() if is_untrained else {id(tensor) for tensor in learned(module)}
        self._zeros = {id(tensor) for tensor in _untrained_zeros(module)} if is_untrained else set()
        self._count = 0

    def is_needed(self, tensor: Any) -> bool:
        """Whether a tensor with values is one that training writes, and did not yet."""
        return id(tensor) in self._learned and is_of_zeros(tensor)

    def of(self, tensor: Any, kind: Any) -> Any:
        """The stand-in of a tensor, of a dtype."""
        import torch

        if not kind.is_floating_point or id(tensor) in self._zeros:
            return torch.zeros(tensor.shape, dtype=kind)
        self._count += 1
        return torch.full(tensor.shape, 2 + self._count % VALUES / VALUES, dtype=kind)


def _untrained_zeros(module: Any) -> list[Any]:
    """Tensors that are zero before a training."""
    from torch.nn.modules.batchnorm import _NormBase

    norms = [child for child in module.modules() if isinstance(child, _NormBase)]
    tensors = [tensor for norm in norms for tensor in (norm.bias, norm.running_mean)]
    return [tensor for tensor in (*tensors, *_zeroed(module)) if tensor is not None]


def _zeroed(module: Any) -> list[Any]:
    """Biases that models of transformers begin with zero: asked of their own ``_init_weights``, with a small layer."""
    from torch import nn

    small: dict[type, Callable[[], Any]] = {
        nn.Linear: lambda: nn.Linear(2, 2),
        **{kind: partial(kind, 2, 2, 2) for kind in (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)},
    }
    for child in module.modules():  # a linear layer with its weight turned, of GPT's kind
        if type(child).__name__ == "Conv1D" and hasattr(child, "nf") and hasattr(child, "nx"):
            small[type(child)] = partial(cast("Callable[..., Any]", type(child)), 2, 2)
    zeroed: dict[int, tuple[Any, bool]] = {}
    for owner in module.modules():  # the innermost one decides
        if not hasattr(owner, "_init_weights"):
            continue
        answers = {kind: _zeroes(owner, make()) for kind, make in small.items()}
        for child in owner.modules():
            if type(child) in answers and child.bias is not None:
                zeroed[id(child)] = child.bias, answers[type(child)]
    return [bias for bias, is_zero in zeroed.values() if is_zero]


def _zeroes(owner: Any, layer: Any) -> bool:
    """Whether a model makes the bias of a layer zero."""
    import torch

    layer = layer.to("cpu") if not layer.bias.is_meta else type(layer).to_empty(layer, device="cpu")
    with torch.no_grad():
        layer.bias.fill_(1.0)
        try:
            owner._init_weights(layer)
        except Exception:  # it looks for what this layer is not
            return False
    return not bool(layer.bias.any())


def _export(module: Any, inputs: Any, path: Path) -> None:
    """Write a module as ``onnx_export.export`` does. Values that ``read`` leaves out anyway are not written: they have
    places in a file of the right size.
    """
    import onnx_ir
    import torch

    function, tensors = flat(module, inputs)
    with torch.no_grad(), _made_once():
        model: Any = torch.onnx.export(function, tensors, None, dynamo=True, verbose=False).model  # type: ignore[union-attr]
    values, largest = f"{path.name}.data", 0
    for graph in (model.graph, *model.graph.subgraphs()):
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is not None and is_hole(tensor.size, int(tensor.dtype)):
                largest = max(largest, tensor.nbytes)
                value.const_value = onnx_ir.ExternalTensor(
                    values, 0, tensor.nbytes, tensor.dtype, shape=tensor.shape, name=tensor.name, base_dir=path.parent
                )
    with (path.parent / values).open("wb") as empty:
        empty.truncate(largest)
    onnx_ir.save(model, path)


@contextlib.contextmanager
def _made_once() -> Iterator[None]:
    """What the exporter makes anew for every model is made once in a process: its table of operators, which takes a
    fifth of its time, and torch's list of those that are made of others, a tenth. Where in a model's code each node
    comes from is left out.
    """
    import torch
    from torch._export import utils
    from torch.onnx._internal.exporter import _registration

    kind, composites = _registration.ONNXRegistry, utils._materialize_cpp_cia_ops
    registry = vars(kind)["from_torchlib"]

    def one_registry(*version: Any, **named: Any) -> Any:
        key = *version, *named.values()
        if key not in _registries:
            _registries[key] = registry.__get__(None, kind)(*version, **named)
        return _registries[key]

    def new_composites() -> None:
        found = frozenset(torch._C._dispatch_get_registrations_for_dispatch_key("CompositeImplicitAutograd"))
        if not found <= _composites:
            composites()
            _composites.update(found)

    traces = getattr(torch.fx.config, "do_not_emit_stack_traces", False)
    kind.from_torchlib = staticmethod(one_registry)  # type: ignore[method-assign, assignment]
    utils._materialize_cpp_cia_ops = new_composites
    torch.fx.config.do_not_emit_stack_traces = True
    try:
        yield
    finally:
        kind.from_torchlib = registry  # type: ignore[method-assign]
        utils._materialize_cpp_cia_ops = composites
        torch.fx.config.do_not_emit_stack_traces = traces


_registries: dict[tuple[Any, ...], Any] = {}
_composites: set[str] = set()


def _not_exported(error: Exception) -> CannotRunError:
    return CannotRunError(f"it cannot be exported to ONNX: {_cause(error)}")


def _fingerprint(module: Any, inputs: Any, dtype: str) -> str:
    """What decides what a module is exported to: the operators that it runs, and the versions of those who export."""
    from predictor.capture.recorder import capture

    graph = capture(module, inputs, dtype, "", CaptureMode.TRACED)
    rows = [(c.op, sorted(c.args.items(), key=str), c.input_ids, c.outputs) for c in graph.calls]
    return repr((rows, graph.outputs, graph.versions, dtype))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters print and log what they have tried, where they fail."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _root(error: BaseException) -> BaseException:
    """The first cause of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _cause(error: BaseException) -> str:
    """What caused an error, in the first line of its message: the exporters' own are about how to report it."""
    error = _root(error)
    said = str(error).strip() or type(error).__name__
    return " ".join(re.sub(r"\x1b\[\d*m", "", said.splitlines()[0]).split())[:200]
