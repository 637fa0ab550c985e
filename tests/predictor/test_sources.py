"""A user's file is loaded as what it is, and the process's modules stay as they were."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from predictor.errors import PredictorError
from predictor.sources import load_model

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
