"""The largest BERT-like encoder within a latency: ``python -m benchmarks.searches.encoder_per_runtime``.

Optuna (TPE) searches depth, width, heads and pooling for most parameters and least latency, once with the latency of
eager mode and once with that of CUDA graphs. Every design is priced for both. In eager mode a layer costs host time,
whatever its width, so that a budget limits depth, and to drop tokens on the way gains nothing; in a CUDA graph launches
are cheap, a budget limits arithmetic, and a deeper design that halves its tokens is best. Prints the best design of
each runtime within the budget, and what it takes under the other; writes a plot of both fronts.

Batch 16, widths up to 1536 and 2 ms were chosen because the runtimes differ there: of the same search at batch 1, with
widths up to 1024, both fronts coincide, and the widest designs win. One seed, few trials: the best designs are noisy.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import optuna

from benchmarks.searches.encoders import DEPTHS, HEADS, POOLINGS, WIDTHS, Genotype, build
from predictor import Predictor

RUNTIMES = ("eager", "cudagraph")
BATCH, BUDGET_S = 16, 2e-3


class Design(NamedTuple):
    """A design with its latency under each runtime, in seconds."""

    genotype: Genotype
    parameters: int
    latency_s: dict[str, float]


def suggested(trial: optuna.Trial) -> Genotype:
    """A point of the space that Optuna proposes."""
    choose = trial.suggest_categorical
    depth = trial.suggest_int("depth", DEPTHS[0], DEPTHS[-1])
    width = trial.suggest_int("width", WIDTHS[0], WIDTHS[-1], step=WIDTHS[1] - WIDTHS[0])
    return Genotype(depth, width, choose("heads", HEADS), choose("pooling", POOLINGS))


def search(runtime: str, trials: int, at_once: int = 16, gpu: str = "h200", workers: int | None = None) -> list[Design]:
    """Designs that a search asks for, with the latency of one runtime as its goal. at_once: trials that are priced
    together.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    predictor = Predictor(gpu, runtime, "fp16")
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=1))
    designs: list[Design] = []
    while len(designs) < trials:
        asked = [study.ask() for _ in range(min(at_once, trials - len(designs)))]
        points = [suggested(trial) for trial in asked]
        results = predictor.map(
            [partial(build, point, BATCH) for point in points],
            workers,
            runtimes=RUNTIMES,
            keys=[(*point, BATCH) for point in points],
        )
        for trial, point, result in zip(asked, points, results, strict=True):
            latency_s = {price.runtime: price.latency_s for price in result.prices}
            study.tell(trial, [point.parameters, latency_s[runtime]])
            designs.append(Design(point, point.parameters, latency_s))
    return designs


def front(designs: Sequence[Design], runtime: str) -> list[Design]:
    """Designs that no other one beats in both parameters and latency, from the fastest."""
    best: list[Design] = []
    for design in sorted(designs, key=lambda d: (d.latency_s[runtime], -d.parameters)):
        if not best or design.parameters > best[-1].parameters:
            best.append(design)
    return best


def best_within(designs: Sequence[Design], runtime: str, budget_s: float) -> Design:
    """Most parameters within a latency."""
    within = [design for design in designs if design.latency_s[runtime] <= budget_s]
    return max(within, key=lambda design: design.parameters)


def plot(designs: Sequence[Design], path: Path) -> None:
    """Both fronts, each design's depth as colour, under either runtime: what is best for one is not for the other."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    fronts = {runtime: front(designs, runtime) for runtime in RUNTIMES}
    for axis, runtime in zip(axes, RUNTIMES, strict=True):
        axis.scatter(
            [d.latency_s[runtime] * 1e3 for d in designs], [d.parameters / 1e6 for d in designs], s=6, color="0.8"
        )
        for chosen, marker, line in zip(RUNTIMES, "os", ("-", "--"), strict=True):
            points = sorted(fronts[chosen], key=lambda d: d.latency_s[runtime])
            x, y = [d.latency_s[runtime] * 1e3 for d in points], [d.parameters / 1e6 for d in points]
            axis.plot(x, y, line, color="0.5", zorder=1)
            drawn = axis.scatter(
                x, y, c=[d.genotype.depth for d in points], vmin=DEPTHS[0], vmax=DEPTHS[-1], marker=marker, s=36
            )
            axis.plot([], [], line, marker=marker, color="0.4", label=f"best for {chosen}")
        axis.axvline(BUDGET_S * 1e3, color="tab:red", linewidth=1, label="budget")
        axis.set(xlabel=f"latency under {runtime}, ms", ylabel="parameters of the layers, millions", xlim=(0, None))
        axis.legend(loc="lower right", fontsize="small")
    figure.colorbar(drawn, ax=axes, label="layers")
    figure.suptitle(f"BERT-like encoders, fp16, batch {BATCH}, 128 tokens, H200: Pareto fronts per runtime (predicted)")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main() -> None:
    """Search, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=192, help="of each runtime's search")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", type=Path, default=Path("encoder_per_runtime.png"))
    options = parser.parse_args()
    designs = [d for runtime in RUNTIMES for d in search(runtime, options.trials, workers=options.workers)]
    for runtime in RUNTIMES:
        best = best_within(designs, runtime, BUDGET_S)
        print(
            f"within {BUDGET_S * 1e3:g} ms under {runtime}: {tuple(best.genotype)}, "
            f"{best.parameters / 1e6:.1f} million parameters"
        )
        for other in RUNTIMES:
            print(f"  {best.latency_s[other] * 1e3:.2f} ms under {other}")
        depths = [d.genotype.depth for d in front(designs, runtime)]
        print(f"  its front has {len(depths)} designs of {sum(depths) / len(depths):.1f} layers on average")
    plot(designs, options.plot)


if __name__ == "__main__":
    main()
