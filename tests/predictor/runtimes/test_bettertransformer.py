"""BetterTransformer: encoders as torch's own, which compute the same and leave padding out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaModel,
)

from predictor import Predictor
from predictor.calibration.load import Calibration
from predictor.errors import CannotRunError
from predictor.padding import draw, padded
from predictor.predict import graph_of
from predictor.pricing.program import price
from predictor.records import CaptureOptions, OpCall, Trait
from predictor.runtimes.bettertransformer.conversion import converted
from predictor.runtimes.bettertransformer.execution import prepare
from predictor.runtimes.bettertransformer.lowering import lower

SIZES = {"vocab_size": 50, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 64}
IDS = {"input_ids": torch.randint(10, 50, (4, 40), generator=torch.Generator().manual_seed(0))}


def bert() -> nn.Module:
    return BertModel(BertConfig(**SIZES)).eval()


def distilbert() -> nn.Module:
    return DistilBertModel(DistilBertConfig(vocab_size=50, dim=32, n_heads=4, n_layers=2, hidden_dim=64)).eval()


def roberta() -> nn.Module:
    return RobertaModel(RobertaConfig(**SIZES)).eval()


@pytest.mark.parametrize("build", [bert, distilbert, roberta])
def test_a_converted_model_computes_the_same(build: type) -> None:
    torch.manual_seed(0)
    model = build()
    with torch.inference_mode():
        expected = model(**IDS).last_hidden_state
    torch.testing.assert_close(prepare(model, IDS)().last_hidden_state, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [bert, distilbert, roberta])
def test_real_tokens_of_padded_texts_are_the_same_and_padding_is_not_computed(build: type) -> None:
    torch.manual_seed(0)
    model, inputs = build(), padded(IDS, "ptb")
    real = inputs["attention_mask"].bool()
    assert int((~real).sum()) > 0
    with torch.inference_mode():
        expected = model(**inputs).last_hidden_state[real]
    found = prepare(model, inputs)().last_hidden_state
    torch.testing.assert_close(found[real], expected, rtol=1e-4, atol=1e-5)
    assert not found[~real].any()


def test_a_conversion_leaves_the_model_as_it_was_and_shares_its_weights() -> None:
    model = bert()
    before = str(model)
    twin = converted(model)
    assert str(model) == before
    assert twin.embeddings is model.embeddings
    assert twin.encoder.encoder.layers[0].linear1.weight is model.encoder.layer[0].intermediate.dense.weight


def test_what_has_torchs_own_encoder_runs_as_it_is() -> None:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    assert converted(model) is model


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(8, 8),
        AlbertModel(AlbertConfig(**SIZES, embedding_size=16)),
        BertModel(BertConfig(**{**SIZES, "num_attention_heads": 1})),
        BertModel(BertConfig(**SIZES, hidden_act="gelu_new")),
        BertModel(BertConfig(**SIZES, is_decoder=True, add_cross_attention=True)),
    ],
    ids=["no encoder", "another kind", "one head", "another activation", "cross-attention"],
)
def test_what_the_fast_path_does_not_compute_is_refused_with_the_reason(model: nn.Module) -> None:
    with pytest.raises(CannotRunError, match="BERT's and DistilBERT's kind"):
        converted(model)


def test_a_layer_is_one_operator_of_the_real_tokens() -> None:
    options = CaptureOptions(lengths="ptb")
    graph = graph_of(bert(), IDS, "fp16", "bettertransformer", options=options)
    layers = [call for call in graph.calls if call.op == "_transformer_encoder_layer_fwd"]
    tokens = sum(min(length, 40) for length in draw("ptb", 4))
    assert [call.outputs[0].shape for call in layers] == [(1, tokens, 32)] * 2
    products = [part for part in layers[0].parts if part.op in ("linear", "addmm", "_addmm_activation")]
    assert [part.outputs[0].elements for part in products] == [tokens * width for width in (96, 32, 64, 32)]
    plain = graph_of(bert(), IDS, "fp16", "bettertransformer")
    assert not any("nested" in call.op for call in plain.calls)


def test_what_the_host_does_to_the_sizes_of_nested_tensors_is_part_of_a_layer() -> None:
    """Copies and selections of tensors with a row for each sequence, in every view, transposition and product of the
    layer; without padding there are none.
    """

    def on_host(batch: int, lengths: str) -> list[OpCall]:
        inputs = {"input_ids": torch.ones(batch, 40).long()}
        graph = graph_of(bert(), inputs, "fp16", "bettertransformer", options=CaptureOptions(lengths=lengths))
        layer = next(call for call in graph.calls if call.op == "_transformer_encoder_layer_fwd")
        return [part for part in layer.parts if part.trait is Trait.HOST]

    few, many = (on_host(batch, "ptb") for batch in (4, 64))
    assert not on_host(4, "")
    assert len(few) == len(many)
    # products 2, chunk 9, views 3 x 1, transpositions 8 x 3, reshape 1, sums 1, the layer 5, the first tokens 2
    assert sum(part.op in ("clone", "zeros") for part in few) == 4 * 2 + 9 + 3 + 8 * 3 + 1 + 2 + 5 + 2
    elements = [sum(out.elements for part in parts for out in part.outputs) for parts in (few, many)]
    assert elements[1] == pytest.approx(16 * elements[0], rel=0.05)


def test_a_sequence_more_costs_the_host_what_it_does_on_an_h200(h200: Calibration) -> None:
    """A layer of 8 and 64 sequences, measured 241 and 304 us, 1.1 us a sequence; the kernels of the first are attention
    over packed sequences, and a GELU within its product.
    """

    def layer_of(batch: int) -> Any:
        inputs = {"input_ids": torch.ones(batch, 40).long()}
        graph = graph_of(bert(), inputs, "fp16", "bettertransformer", options=CaptureOptions(lengths="ptb"))
        priced = price(lower(graph), h200, h200.host("bettertransformer"))
        calls = zip(lower(graph).calls, priced.calls, strict=True)
        return next(pair for pair in calls if pair[0].op == "_transformer_encoder_layer_fwd")

    (call, few), (_, many) = layer_of(8), layer_of(64)
    assert (many.host_s - few.host_s) / 56 == pytest.approx(1.1e-6, rel=0.15)
    assert [kernel.family for kernel in call.kernels].count("attention_packed") == 1
    assert [kernel.dims.get("gelu", 0) for kernel in call.kernels if kernel.family == "gemm"] == [0, 0, 1, 0]


def test_padding_costs_kernels_elsewhere_and_next_to_none_here() -> None:
    model, inputs = BertModel(BertConfig(num_hidden_layers=2)).eval(), {"input_ids": torch.ones(64, 128).long()}
    options = CaptureOptions(lengths="ptb")
    kernel_s = {
        runtime: Predictor("h100", runtime, "fp16", options=options).predict(model, inputs).kernel_s
        for runtime in ("bettertransformer", "eager")
    }
    share = sum(draw("ptb", 64)) / (64 * 128)
    assert kernel_s["bettertransformer"] < (share + 0.25) * kernel_s["eager"]
