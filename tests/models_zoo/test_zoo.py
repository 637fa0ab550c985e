"""The zoo: the models of The Framework Tax from their configurations, with its inputs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

import models_zoo
from tests.helpers import BUILDABLE

PARAMETERS = {
    "albert": 11.7,
    "alexnet": 61.1,
    "bert-base": 109.5,
    "bert-base-d24": 194.5,
    "deberta": 138.6,
    "deit": 87.3,
    "densenet121": 7.98,
    "distilbert": 66.4,
    "efficientnet_b0": 5.29,
    "gpt2": 124.4,
    "gpt2-generate": 124.4,
    "inception_v3": 23.8,
    "llama-decode": 1235.8,
    "mnasnet": 4.38,
    "mobilenet_v2": 3.50,
    "mobilenet_v3": 5.48,
    "qwen-decode": 494.0,
    "regnet": 19.4,
    "resnet18": 11.7,
    "resnet50": 25.6,
    "resnet152": 60.2,
    "resnext50": 25.0,
    "roberta": 124.6,
    "shufflenet_v2": 2.28,
    "squeezebert": 50.8,
    "squeezenet": 1.25,
    "swin": 28.3,
    "vgg16": 138.4,
    "wide_resnet50_2": 68.9,
}
"""Millions, as published with the weights; BERT-Base of 24 layers: 12 more of 7.09 M."""

LANGUAGE = (
    *("bert-base", "distilbert", "roberta", "albert", "funnel", "funnel-base", "squeezebert", "mobilebert", "fnet"),
    *("longformer", "deberta", "gpt2", "gpt2-generate", "llama-decode", "qwen-decode"),
)
VARIANTS = tuple(f"bert-base-{which}" for which in ("d3", "d6", "d24", "w384", "w1536", "w3072"))
SPEECH = ("wavlm", "whisper-encoder")
VISION = (
    *("resnet18", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "resnext50", "vit-base", "vit-b32", "deit"),
    *("mobilenet_v2", "mobilenet_v3", "efficientnet_b0", "mnasnet", "shufflenet_v2", "squeezenet", "densenet121"),
    *("googlenet", "inception_v3", "vgg16", "alexnet", "regnet", "convnext", "swin"),
)


def test_the_zoo_is_that_of_the_paper() -> None:
    assert set(models_zoo.names()) == {*LANGUAGE, *VARIANTS, *SPEECH, *VISION}


@pytest.mark.parametrize("name", BUILDABLE)
def test_a_model_is_built_on_the_default_device_in_evaluation_mode(name: str) -> None:
    with torch.device("meta"):
        module, _ = models_zoo.build(name, 1)
    assert isinstance(module, torch.nn.Module)
    assert not any(m.training for m in module.modules())
    real = sum(p.numel() for p in module.parameters() if not p.is_meta)
    assert real < 1000  # WavLM makes one vector by an old constructor that knows no default device
    if name in PARAMETERS:
        assert sum(p.numel() for p in module.parameters()) == pytest.approx(PARAMETERS[name] * 1e6, rel=0.01)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", BUILDABLE)
def test_inputs_have_the_size_of_the_paper(name: str, batch: int) -> None:
    with torch.device("meta"):
        inputs = models_zoo.build_inputs(name, batch)
    shape = next(iter(inputs.values())).shape
    tokens = (batch, 1) if name.endswith("-decode") else (batch, 128)
    speech = {"wavlm": (batch, 32_000), "whisper-encoder": (batch, 80, 3000)}
    assert shape == (tokens if name in (*LANGUAGE, *VARIANTS) else speech.get(name, (batch, 3, 224, 224)))


def test_a_decode_step_reads_and_lengthens_the_cache() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from models_zoo import _decoding

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 2000}
    config = LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, head_dim=8)
    step, inputs = _decoding.DecodeStep(LlamaForCausalLM(config).eval()), _decoding.step_inputs(config, 3, 6)
    with torch.inference_mode():
        token, keys, values = step(**inputs)
    assert token.shape == (3, 1)
    assert {k.shape for k in (*keys, *values)} == {(3, 2, 7, 8)}
    torch.testing.assert_close(keys[1][:, :, :6], inputs["keys"][1])


def test_generation_is_what_greedy_search_of_the_library_gives() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    from models_zoo.gpt2__generate import Greedy

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=500, n_embd=32, n_layer=2, n_head=4)).eval()
    prompt = torch.randint(0, 500, (2, 9))
    with torch.inference_mode():
        found = Greedy(model, 5)(prompt)
    kept = model.generate(prompt, max_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=None)
    assert torch.equal(found, kept[:, -5:])  # the first of the six is the prompt's


def test_the_index_has_every_model_and_is_read_without_torch() -> None:
    program = (
        "import json, sys, models_zoo; print(json.dumps(models_zoo.index())); "
        "assert not {'torch', 'transformers', 'torchvision'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    index = json.loads(done.stdout)
    assert sorted(index) == models_zoo.names()
    for name, millions in PARAMETERS.items():
        assert index[name]["parameters"] == pytest.approx(millions * 1e6, rel=0.01)
    assert index["bert-base"]["macs"] == pytest.approx(11.18e9, rel=0.01)
    assert {row["library"] for row in index.values()} == {"transformers", "torchvision"}


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
