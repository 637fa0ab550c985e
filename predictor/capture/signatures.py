"""What an operator makes of arguments whose specs were seen before, in any capture of this process.

Shapes, strides and dtypes of results are a function of the operator and of its arguments' specs and numbers. Torch
computes them on the meta device in Python; here that is done once for each signature. A later call with the same
signature gets results of the same specs, aliases where the first had aliases, and the same record.

Only what is plain is remembered: operators of torch's own, in inference mode, on floating-point or integer tensors of
the meta device alone. What reads values, writes into more than its first argument, changes a tensor's shape, or is
given a subclass, a wrapped or a complex tensor goes the slow way every time. ``SLOW`` in the environment switches it
off; both ways give the same graph.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum, auto
from typing import Any, NamedTuple

import torch

from predictor.capture.assumptions import RESTS_ON
from predictor.capture.calls import DTYPE_NAMES, tensors_in
from predictor.capture.capture_mode import ON_HOST
from predictor.ops import OPS
from predictor.records import UNKNOWN_ORIGIN, CaptureMode, CaptureOptions, OpCall, Origin, PythonWork, Trait

SLOW = "PREDICTOR_CAPTURE_SLOW"
"""Environment variable: anything but "" and "0" makes torch compute every result anew."""

MOST = 8192
"""Signatures that are kept, the first come is the first to go. One takes 2 to 10 kB."""

Key = tuple[Any, ...]

_DTYPES = frozenset(dtype for dtype in DTYPE_NAMES if not dtype.is_complex)
_TENSORS = (torch.Tensor, torch.nn.Parameter)
_NAMES = (torch.dtype, torch.device, torch.layout, torch.memory_format)
_NO_PLAIN_RESULTS = frozenset({Trait.SYNC, Trait.HOST})
_OFFSETS_OF_THEIR_OWN = frozenset({"as_strided"})
_empty_strided = torch._C._VariableFunctions.empty_strided  # type: ignore[attr-defined]
_NO_PYTHON = PythonWork()
_META, _CPU = torch.device("meta"), torch.device("cpu")


class Way(Enum):
    """How the results of a call were made, and are made again. BY_SPECS: computed from the specs of its arguments;
    AS_GIVEN: from their values, by the operator itself on the CPU; ON_CPU: the same where the call names another
    device; UNKNOWN: in another way, which goes for this call alone.
    """

    BY_SPECS = auto()
    AS_GIVEN = auto()
    ON_CPU = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Result:
    """A result: the argument of this number itself (``argument`` without ``size``), a view of it, or a tensor of its
    own (``argument`` -1). offset: of a view, from its argument's. made, number: of the value that it holds, counted
    from the first value that the call has made, or else the position of the input that holds it.
    """

    argument: int
    size: tuple[int, ...] | None
    stride: tuple[int, ...]
    dtype: torch.dtype
    offset: int
    made: bool
    number: int

    def of(self, arguments: Sequence[torch.Tensor]) -> torch.Tensor:
        """The result for arguments."""
        if self.size is None:
            return arguments[self.argument]
        if self.argument < 0:
            made: torch.Tensor = _empty_strided(self.size, self.stride, dtype=self.dtype, device=_META)
            return made
        base = arguments[self.argument]
        return base.as_strided(self.size, self.stride, base.storage_offset() + self.offset)

    def is_of(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor on the CPU has the spec of the result."""
        return (
            tensor.shape == self.size
            and tensor.stride() == self.stride
            and tensor.dtype is self.dtype
            and not tensor.is_meta
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """What a call of an operator gave.

    template: of its record; inputs: of its ``input_ids``, positions among the tensors of the arguments; values: how
    many it made; container: what it returned its results in, None for one tensor; assumed: what it took for granted;
    operators: that ran for it.
    """

    way: Way
    template: _Template
    inputs: tuple[int, ...]
    values: int
    results: tuple[Result, ...]
    container: type | None
    assumed: tuple[str, ...]
    operators: tuple[Any, ...]

    def results_of(
        self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], tensors: Sequence[torch.Tensor]
    ) -> list[torch.Tensor] | None:
        """Results for other arguments of the same signature, tensors those among them. None where values have decided
        on the shape of one.
        """
        if self.way is Way.BY_SPECS:
            return [result.of(tensors) for result in self.results]
        try:
            made = func(*args, **(kwargs if self.way is Way.AS_GIVEN else {**kwargs, "device": _CPU}))
        except (RuntimeError, NotImplementedError):
            return None
        results = [made] if self.container is None else list(made)
        same = len(results) == len(self.results) and all(map(Result.is_of, self.results, results))
        return results if same else None


