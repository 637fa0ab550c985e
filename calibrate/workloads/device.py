"""What runs on a device: a call, and the settings that decide how torch runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Run = Callable[[], Any]
"""One call, ready to run."""


def synchronize(device: str) -> None:
    """Wait for the device; nothing to wait for on a CPU."""
    if device == "cuda":
        torch.cuda.synchronize()


def set_precision(dtype: str) -> None:
    """TF32 for matrix products and convolutions where the dtype says so, and only there."""
    allowed = dtype == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
