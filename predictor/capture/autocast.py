"""What ``torch.autocast("cuda")`` does to operators, around the whole pass or where a model's own code asks for it.

Tensors on the meta device know no autocast, and a dispatch mode runs below it: so the recorder casts what autocast
would cast on a GPU. Which operators it casts is torch's list: aten/src/ATen/autocast_mode.h and autocast_mode.cpp of
torch 2.11, in its documentation "CUDA Op-Specific Behavior". Nothing inside of a listed operator is cast again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import torch
from torch.amp.autocast_mode import autocast
from torch.utils._pytree import tree_map_only

from predictor.capture.calls import bind, tensors_in
from predictor.capture.capture_mode import ON_HOST

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class Policy(StrEnum):
    """What autocast does to an operator's arguments.

    LOWER: casts them to its dtype, weights once a pass; REFLATTENED: the same, weights at every call, into one buffer;
    FP32: casts them to single precision; FP32_RESULT: asks for a result in single precision; PROMOTE: casts them to the
    widest among them; BANNED: raises.
    """

    LOWER = "lower"
    REFLATTENED = "reflattened"
    FP32 = "fp32"
    FP32_RESULT = "fp32_result"
    PROMOTE = "promote"
    BANNED = "banned"


_LISTS: dict[Policy, tuple[str, ...]] = {
    Policy.LOWER: (
        *("_convolution", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d"),
        *("conv_transpose3d", "convolution", "cudnn_convolution", "cudnn_convolution_transpose", "prelu"),
        *("addmm", "addmv", "addr", "matmul", "einsum", "mm", "mv", "linalg_vecdot", "linear", "addbmm", "baddbmm"),
        *("bmm", "chain_matmul", "linalg_multi_dot", "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell", "lstm_cell"),
        *("gru_cell", "rnn_tanh_cell", "rnn_relu_cell", "_scaled_dot_product_flash_attention"),
        "scaled_dot_product_attention",
    ),
    Policy.REFLATTENED: ("lstm", "gru", "rnn_tanh", "rnn_relu"),
    Policy.FP32: (
        *("acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt"),
        *(
            "sinh",
            "tan",
            "pow",
            "softplus",
            "layer_norm",
            "native_layer_norm",
            "rms_norm",
            "group_norm",
            "frobenius_norm",
        ),
        *("nuclear_norm", "cosine_similarity", "poisson_nll_loss", "cosine_embedding_loss", "nll_loss", "nll_loss2d"),
        *("hinge_embedding_loss", "kl_div", "l1_loss", "smooth_l1_loss", "huber_loss", "mse_loss"),
        *("margin_ranking_loss", "multilabel_margin_loss", "soft_margin_loss", "triplet_margin_loss"),
        *("multi_margin_loss", "binary_cross_entropy_with_logits", "dist", "pdist", "cdist", "renorm", "logsumexp"),
        *("upsample_nearest1d", "_upsample_nearest_exact1d", "upsample_nearest2d", "_upsample_nearest_exact2d"),
        *("upsample_nearest3d", "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d"),
        *("_upsample_bilinear2d_aa", "upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bicubic2d_aa"),
    ),
    Policy.FP32_RESULT: (
        *("prod", "softmax", "log_softmax", "cumprod", "cumsum", "linalg_vector_norm", "linalg_matrix_norm", "sum"),
        "norm",
    ),
    Policy.PROMOTE: (
        *("addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "vdot", "grid_sampler", "index_put"),
        *("tensordot", "scatter_add"),
    ),
    Policy.BANNED: ("binary_cross_entropy",),
}

POLICIES: dict[str, Policy] = {name: policy for policy, names in _LISTS.items() for name in names}
"""Operator -> what autocast does to its arguments; others take their arguments as they are, and torch promotes them."""


class Casts:
    """Autocast in one pass: whether it is on, its dtype, and its casts. A weight is cast once, until the outermost
    region ends.
    """

    def __init__(self) -> None:
        self.enabled, self.dtype = False, torch.float16
        self._cached: dict[tuple[int, torch.dtype], tuple[torch.Tensor, torch.Tensor]] = {}

    def policy_of(self, func: Any) -> Policy | None:
        """What autocast does to an operator now: nothing where it is off, nor to one that writes into its arguments."""
        if not self.enabled or func.namespace != "aten" or func._schema.is_mutable:
            return None
        return POLICIES.get(func._schema.name.removeprefix("aten::"))

    def forget(self) -> None:
        """As torch does at the end of the outermost region."""
        self._cached.clear()

    def arguments(self, policy: Policy, func: Any, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """(Operator, positional, keyword arguments) as autocast calls it; the casts run as operators. Raises
        RuntimeError for an operator that it forbids.
        """
        lower = self.dtype
        if policy is Policy.BANNED:
            name = func._schema.name.removeprefix("aten::")
            raise RuntimeError(f"{name} is not safe to autocast: use binary_cross_entropy_with_logits")
        if policy is Policy.FP32_RESULT:
            return _in_fp32(func, args, kwargs)
        dtype = lower
        if policy is Policy.FP32:
            dtype = torch.float32
        elif policy is Policy.PROMOTE:
            floating = [t for t in tensors_in(*bind(func, args, kwargs).values()) if is_cast(t)]
            dtype = torch.float32 if any(t.dtype == torch.float32 for t in floating) else lower

        def cast(tensor: torch.Tensor) -> torch.Tensor:
            return self._cast(tensor, dtype, keep=policy is Policy.LOWER)

        cast_args, cast_kwargs = tree_map_only(torch.Tensor, cast, (args, dict(kwargs)))
        return func, cast_args, cast_kwargs

    def _cast(self, tensor: torch.Tensor, dtype: torch.dtype, keep: bool) -> torch.Tensor:
        if not is_cast(tensor) or tensor.dtype == dtype:
            return tensor
        weight = keep and isinstance(tensor, torch.nn.Parameter) and tensor.dtype == torch.float32
        weight = weight and torch.is_autocast_cache_enabled()
        if weight and (id(tensor), dtype) in self._cached:
            return self._cached[id(tensor), dtype][1]
        result = tensor.to(dtype)
        if weight:
            self._cached[id(tensor), dtype] = tensor, result
        return result


def is_cast(tensor: torch.Tensor) -> bool:
    """Whether autocast looks at a tensor: on the device, in floating point, not in double precision."""
    return tensor.is_floating_point() and tensor.dtype != torch.float64 and not getattr(tensor, ON_HOST, False)


def _in_fp32(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """A call whose result is asked for in single precision, where the call does not say another dtype."""
    if not (args and isinstance(args[0], torch.Tensor) and is_cast(args[0])):
        return func, args, kwargs
    names = [argument.name for argument in func._schema.arguments]
    if "dtype" not in names:
        wider = _WITH_DTYPE.get(func)
        return (wider, args, {**kwargs, "dtype": torch.float32}) if wider is not None else (func, args, kwargs)
    place = names.index("dtype")
    if place < len(args):
        said = args[place] is not None
        return func, args if said else (*args[:place], torch.float32, *args[place + 1 :]), kwargs
    return func, args, kwargs if kwargs.get("dtype") is not None else {**kwargs, "dtype": torch.float32}


_norm = torch.ops.aten.norm
_WITH_DTYPE = {_norm.Scalar: _norm.ScalarOpt_dtype, _norm.ScalarOpt_dim: _norm.ScalarOpt_dim_dtype}
"""Overloads without a dtype, and those that autocast calls in their place."""


@contextmanager
def in_effect(dtype: str, casts: Casts) -> Iterator[None]:
    """Autocast around a pass, off where the dtype is empty. What a model's own code does with it holds, for the device
    that the model is told that it is on, too. Other threads see no difference.
    """
    captures = threading.get_ident()

    def here(device: Any) -> bool:
        return threading.get_ident() == captures and device in ("meta", "cuda")

    def asked(question: Callable[..., Any]) -> Callable[..., Any]:
        def answer(device: str = "cuda", *values: Any) -> Any:
            return question("cuda" if here(device) else device, *values)

        return answer

    def made(region: Any, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None) -> None:
        if not here(device_type):
            return init(region, device_type, dtype, enabled, cache_enabled)
        region.device, region.fast_dtype = "cuda", dtype or torch.get_autocast_dtype("cuda")
        region.custom_backend_name = torch._C._get_privateuse1_backend_name()
        region._cache_enabled = torch.is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        region._enabled = enabled and region.fast_dtype in DTYPES.values()
        return None

    def cleared() -> None:
        if threading.get_ident() == captures:
            casts.forget()
        clear()

    def enabling(device: Any, *enabled: bool) -> None:
        device, on = (device, enabled[0]) if enabled else ("cuda", device)
        if here(device):
            casts.enabled = on
        enable("cuda" if here(device) else device, on)

    def with_dtype(device: str, lower: torch.dtype) -> None:
        if here(device):
            casts.dtype = lower
        set_dtype("cuda" if here(device) else device, lower)

    init, clear = autocast.__init__, torch.clear_autocast_cache
    enable, set_dtype = torch.set_autocast_enabled, torch.set_autocast_dtype
    on_entry = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    replaced: tuple[tuple[Any, str, Any], ...] = (
        (autocast, "__init__", made),
        (torch, "clear_autocast_cache", cleared),
        (torch, "set_autocast_enabled", enabling),
        (torch, "set_autocast_dtype", with_dtype),
        (torch, "is_autocast_enabled", asked(torch.is_autocast_enabled)),
        (torch, "get_autocast_dtype", asked(torch.get_autocast_dtype)),
    )
    before = [(home, name, getattr(home, name)) for home, name, _ in replaced]
    for home, name, function in replaced:
        setattr(home, name, function)
    torch.set_autocast_enabled("cuda", bool(dtype))
    if dtype:
        torch.set_autocast_dtype("cuda", DTYPES[dtype])
        torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if dtype:
            torch.autocast_decrement_nesting()
        for home, name, function in before:
            setattr(home, name, function)
        torch.set_autocast_enabled("cuda", on_entry[0])
        torch.set_autocast_dtype("cuda", on_entry[1])
        casts.forget()
