"""What mkdocs is told besides: pages that stand outside of docs/, and that a page in the navigation may be missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent.parent
OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages at the top of the repository that belong to the site."""


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not there: some pages come with features of their own."""
    config["nav"] = _existing(config["nav"])
    return config


def _existing(entries: list[Any]) -> list[Any]:
    kept = []
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            kept.append({title: _existing(target)})
        elif target in OUTSIDE or (ROOT / "docs" / target).is_file():
            kept.append(entry)
    return kept


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from the top."""
    for name in OUTSIDE:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links as they are right in the repository -> as they are right in the site."""
    if page.file.src_uri in OUTSIDE:
        return re.sub(r"\]\(docs/", "](", markdown)
    return re.sub(rf"\]\(\.\./({'|'.join(map(re.escape, OUTSIDE))})", r"](\1", markdown)
