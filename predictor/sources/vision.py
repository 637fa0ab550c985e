"""``torchvision:NAME`` and ``timm:NAME``: models by their names in these libraries, without weights, with inputs of the
sizes that their weights were trained at.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from predictor.errors import unknown
from predictor.sources.built import FRAMES, PIXELS, Built, shapes_of, without_data
from predictor.sources.installed import library

FLOW = (520, 960)
"""Height and width of images between which motion is estimated: of torchvision's example of optical flow."""


def of_torchvision(name: str, batch: int | None, length: int | None) -> Built:
    """A model of torchvision: classification, segmentation, video, detection (a list of images), optical flow (two).
    Raises PredictorError for an unknown name.
    """
    models = library("torchvision").models
    if name not in models.list_models():
        raise unknown("model of torchvision", name, models.list_models())
    builder = models.get_model_builder(name)
    taken = inspect.signature(builder).parameters
    options = {option: None for option in ("weights", "weights_backbone") if option in taken}
    module = without_data(lambda: builder(**options), f"torchvision cannot build {name}")
    task = builder.__module__.removeprefix("torchvision.models.").partition(".")[0]
    inputs = _INPUTS.get(task, _images)(module, _weights(models, name), batch or 1)
    return Built(module, inputs, name, batch or 1, (f"inputs: {shapes_of(inputs)}",))


def _weights(models: Any, name: str) -> Any:
    """The weights that the library recommends, None where a model has none."""
    try:
        return models.get_model_weights(name).DEFAULT
    except (ValueError, AttributeError):
        return None


def _side(weights: Any) -> tuple[int, int]:
    """Height and width of what the weights' transforms give."""
    transforms = weights.transforms() if weights is not None else None
    size = getattr(transforms, "crop_size", None) or getattr(transforms, "resize_size", None) or [PIXELS]
    return int(size[0]), int(size[-1])


def _empty(*shape: int) -> Any:
    import torch

    return torch.empty(*shape, device="meta")


def _images(module: Any, weights: Any, batch: int) -> Any:
    """(batch, 3, height, width)."""
    return _empty(batch, 3, *_side(weights))


def _videos(module: Any, weights: Any, batch: int) -> Any:
    """(batch, 3, frames, height, width)."""
    frames = weights.meta.get("min_temporal_size", FRAMES) if weights is not None else FRAMES
    return _empty(batch, 3, max(frames, FRAMES), *_side(weights))


def _detected(module: Any, weights: Any, batch: int) -> Any:
    """A list of (3, height, width), of the size that the model scales images to."""
    transform = module.transform
    fixed, least = getattr(transform, "fixed_size", None), transform.min_size
    height, width = fixed[::-1] if fixed else (least[-1], least[-1])
    return ([_empty(3, height, width) for _ in range(batch)],)


def _pairs(module: Any, weights: Any, batch: int) -> Any:
    """Two images of (batch, 3, height, width)."""
    return _empty(batch, 3, *FLOW), _empty(batch, 3, *FLOW)


_INPUTS: dict[str, Callable[[Any, Any, int], Any]] = {
    "detection": _detected,
    "video": _videos,
    "optical_flow": _pairs,
}
"""Task of a model, by its folder in torchvision -> its inputs."""


def of_timm(name: str, batch: int | None, length: int | None) -> Built:
    """A model of timm. Raises PredictorError for an unknown name."""
    timm = library("timm")
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise unknown("model of timm", name, timm.list_models())
    module = without_data(lambda: timm.create_model(name, pretrained=False), f"timm cannot build {name}")
    size = (getattr(module, "pretrained_cfg", None) or {}).get("input_size") or (3, PIXELS, PIXELS)
    inputs = _empty(batch or 1, *size)
    return Built(module, inputs, name, batch or 1, (f"inputs: {shapes_of(inputs)}",))