@dataclass(slots=True)
class Repeated:
    """A call whose signature was seen before. input_ids: values that it reads; first: the last value made before it."""

    signature: Signature
    input_ids: tuple[int, ...]
    first: int
    origin: Origin

    @property
    def op(self) -> str:
        """The operator."""
        return self.signature.template.noted.op

    def call(self, python: PythonWork = _NO_PYTHON) -> OpCall:
        """The record of it."""
        return self.signature.template.call(self.input_ids, self.first, self.origin, python)


@dataclass(frozen=True, slots=True)
class _Template:
    """A call without the numbers of its values. reads, makes: for each of ``input_ids`` and ``output_ids`` the number
    counted from the last value before the whole operator, or else, negative, the position among the operator's
    ``input_ids``, from -1 down.
    """

    noted: OpCall
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    parts: tuple[_Template, ...]

    @classmethod
    def of(cls, call: OpCall, inputs: Mapping[int, int], first: int) -> _Template:
        """inputs: value -> position among the operator's ``input_ids``; first: the last value before it."""

        def relative(values: Sequence[int]) -> tuple[int, ...]:
            return tuple(value - first if value > first else ~inputs[value] for value in values)

        parts = tuple(cls.of(part, inputs, first) for part in call.parts)
        return cls(call, relative(call.input_ids), relative(call.output_ids), parts)

    def call(self, input_ids: Sequence[int], first: int, origin: Origin, python: PythonWork) -> OpCall:
        """The record of a call. What ``dataclasses.replace`` makes, for a tenth of its time."""
        noted, made = self.noted, _new(OpCall)
        _set_op(made, noted.op)
        _set_args(made, noted.args)
        _set_outputs(made, noted.outputs)
        _set_trait(made, noted.trait)
        _set_macs(made, noted.macs)
        _set_bytes_read(made, noted.bytes_read)
        _set_bytes_written(made, noted.bytes_written)
        _set_python(made, python)
        parts = self.parts
        _set_parts(made, tuple([part._part(input_ids, first, origin) for part in parts]) if parts else ())
        _set_input_ids(made, tuple([first + i if i >= 0 else input_ids[~i] for i in self.reads]))
        _set_output_ids(made, tuple([first + i if i >= 0 else input_ids[~i] for i in self.makes]))
        _set_origin(made, origin)
        _set_times(made, noted.times)
        return made

    def _part(self, input_ids: Sequence[int], first: int, origin: Origin) -> OpCall:
        noted = self.noted
        return self.call(input_ids, first, noted.origin if noted.origin is UNKNOWN_ORIGIN else origin, noted.python)


_new = object.__new__
(
    _set_op,
    _set_args,
    _set_outputs,
    _set_trait,
    _set_macs,
    _set_bytes_read,
    _set_bytes_written,
    _set_python,
    _set_parts,
    _set_input_ids,
    _set_output_ids,
    _set_origin,
    _set_times,
) = (getattr(OpCall, field.name).__set__ for field in fields(OpCall))


_known: dict[Key, Signature] = {}


def is_on() -> bool:
    """Whether calls are remembered."""
    return os.environ.get(SLOW, "") in ("", "0")


def context_of(mode: CaptureMode, options: CaptureOptions) -> int:
    """The number of what decides besides a call: mode and options of a capture, and how many operators have a row."""
    return _contexts.setdefault((mode, options, len(OPS)), len(_contexts))


_contexts: dict[tuple[CaptureMode, CaptureOptions, int], int] = {}


def forget() -> None:
    """Forget every signature."""
    _known.clear()


