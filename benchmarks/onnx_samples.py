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


CHANNEL_BY_CHANNEL = 200
"""Launches of a depthwise convolution beyond which a library ran its channels one after another."""


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


RECURRENT = "ort_recurrent_product"
"""Family of a recurrent layer's product with its state."""

CELL_S = 1.3e-6
"""Of the kernel behind every such product (elemWiseRNNcell: 495 us of 384 in a model of the battery on an H100)."""


def of_recurrent(measured: SampleFile) -> Iterator[KernelSample]:
    """Products of recurrent layers with their state: a step of a layer, without its cell. The product of the inputs,
    one for all steps, is left in.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.onnx"
        for sample in measured.of(KernelSample):
            if sample.id.family != "recurrent" or not sample.repeats_s:
                continue
            node(sample.id.family, sample.id.series, sample.id.index).save(path)
            calls = lower(read_own(path, sample.id.series)).calls
            steps = [kernel for call in calls for kernel in call.kernels if kernel.family == RECURRENT]
            count = sum(kernel.times for kernel in steps)
            repeats_s = tuple(seconds / count - CELL_S for seconds in sample.repeats_s) if count else ()
            if repeats_s and min(repeats_s) > 0:
                dims = {name: float(value) for name, value in steps[0].dims.items()}
                id = KernelId(RECURRENT, f"recurrent {sample.id.series}", sample.id.index)
                changed = {"id": id, "dtype": steps[0].dtype, "dims": dims, "repeats_s": repeats_s, "launches": 1}
                yield structs.replace(sample, op="recurrent", **changed)


def is_told_by_its_shape(sample: KernelSample) -> bool:
    """Whether the library's choice is. Of depthwise windows of 65 x 1 in TF32 cuDNN ran 8 of 11 single nodes channel by
    channel, in 60 times the time, and none of the ones in the battery's models: those 8 would be taken for the rule.
    """
    return not (sample.dtype == "tf32" and sample.launches > CHANNEL_BY_CHANNEL)


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
    nodes = [s for s in of_nodes(SampleFile(options.measured / "nodes.jsonl.gz")) if is_told_by_its_shape(s)]
    nodes += of_recurrent(SampleFile(options.measured / "nodes.jsonl.gz"))
    exact = SampleFile(options.measured / "convolutions.jsonl.gz").of(KernelSample)
    aside = options.samples / "aside.jsonl.gz"
    aside.unlink(missing_ok=True)
    SampleFile(aside).append([*file.of(Environment), *kept, *nodes, *exact])
    os.replace(aside, path)
    counts = Counter(sample.id.family for sample in (*nodes, *exact))
    print(", ".join(f"{count} {family}" for family, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
