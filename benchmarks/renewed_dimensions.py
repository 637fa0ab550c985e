"""Samples' dimensions as today's lowering has them, where a family's dimensions have changed:

    python -m benchmarks.renewed_dimensions --gpu h200 --families cat,interpolate [--write]

Each sample's case is drawn again by its identity. Where operator and size are those that were measured, dimensions that
differ are counted, and with ``--write`` renewed; a sample whose case is another one now (a recipe changed) stays.
"""

from __future__ import annotations

import argparse
import gzip
from collections import Counter

import msgspec

from benchmarks.model_samples import SERIES
from calibrate.measure.sweep import dims_of
from calibrate.samples.files import Samples
from calibrate.samples.records import Dims, KernelSample
from calibrate.workloads import sweeps
from calibrate.workloads.isolated import inductor_loops
from predictor.calibration.files import find
from predictor.kernels.families import FAMILIES

SCALE = sweeps.FULL.scale


def todays(sample: KernelSample) -> Dims | None:
    """Dimensions of a sample's case; None where the case is another one now."""
    id = sample.id
    if id.series.startswith(SERIES):
        return None
    try:
        alone = id.family == inductor_loops.FAMILY
        case = inductor_loops.case_of(id) if alone else sweeps.make_case(id.family, id.series, id.index, SCALE)
    except RuntimeError:
        return None
    dims, size = dims_of(case), next(iter(FAMILIES[sample.id.family].dims))
    return dims if case.op == sample.op and dims[size] == sample.dims.get(size) else None


def main() -> None:
    """Count what differs; write where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", required=True)
    parser.add_argument("--families", required=True, help="comma-separated")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    path = Samples.of(find(options.gpu)).kernels.path
    lines, counts = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines(), Counter[str]()
    for number, line in enumerate(lines):
        if '"kind":"kernel"' not in line:
            continue
        sample = msgspec.json.decode(line, type=KernelSample)
        if sample.id.family not in options.families.split(","):
            continue
        dims, defaults = todays(sample), FAMILIES[sample.id.family].dims
        if dims is None:
            counts["of another case now"] += 1
        elif all(dims[name] == sample.dims.get(name, defaults[name]) for name in dims):
            counts["the same"] += 1
        else:
            counts["renewed" if options.write else "differ"] += 1
            renewed = msgspec.structs.replace(sample, dims=dims)
            lines[number] = msgspec.json.encode(renewed).decode("utf-8")
    if options.write:
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode("utf-8"), mtime=0))
    print(", ".join(f"{count} {what}" for what, count in counts.items()) or "none")


if __name__ == "__main__":
    main()
