"""The supplementary sweep goes on where it stopped, and leaves out what a process died of."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks import supplement_sweep as supplement
from calibrate.samples.records import Environment, KernelSample
from calibrate.samples.store import SampleFile


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    """Of a GPU without samples of its own."""
    out = tmp_path / "supplement.jsonl.gz"
    return argparse.Namespace(
        gpu="a100", out=out, families="softmax", series="", device="cpu", most=3, processes=1, sessions=False
    )


def test_what_is_measured_is_no_longer_missing(options: argparse.Namespace) -> None:
    wanted = supplement.missing(options)
    assert {id.family for id in wanted} == {"softmax"}
    supplement.work(options)
    file = SampleFile(options.out)
    assert [sample.id for sample in file.of(KernelSample)] == wanted
    assert all(sample.seconds > 0 for sample in file.of(KernelSample))
    assert file.has(Environment, 0)
    assert not set(supplement.missing(options)) & set(wanted)
    options.gpu = "h200"
    assert supplement.missing(options) == []  # its calibration has them all


def test_a_convolution_may_be_a_node_of_a_session(options: argparse.Namespace) -> None:
    options.families, options.sessions = "conv,softmax", True
    assert {id.family for id in supplement.missing(options)} == {"conv"}  # ONNX Runtime's softmax is swept elsewhere
    supplement.work(options)
    found = SampleFile(options.out).of(KernelSample)
    assert {sample.id.family for sample in found} == {"ort_conv"}
    assert len(found) == options.most
    assert all(sample.seconds > 0 for sample in found)


def test_what_a_process_died_of_is_left_out(options: argparse.Namespace) -> None:
    first, second, third = supplement.missing(options)
    supplement.skipped(options.out).write_text(supplement.written([second]))
    assert supplement.missing(options)[:2] == [first, third]
