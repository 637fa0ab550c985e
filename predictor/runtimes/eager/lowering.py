"""Eager PyTorch: one dispatch per operator, in inference mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple

from predictor.kernels.families import FAMILIES
from predictor.ops import OPS, UNMODELLED, is_transcendental, is_wrapper, operator_of
from predictor.records import (
    TODAY,
    Graph,
    HostCall,
    HostRow,
    Kernel,
    OpCall,
    Program,
    Target,
    TensorSpec,
    Trait,
    Variant,
)

NAME = "eager"


def lower(graph: Graph, target: Target = TODAY) -> Program:
    """Graph -> host calls and their kernels, in issue order."""
    unmodelled: Counter[str] = Counter()
    calls = tuple(_host_calls(graph, unmodelled))
    return Program(NAME, graph.dtype, calls, graph.tail, dict(unmodelled), unsupported_reason(graph))


def unsupported_reason(graph: Graph) -> str:
    """Why torch cannot run a graph on a GPU, empty where it can."""
    for call in graph.leaves:
        if call.trait is not Trait.FFT or call.tensors[0].dtype not in _HALF:
            continue
        axes = call.args["dim"]
        for axis in axes if isinstance(axes, tuple) else (axes,):
            length = call.tensors[0].shape[int(axis)]
            if length & (length - 1):
                return f"cuFFT transforms half-precision tensors of powers of two only, not of {length}: --dtype fp32"
    return ""


_HALF = ("fp16", "bf16", "complex32")


def _leaves(call: OpCall) -> Iterator[OpCall]:
    if not call.parts and call.trait is not Trait.COMPOSITE:
        yield call
    for part in call.parts:
        yield from _leaves(part)


def host_call(call: OpCall, dtype: str, unmodelled: Counter[str]) -> HostCall:
    """One captured call on the host and the kernels of its parts. unmodelled: counts what nobody models."""
    leaves = tuple(_leaves(call))
    kernels: list[Kernel] = []
    for leaf in leaves:
        if leaf.trait is Trait.UNMODELLED:
            unmodelled[leaf.op] += 1
        kernels += _kernels(leaf, dtype)
    working = tuple(leaf.op for leaf in leaves if leaf.trait is not Trait.VIEW)
    row = _host_row(call, kernels)
    return HostCall(
        op=row.op,
        variant=row.variant,
        kernels=tuple(kernels),
        python=call.python,
        trait=call.trait,
        parts=tuple(_part(leaf) for leaf in leaves) if call.parts else _called(call),
        extra=working if is_wrapper(call.op) else tuple(op for op in working if op in NUMBERS),
        sync=any(leaf.trait is Trait.SYNC for leaf in leaves),
        elements=sum(o.elements for leaf in leaves if _computes_on_host(leaf) for o in leaf.outputs),
        origin=call.origin,
        macs=call.macs,
    )


NUMBERS = frozenset({"scalar_tensor"})
"""Parts that make a tensor of a number in the code, as ``where`` does: no timed example has one."""


def _same(call: OpCall) -> tuple[Any, ...]:
    """Equal for calls that are lowered alike, as long as they live: a capture gives repeated calls the same arguments
    and results, and so does the next one.
    """
    parts = call.parts
    return call.op, call.trait, id(call.args), id(call.outputs), tuple([_same(part) for part in parts]) if parts else ()


class _Lowered(NamedTuple):
    """What a call was lowered to, and what of it nobody models. call: it, so that nothing takes its arguments' places;
    values: of the fields of the host call.
    """

    call: OpCall
    values: tuple[Any, ...]
    unmodelled: Counter[str]

    def again(self, call: OpCall) -> HostCall:
        """The host call of another one. What the class itself makes, for half of its time."""
        host = object.__new__(HostCall)
        for put, value in zip(_PUT, self.values, strict=True):
            put(host, value)
        _put_python(host, call.python)
        _put_origin(host, call.origin)
        return host


MOST = 4096
"""Lowered calls that are kept, in this graph and for the next. One takes 2 kB."""

_known: dict[tuple[Any, ...], _Lowered] = {}


def _host_calls(graph: Graph, unmodelled: Counter[str]) -> Iterator[HostCall]:
    """All calls; repeated ones are lowered once."""
    for call in graph.calls:
        key = graph.dtype, len(OPS), _same(call)
        known = _known.get(key)
        if known is None:
            counted: Counter[str] = Counter()
            host = host_call(call, graph.dtype, counted)
            if len(_known) >= MOST:
                _known.clear()
            _known[key] = _Lowered(call, tuple([getattr(host, name) for name in _FIELDS]), counted)
        else:
            counted = known.unmodelled
            host = known.again(call)
        if counted:
            unmodelled += counted
        yield host


_PYTHON, _ORIGIN = "python", "origin"
_FIELDS = tuple(field.name for field in fields(HostCall) if field.name not in (_PYTHON, _ORIGIN))
_PUT = tuple(getattr(HostCall, name).__set__ for name in _FIELDS)
_put_python, _put_origin = getattr(HostCall, _PYTHON).__set__, getattr(HostCall, _ORIGIN).__set__


def _host_row(call: OpCall, kernels: list[Kernel]) -> HostRow:
    """The operator, and which of its paths it takes where they cost the host differently."""
    if call.trait is Trait.HOST:
        computes = Variant.HEAVY if is_transcendental(call.op) else Variant.USUAL
        return HostRow("host", Variant.VIEW if _is_view(call) else computes)
    if call.trait is Trait.POINTWISE and "other" in call.args:
        if len({t.shape for t in call.tensors}) > 1:
            return HostRow(call.op, Variant.BROADCAST)
        return HostRow(call.op, Variant.USUAL if isinstance(call.args["other"], TensorSpec) else Variant.SCALAR)
    variants = (FAMILIES[kernel.family].variant for kernel in kernels)
    return HostRow(call.op, next((variant for variant in variants if variant is not Variant.USUAL), Variant.USUAL))


def _computes_on_host(call: OpCall) -> bool:
    return call.trait is Trait.HOST and not _is_view(call)


def _called(call: OpCall) -> tuple[str, ...]:
    """Operators that one calls in torch's C++."""
    row = OPS.get(call.op)
    return () if row is None or row.calls is None else row.calls(call)


