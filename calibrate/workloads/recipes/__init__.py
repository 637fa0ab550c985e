"""What the kernel sweep runs: for each family, seeded random calls that cover its dimensions.

A recipe is a torch call and its operands. Which kernel that is, with which dimensions, is read off the call by the same
capture that a prediction uses, so the sweep and the cost model cannot disagree about a feature. Recipes stand in the
modules of this folder, each in its module's ``ROWS``, and are found by the name of their family.
"""

from __future__ import annotations

import importlib
import pkgutil

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Scale

__all__ = ["RECIPES", "FamilyRecipe", "Operand", "Recipe", "Scale"]

RECIPES: dict[str, FamilyRecipe] = {}
"""Family -> what its sweep runs."""

for _name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    for _row in getattr(importlib.import_module(f"{__name__}.{_name}"), "ROWS", ()):
        if _row.family in RECIPES:
            raise ValueError(f"two recipes for the kernel family {_row.family}")
        RECIPES[_row.family] = _row
