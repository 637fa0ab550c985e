"""Add what ``onnx_battery`` measured of single nodes and of convolutions in exact fp32 to the samples of a calibration:

    python -m benchmarks.onnx_samples calibrations/h100/onnx_files calibrations/h100/samples

A node is drawn and lowered again: one that is a single kernel of ONNX Runtime's own, or a convolution, becomes a sample
of that family. Kernels of the sweep of nodes are lowered again, too, as their dimensions follow the lowering. Fit them
with ``calibrate --refit``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from msgspec import structs

from benchmarks.onnx_files.nodes import node
from calibrate.measure.sweep import dims_of
from calibrate.samples.records import Environment, KernelSample
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import KernelId
from calibrate.workloads.isolated import onnx_nodes
from predictor.capture.onnx_files.files import read_own
from predictor.errors import PredictorError
from predictor.records import Kernel
from predictor.runtimes.onnx.lowering import lower

OWN = "ort"
"""Begins the names of families that are measured in sessions."""

REDRAWN = ("Reduce",)
"""Begins the operators of the sweep whose dimensions an earlier lowering wrote differently."""


def single_kernel(sample: KernelSample, path: Path) -> tuple[str, Kernel] | None:
    """(Operator, kernel) of a node that is one kernel of ONNX Runtime's own; None for others."""
    node(sample.id.family, sample.id.series, sample.id.index).save(path)
    try:
        calls = [call for call in lower(read_own(path, sample.id.series)).calls if call.kernels]
    except PredictorError:
        return None
    kernels = [(call.op, kernel) for call in calls for kernel in call.kernels]
    return kernels[0] if len(kernels) == 1 and kernels[0][1].family.startswith(OWN) else None


def of_nodes(measured: SampleFile) -> Iterator[KernelSample]:
    """Samples of single nodes by the families that they are of."""
    with tempfile.TemporaryDirectory() as folder:
        for sample in measured.of(KernelSample):
            known = single_kernel(sample, Path(folder) / "node.onnx") if sample.repeats_s else None
            if known is not None:
                op, kernel = known
                dims = {name: float(value) for name, value in kernel.dims.items()}
                id = KernelId(kernel.family, f"{sample.id.family} {sample.id.series}", sample.id.index)
                yield structs.replace(sample, id=id, dtype=kernel.dtype, op=op, dims=dims)


def lowered_again(sample: KernelSample) -> KernelSample:
    """A sample of the sweep with the family and dimensions of today."""
    if sample.id.family != OWN or sample.id.series != "node" or not sample.op.startswith(REDRAWN):
        return sample
    case = onnx_nodes.case_of(sample.id.index)
    return structs.replace(sample, id=case.id, dims=dims_of(case))


def main() -> None:
    """Write the samples anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="folder that onnx_battery wrote")
    parser.add_argument("samples", type=Path, help="folder of a calibration's samples")
    options = parser.parse_args()
    path = options.samples / "kernels.jsonl.gz"
    file = SampleFile(path)
    kept = [lowered_again(sample) for sample in file.of(KernelSample)]
    nodes = list(of_nodes(SampleFile(options.measured / "nodes.jsonl.gz")))
    exact = SampleFile(options.measured / "convolutions.jsonl.gz").of(KernelSample)
    aside = options.samples / "aside.jsonl.gz"
    aside.unlink(missing_ok=True)
    SampleFile(aside).append([*file.of(Environment), *kept, *nodes, *exact])
    os.replace(aside, path)
    counts = Counter(sample.id.family for sample in (*nodes, *exact))
    print(", ".join(f"{count} {family}" for family, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
