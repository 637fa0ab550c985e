"""The host cost of library calls by shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibrate.fit.host import shape_samples
from calibrate.measure import library_calls
from calibrate.measure.library_calls import prepare_shapes, run_shapes
from calibrate.measure.library_calls import total as shape_cases
from calibrate.samples.records import ShapeSample
from calibrate.samples.store import SampleFile
from calibrate.workloads.recipes import Scale
from predictor.kernels.families import FAMILIES, MeasuredIn


def test_host_costs_of_shapes_are_taken_once_and_scaled_to_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real calls on the CPU, small ones; a second run measures nothing."""
    monkeypatch.setattr(library_calls, "SCALE", Scale(elements=1e5, macs=1e7))
    file = SampleFile(tmp_path / "host.jsonl.gz")
    heard: list[int] = []
    run_shapes(prepare_shapes(file, "cpu", 1), file, "cpu", heard.append)
    assert sum(heard) == shape_cases(1) == len(file)
    samples = file.of(ShapeSample)
    assert {sample.id.family for sample in samples} == {
        family
        for family, row in FAMILIES.items()
        if row.matrix and row.measured_in is MeasuredIn.CALLS and not row.stand_in
    }
    before = file.path.read_bytes()
    run_shapes(prepare_shapes(file, "cpu", 1), file, "cpu", heard.append)
    assert file.path.read_bytes() == before
    ran = [sample for sample in samples if sample.loops_s]
    for sample, scaled in zip(ran, shape_samples(file, reference_s=1.0), strict=True):
        assert scaled.seconds == pytest.approx(min(sample.loops_s) / np.mean(sample.probe_s))
        assert 1e-6 < min(sample.loops_s) < 10
