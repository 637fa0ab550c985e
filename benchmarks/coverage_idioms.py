"""Modules in the ways that people write them, each a kind that a capture could stumble over: what
``benchmarks.coverage`` predicts besides libraries' models.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers as tf
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

Made = tuple[nn.Module, Any, str]

IDIOMS: dict[str, Callable[[], Made]] = {}
"""Name -> what makes a module, its inputs and the dtype."""

WIDTH = 64


def _idiom(function: Callable[[], Made]) -> Callable[[], Made]:
    IDIOMS[function.__name__.strip("_")] = function
    return function


class _Of(nn.Module):
    """A module of one function, with layers that it uses."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.function(*self.layers, *inputs, **named)


def _of(function: Callable[..., Any], inputs: Any, *layers: nn.Module, dtype: str = "fp16") -> Made:
    return _Of(function, *layers).eval(), inputs, dtype


X = torch.rand(2, 8, WIDTH)
LENGTHS = torch.tensor([8, 5])
PADDED = torch.arange(8)[None, :] >= LENGTHS[:, None]
IDS = torch.arange(16).view(2, 8)


def _linear() -> nn.Linear:
    return nn.Linear(WIDTH, WIDTH)


# mixtures of experts


def _experts(dtype: str) -> Made:
    config = tf.MixtralConfig(
        vocab_size=1000,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_cache=False,
    )
    return tf.MixtralModel(config).eval(), {"input_ids": IDS}, dtype


for _dtype in ("fp16", "bf16", "fp32"):
    IDIOMS[f"experts_{_dtype}"] = lambda dtype=_dtype: _experts(dtype)  # type: ignore[misc]


@_idiom
def experts_by_where() -> Made:
    """The tokens of each expert are found with ``where``."""

    def forward(router: nn.Module, one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        tokens = x.flatten(0, 1)
        chosen = router(tokens).topk(1).indices
        out = torch.zeros_like(tokens)
        for number, expert in enumerate((one, two)):
            rows, _ = torch.where(chosen == number)
            out.index_add_(0, rows, expert(tokens[rows]))
        return out

    return _of(forward, X, nn.Linear(WIDTH, 2), _linear(), _linear())


@_idiom
def experts_that_are_hit() -> Made:
    """The loop is over the experts that have tokens."""

    def forward(router: nn.Module, one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        tokens = x.flatten(0, 1)
        mask = F.one_hot(router(tokens).topk(1).indices, num_classes=2).permute(2, 1, 0)
        out = torch.zeros_like(tokens)
        for hit in mask.sum(dim=(-1, -2)).greater(0).nonzero():
            _, rows = torch.where(mask[hit[0]])
            out.index_add_(0, rows, (one, two)[int(hit[0])](tokens[rows]))
        return out

    return _of(forward, X, nn.Linear(WIDTH, 2), _linear(), _linear())


# torch's own transformers


def _encoder(**options: Any) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 128, batch_first=True)
    return nn.TransformerEncoder(layer, 2, **options).eval()


@_idiom
def encoder() -> Made:
    return _encoder(), X, "fp16"


@_idiom
def encoder_padded() -> Made:
    return _encoder(), {"src": X, "src_key_padding_mask": PADDED}, "fp16"


@_idiom
def encoder_padded_without_nested() -> Made:
    return _encoder(enable_nested_tensor=False), {"src": X, "src_key_padding_mask": PADDED}, "fp16"


@_idiom
def encoder_of_sequences_first() -> Made:
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 128)
    return nn.TransformerEncoder(layer, 2).eval(), X, "fp16"


@_idiom
def decoder() -> Made:
    layer = nn.TransformerDecoderLayer(WIDTH, 4, 128, batch_first=True)
    return nn.TransformerDecoder(layer, 2).eval(), (X, X), "fp16"


@_idiom
def multihead_attention() -> Made:
    return _of(lambda m, x: m(x, x, x, need_weights=False)[0], X, nn.MultiheadAttention(WIDTH, 4, batch_first=True))


