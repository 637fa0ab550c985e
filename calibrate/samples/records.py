"""Records of what was measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure."""

    model: str
    batch: int
    dtype: str
    runtime: str

    @property
    def key(self) -> str:
        return f"{self.model}/{self.batch}/{self.dtype}/{self.runtime}"
