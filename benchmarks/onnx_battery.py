"""Measure ONNX files on the GPU at hand: ``python -m benchmarks.onnx_battery --out FOLDER --seconds 540``.

Four stages, each with a file of its own in the folder, whose rows are on disk as they are taken; run again, each goes
on where it stopped. latencies: every file, dtype and batch under ``onnx`` and ``onnx-cudagraph``, rounds of
synchronised passes with the host probe around them, then kernels by name. placements: the same files once more with
ONNX Runtime's own profile, which says where each node ran. nodes: single nodes of kinds that the sweeps of
calibrations leave out. convolutions: single ones in exact fp32.

The files are written first, by those who need them (``benchmarks.onnx_files``), into ``--files``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import structs

from benchmarks.onnx_files import FILES, write
from benchmarks.onnx_files.net import BELOW
from benchmarks.onnx_files.nodes import all_nodes, node
from calibrate.measure.models import Bench, Protocol, complete, measure
from calibrate.measure.sweep import dims_of
from calibrate.measure.timers import CaseProfiler, KernelTime
from calibrate.measure.workers import PRELOADED, Worker
from calibrate.samples.records import CaseProfile, KernelSample, NodeTime, Refusal, SessionNodes
from calibrate.samples.rounds import lower_quartile
from calibrate.samples.store import SampleFile
from calibrate.workloads.cases import Case, KernelId
from calibrate.workloads.device import Run, synchronize
from calibrate.workloads.isolated import onnx_convs
from calibrate.workloads.sweeps import KernelCase
from predictor import onnx_runtime
from predictor.errors import PredictorError, one_line
from predictor.runtimes.onnx.execution import open_session

RUNTIMES = {"onnx": {}, "onnx-cudagraph": {"enable_cuda_graph": "1"}}
"""Runtime -> options of its CUDA provider."""

PROFILED_PASSES = 8
"""Under ONNX Runtime's profiler, after three that warm up."""

AHEAD = 10
"""Processes that prepare a placement while another is measured."""

CHUNK = 24
"""Single nodes that are measured in one run of the profiler."""

FOLDER = "ONNX_BATTERY_FILES"
"""Variable of the environment that tells processes where the files are."""


def inputs_of(path: Path, device: str) -> list[torch.Tensor]:
    """Tensors that a file takes, of no particular values; whole numbers below what its metadata says."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    weights = {tensor.name for tensor in model.graph.initializer}
    below = {entry.key.removeprefix(BELOW): int(entry.value) for entry in model.metadata_props if BELOW in entry.key}
    generator = torch.Generator("cpu").manual_seed(0)
    made = []
    for given in model.graph.input:
        if given.name in weights:
            continue
        kind = given.type.tensor_type
        sizes = [size.dim_value for size in kind.shape.dim]
        dtype = getattr(torch, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name)
        if dtype.is_floating_point:
            tensor = torch.rand(sizes, generator=generator).to(dtype)
        else:
            tensor = torch.randint(below.get(given.name, 2), sizes, generator=generator).to(dtype)
        made.append(tensor.to(device))
    return made


class FileBench(Bench):
    """An ONNX file under a runtime, in a process of its own."""

    def _load(self) -> None:
        os.environ[onnx_runtime.TELEMETRY] = "1"

    def _ready(self, case: Case) -> Run:
        path = write(self._model, self.dtype, case.batch, Path(os.environ[FOLDER]))
        options = RUNTIMES[case.runtime] if self.device == "cuda" else {}
        return open_session(path, inputs_of(path, self.device), options)[1]


class Placer:
    """A file's session with ONNX Runtime's own profiler."""

    def __init__(self, device: str) -> None:
        torch.set_num_threads(1)
        self.device = device

    def prepare(self, name: str, dtype: str, batch: int) -> None:
        """Open the session."""
        path = write(name, dtype, batch, Path(os.environ[FOLDER]))
        self.folder = tempfile.TemporaryDirectory()
        prefix = Path(self.folder.name) / "profile"
        self.session, self.run = open_session(path, inputs_of(path, self.device), {}, prefix)

    def nodes(self) -> tuple[NodeTime, ...]:
        """What a node takes in some passes, and where it ran."""
        for _ in range(PROFILED_PASSES):
            self.run()
        events = json.loads(Path(self.session.end_profiling()).read_text(encoding="utf-8"))
        return node_times(events)


def node_times(events: Sequence[dict[str, Any]]) -> tuple[NodeTime, ...]:
    """Nodes by the events of ONNX Runtime's profile, in the order of their first run."""
    seconds: dict[tuple[str, str], list[float]] = {}
    rows: dict[tuple[str, str], NodeTime] = {}
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
            continue
        args = event["args"]
        key = event["name"], args.get("node_index", "")
        seconds.setdefault(key, []).append(event["dur"] * 1e-6)
        if key not in rows:
            reads, writes = (_shapes(args.get(field, [])) for field in ("input_type_shape", "output_type_shape"))
            rows[key] = NodeTime(args["op_name"], args.get("provider", ""), 0.0, reads, writes)
    return tuple(
        NodeTime(row.op, row.provider, round(lower_quartile(seconds[key]), 7), row.reads, row.writes)
        for key, row in rows.items()
    )


