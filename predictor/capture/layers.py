"""What a layer of torch's own does, seen once: the operators that it calls and the Python that it runs.

A module of ``torch.nn`` that is called with one tensor does the same as another of its class with the same attributes,
weights of the same specs and an input of the same specs: its code is torch's, and reads nothing else. So do containers
of such modules. What one did in a pass in which no code ran for the first time is kept (``Layer``), and done again for
the next without its code, ``signatures`` giving the results. A module with hooks, with an attribute that is no number,
name or flag, or whose class is a user's runs every time. ``signatures.SLOW`` switches it off as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import CodeType
from typing import Any, NamedTuple

import torch
from torch.nn.modules import module as torch_module

from predictor.capture import signatures
from predictor.capture.python_trace import Ran
from predictor.capture.signatures import Signature

MOST = 4096
"""Layers that are kept, the first come is the first to go. One takes 2 to 20 kB."""

Key = tuple[Any, ...]


class Step(NamedTuple):
    """A call of an operator in a layer. module: whose, its number in the layer; given, results: numbers of tensors of
    the layer, which are the input, weights and buffers in order, then what steps have made.
    """

    signature: Signature
    module: int
    given: tuple[int, ...]
    results: tuple[int, ...]


class Made(NamedTuple):
    """A tensor to make: its number, how it is made, and of which."""

    number: int
    result: signatures.Result
    of: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """What a layer did. tensors: how many it has; made: those that what it returns is, or is a view of; result: the
    number of what it returns; ran: its Python; operators: how many ran; codes: that ran, by identity.
    """

    steps: tuple[Step, ...]
    tensors: int
    made: tuple[Made, ...]
    result: int
    ran: Ran
    operators: int
    codes: Mapping[int, CodeType]


class Called(NamedTuple):
    """A layer that is called: its key, the modules in it, and its tensors, the input first."""

    key: Key
    modules: list[torch.nn.Module]
    tensors: list[torch.Tensor]


class Call(NamedTuple):
    """A call of an operator in a pass, which gave what its signature says. path: of the module that called it; tensors,
    results: or anything in the place of one that nobody sees.
    """

    signature: Signature
    path: str
    tensors: Sequence[object]
    results: Sequence[object]


_known: dict[Key, Layer] = {}


def forget() -> None:
    """Forget every layer."""
    _known.clear()
    _watched.clear()


def find(called: Called) -> Layer | None:
    """What a layer did before; None for one that was not seen."""
    return _known.get(called.key)


_CLASSES = frozenset(
    kind
    for kind in vars(torch.nn).values()
    if isinstance(kind, type)
    and issubclass(kind, torch.nn.Module)
    and kind.__module__.startswith("torch.nn.modules.")
    and kind is not torch.nn.Module
)


def is_candidate(module: torch.nn.Module) -> bool:
    """Whether a module's class is torch's own."""
    return type(module) in _CLASSES


_GLOBAL_HOOKS: tuple[Mapping[int, Any], ...] = (
    torch_module._global_forward_hooks,
    torch_module._global_forward_pre_hooks,
    torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)


def called(module: torch.nn.Module, value: Any, context: int) -> Called | None:
    """A layer that is about to be called with one value, where what it does may be known. context: see
    ``signatures.context_of``.
    """
    if torch._C._len_torch_function_stack() or torch._C._len_torch_dispatch_stack() != 1 or any(_GLOBAL_HOOKS):
        return None
    if not torch.is_inference_mode_enabled() or torch._C._functorch.peek_interpreter_stack() is not None:
        return None
    parts: list[Any] = [context, torch.get_default_dtype(), torch._C._get_cudnn_enabled()]
    modules: list[torch.nn.Module] = []
    tensors: list[torch.Tensor] = []
    if not isinstance(value, torch.Tensor) or not signatures.add_to_key(value, parts, tensors):
        return None
    if not _add(module, parts, modules, tensors):
        return None
    if len(set(map(id, tensors))) < len(tensors) or len(set(map(id, modules))) < len(modules):
        return None  # which of them are the same is no part of a key
    return Called(tuple(parts), modules, tensors)


class _Attributes(NamedTuple):
    """What a module has, of a class and with attributes of these names. plain: values of those that say what it does;
    empty: values of those that are to be empty.
    """

    plain: Callable[[Any], tuple[Any, ...]]
    empty: Callable[[Any], tuple[Any, ...]]


_attributes: dict[tuple[Any, ...], _Attributes | None] = {}

_PLAIN = frozenset({bool, int, float, str, type(None), tuple})
_INTEGERS = frozenset({int})
_TENSORS_OF = ("_parameters", "_buffers")
_ASIDE = frozenset({*_TENSORS_OF, "_modules", "_non_persistent_buffers_set"})
_END = object()


def _attributes_of(module: torch.nn.Module) -> _Attributes | None:
    """None where it has what is neither plain nor a mapping of torch's own."""
    plain, empty = [], []
    for name, value in vars(module).items():
        if type(value) in _PLAIN:
            plain.append(name)
        elif isinstance(value, dict) and name not in _ASIDE:
            empty.append(name)
        elif name not in _ASIDE:
            return None
    if len(plain) < 2 or len(empty) < 2:
        return None
    return _Attributes(itemgetter(*plain), itemgetter(*empty))


