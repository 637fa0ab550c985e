"""Fit the kernel families of a calibration again with samples of a sibling GPU, transferred to this one:

    python -m benchmarks.transferred_samples --gpu h200 --sibling h100 [--families gather,pool] [--write]

A sibling has as many multiprocessors of the same architecture, so the same shape is launched alike on both. Its
kernels' times are transferred as prices are (``predictor.pricing.transfer``): the roofline by measured peaks and
bandwidths, the time beyond it unchanged. Only kernels that this GPU's samples lack are taken, and only into fits: the
samples of this GPU stay its own, and no transferred time is kept as that of a measured shape.

First a table of the kernels that both have: what the transfer gives against what was measured here. Then, as in
``benchmarks.refit_kernels``, the errors of each family on samples that a fit did not see. ``--write`` writes the fits
that are better on all samples and no worse on this GPU's own, and those of ``--accept``. Each says how many of its
samples are the sibling's (``source``), one that has no others is "derived", and the transfer's own error is in its
error. ``calibrate fit`` makes fits of this GPU's samples alone: after it, run this again.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from joblib import Parallel, delayed

from benchmarks.refit_kernels import HEADER, Refit, refit
from calibrate.fit.kernel_tables import merged
from calibrate.fit.kernels import by_fit
from calibrate.fit.runtimes import MADE
from calibrate.samples.files import Samples
from calibrate.samples.kernels import MeasuredKernel
from calibrate.samples.records import KernelSample
from calibrate.workloads.cases import KernelId
from predictor.calibration import files
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import Fit, Kernels
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES
from predictor.pricing.kernels import roofline_s
from predictor.pricing.transfer import transferred

NOISE = 0.005
"""By how much a family's mean error on its own samples may grow: a judgement, for parts that are split anew."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """From a sibling to a GPU."""

    sibling: Calibration
    here: Calibration

    def __post_init__(self) -> None:
        theirs, ours = ((c.device.architecture, c.device.sms) for c in (self.sibling, self.here))
        if theirs != ours:
            raise PredictorError(f"{self.sibling.gpu} is no sibling of {self.here.gpu}: {theirs} instead of {ours}")

    def seconds(self, sample: KernelSample) -> float:
        """What a kernel that was measured there takes here."""
        row = FAMILIES[sample.id.family]
        dims = row.complete({name: size for name, size in sample.dims.items() if name in row.dims})
        theirs, ours = (float(np.maximum(*roofline_s(c, row, sample.dtype, dims))) for c in (self.sibling, self.here))
        return float(transferred(sample.seconds, theirs, ours, 1.0))

    def sample(self, sample: KernelSample) -> MeasuredKernel:
        """A kernel as this GPU would have it."""
        return MeasuredKernel(
            sample.id.family, sample.dtype, sample.dims, self.seconds(sample), sample.launches, sample.op
        )


def ran(folder: Path) -> dict[KernelId, KernelSample]:
    """Kernels of a calibration, those that could not run left out. Raises PredictorError where it has none."""
    samples = {sample.id: sample for sample in Samples.of(folder).kernels.of(KernelSample)}
    if not samples:
        raise PredictorError(f"{folder} holds no samples of kernels")
    return {id: sample for id, sample in samples.items() if sample.repeats_s and id.family not in MADE}


def pair_errors(
    transfer: Transfer, theirs: Mapping[KernelId, KernelSample], ours: Mapping[KernelId, KernelSample]
) -> dict[str, list[float]]:
    """Family -> logarithms of transferred over measured time, of the kernels that both GPUs have."""
    errors: dict[str, list[float]] = defaultdict(list)
    for id, sample in theirs.items():
        known = ours[id].dims if id in ours else {}  # older samples lack dimensions that came later
        if known and all(known.get(name, size) == size for name, size in sample.dims.items()):
            errors[id.family].append(math.log(transfer.seconds(sample) / ours[id].seconds))
    return dict(sorted(errors.items()))


