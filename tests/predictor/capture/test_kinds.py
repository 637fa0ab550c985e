"""Kinds of module that a capture takes: mixtures of experts, fused layers, decisions by values, devices by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention
from torch.utils.checkpoint import checkpoint

from predictor.capture import assumptions
from predictor.capture.assumptions import DISTINCT, EVALUATION, EVEN, HOLDS, ONE, PADDING
from predictor.capture.recorder import capture
from predictor.errors import CannotRunError, PredictorError
from predictor.predict import Predictor, plan
from predictor.records import CaptureMode, CaptureOptions, Graph, OpCall, Trait
from predictor.runtimes.eager.lowering import lower
from tests.helpers import Function, of

WIDTH = 64
X = torch.rand(2, 8, WIDTH)
PADDED = torch.tensor([[False] * 8, [False] * 5 + [True] * 3])


def leaves(graph: Graph) -> list[str]:
    return [call.op for call in graph.leaves if call.trait is not Trait.VIEW]


def rows(graph: Graph, op: str = "linear") -> list[int]:
    """Rows of the results of an operator's calls."""
    return [call.outputs[0].shape[0] for call in graph.leaves if call.op == op]


def kernels(graph: Graph) -> Counter[str]:
    return Counter(kernel.family for call in lower(graph).calls for kernel in call.kernels)


def calls(graph: Graph, op: str) -> list[OpCall]:
    return [call for call in graph.leaves if call.op == op]


class With(nn.Module):
    """A module of one function and the layers that it uses."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*self.layers, *inputs)


def linear() -> nn.Linear:
    return nn.Linear(WIDTH, WIDTH)


# mixtures of experts: the routing is even


def grouped(router: nn.Module, x: Tensor) -> Tensor:
    """16 tokens, each to two of four experts."""
    tokens = x.flatten(0, 1)
    chosen = router(tokens).topk(2).indices.flatten()
    order = chosen.argsort()
    ends = (chosen[:, None] == torch.arange(4, device=x.device)).sum(0).cumsum(0).to(torch.int32)
    weight = torch.ones(4, WIDTH, WIDTH, device=x.device, dtype=x.dtype)
    return F.grouped_mm(tokens[order // 2], weight, offs=ends)


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_a_grouped_product_in_other_than_bf16_is_a_product_for_each_group(dtype: str) -> None:
    graph = capture(With(grouped, nn.Linear(WIDTH, 4)), X, dtype)
    assert rows(graph, "mm") == [8, 8, 8, 8]
    assert sum(call.macs for call in calls(graph, "mm")) == 32 * WIDTH * WIDTH
    assert graph.assumptions == (EVEN,)


def test_a_grouped_product_in_bf16_is_one_operator() -> None:
    (product,) = calls(capture(With(grouped, nn.Linear(WIDTH, 4)), X, "bf16"), "_grouped_mm")
    assert product.outputs[0].shape == (32, WIDTH)


def by_where(router: nn.Module, one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
    tokens = x.flatten(0, 1)
    chosen = router(tokens).topk(1).indices
    out = torch.zeros_like(tokens)
    for number, expert in enumerate((one, two)):
        found, _ = torch.where(chosen == number)
        out.index_add_(0, found, expert(tokens[found]))
    return out


def by_hits(router: nn.Module, one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
    tokens = x.flatten(0, 1)
    mask = F.one_hot(router(tokens).topk(1).indices, num_classes=2).permute(2, 1, 0)
    out = torch.zeros_like(tokens)
    for hit in mask.sum(dim=(-1, -2)).greater(0).nonzero():
        _, found = torch.where(mask[hit[0]])
        out.index_add_(0, found, (one, two)[int(hit[0])](tokens[found]))
    return out


@pytest.mark.parametrize("experts", [by_where, by_hits])
def test_experts_that_are_picked_by_index_share_the_tokens(experts: Callable[..., Any]) -> None:
    graph = capture(With(experts, nn.Linear(WIDTH, 2), linear(), linear()), X, "fp16")
    assert rows(graph) == [16, 8, 8]
    assert graph.assumptions == (EVEN,)


def test_choices_are_distinct_and_all_equally_often() -> None:
    chosen = assumptions.spread((6, 2), 4, -1)
    assert all(len(set(row)) == 2 for row in chosen.tolist())
    assert torch.bincount(chosen.flatten()).tolist() == [3, 3, 3, 3]


# torch's transformer layers, which a GPU runs in one call of C++


def encoder() -> nn.TransformerEncoder:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, 4, 128, batch_first=True), 2).eval()


def test_an_encoder_layer_is_one_call_of_nine_kernels() -> None:
    """Product, attention, product, sum, norm, product with its activation, product, sum, norm."""
    graph = capture(encoder(), X, "fp16")
    assert [call.op for call in graph.calls] == ["_transformer_encoder_layer_fwd"] * 2
    assert kernels(graph) == {"gemm": 8, "attention": 2, "pointwise": 4, "layer_norm": 4}


def test_an_encoder_layer_multiplies_as_its_layers_do() -> None:
    attention = 2 * 4 * 8 * 8 * 16 * 2
    per_token = 4 * WIDTH * WIDTH + 2 * WIDTH * 128
    norms = 2 * 5 * 16 * WIDTH  # as fvcore counts them
    assert capture(encoder(), X, "fp16").macs == 2 * (16 * per_token + attention + norms)


class WithoutNegative(nn.Module):
    """An encoder for which tokens are padding whose first number is negative."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder()

    def forward(self, src: torch.Tensor) -> torch.Tensor:
        return self.encoder(src, src_key_padding_mask=src[..., 0] < 0)


