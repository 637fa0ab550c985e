"""Files of calibrations: where they are, read and checked, written so that nobody sees a half.

The first folder that has the GPU wins: ``$PREDICTOR_CALIBRATIONS``, the user's own, the shipped one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from predictor.calibration.kernel_models import kernel_fits, library_forests
from predictor.calibration.schema import (
    FILES,
    PATTERNS,
    SCHEMA,
    Datasheet,
    File,
    HostProbe,
    Kernels,
    RuntimeCosts,
)
from predictor.errors import PredictorError, unknown
from predictor.folders import data_folder

SHIPPED = Path(__file__).resolve().parent.parent.parent / "calibrations"

LARGEST_BYTES = 2**26
"""Of a file: forty times the largest that is shipped."""

Content = TypeVar("Content", bound=File)


def user_folder() -> Path:
    """Where ``calibrate`` writes unless told otherwise. Raises PredictorError for a user without a home."""
    folder = data_folder()
    if folder is None:
        raise PredictorError("you have no home folder: say --out FOLDER, or set XDG_DATA_HOME")
    return folder / "calibrations"


def folders() -> list[Path]:
    """Folders of calibrations, the first that has a GPU wins."""
    named, user_data = os.environ.get("PREDICTOR_CALIBRATIONS"), data_folder()
    return [*([Path(named)] if named else []), *([user_data / "calibrations"] if user_data else []), SHIPPED]


def gpu_name(name: str) -> str:
    """The forgiving form of a GPU's name, without its brand: "GeForce RTX 3090" and "rtx-3090" are "3090"."""
    bare = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"^(nvidia)?(geforce|quadro|tesla)?(rtx|gtx)?(?=[a-z]?\d)", "", bare)


def is_named(gpu: str, driver: str) -> bool:
    """Whether what a driver calls a GPU ("NVIDIA H100 80GB HBM3") is of a name ("h100")."""
    return gpu_name(gpu) in gpu_name(driver)


def known_gpus() -> list[str]:
    """Names of every GPU with a calibration, or with a datasheet to derive one from."""
    return sorted({path.name for path in _gpu_folders() if _is_calibrated(path) or has_datasheet_alone(path)})


def _gpu_folders() -> list[Path]:
    return [path for folder in folders() if folder.is_dir() for path in folder.iterdir()]


def _is_calibrated(path: Path) -> bool:
    return os.path.lexists(path / "device.json")


def has_datasheet_alone(path: Path) -> bool:
    """Whether all that is known of a GPU is its datasheet."""
    return [file.name for file in path.glob("*.json")] == ["datasheet.json"]


def find(gpu: str) -> Path:
    """Folder of a GPU's calibration. Raises PredictorError for an unknown GPU."""
    path = _folder_of(gpu)
    if path is None:
        raise _unknown_gpu(gpu)
    return path


def is_known(gpu: str) -> bool:
    """Whether a calibration has this name."""
    return _folder_of(gpu) is not None


def folders_of(gpu: str) -> Iterator[Path]:
    """Every folder of a GPU's calibration, the first that has it first."""
    wanted = gpu_name(gpu)
    for folder in folders():
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if gpu_name(path.name) == wanted and any(path.glob("*.json")):
                yield path


def _folder_of(gpu: str) -> Path | None:
    return next(folders_of(gpu), None)


def _unknown_gpu(gpu: str) -> PredictorError:
    """The error for a GPU without a calibration. One digit for another is no typing error: the RTX 4090 is no 3090, a
    digit too many or too few is one.
    """
    others = known_gpus()
    error = unknown("GPU", gpu, [name for name in others if _may_be_meant(name.lower(), gpu.lower())])
    if "did you mean" in str(error):
        return PredictorError(f"{error} A GPU that is on no list: --gpu-spec FILE")
    return PredictorError(
        f"unknown GPU {gpu!r}: nobody calibrated it; describe it in a datasheet, --gpu-spec FILE (see docs/gpus.md), "
        f"or take one of {', '.join(others)}"
    )


def _may_be_meant(known: str, said: str) -> bool:
    """Whether a GPU's name may be another one with a typing error in it."""
    letters, numbers = ([re.sub(kind, "", name) for name in (known, said)] for kind in (r"\d", r"\D"))
    is_cut = numbers[0].startswith(numbers[1]) or numbers[1].startswith(numbers[0])
    return is_cut and (numbers[1] in known or letters[0][:1] == letters[1][:1])


