"""Runtimes over batch and length, in two precisions."""

from calibrate.validate.paper.description import LENGTH, RUNTIMES, Figure, Line, Panel, runtimes, sweep

LENGTHS = (16, 32, 64, 128, 256, 384)
BATCHES = (1, 8, 32)
"""Of the panels over the length."""


def _both(batch: int) -> tuple[Line, ...]:
    return tuple(
        Line(f"{label}, {dtype}", sweep("bert-base", name, dtype, (batch,), LENGTHS))
        for dtype in ("fp32", "fp16")
        for name, label in RUNTIMES.items()
    )


FIGURE = Figure(
    "Figure 4: BERT-Base in three runtimes over batch and length",
    "Runtimes differ where the host bounds them, and meet where the kernels do.",
    (
        Panel("fp32, 128 tokens", runtimes("bert-base", "fp32")),
        Panel("fp16, 128 tokens", runtimes("bert-base", "fp16")),
        *(Panel(f"batch {batch}", _both(batch), LENGTH) for batch in BATCHES),
    ),
)
