"""The dtype of an ONNX file: its own without another, converted where one is asked for, islands in fp32 kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

from predictor import runtimes
from predictor.capture.onnx_files import files, modules
from predictor.graph.onnx_export import export
from predictor.predict import plan_file
from predictor.records import Graph
from tests.onnx_models import DOUBLE, FLOAT, HALF, constant, info, model, node, saved, weight

INT4 = 22
"""Type of ``onnx.TensorProto``."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Half precision, with a norm and a convolution that it casts to fp32 itself: the CPU has no double convolution."""
    nodes = [
        node("MatMul", "x,w", "a"),
        node("Cast", "a", "b", to=FLOAT),
        node("Pow", "b,two", "p"),
        node("ReduceMean", "p", "m", axes=[-1]),
        node("Div", "b,m", "d"),
        node("Conv", "d,k", "e"),
        node("Cast", "e", "f", to=HALF),
        node("MatMul", "f,v", "y"),
    ]
    weights = [weight("w", 64, 64, kind=np.float16), weight("v", 62, 8, kind=np.float16), weight("k", 4, 8, 3)]
    made = model(
        nodes, [info("x", (2, 8, 64), HALF)], [*weights, constant("two", 2, np.float32)], [info("y", None, HALF)], 13
    )
    return saved(tmp_path, made)


def test_without_a_dtype_the_files_own_is_priced(tmp_path: Path, mixed: Path) -> None:
    single = saved(tmp_path, model([node("MatMul", "x,w")], weights=[weight("w", 64, 8)]), "single")
    assert plan_file(single).report("h200", "onnx").dtype == "fp32"
    assert plan_file(mixed).report("h200", "onnx").dtype == "fp16"


def test_weights_that_are_stored_in_half_and_used_in_single_make_a_single_file(tmp_path: Path) -> None:
    nodes = [node("Cast", "h", "w", to=FLOAT), node("MatMul", "x,w")]
    path = saved(tmp_path, model(nodes, weights=[weight("h", 64, 8, kind=np.float16)]))
    plan = plan_file(path)
    assert plan.dtype == "fp32"
    assert {t.dtype for c in plan.graph("fp32", "onnx").calls for t in c.tensors} == {"fp32"}


@pytest.mark.parametrize("half", ["fp16", "bf16"])
def test_what_a_file_casts_to_fp32_stays_fp32_in_half_precision(mixed: Path, half: str) -> None:
    made_in = {c.op: c.outputs[0].dtype for c in files.read_graph(mixed, half).calls if c.op != "Cast"}
    assert made_in == {"MatMul": half, "Pow": "fp32", "ReduceMean": "fp32", "Div": "fp32", "Conv": "fp32"}


def test_a_half_precision_file_in_fp32_has_no_casts_left(mixed: Path) -> None:
    calls = files.read_graph(mixed, "fp32").calls
    assert {t.dtype for c in calls for t in (*c.tensors, *c.outputs)} == {"fp32"}
    assert "Cast" not in {c.op for c in calls}


def test_a_conversion_is_said(mixed: Path) -> None:
    plan = plan_file(mixed)
    assert not any("converted" in note for note in plan.report("h200", "onnx").notes)
    said = plan.report("h200", "onnx", "bf16").notes[-1]
    assert said.startswith("assumed: the file, of fp16, is converted to bf16, its inputs and outputs too")


def test_what_a_module_does_in_fp32_itself_stays_fp32() -> None:
    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.layer(x).float()
            return self.layer((x * torch.cos(x)).to(self.layer.weight.dtype))

    found = modules.exported(Norm().eval(), torch.rand(2, 64), "fp16")
    made_in = {c.op: c.outputs[0].dtype for c in found.calls if c.op != "Cast"}
    assert made_in == {"Gemm": "fp16", "Cos": "fp32", "Mul": "fp32"}
    assert {c.outputs[0].dtype for c in modules.exported(Norm().eval(), torch.rand(2, 64), "fp32").calls} == {"fp32"}


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_activations_are_joined_in_half_precision_as_in_single(approximate: str) -> None:
    layer = nn.Sequential(nn.Linear(64, 64), _Gelu(approximate), nn.Linear(64, 8)).eval()
    said = [[c.op for c in modules.exported(layer, torch.rand(2, 5, 64), dtype).calls] for dtype in ("fp32", "fp16")]
    assert said[0] == said[1]
    assert {"Gelu", "FastGelu", "BiasGelu"}.intersection(said[0])
    assert not {"Erf", "Tanh"}.intersection(said[0])


class _Gelu(nn.Module):
    """Written out, as models do."""

    def __init__(self, approximate: str) -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.approximate == "none":
            return x * 0.5 * (1.0 + torch.erf(x / 2**0.5))
        return 0.5 * x * (1.0 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * torch.pow(x, 3.0))))


def test_double_precision_in_a_half_file_stays_double(tmp_path: Path) -> None:
    nodes = [
        node("Cast", "x", "d", to=DOUBLE),
        node("LpNormalization", "d", "n", axis=-1),
        node("Cast", "n", "h", to=HALF),
        node("MatMul", "h,w", "y"),
    ]
    weights = [weight("w", 64, 8, kind=np.float16)]
    graph = files.read_graph(
        saved(tmp_path, model(nodes, [info("x", (2, 64), HALF)], weights, [info("y", None, HALF)], 17))
    )
    dtypes = {call.op: call.outputs[0].dtype for call in graph.calls if call.op != "Cast"}
    assert dtypes == {"LpNormalization": "fp64", "MatMul": "fp16"}
    assert "LpNormalization" in runtimes.load("onnx").lower(graph).on_cpu


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_the_gpu_has_a_kernel_for_is_not_written_out_as_the_cpu_does(tmp_path: Path, dtype: type) -> None:
    """A hard swish is one node, which a session on the CPU makes two of."""
    kind = HALF if dtype is np.float16 else FLOAT
    nodes = [node("MatMul", "x,w", "a"), node("HardSwish", "a", "y")]
    made = model(nodes, [info("x", (2, 64), kind)], [weight("w", 64, 8, kind=dtype)], [info("y", None, kind)], 17)
    assert [call.op for call in files.read_graph(saved(tmp_path, made)).calls] == ["MatMul", "HardSwish"]


