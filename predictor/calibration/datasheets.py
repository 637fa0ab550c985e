"""A GPU that nobody measured: from its datasheet, and what a measured one reaches of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from predictor.errors import PredictorError, unknown

ARCHITECTURES = ("maxwell", "pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell")
"""NVIDIA's, in the order of their appearance."""

_NUMBERS = ("sms", "l2_bytes", "clock_hz", "bandwidth_bytes_per_s")


def check_sheet(sheet: Any, path: Any) -> dict[str, Any]:
    """A datasheet, checked: name, architecture (``ARCHITECTURES``), sms, l2_bytes, clock_hz (boost),
    bandwidth_bytes_per_s and peak_flops, dense, by dtype ("fp32" at least; "tf32", "fp16", "bf16" on the matrix units);
    source is optional. Raises PredictorError for what is missing or no number above zero.
    """
    if not isinstance(sheet, dict):
        raise PredictorError(f"{path} is no datasheet: a JSON object is wanted")
    peaks = sheet.get("peak_flops")
    numbers = {name: sheet.get(name) for name in _NUMBERS}
    numbers |= {f"peak_flops[{dtype}]": peak for dtype, peak in {"fp32": None, **_mapping(peaks)}.items()}
    wrong = [n for n, v in numbers.items() if isinstance(v, bool) or not isinstance(v, (int, float)) or not v > 0]
    if wrong:
        raise PredictorError(f"{path}: {', '.join(wrong)} must be a number above zero")
    for dtype in _mapping(peaks):
        if dtype not in ("fp32", "tf32", "fp16", "bf16"):
            raise unknown("dtype", dtype, ("fp32", "tf32", "fp16", "bf16"))
    if sheet.get("architecture") not in ARCHITECTURES:
        raise unknown("architecture", str(sheet.get("architecture")), ARCHITECTURES)
    if not isinstance(sheet.get("name"), str):
        raise PredictorError(f"{path}: name is missing")
    return sheet


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def nearest(architecture: str, known: Mapping[str, str]) -> str:
    """The GPU of the nearest architecture, the newer one of two. known: GPU -> its architecture."""
    wanted = ARCHITECTURES.index(architecture)
    return min(known, key=lambda gpu: (abs(ARCHITECTURES.index(known[gpu]) - wanted), -ARCHITECTURES.index(known[gpu])))


def device_of(
    gpu: str, sheet: Mapping[str, Any], measured: Mapping[str, Any], reference: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``device.json`` says of a GPU, from its datasheet and the share of its own (reference) that a measured one
    reaches.
    """
    reached = {dtype: peak / reference["peak_flops"][dtype] for dtype, peak in measured["peak_flops"].items()}
    bandwidth = measured["bandwidth_bytes_per_s"] / reference["bandwidth_bytes_per_s"]
    return {
        "gpu": gpu,
        "provenance": "derived",
        "like": measured["gpu"],
        **{key: sheet[key] for key in ("name", "sms", "l2_bytes")},
        "architecture": sheet.get("architecture", ""),
        "peak_flops": {d: peak * reached.get(d, reached["fp32"]) for d, peak in sheet["peak_flops"].items()},
        "bandwidth_bytes_per_s": sheet["bandwidth_bytes_per_s"] * bandwidth,
        "lanes": measured["lanes"],
        "serial": False,
        "environment": {"date": measured["environment"]["date"], "source": sheet.get("source", "")},
    }


def slower(sheet: Mapping[str, Any], reference: Mapping[str, Any]) -> float:
    """How much slower a multiprocessor of a GPU issues instructions than one of the reference."""
    return float(reference["clock_hz"]) / float(sheet["clock_hz"])
