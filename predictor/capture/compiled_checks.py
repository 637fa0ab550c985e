"""Modules that code which torch compiled looks at one by one before it runs.

Dynamo checks that a module is as it was when it was compiled. A module whose checked state cannot change without its
dictionaries changing, it calls "tag safe" and compares as a whole with all that is in it
(``find_tag_safe_roots`` in torch/_dynamo/guards.py); every other one it walks through. So it is in torch 2.11, of which
the calibrations are. 2.13 can do so, too, but walks through all (``use_recursive_dict_tags_for_guards`` of its
torch/_dynamo/config.py).
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import torch

ITERATED = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)
"""Containers that a forward asks for an iterator, which is checked by itself."""

OF_A_CLASS = frozenset({"__class__", "type", "super"})
"""Names with which a forward asks for a module's class or for what that inherits."""

UNCHANGING = (int, float, str, bool, type(None), types.CodeType, types.BuiltinFunctionType, types.FunctionType)
"""Types of values that cannot be changed (``is_immutable_object`` in torch/csrc/dynamo/guards.cpp), or that are taken
to stay as they are (``assume_dunder_attributes_remain_unchanged`` in torch/_dynamo/config.py).
"""

_names_of: WeakKeyDictionary[type, frozenset[str]] = WeakKeyDictionary()
"""Of classes whose names are known. It keeps no class alive: searches make classes on the way."""


def checked_modules(module: torch.nn.Module) -> int:
    """How many of a module and those in it are looked at one by one: those that are not tag safe, and tag safe ones
    within such a one.

    >>> checked_modules(torch.nn.Linear(2, 2))
    1
    >>> checked_modules(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
    3
    """
    seen: set[int] = set()
    return _checked(module, seen)[1]


def _checked(module: torch.nn.Module, seen: set[int]) -> tuple[bool, int]:
    """Whether a module is tag safe, and how many are looked at within it, itself included. seen: objects that an
    earlier module holds, which are checked there.
    """
    is_safe = _is_safe_alone(module, seen)
    count = 1
    for child in module._modules.values():
        if child is not None:
            child_is_safe, within = _checked(child, seen)
            is_safe &= child_is_safe
            count += within
    return is_safe, 1 if is_safe else count


def _is_safe_alone(module: torch.nn.Module, seen: set[int]) -> bool:
    """Whether it is tag safe if all within it is."""
    if isinstance(module, ITERATED):
        return False
    names = _names(type(module))
    if not names:
        return True
    if names & OF_A_CLASS:
        return False
    held = vars(module)
    changing = [held[name] for name in names & held.keys() if not _is_unchanging(held[name])]
    found = {id(value) for value in changing} - seen
    seen |= found
    return not found


def _is_unchanging(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_unchanging, value))
    if type(value) is dict:
        return all(map(_is_unchanging, value.values()))
    return type(value) in UNCHANGING or isinstance(value, (torch.Tensor, torch.nn.Module))


def _names(kind: type) -> frozenset[str]:
    """Names in the code of a class's forward and of the methods that it names, none of torch's own classes."""
    known = _names_of.get(kind)
    if known is not None:
        return known
    found: set[str] = set()
    waiting = ["forward"]
    own = [cls for cls in kind.__mro__ if not cls.__module__.startswith("torch.")]
    while waiting:
        name = waiting.pop()
        for code in _codes(next((vars(cls)[name] for cls in own if name in vars(cls)), None)):
            names = {*code.co_names, *code.co_freevars}
            waiting += names - found
            found |= names
    names_of = _names_of[kind] = frozenset(found)
    return names_of


def _codes(attribute: Any) -> Iterator[types.CodeType]:
    """The code of a method or property, of what decorates it, and of functions within."""
    while attribute is not None:
        function = getattr(attribute, "__func__", getattr(attribute, "fget", attribute))
        waiting = [code] if isinstance(code := getattr(function, "__code__", None), types.CodeType) else []
        while waiting:
            code = waiting.pop()
            yield code
            waiting += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        attribute = getattr(function, "__wrapped__", None)