@pytest.mark.parametrize(
    ("made", "inputs", "shape", "assumptions"),
    [
        (encoder, {"src": X, "src_key_padding_mask": PADDED}, (1, 8 + 5, WIDTH), ()),
        (encoder, {"src": X, "src_key_padding_mask": PADDED.to("meta")}, (1, 16, WIDTH), ()),
        (WithoutNegative, {"src": X}, X.shape, (ONE, PADDING)),
    ],
    ids=["known", "without values", "computed"],
)
def test_padding_makes_nested_tensors_of_the_real_tokens_where_the_mask_is_known(
    made: Callable[[], nn.Module], inputs: dict[str, torch.Tensor], shape: tuple[int, ...], assumptions: tuple[str, ...]
) -> None:
    """A mask without values is 0: nothing is padding."""
    graph = capture(made(), inputs, "fp16")
    layers = [call for call in graph.calls if call.op == "_transformer_encoder_layer_fwd"]
    assert [call.outputs[0].shape for call in layers] == 2 * [shape]
    assert (graph.calls[-1].op, graph.calls[-1].outputs[0].shape) == ("to_padded_tensor", X.shape)
    assert not lower(graph).unmodelled
    assert graph.assumptions == assumptions


def test_padding_on_the_left_makes_no_nested_tensors() -> None:
    graph = capture(encoder(), {"src": X, "src_key_padding_mask": PADDED.flip(1)}, "fp16")
    assert "_nested_tensor_from_mask" not in [call.op for call in graph.calls]


def test_attention_of_a_tensor_with_itself_is_one_call() -> None:
    module = With(lambda m, x: m(x, x, x, need_weights=False)[0], nn.MultiheadAttention(WIDTH, 4, batch_first=True))
    graph = capture(module, X, "fp16")
    assert [call.op for call in graph.calls] == ["_native_multi_head_attention"]
    assert leaves(graph) == ["linear", "scaled_dot_product_attention", "linear"]


def test_attention_that_returns_its_weights_is_multiplied_out() -> None:
    module = With(lambda m, x: m(x, x, x), nn.MultiheadAttention(WIDTH, 4, batch_first=True))
    graph = capture(module, X, "fp16")
    assert kernels(graph)["attention"] == 0
    assert rows(graph, "bmm") == [8, 8]


# cells, which a GPU runs in two products and a kernel


@pytest.mark.parametrize(("cell", "fused"), [(nn.LSTMCell, "lstm"), (nn.GRUCell, "gru")])
@pytest.mark.parametrize("mode", [CaptureMode.EAGER, CaptureMode.TRACED, CaptureMode.CAPTURED, CaptureMode.COMPILED])
def test_a_cell_is_two_products_and_one_kernel(cell: Any, fused: str, mode: CaptureMode) -> None:
    graph = capture(cell(WIDTH, 32), torch.empty(4, WIDTH), "fp16", mode=mode)
    assert leaves(graph)[-3:] == ["mm", "mm", f"_thnn_fused_{fused}_cell"]
    assert not lower(graph).unmodelled


