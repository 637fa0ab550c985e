"""GPT-2 over the batch."""

from calibrate.validate.paper.description import HOSTED, Figure, Line, Panel, models, sweep

FIGURE = Figure(
    "Figure 10: GPT-2 over the batch, fp16",
    "A pass over 128 tokens, and the prompt with 16 generated tokens: a generated token pays for every operator anew.",
    (
        Panel("one pass", tuple(Line(label, sweep("gpt2", r)) for r, label in HOSTED.items())),
        Panel("16 tokens generated", models(("gpt2-generate",))),
    ),
)
