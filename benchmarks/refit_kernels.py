"""Fit the kernel families of a calibration again from its samples and supplementary ones:

    python -m benchmarks.refit_kernels --gpu h200 --more FILE.jsonl.gz [--write]

Only families (and units) that the supplement measured are fitted; all else stays as it is. A line for each has mean and
median absolute error on samples that a fit did not see (four folds): on the old ones by those alone and by all, on the
new ones by the calibration as it is and by all. Where "by all" is above "by old" the new samples do harm. Without
``--more`` the families asked for are fitted to the calibration's own samples, as where what is known of a kernel has
changed: each line has the errors that are left.
``--write`` appends the samples to the calibration's own, and writes its fits.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from calibrate.fit import runtimes
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
from predictor.runtimes.eager.lowering import NAME as EAGER

Array = NDArray[np.float64]


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


HEADER = (
    f"{'family':16} {'units':7} {'old':>6} {'new':>5}   on old, by old     by all           on new, as is    by all"
)
"""Of the lines of ``Refit``."""


@dataclass(frozen=True, slots=True)
class Refit:
    """A family's fit of old and new samples. Errors, logarithms of predicted over measured time, of samples that a fit
    did not see: of the old ones by those alone and by all, of the new ones by the calibration as it is and by all.
    """

    fit: Fit
    old_errors: Array
    old_errors_by_all: Array
    new_errors: Array
    new_errors_by_all: Array

    @property
    def line(self) -> str:
        """Means and medians of absolute relative errors, see ``HEADER``."""
        columns = (self.old_errors, self.old_errors_by_all, self.new_errors, self.new_errors_by_all)
        relative = [np.abs(np.expm1(errors)) for errors in columns]
        told = "  ".join(f"{e.mean():7.1%} {np.median(e):7.1%}" if len(e) else f"{'-':>15}" for e in relative)
        return f"{self.fit.family:16} {self.fit.units:7} {len(self.old_errors):>6} {len(self.new_errors):>5}   {told}"


def log_errors(predicted_s: Sequence[float], samples: Sequence[MeasuredKernel]) -> Array:
    """Logarithms of predicted over measured time."""
    return np.log(np.array(predicted_s) / np.array([s.seconds for s in samples]))


def refit(family: str, old: Sequence[MeasuredKernel], new: Sequence[MeasuredKernel], device: Device, gpu: str) -> Refit:
    """The fit of all samples of a family (and units), and its errors. gpu: whose calibration is "as it is"."""
    both = [*old, *new]
    by_all = log_errors(unseen_seconds(both, family, device), both)
    alone = log_errors(unseen_seconds(old, family, device), old) if old and new else by_all[: len(old)]
    as_is = log_errors(as_it_is(new, load_calibration(gpu)), new) if new else np.zeros(0)
    fit = fit_family(both, family, device, unseen_log_errors=by_all)
    return Refit(fit, alone, by_all[: len(old)], as_is, by_all[len(old) :])


def seen(families: Collection[str], calibration: Calibration) -> list[MeasuredKernel]:
    """Kernels of some families that profiles of modules show: such as a runtime alone makes."""
    if not runtimes.MADE.intersection(families):
        return []
    file, host = Samples.of(files.find(calibration.gpu)).runtimes, calibration.own_host(EAGER)
    ran = (runtimes.modules(file, name, calibration, host) for name in runtimes.fitted())
    kernels = (kernel for modules in ran for kernel in runtimes.made_kernels(modules, calibration))
    return [kernel for kernel in kernels if kernel.family in families]


def main() -> None:
    """Print the errors; write where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="files of samples")
    parser.add_argument("--families", default="", help="these alone, comma-separated")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    folder = files.find(options.gpu)
    own = Samples.of(folder).kernels
    check_gpu(Samples.of(folder).constants, options.more)
    more = [sample for path in options.more for sample in SampleFile(path).of(KernelSample)]
    more = [sample for sample in more if not own.has(KernelSample, sample.id)]
    wanted = options.families.split(",")
    old = by_fit([*measured_kernels(own), *seen(wanted, load_calibration(options.gpu))])
    new = by_fit([s for path in options.more for s in measured_kernels(SampleFile(path))])
    measured = new if options.more else old
    chosen = [key for key in measured if not options.families or key[0] in wanted]
    device, kernels = load_calibration(options.gpu).device, files.read(folder / "kernels.json", Kernels, options.gpu)
    print(HEADER)
    fits = []
    for found in Parallel(n_jobs=options.jobs, return_as="generator")(
        delayed(refit)(key[0], old.get(key, []), new.get(key, []), device, options.gpu) for key in chosen
    ):
        print(found.line, flush=True)
        fits.append(found.fit)
    if options.write:
        own.append([sample for sample in more if not options.families or sample.id.family in wanted])
        files.write_calibration(folder, [msgspec.structs.replace(kernels, fits=merged(kernels.fits, fits))])


if __name__ == "__main__":
    main()
