"""What a model's code finds in its tensors while torch.jit traces it: sizes that are tensors, slices that are calls.

Sizes stay numbers here, which remember where they come from; one that meets a tensor becomes a tensor of the host, too,
which the graph has as ``scalar_tensor``, and so does one that is asked for what only a tensor has. Code that asks
whether a size is a tensor is told yes. A number that stands in the code is no tensor there. What is made of the sizes
of one tensor and what is made of another's differ in a trace, whatever the numbers: a size knows whose it is.
"""

from __future__ import annotations

import builtins
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import EllipsisType, MappingProxyType, NoneType
from typing import Any

import torch

from predictor.capture.isolation import is_capturing

NOT_THE_MODEL = ("torch", "predictor")
"""Packages whose own code is given plain numbers."""

RECURRENT = "torch.nn.modules.rnn"
"""Module of torch that makes tensors of sizes, the states that recurrent layers begin with."""


class _Size:
    """What a trace has a tensor for. as_tensor: makes one of a number while something is traced."""

    as_tensor: Callable[[float], Any] | None = None
    number = 0
    """The same of two sizes that a trace computes alike of the same tensors, 0: not known."""
    values: Mapping[int, torch.Tensor] = MappingProxyType({})
    """Whose it is: tensors, by the number of the value that they hold."""

    def __getattr__(self, name: str) -> Any:
        if _Size.as_tensor is None or name.startswith("__") or not is_capturing():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(as_tensor(self), name)


class SizeInt(_Size, int):
    """A size, or an integer that was computed of one."""

    def __neg__(self) -> SizeInt:
        negative: SizeInt = _computed(SizeInt, -int(self), "neg", self)
        return negative


class SizeFloat(_Size, float):
    """A fraction that was computed of a size."""


SIZES = (SizeInt, SizeFloat)


def _plain(value: Any) -> float:
    return int(value) if isinstance(value, SizeInt) else float(value) if isinstance(value, SizeFloat) else value


_numbers: dict[Any, int] = {}
"""Of the expressions of sizes of a trace."""


def _numbered(size: Any, values: Mapping[int, torch.Tensor], *expression: Any) -> Any:
    """A size of tensors that hold these values."""
    size.values, size.number = values, _numbers.setdefault(expression, len(_numbers) + 1)
    return size


def _computed(kind: type, value: float, name: str, *operands: Any) -> Any:
    """A size that is computed of others, and of numbers."""
    values = {number: tensor for operand in operands for number, tensor in _values(operand)}
    return _numbered(kind(value), values, name, *((type(o) in SIZES, getattr(o, "number", o)) for o in operands))


def _values(number: Any) -> Iterable[tuple[int, torch.Tensor]]:
    return number.values.items() if type(number) in SIZES else ()


