"""Rows of operators that few models have: each is captured and modelled, its multiply-accumulates and bytes by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from predictor import Predictor
from predictor.calibration.load import load_calibration
from predictor.ops import OPS
from predictor.pricing.kernels import price_kernels
from predictor.records import Kernel, Trait
from predictor.runtimes.eager import lowering as eager
from tests.helpers import Function, of

X = torch.rand(8, 16)
"""512 bytes in single precision."""

SQUARE, STACK = torch.rand(6, 6), torch.rand(3, 6, 6)
IMAGE, VOLUME, SEQUENCE = torch.rand(2, 4, 8, 8), torch.rand(2, 4, 6, 6, 6), torch.rand(2, 4, 16)
TABLE = torch.rand(100, 16)
IDS, CLASSES, ROWS_OF_X = torch.randint(0, 10, (2, 5)), torch.randint(0, 16, (8,)), torch.randint(0, 8, (5,))
MASK = torch.rand(8, 16) > 0.5
PLACES = torch.zeros(8, 5, dtype=torch.int64)

CALLS: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...]]] = {
    # products
    "vdot": (lambda x: torch.vdot(x[0], x[1]), (X,)),
    "dot": (lambda x: torch.dot(x[0], x[1]), (X,)),
    "addbmm": (torch.addbmm, (SQUARE, STACK, STACK)),
    "addmv": (lambda x: torch.addmv(x[0], x, x[0]), (SQUARE,)),
    "addr": (lambda x: torch.addr(x, x[0], x[0]), (SQUARE,)),
    "conv_tbc": (lambda x: torch.conv_tbc(x, torch.ones(3, 16, 5), torch.ones(5)), (torch.rand(8, 2, 16),)),
    "_cdist_forward": (torch.cdist, (X, X)),
    "_euclidean_dist": (torch.cdist, (torch.rand(64, 16), torch.rand(32, 16))),
    "_trilinear": (F.bilinear, (X, X, torch.rand(5, 16, 16))),
    # gathers and scatters
    "_embedding_bag_forward_only": (lambda w: F.embedding_bag(IDS, w, mode="mean"), (TABLE,)),
    "embedding_renorm_": (lambda w: F.embedding(IDS, w, max_norm=1.0), (TABLE,)),
    "scatter_reduce": (lambda x: x.scatter_reduce(1, PLACES, x[:, :5], "sum"), (X,)),
    "scatter_reduce_": (lambda x: x.clone().scatter_reduce_(1, PLACES, x[:, :5], "amax"), (X,)),
    "index_reduce": (lambda x: x.index_reduce(0, ROWS_OF_X, x[:5], "amax"), (X,)),
    "index_put": (lambda x: torch.index_put(x, (ROWS_OF_X,), x[:5]), (X,)),
    "index_put_": (lambda x: x.clone().index_put_((ROWS_OF_X,), x[:5], accumulate=True), (X,)),
    "index_fill": (lambda x: x.index_fill(0, ROWS_OF_X, 1.0), (X,)),
    "index_fill_": (lambda x: x.clone().index_fill_(0, ROWS_OF_X, 1.0), (X,)),
    "put": (lambda x: x.put(ROWS_OF_X, x[0, :5]), (X,)),
    "take": (lambda x: x.take(ROWS_OF_X), (X,)),
    "masked_fill": (lambda x: x.masked_fill(MASK, 1.0), (X,)),
    "masked_fill_": (lambda x: x.clone().masked_fill_(MASK, x[0, 0]), (X,)),
    "masked_scatter": (lambda x: x.masked_scatter(MASK, x), (X,)),
    "masked_scatter_": (lambda x: x.clone().masked_scatter_(MASK, x), (X,)),
    "histc": (lambda x: torch.histc(x, 10, 0, 1), (X,)),
    "_unsafe_index": (lambda x: F.interpolate(x, size=4, mode="nearest-exact"), (VOLUME,)),
    "nonzero_static": (lambda x: x[0, 0] + torch.nonzero_static(MASK, size=16), (X,)),
    # selections
    "nonzero": (lambda x: torch.nonzero(MASK.to(x.device)), (X,)),
    "_unique2": (lambda x: torch.unique(IDS.to(x.device)), (X,)),
    "bincount": (lambda x: x[:, :10] + torch.bincount(IDS.flatten(), minlength=10)[:10], (X,)),
    "isin": (lambda x: torch.isin(IDS.to(x.device), CLASSES.to(x.device)), (X,)),
    # windows
    "max_pool3d_with_indices": (lambda x: F.max_pool3d(x, 2), (VOLUME,)),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), (VOLUME,)),
    "adaptive_avg_pool3d": (lambda x: F.adaptive_avg_pool3d(x, 2), (VOLUME,)),
    "adaptive_max_pool3d": (lambda x: F.adaptive_max_pool3d(x, 2), (VOLUME,)),
    "fractional_max_pool2d": (lambda x: F.fractional_max_pool2d(x, 2, output_size=4), (IMAGE,)),
    "fractional_max_pool3d": (lambda x: F.fractional_max_pool3d(x, 2, output_size=3), (VOLUME,)),
    "max_unpool2d": (lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), (IMAGE,)),
    "max_unpool3d": (lambda x: F.max_unpool3d(*F.max_pool3d(x, 2, return_indices=True), 2), (VOLUME,)),
    "affine_grid_generator": (lambda t: F.affine_grid(t, [2, 4, 8, 8], align_corners=False), (torch.rand(2, 2, 3),)),
    "grid_sampler_3d": (
        lambda x, grid: F.grid_sample(x, grid, align_corners=False),
        (VOLUME, torch.rand(2, 5, 5, 5, 3)),
    ),
    # elementwise
    "floor_divide": (lambda x: x // 2, (X,)),
    "floor_divide_": (lambda x: x.clone().floor_divide_(2.0), (X,)),
    "log_sigmoid_forward": (F.logsigmoid, (X,)),
    "polar": (torch.polar, (X, X)),
    "complex": (torch.complex, (X, X)),
    "linalg_cross": (lambda x: torch.cross(x[:, :3], x[:, 3:], dim=1), (SQUARE,)),
    "renorm": (lambda x: x.renorm(2, 0, 1.0), (X,)),
    "native_dropout": (lambda x: torch.native_dropout(x, 0.5, True), (X,)),
    "dropout": (lambda x: F.dropout(x, 0.5, training=True), (X,)),
    # copies
    "diag_embed": (torch.diag_embed, (X,)),
    "diagonal_copy": (torch.diag, (SQUARE,)),
    "block_diag": (torch.block_diag, (SQUARE, SQUARE)),
    "rot90": (torch.rot90, (SQUARE,)),
    "reflection_pad3d": (lambda x: F.pad(x, (1,) * 6, mode="reflect"), (VOLUME,)),
    "replication_pad3d": (lambda x: F.pad(x, (1,) * 6, mode="replicate"), (VOLUME,)),
    # made of nothing, and random
    "eye": (lambda x: x @ torch.eye(16, device=x.device), (X,)),
    **{
        name: ((lambda make: lambda x: x + make(16, device=x.device))(getattr(torch, name)), (X,))
        for name in ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window")
    },
    "tril_indices": (lambda x: torch.tril_indices(3, 3, device=x.device), (X,)),
    "logspace": (lambda x: torch.logspace(0, 1, 5, device=x.device), (X,)),
    "fill": (lambda x: torch.fill(x, 1.0), (X,)),
    "rand": (lambda x: x + torch.rand(16, device=x.device), (X,)),
    "randn": (lambda x: x + torch.randn(16, device=x.device), (X,)),
    "randint": (lambda x: x + torch.randint(0, 5, (16,), device=x.device), (X,)),
    "randperm": (lambda x: torch.randperm(16, device=x.device), (X,)),
    "rand_like": (lambda x: x + torch.rand_like(x), (X,)),
    "randn_like": (lambda x: x + torch.randn_like(x), (X,)),
    "randint_like": (lambda x: torch.randint_like(x, 5), (X,)),
    "bernoulli": (torch.bernoulli, (X,)),
    "normal": (lambda x: torch.normal(x, x), (X,)),
    "poisson": (torch.poisson, (X,)),
    "multinomial": (lambda x: torch.multinomial(x, 2), (X,)),
    **{
        name: ((lambda method: lambda x: getattr(x.clone(), method)())(name), (X,))
        for name in ("normal_", "uniform_", "bernoulli_", "random_", "exponential_")
    },
    # reductions and losses
    "_is_all_true": (lambda x: torch.ops.aten._is_all_true(x > 0), (X,)),
    "_is_any_true": (lambda x: torch.ops.aten._is_any_true(x > 0), (X,)),
    "nansum": (torch.nansum, (X,)),
    "std_mean": (lambda x: torch.std_mean(x, 1), (X,)),
    "aminmax": (torch.aminmax, (X,)),
    "count_nonzero": (lambda x: torch.count_nonzero(x, 1), (X,)),
    "trace": (torch.trace, (SQUARE,)),
    "nanmedian": (lambda x: x.nanmedian(1), (X,)),
    "mode": (lambda x: x.mode(1), (X,)),
    "segment_reduce": (lambda x: torch.segment_reduce(x, "sum", lengths=torch.tensor([3, 5])), (X,)),
    "nll_loss_forward": (lambda x: F.cross_entropy(x, CLASSES), (X,)),
    "nll_loss2d_forward": (lambda x: F.nll_loss(x, torch.zeros(2, 8, 8, dtype=torch.int64)), (IMAGE,)),
    "mse_loss": (F.mse_loss, (X, X)),
    "binary_cross_entropy": (F.binary_cross_entropy, (X, X)),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, (X, X)),
    "smooth_l1_loss": (F.smooth_l1_loss, (X, X)),
    "huber_loss": (F.huber_loss, (X, X)),
    "soft_margin_loss": (F.soft_margin_loss, (X, X)),
    "multi_margin_loss": (lambda x: F.multi_margin_loss(x, CLASSES), (X,)),
    "xlogy": (F.kl_div, (X, X)),
    # decompositions
    "_linalg_svd": (torch.linalg.svd, (SQUARE,)),
    "_linalg_eigh": (torch.linalg.eigh, (SQUARE,)),
    "linalg_eig": (torch.linalg.eig, (SQUARE,)),
    "linalg_qr": (torch.linalg.qr, (SQUARE,)),
    "linalg_cholesky_ex": (torch.linalg.cholesky, (SQUARE,)),
    "_linalg_check_errors": (torch.linalg.cholesky, (SQUARE,)),
    "_linalg_solve_ex": (torch.linalg.solve, (SQUARE, SQUARE)),
    "linalg_inv_ex": (torch.linalg.inv, (STACK,)),
    "linalg_pinv": (torch.linalg.pinv, (SQUARE,)),
    "_linalg_det": (torch.linalg.det, (SQUARE,)),
    "_linalg_slogdet": (torch.linalg.slogdet, (SQUARE,)),
    "linalg_lu": (torch.linalg.lu, (SQUARE,)),
    "linalg_lu_factor_ex": (torch.linalg.lu_factor, (SQUARE,)),
    "linalg_lu_solve": (lambda x: torch.linalg.lu_solve(*torch.linalg.lu_factor(x), x), (SQUARE,)),
    "linalg_solve_triangular": (lambda x: torch.linalg.solve_triangular(x, x, upper=True), (SQUARE,)),
    "triangular_solve": (lambda x: torch.triangular_solve(x, x), (SQUARE,)),
    "cholesky_solve": (torch.cholesky_solve, (SQUARE, SQUARE)),
    "cholesky_inverse": (torch.cholesky_inverse, (SQUARE,)),
    "linalg_householder_product": (lambda x: torch.linalg.householder_product(x, x[0]), (SQUARE,)),
    "linalg_ldl_factor_ex": (torch.linalg.ldl_factor, (SQUARE,)),
    "linalg_matrix_exp": (torch.linalg.matrix_exp, (SQUARE,)),
}


@pytest.mark.parametrize("op", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_an_operator_is_captured_and_modelled(op: str) -> None:
    function, inputs = CALLS[op]
    graph = of(function, *inputs)
    program = eager.lower(graph)
    assert program.unmodelled == {}
    (call, *_) = (leaf for leaf in graph.leaves if leaf.op == op)
    assert call.trait not in (Trait.UNMODELLED, Trait.COMPOSITE)
    if op in OPS:
        assert OPS[op].lower(call)


VIEWS = {
    "unsafe_split": lambda x: torch.unsafe_split(x, 2),
    "unsafe_split_with_sizes": lambda x: torch.unsafe_split_with_sizes(x, [3, 5]),
    "transpose_": lambda x: x.clone().transpose_(0, 1),
    "t_": lambda x: x.clone().t_(),
    "squeeze_": lambda x: x.clone().squeeze_(0),
    "unsqueeze_": lambda x: x.clone().unsqueeze_(0),
    "view_as_real": lambda x: torch.view_as_real(torch.complex(x, x)),
    "view_as_complex": lambda x: torch.view_as_complex(x.view(8, 8, 2)),
    "diagonal": lambda x: torch.diagonal(x),
    "empty_permuted": lambda x: torch.empty_permuted((2, 3), (0, 1), device=x.device),
}


@pytest.mark.parametrize("op", VIEWS)
def test_a_view_has_no_kernels_and_no_traffic(op: str) -> None:
    (call,) = (leaf for leaf in of(VIEWS[op], X).leaves if leaf.op == op)
    assert call.trait is Trait.VIEW
    assert (call.bytes_read, call.bytes_written) == (0, 0)


def leaf(op: str) -> Any:
    function, inputs = CALLS[op]
    return next(call for call in of(function, *inputs).leaves if call.op == op)


MACS = {
    "vdot": 16,
    "addbmm": 3 * 6 * 6 * 6,
    "addmv": 6 * 6,
    "conv_tbc": 6 * 2 * 5 * 3 * 16,
    "_cdist_forward": 8 * 8 * 16,
    "_euclidean_dist": 64 * 32 * (16 + 2),
    "_trilinear": 5 * (8 * 16 * 16 + 8 * 16),
    "affine_grid_generator": 2 * 64 * 2 * 3,
    "linalg_matrix_exp": 9 * 6**3,
}


@pytest.mark.parametrize("op", MACS)
def test_multiply_accumulates_by_hand(op: str) -> None:
    assert leaf(op).macs == MACS[op]


BYTES = {
    "_embedding_bag_forward_only": (10 * 16 * 4 + 10 * 8 + 2 * 8, 2 * 16 * 4),
    "embedding_renorm_": (10 * 16 * 4 + 10 * 8, 10 * 16 * 4),
    "index_put_": (5 * 8 + 5 * 16 * 4, 5 * 16 * 4),
    "index_put": (5 * 8 + 5 * 16 * 4 + 512, 5 * 16 * 4 + 512),
    "max_pool3d_with_indices": (2 * 4 * 216 * 4, 2 * 4 * 27 * (4 + 8)),
    "avg_pool3d": (2 * 4 * 216 * 4, 2 * 4 * 27 * 4),
    "complex": (2 * 512, 8 * 16 * 8),
    "log_sigmoid_forward": (512, 512),
    "native_dropout": (512, 512 + 128),
    "diag_embed": (512, 8 * 16 * 16 * 4),
    "masked_fill": (512 + 128, 512),
    "_linalg_eigh": (6 * 6 * 4, (6 + 6 * 6) * 4),
    "mse_loss": (2 * 512, 4),
}


@pytest.mark.parametrize("op", BYTES)
def test_bytes_by_hand(op: str) -> None:
    call = leaf(op)
    assert (call.bytes_read, call.bytes_written) == BYTES[op]


# mixtures of experts


def experts(rows: int, groups: int, dtype: str = "bf16") -> Any:
    def run(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch._grouped_mm(x, w, offs=torch.zeros(groups, dtype=torch.int32, device=x.device))

    return of(run, torch.rand(rows, 16), torch.rand(groups, 16, 8), dtype=dtype)


def test_experts_share_the_tokens_evenly() -> None:
    """32 tokens among 4 experts: 4 products of 8 tokens."""
    graph = experts(32, 4)
    call = graph.leaves[-1]
    assert call.op == "_grouped_mm"
    assert call.macs == 32 * 16 * 8
    assert (call.bytes_read, call.bytes_written) == (2 * (32 * 16 + 4 * 16 * 8) + 4 * 4, 2 * 32 * 8)
    (kernel,) = eager.lower(graph).calls[-1].kernels
    assert kernel.family == "gemm_grouped"
    assert {d: kernel.dims[d] for d in ("m", "n", "k", "batch")} == {"m": 8, "n": 8, "k": 16, "batch": 4}


def test_fewer_tokens_than_experts_read_the_weights_of_as_many_experts_alone() -> None:
    graph = experts(8, 64)
    call = graph.leaves[-1]
    assert call.bytes_read == 2 * (8 * 16 + 8 * 16 * 8) + 64 * 4
    (kernel,) = eager.lower(graph).calls[-1].kernels
    assert {d: kernel.dims[d] for d in ("m", "batch")} == {"m": 1, "batch": 8}


@pytest.mark.parametrize(
    ("a", "b", "macs", "dims"),
    [
        ((4, 24, 16), (16, 32), 24 * 16 * 32, {"m": 24, "n": 8, "k": 16, "batch": 4}),
        ((24, 32), (32, 8), 24 * 32 * 8, {"m": 24, "n": 8, "k": 8, "batch": 4}),
    ],
    ids=["columns of each group", "summed over each group"],
)
def test_groups_of_columns_and_of_what_is_summed_over(
    a: tuple[int, ...], b: tuple[int, ...], macs: int, dims: dict[str, int]
) -> None:
    def run(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch._grouped_mm(x, w, offs=torch.zeros(4, dtype=torch.int32, device=x.device))

    graph = of(run, torch.rand(a), torch.rand(b), dtype="bf16")
    assert graph.leaves[-1].macs == macs
    (kernel,) = eager.lower(graph).calls[-1].kernels
    assert {d: kernel.dims[d] for d in dims} == dims


# prices that were wrong


def kernel_s(function: Callable[..., Any], *inputs: torch.Tensor, dtype: str = "fp32") -> float:
    return Predictor("h200", dtype=dtype).predict(Function(function), inputs).kernel_s


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def test_a_bag_takes_what_its_rows_take_to_be_read() -> None:
    """65,536 bags of 48 rows of 128 numbers: 1.6 GB, a third of a millisecond at 4.8 TB/s."""
    ids = torch.zeros(65536, 48, dtype=torch.int64)
    found = kernel_s(lambda w: F.embedding_bag(ids, w), meta(100_000, 128))
    assert 1.6e9 / 4.8e12 < found < 2e-3


@pytest.mark.parametrize(
    ("function", "low_s", "high_s"),
    [
        (torch.linalg.svd, 10e-3, 100e-3),
        (torch.linalg.eigh, 5e-3, 50e-3),
        (torch.linalg.qr, 0.5e-3, 10e-3),
        (torch.linalg.inv, 0.3e-3, 5e-3),
        (torch.linalg.cholesky, 0.1e-3, 2e-3),
    ],
    ids=["svd", "eigh", "qr", "inv", "cholesky"],
)
def test_a_decomposition_of_512_by_512_takes_its_steps(
    function: Callable[..., Any], low_s: float, high_s: float
) -> None:
    found = Predictor("h200", dtype="fp32").predict(Function(function), meta(512, 512))
    assert low_s < found.kernel_s < high_s
    assert "decomposition" not in found.extrapolated
    assert found.bound != "framework"


def test_steps_by_hand() -> None:
    """A Cholesky decomposition has a third of the cube of the width in FLOPs; a batch of them runs at once, wide
    singular values follow each other.
    """
    (kernel,) = OPS["linalg_cholesky_ex"].lower(of(torch.linalg.cholesky, torch.empty(3, 60, 60)).leaves[0])
    sizes = {"elements": 3 * 3600, "flops": 3 * 60**3 / 3, "steps": 15, "width": 60, "routine": 1}
    assert kernel == Kernel("decomposition", "fp32", sizes)
    (kernel,) = OPS["_linalg_svd"].lower(of(torch.linalg.svd, torch.empty(3, 60, 60)).leaves[0])
    assert kernel.dims["steps"] == 3 * 20 * 60


def test_the_host_waits_for_how_many_elements_are_selected() -> None:
    program = eager.lower(of(CALLS["nonzero"][0], X))
    (selected,) = (call for call in program.calls if call.op == "nonzero")
    assert selected.sync
    assert [kernel.family for kernel in selected.kernels] == ["reduce", "copy", "scan"]


@pytest.mark.parametrize(
    ("elements", "microseconds"),
    [(16, 2.9), (1196, 2.9), (40_131, 4.5), (138_411, 4.8), (511_875, 5.3), (2_047_500, 8.6)],
)
def test_places_are_found_and_written_by_one_scan(elements: int, microseconds: float) -> None:
    """Its two kernels, as profiles of models on an H200 have them."""
    priced = price_kernels(load_calibration("h200"), "scan", "bool", {"rows": 1.0, "cols": float(elements)})
    assert int(priced.launches[0]) == 2
    assert float(priced.seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.35)


def test_an_observer_looks_at_all_values_then_rounds_them_and_says_which_were_in_range() -> None:
    """512 bytes are read twice; 512 and a byte for each of 128 elements are written."""
    one, numbers = torch.ones(1, dtype=torch.int64), [torch.ones(1) for _ in range(3)]
    zero = torch.zeros(1, dtype=torch.int32)

    def forward(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.fused_moving_avg_obs_fake_quant(x, one, one, *numbers, zero, 0.01, 0, 255, -1)
        return y

    kernels = [k for call in eager.lower(of(forward, X)).calls for k in call.kernels]
    assert [kernel.family for kernel in kernels] == ["reduce", "pointwise", "pointwise", "pointwise"]
    assert kernels[0].dims["cols"] == 128
    assert (kernels[-1].dims["bytes_read"], kernels[-1].dims["bytes_written"]) == (512, 640)


def test_a_part_is_placed_by_two_copies() -> None:
    graph = of(lambda x: torch.select_scatter(x, x[0, :8], 1, 3), X)
    kernels = [k for call in eager.lower(graph).calls for k in call.kernels]
    assert [(kernel.family, kernel.dims["elements"]) for kernel in kernels] == [("copy", 128), ("copy", 8)]


def test_a_product_with_a_dtype_of_its_own_is_counted() -> None:
    """8 x 16 by 16 x 4."""
    graph = of(lambda x: torch.mm(x, x.new_ones(16, 4), out_dtype=torch.float32), X, dtype="fp16")
    assert [call.macs for call in graph.calls if call.op == "mm"] == [512]
