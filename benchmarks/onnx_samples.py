"""Add what ``onnx_battery`` measured of single nodes and of convolutions in exact fp32 to the samples of a calibration:

    python -m benchmarks.onnx_samples calibrations/h100/samples --measured calibrations/h100/onnx_files

A node is drawn and lowered again: one that is a single kernel of ONNX Runtime's own, or a convolution, becomes a sample
of that family. Kernels of the sweep of nodes are lowered again, too, as their dimensions follow the lowering: without
``--measured`` nothing else is done. Fit them with ``calibrate --refit``, or with ``--fit`` their families alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from benchmarks.onnx_files.nodes import node
from calibrate.fit import runtimes
from calibrate.fit.kernel_tables import merged
from calibrate.fit.kernels import by_fit, fit_family
from calibrate.measure.sweep import dims_of
from calibrate.samples.files import Samples
from calibrate.samples.kernels import MeasuredKernel, measured_kernels
from calibrate.samples.records import Environment, KernelSample
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import KernelId
from calibrate.workloads.isolated import onnx_nodes
from predictor.calibration import files
from predictor.calibration.load import load_calibration
from predictor.calibration.schema import Kernels, Provenance
from predictor.capture.onnx_files.files import read_own
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES, MeasuredIn
from predictor.pricing.kernels import roofline_s
from predictor.pricing.transfer import transferred
from predictor.records import Kernel
from predictor.runtimes.onnx import lowering
from predictor.runtimes.onnx.lowering import lower

OWN = "ort"
"""Begins the names of families that are measured in sessions."""

REDRAWN = ("Reduce", "Transpose", "Gelu", "Clip", "LayerNormalization", "SkipLayerNormalization")
"""Begins the operators of the sweep whose dimensions an earlier lowering wrote differently."""


def single_kernel(sample: KernelSample, path: Path) -> tuple[str, Kernel] | None:
    """(Operator, kernel) of a node that is one kernel of ONNX Runtime's own; None for others, and for those whose price
    is a closed form, which no sample is fitted to.
    """
    node(sample.id.family, sample.id.series, sample.id.index).save(path)
    try:
        calls = [call for call in lower(read_own(path, sample.id.series)).calls if call.kernels]
    except PredictorError:
        return None
    kernels = [(call.op, kernel) for call in calls for kernel in call.kernels]
    is_fitted = len(kernels) == 1 and FAMILIES[kernels[0][1].family].measured_in is not MeasuredIn.NOWHERE
    return kernels[0] if is_fitted and kernels[0][1].family.startswith(OWN) else None


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


def is_one_kernel(sample: KernelSample) -> bool:
    """Whether a node of the sweep is one of ONNX Runtime's kernels as it is lowered today."""
    return not (sample.id.series == "node" and sample.op == "InstanceNormalization")


def lowered_again(sample: KernelSample) -> KernelSample:
    """A sample of the sweep with the family and dimensions of today; as it is where another node is drawn today."""
    if sample.id.family not in FITTED or sample.id.series != "node" or not sample.op.startswith(REDRAWN):
        return sample
    case = onnx_nodes.case_of(sample.id.index)
    dims = dims_of(case)
    is_same = all(dims.get(name) == sample.dims.get(name) for name in ("bytes_read", "bytes_written"))
    return structs.replace(sample, id=case.id, dims=dims) if is_same else sample


def added(measured: Path) -> list[KernelSample]:
    """Samples of a folder that ``onnx_battery`` wrote."""
    nodes = SampleFile(measured / "nodes.jsonl.gz")
    exact = SampleFile(measured / "convolutions.jsonl.gz").of(KernelSample)
    return [*of_nodes(nodes), *of_recurrent(nodes), *exact]


def is_added(sample: KernelSample) -> bool:
    """Whether a sample is of a node that ``onnx_battery`` measured, to be added anew."""
    return sample.id.family.startswith(OWN) and " " in sample.id.series


