"""Efficient transformers over the batch."""

from calibrate.validate.paper.description import Figure, Panel, models

NAMES = ("bert-base", "distilbert", "albert", "funnel-base", "squeezebert", "mobilebert")

FIGURE = Figure(
    "Figure 8: efficient transformers, PyTorch",
    "Models of few multiply-accumulates and many operators lose at a small batch and win at a large one.",
    (Panel("fp32", models((*NAMES, "fnet"), "fp32")), Panel("fp16", models(NAMES, "fp16"))),
)
