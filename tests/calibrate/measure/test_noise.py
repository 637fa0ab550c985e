"""Noise before a calibration: what is too much, and how long it is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibrate.cli.calibrate import app as calibrate
from calibrate.measure.noise import Noise, core_share, measure, wait_for_quiet
from predictor.errors import PredictorError
from tests.helpers import complaint

QUIET = Noise(1.4e-3, 0.05, 0.99, (4.2e12, 4.2e12, 4.1e12))
CROWDED = Noise(1.4e-3, 0.05, 0.5, (4.2e12, 4.2e12, 4.1e12))


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        (CROWDED, "this process gets 50% of a core"),
        (Noise(1.4e-3, 1.1, 0.99, (1e10, 1e10)), "the host probe is 110% above its quiet level"),
        (Noise(1.4e-3, 0.05, 0.99, (5e9, 1e10)), "the device's bandwidth repeats to 50%"),
    ],
)
def test_each_kind_of_noise_is_a_reason(noise: Noise, reason: str) -> None:
    assert noise.reasons == (reason,)


def test_a_quiet_machine_is_measured_at_once() -> None:
    told: list[str] = []
    assert wait_for_quiet(lambda: QUIET, told.append, sleep=pytest.fail) is QUIET
    assert told == []


def test_a_quieter_moment_is_waited_for_and_said_once() -> None:
    coming = iter([CROWDED, CROWDED, QUIET])
    told: list[str] = []
    pauses: list[float] = []
    assert wait_for_quiet(lambda: next(coming), told.append, sleep=pauses.append) is QUIET
    assert len(pauses) == 2
    (line,) = told
    assert "this process gets 50% of a core" in line


def test_after_the_wait_the_reason_is_told() -> None:
    with pytest.raises(PredictorError, match=r"too busy to be measured: this process gets 50% of a core.*--force"):
        wait_for_quiet(lambda: CROWDED, lambda line: None, wait_s=0.0)


def test_a_core_that_is_shared_is_noticed() -> None:
    """Another thread takes turns with this one."""
    over = threading.Event()

    def spin() -> None:
        while not over.is_set():
            pass

    other = threading.Thread(target=spin)
    other.start()
    try:
        shared = core_share(0.3)
    finally:
        over.set()
        other.join()
    assert shared < 0.8


def test_the_noise_of_this_processor() -> None:
    def plausible(bandwidths: Sequence[float]) -> bool:
        return all(1e8 < b < 1e13 for b in bandwidths)

    noise = measure("cpu")
    assert 1e-5 < noise.level_s < 1
    assert noise.spread >= 0
    assert 0 < noise.core <= 1
    assert 0 < noise.repeat <= 1
    assert plausible(noise.bandwidths)


@pytest.fixture
def busy() -> Iterator[None]:
    """Four times as many processes as there are cores, each computing without a pause."""
    spin = "import os, time\nwhile os.getppid() == {parent} and time.time() < {end}:\n    pass"
    code = spin.format(parent=os.getpid(), end=time.time() + 60)
    others = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for other in others:
            other.kill()
        for other in others:
            other.wait()


def test_nothing_is_measured_while_others_compute(busy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as it is, but that it waits for no quieter moment."""
    monkeypatch.setattr(wait_for_quiet, "__defaults__", (0.0, time.sleep))
    out = tmp_path / "mine"
    done = CliRunner().invoke(calibrate, ["--device", "cpu", "--quick", "--out", str(out)])
    assert done.exit_code == 2
    assert "this machine is too busy to be measured: this process gets" in complaint(done)
    assert not list(out.rglob("*.json"))
    assert not list(out.rglob("*.jsonl.gz"))
