"""Standard output is the program's own while a user's code runs."""

from __future__ import annotations

import sys

import pytest

from predictor.standard_output import to_standard_error


def test_the_last_of_several_threads_sets_it_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever entered first."""
    before, first, second = sys.stdout, to_standard_error(), to_standard_error()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    print("inside")
    second.__exit__(None, None, None)
    print("after")
    assert sys.stdout is before
    assert capsys.readouterr() == ("after\n", "inside\n")
