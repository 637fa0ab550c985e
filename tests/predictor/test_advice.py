"""Answers for a designer: verdict, crossover, headroom, changes, runtimes, and the screen that shows them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import predictor
from predictor import Plan
from predictor.advice import Advice, RuntimeRow, question
from predictor.advice.blocks import Blocks, blocks_of, numbered, repeated
from predictor.advice.crossover import interpolated
from predictor.advice.headroom import WIDTHS
from predictor.advice.records import Step
from predictor.advice.widening import UNCHANGED, WIDER, widened
from predictor.cli.main import app
from predictor.kernels.families import FAMILIES
from predictor.records import Lanes, PricedCall, PricedKernel, PricedProgram
from predictor.sources import plan_of
from predictor.timeline.queue import queue

GPU = "h200"


@cache
def zoo(model: str) -> Plan:
    return plan_of(model)


@cache
def advised(model: str, runtime: str = "eager", batch: int = 1, gpu: str = GPU) -> Advice:
    return zoo(model).advise(gpu, runtime, batch=batch)


# crossover


def test_the_crossover_is_interpolated_where_the_device_gets_ahead_for_good() -> None:
    batches = np.array([1, 2, 8, 32])
    host_s = np.full(4, 4.0)
    assert interpolated(batches, host_s, np.array([1.0, 2.0, 2.0, 8.0])) == pytest.approx(16.0)
    assert interpolated(batches, host_s, np.array([1.0, 5.0, 2.0, 8.0])) == pytest.approx(16.0)
    assert interpolated(batches, host_s, np.full(4, 5.0)) == 1.0
    assert interpolated(batches, host_s, np.full(4, 3.0)) is None


def test_from_the_crossover_on_the_device_takes_longer_than_the_host() -> None:
    batch = zoo("distilbert").crossover(GPU)
    assert batch is not None
    before, after = (zoo("distilbert").report(GPU, batch=size) for size in (batch - 4, batch + 4))
    assert before.host_s > before.kernel_s
    assert after.host_s < after.kernel_s * 1.05
    assert zoo("distilbert").crossover(GPU, limit=batch // 2) is None


# what repeats


def two_blocks() -> tuple[PricedProgram, Blocks]:
    """A call of 1 s, two blocks of a call of 2 s with a kernel of 0.5 s, a call of 1 s."""
    kernel = PricedKernel(0.5, 1, "compute")
    calls = [PricedCall(1.0, ()), PricedCall(2.0, (kernel,)), PricedCall(2.0, (kernel,)), PricedCall(1.0, ())]
    of_calls = np.array([[0, 1, 0, 0], [0, 0, 1, 0]], dtype=bool)
    return PricedProgram.of(calls), Blocks("layers", (0, 1), of_calls, np.eye(2, dtype=bool))


@pytest.mark.parametrize(("times", "host_s", "kernel_s"), [(0, 4.0, 0.5), (1, 6.0, 1.0), (2, 8.0, 1.5), (3, 10.0, 2.0)])
def test_a_block_that_is_repeated_costs_as_often(times: int, host_s: float, kernel_s: float) -> None:
    priced, blocks = two_blocks()
    timeline = queue(repeated(priced, blocks, 0, times), Lanes(0.0, 0.0, 0.0))
    assert (timeline.host_s, timeline.kernel_s) == (host_s, kernel_s)


def test_kernels_of_a_block_that_a_cuda_graph_replays_are_repeated_in_it() -> None:
    kernels = tuple(PricedKernel(seconds, 1, "compute") for seconds in (1.0, 2.0, 4.0))
    priced = PricedProgram.of([PricedCall(0.5, kernels)])
    blocks = Blocks("layers", (0,), np.zeros((1, 1), dtype=bool), np.array([[False, True, False]]))
    timeline = queue(repeated(priced, blocks, 0, 3), Lanes(0.0, 0.0, 0.0))
    assert (timeline.host_s, timeline.kernel_s) == (0.5, 11.0)


@pytest.mark.parametrize(
    ("model", "runtime", "path", "count"),
    [
        ("bert-base", "eager", "encoder.layer", 12),
        ("bert-base", "cudagraph", "encoder.layer", 12),
        ("gpt2", "eager", "h", 12),
        ("distilbert", "compile", "transformer.layer", 6),
    ],
)
def test_blocks_are_found_by_their_modules(model: str, runtime: str, path: str, count: int) -> None:
    blocks = blocks_of(*question(zoo(model), GPU, runtime).priced())
    assert blocks is not None
    assert blocks.path == path
    assert count - 1 <= blocks.count <= count


# a wider network


def test_every_family_says_how_it_gets_wider() -> None:
    assert set(WIDER) | set(UNCHANGED) == set(FAMILIES)
    assert not set(WIDER) & set(UNCHANGED)


@pytest.mark.parametrize("model", ["bert-base", "resnet50", "mobilenet_v2"])
def test_twice_the_width_is_more_work_up_to_four_times(model: str) -> None:
    lowered, _ = question(zoo(model), GPU).priced()
    program = widened(lowered, numbered(lowered), [1.0, 2.0])
    totals = np.zeros(2)
    for group in program.groups:
        family = FAMILIES[group.family]
        for size in range(2):
            dims = family.complete({name: values[size] for name, values in group.dims.items()})
            grown, base = family.flops(dims), family.flops(family.complete({n: v[0] for n, v in group.dims.items()}))
            assert np.all(grown >= base)
            assert np.all(grown <= 4 * base + 1)
            totals[size] += float(np.sum(grown))
    assert totals[1] > 2 * totals[0]


def test_a_width_of_one_is_the_model() -> None:
    asked = question(zoo("bert-base"), GPU)
    lowered, priced = asked.priced()
    same = asked.plan.price(widened(lowered, numbered(lowered), [1.0]), asked.settings)
    assert np.allclose(same.kernel_s, priced.kernel_s)
    assert np.allclose(same.host_s, priced.host_s)


def test_the_estimate_of_a_deeper_and_wider_network_is_near_what_is_captured() -> None:
    small, wide, deep = (
        predictor.plan(stack(width, depth), torch.ones(1, 64, width), dtypes=["fp16"])
        for width, depth in ((512, 8), (1024, 8), (512, 9))
    )
    asked = question(small, GPU, dtype="fp16", batch=256)
    lowered, priced = asked.priced()
    wider = asked.plan.price(widened(lowered, numbered(lowered), [2.0]), asked.settings)
    expected = wide.report(GPU, dtype="fp16", batch=256)
    assert float(wider.kernel_s.sum()) == pytest.approx(expected.kernel_s, rel=0.02)
    assert float(wider.host_s.sum()) == pytest.approx(
        float(question(wide, GPU, dtype="fp16", batch=256).priced()[1].host_s.sum()), rel=0.05
    )
    blocks = blocks_of(lowered, priced)
    assert blocks is not None
    deeper = repeated(priced, blocks, 1, 2)
    assert float(deeper.kernel_s.sum()) == pytest.approx(deep.report(GPU, dtype="fp16", batch=256).kernel_s, rel=0.01)


def stack(width: int, depth: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU()) for _ in range(depth))
    )


# advice


def test_a_small_batch_is_bound_by_the_framework_and_told_how_far() -> None:
    advice = advised("bert-base")
    assert advice.verdict.bound == "framework"
    assert advice.verdict.idle_share == pytest.approx(1 - advice.report.busy_share)
    assert advice.verdict.ratio == pytest.approx(advice.verdict.host_s / advice.verdict.device_s)
    assert [row.batch for row in advice.sizes] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert advice.crossover is not None
    assert 32 < advice.crossover < 128


def test_near_the_crossover_nothing_is_said_to_decide() -> None:
    crossover = advised("bert-base").crossover
    assert crossover
    assert advised("bert-base", batch=crossover).verdict.bound == "borderline"
    assert advised("bert-base", batch=512).verdict.bound in ("compute", "memory")


def test_headroom_ends_where_the_latency_has_grown_by_five_percent() -> None:
    advice = advised("bert-base")
    rows = {row.dimension: row for row in advice.headroom}
    assert set(rows) == {"batch", "length", "width", "depth"}
    base_s = advice.report.latency_s
    until = int(rows["batch"].until)
    assert zoo("bert-base").report(GPU, batch=until).latency_s <= 1.05 * base_s
    assert zoo("bert-base").report(GPU, batch=until + 1).latency_s > 1.05 * base_s
    assert zoo("bert-base").report(GPU, length=int(rows["length"].until)).latency_s <= 1.05 * base_s
    assert rows["width"].factor > 1
    assert rows["depth"].factor == 1
    block_s = (zoo("bert-base-d24").report(GPU).latency_s - base_s) / 12
    assert rows["depth"].step == Step(13, pytest.approx(block_s / base_s, rel=0.02), 13)


def test_a_step_is_told_with_the_plateau_behind_it() -> None:
    batch = next(row for row in advised("bert-base", gpu="a100").headroom if row.dimension == "batch")
    step = batch.step
    assert step is not None
    base_s, step_s = (zoo("bert-base").report("a100", batch=size).latency_s for size in (1, 2))
    assert (batch.until, step.value, step.growth) == (1, 2, pytest.approx(step_s / base_s - 1))
    assert step.growth > 0.05
    assert step.is_plateau
    flat, over = (zoo("bert-base").report("a100", batch=int(step.flat_until) + more).latency_s for more in (0, 1))
    assert flat <= 1.05 * step_s < over
    told = math.ceil(1000 * step.growth) / 10
    line = f"batch  nothing; 2 costs {told}%, then flat to {step.flat_until:.0f}"
    assert line in str(advised("bert-base", gpu="a100"))


def test_lengths_have_steps_and_plateaus_too() -> None:
    length = next(row for row in zoo("mobilebert").headroom(GPU, "cudagraph") if row.dimension == "length")
    assert length.step is not None
    until, value, flat = (int(size) for size in (length.until, length.step.value, length.step.flat_until))
    base_s, until_s, step_s, flat_s = (
        zoo("mobilebert").report(GPU, "cudagraph", length=size).latency_s for size in (128, until, value, flat)
    )
    assert until_s <= 1.05 * base_s < step_s
    assert length.step.growth == pytest.approx(step_s / base_s - 1)
    assert flat_s <= 1.05 * step_s


@pytest.mark.parametrize(("batch", "width", "how"), [(1, 16, "predicted"), (512, 256, "interpolated")])
def test_the_lengths_of_a_module_are_captured(batch: int, width: int, how: str) -> None:
    module = nn.Sequential(nn.Embedding(9, width), nn.Linear(width, width))
    plan = predictor.plan(module, torch.ones(batch, 64).long())
    length = next(row for row in plan.headroom(GPU) if row.dimension == "length")
    assert (length.now, length.how) == (64, how)
    base_s = plan.report(GPU).latency_s
    if length.step is None:
        assert plan.report(GPU, length=int(length.until)).latency_s <= 1.05 * base_s
    else:
        assert length.now < length.until < length.step.value
        step_s = plan.report(GPU, length=int(length.step.value)).latency_s
        assert length.step.growth == pytest.approx(step_s / base_s - 1)
        assert length.step.growth > 0.05


def test_blocks_that_cost_little_are_not_the_depth_of_a_model() -> None:
    assert blocks_of(*question(zoo("googlenet"), GPU).priced()) is None  # two convolutions of a branch


SHAPED = """
import torch
from torch import nn
def build(batch, depth=6, width=512):
    if width % 128:
        raise ValueError("heads of 128")
    blocks = [nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU()) for _ in range(depth)]
    return nn.Sequential(*blocks).half(), torch.ones(batch, width)
