"""Layers of torch's own that are made like others before them. A search makes the same few thousands of times; torch
asks itself at each where its tensors go, and fills weights that have no data.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._device import DeviceContext

LAYERS: tuple[Any, ...] = (
    *(nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm),
)
"""Classes whose constructors make nothing but attributes, weights and buffers, by their arguments alone."""

MOST = 4096
"""Layers that are kept, the first come is the first to go. One takes 2 to 10 kB."""

_PLAIN = frozenset({bool, int, float, str, type(None), tuple, torch.dtype, torch.device})
_REGISTER = nn.Module.register_parameter, nn.Module.register_buffer
_TENSORS = ("_parameters", "_buffers")
_META = torch.device("meta")


class _Layer(NamedTuple):
    """Attributes of a layer just after it was made. empty: what makes those that are empty, by name."""

    attributes: dict[str, Any]
    empty: tuple[tuple[str, Callable[[], Any]], ...]

    @classmethod
    def of(cls, module: nn.Module) -> _Layer | None:
        """None for one that has more than plain values and tensors, or weights with data."""
        empty = []
        for name, value in vars(module).items():
            if name in _TENSORS or type(value) in _PLAIN:
                continue
            if value:
                return None
            empty.append((name, type(value)))
        weights = module._parameters.values()
        if not all(weight is None or (type(weight) is nn.Parameter and weight.is_meta) for weight in weights):
            return None
        layer = cls(vars(module).copy(), tuple(empty))
        return cls(layer.again(), layer.empty)

    def again(self) -> dict[str, Any]:
        """Attributes of another layer like it, in their order."""
        attributes = self.attributes.copy()
        for name, make in self.empty:
            attributes[name] = make()
        with torch._C.DisableTorchFunction():
            for name in _TENSORS:
                attributes[name] = {below: _again(tensor) for below, tensor in attributes[name].items()}
        return attributes


def _again(tensor: torch.Tensor | None) -> torch.Tensor | None:
    """Another tensor of the same values; a weight, which has none, of the same size."""
    if type(tensor) is nn.Parameter:
        empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_META)
        made: nn.Parameter = torch.Tensor._make_subclass(nn.Parameter, empty, tensor.requires_grad)
        return made
    return None if tensor is None else tensor.clone()


_known: dict[tuple[Any, ...], _Layer] = {}


@contextmanager
def copied_layers(own: TorchFunctionMode) -> Iterator[None]:
    """In the body layers whose like was made before are copies of it, where nobody else watches: a mode of torch's but
    ``own`` and devices, or a hook on weights besides that which moves them to the meta device.
    """
    before = {kind: vars(kind).get("__init__") for kind in LAYERS}
    for kind in LAYERS:
        _exchange(kind, _copying(kind, own))
    try:
        yield
    finally:
        for kind, constructor in before.items():
            _exchange(kind, constructor)


def _exchange(kind: Any, constructor: Callable[..., None] | None) -> None:
    """Give a class another constructor of its own, None: that of its base."""
    if constructor is None:
        del kind.__init__
    else:
        kind.__init__ = constructor


def _copying(kind: Any, own: TorchFunctionMode) -> Callable[..., None]:
    """The constructor of a class that copies what it made before."""
    construct, builder = kind.__init__, threading.get_ident()

    def is_plain(self: nn.Module, given: Iterable[Any], others: Sequence[Any]) -> bool:
        return (
            type(self) is kind
            and threading.get_ident() == builder
            and all(type(mode) is DeviceContext for mode in others)
            and not torch._C._len_torch_dispatch_stack()
            and len(torch_module._global_parameter_registration_hooks) == 1
            and not torch_module._global_buffer_registration_hooks
            and (nn.Module.register_parameter, nn.Module.register_buffer) == _REGISTER
            and not torch.is_inference_mode_enabled()
            and _PLAIN.issuperset(map(type, given))
        )

    @wraps(construct)
    def init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        others = [mode for mode in _get_current_function_mode_stack() if mode is not own]
        if not is_plain(self, (*args, *kwargs.values()), others):
            construct(self, *args, **kwargs)
            return
        devices = [mode.device for mode in others]
        key = kind, construct, kind.reset_parameters, *devices, torch.get_default_dtype(), repr(args), repr(kwargs)
        layer = _known.get(key)
        if layer is not None:
            vars(self).update(layer.again())
            return
        construct(self, *args, **kwargs)
        layer = _Layer.of(self)
        if layer is not None:
            while len(_known) >= MOST:
                del _known[next(iter(_known))]
            _known[key] = layer

    return init
