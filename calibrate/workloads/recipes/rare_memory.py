"""Recipes that move memory of what fewer models run: pictures of positions, writes to places, rows along other
dimensions, tiny and very long rows, other layouts, decompositions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from calibrate.workloads.recipes.base import FamilyRecipe, Operand, Recipe, Rng, Scale, log_uniform, pick, power_of_two


@dataclass(frozen=True, slots=True)
class Call:
    """A function of torch with arguments behind its tensors."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def __call__(self, *tensors: Any) -> Any:
        return self.function(*tensors, *self.arguments, **dict(self.options))


def _call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Call:
    return Call(function, arguments, tuple(options.items()))


def _image(rng: Rng, shape: tuple[int, ...], last: float = 0.4) -> Operand:
    """(batch, channels, ...), in so many cases with channels last in memory."""
    if rng.random() < last:
        spatial = range(1, len(shape) - 1)
        return Operand((shape[0], *shape[2:], shape[1]), permute=(0, len(shape) - 1, *spatial))
    return Operand(shape)


def _batch(rng: Rng, scale: Scale, elements: float, most: int = 256) -> int:
    return power_of_two(rng, max(min(most, scale.elements / elements), 1))


def interpolate(rng: Rng, scale: Scale) -> Recipe:
    """Positions of patches for other images, maps of segmentation, volumes, antialiased images, sampled ones."""
    kind = pick(rng, "positions", "positions", "map", "map", "map", "volume", "antialiased", "sampled", "nearest")
    if kind == "positions":
        planes = pick(rng, 64, 192, 384, 384, 768, 768, 1024, 1280) * pick(rng, 1, 1, 1, 2, 4, 11)
        side, size = pick(rng, 7, 14, 14, 16, 24, 32, 37), pick(rng, 7, 8, 12, 14, 16, 18, 20, 24, 28, 32)
        size = size + 1 if size == side else size
        x = _image(rng, (1, planes, side, side))
        return Recipe(_call(F.interpolate, (size, size), mode=pick(rng, "bicubic", "bicubic", "bilinear")), (x,))
    side, channels = pick(rng, 1, 4, 7, 8, 14, 16, 28, 32, 56, 64), log_uniform(rng, 1, 1024)
    if kind == "sampled":
        size = pick(rng, 8, 16, 32, 64, 128)
        batch = _batch(rng, scale, channels * max(side, size) ** 2)
        grid = Operand((batch, size, size, 2))
        return Recipe(_call(F.grid_sample, align_corners=False), (_image(rng, (batch, channels, side, side)), grid))
    if kind == "volume":
        depth, side, channels = pick(rng, 2, 4, 8, 16), pick(rng, 4, 8, 16, 28), log_uniform(rng, 1, 256)
        x = _image(rng, (_batch(rng, scale, 8 * channels * depth * side**2), channels, depth, side, side))
        return Recipe(_call(F.interpolate, scale_factor=2, mode=pick(rng, "trilinear", "nearest")), (x,))
    if kind == "antialiased":
        side, size, channels = (
            pick(rng, 14, 16, 37, 64, 128, 224),
            pick(rng, 7, 14, 16, 20, 32, 56),
            pick(rng, 3, 64, 384),
        )
        x = _image(rng, (_batch(rng, scale, channels * max(side, size) ** 2, 32), channels, side, side))
        mode = pick(rng, "bicubic", "bilinear")
        return Recipe(_call(F.interpolate, (size, size), mode=mode, antialias=True), (x,))
    factor = pick(rng, 2, 2, 4, 8, 16)
    x = _image(rng, (_batch(rng, scale, channels * side**2 * factor**2), channels, side, side), last=0.5)
    mode = pick(rng, "nearest", "nearest-exact") if kind == "nearest" else pick(rng, "bilinear", "bilinear", "bicubic")
    return Recipe(_call(F.interpolate, scale_factor=factor, mode=mode), (x,))


