"""A user's file is loaded as what it is, and the process's modules stay as they were."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from predictor.errors import PredictorError
from predictor.records import CaptureMode, CaptureOptions
from predictor.sources import load_model, plan_of
from predictor.sources.built import BuiltSource

MODEL = """
import torch
class Model(torch.nn.Linear):
    pass
def build(batch):
    return Model(4, 4), torch.empty(batch, 4)
"""


def written(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.mark.parametrize("library", ["json", "torch", "transformers"])
def test_a_file_with_the_name_of_a_library_replaces_it_for_nobody(library: str, tmp_path: Path) -> None:
    """Nor where the file itself asks for the library."""
    before = sys.modules.get(library)
    text = f"import {library} as library\nassert 'site-packages' in library.__file__ or library.loads\n{MODEL}"
    folder = written(tmp_path, **{library: text})
    module, inputs, name = load_model(f"{folder / library}.py:build", 3)
    assert (tuple(inputs.shape), name) == ((3, 4), f"{library}:build")
    assert sys.modules.get(library) is before or before is None
    assert sys.modules["json"] is json
    assert sys.modules["torch"] is torch
    assert sys.modules[type(module).__module__].Model is type(module)


@pytest.mark.parametrize("statement", ["from sizes import WIDTH", "from .sizes import WIDTH"])
def test_a_file_imports_its_neighbours(statement: str, tmp_path: Path) -> None:
    """Also in its factory; of two folders each file gets its own."""
    path, finders = list(sys.path), list(sys.meta_path)
    for width in (4, 8):
        text = MODEL.replace("    return Model(4, 4)", f"    {statement}\n    return Model(4, WIDTH)")
        folder = written(tmp_path / str(width), net=text, sizes=f"WIDTH = {width}")
        assert load_model(f"{folder / 'net'}.py:build", 1)[0].out_features == width
    assert (sys.path, sys.meta_path) == (path, finders)


def test_a_module_of_a_neighbour_s_name_stays_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = written(tmp_path / "elsewhere", layouts="WIDTH = 99")
    monkeypatch.syspath_prepend(elsewhere)
    import layouts  # type: ignore[import-not-found]

    folder = written(
        tmp_path / "model", net=f"from layouts import WIDTH\nassert WIDTH == 4\n{MODEL}", layouts="WIDTH = 4"
    )
    load_model(f"{folder / 'net'}.py:build", 1)
    assert sys.modules["layouts"] is layouts
    monkeypatch.delitem(sys.modules, "layouts")


def test_what_a_file_does_to_the_path_is_undone(tmp_path: Path) -> None:
    path = list(sys.path)
    folder = written(tmp_path, net=f"import sys\nsys.path.insert(0, '/nowhere')\n{MODEL}")
    load_model(f"{folder / 'net'}.py:build", 1)
    assert sys.path == path


def test_what_a_file_prints_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path, net=f"print('one')\n{MODEL.replace('    return', '    print(2); return')}")
    load_model(f"{folder / 'net'}.py:build", 1)
    assert capsys.readouterr() == ("", "one\n2\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1\nx.nothing", r"fails to import: AttributeError: .*nothing.* \(net\.py:2\)"),
        ("x = 1\nx = = 2", r"fails to import: SyntaxError: .*\(net\.py, line 2\)"),
        ("def build():\n    raise ValueError('out of cheese')", r"raised ValueError: out of cheese \(net\.py:2\)"),
        ("import nonesuch", r"No module named 'nonesuch' \(net\.py:1\)"),
    ],
)
def test_an_error_in_a_file_says_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    folder = written(tmp_path, net=text)
    with pytest.raises(PredictorError, match=complaint) as caught:
        load_model(f"{folder / 'net'}.py:build", 1)
    assert "\n" not in str(caught.value)


SIZES = """
import torch
from torch import nn

def ignores(batch):
    return nn.Linear(8, 4), torch.empty(4, 8)

def sequence_first(batch):
    return nn.LSTM(8, 8), torch.empty(20, batch, 8)

def tokens(batch):
    return nn.Embedding(50, 8), torch.ones(batch, 20, dtype=torch.int64)

def of_length(batch, length):
    return nn.Embedding(50, 8), torch.ones(batch, length, dtype=torch.int64)

def fixed_length(batch):
    class Fixed(nn.Module):
        def forward(self, ids):
            return ids.view(-1, 4, 5) + 1
    return Fixed(), torch.ones(batch, 20, dtype=torch.int64)
