"""What torch says of an operator call: its arguments by name, its tensors, how it is registered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import torch
from torch._library.custom_ops import OPDEFS
from torch.utils._pytree import tree_leaves

from predictor.ops import OPS
from predictor.records import OpCall, TensorSpec, Trait

DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Dtype names of a prediction -> torch dtype of weights and activations."""


DTYPE_NAMES = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int16: "int16",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.bool: "bool",
    torch.float8_e4m3fn: "fp8_e4m3",
    torch.float8_e5m2: "fp8_e5m2",
    torch.complex32: "complex32",
    torch.complex64: "complex64",
    torch.complex128: "complex128",
}


NO_TRAFFIC = frozenset({Trait.VIEW, Trait.SYNC, Trait.HOST})


def spec_of(tensor: torch.Tensor) -> TensorSpec:
    """Shape, dtype and strides of a tensor."""
    stride = tuple(tensor.stride()) if tensor.layout == torch.strided else (1,) * tensor.dim()
    return TensorSpec(tuple(tensor.shape), DTYPE_NAMES.get(tensor.dtype, str(tensor.dtype)), stride)


def describe(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return spec_of(value)
    if isinstance(value, (list, tuple)):
        return tuple(describe(v) for v in value)
    if isinstance(value, (int, float, bool, str)) or value is None:
        return value
    return DTYPE_NAMES.get(value, str(value)) if isinstance(value, torch.dtype) else str(value)


def bind(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by their names in the operator's schema, in schema order, defaults filled in."""
    bound: dict[str, Any] = {}
    for position, argument in enumerate(func._schema.arguments):
        if position < len(args):
            bound[argument.name] = args[position]
        elif argument.name in kwargs:
            bound[argument.name] = kwargs[argument.name]
        elif argument.has_default_value():
            bound[argument.name] = argument.default_value
    return bound


def tensors_in(*values: Any) -> list[torch.Tensor]:
    """Tensors among values, those in lists included, in order."""
    items = [i for v in values for i in (v if isinstance(v, (list, tuple)) else (v,))]
    return [i for i in items if isinstance(i, torch.Tensor)]


def tensors_within(nested: Any) -> list[torch.Tensor]:
    """Tensors in lists, tuples and mappings, however deep, in order."""
    return [leaf for leaf in tree_leaves(nested) if isinstance(leaf, torch.Tensor)]


def is_view(func: Any) -> bool:
    aliases = [a.alias_info for a in func._schema.arguments if a.alias_info is not None]
    return bool(aliases) and not any(a.is_write for a in aliases)


@cache
def is_pointwise(func: Any) -> bool:
    """Torch's tag, which an in-place operator lacks where its out-of-place form has it."""
    name = func._schema.name.removeprefix("aten::")
    if torch.Tag.pointwise in func.tags or not name.endswith("_"):
        return torch.Tag.pointwise in func.tags
    out_of_place = getattr(torch.ops.aten, name.rstrip("_"), None)
    return out_of_place is not None and any(
        torch.Tag.pointwise in getattr(out_of_place, o).tags for o in out_of_place.overloads()
    )


def is_composite(func: Any) -> bool:
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))


def explicit_kernel(func: Any) -> Any:
    """The kernel of an operator that is made of other operators on every device, by its registration; None where it has
    none, or one of its own for the meta device or the GPU.
    """
    key = torch._C.DispatchKey.CompositeExplicitAutograd
    backend_keys = (torch._C.DispatchKey.Meta, torch._C.DispatchKey.CPU)
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    if func.namespace != "aten" or not has(func.name(), key) or any(has(func.name(), k) for k in backend_keys):
        return None
    return partial(func._op_dk, key)


def custom_kernel(func: Any) -> Any:
    """The Python that an operator of ``torch.library.custom_op`` runs on a GPU, None of others."""
    definition = OPDEFS.get(func._schema.name)
    return None if definition is None else definition._backend_fns.get("cuda", definition._backend_fns.get(None))


def is_mask(index: Any) -> bool:
    return isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8)


def selects(name: str, bound: Mapping[str, Any]) -> bool:
    """Whether a call reads or writes where a mask is true. A single number is written by the mask itself."""
    if name == "masked_select":
        return True
    if name == "index":
        return any(map(is_mask, bound["indices"]))
    if name in ("index_put", "index_put_"):
        return any(map(is_mask, bound["indices"])) and bound["values"].numel() != 1
    return False


def name_of(func: Any) -> str:
    """The name of an operator as its row has it: with its overload where the row is that overload's alone."""
    name: str = func._schema.name.removeprefix("aten::")
    with_overload = f"{name}.{func._overloadname}"
    return with_overload if with_overload in OPS else name


def traffic(call: OpCall) -> tuple[int, int]:
    """Bytes read and written: those of the parts, none for a view, the gathered rows alone for a gather."""
    if call.parts:
        return sum(p.bytes_read for p in call.parts), sum(p.bytes_written for p in call.parts)
    if call.trait in NO_TRAFFIC:
        return 0, 0
    row = OPS.get(call.op)
    if row is not None and row.traffic is not None:
        return row.traffic(call)
    written = sum(o.nbytes for o in call.outputs)
    return (written if call.trait is Trait.GATHER else sum(t.nbytes for t in call.tensors)), written