def _of_numbers(name: str, *, is_reflected: bool) -> Callable[[Any, Any], Any]:
    function = getattr(operator, name)

    def operate(number: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        left, right = (other, number) if is_reflected else (number, other)
        value = function(_plain(left), _plain(right))
        kind = {int: SizeInt, float: SizeFloat}.get(type(value))
        return value if kind is None else _computed(kind, value, name, left, right)

    return operate


ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
REFLECTED = ("add", "sub", "mul", "truediv")
COMPARISONS = ("ge", "gt", "le", "lt", "eq", "ne")

for _name in ARITHMETIC:
    for _kind in SIZES:
        setattr(_kind, f"__{_name}__", _of_numbers(_name, is_reflected=False))
        setattr(_kind, f"__r{_name}__", _of_numbers(_name, is_reflected=True))


def as_tensor(size: Any) -> Any:
    """A size as the tensor of the host that a trace has for it."""
    assert _Size.as_tensor is not None
    with _given_to_operator((size,)):
        return _Size.as_tensor(_plain(size))


def _of_tensors(method: Any, of_sizes: Callable[[Any, Any], Any]) -> Any:
    """A method of tensors with one operand. of_sizes: what is called instead where that is a size that is a tensor."""

    def operate(tensor: Any, other: Any) -> Any:
        if isinstance(other, SIZES) and is_capturing():
            return of_sizes(tensor, as_tensor(other))
        return method(tensor, other)

    return operate


def _exchanged(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda left, right: function(right, left)


def _is_asked_by_the_model() -> bool:
    caller = str(sys._getframe(2).f_globals.get("__name__", ""))
    return is_capturing() and (caller == RECURRENT or caller.partition(".")[0] not in NOT_THE_MODEL)


_shape: Any = torch._C.TensorBase.shape


FACTORIES = (
    *("arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "zeros"),
    *("tril_indices", "triu_indices"),
)
"""Functions of torch that make a tensor of numbers alone."""

_given: list[tuple[Any, ...] | None] = [None]


def sizes_given() -> tuple[Any, ...] | None:
    """The sizes that what runs was given, a factory of tensors: of none it makes a constant of the trace. None: it is
    not known, or none runs.
    """
    return _given[-1]


@contextmanager
def _given_to_operator(arguments: Iterable[Any]) -> Iterator[None]:
    items = (item for value in arguments for item in (value if isinstance(value, (tuple, list)) else (value,)))
    _given.append(tuple(size for size in items if type(size) in SIZES))
    try:
        yield
    finally:
        _given.pop()


def _factory(function: Callable[..., Any]) -> Callable[..., Any]:
    def make(*args: Any, **options: Any) -> Any:
        reads = any(_isinstance(value, torch.Tensor) for value in (*args, *options.values()))
        if reads or not _is_asked_by_the_model():
            return function(*args, **options)
        with _given_to_operator((*args, *options.values())):
            return function(*args, **options)

    return make


_getitem: Any = torch._C.TensorBase.__getitem__
_slice: Any = torch.ops.aten.slice.Tensor

TO_THE_END = 2**63 - 1


def _bounds(item: slice) -> tuple[int, int, int] | None:
    """Start, stop and step of a slice; None where a tensor says one."""
    start, stop, step = item.start or 0, TO_THE_END if item.stop is None else item.stop, item.step or 1
    return (int(start), int(stop), int(step)) if all(isinstance(n, int) for n in (start, stop, step)) else None


def _item_of(tensor: torch.Tensor, index: Any) -> Any:
    """An item, with a call for every slice of the index, also of all that there is, as in a trace
    (torch/csrc/autograd/python_variable_indexing.cpp, ``disable_slice_optimization``).
    """
    items = index if type(index) is tuple else (index,)
    if not _is_asked_by_the_model() or not all(type(i) in (slice, int, SizeInt, EllipsisType, NoneType) for i in items):
        return _getitem(tensor, index)
    others = tensor.dim() - sum(type(item) in (slice, int, SizeInt) for item in items)
    dim = 0
    for item in items:
        if item is Ellipsis:
            dim += others
        elif type(item) is slice and (bounds := _bounds(item)) is not None:
            tensor, dim = _slice(tensor, dim, *bounds), dim + 1
        else:
            tensor = _getitem(tensor, (slice(None),) * dim + (item,))
            dim += not isinstance(item, int)
    return tensor


_isinstance = builtins.isinstance


def _is_instance(value: Any, kinds: Any) -> bool:
    """Whether a value is of a kind, sizes being tensors, too."""
    if type(value) in SIZES and _is_asked_by_the_model():
        return _isinstance(value, kinds) or torch.Tensor in (kinds if type(kinds) is tuple else (kinds,))
    return _isinstance(value, kinds)


_pad = torch._C._nn.pad  # type: ignore[attr-defined]


def _padded(x: torch.Tensor, pad: Any, *args: Any, **options: Any) -> Any:
    """A pad by what divided sizes hold, floating-point tensors, which torch takes while it traces alone."""
    return _pad(x, [int(one) if _is_floating(one) else one for one in pad], *args, **options)


def _is_floating(one: Any) -> bool:
    return _isinstance(one, torch.Tensor) and one.is_floating_point()


@contextmanager
def as_traced(of_number: Callable[[float], Any], value_of: Callable[[torch.Tensor], int]) -> Iterator[None]:
    """Sizes remember that they are sizes, and become tensors where they meet some; every slice is a call. of_number:
    makes such a tensor; value_of: the number of the value that a tensor holds.
    """

    def sizes_of(tensor: torch.Tensor) -> torch.Size:
        value = value_of(tensor)
        values = {value: tensor}
        sizes = enumerate(_shape.__get__(tensor))
        return torch.Size(_numbered(SizeInt(size), values, value, dim) for dim, size in sizes)

    def shape_of(tensor: torch.Tensor) -> torch.Size:
        plain: torch.Size = _shape.__get__(tensor)
        return sizes_of(tensor) if _is_asked_by_the_model() else plain

    def size_of(tensor: torch.Tensor, *args: Any, **options: Any) -> Any:
        size: Any = torch._C.TensorBase.size(tensor, *args, **options)
        if not _is_asked_by_the_model():
            return size
        return sizes_of(tensor)[args[0] if args else options["dim"]] if isinstance(size, int) else sizes_of(tensor)

    methods: dict[str, Any] = {"shape": property(shape_of), "size": size_of, "__getitem__": _item_of}
    for name in (*ARITHMETIC, *COMPARISONS):
        method = getattr(torch.Tensor, f"__{name}__")
        methods[f"__{name}__"] = _of_tensors(method, method)
    for name in REFLECTED:
        method, reflected = getattr(torch.Tensor, f"__{name}__"), getattr(torch.Tensor, f"__r{name}__")
        methods[f"__r{name}__"] = _of_tensors(reflected, _exchanged(method))
    before = {name: vars(torch.Tensor)[name] for name in methods if name in vars(torch.Tensor)}
    factories = {name: getattr(torch, name) for name in FACTORIES}
    for name, method in methods.items():
        setattr(torch.Tensor, name, method)
    for name, factory in factories.items():
        setattr(torch, name, _factory(factory))
    builtins.isinstance, _Size.as_tensor = _is_instance, of_number
    torch._C._nn.pad = _padded  # type: ignore[assignment]
    _numbers.clear()
    try:
        yield
    finally:
        builtins.isinstance, _Size.as_tensor = _isinstance, None
        torch._C._nn.pad = _pad  # type: ignore[attr-defined]
        for name, factory in factories.items():
            setattr(torch, name, factory)
        for name in methods:
            delattr(torch.Tensor, name)
        for name, method in before.items():
            setattr(torch.Tensor, name, method)
