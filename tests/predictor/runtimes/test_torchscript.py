"""Which operators TorchScript makes one kernel of: torch's own fuser, which runs on a CPU too, says it."""

from __future__ import annotations

import math
import re
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from predictor import runtimes
from predictor.ops import Fuser
from predictor.predict import graph_of
from predictor.records import PYTHON_OP
from predictor.runtimes.torchscript.groups import in_groups
from predictor.runtimes.torchscript.lowering import optimised
from tests.helpers import Function

X, Y = torch.rand(2, 8, 16), torch.rand(2, 8, 16)
N = torch.arange(16)
BYTES = torch.arange(16, dtype=torch.uint8)

Groups = list[list[str]]


@pytest.fixture
def fuses_on_cpu() -> Iterator[None]:
    """As on a GPU."""
    can, must = torch._C._jit_can_fuse_on_cpu(), torch._C._jit_get_te_must_use_llvm_cpu()
    torch._C._jit_override_can_fuse_on_cpu(True)
    torch._C._jit_set_te_must_use_llvm_cpu(False)
    yield
    torch._C._jit_override_can_fuse_on_cpu(can)
    torch._C._jit_set_te_must_use_llvm_cpu(must)


def by_torch(function: Callable[..., Any], inputs: tuple[torch.Tensor, ...]) -> Groups:
    with torch.inference_mode():
        traced = torch.jit.trace(function, inputs, check_trace=False)
        for _ in range(3):
            traced(*inputs)
    _, *groups = str(torch.jit.last_executed_optimized_graph()).split("with prim::TensorExprGroup")
    names = [re.findall(r"= (?:aten::|prim::Constant(?=Chunk))(\w+)", group) for group in groups]
    return sorted(sorted(name.lower() for name in group) for group in names)


def predicted(function: Callable[..., Any], inputs: tuple[torch.Tensor, ...]) -> Groups:
    flow, reading_host = optimised(graph_of(Function(function), inputs, "fp32", "torchscript"), Fuser.NNC)
    groups = [group for group in in_groups(flow, Fuser.NNC, reading_host) if len(group) > 1]
    return sorted(sorted(flow.calls[index].op for index in group) for group in groups)


def gated(x: torch.Tensor, *, reads_first_again: bool) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    product = (first * second).softmax(-1)
    return product + first.softmax(-1) if reads_first_again else product


def written_between(x: torch.Tensor) -> torch.Tensor:
    y = x.softmax(-1)
    before = y * 2
    y[:, :1].copy_(y[:, 1:2])
    return before + y.exp()


