"""The operator table: what the program knows of every operator, one row each (``row.Operator``).

Rows stand in the modules of this folder, by kind, each in its module's ``ROWS``; every module here is read. All else
that is true of an operator derives from its row: what a fuser joins, what ONNX calls it, how its multiply-accumulates
are counted, what its host cost is measured with. An operator without a row is, in this order: split into its parts if
it is composite; a pointwise or view operator if torch says so; unmodelled.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from predictor.errors import PredictorError
from predictor.ops.elementary import unmodelled
from predictor.ops.pointwise import POINTWISE
from predictor.ops.row import Example, Fuser, GraphBreak, OnnxForm, Operands, Operator
from predictor.ops.views import VIEW
from predictor.records import OpCall, Trait, Variant

__all__ = [
    "ONNX_OPS",
    "OPS",
    "POINTWISE",
    "UNMODELLED",
    "VIEW",
    "Example",
    "Fuser",
    "GraphBreak",
    "OnnxForm",
    "Operands",
    "Operator",
    "Variant",
    "graph_break",
    "is_attention",
    "is_extended",
    "is_fused",
    "is_transcendental",
    "is_wrapper",
    "onnx_form",
    "operator_of",
    "register_operator",
    "rows",
    "typical_trait",
]

OPS: dict[str, Operator] = {}
"""Name in torch -> row."""

ONNX_OPS: dict[str, OnnxForm] = {}
"""Name of an ONNX node -> the operator's form there."""

ONNX_ONLY: dict[str, Operator] = {}
"""Name of an ONNX node -> row, of operators that torch has no name for."""

UNMODELLED = Operator((), Trait.UNMODELLED, unmodelled)
"""What an operator gets that nothing in the table stands for: counted, shown, priced by its traffic alone."""

UNMODELLED_NODE = OnnxForm((), unmodelled, Trait.UNMODELLED)
"""The same of an ONNX node without a form in the table."""


def register_operator(row: Operator) -> None:
    """Add an operator, for instance one of your own, to the table: from then on it is captured, counted and lowered as
    its row says. Raises PredictorError where a row has one of its names.

    Names are those of ``torch.library``, with their namespace. ``lower`` says which kernels a call launches, in the
    families of ``predictor.kernels`` (their dimensions: ``predict kernel FAMILY``); without it the operator costs its
    host call alone. Nobody fuses it unless ``fused_by`` says so, as no compiler looks into a custom operator.

    >>> from predictor import Kernel, OpCall, Operator, Trait, register_operator
    >>> def scaled_product(call: OpCall) -> tuple[Kernel, ...]:
    ...     x, weight = call.tensors
    ...     dims = {"m": x.shape[0], "n": weight.shape[1], "k": x.shape[1]}
    ...     return (Kernel("gemm", x.dtype, dims),)
    >>> row = Operator(
    ...     aten=("mylib::scaled_product",),
    ...     trait=Trait.GEMM,
    ...     lower=scaled_product,
    ...     macs=lambda call: call.outputs[0].elements * call.tensors[0].shape[1],
    ... )
    >>> register_operator(row)
    >>> register_operator(row)
    Traceback (most recent call last):
    predictor.errors.PredictorError: the operator table has a row for mylib::scaled_product already
    >>> del OPS["mylib::scaled_product"]
    """
    taken = [name for name in row.aten if name in OPS] or [n for f in row.onnx for n in f.names if n in ONNX_OPS]
    if taken:
        raise PredictorError(f"the operator table has a row for {taken[0]} already")
    OPS.update(dict.fromkeys(row.aten, row))
    for form in row.onnx:
        ONNX_OPS.update(dict.fromkeys(form.names, form))
        ONNX_ONLY.update(dict.fromkeys(() if row.aten else form.names, row))


def rows() -> Iterator[Operator]:
    """Every row of the table once."""
    return iter({id(row): row for row in (*OPS.values(), *ONNX_ONLY.values())}.values())


def operator_of(op: str, is_pointwise: bool = False, is_view: bool = False) -> Operator:
    """The row that says what a call does on the device: its operator's; else that of what torch says of it (its tag
    "pointwise", its view schema); else ``UNMODELLED``, as of a composite, whose parts say it.

    ``min``, ``max`` and the like are reductions by name and pointwise by overload: torch's tag decides.
    """
    row = OPS.get(op)
    if row is not None and row.trait is not Trait.COMPOSITE:
        by_tag = row.trait is Trait.REDUCTION
        if not (is_pointwise and by_tag) and (is_pointwise or not row.only_tagged):
            return row
    if is_pointwise:
        functional = OPS.get(op.strip("_"), POINTWISE)
        return functional if functional.trait is Trait.POINTWISE else POINTWISE
    return VIEW if is_view else UNMODELLED


def onnx_form(op: str) -> OnnxForm:
    """An ONNX node's form: its own, or that of unmodelled ones."""
    return ONNX_OPS.get(op, UNMODELLED_NODE)


def is_fused(call: OpCall, by: Fuser) -> bool:
    """Whether a fuser joins a call with its neighbours."""
    row = OPS.get(call.op)
    if row is None and by is Fuser.INDUCTOR:  # which sees what an operator does, not its name alone
        row = operator_of(call.op, call.trait is Trait.POINTWISE, call.trait is Trait.VIEW)
    return row is not None and by in row.fused_by


def is_transcendental(op: str) -> bool:
    """Whether an operator, or the one that it does in place, computes a transcendental function of every element."""
    row = OPS.get(op.strip("_"))
    return row is not None and row.is_transcendental


def is_wrapper(op: str) -> bool:
    """Whether a composite operator is a cheap check around parts that it may or may not run."""
    row = OPS.get(op)
    return row is not None and row.is_wrapper


def graph_break(op: str) -> GraphBreak:
    """Whether a compiled graph ends at an operator, and why."""
    row = OPS.get(op)
    return row.graph_break if row is not None else GraphBreak.NONE


def is_attention(op: str) -> bool:
    """Whether an operator is scaled dot-product attention, in one kernel or in its parts."""
    row = OPS.get(op)
    return row is not None and row.is_attention


def typical_trait(op: str) -> Trait:
    """Whose typical host cost an operator's measured cost is an example of: its trait; of a composite that of views
    where it is a wrapper, else that of pointwise operators, as of what has no row.
    """
    row = OPS.get(op)
    if row is None or row.trait is Trait.COMPOSITE:
        return Trait.VIEW if row is not None and row.is_wrapper else Trait.POINTWISE
    return row.trait


def read_rows(path: list[str], package: str) -> Iterator[Operator]:
    """Rows of all modules in the folders of a package."""
    for module in sorted(m.name for m in pkgutil.iter_modules(path)):
        yield from getattr(importlib.import_module(f"{package}.{module}"), "ROWS", ())


for _row in read_rows(list(__path__), __name__):
    register_operator(_row)

_SHIPPED = len(OPS) + len(ONNX_OPS)


def is_extended() -> bool:
    """Whether somebody has added operators of their own."""
    return len(OPS) + len(ONNX_OPS) != _SHIPPED
