"""``diffusers:CLASS`` and its configurations: a denoiser or an autoencoder of diffusers in its class's defaults,
without weights, with the inputs that its forward takes in the sizes of its configuration.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from predictor.errors import PredictorError, one_line, unknown
from predictor.sources.built import FRAMES, Built, shapes_of, without_data
from predictor.sources.installed import library

PROMPT_TOKENS = 77
"""Tokens of a prompt where no length is asked for: those of CLIP's text encoder, which most pipelines pad to."""

SIDE = 64
"""Height and width of a latent image where the configuration does not say them: 512 pixels of an autoencoder that
halves them three times.
"""


def of_class(name: str, batch: int | None, length: int | None) -> Built:
    """A class of diffusers with its default configuration. Raises PredictorError for an unknown one, and for one whose
    inputs are of a kind that nothing here makes.
    """
    return _built(_class_of(name), {}, f"diffusers:{name}", batch, length)


def of_configuration(fields: Mapping[str, Any], name: str, batch: int | None, length: int | None) -> Built:
    """The model of a diffusers ``config.json``. Raises PredictorError as ``of_class`` does."""
    return _built(_class_of(str(fields["_class_name"])), dict(fields), name, batch, length)


def _class_of(name: str) -> Any:
    diffusers = library("diffusers")
    kind = getattr(diffusers, name, None) if name.isidentifier() and name in dir(diffusers) else None
    if isinstance(kind, type) and issubclass(kind, diffusers.ModelMixin):
        return kind
    models = [n for n in dir(diffusers) if n.endswith(("Model", "UNet", "Net")) or n.startswith(("Autoencoder", "VQ"))]
    raise unknown("model of diffusers", name, models)


def _built(kind: Any, fields: dict[str, Any], name: str, batch: int | None, length: int | None) -> Built:
    module = without_data(
        lambda: kind.from_config(fields) if fields else kind(), f"diffusers cannot build {kind.__name__}"
    )
    inputs = inputs_of(module, batch or 1, length)
    prompt = inputs.get("encoder_hidden_states")
    tokens = 0 if prompt is None else int(prompt.shape[1])
    return Built(module, inputs, name, batch or 1, (f"inputs: {shapes_of(inputs)}",), length=tokens)


def inputs_of(module: Any, batch: int, length: int | None = None) -> dict[str, Any]:
    """Keyword inputs of a model of diffusers, on the meta device; length: tokens of the prompt. What it denoises is an
    image, a sequence or a video: the first of these that its forward takes. Raises PredictorError where it takes none,
    or needs an input that nothing here makes.
    """
    import copy

    import torch
    from torch.utils._pytree import tree_map_only

    parameters = list(inspect.signature(inspect.unwrap(type(module).forward)).parameters.values())[1:]
    required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    names = {p.name for p in parameters}
    missing = [name for name in required if name not in MAKERS and name not in SAMPLES]
    kind = type(module).__name__
    if missing:
        raise PredictorError(
            f"{kind} takes {', '.join(missing)}: write a factory that makes them, --model FILE.py:FUNCTION"
        )
    complaint, trial = "", copy.deepcopy(module).to("meta")
    for sizes in _candidates(module.config, batch, length):
        inputs = {name: sizes.sample(module) for name in SAMPLES if name in required}
        given = [name for name in MAKERS if name in required or (name in names and name not in LEFT_OUT)]
        made = {name: MAKERS[name](sizes) for name in given}
        inputs |= {name: value for name, value in made.items() if value is not None}
        try:
            with torch.no_grad():
                trial(**tree_map_only(torch.Tensor, lambda t: t.to("meta"), inputs))
            return inputs
        except Exception as error:
            complaint = complaint or one_line(error, 120)
    raise PredictorError(
        f"{kind} takes no image, sequence or video of the sizes of its configuration (an image: {complaint}): write a "
        "factory, --model FILE.py:FUNCTION"
    )


SAMPLES = ("sample", "hidden_states")
"""Names of what is denoised, encoded or decoded."""