def test_a_module_that_names_cuda_is_exported_where_there_is_none() -> None:
    class OnCuda(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.cuda() @ torch.ones(8, 4, device="cuda:0", dtype=x.dtype)

    graph = modules.exported(OnCuda(), torch.rand(2, 8), "fp32")
    assert [call.op for call in graph.calls] == ["MatMul"]


class Biased(nn.Module):
    """A convolution and a linear layer with biases, and a convolution with a norm: of zeros before a training."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, bias=False)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8 * 16, 10)
        for bias in (self.first.bias, self.head.bias):
            nn.init.zeros_(bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.second(self.first(x))).relu().flatten(1))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def operands(graph: Graph) -> list[tuple[str, int]]:
    """Products and convolutions, and how many tensors each takes."""
    return [(call.op, len(call.tensors)) for call in graph.calls if call.op in ("Conv", "Gemm")]


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_bias_of_zeros_stays_as_in_a_trained_module(device: str) -> None:
    """The exporter drops a bias that is zero, which those of trained modules and of norms in them are not."""
    with torch.device(device):
        module, x = Biased().eval(), torch.ones(2, 3, 8, 8)
    assert operands(modules.exported(module, x, "fp16")) == [("Conv", 3), ("Conv", 3), ("Gemm", 3)]


def test_a_bias_of_zeros_goes_where_what_was_measured_was_untrained() -> None:
    with torch.device("meta"):
        plain, x = Biased().eval(), torch.ones(2, 3, 8, 8)
    with modules.untrained():
        found = operands(modules.exported(plain, x, "fp16"))
    assert found == [("Conv", 3), ("Conv", 2), ("Gemm", 2)]
    assert operands(modules.exported(plain, x, "fp16")) == [("Conv", 3), ("Conv", 3), ("Gemm", 3)]


def test_a_file_that_is_run_has_biases_of_zeros_and_the_module_keeps_its_own(tmp_path: Path) -> None:
    module = Biased().eval()
    export(module, torch.ones(2, 3, 8, 8), tmp_path / "model.onnx")
    assert operands(files.read_graph(tmp_path / "model.onnx")) == [("Conv", 3), ("Conv", 3), ("Gemm", 3)]
    kept = module.first.bias, module.head.bias, module.norm.bias, module.norm.running_mean
    assert not any(tensor.any() for tensor in kept)


@pytest.mark.parametrize(("dtype", "products"), [(np.float32, 1), (np.float16, 2)])
def test_products_of_constants_in_half_precision_run_in_each_pass(tmp_path: Path, dtype: type, products: int) -> None:
    """ONNX Runtime folds constants by the CPU's kernels, which has none for products in half precision."""
    kind = HALF if dtype is np.float16 else FLOAT
    nodes = [node("Transpose", "v", "t", perm=[1, 0]), node("MatMul", "t,w", "made"), node("MatMul", "x,made", "y")]
    weights = [weight("v", 16, 64, kind=dtype), weight("w", 16, 32, kind=dtype)]
    made = model(nodes, [info("x", (4, 64), kind)], weights, [info("y", (4, 32), kind)])
    graph = files.read_graph(saved(tmp_path, made))
    assert [c.op for c in graph.calls] == ["MatMul"] * products  # what moves alone is folded
    assert graph.macs == 4 * 64 * 32 + (products - 1) * 64 * 16 * 32


def unpacked(block: int, **more: Any) -> Any:
    """A product with weights of four bits that a node unpacks block by block."""
    weights = helper.make_tensor("v", INT4, [512, 256], bytes(512 * 256 // 2), raw=True)
    scales = weight("s", 512 // block, 256, kind=np.float16)
    nodes = [node("DequantizeLinear", "v,s", "w", axis=0, block_size=block), node("MatMul", "x,w", "y")]
    outputs = [info(name, None, HALF) for name in more.get("outputs", ["y"])]
    return model(nodes, [info("x", (16, 512), HALF)], [weights, scales], outputs, 21)


def test_a_product_of_unpacked_weights_of_four_bits_is_one_node(tmp_path: Path) -> None:
    """As ONNX Runtime ran it on an H100: a kernel of its own up to some rows."""
    (call,) = files.read_graph(saved(tmp_path, unpacked(32))).calls
    assert call.op == "MatMulNBits"
    assert call.macs == 16 * 512 * 256
    kept = [("read by others", unpacked(32, outputs=["y", "w"])), ("blocks of eight", unpacked(8))]
    for name, made in kept:
        assert {c.op for c in files.read_graph(saved(tmp_path, made, name)).calls} == {"DequantizeLinear", "MatMul"}


def test_a_type_that_a_node_leaves_to_its_operator_is_exchanged_with_the_others() -> None:
    """A diagonal is exported as a mask of a shape without a value, which is of single precision."""

    class Diagonal(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.diagonal(dim1=-2, dim2=-1).sum(-1)

    graph = modules.exported(Diagonal(), torch.rand(4, 8, 8), "fp16")
    assert "EyeLike" in [call.op for call in graph.calls]
