"""The battery: its families are drawn, its models run, what is measured of it is what was planned."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from benchmarks.battery import families
from benchmarks.measure_battery import TIERS, parts
from predictor.sources import load_model
from tests.helpers import RUN_ANYTHING

ROOT = Path(__file__).resolve().parents[1]
SMALLEST = (
    "small:mlp_of_two",
    "sequences:linear_attention",
    "generative:vector_quantised",
    "convolutional:subpixel",
    "fresh:set_transformer",
    "strangers:ecg_resnet",
    "newcomers_vision:distilled_upscaler",
    "visitors:searched_encoder",
    "guests:liquid_driver",
)


def test_the_split_is_the_one_that_was_drawn() -> None:
    assert families.draw() == families.HELD_OUT
    learned, held_out = families.models("learn"), families.models("held_out")
    assert set(learned).isdisjoint(held_out)
    assert len(learned) + len(held_out) >= 60


@pytest.mark.parametrize("split", families.UNSEEN)
def test_models_that_are_read_once_are_a_split_of_their_own(split: str) -> None:
    unseen = families.models(split)
    others = [other for other in ("learn", "held_out", *families.UNSEEN) if other != split]
    assert set(unseen).isdisjoint(model for other in others for model in families.models(other))
    assert len(unseen) == len(set(unseen)) == sum(len(members) for members in families.UNSEEN[split].values())
    assert len(unseen) >= {"newcomers": 22, "visitors": 26}.get(split, 30)
    assert len(families.UNSEEN[split]) >= 20
    assert not families.variants(split)


def test_every_function_of_a_file_is_in_one_family() -> None:
    tables = [families.FAMILIES, *families.UNSEEN.values()]
    listed = [model for table in tables for members in table.values() for model in members]
    written = [
        f"{path.stem}:{line[4:].split('(')[0]}"
        for path in (ROOT / "benchmarks" / "battery").glob("*.py")
        if path.stem != "families"
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("def ") and not line.startswith("def _")
    ]
    assert Counter(listed) == Counter(written)


@pytest.mark.parametrize("model", SMALLEST)
def test_a_model_runs_with_the_inputs_of_its_batch(model: str) -> None:
    for batch in (1, 3):
        module, inputs, _ = load_model(str(ROOT / families.specification(model)), batch)
        assert not module.training
        with torch.inference_mode():
            outputs = module(**inputs)
        assert outputs.shape[0] == batch


@pytest.mark.parametrize(
    ("model", "library"),
    [
        *(("wild:repghost", "timm"), ("wild:pmlp", "torch_geometric")),
        *(("drawn:shvit", "timm"), ("drawn:agnn", "torch_geometric"), ("drawn:flash_video", "vit_pytorch")),
        *(("picked:lc_net", "timm"), ("picked:bases", "torch_geometric"), ("picked:special_class", "vit_pytorch")),
        *(("picked:mixed_video", "torchvision"), ("picked:psp_net", "segmentation_models_pytorch")),
        *(("found:star_net", "timm"), ("found:super_gat", "torch_geometric"), ("found:sos_net", "kornia")),
        ("found:mobile_net", "pytorchcv"),
    ],
)
def test_a_model_of_a_public_library_runs_where_that_is_installed(model: str, library: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    rows = {}
    for batch in (1, 2):
        module, inputs, _ = load_model(str(ROOT / families.specification(model)), batch)
        assert not module.training
        with torch.inference_mode():
            rows[batch] = module(**inputs).shape[0]
    assert rows[2] == 2 * rows[1]


def test_what_is_measured_has_every_model_under_every_runtime() -> None:
    measured = sorted(name for tier in TIERS for name in tier)
    assert measured == RUN_ANYTHING
    first, others, variants = parts("learn", measured, [])
    usual = [*first, *others]
    assert len(usual) == len(set(usual)) == len(families.models("learn")) * len(measured) * 2
    assert {case.dtype for case in usual if "experts_grouped" not in case.model} == {"fp16"}
    assert not set(variants) & set(usual)
    assert {(c.dtype, c.batch) for c in variants} == {
        (d, b) for rows in families.variants("learn").values() for d, b in rows
    }
    assert {c.dtype for c in variants} == {"fp16", "fp32", "bf16"}


@pytest.mark.parametrize("split", families.UNSEEN)
def test_of_a_model_that_is_read_once_the_usual_cases_alone_are_measured(split: str) -> None:
    first, others, variants = parts(split, ["eager"], [])
    assert len(first) == 2 * len(families.UNSEEN[split])
    assert {(case.dtype, case.batch) for case in [*first, *others]} == {("fp16", 1), ("fp16", 16)}
    assert len(first) + len(others) == 2 * len(families.models(split))
    assert not variants
