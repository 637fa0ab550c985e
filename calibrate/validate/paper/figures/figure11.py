"""Residual networks and vision transformers over the batch."""

from calibrate.validate.paper.description import Figure, Panel, models

NAMES = ("resnet18", "resnet50", "resnet101", "vit-b32", "vit-base")

FIGURE = Figure(
    "Figure 11: vision, PyTorch",
    "Deeper networks cost more host time at a small batch, larger ones more kernel time at a large one.",
    tuple(Panel(dtype, models(NAMES, dtype)) for dtype in ("fp32", "fp16")),
)
