"""Settings that decide how torch runs."""

from __future__ import annotations

import torch

from calibrate.workloads.device import set_precision


def test_the_precision_of_matrix_units_follows_the_dtype() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        set_precision("tf32")
        assert torch.backends.cuda.matmul.allow_tf32
        set_precision("fp32")
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
