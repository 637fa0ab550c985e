"""Reads and writes at places, windows and rows: what tells their kernels apart, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from predictor.calibration.load import load_calibration
from predictor.capture.recorder import capture
from predictor.kernels.families import FAMILIES
from predictor.pricing.kernels import price_kernels
from predictor.records import Kernel
from predictor.runtimes.eager import lowering as eager


class Function(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.function(*tensors)


def kernels(function: Callable[..., Any], *tensors: torch.Tensor, dtype: str = "fp32") -> list[Kernel]:
    """Kernels of a function."""
    program = eager.lower(capture(Function(function), tensors, dtype))
    return [kernel for call in program.calls for kernel in call.kernels]


def ids(count: int, below: int) -> torch.Tensor:
    return torch.arange(count) % below


X, MESSAGES, EDGES = torch.rand(100, 16), torch.rand(800, 16), ids(800, 100)


@pytest.mark.parametrize(
    ("function", "rows", "cols", "adds"),
    [
        (lambda x, m, e: x.index_add_(0, e, m), 800, 16, 1),
        (lambda x, m, e: x.scatter_add_(0, e[:, None].expand(800, 16), m), 800 * 16, 1, 1),
        (lambda x, m, e: x.scatter_reduce_(0, e[:, None].expand(800, 16), m, "sum"), 800 * 16, 1, 1),
        (lambda x, m, e: x.index_copy_(0, e, m), 800, 16, 0),
    ],
    ids=["index_add", "scatter_add", "scatter_reduce", "index_copy"],
)
def test_messages_of_a_graph_meet_where_they_are_added(
    function: Callable[..., Any], rows: int, cols: int, adds: int
) -> None:
    """800 edges into 100 nodes: eight messages a node."""
    (kernel,) = kernels(function, X, MESSAGES, EDGES)
    expected = {"rows": rows, "cols": cols, "written": 1, "adds": adds, "shared": 8}
    shared_index = {"run": 16} if cols == 1 else {}
    assert (kernel.family, dict(kernel.dims)) == ("gather", expected | shared_index)


MEANS = ("fill", "fill", "gather", "pointwise", "pointwise", "pointwise")


@pytest.mark.parametrize(
    ("reduce", "includes_self", "families"),
    [
        ("sum", True, ["copy", "copy", "gather"]),
        ("amax", False, ["copy", "copy", "gather", "exchange"]),
        ("mean", False, ["copy", "copy", "gather", "gather", *MEANS]),
    ],
)
def test_a_mean_of_what_meets_in_a_place_is_a_sum_divided_by_a_count(
    reduce: str, includes_self: bool, families: list[str]
) -> None:
    """As an H200 ran them: a sum with ones beside it, a comparison with zero, a masked fill, a division."""
    places = EDGES[:, None].expand(800, 16)
    found = kernels(lambda x, m, e: x.scatter_reduce(0, e, m, reduce, include_self=includes_self), X, MESSAGES, places)
    assert [kernel.family for kernel in found] == families
    added = {"sum": 1, "amax": 0, "mean": 2}[reduce]
    assert [k.dims["adds"] for k in found if k.family == "gather"] == [0.0] * (not includes_self) + [1.0] * added


@pytest.mark.parametrize(
    ("shape", "places", "microseconds"),
    [
        ((3456, 80), 1600, 38.0),
        ((55296, 80), 25600, 76.0),
        ((32768, 64), 4096, 52.5),
        ((4096, 4), 512, 57.0),
        ((65536, 4), 8192, 62.0),
    ],
)
def test_largest_of_a_place_contend_for_its_word(shape: tuple[int, int], places: int, microseconds: float) -> None:
    """As an H200 ran them: messages of molecules, the same sixteenfold, rows, softmaxes of edges of two batches."""
    tensors = torch.zeros(places, shape[1]).half(), torch.zeros(shape).half(), torch.zeros(shape[0], dtype=torch.int64)
    (kernel,) = kernels(
        lambda x, m, e: x.scatter_reduce_(0, e[:, None].expand_as(m), m, "amax"), *tensors, dtype="fp16"
    )
    priced = price_kernels(load_calibration("h200"), kernel.family, kernel.dtype, dict(kernel.dims))
    assert float(priced.seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.15)


def test_only_what_has_no_instruction_is_exchanged() -> None:
    def reduced(reduce: str, dtype: torch.dtype) -> dict[str, float]:
        x, m = X.to(dtype), MESSAGES.to(dtype)
        name = "fp16" if dtype == torch.float16 else "fp32"
        (kernel,) = kernels(
            lambda x, m, e: x.scatter_reduce_(0, e[:, None].expand(800, 16), m, reduce), x, m, EDGES, dtype=name
        )
        return {"changes": kernel.dims["changes"]} if kernel.family == "exchange" else {}

    assert reduced("sum", torch.float16) == reduced("amax", torch.int64) == {}
    assert reduced("prod", torch.int64) == {"changes": 8}  # each of eight that meet
    assert reduced("prod", torch.float16) == {"changes": 16}  # and those of the neighbour in its word
    assert reduced("amax", torch.float32)["changes"] == pytest.approx(math.log(9))
    (kernel,) = kernels(lambda x, m, e: x.index_reduce_(0, e, m, "prod"), X, MESSAGES, EDGES)
    assert (kernel.family, kernel.dims["rows"], kernel.dims["each"]) == ("exchange", 12800, 1)


def test_rows_of_a_table_are_read_whole_where_their_indices_lie_side_by_side() -> None:
    def apart(function: Callable[..., Any], index: torch.Tensor) -> list[tuple[str, float]]:
        return [(k.family, k.dims.get("apart", 0)) for k in kernels(function, X, index)]

    def table(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return F.embedding(index, x)

    features = EDGES[:120].view(40, 3)
    assert apart(table, features) == apart(table, EDGES[:40]) == [("gather", 0)]
    assert apart(lambda x, index: table(x, index[:, 0]), features) == [("gather", 1)]
    assert apart(lambda x, index: table(x, index[:, :1]), features) == [("gather", 1)]  # seen as a list
    assert apart(lambda x, index: x.index_select(0, index[:, 0]), features) == [("gather", 1)]
    assert apart(lambda x, index: table(x, index[:, :2]), features) == [("copy", 0), ("gather", 0)]


def test_what_scatter_reduce_calls_costs_the_host_as_much_as_where_python_calls_it() -> None:
    def means(x: torch.Tensor, m: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
        return x.scatter_reduce(0, e, m, "mean", include_self=False)

    (call,) = eager.lower(capture(Function(means), (X, MESSAGES, EDGES[:, None].expand(800, 16)), "fp32")).calls
    before = ("scatter_", "scatter_add_", "ones_like", "zeros_like")
    assert call.parts == (*before, "scatter_add_", "eq", "masked_fill_", "div_")


def test_rows_that_are_read_are_not_written() -> None:
    (kernel,) = kernels(lambda x, e: x[e], X, EDGES)
    assert dict(kernel.dims) == {"rows": 800, "cols": 16, "selects": 0}


def test_a_new_token_of_a_cache_is_one_row_for_every_head() -> None:
    cache, new = torch.rand(2, 4, 64, 8), torch.rand(2, 4, 1, 8)
    (kernel,) = kernels(lambda c, i, n: c.index_copy_(2, i, n), cache, ids(1, 64), new)
    assert (kernel.dims["rows"], kernel.dims["cols"]) == (1, 2 * 4 * 8)


IMAGE = torch.rand(2, 16, 8, 8)


@pytest.mark.parametrize("last", [False, True])
def test_the_memory_format_of_images_is_kept(last: bool) -> None:
    image = IMAGE.to(memory_format=torch.channels_last) if last else IMAGE
    (kernel,) = kernels(lambda x: F.avg_pool2d(x, 2), image)
    assert (kernel.family, kernel.dims["channels_last"]) == ("pool", float(last))


def test_one_pixel_is_channels_last_where_its_strides_say_so() -> None:
    pixel = torch.rand(2, 16, 1, 1)
    last = pixel.as_strided((2, 16, 1, 1), (16, 1, 16, 16))
    for image, stride in ((pixel, 1), (last, 16)):
        (kernel,) = kernels(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), image)
        assert kernel.dims["pixel_stride"] == stride


@pytest.mark.parametrize(
    ("mode", "channels", "last", "threads"),
    [
        ("bilinear", 16, False, 16 * 16),
        ("bilinear", 16, True, 2 * 16 * 16 * 16),
        ("bilinear", 15, True, 16 * 16),
        ("bicubic", 16, True, 16 * 16),
        ("nearest", 16, False, 2 * 16 * 16 * 16),
    ],
)
def test_most_interpolations_have_a_thread_for_a_pixel(mode: str, channels: int, last: bool, threads: int) -> None:
    image = torch.rand(2, channels, 8, 8)
    image = image.to(memory_format=torch.channels_last) if last else image
    (kernel,) = kernels(lambda x: F.interpolate(x, scale_factor=2, mode=mode), image)
    assert (kernel.dims["threads"], kernel.dims["pixel_stride"]) == (threads, channels if last else 1)


@pytest.mark.parametrize(
    ("mode", "shape", "size", "last", "microseconds"),
    [
        ("bilinear", (2, 147, 14, 14), 28, False, 61.3),
        ("bilinear", (12, 86, 14, 14), 28, False, 208.1),
        ("bilinear", (1, 512, 32, 32), 64, True, 21.3),
        ("bicubic", (1, 384, 14, 14), 18, True, 876.7),
        ("bicubic", (1, 768, 32, 32), 32, True, 1469.0),
        ("nearest", (4, 104, 32, 32), 64, False, 4.8),
    ],
)
def test_a_step_through_channels_takes_its_time(
    mode: str, shape: tuple[int, ...], size: int, last: bool, microseconds: float
) -> None:
    """As profiled on an H200."""
    image = torch.rand(shape).to(memory_format=torch.channels_last) if last else torch.rand(shape)
    (kernel,) = kernels(lambda x: F.interpolate(x, (size, size), mode=mode), image.half(), dtype="fp16")
    priced = price_kernels(load_calibration("h200"), "interpolate", "fp16", kernel.dims)
    assert float(priced.seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.25)


def test_an_image_of_the_size_that_is_asked_for_is_copied() -> None:
    (kernel,) = kernels(lambda x: F.interpolate(x, (8, 8), mode="bilinear"), IMAGE)
    assert kernel.family == "copy"
    (kernel,) = kernels(lambda x: F.interpolate(x, (9, 8), mode="bilinear"), IMAGE)
    assert (kernel.family, kernel.dims["taps"]) == ("interpolate", 4)


def test_a_bicubic_image_of_the_size_that_is_asked_for_is_copied_by_its_kernel() -> None:
    (kernel,) = kernels(lambda x: F.interpolate(x, (8, 8), mode="bicubic"), IMAGE)
    assert (kernel.family, kernel.dims["taps"], kernel.dims["threads"]) == ("interpolate", 1, 64)
    (kernel,) = kernels(lambda x: F.interpolate(x, (9, 8), mode="bicubic"), IMAGE)
    assert kernel.dims["taps"] == 16


def test_an_antialiased_image_and_a_sampled_one_are_known_as_such() -> None:
    (kernel,) = kernels(lambda x: F.interpolate(x, (4, 4), mode="bicubic", antialias=True), IMAGE)
    assert (kernel.dims["antialiased"], kernel.dims["taps"]) == (1, 16 * 4)
    (kernel,) = kernels(lambda x, g: F.grid_sample(x, g, align_corners=False), IMAGE, torch.rand(2, 4, 4, 2))
    assert kernel.dims["sampled"] == 1


def test_windows_are_unrolled_image_by_image() -> None:
    """Twelve images of 16 channels, 3 x 3 windows: twelve kernels, each writes 9 x 16 x 36 elements."""
    found = kernels(lambda x: F.unfold(x, 3), torch.rand(12, 16, 8, 8))
    assert [kernel.dims["elements"] for kernel in found] == [9 * 16 * 36] * 12


@pytest.mark.parametrize(("dim", "stride"), [(0, 32), (1, 8), (2, 1), (-1, 1)])
@pytest.mark.parametrize("function", [torch.softmax, torch.cumsum])
def test_neighbours_of_a_row_are_as_far_apart_as_the_dimensions_behind_it(
    function: Callable[..., Any], dim: int, stride: int
) -> None:
    (kernel,) = kernels(lambda x: function(x, dim), torch.rand(2, 4, 8))
    assert kernel.dims["stride"] == stride
    assert kernel.dims["rows"] * kernel.dims["cols"] == 64


def test_a_volume_is_convolved() -> None:
    """Tubes of 2 x 16 x 16 pixels of a video of 8 frames: 4 x 14 x 14 of them."""
    (kernel,) = kernels(
        lambda x, w: F.conv3d(x, w, stride=(2, 16, 16)), torch.rand(1, 3, 8, 224, 224), torch.rand(64, 3, 2, 16, 16)
    )
    assert kernel.family == "conv3d"
    assert {d: kernel.dims[d] for d in ("depth", "h", "t", "r", "stride_d", "stride_h")} == {
        **{"depth": 8, "h": 224, "t": 2, "r": 16, "stride_d": 2, "stride_h": 16}
    }


def test_a_volume_convolved_pixel_by_pixel_is_a_high_image() -> None:
    """16 volumes of 32 channels of 96 x 96 x 96 pixels took an H200 355 us, as profiled in a UNETR."""
    volume, weights = torch.rand(1, 32, 4, 8, 8), torch.rand(16, 32, 1, 1, 1)
    (kernel,) = kernels(F.conv3d, volume, weights)
    assert (kernel.family, kernel.dims["h"], kernel.dims["w"], kernel.dims["c_out"]) == ("conv", 32, 8, 16)
    for strided, stride in ((weights, 2), (torch.rand(16, 32, 3, 1, 1), 1)):
        (other,) = kernels(partial(F.conv3d, stride=stride), volume, strided)
        assert other.family == "conv3d"
    large = {**kernel.dims, "batch": 16, "h": 96 * 96, "w": 96}
    priced = price_kernels(load_calibration("h200"), "conv", "fp16", large)
    assert float(priced.seconds[0]) == pytest.approx(355e-6, rel=0.45)


def test_slices_with_gaps_between_them_are_read_as_slices() -> None:
    """Six of 1,024 numbers, one in six of a table, for 384 indices: 1.6 us on an H200, element by element 5.5; as many
    of a large table 2.3.
    """
    table, places = torch.rand(6, 6144).half()[:, :1024], ids(384, 6)
    (kernel,) = kernels(lambda x, i: x.index_select(0, i), table, places, dtype="fp16")
    assert "apart" not in kernel.dims
    priced = price_kernels(load_calibration("h200"), "gather", "fp16", kernel.dims)
    assert 1.2e-6 < float(priced.seconds[0]) < 2.3e-6
    (uneven,) = kernels(lambda x, i: x.index_select(0, i), torch.rand(6, 1027).half()[:, :1024], places, dtype="fp16")
    assert uneven.dims["apart"] == 1
    (columns,) = kernels(lambda x, i: x.index_select(0, i), table.t(), places, dtype="fp16")
    assert columns.dims["apart"] == 1


def test_a_transposed_convolution_says_what_it_makes() -> None:
    (kernel,) = kernels(
        lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2), torch.rand(1, 8, 7, 7), torch.rand(8, 3, 4, 4)
    )
    assert kernel.family == "conv_transposed"
    assert {d: kernel.dims[d] for d in ("c_in", "c_out", "h", "out_h", "groups")} == {
        **{"c_in": 8, "c_out": 6, "h": 7, "out_h": 16, "groups": 2}
    }


@pytest.mark.parametrize(
    ("window", "families"),
    [
        ((1, 1, 2), ["conv_transposed_in_turn"]),
        ((2, 1, 1), ["conv_transposed_in_turn"]),
        ((1, 2, 1), ["conv_transposed"]),
    ],
)
def test_channels_of_volumes_are_spread_one_after_another_but_by_columns(
    window: tuple[int, int, int], families: list[str]
) -> None:
    """As the inverse wavelets of Cosmos' video codec are."""
    spread = partial(F.conv_transpose3d, stride=window, groups=6)
    found = kernels(lambda x, w: spread(x, w), torch.rand(1, 6, 3, 8, 8), torch.rand(6, 1, *window))
    assert [kernel.family for kernel in found] == families
    biased = kernels(
        lambda x, w, b: spread(x, w, b), torch.rand(1, 6, 3, 8, 8), torch.rand(6, 1, *window), torch.rand(6)
    )
    assert len(biased) == (2 if families[0] == "conv_transposed_in_turn" else 1)


