"""What of the models that people have is predicted: ``python -m benchmarks.coverage``.

Every model is captured and predicted (eager, H200) in a process of its own, under a time limit. Prints a row a model,
and a summary for each group: the battery, idioms as people write them, the architectures of transformers in small
configurations, and of torchvision, timm, diffusers and PyTorch Geometric where these are installed. ``--runtimes``
predicts thirty of them, spread over the groups, for the other runtimes. ``--record`` keeps the rows in
``benchmarks/data/coverage.json.gz``, ``--write-docs`` makes ``docs/coverage.md`` of what is kept there.
"""

from __future__ import annotations

import argparse
import copy
import gc
import gzip
import importlib
import json
import multiprocessing
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils._pytree import tree_map_only

from benchmarks import coverage_idioms, coverage_libraries, coverage_transformers
from benchmarks.battery import families
from benchmarks.torchvision_operators import import_torchvision
from predictor.capture.calls import DTYPES
from predictor.errors import PredictorError
from predictor.graph.inputs import call_arguments
from predictor.predict import Predictor
from predictor.records import Report
from predictor.sources import load_model

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "benchmarks" / "data" / "coverage.json.gz"
PAGE = ROOT / "docs" / "coverage.md"

GPU = "h200"
LIMIT_S = 60.0
MOST_SAID = 300
"""Characters of an error in the page."""

KEPT_EVERY = 20
"""Rows, after which a run that records keeps what it has."""

LIBRARIES = ("torch", "transformers", "torchvision", "timm", "diffusers", "torch_geometric")

PREDICTED, PARTLY, REFUSED, RAISED, UNBUILT, UNFIT, LATE = (
    *("predicted", "partly", "refused", "raised", "not built", "does not run", "out of time"),
)
"""What became of a model. PARTLY: with operators that nothing models; RAISED: another error than the predictor's.
UNBUILT: the model itself could not be made; UNFIT: it raises the same error without a prediction, as its default
configuration or the inputs made here are not fit for it. Neither says anything of the predictor.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A model of a group, and what became of it. said: the error, the operators without a model, or the assumptions."""

    group: str
    model: str
    outcome: str
    runtime: str = "eager"
    launches: int = 0
    latency_s: float = 0.0
    unmodelled: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    said: str = ""


Build = Callable[[], tuple[Any, Any, str]]
"""Makes a module, its inputs and the dtype to predict it in."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is tried: a model of a group under a runtime, and what builds it."""

    group: str
    model: str
    build: Build
    runtime: str = "eager"

    @property
    def key(self) -> tuple[str, str, str]:
        return self.group, self.runtime, self.model


def _battery() -> Iterator[tuple[str, Build]]:
    for split in ("learn", "held_out"):
        for model in families.models(split):
            yield model, lambda model=model: _of_battery(model)  # type: ignore[misc]


def _of_battery(model: str) -> tuple[Any, Any, str]:
    module, inputs, _ = load_model(families.specification(model), 1)
    return module, inputs, families.usual(model)[0][0]


GROUPS: dict[str, Callable[[], Iterable[tuple[str, Build]]]] = {
    "battery": _battery,
    "idioms": coverage_idioms.IDIOMS.items,
    "transformers": coverage_transformers.cases,
    **coverage_libraries.CASES,
}
"""Group -> names of its models, and what builds each."""

SPREAD = {"battery": 4, "idioms": 6, "transformers": 6, "torchvision": 5, "timm": 5, "diffusers": 3, "geometric": 1}
"""Group -> how many of its models are predicted for the other runtimes: thirty."""

OTHER_RUNTIMES = ("torchscript", "cudagraph", "compile", "onnx")


