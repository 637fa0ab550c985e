"""Names that a shell completes, and that ``--help`` lists. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def starting(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that begin with what was typed."""
    return [name for name in names if name.startswith(incomplete)]


def complete_model(ctx: Any, incomplete: str) -> list[str]:
    """Models of the zoo, and the other commands, which stand in the model's place."""
    import models_zoo

    commands = ctx.find_root().command.commands
    return starting([*models_zoo.names(), *(name for name in commands if not commands[name].hidden)], incomplete)


def complete_gpu(incomplete: str) -> list[str]:
    """Calibrated GPUs."""
    from predictor.calibration.files import known_gpus

    return starting([*known_gpus()], incomplete)


def complete_host(incomplete: str) -> list[str]:
    """Hosts of all GPUs."""
    from predictor.calibration.load import all_hosts

    return starting(["typical", *all_hosts()], incomplete)


def complete_runtime(incomplete: str) -> list[str]:
    """Runtimes."""
    from predictor import runtimes

    return starting(runtimes.names(), incomplete)


def complete_kernel(incomplete: str) -> list[str]:
    """Kernel families."""
    from predictor.kernels.families import FAMILIES

    return starting(sorted(FAMILIES), incomplete)