def datasheets() -> dict[str, Path]:
    """GPU -> its datasheet, of those with a calibration; whoever calibrated a GPU again has none beside it."""
    calibrated = {path.name for path in _gpu_folders() if _is_calibrated(path)}
    paths = [folder / gpu / "datasheet.json" for folder in reversed(folders()) for gpu in sorted(calibrated)]
    return {path.parent.name: path for path in paths if os.path.lexists(path)}


def datasheet(gpu: str) -> Datasheet:
    """The datasheet of a GPU with a calibration. Raises PredictorError where it has none."""
    return read(datasheets().get(gpu, find(gpu) / "datasheet.json"), Datasheet, gpu)


def write_calibration(folder: Path, contents: Iterable[File]) -> None:
    """Write files of a calibration, each checked against the schema and signed with a digest: all of them or, where
    one is wrong, none. Raises PredictorError for a value that the format does not allow.
    """
    signed = []
    for content in contents:
        path = folder / f"{file_name(content)}.json"
        unsigned = msgspec.to_builtins(msgspec.structs.replace(content, digest=None))
        checked = converted(unsigned, type(content), path)
        _check_trees(checked, path)
        data = _as_written(msgspec.to_builtins(checked))
        digest = digest_of(_layout(data).encode("utf-8"))
        first = {name: data[name] for name in ("schema", "gpu") if name in data}
        signed.append((path, {**first, "digest": digest, **data}))
    for path, data in signed:
        write_json(path, data)


def _as_written(data: Any) -> Any:
    """Content as it is written: whole numbers of lists, of which shapes are, without their ".0"."""
    if isinstance(data, dict):
        return {name: _as_written(value) for name, value in data.items()}
    if isinstance(data, list):
        return [int(x) if isinstance(x, float) and x.is_integer() else _as_written(x) for x in data]
    return data


def write_probe_file(path: Path, probe: HostProbe) -> None:
    """Write what ``calibrate --probe`` measured. Raises PredictorError for a value that the format does not allow."""
    data = msgspec.to_builtins(converted(msgspec.to_builtins(probe), HostProbe, path))
    write_json(path, {**data, "schema": SCHEMA})


def _check_trees(content: File, path: Path) -> None:
    if isinstance(content, Kernels):
        kernel_fits(content, path)
    elif isinstance(content, RuntimeCosts):
        library_forests(content, path)


def file_name(content: File) -> str:
    """Name of a file, without its ending."""
    if isinstance(content, RuntimeCosts):
        return content.runtime
    return next(name for name, kind in FILES.items() if isinstance(content, kind))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write aside, then rename: a reader sees the old file or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_layout(data) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def _layout(value: Any, indent: str = "") -> str:
    """JSON that a person can read and diff: an entry of a mapping, or a record of a list, is a line; lists of numbers
    are on one line, and so is a record of numbers and words in a list.
    """
    inner = indent + " "
    if isinstance(value, Mapping) and value:
        entries = (f"{inner}{json.dumps(str(key))}: {_layout(entry, inner)}" for key, entry in value.items())
        return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        flat = all(not isinstance(part, Mapping | list | tuple) for entry in value for part in entry.values())
        lines = (inner + (_compact(entry) if flat else _layout(entry, inner)) for entry in value)
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def digest_of(content: bytes) -> str:
    """Checksum of a file, its own entry left out, whatever its layout: blanks and line ends do not count."""
    compact = content.translate(None, b" \t\r\n")
    return hashlib.sha256(_DIGEST.sub(b"", compact, count=1)).hexdigest()[:16]


_DIGEST = re.compile(rb'"digest":"[^"]*",?')


def read(path: Path, kind: type[Content], gpu: str | None = None) -> Content:
    """A calibration file, checked: whole, of this schema, of the GPU that is asked for (None: of any), every value
    within its range. Raises PredictorError, which names the file and the path inside it.
    """
    raw = read_bytes(path)
    data = _parsed(raw, path)
    if not isinstance(data, dict):
        raise PredictorError(f"{path}: $: expected an object, got {_shown(data)}")
    _check_head(data, path, kind is Datasheet, gpu)
    content = converted(data, kind, path)
    if content.digest is not None and content.digest != digest_of(raw):
        raise PredictorError(
            f"{path}: $.digest: the content is not what was written: restore the file, or remove this entry to accept "
            "what was edited"
        )
    return content