def gather(rng: Rng, scale: Scale) -> Recipe:
    """Messages of graphs added up, cache rows written, narrow tables, bags, single places."""
    kind = pick(rng, "add", "add", "add", "scatter", "scatter", "reduce", "copy", "put", "rows", "table", "bag")
    width = pick(rng, 1, 2, 3, 4, 8, 16, 16, 32, 64, 64, 128, 256, 512)
    rows = log_uniform(rng, 16, max(min(1e6, scale.elements / 4 / width), 16))
    places = max(int(rows / pick(rng, 0.25, 1, 1, 2, 4, 8, 16, 64, 1000)), 1)
    target, source, index = Operand((places, width)), Operand((rows, width)), Operand((rows,), high=places)
    every = Operand((rows, 1), high=places, expand=(rows, width))
    if kind == "add":
        return Recipe(_index_add, (target, index, source))
    if kind == "scatter":
        return Recipe(pick(rng, _scatter_add, _scatter_add, _scatter), (target, every, source))
    if kind == "reduce":
        return Recipe(_scatter_reduce, (target, every, source))
    if kind == "copy":  # of the new tokens into a cache
        batch, heads, length = pick(rng, 1, 2, 8, 16, 64), pick(rng, 4, 8, 12, 32), pick(rng, 128, 512, 2048)
        tokens, head = pick(rng, 1, 1, 1, 4, 64), pick(rng, 64, 64, 128)
        batch = max(int(min(batch, scale.elements / (heads * length * head))), 1)
        cache = Operand((batch, heads, length, head))
        return Recipe(_index_copy, (cache, Operand((tokens,), high=length), Operand((batch, heads, tokens, head))))
    if kind == "put":
        return Recipe(_put, (target, index, source))
    if kind == "rows":
        return Recipe(_rows, (target, index))
    if kind == "bag":
        bag = pick(rng, 1, 2, 4, 10, 20, 50)
        bags = max(min(rows, 65536) // bag, 1)
        ids, starts = Operand((bags * bag,), high=places), Operand((bags,), step=bag)
        return Recipe(_bag, (Operand((places, width), warm=False), ids, starts))
    return Recipe(F.embedding, (Operand((rows,), high=places), Operand((places, width), warm=False)))


def _index_add(x: Any, index: Any, source: Any) -> Any:
    return x.index_add_(0, index, source)


def _scatter_reduce(x: Any, index: Any, source: Any) -> Any:
    """A sum: the largest of what meets in a place is found by the first call of many, and no other changes it."""
    return x.scatter_reduce_(0, index, source, "sum")


def _scatter_add(x: Any, index: Any, source: Any) -> Any:
    return x.scatter_add_(0, index, source)


def _scatter(x: Any, index: Any, source: Any) -> Any:
    return x.scatter_(0, index, source)


def _index_copy(cache: Any, index: Any, new: Any) -> Any:
    return cache.index_copy_(2, index, new)


def _put(x: Any, index: Any, source: Any) -> Any:
    return x.index_put_((index,), source)


def _rows(x: Any, index: Any) -> Any:
    return x[index]


def _bag(weight: Any, ids: Any, starts: Any) -> Any:
    return torch.ops.aten._embedding_bag_forward_only(weight, ids, starts)[0]


def pool(rng: Rng, scale: Scale) -> Recipe:
    """Averages of windows of several sizes and steps, adaptive ones, windows of volumes and sequences, of one step."""
    kind = pick(rng, "average", "average", "average", "adaptive", "adaptive", "volume", "step", "sequence", "last")
    side, channels = pick(rng, 7, 8, 14, 16, 28, 32, 56, 112), log_uniform(rng, 8, 2048)
    if kind == "volume":
        depth, side, channels = pick(rng, 4, 8, 16), pick(rng, 7, 14, 28, 56), log_uniform(rng, 8, 512)
        x = Operand((_batch(rng, scale, channels * depth * side**2), channels, depth, side, side))
        window = pick(rng, (2, 2, 2), (1, 2, 2), (3, 3, 3))
        return Recipe(_call(pick(rng, torch.max_pool3d, F.avg_pool3d), window, stride=2), (x,))
    if kind == "sequence":
        length = log_uniform(rng, 32, 16384)
        x = Operand((_batch(rng, scale, channels * length), channels, length))
        window = pick(rng, 2, 3, 4, 8, 25)
        return Recipe(_call(pick(rng, F.avg_pool1d, torch.max_pool1d), window, pick(rng, 1, 2, window)), (x,))
    x = _image(rng, (_batch(rng, scale, channels * side**2), channels, side, side), last=0.7 if kind == "last" else 0.3)
    if kind == "adaptive":
        size = pick(rng, 2, 3, 6, 7, 8)
        function = pick(rng, F.adaptive_avg_pool2d, F.adaptive_avg_pool2d, _adaptive_maximum)
        return Recipe(_call(function, (size, size)), (x,))
    window = pick(rng, 2, 3, 3, 5, 7)
    stride = 1 if kind == "step" else pick(rng, 1, 2, window)
    function = pick(rng, torch.max_pool2d, F.avg_pool2d) if kind in ("step", "last") else F.avg_pool2d
    if kind == "step":
        window = pick(rng, 3, 5, 9, 13)
    return Recipe(_call(function, window, stride=stride, padding=window // 2), (x,))


def _adaptive_maximum(x: Any, size: tuple[int, int]) -> Any:
    return torch.ops.aten.adaptive_max_pool2d(x, size)[0]


def _along(rng: Rng, scale: Scale) -> tuple[int, int, int]:
    """Rows, their length, and how far apart neighbours of a row are."""
    stride = log_uniform(rng, 2, 4096)
    cols = log_uniform(rng, 2, max(min(4096, scale.elements / stride), 2))
    return power_of_two(rng, max(min(1024, scale.elements / stride / cols), 1)), cols, stride


def softmax(rng: Rng, scale: Scale) -> Recipe:
    """Along other dimensions than the last, of a few elements, of vocabularies."""
    kind = pick(rng, "other", "other", "other", "tiny", "long")
    function = pick(rng, torch.softmax, torch.softmax, torch.log_softmax)
    if kind == "other":
        return Recipe(_call(function, 1), (Operand(_along(rng, scale)),))
    cols = pick(rng, 2, 3, 4, 8, 16) if kind == "tiny" else log_uniform(rng, 4096, 260_000)
    rows = log_uniform(rng, 1, max(min(scale.elements / cols, 1e6), 1))
    return Recipe(_call(function, -1), (Operand((rows, cols)),))


def layer_norm(rng: Rng, scale: Scale) -> Recipe:
    """Rows of a few elements, and whole pictures."""
    cols = log_uniform(rng, 2, 64) if rng.random() < 0.5 else log_uniform(rng, 4096, 200_000)
    rows = log_uniform(rng, 1, max(min(scale.elements / cols, 1e6), 1))
    weights = (Operand((cols,), warm=False), Operand((cols,), warm=False))
    return Recipe(_normalised, (Operand((rows, cols)), *weights))


def _normalised(x: Any, weight: Any, bias: Any) -> Any:
    return F.layer_norm(x, x.shape[-1:], weight, bias)


def batch_norm(rng: Rng, scale: Scale) -> Recipe:
    """Of features without pixels, sequences, volumes, images with channels last."""
    channels = log_uniform(rng, 8, 2048)
    shape = pick(rng, (), (pick(rng, 16, 128, 1024, 16384),), (8, 14, 14), (4, 28, 28), (14, 14), (56, 56), (112, 112))
    elements = channels
    for size in shape:
        elements *= size
    x = _image(rng, (_batch(rng, scale, elements), channels, *shape), last=0.5 if len(shape) == 2 else 0.0)
    return Recipe(_batch_norm, (x, *(Operand((channels,), warm=False) for _ in range(4))))


def _batch_norm(x: Any, mean: Any, variance: Any, weight: Any, bias: Any) -> Any:
    return F.batch_norm(x, mean, variance, weight, bias)


def reduce(rng: Rng, scale: Scale) -> Recipe:
    """Norms, whole tensors, the first dimension, pixels, rows of a few elements."""
    functions = (torch.sum, torch.mean, torch.amax, torch.linalg.vector_norm, torch.argmax, torch.var)
    kind = pick(rng, "whole", "first", "other", "pixels", "tiny", "norm")
    function = torch.linalg.vector_norm if kind == "norm" else pick(rng, *functions)
    norm = (2,) if function is torch.linalg.vector_norm else ()
    if kind == "whole":
        return Recipe(_call(pick(rng, torch.sum, torch.mean), 0), (Operand((log_uniform(rng, 8, scale.elements),)),))
    if kind == "tiny":
        cols = pick(rng, 2, 3, 4, 8, 16)
        rows = log_uniform(rng, 1, min(scale.elements / cols, 4e6))
        return Recipe(_call(function, *norm, -1), (Operand((rows, cols)),))
    if kind == "pixels":
        channels, side = log_uniform(rng, 8, 2048), pick(rng, 7, 14, 28, 56, 112)
        x = Operand((_batch(rng, scale, channels * side**2), channels, side, side))
        return Recipe(_call(pick(rng, torch.mean, torch.sum, torch.amax), (2, 3)), (x,))
    rows, cols, stride = _along(rng, scale)
    if kind == "first":
        return Recipe(_call(function, *norm, 0), (Operand((cols, stride)),))
    return Recipe(
        _call(function, *norm, -1 if kind == "norm" and rng.random() < 0.5 else 1), (Operand((rows, cols, stride)),)
    )


def scan(rng: Rng, scale: Scale) -> Recipe:
    """Sums along other dimensions than the last, of whole numbers, of single long rows."""
    kind = pick(rng, "other", "other", "long", "numbers")
    if kind == "other":
        return Recipe(_call(torch.cumsum, 1), (Operand(_along(rng, scale)),))
    if kind == "long":
        return Recipe(_call(torch.cumsum, -1), (Operand((1, log_uniform(rng, 64, min(scale.elements, 1e7)))),))
    cols = log_uniform(rng, 4, 4096)
    rows = log_uniform(rng, 1, max(min(scale.elements / cols, 1e5), 1))
    return Recipe(_call(torch.cumsum, -1), (Operand((rows, cols), high=2),))


def sort(rng: Rng, scale: Scale) -> Recipe:
    """Experts of tokens, tokens of experts, candidates of detection, order of a row of numbers."""
    kind = pick(rng, "experts", "order", "candidates", "rows")
    if kind == "experts":
        tokens, experts = log_uniform(rng, 1, min(65536, scale.elements / 64)), pick(rng, 4, 8, 16, 64, 128)
        return Recipe(_call(torch.topk, pick(rng, 1, 2, 2, 4)), (Operand((tokens, experts)),))
    if kind == "order":
        return Recipe(torch.sort, (Operand((log_uniform(rng, 8, 1e6),), high=64),))
    if kind == "candidates":
        cols = log_uniform(rng, 100, 250_000)
        return Recipe(
            _call(torch.topk, min(pick(rng, 10, 100, 300, 1000), cols)), (Operand((pick(rng, 1, 1, 4, 16), cols)),)
        )
    cols = pick(rng, 4, 8, 16, 32, 64, 128, 256)
    return Recipe(torch.sort, (Operand((log_uniform(rng, 1, min(1e5, scale.elements / cols / 8)), cols)),))


def fft(rng: Rng, scale: Scale) -> Recipe:
    """Tokens and widths of models that mix by Fourier transforms, strided and real."""
    batch, length, width = pick(rng, 1, 4, 16), pick(rng, 64, 128, 256, 512, 1024), pick(rng, 64, 128, 256, 512, 768)
    batch = max(int(min(batch, scale.elements / (8 * length * width))), 1)
    kind = pick(rng, "strided", "real", "back")
    if kind == "strided":
        return Recipe(_call(torch.fft.fft, dim=1), (Operand((batch, length, width), dtype="complex64"),))
    if kind == "real":
        return Recipe(_call(torch.fft.rfft, dim=pick(rng, 1, 2)), (Operand((batch, length, width), dtype="float32"),))
    x = Operand((batch, length // 2 + 1, width), dtype="complex64")
    return Recipe(_call(torch.fft.irfft, dim=1), (x,))


def copies(rng: Rng, scale: Scale) -> Recipe:
    """Layouts of images, windows of images, shuffled pixels, unrolled windows, repeats, a few elements."""
    kind = pick(rng, "layout", "layout", "windows", "pixels", "unrolled", "repeat", "tiny", "roll")
    side, channels = pick(rng, 8, 16, 28, 32, 56, 64, 112), pick(rng, 4, 16, 48, 64, 96, 192, 256, 512)
    batch = _batch(rng, scale, channels * side**2)
    if kind == "layout":
        order, shape = pick(rng, ((0, 3, 1, 2), (side, side, channels)), ((0, 2, 3, 1), (channels, side, side)))
        return Recipe(_dense, (Operand((batch, *shape), permute=order),))
    if kind == "windows":
        window = pick(rng, 2, 4, 7, 8)
        rows = max(side // window, 1)
        shape = (batch, rows, window, rows, window, channels)
        return Recipe(_dense, (Operand(shape, permute=(0, 1, 3, 2, 4, 5)),))
    if kind == "pixels":
        return Recipe(_call(F.pixel_shuffle, 2), (Operand((batch, channels, side, side)),))
    if kind == "unrolled":
        size = pick(rng, 3, 3, 7, 9)
        x = Operand((1, max(int(min(channels, scale.elements / size**2 / side**2)), 1), side, side))
        return Recipe(_call(F.unfold, (size, pick(rng, 1, size)), padding=(size // 2, 0)), (x,))
    if kind == "repeat":
        times = pick(rng, 2, 4, 8, 16)
        shape = (max(batch // times, 1), 1, side, channels)
        return Recipe(_dense, (Operand(shape, expand=(shape[0], times, side, channels)),))
    if kind == "tiny":
        rows, cols = log_uniform(rng, 1, 64), log_uniform(rng, 1, 256)
        return Recipe(_dense, (Operand((cols, rows), permute=(1, 0)) if rng.random() < 0.5 else Operand((rows, cols)),))
    return Recipe(_call(torch.roll, 1, 1), (Operand((batch, side, side, channels)),))


def _dense(x: Any) -> Any:
    return x.clone(memory_format=torch.contiguous_format)


def pointwise(rng: Rng, scale: Scale) -> Recipe:
    """Comparisons, choices, masks, whole numbers, columns and channels that are broadcast, a few elements, complex
    numbers, images in both layouts.
    """
    kind = pick(rng, "compare", "where", "mask", "numbers", "channels", "outer", "tiny", "complex", "images", "large")
    rows, cols = log_uniform(rng, 1, 8192), log_uniform(rng, 1, 4096)
    rows = max(int(min(rows, scale.elements / cols)), 1)
    x, y = Operand((rows, cols)), Operand((rows, cols))
    mask, number = Operand((rows, cols), high=2, dtype="bool"), Operand((rows, cols), high=100)
    if kind == "compare":
        return Recipe(pick(rng, torch.gt, torch.eq), (x, y))
    if kind == "where":
        return Recipe(torch.where, (mask, x, y))
    if kind == "mask":
        return Recipe(_call(torch.Tensor.masked_fill_, 0.0), (x, mask))
    if kind == "numbers":
        return Recipe(pick(rng, torch.add, torch.mul, torch.eq), (number, number))
    if kind == "outer":
        return Recipe(pick(rng, torch.add, torch.mul, torch.sub), (Operand((rows, 1)), Operand((1, cols))))
    if kind == "tiny":
        tiny = Operand((log_uniform(rng, 1, 4096),))
        one, two = (torch.exp, torch.relu, torch.rsqrt), (torch.add, torch.mul)
        return Recipe(pick(rng, *two), (tiny, tiny)) if rng.random() < 0.6 else Recipe(pick(rng, *one), (tiny,))
    if kind == "complex":
        z = Operand((rows, cols), dtype="complex64")
        return Recipe(pick(rng, torch.mul, torch.add), (z, z))
    if kind == "large":
        large = Operand((log_uniform(rng, scale.elements / 64, scale.elements),))
        return Recipe(pick(rng, torch.relu, torch.neg, torch.sigmoid), (large,))
    channels, side = pick(rng, 8, 32, 64, 128, 256, 512), pick(rng, 7, 14, 28, 56, 112)
    batch = _batch(rng, scale, channels * side**2)
    image = _image(rng, (batch, channels, side, side))
    if kind == "channels":
        return Recipe(torch.mul, (image, Operand((batch, channels, 1, 1))))
    return Recipe(pick(rng, torch.add, torch.mul), (image, image))


def cats(rng: Rng, scale: Scale) -> Recipe:
    """Many tensors, of different widths, along the channels of images, stacked."""
    kind = pick(rng, "many", "channels", "stack", "widths")
    count = pick(rng, 2, 3, 5, 8, 12, 20, 32)
    if kind == "channels":
        side, channels = pick(rng, 7, 14, 28, 56), pick(rng, 12, 32, 64, 128, 256)
        batch = _batch(rng, scale, 4 * channels * side**2)
        others = tuple(
            Operand((batch, channels * k, side, side)) for k in pick(rng, (1, 1), (1, 2), (4, 1), (1, 1, 1, 1))
        )
        return Recipe(_Join(torch.cat, 1), others)
    rows, cols = log_uniform(rng, 1, 65536), log_uniform(rng, 1, 512)
    rows = max(int(min(rows, scale.elements / cols / count)), 1)
    if kind == "widths":
        return Recipe(_Join(torch.cat, -1), (Operand((rows, cols)), Operand((rows, pick(rng, 1, 2, 16, 64)))))
    return Recipe(
        _Join(torch.stack if kind == "stack" else torch.cat, pick(rng, 0, 1)), (Operand((rows, cols)),) * count
    )


@dataclass(frozen=True, slots=True)
class _Join:
    function: Callable[..., Any]
    dim: int

    def __call__(self, *tensors: Any) -> Any:
        return self.function(tensors, self.dim)


def decomposition(rng: Rng, scale: Scale) -> Recipe:
    """Factorisations, systems, eigenvalues and singular values, of many small matrices and of single large ones."""
    kind = pick(rng, "svd", "eigh", "qr", "cholesky", "lu", "inverse", "solve", "triangular", "substitute")
    slow = kind in ("svd", "eigh")
    n = pick(rng, 2, 3, 4, 8, 16, 24, 32, 48, 64, 100, 128, 200, 256, 384, 512, *((768, 1024) if not slow else ()))
    n = min(n, int(scale.elements**0.5))
    most = min(scale.elements / n**2, 4096 if n <= 32 else (128 if slow else 4096) / (n / 8))
    batch = power_of_two(rng, max(most, 1))
    x = Operand((batch, n, n), definite=not slow)
    right = Operand((batch, n, pick(rng, 1, 1, 8, n)))
    if kind == "triangular":
        return Recipe(_call(torch.linalg.solve_triangular, upper=False), (x, right))
    if kind == "substitute":
        return Recipe(_substitute, (right, x))
    calls: dict[str, Callable[..., Any]] = {
        "svd": _singular_values,
        "eigh": _eigenvalues,
        "qr": torch.linalg.qr,
        "cholesky": torch.linalg.cholesky_ex,
        "lu": torch.linalg.lu_factor_ex,
        "inverse": torch.linalg.inv_ex,
        "solve": torch.linalg.solve_ex,
    }
    return Recipe(calls[kind], (x, right) if kind == "solve" else (x,))


def _singular_values(x: Any) -> Any:
    return torch.ops.aten._linalg_svd(x)


def _eigenvalues(x: Any) -> Any:
    return torch.ops.aten._linalg_eigh(x)


def _substitute(right: Any, factor: Any) -> Any:
    return torch.cholesky_solve(right, factor)


ROWS = (FamilyRecipe("decomposition", decomposition, 260, dtypes=("fp32",)),)

RARE = (
    FamilyRecipe("interpolate", interpolate, 400),
    FamilyRecipe("gather", gather, 450),
    FamilyRecipe("pool", pool, 280),
    FamilyRecipe("softmax", softmax, 200),
    FamilyRecipe("layer_norm", layer_norm, 100),
    FamilyRecipe("batch_norm", batch_norm, 100),
    FamilyRecipe("reduce", reduce, 200),
    FamilyRecipe("scan", scan, 120),
    FamilyRecipe("sort", sort, 160),
    FamilyRecipe("fft", fft, 120),
    FamilyRecipe("copy", copies, 220),
    FamilyRecipe("pointwise", pointwise, 240),
    FamilyRecipe("cat", cats, 120),
)
