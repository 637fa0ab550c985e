"""The Python interface: Predictor, Report, and what ``import predictor`` costs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn

import models_zoo
import predictor
from predictor import Predictor, PredictorError, Report, load_calibration
from predictor.report import load
from tests.helpers import FACTS

as_json, as_text = (load(name).render for name in ("json", "text"))


class Distances(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.pdist(x)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 10))


@pytest.fixture(scope="module")
def report() -> Report:
    return Predictor(gpu="h200", runtime="eager", dtype="fp16").predict(mlp(), torch.empty(7, 64))


def test_a_report_has_its_facts_as_attributes(report: Report) -> None:
    assert (report.runtime, report.gpu, report.dtype, report.batch) == ("eager", "h200", "fp16", 7)
    assert report.macs == 7 * (64 * 128 + 128 * 10)
    assert report.launches >= 3
    assert report.unmodelled == {}
    assert set(FACTS) <= {field.name for field in dataclasses.fields(report)}


def test_times_are_seconds(report: Report) -> None:
    """Three small kernels: some microseconds on the device, some tens on the host."""
    assert 1e-6 < report.kernel_s < 5e-5
    assert 1e-5 < report.host_s < 5e-4
    assert report.bound == "framework"
    assert max(report.host_s, report.kernel_s) <= report.latency_s < 1e-3


def test_the_interval_holds_the_latency(report: Report) -> None:
    low, high = report.interval_s
    assert 0 < low < report.latency_s < high
    assert low * high == pytest.approx(report.latency_s**2)


def test_latency_is_that_of_the_report(report: Report) -> None:
    latency = Predictor(gpu="h200", dtype="fp16").latency(mlp(), torch.empty(7, 64))
    assert isinstance(latency, float)
    assert latency == report.latency_s


def test_the_batch_comes_from_the_inputs() -> None:
    small, large = (Predictor("h200", dtype="fp16").predict(mlp(), torch.empty(b, 64)) for b in (1, 4096))
    assert (small.batch, large.batch) == (1, 4096)
    assert large.macs == 4096 * small.macs
    assert large.kernel_s > small.kernel_s


@pytest.mark.parametrize("batch", [1, 512])
def test_the_plain_estimator_is_the_larger_of_host_and_kernel_time(batch: int) -> None:
    with torch.device("meta"):
        module, inputs = models_zoo.build("distilbert", batch)
    plain = Predictor("h200", dtype="fp16", estimator="max").predict(module, inputs)
    queue = Predictor("h200", dtype="fp16", estimator="queue").predict(module, inputs)
    assert plain.latency_s == plain.max_s == max(plain.host_s, plain.kernel_s)
    assert (plain.host_s, plain.kernel_s) == (queue.host_s, queue.kernel_s)
    assert queue.latency_s >= plain.latency_s
    assert queue.max_s == plain.latency_s
    assert plain.bound == ("framework" if batch == 1 else "compute")


def test_a_framework_bound_model_does_not_care_about_a_few_more_examples() -> None:
    latencies = []
    for batch in (1, 4):
        with torch.device("meta"):
            module, inputs = models_zoo.build("bert-base", batch)
        latencies.append(Predictor("h200", dtype="fp16").latency(module, inputs))
    assert latencies[1] == pytest.approx(latencies[0], rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_dtype_and_device_of_the_module_do_not_matter(dtype: torch.dtype, device: str, report: Report) -> None:
    given = Predictor("h200", dtype="fp16").predict(
        mlp().to(device, dtype), torch.empty(7, 64, device=device, dtype=dtype)
    )
    assert (given.latency_s, given.macs) == (report.latency_s, report.macs)


def test_kernels_beyond_the_calibrated_range_are_in_the_report_and_widen_the_interval() -> None:
    """A product with 100,000 columns to sum over: k beyond what was measured."""
    within, beyond = (
        Predictor("h200").predict(nn.Linear(k, 64), torch.empty(4096, k, device="meta")) for k in (4096, 10**5)
    )
    assert within.extrapolated == {}
    assert beyond.extrapolated == {"gemm": 1}
    assert "extrapolated beyond the calibrated range: gemm x1" in as_text(beyond)
    assert json.loads(as_json(beyond))["extrapolated"] == {"gemm": 1}
    widths = [r.interval_s[1] / r.latency_s for r in (within, beyond)]
    assert widths[1] > 1.2 * widths[0]


def test_unmodelled_operators_are_in_the_report_and_in_its_text() -> None:
    found = Predictor("h200").predict(Distances(), torch.empty(2, 8))
    assert found.unmodelled == {"_pdist_forward": 1}
    assert "_pdist_forward x1" in as_text(found)
    assert json.loads(as_json(found))["unmodelled"] == {"_pdist_forward": 1}


def test_operators_are_ranked_by_their_time(report: Report) -> None:
    times = [max(cost.host_s, cost.kernel_s) for cost in report.costliest]
    assert times == sorted(times, reverse=True)
    assert report.costliest[0].op == "linear"
    assert report.costliest[0].count == 2


def test_a_report_says_where_its_figures_come_from(report: Report) -> None:
    assert report.calibration["provenance"] == "measured"
    assert "H200" in report.calibration["device"]
    assert report.calibration["age_days"] >= 0
    assert report.calibration["date"][:2] == "20"


def test_json_and_text_tell_the_same_latency(report: Report) -> None:
    data = json.loads(as_json(report))
    assert data["latency_s"] == report.latency_s
    assert data["interval_s"] == list(report.interval_s)
    text = as_text(report)
    assert f"{report.latency_s * 1e3:.3g} ms" in text
    for word in ("framework-bound", "90 % interval", "launches", "linear", "calibration  measured"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gpu": "h20"}, "unknown GPU 'h20': did you mean h200"),
        ({"gpu": "h300"}, "unknown GPU 'h300': nobody calibrated it"),
        ({"runtime": "egar"}, "unknown runtime 'egar': did you mean eager"),
        ({"dtype": "fp61"}, "unknown dtype of h200 'fp61': did you mean fp16"),
        ({"estimator": "que"}, "unknown estimator 'que': did you mean queue"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(PredictorError, match=message):
        Predictor(**{"gpu": "h200", **arguments}).predict(mlp(), torch.empty(1, 64))


def test_a_predictor_takes_a_path_to_a_calibration(h200: predictor.calibration.load.Calibration) -> None:  # type: ignore[name-defined]
    by_path = Predictor(str(Path(h200.folder)), dtype="fp16").latency(mlp(), torch.empty(7, 64))
    assert by_path == Predictor("h200", dtype="fp16").latency(mlp(), torch.empty(7, 64))


def test_the_public_names_are_there() -> None:
    assert {"Predictor", "PredictorError", "Report", "load_calibration"} <= set(predictor.__all__)
    assert all(hasattr(predictor, name) for name in predictor.__all__)
    assert load_calibration("h200").gpu == "h200"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Oracle"):
        predictor.Oracle  # noqa: B018