def test_a_cell_that_is_exported_is_not_the_fused_one() -> None:
    graph = capture(nn.LSTMCell(WIDTH, 32), torch.empty(4, WIDTH), "fp16", mode=CaptureMode.EXPORTED)
    assert not calls(graph, "_thnn_fused_lstm_cell")


def test_packed_sequences_have_the_steps_of_the_longest() -> None:
    def forward(rnn: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(rnn(packed)[0], batch_first=True)[0]

    graph = capture(With(forward, nn.LSTM(WIDTH, 32)), (X, torch.tensor([8, 5])), "fp16")
    (layer,) = calls(graph, "lstm")
    assert layer.outputs[0].shape == (13, 32)
    assert layer.macs == 13 * 4 * 32 * (WIDTH + 32)
    (lowered,) = [call for call in lower(graph).calls if call.op == "lstm"]
    assert sum(kernel.family == "recurrent_cell" for kernel in lowered.kernels) == 8


# values that are known and meet numbers that are not


def test_a_known_mask_selects_as_many_rows_as_it_has() -> None:
    graph = capture(With(lambda layer, x, mask: layer(x[mask]), linear()), (X, ~PADDED), "fp16")
    assert rows(graph) == [13]
    assert leaves(graph) == ["nonzero", "index", "linear"]
    assert graph.assumptions == ()


def test_known_repetitions_are_counted() -> None:
    graph = capture(With(lambda layer, x, n: layer(x[0].repeat_interleave(n, 0)), linear()), (X, torch.arange(8)))
    assert rows(graph) == [28]
    assert leaves(graph) == ["repeat_interleave.Tensor", "index_select", "linear"]
    assert kernels(graph)["scan"] == 1
    assert not lower(graph).unmodelled
    assert graph.assumptions == ()


def test_as_many_repetitions_of_each_are_a_copy() -> None:
    graph = of(lambda x: x.repeat_interleave(3, dim=1), X)
    assert leaves(graph) == ["clone"]
    assert graph.calls[-1].outputs[0].shape == (2, 24, WIDTH)


def test_a_known_operand_settles_a_condition_whatever_the_other_is() -> None:
    def forward(x: Tensor) -> Tensor:
        true = torch.ones(2, dtype=torch.bool, device=x.device)
        return x * 2 if (true | (x[:, 0, 0] > 0)).all() else x

    graph = of(forward, X)
    assert "mul" in leaves(graph)
    assert graph.assumptions == ()


# decisions by values: an assumption, which is said

KEEPS = "a selection by values keeps everything"


@pytest.mark.parametrize(
    ("function", "op", "elements", "assumed"),
    [
        (lambda x: x[x > 0.5].exp(), "exp", 1024, KEEPS),
        (lambda x: torch.masked_select(x, x > 0.5).exp(), "exp", 1024, KEEPS),
        (lambda x: x[x[..., 0] > 0.5].exp(), "exp", 1024, KEEPS),
        (lambda x: (x > 0.5).nonzero() * 2, "mul", 3072, KEEPS),
        (lambda x: x.exp() if (x > 0).all() else x.sin(), "exp", 1024, HOLDS),
        (lambda x: x.exp() if x.sum() > 0 else x.sin(), "exp", 1024, HOLDS),
        (lambda x: x.exp() if x.max().item() > 0 else x.sin(), "exp", 1024, ONE),
        (lambda x: torch.unique(x).exp(), "exp", 1024, DISTINCT),
        (lambda x: x[0].repeat_interleave(x[0, :, 0].exp().long(), 0).exp(), "exp", 512, ONE),
        (lambda x: torch.cond(x.sum() > 0, torch.exp, torch.sin, (x,)), "exp", 1024, HOLDS),
    ],
)
def test_a_decision_by_values_is_assumed_and_said(
    function: Callable[[Tensor], Tensor], op: str, elements: int, assumed: str
) -> None:
    graph = of(function, X)
    assert calls(graph, op)[-1].outputs[0].elements == elements
    assert graph.assumptions == (assumed,)


def test_a_report_says_what_was_assumed() -> None:
    report = Predictor("h200", dtype="fp16").predict(Function(lambda x: x[x > 0.5]), (X,))
    assert f"assumed: {KEEPS}" in report.notes


def above(x: Tensor) -> Tensor:
    return x > 0.5


@pytest.mark.parametrize(
    ("select", "shape"),
    [
        (lambda x: x[above(x)], (308,)),
        (lambda x: x[above(x[..., 0])], (5, WIDTH)),
        (lambda x: torch.masked_select(x, above(x)), (308,)),
        (lambda x: above(x).nonzero(), (308, 3)),
        (lambda x: torch.where(above(x))[0], (308,)),
        (lambda x: torch.argwhere(above(x)), (308, 3)),
        (lambda x: x.flatten(0, 1)[above(x).all(-1).flatten().nonzero()[:, 0]], (5, WIDTH)),
    ],
)
def test_a_selection_keeps_the_share_that_is_said(select: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    """30 % of 1024 elements, of 16 rows."""
    graph = capture(Function(lambda x: select(x) + 1), (X,), options=CaptureOptions(keep=0.3))
    assert graph.calls[-1].outputs[0].shape == shape
    assert graph.assumptions == ("a selection by values keeps 30 %",)


@pytest.mark.parametrize(("keep", "kept"), [(0, 0), (0.07, 7), (1, 100)])
def test_a_share_may_be_nothing_or_everything(keep: float, kept: int) -> None:
    graph = capture(Function(lambda x: x[x > 0.5].exp()), torch.rand(100), options=CaptureOptions(keep=keep))
    assert graph.calls[-1].outputs[0].shape == (kept,)


@pytest.mark.parametrize("keep", [-0.1, 1.1, float("nan"), "all", True])
def test_a_share_is_a_number_of_0_to_1(keep: Any) -> None:
    with pytest.raises(PredictorError, match="share of 0 to 1"):
        CaptureOptions(keep=keep)


def test_a_prediction_keeps_what_it_is_told_to() -> None:
    module, inputs = With(lambda layer, x: layer(x[above(x[..., 0])]), linear()), (torch.rand(64, 64, WIDTH),)
    some, all_ = (
        Predictor("h200", dtype="fp16", options=CaptureOptions(keep=k)).predict(module, inputs) for k in (0.25, 1)
    )
    assert some.macs == all_.macs / 4
    assert some.kernel_s < all_.kernel_s
    of_plan = plan(module, inputs, options=CaptureOptions(keep=0.25)).report("h200", dtype="fp16")
    assert (of_plan.latency_s, of_plan.notes) == (some.latency_s, some.notes)
    assert "assumed: a selection by values keeps 25 %" in some.notes


def test_an_exported_graph_keeps_everything_or_is_refused() -> None:
    """What it selects has no size of 0."""
    module = Function(lambda x: x[x > 0.5].exp())
    made = plan(module, (X,))
    assert made.graph("fp16", "onnx").calls[-1].outputs[0].shape == (1024,)
    assert f"assumed: {KEEPS}" in made.report("h200", runtime="onnx").notes
    with pytest.raises(CannotRunError, match="all that it selects is kept"):
        plan(module, (X,), options=CaptureOptions(keep=0.3)).report("h200", runtime="onnx")


def test_nothing_is_assumed_where_nothing_is_decided() -> None:
    assert of(lambda x: x.topk(2).indices + (x > 0).sum(), X).assumptions == ()


def test_what_finds_places_waits_for_the_device() -> None:
    graph = of(lambda x: x[x > 0.5], X)
    assert [part.op for part in graph.calls[-1].parts] == ["nonzero", "index"]


# numbers that go to the host


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_runs_what_it_wraps_once(reentrant: bool) -> None:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        return checkpoint(layer, x, use_reentrant=reentrant)  # type: ignore[no-any-return]

    assert leaves(capture(With(forward, linear()), X, "fp16")) == ["linear"]


def test_a_hook_that_goes_to_numpy_gets_an_array() -> None:
    module, shapes = nn.Sequential(linear()), []
    module[0].register_forward_hook(lambda m, i, o: shapes.append(o.cpu().numpy().shape))
    graph = capture(module, X, "fp16")
    assert shapes[-1] == (2, 8, WIDTH)
    assert graph.calls[-1].trait in (Trait.SYNC, Trait.HOST)
    assert graph.assumptions == (ONE,)


# devices by name, threads, inputs


@pytest.mark.parametrize(
    "function",
    [
        lambda layer, x: layer(x.cuda()),
        lambda layer, x: layer(x + torch.zeros(WIDTH, device="cuda", dtype=x.dtype)),
        lambda layer, x: layer(x.to("cuda:0")),
        lambda layer, x: layer(x.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))),
    ],
)
def test_cuda_is_the_device_of_the_capture(function: Callable[..., Any]) -> None:
    available = torch.cuda.is_available
    graph = capture(With(function, linear()), X, "fp16")
    assert calls(graph, "linear")[0].trait is Trait.GEMM
    assert torch.cuda.is_available is available


