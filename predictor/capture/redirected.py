"""Code that names its device: where it says "cuda" the capture's device is meant.

Used where a module asks for CUDA alone: a function mode sees every call of torch, which would be part of the Python
that is counted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from predictor.capture.isolation import is_capturing
from predictor.capture.origins import file_outside_of_torch

_LIBRARIES = ("torch", "transformers", "predictor")
"""Packages whose own questions for CUDA are left to themselves."""

CUDA = torch.device("cuda", 0)
"""What the capture's device is called where code looks for CUDA."""


def is_cuda(value: Any) -> bool:
    """Whether a value names a CUDA device."""
    return (isinstance(value, str) and value.partition(":")[0] == "cuda") or (
        isinstance(value, torch.device) and value.type == "cuda"
    )


def is_named_in(code: CodeType) -> bool:
    """Whether code outside of libraries has the name of a CUDA device in it, to compare or to ask for it."""
    file = file_outside_of_torch(code)
    if not file or file.partition(os.sep)[0] in _LIBRARIES:
        return False
    constants = [c for value in code.co_consts for c in (value if isinstance(value, (tuple, frozenset)) else (value,))]
    return any(map(is_cuda, constants))


class _Exchanged(TorchFunctionMode):
    """Exchanges CUDA devices for another in the arguments of every function of torch."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if is_cuda(kwargs.get("device")):
            kwargs = {**kwargs, "device": self._device}
        if any(is_cuda(value) for value in args) and func is not torch.device:
            args = tuple(self._device if is_cuda(value) else value for value in args)
        if func is torch.Tensor.cuda:
            return args[0].to(self._device)
        return func(*args, **kwargs)


def names_cuda(error: BaseException) -> bool:
    """Whether a module failed because it asked for CUDA where there is none, or where a tensor of the capture met one
    that lies on a GPU.
    """
    text = str(error)
    return any(part in text for part in ("CUDA", "cuda", "NVIDIA driver"))


class CudaQuestions:
    """Whether the code of a model asked if there is CUDA."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def watched(answer: bool | None = None) -> Iterator[CudaQuestions]:
    """Note whether code outside of libraries asks ``torch.cuda.is_available``. answer: what it is told, None for the
    truth.
    """
    questions, is_available = CudaQuestions(), torch.cuda.is_available

    def available() -> bool:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if not is_capturing() or caller.partition(".")[0] in _LIBRARIES:
            return bool(is_available())
        questions.asked = True
        return bool(is_available()) if answer is None else answer

    torch.cuda.is_available = available
    try:
        yield questions
    finally:
        torch.cuda.is_available = is_available


@contextmanager
def to(device: str) -> Iterator[None]:
    """Whatever is put on a CUDA device is put on another, and CUDA is there for who asks."""
    with _Exchanged(torch.device(device)), watched(answer=True):
        yield