def _shapes(listed: Sequence[dict[str, Sequence[int]]]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((kind, tuple(shape)) for entry in listed for kind, shape in entry.items())


class Nodes:
    """Single nodes and convolutions in sessions of their own, their kernels seen by the profiler."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.profiler = CaseProfiler()

    def measure(self, chunk: Sequence[Any]) -> list[KernelTime | None]:
        """Kernel times of single nodes (kind, dtype, index), or of convolutions."""
        with torch.inference_mode():
            return self.profiler.measure([_maker(wanted) for wanted in chunk])


def _maker(wanted: Any) -> Callable[[], tuple[Run, Sequence[torch.Tensor]]]:
    if isinstance(wanted, KernelCase):
        return onnx_convs.maker(wanted, "cuda")

    def make() -> tuple[Run, Sequence[torch.Tensor]]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "node.onnx"
            node(*wanted).save(path)
            inputs = inputs_of(path, "cuda")
            try:
                session = open_session(path, inputs, {})[1]
            except Exception as error:  # its exceptions have no common base of their own
                raise RuntimeError(f"ONNX Runtime does not take it: {error}") from error

        def run() -> None:  # the session has a stream of its own, and waits for it alone
            synchronize("cuda")
            session()

        return run, [x for x in inputs if x.is_floating_point()]

    return make


def measure_latencies(file: SampleFile, names: Sequence[str], device: str, protocol: Protocol) -> None:
    """Every file under both runtimes: first all under the one, whose processes write the files."""
    cases = [
        Case(name, batch, dtype, runtime)
        for runtime in RUNTIMES
        for name in names
        for dtype in FILES[name].dtypes
        for batch in FILES[name].batches
        if device == "cuda" or runtime == "onnx"
    ]
    if not complete(cases, file, protocol):
        measure(cases, file, device, protocol, lambda steps: None, bench=FileBench)
    print(
        f"latencies: {len(file.of(CaseProfile))} of {len(cases)} cases, {len(file.of(Refusal))} cannot run", flush=True
    )
    for refusal in file.of(Refusal):
        print(f"  {refusal.case}  {refusal.reason[:160]}", flush=True)


def measure_placements(file: SampleFile, names: Sequence[str], device: str, ends: float, limit_s: float) -> None:
    """Where every node of every file runs. Sessions are opened side by side, and run one at a time."""
    wanted = [Case(n, b, d, "onnx") for n in names for d in FILES[n].dtypes for b in FILES[n].batches]
    waiting = deque(c for c in wanted if not file.has(SessionNodes, c) and not file.has(Refusal, c))
    ready: deque[tuple[Case, Worker]] = deque()
    try:
        while (waiting or ready) and time.monotonic() < ends:
            while waiting and len(ready) < AHEAD:
                case, worker = waiting.popleft(), Worker(Placer, device)
                worker.ask("prepare", case.model, case.dtype, case.batch)
                ready.append((case, worker))
            case, worker = ready.popleft()
            try:
                worker.answer(limit_s)
                worker.ask("nodes")
                file.append([SessionNodes(case, worker.answer(limit_s))])
            except RuntimeError as error:
                file.append([Refusal(case, str(error))])
            worker.kill()
    finally:
        for _, worker in ready:
            worker.kill()
    rows = file.of(SessionNodes)
    on_cpu = sum(any(n.provider == "CPUExecutionProvider" for n in row.nodes) for row in rows)
    print(f"placements: {len(rows)} of {len(wanted)} cases, {on_cpu} with nodes on the CPU", flush=True)


def measure_nodes(file: SampleFile, ends: float, limit_s: float) -> None:
    """Single nodes, a chunk at a time; where a chunk fails, its nodes one by one."""
    wanted = [(KernelId(kind, dtype, index), (kind, dtype, index)) for kind, dtype, index in all_nodes()]
    rows = [(id, row, lambda time, id=id: _sample(id, time)) for id, row in wanted if not file.has(KernelSample, id)]
    _take(rows, file, ends, limit_s)
    print(f"nodes: {len(file.of(KernelSample))} of {len(wanted)}", flush=True)


def measure_convolutions(file: SampleFile, ends: float, limit_s: float) -> None:
    """Single convolutions in exact fp32, as the sweep of a calibration has them."""
    known = {sample.id for sample in file.of(KernelSample)}
    plan = onnx_convs.plan_of("fp32")
    rows = (
        (c.id, replace(c, recipe=None), lambda time, c=c: _conv_sample(c, time))  # a recipe holds code, and is not used
        for c in onnx_convs.cases(plan, known)
        if c is not None
    )
    _take(rows, file, ends, limit_s)
    print(f"convolutions: {len(file.of(KernelSample))} of {plan.total}", flush=True)


def _sample(id: KernelId, time: KernelTime | None) -> KernelSample:
    """Of a node its kind and number say all: it can be drawn again."""
    return _filled(KernelSample(id, id.series, id.family, {}), time)


def _conv_sample(case: KernelCase, time: KernelTime | None) -> KernelSample:
    return _filled(KernelSample(case.id, case.kernel.dtype, case.op, dims_of(case)), time)


def _filled(sample: KernelSample, time: KernelTime | None) -> KernelSample:
    if time is None:
        return sample
    return structs.replace(sample, repeats_s=time.repeats_s, launches=time.launches, name=time.name)


def _take(rows: Any, file: SampleFile, ends: float, limit_s: float) -> None:
    """Rows of (identity, what is measured, sample of a time) in chunks, each answered within a limit."""
    rows = iter(rows)
    worker = Worker(Nodes)
    chunk_rows: list[Any] = []
    alone: deque[list[Any]] = deque()
    try:
        while time.monotonic() < ends:
            chunk_rows = alone.popleft() if alone else [row for row, _ in zip(rows, range(CHUNK), strict=False)]
            if not chunk_rows:
                return
            worker.ask("measure", [row[1] for row in chunk_rows])
            try:
                times = worker.answer(limit_s)
            except RuntimeError as error:
                print(f"  {chunk_rows[0][0]} and {len(chunk_rows) - 1} more: {one_line(error)[:150]}", flush=True)
                worker.kill()
                worker = Worker(Nodes)
                if len(chunk_rows) > 1:
                    alone.extend([row] for row in chunk_rows)
                    continue
                times = [None]
            file.append([row[2](taken) for row, taken in zip(chunk_rows, times, strict=True)])
    finally:
        worker.kill()


def _names(asked: str) -> Iterator[str]:
    for name in asked.split(",") if asked else FILES:
        if name not in FILES:
            raise PredictorError(f"no file {name}; there are {', '.join(FILES)}")
        yield name


def main() -> None:
    """Measure what is missing, stage by stage, until the time is over."""
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of samples, appended to")
    parser.add_argument("--files", type=Path, default=Path(tempfile.gettempdir()) / "onnx_battery")
    parser.add_argument("--names", default="", help="these files alone, comma-separated")
    parser.add_argument("--seconds", type=float, default=540.0, help="when to stop")
    parser.add_argument("--latencies", type=float, default=300.0, help="seconds after which latencies stop")
    parser.add_argument("--share", type=float, default=0.6, help="share of what is left then for single nodes")
    parser.add_argument("--limit", type=float, default=100.0, help="seconds for one case to prepare, or to answer")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--passes", type=int, default=12)
    parser.add_argument("--wave", type=int, default=28, help="processes that are measured together")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    os.environ[FOLDER] = str(options.files)
    PRELOADED.append("benchmarks.onnx_battery")
    names = list(_names(options.names))
    ends = start + options.seconds
    protocol = Protocol(
        **{"rounds": options.rounds, "passes": options.passes, "profiles": 2, "pass_budget_s": 0.08},
        **{"prepare_limit_s": options.limit, "answer_limit_s": 30.0, "wave": options.wave, "wave_s": 40.0},
        total_s=options.latencies,
    )

    def file(stage: str) -> SampleFile:
        return SampleFile(options.out / f"{stage}.jsonl.gz")

    def stamp() -> None:
        print(f"{time.monotonic() - start:.0f} s", flush=True)

    measure_latencies(file("latencies"), names, options.device, protocol)
    stamp()
    measure_placements(file("placements"), names, options.device, ends - 40, options.limit)
    stamp()
    if options.device == "cuda":
        now = time.monotonic()
        measure_nodes(file("nodes"), now + (ends - now) * options.share, options.limit)
        stamp()
        measure_convolutions(file("convolutions"), ends, options.limit)
        stamp()


if __name__ == "__main__":
    main()
