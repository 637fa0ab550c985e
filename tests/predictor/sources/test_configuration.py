"""A config.json is priced as the model that it describes, with the inputs that its forward needs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from predictor.errors import PredictorError
from predictor.records import CaptureMode, TensorSpec
from predictor.sources import load_model, plan_of
from predictor.sources.built import BuiltSource
from predictor.sources.configuration import heads, kebab, known_fields, shape_of
from predictor.sources.transformers_inputs import inputs_of

WIDTHS = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
BERT = {"model_type": "bert", "vocab_size": 500, **WIDTHS}
SEQ2SEQ = {
    **{"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "vocab_size": 500},
    **{"decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
}
SPEECH = {
    **{"hidden_size": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2},
    **{"decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
}
VISION = {**WIDTHS, "image_size": 32, "patch_size": 16}
TEXT = {**WIDTHS, "vocab_size": 500}


def written(folder: Path, **fields: Any) -> str:
    (folder / "model").mkdir(exist_ok=True)
    path = folder / "model" / "config.json"
    path.write_text(json.dumps(fields))
    return str(path)


def test_the_base_model_is_priced_and_the_file_s_own_is_said(tmp_path: Path) -> None:
    plan = plan_of(written(tmp_path, **BERT, architectures=["BertForMaskedLM"]))
    assert plan.notes[:2] == (
        "priced: BertModel, the model without a task head; the file is of BertForMaskedLM: --head BertForMaskedLM "
        "prices that",
        "inputs: input_ids (1, 128)",
    )
    assert set(plan.notes) <= set(plan.report("h200").notes)


@pytest.mark.parametrize("head", ["masked-lm", "BertForMaskedLM"])
def test_a_head_is_priced_by_its_task_or_its_class(head: str, tmp_path: Path) -> None:
    """The decoder of BertForMaskedLM multiplies 128 tokens of 32 with 500 words."""
    file = written(tmp_path, **BERT)
    base, headed = (plan_of(file, head=h) for h in (None, head))
    assert headed.notes[0] == "priced: BertForMaskedLM"
    transform, words, pooler = 128 * 32 * 32, 128 * 32 * 500, 32 * 32
    more = headed.graph("fp32", "eager").macs - base.graph("fp32", "eager").macs
    norm = 5 * 128 * 32  # fvcore's count of a layer norm
    assert more == transform + words - pooler + norm or more == transform + words - pooler


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("maskd-lm", "unknown head of bert 'maskd-lm': did you mean masked-lm"),
        ("T5ForConditionalGeneration", "is made from T5Config, not BertConfig: --head"),
    ],
)
def test_a_head_that_the_model_does_not_have_is_one_line(head: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match=message):
        plan_of(written(tmp_path, **BERT), head=head)


def test_a_head_is_for_configurations_alone() -> None:
    with pytest.raises(PredictorError, match="--head is for configurations"):
        plan_of("distilbert", head="masked-lm")


def test_tokens_have_the_length_that_is_asked_for(tmp_path: Path) -> None:
    plan = plan_of(written(tmp_path, **BERT), 2, 48)
    assert (plan.batch, plan.length) == (2, 48)
    looked_up = next(call for call in plan.graph("fp32", "eager", 3, 40).calls if call.op == "embedding")
    assert looked_up.outputs[0].shape == (3, 40, 32)
    with pytest.raises(PredictorError, match="takes no tokens"):
        plan_of(written(tmp_path, model_type="vit", **VISION), length=8)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hidden_sizes": 3}, "BertConfig does not know a field that changes nothing here: hidden_sizes"),
        ({"quantization_config": {"quant_method": "awq"}}, r"quantization_config \(awq\) is not applied"),
        ({"auto_map": {"AutoModel": "modeling.Model"}}, "auto_map is not followed"),
    ],
)
def test_what_has_no_effect_is_said_and_an_error_when_strict(fields: Any, said: str, tmp_path: Path) -> None:
    file = written(tmp_path, **BERT, **fields)
    assert any(re.search(said, note) for note in plan_of(file).report("h200").notes)
    with pytest.raises(PredictorError, match=said):
        plan_of(file, strict=True)


def test_a_field_of_a_part_is_looked_at_too(tmp_path: Path) -> None:
    file = written(
        tmp_path, model_type="clip", text_config={**TEXT, "widht": 3}, vision_config=VISION, projection_dim=16
    )
    assert "text_config.widht" in plan_of(file).notes[-1]


@pytest.mark.parametrize(
    "kind", ["bert", "t5", "clip", "llama", "whisper", "detr", "gpt2", "mixtral", "vit", "wav2vec2"]
)
def test_every_field_that_a_configuration_writes_is_known(kind: str) -> None:
    config = AutoConfig.for_model(kind)
    assert set(config.to_dict()) - known_fields(type(config)) == set()


@pytest.mark.parametrize(("field", "dtype"), [("torch_dtype", "fp16"), ("dtype", "bf16"), (None, "fp32")])
def test_a_configuration_has_the_dtype_of_its_file(field: str | None, dtype: str, tmp_path: Path) -> None:
    names = {"fp16": "float16", "bf16": "bfloat16"}
    plan = plan_of(written(tmp_path, **BERT, **({field: names[dtype]} if field else {})))
    assert (plan.dtype, plan.report("h200").dtype) == (dtype, dtype)


_SPECIAL = {"pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}

CASES: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "t5": (
        {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2, "vocab_size": 500},
        {"input_ids": (2, 128), "decoder_input_ids": (2, 128)},
    ),
    "bart": (SEQ2SEQ, {"input_ids": (2, 128), "decoder_input_ids": (2, 128)}),
    "whisper": (
        {**SEQ2SEQ, "num_mel_bins": 20, "max_source_positions": 50, **_SPECIAL},
        {"input_features": (2, 20, 100), "decoder_input_ids": (2, 16)},
    ),
    "clip": (
        {"text_config": TEXT, "vision_config": VISION, "projection_dim": 16},
        {"input_ids": (2, 77), "pixel_values": (2, 3, 32, 32)},
    ),
    "siglip": (
        {"text_config": TEXT, "vision_config": VISION},
        {"input_ids": (2, 64), "pixel_values": (2, 3, 32, 32)},
    ),
    "blip": (
        {"text_config": {**TEXT, "encoder_hidden_size": 32}, "vision_config": VISION, "projection_dim": 16},
        {"input_ids": (2, 128), "pixel_values": (2, 3, 32, 32)},
    ),
    "llava": (
        {
            "text_config": {"model_type": "llama", **TEXT, "num_key_value_heads": 2},
            "vision_config": {"model_type": "clip_vision_model", **VISION, "projection_dim": 16},
            **{"image_token_index": 7, "vision_feature_layer": -1},
        },
        {"input_ids": (2, 132), "pixel_values": (2, 3, 32, 32)},
    ),
    "wav2vec2": ({**WIDTHS, "num_conv_pos_embedding_groups": 2}, {"input_values": (2, 32_000)}),
    "time_series_transformer": (
        {"prediction_length": 8, "context_length": 16, "lags_sequence": [1, 2], "num_time_features": 1, "d_model": 8},
        {"past_values": (2, 18), "past_time_features": (2, 18, 1), "past_observed_mask": (2, 18)},
    ),
    "vivit": ({**VISION, "num_frames": 4, "tubelet_size": [2, 16, 16]}, {"pixel_values": (2, 4, 3, 32, 32)}),
    "siglip2_vision_model": (
        {**WIDTHS, "patch_size": 4, "num_patches": 16},
        {"pixel_values": (2, 256, 48), "pixel_attention_mask": (2, 256), "spatial_shapes": (2, 2)},
    ),
    "gemma4_vision": (
        {**WIDTHS, "head_dim": 16, "num_key_value_heads": 2, "patch_size": 4},
        {"pixel_values": (2, 576, 48), "pixel_position_ids": (2, 576, 2)},
    ),
    "kimi_k25_vision": ({**WIDTHS, "patch_size": 4}, {"pixel_values": (512, 3, 4, 4), "grid_thw": (2, 3)}),
    "minicpm_ocr_vision": (
        {**WIDTHS, "patch_size": 4, "image_size": 64},
        {"pixel_values": (1, 3, 4, 2048), "target_sizes": (2, 2)},
    ),
    "decision_transformer": (
        {"hidden_size": 32, "n_layer": 1, "n_head": 2, "state_dim": 3, "act_dim": 2},
        {
            **{"states": (2, 20, 3), "actions": (2, 20, 2), "rewards": (2, 20, 1), "returns_to_go": (2, 20, 1)},
            **{"timesteps": (2, 20), "attention_mask": (2, 20)},
        },
    ),
    "kosmos-2": (
        {
            "text_config": {"layers": 1, "embed_dim": 32, "attention_heads": 2, "ffn_dim": 64, "vocab_size": 500},
            **{"vision_config": VISION, "latent_query_num": 8},
        },
        {"pixel_values": (2, 3, 32, 32), "input_ids": (2, 128), "image_embeds_position_mask": (2, 128)},
    ),
    "granite_speech5_encoder": ({**WIDTHS, "num_mel_bins": 10}, {"input_features": (2, 500, 40)}),
    "speecht5": (
        SPEECH,
        {"input_values": (2, 128, 32), "decoder_input_values": (2, 128, 32)},
    ),
    "patchtst": ({"context_length": 32, "num_input_channels": 3, "d_model": 16}, {"past_values": (2, 32, 3)}),
}
"""Model type -> fields, and the shapes of its inputs at batch 2."""


@pytest.mark.parametrize("kind", CASES)
def test_a_model_gets_the_inputs_that_its_forward_needs(kind: str, tmp_path: Path) -> None:
    """The placeholders of LLaVA's image, four patches of 16 in 32 pixels, precede the 128 tokens of its text."""
    fields, shapes = CASES[kind]
    plan = plan_of(written(tmp_path, model_type=kind, **fields), 2)
    _, inputs, _ = load_model(written(tmp_path, model_type=kind, **fields), 2)
    assert {name: tuple(tensor.shape) for name, tensor in inputs.items()} == {
        **shapes,
        **{name: tuple(tensor.shape) for name, tensor in inputs.items() if name not in shapes and kind == _TIME},
    }
    assert plan.report("h200").batch == 2