HALF, SINGLE = torch.rand(64, 128).half(), torch.rand(64, 128)


@pytest.mark.parametrize(
    ("function", "tensors", "converts", "contiguous"),
    [
        (torch.mul, (HALF, HALF), 0, 1),
        (lambda x: x.float() * HALF[0], (HALF,), 1, 0),
        (lambda x: x.float(), (HALF,), 1, 1),
        (lambda x: x.float().half(), (HALF,), 0, 1),
        (lambda x: x.int(), (HALF,), 1, 1),
        (lambda x: x * torch.ones((), dtype=x.dtype, device=x.device), (HALF,), 0, 0),
    ],
    ids=["one dtype", "a weight in half", "from half", "to half", "to integers", "a factor in a tensor"],
)
def test_kernels_that_convert_are_told_apart(
    function: Callable[..., Any], tensors: tuple[torch.Tensor, ...], converts: int, contiguous: int
) -> None:
    *_, kernel = kernels(function, *tensors, dtype="fp16")
    assert (kernel.dims["converts"], kernel.dims["contiguous"]) == (converts, contiguous)


def test_a_masked_fill_out_of_place_is_a_copy_and_a_fill() -> None:
    mask = torch.rand(2, 16, 8, 8) > 0.5
    assert [k.family for k in kernels(lambda x, m: x.masked_fill(m, 0.0), IMAGE, mask)] == ["copy", "pointwise"]
    assert [k.family for k in kernels(lambda x, m: x.masked_fill_(m, 0.0), IMAGE, mask)] == ["pointwise"]


