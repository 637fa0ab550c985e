"""Encoder layers of transformers as torch's own ``nn.TransformerEncoder``, whose fast path is one operator a layer and
leaves padding out: with a mask it packs the real tokens of a batch into a nested tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from predictor.errors import CannotRunError

REASON = (
    "bettertransformer runs encoders of BERT's and DistilBERT's kind (self-attention, then two products, each followed "
    "by its sum and norm, GELU or ReLU, an even number of heads) and torch's own nn.TransformerEncoder"
)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a layer consists of: linear layers and norms, in the order of their use."""

    queries: Any
    keys: Any
    values: Any
    output: Any
    norm: Any
    inner: Any
    outer: Any
    last_norm: Any
    activation: Any
    heads: int


def _bert(layer: Any) -> _Parts:
    attention = layer.attention.self
    return _Parts(
        *(attention.query, attention.key, attention.value),
        *(layer.attention.output.dense, layer.attention.output.LayerNorm),
        *(layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm),
        layer.intermediate.intermediate_act_fn,
        attention.num_attention_heads,
    )


def _distilbert(layer: Any) -> _Parts:
    attention = layer.attention
    return _Parts(
        *(attention.q_lin, attention.k_lin, attention.v_lin, attention.out_lin, layer.sa_layer_norm),
        *(layer.ffn.lin1, layer.ffn.lin2, layer.output_layer_norm, layer.ffn.activation),
        attention.n_heads,
    )


KINDS: tuple[Callable[[Any], _Parts], ...] = (_bert, _distilbert)
"""Layers that are known, by what they consist of."""


def _parts(layer: Any) -> _Parts | None:
    """What a layer consists of; None for one that torch's fast path does not compute."""
    from torch import nn

    for kind in KINDS:
        try:
            parts = kind(layer)
        except AttributeError:
            continue
        products = (parts.queries, parts.keys, parts.values, parts.output, parts.inner, parts.outer)
        norms = (parts.norm, parts.last_norm)
        plain = all(type(p) is nn.Linear and p.bias is not None for p in products)
        normed = all(type(n) is nn.LayerNorm for n in norms) and parts.norm.eps == parts.last_norm.eps
        activated = _activation(parts.activation) is not None
        others = [name for name, _ in layer.named_children() if "cross" in name.lower()]
        if plain and normed and activated and not others and parts.heads % 2 == 0:
            return parts
    return None


def _activation(function: Any) -> str | None:
    """Name of an activation that the fast path has; None for any other, approximations of GELU among them."""
    from torch import nn

    if isinstance(function, nn.ReLU):
        return "relu"
    name = type(function).__name__
    exact = isinstance(function, nn.GELU) and function.approximate == "none"
    return "gelu" if exact or name == "GELUActivation" else None


def _layer(parts: _Parts) -> Any:
    """Torch's layer with the weights of another."""
    import torch
    from torch import nn

    weight = parts.queries.weight
    made = nn.TransformerEncoderLayer(
        weight.shape[1],
        parts.heads,
        parts.inner.out_features,
        0.0,
        _activation(parts.activation) or "",
        parts.norm.eps,
        batch_first=True,
        device="meta",
        dtype=weight.dtype,
    )
    joined = (parts.queries, parts.keys, parts.values)
    attention = made.self_attn
    attention.in_proj_weight = nn.Parameter(torch.cat([p.weight.detach() for p in joined]), requires_grad=False)
    attention.in_proj_bias = nn.Parameter(torch.cat([p.bias.detach() for p in joined]), requires_grad=False)
    pairs = (
        (attention.out_proj, parts.output),
        (made.linear1, parts.inner),
        (made.linear2, parts.outer),
        (made.norm1, parts.norm),
        (made.norm2, parts.last_norm),
    )
    for own, given in pairs:
        own.weight, own.bias = given.weight, given.bias
    return made.eval()


def converted(module: Any) -> Any:
    """A copy of a module with its encoders as ``nn.TransformerEncoder``, in evaluation mode; weights are shared where
    they stay as they are. A module that has such an encoder already is returned. Raises CannotRunError where there is
    nothing to convert, and says why.
    """
    from torch import nn

    encoders = dict(_encoders(module))
    if not encoders:
        if any(isinstance(m, nn.TransformerEncoder) for m in module.modules()):
            return module
        raise CannotRunError(REASON)
    return _replaced(module, encoders, "")


def _encoders(module: Any) -> Iterator[tuple[str, list[_Parts]]]:
    """(Path, layers) of every container of layers that can all be converted."""
    from torch import nn

    for path, owner in module.named_modules():
        stack = getattr(owner, "layer", None)
        if isinstance(stack, nn.ModuleList) and len(stack):
            parts = [_parts(layer) for layer in stack]
            known = [p for p in parts if p is not None]
            if len(known) == len(parts):
                yield path, known


def _replaced(module: Any, encoders: dict[str, list[_Parts]], path: str) -> Any:
    """A shallow copy of a module in which encoders are replaced, along their paths alone."""
    from copy import copy

    if path in encoders:
        return _encoder(encoders[path])
    if not any(name.startswith(f"{path}." if path else "") for name in encoders):
        return module
    twin = copy(module)
    twin._modules = {
        name: child and _replaced(child, encoders, f"{path}.{name}" if path else name)
        for name, child in module._modules.items()
    }
    return twin


def _encoder(layers: list[_Parts]) -> Any:
    """An encoder of transformers' interface around torch's own."""
    from torch import nn
    from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

    class FastEncoder(nn.Module):
        """``nn.TransformerEncoder`` with the interface of an encoder of transformers."""

        def __init__(self) -> None:
            super().__init__()
            stack = [_layer(parts) for parts in layers]
            self.encoder = nn.TransformerEncoder(stack[0], 0, enable_nested_tensor=True, mask_check=False)
            self.encoder.layers = nn.ModuleList(stack)
            self.encoder.num_layers = len(stack)

        def forward(self, hidden_states: Any, attention_mask: Any = None, **options: Any) -> Any:
            """attention_mask: (batch, 1, queries, keys), what may be attended to is true or 0; None: everything."""
            padding = None
            if attention_mask is not None:
                keys = attention_mask[:, 0, 0, :]
                padding = keys < 0 if keys.is_floating_point() else keys.logical_not()
            states = self.encoder(hidden_states, src_key_padding_mask=padding)
            return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=states)

    return FastEncoder().eval()
