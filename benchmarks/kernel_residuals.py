"""Where predicted kernel times differ from a battery's profiles, by kernel family and operator:

    python -m benchmarks.kernel_residuals calibrations/h200/battery/learn*.jsonl.gz --gpu h200

Each model is captured anew, as a user would; its predicted kernels and those of its profile are aligned in issue order.
A line has the share of all measured kernel time that predictions miss there (each case counts the same), predicted over
measured time, launches of both, and the case that it is worst in. ``--kernels 40`` adds the kernels missed most.
"""

from __future__ import annotations

import argparse
import pickle
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibrate.fit.alignment import align
from calibrate.measure.programs import record
from calibrate.samples.environment import exports_are_trained
from calibrate.samples.programs import restored
from calibrate.samples.records import CaseProfile
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case
from predictor.calibration.load import Calibration, load_calibration
from predictor.errors import PredictorError
from predictor.pricing.program import price
from predictor.records import Kernel, Program


@dataclass(frozen=True, slots=True)
class Residual:
    """A predicted kernel of a case and what it became. weight: one over the seconds of all kernels of the case's
    profile; names: of the measured kernels.
    """

    case: Case
    op: str
    kernel: Kernel
    predicted_s: float
    measured_s: float
    predicted_launches: int
    names: tuple[str, ...]
    weight: float

    @property
    def missed(self) -> float:
        """Share of the case's kernel time that is predicted too much."""
        return (self.predicted_s - self.measured_s) * self.weight


def residuals(profile: CaseProfile, program: Program, calibration: Calibration) -> list[Residual]:
    """The kernels of a program beside those of its profile, both in issue order."""
    priced = price(program, calibration, calibration.host(program.runtime)).calls
    rows = [
        (call.row.label, kernel, cost)
        for call, priced_call in zip(program.calls, priced, strict=True)
        for kernel, cost in zip(call.kernels, priced_call.kernels, strict=True)
    ]
    names = [profile.names[index] for index, _ in profile.order]
    measured_s = [ns * 1e-9 for _, ns in profile.order]
    families, launches = [kernel.family for _, kernel, _ in rows], [cost.launches for *_, cost in rows]
    runs = align(families, launches, [cost.seconds for *_, cost in rows], names, measured_s)
    return [
        Residual(
            profile.case,
            op,
            kernel,
            cost.seconds,
            sum(measured_s[first:end]),
            cost.launches,
            tuple(names[first:end]),
            1 / sum(measured_s),
        )
        for (op, kernel, cost), (first, end) in zip(rows, runs, strict=True)
    ]


def _out_of_time(*_: Any) -> None:
    raise TimeoutError


def of_files(options: argparse.Namespace) -> list[Residual]:
    """Kernels of all cases that are asked for and can be captured in time."""
    calibration = load_calibration(options.gpu)
    signal.signal(signal.SIGALRM, _out_of_time)
    found: list[Residual] = []
    files = map(SampleFile, options.files)
    for profile, is_trained in [
        (profile, exports_are_trained(file)) for file in files for profile in file.of(CaseProfile)
    ]:
        case = profile.case
        asked = case.runtime in options.runtimes.split(",") and case.dtype in options.dtypes.split(",")
        if not asked or str(case.batch) not in options.batches.split(",") or not profile.order:
            continue
        signal.alarm(options.seconds)
        try:
            program = record(case, "cuda", is_trained=is_trained).program
        except (PredictorError, TimeoutError) as error:
            print(f"{case}: not predicted: {type(error).__name__} {str(error)[:120]}", file=sys.stderr)
            continue
        finally:
            signal.alarm(0)
        if program is not None:
            found += residuals(profile, restored(program), calibration)
    return found


def table(found: Sequence[Residual], key: Callable[[Residual], Hashable], most: int) -> list[str]:
    """A line for each group, those first that miss most of the measured time."""
    groups: dict[Hashable, list[Residual]] = defaultdict(list)
    for residual in found:
        groups[key(residual)].append(residual)
    cases = len({residual.case for residual in found})
    lines = []
    for name, group in groups.items():
        by_case: dict[Case, float] = defaultdict(float)
        for residual in group:
            by_case[residual.case] += residual.missed
        worst = max(by_case, key=lambda case: abs(by_case[case]))
        missed = sum(map(abs, by_case.values())) / cases
        measured = sum(r.measured_s * r.weight for r in group)
        ratio = sum(r.predicted_s * r.weight for r in group) / measured if measured else float("inf")
        launches = sum(r.predicted_launches for r in group), sum(len(r.names) for r in group)
        model = worst.model.rpartition(":")[2]
        lines.append(
            (
                missed,
                f"{name!s:44} {missed:6.2%} of time, share {measured / cases:6.2%}, x{ratio:5.2f}, launches "
                f"{launches[0]:>6} of {launches[1]:>6}, {len(by_case):>3} cases, {model}/{worst.batch} "
                f"{by_case[worst]:+.0%}",
            )
        )
    return [line for _, line in sorted(lines, reverse=True)[:most]]


def shape(kernel: Kernel) -> str:
    """A kernel in one line."""
    return f"{kernel.dtype} " + " ".join(f"{name}={size:g}" for name, size in kernel.dims.items() if size)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--gpu", default="h200")
    parser.add_argument("--runtimes", default="eager")
    parser.add_argument("--dtypes", default="fp16,bf16")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--seconds", type=int, default=30, help="limit of one capture")
    parser.add_argument("--most", type=int, default=40, help="lines of a table")
    parser.add_argument("--kernels", type=int, default=0, help="kernels that are missed most, too")
    parser.add_argument("--keep", type=Path, help="where to keep what was aligned; read if it is there")
    options = parser.parse_args()
    found: list[Residual] = pickle.loads(options.keep.read_bytes()) if options.keep and options.keep.exists() else []
    if not found:
        found = of_files(options)
        if options.keep:
            options.keep.write_bytes(pickle.dumps(found))
    print(*table(found, lambda r: r.kernel.family, options.most), sep="\n")
    print()
    print(*table(found, lambda r: f"{r.kernel.family} {r.op}", options.most), sep="\n")
    for residual in sorted(found, key=lambda r: -abs(r.missed))[: options.kernels]:
        names = ", ".join(f"{count} {name}" for name, count in Counter(residual.names).items())
        print(
            f"{residual.missed:+7.2%} {residual.case.model.rpartition(':')[2]}/{residual.case.batch} {residual.op} "
            f"{residual.kernel.family} {1e6 * residual.predicted_s:.1f} of {1e6 * residual.measured_s:.1f} us "
            f"[{shape(residual.kernel)}] {names[:150]}"
        )


if __name__ == "__main__":
    main()
