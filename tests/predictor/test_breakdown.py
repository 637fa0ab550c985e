"""Where the time goes: sums worked by hand, and totals that are the report's."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

from predictor import PredictorError
from predictor.breakdown import AROUND, MODEL, OTHERS, Breakdown, CallCost, Cost
from predictor.plans import Plan
from predictor.predict import plan


def call(op: str, module: str, critical_s: float) -> CallCost:
    return CallCost(
        op, module, "model.py", 1, Cost(1, 1, critical_s, critical_s / 4, critical_s, 10, 20.0, critical_s / 8)
    )


CALLS = (
    call("linear", "encoder.0.query", 3.0),
    call("add", "encoder.0", 1.0),
    call("linear", "encoder.1.query", 5.0),
    call("add", "encoder.1", 1.0),
    call("linear", "head", 2.0),
    call(AROUND, "", 4.0),
)
PASS = Breakdown(lambda: CALLS, 16.0)


def rows(*asked: object, **more: int | None) -> list[tuple[int, str, float]]:
    return [(part.depth, part.name, part.cost.critical_s) for part in PASS.by(*asked, **more)]  # type: ignore[arg-type]


def test_operators_are_summed_the_costliest_first() -> None:
    assert rows("op") == [(0, "linear", 10.0), (0, AROUND, 4.0), (0, "add", 2.0)]
    assert [part.share for part in PASS.by("op")] == [10 / 16, 4 / 16, 2 / 16]
    assert PASS.by("op")[0].cost == Cost(3, 3, 10.0, 2.5, 10.0, 30, 60.0, 1.25)
    assert PASS.by("op")[0].cost.flops_per_s == 24.0


def test_modules_are_a_tree_with_all_that_they_call() -> None:
    assert rows("module") == [
        (0, MODEL, 16.0),
        (1, "encoder", 10.0),
        (2, "encoder.1", 6.0),
        (3, "encoder.1.query", 5.0),
        (2, "encoder.0", 4.0),
        (3, "encoder.0.query", 3.0),
        (1, "head", 2.0),
    ]


def test_layers_of_a_kind_are_one_and_a_container_of_one_part_is_no_row() -> None:
    assert rows("layer") == [(0, MODEL, 16.0), (1, "encoder.*", 10.0), (2, "encoder.*.query", 8.0), (1, "head", 2.0)]


def test_a_tree_ends_at_a_depth_and_what_is_beyond_the_top_is_summed() -> None:
    assert rows("module", depth=1) == [(0, MODEL, 16.0), (1, "encoder", 10.0), (1, "head", 2.0)]
    many = Breakdown(lambda: [call(f"op{n}", f"layer.{n}", float(n)) for n in range(1, 6)], 15.0)
    assert [(p.name, p.cost.critical_s) for p in many.by("op", top=2)] == [("op5", 5.0), ("op4", 4.0), (OTHERS, 6.0)]
    assert [p.name for p in many.by("module", top=2)] == [MODEL, "layer", "layer.5", "layer.4", f"layer.{OTHERS}"]
    assert len(many.by("op", top=4)) == 5  # the rest of one row is that row


def test_another_view_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(PredictorError, match="unknown breakdown 'modul': did you mean module"):
        PASS.by("modul")


def test_multiprocessors_are_active_by_the_share_of_the_kernels_in_the_pass() -> None:
    """An eighth of each call's time, by construction."""
    assert PASS.sms_active == 1 / 8


@pytest.mark.parametrize("runtime", ["eager", "torchscript", "cudagraph", "compile", "compile-cudagraph", "onnx"])
@pytest.mark.parametrize(("name", "batch"), [("bert-base", 1), ("bert-base", 64), ("resnet50", 16)])
def test_a_model_s_breakdown_adds_up_to_its_report(
    name: str, batch: int, runtime: str, zoo_plan: Callable[[str], Plan]
) -> None:
    report = zoo_plan(name).report("h200", runtime, batch=batch)
    total = sum((call.cost for call in report.breakdown.calls), Cost())
    assert total.critical_s == pytest.approx(report.latency_s, rel=1e-9)
    assert total.host_s == pytest.approx(report.host_s, rel=1e-9)
    assert total.kernel_s == pytest.approx(report.kernel_s, rel=1e-9)
    assert total.launches == report.launches
    assert 0.97 * report.macs <= total.macs <= report.macs  # a compiler folds norms into weights
    for view in ("op", "module", "layer"):
        parts = report.breakdown.by(view)
        assert sum(part.share for part in parts if part.depth == 0) == pytest.approx(1.0)
    assert 0 < report.breakdown.sms_active <= report.busy_share + 1e-9


def test_under_a_cuda_graph_kernels_keep_their_modules(zoo_plan: Callable[[str], Plan]) -> None:
    eager, graph = (zoo_plan("bert-base").report("h200", runtime) for runtime in ("eager", "cudagraph"))
    of_module = [{p.name: p.cost.kernel_s for p in report.breakdown.by("module")} for report in (eager, graph)]
    assert of_module[0]["encoder.layer.3.attention"] == pytest.approx(
        of_module[1]["encoder.layer.3.attention"], rel=0.2
    )


def test_a_kernel_of_one_block_keeps_one_multiprocessor_active(zoo_plan: Callable[[str], Plan]) -> None:
    """A product of 64 x 64 is one tile: 1 of the H200's 132."""
    made = plan(nn.Linear(64, 64).half(), torch.empty(64, 64, dtype=torch.half))
    (linear,) = [call for call in made.report("h200").breakdown.calls if call.op == "linear"]
    assert linear.cost.active_s / linear.cost.kernel_s == pytest.approx(1 / 132)
    assert linear.cost.flops == 2 * 64**3
    assert linear.cost.macs == 64**3


def test_reports_at_many_sizes_are_those_of_each(zoo_plan: Callable[[str], Plan]) -> None:
    made = zoo_plan("distilbert")
    batches, lengths = [1, 2, 5, 8, 13, 32], [64, 128]
    many = made.reports("h200", batches=batches, lengths=lengths)
    assert [(report.batch, report.length) for report in many] == [(b, n) for n in lengths for b in batches]
    for report in (many[0], many[4], many[-1]):
        alone = Plan(made.graphs).report("h200", batch=report.batch, length=report.length)
        assert report.latency_s == pytest.approx(alone.latency_s)
        costs = [sum((call.cost for call in r.breakdown.calls), Cost()) for r in (report, alone)]
        assert costs[0].macs == costs[1].macs
        assert costs[0].flops == pytest.approx(costs[1].flops)
        assert costs[0].active_s == pytest.approx(costs[1].active_s)


def test_a_plan_breaks_down_and_a_report_can_be_pickled(zoo_plan: Callable[[str], Plan]) -> None:
    made = zoo_plan("distilbert")
    report = made.report("h200", batch=4)
    assert made.breakdown("h200", batch=4, by="layer", depth=2, top=3) == report.breakdown.by("layer", 2, 3)
    assert pickle.loads(pickle.dumps(report)).breakdown.by("op") == report.breakdown.by("op")
