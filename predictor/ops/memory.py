"""Captured calls -> kernels that move memory: pointwise, copies, reductions, gathers, pools."""

from __future__ import annotations

import math

from predictor.ops.common import pair, tensor
from predictor.records import Kernel, OpCall, TensorSpec

_HEAVY = frozenset(
    [
        "gelu",
        "tanh",
        "sigmoid",
        "silu",
        "exp",
        "log",
        "pow",
        "sin",
        "cos",
        "erf",
        "softplus",
        "mish",
        "rsqrt",
        "sqrt",
        "elu",
        "log_sigmoid",
    ]
)


def is_heavy(op: str) -> bool:
    """Whether a pointwise operator computes a transcendental function."""
    return op.strip("_") in _HEAVY


def is_vectorised(t: TensorSpec, out: TensorSpec) -> bool:
    return t.elements == 1 or (t.shape == out.shape and t.stride == out.stride and t.is_dense)


def pointwise_of(inputs: tuple[TensorSpec, ...], out: TensorSpec, heavy: bool = False) -> tuple[Kernel, ...]:
    if out.elements == 0:
        return ()
    dims = {
        "elements": out.elements,
        "bytes_read": sum(min(t.nbytes, t.elements * t.itemsize) for t in inputs),
        "bytes_written": out.elements * out.itemsize,
        "inputs": len([t for t in inputs if t.elements > 1]),
        "contiguous": float(all(is_vectorised(t, out) for t in inputs)),
        "heavy": float(heavy),
    }
    return (Kernel("pointwise", out.dtype, dims),)


def pointwise(call: OpCall) -> tuple[Kernel, ...]:
    if not call.outputs:
        return ()
    return pointwise_of(call.tensors, call.outputs[0], is_heavy(call.op))


def power(call: OpCall) -> tuple[Kernel, ...]:
    """A number to the power of a tensor: the number becomes a tensor first."""
    number = not isinstance(call.args.get("self"), TensorSpec)
    return (*(fill_of(TensorSpec((1,), call.outputs[0].dtype, (1,))) if number else ()), *pointwise(call))


def between_host_and_device(call: OpCall) -> tuple[Kernel, ...]:
    """A copy to the device, or of a value back from it."""
    return copy_of(call.outputs[0] if call.outputs else TensorSpec((1,), call.tensors[0].dtype, (1,)))


def run_length(source: TensorSpec) -> tuple[int, bool]:
    """Elements read in one run in the order of the output, and whether the fastest dimension of the source is not the
    last.
    """
    run = 1
    for n, s in zip(reversed(source.shape), reversed(source.stride), strict=True):
        if n != 1 and s != run:
            break
        run *= n
    inner = next((s for n, s in zip(reversed(source.shape), reversed(source.stride), strict=True) if n != 1), 1)
    return run, inner > 1


def copy_of(source: TensorSpec, out: TensorSpec | None = None) -> tuple[Kernel, ...]:
    """Kernels of writing ``source`` into ``out``, a dense tensor of its shape and dtype if not given."""
    out = out or source
    if out.elements == 0:
        return ()
    if source.dtype != out.dtype:
        return pointwise_of((source,), out)
    run, transposed = run_length(source)
    dims = {
        "elements": out.elements,
        "bytes_read": source.nbytes,
        "bytes_written": out.elements * out.itemsize,
        "run": run,
        "transposed": float(transposed),
    }
    return (Kernel("copy", out.dtype, dims),)


def copy(call: OpCall) -> tuple[Kernel, ...]:
    source = tensor(call, "src") if call.op == "copy_" else tensor(call, "self", "input")
    out = call.outputs[0]
    if source.dtype == out.dtype and source.is_dense and (source.shape, source.stride) == (out.shape, out.stride):
        source = out = TensorSpec((out.elements,), out.dtype, (1,))  # one block, whatever the order of its dimensions
    return copy_of(source, out)


def fill_of(out: TensorSpec) -> tuple[Kernel, ...]:
    if out.elements == 0:
        return ()
    return (Kernel("fill", out.dtype, {"elements": out.elements, "bytes_written": out.nbytes}),)


def fill(call: OpCall) -> tuple[Kernel, ...]:
    return fill_of(call.outputs[0])


def check(call: OpCall) -> tuple[Kernel, ...]:
    return (Kernel("fill", "bool", {"elements": 1, "bytes_written": 1}),)


def cat(call: OpCall) -> tuple[Kernel, ...]:
    out = call.outputs[0]
    parts = [t for t in call.tensors if t.elements]
    if not out.elements:
        return ()
    dim = int(call.args.get("dim", 0)) % len(out.shape)
    run = math.prod(out.shape[dim + 1 :]) * (parts[0].shape[dim] if call.op == "cat" else 1)
    dims = {
        "elements": out.elements,
        "bytes_read": sum(t.nbytes for t in parts),
        "bytes_written": out.nbytes,
        "inputs": len(call.tensors),  # an empty one too: a single one would be copied by another kernel
        "run": run,
        "contiguous": float(all(t.is_contiguous for t in parts)),
    }
    return (Kernel("cat", out.dtype, dims),)