def test_rearranged_channels_are_read_as_they_lie() -> None:
    runs = {
        "pixel_shuffle": (kernels(lambda x: F.pixel_shuffle(x, 2), IMAGE), 8, 0),
        "channel_shuffle": (kernels(lambda x: F.channel_shuffle(x, 4), IMAGE), 64, 0),
        "transposed": (kernels(lambda x: x.permute(0, 2, 3, 1).contiguous(), IMAGE), 1, 1),
        "rolled": (kernels(lambda x: x.roll(1, 2), IMAGE), 1, 0),
    }
    for (kernel,), run, transposed in runs.values():
        assert (kernel.family, kernel.dims["run"], kernel.dims["transposed"]) == ("copy", run, transposed)


def test_what_is_found_element_by_element_is_no_slice() -> None:
    x, first, second = torch.rand(8, 64, 32), ids(5, 8), ids(5, 64)

    def read(function: Callable[..., Any], *places: torch.Tensor) -> tuple[float, ...]:
        (kernel,) = kernels(function, x, *places)
        return tuple(kernel.dims.get(name, 0) for name in ("rows", "cols", "apart"))

    assert read(lambda x, i: x[i], first) == (5, 64 * 32, 0)
    assert read(lambda x, i: x.index_select(0, i), first) == (5, 64 * 32, 0)
    assert read(lambda x, i, j: x[i, j], first, second) == (5, 32, 1)
    assert read(lambda x, i: x[:, i], second) == (8 * 5, 32, 1)
    assert read(lambda x, i: x.index_select(1, i), second) == (5, 8 * 32, 1)
    (tokens,) = kernels(lambda x, i: x.gather(1, i[..., None].expand(-1, -1, 32)), x, ids(8, 64).repeat(8, 1)[:, :7])
    assert (tokens.dims["rows"], tokens.dims["run"]) == (8 * 7 * 32, 32)


