"""Copies of a user's module and inputs, other tensors in the place of theirs: a capture or an export runs the copies.

A deep copy is tried first. What cannot be copied (a lock, a file, a generator) is shared with the original, what holds
it is rebuilt around it.
"""

from __future__ import annotations

import copy
import copyreg
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import is_traceable_wrapper_subclass, transform_subclass

from predictor.capture.calls import DTYPE_NAMES
from predictor.capture.refusals import is_plain
from predictor.errors import PredictorError

MOST_KEPT_ELEMENTS = 2**24
"""Elements of the largest tensor whose values a capture knows; those of a larger one are not computed."""

MOST_KEPT_FLOATS = 2**16
"""Elements of the largest floating-point tensor whose values a capture knows: a constant that is no weight."""

StandIn = Callable[[torch.Tensor], torch.Tensor]

_META = torch.device("meta")


class Copies:
    """Copies that belong together: what the originals share, their copies share."""

    def __init__(self) -> None:
        self._memo: dict[int, Any] = {}
        self._alive: list[Any] = []  # what is copied, so that no other object has its identity meanwhile

    def module(self, modules: Sequence[torch.nn.Module], weight: StandIn, constant: StandIn) -> torch.nn.Module:
        """A copy in evaluation mode. modules: the module and those in it; weight: what replaces a parameter or a
        buffer; constant: what replaces any other tensor that it holds. Raises PredictorError for lazy layers that have
        no weights yet.
        """
        module = modules[0]
        parameters, buffers = weights_in(modules, "parameters"), weights_in(modules, "buffers")
        if any(type(tensor) not in _SIZED and is_lazy(tensor) for tensor in (*parameters, *buffers)):
            raise PredictorError(
                f"{type(module).__name__} has lazy layers whose sizes are not known: run it once on its inputs"
            )
        for parameter in parameters:
            self._memo[id(parameter)] = _parameter_of(weight(parameter), parameter.requires_grad)
        for buffer in buffers:
            self._memo[id(buffer)] = weight(buffer)
        copied: torch.nn.Module = self.of(module, constant)
        copies = modules_in(copied)
        for child in copies if is_scripted(copies) else ():
            if isinstance(child, torch.jit.ScriptModule):
                _cast(child, weight)
        if not all(map(_is_evaluated_as_usual, set(map(type, copies)))):
            return copied.eval()
        for child in copies:
            vars(child)["training"] = False
        return copied

    @property
    def tensors(self) -> Set[int]:
        """The tensors among the copies, by identity."""
        kinds = {kind: issubclass(kind, torch.Tensor) for kind in set(map(type, self._memo.values()))}
        return {id(copied) for copied in self._memo.values() if kinds[type(copied)]}

    def of(self, value: Any, tensor: StandIn) -> Any:
        """A deep copy of a value. tensor: what replaces a tensor in it."""
        with _Replacing(tensor):
            return self._copy(value)

    def _copy(self, value: Any) -> Any:
        trial = dict(self._memo)
        try:
            copied = _deep_copy(value, trial)
        except Exception:  # which of its parts cannot be copied is found out one by one
            return self._rebuilt(value)
        self._alive.extend(trial.pop(id(trial), ()))  # where ``deepcopy`` keeps what it copied
        self._memo.update(trial)
        return copied

    def _rebuilt(self, value: Any) -> Any:
        """A copy of what ``deepcopy`` does not copy whole: of the same class, made of copies of its parts."""
        if id(value) in self._memo:
            return self._memo[id(value)]
        if isinstance(value, torch.Generator):
            return self._memo.setdefault(id(value), value.clone_state())
        if type(value) is tuple:
            return tuple(self._copy(item) for item in value)
        rebuilt = _shell(value)
        self._memo[id(value)] = rebuilt
        if rebuilt is value:
            return value
        if isinstance(value, dict):
            rebuilt.update({key: self._copy(item) for key, item in value.items()})
        elif isinstance(value, list):
            rebuilt.extend(self._copy(item) for item in value)
        else:
            vars(rebuilt).update({name: self._copy(item) for name, item in vars(value).items()})
        return rebuilt


def _parameter_of(data: torch.Tensor, requires_grad: bool) -> torch.nn.Parameter:
    """A parameter, which says whether it has gradients: ``matmul`` multiplies by one that has as by a single matrix,
    even where nothing is recorded (``should_fold`` in ATen/native/LinearAlgebra.cpp).
    """
    if type(data) is torch.Tensor:  # what the class does itself, once it has looked at what it is given
        made: torch.nn.Parameter = torch.Tensor._make_subclass(torch.nn.Parameter, data, requires_grad)
        return made
    return torch.nn.Parameter(data, requires_grad=requires_grad)


_SIZED = frozenset({torch.Tensor, torch.nn.Parameter})
"""Types of tensors whose size is known."""

