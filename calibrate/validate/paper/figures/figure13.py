"""Speech over the batch."""

from calibrate.validate.paper.description import HOSTED, Figure, Line, Panel, sweep

FIGURE = Figure(
    "Figure 13: WavLM, 2 s at 16 kHz",
    "Speech is as language: flat in the batch until the kernels take longer.",
    (
        Panel("PyTorch", tuple(Line(dtype, sweep("wavlm", dtype=dtype)) for dtype in ("fp32", "fp16"))),
        Panel("runtimes, fp16", tuple(Line(label, sweep("wavlm", r)) for r, label in HOSTED.items())),
    ),
)
