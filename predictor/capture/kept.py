"""What a module makes in its first pass and keeps for those that follow: a table of positions, a mask, a cache by size.

What a user measures are later passes, so where a pass of a copy has left something behind, another of the same copy
says what they run. A module whose later passes run more, or fail (a cache that grows), is taken as its first pass is.
"""

from __future__ import annotations

from collections import OrderedDict
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import torch

from predictor.capture.calls import tensors_within
from predictor.capture.stand_ins import OF_EVERY_MODULE, modules_in
from predictor.records import CaptureMode

OF_THE_FIRST_PASS = frozenset({CaptureMode.TRACED, CaptureMode.EXPORTED})
"""Modes of what is made of a module's first pass, and runs what that has run."""


class Kept:
    """Where the objects of a module have room: attributes that hold nothing before a pass, or tensors that a pass may
    put others in place of.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._holders: list[tuple[dict[str, Any], int, dict[str, list[torch.Tensor]]]] = []
        self._seen: set[int] = set()
        for child in modules_in(module):
            if not _is_torchs(type(child)):
                self._look_at(vars(child))
                if child._buffers:
                    self._look_at(child._buffers)

    def tensors(self) -> list[torch.Tensor]:
        """Tensors that now stand where nothing was, or another one."""
        found: list[torch.Tensor] = []
        for holder, length, rooms in self._holders:
            names = rooms if len(holder) == length else [*rooms, *list(holder)[length:]]
            for name in names:
                before = set(map(id, rooms.get(name, ())))
                found += [tensor for tensor in tensors_within(holder.get(name)) if id(tensor) not in before]
        return found

    def _look_at(self, holder: dict[str, Any]) -> None:
        """Attributes of a module or of a plain object; then those of the objects among their values."""
        rooms: dict[str, list[torch.Tensor]] = {}
        self._holders.append((holder, len(holder), rooms))
        for name, value in holder.items():
            kind = type(value)
            if kind in _PLAIN or (kind in _CONTAINERS and name in OF_EVERY_MODULE):
                continue
            if value is None or (kind in _CONTAINERS and not value):
                rooms[name] = []
            elif isinstance(value, torch.Tensor) or (kind is list and isinstance(value[0], torch.Tensor)):
                rooms[name] = tensors_within(value)
            elif kind not in (dict, OrderedDict):
                for one in value if kind in (list, tuple) else (value,):
                    if _is_object(one) and id(one) not in self._seen:
                        self._seen.add(id(one))
                        self._look_at(vars(one))


def _is_torchs(kind: type) -> bool:
    """Whether a class is torch's own, whose objects keep nothing."""
    return kind.__module__.startswith("torch.")


def _is_object(value: Any) -> bool:
    """Whether it is of a user's class, or of a library's, and holds what it likes."""
    kind = type(value)
    if kind in _PLAIN or _is_torchs(kind):
        return False
    return hasattr(value, "__dict__") and not isinstance(value, (torch.nn.Module, torch.Tensor, type))


_CONTAINERS = frozenset({dict, OrderedDict, list})

_PLAIN = frozenset({bool, int, float, complex, str, bytes, type, FunctionType, BuiltinFunctionType, MethodType})
"""Types of values that hold no others."""