def test_images_with_channels_last_are_joined_in_the_order_of_their_memory() -> None:
    image = torch.rand(2, 16, 8, 8).half().to(memory_format=torch.channels_last)
    (last,) = kernels(lambda x: torch.cat((x, x), 1), image, dtype="fp16")
    assert (last.dims["contiguous"], last.dims["run"], last.dims["alignment"]) == (1, 16, 2)
    (mixed,) = kernels(lambda x: torch.cat((x, x.contiguous()), 1), image, dtype="fp16")[1:]
    assert (mixed.dims["contiguous"], mixed.dims["largest"]) == (0, image.numel())


def test_operands_without_rows_or_columns_side_by_side_are_copied_before_a_product() -> None:
    x, y = torch.rand(2, 16, 8, 4), torch.rand(2, 16, 8, 4)
    last = kernels(lambda x, y: torch.einsum("bikc,bjkc->bijc", x, y), x[:1], y[:1])
    assert [k.family for k in last] == ["copy", "copy", "gemm"]
    rows = kernels(lambda x, y: torch.einsum("bihd,bjhd->bhij", x, y), x[:1], y[:1])
    assert [k.family for k in rows] == ["gemm"]


def test_few_are_compared_with_each() -> None:
    x = ids(1000, 50)
    assert [k.family for k in kernels(lambda x, y: torch.isin(x, y), x, ids(16, 16))][-4:] == [
        *("fill", "pointwise", "reduce", "copy"),
    ]
    assert "sort" in [k.family for k in kernels(lambda x, y: torch.isin(x, y), x, ids(500, 500))]


