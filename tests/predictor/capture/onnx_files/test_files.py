"""ONNX files: read as ONNX Runtime runs them, predicted without torch, refused with a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch._export import utils as export_utils
from typer.testing import CliRunner

from predictor import runtimes
from predictor.capture.onnx_files import cache, files, modules
from predictor.cli.main import app
from predictor.errors import CannotRunError, PredictorError
from predictor.graph.onnx_export import export
from predictor.predict import graph_of
from predictor.runtimes.onnx import lowering as runtime
from tests.helpers import complaint


class Block(nn.Module):
    """Attention over 64 channels and a residual norm, as exporters see them."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.norm = nn.Linear(64, 128), nn.Linear(128, 64), nn.LayerNorm(64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.down(nn.functional.gelu(self.up(x))))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block as an ONNX file of batch 2."""
    found = tmp_path_factory.mktemp("onnx") / "block.onnx"
    export(Block().eval(), torch.rand(2, 16, 64), found)
    return found


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_file_is_what_the_optimiser_leaves_of_it(path: Path) -> None:
    graph = files.read_graph(path, "fp16")
    kinds = Counter(call.op for call in graph.calls)
    assert kinds["SkipLayerNormalization"] == 1
    assert kinds["Gelu"] + kinds["BiasGelu"] == 1
    assert kinds["Gemm"] + kinds["MatMul"] == 2
    assert graph.batch == 2
    assert graph.macs == 2 * 2 * 16 * 64 * 128
    assert {t.dtype for c in graph.calls for t in c.outputs} == {"fp16"}


def test_a_biased_product_is_two_kernels(path: Path) -> None:
    program = runtime.lower(files.read_graph(path, "fp16"))
    gemm = next(call for call in program.calls if call.op == "Gemm")
    assert [(k.family, k.dims.get("k")) for k in gemm.kernels] == [("ort_bias_rows", None), ("gemm", 64)]


def test_what_was_optimised_once_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = files.read_graph(path, "fp16")
    monkeypatch.setattr(files, "optimise", lambda *a: pytest.fail("optimised again"))
    assert files.read_graph(path, "fp16") == first


def test_a_damaged_cache_is_made_again(path: Path) -> None:
    first = files.read_graph(path, "fp16")
    folder = cache.cache_folder()
    assert folder is not None
    (kept,) = (path for path in folder.rglob("*") if path.is_file())
    kept.write_text("{", encoding="utf-8")
    assert files.read_graph(path, "fp16") == first


def test_a_module_on_meta_is_exported_with_the_weights_that_it_would_have() -> None:
    with torch.device("meta"):
        module = Block().eval()
    found = modules.exported(module, torch.empty(2, 16, 64, device="meta"), "fp16")
    real = modules.exported(Block().eval(), torch.rand(2, 16, 64), "fp16")
    assert [c.op for c in found.calls] == [c.op for c in real.calls]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of a process")
def test_weights_without_data_take_no_memory() -> None:
    def pages() -> int:
        return int(Path("/proc/self/statm").read_text("utf-8").split()[1])

    for _ in range(2):  # memory that the process had before
        [np.ones(2**22, np.float16) for _ in range(8)].clear()
    before = pages()
    weights = [modules._untouched((2**10, 2**12), torch.float16) for _ in range(8)]
    assert pages() - before < 1000
    assert {(weight.dtype, weight.shape, int(weight.count_nonzero())) for weight in weights} == {
        (torch.float16, (2**10, 2**12), 0)
    }
    weights[0][0, 0] = 1.0
    assert not weights[1].any()


def test_the_exporter_finds_new_operators_and_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(1)

    monkeypatch.setattr(export_utils, "_materialize_cpp_cia_ops", look)
    monkeypatch.setattr(modules, "_composites", set())
    with modules._made_once():
        for _ in range(2):
            export_utils._materialize_cpp_cia_ops()
        assert len(seen) == 1
        torch.library.define("of_a_test::twice", "(Tensor x) -> Tensor")
        torch.library.impl("of_a_test::twice", "CompositeImplicitAutograd", lambda x: 2 * x)
        for _ in range(2):
            export_utils._materialize_cpp_cia_ops()
        assert len(seen) == 2
    assert export_utils._materialize_cpp_cia_ops is look
    assert not torch.fx.config.do_not_emit_stack_traces


