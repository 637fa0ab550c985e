"""The zoo: ten models from their configurations, with the inputs of The Framework Tax."""

from __future__ import annotations

import pytest
import torch

import models_zoo

PARAMETERS = {
    "bert-base": 109_482_240,
    "distilbert": 66_362_880,
    "gpt2": 124_439_808,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
    "squeezebert": 50_779_392,
}
"""As published: 110 M, 66 M, 124 M, 25.6 M, 3.5 M, 51 M."""


def test_the_zoo_has_its_ten_models() -> None:
    expected = "bert-base distilbert funnel gpt2 mobilebert mobilenet_v2 resnet50 squeezebert vit-base wavlm"
    assert set(expected.split()) <= set(models_zoo.names())


@pytest.mark.parametrize("name", models_zoo.names())
def test_a_model_is_built_on_the_default_device_in_evaluation_mode(name: str) -> None:
    with torch.device("meta"):
        module, _ = models_zoo.build(name, 1)
    assert isinstance(module, torch.nn.Module)
    assert not any(m.training for m in module.modules())
    real = sum(p.numel() for p in module.parameters() if not p.is_meta)
    assert real < 1000  # WavLM makes one vector by an old constructor that knows no default device


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_a_model_has_its_published_size(name: str, parameters: int) -> None:
    with torch.device("meta"):
        module, _ = models_zoo.build(name, 1)
    assert sum(p.numel() for p in module.parameters()) == pytest.approx(parameters, rel=0.01)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", models_zoo.names())
def test_inputs_have_the_size_of_the_paper(name: str, batch: int) -> None:
    inputs = models_zoo.build_inputs(name, batch)
    expected = {"input_ids": (batch, 128), "pixel_values": (batch, 3, 224, 224), "input_values": (batch, 32_000)}
    (key,) = inputs
    assert tuple(inputs[key].shape) == expected[key]


def test_token_ids_are_the_same_on_every_call_and_real_on_any_default_device() -> None:
    first = models_zoo.build_inputs("bert-base", 3)["input_ids"]
    with torch.device("meta"):
        second = models_zoo.build_inputs("bert-base", 3)["input_ids"]
    assert torch.equal(first, second)
    assert int(first.min()) >= 1000


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilebert"])
def test_a_model_runs_for_real(name: str) -> None:
    module, inputs = models_zoo.build(name, 2)
    with torch.inference_mode():
        first = module(**inputs)[0]
    assert first.shape[0] == 2
    assert bool(torch.isfinite(first).all())


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="lstm"):
        models_zoo.build("lstm")


def test_files_of_the_zoo_that_begin_with_an_underscore_are_no_models() -> None:
    assert not any("inputs" in name for name in models_zoo.names())
