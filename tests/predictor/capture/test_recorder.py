"""Capture: the operators that eager mode runs, in issue order, without running them."""

from __future__ import annotations

import copy
import gc
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, MobileBertConfig, MobileBertModel

from predictor.capture.capture_mode import QUESTIONS, ROUNDED
from predictor.capture.recorder import batch_of, capture
from predictor.errors import PredictorError
from predictor.graph.coldness import HALF_DISTANCE
from predictor.records import CaptureMode, Graph, OpCall, PythonWork, Trait
from predictor.runtimes.eager import lowering as eager
from tests.helpers import of, only


def ops(graph: Graph) -> list[str]:
    return [call.op for call in graph.calls]


def small_bert() -> nn.Module:
    return BertModel(
        BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    ).eval()


def small_mobilebert() -> nn.Module:
    return MobileBertModel(MobileBertConfig(num_hidden_layers=2)).eval()


IDS = torch.randint(1000, 30_000, (2, 16), generator=torch.Generator().manual_seed(0))


# the order, and nothing run


def test_operators_come_in_issue_order() -> None:
    linear, norm = nn.Linear(8, 8), nn.LayerNorm(8)
    graph = of(lambda x: torch.softmax(norm(torch.relu(linear(x)) + x), -1).transpose(0, 1), torch.empty(2, 8))
    assert ops(graph) == ["linear", "relu", "add", "layer_norm", "softmax", "transpose"]


def test_every_repetition_is_its_own_call() -> None:
    def repeat(x: torch.Tensor) -> torch.Tensor:
        for _ in range(5):
            x = x * 2
        return x

    assert ops(of(repeat, torch.empty(3))) == ["mul"] * 5


def test_no_kernel_runs() -> None:
    """Four terabytes of weights and a product of 10^18 multiply-adds fit nowhere."""
    with torch.device("meta"):
        giant = nn.Linear(10**6, 10**6)
    assert capture(giant, torch.empty(10**6, 10**6, device="meta")).macs == 10**18


def test_floating_point_stays_on_the_meta_device() -> None:
    seen: list[torch.device] = []

    def look(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.device)
        return x + 1

    of(look, torch.rand(3))
    assert {device.type for device in seen} == {"meta"}


def test_no_tracing_branch_is_taken() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x * 2 if torch.jit.is_tracing() or torch.compiler.is_compiling() else x + 1

    assert ops(of(forward, torch.empty(3))) == ["add"]


def test_attention_of_a_transformer_keeps_its_fused_operator_without_a_mask() -> None:
    graph = capture(small_bert(), {"input_ids": IDS})
    fused = [call for call in graph.calls if call.op == "scaled_dot_product_attention"]
    assert len(fused) == 2
    assert all(call.args["attn_mask"] is None for call in fused)


# what is handed in stays as it is, and its dtype and device do not matter


def test_the_module_is_not_changed() -> None:
    module = small_bert().train()
    before = {name: (id(t), t.dtype, t.device, t.clone()) for name, t in module.state_dict(keep_vars=True).items()}
    capture(module, {"input_ids": IDS}, "fp16")
    assert all(m.training for m in module.modules())
    after = module.state_dict(keep_vars=True)
    assert list(after) == list(before)
    for name, (identity, dtype, device, values) in before.items():
        assert (id(after[name]), after[name].dtype, after[name].device) == (identity, dtype, device)
        assert torch.equal(after[name], values)


def test_the_inputs_are_not_changed() -> None:
    x = torch.rand(2, 8)
    values = x.clone()
    of(lambda t: t.add_(1), x)
    assert torch.equal(x, values)


