"""Damage calibrations in every way that files are damaged, and tell what the program makes of each:

    python benchmarks/mutated_calibrations.py [COUNT]

Of a damaged calibration only two things may come: the same figures, or an error of one line. Tests hold a part of that.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace
from torch import nn

from predictor.calibration.files import SHIPPED, read, write_calibration
from predictor.calibration.load import forget
from predictor.calibration.schema import Kernels
from predictor.errors import PredictorError
from predictor.plans import Plan
from predictor.predict import plan

GPUS = {
    "h200": ("device", "kernels", "eager", "torchscript", "cudagraph", "datasheet"),
    "v100": ("device", "kernels", "hosts", "datasheet"),
}
"""GPU -> files. The second is derived from the first."""

FILES = [Path(gpu) / f"{name}.json" for gpu, names in GPUS.items() for name in names if name != "datasheet"]
"""What is damaged. A prediction for these GPUs does not ask for their datasheets."""

RUNTIMES = ("eager", "torchscript", "cudagraph")

HANGS_S = 30
"""After which a prediction is said to hang."""


class Outcome(StrEnum):
    """What came of a damaged calibration."""

    SAME = "the same figures"
    REFUSED = "an error of one line"
    OTHER_FIGURES = "other figures"
    OTHER_ERROR = "another exception"
    HANGS = "hangs"


def small_plan() -> Plan:
    """A network with a convolution, a product and pointwise operators."""
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(576, 10))
        return plan(module.eval(), torch.empty(4, 3, 8, 8), "small")


def write_base(folder: Path) -> None:
    """Calibrations to damage: the shipped ones, with the fits that the network needs alone, so that each is read in
    little time.
    """
    for gpu, names in GPUS.items():
        for name in names:
            (folder / gpu).mkdir(parents=True, exist_ok=True)
            shutil.copy(SHIPPED / gpu / f"{name}.json", folder / gpu)
    kernels = read(folder / "h200" / "kernels.json", Kernels, "h200")
    wanted = ("conv", "gemm", "pointwise", "batch_norm", "nnc")
    fits = [
        fit for fit in kernels.fits if fit.family in wanted and fit.units in ("half", "any") and fit.context == "model"
    ]
    write_calibration(folder / "h200", [replace(kernels, fits=fits)])


def figures(of: Plan, folder: Path) -> list[float]:
    """What is predicted with the calibrations in a folder: latency, its interval, host and kernel time."""
    with _found_first(folder):
        reports = [of.report(gpu, runtime, "fp16") for gpu in GPUS for runtime in RUNTIMES]
    return [value for r in reports for value in (r.latency_s, *r.interval_s, r.host_s, r.kernel_s)]


def outcome(of: Plan, folder: Path, expected: list[float]) -> tuple[Outcome, str]:
    """What comes of the calibrations in a folder, and the error's text."""

    def hang(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(HANGS_S)
    try:
        found = figures(of, folder)
    except PredictorError as error:
        return (Outcome.REFUSED if len(str(error).splitlines()) == 1 else Outcome.OTHER_ERROR), str(error)
    except TimeoutError:
        return Outcome.HANGS, ""
    except Exception as error:
        return Outcome.OTHER_ERROR, repr(error)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return (Outcome.SAME if found == expected else Outcome.OTHER_FIGURES), ""


@contextmanager
def _found_first(folder: Path) -> Iterator[None]:
    before = os.environ.get("PREDICTOR_CALIBRATIONS")
    os.environ["PREDICTOR_CALIBRATIONS"] = str(folder)
    forget()
    try:
        yield
    finally:
        forget()
        if before is None:
            del os.environ["PREDICTOR_CALIBRATIONS"]
        else:
            os.environ["PREDICTOR_CALIBRATIONS"] = before


# Damage to bytes


def flip(content: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(content))
    return content[:position] + bytes([content[position] ^ 1 << rng.randrange(8)]) + content[position + 1 :]


def insert(content: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(content) + 1)
    return content[:position] + rng.randbytes(rng.randint(1, 8)) + content[position:]


def cut_out(content: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(content))
    return content[:position] + content[position + rng.randint(1, 200) :]


def truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def nest(content: bytes, rng: random.Random) -> bytes:
    return rng.choice([b"[", b'{"schema":', b'{"schema": 3, "gpu":']) * 100_000


def other_encoding(content: bytes, rng: random.Random) -> bytes:
    return content.decode("utf-8").encode(rng.choice(["utf-16", "utf-32", "cp500"]))


# Damage to values: each takes the content and returns its text


def _places(value: Any, wanted: Callable[[Any], bool]) -> list[tuple[Any, Any]]:
    """(Container, key or position) of every value in a content that is wanted."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, entry in entries:
        if wanted(entry):
            found.append((value, key))
        found += _places(entry, wanted)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0", "-1", "-0.5", "1e30", "1e-30", "1e15", "-1e15")
MARK = "number to be written"


def number(data: Any, rng: random.Random) -> str:
    """A number becomes one that cannot be."""
    container, key = rng.choice(_places(data, _is_number))
    container[key] = MARK
    return json.dumps(data).replace(json.dumps(MARK), rng.choice([*NUMBERS, "1" * 5000, "1." + "1" * 5000]))


def exponent(data: Any, rng: random.Random) -> str:
    """A number slips by orders of magnitude."""
    container, key = rng.choice(_places(data, _is_number))
    container[key] = container[key] * 10.0 ** rng.choice([-12, -9, -6, -3, 3, 6, 9, 12])
    return json.dumps(data)


def kind(data: Any, rng: random.Random) -> str:
    """A value becomes one of another type."""
    container, key = rng.choice(_places(data, lambda value: True))
    container[key] = rng.choice([None, True, "", "x", 1, 0.5, [], {}, [1], {"a": 1}, [[]]])
    return json.dumps(data)


def word(data: Any, rng: random.Random) -> str:
    """A word becomes another."""
    container, key = rng.choice(_places(data, lambda value: isinstance(value, str)))
    word = container[key]
    position = rng.randrange(len(word) + 1)
    container[key] = rng.choice([word[:position] + rng.choice("a/\n\0\ud800") + word[position:], word[:position], ""])
    return json.dumps(data)


def missing(data: Any, rng: random.Random) -> str:
    """An entry falls out."""
    container, key = rng.choice(_places(data, lambda value: True))
    del container[key]
    return json.dumps(data)


def renamed(data: Any, rng: random.Random) -> str:
    """A key becomes another."""
    containers = [data, *(c[k] for c, k in _places(data, lambda value: isinstance(value, dict) and bool(value)))]
    mapping = rng.choice(containers)
    key = rng.choice(sorted(mapping))
    mapping[rng.choice([key + "s", key[:-1], key.upper(), "x"])] = mapping.pop(key)
    return json.dumps(data)


def twice(data: Any, rng: random.Random) -> str:
    """A key is there twice, with another value."""
    containers = [data, *(c[k] for c, k in _places(data, lambda value: isinstance(value, dict) and bool(value)))]
    mapping = rng.choice(containers)
    mapping[MARK] = rng.choice([0, 1, "x", None])
    return json.dumps(data).replace(json.dumps(MARK), json.dumps(rng.choice([key for key in mapping if key != MARK])))


def repeated(data: Any, rng: random.Random) -> str:
    """An element of a list is there twice."""
    lists = [c[k] for c, k in _places(data, lambda value: isinstance(value, list) and bool(value))]
    if lists:
        chosen = rng.choice(lists)
        chosen.insert(rng.randrange(len(chosen) + 1), rng.choice(chosen))
    return json.dumps(data)


def refers_to(data: Any, rng: random.Random) -> str:
    """It refers to itself, to what refers back, or to what is not there."""
    key = rng.choice(["reference_gpu", "base", "gpu", "runtime"])
    data[key] = rng.choice(["v100", "h200", "a100", "eager", "torchscript", "cudagraph", "x", "../h200", "/"])
    return json.dumps(data)


# Damage to files


def removed(path: Path, rng: random.Random) -> None:
    path.unlink()


def emptied(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def loop(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(path)


def endless(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path: Path, rng: random.Random) -> None:
    with path.open("ab") as file:
        file.truncate(2**40)


def another(path: Path, rng: random.Random) -> None:
    """Another file of a calibration."""
    content = (SHIPPED / rng.choice([p for p in FILES if p.name != path.name])).read_bytes()
    path.write_bytes(content)


BYTES = (flip, insert, cut_out, truncate, nest, other_encoding)
VALUES = (number, exponent, kind, word, missing, renamed, twice, repeated, refers_to)
PATHS = (removed, emptied, folder, fifo, loop, endless, huge, another)
DAMAGE = {one.__name__: one for one in (*BYTES, *VALUES, *PATHS)}
"""Name of a damage -> what does it."""


def damage(base: Path, work: Path, file: Path, name: str, seed: int, signed: bool = True) -> None:
    """Copy calibrations, of which one file is damaged. signed: a damaged value leaves the digest as it was; otherwise
    it is removed, as by somebody who edits a file.
    """
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work, copy_function=os.link)
    path, rng, how = work / file, random.Random(seed), DAMAGE[name]
    content = path.read_bytes()
    path.unlink()  # the copy is a link
    path.write_bytes(content)
    if how in PATHS:
        how(path, rng)  # type: ignore[arg-type]
    elif how in BYTES:
        path.write_bytes(how(content, rng))  # type: ignore[arg-type, operator]
    else:
        data = json.loads(content)
        if not signed:
            del data["digest"]
        path.write_bytes(how(data, rng).encode("utf-8", "surrogatepass"))  # type: ignore[arg-type, attr-defined]


def main(count: int) -> None:
    """Damage so many, signed and edited, and print what came of them."""
    of = small_plan()
    with tempfile.TemporaryDirectory() as name:
        base, work = Path(name) / "base", Path(name) / "work"
        write_base(base)
        expected = figures(of, base)
        for signed in (True, False):
            print("damaged:" if signed else "values edited by hand, the digest removed:")
            kinds = list(DAMAGE) if signed else [one.__name__ for one in VALUES]
            counts: Counter[Outcome] = Counter()
            for number in range(count):
                file, kind = FILES[number % len(FILES)], kinds[number // len(FILES) % len(kinds)]
                damage(base, work, file, kind, number, signed)
                found, text = outcome(of, work, expected)
                counts[found] += 1
                if found in (Outcome.OTHER_ERROR, Outcome.HANGS) or (found is Outcome.OTHER_FIGURES and signed):
                    print(f"  {file} {kind} {number}: {found} {text}")
            print("\n".join(f"  {counts[one]:4} {one}" for one in Outcome))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 800)
