"""Examples of operators."""

from __future__ import annotations

import torch

from calibrate.measure.operators import example_kernels, examples
from predictor.kernels.families import FAMILIES, MeasuredIn


def test_examples_of_operators_run_for_real() -> None:
    table = examples(torch.float32, "cpu", large=False)
    with torch.inference_mode():
        for call in table.values():
            call()
    assert {"nothing", "linear", "conv2d", "layer_norm", "view", "host"} <= set(table)


def test_examples_on_matrix_units_have_their_kernels() -> None:
    kernels = example_kernels()
    assert {"linear", "bmm", "matmul", "einsum", "conv2d grouped", "conv1d depthwise"} <= set(kernels)
    measured = {name: row for name, row in FAMILIES.items() if row.matrix and row.measured_in is MeasuredIn.CALLS}
    of_examples = {of["fp16"].family for of in kernels.values()}
    assert {name for name, row in measured.items() if not row.stand_in} <= of_examples <= set(measured)
    dims = kernels["linear"]["fp16"].dims
    assert [dims[d] for d in ("m", "n", "k", "bias")] == [128, 768, 768, 1]
    assert kernels["conv2d"]["fp32"].dtype == "tf32"
