"""The guides for searches: what they show runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

MARK = re.compile(r"(?:<!-- needs (\w+) -->\n)?```python\n(.*?)```", re.S)


def blocks(page: Path) -> list[tuple[str, str]]:
    """(What it needs besides this project, code) of every block of Python on a page."""
    return MARK.findall(page.read_text("utf-8"))


def run(page: Path) -> dict[str, Any]:
    """Run a page's blocks one after another as a program, those that need what is not installed left out."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for needs, code in blocks(page):
        compiled = compile(code, str(page), "exec")
        if not needs or importlib.util.find_spec(needs):
            exec(compiled, names)
    return names


def test_what_the_guide_for_searches_shows_runs(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run(repository / "docs" / "search.md")
    assert 0 < names["cost"](64, 2) < names["cost"](64, 4)
    assert [result.error for result in names["results"]] == ["", "", ""]
    assert names["table"].array.shape == (1, 2, 1, 3, 2)
    assert [result.macs for result in names["again"]] == [result.macs for result in names["results"]]
    assert any(result.over_budget for result in names["within"])
    assert " ms" in capsys.readouterr().out


def test_what_the_guide_for_clusters_shows_runs(repository: Path) -> None:
    page = repository / "docs" / "cluster.md"
    needs = {needed for needed, _ in blocks(page)}
    assert {"distributed", "dask_jobqueue", "ray"} <= needs
    pytest.importorskip("distributed")
    results = run(page)["results"]
    assert len(results) == 40
    assert results.errors == ()