_TIME = "time_series_transformer"


def test_detr_gets_an_image_and_its_mask() -> None:
    from transformers import DetrConfig, DetrModel, ResNetConfig

    backbone = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    config = DetrConfig(backbone_config=backbone, **sizes, decoder_attention_heads=2, num_queries=5)
    with torch.device("meta"):
        inputs = inputs_of(DetrModel(config), 2)
    assert inputs["pixel_values"].shape == (2, 3, 800, 800)  # as its image processor scales images
    assert inputs["pixel_mask"].shape == inputs["pixel_values"].shape[:1] + inputs["pixel_values"].shape[2:]


def test_token_ids_are_in_the_vocabulary_and_none_is_padding(tmp_path: Path) -> None:
    _, inputs, _ = load_model(written(tmp_path, **{**BERT, "vocab_size": 20}), 4)
    assert int(inputs["input_ids"].max()) < 20
    assert not (inputs["input_ids"] == 0).any()


def test_a_text_beside_an_image_has_the_length_that_is_asked_for(tmp_path: Path) -> None:
    """Its image has four placeholders in front of it."""
    plan = plan_of(written(tmp_path, model_type="llava", **CASES["llava"][0]), 2, 24)
    assert plan.length == 24
    looked_up = next(call for call in plan.graph("fp32", "eager", 3, 40).calls if call.outputs[0].shape[:2] == (3, 44))
    assert looked_up.op in ("embedding", "eq", "ne", "clone", "masked_fill")


