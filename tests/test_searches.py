"""The example searches, small: what they find is what they say."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.searches import encoder_per_runtime, latency_filter, mobile_space
from benchmarks.searches.encoders import Genotype, build
from predictor import Predictor

pytest.importorskip("optuna")
pytest.importorskip("matplotlib")


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


def test_a_search_of_encoders_per_runtime(tmp_path: Path) -> None:
    designs = [
        design for runtime in encoder_per_runtime.RUNTIMES for design in encoder_per_runtime.search(runtime, 6, 3)
    ]
    assert len(designs) == 12
    for runtime in encoder_per_runtime.RUNTIMES:
        front = encoder_per_runtime.front(designs, runtime)
        assert [d.parameters for d in front] == sorted({d.parameters for d in front})
        assert [d.latency_s[runtime] for d in front] == sorted(d.latency_s[runtime] for d in front)
        assert max(designs, key=lambda d: d.parameters).parameters == front[-1].parameters
        slowest = max(d.latency_s[runtime] for d in designs)
        assert encoder_per_runtime.best_within(designs, runtime, slowest).parameters == front[-1].parameters
    encoder_per_runtime.plot(designs, tmp_path / "encoders.png")
    assert is_picture(tmp_path / "encoders.png")


def test_of_equal_parameters_eager_prefers_fewer_layers_more_than_graphs_do() -> None:
    """Why the best design depends on the runtime: 4 x 12 x 512 squared is 16 x 12 x 256 squared."""
    wide, deep = Genotype(3, 512, 8, "first"), Genotype(12, 256, 8, "first")
    assert wide.parameters == deep.parameters
    eager, graphs = (
        [Predictor("h200", runtime, "fp16").latency(*build(genotype)) for genotype in (wide, deep)]
        for runtime in encoder_per_runtime.RUNTIMES
    )
    assert eager[1] / eager[0] > 1.15 * graphs[1] / graphs[0] > 1.15


def test_a_search_of_mobile_networks(tmp_path: Path) -> None:
    found = mobile_space.search(2, 3)
    assert [result.error for result in found] == [""] * 6
    drawn = mobile_space.priced([mobile_space.random_genotype(random.Random(1))])
    for gpu in mobile_space.GPUS:
        assert mobile_space.front(found, gpu)[-1].macs == max(result.macs for result in found)
    mobile_space.plot(found, drawn, tmp_path / "mobile.png")
    assert is_picture(tmp_path / "mobile.png")


def test_a_latency_filter(tmp_path: Path) -> None:
    genotypes = [Genotype(depth, 128, 2, "mean") for depth in (2, 4, 6)]
    predictor, inputs = Predictor("h200", "eager", "fp16"), build(genotypes[0])[1]
    highs = [predictor.predict(*build(genotype)).interval_s[1] for genotype in genotypes]
    passes = latency_filter.LatencyFilter(predictor, inputs, (highs[1] + highs[2]) / 2)
    passed = latency_filter.passing(genotypes, passes)
    assert passed == [True, True, False]
    latency_filter.plot(genotypes, passed, predictor, passes.budget_s, tmp_path / "filter.png")
    assert is_picture(tmp_path / "filter.png")
