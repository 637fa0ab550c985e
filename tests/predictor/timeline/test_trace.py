"""Chrome traces: slices nest as modules do, arrows lead from calls to kernels, measured traces come beside."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from predictor.errors import PredictorError
from predictor.plans import Plan
from predictor.records import Lane, Origin, Span
from predictor.timeline.trace import chrome_trace, with_measured

HOST, DEVICE = 1, 2


def span(lane: Lane, start_s: float, end_s: float, module: str, kernel: str = "") -> Span:
    return Span(lane, start_s, end_s, "linear", kernel, Origin(module, "model.py", 3))


TWO = (
    span(Lane.HOST, 0.0, 1e-6, "encoder.0.query"),
    span(Lane.DEVICE, 2e-6, 5e-6, "encoder.0.query", "gemm"),
    span(Lane.HOST, 1e-6, 3e-6, "encoder.0.key"),
    span(Lane.DEVICE, 5e-6, 9e-6, "encoder.0.key", "gemm"),
)


def slices(events: list[dict[str, Any]], thread: int) -> list[tuple[int, str, float, float]]:
    """(Depth, name, beginning, end) of a thread, in the order of their beginnings; what does not nest is an error."""
    found: list[tuple[int, str, float, float]] = []
    open_slices: list[tuple[int, dict[str, Any]]] = []
    last = 0.0
    for event in (e for e in events if e.get("tid") == thread and e["ph"] in "BE"):
        assert event["ts"] >= last
        last = event["ts"]
        if event["ph"] == "B":
            open_slices.append((len(found), event))
            found.append((len(open_slices) - 1, event["name"], event["ts"], -1.0))
        else:
            position, begun = open_slices.pop()
            found[position] = (*found[position][:3], event["ts"])
            assert begun["ts"] <= event["ts"]
    assert not open_slices
    return found


def test_calls_and_kernels_stand_within_their_modules() -> None:
    """Microseconds; the two layers share the modules that they are in."""
    events = chrome_trace(TWO, "bert")["traceEvents"]
    assert slices(events, HOST) == [
        (0, "encoder", 0.0, 3.0),
        (1, "0", 0.0, 3.0),
        (2, "query", 0.0, 1.0),
        (3, "linear", 0.0, 1.0),
        (2, "key", 1.0, 3.0),
        (3, "linear", 1.0, 3.0),
    ]
    assert [row[1] for row in slices(events, DEVICE)] == ["encoder", "0", "query", "gemm", "key", "gemm"]
    kernel = next(event for event in events if event.get("cat") == "kernel")
    assert kernel["args"] == {"op": "linear", "module": "encoder.0.query", "source": "model.py:3"}


def test_an_arrow_leads_from_within_a_call_to_its_kernel_s_beginning() -> None:
    arrows = [event for event in chrome_trace(TWO, "bert")["traceEvents"] if event["ph"] in "sf"]
    assert [(e["ph"], e["ts"], e["tid"]) for e in arrows] == [
        ("s", 0.5, HOST),
        ("f", 2.0, DEVICE),
        ("s", 2.0, HOST),
        ("f", 5.0, DEVICE),
    ]
    assert arrows[0]["id"] == arrows[1]["id"] != arrows[2]["id"]


@pytest.mark.parametrize("runtime", ["eager", "cudagraph", "compile", "onnx"])
def test_the_trace_of_a_model_nests_and_holds_every_call_and_kernel(
    runtime: str, zoo_plan: Callable[[str], Plan]
) -> None:
    plan = zoo_plan("mobilebert")
    report, spans = plan.report("h200", runtime), plan.timeline("h200", runtime)
    events = json.loads(json.dumps(chrome_trace(spans, "mobilebert")))["traceEvents"]
    for thread, lane in ((HOST, Lane.HOST), (DEVICE, Lane.DEVICE)):
        rows = slices(events, thread)
        kinds = [e["cat"] for e in events if e.get("tid") == thread and e["ph"] == "B"]
        assert len(kinds) - kinds.count("module") == sum(each.lane is lane for each in spans)
        assert max(row[3] for row in rows) <= report.latency_s * 1e6 + 0.001
    assert runtime == "onnx" or any(e.get("cat") == "module" and e["tid"] == DEVICE for e in events)


PROFILE = [
    {"ph": "M", "name": "process_name", "pid": 77, "tid": 0, "ts": 0, "args": {"name": "python"}},
    {"ph": "M", "name": "process_sort_index", "pid": 77, "tid": 0, "args": {"sort_index": -5}},
    {"ph": "X", "cat": "user_annotation", "name": "warm-up", "pid": 77, "tid": 5, "ts": 900.0, "dur": 50.0},
    {"ph": "X", "cat": "cpu_op", "name": "aten::linear", "pid": 77, "tid": 5, "ts": 1000.0, "dur": 4.0},
    {"ph": "s", "cat": "ac2g", "name": "ac2g", "id": 3, "pid": 77, "tid": 5, "ts": 1001.0},
    {"ph": "X", "cat": "kernel", "name": "gemm", "pid": 0, "tid": 7, "ts": 1006.0, "dur": 3.0},
]


@pytest.mark.parametrize("packed", [False, True])
def test_a_measured_profile_comes_as_further_processes_whose_first_operator_begins_with_the_prediction(
    packed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "profile.json"
    raw = json.dumps({"schemaVersion": 1, "traceEvents": PROFILE}).encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    events = with_measured(chrome_trace(TWO, "bert"), path)["traceEvents"]
    ours, theirs = ([e for e in events if (e["pid"] == 1) is mine] for mine in (True, False))
    assert [(name, begun) for _, name, begun, _ in slices(ours, DEVICE) if name == "gemm"] == [
        ("gemm", 102),
        ("gemm", 105),
    ]
    assert min(e["ts"] for e in ours if e["ph"] == "B") == 100.0
    assert {e["name"]: e["ts"] for e in theirs if e["ph"] == "X"} == {
        "warm-up": 0.0,
        "aten::linear": 100.0,
        "gemm": 106.0,
    }
    names = {e["pid"]: e["args"]["name"] for e in theirs if e["name"] == "process_name"}
    assert sorted(names.values()) == ["measured: 0", "measured: python"]
    assert all(e["id"] == "measured 3" for e in theirs if e["ph"] == "s")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "is no trace of torch.profiler"),
        ("{}", "has no traceEvents"),
        ('{"traceEvents": []}', "has no events with a duration"),
        ('[{"ph": "X", "ts": "late"}]', "a ts is no number"),
        (None, "no such file"),
    ],
)
def test_a_file_that_is_no_profile_is_said(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(PredictorError, match=message):
        with_measured(chrome_trace(TWO, "bert"), path)