def test_a_model_without_a_base_says_its_heads() -> None:
    config = AutoConfig.for_model("bert")
    assert {"masked-lm", "causal-lm", "question-answering"} <= set(heads(config))
    assert kebab("ImageTextToText") == "image-text-to-text"
    assert type(config) in AutoModel._model_mapping


def test_a_class_of_transformers_is_a_model_by_its_name() -> None:
    plan = plan_of("transformers:DistilBertForMaskedLM")
    assert plan.notes[0] == "priced: DistilBertForMaskedLM"
    with pytest.raises(PredictorError, match="unknown model of transformers 'DistilBertForMaskdLM': did you mean Dis"):
        plan_of("transformers:DistilBertForMaskdLM")


def test_weights_have_no_data_and_tables_have_their_values() -> None:
    module, inputs, _ = load_model("transformers:distilbert", 1)
    assert all(parameter.is_meta for parameter in module.parameters())
    assert not any(buffer.is_meta for buffer in module.buffers())
    assert TensorSpec((1, 128), "int64", (128, 1)).shape == tuple(inputs["input_ids"].shape)


@pytest.mark.parametrize(
    ("fields", "width", "depth"),
    [
        ({"model_type": "bert", **TEXT, "num_hidden_layers": 2}, 32, 2),
        ({"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 500}, 32, 2),
        ({"model_type": "qwen2", **TEXT, "num_hidden_layers": 2, "num_key_value_heads": 1}, 32, 2),
        ({"model_type": "vit", **VISION, "num_hidden_layers": 2}, 32, 2),
        ({"model_type": "distilbert", "dim": 32, "n_heads": 2, "n_layers": 2, "hidden_dim": 64}, 32, 2),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_a_configuration_is_built_wider_and_deeper(
    fields: dict[str, Any], width: int, depth: int, tmp_path: Path
) -> None:
    """Twice the width has twice the heads and, in products with weights, four times the work; twice the depth twice."""
    source = plan_of(written(tmp_path, **fields)).source
    assert isinstance(source, BuiltSource)
    assert source.shape == {"width": width, "depth": depth}

    def products(of: BuiltSource) -> list[int]:
        graph = of.graph("fp32", "eager", CaptureMode.EAGER, of.batch, of.length)
        return [call.macs for call in graph.calls if call.op in ("linear", "addmm") and call.macs > 50_000]

    now, wider, deeper = (products(of) for of in (source, source.reshaped("width", 64), source.reshaped("depth", 4)))
    assert wider == pytest.approx([4 * macs for macs in now], rel=0.01)
    assert sum(deeper) == pytest.approx(2 * sum(now), rel=0.1)
    with pytest.raises(PredictorError, match="does not grow"):
        source.reshaped("width", 33)


@pytest.mark.parametrize("kind", ["bart", "clip", "mobilebert", "resnet"])
def test_networks_of_several_widths_say_none(kind: str) -> None:
    assert shape_of(AutoConfig.for_model(kind)) == {}
