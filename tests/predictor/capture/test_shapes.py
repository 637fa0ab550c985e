"""What the commonest operators give, in closed form: as torch's own functions for meta say it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from predictor.capture import shapes

aten = torch.ops.aten
Arguments = tuple[Any, ...]


def tensor(shape: Any, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


class Drawn:
    """Random arguments; many dimensions of one, tensors of several layouts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.dtype = self.random.choice([torch.float16, torch.bfloat16, torch.float32])

    def of(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def empty(self, *shape: int) -> torch.Tensor:
        return tensor(shape, self.dtype)

    def maybe(self, *shape: int) -> torch.Tensor | None:
        return self.of(None, self.empty(*shape))

    def x(self, dims: int = 0) -> torch.Tensor:
        x = self.empty(*(self.of(1, 1, 2, 3, 7, 8) for _ in range(dims or self.random.randint(1, 5))))
        if x.dim() == 4 and self.random.random() < 0.2:
            return x.to(memory_format=torch.channels_last)
        return x.transpose(0, -1) if x.dim() > 1 and self.random.random() < 0.2 else x

    def part_of(self, x: torch.Tensor) -> torch.Tensor:
        """A tensor that is repeated to the shape of another."""
        return self.empty(*(self.of(1, n) for n in x.shape[self.random.randint(0, x.dim()) :]))

    def some_dims(self, x: torch.Tensor) -> list[int]:
        return self.random.sample(range(x.dim()), self.random.randint(1, x.dim()))


def _pointwise(d: Drawn) -> Iterator[tuple[Any, Arguments, dict[str, Any]]]:
    x = d.x()
    for name in ("relu", "relu6", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "hardtanh"):
        yield getattr(aten, name).default, (x,), {}
    yield aten.arange.default, (d.of(1, 7),), {"device": torch.device("meta"), "dtype": d.of(None, torch.int64)}
    yield aten.gelu.default, (x,), d.of({}, {"approximate": "tanh"})
    for name in ("add", "sub", "mul", "div"):
        yield getattr(aten, name).Tensor, (x, d.of(d.empty(*x.shape), 2, 2.5, d.part_of(x))), {}
        yield getattr(aten, name).Tensor, (d.part_of(x), d.empty(*x.shape)), {}
    yield aten.masked_fill.Scalar, (x, tensor(x.shape, torch.bool), d.of(0, -1.5)), {}


def _matrices(d: Drawn) -> Iterator[tuple[Any, Arguments, dict[str, Any]]]:
    x, out = d.x(), d.of(1, 2, 8)
    places = tensor(x.shape, d.of(torch.int64, torch.int32))
    yield aten.embedding.default, (d.empty(out, d.of(1, 3, 8)), places), {}
    yield aten.softmax.int, (x, d.random.randrange(-x.dim(), x.dim())), {}
    yield aten.linear.default, (x, d.empty(out, x.shape[-1]), d.maybe(out)), {}
    rows, inner, columns, count = (d.of(1, 2, 3, 8) for _ in range(4))
    left, right = (d.of(d.empty(n, m), d.empty(m, n).T) for n, m in ((rows, inner), (inner, columns)))
    yield aten.mm.default, (left, right), {}
    yield aten.addmm.default, (d.of(d.empty(columns), d.empty(rows, columns)), left, right), {}
    batches = d.of(d.empty(count, inner, columns), d.empty(count, columns, inner).mT)
    yield (
        aten.bmm.default,
        (d.of(d.empty(count, rows, inner), d.empty(rows, count, inner).transpose(0, 1)), batches),
        {},
    )
    batch, heads, length, steps, width, values = (d.of(1, 1, 2, 3, 8) for _ in range(6))

    def part(n: int, features: int) -> torch.Tensor:
        return d.of(d.empty(batch, heads, n, features), d.empty(batch, n, heads, features).transpose(1, 2))

    mask = tensor((d.of(1, batch), d.of(1, heads), d.of(1, length), steps), d.of(torch.bool, d.dtype))
    parts = part(length, width), part(steps, width), part(steps, values)
    yield aten.scaled_dot_product_attention.default, (*parts, d.of(None, mask), 0.0, d.of(True, False)), {}


def _images(d: Drawn) -> Iterator[tuple[Any, Arguments, dict[str, Any]]]:
    x = d.x(4)
    channels, groups = x.shape[1], d.of(1, 1, 2, x.shape[1])
    out = d.of(1, 2, 4, 8, channels)
    weight = d.empty(out, max(channels // groups, 1), d.of(1, 2, 3), d.of(1, 3, 5))
    sizes = [d.of(1, 2), d.of(1, 2)], [d.of(0, 1, 2), d.of(0, 1)], [d.of(1, 1, 2)] * 2
    yield aten.conv2d.default, (x, weight, d.maybe(out), *sizes, groups), {}
    yield aten.conv2d.default, (x, weight), {}
    yield aten.adaptive_avg_pool2d.default, (x, d.of([1, 1], [2, 2], [1, 3])), {}


def _reduced(d: Drawn) -> Iterator[tuple[Any, Arguments, dict[str, Any]]]:
    x = d.x()
    shape = list(x.shape[-d.random.randint(1, x.dim()) :])
    yield aten.layer_norm.default, (x, shape, d.maybe(*shape), d.maybe(*shape), 1e-5, True), {}
    yield aten.sum.dim_IntList, (x, d.some_dims(x), d.of(True, False)), {}
    yield aten.mean.dim, (x, [dim - d.of(0, x.dim()) for dim in d.some_dims(x)], d.of(True, False)), {}
    dims = d.some_dims(x)
    yield aten.roll.default, (x, [d.of(-1, 0, 2) for _ in dims], dims), {}
    if x.dim() > 1:
        weight, bias = d.of((None, None), (d.empty(x.shape[1]), d.empty(x.shape[1])))
        kind = d.of(d.dtype, torch.float32)
        means = tensor(x.shape[1], kind), tensor(x.shape[1], kind)
        yield aten.batch_norm.default, (x, weight, bias, *means, False, 0.1, 1e-5, True), {}


def said(result: torch.Tensor) -> tuple[Any, ...]:
    layout = result.shape, result.stride(), result.storage_offset(), result.untyped_storage().nbytes()
    return *layout, result.dtype, result.device, result.requires_grad, type(result)


@pytest.mark.parametrize("draw", [_pointwise, _matrices, _images, _reduced])
def test_a_rule_says_what_torch_says(draw: Callable[[Drawn], Iterator[tuple[Any, Arguments, dict[str, Any]]]]) -> None:
    sure: set[Any] = set()
    asked: set[Any] = set()
    for seed in range(150):
        for operator, args, kwargs in draw(Drawn(seed)):
            asked.add(operator)
            mine = shapes.RULES[operator](*args, **kwargs)
            if mine is not None:
                sure.add(operator)
                with torch.inference_mode():
                    assert said(mine) == said(operator(*args, **kwargs)), (operator, args, kwargs)
    assert sure == asked


def test_every_rule_is_held_against_torch() -> None:
    drawn = {
        operator
        for draw in (_pointwise, _matrices, _images, _reduced)
        for s in range(20)
        for operator, *_ in draw(Drawn(s))
    }
    assert drawn == set(shapes.RULES)


def test_what_torch_refuses_is_left_to_torch() -> None:
    x = tensor((2, 4, 8, 8), torch.float16)
    kernel = tensor((4, 3, 3, 3), torch.float16)
    assert shapes.RULES[aten.conv2d.default](x, kernel) is None
    assert shapes.RULES[aten.linear.default](x, tensor((3, 7), torch.float16)) is None
    assert shapes.RULES[aten.linear.default](x, tensor((3, 8), torch.float32)) is None
    assert shapes.RULES[aten.add.Tensor](x, tensor((2, 4, 8, 7), torch.float16)) is None
    assert shapes.RULES[aten.layer_norm.default](x, [7]) is None
