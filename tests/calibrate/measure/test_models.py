"""Measuring that survives: processes that may die, hang or raise, and a run that may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from calibrate.measure.models import Protocol, complete, groups_of, measure
from calibrate.measure.workers import Worker, answered
from calibrate.samples.records import CaseProfile, CaseRound, Environment, Refusal
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from predictor.errors import PredictorError
from tests.calibrate.builders import HERE

QUICK = Protocol(rounds=2, passes=3, profiles=1)


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

    def hang(self) -> None:
        time.sleep(1000)

    def count(self, path: Path) -> None:
        """Write a line again and again, for a while."""
        for _ in range(200):
            with path.open("a") as file:
                file.write("x")
            time.sleep(0.01)


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker(Server, 1) as made:
        yield made


def test_a_worker_answers_in_its_own_process_and_says_what_failed(worker: Worker) -> None:
    worker.ask("add", 2)
    assert worker.answer() == 3
    worker.ask("fail")
    with pytest.raises(RuntimeError, match="ValueError: no"):
        worker.answer()
    worker.ask("add", 2)
    assert worker.answer() == 5


def test_a_worker_that_dies_says_so(worker: Worker) -> None:
    worker.ask("die")
    with pytest.raises(RuntimeError, match="died"):
        worker.answer()


def test_a_worker_that_hangs_is_killed(worker: Worker) -> None:
    worker.ask("hang")
    assert answered([worker], 0.2) == []
    with pytest.raises(RuntimeError, match="took longer than 1 s"):
        worker.answer(1)
    worker.ask("add", 1)
    with pytest.raises(RuntimeError, match="died"):
        worker.answer()


def test_a_paused_worker_does_nothing_until_it_goes_on(worker: Worker, tmp_path: Path) -> None:
    path = tmp_path / "ticks"
    worker.ask("count", path)
    while not path.exists():
        time.sleep(0.01)
    worker.pause()
    time.sleep(0.1)
    paused = path.stat().st_size
    time.sleep(0.3)
    assert path.stat().st_size == paused
    worker.resume()
    time.sleep(0.3)
    assert path.stat().st_size > paused


FACTORIES = """
import os, signal, time, torch

class Layer(torch.nn.Module):
    def __init__(self, then=lambda x: None):
        super().__init__()
        self.linear, self.then, self.passes = torch.nn.Linear(8, 8), then, 0

    def forward(self, input):
        self.then(self)
        return self.linear(input)

def good(batch):
    return Layer().eval(), {"input": torch.rand(batch, 8)}

def hangs(batch):
    return Layer(lambda self: time.sleep(1000)).eval(), {"input": torch.rand(batch, 8)}

def raises(batch):
    def then(self):
        raise ValueError("not like this")
    return Layer(then).eval(), {"input": torch.rand(batch, 8)}

def dies_at_two(batch):
    class Fragile(Layer):
        def forward(self, input):
            if len(input) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return self.linear(input)
    return Fragile().eval(), {"input": torch.rand(batch, 8)}

def dies_later(batch):
    def then(self):
        self.passes += 1
        if self.passes > 10:
            os._exit(7)
    return Layer(then).eval(), {"input": torch.rand(batch, 8)}

def hangs_later(batch):
    def then(self):
        self.passes += 1
        if self.passes > 10:
            time.sleep(1000)
    return Layer(then).eval(), {"input": torch.rand(batch, 8)}
