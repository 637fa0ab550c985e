"""Many candidates at once: results, errors, processes, a cluster, budgets."""

from __future__ import annotations

import csv
import math
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pytest
import torch
from torch import nn

from predictor import Predictor, PredictorError, load_plan, plan
from predictor.graph.onnx_export import export
from predictor.search import DIED, _pickled
from predictor.sources import plan_of
from tests.predictor.search_candidates import Chain, chain, chains, ending, killing, noted

H200 = Predictor("h200", dtype="fp16")


def latencies(results: Any) -> list[float]:
    return [result.latency_s for result in results]


def raising() -> Any:
    raise ValueError("no such network")


# what a candidate may be, and what comes back


def test_every_kind_of_candidate_is_priced_as_predict_prices_it(tmp_path: Path) -> None:
    module, inputs = chain(2)
    path = tmp_path / "chain.plan"
    plan(module, inputs, runtimes=["eager"], dtypes=["fp16"]).save(path)
    expected = H200.predict(module, inputs)
    candidates = [
        *(partial(chain, 2), lambda: chain(2), lambda batch: chain(2, batch=batch), (module, inputs)),
        *(plan(module, inputs), load_plan(path)),
    ]
    results = H200.map(candidates, batch=2)
    assert [result.index for result in results] == list(range(6))
    for result in results:
        (price,) = result.prices
        assert (price.latency_s, price.interval_s, price.bound) == (
            expected.latency_s,
            expected.interval_s,
            expected.bound,
        )
        assert (price.host_s, price.kernel_s, price.launches) == (expected.host_s, expected.kernel_s, expected.launches)
        assert (result.batch, result.macs, result.error) == (2, expected.macs, "")
    assert [result.parameters for result in results] == [2 * (16 * 16 + 16)] * 4 + [None] * 2


def test_a_module_takes_the_inputs_of_all(tmp_path: Path) -> None:
    (result,) = H200.map([Chain(2, 16)], inputs=torch.rand(2, 16))
    assert result.latency_s == H200.latency(*chain(2))
    (without,) = H200.map([Chain(2, 16)])
    assert "inputs" in without.error


def test_names_of_the_zoo_and_files(onnx_file: Path) -> None:
    zoo, onnx, nothing = Predictor("h200", "onnx").map(["distilbert", str(onnx_file), "no-such-model"])
    assert zoo.latency_s == Predictor("h200", "onnx").report(plan_of("distilbert")).latency_s
    assert onnx.latency_s == Predictor("h200", "onnx").predict_file(onnx_file).latency_s
    assert "no-such-model" in nothing.error


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    path = tmp_path / "chain.onnx"
    export(*chain(2), path)
    return path


def test_an_error_of_one_is_its_result_and_the_rest_go_on() -> None:
    results = H200.map([partial(chain, 1), raising, (nn.Linear(3, 3), torch.rand(1, 4)), 7, partial(chain, 2)])
    assert [result.index for result in results.errors] == [1, 2, 3]
    assert results[1].error == "ValueError: no such network"
    assert math.isnan(results[1].latency_s)
    assert results[0].latency_s == H200.latency(*chain(1))
    assert results[4].latency_s == H200.latency(*chain(2))


def test_a_runtime_that_cannot_run_it_is_said_for_that_runtime(onnx_file: Path) -> None:
    (result,) = H200.map([onnx_file], runtimes=["eager", "onnx"])
    cannot, can = result.prices
    assert "eager runs modules" in cannot.reason
    assert math.isnan(cannot.latency_s)
    assert can.latency_s == Predictor("h200", "onnx", "fp16").predict_file(onnx_file).latency_s
    assert result.error == ""


def test_unknown_settings_are_an_error_of_the_call() -> None:
    with pytest.raises(PredictorError, match="unknown runtime"):
        H200.map([partial(chain, 1)], runtimes=["eagre"])
    with pytest.raises(PredictorError, match="batch must be"):
        H200.map([partial(chain, 1)], batch=0)


def test_an_iterator_that_raises_raises() -> None:
    def candidates() -> Any:
        yield partial(chain, 1)
        raise KeyError("the end of the search")

    with pytest.raises(KeyError, match="the end of the search"):
        H200.map(candidates())


