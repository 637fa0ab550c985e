"""The command ``predict kernel``."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from predictor.calibration.load import Calibration
from predictor.cli.main import app
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
    assert "extrapolated beyond the calibrated range" in invoke(*words).stdout


def test_a_monotone_price_is_no_less_than_that_of_a_smaller_kernel(h200: Calibration) -> None:
    words = ("kernel", "gemm", "--gpu", "h200", "--dtype", "bf16", "m=128", "n=768", "k=768", "--monotone", "--json")
    seconds = json.loads(invoke(*words).stdout)["seconds"]
    smaller = [
        h200.kernel_seconds("gemm", "bf16", m=m, n=n, k=k) for m in (32, 128) for n in (192, 768) for k in (192, 768)
    ]
    assert seconds >= max(smaller)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gem", "m=1"), "unknown kernel family 'gem': did you mean gemm or gemm_8bit?"),
        (("gemm", "m=1", "n=2"), "gemm takes m, n, k, batch, nt, bias: k?"),
        (("gemm", "m=1", "n=2", "k=3", "rows=4"), "rows?"),
        (("gemm", "m=1", "n=2", "monotone=3"), "k, monotone?"),
        (("gemm", "m=1", "n=two", "k=3"), "dimensions are NAME=NUMBER"),
        (("gemm", "m", "n=2", "k=3"), "dimensions are NAME=NUMBER"),
        (("gemm", "m=1", "n=2", "k=3", "--dtype", "fp8"), "fp8 is not supported"),
        (("gemm", "m=nan", "n=2", "k=3"), "dimensions are numbers from 0 on"),
        (("gemm", "m=1", "n=2", "k=3", "--dtype", "fp61"), "unknown dtype of h200 'fp61'"),
    ],
)
def test_a_kernel_that_cannot_be_is_one_line(words: tuple[str, ...], message: str) -> None:
    assert message in complaint(invoke("kernel", "--gpu", "h200", *words))
