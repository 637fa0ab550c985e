"""CUDA graphs, and inputs without padding."""

from calibrate.validate.paper.description import Figure, Line, Panel, sweep

KINDS = {"eager": "PyTorch", "cudagraph": "CUDA graphs", "bettertransformer": "sparse inputs"}

MODELS = ("bert-base", "distilbert")


def _panel(model: str) -> Panel:
    lines = [Line(label, sweep(model, runtime, lengths="ptb")) for runtime, label in KINDS.items()]
    return Panel(model, tuple(lines))


FIGURE = Figure(
    "Figure 5: CUDA graphs and sparse inputs, fp16",
    "Texts of Penn Treebank lengths, padded to 128 tokens: CUDA graphs take the host's time away at a small batch, "
    "skipped padding the kernels' at a large one.",
    tuple(_panel(model) for model in MODELS),
)
