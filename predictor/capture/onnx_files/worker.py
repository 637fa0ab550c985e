"""A process of its own that optimises one model: ``python -m predictor.capture.onnx_files.worker FOLDER``.

What a file holds decides how much memory and time that takes, and a damaged one may crash a library: the process has
limits, and its parent says what came of it. On standard input: a line of JSON, then the serialised model; on standard
output the nodes as JSON, or {"refused": message, "cannot": whether the runtime cannot run it}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from predictor.capture.onnx_files import scopes
from predictor.capture.onnx_files.cuda_only import Cut, cut, restored
from predictor.capture.onnx_files.few_bits import join_few_bits
from predictor.capture.onnx_files.folding import keep_half_constants, without_large_constants
from predictor.capture.onnx_files.nodes import Reader
from predictor.capture.onnx_files.precision import Proxies, exchange
from predictor.capture.onnx_files.reading import BITS, graphs, hole, tensors
from predictor.capture.onnx_files.sessions import NoKernelError
from predictor.capture.onnx_files.stand_ins import stand_in
from predictor.errors import CannotRunError, PredictorError, shortened

ATTEMPTS = 24
"""Operators without kernels that are found one after another."""


def data_of(
    model: Any, shapes: Mapping[str, Sequence[int]], dims: Mapping[str, int], trips: int | None, folder: Path
) -> dict[str, Any]:
    """Nodes and tensors of a model with sizes, and where in it they stand. Raises PredictorError and CannotRunError."""
    model = _plain(model)
    known = scopes.of_tensors(model.graph)
    data = _data_of(model, shapes, dims, trips, folder)
    return {**data, "scopes": scopes.of_rows(data["nodes"], *known)}


def _data_of(
    model: Any, shapes: Mapping[str, Sequence[int]], dims: Mapping[str, int], trips: int | None, folder: Path
) -> dict[str, Any]:
    import onnx

    stand_in(model)
    join_few_bits(model)
    _bind(model, shapes, dims)
    wrapped: set[str] = set()
    missing: list[str] = []
    for _ in range(ATTEMPTS):
        asked = onnx.ModelProto()
        asked.CopyFrom(model)
        proxies = exchange(asked, frozenset(wrapped))
        if proxies.half:
            keep_half_constants(asked)
        without_large_constants(asked)
        reader = Reader(folder, trips, proxies)
        try:
            taken = cut(asked, missing, folder) if missing else Cut()
            data = reader.data(asked)
        except NoKernelError as error:
            if proxies.half and error.op not in wrapped:
                wrapped.add(error.op)
            elif error.op not in missing and any(node.op_type == error.op for node in model.graph.node):
                missing.append(error.op)
            elif proxies.half:
                return _all_alike(model, trips, folder)
            else:
                raise _no_kernel(error.op) from None
            continue
        return restored(data, taken, reader.row, reader.dtype) if missing else data
    raise PredictorError("too many of its operators have no kernel on the CPU, where it is optimised here")


MIXED = "what the file runs in fp32 itself runs in half precision, too: ONNX Runtime does not optimise it apart here"


def _all_alike(model: Any, trips: int | None, folder: Path) -> dict[str, Any]:
    proxies = exchange(model, all_alike=True)
    without_large_constants(model)
    try:
        data = Reader(folder, trips, Proxies(proxies.half, proxies.doubles)).data(model)
    except NoKernelError as error:
        raise _no_kernel(error.op) from None
    data["assumptions"].append(MIXED)
    return data


def _no_kernel(op: str) -> CannotRunError:
    return CannotRunError(f"ONNX Runtime has no kernel on the CPU for {op}, where it is optimised here")


def _plain(model: Any) -> Any:
    """Without local functions and sparse weights."""
    import onnx
    from onnx import inliner

    if model.functions:
        try:
            model = inliner.inline_local_functions(model)
        except Exception as error:
            raise PredictorError(f"its local functions cannot be inlined: {shortened(error)}") from None
    for graph in graphs(model):
        for sparse in graph.sparse_initializer:
            elements = 1
            for n in sparse.dims:
                elements *= max(n, 0)
            dense = graph.initializer.add(name=sparse.values.name)
            if sparse.values.data_type not in BITS or elements > 2**40:
                raise PredictorError(f"sparse tensor {sparse.values.name!r} is damaged")
            hole(dense, sparse.dims, sparse.values.data_type)
        del graph.sparse_initializer[:]
        for node in graph.node:
            if node.op_type == "StringNormalizer":  # a locale that this machine may not have
                kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
                copies = [onnx.AttributeProto.FromString(attribute.SerializeToString()) for attribute in kept]
                del node.attribute[:]
                node.attribute.extend([*copies, onnx.helper.make_attribute("locale", "C")])
    if not any(o.domain in ("", "ai.onnx") for o in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid("", 17))
    return model


def _bind(model: Any, shapes: Mapping[str, Sequence[int]], dims: Mapping[str, int]) -> None:
    """Sizes for open dimensions, of inputs and wherever else they have the same name."""
    for graph in graphs(model):
        for info in (*graph.value_info, *graph.output):
            for kind in _tensor_kinds(info.type):
                for dim in kind.shape.dim:
                    if dim.dim_param in dims and dim.dim_param:
                        dim.dim_value = dims[dim.dim_param]
                    elif dim.dim_value <= 0 and dim.HasField("dim_value"):
                        dim.Clear()
    for info in model.graph.input:
        if info.name in shapes:
            kind = info.type.tensor_type
            if info.type.HasField("optional_type"):
                elem = info.type.optional_type.elem_type.tensor_type.elem_type
                info.type.Clear()
                kind = info.type.tensor_type
                kind.elem_type = elem
            del kind.shape.dim[:]
            kind.shape.SetInParent()
            for n in shapes[info.name]:
                kind.shape.dim.add(dim_value=n)


def _tensor_kinds(kind: Any) -> list[Any]:
    return [kind.tensor_type] if kind.HasField("tensor_type") else []


def _limit(nbytes: int) -> None:
    """No more memory than that; where the system knows no such limit, none."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        for kind in ("RLIMIT_AS", "RLIMIT_DATA"):
            with contextlib.suppress(AttributeError, ValueError, OSError):
                resource.setrlimit(getattr(resource, kind), (nbytes, nbytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Entry point."""
    import onnx

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    asked = json.loads(sys.stdin.buffer.readline())
    model = onnx.ModelProto()
    model.ParseFromString(sys.stdin.buffer.read())
    holes = sum(
        int(entry.value) for t in tensors(model) for entry in t.external_data if entry.key == "length"
    )  # each is mapped into memory, as pages of one file
    _limit(asked["memory"] + 4 * holes)
    try:
        found = data_of(model, asked["shapes"], asked["dims"], asked["trips"], Path(sys.argv[1]))
    except PredictorError as error:
        found = {"refused": str(error), "cannot": isinstance(error, CannotRunError)}
    except MemoryError:
        found = {"refused": f"optimising it takes more than {asked['memory'] >> 30} GiB", "cannot": False}
    except RecursionError:
        found = {"refused": "its graphs are nested too deeply", "cannot": False}
    except Exception as error:  # a damaged file: onnx and numpy raise what they like
        found = {"refused": f"it is damaged: {type(error).__name__}: {shortened(error)}", "cannot": False}
    json.dump(found, answers)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
