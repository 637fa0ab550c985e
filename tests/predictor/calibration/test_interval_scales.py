"""Scales of intervals: the shipped file, and how the benchmark makes them."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from benchmarks.conformal_intervals import HELD, Score, held, quantile, scale_of
from predictor.calibration import interval_scales
from predictor.calibration.interval_scales import interval_scale, known_scales
from predictor.errors import PredictorError
from predictor.pricing.intervals import NINETY


@pytest.fixture(autouse=True)
def _forget() -> None:
    known_scales.cache_clear()


def of(deviations: float, family: str = "a") -> Score:
    return Score("eager", "host", family, deviations)


def test_the_shipped_file_widens_what_hosts_decide() -> None:
    """Fits of hosts are too sure of themselves on strangers' models; what replays a graph is less off than the fits of
    its kernels say, whose errors are taken to add up within a family.
    """
    scales = {key: scale for key, scale in known_scales().items() if key[0] == "measured"}
    assert scales
    assert all(scale >= 1 for (_, runtime, _), scale in scales.items() if not runtime.endswith("cudagraph"))
    assert min(scales.values()) > 0.6


def test_the_weaker_provenance_counts_and_what_is_not_known_stays() -> None:
    assert interval_scale(("measured", "measured"), "eager", "host") == known_scales()["measured", "eager", "host"]
    assert interval_scale(("measured", "derived"), "eager", "host") == 1.0
    assert interval_scale(("fitted", "fitted"), "eager", "host") == 1.0
    assert interval_scale(("measured", "measured"), "a runtime", "host") == 1.0


def test_a_damaged_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "intervals.json"
    damaged.write_text('{"source": "", "scales": [{"scale": -1}]}')
    monkeypatch.setattr(interval_scales, "FILE", damaged)
    with pytest.raises(PredictorError, match=r"intervals\.json"):
        known_scales()
    known_scales.cache_clear()


def test_the_quantile_is_that_of_the_next_case() -> None:
    assert quantile(list(range(1, 25))) == 23  # of 24, the ceil(25 x 0.92)-th
    assert quantile([1.0, 2.0]) == 2.0


def test_scaled_intervals_hold_nine_tenths_of_families_that_they_were_not_made_from() -> None:
    """Errors twice as large as the fits say, and a share more, for what has been learned of the scores since."""
    rng = np.random.default_rng(0)
    group = [of(abs(rng.normal(0, 2)), str(number % 40)) for number in range(2000)]
    assert scale_of(group) == pytest.approx(2.0 * NormalDist().inv_cdf((1 + HELD) / 2) / NINETY, rel=0.05)
    assert held(group) == pytest.approx(HELD, abs=0.02)
    assert np.mean([score.deviations <= NINETY for score in group]) < 0.65
