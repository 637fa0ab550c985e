"""Hold today's predictions against the measurements of ``onnx_battery``, each file written and read anew:

    python -m benchmarks.onnx_accuracy calibrations/h100/onnx_files --gpu h100

Prints the error of every case, a line for each runtime and part of the files, and which nodes ran on the CPU without
being predicted there, or the other way round. Files that are missing in ``--files`` are written first, which takes
minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.onnx_files import FILES, write
from calibrate.samples.programs import stored
from calibrate.samples.records import CaseProfile, CaseRound, Environment, ProgramRecord, SessionNodes
from calibrate.samples.store import SampleFile
from calibrate.validate import accuracy
from calibrate.workloads.cases import Case
from predictor import runtimes
from predictor.calibration.load import load_calibration
from predictor.capture.onnx_files.files import read_graph
from predictor.errors import PredictorError
from predictor.records import Graph

SECOND_LOOK = frozenset(sorted(FILES)[::3])
"""Files by a rule, every third by name, that were not looked at when the attention in parts, the caches, the packed
weights and the recurrent layers of ONNX Runtime were mended by single nodes and the other files. Errors of all files
had been seen before.
"""

INSERTED = frozenset({"Cast"})
"""What ONNX Runtime puts around a node of the CPU that has no kernel in half precision."""


class Graphs:
    """Graphs of files, each read once; None for one that is refused, which is said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[tuple[str, str, int], Graph | None] = {}

    def of(self, case: Case) -> Graph | None:
        """The graph of a case's file."""
        key = case.model, case.dtype, case.batch
        if key not in self.known:
            try:
                self.known[key] = read_graph(write(*key, self.folder))
            except (PredictorError, ImportError) as error:
                self.known[key] = None
                print(f"{case}: not predicted: {str(error)[-160:]}", file=sys.stderr)
        return self.known[key]


def with_programs(measured: SampleFile, path: Path, graphs: Graphs) -> SampleFile:
    """The measurements, with the program of every case that can be predicted."""
    file = SampleFile(path)
    file.append([*measured.of(Environment), *measured.of(CaseRound), *measured.of(CaseProfile)])
    for profile in measured.of(CaseProfile):
        graph = graphs.of(profile.case)
        if graph is not None:
            program = runtimes.load(profile.case.runtime).lower(graph)
            file.append(
                [ProgramRecord(profile.case, stored(program), max(graph.macs, 1))]
            )  # a line is fitted to logarithms
    return file


def print_errors(name: str, rows: Sequence[accuracy.Row]) -> None:
    """A line of some rows."""
    if not rows:
        return
    errors = np.abs([row.error() for row in rows])
    covered = np.mean([row.covered for row in rows])
    print(
        f"{name}: {len(errors)} cases, mean {errors.mean():.1%}, median {np.median(errors):.1%}, "
        f"worst {errors.max():.0%}, in interval {covered:.0%}"
    )


def print_placements(placed: SampleFile, graphs: Graphs) -> None:
    """Cases whose nodes ran elsewhere than predicted."""
    wrong, count = 0, 0
    for row in placed.of(SessionNodes):
        graph = graphs.of(row.case)
        if graph is None:
            continue
        count += 1
        ran = {node.op for node in row.nodes if node.provider == "CPUExecutionProvider"} - INSERTED
        said = {op for op in runtimes.load("onnx").lower(graph).on_cpu if not op.startswith("Memcpy")}
        if ran != said:
            wrong += 1
            print(
                f"{row.case}: on the CPU without being predicted {sorted(ran - said)}, predicted {sorted(said - ran)}"
            )
    print(f"placements: {count - wrong} of {count} cases as predicted")


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="folder that onnx_battery wrote")
    parser.add_argument("--gpu", default="h100")
    parser.add_argument("--host", help="whose costs are predicted with, see predict list hosts; default: the GPU's")
    parser.add_argument("--files", type=Path, default=Path(tempfile.gettempdir()) / "onnx_battery")
    options = parser.parse_args()
    graphs, calibration = Graphs(options.files), load_calibration(options.gpu)
    with tempfile.TemporaryDirectory() as folder:
        file = with_programs(
            SampleFile(options.measured / "latencies.jsonl.gz"), Path(folder) / "programs.jsonl.gz", graphs
        )
        rows = [
            row
            for name in ("onnx", "onnx-cudagraph")
            for row in accuracy.rows(file, calibration, name, host=options.host)
        ]
    for row in sorted(rows, key=lambda row: (row.runtime, -abs(row.error()))):
        kernels = f"{row.predicted_kernel_s / row.kernel_s - 1:+7.1%}" if row.kernel_s else ""
        print(
            f"{row.runtime:15} {row.model:24} {row.dtype} {row.batch:>3} {row.error():+7.1%} of "
            f"{row.measured.seconds * 1e3:7.3f} ms, kernels {kernels}, "
            f"launches {row.predicted_launches} of {row.launches}"
        )
    for name in ("onnx", "onnx-cudagraph"):
        of_runtime = [row for row in rows if row.runtime == name]
        print_errors(name, of_runtime)
        print_errors("  second look", [row for row in of_runtime if row.model in SECOND_LOOK])
        print_errors("  others", [row for row in of_runtime if row.model not in SECOND_LOOK])
    print_placements(SampleFile(options.measured / "placements.jsonl.gz"), graphs)


if __name__ == "__main__":
    main()
