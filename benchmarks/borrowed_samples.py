"""How two GPUs' times of the same kernels compare, and samples that one borrows from the other:

    python -m benchmarks.borrowed_samples --of h100 --gpu h200 --families conv,pool --factor 1 [--write]

Of the kernels that both ran: how many, how many times as long the first takes (quartiles of the medians of each
kernel's repeats), how many take the kernel of the same name. ``--write`` appends to the second's samples those of a
series that it lacks, divided by the factor, with what was found as a note of where they were taken. Measured ones are
better: ``benchmarks.supplement_sweep --series common``.
"""

from __future__ import annotations

import argparse

import numpy as np
from msgspec.structs import replace

from calibrate.samples.files import Samples
from calibrate.samples.records import Environment, KernelSample
from calibrate.samples.store import SampleFile
from predictor.calibration.files import find
from predictor.kernels.families import FAMILIES
from predictor.kernels.family import itemsize

SESSION = 1
"""Of the environment that borrowed samples are noted in."""


def traffic(sample: KernelSample) -> float:
    """Bytes that a kernel moves."""
    family = FAMILIES[sample.id.family]
    return float(family.nbytes(family.complete(sample.dims), itemsize(sample.dtype)))


def ran(file: SampleFile, options: argparse.Namespace) -> list[KernelSample]:
    """Samples of the families that are asked for, that could run and move no more than so many bytes."""
    families = options.families.split(",")
    found = (s for s in file.of(KernelSample) if s.id.family in families and s.repeats_s)
    return [s for s in found if traffic(s) <= options.most_bytes]


def main() -> None:
    """Print the comparison; write where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", required=True, help="GPU whose samples are borrowed")
    parser.add_argument("--gpu", required=True, help="GPU that borrows them")
    parser.add_argument("--families", required=True, help="comma-separated")
    parser.add_argument("--series", default="common", help="of the samples that are borrowed: how its name begins")
    parser.add_argument("--most-bytes", type=float, default=float("inf"), help="that a kernel moves")
    parser.add_argument("--factor", type=float, help="how many times as long they take there; default: the median")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    theirs, own = (Samples.of(find(gpu)).kernels for gpu in (options.of, options.gpu))
    there = {s.id: s for s in ran(theirs, options) if not s.id.series.startswith(options.series)}
    both = [(there[s.id], s) for s in ran(own, options) if s.id in there and there[s.id].dims == s.dims]
    ratios = np.array([a.seconds / b.seconds for a, b in both])
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    same = np.mean([a.name == b.name for a, b in both])
    said = (
        f"{len(both)} kernels that both ran: the {options.of} takes {middle:.3f} times as long as the {options.gpu} "
        f"(half of them {low:.3f} to {high:.3f}), {same:.0%} by the kernel of the same name"
    )
    print(said)
    factor = options.factor or float(middle)
    lacking = [
        s for s in ran(theirs, options) if s.id.series.startswith(options.series) and not own.has(KernelSample, s.id)
    ]
    print(f"{len(lacking)} of series {options.series} are lacking")
    if options.write and lacking:
        where = theirs.find(Environment, 0) or next(iter(theirs.of(Environment)))
        note = f"{options.families}, series {options.series}: of an {options.of}, divided by {factor:.3f}; {said}"
        noted = [] if own.has(Environment, SESSION) else [replace(where, session=SESSION, note=note)]
        scaled = [replace(s, repeats_s=tuple(float(f"{x / factor:.5g}") for x in s.repeats_s)) for s in lacking]
        own.append([*noted, *scaled])


if __name__ == "__main__":
    main()
