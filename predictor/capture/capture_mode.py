"""What a model's code finds when it asks where it runs, while it is captured: its device, and the capture mode.

Each answer is given to the threads of the capture alone; one capture runs at a time (``isolation``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import torch

from predictor.capture.isolation import is_capturing
from predictor.capture.traced_tensors import SIZES, as_traced
from predictor.records import CaptureMode

ON_HOST = "_on_host"
"""Attribute of a tensor that lives on the host."""


def mark_on_host(result: Any) -> Any:
    """Note that tensors live on the host: made there, by no tensor of the model's device."""
    for tensor in result if isinstance(result, (list, tuple)) else (result,):
        if isinstance(tensor, torch.Tensor):
            setattr(tensor, ON_HOST, True)
    return result


_tensor = torch.tensor


def _says_no(question: Callable[[], bool]) -> bool:
    """Whether torch itself answers with no, as it would in a pass: its Python is part of the pass then."""
    try:
        return not question()
    except RuntimeError:  # a build without CUDA
        return False


def _answer(yes: bool, question: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: yes if is_capturing() else question()


COMPILED_MODES = frozenset({CaptureMode.COMPILED, CaptureMode.COMPILED_AS_EXPORT})

QUESTIONS: tuple[tuple[Any, str, frozenset[CaptureMode]], ...] = (
    (torch.jit, "is_tracing", frozenset({CaptureMode.TRACED})),
    (torch.cuda, "is_current_stream_capturing", frozenset({CaptureMode.CAPTURED})),
    (torch.compiler, "is_compiling", COMPILED_MODES),
    (torch.compiler, "is_dynamo_compiling", COMPILED_MODES),
    (torch.compiler, "is_exporting", frozenset({CaptureMode.COMPILED_AS_EXPORT})),
)
"""Questions to torch: where, name, and the modes in which the answer is yes."""


ROUNDED = ("ceil", "floor", "round", "sqrt")
"""Functions of tensors that traced code calls with what it knows as a number otherwise: a size is a tensor there."""


def _size_on_host(number: float) -> torch.Tensor:
    dtype = torch.int64 if isinstance(number, int) else None
    tensor: torch.Tensor = mark_on_host(torch.scalar_tensor(number, dtype=dtype))
    return tensor


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    def of_number(value: Any, *args: Any, **options: Any) -> Any:
        if is_capturing() and isinstance(value, SIZES):
            value = _size_on_host(float(value))
        elif is_capturing() and isinstance(value, (int, float)):
            value = mark_on_host(_tensor(float(value)))
        return function(value, *args, **options)

    return of_number


READS = ("item", "__index__", "__int__", "__float__", "__bool__")
"""Methods by which Python reads a tensor, at each of which ``torch.compile`` breaks its graph, while a trace has a
constant. What C++ reads, of a tensor where an operator takes a number, does not: Dynamo knows its value while it
compiles, and a trace reads it in every pass.
"""

READING_MODES = frozenset({*COMPILED_MODES, CaptureMode.TRACED})
"""Modes in which it counts who reads a tensor."""


def _read_by_python(method: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], Any]:
    def read(tensor: torch.Tensor) -> Any:
        return method(tensor)

    return read


READ_CODE = _read_by_python(torch.Tensor.item).__code__
"""Of what stands for those methods in these modes."""

LISTING_MODES = frozenset({*COMPILED_MODES, CaptureMode.EAGER, CaptureMode.CAPTURED})
"""Modes in which a list of a tensor's values is a read of the tensor, as of one value. What a trace and an export know
of a tensor is a constant there.
"""


def _list_of(tensor: torch.Tensor) -> Any:
    """``torch.Tensor.tolist``: one copy to the host, however many values the tensor has."""
    if not is_capturing():
        return _tolist(tensor)
    read = tensor.resolve_conj() if getattr(tensor, ON_HOST, False) else _to(tensor, "cpu")
    with torch._C._DisableTorchDispatch():
        return _tolist(read)


_tolist: Any = torch._C.TensorBase.tolist

LIST_CODE = _list_of.__code__
"""Of what stands for ``torch.Tensor.tolist`` in these modes."""


UNKNOWN_CONTEXTS: tuple[tuple[Any, str], ...] = ((torch.backends.cuda, "sdp_kernel"),)
"""Context managers of torch's that Dynamo takes for functions of a graph, and that give it no tensor: it ends the graph
at the call, and leaves the function that enters one to eager mode (``TorchInGraphFunctionVariable.call_function`` in
torch/_dynamo/variables/torch.py). What is there now, ``torch.nn.attention.sdpa_kernel``, it knows.
"""


def _entered(make: Callable[..., Any], enters: Callable[[FrameType], None]) -> Callable[..., Any]:
    def context(*args: Any, **options: Any) -> Any:
        if is_capturing():
            enters(sys._getframe(1))
        return make(*args, **options)

    return context


_Generator = torch.Generator


class _KnowsGenerators(type(torch.Generator)):  # type: ignore[misc]
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _Generator)


