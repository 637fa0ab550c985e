"""Depth and width."""

from calibrate.validate.paper.description import Figure, Line, Panel, sweep

DEPTHS = {3: "bert-base-d3", 6: "bert-base-d6", 12: "bert-base", 24: "bert-base-d24"}
WIDTHS = {384: "bert-base-w384", 768: "bert-base", 1536: "bert-base-w1536", 3072: "bert-base-w3072"}

FIGURE = Figure(
    "Figure 6: BERT-Base, deeper and wider, PyTorch, fp16",
    "Every layer costs host time; width is free until the kernels take longer than the host.",
    (
        Panel("layers, hidden size 768", tuple(Line(f"{n} layers", sweep(m)) for n, m in DEPTHS.items())),
        Panel("hidden size, 12 layers", tuple(Line(f"hidden {n}", sweep(m)) for n, m in WIDTHS.items())),
    ),
)
