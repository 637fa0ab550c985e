"""Models that are measured, each in a process of its own that may die."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from calibrate.measure.models import Protocol, _measure_groups, _take, complete, groups_of, measure
from calibrate.measure.workers import Worker
from calibrate.samples.records import Case
from calibrate.samples.store import SampleFile


class Server:
    """What a worker runs here."""

    def __init__(self, start: int) -> None:
        self.total = start

    def add(self, number: int) -> int:
        self.total += number
        return self.total

    def fail(self) -> None:
        raise ValueError("no")

    def die(self, *args: Any) -> None:
        os._exit(3)


def test_a_worker_answers_in_its_own_process_and_says_what_failed() -> None:
    with Worker(Server, 1) as worker:
        worker.ask("add", 2)
        assert worker.answer() == 3
        worker.ask("fail")
        with pytest.raises(RuntimeError, match="ValueError: no"):
            worker.answer()
        worker.ask("add", 2)
        assert worker.answer() == 5


def test_a_worker_that_dies_says_so() -> None:
    with Worker(Server, 1) as worker:
        worker.ask("die")
        with pytest.raises(RuntimeError, match="died"):
            worker.answer()


def test_runtimes_that_cannot_run_leave_the_others_alone(tmp_path: Path) -> None:
    """Nobody knows two of three that share a process: the second is to be tried again by itself, for what failed first
    might have harmed it.
    """
    shared = [Case("generated/0", 1, "fp32", name) for name in ("nobody", "torchscript", "no-one")]
    file, steps = SampleFile(tmp_path / "runtimes.jsonl"), list[int]()
    protocol = Protocol(rounds=2, passes=2, profiles=1)
    again = _measure_groups([shared], file, "cpu", protocol, steps.append)
    said = [key for key in file.samples if key.startswith(("case/", "cannot/"))]
    assert said == [f"cannot/{shared[0].key}", f"case/{shared[1].key}"]
    assert again == [[shared[2]]]
    assert _measure_groups(again, file, "cpu", protocol, steps.append) == []
    assert f"cannot/{shared[2].key}" in file
    assert sum(steps) == len(shared) * (protocol.rounds + 2)
    assert complete(shared, file, protocol)


def test_a_case_that_fails_after_it_ran_is_said_and_ends_nothing(tmp_path: Path) -> None:
    """A device may run out of memory later than while things are prepared."""
    case, file = Case("generated/0", 1, "fp32", "eager"), SampleFile(tmp_path / "runtimes.jsonl")
    with Worker(Server, 1) as worker:
        for number in range(2):
            _take(case, {"key": f"round/{case.key}/{number}", "case": case.key}, file, worker, "die", 1)
    assert list(file.samples) == [f"cannot/{case.key}"]
    assert "died" in file.samples[f"cannot/{case.key}"]["reason"]
    assert complete([case], file, Protocol())


def test_other_work_is_done_once_while_processes_prepare(tmp_path: Path) -> None:
    """And also where nothing is left to measure."""
    case, file, done = Case("generated/0", 1, "fp32", "eager"), SampleFile(tmp_path / "runtimes.jsonl"), list[int]()
    protocol = Protocol(rounds=1, passes=1, profiles=1)
    for _ in range(2):
        measure([case], file, "cpu", protocol, lambda n: None, lambda: done.append(len(file.samples)))
    assert done == [1, 3]  # the environment; then also a round and the profile
    assert complete([case], file, protocol)


def test_runtimes_share_a_process_on_a_gpu_but_for_cuda_graphs() -> None:
    names = ("torchscript", "onnx", "cudagraph", "onnx-cudagraph")
    torchscript, onnx, *graphs = ([Case("generated/0", batch, "fp16", name) for batch in (1, 2)] for name in names)
    other = [Case("generated/1", 1, "fp16", "onnx"), Case("generated/0", 1, "fp32", "onnx")]
    wanted = [*torchscript, *onnx, *graphs[0], *graphs[1], *other]
    assert groups_of(wanted, "cuda") == [[*torchscript, *onnx], *graphs, [other[0]], [other[1]]]
    assert groups_of(wanted, "cpu") == [torchscript, onnx, *graphs, [other[0]], [other[1]]]
