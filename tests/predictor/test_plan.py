"""Plans: captured once, priced for any GPU, runtime, dtype and size."""

from __future__ import annotations

import dataclasses
import pickle
import pkgutil
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

import models_zoo
import predictor
from predictor import Plan, PredictorError, Report, load_plan, plan_file, runtimes
from predictor.graph.files import GraphSet
from predictor.graph.onnx_export import export
from predictor.predict import graph_of, plan
from predictor.records import CaptureOptions
from tests.helpers import RUN_ANYTHING, Function

X = torch.rand(2, 16, 64)
RUNTIMES = ("eager", "torchscript", "cudagraph", "compile", "onnx")
SIZES = (*range(1, 41), 100, 777)


def small_bert() -> nn.Module:
    config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    return BertModel(config).eval()


def ids(batch: int, length: int) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.full((batch, length), 1000)}


def one_by_one(graphs: GraphSet, gpu: str, runtime: str, sizes: Sequence[int], **more: Any) -> list[float]:
    """Latencies of plans that know nothing of other sizes."""
    return [Plan(graphs).report(gpu, runtime, batch=size, **more).latency_s for size in sizes]


# a report is that of a capture at its size


@pytest.mark.parametrize("runtime", ["eager", "torchscript", "cudagraph", "compile", "compile-cudagraph"])
def test_a_report_at_other_sizes_is_that_of_a_plan_captured_there(runtime: str) -> None:
    module = small_bert()
    captured = plan(module, ids(2, 16))
    for batch, length in ((2, 16), (1, 16), (7, 16), (7, 40), (2, 8)):
        there = plan(module, ids(batch, length)).report("h200", runtime)
        assert captured.report("h200", runtime, batch=batch, length=length) == there
        assert there.batch == batch


@pytest.mark.parametrize("name", ["distilbert", "mobilenet_v2"])
def test_a_shipped_plan_reports_what_a_fresh_capture_does(name: str, zoo_plan: Callable[[str], Plan]) -> None:
    shipped = zoo_plan(name)
    length = 104 if shipped.length else None
    with torch.device("meta"):
        fresh = plan(*models_zoo.build(name, 11, length), name)
    for gpu, runtime, dtype in (
        ("h200", "eager", "fp16"),
        ("a100", "compile", "fp16"),
        ("h200", "torchscript", "fp32"),
    ):
        assert shipped.report(gpu, runtime, dtype, 11, length) == fresh.report(gpu, runtime, dtype)


@pytest.mark.parametrize("name", ["distilbert", "mobilenet_v2"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_sweep_is_the_reports_one_by_one(runtime: str, name: str, zoo_plan: Callable[[str], Plan]) -> None:
    graphs = zoo_plan(name).graphs
    swept = Plan(graphs).sweep("h200", runtime, "fp16", batch=SIZES)
    np.testing.assert_allclose(swept, one_by_one(graphs, "h200", runtime, SIZES, dtype="fp16"), rtol=1e-9)


def test_a_report_after_a_sweep_is_what_it_was_before(zoo_plan: Callable[[str], Plan]) -> None:
    graphs = zoo_plan("distilbert").graphs
    plan = Plan(graphs)
    before = plan.report("h200", "compile", batch=9)
    plan.sweep("h200", "compile", batch=range(1, 20))
    after = plan.report("h200", "compile", batch=9)
    for field in dataclasses.fields(Report):
        first, second = getattr(before, field.name), getattr(after, field.name)
        if isinstance(first, float):
            assert second == pytest.approx(first, rel=1e-9)
        elif field.name not in ("interval_s", "costliest", "breakdown"):
            assert second == first
    assert after.interval_s == pytest.approx(before.interval_s, rel=1e-9)
    assert [(c.op, c.count) for c in after.costliest] == [(c.op, c.count) for c in before.costliest]
    assert [part.name for part in after.breakdown.by()] == [part.name for part in before.breakdown.by()]
    latencies = [sum(part.cost.critical_s for part in report.breakdown.by()) for report in (before, after)]
    assert latencies[1] == pytest.approx(latencies[0], rel=1e-9)


class Switches(nn.Module):
    """Runs other operators above a batch of 10, and of 100."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > 10:
            x = torch.linalg.vector_norm(torch.tanh(x), dim=-1, keepdim=True)
        if x.shape[0] > 100:
            x = torch.softmax(x, -1)
        return torch.relu(x) + 1


class Squares(nn.Module):
    """Products whose outputs grow with the square of the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x @ x.transpose(0, 1), -1)


@pytest.mark.parametrize("runtime", ["eager", "compile"])
@pytest.mark.parametrize("module", [Switches(), Squares()], ids=lambda module: type(module).__name__)
def test_a_sweep_follows_a_program_that_changes_with_the_size(module: nn.Module, runtime: str) -> None:
    sizes = [1, 2, 9, 10, 11, 12, 30, 99, 100, 101, 102, 200]
    x = torch.rand(4, 64)
    expected = [plan(module, x).report("h200", runtime, batch=size) for size in sizes]
    swept = plan(module, x).sweep("h200", runtime, batch=sizes)
    np.testing.assert_allclose(swept, [report.latency_s for report in expected], rtol=1e-9)
    assert len({report.operators for report in expected}) == (3 if isinstance(module, Switches) else 1)


def test_a_sweep_has_a_dimension_for_each_of_the_sizes_that_are_several(zoo_plan: Callable[[str], Plan]) -> None:
    bert = zoo_plan("distilbert")
    both = bert.sweep("h200", batch=[1, 2, 4], length=[64, 128])
    assert both.shape == (3, 2)
    assert bert.sweep("h200", batch=[1, 2, 4], length=128) == pytest.approx(both[:, 1])
    assert bert.sweep("h200", batch=2, length=[64, 128]) == pytest.approx(both[1])
    alone = bert.sweep("h200", batch=4, length=64)
    assert (alone.shape, float(alone)) == ((), pytest.approx(both[2, 0]))
    assert float(bert.sweep("h200")) == pytest.approx(both[0, 1])


def test_a_sweep_of_the_plain_formula_is_the_larger_of_both_times(zoo_plan: Callable[[str], Plan]) -> None:
    bert = zoo_plan("distilbert")
    reports = [bert.report("h200", batch=batch) for batch in (1, 64)]
    swept = bert.sweep("h200", batch=[1, 64], estimator="max")
    assert swept == pytest.approx([max(report.host_s, report.kernel_s) for report in reports])


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "tf32", "fp32"])
def test_dtypes_of_one_plan_do_not_mix(dtype: str) -> None:
    """Whichever was asked for first."""
    module = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    mixed = plan(module, torch.rand(4, 64))
    for other in ("bf16", "fp16", "tf32", "fp32"):
        mixed.report("h200", dtype=other, batch=9)
    assert mixed.report("h200", dtype=dtype, batch=9) == plan(module, torch.rand(9, 64)).report("h200", dtype=dtype)