def test_tables_have_a_row_for_each_gpu_and_runtime(tmp_path: Path) -> None:
    results = H200.map([partial(chain, 1), raising], gpus=["h200", "a100"], runtimes=["eager", "cudagraph"])
    rows = results.records()
    assert [(row["index"], row["gpu"], row["runtime"]) for row in rows] == [
        *((0, gpu, runtime) for gpu in ("h200", "a100") for runtime in ("eager", "cudagraph")),
        (1, None, None),
    ]
    results.to_csv(tmp_path / "results.csv")
    with open(tmp_path / "results.csv", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert [float(row["latency_s"]) for row in written[:4]] == [row["latency_s"] for row in rows[:4]]
    assert written[4]["error"] == "ValueError: no such network"
    frame = results.to_pandas()
    assert frame["latency_s"].tolist()[:4] == [row["latency_s"] for row in rows[:4]]
    assert results[0].price("a100", "cudagraph").latency_s == rows[3]["latency_s"]
    with pytest.raises(PredictorError, match="v100"):
        results[0].price("v100")


# what a search asks


def test_a_budget_spares_what_follows() -> None:
    candidates = [partial(chain, depth) for depth in (1, 4, 16)]
    seconds = latencies(H200.map(candidates))
    results = H200.map(candidates, runtimes=["eager", "cudagraph"], budget_s=(seconds[1] + seconds[2]) / 2)
    assert [result.over_budget for result in results] == [False, False, True]
    assert [len(result.prices) for result in results] == [2, 2, 1]


def test_upper_compares_by_the_interval() -> None:
    candidates = [partial(chain, depth) for depth in (1, 4)]
    results = H200.map(candidates)
    highs = [result.prices[0].interval_s[1] for result in results]
    between = (results[1].latency_s + highs[1]) / 2
    assert not H200.map(candidates, budget_s=between)[1].over_budget
    strict = H200.map(candidates, budget_s=between, upper=True)
    assert strict[1].over_budget
    assert strict.seconds().tolist() == highs
    assert [result.index for result in strict.ranked()] == [0, 1]


def test_monotone_holds_for_whole_models() -> None:
    monotone = Predictor("h200", "cudagraph", "bf16", monotone=True)
    usual = Predictor("h200", "cudagraph", "bf16")
    results = monotone.map([partial(chain, 2, 256 * 4**k, 512) for k in range(3)])
    kernel_s = [result.prices[0].kernel_s for result in results]
    assert kernel_s == sorted(kernel_s)
    for k, seconds in enumerate(kernel_s):
        assert seconds >= usual.predict(*chain(2, 256 * 4**k, 512)).kernel_s
    assert latencies(results) == [monotone.latency(*chain(2, 256 * 4**k, 512)) for k in range(3)]


def test_gradients_are_not_needed_nor_left() -> None:
    module, inputs = chain(1)
    with torch.enable_grad():
        (result,) = H200.map([(module.requires_grad_(), inputs.requires_grad_())])
    assert result.error == ""
    assert inputs.grad is None


# processes


def test_processes_give_the_same_in_the_same_order() -> None:
    candidates = [*chains(40), raising, lambda: chain(3), (*chain(2),), plan(*chain(2)), "distilbert"]
    alone = H200.map(candidates, runtimes=["eager", "compile"], cache=False)
    shared = H200.map(candidates, 2, runtimes=["eager", "compile"], cache=False)
    assert shared.results == alone.results
    assert len(alone.errors) == 1


def test_a_candidate_that_cannot_be_sent_is_its_error() -> None:
    results = H200.map([partial(chain, 1), (lambda lock: lambda: lock)(__import__("_thread").allocate_lock())], 2)
    assert results[0].error == ""
    assert "cannot be sent" in results[1].error


def test_weights_are_sent_by_their_shapes() -> None:
    module, inputs = chain(4, 512)
    content = _pickled((module, inputs))
    assert len(content) < 2e4
    assert len(pickle.dumps(module)) > 4e6
    received, _ = pickle.loads(content)
    assert [p.shape for p in received.parameters()] == [p.shape for p in module.parameters()]


def test_a_bar_only_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    H200.map(chains(2))
    assert capsys.readouterr().err == ""
    H200.map(chains(2), progress=True)
    assert "2/2" in capsys.readouterr().err


def test_candidates_that_end_their_process_are_errors_and_the_rest_go_on() -> None:
    victims = (5, 6)
    results = H200.map([partial(ending, number, victims) for number in range(20)], workers=2, cache=False)
    assert [result.index for result in results] == list(range(20))
    assert [result.index for result in results.errors] == list(victims)
    assert all(result.error == DIED and not result.prices for result in results.errors)
    expected = H200.map([partial(ending, number, ()) for number in range(20)], cache=False)
    others = [number for number in range(20) if number not in victims]
    assert [results[number] for number in others] == [expected[number] for number in others]


def test_a_dask_cluster_of_which_a_worker_is_killed(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    candidates = [partial(killing, tmp_path, number, 40) for number in range(96)]
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        results = H200.map(candidates, cache=False)
    assert len(list(tmp_path.glob("40-*"))) >= 2  # in the process that was killed, and again
    assert len({path.name.split("-")[1] for path in tmp_path.glob("*-*-*")}) >= 2
    assert [result.index for result in results] == list(range(96))
    assert results.errors == ()
    assert results.results == H200.map([partial(noted, tmp_path, number) for number in range(96)]).results
