"""The README's figures are what its commands print."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from calibrate.validate import app

ROOT = Path(__file__).resolve().parent.parent


def test_the_accuracy_tables_are_what_the_command_prints() -> None:
    data = ROOT / "calibrations" / "h200" / "validation" / "eager.jsonl"
    printed = CliRunner().invoke(app, ["--gpu", "h200", "--data", str(data), "--markdown"]).stdout
    shown = re.search(r"<!-- accuracy -->\n(.*?)<!-- /accuracy -->", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert shown is not None
    assert shown[1].strip() == printed.strip()
