"""Sizes for the open dimensions of an ONNX file's inputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from predictor.capture.onnx_files.reading import MOST_ELEMENTS, Input, OnnxFile
from predictor.errors import PredictorError, unknown

LARGEST = 2**31
"""Of a dimension."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """What is said of a file's sizes. dims: by the name of an open dimension; shapes: by the name of an input; batch:
    of the first dimension, where that is open; trips: of loops whose number of trips is not in the file.
    """

    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    trips: int | None = None

    def at(self, batch: int) -> Bindings:
        """The same for another batch size."""
        return replace(self, batch=batch)


@dataclass(frozen=True, slots=True)
class Bound:
    """A file's inputs with sizes. batch: of the first dimension of the first input; dims: names -> sizes; is_open:
    whether the batch was the caller's to choose.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dims: Mapping[str, int]
    batch: int
    is_open: bool


def batch_name(inputs: Sequence[Input]) -> str | None:
    """The name of the batch dimension: the open one that most inputs have in the first place; None where they have
    none with a name.
    """
    names = [i.dims[0] for i in inputs if i.dims and isinstance(i.dims[0], str)]
    return Counter(names).most_common(1)[0][0] if names else None


def bound(file: OnnxFile, bindings: Bindings) -> Bound:
    """Sizes of all inputs. Raises PredictorError for a name that the file does not have, a size that cannot be, a batch
    size where the first dimension is fixed, and open dimensions that nothing is said of.
    """
    inputs = {i.name: i for i in file.inputs}
    dims = dict(bindings.dims)
    named = {d for i in file.inputs for d in i.dims or () if isinstance(d, str)}
    for name, size in dims.items():
        if name not in named:
            raise unknown("open dimension", name, named)
        _check(f"--dim {name}", size)
    for name, shape in bindings.shapes.items():
        if name not in inputs:
            raise unknown("input", name, inputs)
        _take(file, inputs[name], shape, dims)
    batch = batch_name(file.inputs)
    is_open = any(
        i.name not in bindings.shapes and i.dims and not isinstance(i.dims[0], int) and i.dims[0] in (batch, None)
        for i in file.inputs
    )
    is_open = is_open and not (batch is not None and batch in dims)
    if bindings.batch is not None and not is_open:
        has = _batch({**bindings.shapes}, dims, file.inputs)
        if bindings.batch != has:
            raise PredictorError(_fixed(file, bindings, has))
    size = bindings.batch or 1
    if is_open and batch is not None:
        dims[batch] = size
    shapes = {i.name: bindings.shapes.get(i.name) or _shape(file, i, dims, size) for i in file.inputs}
    return Bound(shapes, dims, _batch(shapes, dims, file.inputs), is_open)


def _fixed(file: OnnxFile, bindings: Bindings, has: int) -> str:
    said = f"{file.path} has fixed shapes, of batch {has}"
    first = file.inputs[0] if file.inputs else None
    if first is None:
        return f"{said}: it has no inputs"
    if first.name in bindings.shapes or (first.dims and isinstance(first.dims[0], str)):
        return f"batch {bindings.batch} and the sizes that were said ({has} in the first place) differ: say one"
    return f"{said}: export it at batch {bindings.batch}, or with an open first dimension (dynamic_shapes)"


def _batch(shapes: Mapping[str, tuple[int, ...]], dims: Mapping[str, int], inputs: Sequence[Input]) -> int:
    """Size of the first dimension of the first input that has dimensions."""
    for i in inputs:
        sizes: Sequence[int | str | None] = shapes.get(i.name) or i.dims or ()
        if sizes:
            first = sizes[0]
            size = dims.get(first) if isinstance(first, str) else first
            return size or 1
    return 1


def _take(file: OnnxFile, given: Input, shape: tuple[int, ...], dims: dict[str, int]) -> None:
    """Check the shape of an input, and take from it what its named dimensions are."""
    option = f"--shape {given.name}"
    for size in shape:
        _check(option, size)
    if given.dims is None:
        return
    if len(shape) != len(given.dims):
        raise PredictorError(f"{option}: {_said(given)} has {len(given.dims)} dimensions, not {len(shape)}")
    for size, dim in zip(shape, given.dims, strict=True):
        if isinstance(dim, int) and dim != size:
            raise PredictorError(f"{option}: {file.path} has fixed {_said(given)}: export it for {size}")
        if isinstance(dim, str) and dims.setdefault(dim, size) != size:
            raise PredictorError(f"{option}: {dim} is {dims[dim]} elsewhere, not {size}")


def _shape(file: OnnxFile, given: Input, dims: Mapping[str, int], batch: int) -> tuple[int, ...]:
    if given.dims is None:
        raise PredictorError(
            f"{file.path}: input {given.name} has no shape in the file: say --shape {given.name}=1x3x224x224"
        )
    sizes: list[int] = []
    for place, dim in enumerate(given.dims):
        size = dim if isinstance(dim, int) else dims.get(dim) if isinstance(dim, str) else None
        if size is None and dim is None and place == 0:
            size = batch
        if size is None:
            raise PredictorError(_question(file, given, dims, batch))
        sizes.append(size)
    if math.prod(sizes) > MOST_ELEMENTS:
        raise PredictorError(f"{file.path}: input {_said(given)} has {math.prod(sizes):,} elements: it is damaged")
    return tuple(sizes)


def _question(file: OnnxFile, given: Input, dims: Mapping[str, int], batch: int) -> str:
    open_names = [d for i in file.inputs for d in i.dims or () if isinstance(d, str) and d not in dims]
    if any(isinstance(d, str) and d not in dims for d in given.dims or ()):
        examples = " ".join(f"--dim {name}=128" for name in dict.fromkeys(open_names))
        return f"{file.path}: input {_said(given)} has open dimensions: say their sizes, for example {examples}"
    sizes = [
        str(d) if isinstance(d, int) else str(dims.get(d, 128)) if isinstance(d, str) else str(128 if p else batch)
        for p, d in enumerate(given.dims or ())
    ]
    example = f"--shape {given.name}={'x'.join(sizes)}"
    return f"{file.path}: input {_said(given)} has open dimensions: say its shape, for example {example}"


def _said(given: Input) -> str:
    return f"{given.name} ({', '.join('?' if d is None else str(d) for d in given.dims or ())})"


def _check(option: str, size: int) -> None:
    if not 1 <= size < LARGEST:
        raise PredictorError(f"{option}: a size is 1 or more, and less than 2^31, not {size}")


def check_trips(trips: int | None) -> int | None:
    """A number of rounds that can be, or None: raises PredictorError below 0."""
    if trips is not None and not 0 <= trips < LARGEST:
        raise PredictorError(f"trips must be 0 or more, and less than 2^31, not {trips}")
    return trips


def parsed_dim(said: str) -> tuple[str, int]:
    """What an option ``--dim NAME=VALUE`` says. Raises PredictorError where it is written otherwise."""
    name, _, value = said.rpartition("=")
    if not name or not value.isdigit():
        raise PredictorError(f"--dim wants NAME=SIZE, for example sequence=128, not {said!r}")
    return name, int(value)


def parsed_shape(said: str) -> tuple[str, tuple[int, ...]]:
    """What an option ``--shape INPUT=1x3x224x224`` says. Raises PredictorError where it is written otherwise."""
    name, _, value = said.rpartition("=")
    sizes = value.replace(",", "x").split("x")
    if not name or not all(size.isdigit() for size in sizes):
        raise PredictorError(f"--shape wants INPUT=SIZExSIZE..., for example input=1x3x224x224, not {said!r}")
    return name, tuple(map(int, sizes))