# a plan as a value


def test_a_plan_of_bert_base_is_small_and_reports_the_same_after_pickling(zoo_plan: Callable[[str], Plan]) -> None:
    bert = zoo_plan("bert-base")
    content = pickle.dumps(bert)
    assert len(content) <= 100_000
    again = pickle.loads(content)
    for runtime in RUNTIMES:
        for batch in (1, 13):
            assert again.report("a100", runtime, batch=batch) == bert.report("a100", runtime, batch=batch)
    assert again.report("a100", batch=13, length=64) == bert.report("a100", batch=13, length=64)


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "tf32", "fp32"])
def test_a_plan_of_a_module_keeps_what_was_captured_when_it_is_pickled(dtype: str) -> None:
    captured = plan(nn.Sequential(nn.Linear(64, 64), nn.ReLU()), torch.rand(4, 64), runtimes=["eager"], dtypes=[dtype])
    assert pickle.loads(pickle.dumps(captured)).report("h200", dtype=dtype) == captured.report("h200", dtype=dtype)


def test_a_plan_is_not_changed_by_use(zoo_plan: Callable[[str], Plan]) -> None:
    used, content = Plan(zoo_plan("distilbert").graphs), pickle.dumps(zoo_plan("distilbert"))
    first = used.report("h200", "eager", batch=3)
    used.report("v100", "torchscript", "fp32", batch=5, length=64)
    used.sweep("a100", "compile", batch=range(1, 30))
    assert used.report("h200", "eager", batch=3) == first
    assert pickle.dumps(used) == content
    with pytest.raises(dataclasses.FrozenInstanceError):
        used.graphs = GraphSet("other")  # type: ignore[misc]


def test_a_pickled_plan_knows_only_what_it_was_captured_for() -> None:
    captured = plan(nn.Linear(64, 64), torch.rand(4, 64), "layer", runtimes=["eager", "cudagraph"])
    again = pickle.loads(pickle.dumps(captured))
    assert again.report("h200", "cudagraph").batch == 4
    with pytest.raises(PredictorError, match=r"not captured for what traced code does in fp32: say predictor\.plan"):
        again.report("h200", "torchscript")
    with pytest.raises(PredictorError, match="not captured for what eager code does in fp16"):
        again.report("h200", dtype="fp16")


def test_a_saved_plan_is_read_again(tmp_path: Path) -> None:
    captured = plan(small_bert(), ids(2, 16), "small", runtimes=["eager"])
    captured.report("h200", batch=5)
    captured.save(tmp_path / "new" / "small.plan")
    again = load_plan(tmp_path / "new" / "small.plan")
    assert (again.name, again.batch, again.length) == ("small", 2, 16)
    for batch in (2, 5):
        assert again.report("h200", batch=batch) == captured.report("h200", batch=batch)