_UNCOPIED = frozenset({type(None), bool, int, float, complex, str, bytes, type, FunctionType, BuiltinFunctionType})
"""Types whose values ``deepcopy`` shares."""


def _deep_copy(value: Any, memo: dict[int, Any]) -> Any:
    """``copy.deepcopy``; the usual containers and modules without its detour over what they are pickled as."""
    kind = type(value)
    if kind in _UNCOPIED:
        return value
    known = memo.get(id(value))
    if known is not None:
        return known
    copied: Any
    if kind is dict or (kind is OrderedDict and not vars(value)):
        copied = memo[id(value)] = kind()
        for key, item in value.items():
            key = key if type(key) is str else _deep_copy(key, memo)
            if type(item) not in _UNCOPIED:
                known = memo.get(id(item))
                item = _deep_copy(item, memo) if known is None else known
            copied[key] = item
    elif kind is list:
        copied = memo[id(value)] = []
        for item in value:
            copied.append(_deep_copy(item, memo))
    elif kind is tuple and _UNCOPIED.issuperset(map(type, value)):
        return value
    elif kind is set and not value:
        copied = memo[id(value)] = set()
    elif isinstance(value, torch.nn.Module) and _is_pickled_as_usual(kind) and "__deepcopy__" not in vars(value):
        copied = memo[id(value)] = object.__new__(kind)
        state = vars(copied)
        for name, item in vars(value).items():
            of = type(item)
            if of in _UNCOPIED:
                state[name] = item
            elif (of is dict or of is OrderedDict) and not item and name in OF_EVERY_MODULE:
                state[name] = of()
            elif of is tuple and _UNCOPIED.issuperset(map(type, item)):
                state[name] = item
            elif of is set and not item and name == "_non_persistent_buffers_set":
                state[name] = set()
            else:
                state[name] = _deep_copy(item, memo)
        state.pop("_compiled_call_impl", None)
        if not (kind.__setstate__ is torch.nn.Module.__setstate__ and state.keys() >= OF_EVERY_MODULE):
            copied.__setstate__(state)
    else:
        return copy.deepcopy(value, memo)
    return copied


OF_EVERY_MODULE = frozenset(name for name, value in vars(torch.nn.Module()).items() if isinstance(value, dict))
"""Attributes that hold a mapping of a module's own, as torch makes it: no other module shares it."""

_usual: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


def _is_pickled_as_usual(kind: type[torch.nn.Module]) -> bool:
    """Whether a copy of a module of a class is a new object with copies of its attributes."""
    if kind not in _usual:
        of_object = ("__reduce_ex__", "__reduce__", "__new__")
        _usual[kind] = (
            all(getattr(kind, name) is getattr(object, name) for name in of_object)
            and kind.__getstate__ is torch.nn.Module.__getstate__
            and not any(hasattr(kind, name) for name in ("__deepcopy__", "__getnewargs__", "__getnewargs_ex__"))
            and not any(getattr(base, "__slots__", ()) for base in kind.__mro__)
            and kind not in copyreg.dispatch_table
            and not issubclass(kind, torch.jit.ScriptModule)
        )
    return _usual[kind]


_evaluated: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


def _is_evaluated_as_usual(kind: type[torch.nn.Module]) -> bool:
    """Whether ``eval`` does no more to a module of a class than to set an attribute, in it and in those in it."""
    if kind not in _evaluated:
        names = ("eval", "train", "children", "named_children", "__setattr__")
        _evaluated[kind] = all(getattr(kind, name) is getattr(torch.nn.Module, name) for name in names)
    return _evaluated[kind]


def modules_in(module: torch.nn.Module) -> list[torch.nn.Module]:
    """A module and all in it, once each, in the order of ``Module.modules``, which yields each through all that it is
    in.
    """
    found: dict[int, torch.nn.Module] = {}
    waiting = [module]
    while waiting:
        child = waiting.pop()
        if id(child) not in found:
            found[id(child)] = child
            if child._modules:
                waiting += [below for below in reversed(list(child._modules.values())) if below is not None]
    return list(found.values())


def weights_in(modules: Sequence[torch.nn.Module], kind: Literal["parameters", "buffers"]) -> list[torch.Tensor]:
    """The parameters or buffers of a module once each, in its own order. modules: itself and those in it."""
    whole, own = getattr(torch.nn.Module, kind), getattr(torch.nn.Module, f"named_{kind}")
    of = type(modules[0])
    if getattr(of, kind) is not whole or getattr(of, f"named_{kind}") is not own or is_scripted(modules):
        return list(getattr(modules[0], kind)())
    name = f"_{kind}"
    held = [tensor for module in modules for tensor in vars(module)[name].values() if tensor is not None]
    return list({id(tensor): tensor for tensor in held}.values())


def is_scripted(modules: Iterable[torch.nn.Module]) -> bool:
    """Whether torch.jit runs any of these modules."""
    return any(issubclass(kind, torch.jit.ScriptModule) for kind in set(map(type, modules)))


