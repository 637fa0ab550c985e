"""The operator table: aten operator -> what it costs on the host, and which kernels it puts on the device.

One row per operator. A row's ``lower`` turns a captured call into kernels of ``families.py``. An operator without a row
is, in this order: split into its parts if it is composite; a pointwise or view operator if torch says so; unmodelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from predictor.ops import matrix, memory
from predictor.records import Kernel, OpCall

Lower = Callable[[OpCall], tuple[Kernel, ...]]


@dataclass(frozen=True, slots=True)
class OpKind:
    """A row. name: aten operator; trait: how it behaves; lower: captured call -> kernels."""

    name: str
    trait: str
    lower: Lower


def _nothing(call: OpCall) -> tuple[Kernel, ...]:
    return ()


def _rows_of_table() -> tuple[OpKind, ...]:
    def kind(names: str, trait: str, lower: Lower) -> list[OpKind]:
        return [OpKind(n, trait, lower) for n in names.split()]

    return (
        *kind("linear", "gemm", matrix.linear),
        *kind("mm addmm", "gemm", matrix.mm),
        *kind("mv", "gemm", matrix.mv),
        *kind("bmm baddbmm", "gemm", matrix.bmm),
        *kind("conv1d conv2d conv3d convolution _convolution", "conv", matrix.conv),
        *kind("scaled_dot_product_attention", "attention", matrix.attention),
        *kind("lstm gru rnn_tanh rnn_relu", "rnn", matrix.rnn),
        *kind("softmax log_softmax _softmax _log_softmax", "reduction", memory.softmax),
        *kind("_safe_softmax", "reduction", memory.safe_softmax),
        *kind("layer_norm native_layer_norm rms_norm", "reduction", memory.layer_norm),
        *kind("_weight_norm_interface", "reduction", memory.weight_norm),
        *kind("batch_norm native_batch_norm", "reduction", memory.batch_norm),
        *kind("group_norm native_group_norm", "reduction", memory.group_norm),
        *kind(
            "mean sum amax amin max min argmax argmin any all prod var std norm var_mean", "reduction", memory.reduce
        ),
        *kind("linalg_vector_norm", "reduction", memory.reduce),
        *kind("embedding index_select gather index take_along_dim index_put_", "gather", memory.gather),
        *kind("clone _to_copy copy_ repeat roll flip", "copy", memory.copy),
        *kind("cat stack", "copy", memory.cat),
        *kind("constant_pad_nd", "copy", memory.pad),
        *kind(
            "zeros ones full arange fill_ zero_ new_ones new_zeros new_full zeros_like ones_like", "fill", memory.fill
        ),
        *kind("full_like scalar_tensor tril triu linspace rand randn bernoulli", "fill", memory.fill),
        *kind("max_pool2d max_pool1d avg_pool2d avg_pool1d", "pool", memory.pool),
        *kind("adaptive_avg_pool2d adaptive_avg_pool1d adaptive_max_pool2d", "pool", memory.pool),
        *kind("_adaptive_avg_pool2d max_pool2d_with_indices", "pool", memory.pool),
        *kind("upsample_nearest1d upsample_nearest2d upsample_nearest3d", "pool", memory.interpolate),
        *kind("_upsample_nearest_exact1d _upsample_nearest_exact2d", "pool", memory.interpolate),
        *kind("upsample_linear1d upsample_bilinear2d upsample_trilinear3d", "pool", memory.interpolate),
        *kind("upsample_bicubic2d grid_sampler_2d", "pool", memory.interpolate),
        *kind("_upsample_bilinear2d_aa _upsample_bicubic2d_aa", "pool", memory.interpolate),
        *kind("cumsum cumprod cummax cummin logcumsumexp", "scan", memory.scan),
        *kind("_fft_c2c _fft_r2c _fft_c2r", "fft", memory.fft),
        *kind("sort topk kthvalue median", "sort", memory.sort),
        *kind("logsumexp", "reduction", memory.logsumexp),
        *kind("scatter scatter_ scatter_add scatter_add_ scatter_reduce", "gather", memory.scatter),
        *kind("index_add index_add_ index_copy index_copy_", "gather", memory.scatter),
        *kind("reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d", "copy", memory.rearranged),
        *kind("im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle", "copy", memory.rearranged),
        *kind("bucketize searchsorted", "pointwise", memory.pointwise),
        *kind("_assert_async", "fill", memory.check),
        *kind("empty empty_like new_empty empty_strided new_empty_strided", "view", _nothing),
        *kind("lift_fresh detach detach_ dropout dropout_ feature_dropout alpha_dropout alias", "view", _nothing),
        *kind(
            "view transpose permute expand slice select unsqueeze squeeze split split_with_sizes chunk",
            "view",
            _nothing,
        ),
        *kind("unbind t as_strided unfold _unsafe_view size stride numel", "view", _nothing),
        *kind("_local_scalar_dense item is_nonzero equal", "sync", memory.between_host_and_device),
        OpKind("to device", "sync", memory.between_host_and_device),
        *kind("pow", "pointwise", memory.power),
        *kind("pointwise hardswish hardswish_ hardsigmoid mish prelu glu", "pointwise", memory.pointwise),
    )


OPS: dict[str, OpKind] = {}
"""aten operator -> row."""
for _row in _rows_of_table():
    if _row.name in OPS:
        raise ValueError(f"two rows for {_row.name}")
    OPS[_row.name] = _row

UNMODELLED = OpKind("unmodelled", "unmodelled", _nothing)
"""What an operator gets that nothing in the table stands for: counted, shown, priced as its host call alone."""

WRAPPERS = frozenset(["reshape", "contiguous", "to", "type_as", "flatten"])
"""Composite operators that are a cheap check around parts that they may or may not run."""


def kind_of(op: str, pointwise: bool = False, view: bool = False) -> OpKind:
    """The row of an operator: its own; else what torch says of it (its tag "pointwise", its view schema); else none.

    ``min``, ``max`` and the like are reductions by name and pointwise by overload: torch's tag decides.
    """
    row = OPS.get(op)
    if row is not None and not (pointwise and row.trait == "reduction"):
        return row
    if pointwise:
        return OPS["pointwise"]
    return OPS["view"] if view else UNMODELLED
