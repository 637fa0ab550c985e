"""Sizes that neither ONNX nor ONNX Runtime infers: of operators whose results depend on values, where an assumption
says them, and of those that nobody wrote an inference for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from predictor.capture.assumption_texts import DISTINCT, KEEPS
from predictor.capture.onnx_files.sessions import Spec

INT32, INT64 = 6, 7

EVERYTHING = KEEPS.format(share="everything")


@dataclass(frozen=True)
class Known:
    """What is known where a node stands: specs of values, and constants with few elements."""

    specs: Mapping[str, Spec]
    constants: Mapping[str, Any]

    def dims(self, name: str) -> tuple[int, ...]:
        """All sizes of a value. Raises LookupError where one is not known."""
        spec = self.specs[name]
        if spec.dims is None or None in spec.dims:
            raise LookupError(name)
        return tuple(n for n in spec.dims if n is not None)

    def number(self, node: Any, position: int, default: int) -> int:
        """A constant input of one number."""
        if position >= len(node.input) or not node.input[position]:
            return default
        return int(self.constants[node.input[position]].ravel()[0])


Rule = Callable[[Any, Known], list[Spec]]


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """An attribute of a node."""
    import onnx

    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else onnx.helper.get_attribute_value(found)


def _like(node: Any, known: Known) -> list[Spec]:
    """Every result has the shape of the first input."""
    first = known.specs[node.input[0]]
    dims = known.dims(node.input[0])
    return [Spec("tensor", known.specs[o].elem if o in known.specs else first.elem, dims) for o in node.output]


def _non_zero(node: Any, known: Known) -> list[Spec]:
    dims = known.dims(node.input[0])
    return [Spec("tensor", INT64, (len(dims), math.prod(dims)))]


def _boxes(node: Any, known: Known) -> list[Spec]:
    boxes, scores = known.dims(node.input[0]), known.dims(node.input[1])
    try:
        most = known.number(node, 2, 0)
    except KeyError:
        most = boxes[1]
    return [Spec("tensor", INT64, (scores[0] * scores[1] * max(min(most, boxes[1]), 0), 3))]


def _unique(node: Any, known: Known) -> list[Spec]:
    dims, axis = known.dims(node.input[0]), attribute(node, "axis")
    count = math.prod(dims) if axis is None else dims[axis]
    elem = known.specs[node.input[0]].elem
    whole = (count,) if axis is None else dims
    return [Spec("tensor", elem, whole), *(Spec("tensor", INT64, (count,)) for _ in node.output[1:])]


def _compress(node: Any, known: Known) -> list[Spec]:
    dims = known.dims(node.input[0])
    whole = (math.prod(dims),) if attribute(node, "axis") is None else dims
    return [Spec("tensor", known.specs[node.input[0]].elem, whole)]


def _classifier(node: Any, known: Known) -> list[Spec]:
    rows = known.dims(node.input[0])[0] if known.dims(node.input[0]) else 1
    labels: Any = next((v for n in ("classlabels_int64s", "classlabels_ints", "classlabels_strings")
                   if (v := attribute(node, n))), [])  # fmt: skip
    elem = known.specs[node.output[0]].elem if node.output[0] in known.specs else INT64
    return [Spec("tensor", elem, (rows,)), Spec("tensor", 1, (rows, max(len(labels), 1)))][: len(node.output)]


def _regressor(node: Any, known: Known) -> list[Spec]:
    dims = known.dims(node.input[0])
    targets = int(attribute(node, "n_targets", attribute(node, "targets", 1)))
    return [Spec("tensor", 1, (dims[0] if dims else 1, targets))]


def _features(node: Any, known: Known) -> list[Spec]:
    widths = attribute(node, "inputdimensions") or [known.dims(name)[-1] for name in node.input]
    return [Spec("tensor", 1, (known.dims(node.input[0])[0], int(sum(widths))))]


def _one_hot(node: Any, known: Known) -> list[Spec]:
    cats = attribute(node, "cats_int64s") or attribute(node, "cats_strings") or [0]
    return [Spec("tensor", 1, (*known.dims(node.input[0]), len(cats)))]


def _extracted(node: Any, known: Known) -> list[Spec]:
    dims = known.dims(node.input[0])
    return [Spec("tensor", known.specs[node.input[0]].elem, (*(dims[:-1] or (1,)), *known.dims(node.input[1])[-1:]))]


def _whole_sequence(node: Any, known: Known) -> list[Spec]:
    """A sequence stands for all that it holds: one tensor."""
    pieces = [known.dims(name) for name in node.input if known.specs[name].kind == "tensor"]
    elem = known.specs[node.input[0]].elem
    if node.op_type == "SplitToSequence":
        return [Spec("sequence", elem, pieces[0])]
    if len(set(pieces)) == 1:
        return [Spec("sequence", elem, (len(pieces), *pieces[0]))]
    return [Spec("sequence", elem, (sum(math.prod(p) for p in pieces),))]


def _inserted(node: Any, known: Known) -> list[Spec]:
    held = math.prod(known.dims(node.input[0])) + math.prod(known.dims(node.input[1]))
    return [Spec("sequence", known.specs[node.input[1]].elem, (held,))]


def _joined(node: Any, known: Known) -> list[Spec]:
    held = known.specs[node.input[0]]
    return [Spec("tensor", held.elem, known.dims(node.input[0]))]


def _empty(node: Any, known: Known) -> list[Spec]:
    return [Spec("sequence", int(attribute(node, "dtype", 1)), (0,))]


def _unpadded(node: Any, known: Known) -> list[Spec]:
    batch, tokens, width = known.dims(node.input[0])
    elem = known.specs[node.input[0]].elem
    shapes = [(batch * tokens, width), (batch, tokens), (batch + 1,), (1,)]
    return [Spec("tensor", elem if i == 0 else INT32, shape) for i, shape in enumerate(shapes)][: len(node.output)]


def _padded(node: Any, known: Known) -> list[Spec]:
    width = known.dims(node.input[0])[-1]
    return [Spec("tensor", known.specs[node.input[0]].elem, (*known.dims(node.input[1]), width))]


def _packed_heads(node: Any, known: Known) -> list[Spec]:
    """(tokens, width), or (tokens, heads, 3, width of a head) -> (tokens, width)."""
    dims = known.dims(node.input[0])
    width = dims[1] if len(dims) == 2 else dims[1] * dims[3]
    return [Spec("tensor", known.specs[node.input[0]].elem, (dims[0], width))]


def _half_as_wide(node: Any, known: Known) -> list[Spec]:
    dims = known.dims(node.input[0])
    return [Spec("tensor", known.specs[node.input[0]].elem, (*dims[:-1], dims[-1] // 2))]


def _channels_last_conv(node: Any, known: Known) -> list[Spec]:
    x, w = known.dims(node.input[0]), known.dims(node.input[1])
    spatial = len(x) - 2
    pads = attribute(node, "pads") or [0] * 2 * spatial
    strides, dilations = (attribute(node, name) or [1] * spatial for name in ("strides", "dilations"))
    sides = [
        (x[1 + i] + pads[i] + pads[spatial + i] - dilations[i] * (w[1 + i] - 1) - 1) // strides[i] + 1
        for i in range(spatial)
    ]
    return [Spec("tensor", known.specs[node.input[0]].elem, (x[0], *sides, w[0]))]


def _reshaped(node: Any, known: Known) -> list[Spec]:
    """The one size that is not known is what the others leave of the elements."""
    found = known.specs[node.output[0]]
    if found.dims is None or found.dims.count(None) != 1:
        raise LookupError(node.output[0])
    elements, rest = math.prod(known.dims(node.input[0])), math.prod(n for n in found.dims if n is not None)
    return [Spec("tensor", found.elem, tuple(elements // max(rest, 1) if n is None else n for n in found.dims))]


NO_PADDING = "no token is padding"

RULES: dict[str, tuple[Rule, str]] = {
    "NonZero": (_non_zero, EVERYTHING),
    "NonMaxSuppression": (_boxes, EVERYTHING),
    "Compress": (_compress, EVERYTHING),
    "Unique": (_unique, DISTINCT),
    **dict.fromkeys(("TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier"), (_classifier, "")),
    **dict.fromkeys(("TreeEnsembleRegressor", "LinearRegressor", "SVMRegressor", "TreeEnsemble"), (_regressor, "")),
    **dict.fromkeys(("Normalizer", "Scaler", "Imputer", "Binarizer", "LabelEncoder", "CategoryMapper"), (_like, "")),
    "FeatureVectorizer": (_features, ""),
    "OneHotEncoder": (_one_hot, ""),
    "ArrayFeatureExtractor": (_extracted, ""),
    "SequenceConstruct": (_whole_sequence, ""),
    "SplitToSequence": (_whole_sequence, ""),
    "SequenceInsert": (_inserted, ""),
    "ConcatFromSequence": (_joined, ""),
    "SequenceEmpty": (_empty, ""),
    "Reshape": (_reshaped, ""),
    "RemovePadding": (_unpadded, NO_PADDING),
    "RestorePadding": (_padded, ""),
    "PackedMultiHeadAttention": (_packed_heads, ""),
    "BiasSplitGelu": (_half_as_wide, ""),
    "NhwcConv": (_channels_last_conv, ""),
    **dict.fromkeys(("GroupNorm", "SkipGroupNorm", "BiasAdd", "PackedAttention"), (_like, "")),
    "StringNormalizer": (_like, EVERYTHING),
}
"""Operator -> the shapes of its results, and what is assumed by that."""


def sizes(node: Any, known: Known) -> tuple[list[Spec], str] | None:
    """(What a node gives, what is assumed by that); None where nothing says it."""
    rule = RULES.get(node.op_type)
    try:
        if rule is not None:
            return rule[0](node, known), rule[1]
        if node.domain == "com.microsoft" and len(node.output) == 1 and node.input:
            said = f"the result of {node.op_type} has the shape of its first input: nothing infers it"
            return _like(node, known), said
    except (LookupError, TypeError, ValueError):
        return None
    return None