def test_kernels_of_determinants_beside_the_decomposition() -> None:
    """As profiled on an H200, where a decomposition is three: 12 kernels and 16."""
    x = torch.rand(8, 3, 3)
    assert len(kernels(torch.linalg.det, x)) == 12 - 3 + 1
    assert len(kernels(lambda x: torch.linalg.slogdet(x)[1], x)) == 16 - 3 + 1


def test_one_draw_by_weights_is_14_kernels() -> None:
    """As profiled on an H200."""
    assert len(kernels(lambda x: torch.multinomial(x, 1), torch.rand(64, 6))) == 14


def test_narrow_matrices_are_decomposed_one_after_another() -> None:
    (one,), (many,) = (kernels(lambda x: torch.linalg.qr(x)[0], torch.rand(n, 4, 4)) for n in (1, 64))
    assert many.dims["steps"] == pytest.approx(64 * one.dims["steps"])


def test_a_window_for_all_channels_is_copied() -> None:
    image, window = torch.rand(1, 8, 9, 9), torch.rand(3, 3)
    blurred = kernels(lambda x, w: F.conv2d(x, w.expand(8, 1, 3, 3), groups=8), image, window)
    assert [k.family for k in blurred] == ["copy", "conv_depthwise"]
    assert blurred[0].dims["elements"] == 72


def test_a_complex_product_is_four_of_real_numbers() -> None:
    x = torch.rand(4, 8, 8, 2)
    (real,) = kernels(lambda x: x[..., 0] @ x[..., 1], x)[-1:]
    (product,) = kernels(lambda x: torch.view_as_complex(x) @ torch.view_as_complex(x), x)
    assert (
        product.dims["m"] * product.dims["n"] * product.dims["k"]
        == 4 * real.dims["m"] * real.dims["n"] * real.dims["k"]
    )


def test_a_transposed_volume_is_a_transposed_image_of_its_planes() -> None:
    x, w = torch.rand(1, 4, 3, 5, 5), torch.rand(4, 2, 2, 2, 2)
    (kernel,) = kernels(lambda x, w: F.conv_transpose3d(x, w, stride=2), x, w)
    assert kernel.family == "conv_transposed"
    assert {name: kernel.dims[name] for name in ("h", "w", "r", "s", "out_h", "out_w")} == {
        **{"h": 15, "w": 5, "r": 4, "s": 2},
        **{"out_h": 60, "out_w": 10},
    }
    for stride, padding, output_padding, window in ((1, 0, 0, 3), (2, 1, 1, 3), (2, 1, 0, 4), (3, 0, 0, 2)):
        w = torch.rand(4, 2, *[window] * 3)
        (kernel,) = kernels(
            lambda x, w, s=stride, p=padding, o=output_padding: F.conv_transpose3d(x, w, None, s, p, o), x, w
        )
        FAMILIES["conv_transposed"].check(kernel.dims)


def walked(function: Callable[..., Any], *shape: int) -> tuple[float, ...]:
    """Dimensions that a copy goes along, lines of a warp, elements until they are read again."""
    (kernel,) = kernels(function, torch.rand(shape).half(), dtype="fp16")
    assert kernel.family == "copy"
    return tuple(kernel.dims.get(name, 0) for name in ("axes", "lines", "reuse"))


def test_a_copy_goes_along_the_dimensions_that_are_no_neighbours() -> None:
    assert walked(lambda x: x.clone(), 8, 64, 256) == (0, 0, 0)
    assert walked(lambda x: x[:, :32].contiguous(), 8, 64, 256) == (2, 1, 1)
    assert walked(lambda x: x.expand(64, -1, -1).contiguous(), 1, 64, 256)[:2] == (2, 1)
    assert walked(lambda x: x.view(8, 64, 4, 64).transpose(1, 2).contiguous(), 8, 64, 256) == (4, 1, 1)
    assert walked(lambda x: x.mT.contiguous(), 8, 64, 256) == (3, 32, 64)
    assert walked(lambda x: x.permute(2, 1, 0).contiguous(), 64, 256, 128) == (3, 32, 64 * 256)
    assert walked(lambda x: x[:, ::2, ::2].contiguous(), 8, 64, 256) == (2, 1, 1)
    assert walked(lambda x: x.mT.contiguous(), 8, 256, 16) == (3, 8, 256)  # 32 bytes apart: four threads share a line


def test_a_flip_is_a_copy_that_reads_backwards() -> None:
    assert walked(lambda x: x.flip(-1), 8, 64, 256)[:2] == (2, 1)
    assert walked(lambda x: x.flip(1), 8, 64, 256)[:2] == (3, 1)
    assert walked(lambda x: x.rot90(1, (1, 2)), 8, 64, 256) == walked(lambda x: x.flip(2), 8, 64, 256)
    assert walked(lambda x: x.rot90(2, (1, 2)), 8, 64, 256) == walked(lambda x: x.flip((1, 2)), 8, 64, 256)


