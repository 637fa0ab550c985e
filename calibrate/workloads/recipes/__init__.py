"""What the kernel sweep runs: for each family, seeded random calls that cover its dimensions.

A recipe is a torch call and its operands. Which kernel that is, with which dimensions, is read off the call by the same
capture that a prediction uses, so the sweep and the cost model cannot disagree about a feature. Recipes stand in the
modules of this folder, each in its module's ``ROWS``, and are found by the name of their family. What fewer models run,
of any family, stands in ``RARE``, layers that nearly all models of a kind share in ``COMMON``, and shapes that
strangers' models have in ``VARIED``, on batches in ``BATCHED``, operators that the others leave out in ``OPERATORS``,
shapes that a library's usual kernels do not fit in ``UNEVEN``, the largest calls in ``LARGE``, and calls as published
networks make them in ``TYPICAL``: series of their own.
"""

from __future__ import annotations

import importlib
import pkgutil

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Scale

__all__ = [
    "BATCHED",
    "COMMON",
    "LARGE",
    "OPERATORS",
    "RARE",
    "RECIPES",
    "TYPICAL",
    "UNEVEN",
    "VARIED",
    "FamilyRecipe",
    "Operand",
    "Recipe",
    "Scale",
]

RECIPES: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs."""

RARE: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs besides: calls that fewer models make."""

COMMON: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs besides: layers of the same few sizes in many models."""

VARIED: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs besides: shapes that are in no zoo."""

BATCHED: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs besides: layers on batches, where a library's choice turns on the batch."""


OPERATORS: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs besides: operators whose kernels no other recipe reaches."""

UNEVEN: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs besides: odd numbers of channels and lengths, shared masks, and the like."""

LARGE: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs besides: the largest calls that models make."""


TYPICAL: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs besides: calls as published networks make them, where a library's choice turns."""


def _add(rows: dict[str, FamilyRecipe], row: FamilyRecipe) -> None:
    if row.family in rows:
        raise ValueError(f"two recipes for the kernel family {row.family}")
    rows[row.family] = row


_TABLES = {
    **{"ROWS": RECIPES, "RARE": RARE, "COMMON": COMMON, "VARIED": VARIED, "BATCHED": BATCHED},
    **{"OPERATORS": OPERATORS, "UNEVEN": UNEVEN, "LARGE": LARGE, "TYPICAL": TYPICAL},
}

for _name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    _module = importlib.import_module(f"{__name__}.{_name}")
    for _table, _rows in _TABLES.items():
        for _row in getattr(_module, _table, ()):
            _add(_rows, _row)
