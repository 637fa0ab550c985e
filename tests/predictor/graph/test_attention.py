"""Attention multiplied out, as libraries ran it before torch had it fused."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel
from typer.testing import CliRunner

import models_zoo
from predictor.capture.recorder import capture
from predictor.cli.main import app
from predictor.graph import files
from predictor.graph.attention import attention_of, multiplied_out
from predictor.predict import graph_of
from predictor.records import CaptureMode, Graph, Kernel
from predictor.runtimes.eager import lowering as eager
from tests.helpers import complaint


def kernels(graph: Graph) -> list[tuple[str, str, tuple[tuple[str, float], ...]]]:
    found: list[Kernel] = [k for call in eager.lower(graph).calls for k in call.kernels]
    return [(k.family, k.dtype, tuple(sorted(k.dims.items()))) for k in found]


@pytest.mark.parametrize(("mode", "runtime"), [(CaptureMode.EAGER, "eager"), (CaptureMode.TRACED, "torchscript")])
def test_bert_multiplied_out_launches_what_bert_captured_so_launches(mode: CaptureMode, runtime: str) -> None:
    fused = files.read(models_zoo.graphs("bert-base")).find("fp16", mode, 8, 128)
    assert fused is not None
    with torch.device("meta"):
        module = BertModel._from_config(BertConfig(), attn_implementation="eager").eval()
    captured = graph_of(module, {"input_ids": torch.full((8, 128), 1000)}, "fp16", runtime, "bert")
    out = multiplied_out(fused)
    assert Counter(kernels(out)) == Counter(kernels(captured))
    assert out.macs == captured.macs == fused.macs
    assert not any("scaled_dot" in call.op for call in out.leaves)


class Attention(nn.Module):
    def __init__(self, masked: bool, causal: bool) -> None:
        super().__init__()
        self.masked, self.causal = masked, causal

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        given = mask if self.masked else None
        return (
            nn.functional.scaled_dot_product_attention(q, k, v, given, is_causal=self.causal).transpose(1, 2).flatten(2)
        )


class MultipliedOut(nn.Module):
    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.masked = masked

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        scores = torch.matmul(q, k.transpose(2, 3)) * 0.125
        scores = scores + mask if self.masked else scores
        return torch.matmul(torch.softmax(scores, -1), v).transpose(1, 2).contiguous().flatten(2)


@pytest.mark.parametrize(("masked", "causal"), [(False, False), (True, False), (False, True)])
def test_it_is_what_a_model_of_products_runs(masked: bool, causal: bool) -> None:
    inputs = tuple(torch.empty(2, 4, 32, 64, device="meta") for _ in range(3))
    mask = torch.empty(2, 1, 32, 32, device="meta") if masked else torch.empty(32, 32, device="meta")
    ours = multiplied_out(capture(Attention(masked, causal), (*inputs, mask), "fp16"))
    theirs = capture(MultipliedOut(masked or causal), (*inputs, mask), "fp16")
    assert kernels(ours) == kernels(theirs)
    made = {value for call in ours.calls for value in call.output_ids}
    assert len(made) == sum(len(call.output_ids) for call in ours.calls)
    assert set(ours.outputs) <= made


@pytest.mark.parametrize(("version", "has"), [("1.12.1", "eager"), ("2.11.0+cu130", "sdpa"), ("", "sdpa")])
def test_the_version_of_torch_says_what_there_is(version: str, has: str) -> None:
    assert attention_of(version) == has


def test_the_option_picks_the_graph() -> None:
    def lines(*more: str) -> str:
        found = CliRunner().invoke(app, ["--model", "bert-base", "--gpu", *more])
        assert found.exit_code == 0, found.output
        return str(found.output)

    assert "scaled_dot_product_attention" in lines("h200")
    assert "matmul" in lines("h200", "--attention", "eager")
    assert lines("v100") == lines("v100", "--attention", "eager")  # torch 1.12 has no other
    assert lines("v100") != lines("v100", "--attention", "sdpa")
    wrong = CliRunner().invoke(app, ["--model", "bert-base", "--gpu", "h200", "--attention", "flash"])
    assert "unknown attention 'flash'" in complaint(wrong)
