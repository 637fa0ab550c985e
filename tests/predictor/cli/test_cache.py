"""The command ``predict cache``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from predictor import disk_cache
from predictor.cli.main import app


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["cache", *arguments])
    assert result.exit_code == 0
    return result.stdout


def test_it_shows_what_is_kept_and_removes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path))
    cache = disk_cache.cache_of("plans")
    assert cache is not None
    cache.write("abcdef", bytes(2_000_000))
    shown = said()
    assert "1 file" in shown
    assert "2.0 MB" in shown
    assert str(tmp_path) in shown
    assert "1 file" in said("--clear")
    assert cache.usage() == (0, 0)
    assert "0 files" in said()


def test_it_says_that_it_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_CACHE", "off")
    assert said() == said("--clear") == "nothing is kept: PREDICTOR_CACHE=off\n"
