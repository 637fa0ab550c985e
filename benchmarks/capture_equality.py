"""Whether a capture that remembers signatures gives the graph that one does which computes everything anew:
``python -m benchmarks.capture_equality``. Over the models of ``benchmarks.coverage`` (of the battery those to learn
from), each in a process of its own: captured the slow way, then three times the fast way, and compared byte for byte;
where a capture is refused, the messages. Prints what differs, and how many models were compared.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection

import torch

import models_zoo
from benchmarks import coverage
from benchmarks.battery import families
from benchmarks.coverage import Build
from benchmarks.torchvision_operators import import_torchvision
from predictor.capture import signatures
from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from predictor.records import CaptureMode, Graph

LIMIT_S = 120.0
MOST_SAID = 600
"""Characters of a difference."""

MODES = (CaptureMode.EAGER, CaptureMode.COMPILED)


def _zoo() -> Iterator[tuple[str, Build]]:
    for name in models_zoo.names():
        yield name, lambda name=name: (*models_zoo.build(name, 2), "fp16")  # type: ignore[misc]


def _learned() -> Iterator[tuple[str, Build]]:
    for model in families.models("learn"):
        yield model, lambda model=model: coverage._of_battery(model)  # type: ignore[misc]


GROUPS = {"zoo": _zoo, **coverage.GROUPS, "battery": _learned}


def difference(build: Build) -> str:
    """What differs between the two ways in any of the modes; "same" where nothing does, "not built" where the module
    cannot be made.
    """
    torch.manual_seed(0)
    try:
        module, inputs, dtype = build()
    except Exception:
        return "not built"

    def captured(mode: CaptureMode) -> str:
        torch.manual_seed(0)
        random.seed(0)
        try:
            return text(capture(module, inputs, dtype, "model", mode))
        except PredictorError as error:
            return f"refused: {error}"

    for mode in MODES:
        os.environ[signatures.SLOW] = "1"
        slow = captured(mode)
        del os.environ[signatures.SLOW]
        for time in ("first", "second", "third"):  # the second has signatures, the third has layers, too
            fast = captured(mode)
            if fast != slow:
                return f"{mode}, {time} time: {first_difference(slow, fast)}"
    return "same"


def text(graph: Graph) -> str:
    """All that a graph holds, a line a call."""
    head = (graph.name, graph.dtype, graph.batch, graph.tail, graph.module_calls, graph.outputs, graph.assumptions)
    lines = [repr(head), *map(repr, graph.calls)]
    return re.sub("0x[0-9a-f]+", "0x", "\n".join(lines))  # addresses of objects among the arguments


def first_difference(slow: str, fast: str) -> str:
    """The first lines that differ."""
    pairs = zip(slow.splitlines(), fast.splitlines(), strict=False)
    one, other = next(((a, b) for a, b in pairs if a != b), ("", "more lines"))
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    start = max(start - 100, 0)
    return f"{one[:60]} ... {one[start : start + MOST_SAID]!r} is {other[start : start + MOST_SAID]!r}"


def _child(sender: Connection, build: Build) -> None:
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sender.send(difference(build))
    sender.close()
    os._exit(0)


def main() -> None:
    """Print what differs, and a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--every", type=int, default=1, help="one model of so many")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with suppress(ImportError):
        import_torchvision()
    importlib.import_module("transformers.modeling_utils")
    fork = multiprocessing.get_context("fork")
    for group in options.groups.split(","):
        counts: Counter[str] = Counter()
        try:
            models = list(GROUPS[group]())[:: options.every]
        except ImportError as error:
            print(f"{group}: left out, {error}")
            continue
        for model, build in models:
            receiver, sender = fork.Pipe(duplex=False)
            process = fork.Process(target=_child, args=(sender, build))
            process.start()
            sender.close()
            said = "out of time"
            if receiver.poll(LIMIT_S):
                with suppress(EOFError):
                    said = receiver.recv()
            process.kill()
            process.join()
            known = said in ("same", "not built", "out of time")
            counts[said if known else "differs"] += 1
            if said != "same":
                print(f"{group} {model}: {said}", flush=True)
        print(f"{group}: {dict(counts)}", flush=True)


if __name__ == "__main__":
    main()
