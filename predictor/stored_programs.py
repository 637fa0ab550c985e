"""Lowered programs as data: what pricing needs of them, in a few kilobytes that are read in a tenth of a millisecond.

Calls are numbers of their kinds, kernels numbers of rows of dimensions; arrays are stored as they lie in memory,
compressed. Where an operator comes from, its tensors and what a report says of it are left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from predictor.lowered import Lowered
from predictor.pricing.program import call_table
from predictor.records import (
    CallTable,
    HostCall,
    Kernel,
    KernelGroup,
    Program,
    PythonWork,
    SizedProgram,
    Trait,
    Variant,
)

FORM = 2
"""Version of what is written."""

LEVEL = 1
"""Of compression: more saves a tenth of the size."""


class StoredProgram(NamedTuple):
    """A program at one size that can be priced, and its calls by their kinds. Of a stored one no call is known, so that
    there is no report of it.
    """

    lowered: Lowered
    table: CallTable


def stored(lowered: Lowered) -> StoredProgram:
    """What pricing needs of a program."""
    return StoredProgram(lowered, call_table(lowered.program.program))


def to_bytes(program: StoredProgram) -> bytes:
    """A program at one size as a file's content."""
    lowered, table = program
    sized = lowered.program
    whole = sized.program
    data = [
        FORM,
        [lowered.name, lowered.dtype, lowered.batches[0], int(lowered.macs[0])],
        [lowered.operators, lowered.module_calls, lowered.python_calls],
        [whole.runtime, whole.dtype, whole.unsupported_reason, _python(whole.tail)],
        _kinds_to_bytes(table.kinds),
        [[g.family, g.dtype, g.in_graph, list(g.dims), _bytes(np.stack(list(g.dims.values())))] for g in sized.groups],
        [_bytes(a) for a in (table.kind_of, table.distance, table.cold_lines, table.cold_modules, table.functions)],
        [_bytes(array) for array in (sized.kernel_of, sized.first_kernel, lowered.group_of_kernel)],
        [_bytes(array) for array in (sized.sync, sized.elements, sized.call_times)],
        [_bytes(array) for array in (sized.kernel_times, sized.kernel_share)],
    ]
    return zlib.compress(msgspec.msgpack.encode(data), LEVEL)


def from_bytes(content: bytes) -> StoredProgram | None:
    """The inverse of ``to_bytes``; None for what another version of the program wrote."""
    data = msgspec.msgpack.decode(zlib.decompress(content))
    if data[0] != FORM:
        return None
    (name, dtype, batch, macs), counts, (runtime, program_dtype, reason, tail), kinds, groups = data[1:6]
    kind_of, *python = data[6]
    kernel_of, first_kernel, group_of_kernel = (_integers(array) for array in data[7])
    sync, elements, call_times = data[8]
    kernel_times, kernel_share = data[9]
    sized = SizedProgram(
        program=Program(runtime, program_dtype, (), PythonWork(*tail), {}, reason),
        sizes=1,
        groups=tuple(_group(*group) for group in groups),
        kernel_of=kernel_of,
        first_kernel=first_kernel,
        sync=np.frombuffer(sync, dtype=bool),
        elements=_numbers(elements)[None],
        call_times=_numbers(call_times),
        kernel_times=_numbers(kernel_times),
        kernel_share=_numbers(kernel_share),
    )
    lowered = Lowered(
        name=name,
        dtype=dtype,
        batches=(batch,),
        program=sized,
        macs=np.array([macs], dtype=np.int64),
        call_macs=np.zeros((1, 0)),
        operators=counts[0],
        module_calls=counts[1],
        python_calls=counts[2],
        versions={},
        ops=(),
        op_of_call=np.zeros(0, dtype=np.int64),
        group_of_kernel=group_of_kernel,
    )
    table = CallTable(_kinds_from_bytes(kinds), _integers(kind_of), *(_numbers(array) for array in python))
    return StoredProgram(lowered, table)


def _group(family: str, dtype: str, in_graph: bool, names: Sequence[str], content: bytes) -> KernelGroup:
    dims = _numbers(content).reshape(len(names), 1, -1)
    return KernelGroup(family, dtype, in_graph, dict(zip(names, dims, strict=True)))


def _kinds_to_bytes(kinds: Sequence[HostCall]) -> bytes:
    return msgspec.msgpack.encode(
        [
            [
                *(call.op, call.variant, call.trait, call.parts, call.extra, call.elements > 0, call.uncompiled),
                [(kernel.family, kernel.dtype, kernel.times) for kernel in call.kernels],
            ]
            for call in kinds
        ]
    )


@lru_cache(maxsize=4096)
def _kinds_from_bytes(content: bytes) -> tuple[HostCall, ...]:
    """Calls of each kind, without what sets calls of one kind apart."""
    return tuple(
        HostCall(
            op,
            tuple(Kernel(family, dtype, {}, times) for family, dtype, times in kernels),
            PythonWork(),
            Trait(trait),
            tuple(parts),
            tuple(extra),
            elements=int(has_elements),
            variant=Variant(variant),
            uncompiled=uncompiled,
        )
        for op, variant, trait, parts, extra, has_elements, uncompiled, kernels in msgspec.msgpack.decode(content)
    )


def _python(work: PythonWork) -> list[float]:
    return [work.calls, work.cold_lines, work.cold_modules]


def _bytes(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def _integers(content: bytes) -> NDArray[np.int64]:
    return np.frombuffer(content, dtype=np.int64)


def _numbers(content: bytes) -> NDArray[np.float64]:
    return np.frombuffer(content, dtype=np.float64)
