"""Large tensors that a model's code makes and nobody fills: they are made without memory while it is built."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

MOST_EMPTY = 2**28
"""Elements of the largest tensor that is made with memory while a model is built: 1 GiB in single precision."""


class WithoutMemory(TorchFunctionMode):
    """Large tensors that nobody has filled yet are made on meta: a parameter may fit nowhere before it is moved."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty and not {"device", "out"} & kwargs.keys():
            empty = func(*args, **kwargs, device="meta")
            if empty.numel() > MOST_EMPTY:
                return empty
        return func(*args, **kwargs)
