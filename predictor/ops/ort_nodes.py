"""Nodes of ONNX and of ONNX Runtime's own domain that no operator of torch is: fused activations and norms, sequences,
what selects boxes, strings and tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from predictor.ops import ort
from predictor.ops.elementary import repeated
from predictor.ops.node_macs import conv_macs
from predictor.ops.row import ONNX_ALONE, OnnxForm, Operator, no_kernels
from predictor.records import Kernel, OpCall, TensorSpec, Trait


def embedded(call: OpCall) -> tuple[Kernel, ...]:
    """Rows of two or three tables added and normalised; where the mask ends is found by a kernel before."""
    out = call.outputs[0]
    if not out.elements or not out.shape:
        return ()
    tables = [t for t in call.tensors if len(t.shape) == 2 and t.shape[-1] == out.shape[-1]]
    read = [replace(out, dtype=out.dtype) for _ in tables[:3]]
    ids = {f"input{i}": t for i, t in enumerate([*read, *call.tensors[:1]])}
    whole = ort.kernel(OpCall(call.op, ids, (out,), Trait.REDUCTION), ort.Kind.NORM, out.elements // out.shape[-1])
    mask = call.outputs[1:2]
    return (*ort.copies_of(*(t for t in mask if t.elements)), *whole)


def channels_last_conv(call: OpCall) -> tuple[Kernel, ...]:
    """A convolution of cuDNN whose channels are the last dimension of input, weights and result."""
    x, w, *rest = call.tensors
    if len(x.shape) != 4 or len(w.shape) != 4:
        return ort.kernel(call)
    first = TensorSpec((x.shape[0], x.shape[3], *x.shape[1:3]), x.dtype, x.stride)
    window = TensorSpec((w.shape[0], w.shape[3], *w.shape[1:3]), w.dtype, w.stride)
    tensors = {f"input{i}": t for i, t in enumerate([first, window, *rest])}
    numbers = {name: value for name, value in call.args.items() if not isinstance(value, TensorSpec)}
    (kernel,) = ort.conv(OpCall("Conv", {**tensors, **numbers}, call.outputs, Trait.CONV))
    return (replace(kernel, dims={**kernel.dims, "channels_last": 1.0}),)


def deformed_conv(call: OpCall) -> tuple[Kernel, ...]:
    """The windows of every pixel, read at places between pixels, written out; then products of them, one a group."""
    x, w, out = call.tensors[0], call.tensors[1], call.outputs[0]
    groups, window = int(call.args.get("group", 1)), math.prod(w.shape[1:])
    pixels = out.elements // max(w.shape[0], 1)
    if not pixels or not window:
        return ()
    columns = TensorSpec((pixels, groups * window), x.dtype, (groups * window, 1))
    read = ort.kernel(replace(call, outputs=(columns,)), ort.Kind.POOLED, straight=False)
    return (*read, ort.product(x.dtype, w.shape[0] // groups, pixels, window, groups, False))


def experts(call: OpCall) -> tuple[Kernel, ...]:
    """Experts are chosen for every token, places are found, tokens are brought together by expert; their products, all
    experts at once, the activation in the first, exact in single precision; the results are weighed and added.
    """
    x, weights = call.tensors[0], _experts(call)
    if not x.elements or not weights:
        return ()
    rows = x.elements // x.shape[-1] * int(call.args.get("k", 1))
    used = min(weights[0].shape[0], rows)

    def by_rows(width: int) -> TensorSpec:
        return TensorSpec((rows, width), x.dtype, (width, 1))

    def product(weight: TensorSpec) -> Kernel:
        sizes = {"experts": used, "m": math.ceil(rows / used), "n": weight.shape[1], "k": weight.shape[2]}
        return Kernel("ort_experts", x.dtype, {**sizes, "itemsize": float(x.itemsize)})

    first, second, *third = weights
    chosen = ort.by_rows(OpCall("", {"input0": call.tensors[1]}, call.tensors[1:2], Trait.REDUCTION), ort.Kind.SOFTMAX)
    places, gathered, made = (ort.copies_of(by_rows(width)) for width in (1, x.shape[-1], x.shape[-1]))
    return (*chosen, *places, *gathered, product(first), *map(product, third), product(second), *made)


def experts_macs(call: OpCall) -> int:
    """Every token by the weights of as many experts as it goes to."""
    x = call.tensors[0]
    tokens = x.elements // max(x.shape[-1], 1) * int(call.args.get("k", 1)) if x.shape else 0
    return tokens * sum(math.prod(weight.shape[1:]) for weight in _experts(call))


def _experts(call: OpCall) -> list[TensorSpec]:
    """Weights of the first, the second, and where there is one the third product of all experts."""
    found = [call.args.get(f"input{position}") for position in (2, 4, 6)]
    return [weight for weight in found if isinstance(weight, TensorSpec) and len(weight.shape) == 3]


def group_norm(call: OpCall) -> tuple[Kernel, ...]:
    """Sums of every group of channels, then a pass that normalises, adds what is skipped, and may activate."""
    x, out = call.tensors[0], call.outputs[0]
    if not out.elements:
        return ()
    groups = max(int(call.args.get("groups") or 1), 1)
    sums = TensorSpec((x.shape[0], groups, 2), "fp32", (2 * groups, 2, 1))
    first = ort.kernel(OpCall("", {"input0": x}, (sums,), Trait.REDUCTION), ort.Kind.REDUCED, x.shape[0] * groups, True)
    return (*first, *ort.kernel(call, ort.Kind.TRANSCENDENTAL))


def local_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A pass that reads a few neighbours, from the cache."""
    return ort.kernel(call, ort.Kind.POOLED, straight=False)


