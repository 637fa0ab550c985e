"""Depth and width at batch 1."""

from calibrate.validate.paper.description import Figure, Line, Panel, Size
from calibrate.validate.paper.figures.figure06 import DEPTHS, WIDTHS
from calibrate.workloads.cases import Case

LAYERS = Size("layers", lambda case: {m: n for n, m in DEPTHS.items()}[case.model])
HIDDEN = Size("hidden size", lambda case: {m: n for n, m in WIDTHS.items()}[case.model])


def _lines(names: dict[int, str]) -> tuple[Line, ...]:
    return tuple(Line(d, tuple(Case(m, 1, d, "eager") for m in names.values())) for d in ("fp32", "fp16"))


FIGURE = Figure(
    "Table 1: BERT-Base at batch 1, deeper and wider, PyTorch",
    "Latency grows with the layers and does not with the width.",
    (Panel("depth", _lines(DEPTHS), LAYERS), Panel("width", _lines(WIDTHS), HIDDEN)),
)