def test_a_training_module_is_captured_in_evaluation_mode() -> None:
    """Batch norm in evaluation mode reads its running statistics and updates nothing."""
    graph = capture(nn.BatchNorm2d(4).train(), torch.empty(2, 4, 3, 3))
    assert only(graph).args["training"] is False


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_dtype_and_device_of_what_is_given_do_not_matter(dtype: torch.dtype, device: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    reference = capture(copy.deepcopy(module), torch.empty(2, 3, 8, 8), "fp16")
    given = capture(module.to(device, dtype), torch.empty(2, 3, 8, 8, device=device, dtype=dtype), "fp16")
    assert operators(given) == operators(reference)


def operators(graph: Graph) -> list[OpCall]:
    """The calls without the Python between them, which the framework's own caches vary by a call or two."""
    return [replace(call, python=PythonWork()) for call in graph.calls]


def test_a_half_precision_transformer_gives_the_graph_of_a_single_precision_one() -> None:
    reference = capture(small_bert(), {"input_ids": IDS}, "fp16")
    given = capture(small_bert().half().to("meta"), {"input_ids": IDS.to("meta")}, "fp16")
    assert given.calls == reference.calls


def test_dtype_says_what_it_would_run_in() -> None:
    x = torch.empty(2, 8)
    for dtype, stored in {"fp32": "fp32", "tf32": "fp32", "fp16": "fp16", "bf16": "bf16"}.items():
        call = only(capture(nn.Linear(8, 4), x, dtype))
        assert {t.dtype for t in (*call.tensors, *call.outputs)} == {stored}


def test_memory_layout_of_the_inputs_is_kept() -> None:
    x = torch.empty(2, 4, 8, 8).to(memory_format=torch.channels_last)
    assert only(of(lambda t: t * 2, x)).tensors[0].stride == x.stride()


@pytest.mark.parametrize(
    "inputs", [torch.empty(5, 8), (torch.empty(5, 8),), [torch.empty(5, 8)], {"input": torch.empty(5, 8)}]
)
def test_inputs_are_a_tensor_a_sequence_or_a_mapping(inputs: Any) -> None:
    graph = capture(nn.Linear(8, 4), inputs)
    assert (graph.batch, graph.macs) == (5, 5 * 8 * 4)


def test_batch_is_the_first_dimension_of_the_first_input() -> None:
    assert batch_of({"mask": torch.empty(7, 3), "x": torch.empty(2, 9)}) == 7


# modules that look at their data


def by_value(ids: torch.Tensor) -> torch.Tensor:
    if (ids == 0).any():
        return ids * 2
    return ids + 1


def test_code_that_looks_at_integers_takes_the_branch_of_their_values() -> None:
    assert ops(of(by_value, torch.tensor([[5, 0]]))) == ["eq", "any", "is_nonzero", "mul"]
    assert ops(of(by_value, torch.tensor([[5, 1]]))) == ["eq", "any", "is_nonzero", "add"]


def test_looking_at_data_waits_for_the_device() -> None:
    program = eager.lower(of(by_value, torch.tensor([[5, 1]])))
    assert [call.sync for call in program.calls] == [False, False, True, False]


def test_an_integer_mask_is_seen_through_operators() -> None:
    def forward(ids: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        mask = ids.ne(0)
        return x if mask.all() else x.masked_fill(~mask, 0.0)

    full, x = torch.ones(2, 4, dtype=torch.int64), torch.empty(2, 4)
    padded = full.clone()
    padded[0, 3] = 0
    assert "masked_fill" not in ops(of(forward, full, x))
    assert "masked_fill" in ops(of(forward, padded, x))


def test_inputs_of_the_wrong_shape_are_refused_in_one_line() -> None:
    with pytest.raises(PredictorError, match="Linear does not run on these inputs") as caught:
        capture(nn.Linear(8, 4), torch.empty(2, 7))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("inputs", [None, "text", 3, {}, ()], ids=str)
def test_inputs_without_a_tensor_are_refused(inputs: Any) -> None:
    with pytest.raises(PredictorError, match="inputs"):
        capture(nn.Linear(8, 4), inputs)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(PredictorError, match=r"torch\.nn\.Module, not function"):
        capture(lambda x: x, torch.empty(2))  # type: ignore[arg-type]


def tools() -> list[Any]:
    """Who uses ``sys.monitoring``, which Python has from 3.12 on."""
    if sys.version_info < (3, 12):
        return []
    return [
        (sys.monitoring.get_tool(tool), sys.monitoring.get_tool(tool) and sys.monitoring.get_events(tool))
        for tool in range(6)
    ]


def hooks() -> dict[str, Any]:
    """All that a capture puts in place of what Python and torch have."""
    found: dict[str, Any] = {"trace": (sys.gettrace(), tools()), "profile": sys.getprofile()}
    found |= {"collector": gc.isenabled()}
    found |= {"device": vars(torch.Tensor).get("device"), "tensor": torch.tensor}
    found |= {f"{home.__name__}.{name}": getattr(home, name) for home, name, _ in QUESTIONS}
    return found | {name: getattr(torch, name) for name in ROUNDED}


class Watching(nn.Module):
    """Notes the hooks that are in place while it runs, and fails if it is told to."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails = fails
        self.during: list[dict[str, Any]] = []

    def __deepcopy__(self, memo: Any) -> Watching:
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.during.append(hooks())
        if self.fails:
            raise ValueError("out of cheese")
        return x + 1


@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
@pytest.mark.parametrize("mode", [mode for mode in CaptureMode if mode is not CaptureMode.EXPORTED])
def test_a_capture_leaves_no_hook_behind(mode: CaptureMode, fails: bool) -> None:
    def tracer(frame: FrameType, event: str, argument: Any) -> None:
        return None

    debugger, module = sys.gettrace(), Watching(fails)
    sys.settrace(tracer)
    try:
        before = hooks()
        with pytest.raises(PredictorError, match="out of cheese") if fails else nullcontext():
            capture(module, torch.empty(2, 7), mode=mode)
        after = hooks()
    finally:
        sys.settrace(debugger)
    assert after == before
    changed = {name for name, hook in module.during[-1].items() if hook != before[name]}
    expected = {"trace", "collector", "device", "tensor"}
    expected |= {f"{home.__name__}.{name}" for home, name, yes in QUESTIONS if yes is mode}
    assert changed >= expected | (set(ROUNDED) if mode is CaptureMode.TRACED else set())


def test_a_capture_leaves_the_collector_off_where_it_was_off() -> None:
    gc.disable()
    try:
        capture(nn.Linear(8, 4), torch.empty(2, 8))
        assert not gc.isenabled()
    finally:
        gc.enable()


# host-made tensors


def test_a_tensor_made_without_a_device_lives_on_the_host_until_it_is_sent() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(x.shape[1]) + 1
        return x + positions.to(x.device)

    graph = of(forward, torch.empty(2, 4))
    assert [(call.op, call.trait) for call in graph.calls] == [
        ("arange", "host"),
        ("add", "host"),
        ("to device", "sync"),
        ("add", "pointwise"),
    ]
    program = eager.lower(graph)
    assert [len(call.kernels) for call in program.calls] == [0, 0, 1, 1]  # a copy to the device, a sum
    assert [call.sync for call in program.calls] == [False, False, True, False]


def test_a_tensor_made_on_the_device_is_a_kernel() -> None:
    graph = of(lambda x: x + torch.arange(4, device=x.device), torch.empty(2, 4))
    assert [call.trait for call in graph.calls] == ["fill", "pointwise"]
    assert [call.sync for call in eager.lower(graph).calls] == [False, False]


def test_inputs_with_known_values_are_on_the_device_for_code_that_asks() -> None:
    """Positions beside the ids: made on the device, their values still known; without a device: on the host."""

    def forward(ids: torch.Tensor) -> torch.Tensor:
        beside = torch.arange(ids.shape[1], device=ids.device)
        ahead = torch.arange(int(beside[-1]) + 1)
        return ids + beside + ahead.to(ids.device) + torch.tensor([1], device=ids.device)

    graph = of(forward, torch.zeros(2, 4, dtype=torch.int64))
    kinds = [(call.op, call.trait) for call in graph.calls if call.trait != "view"]
    assert kinds == [
        ("arange", "fill"),
        ("item", "sync"),
        ("arange", "host"),
        ("add", "pointwise"),
        ("to device", "sync"),
        ("add", "pointwise"),
        ("to device", "sync"),
        ("add", "pointwise"),
    ]
    assert torch.zeros(1).device == torch.device("cpu")


def test_a_capture_changes_nothing_for_other_threads() -> None:
    """While one thread captures, tensors of another say where they are; two captures at once do not mix."""
    seen: list[tuple[torch.device, torch.device, bool]] = []
    captures, looked = threading.Event(), threading.Event()

    def look() -> None:
        captures.wait()
        tensor = torch.zeros(1)
        seen.append((tensor.device, torch.tensor([1], device="cpu").device, tensor.is_cuda))
        looked.set()

    def forward(ids: torch.Tensor) -> torch.Tensor:
        captures.set()
        looked.wait()
        return ids + torch.arange(ids.shape[1], device=ids.device)

    ids = torch.zeros(2, 4, dtype=torch.int64)
    thread = threading.Thread(target=look)
    thread.start()
    graph = of(forward, ids)
    thread.join()
    assert set(seen) == {(torch.device("cpu"), torch.device("cpu"), False)}
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: of(lambda x: x + torch.arange(4, device=x.device), ids), range(4)))
    assert all([call.op for call in one.calls] == ["arange", "add"] for one in both)
    assert [call.op for call in graph.calls] == ["arange", "add"]


def test_a_number_to_the_power_of_a_tensor_fills_a_tensor_first() -> None:
    """As torch does: two kernels; a tensor to the power of a number is one."""
    for forward, kernels in ((lambda x: 2.0**x, ["fill", "pointwise"]), (lambda x: x**3.0, ["pointwise"])):
        program = eager.lower(of(forward, torch.empty(2, 4)))
        assert [kernel.family for call in program.calls for kernel in call.kernels] == kernels


# counts


def test_module_calls_are_counted() -> None:
    """The outer module, its linear, its relu, the inner one and the linear inside."""
    module = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 8)))
    assert capture(module, torch.empty(2, 8)).module_calls == 5


def count_python_calls(module: nn.Module, inputs: dict[str, torch.Tensor]) -> int:
    """Python function calls of a plain eager pass that is not its module's first."""
    count = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    with torch.inference_mode():
        for _ in range(2):
            module(**inputs)
        sys.setprofile(profile)
        module(**inputs)
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("build", [small_bert, small_mobilebert])
def test_python_calls_are_those_of_a_plain_pass(build: Callable[[], nn.Module]) -> None:
    module, inputs = build(), {"input_ids": IDS}
    assert capture(module, inputs).python_calls == pytest.approx(count_python_calls(module, inputs), rel=0.02)


def test_python_calls_are_the_same_at_every_capture() -> None:
    first, second = (capture(small_bert(), {"input_ids": IDS}) for _ in range(2))
    assert first.calls == second.calls
    assert first.python_calls == second.python_calls


@pytest.mark.parametrize("rare", [torch.special.i0e, torch.erfinv, torch.special.log_ndtr, torch.sinc])
def test_the_first_capture_of_an_operator_is_what_later_ones_are(rare: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Also where its module's class has been captured before: what its first run fills is left out."""
    first, second = (of(lambda x: rare(x) + 1, torch.empty(2, 4)) for _ in range(2))
    assert first == second


def test_a_line_counts_once_a_call_and_hot_code_counts_little() -> None:
    """A loop's lines count once; a function that ran just before is hot, one behind many lines is cold."""
    scope: dict[str, Any] = {}
    exec("def long():\n" + "".join(f"    x = {i}\n" for i in range(800)), scope)

    def loop() -> None:
        for _ in range(50):
            pass

    def python(*steps: Callable[[], None]) -> float:
        def forward(x: torch.Tensor) -> torch.Tensor:
            for step in steps:
                step()
            return torch.neg(x)

        of(forward, torch.empty(3))
        return only(of(forward, torch.empty(3))).python.cold_lines

    assert python(loop, loop) - python(loop) < 0.5
    assert 2 * 0.5 < python(scope["long"], loop) - python(scope["long"]) < 3


def test_a_module_that_runs_again_is_hotter_than_another_of_its_kind() -> None:
    shared = nn.Linear(8, 8)
    one, many = (nn.Sequential(*layers) for layers in ([shared] * 30, [nn.Linear(8, 8) for _ in range(30)]))
    cold = [sum(call.python.cold_modules for call in capture(m, torch.empty(2, 8)).calls) for m in (one, many)]
    assert cold[0] < 2
    assert cold[1] == pytest.approx(31 * 30 / (30 + HALF_DISTANCE), rel=0.01)


def test_python_calls_belong_to_the_operator_that_follows_them() -> None:
    def helper(depth: int) -> int:
        return helper(depth - 1) if depth else 0

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = torch.neg(x)
        helper(9)  # ten calls
        return torch.neg(y)

    def longer(x: torch.Tensor) -> torch.Tensor:
        y = forward(x)
        helper(18)  # nineteen calls
        return y

    of(longer, torch.empty(3))  # fills caches of the framework
    graph, after = of(forward, torch.empty(3)), of(longer, torch.empty(3))
    assert graph.calls[1].python.calls == after.calls[1].python.calls == 10
    assert after.calls[0].python.calls == graph.calls[0].python.calls + 1
    assert after.tail.calls == graph.tail.calls + 19
    assert graph.python_calls == sum(call.python.calls for call in graph.calls) + graph.tail.calls


def test_operators_push_python_out_of_the_caches() -> None:
    """The lines of a function are colder the more other operators its code calls between two runs of it."""

    def lines(*operators: Callable[[torch.Tensor], torch.Tensor]) -> float:
        def forward(x: torch.Tensor) -> torch.Tensor:
            for operator in operators:
                x = operator(x)
            return x

        return sum(call.python.cold_lines for call in of(forward, torch.empty(3)).calls)

    few = lines(*(torch.exp,) * 8)
    assert few < lines(torch.exp, torch.sin, torch.cos, torch.tanh, torch.neg, torch.abs, torch.erf, torch.relu)


@pytest.mark.parametrize(("trained", "product"), [(True, "mm"), (False, "bmm")])
def test_a_weight_with_gradients_is_one_matrix_to_many_columns(trained: bool, product: str) -> None:
    """As torch multiplies, also where it records nothing: eight products of a matrix and a column are one."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(5, 4), requires_grad=trained)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.weight @ x

    (call,) = capture(Mixed().eval(), torch.rand(8, 4, 1)).calls
    assert product in [part.op for part in call.parts]


def test_an_empty_tensor_is_not_copied_to_the_device() -> None:
    """A cache that begins empty makes one: there is nothing to copy, and nothing to wait for."""
    graph = of(lambda x: torch.cat((torch.tensor([], dtype=x.dtype, device=x.device), x)), torch.rand(3))
    assert ops(graph) == ["lift_fresh", "detach_", "to", "cat"]
    assert Trait.SYNC not in {call.trait for call in graph.calls}
