"""The command ``predict list``: what there is to name."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from textwrap import wrap
from typing import Annotated, Any, NamedTuple

import typer

from predictor.cli.names import complete_gpu, starting
from predictor.cli.terminal import complain
from predictor.report._table import table


class Kind(StrEnum):
    """What can be listed."""

    MODELS = "models"
    GPUS = "gpus"
    HOSTS = "hosts"
    RUNTIMES = "runtimes"
    KERNELS = "kernels"


def complete_kind(incomplete: str) -> list[str]:
    """For the shell."""
    return starting(list(Kind), incomplete)


def kind_of(word: str | None) -> Kind:
    """The kind that a word names, also in the singular. Raises PredictorError for an unknown one."""
    from predictor.errors import PredictorError, unknown

    if word is None:
        raise PredictorError(f"say what to list: {', '.join(Kind)}")
    for kind in Kind:
        if word in (kind.value, kind.value.removesuffix("s")):
            return kind
    raise unknown("list", word, list(Kind))


class Listing(NamedTuple):
    """A list as a person reads it, and as records for a program."""

    text: str
    records: list[dict[str, Any]]


def list_(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT",
            autocompletion=complete_kind,
            help="models, gpus, hosts (those of --gpu first), runtimes or kernels (families of "
            "kernels, for predict kernel).",
            show_default=False,
        ),
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(metavar="NAME", help="The GPU whose hosts come first.", autocompletion=complete_gpu)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """List models, gpus, hosts, runtimes or kernels.

    Examples: predict list gpus; predict list hosts --gpu a6000
    """
    with complain(debug, as_json):
        listed = listing(kind_of(what), gpu)
        typer.echo(json.dumps(listed.records, indent=1) if as_json else listed.text)


def listing(kind: Kind, gpu: str | None = None) -> Listing:
    """What there is of a kind. gpu: whose hosts come first. Raises PredictorError for an unknown GPU."""
    if kind is Kind.HOSTS:
        return _hosts(gpu)
    of_kind: dict[Kind, Callable[[], Listing]] = {
        Kind.MODELS: _models,
        Kind.GPUS: _gpus,
        Kind.RUNTIMES: _runtimes,
        Kind.KERNELS: _kernels,
    }
    return of_kind[kind]()


def _models() -> Listing:
    import models_zoo

    index = models_zoo.index()
    records = [{"name": name, **index.get(name, {})} for name in models_zoo.names()]
    rows = [("model", "parameters", "GMACs", "launches", "inputs", "built with")]
    for record in records:
        if record["name"] not in index:  # a file that has been added since
            rows.append((record["name"], "?", "?", "?", "?", models_zoo.library(record["name"])))
            continue
        figures = (f"{record['parameters'] / 1e6:.1f} M", f"{record['macs'] / 1e9:.2f}", str(record["launches"]))
        inputs = f"{record['length']} tokens" if record["length"] else record["inputs"]
        rows.append((record["name"], *figures, inputs, record["library"]))
    note = "MACs and kernel launches of an eager pass of batch 1."
    return Listing("\n".join([*table(rows, "<>>><<"), "", note]), records)


def _gpus() -> Listing:
    from predictor import runtimes
    from predictor.calibration.files import known_gpus
    from predictor.calibration.load import load_calibration
    from predictor.pricing.intervals import typical_error

    rows = [("gpu", "kernels", "error", "host", "error", "torch", "dtypes", "date")]
    records: list[dict[str, Any]] = []
    lacking: list[str] = []
    for name in known_gpus():
        calibration = load_calibration(name)
        hosts = {runtime: calibration.host(runtime) for runtime in calibration.runtimes}
        eager = hosts.get("eager")
        environment = eager.environment if eager else calibration.device.environment
        record = {
            "name": name,
            "device": calibration.device.name,
            "provenance": calibration.provenance,
            "kernels_error": typical_error(calibration),
            "eager_error": eager.error if eager else None,
            "torch": environment.torch,
            "dtypes": calibration.dtypes,
            "date": environment.date[:10],
            "runtimes": {runtime: host.provenance for runtime, host in hosts.items()},
        }
        records.append(record)
        rows.append(
            (
                *(name, calibration.provenance, f"{record['kernels_error']:.0%}"),
                *((eager.provenance, f"{eager.error:.0%}") if eager else ("none", "")),
                *(environment.torch or "?", " ".join(calibration.dtypes), environment.date[:7]),
            )
        )
        missing = [runtime for runtime in runtimes.names() if runtime not in hosts]
        if missing:
            lacking.append(f"{name}: {'kernels only' if not hosts else 'not ' + ', '.join(missing)}")
    notes = [
        "kernels, host (of eager): measured on the GPU, fitted to published latencies, or derived from another GPU. "
        "errors: standard deviation of log time, of a pass's kernels (measured: of a product) and of the eager host.",
        f"runtimes: all{'' if not lacking else ' but for ' + '; '.join(lacking)}.",
    ]
    lines = [line for note in notes for line in wrap(note, 80)]
    return Listing("\n".join([*table(rows, "<<><><<<"), "", *lines]), records)


def _hosts(gpu: str | None) -> Listing:
    from predictor.calibration.host_list import REFERENCE_GPU, listed_hosts

    hosts = listed_hosts(gpu)
    rows = [("host", "factor", "runtime", "torch", "")]
    rows += [(h.name, f"{h.time_factor:.2f}", h.runtime, h.torch, "(default)" if h.default else "") for h in hosts]
    note = f"factor: how many times as long as the {REFERENCE_GPU}'s host. Any host goes with any GPU."
    return Listing("\n".join([*table(rows, "<><<<"), "", note]), [host._asdict() for host in hosts])


def _runtimes() -> Listing:
    from predictor import runtimes

    records = [{"name": name, "description": runtimes.summary(name).replace("`", "")} for name in runtimes.names()]
    width = max(len(record["name"]) for record in records) + 2
    lines = [
        line
        for record in records
        for line in wrap(
            record["description"], 80, initial_indent=f"{record['name']:{width}}", subsequent_indent=" " * width
        )
    ]
    return Listing("\n".join(lines), records)


def _kernels() -> Listing:
    from predictor.kernels.families import FAMILIES

    records: list[dict[str, Any]] = []
    lines = []
    for name, family in sorted(FAMILIES.items()):
        required = [dim for dim, default in family.dims.items() if default is None]
        optional = {dim: default for dim, default in family.dims.items() if default is not None}
        records.append({"name": name, "required": required, "optional": optional})
        words = " ".join([*required, *(f"[{dim}={default:g}]" for dim, default in optional.items())])
        lines += wrap(words, 80, initial_indent=f"{name:24} ", subsequent_indent=" " * 25)
    note = "predict kernel NAME DIMENSION=SIZE ...; those in brackets have a default"
    return Listing("\n".join([*lines, "", note]), records)