"""


@pytest.mark.parametrize("batch", [1, 2048])
def test_a_factory_is_called_with_the_widths_and_depths_between_which_headroom_ends(batch: int, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SHAPED)
    model = f"{tmp_path / 'net.py'}:build"
    rows = {row.dimension: row for row in plan_of(model, batch).headroom(GPU, batch=batch)}
    assert {rows["width"].how, rows["depth"].how} == {"predicted"}

    def latency_s(**sizes: int) -> float:
        said = ", ".join(f"{name}={value}" for name, value in sizes.items())
        (tmp_path / "other.py").write_text(
            f"from net import build as made\ndef build(batch): return made(batch, {said})"
        )
        return plan_of(f"{tmp_path / 'other.py'}:build", batch).report(GPU).latency_s

    limit_s = 1.05 * latency_s()
    depth, width = int(rows["depth"].until), round(512 * rows["width"].until)
    assert latency_s(depth=depth) <= limit_s < latency_s(depth=depth + 1)
    assert latency_s(width=width) <= limit_s
    assert rows["depth"].step is not None
    assert rows["depth"].step.growth == pytest.approx(latency_s(depth=depth + 1) * 1.05 / limit_s - 1)
    if step := rows["width"].step:
        over_s = latency_s(width=round(512 * step.value))
        assert step.growth == pytest.approx(over_s * 1.05 / limit_s - 1)
        assert latency_s(width=round(512 * step.flat_until)) <= 1.05 * over_s
    tried = [round(512 * factor) for factor in WIDTHS if 512 * factor % 128 == 0 and 512 * factor > width]
    assert rows["width"].most == (not tried)
    assert all(latency_s(width=wider) > limit_s for wider in tried[:1])


def test_every_change_gains_something_and_the_most_comes_first() -> None:
    advice = advised("bert-base")
    gains = [change.gain for change in advice.changes]
    assert gains == sorted(gains, reverse=True)
    assert min(gains) >= 0.03
    by_kind = {change.kind: change for change in advice.changes}
    assert by_kind["runtime"].latency_s == min(row.latency_s for row in advice.runtimes if row.latency_s)
    batch = by_kind["batch"]
    assert batch.per_sample
    assert batch.latency_s < advice.report.latency_s / 4
    assert by_kind["shape"].latency_s < advice.report.latency_s  # half of the blocks, host-bound


def test_attention_that_is_multiplied_out_is_proposed_fused() -> None:
    assert advised("bert-base", gpu="a100").report.attention == "multiplied out"
    change = next(change for change in advised("bert-base", gpu="a100").changes if change.kind == "attention")
    assert change.latency_s == zoo("bert-base").report("a100", attention="sdpa").latency_s


def test_runtimes_whose_intervals_overlap_are_tied() -> None:
    rows = [row for row in advised("bert-base").runtimes if row.interval_s]
    assert [row.latency_s for row in rows] == sorted(row.latency_s or 0 for row in rows)
    assert rows[0].interval_s is not None
    for row in rows[1:]:
        assert row.interval_s is not None
        assert row.tied == (row.interval_s[0] <= rows[0].interval_s[1])
    assert rows[0].tied == any(row.tied for row in rows[1:])


def test_a_faster_runtime_that_is_tied_with_the_one_at_hand_is_to_be_measured() -> None:
    change = next(change for change in advised("swin", "cudagraph").changes if change.kind == "runtime")
    rows = {row.runtime: row for row in advised("swin", "cudagraph").runtimes}
    assert rows["cudagraph"].tied
    assert change.what == "runtime compile-cudagraph, tied with cudagraph: measure both"
    assert "tied" not in next(change for change in advised("swin").changes if change.kind == "runtime").what


def test_waiting_stands_in_the_way_of_cuda_graphs_only_where_they_cannot_be_captured() -> None:
    advice = advised("squeezebert", gpu="h100")  # it looks at its mask, but not while a graph is captured
    assert next(row for row in advice.runtimes if row.runtime == "cudagraph").latency_s
    assert not [change for change in advice.changes if change.kind == "cuda graphs" and "without" in change.what]


class Waits(nn.Module):
    """Looks at its data between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers[0](x)
        if x.abs().max().item() > 1e6:
            x = x / 2
        return self.layers[2](self.layers[1](x))