def found_places(call: OpCall) -> tuple[Kernel, ...]:
    """Counts of every block, sums along them, behind a state that is written first, the last of which goes to the host;
    then places written (onnxruntime, nonzero_op.cc).
    """
    x = call.tensors[0]
    blocks = TensorSpec((-(-x.elements // 256),), "int32", (1,))
    return (
        *ort.checked(OpCall("", {"input0": x}, (blocks,), Trait.POINTWISE)),
        *ort.copies_of(*[blocks] * 2 * bool(x.elements)),
        *(ort.sent(1) if x.elements else ()),
        *ort.gathered(call),
    )


BEFORE_COUNT, AFTER_COUNT = 6, 7
"""Of a class of boxes, small kernels up to the wait that counts the boxes with a score, and from there to the wait that
counts those that are left; beside them those that sort, compare and choose. Numbers are counted up, scores and boxes
gathered, what is left is written and counted. As ONNX Runtime 1.30 runs it (its profile on an H100).
"""


def suppression_rounds(call: OpCall) -> tuple[tuple[Kernel, ...], ...]:
    """Of every class of every image two rounds: scores copied and sorted, boxes gathered and counted; each compared
    with each, and those that are left found one after another.
    """
    boxes, scores = call.tensors[:2]
    count = boxes.shape[1]
    classes = scores.shape[0] * scores.shape[1]
    if not count or not classes:
        return ()
    row = TensorSpec((count,), scores.dtype, (1,))
    chosen = Kernel("box_selection", boxes.dtype, {"boxes": count})
    return (ort.copies_of(*[row] * BEFORE_COUNT), (*ort.copies_of(*[row] * AFTER_COUNT), chosen)) * classes


def suppressed(call: OpCall) -> tuple[Kernel, ...]:
    """The kernels of all rounds."""
    rounds = suppression_rounds(call)
    return repeated((*rounds[0], *rounds[1]), len(rounds) // 2) if rounds else ()


def padding(call: OpCall) -> tuple[Kernel, ...]:
    """Tokens of sequences put together, or apart again."""
    return ort.kernel(call, ort.Kind.GATHERED, straight=False, reads_part=True)


def written_over(call: OpCall) -> tuple[Kernel, ...]:
    """A cache is copied, then new tokens are written over the old."""
    return (*ort.copies_of(*call.outputs[:1]), *ort.copies_of(*call.tensors[1:2]))


def moved_ones(call: OpCall) -> tuple[Kernel, ...]:
    """A copy of each tensor that is taken out of a sequence or put into one."""
    return ort.copies_of(*(out for out in call.outputs if out.dtype != "string" and out.elements))


def on_host(*names: str, cpu_passes: int = 1) -> OnnxForm:
    """Nodes of which no provider has a kernel but the CPU's."""
    return OnnxForm(names, no_kernels, Trait.HOST, cpu_passes=cpu_passes)


STRINGS = on_host(
    *("StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer", "Tokenizer"),
    *("CategoryMapper", "DictVectorizer", "ZipMap", "CastMap"),
)
FOURIER_STEP = 20
"""Elements of a pass that take as long on the CPU as a point in a step of a Fourier transform: FNet in fp32 took 192 ms
a pass, nearly all of it 24 transforms of 128 x 768 (calibrations/h100/paper).
"""


def fourier_elements(call: OpCall) -> int:
    """Of the CPU's Fourier transforms: a row of n points takes log2(n) steps where that is a power of two, else two
    transforms of the next one beyond 2 n - 1 (onnxruntime, dft.cc: Bluestein's algorithm).
    """
    x, out = call.tensors[0].shape, call.outputs[0].shape
    if len(x) < 3 or len(out) < 3 or not call.outputs[0].elements:
        return 0
    if call.op == "STFT":  # batch, frames, half of the points and one more, both parts
        rows, points = math.prod(out[:2]), max(2 * (out[-2] - 1), 1)
    else:
        axis = call.args.get("axis", -2)
        back_to_real = call.args.get("inverse") and call.args.get("onesided")
        whole = out if back_to_real else x  # half of the points say a real signal
        points = max(whole[axis] if isinstance(axis, int) and -len(x) <= axis < len(x) else whole[-2], 1)
        rows = math.prod(whole[:-1]) // points
    size = 1 << (points - 1).bit_length()
    if size > points:
        size, rows = 1 << (2 * points - 2).bit_length(), 2 * rows
    return FOURIER_STEP * rows * size * max(size.bit_length() - 1, 1)


FOURIER = OnnxForm(("DFT", "STFT"), no_kernels, Trait.HOST, cpu_elements=fourier_elements)

RARE_ON_HOST = on_host("AffineGrid", "Col2Im", "CumProd", "Det", "MaxRoiPool", "MaxUnpool", "Multinomial", "Unique")
"""A pass over their elements, a judgement: no CUDA kernel of ONNX Runtime 1.31 takes them."""

TREES = on_host("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", cpu_passes=240)
"""A row goes down every tree. Measured of one forest alone, 0.7 us a row (``benchmarks/onnx_files``, forest)."""

TABLES = on_host(
    *("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor"),
    *("Scaler", "Normalizer", "Imputer", "OneHotEncoder", "FeatureVectorizer"),
    *("ArrayFeatureExtractor", "Binarizer"),
)
"""Operators of ai.onnx.ml."""


def _forms() -> Iterator[OnnxForm]:
    passes = partial(ort.form, trait=Trait.POINTWISE)
    yield from passes("BiasSplitGelu", "ScaledTanh", "ScaledSiLU", "Affine", lower=ort.transcendental)
    yield from passes("BiasAdd", "BiasDropout", "ImageScaler", "ParametricSoftplus")
    yield from passes("RotaryEmbedding", "GemmaRotaryEmbedding", "ComplexMul", "ComplexMulConj", lower=_turned)
    yield from ort.form("EmbedLayerNormalization", trait=Trait.REDUCTION, lower=embedded)
    yield from ort.form("SkipGroupNorm", trait=Trait.REDUCTION, lower=group_norm)
    # what the CPU has no vector code for: measured, of 131,072 and 1,048,576 elements (benchmarks/onnx_files, islands)
    yield from ort.form("LpNormalization", trait=Trait.REDUCTION, lower=ort.norm, cpu_passes=30)
    yield from ort.form("Hardmax", trait=Trait.REDUCTION, lower=ort.reduced, cpu_passes=105)
    yield from ort.form("LpPool", trait=Trait.POOL, lower=ort.pooled, cpu_passes=80)
    yield from ort.form("GlobalLpPool", trait=Trait.REDUCTION, lower=ort.reduced, cpu_passes=30)
    yield from ort.form("LRN", trait=Trait.POOL, lower=local_norm)
    yield OnnxForm(("NhwcConv", "NhwcFusedConv"), channels_last_conv, Trait.CONV, conv_macs)
    yield OnnxForm(("DeformConv",), deformed_conv, Trait.CONV, conv_macs)
    yield OnnxForm(("MoE",), experts, Trait.PRODUCT, experts_macs)
    yield from ort.form("TensorScatter", trait=Trait.COPY, lower=written_over)
    yield from ort.form("NonZero", "Compress", trait=Trait.SYNC, lower=found_places)
    yield OnnxForm(("NonMaxSuppression",), suppressed, Trait.SYNC, rounds=suppression_rounds)
    yield from ort.form("RemovePadding", "RestorePadding", trait=Trait.GATHER, lower=padding)
    yield from ort.form("ReverseSequence", trait=Trait.COPY, lower=ort.gathered)
    yield from passes("LabelEncoder", lower=ort.checked)
    yield from ort.form("RoiAlign", trait=Trait.POOL, lower=ort.pooled)
    yield from ort.form("SequenceConstruct", "SequenceEmpty", "SequenceErase", trait=Trait.VIEW, lower=ort.nothing)
    yield from ort.form("SequenceLength", trait=Trait.VIEW, lower=ort.nothing)
    yield from ort.form("SequenceAt", "SequenceInsert", trait=Trait.COPY, lower=moved_ones)
    yield from ort.form("ConcatFromSequence", "SplitToSequence", trait=Trait.COPY, lower=moved_ones)
    yield from (FOURIER, STRINGS, TREES, TABLES, RARE_ON_HOST)


_turned = partial(ort.kernel, straight=False)

ROWS = tuple(Operator((), form.trait, onnx=(form,), untimed=ONNX_ALONE) for form in _forms())
