"""What runtimes make of a graph: constants folded, operators fused, kernels replayed, and what they cannot run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._inductor.utils import use_scatter_fallback

from predictor import runtimes
from predictor.capture.recorder import capture
from predictor.errors import CannotRunError
from predictor.predict import Predictor, graph_of
from predictor.records import Graph, OpCall, Program, PythonWork, Target, TensorSpec, Trait
from predictor.runtimes.compile.instructions import CYCLES, OF_A_NUMBER, USUAL_CYCLES
from tests.helpers import Function

X = torch.rand(2, 16, 64)


def lowered(runtime: str, function: Callable[..., Any], *inputs: torch.Tensor, dtype: str = "fp16") -> Program:
    module = runtimes.load(runtime)
    return module.lower(graph_of(Function(function), inputs or (X,), dtype, runtime))


def families(program: Program) -> list[str]:
    return [kernel.family for call in program.calls for kernel in call.kernels]


def ops(program: Program) -> Counter[str]:
    return Counter(call.row.label for call in program.calls)


def of(function: Callable[..., Any], *inputs: torch.Tensor) -> Graph:
    return capture(Function(function), inputs or (X,), "fp16")


def test_torchscript_keeps_what_a_size_makes() -> None:
    """As torch's own interpreter does: what its optimised graph still holds is what the program has."""

    class Positions(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.arange(x.shape[-1], device=x.device).sin()

    example = torch.ones(2, 64)
    traced = torch.jit.trace(Positions().eval(), example)
    for _ in range(4):
        traced(example)
    real = str(torch.jit.last_executed_optimized_graph())
    assert "aten::arange" in real
    assert "arange" in {call.op for call in lowered("torchscript", Positions(), example).calls}


def test_torchscript_makes_the_states_of_a_recurrent_layer_once_for_each() -> None:
    """As torch's own interpreter does: both states of a layer are one tensor, those of another are of another size."""

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (nn.LSTM(64, 64, batch_first=True) for _ in range(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x, _ = self.first(x)
            x, _ = self.second(x)
            return x

    traced = torch.jit.freeze(torch.jit.trace(Layers().eval(), X))
    for _ in range(4):
        traced(X)
    assert str(torch.jit.last_executed_optimized_graph()).count("aten::zeros(") == 2
    assert ops(lowered("torchscript", Layers()))["zeros"] == 2


def test_torchscript_folds_constants_and_fuses_what_hangs_together() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        mask = torch.tensor(True, device=x.device) & torch.ones((), dtype=torch.bool, device=x.device)
        return (torch.tanh(x * 0.5) + x).softmax(-1) * mask

    program = lowered("torchscript", forward)
    assert ops(program) == {"fused": 1, "softmax": 1, "mul broadcast": 1}
    assert families(program) == ["nnc", "softmax", "pointwise"]


def test_torchscript_leaves_a_single_pointwise_operator_alone() -> None:
    assert families(lowered("torchscript", lambda x: F.gelu(x).softmax(-1))) == ["pointwise", "softmax"]


def test_torchscript_joins_neighbours_that_do_not_depend_on_each_other() -> None:
    program = lowered("torchscript", lambda x, y: (torch.cat((x, x)), torch.cat((y, y))), X, X + 1)
    assert families(program) == ["nnc"]


@pytest.mark.parametrize(
    ("torch_version", "architecture", "expected"),
    [
        ("", "", ["batch_norm", "pointwise", "layer_norm"]),  # NNC: a call that writes into its input stays
        ("1.11.0", "volta", ["batch_norm", "pointwise", "layer_norm"]),
        # pointwise operators alone, and one is too few
        ("1.12.1", "pascal", ["batch_norm", "pointwise", "layer_norm"]),
        ("1.12.1", "volta", ["nnc"]),
        ("2.0.1+cu118", "", ["nnc"]),
        ("2.1.0", "volta", ["batch_norm", "pointwise", "layer_norm"]),
    ],
)
def test_torchscript_has_the_fuser_of_its_version(torch_version: str, architecture: str, expected: list[str]) -> None:
    weight = torch.rand(16)

    def forward(x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(torch.relu_(F.batch_norm(x, weight, weight)), [64])

    graph = graph_of(Function(forward), (X,), "fp16", "torchscript")
    program = runtimes.load("torchscript").lower(graph, Target(torch_version, architecture))
    assert families(program) == expected


def test_torchscript_joins_no_batch_norm_that_computes_its_statistics() -> None:
    program = lowered("torchscript", lambda x: torch.tanh(F.batch_norm(x, None, None, training=True) * 2))
    assert families(program) == ["batch_norm", "nnc"]


def test_what_writes_into_its_input_is_joined_by_one_fuser_alone() -> None:
    graph = graph_of(Function(lambda x: torch.tanh(x).add_(1).mul_(2)), (X,), "fp16", "torchscript")
    lower = runtimes.load("torchscript").lower
    assert families(lower(graph)) == ["pointwise"] * 3
    for architecture in ("pascal", "ampere"):
        (call,) = lower(graph, Target("1.12.1", architecture)).calls
        assert [kernel.family for kernel in call.kernels] == ["nnc"]
        assert call.kernels[0].dims["bytes_read"] == call.kernels[0].dims["bytes_written"] == X.numel() * 2


def test_torchscript_splits_a_product_from_its_bias() -> None:
    w, b = torch.rand(64, 64), torch.rand(64)
    assert families(lowered("torchscript", lambda x: torch.addmm(b, x[0], w))) == ["gemm", "pointwise"]


def test_inductor_makes_one_kernel_of_a_residual_sum_and_its_norm() -> None:
    w = torch.rand(64)
    program = lowered("compile", lambda x, y: F.layer_norm(torch.relu(x) + y, (64,), w, w) * 2, X, X.clone())
    (kernel,) = [k for call in program.calls for k in call.kernels]
    assert kernel.family == "triton"
    assert kernel.dims["rows"] == 32
    assert kernel.dims["bytes_read"] == 2 * 2 * X.numel() + 4 * 64  # the weight is a constant in single precision


def test_inductor_computes_a_small_mask_in_every_loop_that_reads_it() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        mask = torch.arange(64, device=x.device) > 3
        y = (x * mask).softmax(-1)
        return (F.linear(y, x.new_ones(64, 64)) * mask).softmax(-1)

    program = lowered("compile", forward)
    assert [f for f in families(program) if f != "gemm"].count("triton") in (2, 3)  # two, and the weight that is made


def test_inductor_keeps_the_bias_in_half_precision_products_alone() -> None:
    layer = nn.Linear(64, 64)
    assert families(lowered("compile", lambda x: F.gelu(F.linear(x, layer.weight, layer.bias)))) == ["gemm", "triton"]
    (single, _) = [
        k
        for c in lowered("compile", lambda x: F.gelu(F.linear(x, layer.weight, layer.bias)), dtype="fp32").calls
        for k in c.kernels
    ]
    assert single.dims["bias"] == 0


@pytest.mark.parametrize(("cols", "kernels"), [(32, 1), (128, 1), (512, 3)])
def test_inductor_splits_a_norm_over_long_strided_rows(cols: int, kernels: int) -> None:
    x, w = torch.rand(2, cols, 64), torch.rand(cols)
    program = lowered("compile", lambda x: F.layer_norm(x.transpose(1, 2), (cols,), w, w), x)
    assert families(program) == ["triton"] * kernels


@pytest.mark.parametrize(("rows", "kernels"), [(263, 2), (264, 1)])
def test_inductor_splits_long_rows_where_there_are_few(rows: int, kernels: int) -> None:
    """Below two for each of 132 multiprocessors."""
    assert families(lowered("compile", lambda x: x.sum(-1), torch.rand(rows, 16384))) == ["triton"] * kernels


def test_inductor_writes_a_short_sum_out() -> None:
    for cols, rows in ((4, 0), (16, 64)):
        program = lowered("compile", lambda x: x.sum(-1) * 2, torch.rand(64, cols))
        (kernel,) = [k for call in program.calls for k in call.kernels]
        assert kernel.dims["rows"] == rows


def test_inductor_computes_again_what_reads_little() -> None:
    """A sum of two is computed by each of its readers, one of five is written."""

    def forward(x: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = sum(others, x)
        return F.linear(y.sin(), x.new_ones(64, 64)), F.linear(y[..., :32].cos(), x.new_ones(64, 32))

    few, many = (lowered("compile", forward, *(torch.rand(2, 16, 64) for _ in range(n))) for n in (2, 5))
    written = [
        sum(k.dims["bytes_written"] for c in p.calls for k in c.kernels if k.family == "triton") for p in (few, many)
    ]
    assert written[1] - written[0] == 2 * X.numel()


def test_inductor_joins_loops_that_read_the_same() -> None:
    weight = torch.rand(64, 64)

    def forward(x: torch.Tensor, between: int) -> tuple[torch.Tensor, ...]:
        first, y = x.sin() @ weight, x
        for _ in range(between):
            y = F.linear(y, weight)
        return first, y, x.cos() @ weight

    for between, loops in ((2, 1), (80, 2)):
        program = lowered("compile", lambda x, n=between: forward(x, n))
        assert families(program).count("triton") == loops


def test_inductor_keeps_loops_apart_that_share_less_than_they_hold_in_memory() -> None:
    """Each alone reads 2048 elements that it could write over: 32 times as many bytes have to be shared."""
    weight = torch.rand(64, 64)

    def forward(x: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return F.linear(x, weight) * scale @ weight, F.linear(x.sin(), weight) * scale @ weight

    for scale, loops in ((torch.rand(1, 16, 1), 2), (torch.rand(64), 1)):
        found = [c.kernels[0] for c in lowered("compile", forward, X, scale).calls if c.op == "triton"]
        assert sum(kernel.dims["inputs"] > 1 for kernel in found) == loops


def test_inductor_copies_nothing_that_lies_as_it_should() -> None:
    """One tensor joined with an empty one, as of a cache that begins empty."""

    def forward(x: torch.Tensor, empty: torch.Tensor) -> torch.Tensor:
        return torch.cat((empty, x.relu().transpose(1, 2)), 1).clone() @ x

    assert families(lowered("compile", forward, X, torch.empty(0))) == ["triton", "gemm"]


def test_inductor_puts_values_into_a_copy() -> None:
    index = torch.arange(4)

    def forward(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x.index_copy(0, index.to(x.device), y)

    copied, put = [
        c.kernels[0] for c in lowered("compile", forward, torch.rand(64, 64), torch.rand(4, 64)).calls if c.kernels
    ]
    assert (copied.dims["elements"], put.dims["elements"]) == (64 * 64, 4 * 64)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64])
@pytest.mark.parametrize("reduce", ["sum", "mean", "amax"])
def test_inductor_leaves_to_a_library_what_it_says_that_it_cannot_put(dtype: torch.dtype, reduce: str) -> None:
    def put(x: torch.Tensor, index: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        return (x + 1).scatter_reduce(1, index, source, reduce) * 2

    inputs = torch.ones(16, 8, dtype=dtype), torch.zeros(16, 32, dtype=torch.int64), torch.ones(16, 32, dtype=dtype)
    operator = torch.ops.aten.scatter_reduce_.two
    falls_back = use_scatter_fallback(operator, reduce, dtype, dtype, "cuda", True)
    found = ops(lowered("compile", put, *inputs))
    called = {"fallback": 1, "scatter_reduce_": 1} if falls_back else {}
    assert found == Counter({"checked module": 1, "weight": 3, "triton": 2 if falls_back else 3, **called})


@pytest.mark.parametrize(
    ("width", "dtype", "family"), [(32, "fp16", "triton"), (7, "fp16", "triton_exchange"), (7, "fp32", "triton")]
)
def test_what_reads_a_sum_at_places_runs_behind_all_that_is_added(width: int, dtype: str, family: str) -> None:
    """Messages of a graph, twice: each time a loop of zeros, which reads nothing, and one of sums. Of rows of an odd
    width half precision has no two neighbours to add at once.
    """

    def rounds(x: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            to = ends[1][:, None].expand(-1, width)
            x = x.new_zeros(100, width).scatter_add_(0, to, x.index_select(0, ends[0]))
        return x

    program = lowered("compile", rounds, torch.zeros(100, width), torch.randint(0, 100, (2, 400)), dtype=dtype)
    assert families(program) == ["triton", family] * 2
    fills = [kernel.dims for call in program.calls for kernel in call.kernels][::2]
    assert [dims["bytes_read"] for dims in fills] == [0, 0]


def test_statistics_of_a_batch_are_a_row_for_each_channel() -> None:
    """Few long rows, which are split: 43,328 x 16 took partial sums and their sums before the loop on an H200."""
    program = lowered("compile", lambda x: F.batch_norm(x, None, None, training=True), torch.zeros(43328, 16))
    rows = [kernel.dims["rows"] for call in program.calls for kernel in call.kernels]
    assert rows[0] > 16
    assert rows[1:] == [16, 0]


@pytest.mark.parametrize(
    ("width", "padded", "dtype"),
    [(2730, [2736, 2736], "fp16"), (2728, [2728, 2728], "fp16"), (2730, [2730, 2730], "fp32"), (30, [30, 30], "fp16")],
)
def test_large_products_are_padded_to_multiples_of_eight(width: int, padded: list[int], dtype: str) -> None:
    """A feed-forward network whose inner width is 2,730, as a profile of an H200 has it: both weights are padded by a
    loop each, what is between them by the loop that makes it.
    """
    up, down = torch.zeros(width, 1024), torch.zeros(1024, width)

    def network(x: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        return F.linear(F.silu(F.linear(x, up)), down)

    program = lowered("compile", network, torch.zeros(6144, 1024), up, down, dtype=dtype)
    kernels = [kernel for call in program.calls for kernel in call.kernels]
    first, second = (kernel.dims for kernel in kernels if kernel.family == "gemm")
    assert [first["n"], second["k"]] == padded
    loops = sum(kernel.family == "triton" for kernel in kernels)
    assert loops == (3 if padded[0] != width else 1)


@torch.library.custom_op("test_lowering::halves_multiplied", mutates_args=())
def halves_multiplied(x: torch.Tensor) -> torch.Tensor:
    first, second = torch.relu(x).chunk(2)
    return torch.mm(first, second.t())


@halves_multiplied.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return x.new_empty(x.shape[0] // 2, x.shape[0] // 2)


def test_a_custom_operator_runs_what_its_python_calls_and_no_compiler_looks_into_it() -> None:
    def between(x: torch.Tensor) -> torch.Tensor:
        return torch.ops.test_lowering.halves_multiplied(x + 1) * 2

    x = torch.rand(64, 32)
    eager = lowered("eager", between, x)
    assert families(eager) == ["pointwise", "pointwise", "gemm", "pointwise"]
    assert [call.macs for call in eager.calls] == [0, 32 * 32 * 32, 0]
    compiled = [call for call in lowered("compile", between, x).calls if call.kernels]
    assert [call.op for call in compiled] == ["triton", "test_lowering::halves_multiplied", "triton"]
    assert [kernel.family for kernel in compiled[1].kernels] == ["pointwise", "gemm"]
    assert not lowered("compile", between, x).unmodelled


def test_inductor_writes_joined_tensors_one_by_one_where_one_is_written_anyway() -> None:
    """What is joined for a library: the norm writes to its place, the input is copied to its own."""
    weight, w = torch.rand(64, 128), torch.rand(64)

    def forward(x: torch.Tensor) -> torch.Tensor:
        return F.linear(torch.cat((F.layer_norm(x, (64,), w, w), x), -1), weight)

    kernels = [k for c in lowered("compile", forward).calls for k in c.kernels if k.family == "triton"]
    assert [k.dims["rows"] for k in kernels] == [32, 0]
    assert [k.dims["bytes_written"] for k in kernels] == [2 * X.numel()] * 2


@pytest.mark.parametrize(("steps", "is_scaled", "loops"), [(20, False, 1), (20, True, 2), (40, False, 2)])
def test_inductor_computes_much_again_where_it_reads_one_value(steps: int, is_scaled: bool, loops: int) -> None:
    """Sixty operations: more than 30, fewer than 100. What is written is no part of the loop that joins."""
    weight, scale = torch.rand(64, 64), torch.rand(64)

    def forward(x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        y = x * scale.to(x) if is_scaled else x
        for _ in range(steps):
            y = y.sin()
        return torch.cat((y, other), 1) @ weight.to(x)

    found = [call for call in lowered("compile", forward, X, X).calls if call.op == "triton"]
    assert len(found) == loops


def test_inductor_computes_again_for_each_element_what_few_share() -> None:
    """Cosines of positions: of one row of 64, for each of the 32 that it is multiplied with."""
    places = torch.arange(64.0)

    def forward(x: torch.Tensor) -> torch.Tensor:
        return x * (places * 0.5).cos().to(x)

    (kernel,) = (k for call in lowered("compile", forward).calls for k in call.kernels)
    assert kernel.dims["work"] > CYCLES["cos"] + USUAL_CYCLES


def test_inductor_computes_again_for_each_slice_that_is_joined() -> None:
    """Sigmoids of which two slices are joined otherwise than they lay: twice."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = x.sigmoid()
        return torch.cat((y[..., :32] * 2.0, y[..., 32:]), -1)

    (kernel,) = (k for call in lowered("compile", forward).calls for k in call.kernels)
    assert 2 * CYCLES["sigmoid"] < kernel.dims["work"] < 3 * CYCLES["sigmoid"]


def test_inductor_computes_no_more_again_than_a_slice() -> None:
    """The last of 16 steps: sigmoids of a sixteenth."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid()[:, -1] * 2.0

    (kernel,) = (k for call in lowered("compile", forward).calls for k in call.kernels)
    assert CYCLES["sigmoid"] < kernel.dims["work"] < 2 * CYCLES["sigmoid"]


def test_inductor_draws_a_seed_beside_a_loop_of_random_numbers() -> None:
    assert families(lowered("compile", lambda x: x + torch.randn_like(x))) == ["fill", "triton"]


@pytest.mark.parametrize(
    ("shape", "dim", "expected"), [((64, 32000), 1, ["fill", "triton"]), ((512, 2048), 1, ["triton"])]
)
def test_inductor_scans_few_long_rows_in_parts(shape: tuple[int, int], dim: int, expected: list[str]) -> None:
    """As profiles on an H200 have it: zeros first, in which the parts leave their sums."""
    assert families(lowered("compile", lambda x: x.cumsum(dim), torch.rand(shape))) == expected


def test_inductor_does_not_split_a_norm_over_the_channels_of_a_channels_last_graph() -> None:
    """As a profile on an H200 has it: the channels lie side by side there, and one loop finds both moments."""
    image, window = torch.rand(1, 256, 16, 16), torch.rand(256, 256, 3, 3)

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = F.conv2d(x, window, padding=1)
        return F.conv2d((x - x.mean(1, keepdim=True)) / x.var(1, keepdim=True), window, padding=1)

    found = families(lowered("compile", forward, image))
    between = found[found.index("conv") + 1 : len(found) - 1 - found[::-1].index("conv")]
    assert between == ["triton"]


def test_inductor_splits_a_softmax_along_the_first_dimension() -> None:
    """As a profile on an H200 has it, five kernels."""
    assert families(lowered("compile", lambda x: x.softmax(0), torch.rand(512, 4096))) == ["triton"] * 5


def test_inductor_adds_to_a_product_with_a_vector_in_one_loop() -> None:
    vector, matrix = torch.rand(256), torch.rand(128, 256)
    added = torch.rand(128)
    assert families(lowered("compile", lambda x, m, v: torch.addmv(x, m, v), added, matrix, vector)) == ["triton"]


def test_inductor_leaves_complex_numbers_to_eager_mode() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        y = torch.fft.rfft(x.float())
        return (y * y).real.relu() + 1

    assert families(lowered("compile", forward)) == ["triton", "fft", "pointwise", "triton"]


def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: str, mask: torch.Tensor | None) -> torch.Tensor:
    scores = q @ k.transpose(-1, -2)
    scores = scores * 0.125 if scale == "mul" else scores / 8.0
    scores = scores if mask is None else scores + mask
    return (scores.float().softmax(-1).to(v.dtype) if scale == "cast" else scores.softmax(-1)) @ v


@pytest.mark.parametrize(
    ("batch", "scale", "has_mask", "is_fused"),
    [
        *((1, "div", False, True), (1, "div", True, True), (2, "div", True, True), (1, "mul", False, True)),
        *((1, "mul", True, False), (2, "mul", False, False), (1, "cast", True, True), (2, "cast", False, True)),
    ],
)
def test_inductor_finds_attention_that_is_written_out(batch: int, scale: str, has_mask: bool, is_fused: bool) -> None:
    """Of a batch, whose heads are copied, it knows no pattern that multiplies; nor one that adds a mask to that."""
    heads = torch.rand(batch, 32, 4, 64)

    def forward(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        q, k, v = (y.permute(0, 2, 1, 3) for y in (x.sin(), x.cos(), x.exp()))
        out = attended(q, k, v, scale, mask if has_mask else None)
        return F.linear(out.permute(0, 2, 1, 3).reshape(batch, 32, 256), x.new_ones(8, 256))

    found = families(lowered("compile", forward, heads, torch.rand(batch, 1, 32, 32)))
    assert found.count("attention") == is_fused
    assert found.count("gemm") == (1 if is_fused else 3)


def test_attention_that_inductor_finds_of_strided_heads_is_in_single_precision() -> None:
    """As a profile on an H200 has it: a cast of each of the three, two products and a softmax, a cast of the result."""
    heads = torch.rand(1, 4, 64, 32)  # the width of a head before its length, as convolutions make them

    def forward(x: torch.Tensor) -> torch.Tensor:
        q, k, v = (y.transpose(-1, -2) for y in (x.sin(), x.cos(), x.exp()))
        return attended(q, k, v, "mul", None).transpose(-1, -2).reshape(1, 256, 32)

    kernels = [k for call in lowered("compile", forward, heads).calls for k in call.kernels]
    families_of = [kernel.family for kernel in kernels]
    assert families_of.count("attention") == 0
    products = [kernel for kernel in kernels if kernel.family == "gemm"]
    assert [kernel.dtype for kernel in products] == ["fp32", "fp32"]


def test_inductor_keeps_the_layout_of_convolutions_that_are_few_or_grouped() -> None:
    """300 nodes for each, or 1.358 times as slow channels-last as they are."""
    image = torch.rand(1, 128, 8, 8)
    window, grouped = torch.rand(128, 128, 3, 3), torch.rand(128, 32, 3, 3)

    def forward(x: torch.Tensor, steps: int, groups: int) -> torch.Tensor:
        x = F.conv2d(x, grouped if groups > 1 else window, groups=groups)
        for step in range(steps):
            x = x * (step + 2)
        return x

    for steps, groups, is_last in ((4, 1, 1), (300, 1, 0), (4, 4, 0)):
        program = lowered("compile", lambda x, s=steps, g=groups: forward(x, s, g), image)
        (conv,) = [k for c in program.calls for k in c.kernels if k.family.startswith("conv")]
        assert conv.dims["channels_last"] == is_last


def test_inductor_lays_a_weight_out_once() -> None:
    """Before the first of two convolutions that have it; not at all, if it lies so already."""
    image, window = torch.rand(1, 128, 8, 8).to(memory_format=torch.channels_last), torch.rand(128, 128, 3, 3)
    for weight, loops in ((window, 1), (window.to(memory_format=torch.channels_last), 0)):
        program = lowered("compile", lambda x, w: F.conv2d(F.conv2d(x, w), w), image, weight)
        assert families(program).count("triton") == loops


def test_inductor_pools_adaptively_what_convolutions_leave_channels_last() -> None:
    net = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.AdaptiveAvgPool2d(3))
    program = runtimes.load("compile").lower(graph_of(net, torch.rand(1, 16, 64, 64), "fp16", "compile"))
    (pool,) = (k for call in program.calls for k in call.kernels if k.family == "pool")
    assert pool.dims["channels_last"] == 1.0


def test_inductor_checks_every_weight_and_input_before_it_runs() -> None:
    layers = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    program = runtimes.load("compile").lower(graph_of(layers, X, "fp16", "compile"))
    assert ops(program)["weight"] == 5


def test_convolutions_are_made_channels_last_by_inductor() -> None:
    net = nn.Sequential(nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 8, 1)).eval()
    program = runtimes.load("compile").lower(graph_of(net, torch.rand(1, 16, 8, 8), "fp16", "compile"))
    kernels = [k for c in program.calls for k in c.kernels]
    assert [k.family for k in kernels if k.family != "triton"] == ["conv", "gemm"]
    assert next(k for k in kernels if k.family == "conv").dims["channels_last"] == 1


@pytest.mark.parametrize("runtime", ["cudagraph", "compile-cudagraph", "onnx-cudagraph"])
def test_a_graph_is_replayed_by_one_call(runtime: str) -> None:
    program = lowered(runtime, lambda x: F.gelu(x).softmax(-1))
    *before, replay = [call for call in program.calls if call.trait != "guard"]
    assert [call.op for call in before] == (["copy_"] if runtime == "compile-cudagraph" else [])
    assert (replay.op, replay.trait) == ("replay", "replay")
    assert replay.kernels
    assert not program.unsupported_reason


def copied(function: Callable[..., Any], *inputs: torch.Tensor) -> list[tuple[float, str]]:
    """Elements and dtypes of what is copied before replays."""
    calls = [call for call in lowered("compile-cudagraph", function, *inputs).calls if call.op == "copy_"]
    return [(kernel.dims["elements"], kernel.dtype) for call in calls for kernel in call.kernels]


def test_inputs_are_copied_into_the_memory_that_a_replay_reads() -> None:
    """By one kernel where they are of one dtype, else one by one; measured decode steps have a copy for each tensor of
    the cache, and one of the token.
    """
    places = torch.zeros(2, 16, dtype=torch.int64)
    weight = torch.rand(64)
    assert copied(lambda x, y: (x * weight + y).softmax(-1), X, X + 1) == [(2 * X.numel(), "fp16")]
    both = copied(lambda x, places: (x * places[..., None]).softmax(-1), X, places)
    assert sorted(both) == [(places.numel(), "int64"), (X.numel(), "fp16")]
    assert copied(lambda x, y: x.softmax(-1), X, places) == [(X.numel(), "fp16")]  # the other is not read


def test_what_a_cache_gets_in_place_is_an_input_all_the_same() -> None:
    graph = graph_of(Function(lambda cache, x: cache.add_(x).softmax(-1)), (X, X + 1), "fp16", "compile-cudagraph")
    assert len(graph.inputs) == 2


def test_a_replay_copies_what_eager_mode_has_made() -> None:
    made = copied(lambda x: waits(x.tanh()).softmax(-1))
    assert made[0] == (X.numel(), "fp16")


def waits(x: torch.Tensor) -> torch.Tensor:
    return x * 2 if (torch.ones(2, device=x.device) > 0).all().item() else x


def test_a_model_that_waits_for_the_device_cannot_be_captured() -> None:
    assert "waits for the device" in lowered("cudagraph", waits).unsupported_reason
    with pytest.raises(CannotRunError, match="waits for the device"):
        Predictor("h200", "cudagraph").predict(Function(waits), (X,))


def test_copying_nothing_to_the_device_waits_for_nothing() -> None:
    program = lowered("cudagraph", lambda x: torch.cat((torch.tensor([], device=x.device), x.flatten())))
    assert not program.unsupported_reason


def test_a_break_stands_between_two_replays() -> None:
    program = lowered("compile-cudagraph", lambda x: waits(F.linear(x, x.new_ones(64, 64))).softmax(-1))
    said = [call.op for call in program.calls if call.trait != "guard"]
    assert "item" in said
    assert said[-1] == "replay"


@pytest.mark.parametrize("runtime", ["eager", "torchscript", "cudagraph", "compile", "compile-cudagraph"])
def test_a_model_that_runs_nothing_is_lowered(runtime: str) -> None:
    assert families(lowered(runtime, lambda x: x.contiguous())) == []


def test_a_value_is_written_into_a_single_number() -> None:
    first = torch.zeros(1, dtype=torch.int64)
    assert "gather" in families(lowered("eager", lambda x, first: x.sum().index_fill(0, first, 1.0), X, first))


def test_half_precision_transforms_are_of_powers_of_two() -> None:
    assert not lowered("eager", lambda x: torch.fft.fft(x.float()).real).unsupported_reason
    said = lowered("eager", lambda x: torch.fft.fft(x).real, torch.rand(2, 48)).unsupported_reason
    assert "powers of two only, not of 48" in said


def test_attention_under_a_strided_boolean_mask_is_computed_step_by_step() -> None:
    q = torch.rand(2, 4, 16, 16)

    def forward(q: torch.Tensor) -> torch.Tensor:
        mask = (torch.arange(16, device=q.device) >= 0)[:, None].expand(2, 1, 16, 16)
        return F.scaled_dot_product_attention(q, q, q, attn_mask=mask)

    (call,) = [c for c in of(forward, q).calls if c.trait == "composite"]
    said = [part.op for part in call.parts]
    assert said.count("matmul") + said.count("bmm") >= 2
    assert "where" in said


@pytest.mark.parametrize("trait", [Trait.CONV, Trait.ATTENTION])
def test_inductor_calls_an_operator_that_takes_other_arguments_than_torchs(trait: Trait) -> None:
    image = TensorSpec((1, 8, 4, 4), "fp16", (128, 16, 4, 1))
    call = OpCall("mylib::fancy", {"image": image}, (image,), trait, input_ids=(1,), output_ids=(2,))
    graph = Graph("fancy", (call,), "fp16", 1, PythonWork(), 0, outputs=(2,))
    called = [call.op for call in runtimes.load("compile").lower(graph).calls if call.trait is not Trait.GUARD]
    assert called == [*([] if trait is Trait.CONV else ["fallback"]), "mylib::fancy"]


def test_a_transposed_convolution_is_compiled_beside_others() -> None:
    """Among convolutions, which are made channels-last."""
    weight, grown = torch.rand(8, 8, 3, 3), torch.rand(8, 4, 2, 2)
    image = torch.rand(1, 8, 16, 16)
    program = lowered("compile", lambda x: F.conv_transpose2d(F.conv2d(x, weight), grown, stride=2), image)
    assert [f for f in families(program) if f != "triton"] == ["conv", "conv_transposed"]


def test_an_average_over_a_large_window_is_a_reduction_of_all_of_it() -> None:
    """Also of what lies outside of the image: 1280 x 1280 pixels for each of 64 channels."""

    def elements(side: int) -> float:
        program = lowered("compile", lambda x: F.avg_pool2d(x, side, ceil_mode=True), torch.rand(1, 64, 7, 7))
        return max(k.dims["elements"] for call in program.calls for k in call.kernels)

    assert elements(5) == 64 * 4
    assert elements(1280) == 64 * 1280**2


@pytest.mark.parametrize(
    ("pool", "family"),
    [
        (lambda x: F.avg_pool2d(x, 7, 1, 3), "pool"),
        (lambda x: F.avg_pool2d(x, 5, 1, 2), "triton"),
        (lambda x: F.avg_pool2d(x, 14), "triton"),
        (lambda x: F.max_pool2d(x, 13, 1, 6), "triton"),
        (lambda x: F.adaptive_avg_pool2d(x, 7), "triton"),
        (lambda x: F.adaptive_avg_pool2d(x, 3), "pool"),
        (lambda x: F.adaptive_max_pool2d(x, 3), "pool"),
        (lambda x: F.adaptive_avg_pool3d(x[None], (1, 2, 2)), "pool"),
    ],
)
def test_large_windows_that_overlap_are_pooled_as_in_eager_mode(pool: Any, family: str) -> None:
    """As the H200's profiles of single calls have them."""
    assert families(lowered("compile", pool, torch.rand(2, 64, 28, 28))) == [family]


def test_what_a_pixel_of_a_window_costs_a_compiled_loop() -> None:
    """Of 169 pixels about 30 lane cycles each, as measured; of a whole image none beside reading it."""

    def work(pool: Any) -> float:
        program = lowered("compile", pool, torch.rand(2, 64, 28, 28))
        (kernel,) = (kernel for call in program.calls for kernel in call.kernels)
        return float(kernel.dims["work"])

    assert work(lambda x: F.max_pool2d(x, 13, 1, 6)) == 169 * 30
    assert work(lambda x: F.avg_pool2d(x, 28)) < 4


def test_a_function_with_a_recurrent_layer_is_not_compiled() -> None:
    """Dynamo skips the function that fetches it: a profile of such a model has no kernel of Inductor's."""

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(64, 64, batch_first=True)

        def forward(self, x: torch.Tensor) -> Any:
            return self.rnn(x.tanh())[0].exp() * 2

    def calls(runtime: str) -> list[str]:
        program = runtimes.load(runtime).lower(graph_of(Tagger(), X, "fp16", runtime))
        return [call.trait for call in program.calls if call.trait != "guard"]

    assert calls("compile-cudagraph") == calls("compile") == calls("eager")
    assert calls("cudagraph") == ["replay"]
    assert "rnn" in calls("torchscript")


def test_a_loop_counts_the_instructions_of_an_element() -> None:
    """Chains of sines and powers are bound by these: eight cosines of 98,304 elements take 7 us on an H200."""
    x = torch.rand(64, 64)

    def work(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
        (kernel,) = (k for call in lowered("compile", function, x).calls for k in call.kernels)
        return float(kernel.dims["work"])

    assert work(lambda x: x + 1) == USUAL_CYCLES
    assert work(lambda x: x.cos().cos()) == 2 * CYCLES["cos"]
    assert work(lambda x: x**3) == USUAL_CYCLES
    assert work(lambda x: x**1.7) == CYCLES["pow"]
    assert work(lambda x: 1.3**x) == OF_A_NUMBER


X3, X4 = torch.rand(8, 64, 4096), torch.rand(8, 12, 384, 64)


@pytest.mark.parametrize(
    ("forward", "inputs", "launches"),
    [
        (lambda x: x.sum(0), (torch.rand(2048, 768),), 2),
        (lambda x: x.sum(-1), (torch.rand(2048, 768),), 1),
        (lambda x: x.var(0), (torch.rand(2048, 768),), 2),
        (lambda x: x.softmax(-1), (torch.rand(16, 50257),), 5),
        (lambda x: x.softmax(-1), (torch.rand(2048, 1500),), 1),
        (lambda x: x.argmax(-1), (torch.rand(256, 32000),), 1),
        (lambda x, v: x @ v, (torch.rand(4096, 4096), torch.rand(4096)), 1),
        (lambda *xs: torch.cat(xs, 1), tuple(torch.rand(64, 16) for _ in range(26)), 1),
    ],
)
def test_compiled_loops_are_as_many_as_in_a_profile_of_the_call(forward: Any, inputs: Any, launches: int) -> None:
    """Reductions across rows are split, softmax of long rows into five, places of the largest are not; products with
    vectors are loops; inputs are joined by one kernel. As an H200 ran them (``benchmarks.operator_audit``).
    """
    assert families(lowered("compile", forward, *inputs)) == ["triton"] * launches


def test_attention_of_inputs_written_out_is_fused() -> None:
    program = lowered("compile", lambda q, k, v: (q @ k.mT / 8).softmax(-1) @ v, X4, X4, X4)
    assert "attention" in families(program)
    assert "gemm" not in families(program)


def test_a_mask_that_the_graph_is_given_is_not_copied() -> None:
    def copies(mask: torch.Tensor) -> int:
        def attend(q: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            heads = q.transpose(1, 2)
            return F.scaled_dot_product_attention(heads, heads, heads, mask).transpose(1, 2)

        return families(lowered("compile", attend, torch.rand(8, 384, 12, 64), mask)).count("triton")

    assert copies(torch.rand(8, 12, 384, 384)) == copies(torch.rand(8, 1, 384, 384).expand(-1, 12, -1, -1)) == 0
    assert copies(torch.rand(8, 12, 384, 384) > 0.5) == 1
