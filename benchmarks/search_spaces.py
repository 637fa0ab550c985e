"""How well networks of public search spaces are predicted and ranked on GPUs where others measured them (HELP, Lee et
al., NeurIPS 2021), and how well three counts rank them.

python -m benchmarks.search_spaces nas_latency_2021.csv [--markdown] [--cache FOLDER]

The table has columns space, gpu, batch, architecture, latency_ms: eager, fp32, torch 1.8. Captures are kept in a folder
(joblib), so a second run takes seconds.
"""

from __future__ import annotations

import csv
import inspect
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from joblib import Memory
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

import predictor
from benchmarks import search_networks
from benchmarks.search_networks import SPACES
from predictor import Plan

Array = NDArray[np.float64]

FOLDER = Path(tempfile.gettempdir()) / "predictor-search-spaces"

DTYPE = "fp32"

HEADER = ("space", "gpu", "batch", "networks", "factor", "MAPE", "after", "Spearman", "tau")
COUNTS = ("MACs", "parameters", "launches")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network of a space. plan: captured at all batch sizes that it was measured at."""

    plan: Plan
    parameters: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """Predictions of some networks on a GPU at a batch size. mape: mean absolute relative error as predicted; factor:
    median of predicted / measured; mape_after: with that taken off; counts: Spearman's correlation of each of
    ``COUNTS`` with the measured latency.
    """

    space: str
    gpu: str
    batch: int
    networks: int
    factor: float
    mape: float
    mape_after: float
    spearman: float
    tau: float
    counts: tuple[float, ...]

    def cells(self) -> tuple[str, ...]:
        """As a table shows it."""
        names = (self.space, self.gpu, str(self.batch), str(self.networks))
        errors = (f"{self.factor:.2f}", f"{self.mape:.1%}", f"{self.mape_after:.1%}")
        return (*names, *errors, *(f"{value:.3f}" for value in (self.spearman, self.tau, *self.counts)))


def capture(space: str, architecture: str, batches: Sequence[int], of: tuple[str, str]) -> Candidate:
    """A network, captured. of: what a capture depends on besides, for the cache."""
    chosen = SPACES[space]
    module = chosen.build(architecture)
    plan = predictor.plan(module, torch.rand(1, 3, chosen.pixels, chosen.pixels), architecture)
    for batch in batches:
        plan.graph(DTYPE, "eager", batch)
    return Candidate(plan, sum(p.numel() for p in module.parameters()))


def judge(
    space: str, gpu: str, batch: int, candidates: Sequence[Candidate], measured_s: Array, host: str | None = None
) -> Ranking:
    """Predictions of networks beside measurements, in their order."""
    reports = [c.plan.report(gpu, "eager", DTYPE, batch, host=host) for c in candidates]
    predicted_s = np.array([report.latency_s for report in reports])
    counts = ([r.macs for r in reports], [c.parameters for c in candidates], [r.launches for r in reports])
    ratios = predicted_s / measured_s
    factor = float(np.median(ratios))
    return Ranking(
        space,
        gpu,
        batch,
        len(measured_s),
        factor,
        float(np.mean(np.abs(ratios - 1))),
        float(np.mean(np.abs(ratios / factor - 1))),
        float(spearmanr(predicted_s, measured_s).statistic),
        float(kendalltau(predicted_s, measured_s).statistic),
        tuple(float(spearmanr(count, measured_s).statistic) for count in counts),
    )


def rankings(table: Path, cache: Path = FOLDER, only: str | None = None, networks: int | None = None) -> list[Ranking]:
    """One for every space, GPU and batch size of a table. cache: folder of captures; only: a space; networks: so many
    of each space, the table's first.
    """
    measured: dict[tuple[str, str, int], dict[str, float]] = defaultdict(dict)
    batches: dict[str, set[int]] = defaultdict(set)
    chosen: dict[str, dict[str, int]] = defaultdict(dict)
    with table.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if only in (None, row["space"]):
                key = row["space"], row["gpu"], int(row["batch"])
                chosen[row["space"]].setdefault(row["architecture"], len(chosen[row["space"]]))
                if networks is not None and chosen[row["space"]][row["architecture"]] >= networks:
                    continue
                measured[key][row["architecture"]] = float(row["latency_ms"]) * 1e-3
                batches[row["space"]].add(int(row["batch"]))
    captured = Memory(cache, verbose=0).cache(capture)
    of = inspect.getsource(search_networks), torch.__version__
    found = []
    plans: dict[tuple[str, str], Candidate] = {}
    for (space, gpu, batch), seconds_of in measured.items():
        for number, architecture in enumerate(seconds_of):
            if (space, architecture) not in plans:
                typer.echo(f"\r{space}: {number + 1} of {len(seconds_of)} networks ", err=True, nl=False)
                plans[space, architecture] = captured(space, architecture, tuple(sorted(batches[space])), of)
        candidates = [plans[space, architecture] for architecture in seconds_of]
        found.append(judge(space, gpu, batch, candidates, np.array(list(seconds_of.values()))))
    typer.echo("", err=True)
    return found


def text(found: Sequence[Ranking], markdown: bool) -> str:
    """A table of rankings."""
    rows = [(*HEADER, *COUNTS), *(ranking.cells() for ranking in found)]
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def main(
    table: Annotated[Path, typer.Argument(help="Table (.csv) of measured latencies.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    cache: Annotated[Path, typer.Option(help="Folder of captures.")] = FOLDER,
    space: Annotated[str | None, typer.Option(help="This space alone.")] = None,
    networks: Annotated[int | None, typer.Option(help="So many networks of each space, by default all.")] = None,
) -> None:
    """Rank networks of search spaces and say how well."""
    typer.echo(text(rankings(table, cache, space, networks), markdown))


if __name__ == "__main__":
    typer.run(main)