@_idiom
def multihead_attention_weights() -> Made:
    return _of(lambda m, x: m(x, x, x), X, nn.MultiheadAttention(WIDTH, 4, batch_first=True))


@_idiom
def multihead_attention_padded() -> Made:
    attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
    return _of(lambda m, x, mask: m(x, x, x, key_padding_mask=mask)[0], (X, PADDED), attention)


@_idiom
def nested_tensor() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        nested = torch.nested.nested_tensor([x[0], x[1, :5]], layout=torch.jagged)
        return torch.nested.to_padded_tensor(layer(nested), 0.0)

    return _of(forward, X, _linear())


# caches


def _gpt(**options: Any) -> tf.LlamaForCausalLM:
    config = tf.LlamaConfig(
        vocab_size=1000,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        **options,
    )
    return tf.LlamaForCausalLM(config).eval()


@_idiom
def cache_returned() -> Made:
    return _gpt(), {"input_ids": IDS, "use_cache": True}, "fp16"


@_idiom
def cache_dynamic_one_step() -> Made:
    model = _gpt()
    cache = tf.DynamicCache(config=model.config)
    with torch.inference_mode():
        model(input_ids=IDS, past_key_values=cache)
    return model, {"input_ids": IDS[:, :1], "past_key_values": cache}, "fp16"


@_idiom
def cache_static_one_step() -> Made:
    model = _gpt()
    cache = tf.StaticCache(config=model.config, max_cache_len=32)
    with torch.inference_mode():
        model(input_ids=IDS, past_key_values=cache)
    return model, {"input_ids": IDS[:, :1], "past_key_values": cache}, "fp16"


@_idiom
def cache_of_tuples() -> Made:
    def forward(q: nn.Module, kv: nn.Module, x: Tensor, past: Any) -> Any:
        key, value = kv(x).chunk(2, dim=-1)
        key, value = torch.cat([past[0], key], 1), torch.cat([past[1], value], 1)
        return F.scaled_dot_product_attention(q(x), key, value), (key, value)

    return _of(forward, (X[:, :1], (X, X)), _linear(), nn.Linear(WIDTH, 2 * WIDTH))