class Root(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return (x + 1).sqrt()


def rooted_between(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    before = (x.softmax(-1) * 2).exp()
    root: torch.Tensor = Root.apply(y)
    return (root.softmax(-1) * before).cumsum(-1)


def padded(x: torch.Tensor) -> torch.Tensor:
    """Twice, by a number that is computed on the device."""
    for _ in range(2):
        x = F.pad(x, (0, (x.sum() * 0 + 1).ceil().to(torch.int64)))
    return x.cumsum(-1)


def long_sum(x: torch.Tensor) -> torch.Tensor:
    total = x
    for n in range(140):
        total = total + x.roll(n + 1, 0)
    return total.softmax(-1)


@pytest.mark.parametrize(
    ("function", "inputs", "expected"),
    [
        pytest.param(lambda x, y: (1 - (x + y)).exp().softmax(-1), (X, Y), [], id="rsub"),
        pytest.param(
            lambda x, y: (x + y).masked_fill((x > y) & (x > 0), 1.0),
            (X, Y),
            [["__and__", "gt", "gt"]],
            id="masked_fill",
        ),
        pytest.param(lambda x, y: torch.maximum(x + y, x), (X, Y), [], id="maximum"),
        pytest.param(lambda x, y: torch.max(x + y, y), (X, Y), [["add", "max"]], id="max of two"),
        pytest.param(lambda x, y: torch.max(x + y, -1)[0], (X, Y), [], id="max of one"),
        pytest.param(lambda x, y: ((x + y) ** 2) ** y, (X, Y), [["add", "pow"]], id="power"),
        pytest.param(lambda n: (n + 2) ** 2, (N,), [], id="power of integers"),
        pytest.param(lambda x, y: (x + y) % 2 + (x * y) % y, (X, Y), [["add", "mul", "remainder"]], id="remainder"),
        pytest.param(lambda x, y: ~((x + y) > 0), (X, Y), [["add", "gt"]], id="bitwise_not"),
        pytest.param(lambda n: (n + 1) * 3, (BYTES,), [], id="bytes"),
        pytest.param(lambda x, y: torch.view_as_real(torch.complex(x, y) * 2 + 1), (X, Y), [], id="complex"),
        pytest.param(lambda x: ((x + 0) * 1).exp().softmax(-1), (X,), [], id="what changes nothing"),
        pytest.param(lambda x: (x.cumsum(-1).float() + 1).cumsum(-1), (X,), [["add", "to"]], id="the same dtype"),
        pytest.param(lambda x: x.cumsum(-1).float().unsqueeze(0).cumsum(-1), (X,), [], id="no beginning"),
        pytest.param(lambda x: gated(x, reads_first_again=False), (X,), [["chunk", "mul"]], id="chunk"),
        pytest.param(lambda x: gated(x, reads_first_again=True), (X,), [], id="chunk that others read"),
        pytest.param(lambda x, y: (torch.cat((x, y)), torch.cat((y, x))), (X, Y), [["cat", "cat"]], id="two lists"),
        pytest.param(lambda x: (torch.cat((x, x)), x.softmax(-1) * 2), (X,), [], id="a list and one alone"),
        pytest.param(written_between, (X,), [["add", "exp"]], id="memory written in between"),
        pytest.param(rooted_between, (X, Y), [["exp", "mul"]], id="a function in Python in between"),
        pytest.param(padded, (X,), [["add", "ceil", "mul", "to"]] * 2, id="numbers that are read"),
    ],
)
@pytest.mark.usefixtures("fuses_on_cpu")
def test_groups_are_those_of_torch(
    function: Callable[..., Any], inputs: tuple[torch.Tensor, ...], expected: Groups
) -> None:
    assert by_torch(function, inputs) == expected
    assert predicted(function, inputs) == expected


def test_a_kernel_has_128_arguments_at_most() -> None:
    """As torch's fuser divides this sum, which takes seconds."""
    assert sorted(len(group) for group in predicted(long_sum, (X,))) == [17, 123]


def test_what_is_made_of_sizes_waits_for_what_may_have_them() -> None:
    """The sum of the words' vectors is there when their number is asked for: the mask joins no kernel before it."""

    def forward(x: torch.Tensor, y: torch.Tensor) -> Any:
        words = (x + y) * 2
        positions = torch.arange(words.shape[-1], device=x.device)
        return words.softmax(-1), (positions[:, None] >= positions) & (positions > 1)

    groups = predicted(forward, (X, Y))
    assert groups == [["__and__", "ge", "gt", "unsqueeze"], ["add", "mul"]]


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda x: x + torch.arange(16, device=x.device) + torch.ones(16, device=x.device), id="numbers"),
        pytest.param(lambda x: x @ torch.full((16, 16), 1.0, device=x.device).triu(1), id="made of numbers"),
        pytest.param(lambda x: x + torch.arange(x.shape[-1], device=x.device), id="a size"),
        pytest.param(lambda x: x + torch.rand(16, device=x.device), id="random numbers"),
        pytest.param(
            lambda x: [x * torch.ones(x.shape[-1] // 2 * 2, device=x.device) for _ in range(2)], id="the same"
        ),
        pytest.param(lambda x: [y + torch.ones(y.size(-1), device=y.device) for y in (x, x.exp())], id="those of two"),
        pytest.param(lambda x: x + torch.zeros(*x.shape[1:], device=x.device), id="several"),
        pytest.param(lambda x: x @ torch.ones(16, (x.sum() * 0 + 16).long(), device=x.device), id="one that is read"),
    ],
)
def test_tensors_of_numbers_are_constants_and_those_of_sizes_of_the_same_tensor_one(
    function: Callable[..., Any],
) -> None:
    def made(x: torch.Tensor) -> Any:
        results = function(x)
        return (results[0] * results[1]).cumsum(-1) if isinstance(results, list) else results.cumsum(-1)

    traced = torch.jit.trace(made, (X,), check_trace=False)
    for _ in range(3):
        traced(X)
    factories = ("arange", "full", "ones", "rand", "triu", "zeros")
    ran = re.findall(r"= aten::(\w+)", str(torch.jit.last_executed_optimized_graph()))
    graph = graph_of(Function(made), (X,), "fp32", "torchscript")
    flow, _ = optimised(graph, Fuser.NNC)
    assert [call.op for call in flow.calls if call.op in factories] == [op for op in ran if op in factories]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: (x * 2 / (x.shape[-1] - 1) - 1).exp(), [["exp", "sub"]]),  # a number of a size: apart
        (lambda x: (x * 2 / math.sqrt(x.shape[-1]) - 1).exp(), [["div", "exp", "mul", "sub"]]),  # a constant
        (lambda x: (x + torch.tensor(0.5)).exp(), [["add", "exp"]]),  # a constant, too
        (lambda x: torch.where(x > 0, x, torch.tensor(0.5)).exp(), []),  # where takes it as the tensor that it is
    ],
)
def test_what_reads_a_tensor_of_the_host_is_in_no_group(function: Callable[..., Any], expected: Groups) -> None:
    """A group has one device."""
    assert predicted(function, (X,)) == expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.exp() if torch.isfinite(x).all() else x.clamp(0, 1), ["exp"]),
        (lambda x: x.exp() * x.sum().item(), ["exp", "mul"]),
        (lambda x: x.exp() if len((x > 0).tolist()) else x, ["exp"]),
        (lambda x: torch.nonzero(x > 0), ["gt", "nonzero"]),
    ],
)
def test_what_python_has_read_is_not_computed_again(function: Callable[..., Any], expected: list[str]) -> None:
    traced = torch.jit.trace(function, (X,), check_trace=False)
    for _ in range(3):
        traced(X)
    assert re.findall(r"= aten::(\w+)", str(torch.jit.last_executed_optimized_graph())) == expected
    flow, _ = optimised(graph_of(Function(function), (X,), "fp32", "torchscript"), Fuser.NNC)
    assert [call.op for call in flow.calls] == expected


