"""The README's figures are what its commands print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibrate.cli.validate import app
from predictor.runtimes import names

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("marker", "gpu", "command", "data"),
    [
        ("accuracy", "h200", [], "h200/validation/eager.jsonl.gz"),
        ("runtimes", "h200", ["runtimes"], "h200/validation"),
        ("derived", "h100", ["runtimes"], "h100/validation"),
        ("own_host", str(ROOT / "calibrations" / "h100" / "own_host"), ["runtimes"], "h100/validation"),
        ("unseen", "h100", ["runtimes"], "h100/unseen"),
    ],
)
def test_the_accuracy_tables_are_what_the_command_prints(marker: str, gpu: str, command: list[str], data: str) -> None:
    path = ROOT / "calibrations" / data
    printed = CliRunner().invoke(app, [*command, "--gpu", gpu, "--data", str(path), "--markdown"]).stdout
    shown = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert shown is not None
    assert shown[1].strip() == printed.strip()
    if marker != "accuracy":
        assert {line.split()[1] for line in printed.splitlines()[2:9]} == set(names())