class _Generate(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> Any:
        return self.model.generate(input_ids, max_new_tokens=4, do_sample=False, pad_token_id=0)


@_idiom
def generate() -> Made:
    return _Generate(_gpt()).eval(), {"input_ids": IDS}, "fp16"


# values that are known, and values that are not


@_idiom
def known_mask_selects() -> Made:
    return _of(lambda layer, x, mask: layer(x[mask]), (X, ~PADDED), _linear())


@_idiom
def known_mask_assigns() -> Made:
    def forward(layer: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
        y = layer(x)
        y[mask] = 0.0
        return y

    return _of(forward, (X, PADDED), _linear())


@_idiom
def packed_sequence() -> Made:
    def forward(rnn: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(rnn(packed)[0], batch_first=True)[0]

    return _of(forward, (X, LENGTHS), nn.LSTM(WIDTH, WIDTH, batch_first=True))


@_idiom
def repeat_interleave() -> Made:
    return _of(lambda layer, x, n: layer(x[0].repeat_interleave(n, dim=0)), (X, torch.arange(8)), _linear())


@_idiom
def durations_of_floats() -> Made:
    """A length regulator: repetitions that the model predicts."""

    def forward(layer: nn.Module, length: nn.Module, x: Tensor) -> Tensor:
        many = length(x[0]).squeeze(-1).exp().round().long().clamp(min=1)
        return layer(x[0].repeat_interleave(many, dim=0))

    return _of(forward, X, _linear(), nn.Linear(WIDTH, 1))


@_idiom
def selects_by_value() -> Made:
    return _of(lambda layer, x: layer(x[x[..., 0] > 0.5]), X, _linear())


@_idiom
def selects_elements() -> Made:
    return _of(lambda layer, x: layer(x)[x > 0.5].sum(), X, _linear())


@_idiom
def finds_nonzero() -> Made:
    return _of(lambda layer, x: layer(x.flatten(0, 1))[(x.flatten(0, 1)[:, 0] > 0.5).nonzero()[:, 0]], X, _linear())


@_idiom
def asks_all_of_a_mask() -> Made:
    return _of(lambda layer, x: layer(x) if (x > 0).all() else x, X, _linear())


@_idiom
def asks_any_nan() -> Made:
    return _of(lambda layer, x: x if torch.isnan(x).any() else layer(x), X, _linear())


@_idiom
def asks_an_item() -> Made:
    return _of(lambda layer, x: layer(x) * (2.0 if x.max().item() > 1 else 1.0), X, _linear())


@_idiom
def detection_head() -> Made:
    """Boxes over a score, the best of them, boxes that overlap left out."""

    def forward(score: nn.Module, box: nn.Module, x: Tensor) -> Any:
        kept = []
        for image in x:
            scores, boxes = score(image).sigmoid().squeeze(-1), box(image)
            keep = scores > 0.05
            scores, boxes = scores[keep], boxes[keep]
            order = scores.argsort(descending=True)[:100]
            best = boxes[order]
            low = torch.max(best[:, None, :2], best[None, :, :2])
            high = torch.min(best[:, None, 2:], best[None, :, 2:])
            overlap = (high - low).clamp(min=0).prod(-1)
            alone = torch.triu(overlap > 0.5, diagonal=1).sum(0) == 0
            kept.append((best[alone], scores[order][alone]))
        return kept

    return _of(forward, X, nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 4))


@_idiom
def loops_until_it_halts() -> Made:
    """Adaptive computation: as many steps as the values ask for."""

    def forward(layer: nn.Module, halt: nn.Module, x: Tensor) -> Tensor:
        total = torch.zeros_like(x[..., :1])
        for _ in range(6):
            x = layer(x)
            total = total + halt(x).sigmoid()
            if (total > 0.99).all():
                break
        return x

    return _of(forward, X, _linear(), nn.Linear(WIDTH, 1))


@_idiom
def unique_values() -> Made:
    return _of(lambda layer, ids: layer(torch.unique(ids)), IDS, nn.Embedding(64, WIDTH))


@_idiom
def tolist_of_known() -> Made:
    return _of(
        lambda layer, x, n: [layer(row[:k]) for row, k in zip(x, n.tolist(), strict=True)], (X, LENGTHS), _linear()
    )


@_idiom
def splits_by_known_lengths() -> Made:
    return _of(
        lambda layer, x, n: [layer(p) for p in torch.split(x[0], n.tolist())], (X, torch.tensor([3, 5])), _linear()
    )


# recurrent cells


@_idiom
def lstm_cells() -> Made:
    def forward(cell: nn.Module, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = cell(step, state)
        return state[0]  # type: ignore[index]

    return _of(forward, X, nn.LSTMCell(WIDTH, WIDTH))


@_idiom
def gru_cells() -> Made:
    def forward(cell: nn.Module, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = cell(step, state)
        return state  # type: ignore[return-value]

    return _of(forward, X, nn.GRUCell(WIDTH, WIDTH))


@_idiom
def rnn_cells() -> Made:
    return _of(lambda cell, x: cell(x[:, 0]), X, nn.RNNCell(WIDTH, WIDTH))


# tensors that are made of others, or stored in fewer bits


@_idiom
def nested_tensor_as_input() -> Made:
    nested = torch.nested.nested_tensor([torch.rand(8, WIDTH), torch.rand(5, WIDTH)], layout=torch.jagged)
    return _linear().eval(), nested, "fp16"


@_idiom
def codes_of_eight_bits() -> Made:
    """Weights as integers, which become numbers before each product."""

    class Coded(nn.Module):
        codes: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("codes", torch.ones(WIDTH, WIDTH, dtype=torch.int8))
            self.scale = nn.Parameter(torch.ones(WIDTH, 1))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.codes.to(x.dtype) * self.scale)

    return Coded().eval(), X, "fp16"


@_idiom
def floats_of_eight_bits() -> Made:
    layer = _linear().bfloat16()
    layer.weight = nn.Parameter(layer.weight.to(torch.float8_e4m3fn), requires_grad=False)
    return _of(lambda layer, x: F.linear(x, layer.weight.to(x.dtype), layer.bias), X.bfloat16(), layer, dtype="bf16")


@_idiom
def several_dtypes() -> Made:
    layers = _linear().bfloat16(), nn.LayerNorm(WIDTH)
    return _of(lambda layer, norm, x: layer(norm(x.float()).to(x.dtype)), X.bfloat16(), *layers, dtype="bf16")


@_idiom
def double_precision() -> Made:
    return _linear().double().eval(), X.double(), "fp32"


@_idiom
def complex_weights() -> Made:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(WIDTH, WIDTH, 4, dtype=torch.cfloat))

        def forward(self, x: Tensor) -> Tensor:
            modes = torch.fft.rfft(x.transpose(1, 2))[:, :, :4]
            return torch.fft.irfft(torch.einsum("bix,iox->box", modes, self.weight), n=x.shape[1])

    return Spectral().eval(), X, "fp32"


@_idiom
def quantisation_aware() -> Made:
    module = torch.ao.quantization.QuantWrapper(_mlp()).train()
    module.qconfig = torch.ao.quantization.get_default_qat_qconfig("fbgemm")  # type: ignore[assignment]
    prepared = torch.ao.quantization.prepare_qat(module)
    prepared(X)
    return prepared.eval(), X, "fp32"


# how modules are built and wrapped


@_idiom
def parametrised() -> Made:
    class Symmetric(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight.triu() + weight.triu(1).transpose(-1, -2)

    layer = _linear()
    nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer.eval(), X, "fp16"


@_idiom
def hook_with_a_state() -> Made:
    module = nn.Sequential(_linear())
    seen = {"passes": 0, "last": torch.zeros(1)}

    def count(layer: nn.Module, given: Any, result: Tensor) -> None:
        seen["passes"] += 1
        seen["last"] = result

    module[0].register_forward_hook(count)
    return module.eval(), X, "fp16"


@_idiom
def holds_a_file_and_a_generator() -> Made:
    module = nn.Sequential(_linear())
    module.log, module.numbers = sys.stderr, (n for n in range(3))  # type: ignore[assignment]
    module.noise = torch.Generator().manual_seed(0)  # type: ignore[assignment]
    return module.eval(), X, "fp16"


@_idiom
def counts_its_passes() -> Made:
    class Counts(nn.Module):
        passes: Tensor
        mean: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.layer = _linear()
            self.register_buffer("passes", torch.zeros((), dtype=torch.long))
            self.register_buffer("mean", torch.zeros(WIDTH))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer(x)
            self.passes += 1
            self.mean.mul_(0.9).add_(y.mean((0, 1)), alpha=0.1)
            return y

    return Counts().eval(), X, "fp16"


@_idiom
def writes_into_its_inputs() -> Made:
    def forward(layer: nn.Module, x: Tensor, ids: Tensor) -> Tensor:
        x.mul_(2)
        ids += 1
        return layer(x) + ids.sum()

    return _of(forward, (X.clone(), IDS.clone()), _linear())


@_idiom
def writes_into_what_it_is_told() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        torch.mul(layer(x), 2, out=out)
        return out

    return _of(forward, X, _linear())


class _Squared(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return 2 * context.saved_tensors[0] * gradients[0]


@_idiom
def function_with_its_own_gradient() -> Made:
    return _of(lambda layer, x: _Squared.apply(layer(x)), X, _linear())


@torch.library.custom_op("idioms::doubled", mutates_args=())
def _doubled(x: Tensor) -> Tensor:
    return x * 2


@torch.library.custom_op("idioms::tripled", mutates_args=())
def _tripled(x: Tensor) -> Tensor:
    return x * 3


_tripled.register_fake(torch.empty_like)


@_idiom
def operator_of_its_own() -> Made:
    return _of(lambda layer, x: _tripled(layer(x)), X, _linear())


@_idiom
def operator_of_its_own_without_shapes() -> Made:
    return _of(lambda layer, x: _doubled(layer(x)), X, _linear())


@_idiom
def loaded_script() -> Made:
    saved = io.BytesIO()
    torch.jit.save(torch.jit.script(_mlp()), saved)
    saved.seek(0)
    return torch.jit.load(saved), X, "fp16"


@_idiom
def loaded_export() -> Made:
    saved = io.BytesIO()
    torch.export.save(torch.export.export(_mlp(), (X,)), saved)
    saved.seek(0)
    return torch.export.load(saved), X, "fp16"  # type: ignore[return-value]


@_idiom
def weight_norm_of_old() -> Made:
    return nn.utils.weight_norm(_linear()).eval(), X, "fp16"


@_idiom
def weight_norm() -> Made:
    return nn.utils.parametrizations.weight_norm(_linear()).eval(), X, "fp16"


@_idiom
def spectral_norm() -> Made:
    return nn.utils.spectral_norm(_linear()).eval(), X, "fp16"


@_idiom
def stored_activations() -> Made:
    class Stores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.last = _linear(), None

        def forward(self, x: Tensor) -> Tensor:
            self.last = self.layer(x)
            return self.last

    module = Stores()
    module(X)
    return module.eval(), X, "fp16"


@_idiom
def holds_a_lock() -> Made:
    module = nn.Sequential(_linear())
    module.lock = threading.Lock()  # type: ignore[assignment]
    return module.eval(), X, "fp16"


@_idiom
def checkpointed() -> Made:
    from torch.utils.checkpoint import checkpoint

    return _of(lambda layer, x: checkpoint(layer, x, use_reentrant=False), X, _linear())


@_idiom
def checkpointed_reentrant() -> Made:
    from torch.utils.checkpoint import checkpoint

    return _of(lambda layer, x: checkpoint(layer, x, use_reentrant=True), X, _linear())


def _mlp() -> nn.Sequential:
    return nn.Sequential(_linear(), nn.GELU(), nn.LayerNorm(WIDTH), _linear()).eval()


@_idiom
def scripted() -> Made:
    return torch.jit.script(_mlp()), X, "fp16"


@_idiom
def traced() -> Made:
    return torch.jit.trace(_mlp(), X), X, "fp16"


@_idiom
def frozen() -> Made:
    return torch.jit.freeze(torch.jit.script(_mlp())), X, "fp32"


@_idiom
def scripted_part() -> Made:
    return nn.Sequential(torch.jit.script(_mlp()), _linear()).eval(), X, "fp16"


@_idiom
def compiled() -> Made:
    return torch.compile(_mlp()), X, "fp16"  # type: ignore[return-value]


@_idiom
def compiled_part() -> Made:
    module = nn.Sequential(_mlp(), _linear()).eval()
    module[0].compile()
    return module, X, "fp16"


@_idiom
def compiled_function() -> Made:
    @torch.compile
    def scaled(x: Tensor) -> Tensor:
        return F.gelu(x) * 2

    return _of(lambda layer, x: scaled(layer(x)), X, _linear())


@_idiom
def exported_program() -> Made:
    return torch.export.export(_mlp(), (X,)), X, "fp16"  # type: ignore[return-value]


@_idiom
def exported_module() -> Made:
    return torch.export.export(_mlp(), (X,)).module(), X, "fp16"  # type: ignore[return-value]


@_idiom
def symbolically_traced() -> Made:
    return torch.fx.symbolic_trace(_mlp()), X, "fp16"


# higher-order operators


@_idiom
def flexible_attention() -> Made:
    from torch.nn.attention.flex_attention import flex_attention

    q = torch.rand(2, 4, 128, 16)
    return _of(lambda layer, x: flex_attention(x, x, layer(x)), q, nn.Linear(16, 16))


@_idiom
def flexible_attention_masked() -> Made:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        mask = create_block_mask(lambda b, h, q, k: q >= k, None, None, 128, 128, device=x.device)
        return flex_attention(x, x, layer(x), block_mask=mask)

    return _of(forward, torch.rand(2, 4, 128, 16), nn.Linear(16, 16))


@_idiom
def conditional() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: layer(x), lambda x: x * 1.0, (x,))

    return _of(forward, X, _linear())


@_idiom
def loop_of_torch() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Any:
        return while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, layer(y)), (torch.tensor(0), x))

    return _of(forward, X, _linear())


@_idiom
def scan_of_torch() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Any:
        return scan(lambda state, y: (state + y, layer(state + y)), torch.zeros_like(x[:, 0]), x, dim=1)

    return _of(forward, X, _linear())


@_idiom
def ensemble() -> Made:
    def forward(one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        weights, buffers = torch.func.stack_module_state([one, two])  # type: ignore[list-item]
        return torch.vmap(lambda w, b: torch.func.functional_call(one, (w, b), (x,)))(weights, buffers)

    return _of(forward, X, _linear(), _linear())


@_idiom
def vectorised() -> Made:
    return _of(lambda layer, x: torch.vmap(layer)(x), X, _linear())


@_idiom
def functional_call() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(layer.named_parameters()), (x,))

    return _of(forward, X, _linear())


@_idiom
def gradient_inside() -> Made:
    """Forces as the gradient of an energy."""

    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        return torch.func.grad(lambda x: layer(x).sum())(x)

    return _of(forward, X, _linear())


# devices, modes, inputs


@_idiom
def cuda_written_out() -> Made:
    return _of(lambda layer, x: layer(x.cuda()), X, _linear())


@_idiom
def cuda_of_factories() -> Made:
    return _of(lambda layer, x: layer(x + torch.zeros(WIDTH, device="cuda", dtype=x.dtype)), X, _linear())


@_idiom
def cuda_of_tensors() -> Made:
    return _of(lambda layer, x: layer(x)[:, torch.tensor([0, 2], device="cuda:0")].to("cuda"), X, _linear())


@_idiom
def cuda_is_asked_for() -> Made:
    return _of(lambda layer, x: layer(x) if x.is_cuda and x.device.type == "cuda" else x, X, _linear())


@_idiom
def cuda_where_there_is_one() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return layer(x.to(device)) + torch.ones(WIDTH, device=device, dtype=x.dtype)

    return _of(forward, X, _linear())


@_idiom
def in_training_mode() -> Made:
    return nn.Sequential(_linear(), nn.Dropout(0.5), _linear()).train(), X, "fp16"


@_idiom
def dropout_always() -> Made:
    return _of(lambda layer, x: F.dropout(layer(x), 0.5, training=True), X, _linear())


@_idiom
def autocast_inside() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        with torch.autocast("cuda", dtype=torch.float16):
            return layer(x)

    return _of(forward, X, _linear())


@dataclass
class Batch:
    """Inputs in a record."""

    x: Tensor
    scale: float


@_idiom
def inputs_dataclass() -> Made:
    return _of(lambda layer, b: layer(b.x) * b.scale, (Batch(X, 2.0),), _linear())


@_idiom
def inputs_numpy() -> Made:
    return _of(
        lambda layer, x: layer(torch.as_tensor(x, dtype=layer.weight.dtype, device=layer.weight.device)),
        (np.ones((2, WIDTH), np.float32),),
        _linear(),
    )


@_idiom
def inputs_scalar() -> Made:
    return _of(lambda layer, x, n, scale: layer(x[:, :n]) * scale, (X, 4, 0.5), _linear())


@_idiom
def inputs_scalar_tensor() -> Made:
    return _of(lambda layer, t, x: layer(x) * t, (torch.tensor(0.5), X), _linear())


@_idiom
def inputs_none() -> Made:
    class Prompt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x, self.layer = nn.Parameter(torch.rand(8, WIDTH)), _linear()

        def forward(self) -> Tensor:
            return self.layer(self.x)

    return Prompt().eval(), (), "fp16"


@_idiom
def inputs_nested() -> Made:
    return _of(lambda layer, d: layer(d["a"][0]) + d["b"]["c"], ({"a": [X], "b": {"c": X}},), _linear())


@_idiom
def hook_to_numpy() -> Made:
    module, seen = nn.Sequential(_linear(), _linear()).eval(), []
    module[0].register_forward_hook(lambda m, i, o: seen.append(o.detach().cpu().numpy().mean()))
    return module, X, "fp16"


@_idiom
def numpy_inside() -> Made:
    return _of(lambda layer, x: layer(torch.from_numpy(x.cpu().numpy() * 2).to(x.device)), X, _linear())


@_idiom
def prints_values() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        str(x), f"{x.mean()}"
        return layer(x)

    return _of(forward, X, _linear())


@_idiom
def generator_inside() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        generator = torch.Generator(device=x.device).manual_seed(0)
        return layer(x + torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype))

    return _of(forward, X, _linear())


