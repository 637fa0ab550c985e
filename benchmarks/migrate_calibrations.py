"""Convert folders of calibrations from schema 2 to 3: python benchmarks/migrate_calibrations.py FOLDER...

Not needed where samples are there: ``calibrate --refit`` fits them again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from calibrate.samples.host_rows import row_of_label
from predictor.calibration.files import write_calibration
from predictor.calibration.schema import SCHEMA, Datasheet, Device, File, Kernels, NamedHosts, RuntimeCosts, units_of

REPLAY, WINOGRAD = " replay", " 3x3"


def migrated(folder: Path) -> list[File]:
    """Records of a folder's files of schema 2."""
    names = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    found: list[File] = []
    if "datasheet" in names:
        found.append(_record(Datasheet, {**names["datasheet"], "schema": SCHEMA}))
    sheet = names.get("datasheet", {})
    for name, data in names.items():
        head = {"schema": SCHEMA, "gpu": data["gpu"], "provenance": data.get("provenance")}
        if name == "device":
            found.append(_record(Device, _device(data, sheet)))
        elif name == "kernels":
            found.append(_record(Kernels, {**head, **_kernels(data)}))
        elif name == "hosts":
            found.append(_record(NamedHosts, {**head, **_hosts(data)}))
        elif name != "datasheet":
            found.append(_record(RuntimeCosts, {**head, **_runtime(name, names)}))
    return found


def _record(kind: type[Any], data: Mapping[str, Any]) -> Any:
    return msgspec.convert(data, kind)


def _device(data: dict[str, Any], sheet: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {name: value for name, value in data.items() if name != "like"}
    architecture = data.get("architecture", sheet.get("architecture", ""))
    return {**renamed, "schema": SCHEMA, "reference_gpu": data.get("like"), "architecture": architecture}


def _kernels(data: Mapping[str, Any]) -> dict[str, Any]:
    factors = [
        {
            "family": family,
            "units": name.removesuffix(WINOGRAD),
            "winograd": name.endswith(WINOGRAD),
            "time_factor": factor,
        }
        for family, named in data.get("factors", {}).items()
        for name, factor in named.items()
        if name.removesuffix(WINOGRAD) in units_of(family)  # others no kernel ever had
    ]
    fits = [
        {
            "family": family,
            "units": name.removesuffix(REPLAY),
            "context": "replay" if name.endswith(REPLAY) else "model",
            "provenance": fit.get("provenance", data["provenance"]),
            "source": fit.get("source", ""),
            **{key: fit[key] for key in ("floor_s", "largest", "only", "residual", "launches", "patterns", "error")},
            "exceptions": [[dtype, dims, s, n] for dtype, *dims, s, n in fit.get("exceptions", ())],
        }
        for family, named in data["families"].items()
        for name, fit in named.items()
    ]
    return {
        "reference_gpu": data.get("like"),
        "time_factor": data.get("slower", 1.0),
        "log_sd": data.get("error", {}).get("log_sd"),
        "factors": factors,
        "fits": fits,
    }


def _hosts(data: Mapping[str, Any]) -> dict[str, Any]:
    runtimes = {
        runtime: {
            "default_host": data["default"][runtime],
            "log_sd": data["error"]["log_sd"][runtime],
            "time_factors": factors,
        }
        for runtime, factors in data["kinds"].items()
    }
    hosts = {
        name: {"runtime": host["runtime"], "time_factor": host["slower"], "time_factors": host["kinds"]}
        for name, host in data["hosts"].items()
    }
    return {
        "reference_gpu": data["like"],
        "environment": {name: data[name] for name in ("date", "source", "versions")},
        "log_sd": data["error"]["hosts"],
        "runtimes": runtimes,
        "hosts": hosts,
    }


def _runtime(name: str, names: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    data = names[name]
    coefficients = {"call_s": 0.0, "gap_s": None, **data["coefficients"]}
    calls = [
        {
            **row_of_label(label)._asdict(),
            "dtype": dtype,
            "hot_s": hot_s,
            "cold_s": cold_s,
            "launches": _table(name, "launches", names).get(label, {}).get(dtype, 0.0),
            "library_s": _table(name, "shapes_s", names).get(label, {}).get(dtype),
        }
        for label, costs in data["calls"].items()
        for dtype, (hot_s, cold_s) in costs.items()
    ]
    return {
        "runtime": data["runtime"],
        "base": data.get("like"),
        "environment": data["environment"],
        **coefficients,
        "calls": calls,
        "typical": {t: {"hot_s": hot, "cold_s": cold} for t, (hot, cold) in data.get("typical_s", {}).items()},
        "library_calls": [
            {"family": family, "dtype": dtype, "log_seconds": trees}
            for family, dtypes in data.get("shapes", {}).items()
            for dtype, trees in dtypes.items()
        ],
        "error": data["error"],
    }


def _table(name: str, table: str, names: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A table of a runtime's file, completed with those of the runtimes that it is like."""
    data = names[name]
    base = _table(data["like"], table, names) if "like" in data else {}
    return {**base, **data.get(table, {})}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write_calibration(Path(name), migrated(Path(name)))
