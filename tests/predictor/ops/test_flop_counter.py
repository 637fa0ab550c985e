"""Multiply-accumulates are half the FLOPs of torch's own counter, wherever that knows the operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.coverage_idioms import IDIOMS
from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from predictor.graph.inputs import call_arguments
from predictor.records import Trait
from tests.helpers import Function


def rand(*shape: int) -> torch.Tensor:
    return torch.rand(shape)


def einsum(equation: str) -> Callable[..., torch.Tensor]:
    return lambda *operands: torch.einsum(equation, *operands)


def attention(**options: Any) -> Callable[..., torch.Tensor]:
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


def scaled(a: torch.Tensor, b: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    eight = torch.float8_e4m3fn
    return torch._scaled_mm(a.to(eight), b.to(eight).t(), scale, scale, out_dtype=torch.bfloat16)


CASES: dict[str, tuple[Any, tuple[torch.Tensor, ...]]] = {
    # products
    "mm": (torch.mm, (rand(8, 16), rand(16, 24))),
    "addmm": (torch.addmm, (rand(24), rand(8, 16), rand(16, 24))),
    "bmm": (torch.bmm, (rand(3, 8, 16), rand(3, 16, 24))),
    "baddbmm": (torch.baddbmm, (rand(3, 8, 24), rand(3, 8, 16), rand(3, 16, 24))),
    "matmul of batches": (torch.matmul, (rand(2, 3, 8, 16), rand(2, 3, 16, 24))),
    "matmul by a matrix": (torch.matmul, (rand(2, 3, 8, 16), rand(16, 24))),
    "matmul of a matrix by a batch": (torch.matmul, (rand(8, 16), rand(3, 16, 24))),
    "matmul whose right side has more dimensions": (torch.matmul, (rand(3, 8, 16), rand(64, 3, 16, 24))),
    "matmul, both broadcast": (torch.matmul, (rand(5, 1, 8, 16), rand(3, 16, 24))),
    "matmul by a vector of a batch": (lambda a, b: torch.matmul(a, b[..., None]), (rand(2, 8, 16), rand(2, 16))),
    "operator @": (lambda a, b: a @ b.transpose(-1, -2), (rand(2, 8, 16), rand(2, 24, 16))),
    "linear": (nn.Linear(16, 24), (rand(2, 8, 16),)),
    "linear of a view": (lambda x, w: F.linear(x.transpose(1, 2), w), (rand(2, 16, 8), rand(24, 16))),
    "tensordot": (lambda a, b: torch.tensordot(a, b, 2), (rand(4, 8, 16), rand(8, 16, 24))),
    "inner": (torch.inner, (rand(4, 8, 16), rand(24, 16))),
    "chain": (torch.linalg.multi_dot, ([rand(8, 16), rand(16, 4), rand(4, 24)],)),  # type: ignore[dict-item]
    "matrix power": (lambda a: torch.linalg.matrix_power(a, 4), (rand(16, 16),)),
    "eight bits": (scaled, (rand(16, 32), rand(48, 32), torch.ones(1))),
    "covariance": (torch.cov, (rand(8, 16),)),
    # einsum
    "einsum of a product": (einsum("ij,jk->ik"), (rand(8, 16), rand(16, 24))),
    "einsum of heads": (einsum("bind,bjnd->bnij"), (rand(2, 8, 3, 16), rand(2, 12, 3, 16))),
    "einsum of three operands": (einsum("ij,jk,kl->il"), (rand(8, 16), rand(16, 24), rand(24, 12))),
    "einsum of three batches": (einsum("bij,bjk,bkl->bil"), (rand(4, 8, 16), rand(4, 16, 24), rand(4, 24, 12))),
    "einsum with an ellipsis": (einsum("...ij,...jk->...ik"), (rand(2, 3, 8, 16), rand(2, 3, 16, 24))),
    "einsum of a bilinear form": (einsum("bi,oij,bj->bo"), (rand(8, 16), rand(5, 16, 24), rand(8, 24))),
    "einsum that sums one operand": (einsum("ij,kl->il"), (rand(8, 16), rand(16, 24))),
    "einsum of a broadcast operand": (einsum("bhid,hjd->bhij"), (rand(2, 3, 8, 16), rand(3, 12, 16))),
    "einsum of one head of keys": (einsum("bhid,bjd->bhij"), (rand(2, 3, 8, 16), rand(2, 12, 16))),
    "einsum of a tensor with itself": (lambda x: torch.einsum("bid,bjd->bij", x, x), (rand(2, 8, 16),)),
    "products of an expanded batch": (lambda a, b: a.expand(5, 8, 16) @ b, (rand(1, 8, 16), rand(5, 16, 24))),
    "product for each of a vmap": (lambda a, b: torch.vmap(torch.mm)(a, b), (rand(3, 8, 16), rand(3, 16, 24))),
    "product of a vmap with one matrix": (
        lambda a, b: torch.vmap(torch.mm, in_dims=(0, None))(a, b),
        (rand(3, 8, 16), rand(16, 24)),
    ),
    # attention
    "attention": (attention(), (rand(2, 3, 8, 16),) * 3),
    "causal attention": (attention(is_causal=True), (rand(2, 3, 8, 16),) * 3),
    "attention to other keys": (attention(), (rand(2, 3, 8, 16), rand(2, 3, 24, 16), rand(2, 3, 24, 16))),
    "masked attention": (attention(attn_mask=torch.zeros(8, 8)), (rand(2, 3, 8, 16),) * 3),
    "attention of one image": (attention(), (rand(3, 8, 16),) * 3),
    "attention with dropout": (attention(dropout_p=0.5), (rand(2, 3, 8, 16),) * 3),
    "attention whose values are wider": (attention(), (rand(2, 3, 8, 16), rand(2, 3, 24, 16), rand(2, 3, 24, 32))),
    "attention of grouped queries": (
        attention(enable_gqa=True),
        (rand(2, 6, 8, 16), rand(2, 2, 24, 16), rand(2, 2, 24, 16)),
    ),
    "attention with a boolean mask": (attention(attn_mask=torch.ones(8, 8).bool()), (rand(2, 3, 8, 16),) * 3),
    "attention of modules": (
        lambda x, w, v: F.multi_head_attention_forward(
            *(x, x, x, 32, 4, w, None, None, None, False, 0.0, v, None), training=False, need_weights=False
        )[0],
        (rand(8, 2, 32), rand(96, 32), rand(32, 32)),
    ),
    # convolutions
    "conv1d": (nn.Conv1d(4, 6, 3, padding=1), (rand(2, 4, 20),)),
    "conv2d": (nn.Conv2d(4, 6, 3, padding=1, stride=2), (rand(2, 4, 16, 16),)),
    "conv3d": (nn.Conv3d(4, 6, 3), (rand(2, 4, 6, 6, 6),)),
    "conv2d of groups": (nn.Conv2d(8, 16, 3, groups=4), (rand(2, 8, 12, 12),)),
    "conv2d of channels": (nn.Conv2d(8, 8, 3, groups=8), (rand(2, 8, 12, 12),)),
    "conv2d with holes": (nn.Conv2d(4, 6, 3, dilation=2), (rand(2, 4, 16, 16),)),
    "conv1d of groups": (nn.Conv1d(8, 16, 3, groups=2), (rand(2, 8, 20),)),
    "conv3d of groups": (nn.Conv3d(8, 16, 3, groups=2), (rand(2, 8, 6, 6, 6),)),
    "conv2d with its size kept": (nn.Conv2d(4, 6, 3, padding="same"), (rand(2, 4, 16, 16),)),
    "conv2d of one image": (nn.Conv2d(4, 6, 3), (rand(4, 16, 16),)),
    "transposed conv1d": (nn.ConvTranspose1d(4, 6, 3, stride=2), (rand(2, 4, 20),)),
    "transposed conv2d": (nn.ConvTranspose2d(4, 6, 3, stride=2), (rand(2, 4, 16, 16),)),
    "transposed conv3d": (nn.ConvTranspose3d(4, 6, 3), (rand(2, 4, 6, 6, 6),)),
    "transposed conv2d of groups": (nn.ConvTranspose2d(8, 16, 3, groups=4), (rand(2, 8, 12, 12),)),
    # modules
    "embedding": (lambda w: F.embedding(torch.tensor([1, 2]), w), (rand(8, 16),)),
    "a step of an LSTM": (nn.LSTMCell(16, 24), (rand(8, 16),)),
    "a step of a GRU": (nn.GRUCell(16, 24), (rand(8, 16),)),
    "perceptron": (nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)), (rand(8, 16),)),
    "activations": (lambda x: F.softmax(F.silu(x) * x.sigmoid(), -1), (rand(8, 16),)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_has_half_the_flops_of_torchs_counter(name: str) -> None:
    function, inputs = CASES[name]
    module = function if isinstance(function, nn.Module) else Function(function)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*inputs)
    assert capture(module, inputs).macs == pytest.approx(counter.get_total_flops() / 2, rel=0.02)


CONTRACTIONS = (Trait.GEMM, Trait.PRODUCT, Trait.CONV, Trait.ATTENTION, Trait.RNN)
"""What the counter knows. Norms, which fvcore counts as well, it does not, nor a matrix times a vector."""

UNCOUNTED = {
    *("experts_fp16", "experts_bf16", "experts_fp32", "generate"),  # other kernels than on a CPU; long
    *("selects_by_value", "durations_of_floats", "loops_until_it_halts"),  # by values, which are assumed
    *("threads_inside", "thread_inside", "cuda_is_asked_for"),  # on a CPU, in one thread
    *("nested_tensor", "nested_tensor_as_input", "flexible_attention", "flexible_attention_masked"),  # it fails
    *("cuda_written_out", "cuda_of_factories", "cuda_of_tensors", "cache_static_one_step", "gradient_inside"),
    *("forces", "loop_of_torch", "scan_of_torch"),
}
"""Idioms that the counter, which runs a model on a CPU, does not count or counts otherwise."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(IDIOMS.keys() - UNCOUNTED))
def test_a_module_as_people_write_it_has_half_the_flops_of_torchs_counter(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)  # layers in one call, which it does not know
    module, inputs, _ = IDIOMS[name]()
    module = module.module() if isinstance(module, torch.export.ExportedProgram) else module
    try:
        graph = capture(module, inputs)
    except PredictorError:
        pytest.skip("is refused")
    args, kwargs = call_arguments(inputs)
    if not isinstance(module, torch.fx.GraphModule):
        module.eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*args, **kwargs)
    macs = sum(call.macs for call in graph.leaves if call.trait in CONTRACTIONS and call.op != "mv")
    assert macs == pytest.approx(counter.get_total_flops() / 2, rel=0.02)


def test_a_product_with_a_broadcast_left_side_by_hand() -> None:
    """64 x 3 products of (8, 16) and (16, 24), of which the left ones are three."""
    function, inputs = CASES["matmul whose right side has more dimensions"]
    assert capture(Function(function), inputs).macs == 64 * 3 * 8 * 16 * 24


def test_three_operands_by_hand() -> None:
    """The first two first, as torch does without opt_einsum: (8, 16) x (16, 24), then (8, 24) x (24, 12)."""
    function, inputs = CASES["einsum of three operands"]
    pairs = {8 * 16 * 24 + 8 * 24 * 12, 16 * 24 * 12 + 8 * 16 * 12}
    assert capture(Function(function), inputs).macs in pairs