def cases(groups: Iterable[str], runtimes: Iterable[str] = ("eager",)) -> Iterator[Case]:
    """All models of groups under eager, those of ``SPREAD`` under other runtimes. A group whose library is not
    installed is left out, and said.
    """
    for group in groups:
        try:
            models = list(GROUPS[group]())
        except ImportError as error:
            print(f"{group}: left out, {error}")
            continue
        step = max(len(models) // SPREAD[group], 1)
        for runtime in runtimes:
            some = models if runtime == "eager" else models[step // 2 :: step][: SPREAD[group]]
            for model, build in some:
                yield Case(group, model, build, runtime)


def attempt(case: Case) -> Row:
    """Build and predict one model."""
    try:
        module, inputs, dtype = case.build()
    except Exception as error:
        return _row(case, UNBUILT, said=f"{type(error).__name__}: {_line(error)}")
    row = _outcome(case, module, inputs, dtype)
    if dtype == "fp16" and (row.outcome == UNFIT or "--dtype" in row.said):  # as its user would do
        row = replace(second := _outcome(case, module, inputs, "fp32"), notes=("in fp32", *second.notes))
    return row


def _outcome(case: Case, module: Any, inputs: Any, dtype: str) -> Row:
    try:
        report = Predictor(GPU, case.runtime, dtype).predict(module, inputs)
    except PredictorError as error:
        return _row(case, UNFIT if raises_the_same(module, inputs, dtype, error) else REFUSED, said=_line(error))
    except Exception as error:
        return _row(case, RAISED, said=f"{type(error).__name__}: {_line(error)}")
    return _predicted(case, report)


def raises_the_same(module: Any, inputs: Any, dtype: str, error: PredictorError) -> bool:
    """Whether a module raises what a prediction says of it when it is called without one, on the meta device."""

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to("meta", DTYPES[dtype] if tensor.is_floating_point() else None)

    try:
        with torch.inference_mode():
            plain = copy.deepcopy(module).to("meta", DTYPES[dtype])
            given = tree_map_only(torch.Tensor, moved, call_arguments(inputs))
            plain(*given[0], **given[1])
    except Exception as raised:
        said = " ".join(str(raised).split())[:60]
        return bool(said) and said in str(error) and "meta" not in str(raised).lower()
    return False


def _row(case: Case, outcome: str, **values: Any) -> Row:
    return Row(case.group, case.model, outcome, case.runtime, **values)


def _predicted(case: Case, report: Report) -> Row:
    unmodelled = dict(report.unmodelled)
    said = ", ".join(f"{op} x{count}" for op, count in unmodelled.items())
    return _row(
        case,
        PARTLY if unmodelled else PREDICTED,
        launches=report.launches,
        latency_s=report.latency_s,
        unmodelled=unmodelled,
        notes=tuple(note for note in report.notes if not note.startswith("captured with")),
        said=said,
    )


def _line(error: BaseException) -> str:
    return without_folders((str(error).strip() or type(error).__name__).splitlines()[0])[:600]


def without_folders(text: str) -> str:
    """A text in which files are named from their package on, wherever that is installed.

    >>> without_folders("(mm, /home/me/site-packages/torch/nn/linear.py:3)")
    '(mm, torch/nn/linear.py:3)'
    """
    return re.sub(r"(?<![\w.])/\S*?/(?=(?:benchmarks|torch|torch_geometric|torchvision|timm|diffusers)/)", "", text)


def _child(sender: Connection, case: Case) -> None:
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    torch.manual_seed(0)
    sender.send(attempt(case))
    sender.close()
    os._exit(0)  # nothing of the parent's is closed twice


@dataclass(frozen=True, slots=True)
class _Running:
    case: Case
    process: Any
    end_s: float


def tried(todo: Iterable[Case], limit_s: float, jobs: int = 1) -> Iterator[Row]:
    """``attempt`` of every case in a process of its own, stopped after a time; ``jobs`` of them at once."""
    fork = multiprocessing.get_context("fork")
    left, running = iter(todo), {}
    while True:
        while len(running) < jobs and (case := next(left, None)) is not None:
            receiver, sender = fork.Pipe(duplex=False)
            process = fork.Process(target=_child, args=(sender, case))
            process.start()
            sender.close()
            running[receiver] = _Running(case, process, time.monotonic() + limit_s)
        if not running:
            return
        soonest = min(run.end_s for run in running.values())
        ready = wait(list(running), max(soonest - time.monotonic(), 0.0))
        for receiver in [r for r, run in running.items() if r in ready or time.monotonic() > run.end_s]:
            run = running.pop(receiver)
            yield _received(receiver, run.case) if receiver in ready else _row(run.case, LATE)
            run.process.kill()
            run.process.join()


def _received(receiver: Any, case: Case) -> Row:
    try:
        row: Row = receiver.recv()
    except EOFError:
        return _row(case, RAISED, said="the process ended")
    return row


def main() -> None:
    """A row a model, a summary a group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--only", default="", help="models whose names hold one of these, with commas between them")
    parser.add_argument("--runtimes", action="store_true", help="thirty models under the other runtimes")
    parser.add_argument("--jobs", type=int, default=1, help="models at once")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for a model")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="when to start no more")
    parser.add_argument("--again", action="store_true", help="only what was not predicted in full when it was recorded")
    parser.add_argument("--record", action="store_true", help=f"keep the rows in {STORE.relative_to(ROOT)}")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.relative_to(ROOT)} of the rows kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with suppress(ImportError):  # timm and transformers look whether it is there
        import_torchvision()
    importlib.import_module("transformers.modeling_utils")
    # what every child would read again
    Predictor(GPU, "eager", "fp16").predict(torch.nn.Linear(1, 1), torch.rand(1, 1))
    gc.freeze()
    start, rows = time.monotonic(), []
    named = options.only.split(",")
    full = {(r.group, r.runtime, r.model) for r in stored()[1] if r.outcome == PREDICTED} if options.again else set()
    todo = (
        case
        for case in cases(options.groups.split(","), OTHER_RUNTIMES if options.runtimes else ("eager",))
        if any(name in case.model for name in named) and case.key not in full
        if time.monotonic() - start <= options.seconds
    )
    if not (options.write_docs and not options.record):
        for row in tried(todo, options.limit, options.jobs):
            rows.append(row)
            print(_printed(row), flush=True)
            if options.record and len(rows) % KEPT_EVERY == 0:
                record(rows)
        print(summary(rows))
    if options.record:
        record(rows)
    if options.write_docs:
        PAGE.write_text(page(*stored()), encoding="utf-8")


def _printed(row: Row) -> str:
    latency = f"{1e3 * row.latency_s:9.3f} ms {row.launches:6} launches" if row.latency_s else " " * 28
    group = row.group if row.runtime == "eager" else f"{row.group} {row.runtime}"
    return f"{group:12} {row.model:36} {row.outcome:12} {latency}  {row.said or '; '.join(row.notes)}"


def record(rows: Iterable[Row]) -> None:
    """Keep rows beside those of earlier runs; of the same case the new one."""
    kept = {(row.group, row.runtime, row.model): row for row in [*stored()[1], *rows]}
    versions = {name: _version(name) for name in LIBRARIES}
    tried = sum(group == "transformers" and runtime == "eager" for group, runtime, _ in kept)
    versions["transformers"] += f" ({tried} of its {len(coverage_transformers.MODEL_MAPPING_NAMES)} model types)"
    data = {"versions": versions, "rows": [asdict(kept[key]) for key in sorted(kept)]}
    STORE.parent.mkdir(exist_ok=True)
    STORE.write_bytes(gzip.compress(json.dumps(data, indent=0).encode(), mtime=0))


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def stored() -> tuple[dict[str, str], list[Row]]:
    """The versions of libraries, and the rows that were recorded."""
    if not STORE.is_file():
        return {}, []
    data = json.loads(gzip.decompress(STORE.read_bytes()))
    return data["versions"], [Row(**{**row, "notes": tuple(row["notes"])}) for row in data["rows"]]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of the models of a group."""

    built: int
    predicted: int
    full: int
    refused: int
    other: int
    unbuilt: int


def _counts(rows: Iterable[Row]) -> _Counts:
    of = Counter(row.outcome for row in rows)
    predicted, other = of[PREDICTED] + of[PARTLY], of[RAISED] + of[LATE]
    return _Counts(
        predicted + of[REFUSED] + other, predicted, of[PREDICTED], of[REFUSED], other, of[UNBUILT] + of[UNFIT]
    )


def _grouped(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by group; those of other runtimes by runtime."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group if row.runtime == "eager" else row.runtime, []).append(row)
    return groups


def _missing(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """Operators that nothing models, and how many models have each."""
    return Counter(op for row in rows for op in row.unmodelled).most_common(15)


def summary(rows: list[Row]) -> str:
    """Outcomes of every group, and what is missing in the order of how many models miss it."""
    lines = [
        f"\n{'group':12} {'models':>6} {'predicted':>9} {'in full':>8} {'refused':>8} {'other':>6} {'not built':>10}"
    ]
    for group, members in _grouped(rows).items():
        c = _counts(members)
        lines.append(
            f"{group:12} {c.built:>6} {c.predicted:>9} {c.full:>8} {c.refused:>8} {c.other:>6} {c.unbuilt:>10}"
        )
    lines += [f"{count:4} models with {op}" for op, count in _missing(rows)]
    return "\n".join(lines)


def page(versions: dict[str, str], rows: list[Row]) -> str:
    """``docs/coverage.md``."""
    said = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    lines = [
        "# Coverage",
        "",
        "Which models are predicted, made by `python -m benchmarks.coverage --record --write-docs` "
        f"with {said}. Every model is built with random weights, in a small configuration where its library has one, "
        f"and predicted for {GPU.upper()}; the last rows are models of all groups under other runtimes. "
        "*In full*: no operator is without a model of its cost. A model that could not be built, or that raises the "
        "same error without a prediction (its configuration has no usable defaults, a package is missing, its inputs "
        "are not known here) is counted apart, in the last column.",
        "",
        "| group | models | predicted | in full | refused | other errors | not built |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, members in sorted(_grouped(rows).items(), key=lambda item: item[0] in OTHER_RUNTIMES):
        c = _counts(members)
        lines.append(
            f"| {group} | {c.built} | {c.predicted}{_share(c.predicted, c.built)} | {c.full}{_share(c.full, c.built)} "
            f"| {c.refused} | {c.other} | {c.unbuilt} |"
        )
    lines += ["", "## Operators without a model", ""]
    lines += [f"* `{op}`: {count} models" for op, count in _missing(rows)] or ["None."]
    lines += ["", "## Not predicted", "", "| group | model | what is said |", "|---|---|---|"]
    for row in rows:
        if row.outcome in (REFUSED, RAISED, LATE):
            group = row.group if row.runtime == "eager" else f"{row.group}, {row.runtime}"
            lines.append(f"| {group} | {row.model} | {_cell(row.said or row.outcome)} |")
    lines += ["", "## Not built", "", "| group | models |", "|---|---|"]
    for group, members in _grouped(rows).items():
        names = [row.model for row in members if row.outcome in (UNBUILT, UNFIT)]
        if names:
            lines.append(f"| {group} | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """What a row says in a table, without the folders of this machine."""
    text = re.sub(r"/\S*/site[^/]*/", "", text).replace("|", r"\|")
    return text if len(text) <= MOST_SAID else f"{text[:MOST_SAID]} ..."


def _share(part: int, whole: int) -> str:
    return f" ({100 * part / whole:.1f} %)" if whole else ""


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main()
