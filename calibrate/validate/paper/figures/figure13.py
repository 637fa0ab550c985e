"""Speech over the batch."""

from calibrate.validate.paper.description import HOSTED, Figure, Line, Panel, models, sweep

FIGURE = Figure(
    "Figure 13: WavLM, 2 s at 16 kHz",
    "Speech is as language: flat in the batch until the kernels take longer.",
    (
        Panel("PyTorch", (*models(("wavlm",), "fp32"), Line("wavlm, fp16", sweep("wavlm")))),
        Panel("runtimes, fp16", tuple(Line(label, sweep("wavlm", r)) for r, label in HOSTED.items())),
    ),
)