@_idiom
def forces() -> Made:
    """The gradient of an energy, for which the pass turns gradients on."""

    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(layer(x).pow(2).sum(), x)[0]

    return _of(forward, X, _linear())


@_idiom
def thread_inside() -> Made:
    def forward(one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        results: dict[nn.Module, Tensor] = {}
        threads = [threading.Thread(target=lambda m=m: results.update({m: m(x)})) for m in (one, two)]  # type: ignore[misc]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results[one] + results[two]

    return _of(forward, X, _linear(), _linear())


@_idiom
def coroutine_inside() -> Made:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        async def run() -> Tensor:
            return layer(x)

        return asyncio.run(run())

    return _of(forward, X, _linear())


@_idiom
def writes_to_a_descriptor() -> Made:
    return _of(lambda layer, x: (os.write(1, b"a line\n"), layer(x))[1], X, _linear())


@_idiom
def generator_of_python() -> Made:
    def steps(layer: nn.Module, x: Tensor) -> Any:
        for row in x:
            yield layer(row)

    return _of(lambda layer, x: torch.stack(list(steps(layer, x))), X, _linear())


@_idiom
def threads_inside() -> Made:
    from concurrent.futures import ThreadPoolExecutor

    def forward(one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(2) as pool:
            a, b = pool.map(lambda layer: layer(x), (one, two))
        return a + b

    return _of(forward, X, _linear(), _linear())


@_idiom
def sparse_product() -> Made:
    adjacency = torch.eye(8).to_sparse()
    return _of(lambda layer, a, x: torch.sparse.mm(a, layer(x[0])), (adjacency, X), _linear())


@_idiom
def sparse_buffer() -> Made:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = _linear()
            self.register_buffer("adjacency", torch.eye(8).to_sparse_csr())

        def forward(self, x: Tensor) -> Tensor:
            return self.adjacency @ self.layer(x)

    return Graph().eval(), X[0], "fp32"


@_idiom
def quantised_dynamic() -> Made:
    return torch.ao.quantization.quantize_dynamic(_mlp(), {nn.Linear}), X, "fp32"


@_idiom
def generator_output() -> Made:
    return _of(lambda layer, x: iter([layer(x)]), X, _linear())


@_idiom
def lazy() -> Made:
    return nn.Sequential(nn.LazyLinear(WIDTH), nn.ReLU()).eval(), X, "fp16"


@_idiom
def complex_values() -> Made:
    return _of(
        lambda layer, x: torch.fft.irfft(torch.fft.rfft(layer(x.float())) * 1j, n=WIDTH), X, _linear(), dtype="fp32"
    )
