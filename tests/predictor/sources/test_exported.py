"""Files of programs are what they were exported for, and nothing in them runs while they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim

from predictor.errors import PredictorError
from predictor.sources import plan_of

NET = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
WORDS = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 8)).eval()
IMAGES, IDS = torch.rand(2, 3, 16, 16), torch.ones(2, 12, dtype=torch.int64)


def exported(folder: Path, module: nn.Module, inputs: Any, shapes: Any = None) -> str:
    path = folder / "net.pt2"
    torch.export.save(torch.export.export(module, (inputs,), dynamic_shapes=shapes), path)
    return str(path)


def test_a_program_of_fixed_shapes_has_one_batch(tmp_path: Path) -> None:
    file = exported(tmp_path, NET, IMAGES)
    plan = plan_of(file)
    assert (plan.name, plan.batch, plan.report("h200").batch) == ("net", 2, 2)
    assert [call.op for call in plan.graph("fp32", "eager").calls if call.op != "flatten"][:2] == ["conv2d", "relu"]
    for batch in (3, 1):
        with pytest.raises(PredictorError, match="was exported with a fixed batch of 2: ask for that, or export it"):
            plan_of(file, batch)
    with pytest.raises(PredictorError, match="takes no tokens"):
        plan_of(file, length=8)


def test_a_program_of_open_sizes_takes_those_that_it_was_exported_for(tmp_path: Path) -> None:
    shapes = ({0: Dim("batch", min=1, max=16), 1: Dim("tokens", min=4, max=64)},)
    file = exported(tmp_path, WORDS.half(), IDS, shapes)
    plan = plan_of(file, 5, 33)
    assert (plan.dtype, plan.batch, plan.length) == ("fp16", 5, 33)
    assert plan.graph("fp16", "eager", 7, 9).calls[-1].outputs[0].shape == (7, 9, 8)
    for sizes, said in (((17, None), "a batch of 1 to 16, not 17"), ((1, 3), "a length of 4 to 64, not 3")):
        with pytest.raises(PredictorError, match=said):
            plan_of(file, *sizes)
    WORDS.float()


@pytest.mark.parametrize(
    ("module", "inputs", "shape"),
    [(NET, IMAGES, "(3, 3, 224, 224)"), (WORDS, IDS, "(3, 128)"), (nn.Sequential(nn.Linear(7, 2)), None, "(3, 7)")],
    ids=["image", "tokens", "rows"],
)
def test_a_scripted_program_gets_the_input_of_its_first_layer_and_says_so(
    module: nn.Module, inputs: Any, shape: str, tmp_path: Path
) -> None:
    torch.jit.script(module).save(str(tmp_path / "net.pt"))
    plan = plan_of(str(tmp_path / "net.pt"), 3)
    assert plan.notes == (f"inputs: {shape}, by the first layer: a TorchScript file does not say them",)
    assert plan.report("h200").batch == 3


class _Two(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


def test_a_scripted_program_of_several_inputs_needs_a_factory(tmp_path: Path) -> None:
    torch.jit.script(_Two()).save(str(tmp_path / "two.pt"))
    with pytest.raises(PredictorError, match=r"does not say the shapes of its inputs: write def build\(batch\)"):
        plan_of(str(tmp_path / "two.pt"))


class _Runs:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("content", ["state dict", "module", "code", "text"])
def test_a_file_without_a_program_is_refused_and_not_unpickled(content: str, tmp_path: Path) -> None:
    path, made = tmp_path / "weights.pt", tmp_path / "made"
    if content == "text":
        path.write_text("hello")
    else:
        torch.save({"state dict": NET.state_dict(), "module": NET, "code": _Runs(made)}[content], path)
    with pytest.raises(PredictorError, match="holds weights or a pickled module, no program: save one"):
        plan_of(str(path))
    assert not made.exists()


def test_an_exported_program_whose_weights_are_pickled_code_runs_none_of_it(tmp_path: Path) -> None:
    """A weight is exchanged for code in the archive."""
    import zipfile

    file, evil = exported(tmp_path, NET, IMAGES), tmp_path / "evil.pt2"
    torch.save(_Runs(tmp_path / "made"), tmp_path / "code.pt")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(evil, "w") as new:
        for name in old.namelist():
            code = name.endswith("sample_inputs/model.pt")
            new.writestr(name, (tmp_path / "code.pt").read_bytes() if code else old.read(name))
    with pytest.raises(PredictorError, match="is no exported program that this torch reads"):
        plan_of(str(evil))
    assert not (tmp_path / "made").exists()


def test_a_file_that_is_missing_is_one_line() -> None:
    with pytest.raises(PredictorError, match=r"no such file: absent\.pt2"):
        plan_of("absent.pt2")