def test_pads_copy_what_is_kept() -> None:
    assert named(lambda x: F.pad(x, (0, 0, 1, -1)), X) == [("fill", 1600), ("copy", 1584)]
    assert named(lambda x: F.pad(x, (-1, -1)), X) == [("copy", 1400)]
    turned = torch.rand(2, 8, 8, 6).permute(0, 3, 1, 2)
    (kept,) = kernels(lambda x: F.pad(x, (0, 0, 0, 0)), turned)  # a clone, in the order of what it copies
    assert (kept.dims["run"], kept.dims["transposed"]) == (768, 0)
    for dims in (1, 2, 3):
        x = torch.rand(2, 3, *[8] * dims)
        (ends,) = kernels(lambda x, dims=dims: F.pad(x, (1, 1) * dims, "replicate"), x)
        assert (ends.family, ends.dims["divisions"]) == ("copy", dims)


def test_windows_are_unrolled_pixel_by_pixel_and_folded_by_divisions() -> None:
    image = torch.rand(1, 3, 16, 16)
    (unrolled,) = kernels(lambda x: F.unfold(x, 4, stride=4), image)
    assert (unrolled.dims["elements"], unrolled.dims["steps"]) == (768, 16)
    windows = torch.rand(1, 48, 16)
    (folded,) = kernels(lambda x: F.fold(x, (16, 16), 4, stride=4), windows)
    assert (folded.dims["elements"], folded.dims["divisions"]) == (768, 12)


@pytest.mark.parametrize(("widths", "alignment"), [((64, 64), 16), ((64, 63), 2), ((4, 8), 8)])
def test_words_that_joined_tensors_are_read_in(widths: tuple[int, int], alignment: int) -> None:
    parts = [torch.rand(3, width).half() for width in widths]
    (kernel,) = kernels(lambda *x: torch.cat(x, 1), *parts, dtype="fp16")
    assert kernel.dims["alignment"] == alignment


@pytest.mark.parametrize("gpu", ["h100", "h200"])
def test_few_rows_are_selected_one_after_another(gpu: str) -> None:
    """As profiled on an H200: 10.8 us for 16 rows of an embedding, 1.9 us for 20; in brackets 1.3 us for 16."""
    table = torch.rand(1000, 256)
    priced = []
    for rows, read in ((16, F.embedding), (20, F.embedding), (16, lambda i, t: t[i])):
        (kernel,) = kernels(lambda t, i, read=read: read(i, t), table, torch.arange(rows))
        priced.append(float(price_kernels(load_calibration(gpu), "gather", "fp32", kernel.dims).seconds[0]) * 1e6)
    assert priced == [pytest.approx(10.8, rel=0.2), pytest.approx(1.9, rel=0.3), pytest.approx(1.6, rel=0.4)]


def test_transforms_back_to_real_numbers_see_half() -> None:
    grid = torch.rand(2, 32, 64, 64)
    there, last = kernels(lambda x: torch.fft.rfft2(x), grid)
    assert {there.dims["rows"], last.dims["rows"]} == {2 * 32 * 33, 2 * 32 * 64}
    *_, back = kernels(lambda x: torch.fft.irfft2(torch.fft.rfft2(x)), grid)
    assert back.dims["back"] == 1


def named(function: Callable[..., Any], *tensors: torch.Tensor, dtype: str = "fp16") -> list[tuple[str, float]]:
    """Family and size of each kernel of a function."""
    return [(k.family, k.dims.get("elements", k.dims.get("rows", 0))) for k in kernels(function, *tensors, dtype=dtype)]


def test_tensors_of_many_dimensions_or_dtypes_are_copied_one_by_one() -> None:
    x, wide = torch.rand(1, 2, 3, 4), torch.rand(1, 2, 3, 4, 2)
    for join in (lambda x, w: torch.stack((x, x), -1), lambda x, w: torch.cat((w[..., :1], w[..., 1:]), -1)):
        copies = kernels(join, x, wide, dtype="fp16")
        assert [(k.family, k.dims["elements"], k.dims["run"]) for k in copies] == [("copy", 24, 1)] * 2
    assert named(lambda x, w: torch.stack((x, x), 1), x, wide) == [("cat", 48)]  # joined, then split by a view
    mixed = kernels(lambda x: torch.cat((x.float(), x)), x, dtype="fp16")
    assert [k.family for k in mixed] == ["pointwise", "copy", "pointwise"]


def test_a_cache_that_begins_empty_is_joined_by_strides() -> None:
    x = torch.rand(1, 4, 16, 64)

    def kernel(empty: tuple[int, ...]) -> Kernel:
        return kernels(lambda x: torch.cat((torch.empty(empty, dtype=x.dtype, device=x.device), x), -2), x)[-1]

    assert (kernel((0,)).dims["contiguous"], kernel((0,)).dims["inputs"]) == (0, 2)
    assert kernel((1, 4, 0, 64)).dims["contiguous"] == 1


def test_a_copy_is_as_scattered_as_what_it_writes() -> None:
    x, into = torch.rand(8, 16), torch.rand(8, 32)
    (half,) = kernels(lambda x, y: y[:, :16].copy_(x), x, into)
    (second,) = kernels(lambda x, y: y[:, ::2].copy_(x), x, into)
    assert [k.dims["run"] for k in (half, second)] == [16, 1]
    (last,) = kernels(lambda x: x.contiguous(memory_format=torch.channels_last), torch.rand(2, 64, 8, 8))
    assert (last.dims["run"], last.dims["transposed"]) == (1, 1)


