"""Where an operator call runs, the device or the host, and which tensors keep their values in a capture."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from predictor.capture.calls import (
    is_composite,
    is_view,
    tensors_in,
)
from predictor.capture.capture_mode import ON_HOST
from predictor.capture.stand_ins import MOST_KEPT_ELEMENTS, MOST_KEPT_FLOATS
from predictor.ops import OPS
from predictor.records import Trait


def on_one_device(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Real tensors join meta ones when both meet in one call; a real tensor is never moved off the CPU."""
    device = kwargs.get("device")
    kinds: set[bool] = set()
    tree_map_only(torch.Tensor, lambda t: kinds.add(t.is_meta), (args, kwargs))
    if kinds == {True, False}:
        moved: tuple[Any, Any] = tree_map_only(torch.Tensor, to_meta, (args, kwargs))
        return moved
    if kinds == {False} and device is not None and torch.device(device).type == "meta":
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if kinds == {False} and any(isinstance(a, torch.device) for a in args):
        args = tuple(torch.device("cpu") if isinstance(a, torch.device) and a.type == "meta" else a for a in args)
    return args, kwargs


CONTRACTIONS = frozenset({Trait.GEMM, Trait.PRODUCT, Trait.CONV, Trait.ATTENTION, Trait.UNMODELLED})


LARGE_PRODUCT = 2**32
"""Elements of two operands, multiplied: for square matrices of n x n it is n^4, and n^3 multiplications."""


MOST_SORTED = 2**20
"""Integers of the largest tensor that is really sorted: about 0.3 s on a CPU."""

MOST_SUMMED = 2**22
"""Integers of the largest tensor that is really summed up along a dimension: about 0.3 s on a CPU."""

_MOST = {Trait.SORT: MOST_SORTED, Trait.SCAN: MOST_SUMMED}


def without_large_values(func: Any, trait: Trait, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of a call on real tensors; on meta where a tensor in it has more elements than a capture keeps, and
    where a product, a sort or a sum would take long. An operator that is split comes here with its parts.
    """
    if trait is Trait.UNMODELLED and is_composite(func):
        return args, kwargs
    leaves = tree_leaves((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    if any(t.is_meta for t in tensors) or func._schema.is_mutable or (is_view(func) and not is_composite(func)):
        return args, kwargs
    most = _MOST.get(trait, MOST_KEPT_ELEMENTS)
    bound = 1
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            bound *= max(1, leaf.numel())
        elif isinstance(leaf, int):
            bound *= max(1, abs(leaf))
    if bound <= most:
        return args, kwargs
    meta = torch.device("meta")
    on_meta = tree_map_only(torch.Tensor, to_meta, (args, kwargs))
    on_meta = tree_map_only(torch.device, lambda _: meta, on_meta)
    if not tensors and any(a.name == "device" for a in func._schema.arguments):
        on_meta = (on_meta[0], {**on_meta[1], "device": meta})
    try:
        result = func(*on_meta[0], **on_meta[1])
    except Exception:  # its result depends on values: it runs on them
        return args, kwargs
    large = any(t.numel() > most for t in (*tensors, *tensors_in(result)))
    return on_meta if large or (trait in CONTRACTIONS and bound > LARGE_PRODUCT) else (args, kwargs)


def uploaded(result: torch.Tensor) -> torch.Tensor:
    """The same values in a tensor without the mark: it was copied to the device."""
    return result.detach()


def asks_for(kind: str, args: Any, kwargs: Any) -> bool:
    """Whether a call names a device of a kind."""
    device = kwargs.get("device") or next((a for a in args if isinstance(a, torch.device)), None)
    return device is not None and torch.device(device).type == kind


NAMING_A_DEVICE = ("to", "type_as")
"""Operators that may name a device by a tensor there."""


def named_by_tensor(name: str, args: Any) -> torch.Tensor | None:
    """The tensor by which a call names the device: ``x.to(y)``, ``x.type_as(y)``."""
    other = args[1] if name in NAMING_A_DEVICE and len(args) > 1 else None
    return other if isinstance(other, torch.Tensor) else None


def is_on_host(tensor: torch.Tensor) -> bool:
    """Whether a tensor was made on the host."""
    return bool(getattr(tensor, ON_HOST, False))


def placement(name: str, args: Any, kwargs: Any) -> str:
    """Where an operator of a name runs: "device", "host" (on host tensors alone, or made there), "upload" (host to
    device, which waits for the device), "download" (device to host, which waits, too), "factory" (made on the device
    from no tensor).
    """
    tensors: list[torch.Tensor] = []
    tree_map_only(torch.Tensor, tensors.append, (args, kwargs))
    to_device = asks_for("meta", args, kwargs)
    if not tensors:
        return "factory" if to_device else "host"
    other = named_by_tensor(name, args)
    if other is not None:
        here, there = is_on_host(args[0]), is_on_host(other)
        return ("host" if there else "upload") if here else ("download" if there else "device")
    if not all(map(is_on_host, tensors)):
        return "download" if asks_for("cpu", args, kwargs) and len(tensors) == 1 else "device"
    return "upload" if to_device else "host"


def has_known_values(name: str, result: Any) -> bool:
    """Whether a tensor made on the device keeps its values, on the CPU: integers, booleans and small constants."""
    if not isinstance(result, torch.Tensor):
        return False
    if result.numel() > MOST_KEPT_ELEMENTS:
        return False
    whole = not (result.is_floating_point() or result.is_complex())
    return whole or (name in OPS and OPS[name].is_constant_factory and result.numel() <= MOST_KEPT_FLOATS)


def has_known_integers(result: torch.Tensor) -> bool:
    """Whether a tensor filled with a number in the shape of another keeps its values. A mask does not: what is written
    into it is mostly not known.
    """
    whole = not (result.is_floating_point() or result.is_complex() or result.dtype == torch.bool)
    return whole and result.numel() <= MOST_KEPT_ELEMENTS


def run_real_or_meta(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operator; real tensors for which the CPU has no kernel (half precision) give up their values."""
    try:
        return func(*args, **kwargs)
    except (RuntimeError, NotImplementedError):
        if not has_real(args, kwargs):
            raise
        return func(*tree_map_only(torch.Tensor, to_meta, args), **tree_map_only(torch.Tensor, to_meta, kwargs))


def has_real(*values: Any) -> bool:
    tensors: list[torch.Tensor] = []
    tree_map_only(torch.Tensor, tensors.append, values)
    return any(not t.is_meta for t in tensors)


def has_meta(*values: Any) -> bool:
    tensors: list[torch.Tensor] = []
    tree_map_only(torch.Tensor, tensors.append, values)
    return any(t.is_meta for t in tensors)


def to_meta(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.is_meta else tensor.to("meta")