def _part(leaf: OpCall) -> str:
    """The row that a part of a call costs as: its own, or that of the one operator that it calls."""
    if _computes_on_host(leaf):
        return "host"
    called = _called(leaf)
    return called[0] if len(called) == 1 else leaf.op


def _is_view(call: OpCall) -> bool:
    return operator_of(call.op).trait is Trait.VIEW


def _kernels(call: OpCall, dtype: str) -> Iterator[Kernel]:
    if call.trait is Trait.HOST or (call.outputs and not any(o.elements for o in call.outputs)):
        return
    row = operator_of(call.op, call.trait is Trait.POINTWISE, call.trait is Trait.VIEW)
    if row is UNMODELLED and call.trait is not Trait.UNMODELLED:  # a copy to the device under another name
        return
    for kernel in row.lower(call):
        yield replace(kernel, dtype=_unit(kernel, dtype)) if FAMILIES[kernel.family].matrix else kernel


EIGHT_BITS = ("int8", "uint8", "fp8_e4m3", "fp8_e5m2")
"""Dtypes that matrix units take as they are, besides those of sixteen bits."""


def _unit(kernel: Kernel, dtype: str) -> str:
    """Which matrix units run it: fp32 convolutions and recurrent layers use TF32 by default in torch, matrix products
    only where allowed.
    """
    if kernel.dtype not in ("fp16", "bf16", "tf32", *EIGHT_BITS):
        return "tf32" if dtype == "tf32" or FAMILIES[kernel.family].tf32_by_default else "fp32"
    return kernel.dtype
