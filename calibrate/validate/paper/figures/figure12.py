"""Efficient vision models over the batch."""

from calibrate.validate.paper.description import Figure, Panel, models

NAMES = ("resnet50", "mobilenet_v2", "mobilenet_v3", "efficientnet_b0", "shufflenet_v2", "squeezenet")

FIGURE = Figure(
    "Figure 12: efficient vision models, PyTorch",
    "Mobile networks are no faster than ResNet-50 at a small batch, and much faster at a large one in fp32.",
    tuple(Panel(dtype, models(NAMES, dtype)) for dtype in ("fp32", "fp16")),
)
