"""Capture: the bytes that operators move, and operators that nobody knows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from predictor.capture.recorder import capture
from predictor.records import Kernel
from predictor.runtimes.eager import lowering as eager
from tests.helpers import of, only

# bytes, by hand


def test_an_addition_reads_both_operands_and_writes_the_result() -> None:
    call = only(of(torch.add, torch.empty(4, 8), torch.empty(8)))
    assert (call.bytes_read, call.bytes_written) == (4 * 32 + 4 * 8, 4 * 32)


def test_an_expanded_operand_is_read_once() -> None:
    call = only(of(torch.add, torch.empty(4, 8), torch.empty(1, 8).expand(4, 8)))
    assert call.bytes_read == 4 * 32 + 4 * 8


def test_half_precision_moves_half_the_bytes() -> None:
    call = only(of(torch.add, torch.empty(4, 8), torch.empty(4, 8), dtype="fp16"))
    assert (call.bytes_read, call.bytes_written) == (2 * 64, 2 * 32)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.view(-1),
        lambda x: x.transpose(0, 1),
        lambda x: x[1:],
        lambda x: x.unsqueeze(0),
        lambda x: x.expand(2, 4, 8),
    ],
    ids=["view", "transpose", "slice", "unsqueeze", "expand"],
)
def test_a_view_moves_nothing_and_launches_nothing(view: Callable[[torch.Tensor], torch.Tensor]) -> None:
    graph = of(view, torch.empty(4, 8))
    assert all((c.bytes_read, c.bytes_written, c.trait) == (0, 0, "view") for c in graph.calls)
    assert not any(call.kernels for call in eager.lower(graph).calls)


def test_an_embedding_reads_only_the_rows_that_it_looks_up() -> None:
    """Five rows of 16 half-precision numbers out of a table of a thousand."""
    call = only(capture(nn.Embedding(1000, 16), torch.tensor([1, 2, 3, 4, 5]), "fp16"))
    assert (call.bytes_read, call.bytes_written) == (160, 160)


def test_a_linear_layer_reads_activations_weights_and_bias() -> None:
    call = only(capture(nn.Linear(8, 4), torch.empty(2, 8)))
    assert (call.bytes_read, call.bytes_written) == (4 * (2 * 8 + 4 * 8 + 4), 4 * 2 * 4)


def test_a_composite_operator_moves_what_its_parts_move() -> None:
    """A product of transposed heads: the copies that it makes count."""
    graph = of(torch.matmul, torch.empty(2, 3, 4, 5), torch.empty(2, 3, 5, 6))
    call = only(graph)
    assert call.parts
    assert call.bytes_read == sum(part.bytes_read for part in call.parts)
    assert call.macs == 2 * 3 * 4 * 5 * 6


# operators that nobody knows


def test_an_unknown_operator_is_counted_and_shown() -> None:
    program = eager.lower(of(lambda x: torch.pdist(torch.pdist(x)[:, None]), torch.empty(4, 8)))
    assert program.unmodelled == {"_pdist_forward": 2}


def test_unknown_operators_do_not_hide_known_ones() -> None:
    program = eager.lower(of(lambda x: torch.pdist(x) + torch.erfinv(x[:, :6]).sum(), torch.empty(4, 8)))
    assert program.unmodelled == {"_pdist_forward": 1}
    families = [kernel.family for call in program.calls for kernel in call.kernels]
    assert families == ["unmodelled", "pointwise", "reduce", "pointwise"]


def test_an_unknown_operator_reads_its_inputs_and_writes_its_outputs() -> None:
    """Four points in eight dimensions have six distances."""
    graph = of(torch.pdist, torch.empty(4, 8), dtype="fp16")
    assert (only(graph).bytes_read, only(graph).bytes_written) == (2 * 32, 2 * 6)
    (call,) = eager.lower(graph).calls
    assert call.kernels == (Kernel("unmodelled", "fp16", {"elements": 32, "bytes_read": 64, "bytes_written": 12}),)


def test_an_operator_of_a_library_of_its_own_is_unmodelled() -> None:
    with torch.library._scoped_library("capture_test", "DEF") as library:
        library.define("twist(Tensor x) -> Tensor")
        library.impl("twist", lambda x: torch.empty_like(x), "Meta")
        program = eager.lower(of(lambda x: torch.ops.capture_test.twist(x) + x, torch.empty(4)))
    assert sum(program.unmodelled.values()) == 1
    assert "twist" in next(iter(program.unmodelled))
