"""Numbers that sizes give: while torch.jit traces a model its code finds tensors on the host for them.

Here they stay numbers, which remember where they come from; one that meets a tensor becomes a tensor, too. The graph
has it as ``scalar_tensor``, on the host; a number that stands in the code is no tensor there.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from predictor.capture.isolation import is_capturing

NOT_THE_MODEL = ("torch", "predictor")
"""Packages whose own code is given plain numbers."""


class SizeInt(int):
    """A size, or an integer that was computed of one."""

    def __neg__(self) -> SizeInt:
        return SizeInt(-int(self))


class SizeFloat(float):
    """A fraction that was computed of a size."""


SIZES = (SizeInt, SizeFloat)


def _plain(value: float) -> float:
    return int(value) if isinstance(value, SizeInt) else float(value) if isinstance(value, SizeFloat) else value


def _remembering(value: Any) -> Any:
    return SizeInt(value) if type(value) is int else SizeFloat(value) if type(value) is float else value


def _of_numbers(function: Callable[[Any, Any], Any], *, is_reflected: bool) -> Callable[[Any, Any], Any]:
    def operate(number: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        left, right = (other, number) if is_reflected else (number, other)
        return _remembering(function(_plain(left), _plain(right)))

    return operate


ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
REFLECTED = ("add", "sub", "mul", "truediv")
COMPARISONS = ("ge", "gt", "le", "lt", "eq", "ne")

for _name in ARITHMETIC:
    for _kind in SIZES:
        setattr(_kind, f"__{_name}__", _of_numbers(getattr(operator, _name), is_reflected=False))
        setattr(_kind, f"__r{_name}__", _of_numbers(getattr(operator, _name), is_reflected=True))


def _of_tensors(method: Any, of_sizes: Callable[[Any, Any], Any], as_tensor: Callable[[float], Any]) -> Any:
    """A method of tensors with one operand. of_sizes: what is called instead where that is a size that is a tensor."""

    def operate(tensor: Any, other: Any) -> Any:
        if isinstance(other, SIZES) and is_capturing():
            return of_sizes(tensor, as_tensor(_plain(other)))
        return method(tensor, other)

    return operate


def _exchanged(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda left, right: function(right, left)


def _is_asked_by_the_model() -> bool:
    caller = str(sys._getframe(2).f_globals.get("__name__", ""))
    return is_capturing() and caller.partition(".")[0] not in NOT_THE_MODEL


_shape: Any = torch._C.TensorBase.shape


def _shape_of(tensor: torch.Tensor) -> torch.Size:
    shape: torch.Size = _shape.__get__(tensor)
    return torch.Size(map(SizeInt, shape)) if _is_asked_by_the_model() else shape


def _size_of(tensor: torch.Tensor, *args: Any, **options: Any) -> Any:
    size: Any = torch._C.TensorBase.size(tensor, *args, **options)
    if not _is_asked_by_the_model():
        return size
    return SizeInt(size) if isinstance(size, int) else torch.Size(map(SizeInt, size))


@contextmanager
def as_tensors(as_tensor: Callable[[float], Any]) -> Iterator[None]:
    """Sizes remember that they are sizes, and become tensors where they meet some. as_tensor: of such a number."""
    methods: dict[str, Any] = {"shape": property(_shape_of), "size": _size_of}
    for name in (*ARITHMETIC, *COMPARISONS):
        method = getattr(torch.Tensor, f"__{name}__")
        methods[f"__{name}__"] = _of_tensors(method, method, as_tensor)
    for name in REFLECTED:
        method, reflected = getattr(torch.Tensor, f"__{name}__"), getattr(torch.Tensor, f"__r{name}__")
        methods[f"__r{name}__"] = _of_tensors(reflected, _exchanged(method), as_tensor)
    before = {name: vars(torch.Tensor)[name] for name in methods if name in vars(torch.Tensor)}
    for name, method in methods.items():
        setattr(torch.Tensor, name, method)
    try:
        yield
    finally:
        for name in methods:
            delattr(torch.Tensor, name)
        for name, method in before.items():
            setattr(torch.Tensor, name, method)
