"""Host cost of single operators: one small example of each, called in a tight loop and in turn with the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from calibrate.measure.timers import Probe, profile_events, tight_seconds
from calibrate.samples.records import ExampleLaunches, HostRound
from calibrate.samples.store import SampleFile
from calibrate.workloads.device import Run, synchronize
from predictor.capture.recorder import capture
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES
from predictor.pricing.program import HOST_ELEMENTS
from predictor.records import Kernel
from predictor.runtimes.eager import lowering as eager

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


def examples(dtype: torch.dtype, device: str, large: bool) -> dict[str, Run]:
    """Operator -> a call of it, as a model would call it. large: as in a model at batch 1, where the device is a GPU.

    Called in inference mode, as models are: activations are inference tensors then, and weights are not.
    """
    rows, width, channels, side = (128, 768, 256, 14) if large else (4, 16, 16, 4)

    def make(*shape: int) -> torch.Tensor:
        return torch.rand(shape, device=device, dtype=dtype)

    def weight(*shape: int) -> torch.Tensor:
        with torch.inference_mode(False):
            return torch.nn.Parameter(make(*shape))

    def whole(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.int64, device=device)

    x, y, w, b = make(1, rows, width), make(1, rows, width), weight(width, width), weight(width)
    flat, heads, image, c = (
        make(rows, width),
        make(1, rows, max(width // 64, 4), min(width // 4, 64)).transpose(1, 2),
        make(1, channels, side, side),
        weight(channels),
    )
    kernel, depthwise = weight(channels, channels, 3, 3), weight(channels, 1, 3, 3)
    grouped, grouped1d = make(channels, channels // 4, 3, 3), make(width, width // 4, 1)
    depthwise1d = make(width, 1, 3)
    sequence, square, one, kernel1d = make(1, width, rows), make(1, rows, rows), make(1), weight(width, width, 3)
    column = make(1, rows, 1)
    ids, index, mask = whole(1, rows), whole(1, rows, 8), torch.zeros(1, rows, width, dtype=torch.bool, device=device)
    swapped, on_host = heads.transpose(1, 2), torch.ones(64, 64)
    few, many = torch.ones(8), torch.ones(HOST_ELEMENTS)
    small: dict[str, Any] = {"device": device, "dtype": dtype}
    return {
        "nothing": lambda: None,
        **{
            "linear": lambda: F.linear(x, w, b),
            "addmm": lambda: torch.addmm(b, flat, w),
            "mm": lambda: torch.mm(flat, w),
            "bmm": lambda: torch.bmm(x, sequence),
            "baddbmm": lambda: torch.baddbmm(square, x, sequence),
            "matmul": lambda: torch.matmul(heads, heads.transpose(-1, -2)),
            "einsum": lambda: torch.einsum("bind,bjnd->bnij", swapped, swapped),
            "conv2d": lambda: torch.conv2d(image, kernel, None, 1, 1),
            "conv2d depthwise": lambda: torch.conv2d(image, depthwise, None, 1, 1, 1, channels),
            "conv2d grouped": lambda: torch.conv2d(image, grouped, None, 1, 1, 1, 4),
            "conv1d": lambda: torch.conv1d(sequence, kernel1d, b, 1, 1),
            "conv1d depthwise": lambda: torch.conv1d(sequence, depthwise1d, b, 1, 1, 1, width),
            "conv1d grouped": lambda: torch.conv1d(sequence, grouped1d, b, 1, 0, 1, 4),
            "conv_transpose2d": lambda: torch.conv_transpose2d(image, kernel, None, 2),
            "scaled_dot_product_attention": lambda: F.scaled_dot_product_attention(heads, heads, heads),
        },
        **{
            "softmax": lambda: torch.softmax(x, -1),
            "log_softmax": lambda: torch.log_softmax(x, -1),
            "layer_norm": lambda: torch.layer_norm(x, (width,), b, b, 1e-5),
            "rms_norm": lambda: torch.rms_norm(x, (width,), b),
            "batch_norm": lambda: torch.batch_norm(image, c, c, c, c, False, 0.1, 1e-5, True),
            "group_norm": lambda: torch.group_norm(sequence, 4, b, b, 1e-5),
            "mean": lambda: x.mean(-1),
            "sum": lambda: x.sum(-1),
            "amax": lambda: x.amax(-1),
            "max": lambda: x.max(-1),
            "argmax": lambda: x.argmax(-1),
            "any": lambda: mask.any(),
            "all": lambda: mask.all(),
            "linalg_vector_norm": lambda: torch.linalg.vector_norm(x, 2, -1),
            "cumsum": lambda: x.cumsum(-1),
            "topk": lambda: x.topk(4),
            "sort": lambda: x.sort(),
        },
        **{
            "embedding": lambda: torch.embedding(w, ids),
            "gather": lambda: torch.gather(x, 2, index),
            "index_select": lambda: torch.index_select(flat, 0, ids[0]),
            "index": lambda: flat[ids[0]],
            "clone": lambda: x.clone(),
            "_to_copy": lambda: x.to(torch.float64),
            "copy_": lambda: x.copy_(y),
            "cat": lambda: torch.cat((x, y), -1),
            "stack": lambda: torch.stack((x, y)),
            "pad": lambda: F.pad(x, (0, 0, 1, 1)),
            "repeat": lambda: x.repeat(1, 2, 1),
            "repeat_interleave": lambda: x.repeat_interleave(2, 1),
            "roll": lambda: x.roll(1, 1),
            "flip": lambda: x.flip(1),
            "zeros": lambda: torch.zeros(8, 8, **small),
            "ones": lambda: torch.ones(8, 8, **small),
            "full": lambda: torch.full((8, 8), 1.0, **small),
            "arange": lambda: torch.arange(32, device=device),
            "new_ones": lambda: x.new_ones((8, 8)),
            "zeros_like": lambda: torch.zeros_like(x),
            "full_like": lambda: torch.full_like(x, 1.0),
            "fill_": lambda: x.fill_(1.0),
            "zero_": lambda: y.zero_(),
            "empty": lambda: torch.empty(8, 8, **small),
            "tril": lambda: torch.tril(flat),
            "max_pool2d": lambda: torch.max_pool2d(image, 3, 2, 1),
            "avg_pool2d": lambda: F.avg_pool2d(image, 2),
            "adaptive_avg_pool2d": lambda: F.adaptive_avg_pool2d(image, 1),
            "upsample_nearest2d": lambda: F.interpolate(image, scale_factor=2),
            "upsample_bilinear2d": lambda: F.interpolate(image, scale_factor=2, mode="bilinear"),
        },
        **{
            "add": lambda: x + y,
            "add broadcast": lambda: x + b,
            "add scalar": lambda: x + 1.0,
            "add_": lambda: x.add_(y),
            "sub": lambda: x - y,
            "sub broadcast": lambda: x - column,
            "sub scalar": lambda: x - 1.0,
            "rsub": lambda: 1.0 - x,
            "mul": lambda: x * y,
            "mul broadcast": lambda: x * b,
            "mul scalar": lambda: x * 0.5,
            "mul_": lambda: y.mul_(x),
            "div": lambda: x / y,
            "div broadcast": lambda: x / column,
            "div scalar": lambda: x / 2.0,
            "pow": lambda: torch.pow(x, 3.0),
            "addcmul": lambda: torch.addcmul(x, x, y),
            "where": lambda: torch.where(mask, x, y),
            "masked_fill": lambda: x.masked_fill(mask, 0.0),
            "eq": lambda: x == y,
            "ne": lambda: x != y,
            "gt": lambda: x > 0.5,
            "lt": lambda: x < 0.5,
            "le": lambda: x <= column,
            "ge": lambda: x >= column,
            "bitwise_not": lambda: ~mask,
            "bitwise_and": lambda: mask & mask,
            "maximum": lambda: torch.maximum(x, y),
            "min": lambda: torch.min(x, y),
            "neg": lambda: -x,
            "abs": lambda: x.abs(),
            "sqrt": lambda: x.sqrt(),
            "rsqrt": lambda: x.rsqrt(),
            "exp": lambda: torch.exp(x),
            "log": lambda: torch.log(x),
            "sin": lambda: torch.sin(x),
            "cos": lambda: torch.cos(x),
            "reciprocal": lambda: x.reciprocal(),
            "erf": lambda: x.erf(),
            "relu": lambda: torch.relu(x),
            "relu_": lambda: torch.relu_(x),
            "gelu": lambda: F.gelu(x),
            "tanh": lambda: torch.tanh(x),
            "sigmoid": lambda: torch.sigmoid(x),
            "silu": lambda: F.silu(x),
            "hardtanh": lambda: F.hardtanh(x, 0.0, 6.0),
            "hardswish": lambda: F.hardswish(x),
            "leaky_relu": lambda: F.leaky_relu(x),
            "clamp": lambda: torch.clamp(x, 0.0, 6.0),
        },
        **{
            "dropout": lambda: torch.dropout(x, 0.1, False),
            "view": lambda: x.view(*x.shape[:-1], 4, -1),
            "reshape": lambda: x.reshape(*x.shape[:-1], 4, -1),
            "flatten": lambda: x.flatten(1),
            "transpose": lambda: x.transpose(1, 2),
            "permute": lambda: heads.permute(0, 2, 1, 3),
            "expand": lambda: one.expand(1, 1, rows, rows),
            "slice": lambda: x[:, 1:],
            "select": lambda: x[:, 0],
            "unsqueeze": lambda: x.unsqueeze(1),
            "squeeze": lambda: x.squeeze(0),
            "split": lambda: x.split(width // 2, 2),
            "chunk": lambda: x.chunk(2, 2),
            "unbind": lambda: sequence.unbind(0),
            "contiguous": lambda: x.contiguous(),
            "to": lambda: x.to(dtype),
            "detach": lambda: x.detach(),
            "detach_": lambda: torch.tensor([], **small),
            "type_as": lambda: x.type_as(y),
            "item": lambda: one.item(),
            "to device": lambda: on_host.to(device, copy=True),
            "host": lambda: few + few,
            "host view": lambda: few.unsqueeze(0),
            "host many": lambda: many + many,
            "host many heavy": lambda: many.log(),
        },
    }


def launch_count(call: Run) -> int:
    """Kernels that one call launches."""
    call()
    return len(profile_events(call))


def mixed_seconds(table: Mapping[str, Run], device: str, passes: int, seed: int) -> dict[str, tuple[float, ...]]:
    """Host seconds of each call when it follows other ones, of every pass: each example once a pass, in any order.

    A tight loop finds its instructions in the cache; a model, which calls many operators in turn, does not.
    """
    rng = np.random.default_rng(seed)
    names = list(table)
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(passes):
        synchronize(device)
        for position in rng.permutation(len(names)):
            call = table[names[position]]
            start = time.perf_counter()
            call()
            found[names[position]].append(time.perf_counter() - start)
    return {name: tuple(seconds) for name, seconds in found.items()}


@torch.inference_mode()
def run_launches(file: SampleFile) -> None:
    """Kernels that each example launches. Uses the profiler, so it comes after everything that times the host."""
    if not file.has(ExampleLaunches):
        launches = {d: {op: launch_count(call) for op, call in t.items()} for d, t in _tables("cuda").items()}
        file.append([ExampleLaunches(launches)])


def _tables(device: str) -> dict[str, dict[str, Run]]:
    cuda = device == "cuda"
    return {name: examples(dtype, device, cuda) for name, dtype in DTYPES.items() if cuda or name == "fp32"}


def example_kernels() -> dict[str, dict[str, Kernel]]:
    """Operator -> dtype -> the kernel on matrix units in its example on a GPU, for those that have one."""
    found: dict[str, dict[str, Kernel]] = {}
    for name, dtype in DTYPES.items():
        for op, call in examples(dtype, "meta", large=True).items():
            try:
                program = eager.lower(capture(_Example(call), torch.empty(1), name))
            except PredictorError:  # looks at data
                continue
            kernel = next((k for c in program.calls for k in c.kernels if FAMILIES[k.family].matrix), None)
            if kernel is not None:
                found.setdefault(op, {})[name] = kernel
    return found


class _Example(torch.nn.Module):
    def __init__(self, call: Run) -> None:
        super().__init__()
        self.call = call

    def forward(self, _: torch.Tensor) -> Any:
        return self.call()


@torch.inference_mode()
def run_host(file: SampleFile, device: str, rounds: int, advance: Callable[[int], None]) -> None:
    """Every example in tight loops and mixed with the others, in interleaved rounds, the host probe beside each."""
    tables = _tables(device)
    probe = Probe(device)
    for table in tables.values():
        for call in table.values():
            tight_seconds(call, device, 20)
    for number in range(rounds):
        if not file.has(HostRound, number):
            first = probe()
            tight = {
                dtype: {op: tuple(tight_seconds(call, device, 25) for _ in range(4)) for op, call in table.items()}
                for dtype, table in tables.items()
            }
            second = probe()
            mixed = {dtype: mixed_seconds(table, device, 40, number) for dtype, table in tables.items()}
            file.append([HostRound(number, tight, mixed, (first, second, probe()))])
        advance(1)