class Keyed(NamedTuple):
    """A call that can be remembered: its key and the tensors among its arguments, in order."""

    key: Key
    tensors: list[torch.Tensor]


def find(call: Keyed) -> Signature | None:
    """What a call gave before; None for one that was not seen."""
    return _known.get(call.key)


def keyed(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None, context: int, stays: bool, makes: bool = False
) -> Keyed | None:
    """The key of a call; None where it is to go the slow way. context: see ``context_of``; stays: it is part of an
    operator that runs on the device; makes: of one on tensors of the device whose values are known.
    """
    if func.namespace != "aten" or not torch.is_inference_mode_enabled():
        return None
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return None
    parts: list[Any] = [id(func), context, stays, makes, torch.get_default_dtype()]
    tensors: list[torch.Tensor] = []
    for value in args:
        if not add_to_key(value, parts, tensors):
            return None
    if kwargs:
        for name, value in kwargs.items():
            parts.append(name)
            if not add_to_key(value, parts, tensors):
                return None
    if len(tensors) > 1:
        places = {id(tensor): place for place, tensor in enumerate(tensors)}
        if len(places) < len(tensors):
            parts.append(tuple([places[id(tensor)] for tensor in tensors]))
    return Keyed(tuple(parts), tensors)


_SEQUENCE, _END, _TRUE, _FALSE, _WITH_VALUES = object(), object(), object(), object(), object()


def add_to_key(value: Any, parts: list[Any], tensors: list[torch.Tensor]) -> bool:
    """Put into a key what an argument says; False where it is nothing plain."""
    kind = type(value)
    if kind in _TENSORS:
        dtype = value.dtype
        if dtype not in _DTYPES or value.is_neg() or value.layout is not torch.strided or value.is_nested:
            return False
        if value.is_cpu:
            parts.append(_WITH_VALUES)
        elif not value.is_meta:
            return False
        if (noted := value.__dict__) and (ON_HOST in noted or RESTS_ON in noted):
            return False
        parts += (value.shape, value.stride(), dtype, value.requires_grad)
        tensors.append(value)
    elif value is None or kind is int or kind is str or kind in _NAMES:
        parts.append(value)
    elif kind is bool:
        parts.append(_TRUE if value else _FALSE)
    elif kind is float:
        parts += (float, repr(value))
    elif kind in (list, tuple, torch.Size):
        parts.append(_SEQUENCE)
        for item in value:
            if not add_to_key(item, parts, tensors):
                return False
        parts.append(_END)
    else:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Before:
    """What there was before a call. numbers: of the values that its tensors held; specs: theirs, see ``specs_of``;
    values: made so far; foreign: tensors met that no operator has made; assumed: how often, by assumption.
    """

    numbers: tuple[int, ...]
    specs: list[Any]
    values: int
    foreign: int
    assumed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class After:
    """What there is after it.

    way: how its results were made; numbers, output_ids: of the values that its tensors and its results hold; values:
    made so far; assumed: by this call; operators: that ran for it, itself the last.
    """

    call: OpCall
    result: Any
    way: Way
    values: int
    numbers: tuple[int, ...]
    output_ids: tuple[int, ...]
    assumed: tuple[str, ...]
    operators: tuple[Any, ...]


def remember(of: Keyed, before: Before, after: After) -> None:
    """Keep what a call gave, where a repetition is sure to give the same."""
    func, call, first, tensors = after.operators[-1], after.call, before.values, of.tensors
    container = None if isinstance(after.result, torch.Tensor) else type(after.result)
    outputs = tensors_in(after.result)
    if container not in (None, list, tuple) or (container is not None and len(outputs) != len(after.result)):
        return
    if after.way is Way.UNKNOWN or call.trait in _NO_PLAIN_RESULTS or not outputs:
        return
    if not _is_plain_write(func, tensors, outputs) or (after.way is not Way.BY_SPECS and func._schema.is_mutable):
        return
    if before.specs != specs_of(tensors) or not _keeps_values(tensors, before, after, outputs):
        return
    places = {number: place for place, number in reversed(list(enumerate(before.numbers)))}
    positions = {number: position for position, number in enumerate(call.input_ids)}
    if not _is_known(call, positions, first, call.origin):
        return
    results: list[Result] = []
    for output, number in zip(outputs, after.output_ids, strict=True):
        result = (_result_of if after.way is Way.BY_SPECS else _value_of)(func, output, number, tensors, places, first)
        if result is None:
            return
        results.append(result)
    if after.way is Way.BY_SPECS and _share_memory(results, outputs):
        return
    while len(_known) >= MOST:
        del _known[next(iter(_known))]
    _known[of.key] = Signature(
        after.way,
        _Template.of(call, positions, first),
        tuple(places[number] for number in call.input_ids),
        after.values - first,
        tuple(results),
        container,
        after.assumed,
        after.operators,
    )