def pad(call: OpCall) -> tuple[Kernel, ...]:
    x, out = tensor(call, "self"), call.outputs[0]
    if x.elements == out.elements:
        return copy_of(x, out)
    dims = {
        "elements": x.elements,
        "bytes_read": x.nbytes,
        "bytes_written": x.elements * x.itemsize,
        "run": x.shape[-1],
        "transposed": 0.0,
    }
    return (*fill_of(out), Kernel("copy", x.dtype, dims)) if x.elements else fill_of(out)


def softmax(call: OpCall) -> tuple[Kernel, ...]:
    x, out = tensor(call, "self", "input"), call.outputs[0]
    cols = x.shape[int(call.args["dim"])] if x.shape else 1
    cast: tuple[Kernel, ...] = ()
    if (x.dtype, out.dtype) not in ((out.dtype, out.dtype), ("fp16", "fp32"), ("bf16", "fp32")):  # the last are fused
        cast, x = copy_of(x, out), out
    return cast + made_contiguous(x) + row_kernel("softmax", x, x.elements // max(cols, 1), cols)


def safe_softmax(call: OpCall) -> tuple[Kernel, ...]:
    """A softmax, then zeros for rows that are masked as a whole: which values are -inf, all of a row, a zero, where."""
    out = call.outputs[0]
    flags = TensorSpec(out.shape, "bool", out.stride)
    rows = out.elements // max(out.shape[-1], 1)
    masked = TensorSpec((rows,), "bool", (1,))
    every = (Kernel("reduce", "bool", {"rows": max(rows, 1), "cols": out.shape[-1], "inner": 1.0}),)
    zero = fill_of(TensorSpec((1,), out.dtype, (1,)))
    return (*softmax(call), *pointwise_of((out,), flags), *every, *zero, *pointwise_of((out, masked), out))


def made_contiguous(x: TensorSpec) -> tuple[Kernel, ...]:
    """The copy that torch makes of a transposed input before kernels that go along its rows."""
    return () if x.is_contiguous else copy_of(x)


def row_kernel(family: str, x: TensorSpec, rows: int, cols: int) -> tuple[Kernel, ...]:
    return (Kernel(family, x.dtype, {"rows": rows, "cols": cols}),) if rows and cols else ()


def layer_norm(call: OpCall) -> tuple[Kernel, ...]:
    x = tensor(call, "input")
    cols = math.prod(call.args["normalized_shape"])
    return made_contiguous(x) + row_kernel("layer_norm", x, x.elements // max(cols, 1), cols)


def weight_norm(call: OpCall) -> tuple[Kernel, ...]:
    v, dim = tensor(call, "v"), int(call.args.get("dim", 0))
    rows = v.shape[dim]
    dims = {"rows": rows, "cols": v.elements // max(rows, 1), "last": float(dim % len(v.shape) > 0)}
    return (Kernel("weight_norm", v.dtype, dims),) if v.elements else ()


_TILE = 1024
"""Elements that are a row's where channels are the last in memory: torch's kernel then shares all evenly."""


def batch_norm(call: OpCall) -> tuple[Kernel, ...]:
    """A row for every channel of every image; where channels are last, as without pixels, the kernel knows no rows."""
    x = tensor(call, "input")
    if len(x.shape) == 2 or (not x.is_contiguous and x.stride[1] == 1):
        return row_kernel("batch_norm", x, math.ceil(x.elements / _TILE), min(x.elements, _TILE))
    return row_kernel("batch_norm", x, math.prod(x.shape[:2]), math.prod(x.shape[2:]))


def group_norm(call: OpCall) -> tuple[Kernel, ...]:
    x = tensor(call, "input")
    groups = int(call.args.get("num_groups", call.args.get("group", 1)))
    rows = x.shape[0] * groups
    return row_kernel("group_norm", x, rows, x.elements // max(rows, 1))


def reduce(call: OpCall) -> tuple[Kernel, ...]:
    x, out = tensor(call, "self"), call.outputs[0]
    if not x.elements:
        return ()
    dims = call.args.get("dim")
    last = len(x.shape) - 1
    axes = dims if isinstance(dims, (tuple, list)) else (last,) if dims is None else (dims,)
    inner = not axes or any(int(a) % max(len(x.shape), 1) == last for a in axes)
    rows = max(out.elements, 1)
    work = {"rows": rows, "cols": x.elements // rows, "inner": float(inner)}
    return (Kernel("reduce", x.dtype, work),)


def gather(call: OpCall) -> tuple[Kernel, ...]:
    out = call.outputs[0]
    if not out.elements:
        return ()
    cols = out.shape[-1] if call.op in ("embedding", "index_select", "index") and out.shape else 1
    return (Kernel("gather", out.dtype, {"rows": out.elements // max(cols, 1), "cols": cols}),)


def pool(call: OpCall) -> tuple[Kernel, ...]:
    x, out = tensor(call, "self"), call.outputs[0]
    window = x.elements / max(out.elements, 1)
    if "kernel_size" in call.args:  # a window larger than the image sees the image
        spatial = 1 if "1d" in call.op else 2
        kernel = pair(call.args["kernel_size"], spatial)
        window = math.prod(min(k, n) for k, n in zip(kernel, x.shape[-spatial:], strict=True))
    if "adaptive" in call.op and math.prod(out.shape[2:]) == 1:  # torch computes it as a mean over the pixels
        rows = out.elements
        return (Kernel("reduce", x.dtype, {"rows": rows, "cols": x.elements // rows, "inner": 1.0}),)
    dims = {
        "elements": out.elements,
        "bytes_read": x.nbytes,
        "bytes_written": out.nbytes,
        "window": window,
        "maximum": float("max" in call.op),
    }
    return (Kernel("pool", x.dtype, dims),)


_TAPS = {"nearest": 1, "linear1d": 2, "bilinear": 4, "grid_sampler": 4, "trilinear": 8, "bicubic": 16}


def interpolate(call: OpCall) -> tuple[Kernel, ...]:
    """One kernel. taps: inputs that each output is made of, more where an antialiased image shrinks; pixels: of one
    plane, over which alone some kernels spread their threads.
    """
    x, out = tensor(call, "self", "input"), call.outputs[0]
    if not out.elements:
        return ()
    taps = next((float(n) for name, n in _TAPS.items() if name in call.op), 4.0)
    if call.op.endswith("_aa"):
        taps *= max(x.elements / out.elements, 1.0)
    dims = {"elements": out.elements, "bytes_read": x.nbytes, "bytes_written": out.nbytes, "taps": taps}
    return (Kernel("interpolate", x.dtype, {**dims, "pixels": math.prod(out.shape[2:])}),)


def fft(call: OpCall) -> tuple[Kernel, ...]:
    """One transform for each dimension; complex to real and back, the last one of them."""
    x, out = tensor(call, "self"), call.outputs[0]
    whole = out if call.op == "_fft_c2r" else x
    if not whole.elements:
        return ()
    axes = call.args["dim"]
    found = []
    for number, axis in enumerate(axes if isinstance(axes, (tuple, list)) else (axes,)):
        cols = whole.shape[int(axis)]
        last = int(axis) % len(whole.shape) == len(whole.shape) - 1
        real = call.op != "_fft_c2c" and number == len(axes) - 1
        dims = {"rows": whole.elements // cols, "cols": cols, "strided": float(not last), "real": float(real)}
        found.append(Kernel("fft", "complex64", dims))
    return tuple(found)


def sort(call: OpCall) -> tuple[Kernel, ...]:
    """Sorting along a dimension, made the last one. k: of the largest that are wanted, 0 for all."""
    x = tensor(call, "self")
    if not x.elements:
        return ()
    dim = int(call.args.get("dim", -1)) if x.shape else 0
    cols = x.shape[dim] if x.shape else 1
    swapped = bool(x.shape) and dim % len(x.shape) != len(x.shape) - 1
    k = float(call.args.get("k", 0)) if call.op == "topk" else 1.0 if call.op in ("kthvalue", "median") else 0.0
    copy = copy_of(x.transposed(dim)) if swapped else ()
    return (*copy, Kernel("sort", x.dtype, {"rows": x.elements // cols, "cols": cols, "k": k}))


def scatter(call: OpCall) -> tuple[Kernel, ...]:
    """A write for every index, into a copy unless in place."""
    x, index = tensor(call, "self"), tensor(call, "index")
    if not index.elements:
        return ()
    source = next((call.args[n] for n in ("src", "source") if isinstance(call.args.get(n), TensorSpec)), index)
    copied = () if call.op.endswith("_") else copy_of(x, call.outputs[0])
    return (*copied, Kernel("gather", x.dtype, {"rows": max(source.elements, index.elements), "cols": 1}))


def rearranged(call: OpCall) -> tuple[Kernel, ...]:
    """A copy of its output's size, the elements read in another order: edges repeated, windows unrolled."""
    x, out = tensor(call, "self", "input"), call.outputs[0]
    dims = {
        **{"elements": out.elements, "bytes_read": min(x.nbytes, out.nbytes), "bytes_written": out.nbytes},
        **{"run": out.shape[-1] if "pad" in call.op else 1, "transposed": float("pad" not in call.op)},
    }
    return (Kernel("copy", x.dtype, dims),) if out.elements else ()


def logsumexp(call: OpCall) -> tuple[Kernel, ...]:
    """The largest, differences, exponentials, sum, logarithm, sum: as torch computes it."""
    x, out = tensor(call, "self"), call.outputs[0]
    around = pointwise_of((x, out), x) + pointwise_of((x,), x, heavy=True)
    return (
        *reduce(call),
        *around,
        *reduce(call),
        *pointwise_of((out,), out, heavy=True),
        *pointwise_of((out, out), out),
    )


def scan(call: OpCall) -> tuple[Kernel, ...]:
    x = tensor(call, "self")
    cols = x.shape[int(call.args.get("dim", -1))] if x.shape else 1
    return row_kernel("scan", x, x.elements // max(cols, 1), cols)
