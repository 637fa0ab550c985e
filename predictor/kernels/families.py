"""Kernel families: one row each (``family.Family``), in the modules of this folder by kind, in ``ROWS`` of its module.

The calibration sweep samples a family's dimensions and fits on its features; prices are made with the same functions.
Dimensions are float arrays that broadcast; numpy only.
"""

from __future__ import annotations

import importlib
import pkgutil

import predictor.kernels
from predictor.kernels.family import Array, Dims, Family, MeasuredIn, itemsize

__all__ = ["FAMILIES", "MATRIX_DTYPES", "Array", "Dims", "Family", "MeasuredIn", "fit_name", "itemsize"]

MATRIX_DTYPES = ("fp32", "tf32", "fp16", "bf16")
"""Dtypes with a matrix peak of their own. tf32: fp32 storage, TF32 matrix units."""

FAMILIES: dict[str, Family] = {}
"""Family name -> row."""


def fit_name(family: str, dtype: str) -> str:
    """Which fit prices a dtype. Dtypes that run alike share one, so that each learns from the other's samples: all off
    the matrix units ("any"), the 16-bit formats on them ("half"), fp32 and TF32 where products are a small part of the
    work ("single").
    """
    if not FAMILIES[family].matrix:
        return "any"
    if dtype in ("fp16", "bf16"):
        return "half"
    return "single" if FAMILIES[family].same_in_tf32 else dtype


def _add(row: Family) -> None:
    if row.name in FAMILIES:
        raise ValueError(f"two rows for the kernel family {row.name}")
    FAMILIES[row.name] = row


for _name in sorted(m.name for m in pkgutil.iter_modules(predictor.kernels.__path__)):
    if f"{predictor.kernels.__name__}.{_name}" != __name__:
        for _row in getattr(importlib.import_module(f"{predictor.kernels.__name__}.{_name}"), "ROWS", ()):
            _add(_row)
