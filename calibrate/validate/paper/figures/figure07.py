"""Funnel against BERT."""

from calibrate.validate.paper.description import Figure, Panel, models

FIGURE = Figure(
    "Figure 7: Funnel and BERT, PyTorch",
    "Funnel has fewer multiply-accumulates and more operators: it is slower until the kernels bound it.",
    tuple(Panel(dtype, models(("bert-base", "funnel-base"), dtype)) for dtype in ("fp32", "fp16")),
)