@pytest.mark.parametrize(
    "function",
    [
        lambda layer, x: layer(x) if x.is_cuda else x.sin(),
        lambda layer, x: layer(x) if x.device.type == "cuda" else x.sin(),
        lambda layer, x: layer(x) if str(x.device) in ("cuda:0", "cuda:1") else x.sin(),
        lambda layer, x: layer(x) if layer.weight.is_cuda else x.sin(),
    ],
)
def test_code_that_asks_where_it_runs_takes_the_branch_of_a_gpu(function: Callable[..., Any]) -> None:
    assert leaves(capture(With(function, linear()), X, "fp16")) == ["linear"]
    assert not X.is_cuda


def test_a_tensor_on_the_host_is_not_on_the_gpu() -> None:
    assert leaves(of(lambda x: x.exp() if torch.zeros(2).is_cuda else x.sin(), X)) == ["zeros", "sin"]


def test_a_generator_of_the_device_draws_there() -> None:
    kept = torch.Generator
    generator = torch.Generator().manual_seed(3)

    def forward(x: Tensor) -> Tensor:
        drawn = torch.Generator(device=x.device).manual_seed(0)
        assert isinstance(drawn, torch.Generator)
        assert isinstance(generator, torch.Generator)
        return x + torch.randn(x.shape, generator=drawn, device=x.device, dtype=x.dtype)

    graph = of(forward, X, dtype="fp16")
    assert [(call.op, call.outputs[0].shape) for call in graph.calls] == [("randn", X.shape), ("add", X.shape)]
    assert torch.Generator is kept