def siblings(gpu: str, sibling: str) -> list[MeasuredKernel]:
    """Nodes that ``onnx_battery`` measured on a GPU of the same multiprocessors, as long as they take here: what is
    traffic follows the bandwidth (``pricing.transfer``).
    """
    here, there = load_calibration(gpu), load_calibration(sibling)
    file = Samples.of(files.find(sibling)).kernels
    measured = SampleFile(file.path)
    ids = {sample.id for sample in measured.of(KernelSample) if is_added(sample) and sample.id.family in FITTED}
    found = []
    for sample in measured.of(KernelSample):
        if sample.id not in ids or not sample.repeats_s or not sample.launches:
            continue
        family = FAMILIES[sample.id.family]
        dims = family.complete(sample.dims)
        theirs, ours = (float(np.max(roofline_s(c, family, sample.dtype, dims))) for c in (there, here))
        seconds = float(transferred(sample.seconds, theirs, ours, 1.0))
        found.append(MeasuredKernel(family.name, sample.dtype, dict(sample.dims), seconds, sample.launches))
    return found


def once_each(samples: Iterable[MeasuredKernel]) -> list[MeasuredKernel]:
    """Kernels of profiles, those that models run again and again as one with the median of their times."""
    groups: dict[Any, list[MeasuredKernel]] = defaultdict(list)
    for sample in samples:
        groups[sample.family, sample.dtype, sample.launches, tuple(sorted(sample.dims.items()))].append(sample)
    return [replace(group[0], seconds=float(np.median([s.seconds for s in group]))) for group in groups.values()]


def refitted(folder: Path, sibling: str) -> None:
    """Fits of ONNX Runtime's own kernels, ``FITTED``, in a calibration's file, from its samples, its profiles, and a
    sibling's nodes. A fit says how many of its samples are the sibling's.
    """
    gpu = folder.name
    calibration, samples = load_calibration(gpu), Samples.of(folder)
    kernels = files.read(folder / "kernels.json", Kernels, gpu)
    known = [sample for sample in measured_kernels(samples.kernels) if sample.family in FITTED]
    ran = runtimes.modules(samples.runtimes, lowering.NAME, calibration, calibration.own_host("eager"))
    seen = once_each(sample for sample in runtimes.made_kernels(ran, calibration) if sample.family in FITTED)
    lent = siblings(gpu, sibling) if sibling else []
    own = {fit: len(group) for fit, group in by_fit([*known, *seen]).items()}
    fits = []
    for fit, group in by_fit([*known, *seen, *lent]).items():
        count = len(group) - own.get(fit, 0)
        source = f"{count} of {len(group)} samples by {sibling}" if count else ""
        provenance: Provenance = "measured" if fit in own else "derived"
        fits.append(fit_family(group, fit[0], calibration.device, provenance=provenance, source=source))
        print(f"{fit}: {fits[-1].error.samples} samples, {fits[-1].error.mape:.1%} on unseen ones {source}")
    files.write_calibration(folder, [structs.replace(kernels, fits=merged(kernels.fits, fits))])


FITTED = (
    "ort",
    "ort_issued",
    "ort_reduction",
    "ort_quantised",
    "ort_conv_depthwise",
    "ort_conv_long",
    "ort_conv_transposed",
)
"""Families that single nodes are measured of, whose dimensions the lowering of nodes writes."""


def main() -> None:
    """Write the samples anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path, help="folder of a calibration's samples")
    parser.add_argument("--measured", type=Path, help="folder that onnx_battery wrote")
    parser.add_argument("--sibling", default="", help="a GPU whose nodes the fits learn from, too")
    parser.add_argument("--fit", action="store_true", help="write the fits of their families, too")
    options = parser.parse_args()
    path = options.samples / "kernels.jsonl.gz"
    file = SampleFile(path)
    new = added(options.measured) if options.measured else []
    ids = {sample.id for sample in new}
    kept = [s for s in file.of(KernelSample) if s.id not in ids and not (new and is_added(s)) and is_one_kernel(s)]
    aside = options.samples / "aside.jsonl.gz"
    aside.unlink(missing_ok=True)
    SampleFile(aside).append([*file.of(Environment), *map(lowered_again, kept), *new])
    os.replace(aside, path)
    counts = Counter(sample.id.family for sample in new)
    print(", ".join(f"{count} {family}" for family, count in sorted(counts.items())))
    if options.fit:
        refitted(options.samples.parent, options.sibling)


if __name__ == "__main__":
    main()
