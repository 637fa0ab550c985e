"""Generations of GPUs."""

from calibrate.validate.paper.description import Figure, Line, Panel, sweep

GENERATIONS = {
    "Pascal": ("1080ti", "titanx"),
    "Volta and Turing": ("v100", "2080ti", "rtx8000"),
    "Ampere": ("3090", "a6000", "a100"),
}
SHOWN = ("1080ti", "v100", "rtx8000", "a6000", "a100", "h100")
"""One or two of each generation, and one that came after the paper."""


def _panel(model: str) -> Panel:
    return Panel(f"{model}, fp16", tuple(Line(gpu, sweep(model), gpu) for gpu in SHOWN))


FIGURE = Figure(
    "Figure 9: generations of GPUs, PyTorch, each with a host of its own",
    "A faster GPU is bound by its host up to a larger batch. The H100 runs today's software, the others torch 1.12.",
    (_panel("bert-base"), _panel("resnet50")),
)
