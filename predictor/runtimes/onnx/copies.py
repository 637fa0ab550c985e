"""Nodes that a session runs on the CPU beside the GPU, and the copies that it puts between the two.

A value is copied once each way, whoever reads it, and the host waits for it: on the way back for the driver, as the
memory is pageable, but not for a few kilobytes. Results of a session are bound to the device's memory, its inputs to
where their first reader runs, but for strings, which no device holds. A kernel takes shapes, axes and counts from the
CPU, where they lie already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from predictor.kernels.host_copies import HOST_COPY, STAGED
from predictor.ops import onnx_form
from predictor.ops.placement import ON_CPU, READ_ON_CPU, SIZES, WEIGHTS
from predictor.records import HostCall, Kernel, OpCall, PythonWork, TensorSpec, Trait

TO_HOST, FROM_HOST = "MemcpyToHost", "MemcpyFromHost"
"""ONNX Runtime's names of the copies."""

COPIED = {TO_HOST: "what the GPU made is read on the CPU", FROM_HOST: "what the CPU made is read on the GPU"}
"""Why a copy is there."""

MACS_PER_ELEMENT = 500
"""Multiply-accumulates that a CPU does in the time of an element of a pass (``pricing.program.CPU_ELEMENT_S``), 4.2e12
in a second on the H200's host. Measured: MatMulInteger of 1,024 rows of BERT's sizes, beyond ``PRODUCT_ELEMENTS``.
"""

PRODUCT_ELEMENTS = 250_000
"""Elements of a pass that take as long as a product on the CPU takes to begin: its operands are packed, its threads
wake up. Measured: MatMulInteger of 128 rows took 113 us, of 1,024 rows 577 (benchmarks/onnx_files, dynamic_bert).
"""

FEW = 16
"""Whole numbers up to which a tensor counts as a shape, axes or counts."""


def issued(
    calls: Sequence[OpCall], outputs: Sequence[int], lower: Callable[[OpCall], Iterable[HostCall]]
) -> Iterator[HostCall]:
    """Host calls of nodes in order, with the copies that they need. lower: of a node that runs on the GPU."""
    made = {value for call in calls for value in call.output_ids}
    on_cpu: dict[int, TensorSpec] = {}
    read: set[int] = set()
    copied: set[tuple[int, str]] = set()

    def copy(value: int, tensor: TensorSpec, way: str, times: int) -> Iterator[HostCall]:
        if (value, way) not in copied and tensor.dtype != "string" and tensor.elements:
            copied.add((value, way))
            kernel = Kernel(HOST_COPY, tensor.dtype, {"bytes": tensor.nbytes, "pageable": float(way == FROM_HOST)})
            waits = way == TO_HOST or tensor.nbytes > STAGED
            yield HostCall(way, (kernel,), PythonWork(), Trait.SYNC, sync=waits, times=times)

    for call in calls:
        values = list(zip(call.input_ids, call.tensors, strict=False))
        bound = {value for value, _ in values if value not in made and value not in read}
        read.update(value for value, _ in values)
        if call.trait is not Trait.HOST:
            for position, (value, tensor) in enumerate(values):
                counts = position and tensor.elements <= FEW and tensor.dtype in ("int64", "int32")
                if value in on_cpu and not counts and position not in READ_ON_CPU.get(call.op, ()):
                    yield from copy(value, tensor, FROM_HOST, call.times)
            yield from lower(call)
            if call.op in SIZES:
                on_cpu.update(zip(call.output_ids, call.outputs, strict=False))
            continue
        beside = call.args.get(WEIGHTS, ())
        for position, (value, tensor) in enumerate(values):
            if value in bound:
                on_cpu[value] = tensor
            elif value not in on_cpu and position not in beside:
                yield from copy(value, tensor, TO_HOST, call.times)
        yield from computed(call)
        on_cpu.update(zip(call.output_ids, call.outputs, strict=False))
    for value in outputs:
        if value in on_cpu:
            yield from copy(value, on_cpu[value], FROM_HOST, 1)


HALF = ("fp16", "bf16")
"""Dtypes that the CPU computes nothing in: a cast stands before and behind a node."""


def computed(call: OpCall) -> Iterator[HostCall]:
    """A node that the CPU computes: its elements, but those of weights, which its products count; with the casts around
    it where it has no kernel in half precision.
    """
    weights = call.args.get(WEIGHTS, ())
    read = [tensor for position, tensor in enumerate(call.tensors) if position not in weights]
    most = max((t.elements for t in (*read, *call.outputs)), default=1)
    products = PRODUCT_ELEMENTS + call.macs // MACS_PER_ELEMENT if call.macs else 0
    form = onnx_form(call.op)
    elements = (form.cpu_elements(call) if form.cpu_elements else most * form.cpu_passes) + products
    whole = HostCall(call.op, (), PythonWork(), Trait.HOST, elements=elements, origin=call.origin, times=call.times)
    computed = replace(whole, macs=call.macs)
    yield from (replace(whole, op="Cast", elements=t.elements) for t in read if t.dtype in HALF)
    yield computed
    yield from (replace(whole, op="Cast", elements=t.elements) for t in call.outputs if t.dtype in HALF)


def reasons(calls: Sequence[OpCall], issued_calls: Sequence[HostCall]) -> dict[str, str]:
    """What runs on the CPU, the copies included -> why."""
    found = {call.op: str(call.args.get(ON_CPU, "")) for call in calls if call.trait is Trait.HOST}
    ways = {call.op for call in issued_calls} if found else set()
    return found | {way: why for way, why in COPIED.items() if way in ways}