@pytest.mark.parametrize(("times", "run"), [((1, 2), 16), ((3, 1), 128), ((2, 1, 1), 128)])
def test_what_is_repeated_is_read_in_runs_between_the_repeats(times: tuple[int, ...], run: int) -> None:
    (kernel,) = kernels(lambda x: x.repeat(times), torch.rand(8, 16))
    assert kernel.dims["run"] == run


def test_each_dimension_is_rolled_by_itself() -> None:
    assert named(lambda x: x.roll((1, 2), (0, 1)), X) == [("copy", 1600)] * 2
    assert named(lambda x: x.roll(1), X) == named(lambda x: x.roll(1, 1), X) == [("copy", 1600)]


def test_a_mean_of_what_meets_in_a_place_counts_it() -> None:
    def mean(x: torch.Tensor, messages: torch.Tensor, index: torch.Tensor, **how: Any) -> torch.Tensor:
        return x.scatter_reduce(0, index[:, None].expand_as(messages), messages, **how)

    def families(**how: Any) -> list[str]:
        return [k.family for k in kernels(lambda *tensors: mean(*tensors, **how), X, MESSAGES, EDGES)]

    assert families(reduce="sum") == ["copy", "copy", "gather"]
    assert families(reduce="amax", include_self=False) == ["copy", "copy", "gather", "exchange"]
    count = ["fill", "fill", "gather", "pointwise", "pointwise", "pointwise"]
    assert families(reduce="mean", include_self=False) == ["copy", "copy", "gather", "gather", *count]


def test_one_of_a_row_of_zeros_is_set() -> None:
    assert named(lambda x: F.one_hot(x, 10), EDGES) == [("fill", 8000), ("gather", 800)]


def test_numbers_to_choose_from_are_put_on_the_device() -> None:
    program = eager.lower(capture(Function(lambda mask: torch.where(mask > 0, 0.0, -1e9)), (EDGES,), "fp16"))
    assert [k.family for k in program.calls[-1].kernels] == ["fill", "fill", "pointwise"]
    assert program.calls[-1].extra == ("scalar_tensor", "scalar_tensor")


