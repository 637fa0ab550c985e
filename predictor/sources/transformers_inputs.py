"""The inputs that the forward of a model of transformers needs: its main input, what has no default, tokens for a
decoder, an image beside a text, in the sizes that the configuration says.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from models_zoo import _inputs
from predictor.errors import PredictorError
from predictor.sources.built import FRAMES, PIXELS, TOKENS
from predictor.sources.transformers_kinds import KINDS

DECODER_TOKENS = 16
"""Tokens that a decoder is given beside an encoder's input that is no text."""

MEL_FRAMES = 1000
"""Frames of a spectrogram where the configuration does not say how many: 10 s of 10 ms."""


def inputs_of(model: Any, batch: int, length: int | None = None) -> dict[str, Any]:
    """Keyword inputs of a model of transformers, floating-point ones on the meta device. length: tokens; None: 128, or
    as many as it has positions. Raises PredictorError where it needs an input of a kind that nothing here makes.
    """
    forward = inspect.unwrap(type(model).forward)
    parameters = [p for p in inspect.signature(forward).parameters.values() if p.name != "self"]
    names = {p.name for p in parameters}
    sizes = Sizes(model.config, batch, length, names)
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    main = model.main_input_name if isinstance(model.main_input_name, list) else [model.main_input_name]
    of_kind = KINDS.get(model.config.model_type, {})
    wanted = list(dict.fromkeys([*(name for name in main if name in names), *required]))
    wanted += [name for name in ALSO if name in names and name not in wanted]
    wanted = [name for name in wanted if name in (*main, *required) or NEEDS.get(name, name) in wanted]
    wanted = wanted or [name for name in ("input_ids",) if name in names]
    beside_text = "pixel_values" if "input_ids" in wanted and sizes.vision is not None else ""
    wanted += [name for name in of_kind if name in names and name not in (*wanted, beside_text)]
    makers = {**MAKERS, **of_kind}
    missing = [name for name in wanted if name not in makers]
    if missing:
        raise PredictorError(
            f"{type(model).__name__} takes {', '.join(missing)}: write a factory that makes them, "
            "--model FILE.py:FUNCTION"
        )
    made = {name: makers[name](sizes) for name in wanted}
    if "pixel_values" in names and "input_ids" in made and sizes.vision is not None:
        made |= _with_image(model, sizes, names, makers["pixel_values"])
    return made


ALSO = ("decoder_input_ids", "bbox", "pixel_mask", "input_features_mask", "input_ids")
"""Arguments that have a default and are given nevertheless: a model does something else without them."""

NEEDS = {"pixel_mask": "pixel_values", "input_features_mask": "input_features", "input_ids": "pixel_values"}
"""Arguments of ``ALSO``, and the inputs without which they are left out: masks, and a text beside an image."""


