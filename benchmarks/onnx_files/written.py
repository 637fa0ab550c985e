"""Files written node by node, each shaped as some exporter, optimiser or converter writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.onnx_files.net import CLASSIC, MICROSOFT, Net


def _causal_decoder(path: Path, dtype: str, batch: int, bits: int, width: int = 1024, layers: int = 6) -> None:
    """As the builder of onnxruntime-genai writes decoders: grouped queries with rotary positions inside."""
    heads, shared, length, hidden = 16, 4, 128, 2816
    head, room = width // heads, 256
    net = Net(dtype)
    ids = net.input("input_ids", batch, length, kind="int64", below=8000)
    seen, total = net.constant([length - 1] * batch, "int32"), net.constant(length, "int32")
    cos, sin = (net.weight(room, head // 2, scale=0.7) for _ in "cs")

    def product(x: str, k: int, n: int) -> str:
        if not bits:
            return net.linear(x, k, n, bias=False)
        blocks = k // 32
        scales = net.weight(n * blocks, scale=0.01)
        packed = net.weight(n, blocks, 32 * bits // 8, kind="uint8")
        return net.op("MatMulNBits", x, packed, scales, domain=MICROSOFT, K=k, N=n, bits=bits, block_size=32)

    x = net.op("Gather", net.weight(8000, width, scale=1.0), ids)
    kept = x
    normed = net.op("SimplifiedLayerNormalization", x, net.weight(width, scale=1.0), epsilon=1e-6, axis=-1)
    for _ in range(layers):
        query = product(normed, width, width)
        key, value = (product(normed, width, shared * head) for _ in "kv")
        past = [net.input(net._name("past"), batch, shared, room, head) for _ in "kv"]
        mixed, *present = net.many(
            *("GroupQueryAttention", query, key, value, *past, seen, total, cos, sin),
            **{"count": 3, "domain": MICROSOFT, "num_heads": heads, "kv_num_heads": shared, "do_rotary": 1},
        )
        for tensor in present:
            net.output(tensor)
        gain = net.weight(width, scale=1.0)
        normed, _, _, kept = net.many(
            *("SkipSimplifiedLayerNormalization", product(mixed, width, width), kept, gain),
            **{"count": 4, "domain": MICROSOFT, "epsilon": 1e-6},
        )
        gate, up = product(normed, width, hidden), product(normed, width, hidden)
        gated = net.op("Mul", gate, net.op("Sigmoid", gate))
        down = product(net.op("Mul", gated, up), hidden, width)
        gain = net.weight(width, scale=1.0)
        normed, _, _, kept = net.many(
            *("SkipSimplifiedLayerNormalization", down, kept, gain),
            **{"count": 4, "domain": MICROSOFT, "epsilon": 1e-6},
        )
    net.output(net.linear(normed, width, 8000, bias=False))
    net.save(path)


def grouped_decoder(path: Path, dtype: str, batch: int) -> None:
    """A decoder of six layers of 1024: GroupQueryAttention, SkipSimplifiedLayerNormalization."""
    _causal_decoder(path, dtype, batch, bits=0)


def four_bit_decoder(path: Path, dtype: str, batch: int) -> None:
    """The same with weights of four bits: MatMulNBits."""
    _causal_decoder(path, dtype, batch, bits=4)


def rotary_encoder(path: Path, dtype: str, batch: int) -> None:
    """MultiHeadAttention behind RotaryEmbedding nodes, QuickGelu, LayerNormalization: four layers of 512."""
    width, heads, length = 512, 8, 196
    net = Net(dtype)
    x = net.input("x", batch, length, width)
    positions = net.constant(np.tile(np.arange(length), (batch, 1)))
    cos, sin = (net.weight(length, width // heads // 2, scale=0.7) for _ in "cs")
    for _ in range(4):
        normed = net.op("LayerNormalization", x, net.weight(width), net.weight(width), axis=-1, epsilon=1e-5)
        query, key, value = (net.linear(normed, width, width) for _ in "qkv")
        query, key = (
            net.op("RotaryEmbedding", t, positions, cos, sin, domain=MICROSOFT, num_heads=heads) for t in (query, key)
        )
        mixed = net.op("MultiHeadAttention", query, key, value, domain=MICROSOFT, num_heads=heads)
        x = net.op("Add", x, net.linear(mixed, width, width))
        normed = net.op("LayerNormalization", x, net.weight(width), net.weight(width), axis=-1, epsilon=1e-5)
        hidden = net.op("QuickGelu", net.linear(normed, width, 4 * width), domain=MICROSOFT, alpha=1.702)
        x = net.op("Add", x, net.linear(hidden, 4 * width, width))
    net.output(x)
    net.save(path)


def diffusion_block(path: Path, dtype: str, batch: int) -> None:
    """As ONNX Runtime's optimiser leaves a diffusion U-Net: NhwcConv, GroupNorm, BiasSplitGelu, packed attention."""
    channels, pixels, heads = 320, 32, 8
    net = Net(dtype)
    x = net.input("latents", batch, pixels, pixels, channels)

    def conv(x: str, c_in: int, c_out: int, side: int) -> str:
        weight = net.weight(c_out, side, side, c_in)
        attributes = {"kernel_shape": [side] * 2, "pads": [side // 2] * 4}
        return net.op("NhwcConv", x, weight, net.weight(c_out), domain=MICROSOFT, **attributes)

    def norm(x: str) -> str:
        gains = [net.weight(channels, kind="fp32", scale=1.0) for _ in "gb"]
        attributes = {"activation": 1, "epsilon": 1e-5, "groups": 32, "channels_last": 1}
        return net.op("GroupNorm", x, *gains, domain=MICROSOFT, **attributes)

    for _ in range(4):
        y = conv(norm(x), channels, channels, 3)
        x = net.op("Add", x, conv(norm(y), channels, channels, 3))
        flat = net.op("Reshape", x, net.constant([batch, pixels * pixels, channels]))
        normed = net.op("LayerNormalization", flat, net.weight(channels), net.weight(channels), axis=-1)
        packed = net.linear(normed, channels, 3 * channels, bias=False)
        packed = net.op("Reshape", packed, net.constant([batch, pixels * pixels, heads, 3, channels // heads]))
        mixed = net.op("MultiHeadAttention", packed, domain=MICROSOFT, num_heads=heads)
        flat = net.op("Add", flat, net.linear(mixed, channels, channels))
        hidden = net.op("MatMul", flat, net.weight(channels, 8 * channels, scale=channels**-0.5))
        hidden = net.op("BiasSplitGelu", hidden, net.weight(8 * channels), domain=MICROSOFT)
        flat = net.op("Add", flat, net.linear(hidden, 4 * channels, channels))
        x = net.op("Reshape", flat, net.constant([batch, pixels, pixels, channels]))
    net.output(x)
    net.save(path)


def keras_mobile(path: Path, dtype: str, batch: int) -> None:
    """As tf2onnx writes a Keras net: NHWC at the ends, Pad before strides, norms that were not folded, clips."""
    net = Net(dtype, opset=13, domains={})
    x = net.op("Transpose", net.input("input_1", batch, 160, 160, 3), perm=[0, 3, 1, 2])

    def normed(x: str, channels: int) -> str:
        gains = [net.weight(channels, scale=0.1) for _ in "gbm"] + [net.constant(np.ones(channels), net.dtype)]
        x = net.op("BatchNormalization", x, *gains, epsilon=1e-3)
        return net.op("Clip", x, net.constant(0.0, net.dtype), net.constant(6.0, net.dtype))

    def conv(x: str, c_in: int, c_out: int, side: int, stride: int, group: int = 1) -> str:
        pads = [side // 2] * 4
        if stride > 1:
            x = net.op("Pad", x, net.constant([0, 0, 0, 0, 0, 0, 1, 1]), mode="constant")
            pads = [0] * 4
        weight = net.weight(c_out, c_in // group, side, side)
        return net.op("Conv", x, weight, strides=[stride] * 2, pads=pads, group=group, kernel_shape=[side] * 2)

    x, width = normed(conv(x, 3, 32, 3, 2), 32), 32
    for out, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2)):
        x = normed(conv(x, width, width, 3, stride, width), width)
        x, width = normed(conv(x, width, out, 1, 1), out), out
    x = net.op("GlobalAveragePool", x)
    x = net.op("Reshape", net.op("Squeeze", x, net.constant([2, 3])), net.constant([batch, width]))
    net.output(net.op("Softmax", net.linear(x, width, 1000), axis=-1))
    net.save(path)


def detection_head(path: Path, dtype: str, batch: int) -> None:
    """A small backbone, two heads, the best thousand, boxes that overlap removed, what is left."""
    net = Net(dtype)
    x, width = net.input("images", batch, 3, 320, 320), 3
    for out in (32, 64, 128, 256, 256):
        x, width = net.op("Relu", net.conv(x, width, out, 3, 3, strides=[2, 2])), out
    for _ in range(2):
        x = net.op("Relu", net.conv(x, width, width, 3, 3))
    cells, anchors, classes = 10 * 10, 9, 20
    scores = net.op("Reshape", net.conv(x, width, anchors * classes, 3, 3), net.constant([batch, classes, -1]))
    boxes = net.op("Transpose", net.conv(x, width, anchors * 4, 3, 3), perm=[0, 2, 3, 1])
    boxes = net.op("Reshape", boxes, net.constant([batch, cells * anchors, 4]))
    scores = net.op("Sigmoid", scores)
    best = net.op("ReduceMax", scores, axes=[1], keepdims=0)
    _, index = net.many("TopK", best, net.constant([300]), count=2, axis=1)
    index = net.op("Unsqueeze", index, net.constant([2]))
    kept = net.op("GatherElements", boxes, net.op("Expand", index, net.constant([batch, 300, 4])), axis=1)
    scores = net.op("Transpose", scores, perm=[0, 2, 1])
    scores = net.op("GatherElements", scores, net.op("Expand", index, net.constant([batch, 300, classes])), axis=1)
    scores = net.op("Transpose", scores, perm=[0, 2, 1])
    if dtype != "fp32":  # the operator has no other type
        kept, scores = (net.op("Cast", tensor, to=1) for tensor in (kept, scores))
    limits = [net.constant([100]), net.constant([0.5], "fp32"), net.constant([0.6], "fp32")]
    chosen = net.op("NonMaxSuppression", kept, scores, *limits)
    net.output(chosen, "int64")
    net.output(net.op("GatherND", scores, net.op("Gather", chosen, net.constant([0, 1, 2]), axis=1)), "fp32")
    net.output(net.op("NonZero", net.op("Greater", best, net.constant(0.9, net.dtype))), "int64")
    net.save(path)


def resize_pyramid(path: Path, dtype: str, batch: int) -> None:
    """A pyramid upsampled in every mode of Resize, by scales and by sizes, down and up."""
    net = Net(dtype)
    x = net.op("Relu", net.conv(net.input("x", batch, 3, 128, 128), 3, 64, 3, 3, strides=[2, 2]))
    modes: list[dict[str, Any]] = [
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"},
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75},
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    ]
    found = []
    for i, mode in enumerate(modes):
        y = net.op("Relu", net.conv(x, 64, 32, 3, 3, strides=[2, 2]))
        if i % 2:
            y = net.op("Resize", y, "", "", net.constant([batch, 32, 64, 64]), **mode)
        else:
            y = net.op("Resize", y, "", net.constant([1, 1, 2, 2], "fp32"), **mode)
        found.append(net.conv(y, 32, 16, 1, 1))
    y = net.op("Concat", *found, axis=1)
    y = net.op("Resize", y, "", net.constant([1, 1, 0.5, 0.5], "fp32"), mode="linear")
    net.output(net.op("DepthToSpace", y, blocksize=2))
    net.save(path)


def recurrent_nodes(path: Path, dtype: str, batch: int) -> None:
    """LSTM in both directions, GRU, RNN, as nodes."""
    steps, width = 64, 256
    net = Net(dtype)
    x = net.input("x", steps, batch, width)
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for directions in (2, 1):
            inner = width // directions
            weights = [
                net.weight(directions, gates * inner, width, scale=0.05),
                net.weight(directions, gates * inner, inner, scale=0.05),
                net.weight(directions, 2 * gates * inner, scale=0.05),
            ]
            way = {"direction": "bidirectional" if directions == 2 else "forward", "hidden_size": inner}
            more = {"linear_before_reset": 1} if op == "GRU" else {}
            y = net.op(op, x, *weights, **way, **more)
            y = net.op("Transpose", y, perm=[0, 2, 1, 3])
            x = net.op("Reshape", y, net.constant([steps, batch, width]))
    net.output(net.op("MatMul", x, net.weight(width, 64, scale=0.06)))
    net.save(path)


def loop_and_if(path: Path, dtype: str, batch: int) -> None:
    """A Loop of 24 steps of a gated product, and an If by a value that is computed."""
    width = 256
    net = Net(dtype)
    x = net.input("x", batch, width)
    inner = Net(dtype)
    inner._count = 1000
    inner.input("step", kind="int64")
    inner.input("going_in", kind="bool")
    state = inner.input("state", batch, width)
    gate = inner.op("Sigmoid", inner.linear(state, width, width))
    new = inner.op("Tanh", inner.linear(state, width, width))
    going = inner.op("Identity", "going_in")
    inner.output(going, "bool")
    inner.output(inner.op("Add", inner.op("Mul", gate, new), state))
    start = net.constant(True, "bool")
    x = net.op("Loop", net.constant(24), start, x, body=inner.body("body"))
    branches = []
    for number, layers in enumerate((1, 3)):
        branch = Net(dtype)
        branch._count = 2000 * (number + 1)
        y = x
        for _ in range(layers):
            y = branch.op("Relu", branch.linear(y, width, width))
        branch.output(y)
        branches.append(branch.body(f"branch_{number}"))
    total = net.op("ReduceSum", net.op("Cast", x, to=1), keepdims=0)
    positive = net.op("Greater", total, net.constant(0.0, "fp32"))
    y = net.op("If", positive, then_branch=branches[0], else_branch=branches[1])
    net.output(net.linear(y, width, 10))
    net.save(path)


def transposed_generator(path: Path, dtype: str, batch: int) -> None:
    """Transposed convolutions of several windows and strides, from noise to an image and back."""
    net = Net(dtype)
    x = net.op("Reshape", net.linear(net.input("noise", batch, 128), 128, 512 * 16), net.constant([batch, 512, 4, 4]))
    width = 512
    for out, side, stride, pad in ((256, 4, 2, 1), (128, 4, 2, 1), (64, 2, 2, 0), (32, 3, 2, 1), (16, 5, 1, 2)):
        more = {"output_padding": [1, 1]} if side == 3 else {}
        weights = net.weight(width, out, side, side, scale=(width * side) ** -0.5), net.weight(out)
        attributes = {"kernel_shape": [side] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        x, width = net.op("Relu", net.op("ConvTranspose", x, *weights, **attributes, **more)), out
    signal = net.op("Reshape", x, net.constant([batch, 16, 64 * 64]))
    for channels, out, side, stride in ((16, 32, 16, 8), (32, 16, 8, 4)):
        weights = (net.weight(channels, out, side, scale=0.05), net.weight(out))
        signal = net.op("ConvTranspose", signal, *weights, kernel_shape=[side], strides=[stride], pads=[side // 4] * 2)
        signal = net.op("LeakyRelu", signal, alpha=0.1)
        signal = net.op("AveragePool", signal, kernel_shape=[stride], strides=[stride])
    net.output(net.op("Tanh", net.conv(x, 16, 3, 3, 3)))
    net.output(signal)
    net.save(path)


def tall_depthwise(path: Path, dtype: str, batch: int) -> None:
    """Depthwise windows of 65 x 1, 1 x 31 and 31 of one dimension, gated units between."""
    width, length = 256, 200
    net = Net(dtype)
    x = net.input("frames", batch, width, length, 1)
    for _ in range(4):
        gates = net.many("Split", net.conv(x, width, 2 * width, 1, 1), count=2, axis=1)
        y = net.op("Mul", gates[0], net.op("Sigmoid", gates[1]))
        y = net.conv(y, width, width, 65, 1, group=width)
        x = net.op("Add", x, net.conv(net.op("HardSwish", y), width, width, 1, 1))
    flat = net.op("Reshape", x, net.constant([batch, width, length]))
    for side in (31, 15):
        flat = net.op("Relu", net.conv(flat, width, width, side, group=width))
        flat = net.conv(flat, width, width, 1)
    wide = net.op("Reshape", flat, net.constant([batch, width, 1, length]))
    net.output(net.conv(wide, width, width, 1, 31, group=width))
    net.save(path)


def reduced_and_summed(path: Path, dtype: str, batch: int) -> None:
    """Normalised by ReduceL2, equations of Einsum, sums along, means of squares: two towers and their scores."""
    width, length, heads = 512, 64, 8
    net = Net(dtype)
    x = net.input("x", batch, length, width)
    for _ in range(3):
        squares = net.op("ReduceMean", net.op("Mul", x, x), axes=[-1], keepdims=1)
        scale = net.op("Sqrt", net.op("Add", squares, net.constant(1e-5, net.dtype)))
        normed = net.op("Div", x, scale)
        split = [net.weight(width, heads, width // heads, scale=width**-0.5) for _ in "qkv"]
        query, key, value = (net.op("Einsum", normed, w, equation="bld,dhk->bhlk") for w in split)
        scores = net.op("Einsum", query, key, equation="bhqk,bhvk->bhqv")
        mixed = net.op("Einsum", net.op("Softmax", scores, axis=-1), value, equation="bhqv,bhvk->bqhk")
        merged = net.op("Einsum", mixed, net.weight(heads, width // heads, width), equation="...hk,hkd->...d")
        x = net.op("Add", x, merged)
    length_of = net.op("ReduceL2", x, axes=[-1], keepdims=1)
    unit = net.op("Div", x, length_of)
    net.output(net.op("ReduceLogSumExp", unit, axes=[1], keepdims=0))
    net.output(net.op("ReduceProd", net.op("ReduceMax", unit, axes=[1], keepdims=1), axes=[1], keepdims=0))
    net.output(net.op("CumSum", unit, net.constant(1)))
    net.output(net.op("LpNormalization", unit, axis=-1, p=2))
    net.output(net.op("ReduceL1", x, axes=[1, 2], keepdims=0))
    net.output(net.op("ArgMax", x, axis=-1, keepdims=0), "int64")
    net.save(path)


def words_inside(path: Path, dtype: str, batch: int) -> None:
    """Strings between two products: labels looked up forth and back, which no GPU does."""
    width, length = 512, 64
    net = Net(dtype, domains={CLASSIC: 4})
    ids = net.input("ids", batch, length, kind="int64", below=100)
    names = [f"word{i}" for i in range(100)]
    x = net.op("Gather", net.weight(100, width, scale=1.0), ids)
    for _ in range(2):
        x = net.op("Relu", net.linear(x, width, width))
    best = net.op("ArgMax", net.linear(x, width, 100), axis=-1, keepdims=0)
    word = net.op("LabelEncoder", best, domain=CLASSIC, keys_int64s=list(range(100)), values_strings=names)
    again = net.op("LabelEncoder", word, domain=CLASSIC, keys_strings=names, values_int64s=list(range(99, -1, -1)))
    y = net.op("Gather", net.weight(100, width, scale=1.0), again)
    for _ in range(2):
        y = net.op("Relu", net.linear(y, width, width))
    net.output(net.op("Add", x, y))
    net.save(path)


def islands(path: Path, dtype: str, batch: int) -> None:
    """Operators without a CUDA kernel, for the operator's, the opset's or the type's sake, between convolutions."""
    net = Net(dtype, opset=13, domains={})
    x, width = net.input("x", batch, 3, 64, 64), 32
    x = net.op("Relu", net.conv(x, 3, width, 3, 3))
    steps: list[tuple[str, dict[str, Any]]] = [
        ("LpPool", {"kernel_shape": [3, 3], "pads": [1] * 4, "p": 2}),
        ("Hardmax", {"axis": 1}),
        ("Shrink", {"lambd": 0.1, "bias": 0.0}),
        ("Softplus", {}),
        ("GlobalLpPool", {}),
    ]
    for op, attributes in steps:
        y = net.op(op, x, **attributes)
        x = net.op("Relu", net.conv(net.op("Add", x, y), width, width, 3, 3))
    own = 10 if dtype == "fp16" else 1
    y = net.op("LpNormalization", net.op("Cast", x, to=11), axis=1, p=2)
    x = net.op("Add", x, net.op("Cast", y, to=own))
    y = net.op("Pad", net.op("Cast", x, to=7), net.constant([0, 0, 1, 1, 0, 0, -1, -1]))
    x = net.op("Add", x, net.op("Cast", y, to=own))
    flat = net.op("Reshape", x, net.constant([batch, width * 64 * 64]))
    lengths = net.constant([width * 64 * 64] * batch)
    turned = net.op("ReverseSequence", flat, lengths, batch_axis=0, time_axis=1)
    x = net.op("Reshape", turned, net.constant([batch, width, 64, 64]))
    net.output(net.conv(x, width, 8, 1, 1))
    net.save(path)


def normed_pixels(path: Path, dtype: str, batch: int) -> None:
    """GroupNormalization, InstanceNormalization, GridSample, Pad in its modes, ScatterND, 1-D products."""
    net = Net(dtype, opset=18, domains={})
    x = net.op("Relu", net.conv(net.input("x", batch, 3, 96, 96), 3, 64, 3, 3))
    for mode in ("reflect", "edge", "constant"):
        y = net.op("Pad", x, net.constant([0, 0, 1, 1, 0, 0, 1, 1]), mode=mode)
        y = net.conv(y, 64, 64, 3, 3, pads=[0] * 4)
        y = net.op("InstanceNormalization", y, net.weight(64, scale=1.0), net.weight(64), epsilon=1e-5)
        x = net.op("Add", x, net.op("Relu", y))
    y = net.op("GroupNormalization", x, net.weight(8, scale=1.0), net.weight(8), num_groups=8)
    grid = net.constant(np.random.default_rng(0).uniform(-1, 1, (batch, 96, 96, 2)), net.dtype)
    sampled = net.op("GridSample", y, grid, mode="bilinear", padding_mode="zeros")
    pooled = net.op("ReduceMean", sampled, net.constant([2, 3]), keepdims=0)
    vector = net.op("MatMul", pooled, net.weight(64, scale=0.1))
    net.output(net.op("Add", vector, net.op("MatMul", net.weight(64, scale=0.1), net.weight(64, scale=0.1))))
    updates = net.op("Reshape", net.op("Slice", pooled, *map(net.constant, ([0], [1], [0]))), net.constant([64]))
    table = net.weight(128, scale=1.0)
    net.output(net.op("ScatterND", table, net.constant(np.arange(0, 128, 2)[:, None]), updates))
    net.save(path)


def packed_encoder(path: Path, dtype: str, batch: int) -> None:
    """As ONNX Runtime's tools leave a BERT whose padding is removed: EmbedLayerNormalization, Attention with a mask in
    its first layers, PackedAttention in the others, FastGelu.
    """
    width, heads, length, words = 768, 12, 128, 8000
    net = Net(dtype)
    ids, kinds = (
        net.input(name, batch, length, kind="int32", below=top) for name, top in (("ids", 1000), ("kinds", 2))
    )
    mask = net.input("mask", batch, length, kind="int32", below=2)
    tables = [net.weight(rows, width, scale=0.1) for rows in (words, length, 2)]
    gains = [net.weight(width, scale=1.0), net.weight(width)]
    x, *_ = net.many("EmbedLayerNormalization", ids, kinds, *tables, *gains, mask, count=2, domain=MICROSOFT)

    def layer(x: str, mixed: str) -> str:
        gains = [net.weight(width, scale=1.0), net.weight(width)]
        bias = net.weight(width)
        y = net.op("MatMul", mixed, net.weight(width, width))
        x = net.op("SkipLayerNormalization", x, y, *gains, bias, domain=MICROSOFT, epsilon=1e-12)
        y = net.op("MatMul", x, net.weight(width, 4 * width, scale=width**-0.5))
        y = net.op("FastGelu", y, net.weight(4 * width), domain=MICROSOFT)
        y = net.op("MatMul", y, net.weight(4 * width, width, scale=width**-0.5))
        return net.op("SkipLayerNormalization", x, y, *gains, bias, domain=MICROSOFT, epsilon=1e-12)

    for _ in range(3):
        weights = net.weight(width, 3 * width, scale=width**-0.5), net.weight(3 * width)
        x = layer(x, net.op("Attention", x, *weights, mask, domain=MICROSOFT, num_heads=heads))
    lengths = net.constant([length - 28 * (i % 2) for i in range(batch)], "int32")
    x, offsets, cumulated, _ = net.many("RemovePadding", x, lengths, count=4, domain=MICROSOFT)
    for _ in range(3):
        weights = net.weight(width, 3 * width, scale=width**-0.5), net.weight(3 * width)
        x = layer(x, net.op("PackedAttention", x, *weights, offsets, cumulated, domain=MICROSOFT, num_heads=heads))
    net.output(net.op("RestorePadding", x, offsets, domain=MICROSOFT))
    net.save(path)


def small_decoder(path: Path, dtype: str, batch: int) -> None:
    """As ONNX Runtime's tools leave GPT-2: Attention of one direction with its past, one token at a time."""
    width, heads, past, words = 768, 12, 127, 8000
    net = Net(dtype)
    x = net.op("Gather", net.weight(words, width, scale=1.0), net.input("ids", batch, 1, kind="int64", below=1000))
    for _ in range(6):
        y = net.op("LayerNormalization", x, net.weight(width, scale=1.0), net.weight(width), axis=-1)
        weights = net.weight(width, 3 * width, scale=width**-0.5), net.weight(3 * width)
        kept = net.input(net._name("past"), 2, batch, heads, past, width // heads)
        y, present = net.many(
            *("Attention", y, *weights, "", kept),
            **{"count": 2, "domain": MICROSOFT, "num_heads": heads, "unidirectional": 1},
        )
        net.output(present)
        x = net.op("Add", x, net.linear(y, width, width))
        y = net.op("LayerNormalization", x, net.weight(width, scale=1.0), net.weight(width), axis=-1)
        y = net.op("MatMul", y, net.weight(width, 4 * width, scale=width**-0.5))
        y = net.op("FastGelu", y, net.weight(4 * width), domain=MICROSOFT)
        x = net.op("Add", x, net.linear(y, 4 * width, width))
    net.output(net.op("FusedMatMul", x, net.weight(words, width, scale=0.04), domain=MICROSOFT, transB=1))
    net.save(path)
