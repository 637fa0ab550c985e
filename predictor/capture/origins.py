"""Which file a code stands in, as an operator's origin names it."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from types import CodeType

import torch

_PACKAGES = f"{Path(torch.__file__).parent.parent}{os.sep}"


_ASIDE = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parent}{os.sep}", "<")

_STANDARD_LIBRARY = f"{sysconfig.get_path('stdlib')}{os.sep}"


def file_outside_of_torch(code: CodeType) -> str:
    """A code's file, relative to where packages are installed; empty for torch's own, the recorder's and those of
    Python's standard library.
    """
    file = code.co_filename
    if file.startswith(_ASIDE) or (file.startswith(_STANDARD_LIBRARY) and "-packages" not in file):
        return ""
    return file.removeprefix(_PACKAGES)
