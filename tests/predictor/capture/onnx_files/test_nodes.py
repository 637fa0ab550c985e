"""Subgraphs are priced inside, as often as they run; sizes that values decide are assumed or asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictor.capture.onnx_files import files
from predictor.capture.onnx_files.bindings import Bindings
from predictor.errors import CannotRunError, PredictorError
from predictor.predict import plan_file
from predictor.records import Graph
from predictor.runtimes.onnx.lowering import lower
from tests.onnx_models import BOOL, FLOAT, INT, constant, graph, info, model, node, saved, weight


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def read(folder: Path, made: Any, **said: Any) -> Graph:
    return files.read_graph(saved(folder, made), bindings=Bindings(**said))


def loop(trips: Any, *nodes: Any, inputs: tuple[Any, ...] = ()) -> Any:
    """A loop whose state s becomes t; its rounds are an input where they are None."""
    state = [info("i", (), INT), info("c", (), BOOL), info("s", None)]
    made = [*(nodes or [node("MatMul", "s,w", "t")]), node("Identity", "c", "d")]
    body = graph(made, state, [info("d", (), BOOL), info("t", None)])
    known = [] if trips is None else [constant("n", trips)]
    given = [info("x"), *([info("n", (), INT)] if trips is None else [])]
    return model(
        [node("Loop", "n,go,x", body=body)], given, [*known, constant("go", True, np.bool_), weight("w", 64, 64)]
    )


@pytest.mark.parametrize("trips", [0, 1, 7, 5000, 10**8])
def test_a_loop_costs_its_body_so_many_times(tmp_path: Path, trips: int) -> None:
    found = read(tmp_path, loop(trips))
    assert found.macs == trips * 64 * 64
    assert sum(c.times for c in found.calls if c.op == "MatMul") == trips
    assert len(found.calls) < 2100


def test_a_loop_of_many_rounds_takes_as_long_as_that_many_of_few(tmp_path: Path) -> None:
    few, many = (plan_file(saved(tmp_path, loop(n), f"loop{n}")).report("h200", "onnx") for n in (500, 50_000))
    assert 100 * few.latency_s <= many.latency_s  # many wait as if none ran beside the host
    assert many.latency_s <= 100 * (few.host_s + few.kernel_s)
    assert (many.operators, many.launches) == (pytest.approx(100 * few.operators, rel=0.01), 100 * few.launches)


def test_how_often_a_loop_runs_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        PredictorError, match="how often loop Loop runs is not in the file: say it, for example --trips 10"
    ):
        read(tmp_path, loop(None))
    assert read(tmp_path, loop(None), trips=12).macs == 12 * 64 * 64


def test_a_loop_runs_as_often_as_its_sequence_is_long(tmp_path: Path) -> None:
    made = loop(None)
    del made.graph.input[1:]
    construct, length = node("SequenceConstruct", "x,x,x", "all"), node("SequenceLength", "all", "n")
    nodes = [construct, length, *made.graph.node]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    assert read(tmp_path, made).macs == 3 * 64 * 64


def test_what_grows_in_a_loop_has_its_mean_size(tmp_path: Path) -> None:
    found = read(tmp_path, loop(11, node("Concat", "s,x", "t", axis=0)))
    joined = next(c for c in found.calls if c.op == "Concat")
    assert joined.outputs[0].shape == (7, 64)  # 2, 3, ... 12
    assert found.calls[-1].outputs[0].shape == (12, 64)


def test_of_branches_the_costlier_runs(tmp_path: Path) -> None:
    small, large = (graph([node("MatMul", f"x,{w}", f"{w}y")], [], [info(f"{w}y", None)]) for w in ("small", "large"))
    nodes = [
        node("ReduceMax", "x", "m", keepdims=0),
        node("Cast", "m", "c", to=BOOL),
        node("If", "c", "y", then_branch=small, else_branch=large),
    ]
    found = read(tmp_path, model(nodes, weights=[weight("small", 64, 8), weight("large", 64, 512)]))
    assert found.macs == 64 * 512
    assert "the costlier branch" in found.assumptions[0]
    assert sum(call.sync for call in lower(found).calls) == 1


@pytest.mark.parametrize(("condition", "macs"), [(True, 64 * 8), (False, 64 * 512)])
def test_a_constant_condition_is_decided(tmp_path: Path, condition: bool, macs: int) -> None:
    small, large = (graph([node("MatMul", f"x,{w}", f"{w}y")], [], [info(f"{w}y", None)]) for w in ("small", "large"))
    nodes = [node("If", "c", "y", then_branch=small, else_branch=large)]
    weights = [weight("small", 64, 8), weight("large", 64, 512), constant("c", condition, np.bool_)]
    found = read(tmp_path, model(nodes, weights=weights))
    assert (found.macs, found.assumptions) == (macs, ())


def test_a_scan_goes_along_its_input(tmp_path: Path) -> None:
    body = graph(
        [node("MatMul", "s,w", "t"), node("Mul", "t,e", "u"), node("Identity", "u", "v")],
        [info("s", None), info("e", None)],
        [info("u", None), info("v", None)],
    )
    nodes = [node("Scan", "x,z", "y,q", body=body, num_scan_inputs=1)]
    made = model(nodes, [info("x"), info("z", (9, 1, 64))], [weight("w", 64, 64)], [info("y", None), info("q", None)])
    found = read(tmp_path, made)
    assert found.macs == 9 * 64 * 64
    assert [t.shape for t in found.calls[-1].outputs] == [(1, 64), (9, 1, 64)]


def test_a_cuda_graph_holds_no_control_flow(tmp_path: Path) -> None:
    plan = plan_file(saved(tmp_path, loop(4)))
    with pytest.raises(CannotRunError, match=r"no CUDA graph of a model with control flow \(Loop\)"):
        plan.report("h200", "onnx-cudagraph")


@pytest.mark.parametrize(("op", "shape"), [("NonZero", (2, 64)), ("Unique", (64,))])
def test_a_size_that_values_decide_is_assumed(tmp_path: Path, op: str, shape: tuple[int, ...]) -> None:
    kind = INT if op == "NonZero" else FLOAT
    made = model([node(op, "x", "a"), node("Abs", "a")], outputs=[info("y", None, kind)])
    found = read(tmp_path, made)
    assert [c.outputs[0].shape for c in found.calls] == [shape, shape]
    assert len(found.assumptions) == 1


def test_boxes_are_as_many_as_are_let_through(tmp_path: Path) -> None:
    inputs = [info("x", (1, 100, 4)), info("scores", (1, 8, 100))]
    made = model([node("NonMaxSuppression", "x,scores,n")], inputs, [constant("n", [20])], [info("y", None, INT)])
    assert read(tmp_path, made).calls[0].outputs[0].shape == (8 * 20, 3)


def test_a_shape_that_an_input_says_is_asked_for(tmp_path: Path) -> None:
    made = model([node("Reshape", "x,n")], [info("x"), info("n", (2,), INT)])
    with pytest.raises(PredictorError, match=r"tensor 'y' of node Reshape has an open size, \?x\?"):
        read(tmp_path, made)


def test_a_sequence_holds_the_tensors_that_it_is_made_of(tmp_path: Path) -> None:
    nodes = [node("SplitToSequence", "x", "s", axis=0), node("ConcatFromSequence", "s", axis=0)]
    found = read(tmp_path, model(nodes, [info("x", (8, 64))]))
    assert [c.outputs[0].shape for c in found.calls] == [(8, 64), (8, 64)]


def test_sparse_weights_and_local_functions_are_read(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    imports = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Twice", ["a"], ["b"], [node("Add", "a,a", "b")], imports)
    twice = helper.make_node("Twice", ["m"], ["y"], domain="own")
    made = model([node("MatMul", "x,w", "m"), twice], functions=[function])
    made.graph.sparse_initializer.append(
        onnx.helper.make_sparse_tensor(weight("w", 3), constant("", [0, 5, 9]), [64, 8])
    )
    found = read(tmp_path, made)
    assert Counter(c.op for c in found.calls) == {"MatMul": 1, "Add": 1}
    assert found.macs == 64 * 8


def test_an_lstm_of_very_many_steps_is_priced_by_its_steps(tmp_path: Path) -> None:
    def seconds(steps: int) -> float:
        weights = [weight("w", 1, 32, 8), weight("r", 1, 32, 8)]
        made = model([node("LSTM", "x,w,r", hidden_size=8)], [info("x", (steps, 1, 8))], weights)
        report = plan_file(saved(tmp_path, made, f"lstm{steps}")).report("h200", "onnx")
        assert report.macs == steps * (32 * 8 + 32 * 8)
        return report.kernel_s

    assert seconds(10**8) == pytest.approx(1e5 * seconds(1000), rel=0.05)


def test_an_operator_of_another_library_is_named(tmp_path: Path) -> None:
    from onnx import helper

    made = model([helper.make_node("Spectral", ["x"], ["y"], domain="own")])
    with pytest.raises(CannotRunError, match="no operator own:Spectral"):
        read(tmp_path, made)


def test_types_without_a_kernel_on_the_cpu_do_not_hide_what_is_optional(tmp_path: Path) -> None:
    made = model(
        [node("Resize", "x,,n", mode="nearest")], [info("x", (1, 3, 8, 8))], [constant("n", [1, 1, 2, 2], np.float32)]
    )
    call = read(tmp_path, made).calls[0]
    assert "input2" in call.args
    assert "input1" not in call.args
    assert call.outputs[0].shape == (1, 3, 16, 16)


def test_what_the_cpu_has_no_kernel_for_stands_where_it_stood(tmp_path: Path) -> None:
    from onnx import helper

    split = helper.make_node("BiasSplitGelu", ["m", "b"], ["s"], domain="com.microsoft")
    norm = helper.make_node("BiasAdd", ["r", "c", "s"], ["n"], domain="com.microsoft")
    nodes = [
        node("MatMul", "x,w", "m"),
        split,
        node("MatMul", "s,v", "r"),
        norm,
        node("Add", "n,n", "a"),
        node("Relu", "a"),
    ]
    weights = [weight("w", 64, 128), weight("b", 128), weight("v", 64, 64), weight("c", 64)]
    found = read(tmp_path, model(nodes, [info("x", (2, 16, 64))], weights))
    assert [c.op for c in found.calls] == ["MatMul", "BiasSplitGelu", "MatMul", "BiasAdd", "Add", "Relu"]
    assert found.calls[1].outputs[0].shape == (2, 16, 64)
    assert [t.shape for t in found.calls[1].tensors] == [(2, 16, 128), (128,)]
    made = {number for call in found.calls for number in call.output_ids}
    assert all(call.input_ids[0] in made for call in found.calls[1:])


def test_the_size_that_a_reshape_leaves_open_is_what_remains(tmp_path: Path) -> None:
    norm = node("GroupNormalization", "x,s,b", num_groups=4)
    made = model([norm], [info("x", (2, 8, 6, 6))], [weight("s", 8), weight("b", 8)], opset=21)
    assert read(tmp_path, made).calls[-1].outputs[0].shape == (2, 8, 6, 6)


def test_a_picture_smaller_than_a_window_is_said(tmp_path: Path) -> None:
    made = model([node("Conv", "x,w")], [info("x", (1, 3, 4, 4))], [weight("w", 8, 3, 9, 9)])
    with pytest.raises(PredictorError, match="what node Conv goes over, 1x3x4x4, is smaller than its window"):
        read(tmp_path, made)


@pytest.mark.parametrize("opset", [17, 20])
def test_a_fourier_transform_goes_along_the_axis_that_it_says(tmp_path: Path, opset: int) -> None:
    """As an attribute, and as a tensor since opset 20."""
    said, weights = ({"axis": 1}, []) if opset == 17 else ({}, [constant("a", 1)])
    made = model(
        [node("DFT", "x" if opset == 17 else "x,,a", **said)], [info("x", (2, 16, 3, 1))], weights, opset=opset
    )
    (call,) = read(tmp_path, made).calls
    assert call.args["axis"] == 1


def test_sums_go_along_the_axis_that_an_input_says(tmp_path: Path) -> None:
    made = model([node("CumSum", "x,a")], [info("x", (2, 16, 3))], [constant("a", -2)])
    (call,) = read(tmp_path, made).calls
    assert call.args["axis"] == -2
