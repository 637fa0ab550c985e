"""Puts the output of the documented commands into README.md and the pages in docs/, between their markers. Run by
``make tables``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks import command_line

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PUBLISHED = Path(os.environ.get("PREDICTOR_DATA", "data")).resolve() / "published_latency_2022.csv"
"""The published latencies, which are not part of this repository: without them their table stays as it is. The variable
PREDICTOR_DATA names their folder."""

COMMANDS = {
    "advise": ["predict", "bert-base", "--gpu", "a100", "--advise"],
    "demo": ["predict", "funnel", "--runtime", "onnx", "--gpu", "a100"],
    "accuracy": [
        *("validate", "--gpu", "h200", "--markdown"),
        *("--data", "calibrations/h200/validation/eager.jsonl.gz"),
    ],
    "runtimes": [
        *("validate", "runtimes", "--gpu", "h200", "--markdown"),
        *("--data", "calibrations/h200/validation"),
    ],
    "derived": [
        *("validate", "runtimes", "--gpu", "calibrations/h100/datasheet.json", "--markdown"),
        *("--data", "calibrations/h100/validation"),
    ],
    "h100": [
        *("validate", "runtimes", "--gpu", "h100", "--markdown"),
        *("--data", "calibrations/h100/validation"),
    ],
    "unseen": [
        *("validate", "runtimes", "--gpu", "calibrations/h100/datasheet.json", "--markdown"),
        *("--data", "calibrations/h100/unseen"),
    ],
    "zoo": [
        *("validate", "runtimes", "--gpu", "h200", "--markdown", "--dtype", "fp16,fp32"),
        *("--data", "calibrations/h200/paper"),
    ],
    "gpus": ["predict", "list", "gpus"],
    "published": ["validate", "published", "--markdown", "--data", str(PUBLISHED)],
}


def replaced(text: str, marker: str, content: str) -> str:
    """The text with what stands between a marker's two comments replaced."""
    pattern = rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)"
    return re.sub(pattern, lambda m: m[1] + content + m[2], text, flags=re.S)


def page_of(marker: str) -> Path:
    """The page with a marker. Raises ValueError where none or several have it."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    (page,) = (path for path in pages if f"<!-- {marker} -->" in path.read_text(encoding="utf-8"))
    return page


def main() -> None:
    """Run the commands and rewrite the pages."""
    for marker, command in COMMANDS.items():
        if str(PUBLISHED) in command and not PUBLISHED.is_file():
            continue
        done = subprocess.run(
            [BIN / command[0], *command[1:]], cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8"
        )
        output = done.stdout.rstrip() + "\n"
        content = output if "--markdown" in command else f"```text\n{output}```\n"
        page = page_of(marker)
        page.write_text(replaced(page.read_text(encoding="utf-8"), marker, content), encoding="utf-8")
    command_line.PAGE.write_text(command_line.page(), encoding="utf-8")


if __name__ == "__main__":
    main()
