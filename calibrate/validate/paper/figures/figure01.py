"""Multiply-accumulates against latency."""

from calibrate.validate.paper.description import MACS, Figure, Line, Panel
from calibrate.workloads.cases import Case

GROUPS = {
    "BERT and variants": (
        *("bert-base", "bert-base-d3", "bert-base-d6", "bert-base-d24"),
        *("bert-base-w384", "bert-base-w1536", "roberta"),
    ),
    "efficient transformers": (
        "distilbert",
        "albert",
        "funnel-base",
        "squeezebert",
        "mobilebert",
        "fnet",
        "longformer",
    ),
    "convolutional": (
        *("resnet18", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "resnext50", "vgg16", "alexnet"),
        *("densenet121", "googlenet", "inception_v3", "convnext", "regnet"),
    ),
    "efficient convolutional": (
        *("mobilenet_v2", "mobilenet_v3", "efficientnet_b0", "mnasnet", "shufflenet_v2", "squeezenet"),
    ),
    "vision transformers": ("vit-base", "vit-b32", "deit", "swin"),
    "speech": ("wavlm", "whisper-encoder"),
}


def _panel(batch: int) -> Panel:
    lines = [
        Line(group, tuple(Case(n, batch, "fp32" if n == "fnet" else "fp16", "eager") for n in names))
        for group, names in GROUPS.items()
    ]
    return Panel(f"batch {batch}", tuple(lines), MACS, joined=False)


FIGURE = Figure(
    "Figure 1: multiply-accumulates and latency, PyTorch, fp16",
    "At batch 1 latency does not follow the multiply-accumulates; at a large batch it does.",
    (_panel(1), _panel(128)),
)
