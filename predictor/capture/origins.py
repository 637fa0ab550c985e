"""Which file a code stands in, as an operator's origin names it."""

from __future__ import annotations

import os
from pathlib import Path
from types import CodeType

import torch

_PACKAGES = f"{Path(torch.__file__).parent.parent}{os.sep}"


_ASIDE = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parent}{os.sep}", "<")


def file_outside_of_torch(code: CodeType) -> str:
    """A code's file, relative to where packages are installed; empty for torch's own and the recorder's."""
    file = code.co_filename
    return "" if file.startswith(_ASIDE) else file.removeprefix(_PACKAGES)
