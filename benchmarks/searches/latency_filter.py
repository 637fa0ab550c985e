"""A latency filter as frameworks for architecture search take one: ``python -m benchmarks.searches.latency_filter``.

NNI's strategies ask a callable of a model and go on with those that it lets through. This one says whether a module
keeps a latency on a GPU, by the upper end of its interval: of those at the edge nineteen of twenty should keep it. A
random search over BERT-like encoders trains only what passes; here it prints how many that are, and plots what was
let through.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.searches.encoders import Genotype, build
from predictor import Predictor


@dataclass(frozen=True)
class LatencyFilter:
    """Lets a module through whose latency is within a budget.

    predictor: for a GPU, runtime and dtype; inputs: of every module; budget_s: seconds; upper: the upper end of the
    interval has to be within it.
    """

    predictor: Predictor
    inputs: Any
    budget_s: float
    upper: bool = True

    def __call__(self, module: Any) -> bool:
        """Whether it passes. Raises PredictorError for a module that cannot be predicted."""
        report = self.predictor.predict(module, self.inputs)
        return (report.interval_s[1] if self.upper else report.latency_s) <= self.budget_s


def passing(genotypes: list[Genotype], passes: Callable[[Any], bool]) -> list[bool]:
    """Whether the module of each passes."""
    return [passes(build(genotype)[0]) for genotype in genotypes]


def main() -> None:
    """Filter, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--budget-ms", type=float, default=2.5)
    parser.add_argument("--plot", type=Path, default=Path("latency_filter.png"))
    options = parser.parse_args()
    generator = random.Random(1)
    genotypes = [Genotype.random(generator) for _ in range(options.candidates)]
    predictor, budget_s = Predictor("h200", "eager", "fp16"), options.budget_ms * 1e-3
    passed = passing(genotypes, LatencyFilter(predictor, build(genotypes[0])[1], budget_s))
    print(f"{sum(passed)} of {len(passed)} pass {options.budget_ms:g} ms")
    plot(genotypes, passed, predictor, budget_s, options.plot)


def plot(genotypes: list[Genotype], passed: list[bool], predictor: Predictor, budget_s: float, path: Path) -> None:
    """Latencies with their intervals over depth: those that pass, and those that do not."""
    from matplotlib import pyplot

    results = predictor.map([partial(build, genotype) for genotype in genotypes], keys=genotypes, upper=True)
    figure, axis = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for passes, colour, label in ((True, "tab:green", "passes"), (False, "tab:red", "does not")):
        chosen = [r for r, p in zip(results, passed, strict=True) if p is passes]
        middle = [r.latency_s * 1e3 for r in chosen]
        spread = [[m - r.prices[0].interval_s[0] * 1e3 for m, r in zip(middle, chosen, strict=True)]]
        spread += [[r.prices[0].interval_s[1] * 1e3 - m for m, r in zip(middle, chosen, strict=True)]]
        macs = [r.macs / 1e9 for r in chosen]
        axis.errorbar(macs, middle, spread, fmt="o", markersize=4, linewidth=0.8, color=colour, label=label)
    axis.axhline(budget_s * 1e3, color="0.4", linewidth=1, label="budget")
    axis.set(xlabel="multiply-accumulates, billions", ylabel="latency, ms, with its 90 % interval", ylim=(0, None))
    axis.set_title("BERT-like encoders, eager, fp16, H200 (predicted)")
    axis.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
