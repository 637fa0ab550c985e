"""Stored programs."""

from __future__ import annotations

from dataclasses import replace

from calibrate.samples.programs import restored, stored
from predictor.records import NEXT_GRAPH, HostCall, Program, PythonWork, Trait


def test_a_program_from_before_graphs_were_counted_has_one_more_behind_each_read() -> None:
    """Funnel's, on the H200: its three reads cost a pass's fixed time each."""
    item = HostCall("item", (), PythonWork(), Trait.SYNC, sync=True)
    loop = HostCall("triton", (), PythonWork(), Trait.POINTWISE)
    before = Program("compile", "fp16", (loop, item, loop), PythonWork(), {})
    found = restored(stored(before)).calls
    assert [(call.op, call.uncompiled) for call in found] == [
        *(("triton", False), ("item", True), (NEXT_GRAPH, False), ("triton", False)),
    ]
    assert restored(stored(replace(before, calls=found))).calls == found
    assert restored(stored(replace(before, runtime="eager"))).calls == before.calls
