"""ONNX Runtime is imported in one place, where its telemetry is off."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import predictor


def test_its_telemetry_is_off_before_it_is_imported() -> None:
    code = "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None); from predictor import onnx_runtime; "
    code += "onnx_runtime.load(); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_nobody_else_imports_it() -> None:
    root = Path(predictor.__file__).parent.parent
    files = [f for folder in ("predictor", "calibrate", "benchmarks") for f in (root / folder).rglob("*.py")]
    imports = re.compile(r"^\s*(import onnxruntime|from onnxruntime)", re.MULTILINE)
    assert [f.name for f in files if imports.search(f.read_text(encoding="utf-8"))] == []
