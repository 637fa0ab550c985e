"""Which file a code stands in, as an operator's origin names it."""

from __future__ import annotations

import os
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import CodeType

import torch

_ASIDE = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parent}{os.sep}", "<")

_STANDARD_LIBRARY = f"{sysconfig.get_path('stdlib')}{os.sep}"


def file_outside_of_torch(code: CodeType) -> str:
    """A code's file, of a package from its name on ("torchvision/models/resnet.py"); empty for torch's own, the
    recorder's and those of Python's standard library.
    """
    file = code.co_filename
    if file.startswith(_ASIDE) or (file.startswith(_STANDARD_LIBRARY) and "-packages" not in file):
        return ""
    return _in_its_package(file)


@lru_cache(maxsize=4096)
def _in_its_package(file: str) -> str:
    """A file relative to the folder that holds its outermost package; as it is where it is in none."""
    folder = Path(file).parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    return file if folder == Path(file).parent else Path(file).relative_to(folder).as_posix()