LINE = next(n for n, line in enumerate(Path(__file__).read_text("utf-8").splitlines(), 1) if "1e6:" in line)


def test_what_stands_in_the_way_of_cuda_graphs_is_named_by_its_line() -> None:
    advice = predictor.plan(Waits().eval(), torch.ones(1, 3, 64, 64)).advise(GPU)
    place = f"item (test_advice.py:{LINE})"
    graphs = next(change for change in advice.changes if change.kind == "cuda graphs")
    assert place in graphs.what
    assert graphs.estimated
    assert graphs.latency_s < advice.report.latency_s
    reason = next(row.reason for row in advice.runtimes if row.runtime == "cudagraph")
    assert f"item at test_advice.py:{LINE}" in reason
    assert advice.open_batch
    assert [row.batch for row in advice.sizes][-1] == 128


def test_channels_last_is_what_capturing_again_says() -> None:
    module, inputs = Waits().eval(), torch.ones(1, 3, 64, 64)
    source = predictor.plan(module, inputs).source
    turned = source.channels_last()  # type: ignore[union-attr]
    assert turned.channels_last() is None
    again = predictor.plan(module, inputs, options=predictor.records.CaptureOptions(channels_last=True))
    assert turned.graph("fp32", "eager", "eager", 1, 0).calls == again.graph("fp32", "eager").calls