def _cast(module: torch.jit.ScriptModule, weight: StandIn) -> None:
    """Give a scripted module, which torch copies whole, weights in the dtypes of their stand-ins. Raises PredictorError
    where its weights are constants of its code.
    """
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        tensor.data = tensor.data.to(weight(tensor).dtype)
    constants = [
        node.t("value") for node in _nodes(module) if node.hasAttribute("value") and node.kindOf("value") == "t"
    ]
    for frozen in (c for c in constants if c.is_floating_point() and c.dim() > 1):
        if frozen.dtype is not weight(frozen).dtype:
            own, other = DTYPE_NAMES[frozen.dtype], DTYPE_NAMES[weight(frozen).dtype]
            raise PredictorError(
                f"{module.original_name} has weights frozen in {own}: predict --dtype {own}, or freeze it in {other}"
            )


def _nodes(module: torch.jit.ScriptModule) -> Iterator[Any]:
    """Constants in the code of a scripted module."""
    if module._c._has_method("forward"):
        graph: Any = module.graph
        yield from graph.findAllNodes("prim::Constant", recurse=True)


def _shell(value: Any) -> Any:
    """An empty object of the same class; the value itself where that cannot be made."""
    if type(value) in (dict, OrderedDict, list):
        return type(value)()
    if not hasattr(value, "__dict__") or isinstance(value, (type, ModuleType, dict, list, tuple, set)):
        return value
    try:
        return object.__new__(type(value))
    except TypeError:  # of a class that is written in C: a lock, a file
        return value


class _Replacing(TorchFunctionMode):
    """While it is active, a copy of a tensor is its stand-in."""

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__()
        self._stand_in = stand_in

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.__deepcopy__, torch.Tensor.clone):  # the latter copies a parameter
            return self._stand_in(args[0])
        return func(*args, **(kwargs or {}))


def runs_in(modules: Sequence[torch.nn.Module], dtype: torch.dtype) -> bool:
    """Whether a module runs in a dtype as it is, whatever dtypes its other tensors have: most of its weights are in it,
    or are stored in eight bits. modules: itself and those in it.
    """
    elements: Counter[torch.dtype] = Counter()
    for weight in weights_in(modules, "parameters"):
        if weight.is_floating_point() and (type(weight) in _SIZED or not is_lazy(weight)):
            elements[weight.dtype] += weight.numel()
    main = max(elements, key=elements.__getitem__, default=None)
    return main is not None and (main is dtype or main.itemsize == 1)


def abstract(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """The stand-in of a weight or an input: floating point on meta in ``dtype``, None for its own; integers and
    booleans on the CPU with their values (0 where they have none), on meta where there are more of them than a capture
    keeps.
    """
    if type(tensor) not in _SIZED and is_traceable_wrapper_subclass(tensor):
        return transform_subclass(tensor, lambda _, part: abstract(part, dtype))
    if not is_plain(tensor):
        return tensor.detach().clone()
    if tensor.is_complex():
        return tensor.detach().to("meta")
    if tensor.is_floating_point():
        coded = tensor.dtype.itemsize == 1  # numbers of eight bits are how weights are stored, not what a model runs in
        kept = tensor.dtype if coded or dtype is None else dtype
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=kept, device=_META)
    return with_values(tensor, MOST_KEPT_ELEMENTS)


def abstract_constant(tensor: torch.Tensor) -> torch.Tensor:
    """The stand-in of a tensor that is neither a weight nor an input: in its own dtype, with its values if it is
    small.
    """
    if is_traceable_wrapper_subclass(tensor):
        return transform_subclass(tensor, lambda _, part: abstract_constant(part))
    real = not (tensor.is_floating_point() or tensor.is_complex())
    if not real and (tensor.is_meta or isinstance(tensor, FakeTensor)):
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return with_values(tensor, MOST_KEPT_ELEMENTS if real else MOST_KEPT_FLOATS)


def with_values(tensor: torch.Tensor, most: int) -> torch.Tensor:
    """A copy on the CPU in memory of its own, with the same values and strides, 0 for a tensor without values; on meta
    where it takes more than ``most`` elements of memory.
    """
    if not is_plain(tensor):
        return tensor.detach().cpu().clone()
    if type(tensor) in _SIZED and not tensor.dim():
        return torch.zeros((), dtype=tensor.dtype) if tensor.is_meta else tensor.detach().cpu().clone()
    elements = 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) if tensor.numel() else 0
    if elements > most:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    if tensor.is_meta or isinstance(tensor, FakeTensor):
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    values = tensor.detach().as_strided((elements,), (1,)).cpu()
    values = values.clone() if values.data_ptr() == tensor.data_ptr() else values
    return values.as_strided(tensor.shape, tensor.stride(), 0)