@dataclass(frozen=True)
class Sizes:
    """Sizes that a configuration says, of its parts or of itself, under any of their names."""

    config: Any
    batch: int
    asked_length: int | None
    names: set[str]

    @cached_property
    def text(self) -> Any:
        """The configuration of the part that reads text."""
        return self.config.get_text_config()

    @cached_property
    def vision(self) -> Any:
        """That of the part that sees images, None where there is none."""
        return next((c for c in _parts(self.config, "vision") if c is not None), None)

    @cached_property
    def audio(self) -> Any:
        """That of the part that hears."""
        return next((c for c in _parts(self.config, "audio") if c is not None), self.config)

    @property
    def length(self) -> int:
        """Tokens of a text."""
        if self.asked_length is not None:
            return self.asked_length
        most = [_field(self.text, name) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
        return min([TOKENS, *(n for n in most if isinstance(n, int) and n > 0)])

    def ids(self, length: int | None = None) -> Tensor:
        """(batch, length) token ids that are in the vocabulary, none of them special where there is room."""
        words = _field(self.text, "vocab_size") or _field(self.config, "vocab_size") or 1000
        words = min(words) if isinstance(words, (list, tuple)) else words
        ids: Tensor = _inputs.token_ids(self.batch, length or self.length)["input_ids"]
        ids = ids % (words if isinstance(words, int) else 1000)
        pads = [_field(self.config, "pad_token_id"), _field(self.text, "pad_token_id")]
        return ids.where(~torch.isin(ids, torch.tensor([p for p in pads if isinstance(p, int)])), 5)

    @property
    def ends(self) -> Tensor:
        """``ids`` that end as texts do: pools look for the last token."""
        ids = self.ids()
        end = _field(self.text, "eos_token_id")
        if isinstance(end, int) and self.vision is not None and "input_ids" in self.names:
            ids[:, -1] = end
        return ids

    def tokens_of_decoder(self) -> Tensor:
        """As many as the encoder's where that reads text."""
        reads_text = "input_ids" in self.names or self.asked_length is not None
        return self.ids(None if reads_text else min(DECODER_TOKENS, self.length))

    def image(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        parts = [self.vision, self.config, _field(self.config, "backbone_config"), *_values(self.config)]
        config = next((c for c in parts if c is not None and any(_field(c, name) for name in _SIDES)), self.config)
        side = next((s for name in _SIDES if (s := _field(config, name))), None) or _processed(self.config) or PIXELS
        side = (side["height"], side["width"]) if isinstance(side, dict) else side
        height, width = (side, side) if isinstance(side, int) else (int(n) for n in tuple(side)[-2:])
        whole = _windows(self.config)
        height, width = (max(n // whole, 1) * whole for n in (height, width))
        channels = next((c for name in _CHANNELS if isinstance(c := _field(config, name), int)), 3)
        return channels, height, width

    def patches(self) -> tuple[Tensor, Tensor]:
        """An image for each of the batch as patches (n, channels x pixels of one), and the grids (batch, 3): one frame,
        rows, columns.
        """
        config = self.vision or self.config
        patch = _field(config, "patch_size") or 14
        frames = _field(config, "temporal_patch_size") or _field(config, "patch_temporal") or 1
        side = self.side_of_patches()
        channels = next((c for name in _CHANNELS if isinstance(c := _field(config, name), int)), 3)
        pixels = torch.empty(self.batch * side * side, channels * frames * patch * patch, device="meta")
        return pixels, torch.tensor([[1, side, side]] * self.batch)

    def side_of_patches(self, merged: str = "spatial_merge_size") -> int:
        """Rows and columns of patches of an image. merged: the field that says how many of a row become one."""
        return 8 * int(_field(self.vision or self.config, merged) or 2)

    def pixels(self) -> Tensor:
        """(batch, channels, height, width); patches for models that take their grids; (batch, frames, channels, height,
        width) for models of videos, whose configuration counts frames.
        """
        if {"grid_thw", "image_grid_thw"} & self.names:
            return self.patches()[0]
        if self.frames and "pixel_values_videos" not in self.names:
            return self.video()
        return torch.empty(self.batch, *self.image(), device="meta")

    @property
    def frames(self) -> int | None:
        """Frames of a video, None where no configuration says them."""
        return next((n for c in (self.config, self.vision) for name in _FRAMES if (n := _field(c, name))), None)

    def video(self, frames: int | None = None) -> Tensor:
        """(batch, frames, channels, height, width)."""
        return torch.empty(self.batch, frames or self.frames or FRAMES, *self.image(), device="meta")

    def samples(self) -> Tensor:
        """(batch, samples) of audio; (batch, channels, samples) for a codec; a spectrogram (batch, frames, bins) where
        the configuration counts its bins.
        """
        bins = next((n for name in _BINS if isinstance(n := _field(self.config, name), int)), None)
        if bins is not None:
            frames = _field(self.config, "max_length") or _field(self.config, "spec_size") or MEL_FRAMES
            return torch.empty(self.batch, frames, bins, device="meta")
        samples = torch.empty(self.batch, _inputs.SAMPLES, device="meta")
        channels = _field(self.config, "audio_channels")
        is_codec = "padding_mask" in self.names or channels or _field(self.config, "codebook_size")
        return samples.unsqueeze(1).expand(-1, channels or 1, -1) if is_codec else samples

    def spectrogram(self) -> Tensor:
        """(batch, mel bins, frames), or (batch, frames, mel bins) for models that subsample frames with a mask."""
        parts = (self.audio, _field(self.config, "encoder_config"), self.config, *_values(self.config))
        bins = next((n for c in parts for name in _BINS if isinstance(n := _field(c, name), int)), 80)
        positions = next((n for c in parts if (n := _field(c, "max_source_positions"))), None)
        if _field(self.audio, "conv_kernel_sizes") is None and positions and "attention_mask" in self.names:
            return torch.empty(self.batch, bins, 2 * positions, device="meta")
        if _field(self.audio, "max_source_positions") and not _field(self.audio, "conv_kernel_sizes"):
            return torch.empty(self.batch, bins, 2 * self.audio.max_source_positions, device="meta")
        return torch.empty(self.batch, MEL_FRAMES, bins, device="meta")

    def heard(self) -> Tensor:
        """(batch, frames) of a spectrogram, none of them padding."""
        return torch.ones(self.batch, max(self.spectrogram().shape[1:]), dtype=torch.int64)

    def boxes(self) -> Tensor:
        """(batch, length, 4): left, top, right, bottom of every token."""
        return torch.tensor([10, 10, 20, 20]).expand(self.batch, self.length, 4).contiguous()

    def past(self, channels: int | None = None) -> Tensor:
        """(batch, time) or (batch, time, channels) of a time series."""
        lags = max(_field(self.config, "lags_sequence") or [0])
        context = _field(self.config, "context_length") or _field(self.config, "prediction_length") or 512
        if channels is None:
            size = _field(self.config, "input_size") or 1
            channels = _field(self.config, "num_input_channels") or (size if size > 1 else None)
        shape = (self.batch, context + lags) if channels is None else (self.batch, context + lags, channels)
        return torch.empty(*shape, device="meta")

    def future(self, channels: int | None = None) -> Tensor:
        """(batch, steps) that are predicted, or (batch, steps, channels)."""
        steps = _field(self.config, "prediction_length") or 24
        return torch.empty(
            *((self.batch, steps, channels) if channels is not None else (self.batch, steps)), device="meta"
        )

    def time_features(self) -> int:
        """Features of a point of time: those that are given, and the age."""
        return int(_field(self.config, "num_time_features") or 0) + int(
            _field(self.config, "num_dynamic_real_features") or 0
        )

    def embeddings(self) -> Tensor:
        """(batch, length, width) of tokens that are looked up already."""
        width = _field(self.text, "hidden_size") or _field(self.text, "d_model")
        return torch.empty(self.batch, self.length, width, device="meta")


_SIDES = ("image_size", "img_size", "input_size", "crop_size")
_CHANNELS = ("num_channels", "in_channels", "in_chans")
_FRAMES = ("num_frames", "frames_per_clip", "num_image_with_embedding")
_BINS = ("num_mel_bins", "feature_size", "n_mels", "input_feat_per_channel", "mel_bins", "input_dim")


def _field(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except Exception:  # of a configuration of unlike layers, which has none for all
        return None


def _processed(config: Any) -> tuple[int, int] | None:
    """Height and width that the image processor of a model type gives images by default, of a square where it keeps
    their proportions (detectors: 800). None where it only resizes them before they are cropped.
    """
    import transformers
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    names = IMAGE_PROCESSOR_MAPPING_NAMES.get(config.model_type) or {}
    try:
        processor = getattr(transformers, names["pil"])
    except (KeyError, TypeError, ImportError, AttributeError):
        return None
    cropped = getattr(processor, "do_center_crop", None) and getattr(processor, "crop_size", None)
    size = dict(cropped or getattr(processor, "size", None) or {})
    if {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    shortest = size.get("shortest_edge")
    return (int(shortest), int(shortest)) if shortest and "longest_edge" in size else None


def _windows(config: Any) -> int:
    """Pixels of which the sides of an image must be multiples: patches in windows."""
    parts = [config, _field(config, "backbone_config")]
    windows = next((c for c in parts if c is not None and _field(c, "num_windows") and _field(c, "patch_size")), None)
    return int(windows.num_windows * windows.patch_size) if windows is not None else 1


def _parts(config: Any, of: str) -> list[Any]:
    return [_field(config, name) for name in (f"{of}_config", f"{of}_encoder_config", f"{of}_tower_config")]


def _values(config: Any) -> Iterator[Any]:
    """The configurations in a configuration."""
    return (value for value in vars(config).values() if hasattr(value, "to_dict"))


MAKERS: dict[str, Callable[[Sizes], Any]] = {
    "input_ids": lambda sizes: sizes.ends,
    "decoder_input_ids": Sizes.tokens_of_decoder,
    "qformer_input_ids": lambda sizes: sizes.ids(DECODER_TOKENS),
    "attention_mask": lambda sizes: torch.ones(sizes.batch, sizes.length, dtype=torch.int64),
    "token_type_ids": lambda sizes: torch.zeros(sizes.batch, sizes.length, dtype=torch.int64),
    "pixel_values": lambda sizes: sizes.pixels(),
    "pixel_mask": lambda sizes: torch.ones(sizes.batch, *sizes.image()[1:], dtype=torch.int64),
    "pixel_values_videos": lambda sizes: sizes.video(),
    "merge_sizes": lambda sizes: torch.full((sizes.batch,), _field(sizes.config, "spatial_merge_size") or 1),
    "input_values": lambda sizes: sizes.samples(),
    "input_features": lambda sizes: sizes.spectrogram(),
    "input_features_mask": lambda sizes: sizes.heard(),
    "bbox": lambda sizes: sizes.boxes(),
    "hidden_states": lambda sizes: sizes.patches()[0],
    "grid_thw": lambda sizes: sizes.patches()[1],
    "image_grid_thw": lambda sizes: sizes.patches()[1],
    "past_values": lambda sizes: sizes.past(),
    "past_time_features": lambda sizes: sizes.past(sizes.time_features()),
    "past_observed_mask": lambda sizes: torch.ones_like(sizes.past()),
    "future_values": lambda sizes: sizes.future(),
    "future_time_features": lambda sizes: sizes.future(sizes.time_features()),
    "inputs_embeds": lambda sizes: sizes.embeddings(),
}
"""Name of an argument -> what makes it."""


def _with_image(model: Any, sizes: Sizes, names: set[str], pixels_of: Callable[[Sizes], Any]) -> dict[str, Any]:
    """An image beside the tokens, with placeholders for its features in front of the text where the model has them; the
    text alone where the model does not say how many features an image has.
    """
    config = model.config
    fields = ("image_token_id", "image_token_index")
    token = next((t for name in fields if (t := _field(config, name)) is not None), None)
    if "image_grid_thw" in names:
        pixels, grid = sizes.patches()
        image = {"pixel_values": pixels, "image_grid_thw": grid}
    else:
        image = {"pixel_values": pixels_of(sizes)}
    if token is None:
        return image
    try:
        with torch.no_grad():
            features = model.get_image_features(**image)
        count = _rows(features) // sizes.batch
    except Exception:  # its features depend on what is not known here
        return {}
    text = sizes.ids(sizes.length)
    placeholders = torch.full((sizes.batch, count), token)
    ids = torch.cat([placeholders, text.where(text != token, 5)], dim=1)
    kinds = {"mm_token_type_ids": (ids == token).long()} if "mm_token_type_ids" in names else {}
    return {"input_ids": ids, **image, **kinds}


def _rows(features: Any) -> int:
    """How many tokens the features of images are, in whatever a model returns them."""
    features = getattr(features, "pooler_output", features)
    if isinstance(features, Tensor):
        return features.shape[:-1].numel()
    return sum(_rows(part) for part in features)
