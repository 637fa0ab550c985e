"""What reads what: dead calls, repeated ones, constants, and calls that can be joined."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from predictor.graph.dataflow import Dataflow
from tests.helpers import of

X = torch.rand(2, 16, 64)


def test_a_call_reads_what_another_makes() -> None:
    first, second = of(lambda x: torch.relu(x + 1), X).calls
    assert second.input_ids == first.output_ids


def test_writing_in_place_makes_another_value_of_the_same_tensor() -> None:
    first, second, third = of(lambda x: (x * 2).add_(1) * 3, X).calls
    assert second.input_ids[0] == first.output_ids[0] != second.output_ids[0] == third.input_ids[0]


def test_dead_calls_and_repeated_ones_go() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        x.tanh()
        return x.exp() + x.exp()

    graph = of(forward, X)
    flow = Dataflow.of(graph.calls, graph.outputs)
    assert [c.op for c in flow.live().calls] == ["exp", "exp", "add"]
    assert [c.op for c in flow.live().once().calls] == ["exp", "add"]


def test_what_is_written_into_tensors_that_nobody_reads_goes() -> None:
    """As torch's own pass over a trace leaves it: writes into views of what is read stay, and into what is given."""

    def forward(x: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        unread = x.tanh()
        unread[:, 0].mul_(2)
        read = x.exp()
        read.view(2, -1)[:, 1].sub_(3)
        given[0].neg_()
        return read + x

    traced = torch.jit.trace(forward, (X, X.clone())).graph
    torch._C._jit_pass_dce(traced)
    expected = [node.kind().removeprefix("aten::") for node in traced.nodes() if node.kind() != "prim::Constant"]
    graph = of(forward, X, X.clone())
    left = [call.op for call in Dataflow.of(graph.calls, graph.outputs).live().calls]
    views = ("view", "select", "slice", "prim::ListConstruct")
    assert [op for op in left if op not in views] == [op for op in expected if op not in views]
    assert {"exp", "sub_", "neg_", "add"} == {op for op in left if op not in views}


def test_constants_depend_on_no_input_and_no_weight() -> None:
    graph = of(lambda x: x + torch.tensor(3.0, device=x.device) * 2 + torch.ones((), device=x.device).exp(), X)
    flow = Dataflow.of(graph.calls, graph.outputs)
    assert {"mul", "ones", "exp"} <= {flow.calls[i].op for i in flow.constant()}
    assert "add" not in {flow.calls[i].op for i in flow.constant()}


def test_what_is_made_of_a_size_is_no_constant() -> None:
    graph = of(lambda x: x + torch.arange(x.shape[-1], device=x.device) * 2, X)
    flow = Dataflow.of(graph.calls, graph.outputs)
    assert not flow.constant()


def test_two_calls_can_not_be_one_with_a_third_between_them() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        return F.linear(y, X[0, :, :].new_ones(64, 64)) + y

    graph = of(forward, X)
    flow = Dataflow.of(graph.calls, graph.outputs)
    at = {call.op: index for index, call in enumerate(flow.calls)}
    assert not flow.are_joinable([at["mul"]], [at["add"]])
    assert flow.are_joinable([at["linear"]], [at["add"]])


def test_two_draws_of_random_numbers_are_two() -> None:
    graph = of(lambda x: torch.rand_like(x) + torch.rand_like(x), torch.empty(4))
    assert [call.op for call in Dataflow.of(graph.calls, graph.outputs).once().calls] == [
        "rand_like",
        "rand_like",
        "add",
    ]