def test_a_file_that_is_no_plan_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.plan").write_text("no plan")
    with pytest.raises(PredictorError, match=r"text\.plan is no file of graphs"):
        load_plan(tmp_path / "text.plan")
    with pytest.raises(PredictorError, match=r"absent\.plan cannot be read"):
        load_plan(tmp_path / "absent.plan")


def test_no_public_name_is_that_of_a_module() -> None:
    """Which would take its place once it is imported."""
    assert not set(predictor.__all__) & {module.name for module in pkgutil.iter_modules(predictor.__path__)}


# sizes of a user's module


def test_inputs_are_cut_or_repeated_along_the_batch_and_the_tokens() -> None:
    """The mask has the batch first and the tokens last; the table has neither, and stays."""

    def forward(tokens: torch.Tensor, mask: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.embedding(tokens, table).masked_fill(mask.unsqueeze(-1), 0.0)

    def inputs(batch: int, length: int) -> tuple[torch.Tensor, ...]:
        return torch.ones(batch, length, dtype=torch.int64), torch.ones(batch, length) > 0, torch.rand(50, 8)

    captured = plan(Function(forward), inputs(4, 16))
    for batch, length in ((1, 16), (3, 16), (9, 16), (9, 8), (4, 33)):
        expected = graph_of(Function(forward), inputs(batch, length), "fp16", "eager")
        assert captured.graph("fp16", "eager", batch, length).calls == expected.calls


def test_the_values_of_repeated_inputs_are_those_that_were_given() -> None:
    def forward(tokens: torch.Tensor) -> torch.Tensor:
        return tokens * 2 if (tokens == 0).any() else tokens + 1

    padded = plan(Function(forward), torch.tensor([[5, 5], [5, 0]]))
    assert padded.graph("fp16", "eager", 1).calls[-1].op == "add"
    assert padded.graph("fp16", "eager", 2).calls[-1].op == "mul"
    assert padded.graph("fp16", "eager", 7).calls[-1].op == "mul"


def test_a_module_whose_batch_is_fixed_says_so() -> None:
    fixed = plan(Function(lambda x: x.view(4, 64) + 1), torch.rand(4, 64))
    assert fixed.report("h200").batch == 4
    with pytest.raises(PredictorError, match=r"at batch 8 \(its inputs cut or repeated\): Function does not run"):
        fixed.report("h200", batch=8)


def test_a_module_without_tokens_has_no_length() -> None:
    with pytest.raises(PredictorError, match="Linear takes no tokens"):
        plan(nn.Linear(64, 64), torch.rand(4, 64)).report("h200", length=8)


@pytest.mark.parametrize("asked", [{"batch": 0}, {"batch": -3}, {"length": 0}])
def test_sizes_below_one_are_refused(asked: dict[str, int], zoo_plan: Callable[[str], Plan]) -> None:
    ((name, size),) = asked.items()
    for call in (zoo_plan("distilbert").report, zoo_plan("distilbert").sweep):
        with pytest.raises(PredictorError, match=f"{name} must be 1 or more, not {size}"):
            call("h200", **asked)


def test_an_onnx_file_has_one_batch(tmp_path: Path) -> None:
    export(nn.Linear(64, 32).eval(), torch.rand(3, 64), tmp_path / "layer.onnx")
    layer = plan_file(tmp_path / "layer.onnx")
    assert (layer.batch, layer.report("h200", "onnx").batch) == (3, 3)
    assert layer.sweep("h200", "onnx", batch=[3]) == pytest.approx([layer.report("h200", "onnx").latency_s])
    with pytest.raises(PredictorError, match="has fixed shapes, of batch 3: export it at batch 9"):
        layer.report("h200", "onnx", batch=9)


@pytest.mark.parametrize("runtime", RUN_ANYTHING)
def test_a_graph_has_the_batch_that_was_asked_for(runtime: str) -> None:
    layer = plan(nn.Embedding(50, 8), torch.ones(3, 4, dtype=torch.int64))
    assert [layer.graph("fp16", runtime, batch).batch for batch in (3, 5)] == [3, 5]


# comparisons


def waits(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if (torch.ones(2, device=x.device) > 0).all().item() else x


def test_every_runtime_is_compared(h200: Any) -> None:
    found = {one.runtime: one for one in plan(Function(waits), (X,)).compare("h200", "fp16")}
    assert set(found) == set(h200.runtimes) == set(runtimes.names())
    assert "waits" in found["cudagraph"].reason
    assert found["cudagraph"].report is None
    assert all(one.report for name, one in found.items() if name in ("eager", "torchscript", "compile"))


def test_a_gpu_without_runtimes_has_nothing_to_compare(h200: Any, tmp_path: Path) -> None:
    for name in ("device.json", "kernels.json"):
        shutil.copy(h200.folder / name, tmp_path / name)
    with pytest.raises(PredictorError, match="not calibrated for any runtime"):
        plan(Function(waits), (X,)).compare(str(tmp_path), "fp16")


def test_a_model_that_one_capture_mode_cannot_run_is_said_for_its_runtime_alone() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_tracing():
            raise ValueError("no tracing")
        return x * 2

    found = {one.runtime: one for one in plan(Function(forward), (X,)).compare("h200", "fp16")}
    assert found["torchscript"].report is None
    assert "no tracing" in found["torchscript"].reason
    assert found["eager"].report is not None
    with pytest.raises(PredictorError, match="does not run on these inputs"):
        graph_of(nn.Linear(3, 3), X, "fp16", "torchscript")


class _MultiplesOfEight(torch.nn.Module):
    """A module that takes batches of eight, sixteen and so on alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(8, -1, *x.shape[1:]).relu()


def test_a_sweep_asks_for_no_batch_that_was_not_asked_for_where_the_model_takes_few() -> None:
    made = plan(_MultiplesOfEight(), torch.empty(8, 64))
    batches = [8, 16, 24, 32, 40, 48]
    expected = [made.report("h200", batch=batch).latency_s for batch in batches]
    assert plan(_MultiplesOfEight(), torch.empty(8, 64)).sweep("h200", batch=batches).tolist() == pytest.approx(
        expected
    )


def test_a_pickled_plan_of_a_module_knows_any_batch() -> None:
    module, inputs = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 8)), torch.empty(4, 64)
    restored = pickle.loads(pickle.dumps(plan(module, inputs, runtimes=["eager", "compile"])))
    for runtime in ("eager", "compile"):
        for batch in (1, 4, 7, 300):
            expected = plan(module, torch.empty(batch, 64)).report("h200", runtime)
            assert restored.report("h200", runtime, batch=batch).latency_s == pytest.approx(
                expected.latency_s, rel=1e-9
            )


def test_a_pickled_plan_of_a_module_with_one_batch_knows_that() -> None:
    restored = pickle.loads(pickle.dumps(plan(_MultiplesOfEight(), torch.empty(8, 64), runtimes=["eager"])))
    assert restored.report("h200").batch == 8
    with pytest.raises(PredictorError, match="no graph for batch 9"):
        restored.report("h200", batch=9)


class _Decides(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.relu() if x.sum() > 0 else x


def test_a_pickled_plan_still_says_what_was_assumed() -> None:
    made = plan(_Decides(), torch.empty(2, 8), runtimes=["eager"])
    notes = made.report("h200").notes
    assert any(note.startswith("assumed: ") for note in notes)
    assert pickle.loads(pickle.dumps(made)).report("h200").notes == notes


def test_a_pickled_plan_keeps_the_module_s_own_dtype_and_what_was_said_of_it() -> None:
    options = CaptureOptions(channels_last=True)
    made = plan(nn.Conv2d(3, 8, 3).half(), torch.empty(2, 3, 8, 8), runtimes=["eager"], options=options)
    restored = pickle.loads(pickle.dumps(made))
    assert (made.dtype, restored.dtype, restored.notes) == ("fp16", "fp16", options.notes)
    assert restored.report("h200") == made.report("h200")
    assert restored.report("h200").dtype_origin == "the model's own"


@pytest.mark.parametrize(
    ("module", "x", "dtype"),
    [
        (nn.Linear(4, 4), torch.empty(2, 4), "fp32"),
        (nn.Linear(4, 4).bfloat16(), torch.empty(2, 4), "bf16"),
        (nn.Sequential(nn.Linear(64, 64).half(), nn.LayerNorm(64)), torch.empty(2, 64), "fp16"),
        (nn.BatchNorm1d(4, affine=False).half(), torch.empty(2, 4), "fp16"),
        (nn.ReLU(), torch.empty(2, 4, dtype=torch.bfloat16), "bf16"),
        (nn.Identity(), torch.ones(2, 4, dtype=torch.int64), "fp32"),
        (nn.Linear(4, 4).double(), torch.empty(2, 4), "fp64"),
        (nn.Linear(4, 4, dtype=torch.complex64), torch.empty(2, 4, dtype=torch.complex64), "fp32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_module_s_own_dtype_is_that_of_most_of_its_weights(module: nn.Module, x: torch.Tensor, dtype: str) -> None:
    """Of its buffers without weights, of its inputs without either; complex numbers have that of their parts."""
    assert plan(module, x).dtype == dtype