@dataclass(frozen=True)
class _Sizes:
    """Sizes that a configuration says.

    layout: dimensions of what is denoised, see ``_LAYOUTS``; width: of an encoded prompt.
    """

    config: Any
    batch: int
    asked_length: int | None
    layout: str
    width: int | None

    @property
    def length(self) -> int:
        return self.asked_length or self.config.get("max_text_seq_length") or PROMPT_TOKENS

    @property
    def side(self) -> tuple[int, int]:
        """Height and width."""
        side = self.config.get("sample_size")
        pair = (self.config.get("sample_height"), self.config.get("sample_width"))
        if all(isinstance(n, int) for n in pair):
            return pair[0], pair[1]
        if isinstance(side, (list, tuple)):
            return int(side[-2]), int(side[-1])
        return (side, side) if isinstance(side, int) else (SIDE, SIDE)

    @property
    def tokens(self) -> int:
        """Patches of two by two of a latent image."""
        return (self.side[0] // 2) * (self.side[1] // 2)

    def sample(self, module: Any) -> Any:
        """What is denoised."""
        channels = next((n for name in _CHANNELS if isinstance(n := self.config.get(name), int)), COLOURS)
        frames = (self.config.get("sample_frames") or FRAMES + 1) - 1
        frames = frames // (self.config.get("temporal_compression_ratio") or 1) + 1
        height, width = self.side
        if self.layout == "CS" and isinstance(self.config.get("sample_size"), int):
            width = self.config["sample_size"]
        sizes = {"C": channels, "F": frames, "N": self.tokens, "H": height, "W": width, "S": width}
        sizes["E"] = self.config.get("embedding_dim") or channels
        return self.empty(*(sizes[letter] for letter in self.layout))

    def empty(self, *shape: int) -> Any:
        """(batch, ...) without data."""
        import torch

        return torch.empty(self.batch, *shape, device="meta")

    def prompt(self) -> Any:
        """(batch, length, width) of an encoded prompt."""
        return None if self.width is None else self.empty(self.length, self.width)

    def timestep(self) -> Any:
        """(batch,) whole numbers."""
        import torch

        return torch.ones(self.batch, dtype=torch.int64)

    def positions(self, rows: int) -> Any:
        """(rows, axes) positions, as many axes as the rotary embedding has."""
        import torch

        axes = self.config.get("axes_dims_rope")
        return torch.zeros(rows, len(axes) if axes else 3)

    def if_given(self, field: str, *shape: int) -> Any:
        """(batch, ..., the field's width), None where the configuration has no such field."""
        width = self.config.get(field)
        return self.empty(*shape, width) if isinstance(width, int) else None

    def classes(self) -> Any:
        """(batch,) labels where the model has classes."""
        import torch

        many = self.config.get("num_class_embeds") or self.config.get("num_embeds_ada_norm")
        label = self.config.get("class_embed_type")
        if label == "projection":
            return self.if_given("projection_class_embeddings_input_dim")
        return torch.zeros(self.batch, dtype=torch.int64) if isinstance(many, int) else None

    def added(self) -> Any:
        """What is added to the time: of SDXL a pooled prompt and six sizes, of PixArt the sizes of the image."""
        if "addition_embed_type" in self.config and self.config["addition_embed_type"] != "text_time":
            return None
        if "addition_embed_type" not in self.config:
            return {"resolution": self.empty(2), "aspect_ratio": self.empty(1)}
        sizes = self.config["addition_time_embed_dim"] * 6
        pooled = self.config["projection_class_embeddings_input_dim"] - sizes
        return {"text_embeds": self.empty(pooled), "time_ids": self.empty(6)}

    def condition(self) -> Any:
        """(batch, channels, height, width) of an image that steers: in pixels."""
        channels = self.config.get("conditioning_channels") or 3
        return self.empty(channels, 8 * self.side[0], 8 * self.side[1])


_WIDTHS = (
    *("encoder_hid_dim", "caption_channels", "joint_attention_dim", "text_embed_dim", "text_dim", "text_embed_dims"),
    *("cross_attention_dim", "cap_feat_dim", "encoder_hidden_size", "text_states_dim", "in_features"),
    "embedding_dim",
)
"""Fields with the width of an encoded prompt, the first that holds."""

_CHANNELS = ("in_channels", "input_channels", "audio_channels")
"""Fields with the channels of what is denoised or encoded."""

COLOURS = 3
"""Channels of what is encoded where the configuration does not say them."""

_LAYOUTS = ("CHW", "NC", "CFHW", "FCHW", "CS", "E")
"""An image, tokens, a video in either order, a sequence of channels, an embedding."""


def _candidates(config: Any, batch: int, length: int | None) -> Iterator[_Sizes]:
    widths = [w for name in _WIDTHS if isinstance(w := config.get(name), int)]
    for layout in _LAYOUTS:
        for width in dict.fromkeys(widths) or [None]:
            yield _Sizes(config, batch, length, layout, width)


LEFT_OUT = frozenset({"encoder_attention_mask"})
"""Arguments that are left out where they have a default, as pipelines do."""

MAKERS: dict[str, Callable[[_Sizes], Any]] = {
    "timestep": _Sizes.timestep,
    "encoder_hidden_states": _Sizes.prompt,
    "encoder_attention_mask": lambda sizes: None if sizes.width is None else sizes.empty(sizes.length),
    "pooled_projections": lambda sizes: sizes.if_given("pooled_projection_dim"),
    "img_ids": lambda sizes: sizes.positions(sizes.tokens),
    "txt_ids": lambda sizes: sizes.positions(sizes.length),
    "guidance": lambda sizes: sizes.empty() if sizes.config.get("guidance_embeds") else None,
    "class_labels": _Sizes.classes,
    "added_cond_kwargs": _Sizes.added,
    "controlnet_cond": _Sizes.condition,
    "added_time_ids": lambda sizes: sizes.empty(3),
    "original_size": lambda sizes: sizes.empty(2),
    "target_size": lambda sizes: sizes.empty(2),
    "crop_coords": lambda sizes: sizes.empty(2),
    "proj_embedding": lambda sizes: sizes.if_given("embedding_dim"),
}
"""Name of an argument -> what makes it; None: it is left out."""