def _add(
    module: torch.nn.Module, parts: list[Any], modules: list[torch.nn.Module], tensors: list[torch.Tensor]
) -> bool:
    """Put into a key what a module is; False where it may do more than its class says."""
    if not is_candidate(module):
        return False
    own = vars(module)
    kind: tuple[Any, ...] = (type(module), *own)
    try:
        known = _attributes[kind]
    except KeyError:
        known = _attributes[kind] = _attributes_of(module)
    if known is None or any(known.empty(own)):
        return False
    values = known.plain(own)
    types = tuple(map(type, values))
    if not _PLAIN.issuperset(types):
        return False
    if tuple in types and not all(_INTEGERS.issuperset(map(type, v)) for v in values if type(v) is tuple):
        return False
    parts += kind, values, types
    modules.append(module)
    for name in _TENSORS_OF:
        for below, tensor in own[name].items():
            parts.append(below)
            if tensor is None:
                parts.append(None)
            elif not signatures.add_to_key(tensor, parts, tensors):
                return False
    for below, child in own["_modules"].items():
        parts.append(below)
        if child is None:
            parts.append(None)
        elif not _add(child, parts, modules, tensors):
            return False
    parts.append(_END)
    return True


def learned(
    called: Called,
    result: Any,
    calls: Sequence[Call | None],
    ran: Ran | None,
    codes: Mapping[int, CodeType],
    paths: Mapping[int, str],
) -> Layer | None:
    """What a layer has done, where all of it is known. calls: its own, None for one without a signature; ran: None
    where a module ran that is none of its own; codes of the pass and paths of modules, by identity.
    """
    if ran is None:
        return None
    numbers = {id(tensor): number for number, tensor in enumerate(called.tensors)}
    places = {paths.get(id(module)): number for number, module in enumerate(called.modules)}
    own = count = len(called.tensors)
    steps: list[Step] = []
    makes: dict[int, Made] = {}
    for call in calls:
        if call is None or call.signature.way is not signatures.Way.BY_SPECS or call.path not in places:
            return None
        if not all(id(tensor) in numbers for tensor in call.tensors):
            return None
        given = tuple([numbers[id(tensor)] for tensor in call.tensors])
        for how, made in zip(call.signature.results, call.results, strict=True):
            if id(made) not in numbers:
                numbers[id(made)] = count
                makes[count] = Made(count, how, given)
                count += 1
        results = tuple([numbers[id(made)] for made in call.results])
        steps.append(Step(call.signature, places[call.path], given, results))
    if id(result) not in numbers:
        return None
    needed: list[Made] = []
    number = numbers[id(result)]
    while number >= own:
        needed.insert(0, makes[number])
        how = makes[number].result
        number = makes[number].of[how.argument] if how.argument >= 0 else -1
    operators = sum(len(step.signature.operators) for step in steps)
    ran_codes = {code: codes[code] for code in ran.codes}
    return Layer(tuple(steps), count, tuple(needed), numbers[id(result)], ran, operators, ran_codes)


# what the code of layers is, as far as somebody may exchange it

_HOMES: tuple[Any, ...] = (torch, torch.nn.functional, torch.nn.Module)
_watched: dict[tuple[int, str], tuple[Any, str, Any]] = {}


def remember(learned: Iterable[tuple[Called, Layer]]) -> None:
    """Keep what layers did."""
    for called, layer in learned:
        names = {name for code in layer.codes.values() for name in (*code.co_names, code.co_name)}
        for home in {*_HOMES, *map(type, called.modules)}:
            for name in names:
                value = getattr(home, name, None)
                if callable(value) and value is getattr(home, name):
                    _watched.setdefault((id(home), name), (home, name, value))
        while len(_known) >= MOST:
            del _known[next(iter(_known))]
        _known[called.key] = layer


def check() -> None:
    """Forget what was seen where somebody has exchanged a function of torch's, or a method of a layer's, since."""
    if any(getattr(home, name, None) is not value for home, name, value in _watched.values()):
        forget()
