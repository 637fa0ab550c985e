"""What of the models that people have is predicted: ``python -m benchmarks.coverage``.

Every model is captured and predicted (eager, H200) in a process of its own, under a time limit. Prints a row a model,
and a summary for each group: the battery, idioms as people write them, the architectures of transformers in small
configurations.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from benchmarks import coverage_idioms
from benchmarks.battery import families
from predictor.errors import PredictorError
from predictor.predict import Predictor
from predictor.records import Report
from predictor.sources import load_model
from predictor.sources.transformers_inputs import inputs_of

LIMIT_S = 60.0

PREDICTED, PARTLY, REFUSED, RAISED, UNBUILT, LATE = (
    *("predicted", "partly", "refused", "raised", "not built", "out of time"),
)
"""What became of a model. PARTLY: with operators that nothing models; RAISED: another error than the predictor's;
UNBUILT: the model itself could not be made, which says nothing of the predictor.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A model of a group, and what became of it. said: the error, the operators without a model, or the assumptions."""

    group: str
    model: str
    outcome: str
    launches: int = 0
    latency_s: float = 0.0
    unmodelled: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    said: str = ""


Build = Callable[[], tuple[Any, Any, str]]
"""Makes a module, its inputs and the dtype to predict it in."""


def cases() -> Iterator[tuple[str, str, Build]]:
    """(Group, name, what builds it) of all that is tried."""
    for split in ("learn", "held_out"):
        for model in families.models(split):
            yield "battery", model, lambda model=model: _of_battery(model)
    for name, build in coverage_idioms.IDIOMS.items():
        yield "idioms", name, build
    for kind in sorted(MODEL_MAPPING_NAMES):
        yield "transformers", kind, lambda kind=kind: _of_transformers(kind)


def _of_battery(model: str) -> tuple[Any, Any, str]:
    module, inputs, _ = load_model(families.specification(model), 1)
    return module, inputs, families.usual(model)[0][0]


_FEW = dict.fromkeys(
    (
        *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers"),
        *("num_encoder_layers", "num_decoder_layers", "e_layers", "d_layers", "depth"),
    ),
    2,
)


def _of_transformers(kind: str) -> tuple[Any, Any, str]:
    """A model type as its configuration class has it, of two layers, without its data."""
    fields = AutoConfig.for_model(kind).to_dict()
    few = {name: value for name, value in _FEW.items() if isinstance(fields.get(name), int)}
    few = {
        n: v for n, v in few.items() if not any(f.startswith(("layer_types", "layers_block")) for f in fields)
    } or few
    config = AutoConfig.for_model(kind)
    with suppress(Exception):  # a configuration whose fields must agree with each other stays as it is
        config = AutoConfig.for_model(kind, **few)
    with torch.device("meta"):
        model = AutoModel.from_config(config).eval()
    inputs = inputs_of(model, 1)
    return model, inputs, "fp16"


def attempt(group: str, model: str, build: Build, gpu: str = "h200", runtime: str = "eager") -> Row:
    """Build and predict one model."""
    try:
        module, inputs, dtype = build()
    except Exception as error:
        return Row(group, model, UNBUILT, said=_line(error))
    try:
        report = Predictor(gpu, runtime, dtype).predict(module, inputs)
    except PredictorError as error:
        return Row(group, model, REFUSED, said=_line(error))
    except Exception as error:
        return Row(group, model, RAISED, said=f"{type(error).__name__}: {_line(error)}")
    return _predicted(group, model, report)


def _predicted(group: str, model: str, report: Report) -> Row:
    unmodelled = dict(report.unmodelled)
    said = ", ".join(f"{op} x{count}" for op, count in unmodelled.items())
    outcome = PARTLY if unmodelled else PREDICTED
    notes = tuple(note for note in report.notes if not note.startswith("captured with"))
    return Row(group, model, outcome, report.launches, report.latency_s, unmodelled, notes, said)


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:220]


def _child(sender: Connection, group: str, model: str, build: Build) -> None:
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    torch.manual_seed(0)
    sender.send(attempt(group, model, build))
    sender.close()
    os._exit(0)  # nothing of the parent's is closed twice


def tried(group: str, model: str, build: Build, limit_s: float) -> Row:
    """``attempt`` in a process of its own, stopped after a time."""
    receiver, sender = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_child, args=(sender, group, model, build))
    process.start()
    sender.close()
    try:
        row: Row = receiver.recv() if receiver.poll(limit_s) else Row(group, model, LATE)
    except EOFError:
        row = Row(group, model, RAISED, said="the process ended")
    process.kill()
    process.join()
    return row


def main() -> None:
    """A row a model, a summary a group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", default="battery,idioms,transformers")
    parser.add_argument("--only", default="", help="models whose names hold this")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for a model")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="when to stop")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, rows = time.monotonic(), []
    for group, model, build in cases():
        if group not in options.groups.split(",") or options.only not in model:
            continue
        if time.monotonic() - start > options.seconds:
            break
        row = tried(group, model, build, options.limit)
        rows.append(row)
        latency = f"{1e3 * row.latency_s:9.3f} ms {row.launches:6} launches" if row.latency_s else " " * 28
        print(f"{group:12} {model:36} {row.outcome:12} {latency}  {row.said or '; '.join(row.notes)}", flush=True)
    print(summary(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def summary(rows: list[Row]) -> str:
    """Outcomes of every group, and what is missing in the order of how many models miss it."""
    lines = [f"\n{'group':12} {'models':>6} {'predicted':>9} {'of these in full':>16} {'refused':>8} {'other':>6}"]
    for group in dict.fromkeys(row.group for row in rows):
        made = [row for row in rows if row.group == group and row.outcome != UNBUILT]
        counts = Counter(row.outcome for row in made)
        full, refused = counts[PREDICTED], counts[REFUSED]
        predicted = full + counts[PARTLY]
        other = len(made) - predicted - refused
        lines.append(f"{group:12} {len(made):>6} {predicted:>9} {full:>16} {refused:>8} {other:>6}")
    missing = Counter(op for row in rows for op in row.unmodelled)
    lines += [f"{count:4} models with {op}" for op, count in missing.most_common(15)]
    return "\n".join(lines)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main()
