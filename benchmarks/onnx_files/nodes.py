"""Single nodes of kinds that the sweeps of calibrations leave out, drawn at random, the same on every run."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.onnx_files.net import MICROSOFT, Net

Rng = np.random.Generator
Draw = Callable[[Rng, str], Net]
"""Draws a graph of one node in a dtype."""

LARGEST = 3e7
"""Elements of the largest tensor."""


def _pick(rng: Rng, *values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def _batch(rng: Rng, elements: float, most: int = 64) -> int:
    """A power of two of tensors of so many elements."""
    return int(2 ** rng.integers(0, int(np.log2(max(min(LARGEST / elements, most), 1))) + 1))


def _image(rng: Rng, channels: Sequence[int] = (16, 32, 64, 96, 128, 256, 512)) -> tuple[int, int, int]:
    side, width = _pick(rng, 7, 8, 14, 16, 28, 32, 56, 64, 112), _pick(rng, *channels)
    return _batch(rng, side * side * width), width, side


def _rows(rng: Rng) -> tuple[int, int, int]:
    width = _pick(rng, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
    length = _pick(rng, 1, 16, 49, 64, 128, 128, 197, 256, 384, 512)
    return _batch(rng, length * width), length, width


def _done(net: Net, *outputs: str, kind: str = "") -> Net:
    for name in outputs:
        net.output(name, kind)
    return net


def transposed(rng: Rng, dtype: str) -> Net:
    """ConvTranspose of one and two dimensions, grouped now and then, with the windows and strides of generators."""
    net = Net(dtype)
    side, stride, pad = _pick(rng, (4, 2, 1), (2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 2, 2), (8, 4, 2), (4, 4, 0))
    if rng.random() < 0.3:
        length, width = _pick(rng, 64, 128, 256, 512, 1024, 4096), _pick(rng, 16, 32, 64, 128, 256, 512)
        out, batch = max(width // _pick(rng, 1, 2, 4), 8), _batch(rng, length * width, 32)
        side, stride, pad = _pick(rng, (16, 8, 4), (4, 2, 1), (11, 5, 3), (8, 4, 2))
        shape, window = (batch, width, length), (side,)
    else:
        batch, width, size = _image(rng)
        out = max(width // _pick(rng, 1, 2, 2, 4), 3)
        shape, window = (batch, width, size, size), (side, side)
    group = width if rng.random() < 0.12 else 1
    weights = [net.weight(width, out if group == 1 else 1, *window, scale=0.02)]
    if rng.random() < 0.5:
        weights.append(net.weight(out if group == 1 else width))
    attributes = {"strides": [stride] * len(window), "pads": [pad] * 2 * len(window), "kernel_shape": list(window)}
    return _done(net, net.op("ConvTranspose", net.input("x", *shape), *weights, group=group, **attributes))


def tall(rng: Rng, dtype: str) -> Net:
    """Depthwise convolutions with windows that are long in one direction."""
    net = Net(dtype)
    width, length = _pick(rng, 64, 128, 256, 384, 512), _pick(rng, 50, 100, 200, 400, 1000)
    side = _pick(rng, 3, 7, 15, 31, 31, 65, 65)
    form = _pick(rng, "tall", "tall", "wide", "flat")
    shape, window = {
        "tall": ((width, length, 1), (side, 1)),
        "wide": ((width, 1, length), (1, side)),
        "flat": ((width, length), (side,)),
    }[form]
    x = net.input("x", _batch(rng, width * length, 32), *shape)
    return _done(net, net.conv(x, width, width, *window, group=width))


def windows(rng: Rng, dtype: str) -> Net:
    """Depthwise convolutions along a sequence: of speech models over channels, of linear attention over the heads of
    its values, whose window is 33 or 65 tokens high and one number wide.
    """
    net = Net(dtype)
    if rng.random() < 0.5:
        width, length = _pick(rng, 64, 144, 256, 384, 512, 1024), _pick(rng, 50, 100, 200, 400, 1000)
        shape, window = (width, length), (_pick(rng, 3, 5, 9, 15, 31, 33, 63),)
    else:
        heads, length, head = _pick(rng, 4, 8, 12, 16), _pick(rng, 64, 128, 256, 512, 1024), _pick(rng, 32, 64, 64)
        width, shape, window = heads, (heads, length, head), (_pick(rng, 17, 33, 65, 65), 1)
    x = net.input("x", _batch(rng, float(np.prod(shape)), 32), *shape)
    return _done(net, net.conv(x, width, width, *window, group=width))


def long_windows(rng: Rng, dtype: str) -> Net:
    """Depthwise convolutions over sequences with the longest windows, where cuDNN may run them channel by channel."""
    net = Net(dtype)
    width, length = _pick(rng, 16, 32, 64, 128, 192, 256, 384, 512, 768), _pick(rng, 50, 64, 100, 200, 256, 400, 1000)
    side = _pick(rng, 17, 31, 31, 33, 51, 65, 65)
    x = net.input("x", _batch(rng, width * length, 32), width, length)
    return _done(net, net.conv(x, width, width, side, group=width))


def rearranged(rng: Rng, dtype: str) -> Net:
    """What moves pixels: borders of images, channels to pixels and back, samples of a grid, what is spread."""
    net = Net(dtype)
    batch, width, size = _image(rng, (16, 32, 64, 128, 256))
    form = _pick(rng, "Pad", "Pad", "DepthToSpace", "SpaceToDepth", "GridSample", "Expand")
    if form == "Expand":
        row = net.input("x", batch, width, 1, 1)
        return _done(net, net.op(form, row, net.constant([batch, width, size, size])))
    x = net.input("x", batch, width, size, size)
    if form == "Pad":
        border, mode = _pick(rng, 1, 1, 2, 3), _pick(rng, "constant", "reflect", "edge")
        return _done(net, net.op(form, x, net.constant([0, 0, border, border] * 2), mode=mode))
    if form in ("DepthToSpace", "SpaceToDepth"):
        to = 7 if size == 7 and form == "SpaceToDepth" else 2
        more = {"mode": _pick(rng, "DCR", "CRD")} if form == "DepthToSpace" else {}
        return _done(net, net.op(form, x, blocksize=to, **more))
    grid = net.input("grid", batch, size, size, 2)
    return _done(net, net.op(form, x, grid, mode=_pick(rng, "bilinear", "bilinear", "nearest"), align_corners=0))


def reduced(rng: Rng, dtype: str) -> Net:
    """Reductions of every kind, along rows, columns, pixels, all."""
    net = Net(dtype, opset=18)
    op = _pick(rng, "L2", "L2", "L1", "Mean", "Sum", "Max", "Min", "Prod", "LogSumExp", "SumSquare", "LogSum")
    if rng.random() < 0.3:
        batch, width, size = _image(rng)
        shape, axes = (batch, width, size, size), _pick(rng, [2, 3], [1], [2, 3])
    else:
        shape, axes = _rows(rng), _pick(rng, [2], [2], [2], [1], [1, 2], [0, 1, 2])
    x = net.input("x", *shape)
    return _done(net, net.op("Reduce" + op, x, net.constant(axes), keepdims=_pick(rng, 0, 1)))


def resized(rng: Rng, dtype: str) -> Net:
    """Resize in its modes, up and down."""
    net = Net(dtype)
    batch, width, size = _image(rng, (3, 16, 32, 64, 128, 256))
    mode = _pick(rng, "nearest", "linear", "cubic")
    place = _pick(rng, "half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
    to = max(int(size * _pick(rng, 0.5, 2, 2, 4, 1.5)), 1)
    more = {"nearest_mode": "floor"} if mode == "nearest" else {}
    sizes = net.constant([batch, width, to, to])
    x = net.input("x", batch, width, size, size)
    return _done(net, net.op("Resize", x, "", "", sizes, mode=mode, coordinate_transformation_mode=place, **more))


def recurrent(rng: Rng, dtype: str) -> Net:
    """LSTM, GRU, RNN of one or two directions."""
    net = Net(dtype)
    op, gates = _pick(rng, ("LSTM", 4), ("LSTM", 4), ("GRU", 3), ("RNN", 1))
    steps, batch = _pick(rng, 1, 8, 32, 64, 128, 256), _pick(rng, 1, 1, 4, 16, 64)
    width, inner = _pick(rng, 40, 64, 80, 128, 256, 512), _pick(rng, 64, 128, 256, 320, 512)
    ways = _pick(rng, 1, 2)
    weights = [net.weight(ways, gates * inner, k, scale=0.05) for k in (width, inner)]
    weights.append(net.weight(ways, 2 * gates * inner, scale=0.05))
    more = {"linear_before_reset": 1} if op == "GRU" else {}
    way = "bidirectional" if ways == 2 else "forward"
    x = net.input("x", steps, batch, width)
    return _done(net, net.op(op, x, *weights, hidden_size=inner, direction=way, **more))


def quantised_vector(rng: Rng, dtype: str) -> Net:
    """QuantizeLinear and DequantizeLinear, of a tensor or of an axis."""
    net = Net(dtype, opset=19)
    kind = _pick(rng, "int8", "uint8")
    if rng.random() < 0.5:
        batch, width, size = _image(rng)
        shape: tuple[int, ...] = (batch, width, size, size)
    else:
        shape = _rows(rng)
    lengths = shape[1] if rng.random() < 0.3 else 1
    scale = net.constant(np.full(lengths, 0.02) if lengths > 1 else 0.02, dtype)
    zero = net.constant(np.zeros(lengths) if lengths > 1 else 0, kind)
    if rng.random() < 0.5:
        return _done(net, net.op("QuantizeLinear", net.input("x", *shape), scale, zero, axis=1), kind=kind)
    x = net.input("x", *shape, kind=kind, below=100)
    return _done(net, net.op("DequantizeLinear", x, scale, zero, axis=1))


def whole_product(rng: Rng, dtype: str) -> Net:
    """MatMulInteger of int8."""
    net = Net(dtype)
    m, k, n = _pick(rng, 1, 16, 128, 512, 2048), *(_pick(rng, 256, 512, 768, 1024, 3072) for _ in "kn")
    x = net.input("x", 1, m, k, kind="int8", below=100)
    return _done(net, net.op("MatMulInteger", x, net.weight(k, n, kind="int8")), kind="int32")


def attention(rng: Rng, dtype: str) -> Net:
    """Attention with its product, MultiHeadAttention without: bare, causal, or with a mask of lengths."""
    net = Net(dtype)
    heads, head = _pick(rng, 4, 8, 12, 16), _pick(rng, 32, 64, 64, 64, 128)
    length, width = _pick(rng, 16, 49, 64, 128, 128, 197, 256, 384, 512, 1024), heads * head
    batch = _batch(rng, max(length * width * 3, length * length * heads), 32)
    form = _pick(rng, "attention", "masked attention", "causal attention", "multihead", "multihead", "cross")
    if "attention" in form:
        weights = net.weight(width, 3 * width, scale=width**-0.5), net.weight(3 * width)
        masks = [net.input("mask", batch, length, kind="int32", below=2)] if "masked" in form else []
        more = {"num_heads": heads, "unidirectional": int("causal" in form)}
        x = net.input("x", batch, length, width)
        return _done(net, net.op("Attention", x, *weights, *masks, domain=MICROSOFT, **more))
    other = _pick(rng, 16, 77, 256) if form == "cross" else length
    query = net.input("query", batch, length, width)
    key, value = (net.input(name, batch, other, width) for name in ("key", "value"))
    return _done(net, net.op("MultiHeadAttention", query, key, value, domain=MICROSOFT, num_heads=heads))


def grouped_attention(rng: Rng, dtype: str) -> Net:
    """GroupQueryAttention: prompts, and one token with a cache; its rotary positions inside or not."""
    net = Net(dtype)
    heads, share, head = _pick(rng, 8, 16, 32), _pick(rng, 1, 4, 8), _pick(rng, 64, 64, 128)
    shared, past = max(heads // share, 1), _pick(rng, 128, 512, 1024, 2048)
    length = 1 if rng.random() < 0.5 else min(_pick(rng, 64, 128, 256, 512), past)
    batch = _batch(rng, max(length * heads * head, past * shared * head), 16)
    query = net.input("query", batch, length, heads * head)
    key, value = (net.input(name, batch, length, shared * head) for name in ("key", "value"))
    caches = [net.input(name, batch, shared, past, head) for name in ("past_key", "past_value")]
    total = past if length == 1 else length
    seen, whole = net.constant([total - 1] * batch, "int32"), net.constant(total, "int32")
    more = [net.weight(past, head // 2, scale=0.7) for _ in "cs"] if rng.random() < 0.5 else []
    outputs = net.many(
        *("GroupQueryAttention", query, key, value, *caches, seen, whole, *more),
        **{"count": 3, "domain": MICROSOFT, "num_heads": heads, "kv_num_heads": shared, "do_rotary": int(bool(more))},
    )
    return _done(net, *outputs)


def few_bits(rng: Rng, dtype: str) -> Net:
    """MatMulNBits of four and eight bits, of few and of many rows."""
    net = Net(dtype)
    m = _pick(rng, 1, 1, 1, 4, 16, 64, 128, 512)
    k, n = _pick(rng, 512, 1024, 2048, 4096), _pick(rng, 512, 1024, 2048, 4096, 8192)
    bits, block = _pick(rng, 4, 4, 4, 8), _pick(rng, 32, 32, 128)
    blocks = k // block
    packed, scales = net.weight(n, blocks, block * bits // 8, kind="uint8"), net.weight(n * blocks, scale=0.01)
    more = {"K": k, "N": n, "bits": bits, "block_size": block}
    return _done(net, net.op("MatMulNBits", net.input("x", 1, m, k), packed, scales, domain=MICROSOFT, **more))


def normed(rng: Rng, dtype: str) -> Net:
    """Norms of ONNX Runtime: simplified, skipped, of groups of channels, of embeddings."""
    net = Net(dtype)
    form = _pick(rng, "simple", "skip", "skip simple", "group", "embed")
    if form == "group":
        batch, width, size = _image(rng, (32, 64, 128, 320, 640, 1280))
        gains = [net.weight(width, kind="fp32", scale=1.0) for _ in "gb"]
        more = {"activation": _pick(rng, 0, 1), "epsilon": 1e-5, "groups": 32, "channels_last": 1}
        x = net.input("x", batch, size, size, width)
        return _done(net, net.op("GroupNorm", x, *gains, domain=MICROSOFT, **more))
    batch, length, width = _rows(rng)
    gain, bias = net.weight(width, scale=1.0), net.weight(width)
    if form == "embed":
        ids, kinds = (net.input(name, batch, length, kind="int32", below=2) for name in ("ids", "kinds"))
        tables = [net.weight(rows, width, scale=0.1) for rows in (8000, 512, 2)]
        return _done(
            net, net.many("EmbedLayerNormalization", ids, kinds, *tables, gain, bias, count=2, domain=MICROSOFT)[0]
        )
    x = net.input("x", batch, length, width)
    if form == "simple":
        return _done(net, net.op("SimplifiedLayerNormalization", x, gain, epsilon=1e-6, axis=-1))
    other = net.input("other", batch, length, width)
    if form == "skip":
        return _done(net, net.op("SkipLayerNormalization", x, other, gain, bias, domain=MICROSOFT))
    result = net.many("SkipSimplifiedLayerNormalization", x, other, gain, count=4, domain=MICROSOFT)
    return _done(net, result[0], result[3])


def gated(rng: Rng, dtype: str) -> Net:
    """Activations of ONNX Runtime's own, and rotary positions."""
    net = Net(dtype)
    batch, length, width = _rows(rng)
    form = _pick(rng, "FastGelu", "QuickGelu", "BiasSplitGelu", "RotaryEmbedding", "BiasGelu", "HardSwish", "PRelu")
    if form == "RotaryEmbedding":
        heads = max(width // 64, 1)
        tables = [net.weight(length, 32, scale=0.7) for _ in "cs"]
        places = net.constant(np.tile(np.arange(length), (batch, 1)))
        x = net.input("x", batch, length, heads * 64)
        return _done(net, net.op(form, x, places, *tables, domain=MICROSOFT, num_heads=heads))
    x = net.input("x", batch, length, width)
    if form in ("FastGelu", "BiasGelu", "BiasSplitGelu"):
        return _done(net, net.op(form, x, net.weight(width), domain=MICROSOFT))
    if form == "QuickGelu":
        return _done(net, net.op(form, x, domain=MICROSOFT, alpha=1.702))
    return _done(net, net.op(form, x, *([net.weight(width)] if form == "PRelu" else [])))


def moved(rng: Rng, dtype: str) -> Net:
    """What moves elements: pads, tiles, gathers and scatters by element, depth to space, sums along, the best few."""
    net = Net(dtype)
    batch, length, width = _rows(rng)
    x = net.input("x", batch, length, width)
    form = _pick(rng, "Pad", "Tile", "GatherElements", "ScatterElements", "CumSum", "TopK", "Expand", "Trilu", "ArgMax")
    if form == "Pad":
        return _done(
            net,
            net.op(
                form,
                x,
                net.constant([0, 1, 0, 0, 1, 0]),
                mode=_pick(rng, "constant", "reflect", "edge") if length > 2 else "edge",
            ),
        )
    if form == "Tile":
        return _done(net, net.op(form, x, net.constant([1, 2, 1])))
    if form == "TopK":
        return _done(net, net.many(form, x, net.constant([_pick(rng, 1, 5, 50)]), count=2, axis=-1)[0])
    if form == "Expand":
        return _done(
            net, net.op(form, net.op("Slice", x, *map(net.constant, ([0], [1], [1]))), net.constant([batch, 8, width]))
        )
    if form == "CumSum":
        return _done(net, net.op(form, x, net.constant(_pick(rng, 1, 2))))
    if form == "Trilu":
        return _done(net, net.op(form, x, upper=0))
    if form == "ArgMax":
        return _done(net, net.op(form, x, axis=_pick(rng, 1, 2), keepdims=0), kind="int64")
    index = net.constant(np.random.default_rng(0).integers(0, length, (batch, min(length, 8), width)))
    if form == "GatherElements":
        return _done(net, net.op(form, x, index, axis=1))
    return _done(net, net.op(form, x, index, net.weight(batch, min(length, 8), width), axis=1))


def summed(rng: Rng, dtype: str) -> Net:
    """Einsum: heads split, scores, mixing, heads merged."""
    net = Net(dtype)
    heads, head, length = _pick(rng, 4, 8, 12), _pick(rng, 32, 64), _pick(rng, 16, 49, 64, 128, 197, 256)
    batch, width = _pick(rng, 1, 2, 8, 16), heads * head
    equation, left, right = _pick(
        rng,
        ("bld,dhk->bhlk", (batch, length, width), (width, heads, head)),
        ("bhqk,bhvk->bhqv", (batch, heads, length, head), (batch, heads, length, head)),
        ("bhqv,bhvk->bqhk", (batch, heads, length, length), (batch, heads, length, head)),
        ("bqhk,hkd->bqd", (batch, length, heads, head), (heads, head, width)),
        ("bld,de->ble", (batch, length, width), (width, width)),
        ("bld,bl->bd", (batch, length, width), (batch, length)),
        ("bid,bjd->bij", (batch, length, width), (batch, length, width)),
    )
    return _done(net, net.op("Einsum", net.input("x", *left), net.input("z", *right), equation=equation))


def shuffled(rng: Rng, dtype: str) -> Net:
    """Transposes of five and six dimensions that do not merge: windows, units, heads of windows."""
    net = Net(dtype)
    side, window, heads = _pick(rng, 2, 4, 8, 14), _pick(rng, 2, 4, 7, 8), _pick(rng, 2, 3, 4, 8)
    width = _pick(rng, 4, 16, 32, 48, 64, 96)
    shape, order = _pick(
        rng,
        ((side, window, side, window, width), (0, 1, 3, 2, 4, 5)),
        ((side, window, side, window, width), (0, 2, 4, 1, 3, 5)),
        ((width, side, window, side, window), (0, 2, 4, 1, 3, 5)),
        ((side * side, window * window, 3, heads, width), (3, 0, 4, 1, 2, 5)),
        ((side * side, window * window, heads, width), (0, 3, 2, 4, 1)),
        ((heads, window * window, side * side, width), (0, 3, 2, 1, 4)),
    )
    x = net.input("x", _batch(rng, float(np.prod(shape))), *shape)
    return _done(net, net.op("Transpose", x, perm=list(order)))


def narrow(rng: Rng, dtype: str) -> Net:
    """Norms of many short rows, as vision transformers have them in their first stages."""
    net = Net(dtype)
    width, length = _pick(rng, 16, 24, 32, 48, 64, 80, 96, 128), _pick(rng, 196, 784, 3136, 4096)
    x = net.input("x", _batch(rng, length * width), length, width)
    weights = net.weight(width), net.weight(width)
    if rng.random() < 0.6:
        return _done(net, net.op("LayerNormalization", x, *weights, axis=-1, epsilon=1e-5))
    return _done(net, net.op("SkipLayerNormalization", x, x, *weights, domain=MICROSOFT, epsilon=1e-5))


def inner(rng: Rng, dtype: str) -> Net:
    """Reductions along a dimension between others, which cuDNN does."""
    net = Net(dtype, opset=18)
    width, count = _pick(rng, 16, 48, 96, 256, 768), _pick(rng, 2, 4, 8, 49, 196, 784, 3136)
    x = net.input("x", _batch(rng, count * width), count, width)
    op = _pick(rng, "ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2")
    return _done(net, net.op(op, x, net.constant([1]), keepdims=_pick(rng, 0, 1)))


def dilated(rng: Rng, dtype: str) -> Net:
    """Convolutions over sequences with the dilations of WaveNet and of temporal convolutions."""
    net = Net(dtype)
    width, out, length = (_pick(rng, *sizes) for sizes in ((32, 64, 128, 256), (64, 128, 256), (500, 1000, 4000)))
    side, dilation = _pick(rng, 2, 3, 3), int(2 ** rng.integers(1, 9))
    x = net.input("x", _batch(rng, length * width, 32), width, length)
    weight = net.weight(out, width, side, scale=0.02)
    pads = [(side - 1) * dilation // 2] * 2
    return _done(net, net.op("Conv", x, weight, dilations=[dilation], pads=pads, kernel_shape=[side]))


def volumes(rng: Rng, dtype: str) -> Net:
    """Convolutions over three dimensions: whole windows, frames and their order apart, channels alone, transposed."""
    net = Net(dtype)
    side, depth, width = (
        _pick(rng, 7, 8, 14, 16, 28, 32, 56, 64),
        _pick(rng, 2, 4, 8, 16, 32, 64),
        _pick(rng, 16, 32, 64, 128, 192, 256),
    )
    out, batch = _pick(rng, width // 2, width, 2 * width), _batch(rng, depth * side * side * width, 16)
    x = net.input("x", batch, width, depth, side, side)
    if rng.random() < 0.2:
        weight, bias = net.weight(width, out, 2, 2, 2, scale=0.02), net.weight(out)
        return _done(net, net.op("ConvTranspose", x, weight, bias, strides=[2, 2, 2], kernel_shape=[2, 2, 2]))
    window = _pick(rng, (3, 3, 3), (3, 3, 3), (1, 3, 3), (3, 1, 1), (1, 1, 1), (5, 5, 5))
    group, out = (width, width) if rng.random() < 0.15 else (1, out)
    strides = [_pick(rng, 1, 1, 2)] * 3
    return _done(net, net.conv(x, width, out, *window, group=group, strides=strides))


def pooled(rng: Rng, dtype: str) -> Net:
    """Largest and mean of windows over images and volumes."""
    net = Net(dtype)
    batch, width, size = _image(rng)
    (window, stride, pad), form = (
        _pick(rng, (2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 1, 2)),
        _pick(rng, "MaxPool", "AveragePool"),
    )
    dims = _pick(rng, 2, 2, 3)
    depth = [4] if dims == 3 else []
    x = net.input("x", max(batch // 4, 1) if depth else batch, width, *depth, size, size)
    shape = {"kernel_shape": [window] * dims, "strides": [stride] * dims, "pads": [pad] * 2 * dims}
    return _done(net, net.op(form, x, **shape))


def added(rng: Rng, dtype: str) -> Net:
    """ScatterElements that adds rows of messages to those of their receivers, as graph networks do."""
    net = Net(dtype, opset=18)
    nodes, width = _pick(rng, 64, 512, 2048, 16384), _pick(rng, 1, 8, 32, 64, 128, 256)
    edges = nodes * _pick(rng, 2, 4, 12, 32)
    while edges * width > LARGEST:
        edges //= 2
    zeros, places = net.input("x", nodes, width), net.input("places", edges, width, kind="int64", below=nodes)
    messages = net.input("messages", edges, width)
    return _done(net, net.op("ScatterElements", zeros, places, messages, axis=0, reduction="add"))


def sampled(rng: Rng, dtype: str) -> Net:
    """GridSample in every mode, of few channels and many, of images and volumes; in half precision the CPU's."""
    net = Net(dtype, opset=20)
    images, channels = _pick(rng, 1, 8, 128, 1024), _pick(rng, 1, 2, 16, 32, 64)
    size, places = _pick(rng, 8, 20, 40, 80), _pick(rng, (7, 7), (9, 9), (32, 32), (300, 4), (96, 96))
    while images * channels * max(size * size, places[0] * places[1]) > LARGEST:
        images = max(images // 2, 1)
        channels = max(channels // 2, 1)
    x, grid = net.input("x", images, channels, size, size), net.input("grid", images, *places, 2)
    mode, padding = _pick(rng, "linear", "linear", "linear", "nearest", "cubic"), _pick(rng, "zeros", "zeros", "border")
    align = int(rng.random() < 0.5)
    return _done(net, net.op("GridSample", x, grid, mode=mode, padding_mode=padding, align_corners=align))


@dataclass(frozen=True, slots=True)
class Kind:
    """draw: a node of the kind; count: how many of each dtype."""

    draw: Draw
    count: int
    dtypes: tuple[str, ...] = ("fp32", "fp16")


KINDS = {
    kind.draw.__name__: kind
    for kind in (
        Kind(transposed, 190),
        Kind(tall, 45),
        Kind(windows, 70),
        Kind(long_windows, 150),
        Kind(rearranged, 50),
        Kind(reduced, 60),
        Kind(resized, 45),
        Kind(recurrent, 45),
        Kind(quantised_vector, 40),
        Kind(whole_product, 25, ("fp32",)),
        Kind(attention, 80),
        Kind(grouped_attention, 70, ("fp16",)),
        Kind(few_bits, 50),
        Kind(normed, 50),
        Kind(gated, 35),
        Kind(moved, 50),
        Kind(summed, 45),
        Kind(shuffled, 30),
        Kind(narrow, 30),
        Kind(inner, 40),
        Kind(dilated, 40),
        Kind(volumes, 90),
        Kind(pooled, 45),
        Kind(added, 40),
        Kind(sampled, 40),
    )
}


def node(kind: str, dtype: str, index: int) -> Net:
    """The index-th node of a kind in a dtype."""
    return KINDS[kind].draw(np.random.default_rng([zlib.crc32(kind.encode()), index]), dtype)


def all_nodes() -> list[tuple[str, str, int]]:
    """Kind, dtype and index of every node, the kinds interleaved so that a run that is cut short has some of each."""
    spread = [
        (index / kind.count, name, dtype, index)
        for name, kind in KINDS.items()
        for index in range(kind.count)
        for dtype in kind.dtypes
    ]
    return [(name, dtype, index) for _, name, dtype, index in sorted(spread, key=lambda row: row[0])]