def _check_head(data: dict[str, Any], path: Path, may_be_bare: bool, gpu: str | None) -> None:
    """Schema and GPU, before everything else: a newer file may differ in all the rest."""
    schema = data.get("schema", SCHEMA if may_be_bare else None)
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise PredictorError(f"{path}: $.schema: expected the version of the format, got {_shown(schema)}")
    if schema > SCHEMA:
        raise PredictorError(f"{path}: $.schema: {schema}, this program reads {SCHEMA}: upgrade it")
    if schema < SCHEMA and not may_be_bare:
        raise PredictorError(f"{path}: schema {schema}: run calibrate --refit, this program reads {SCHEMA}")
    named = data.get("gpu")
    if gpu is not None and (not isinstance(named, str) or gpu_name(named) != gpu_name(gpu)):
        raise PredictorError(f"{path}: $.gpu: expected {gpu!r}, got {_shown(named)}")


def _parsed(raw: bytes, path: Path) -> Any:
    """A file's JSON; what JSON has no word for stands in it as a ``_NotJson``, so that it is found in its place."""
    try:
        text = raw.decode("utf-8")
        try:
            data = json.loads(text, parse_constant=_no_number, object_pairs_hook=_unique)
        except json.JSONDecodeError:
            raise
        except ValueError:  # a number of thousands of digits
            data = json.loads(text, parse_constant=_no_number, object_pairs_hook=_unique, parse_int=_short)
        half = _half_character(data) if _ESCAPED_SURROGATE.search(text) else None
    except UnicodeDecodeError as error:
        raise PredictorError(f"{path}: $: no text in UTF-8 at byte {error.start}: run calibrate again") from None
    except json.JSONDecodeError as error:
        raise PredictorError(
            f"{path}: $: truncated or damaged, {error.msg} in line {error.lineno}, column {error.colno}: "
            "run calibrate again"
        ) from None
    except RecursionError:
        raise PredictorError(f"{path}: $: nested too deeply") from None
    if half is not None:
        raise PredictorError(f"{path}: {_written(half)}: half a character (a lone surrogate)")
    return data


def read_bytes(path: Path) -> bytes:
    """Content of a regular file; anything else in its place is a PredictorError, at once."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise PredictorError(f"{path}: the file is missing: run calibrate") from None
    except (OSError, ValueError) as error:
        raise PredictorError(f"{path}: cannot be read: {_reason(error)}") from None
    try:
        what = os.fstat(handle)
        if not stat.S_ISREG(what.st_mode):
            raise PredictorError(f"{path}: is {'a folder' if stat.S_ISDIR(what.st_mode) else 'no regular file'}")
        if what.st_size > LARGEST_BYTES:
            raise PredictorError(f"{path}: has {what.st_size} bytes, a calibration file at most {LARGEST_BYTES}")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(LARGEST_BYTES)
    except OSError as error:
        raise PredictorError(f"{path}: cannot be read: {_reason(error)}") from None
    finally:
        os.close(handle)


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


Place = list[str | int | None]
"""Keys and positions that lead to a value; None for a key that msgspec leaves open."""


class _NotJson:
    """What stands in a file where a value should be. text: as a person calls it."""

    def __init__(self, text: str) -> None:
        self.text = text


def _half_character(data: Any) -> Place | None:
    """The place of text that no encoding has, which JSON can write as half of a surrogate pair; None without."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        if isinstance(key, str) and not key.isascii() and _SURROGATE.search(key):
            return []
        if isinstance(value, str):
            if not value.isascii() and _SURROGATE.search(value):
                return [key]
        elif isinstance(value, dict | list) and (place := _half_character(value)) is not None:
            return [key, *place]
    return None


_SURROGATE, _ESCAPED_SURROGATE = re.compile("[\ud800-\udfff]"), re.compile(r"\\u[dD][89a-fA-F]")


def _no_number(name: str) -> _NotJson:
    return _NotJson(name)


