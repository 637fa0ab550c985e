"""Where generated models come from, and what must be known of each source; no torch is needed to ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Generate = Callable[[int, tuple[int, ...]], tuple[Any, Any]]
"""Seed and widths -> (module in evaluation mode, inputs of batch 1)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of generated models.

    name: models are named after it, "library/3" is its model of seed 3; module, function: where it is generated.
    ordered: most operators depend on those before them, so a compiler keeps the order of their kernels, and a profile
    can be matched with what was predicted. shows_host: what its models take says something of the host.
    """

    name: str
    module: str
    function: str = "generate"
    ordered: bool = True
    shows_host: bool = True

    def generate(self, seed: int, widths: tuple[int, ...]) -> tuple[Any, Any]:
        """(module in evaluation mode, inputs of batch 1) of a seed."""
        function: Generate = getattr(import_module(f"calibrate.workloads.{self.module}"), self.function)
        return function(seed, widths)

    def model(self, seed: int) -> str:
        """Name of the model of a seed."""
        return f"{self.name}/{seed}"


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source("generated", "modules"),
        Source("library", "architectures"),
        Source("deep", "architectures", "deep"),
        Source("loops", "loops", ordered=False, shows_host=False),
    )
}
"""Name -> source."""


def source_of(model: str) -> tuple[Source, int] | None:
    """(Source, seed) of a generated model by its name; None for any other model."""
    name, _, seed = model.partition("/")
    return (SOURCES[name], int(seed)) if name in SOURCES and seed.isdecimal() else None
