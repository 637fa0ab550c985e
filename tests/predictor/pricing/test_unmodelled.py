"""Operators that nobody modelled: their price, their share and what they do to the interval."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from predictor import Predictor
from predictor.calibration.load import Calibration
from predictor.calibration.schema import FitKey
from predictor.errors import PredictorError
from predictor.ops import ONNX_OPS, UNMODELLED_NODE, onnx_form
from predictor.pricing.intervals import NINETY, UNMODELLED_ERROR
from predictor.pricing.kernels import kernel_fit
from predictor.pricing.program import price
from predictor.records import Graph, Kernel, OpCall, PythonWork, TensorSpec, Trait
from predictor.report import load
from predictor.runtimes import load as runtime
from tests.helpers import Function, of, report

RUNTIMES = ["eager", "torchscript", "cudagraph", "compile", "compile-cudagraph"]


def points(count: int) -> torch.Tensor:
    return torch.empty(count, 64, device="meta")


@pytest.mark.parametrize("name", RUNTIMES)
def test_no_runtime_has_an_unmodelled_operator_for_free(name: str) -> None:
    program = runtime(name).lower(of(torch.pdist, torch.empty(4, 8)))
    kernels = [kernel for call in program.calls if call.op != "copy_" for kernel in call.kernels]  # of inputs
    assert kernels == [Kernel("unmodelled", "fp32", {"elements": 32, "bytes_read": 128, "bytes_written": 24})]
    assert program.unmodelled == {"_pdist_forward": 1}


def int8_product(x: torch.Tensor) -> torch.Tensor:
    codes = torch.ones(64, 64, dtype=torch.int8, device=x.device)
    return torch._int_mm(x.to(torch.int8), codes)


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_product_of_eight_bits_is_refused_where_it_was_not_measured(name: str) -> None:
    with pytest.raises(PredictorError, match=r"multiplies matrices of int8.*h200: predict the module as it was before"):
        Predictor("h200", name).predict(Function(int8_product), torch.empty(32, 64))


def test_a_product_of_eight_bits_has_the_price_of_its_own_fit(h200: Calibration) -> None:
    measured = kernel_fit(h200, "gemm", "fp16")
    calibrated = replace(h200, fits={**h200.fits, FitKey("gemm_8bit", "int8", "model"): measured})
    program = runtime("eager").lower(of(int8_product, torch.empty(32, 64)))
    priced = price(program, calibrated, h200.host("eager"))
    assert priced.kernel_s[0, -1] > 0
    assert kernel_fit(calibrated, "gemm_8bit", "int8") is measured


def test_a_price_is_the_traffic_over_the_bandwidth_and_a_floor(h200: Calibration) -> None:
    """8,192 points have 33,550,336 distances: 134 MB in single precision, beside 2 MB of points."""
    fit = kernel_fit(h200, "unmodelled", "fp32")
    efficiency = math.exp(kernel_fit(h200, "pointwise", "fp32").residual.initial)
    moved = 4 * (8192 * 64 + 8192 * 8191 // 2)
    expected = (moved / h200.device.bandwidth_bytes_per_s + fit.floor_s) * efficiency
    found = Predictor("h200", dtype="fp32").predict(Function(torch.pdist), points(8192))
    assert found.kernel_s == pytest.approx(expected)
    assert found.kernel_s > moved / h200.device.bandwidth_bytes_per_s
    assert (found.launches, found.unmodelled_share, found.extrapolated) == (1, 1.0, {})


def test_the_interval_widens_by_the_share_of_what_nobody_modelled() -> None:
    """Beside a product that takes nearly all of the time, and alone."""
    heavy = nn.Linear(8192, 8192, bias=False, device="meta")

    def both(x: torch.Tensor) -> torch.Tensor:
        return heavy(heavy(x)) + torch.pdist(x[:4])[0]

    alone, beside, without = (
        Predictor("h200").predict(Function(f), torch.empty(8192, 8192, device="meta"))
        for f in (torch.pdist, both, lambda x: heavy(heavy(x)))
    )
    widths = [math.log(r.interval_s[1] / r.latency_s) for r in (alone, beside, without)]
    assert alone.unmodelled_share == 1
    assert widths[0] >= NINETY * UNMODELLED_ERROR
    assert 0 < beside.unmodelled_share < 0.01
    assert without.unmodelled_share == 0
    assert widths[1] == pytest.approx(widths[2], rel=0.05)


def test_it_counts_in_full_behind_a_slower_host() -> None:
    found = Predictor("h200").predict(Function(torch.pdist), points(4))
    assert found.bound == "framework"
    assert found.interval_s[1] / found.latency_s >= math.exp(NINETY * UNMODELLED_ERROR)


def test_the_share_is_in_both_reports() -> None:
    found = Predictor("h200").predict(Function(torch.pdist), points(4))
    assert json.loads(load("json").render(found))["unmodelled_share"] == 1
    said = " ".join(load("text").render(found).split())
    assert "priced by their traffic alone, 100% of the kernel time): _pdist_forward x1" in said


# ONNX


def packed(*shape: int) -> TensorSpec:
    stride = [1]
    for n in reversed(shape[1:]):
        stride.insert(0, stride[0] * n)
    return TensorSpec(shape, "fp16", tuple(stride))


def node(op: str) -> OpCall:
    return OpCall(op, {"input0": packed(4, 8), "input1": packed(8)}, (packed(4, 8),), onnx_form(op).trait)


def test_a_node_that_nobody_modelled_is_counted_and_moves_its_tensors() -> None:
    graph = Graph("one", (node("Warp"), node("Add")), "fp16", 4, PythonWork(), 0)
    program = runtime("onnx").lower(graph)
    assert onnx_form("Warp") is UNMODELLED_NODE
    assert program.unmodelled == {"Warp": 1}
    warp, add = program.calls
    assert warp.kernels == (Kernel("unmodelled", "fp16", {"elements": 32, "bytes_read": 80, "bytes_written": 64}),)
    assert [kernel.family for kernel in add.kernels] == ["ort"]
    assert 0.1 < report(graph, "h200", "onnx").unmodelled_share < 0.9


ELEMENTWISE = (
    *("Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd", "BitwiseNot"),
    *("BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Equal"),
    *("Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "IsInf", "IsNaN"),
    *("LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or"),
    *("PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus"),
    *("Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor"),
    *("BiasGelu", "FastGelu", "QuickGelu", "QuantizeLinear", "DequantizeLinear"),
)
"""Of the ONNX specification, and of ONNX Runtime's optimiser."""


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_an_elementwise_node_of_onnx_is_one_pass(op: str) -> None:
    assert ONNX_OPS[op].trait is Trait.POINTWISE
    (kernel,) = ONNX_OPS[op].lower(node(op))
    assert kernel.family in ("ort", "ort_issued", "ort_quantised")
    assert (kernel.dims["bytes_read"], kernel.dims["bytes_written"]) == (80, 64)
