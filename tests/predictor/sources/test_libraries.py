"""Models of libraries by their names, where the libraries are installed; what they share, everywhere."""

from __future__ import annotations

import importlib
import warnings
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from predictor.errors import PredictorError
from predictor.sources import plan_of
from predictor.sources.built import shapes_of, weights_on_meta, without_data


def needs(*libraries: str) -> None:
    """Skip where a library is not installed, or does not import beside this torch."""
    for library in libraries:
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
        try:
            importlib.import_module(library)
        except Exception as error:
            pytest.skip(f"{library} does not import beside this torch: {error}")


@pytest.mark.parametrize("library", ["torchvision", "timm", "diffusers"])
def test_a_library_that_is_missing_says_how_to_install_it(library: str) -> None:
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    with pytest.raises(PredictorError, match=rf"this needs {library}: pip install"):
        plan_of(f"{library}:anything")


def test_an_unknown_library_is_one_line() -> None:
    with pytest.raises(PredictorError, match="unknown library of models 'torchvison': did you mean torchvision"):
        plan_of("torchvison:resnet18")


VISION: dict[str, tuple[int, str]] = {
    "torchvision:resnet18": (4, "inputs: (4, 3, 224, 224)"),
    "torchvision:inception_v3": (2, "inputs: (2, 3, 299, 299)"),
    "torchvision:r3d_18": (2, "inputs: (2, 3, 16, 112, 112)"),
    "torchvision:lraspp_mobilenet_v3_large": (2, "inputs: (2, 3, 520, 520)"),
    "timm:efficientnet_b0": (2, "inputs: (2, 3, 224, 224)"),
    "timm:levit_128": (2, "inputs: (2, 3, 224, 224)"),
}


@pytest.mark.parametrize("spec", VISION)
def test_a_vision_model_gets_images_of_the_size_of_its_weights(spec: str) -> None:
    needs("torchvision", spec.partition(":")[0])
    batch, notes = VISION[spec]
    plan = plan_of(spec, batch)
    assert (plan.notes, plan.dtype) == ((notes,), "fp32")
    report = plan.report("h200")
    assert (report.batch, report.unmodelled) == (batch, {})


def test_the_multiply_accumulates_are_those_of_the_library() -> None:
    """torchvision says 1.814 G for ResNet-18; the pools and norms add to the count."""
    needs("torchvision")
    models = importlib.import_module("torchvision.models")
    said = models.ResNet18_Weights.DEFAULT.meta["_ops"]
    assert plan_of("torchvision:resnet18").report("h200").macs / 1e9 == pytest.approx(said, rel=0.02)


def test_a_detector_gets_a_list_of_images() -> None:
    needs("torchvision")
    assert plan_of("torchvision:ssdlite320_mobilenet_v3_large", 2).notes == ("inputs: (3, 320, 320), (3, 320, 320)",)


@pytest.mark.parametrize(
    ("spec", "near"),
    [("torchvision:resnet19", "resnet18"), ("timm:resnett50", "resnet50"), ("diffusers:UNet2D", "UNet2DM")],
)
def test_an_unknown_name_has_near_ones(spec: str, near: str) -> None:
    needs("torchvision", spec.partition(":")[0])
    with pytest.raises(PredictorError, match=rf"unknown model of \w+ .*: did you mean .*{near}"):
        plan_of(spec)


def test_a_denoiser_gets_a_latent_image_a_time_and_a_prompt() -> None:
    needs("diffusers")
    assert plan_of("diffusers:UNet2DConditionModel", 2, 10).notes == (
        "inputs: sample (2, 4, 64, 64), timestep (2,), encoder_hidden_states (2, 10, 1280)",
    )


# what they share


class _Tables(nn.Module):
    """A weight without data, and a table with values; its schedule looks at numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.tied = self.layer.weight
        self.register_buffer("table", torch.arange(3))
        self.schedule = [x.item() for x in torch.linspace(0, 1, 3)]


def test_a_model_is_built_without_the_data_of_its_weights() -> None:
    module: Any = without_data(_Tables, "it cannot be built")
    assert all(parameter.is_meta for parameter in module.parameters())
    assert module.tied is module.layer.weight
    assert (module.table.tolist(), module.schedule, module.training) == ([0, 1, 2], [0.0, 0.5, 1.0], False)


class _Looks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.largest = float(self.layer.weight.max())


def test_a_model_that_looks_at_its_weights_is_built_with_them() -> None:
    assert not without_data(_Looks, "it cannot be built").layer.weight.is_meta


def test_nothing_is_left_behind_where_a_model_cannot_be_built() -> None:
    def fails() -> nn.Module:
        raise ValueError("out of\ncheese")

    with pytest.raises(PredictorError, match=r"^it cannot be built: ValueError: out of cheese$"):
        without_data(fails, "it cannot be built")
    with weights_on_meta():
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not nn.Linear(2, 2).weight.is_meta


def test_shapes_are_written_for_a_person() -> None:
    x = torch.empty(2, 3)
    assert shapes_of(x) == "(2, 3)"
    assert shapes_of({"a": x, "b": {"c": x, "n": 3}}) == "a (2, 3), b c (2, 3)"
    assert shapes_of(([x] * 6,)) == "(2, 3), (2, 3), (2, 3), 3 more"


def test_building_leaves_torch_as_it_was() -> None:
    before = torch.empty, torch.nn.init.normal_, torch.nn.init.kaiming_uniform_
    with weights_on_meta(), torch.device("meta"):
        inside = torch.nn.Linear(2, 2)
    assert inside.weight.is_meta
    assert (torch.empty, torch.nn.init.normal_, torch.nn.init.kaiming_uniform_) == before
    with torch.device("meta"):
        assert torch.empty(1).is_meta
    assert torch.nn.Linear(2, 2).weight.abs().sum() > 0
