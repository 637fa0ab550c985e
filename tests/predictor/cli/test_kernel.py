"""The command ``predict kernel``."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

import predictor
from predictor.calibration.load import Calibration
from predictor.cli.main import app
from predictor.kernels.families import FAMILIES
from predictor.plans import settings
from predictor.sources import plan_of
from tests.helpers import complaint


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_kernel_is_predicted_from_its_dimensions(h200: Calibration) -> None:
    words = ("kernel", "gemm", "--gpu", "h200", "--dtype", "bf16", "m=4096", "n=4096", "k=4096")
    found = json.loads(invoke(*words, "--json").stdout)
    assert found["seconds"] == h200.kernel_seconds("gemm", "bf16", m=4096, n=4096, k=4096)
    assert found["interval_s"][0] < found["seconds"] < found["interval_s"][1]
    assert (found["bound"], found["flops"], found["provenance"]) == ("compute", 2 * 4096**3, "fitted")
    text = invoke(*words).stdout
    assert f"{found['seconds'] * 1e6:.4g} us" in text
    assert "compute-bound" in text
    in_model = json.loads(invoke(*words, "--context", "model", "--json").stdout)
    assert (in_model["context"], in_model["provenance"]) == ("model", "measured")


def test_a_kernel_beyond_what_was_measured_says_so() -> None:
    words = ("kernel", "gemm", "--gpu", "h200", "m=4096", "n=4096", "k=4000000")
    assert json.loads(invoke(*words, "--json").stdout)["extrapolated"]
    lines = invoke(*words).stdout.splitlines()
    assert "extrapolated beyond the calibrated range" in " ".join(lines)
    assert max(map(len, lines)) <= 80


def test_a_monotone_price_is_no_less_than_that_of_a_smaller_kernel(h200: Calibration) -> None:
    words = ("kernel", "gemm", "--gpu", "h200", "--dtype", "bf16", "m=128", "n=768", "k=768", "--monotone", "--json")
    seconds = json.loads(invoke(*words).stdout)["seconds"]
    smaller = [
        h200.kernel_seconds("gemm", "bf16", m=m, n=n, k=k) for m in (32, 128) for n in (192, 768) for k in (192, 768)
    ]
    assert seconds >= max(smaller)


IMAGE = ("batch=1", "c_in=8", "c_out=8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gem", "m=1"), "unknown kernel family 'gem': did you mean gemm or gemm_8bit?"),
        (("gemm", "m=1", "n=2"), "gemm takes m, n, k, batch, nt, bias, gelu, added: say k"),
        (("gemm", "m=1", "n=2", "k=3", "rows=4"), "it has no rows"),
        (("gemm", "m=1", "n=2", "monotone=3"), "it has no monotone; say k"),
        (("gemm", "m=1", "n=two", "k=3"), "dimensions are NAME=NUMBER"),
        (("gemm", "m", "n=2", "k=3"), "dimensions are NAME=NUMBER"),
        (("gemm", "m=1", "n=2", "k=3", "--dtype", "fp8"), "fp8 is not supported"),
        (("gemm", "m=nan", "n=2", "k=3"), "dimensions are numbers from 0 on"),
        (("gemm", "m=0", "n=2", "k=3"), "gemm: m is 1 or more, not 0"),
        (("gemm", "m=1", "m=2", "n=2", "k=3"), "a dimension is said twice"),
        (("softmax", "rows=1", "cols=2", "stride=0"), "softmax: stride is 1 or more, not 0"),
        (("sort", "rows=1", "cols=8", "k=9"), "k=9 is more than there are, cols=8"),
        (
            ("attention", "batch=1", "heads=8", "kv_heads=3", "seq=8", "head_dim=8"),
            "evenly by kv_heads of 3",
        ),
        (("conv", *IMAGE, "h=4", "w=9", "r=5", "s=5"), "a window of r=5, dilation 1, is higher than its image of h=4"),
        (("ort_conv", *IMAGE, "h=9", "w=9", "r=3", "s=5", "dilation=3"), "s=5, dilation 3, is wider than"),
        (("conv_grouped", *IMAGE, "h=9", "w=9", "r=3", "s=3", "groups=3"), "c_in of 8 is not divided by groups of 3"),
        (("conv_depthwise", *IMAGE, "h=9", "w=9", "r=3", "s=3"), "as many groups as c_in=8, not 1: say groups=8"),
        (("conv3d", *IMAGE, "depth=2", "h=9", "w=9", "t=3", "r=3", "s=3"), "t=3, dilation 1, is deeper than"),
        (
            ("conv_transposed", *IMAGE, "h=4", "w=4", "r=3", "s=3", "out_h=8", "out_w=6"),
            "out_h=8 is not what h=4, r=3 and its stride give",
        ),
        (("gemm", "m=1", "n=2", "k=3", "--dtype", "fp61"), "unknown dtype of h200 'fp61'"),
    ],
)
def test_a_kernel_that_cannot_be_is_one_line(words: tuple[str, ...], message: str) -> None:
    assert message in complaint(invoke("kernel", "--gpu", "h200", *words))


@pytest.mark.parametrize("model", ["resnet50", "convnext", "mobilenet_v2", "distilbert", "gpt2", "wavlm"])
def test_kernels_of_models_can_be(model: str) -> None:
    """No check refuses what really runs."""
    calibration = predictor.load_calibration("h200")
    plan = plan_of(model)
    for runtime in ("eager", "compile"):
        for group in plan.program(settings("h200", runtime), 2).program.groups:
            FAMILIES[group.family].check(group.dims)
            if group.dtype in calibration.dtypes:
                seconds = calibration.kernel_seconds(group.family, group.dtype, **group.dims)
                assert (seconds > 0).all()