def test_a_module_in_training_mode_runs_in_evaluation_mode_which_is_said() -> None:
    module = nn.Sequential(linear(), nn.Dropout(0.5))
    assert capture(module, X).assumptions == (EVALUATION,)
    assert capture(module.eval(), X).assumptions == ()


def test_a_pool_of_threads_is_seen() -> None:
    def forward(one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda layer: layer(x), (one, two))
        return first + second

    assert leaves(capture(With(forward, linear(), linear()), X)) == ["linear", "linear", "add"]


@dataclass
class Record:
    x: Tensor
    scale: float


@pytest.mark.parametrize(
    ("function", "inputs", "batch"),
    [
        (
            lambda layer, array: layer(torch.as_tensor(array, device="meta", dtype=torch.float32)),
            (np.ones((3, WIDTH)),),
            3,
        ),
        (lambda layer: layer(torch.ones(5, WIDTH, device="meta")), (), 1),
        (lambda layer, t, x: layer(x) * t, (torch.tensor(2.0), X), 2),
    ],
)
def test_inputs_are_what_the_module_takes(function: Callable[..., Any], inputs: Any, batch: int) -> None:
    graph = capture(With(function, linear()), inputs)
    assert graph.batch == batch
    assert "linear" in leaves(graph)


def test_a_record_holds_the_batch() -> None:
    graph = capture(With(lambda layer, record: layer(record.x) * record.scale, linear()), (Record(X, 2.0),))
    assert graph.batch == 2
    assert leaves(graph) == ["linear", "mul"]


# modules as torch wraps them


def mlp() -> nn.Sequential:
    return nn.Sequential(linear(), nn.GELU(), nn.LayerNorm(WIDTH), linear()).eval()