class Fixed(nn.Module):
    """Takes one batch size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x.reshape(4, 8))


def test_a_model_of_one_batch_size_is_advised_at_that() -> None:
    advice = predictor.plan(Fixed(), torch.ones(4, 8)).advise(GPU)
    assert not advice.open_batch
    assert [row.batch for row in advice.sizes] == [4]
    assert advice.crossover is None
    assert "takes no other batch size" in str(advice)


def test_what_modules_cost_the_host_is_theirs_alone() -> None:
    modules = advised("bert-base").modules
    assert "encoder.layer.*.attention.self" in [module.path for module in modules]
    assert sum(module.host_share for module in modules) <= 1
    norm = next(module for module in modules if module.path == "encoder.layer.*.output.LayerNorm")
    assert norm.calls == 12


def test_no_module_is_exported_for_advice_but_one_that_was_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path))

    def plan() -> Plan:
        return predictor.plan(nn.Sequential(nn.Linear(8, 8), nn.ReLU()).eval(), torch.ones(1, 8))

    def onnx(advice: Advice) -> RuntimeRow:
        return next(row for row in advice.runtimes if row.runtime == "onnx")

    advice = plan().advise(GPU)
    assert onnx(advice).untried
    assert "onnx, onnx-cudagraph not priced" in str(advice)
    compared = {row.runtime: row for row in plan().compare(GPU)}
    assert compared["onnx"].report is not None
    assert onnx(plan().advise(GPU)).latency_s == compared["onnx"].report.latency_s


# the screen


@pytest.mark.parametrize(
    ("model", "runtime", "gpu"),
    [("bert-base", "eager", "a100"), ("resnet50", "cudagraph", "t4"), ("gpt2", "onnx", "h100")],
)
def test_advice_is_one_screen(model: str, runtime: str, gpu: str) -> None:
    lines = str(advised(model, runtime, gpu=gpu)).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 48
    assert lines[0].startswith(f"{model}, batch 1")


def test_where_the_device_decides_no_module_is_blamed_for_host_time() -> None:
    screen = str(advised("bert-base", batch=512))
    assert "modules that cost the host" not in screen
    assert f"Bound by the GPU from batch {advised('bert-base').crossover} on." in screen


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_the_command_prints_it_as_text_and_json() -> None:
    text = invoke("bert-base", "--gpu", GPU, "--advise")
    assert text.rstrip() == str(advised("bert-base"))
    data = json.loads(invoke("bert-base", "--gpu", GPU, "--advise", "--json"))
    assert data["model"] == "bert-base"
    assert data["advice"] == json.loads(json.dumps(advised("bert-base").to_dict()))


@pytest.mark.parametrize("options", [("--csv",), ("--by", "op"), ("--batch", "1,2")])
def test_what_advice_does_not_take_is_refused(options: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["bert-base", "--gpu", GPU, "--advise", *options])
    assert result.exit_code == 2
    assert "--advise" in result.stderr


@pytest.mark.parametrize("model", ["resnet50", "gpt2-generate"])  # the latter's are of one length
def test_advice_on_a_shipped_graph_imports_no_torch(model: str) -> None:
    code = (
        f"import sys; from predictor.sources import plan_of; plan_of('{model}').advise('h200', 'cudagraph'); "
        "print([name for name in ('torch', 'transformers', 'sklearn', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
