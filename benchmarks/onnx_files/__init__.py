"""ONNX files of different makers, generated: a row each, none stored.

>>> write("loop_and_if", "fp16", 1, Path(folder))
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from predictor.onnx_runtime import TELEMETRY

BOTH = ("fp32", "fp16")
SINGLE, HALF = ("fp32",), ("fp16",)


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """maker: the function that writes it, as "module:function" here; dtypes, batches: that it is measured in."""

    maker: str
    dtypes: tuple[str, ...] = BOTH
    batches: tuple[int, ...] = (1, 8)

    @property
    def name(self) -> str:
        """The function's."""
        return self.maker.partition(":")[2]


_ROWS = (
    OnnxFile("exported:optimised_bert", batches=(1, 16)),
    OnnxFile("exported:optimised_vision"),
    OnnxFile("exported:scripted_vision"),
    OnnxFile("exported:scripted_mobile"),
    OnnxFile("exported:scripted_lstm"),
    OnnxFile("exported:exported_modern_bert"),
    OnnxFile("exported:exported_upscaler"),
    OnnxFile("exported:qdq_convolutions", SINGLE),
    OnnxFile("exported:qoperator_convolutions", SINGLE),
    OnnxFile("exported:dynamic_bert", SINGLE),
    OnnxFile("exported:dynamic_optimised_bert", SINGLE),
    OnnxFile("exported:forest", SINGLE, (1, 64)),
    OnnxFile("written:packed_encoder"),
    OnnxFile("written:small_decoder"),
    OnnxFile("written:grouped_decoder"),
    OnnxFile("written:four_bit_decoder"),
    OnnxFile("written:rotary_encoder"),
    OnnxFile("written:diffusion_block", HALF, (1, 4)),
    OnnxFile("written:keras_mobile"),
    OnnxFile("written:detection_head", batches=(1, 4)),
    OnnxFile("written:resize_pyramid"),
    OnnxFile("written:recurrent_nodes"),
    OnnxFile("written:loop_and_if"),
    OnnxFile("written:transposed_generator"),
    OnnxFile("written:tall_depthwise"),
    OnnxFile("written:reduced_and_summed"),
    OnnxFile("written:words_inside"),
    OnnxFile("written:islands"),
    OnnxFile("written:normed_pixels"),
)

FILES = {row.name: row for row in _ROWS}
"""Name -> row, in the order of measuring."""


def path_of(name: str, dtype: str, batch: int, folder: Path) -> Path:
    """Where ``write`` puts a file."""
    return folder / f"{name}-{dtype}-{batch}.onnx"


def write(name: str, dtype: str, batch: int, folder: Path) -> Path:
    """Write a file unless it is there: aside, then renamed, so that it is whole. Raises what its maker raises."""
    os.environ.setdefault(TELEMETRY, "1")
    path = path_of(name, dtype, batch, folder)
    if not path.exists():
        module, _, function = FILES[name].maker.partition(":")
        maker: Callable[[Path, str, int], None] = getattr(import_module(f"{__name__}.{module}"), function)
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f"{os.getpid()}-{path.name}"
        maker(aside, dtype, batch)
        aside.replace(path)
    return path