def test_a_number_that_is_assigned_to_a_part_is_given_to_the_kernel() -> None:
    """Where a GPU's tensor is assigned to, torch makes the number on the host, by no operator."""

    def marked(x: torch.Tensor) -> torch.Tensor:
        x[10:20, 2:4] = 3
        x[:5] = 2.5
        x[5:5] = 1
        return x

    assert named(marked, X) == [("fill", 20), ("fill", 80)]
    calls = [call.op for call in capture(Function(marked), (X,), "fp16").calls]
    assert calls == ["slice", "slice", "fill_", "slice", "fill_", "slice", "fill_"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_sequences_that_are_padded_are_copied_into_place(batch_first: bool, side: str) -> None:
    made = named(lambda x, y: torch.nn.utils.rnn.pad_sequence([x, y], batch_first, 0.0, side), X, X[:60])
    assert made == [("fill", 3200), ("copy", 1600), ("copy", 960)]


def test_an_image_of_one_row_is_no_sequence_to_a_convolution_by_points() -> None:
    """A sequence of channels last is copied before it; an image lies as it is wanted. Measured on an H200: 6.8 us."""
    words, window = torch.rand(1, 77, 512), torch.rand(2048, 512, 1, 1)
    (kernel,) = kernels(
        lambda x, w, b: F.conv2d(x.transpose(1, 2).unsqueeze(2), w, b), words, window, torch.rand(2048), dtype="fp16"
    )
    assert [kernel.dims[name] for name in ("h", "w", "channels_last")] == [77, 1, 1]
    (sequence,) = kernels(
        lambda x, w, b: F.conv1d(x.transpose(1, 2), w, b), words, window[..., 0], torch.rand(2048), dtype="fp16"
    )
    assert (sequence.dims["h"], sequence.dims["w"]) == (1, 77)
    priced = price_kernels(load_calibration("h200"), "conv", "fp16", kernel.dims)
    assert float(priced.seconds[0]) == pytest.approx(6.8e-6, rel=0.3)


def test_a_triangle_is_read_and_written() -> None:
    for triangle in (torch.tril, torch.triu):
        (kernel,) = kernels(triangle, X, dtype="fp16")
        assert (kernel.dims["bytes_read"], kernel.dims["bytes_written"]) == (3200, 3200)


def test_a_reduction_that_tells_places_is_known_as_such() -> None:
    indexed = [
        kernels(find, X)[0].dims.get("indexed", 0)
        for find in (torch.argmax, lambda x: x.max(1), lambda x: x.min(0), torch.amax, torch.max)
    ]
    assert indexed == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(("base", "dtype"), [(10_000, "int64"), (10_000.0, "fp64")])
def test_a_number_is_raised_in_the_widest_dtype_of_its_kind(base: float, dtype: str) -> None:
    number, power = kernels(lambda x: base**x, X, dtype="fp16")
    assert (number.family, number.dtype, number.dims["bytes_written"]) == ("fill", dtype, 8)
    assert (power.dims["converts"], power.dims["contiguous"], power.dims["inputs"]) == (1, 0, 1)


@pytest.mark.parametrize(("batch", "copied"), [(1, []), (2, ["copy"])])
def test_one_matrix_across_the_memory_is_multiplied_as_it_lies(batch: int, copied: list[str]) -> None:
    weight, bias = torch.rand(8, 49), torch.rand(8)
    made = kernels(lambda x: F.linear(x.transpose(1, 2), weight, bias), torch.rand(batch, 49, 16))
    assert [kernel.family for kernel in made] == [*copied, "gemm", "pointwise"]


@pytest.mark.parametrize(
    ("widths", "rows", "lines", "microseconds"),
    [
        ((20, 20, 20), 13824, 6, 4.5),  # 128 elements of a warp lie in 6.4 rows of 120 bytes
        ((20, 20, 20), 221184, 6, 73.3),
        ((20, 80, 80, 80), 102400, 3.94, 102.0),
        ((1, 1), 6291456, 4, 37.2),
        ((1,) * 8, 246564, 16, 23.1),
        ((2766, 2766), 3807, 2.05, 36.5),
    ],
)
def test_joined_elements_take_the_lines_that_they_are_written_to(
    widths: tuple[int, ...], rows: int, lines: float, microseconds: float
) -> None:
    """As an H200 ran them: parts of messages, scaled means, thresholds, numbers beside each other, long rows."""
    parts = [torch.zeros(rows, width).half() for width in widths]
    (kernel,) = kernels(lambda *tensors: torch.cat(tensors, -1), *parts, dtype="fp16")
    assert kernel.dims["lines"] == pytest.approx(lines, rel=0.01)
    priced = price_kernels(load_calibration("h200"), kernel.family, kernel.dtype, dict(kernel.dims))
    assert float(priced.seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.35)


def test_what_is_joined_in_vectors_is_written_in_order() -> None:
    joined = [kernels(lambda *t: torch.cat(t, -1), *(torch.zeros(8, n).half(),) * 3, dtype="fp16") for n in (24, 20)]
    assert [["lines" in kernel.dims for kernel in found] for found in joined] == [[False], [True]]


@pytest.mark.parametrize(
    ("mode", "shape", "factor", "microseconds"),
    [
        ("trilinear", (1, 1, 48, 64, 128), 4, 519.3),  # of a model of stereo volumes
        ("bilinear", (8, 64, 64, 64), 2, 118.2),
        ("bicubic", (8, 64, 64, 64), 2, 283.0),
        ("nearest", (8, 64, 64, 64), 2, 17.0),
        ("nearest", (1, 32, 16, 32, 32), 2, 54.0),
    ],
)
def test_interpolated_pixels_take_what_their_threads_do(
    mode: str, shape: tuple[int, ...], factor: int, microseconds: float
) -> None:
    """As an H200 ran them."""
    *_, kernel = kernels(lambda x: F.interpolate(x, scale_factor=factor, mode=mode), torch.zeros(shape), dtype="fp16")
    priced = price_kernels(load_calibration("h200"), kernel.family, kernel.dtype, dict(kernel.dims))
    assert float(priced.seconds[0]) == pytest.approx(microseconds * 1e-6, rel=0.2)


def test_a_transposed_tensor_is_read_line_by_line() -> None:
    """As an H200 ran the sums of a model of the weather: 3.1 million elements in 21 us; in order they take 5."""
    image, last = torch.zeros(1, 768, 54, 75).half(), torch.zeros(1, 54, 75, 768).half()
    (apart,) = kernels(lambda x, y: x + y.permute(0, 3, 1, 2), image, last, dtype="fp16")
    (beside,) = kernels(lambda x, y: x + y, image, image, dtype="fp16")
    assert (apart.dims["work"], beside.dims["work"]) == (193, 0)  # of 32 lines and of a half
    priced = [
        float(price_kernels(load_calibration("h200"), k.family, k.dtype, dict(k.dims)).seconds[0])
        for k in (apart, beside)
    ]
    assert priced == pytest.approx([21e-6, 5e-6], rel=0.3)


def test_a_transposed_convolution_of_single_pixels_is_one() -> None:
    def family(window: int, **how: int) -> str:
        weight = torch.zeros(64, 128, window, window)
        (kernel,) = kernels(lambda x, w: F.conv_transpose2d(x, w, **how), torch.zeros(1, 64, 8, 8), weight)
        assert kernel.dims["c_out"] == 128
        return kernel.family

    assert family(1) == "conv"
    assert family(1, stride=2) == family(2) == family(1, padding=1) == "conv_transposed"


def test_blocks_that_pool_planes_of_a_pixel_keep_their_room() -> None:
    """As an H200 took the means over channels of a local response norm of 4,096 patches."""
    x = torch.empty(4096, 1, 128 + 255, 1, 1, device="meta")
    (kernel,) = kernels(partial(F.avg_pool3d, kernel_size=(256, 1, 1), stride=1), x)
    priced = price_kernels(load_calibration("h200"), "pool", "fp32", kernel.dims)
    assert float(priced.seconds[0]) == pytest.approx(10_205e-6, rel=0.25)


def test_few_steps_of_such_blocks_cost_little() -> None:
    """1,536 maxima of nine pixels, in planes of one row, took 4.5 us in the sweep of an H200."""
    dims = {"elements": 1536.0, "bytes_read": 49_152.0, "bytes_written": 3072.0, "window": 9.0, "maximum": 1.0}
    dims |= {"volume": 1.0, "warps": 1536.0, "blocks": 1536.0}
    priced = price_kernels(load_calibration("h200"), "pool", "fp16", dims)
    assert float(priced.seconds[0]) == pytest.approx(4.5e-6, rel=0.25)