def pairs(errors: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Lines of the check on kernels that both GPUs have."""
    yield f"{'family':16} {'pairs':>6}   mean error  median    bias"
    for family, logs in errors.items():
        relative = np.expm1(logs)
        mean, median, bias = np.abs(relative).mean(), np.median(np.abs(relative)), np.median(relative)
        yield f"{family:16} {len(logs):>6}   {mean:10.1%} {median:7.1%} {bias:+7.1%}"


def honest(fit: Fit, old: Sequence[MeasuredKernel], new: int, name: str, log_rms: float) -> Fit:
    """A fit of samples of which ``new`` were transferred, with what that means for its provenance, its error and its
    exceptions, which are measured ones alone. old: the others; name: of the sibling's GPU; log_rms: of the transfer.
    """
    row, many = FAMILIES[fit.family], len(old) + new
    own = {(s.dtype, *(float(s.dims.get(n, default)) for n, default in row.dims.items())) for s in old}
    error = math.hypot(fit.error.log_rms, log_rms * math.sqrt(new / many))
    return msgspec.structs.replace(
        fit,
        provenance="measured" if old else "derived",
        source=f"calibrate, {new} of {many} samples on an {name}, transferred (benchmarks/transferred_samples.py)",
        exceptions=[e for e in fit.exceptions if (e.dtype, *map(float, e.dims)) in own],
        error=msgspec.structs.replace(fit.error, log_rms=error),
    )


def is_better(found: Refit) -> bool:
    """Whether all samples together are told better than before, and this GPU's own no worse than by themselves."""
    alone, by_all = (np.abs(errors) for errors in (found.old_errors, found.old_errors_by_all))
    before, after = np.abs([*alone, *found.new_errors]), np.abs([*by_all, *found.new_errors_by_all])
    return bool(after.mean() < before.mean() and (not len(alone) or by_all.mean() <= alone.mean() + NOISE))


def main() -> None:
    """Print the checks; write where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--sibling", default="h100", help="a calibration with samples: a name, or a path")
    parser.add_argument("--families", default="", help="these alone, comma-separated")
    parser.add_argument("--accept", default="", help="these whatever the errors say, as a battery of models does")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    sibling = Path(options.sibling) if os.sep in options.sibling else files.find(options.sibling)
    folder = files.find(options.gpu)
    transfer = Transfer(load_calibration(options.sibling), load_calibration(options.gpu))
    theirs, known = ran(sibling), {s.id for s in Samples.of(folder).kernels.of(KernelSample)}
    ours = ran(folder)
    errors = pair_errors(transfer, theirs, ours)
    print(*pairs(errors), "", HEADER, sep="\n", flush=True)
    of_all = np.concatenate(list(errors.values()))
    old = by_fit([_kernel(sample) for sample in ours.values()])
    new = by_fit([transfer.sample(sample) for id, sample in theirs.items() if id not in known])
    chosen = [key for key in new if not options.families or key[0] in options.families.split(",")]
    fits = []
    for key, found in zip(
        chosen,
        Parallel(n_jobs=options.jobs, return_as="generator")(
            delayed(refit)(key[0], old.get(key, []), new[key], transfer.here.device, options.gpu) for key in chosen
        ),
        strict=True,
    ):
        taken = key[0] in options.accept.split(",") or is_better(found)
        print(found.line + ("" if taken else "   left out"), flush=True)
        if taken:
            log_rms = float(np.sqrt(np.mean(np.square(errors.get(key[0], of_all)))))
            name = transfer.sibling.device.name
            fits.append(honest(found.fit, old.get(key, []), len(new[key]), name, log_rms))
    if options.write:
        kernels = files.read(folder / "kernels.json", Kernels, options.gpu)
        files.write_calibration(folder, [msgspec.structs.replace(kernels, fits=merged(kernels.fits, fits))])


def _kernel(sample: KernelSample) -> MeasuredKernel:
    return MeasuredKernel(sample.id.family, sample.dtype, sample.dims, sample.seconds, sample.launches, sample.op)


if __name__ == "__main__":
    main()