def _short(digits: str) -> int | _NotJson:
    return int(digits) if len(digits) < 20 else _NotJson(f"a number of {len(digits)} digits")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _NotJson:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    names = [name for name, _ in pairs]
    return _NotJson(f"the key {next(name for name in names if names.count(name) > 1)!r} twice")


def converted(data: Any, kind: type[Content], path: Path) -> Content:
    """A record from plain data. Raises PredictorError, which names the path inside it."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        place, what, of_key = _place(str(error))
        while None in place and _close_first(place, data, kind, str(error)):
            pass
        raise PredictorError(f"{path}: {_explained(place, what, of_key, data)}") from None
    except RecursionError:
        raise PredictorError(f"{path}: $: nested too deeply") from None


def _place(message: str) -> tuple[Place, str, bool]:
    """(Place, what is wrong, whether with a key there) of msgspec's message, whose path comes last in backquotes."""
    match = re.fullmatch(r"(.*) - at (`key` in )?`\$(.*)`", message, re.DOTALL)
    if not match:
        return [], message, False
    of_key = bool(match[2])
    parts = re.findall(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])", match[3])
    place: Place = [None if is_open else name or int(index) for name, index, is_open in parts]
    return [*place, None] if of_key else place, match[1], of_key


def _close_first(place: Place, data: Any, kind: type[Any], message: str) -> bool:
    """Find the first key that is left open: of the entry without whose neighbours the error is the same."""
    position = place.index(None)
    mapping = _value_at(data, place[:position])
    if not isinstance(mapping, dict):
        return False
    entries = dict(mapping)
    try:
        for key, value in entries.items():
            mapping.clear()
            mapping[key] = value
            if _error_of(data, kind) == message:
                place[position] = key
                return True
    finally:
        mapping.clear()
        mapping.update(entries)
    return False


def _error_of(data: Any, kind: type[Any]) -> str:
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _value_at(data: Any, place: Place) -> Any:
    """The value at a place, None where there is none."""
    try:
        for step in place:
            data = data[step]
    except (KeyError, IndexError, TypeError):
        return None
    return data


def _written(place: Place) -> str:
    """ "$.hosts["a b"].time_factor"."""
    steps = (
        f".{step}"
        if isinstance(step, str) and re.fullmatch(r"[A-Za-z0-9_-]+", step)
        else f"[{json.dumps(step) if isinstance(step, str) else '...' if step is None else step}]"
        for step in place
    )
    return f"${''.join(steps)}"


_WORDS = {
    **{"`float`": "a number", "`int`": "a whole number", "`str`": "text", "`bool`": "true or false"},
    **{"`array`": "a list", "`object`": "an object", "`null`": "null", " | ": " or ", "matching regex": "as in"},
}


def _explained(place: Place, what: str, of_key: bool, data: Any) -> str:
    """ "$.lanes.gap_s: expected a number >= 0.0, got -1.0"."""
    missing = re.fullmatch(r"Object missing required field `(.*)`", what)
    if missing:
        return f"{_written([*place, missing[1]])}: is missing"
    extra = re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL)
    if extra:
        return f"{_written([*place, extra[1]])}: is not known"
    for word, meant in _WORDS.items():
        what = what.replace(word, meant)
    for words, pattern in PATTERNS.items():
        what = what.replace(f"text as in {pattern!r}", words)
    what = re.sub(r"\d+\.\d+(e[+-]?\d+)?", lambda bound: f"{float(bound[0]):g}", what)
    what = what[:1].lower() + what[1:]
    if what.startswith("."):  # a record's own check
        return f"{_written(place)}{what}"
    if of_key:
        return f"{_written(place)}: such a key is not known: {what}"
    if what.startswith("expected ") and ", got " not in what.split("'")[0]:
        what = f"{what}, got {_shown(_value_at(data, place))}"
    elif what.startswith("expected ") and isinstance(_value_at(data, place), _NotJson):
        what = f"{what.split(', got ')[0]}, got {_shown(_value_at(data, place))}"
    return f"{_written(place)}: {what}"


def _shown(value: Any) -> str:
    """A value in few words, on one line."""
    if isinstance(value, _NotJson):
        return value.text
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    said = json.dumps(value)
    return said if len(said) <= 60 else f"{said[:57]}..."