def test_what_was_copied_to_the_device_is_on_it() -> None:
    def forward(x: torch.Tensor, y: torch.Tensor) -> Any:
        none = torch.tensor([], dtype=x.dtype, device=x.device).reshape(0, 8, 16)
        return torch.cat((none, x)), torch.cat((none, y))

    assert predicted(forward, (X, Y)) == [["cat", "cat"]]


def test_a_tensor_of_the_host_is_a_number_for_the_kernel() -> None:
    graph = graph_of(Function(lambda x: x / (x.shape[-1] - 1)), (X,), "fp16", "torchscript")
    (call,) = runtimes.load("torchscript").lower(graph).calls
    assert call.kernels[0].dims["inputs"] == call.kernels[0].dims["contiguous"] == 1


def test_calls_keep_an_order_in_which_they_can_run() -> None:
    """The second half of the first kernel needs what runs after its first half."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        return (y + 1) * y.softmax(-1).cumsum(-1)

    graph = graph_of(Function(forward), (X,), "fp16", "torchscript")
    program = runtimes.load("torchscript").lower(graph)
    assert [call.op for call in program.calls] == ["exp", "softmax", "cumsum", "fused"]


def test_a_function_in_python_is_called_in_every_pass() -> None:
    """Its kernels are those of eager mode, its Python runs again; what is traced besides has none."""
    graph = graph_of(Function(lambda x: Root.apply(x).softmax(-1)), (X,), "fp16", "torchscript")
    own, softmax = runtimes.load("torchscript").lower(graph).calls
    assert [kernel.family for kernel in own.kernels] == ["pointwise", "pointwise"]
    assert own.python.calls > 0 == softmax.python.calls
    eager = graph_of(Function(lambda x: Root.apply(x).softmax(-1)), (X,), "fp16", "eager")
    assert [call.op for call in eager.calls] == ["add", "sqrt", "softmax"]


def test_the_host_waits_for_a_number_that_an_operator_takes_and_for_none_that_python_reads() -> None:
    graph = graph_of(Function(padded), (X,), "fp16", "torchscript")
    program = runtimes.load("torchscript").lower(graph)
    assert [call.op for call in program.calls if call.sync] == ["Int", "Int"]
    read = graph_of(Function(lambda x: F.pad(x, (0, int(x.sum())))), (X,), "fp16", "torchscript")
    assert not any(call.sync for call in runtimes.load("torchscript").lower(read).calls)


def test_gelu_alone_is_no_group() -> None:
    assert predicted(lambda x: F.gelu(x).softmax(-1), (X,)) == []


def test_many_functions_in_python_are_lowered_in_little_memory() -> None:
    """A detector has one for each class of each image; the calls before each were once named again at each."""

    class Plain(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    def many(x: torch.Tensor) -> torch.Tensor:
        for _ in range(600):
            x = Plain.apply(x * 2)
        return x

    graph = graph_of(Function(many), (torch.rand(4),), "fp32", "torchscript")
    assert sum(call.op == PYTHON_OP for call in graph.calls) == 600
    tracemalloc.start()
    runtimes.load("torchscript").lower(graph)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
