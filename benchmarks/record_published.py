"""Capture the 20 models whose latencies The Framework Tax (Fernandez et al., EMNLP 2023) published and write
``calibrate/workloads/published_graphs``, so that a fit of those latencies needs none of the libraries. To repeat it,
with those of the time in a folder that comes before today's:

    pip install --no-deps --target then transformers==4.16.2 tokenizers==0.13.3 huggingface_hub==0.10.1 timm==0.4.12 \\
        torchvision==0.28.0 sacremoses six requests urllib3 idna certifi charset_normalizer filelock
    PYTHONPATH=then:. python benchmarks/record_published.py [model ...]

Models are named as in the published table and built as the authors' harness builds them
(github.com/JaredFern/Framework-Tax, pytorch/config.py), at the published input size: 128 tokens or 224 pixels. The
versions are those under which every model has the published number of layers: timm gave ViT twelve dropouts more from
0.5 on, and transformers made activations modules after 4.16. Multiply-accumulates are within 5 % of the published
ones, products of attention aside.
"""

from __future__ import annotations

import csv
import importlib
import os
import sys
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
import transformers
from record_graphs import Lengths, Recipe, record

from models_zoo._inputs import PIXELS, TOKENS, token_ids
from predictor.graph.files import read
from predictor.graph.sizes import Sizes
from predictor.records import CaptureMode

FOLDER = Path(__file__).resolve().parent.parent / "calibrate" / "workloads" / "published_graphs"

TABLE = Path(os.environ.get("PREDICTOR_DATA", "data")) / "published_latency_2022.csv"
"""The published figures, to compare multiply-accumulates with; the graphs are written without it too."""

BATCHES = (8, 32)
"""Batches that check a file, which was made of others."""


def import_torchvision() -> None:
    """Import torchvision before transformers and timm do.

    Beside a torch without CUDA the library of torchvision's own operators, which was built for CUDA, cannot be loaded,
    and the import fails where it describes those operators to ``torch.library``. No model here uses them, so for the
    time of the import nothing is described.
    """
    described = torch.library.register_fake
    torch.library.register_fake = lambda *_, **__: lambda function: function
    try:
        importlib.import_module("torchvision")
    finally:
        torch.library.register_fake = described


def language(kind: str, **options: Any) -> Any:
    """A model of transformers from its configuration."""
    config = getattr(transformers, f"{kind}Config")(**options)
    return getattr(transformers, f"{kind}Model")(config)


def torchvision(name: str, **options: Any) -> Any:
    """A model of torchvision."""
    return attrgetter(name)(importlib.import_module("torchvision.models"))(**options)


def timm(name: str) -> Any:
    """A model of timm, which looks at values while it builds one."""
    with torch.device("cpu"):
        return importlib.import_module("timm").create_model(name).to("meta")


LONGFORMER: dict[str, Any] = {
    **{"attention_window": [512] * 12, "vocab_size": 50265, "max_position_embeddings": 4098},
    **{"type_vocab_size": 1, "pad_token_id": 1},
}

LANGUAGE: dict[str, Callable[[], Any]] = {
    "albert": lambda: language("Albert", hidden_size=768, num_attention_heads=12, intermediate_size=3072),
    "bert": lambda: language("Bert"),
    "funnel_transformer": lambda: language("Funnel"),
    "longformer": lambda: language("Longformer", **LONGFORMER),
    "mobile_bert": lambda: language("MobileBert", classifier_activation=False),
}

VISION: dict[str, Callable[[], Any]] = {
    "alexnet": lambda: torchvision("alexnet"),
    "efficientnet": lambda: timm("efficientnetv2_m"),
    "efficientnet_lite": lambda: timm("efficientnet_lite1"),
    "gernet": lambda: timm("gernet_m"),
    "googlenet": lambda: torchvision("googlenet", init_weights=False),
    "inception": lambda: torchvision("inception_v3", init_weights=False),
    "mobilenet_v2": lambda: torchvision("quantization.mobilenet_v2", quantize=False),
    "resnet101": lambda: torchvision("resnet101"),
    "resnet152": lambda: torchvision("resnet152"),
    "resnet50": lambda: torchvision("resnet50"),
    "resnext50_32x4d": lambda: torchvision("resnext50_32x4d"),
    "shufflenet": lambda: torchvision("shufflenet_v2_x1_0"),
    "squeezenet": lambda: torchvision("squeezenet1_0"),
    "vgg16": lambda: torchvision("vgg16"),
    "vit32": lambda: timm("vit_base_patch32_224"),
}

MODES = {CaptureMode.EAGER: "eager", CaptureMode.TRACED: "torchscript", CaptureMode.EXPORTED: "onnx"}
"""Capture mode -> the published runtime that takes it."""

NO_ONNX = frozenset({"albert", "funnel_transformer", "longformer", "mobile_bert", "resnext50_32x4d", "shufflenet"})
"""Models without a published latency of ONNX Runtime."""


def record_published(name: str) -> str:
    """Capture one model, write its file, and tell what is in it."""
    length = TOKENS if name in LANGUAGE else 0

    def build(sizes: Sizes) -> tuple[Any, Any]:
        if name in LANGUAGE:
            return LANGUAGE[name]().eval(), token_ids(*sizes)
        return VISION[name]().eval(), torch.empty(sizes[0], 3, PIXELS, PIXELS)

    path = FOLDER / f"{name}.json.gz"
    lengths = Lengths((length,), (length,), (length, length, 1))
    modes = {m: Recipe(r, lengths) for m, r in MODES.items() if not (m is CaptureMode.EXPORTED and name in NO_ONNX)}
    record(name, path, build, modes, length, BATCHES)
    found = {mode: read(path).find("fp32", mode, 1, length) for mode in modes}
    counts = ", ".join(f"{b} {len(g.calls)} calls {g.macs / 1e9:.3f} GMAC" for b, g in found.items() if g)
    published = published_macs().get(name)
    ratio = (
        f", {found['eager'].macs / published:.3f} of the published" if found[CaptureMode.EAGER] and published else ""
    )
    return f"{name}: {counts}{ratio}, {path.stat().st_size} bytes"


def published_macs() -> dict[str, float]:
    """Multiply-accumulates at batch 1 by model, as the authors counted them; empty without their table."""
    if not TABLE.is_file():
        return {}
    with TABLE.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["batch"] == "1" and row["macs"]]
    return {row["model"]: float(row["macs"]) for row in rows}


if __name__ == "__main__":
    import_torchvision()
    for one in sys.argv[1:] or sorted({**LANGUAGE, **VISION}):
        print(record_published(one), flush=True)
