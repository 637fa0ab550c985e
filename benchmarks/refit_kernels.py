"""Fit the kernel families of a calibration again from its samples and supplementary ones:

    python -m benchmarks.refit_kernels --gpu h200 --more FILE.jsonl.gz [--write]

Only families (and units) that the supplement measured are fitted; all else stays as it is. A line for each has mean and
median absolute error on samples that a fit did not see (four folds): on the old ones by those alone and by all, on the
new ones by the calibration as it is and by all. Where "by all" is above "by old" the new samples do harm.
``--write`` appends the samples to the calibration's own, and writes its fits.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from joblib import Parallel, delayed

from calibrate.fit.kernel_tables import merged
from calibrate.fit.kernels import by_fit, fit_family, unseen_seconds
from calibrate.samples.files import Samples
from calibrate.samples.kernels import MeasuredKernel, measured_kernels
from calibrate.samples.records import Environment, KernelSample
from calibrate.samples.store import SampleFile
from predictor.calibration import files
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import Device, Fit, Kernels
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES
from predictor.pricing.kernels import price_kernels


def as_it_is(samples: Sequence[MeasuredKernel], calibration: Calibration) -> list[float]:
    """Seconds of samples of one family by the calibration."""
    seconds = []
    for sample in samples:
        dims = {
            name: float(sample.dims.get(name, default or 0)) for name, default in FAMILIES[sample.family].dims.items()
        }
        seconds.append(float(price_kernels(calibration, sample.family, sample.dtype, dims).seconds[0]))
    return seconds


def check_gpu(constants: SampleFile, more: Sequence[Path]) -> None:
    """Raises PredictorError where a file is of another GPU than the calibration."""
    known = constants.find(Environment, 0)
    for path in more:
        found = SampleFile(path).find(Environment, 0)
        if known is not None and found is not None and found.gpu != known.gpu:
            raise PredictorError(f"{path} was measured on {found.gpu or 'a CPU'}, the calibration on {known.gpu}")


def error(predicted_s: Sequence[float], samples: Sequence[MeasuredKernel]) -> str:
    """Mean absolute error, and its median."""
    if not samples:
        return f"{'-':>15}"
    errors = np.abs(np.asarray(predicted_s) / [s.seconds for s in samples] - 1)
    return f"{errors.mean():7.1%} {np.median(errors):7.1%}"


def fitted(
    family: str, old: Sequence[MeasuredKernel], new: Sequence[MeasuredKernel], device: Device, gpu: str
) -> tuple[str, Fit]:
    """A line of errors, and the fit of all samples."""
    both = [*old, *new]
    unseen = unseen_seconds(both, family, device)
    alone = unseen_seconds(old, family, device).tolist() if old else []
    errors = [
        error(alone, old),
        error(unseen[: len(old)].tolist(), old),
        error(as_it_is(new, load_calibration(gpu)), new),
        error(unseen[len(old) :].tolist(), new),
    ]
    fit = fit_family(both, family, device)
    return f"{family:16} {fit.units:7} {len(old):>6} {len(new):>5}   " + "  ".join(errors), fit


def main() -> None:
    """Print the errors; write where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--more", type=Path, nargs="+", required=True, help="files of samples")
    parser.add_argument("--families", default="", help="these alone, comma-separated")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    folder = files.find(options.gpu)
    own = Samples.of(folder).kernels
    check_gpu(Samples.of(folder).constants, options.more)
    more = [sample for path in options.more for sample in SampleFile(path).of(KernelSample)]
    more = [sample for sample in more if not own.has(KernelSample, sample.id)]
    old = by_fit(measured_kernels(own))
    new = by_fit([s for path in options.more for s in measured_kernels(SampleFile(path))])
    chosen = [key for key in new if not options.families or key[0] in options.families.split(",")]
    device, kernels = load_calibration(options.gpu).device, files.read(folder / "kernels.json", Kernels, options.gpu)
    print(
        f"{'family':16} {'units':7} {'old':>6} {'new':>5}   on old, by old     by all           on new, as is    by all"
    )
    fits = []
    for line, fit in Parallel(n_jobs=options.jobs, return_as="generator")(
        delayed(fitted)(key[0], old.get(key, []), new[key], device, options.gpu) for key in chosen
    ):
        print(line, flush=True)
        fits.append(fit)
    if options.write:
        own.append(
            [sample for sample in more if not options.families or sample.id.family in options.families.split(",")]
        )
        files.write_calibration(folder, [msgspec.structs.replace(kernels, fits=merged(kernels.fits, fits))])


if __name__ == "__main__":
    main()