"""


@pytest.fixture
def sizes(tmp_path: Path) -> str:
    return f"{written(tmp_path, sizes=SIZES) / 'sizes'}.py"


def test_a_batch_that_a_factory_ignores_is_an_error(sizes: str) -> None:
    with pytest.raises(PredictorError, match="sizes:ignores ignores its batch size: asked for 8, its inputs have 4"):
        plan_of(f"{sizes}:ignores", 8)
    ignoring = plan_of(f"{sizes}:ignores")
    assert (ignoring.batch, plan_of(f"{sizes}:ignores", 4).batch) == (4, 4)
    with pytest.raises(PredictorError, match="ignores its batch size"):
        ignoring.report("h200", batch=2)


def test_a_factory_whose_inputs_have_the_batch_in_another_place_takes_it(sizes: str) -> None:
    plan = plan_of(f"{sizes}:sequence_first", 6)
    assert (plan.batch, plan.report("h200").batch, plan.report("h200", batch=2).batch) == (6, 6, 2)
    assert plan.graph("fp32", "eager", 3).calls[-1].tensors[0].shape == (20, 3, 8)


@pytest.mark.parametrize("factory", ["tokens", "of_length"])
def test_tokens_of_a_factory_have_the_length_that_is_asked_for(factory: str, sizes: str) -> None:
    """Cut or repeated, or made by a factory that takes a length."""
    plan = plan_of(f"{sizes}:{factory}", 2, 64)
    assert plan.graph("fp32", "eager", 2, 64).calls[-1].outputs[0].shape == (2, 64, 8)
    assert plan_of(f"{sizes}:{factory}").length == {"tokens": 20, "of_length": 128}[factory]


def test_a_length_that_a_model_does_not_take_is_an_error(sizes: str) -> None:
    with pytest.raises(PredictorError, match=r"sizes:ignores takes no tokens: .* leave --length out"):
        plan_of(f"{sizes}:ignores", length=8)
    with pytest.raises(PredictorError, match=r"length 33 .*write def FUNCTION\(batch, length\)"):
        plan_of(f"{sizes}:fixed_length", 1, 33).report("h200", length=33)


def test_a_model_is_priced_in_its_own_dtype(tmp_path: Path) -> None:
    text = MODEL.replace("Model(4, 4)", "Model(4, 4).bfloat16()")
    plan = plan_of(f"{written(tmp_path, net=text) / 'net'}.py:build")
    assert (plan.dtype, plan.report("h200").dtype, plan.report("h200").dtype_origin) == (
        *("bf16", "bf16", "the model's own"),
    )
    with pytest.raises(PredictorError, match=r"v100 is not calibrated for bf16, the model's own dtype: .*--dtype fp16"):
        plan.report("v100")


def test_a_zoo_model_has_no_dtype_of_its_own_but_under_autocast() -> None:
    assert plan_of("distilbert").dtype is None
    report = plan_of("distilbert").report("h200")
    assert (report.dtype, report.dtype_origin) == ("fp16", "the default")
    assert plan_of("distilbert", options=CaptureOptions(autocast="fp16")).dtype == "fp32"


SHAPED = """
import torch
def build(batch, depth=2, width=32):
    blocks = [torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.GELU()) for _ in range(depth)]
    return torch.nn.Sequential(*blocks), torch.ones(batch, width)
"""


def test_a_factory_says_its_width_and_depth_and_is_called_with_others(tmp_path: Path) -> None:
    source = plan_of(f"{written(tmp_path, net=SHAPED) / 'net'}.py:build", 3).source
    assert isinstance(source, BuiltSource)
    assert source.shape == {"width": 32, "depth": 2}
    other = source.reshaped("width", 64).reshaped("depth", 5)
    assert other.shape == {"width": 64, "depth": 5}
    graph = other.graph("fp32", "eager", CaptureMode.EAGER, 3, 0)
    assert [call.op for call in graph.calls] == 5 * ["linear", "gelu"]
    assert graph.calls[0].outputs[0].shape == (3, 64)


@pytest.mark.parametrize(
    "head", ["build(width=32)", "build(width=32, batch=1)", "build(batch=1, *, width=32)", "build(length, width=32)"]
)
def test_a_width_is_no_batch_wherever_it_stands(head: str, tmp_path: Path) -> None:
    size = "batch" if "batch" in head else "length // 128" if "length" in head else "1"
    text = f"import torch\ndef {head}:\n    return torch.nn.Linear(width, 4), torch.ones({size}, width)\n"
    module, inputs, _ = load_model(f"{written(tmp_path, net=text) / 'net'}.py:build", 5 if "batch" in head else None)
    assert module.in_features == 32
    assert tuple(inputs.shape) == (5 if "batch" in head else 1, 32)


def test_other_sizes_are_captured_though_the_code_looks_at_its_weights(tmp_path: Path) -> None:
    """Without their data it cannot be built, so that it is built with them."""
    text = MODEL.replace(
        "return Model(4, 4),", "m = Model(4, 4)\n    assert m.weight.sum().item() == m.weight.sum()\n    return m,"
    )
    source = plan_of(f"{written(tmp_path, net=text) / 'net'}.py:build", 3).source
    assert isinstance(source, BuiltSource)
    again = source._first.again
    assert again is not None
    with pytest.raises(PredictorError, match="raised"):
        again(7, None)
    assert source.graph("fp32", "eager", CaptureMode.EAGER, 7, 0).calls[0].outputs[0].shape == (7, 4)
