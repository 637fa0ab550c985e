"""An operator and a kernel family are added in one place each: a file in their folder, found by all that uses them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

OPERATOR = """
from functools import partial

from predictor.ops.row import Operator
from predictor.records import Kernel, Trait


def lower(call):
    x = call.tensors[0]
    dims = {"cells": x.elements, "bytes_read": x.nbytes, "bytes_written": call.outputs[0].nbytes}
    return (Kernel("lattice", x.dtype, dims),)


ROWS = (
    Operator(
        ("mylib::stencil",),
        Trait.POINTWISE,
        lower,
        macs=lambda call: 9 * call.outputs[0].elements,
        example=lambda o: lambda: o.torch.ops.mylib.stencil(o.x),
    ),
)
"""

FAMILY = """
from predictor.kernels.family import Family, log

ROWS = (
    Family(
        name="lattice",
        dims={"cells": None, "bytes_read": None, "bytes_written": None},
        flops=lambda d: 9 * d["cells"],
        nbytes=lambda d, size: d["bytes_read"] + d["bytes_written"],
        features=lambda d, size, sms: [log(d["cells"])],
        sizes=("cells", "bytes_read", "bytes_written"),
        profiler_names="lattice_kernel",
    ),
)
"""

RECIPE = """
import torch

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, log_uniform


def draw(rng, scale):
    return Recipe(torch.ops.mylib.stencil, (Operand((log_uniform(rng, 8, scale.elements),)),))


ROWS = (FamilyRecipe("lattice", draw, 320),)
"""

PROGRAM = """
import json

import torch

library = torch.library.Library("mylib", "FRAGMENT")
library.define("stencil(Tensor x) -> Tensor")
for key in ("CPU", "Meta"):
    library.impl("stencil", lambda x: torch.empty_like(x), key)

from calibrate.fit.kernels import fit_kernels
from calibrate.fit.alignment import align
from calibrate.measure.operators import examples
from calibrate.samples.kernels import MeasuredKernel
from calibrate.workloads import sweeps
from predictor.calibration.load import load_calibration
from predictor.capture.recorder import capture
from predictor.pricing.program import price
from predictor.runtimes.eager import lowering as eager


class Stencil(torch.nn.Module):
    def forward(self, x):
        return torch.ops.mylib.stencil(x)


graph = capture(Stencil(), torch.empty(4, 8), "fp16")
program = eager.lower(graph)
h200 = load_calibration("h200")
(priced,) = price(program, h200, h200.host("eager")).calls
with torch.inference_mode():
    shape = examples(torch.float32, "cpu", large=False)["mylib::stencil"]().shape
cases = [sweeps.make_case("lattice", "any", i, sweeps.QUICK_CPU.scale) for i in range(12)]
samples = [
    MeasuredKernel(k.family, k.dtype, dict(k.dims), 1e-6 * (i + 1))
    for i, k in enumerate(case.kernel for case in cases)
]
fits = fit_kernels(samples, h200.device)
print(json.dumps({
    "op": graph.calls[0].op,
    "macs": graph.macs,
    "unmodelled": dict(program.unmodelled),
    "kernels": [[k.family, dict(k.dims)] for k in program.calls[0].kernels],
    "kernel_s": [k.seconds for k in priced.kernels],
    "example": list(shape),
    "planned": sweeps.FULL.counts["lattice"],
    "cases": sorted({case.op for case in cases}),
    "fits": [[fit.family, fit.units] for fit in fits],
    "aligned": align(["lattice"], [1], [1e-6], ["lattice_kernel<float>"], [1e-6]),
}))
"""


def test_a_file_adds_an_operator_and_two_a_kernel_family_with_its_sweep(tmp_path: Path, repository: Path) -> None:
    """A copy of the packages with three files more: nothing else is touched."""
    for package in ("predictor", "calibrate", "models_zoo"):
        shutil.copytree(
            repository / package,
            tmp_path / package,
            copy_function=os.symlink,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    (tmp_path / "predictor" / "ops" / "stencils.py").write_text(OPERATOR)
    (tmp_path / "predictor" / "kernels" / "lattices.py").write_text(FAMILY)
    (tmp_path / "calibrate" / "workloads" / "recipes" / "lattices.py").write_text(RECIPE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "JOBLIB_MULTIPROCESSING": "0"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["kernel_s"][0] > 0
    assert {name: value for name, value in found.items() if name != "kernel_s"} == {
        "op": "mylib::stencil",
        "macs": 9 * 32,
        "unmodelled": {},
        "kernels": [["lattice", {"cells": 32, "bytes_read": 64, "bytes_written": 64}]],
        "example": [1, 4, 16],
        "planned": 320,
        "cases": ["mylib::stencil"],
        "fits": [["lattice", "any"]],
        "aligned": [[0, 1]],
    }
