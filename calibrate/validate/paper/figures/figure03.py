"""Host overhead and kernel time over the batch."""

from calibrate.validate.paper.description import HOST, KERNELS, Figure, Line, Panel, sweep


def _panel(dtype: str) -> Panel:
    cases = sweep("bert-base", "eager", dtype)
    lines = (
        Line("latency", cases),
        Line("host time", cases, y=HOST),
        Line("kernel time", cases, y=KERNELS),
    )
    return Panel(dtype, lines, y_label="time (ms)")


FIGURE = Figure(
    "Figure 3: host time and kernel time of BERT-Base, PyTorch",
    "Latency is the host's time until the kernels take longer.",
    (_panel("fp32"), _panel("fp16")),
)
