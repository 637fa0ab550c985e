"""A space of mobile networks, searched by NSGA-II: ``python -m benchmarks.searches.mobile_space``.

The space is like that of Once-for-all (Cai et al., ICLR 2020): five stages of two to four inverted residual blocks,
each with a kernel of 3, 5 or 7 and an expansion of 3, 4 or 6. What is searched for is most multiply-accumulates, which
stand for accuracy, within least latency, on two GPUs at once. Prints the front; writes a plot with that of a random
search of as many designs beside it. A small search need not beat that: with few generations it did not.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import optuna
import torch
from torch import Tensor, nn

from predictor import Predictor, Result

STAGES = ((24, 2), (40, 2), (80, 2), (112, 1), (160, 2))
"""Channels and stride of each stage."""

MOST, KERNELS, EXPANSIONS = 4, (3, 5, 7), (3, 4, 6)
GPUS = ("h200", "a100")

Genotype = tuple[tuple[tuple[int, int], ...], ...]
"""For each stage, for each block: kernel and expansion."""


class Block(nn.Module):
    """An inverted residual: wider, depthwise, narrower (Sandler et al., CVPR 2018)."""

    def __init__(self, channels: int, out: int, kernel: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()),
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            *(nn.BatchNorm2d(wide), nn.ReLU6(), nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)),
        )
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> the same with other channels, halved by a stride of 2."""
        return x + self.layers(x) if self.adds else self.layers(x)


def build(genotype: Genotype, batch: int = 1) -> tuple[nn.Module, Tensor]:
    """The network, its weights without data, and images of 224 x 224."""
    with torch.device("meta"):
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()]
        channels = 16
        for (out, stride), blocks in zip(STAGES, genotype, strict=True):
            for number, (kernel, expansion) in enumerate(blocks):
                layers.append(Block(channels, out, kernel, expansion, 1 if number else stride))
                channels = out
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]
        return nn.Sequential(*layers).eval(), torch.empty(batch, 3, 224, 224)


def suggested(trial: optuna.Trial) -> Genotype:
    """A point of the space that Optuna proposes."""
    stages = []
    for stage in range(len(STAGES)):
        blocks = [
            (
                trial.suggest_categorical(f"kernel {stage} {block}", KERNELS),
                trial.suggest_categorical(f"expansion {stage} {block}", EXPANSIONS),
            )
            for block in range(MOST)
        ]
        stages.append(tuple(blocks[: trial.suggest_int(f"depth {stage}", 2, MOST)]))
    return tuple(stages)


def random_genotype(generator: random.Random) -> Genotype:
    """Any point, all alike."""
    choose = generator.choice
    return tuple(
        tuple((choose(KERNELS), choose(EXPANSIONS)) for _ in range(generator.randint(2, MOST))) for _ in STAGES
    )


def priced(genotypes: Sequence[Genotype], workers: int | None = None) -> list[Result]:
    """Results on all GPUs."""
    predictor = Predictor(GPUS[0], "cudagraph", "fp16")
    return list(predictor.map([partial(build, g) for g in genotypes], workers, gpus=GPUS, keys=genotypes))


def search(generations: int, population: int, workers: int | None = None) -> list[Result]:
    """Designs that NSGA-II (Deb et al., 2002) asks for, a generation priced together."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=1)
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
    results = []
    for _ in range(generations):
        asked = [study.ask() for _ in range(population)]
        for trial, result in zip(asked, priced([suggested(trial) for trial in asked], workers), strict=True):
            study.tell(trial, [result.macs, *(result.price(gpu).latency_s for gpu in GPUS)])
            results.append(result)
    return results


def front(results: Sequence[Result], gpu: str) -> list[Result]:
    """Designs that no other one beats on a GPU, from the fastest."""
    best: list[Result] = []
    for result in sorted(results, key=lambda r: (r.price(gpu).latency_s, -r.macs)):
        if not best or result.macs > best[-1].macs:
            best.append(result)
    return best


def plot(found: Sequence[Result], drawn: Sequence[Result], path: Path) -> None:
    """Designs of the search and of a random one, and the front of each, on each GPU."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(GPUS), figsize=(11, 4.5), layout="constrained", sharey=True)
    for axis, gpu in zip(axes, GPUS, strict=True):
        for results, label, colour in ((drawn, "random", "0.6"), (found, "NSGA-II", "tab:blue")):
            axis.scatter(
                [r.price(gpu).latency_s * 1e3 for r in results], [r.macs / 1e6 for r in results], s=6, color=colour
            )
            best = front(results, gpu)
            x, y = [r.price(gpu).latency_s * 1e3 for r in best], [r.macs / 1e6 for r in best]
            axis.step(x, y, where="post", color=colour, label=f"front, {label}")
        axis.set(xlabel=f"latency on {gpu} under cudagraph, ms", ylabel="multiply-accumulates, millions")
        axis.legend(loc="lower right")
    figure.suptitle("Mobile networks like Once-for-all's, fp16, batch 1 (predicted)")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main() -> None:
    """Search, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--population", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", type=Path, default=Path("mobile_space.png"))
    options = parser.parse_args()
    found = search(options.generations, options.population, options.workers)
    generator = random.Random(1)
    drawn = priced([random_genotype(generator) for _ in found], options.workers)
    for result in front(found, GPUS[0]):
        print(f"{result.macs / 1e6:6.0f} MMACs {result.latency_s * 1e3:.3f} ms")
    plot(found, drawn, options.plot)


if __name__ == "__main__":
    main()