class GeneratorOfCapture(torch.Generator, metaclass=_KnowsGenerators):
    """``torch.Generator``; one of the device is one of the CPU in a capture, where nothing is drawn from it."""

    def __new__(cls, device: Any = "cpu") -> Any:
        return _Generator("cpu" if is_capturing() else device)


def _read_one_by_one(data: Any) -> Any:
    """What a tensor is made of, numbers in place of the tensors in a list, each of which torch copies to the host. A
    value that is not computed is no decision of the model's here: any number stands for it.
    """
    if not isinstance(data, (list, tuple)):
        return data
    found = []
    for one in data:
        if not isinstance(one, torch.Tensor):
            found.append(_read_one_by_one(one))
        elif one.is_floating_point():
            one.cpu()
            found.append(_zeros(one.shape))
        else:
            found.append(one.item() if one.ndim == 0 else one.tolist())
    return found


def _zeros(shape: Sequence[int]) -> Any:
    """Nested lists of zeros, a single one where there is no dimension."""
    return [_zeros(shape[1:]) for _ in range(shape[0])] if shape else 0.0


_is_cuda: Any = torch._C.TensorBase.is_cuda
_to: Any = torch._C.TensorBase.to

META = torch.device("meta")


def _called_by_torch() -> bool:
    """Whether what called the caller is torch's own Python, which computes shapes on the meta device."""
    return str(sys._getframe(2).f_globals.get("__name__", "")).partition(".")[0] == "torch"


@contextmanager
def answering_as(
    mode: CaptureMode,
    value_of: Callable[[torch.Tensor], int],
    device: torch.device = META,
    enters_unknown: Callable[[FrameType], None] = lambda frame: None,
) -> Iterator[None]:
    """Tensors with known values are kept on the CPU; code that asks where they are, to put others there, is told the
    model's device, and what it puts there keeps its values too. Code that asks what is going on is told the mode
    (``QUESTIONS``). Other threads see no difference. value_of: the number of the value that a tensor holds; device:
    what the model's device is called; enters_unknown: told of functions that enter one of ``UNKNOWN_CONTEXTS``.
    """

    def device_of(tensor: torch.Tensor) -> torch.device:
        where: torch.device = torch._C.TensorBase.device.__get__(tensor)
        if not on_device(tensor):
            return where
        return META if device is META or _called_by_torch() else device

    def on_device(tensor: torch.Tensor) -> bool:
        return is_capturing() and not getattr(tensor, ON_HOST, False)

    def is_cuda(tensor: torch.Tensor) -> bool:
        return on_device(tensor) or bool(_is_cuda.__get__(tensor))

    def tensor_of(data: Any, *, device: Any = None, **options: Any) -> torch.Tensor:
        """``torch.tensor``, which fills a tensor on the host and copies it to the device that is asked for."""
        if not is_capturing():
            return _tensor(data, device=device, **options)
        tensor: torch.Tensor = mark_on_host(_tensor(_read_one_by_one(data), **options))
        return tensor if device is None else tensor.to(device)

    def to(tensor: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        """``torch.Tensor.to``, which asks another tensor for its device without Python."""
        other = args[0] if args else options.get("other")
        if not (isinstance(other, torch.Tensor) and is_capturing()):
            return _to(tensor, *args, **options)
        options = {name: value for name, value in options.items() if name != "other"}
        return _to(tensor, other.device, other.dtype, *args[1:], **options)

    asked = [(home, name, getattr(home, name)) for home, name, _ in QUESTIONS]
    torch.Tensor.device = property(device_of)  # type: ignore[assignment]
    torch.Tensor.is_cuda = property(is_cuda)  # type: ignore[assignment]
    torch.Tensor.to = to  # type: ignore[assignment, method-assign]
    torch.Generator = GeneratorOfCapture  # type: ignore[misc]
    torch.tensor = tensor_of  # type: ignore[assignment]
    for name in READS if mode in READING_MODES else ():
        setattr(torch.Tensor, name, _read_by_python(getattr(torch._C.TensorBase, name)))
    if mode in LISTING_MODES:
        torch.Tensor.tolist = _list_of  # type: ignore[assignment]
    for home, name in UNKNOWN_CONTEXTS if mode in COMPILED_MODES else ():
        asked.append((home, name, getattr(home, name)))
        setattr(home, name, _entered(getattr(home, name), enters_unknown))
    for name in ROUNDED if mode is CaptureMode.TRACED else ():
        asked.append((torch, name, getattr(torch, name)))
        setattr(torch, name, _of_numbers(getattr(torch, name)))
    for home, name, yes in QUESTIONS:
        if mode in yes or not _says_no(getattr(home, name)):
            setattr(home, name, _answer(mode in yes, getattr(home, name)))
    try:
        with as_traced(_size_on_host, value_of) if mode is CaptureMode.TRACED else nullcontext():
            yield
    finally:
        for home, name, question in asked:
            setattr(home, name, question)
        torch.tensor = _tensor
        torch.Generator = _Generator  # type: ignore[misc]
        del torch.Tensor.device, torch.Tensor.is_cuda, torch.Tensor.to
        if mode in LISTING_MODES:
            del torch.Tensor.tolist
        for name in READS if mode in READING_MODES else ():
            delattr(torch.Tensor, name)