def _keeps_values(tensors: Sequence[Any], before: Before, after: After, outputs: Sequence[Any]) -> bool:
    """Whether the arguments hold the values that they held, those apart that are returned."""
    returned = {id(output) for output in outputs}
    return all(
        old == new or id(tensor) in returned
        for tensor, old, new in zip(tensors, before.numbers, after.numbers, strict=True)
    )


def specs_of(tensors: Sequence[torch.Tensor]) -> list[Any]:
    """What an operator may change of its arguments."""
    return [(t.shape, t.stride(), t.dtype, t.storage_offset(), t.untyped_storage()._cdata) for t in tensors]


def _is_plain_write(func: Any, tensors: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> bool:
    """Whether an operator writes into nothing, or into its first argument, which it returns."""
    written = [a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments]
    if not any(written):
        return True
    return written[0] and sum(written) == 1 and len(outputs) == 1 and outputs[0] is tensors[0]


def _is_known(call: OpCall, numbers: Mapping[int, int], first: int, origin: Origin) -> bool:
    """Whether a call reads and gives what its arguments hold and what it has made itself, where its parts come from."""
    if not all(i > first or i in numbers for i in (*call.input_ids, *call.output_ids)):
        return False
    if call.origin is not UNKNOWN_ORIGIN and call.origin is not origin:
        return False
    return all(_is_known(part, numbers, first, origin) for part in call.parts)


def _result_of(
    func: Any, output: Any, number: int, tensors: Sequence[Any], numbers: Mapping[int, int], first: int
) -> Result | None:
    plain = type(output) is torch.Tensor or any(output is tensor for tensor in tensors)
    if not plain or not output.is_meta or output.dtype not in _DTYPES or output.is_neg() or output.requires_grad:
        return None
    if output.layout is not torch.strided or output.is_nested or ON_HOST in output.__dict__:
        return None
    made = number > first
    if not made and number not in numbers:
        return None
    number = number - first if made else numbers[number]
    size, stride, dtype = tuple(output.shape), output.stride(), output.dtype
    for place, tensor in enumerate(tensors):
        if output is tensor:
            return Result(place, None, stride, dtype, 0, made, number)
    memory = output.untyped_storage()._cdata
    for place, tensor in enumerate(tensors):
        if tensor.untyped_storage()._cdata == memory:
            if tensor.dtype != dtype or func._schema.name.removeprefix("aten::") in _OFFSETS_OF_THEIR_OWN:
                return None
            offset = output.storage_offset() - tensor.storage_offset()
            return Result(place, size, stride, dtype, offset, made, number)
    return None if output.storage_offset() else Result(-1, size, stride, dtype, 0, made, number)


def _value_of(
    func: Any, output: Any, number: int, tensors: Sequence[Any], numbers: Mapping[int, int], first: int
) -> Result | None:
    """A result that is computed from values."""
    plain = type(output) is torch.Tensor and not output.is_meta and output.layout is torch.strided
    if not plain or hasattr(output, RESTS_ON) or hasattr(output, ON_HOST) or number <= first:
        return None
    return Result(-1, tuple(output.shape), output.stride(), output.dtype, 0, True, number - first)


def _share_memory(results: Sequence[Result], outputs: Sequence[torch.Tensor]) -> bool:
    """Whether two results that are no views of an argument are views of the same memory."""
    own = [o.untyped_storage()._cdata for r, o in zip(results, outputs, strict=True) if r.argument < 0]
    return len(set(own)) < len(own)
