"""A timeline as a Chrome trace, which Perfetto (ui.perfetto.dev) and chrome://tracing open; a measured one beside it.

The format: "Trace Event Format", the Chromium project. Times are microseconds.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from predictor.errors import PredictorError, shortened
from predictor.records import Lane, Span

PREDICTED_PROCESS = 1
"""Process of the prediction in a trace; measured ones follow."""

_THREADS = {Lane.HOST: 1, Lane.DEVICE: 2}
_NAMES = {Lane.HOST: "host", Lane.DEVICE: "device"}

Event = dict[str, Any]


def chrome_trace(spans: Sequence[Span], title: str) -> dict[str, Any]:
    """Spans (``Plan.timeline``) as a trace: calls on the host's track and kernels on the device's, both within their
    modules; an arrow leads from a call to the first kernel that it launches. title: of the process.
    """
    events: list[Event] = [
        _metadata("process_name", PREDICTED_PROCESS, 0, name=title),
        *(
            event
            for lane, thread in _THREADS.items()
            for event in (
                _metadata("thread_name", PREDICTED_PROCESS, thread, name=_NAMES[lane]),
                _metadata("thread_sort_index", PREDICTED_PROCESS, thread, sort_index=thread),
            )
        ),
    ]
    for lane in Lane:
        events += _lane([span for span in spans if span.lane is lane], _THREADS[lane])
    return {"displayTimeUnit": "ms", "traceEvents": [*events, *_arrows(spans)]}


def _metadata(what: str, process: int, thread: int, **arguments: Any) -> Event:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": arguments}


def _microseconds(seconds: float) -> float:
    """As traces have them, whole nanoseconds: viewers round to them, each in its own way."""
    return round(seconds * 1e6, 3)


def _lane(spans: Sequence[Span], thread: int) -> Iterator[Event]:
    """Beginnings and ends, in order, of the spans of a lane, one after another, and of the modules that they are in. An
    end has the same time as that of the last span within it, so that no viewer sees one stick out of another.
    """
    place = {"pid": PREDICTED_PROCESS, "tid": thread}
    open_modules: list[str] = []
    end_us = 0.0
    for span in spans:
        path = span.origin.module.split(".") if span.origin.module else []
        kept = 0
        while kept < min(len(path), len(open_modules)) and path[kept] == open_modules[kept]:
            kept += 1
        yield from ({"ph": "E", "ts": end_us, **place} for _ in open_modules[kept:])
        start_us = max(_microseconds(span.start_s), end_us)
        for depth in range(kept, len(path)):
            arguments = {"module": ".".join(path[: depth + 1])}
            yield {"ph": "B", "name": path[depth], "cat": "module", "ts": start_us, **place, "args": arguments}
        open_modules = path
        end_us = max(_microseconds(span.end_s), start_us)
        origin = span.origin
        source = {"source": f"{origin.file}:{origin.line}"} if origin.file else {}
        name, kind = (span.kernel, "kernel") if span.kernel else (span.op, "call")
        arguments = {"op": span.op, "module": origin.module, **source}
        yield {"ph": "B", "name": name, "cat": kind, "ts": start_us, **place, "args": arguments}
        yield {"ph": "E", "ts": end_us, **place}
    yield from ({"ph": "E", "ts": end_us, **place} for _ in open_modules)


def _arrows(spans: Sequence[Span]) -> Iterator[Event]:
    """From the middle of each call on the host to its first kernel."""
    call: Span | None = None
    for number, span in enumerate(spans):
        if span.lane is Lane.HOST:
            call = span
        elif call is not None:
            place = {"cat": "launch", "name": "launch", "id": number, "pid": PREDICTED_PROCESS}
            from_us, to_us = _microseconds((call.start_s + call.end_s) / 2), _microseconds(span.start_s)
            yield {"ph": "s", "ts": from_us, "tid": _THREADS[Lane.HOST], **place}
            yield {"ph": "f", "bp": "e", "ts": to_us, "tid": _THREADS[Lane.DEVICE], **place}
            call = None


def with_measured(trace: dict[str, Any], path: Path) -> dict[str, Any]:
    """A trace with one of ``torch.profiler`` (``export_chrome_trace``, .json or .json.gz) as further processes. The
    predicted pass begins with the first operator or kernel that was measured; what the profiler did before is kept, and
    no time is negative. Raises PredictorError for a file that is none.
    """
    measured = _read(path)
    starts = [e["ts"] for e in measured if e.get("ph") == "X" and e.get("cat") in ("cpu_op", "kernel")]
    starts = starts or [e["ts"] for e in measured if e.get("ph") == "X"]
    if not starts:
        raise PredictorError(f"{path} has no events with a duration: say a trace of torch.profiler")
    origin_us = min(e["ts"] for e in measured if "ts" in e and e.get("ph") != "M")
    lead_us = min(starts) - origin_us
    processes = {name: number for number, name in enumerate(dict.fromkeys(e.get("pid") for e in measured), start=2)}
    named = set()
    events: list[Event] = []
    for event in measured:
        moved = {**event, "pid": processes[event.get("pid")]}
        if "ts" in event and event.get("ph") != "M":
            moved["ts"] = event["ts"] - origin_us
        if event.get("name") == "process_name":
            named.add(moved["pid"])
            moved["args"] = {"name": f"measured: {event.get('args', {}).get('name', '')}"}
        if event.get("ph") in ("s", "f", "t") and "id" in event:
            moved["id"] = f"measured {event['id']}"
        if event.get("name") != "process_sort_index":
            events.append(moved)
    events += [
        _metadata("process_name", number, 0, name=f"measured: {name}")
        for name, number in processes.items()
        if number not in named
    ]
    ours = [
        {**event, "ts": round(event["ts"] + lead_us, 3)} if "ts" in event else event for event in trace["traceEvents"]
    ]
    return {**trace, "traceEvents": [*ours, *events]}


def _read(path: Path) -> list[Event]:
    try:
        raw = path.read_bytes()
        data = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except FileNotFoundError:
        raise PredictorError(f"no such file: {path}") from None
    except (OSError, ValueError, EOFError) as error:
        raise PredictorError(f"{path} is no trace of torch.profiler: {shortened(error)}") from None
    events = data.get("traceEvents") if isinstance(data, dict) else data
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise PredictorError(f"{path} is no trace of torch.profiler: it has no traceEvents")
    if not all(isinstance(event.get("ts", 0), int | float) for event in events):
        raise PredictorError(f"{path} is no trace of torch.profiler: a ts is no number")
    return events
