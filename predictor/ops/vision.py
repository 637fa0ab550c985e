"""Operators of torchvision: what detection heads find, and convolutions whose windows move.

The kernels are those of torchvision/csrc/ops/cuda (nms_kernel.cu, roi_align_kernel.cu, deform_conv2d_kernel.cu).
"""

from __future__ import annotations

import math
from functools import partial

from predictor.ops.arguments import tensor
from predictor.ops.elementary import copy_of, fill_of, pointwise_of, product, rows_of, scalar_of
from predictor.ops.row import RARE, GraphBreak, Operator
from predictor.records import Kernel, OpCall, TensorSpec, Trait

MASK_BITS = 64
"""Boxes whose overlap with another one word of the mask of ``nms`` holds."""

SAMPLES = 2
"""Samples a side of a bin of ``roi_align`` that chooses them by the size of a region: judgement, of regions twice as
large as what they are pooled to.
"""


def nms(call: OpCall) -> tuple[Kernel, ...]:
    """Boxes sorted by score, a mask of which overlaps which, what is kept of it, and how much that is, for the host."""
    boxes = call.tensors[0]
    n = boxes.shape[0]
    if not n:
        return ()
    kept = TensorSpec((n,), "bool", (1,))
    words = TensorSpec((n, math.ceil(n / MASK_BITS)), "int64", (math.ceil(n / MASK_BITS), 1))
    pairs = {
        "elements": n * (n + 1) // 2,
        "bytes_read": boxes.nbytes,
        "bytes_written": words.nbytes,
        "inputs": 1,
        "contiguous": 1.0,
        "heavy": 0.0,
    }
    return (
        Kernel("sort", boxes.dtype, {"rows": 1, "cols": n, "k": 0.0}),
        *rows_of("gather", boxes, n, 4),
        Kernel("pointwise", boxes.dtype, pairs),
        *fill_of(kept),
        *rows_of("scan", words, 1, words.elements),
        Kernel("reduce", "bool", {"rows": 1, "cols": n, "inner": 1.0}),
        *copy_of(scalar_of("int64")),
        *rows_of("scan", kept, 1, n),
        *rows_of("gather", TensorSpec((n,), "int64", (1,)), n, 1),
    )


def regions(call: OpCall) -> tuple[Kernel, ...]:
    """Every bin of every region is a mean of samples, each of four pixels."""
    x, out = tensor(call, "input"), call.outputs[0]
    if not out.elements:
        return ()
    asked = int(call.args.get("sampling_ratio", SAMPLES))
    samples = (asked if asked > 0 else SAMPLES) ** 2
    read = min(x.nbytes, out.elements * samples * 4 * x.itemsize)
    dims = {"elements": out.elements, "bytes_read": read, "bytes_written": out.nbytes, "taps": 4.0 * samples}
    return (Kernel("interpolate", x.dtype, {**dims, "threads": out.elements}),)


def deformed(call: OpCall) -> tuple[Kernel, ...]:
    """The windows of all pixels, each value of four pixels, written out; their product with the weights; the bias."""
    x, weight, out = tensor(call, "input"), tensor(call, "weight"), call.outputs[0]
    if not out.elements:
        return ()
    groups = x.shape[1] // weight.shape[1]
    pixels = out.elements // out.shape[1]
    window = math.prod(weight.shape[1:])
    columns = TensorSpec((groups * window, pixels), x.dtype, (pixels, 1))
    moved = {"elements": columns.elements, "bytes_written": columns.nbytes, "taps": 4.0, "threads": columns.elements}
    return (
        *fill_of(out),
        *fill_of(columns),
        Kernel("interpolate", x.dtype, {**moved, "bytes_read": x.nbytes + tensor(call, "offset").nbytes}),
        *product(x.dtype, pixels, weight.shape[0] // groups, window, groups, nt=False),
        *pointwise_of((out, tensor(call, "bias")), out),
    )


def deformed_macs(call: OpCall) -> int:
    """Those of a convolution."""
    return call.outputs[0].elements * math.prod(tensor(call, "weight").shape[1:])


_row = partial(Operator, untimed=RARE)

ROWS = (
    _row(("torchvision::nms",), Trait.SYNC, nms, graph_break=GraphBreak.READS_DATA),
    _row(("torchvision::roi_align",), Trait.POOL, regions),
    _row(("torchvision::roi_pool", "torchvision::ps_roi_align", "torchvision::ps_roi_pool"), Trait.POOL, regions),
    _row(("torchvision::deform_conv2d",), Trait.CONV, deformed, deformed_macs),
)
