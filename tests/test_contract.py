"""What every kernel family, runtime, GPU and zoo model must have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch

import models_zoo
from calibrate.samples.programs import restored, stored
from calibrate.samples.records import StoredProgram
from calibrate.workloads import sweeps
from calibrate.workloads.recipes import RECIPES
from predictor import runtimes
from predictor.calibration.files import SHIPPED, known_gpus
from predictor.calibration.load import Calibration, load_calibration
from predictor.kernels.families import FAMILIES, MeasuredIn
from predictor.predict import graph_of
from predictor.pricing.kernels import kernel_fit
from predictor.pricing.program import price
from predictor.records import UNKNOWN_ORIGIN, Graph
from predictor.runtimes.eager import lowering as eager
from predictor.timeline.queue import queue
from tests.helpers import FIRST_ZOO, RUN_ANYTHING, report

SWEPT = {name for name, family in FAMILIES.items() if family.measured_in is MeasuredIn.CALLS}


def test_every_family_has_a_recipe_and_every_recipe_a_family() -> None:
    assert set(RECIPES) == SWEPT


def test_every_family_is_part_of_every_sweep() -> None:
    for plan in (sweeps.FULL, sweeps.QUICK_CUDA, sweeps.FULL_CPU, sweeps.QUICK_CPU):
        runs = {name for name, row in RECIPES.items() if not row.dtypes or set(row.dtypes) & set(plan.dtypes)}
        assert set(plan.counts) == SWEPT & runs
        assert min(plan.counts.values()) > 0


@pytest.mark.parametrize("name", runtimes.names())
def test_a_runtime_has_its_name_and_both_functions(name: str) -> None:
    runtime = runtimes.load(name)
    assert name == runtime.name
    assert callable(runtime.lower)
    assert callable(runtime.prepare)


@pytest.mark.parametrize("name", [n for n in RUN_ANYTHING if not runtimes.load(n).needs_gpu])
def test_a_runtime_runs_a_module_for_real(name: str) -> None:
    module, x = torch.nn.Linear(8, 4), torch.rand(2, 8)
    found = runtimes.load(name).prepare(module, x)()
    torch.testing.assert_close(found[0] if isinstance(found, (tuple, list)) else found, module(x))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("name", RUN_ANYTHING)
def test_a_runtime_runs_a_module_on_a_gpu(name: str) -> None:
    module, x = torch.nn.Linear(8, 4, device="cuda"), torch.rand(2, 8, device="cuda")
    found = runtimes.load(name).prepare(module, x)()
    torch.testing.assert_close(found[0] if isinstance(found, (tuple, list)) else found, module(x))


class _Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layers = torch.nn.LayerNorm(64), torch.nn.ModuleList(torch.nn.Linear(64, 64) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = self.norm(x + torch.nn.functional.gelu(layer(x)))
        return x.transpose(1, 2).softmax(-1)


@pytest.mark.parametrize("name", RUN_ANYTHING)
def test_a_runtime_has_a_graph_and_a_price_for_a_module(name: str) -> None:
    graph = graph_of(_Small().eval(), torch.rand(2, 16, 64), "fp16", name)
    assert graph.macs >= 3 * 2 * 16 * 64 * 64  # fvcore counts the norms, too
    found = report(graph, "h200", name)
    assert found.runtime == name
    assert 1e-6 < found.latency_s < 1e-2
    assert 4 <= found.launches <= 25


SHIPPED_MODELS = [name for name in models_zoo.names() if models_zoo.graphs(name).is_file()]

FOLDERS = sorted(p for p in SHIPPED.iterdir() if p.is_dir())


def test_shipped_folders_are_known_gpus() -> None:
    assert "h200" in known_gpus()
    assert {p.name for p in FOLDERS} <= set(known_gpus())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_calibration_loads_and_is_complete(folder: Path) -> None:
    calibration = load_calibration(folder.name)
    assert calibration.gpu == folder.name
    assert calibration.provenance in ("measured", "fitted", "derived")
    assert calibration.runtimes or calibration.provenance != "measured"
    assert set(calibration.runtimes) <= set(runtimes.names())
    assert {key.family for key in calibration.fits} <= set(FAMILIES)
    for family in FAMILIES:
        assert kernel_fit(calibration, family, "fp32").floor_s > 0
    for runtime in calibration.runtimes:
        host = calibration.host(runtime)
        assert all(min(cost.hot_s, cost.cold_s) >= 0 for costs in host.calls.values() for cost in costs.values())
        assert min(host.line_s, host.module_s, host.fixed_s, host.launch_s) >= 0
        assert all((host.environment.date, host.environment.cpu, host.environment.versions, host.environment.probe_s))
    for dtype in calibration.dtypes:
        for family, row in FAMILIES.items():
            if row.matrix:
                assert kernel_fit(calibration, family, dtype).error > 0


def texts(value: object) -> Iterator[str]:
    """Of a file of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_calibration_names_no_folder_of_the_machine_it_was_made_on(folder: Path) -> None:
    for path in folder.glob("*.json"):
        said = texts(json.loads(path.read_text(encoding="utf-8")))
        assert not [text for text in said if re.search(r"(^|[\s:=,'])/(home|root|tmp)", text)]


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_a_zoo_model_is_modelled_and_has_a_price(name: str, dtype: str, zoo_graph: Callable[..., Graph]) -> None:
    graph = zoo_graph(name, dtype)
    program = eager.lower(graph)
    assert not program.unmodelled
    if program.unsupported_reason:
        assert "cuFFT" in program.unsupported_reason
        return
    found = report(graph, "h200")
    assert 1e-4 < found.latency_s < 1.0
    assert found.launches >= 19
    assert found.bound in ("framework", "compute", "memory")
    low, high = found.interval_s
    assert low < found.latency_s < high


@pytest.mark.parametrize("name", FIRST_ZOO)
def test_a_zoo_model_keeps_its_price_as_data(name: str, zoo_graph: Callable[..., Graph], h200: Calibration) -> None:
    """A program written as JSON and read again is predicted the same; where its calls come from is not kept."""
    program, host = eager.lower(zoo_graph(name, "fp16")), h200.host("eager")
    program = replace(program, calls=tuple(replace(call, origin=UNKNOWN_ORIGIN) for call in program.calls))
    again = restored(msgspec.json.decode(msgspec.json.encode(stored(program)), type=StoredProgram))
    assert again == program
    first, second = (queue(price(p, h200, host), h200.lanes, host.fixed_s) for p in (program, again))
    assert first == second
