"""Where a user's data and caches are."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from predictor.calibration import files
from predictor.errors import PredictorError
from predictor.folders import cache_folder, data_folder


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user for whom the system knows no home, as platformdirs says it."""

    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_data_dir", fail)
    monkeypatch.setattr(platformdirs, "user_cache_dir", fail)


def test_xdg_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder() == tmp_path / "data" / "predictor"
    assert cache_folder() == tmp_path / "cache" / "predictor"
    assert files.user_folder() == tmp_path / "data" / "predictor" / "calibrations"


def test_a_folder_that_is_named_comes_first_and_the_shipped_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(tmp_path))
    assert files.folders() == [tmp_path, files.user_folder(), files.SHIPPED]


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_shipped_calibrations_are_found_and_writing_says_what_to_do() -> None:
    assert (data_folder(), cache_folder()) == (None, None)
    assert files.folders() == [files.SHIPPED]
    with pytest.raises(PredictorError, match="no home folder: say --out FOLDER, or set XDG_DATA_HOME"):
        files.user_folder()
