"""Kinds that are refused by name, each with what to do instead; never priced as dense half precision."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from tests.helpers import Function

WIDTH = 64
X = torch.rand(8, WIDTH)
SPARSE = torch.eye(8).to_sparse()


class SparseWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(8).to_sparse_csr())

    def forward(self, x: Tensor) -> Tensor:
        return self.weight @ x


def sparse_inside(x: Tensor) -> Tensor:
    places = torch.tensor([[0, 1, 2], [1, 2, 3]], device=x.device)
    return torch.sparse.mm(torch.sparse_coo_tensor(places, torch.ones(3, device=x.device), (8, 8)), x)


@pytest.mark.parametrize(
    ("module", "inputs", "layout"),
    [
        (Function(lambda a, x: torch.sparse.mm(a, x)), (SPARSE, X), "COO"),
        (Function(lambda a, x: a @ x), (SPARSE, X), "COO"),
        (Function(lambda a, x: torch.mm(a.to_dense(), x)), (SPARSE, X), "COO"),
        (Function(lambda a, x: a @ x), (torch.eye(8).to_sparse_csr(), X), "CSR"),
        (Function(sparse_inside), (X,), "COO"),
        (SparseWeight(), (X,), "CSR"),
    ],
)
def test_sparse_tensors_are_refused(module: nn.Module, inputs: Any, layout: str) -> None:
    with pytest.raises(
        PredictorError, match=rf"\(.*test_refusals.py:\d+\): sparse tensors \({layout}\).*\.to_dense\(\)"
    ):
        capture(module, inputs, "fp16")


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)).eval()


def dynamic() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(mlp(), {nn.Linear})


def dynamic_recurrent() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(WIDTH, WIDTH)).eval(), {nn.LSTM})


def static() -> nn.Module:
    module = torch.ao.quantization.QuantWrapper(mlp()).eval()
    module.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")  # type: ignore[assignment]
    prepared = torch.ao.quantization.prepare(module)
    prepared(X)
    return torch.ao.quantization.convert(prepared)


class QuantisedWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.quantize_per_tensor(torch.rand(WIDTH, WIDTH), 0.1, 0, torch.qint8))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.dequantize()  # type: ignore[operator, union-attr]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("build", "name"),
    [
        (dynamic, "quantized::linear_dynamic"),
        (dynamic_recurrent, "quantized_lstm"),
        (static, "quantized::linear"),
        (QuantisedWeight, "qint8"),
    ],
)
def test_quantised_modules_are_refused(build: Callable[[], nn.Module], name: str) -> None:
    with pytest.raises(PredictorError, match=rf"quantised tensors of torch\.ao \({name}\).*as it was before"):
        capture(build(), X[None], "fp32")


def test_nested_tensors_of_the_strided_layout_are_refused() -> None:
    nested = torch.nested.nested_tensor([torch.rand(8, WIDTH), torch.rand(5, WIDTH)])
    with pytest.raises(PredictorError, match=r"strided layout.*layout=torch\.jagged"):
        capture(mlp(), nested)


def test_nested_tensors_that_are_made_inside_are_refused() -> None:
    def forward(x: Tensor) -> Tensor:
        return torch.nested.nested_tensor([x[:4], x[:2]]) * 2

    with pytest.raises(PredictorError, match=r"test_refusals\.py:\d+.*strided layout.*layout=torch\.jagged"):
        capture(Function(forward), X)


ATTENDS_TO_NESTED = """
import importlib, os, sys, torch
from torch import nn
from predictor.capture.recorder import capture
from predictor.errors import PredictorError

class Attends(nn.Module):
    def forward(self, x, ends):
        rows = torch.nested.nested_tensor_from_jagged(x, ends).unflatten(-1, (4, 16)).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(rows, rows, rows)

assert "torch.utils.flop_counter" not in sys.modules
for module in ("torch", "torch.utils.flop_counter"):
    if not os.fork():
        importlib.import_module(module)
        try:
            capture(Attends(), (torch.rand(8, 64), torch.tensor([0, 3, 8])))
        except PredictorError as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()
"""


def test_attention_of_nested_tensors_is_refused() -> None:
    """In processes of their own: torch takes another way once its counter of FLOPs is imported."""
    done = subprocess.run([sys.executable, "-c", ATTENDS_TO_NESTED], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 2
    for line in said:
        assert re.search(r"Attends is not predicted: attention of nested tensors.*to_padded_tensor", line)


def test_weights_that_are_frozen_in_another_dtype_are_refused() -> None:
    frozen = torch.jit.freeze(torch.jit.script(mlp()))
    with pytest.raises(PredictorError, match="has weights frozen in fp32: predict --dtype fp32, or freeze it in fp16"):
        capture(frozen, X, "fp16")
    assert {t.dtype for call in capture(frozen, X, "fp32").calls for t in call.tensors} == {"fp32"}


def test_a_refusal_is_no_error_that_a_model_can_handle() -> None:
    """A model that tries one way and then another would take the other, which it does not on a GPU."""

    def forward(a: Tensor, x: Tensor) -> Tensor:
        try:
            return torch.sparse.mm(a, x)
        except Exception:
            return x

    with pytest.raises(PredictorError, match="sparse"):
        capture(Function(forward), (SPARSE, X))


def test_an_exported_program_says_that_it_has_one_size() -> None:
    program = torch.export.export(mlp(), (X,))
    with pytest.raises(PredictorError, match=r"exported for inputs of other sizes.*dynamic_shapes"):
        capture(program, torch.rand(5, WIDTH))
    assert capture(program, X).batch == 8