def test_a_half_precision_file_is_the_same_graph(path: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.onnx"
    export(Block().eval().half(), torch.rand(2, 16, 64).half(), half)
    said = [[c.op for c in files.read_graph(p, "fp16").calls if c.op != "Cast"] for p in (path, half)]
    assert said[0] == said[1]


def test_a_module_that_looks_at_its_data_is_not_exported() -> None:
    class Decides(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(CannotRunError):
        graph_of(Decides(), torch.rand(4), "fp16", "onnx")


def open_file(tmp_path: Path) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "open", [x], [y])
    path = tmp_path / "open.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def softmax_file(tmp_path: Path, whole: list[int], bias: list[int]) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, whole)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, whole)
    weight = numpy_helper.from_array(torch.rand(bias).numpy(), "bias")
    nodes = [helper.make_node("Add", ["x", "bias"], ["s"]), helper.make_node("Softmax", ["s"], ["y"], axis=-1)]
    path = tmp_path / "softmax.onnx"
    graph = helper.make_graph(nodes, "softmax", [x], [y], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("bias", "joined"), [([1, 1, 8, 8], True), ([4, 1, 1, 8], True), ([4, 1, 8, 8], False), ([4, 2, 8, 8], True)]
)
def test_a_sum_joins_a_softmax_where_it_is_a_block(tmp_path: Path, bias: list[int], joined: bool) -> None:
    program = runtime.lower(files.read_graph(softmax_file(tmp_path, [4, 2, 8, 8], bias), "fp16"))
    said = [call.op for call in program.calls]
    assert said == (["BiasSoftmax"] if joined else ["Add", "Softmax"])


def test_bad_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_text("no protobuf")
    with pytest.raises(PredictorError, match="no such file"):
        files.read_graph(tmp_path / "none.onnx", "fp16")
    with pytest.raises(PredictorError, match="no ONNX file"):
        files.read_graph(tmp_path / "bad.onnx", "fp16")


def test_the_command_takes_a_file(path: Path) -> None:
    asked = ["--model", str(path), "--gpu", "h200", "--runtime", "onnx"]
    result = CliRunner().invoke(app, [*asked, "--json"])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert (data["runtime"], data["batch"]) == ("onnx", 2)
    assert "has fixed shapes, of batch 2" in complaint(CliRunner().invoke(app, [*asked, "--batch", "5"]))


def test_another_runtime_cannot_run_a_file_and_the_message_names_those_that_can(path: Path) -> None:
    said = complaint(CliRunner().invoke(app, ["--model", str(path), "--gpu", "h200"]), exit_code=3)
    assert "runs modules, not ONNX files" in said
    assert "(runtimes that can: onnx, onnx-cudagraph)" in said


def test_a_comparison_lists_the_runtimes_that_cannot_run_a_file_with_the_reason(path: Path) -> None:
    found = CliRunner().invoke(app, ["--model", str(path), "--gpu", "h200", "--compare", "--json"])
    assert found.exit_code == 0, found.output
    rows = {row["runtime"]: row for row in json.loads(found.stdout)["runtimes"]}
    assert set(rows) == set(runtimes.names())
    able = {name for name, row in rows.items() if "latency_s" in row}
    assert able == {"onnx", "onnx-cudagraph"}
    assert all("runs modules, not ONNX files" in rows[name]["cannot"] for name in set(rows) - able)


def test_a_file_is_predicted_without_torch(path: Path) -> None:
    code = (
        "import sys; from predictor import Predictor; "
        f"Predictor('h200', 'onnx').predict_file({str(path)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_user_without_a_home_gets_no_cache_and_the_same_graph(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = files.read_graph(path, "fp16")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("predictor.folders.cache_folder", lambda: None)
    assert files.read_graph(path, "fp16") == cached