"""


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    path = tmp_path / "factories.py"
    path.write_text(FACTORIES)
    return path


def reasons(file: SampleFile) -> dict[str, str]:
    return {str(refusal.case).rpartition(":")[2]: refusal.reason for refusal in file.of(Refusal)}


def test_a_hang_a_crash_and_an_exception_cost_one_case_each(factories: Path, tmp_path: Path) -> None:
    names = ("good", "hangs", "raises", "dies_at_two", "dies_later", "hangs_later")
    wanted = [Case(f"{factories}:{name}", batch, "fp32", "eager") for name in names for batch in (1, 2)]
    wanted.remove(Case(f"{factories}:hangs_later", 2, "fp32", "eager"))  # every hang is waited for
    file, steps = SampleFile(tmp_path / "rows.jsonl.gz"), list[int]()
    protocol = Protocol(rounds=2, passes=3, profiles=1, prepare_limit_s=4, answer_limit_s=4)
    measure(wanted, file, "cpu", protocol, steps.append)
    assert complete(wanted, file, protocol)
    assert sum(steps) == len(wanted) * (protocol.rounds + 2)
    found = reasons(file)
    assert set(found) >= {f"{name}/{batch}/fp32/eager" for name in ("hangs", "raises") for batch in (1, 2)}
    assert not any(key.startswith(("good", "dies_at_two/1")) for key in found)
    assert "longer than 4 s to prepare" in found["hangs/1/fp32/eager"]
    assert found["raises/1/fp32/eager"] == "ValueError: not like this"
    assert "exit code -9" in found["dies_at_two/2/fp32/eager"]
    assert "exit code 7" in found["dies_later/1/fp32/eager"]
    assert "longer than 4 s" in found["hangs_later/1/fp32/eager"]


def test_every_pass_is_kept_beside_the_host_probe(factories: Path, tmp_path: Path) -> None:
    case, path = Case(f"{factories}:good", 1, "fp32", "eager"), tmp_path / "rows.jsonl.gz"
    measure([case], SampleFile(path), "cpu", QUICK, lambda n: None)
    file = SampleFile(path)
    assert len(file.of(CaseRound)) == QUICK.rounds
    for row in file.of(CaseRound):
        assert len(row.passes_s) == QUICK.passes
        assert not row.summarised
        assert min(row.passes_s) <= row.round.seconds
        assert min(row.probe_s) > 0
        environment = file.find(Environment, row.session)
        assert environment is not None
        assert "torch" in environment.versions


def test_a_run_that_is_killed_has_lost_nothing_and_goes_on(factories: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from calibrate.measure.models import Protocol, measure\n"
        "from calibrate.samples.store import SampleFile\n"
        "from calibrate.workloads.cases import Case\n"
        "if __name__ == '__main__':\n"
        "    cases = [Case(f'{sys.argv[1]}:{name}', 1, 'fp32', 'eager') for name in ('good', 'hangs')]\n"
        "    protocol = Protocol(rounds=2, passes=3, profiles=1, wave=1)\n"
        "    measure(cases, SampleFile(Path(sys.argv[2])), 'cpu', protocol, lambda n: None)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    running = subprocess.Popen([sys.executable, str(script), str(factories), str(path)])
    good = Case(f"{factories}:good", 1, "fp32", "eager")
    while not SampleFile(path).has(CaseProfile, good):
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    file = SampleFile(path)
    assert complete([good], file, QUICK)
    before = len(file)
    other = Case(f"{factories}:good", 2, "fp32", "eager")
    measure([good, other], file, "cpu", QUICK, lambda n: None)
    assert complete([good, other], file, QUICK)
    assert len(file) == before + 1 + QUICK.rounds + 1  # its session, rounds and profile


def test_when_the_time_is_over_what_is_ready_is_measured_and_the_rest_is_left(factories: Path, tmp_path: Path) -> None:
    good, hangs = (Case(f"{factories}:{name}", 1, "fp32", "eager") for name in ("good", "hangs"))
    file = SampleFile(tmp_path / "rows.jsonl.gz")
    protocol = Protocol(rounds=2, passes=3, profiles=1, total_s=12)
    measure([good, hangs], file, "cpu", protocol, lambda n: None)
    assert complete([good], file, protocol)
    assert not complete([hangs], file, protocol)
    assert reasons(file) == {}


def test_other_work_is_done_once_while_processes_prepare(tmp_path: Path) -> None:
    """And also where nothing is left to measure."""
    case, file, done = Case("generated/0", 1, "fp32", "eager"), SampleFile(tmp_path / "runtimes.jsonl.gz"), list[int]()
    protocol = Protocol(rounds=1, passes=1, profiles=1)
    for _ in range(2):
        measure([case], file, "cpu", protocol, lambda n: None, lambda: done.append(len(file)))
    assert done == [1, 3]  # the environment; then also a round and the profile
    assert complete([case], file, protocol)


def test_measurements_of_another_machine_are_refused(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "rows.jsonl.gz")
    file.append([replace(HERE, cpu="Abacus 3000")])
    with pytest.raises(PredictorError, match=r"another machine: cpu Abacus 3000 there, .* here: choose another --data"):
        measure([Case("generated/0", 1, "fp32", "eager")], file, "cpu", QUICK, lambda n: None)


def test_a_process_has_one_model_in_one_dtype_under_one_runtime() -> None:
    torchscript, onnx, *graphs = (
        [Case("generated/0", batch, "fp16", name) for batch in (1, 2)]
        for name in ("torchscript", "onnx", "cudagraph", "onnx-cudagraph")
    )
    other = [Case("generated/1", 1, "fp16", "onnx"), Case("generated/0", 1, "fp32", "onnx")]
    wanted = [*torchscript, *onnx, *graphs[0], *graphs[1], *other]
    assert groups_of(wanted) == [torchscript, onnx, *graphs, [other[0]], [other[1]]]