@pytest.mark.parametrize(
    "wrapped",
    [
        torch.jit.script,
        lambda module: torch.jit.trace(module, X),
        lambda module: torch.jit.freeze(torch.jit.script(module)),
        torch.compile,
        lambda module: torch.export.export(module, (X,)),
        lambda module: torch.export.export(module, (X,)).module(),
        torch.fx.symbolic_trace,
    ],
)
def test_a_wrapped_module_is_what_it_wraps(wrapped: Callable[[nn.Module], Any]) -> None:
    assert leaves(capture(wrapped(mlp()), X)) == ["linear", "gelu", "layer_norm", "linear"]


@pytest.mark.parametrize("wrapped", [torch.jit.script, lambda module: torch.jit.trace(module, X)])
def test_the_weights_of_a_scripted_module_take_the_dtype(wrapped: Callable[[nn.Module], Any]) -> None:
    module = wrapped(mlp())
    graph = capture(module, X, "fp16")
    assert {t.dtype for call in graph.calls for t in call.tensors} == {"fp16"}
    assert {p.dtype for p in module.parameters()} == {torch.float32}


# tensors that are made of others


class Coded(torch.Tensor):
    """Codes of eight bits and a scale in place of weights, as libraries of quantisation have them."""

    codes: Tensor
    scale: Tensor

    @staticmethod
    def __new__(cls, codes: Tensor, scale: Tensor) -> Coded:
        made = torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=scale.dtype)  # type: ignore[attr-defined]
        made.codes, made.scale = codes, scale
        return made  # type: ignore[no-any-return]

    def __init__(self, codes: Tensor, scale: Tensor) -> None:
        pass

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["codes", "scale"], None

    @staticmethod
    def __tensor_unflatten__(parts: dict[str, Tensor], context: None, size: Any, stride: Any) -> Coded:
        return Coded(parts["codes"], parts["scale"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.detach.default:
            return cls(args[0].codes, args[0].scale)
        return func(*(a.codes.to(a.scale.dtype) * a.scale if isinstance(a, cls) else a for a in args), **(kwargs or {}))


@pytest.mark.parametrize("code", [torch.int8, torch.float8_e4m3fn])
def test_a_tensor_that_is_made_of_others_runs_what_it_is_made_of(code: torch.dtype) -> None:
    """Eight bits a weight are read, and turned into half-precision ones before the product."""
    layer = linear()
    codes = torch.ones(WIDTH, WIDTH).to(code)
    layer.weight = nn.Parameter(Coded(codes, torch.ones(WIDTH, 1)), requires_grad=False)
    graph = capture(layer, X, "fp16")
    assert leaves(graph) == ["_to_copy", "mul", "linear"]
    assert graph.calls[0].bytes_read == WIDTH * WIDTH
    assert {t.dtype for t in graph.calls[-1].tensors} == {"fp16"}
    assert isinstance(layer.weight, Coded)
    assert layer.weight.codes is codes


def test_jagged_tensors_have_the_rows_that_they_have() -> None:
    nested = torch.nested.nested_tensor([torch.rand(8, WIDTH), torch.rand(5, WIDTH)], layout=torch.jagged)
    graph = capture(linear(), nested, "fp16")
    assert graph.batch == 2
    (product,) = calls(graph, "linear")
    assert product.outputs[0].shape == (13, WIDTH)


def test_jagged_tensors_made_inside() -> None:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        return layer(torch.nested.nested_tensor([x[0], x[1, :5]], layout=torch.jagged)).values()

    assert rows(capture(With(forward, linear()), X, "fp16")) == [13]


def test_numbers_of_eight_bits_multiply_as_such() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(WIDTH, WIDTH).to(torch.float8_e4m3fn), requires_grad=False)
            self.register_buffer("scale", torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(0, 1).to(torch.float8_e4m3fn)
            return torch._scaled_mm(x, self.weight.t(), self.scale, self.scale, out_dtype=torch.bfloat16)  # type: ignore[arg-type]

    graph = capture(Scaled(), X, "bf16")
    assert graph.calls[-1].macs == 16 * WIDTH * WIDTH
    assert kernels(graph) == {"pointwise": 1, "gemm_8bit": 1}


def test_a_module_of_several_dtypes_keeps_them_where_it_runs_in_its_own() -> None:
    """A norm in single precision is a cast more; in another dtype all of it is cast before it runs."""

    def forward(layer: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
        return layer(norm(x.to(norm.weight.dtype)).to(x.dtype))  # type: ignore[union-attr, call-overload]

    module = With(forward, linear().bfloat16(), nn.LayerNorm(WIDTH))
    assert leaves(capture(module, X, "bf16")) == ["_to_copy", "layer_norm", "_to_copy", "linear"]
    assert leaves(capture(module, X, "fp16")) == ["layer_norm", "linear"]


# operators that take functions


def looped(layer: nn.Module, x: Tensor) -> Any:
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, layer(y)), (torch.tensor(0), x))


def scanned(layer: nn.Module, x: Tensor) -> Any:
    from torch._higher_order_ops.scan import scan

    return scan(lambda state, y: (state + y, layer(state + y)), torch.zeros_like(x[:, 0]), x, dim=1)


def mapped(layer: nn.Module, x: Tensor) -> Any:
    from torch._higher_order_ops.map import map as map_over

    return map_over(lambda y: layer(y), x)


@pytest.mark.parametrize(("function", "steps"), [(looped, 3), (scanned, 8), (mapped, 2)])
def test_a_loop_of_torch_runs_all_its_steps(function: Callable[..., Any], steps: int) -> None:
    graph = capture(With(function, linear()), X)
    assert len(calls(graph, "linear") + calls(graph, "addmm")) == steps
    assert graph.macs == steps * WIDTH * WIDTH * (16 if function is looped else 16 // steps)


def test_a_branch_whose_condition_is_known_is_the_one_that_is_taken() -> None:
    graph = of(lambda x, n: torch.cond(n.sum() > 9, torch.exp, torch.sin, (x,)), X, torch.tensor([4, 4]))
    assert leaves(graph)[-1] == "sin"
    assert graph.assumptions == ()


def test_gradients_inside_of_a_forward_are_part_of_the_pass() -> None:
    """Forces: the gradient of an energy, which inference mode would forbid."""

    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(layer(x).sum(), x)[0]

    graph = capture(With(forward, linear()), X)
    assert graph.macs == 2 * 16 * WIDTH * WIDTH
    assert not X.requires_grad


def test_flexible_attention_is_one_fused_kernel() -> None:
    q = torch.rand(2, 4, 128, 16)
    graph = of(lambda x: flex_attention(x, x, x), q, dtype="fp16")
    assert kernels(graph)["attention"] == 1
    assert not {"gemm", "softmax"} & set(kernels(graph))


def test_a_fourier_transform_in_half_precision_is_priced_where_it_runs() -> None:
    """A complex number of two half-precision ones takes four bytes."""
    module = Function(lambda x: torch.fft.fft(x).real + 1)
    graph = of(module.function, torch.empty(4, 64), dtype="fp16")
    assert {out.itemsize for call in graph.calls for out in call.outputs if out.dtype == "complex32"} == {4}
    assert plan(module, torch.empty(4, 64)).report("h200", dtype="fp16").kernel_s > 0


# values that stay known, and such as do not


def test_a_mask_that_unknown_values_are_written_into_selects_everything() -> None:
    def forward(x: Tensor) -> Tensor:
        mask = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
        mask[x[:, 0] > 0] = True
        return x[mask] * 2

    graph = of(forward, torch.rand(16, 4))
    assert graph.calls[-1].outputs[0].shape == (16, 4)
    assert HOLDS in graph.assumptions


def test_a_mask_that_known_values_are_written_into_keeps_them() -> None:
    def forward(x: Tensor) -> Tensor:
        mask = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
        mask[torch.arange(3, device=x.device)] = True
        return x[mask] * 2

    graph = of(forward, torch.rand(16, 4))
    assert graph.calls[-1].outputs[0].shape == (3, 4)
    assert not graph.assumptions


@pytest.mark.parametrize(
    "labels",
    [
        lambda x: torch.cat([torch.full_like(x[:, 0], n, dtype=torch.int64) for n in range(3)]),
        lambda x: torch.cat([x.new_full((5,), n, dtype=torch.int64) for n in range(3)]),
        lambda x: torch.arange(3, device=x.device)[:, None].expand_as(x[:3]).reshape(-1),
    ],
)
def test_labels_in_the_shape_of_scores_are_known(labels: Callable[[Tensor], Tensor]) -> None:
    """Three labels are found, not as many as there are elements."""
    graph = of(lambda x: x.sum() + torch.unique(labels(x)), torch.rand(4, 7))
    assert graph.calls[-1].outputs[0].shape == (3,)
    assert not graph.assumptions


def test_labels_that_unknown_values_select_are_known() -> None:
    """Four detections of each of three classes, all kept: three classes are found."""

    def forward(scores: Tensor) -> Tensor:
        labels = torch.arange(3, device=scores.device).expand_as(scores).reshape(-1)
        best = torch.where(scores.reshape(-1) > 0.5)[0]
        return scores.sum() + torch.unique(labels[best])

    graph = of(forward, torch.rand(4, 3))
    assert graph.calls[-1].outputs[0].shape == (3,)
    assert graph.assumptions == (assumptions.keeps(CaptureOptions()),)


def test_autocast_for_the_device_of_a_tensor_is_that_of_a_gpu() -> None:
    def forward(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return x * 2

    assert of(forward, torch.rand(4)).calls[-1].op == "mul"


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("is_bidirectional", [False, True])
@pytest.mark.parametrize("is_batch_first", [False, True])
def test_the_shapes_of_a_recurrent_layer_are_those_that_torch_computes(
    kind: type[nn.Module], is_bidirectional: bool, is_batch_first: bool
) -> None:
    layer = kind(8, 16, 2, bidirectional=is_bidirectional, batch_first=is_batch_first)
    x = torch.rand(3, 5, 8)
    out, states = layer(x)
    expected = [out, *(states if isinstance(states, tuple) else (states,))]
    called = next(call for call in capture(layer, x).leaves if call.op in ("lstm", "gru", "rnn_tanh"))
    assert [(o.shape, o.stride) for o in called.outputs] == [(t.shape, t.stride()) for t in expected]


@pytest.mark.parametrize(("heads", "grouped", "math"), [(1, False, True), (2, True, False), (8, False, False)])
def test_keys_of_fewer_heads_leave_the_fused_kernels_unless_they_are_told_of_groups(
    heads: int, grouped: bool, math: bool
) -> None:
    query, key = torch.empty(2, 8, 16, 64), torch.empty(2, heads, 16, 64)
    attend = torch.nn.functional.scaled_dot_product_attention
    graph = of(lambda q, k: attend(q, k, k, enable_gqa=grouped), query, key, dtype="fp16")
    kinds = {kernel.family for call in lower(graph).calls for kernel in call.kernels}
    assert ("softmax" in kinds) is math
    assert ("attention" in kinds) is not math


@pytest.mark.parametrize(
    ("shape", "order", "masked", "math"),
    [
        ((2, 8, 16, 64), (0, 1, 2, 3), True, False),
        ((2, 8, 16, 320), (0, 1, 2, 3), False, False),
        ((2, 8, 64, 16), (0, 1, 3, 2), False, True),  # channels attend to channels: each lies across the memory
        ((8, 16, 64), (0, 1, 2), False, True),
        ((2, 8, 16, 52), (0, 1, 2, 3), True, True),
        ((2, 8, 16, 300), (0, 1, 2, 3), False, True),
    ],
)
def test_what_no_fused_attention_takes_is_multiplied_out(
    shape: tuple[int, ...], order: tuple[int, ...], masked: bool, math: bool
) -> None:
    mask = torch.empty(16, 16) if masked else None
    attend = torch.nn.functional.scaled_dot_product_attention
    graph = of(lambda x: attend(*[x.permute(order)] * 3, attn_mask=mask), torch.empty(shape), dtype="fp16")
    kinds = {kernel.family for call in lower(graph).calls for kernel in call.kernels}
    assert ("softmax" in kinds) is math
    assert ("attention" in kinds) is not math


def test_heads_of_odd_widths_are_padded_for_attention() -> None:
    attend = torch.nn.functional.scaled_dot_product_attention
    graph = of(lambda x: attend(x, x, x).transpose(1, 2).flatten(2), torch.empty(2, 8, 16, 52), dtype="fp16")
    *pads, attention, merged = [kernel for call in lower(graph).calls for kernel in call.kernels]
    assert [kernel.family for kernel in pads] == ["fill", "copy"] * 3
    assert (attention.family, attention.dims["head_dim"]) == ("attention", 56)
    assert (merged.family, merged.dims["run"]) == ("copy", 52)  # of the result without its padding
