"""Files that torch's exporters write, and what ONNX Runtime's tools make of them: its optimiser for transformers, its
conversion to half precision, its quantisers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.onnx_files.net import BELOW
from predictor import onnx_runtime
from predictor.graph.inputs import flat

_BELOW = 1000
"""What token ids stay below, in every vocabulary here."""


def _export(made: tuple[nn.Module, Any], path: Path, dynamo: bool, opset: int = 17) -> Path:
    """A module as an ONNX file with its weights inside. dynamo: by the newer of torch's two exporters."""
    module, tensors = flat(*made)
    with torch.no_grad():
        torch.onnx.export(module, tensors, str(path), dynamo=dynamo, opset_version=opset, verbose=False)
    return path


def _finish(path: Path, dtype: str, target: Path, keep_io: bool = True) -> None:
    """Write the file to its place, converted to half precision where that is asked for, whole numbers bounded."""
    import onnx

    model = onnx.load(path)
    if dtype == "fp16":
        model = onnx_runtime.load("onnxruntime.transformers.float16").convert_float_to_float16(
            model, keep_io_types=keep_io
        )
    bounds = {BELOW + x.name: str(_BELOW) for x in model.graph.input if x.type.tensor_type.elem_type in (6, 7)}
    known = {p.key for p in model.metadata_props}
    onnx.helper.set_model_props(
        model, {**{p.key: p.value for p in model.metadata_props}, **{k: v for k, v in bounds.items() if k not in known}}
    )
    onnx.save(model, target)


def _converted(made: tuple[nn.Module, Any], path: Path, dtype: str, dynamo: bool) -> None:
    """A module exported in single precision, then converted."""
    with tempfile.TemporaryDirectory() as folder:
        _finish(_export(made, Path(folder) / "single.onnx", dynamo, 18 if dynamo else 17), dtype, path)


def _half(made: tuple[nn.Module, Any], dtype: str) -> tuple[nn.Module, Any]:
    from torch.utils._pytree import tree_map_only

    if dtype != "fp16":
        return made
    module, inputs = made
    return module.half(), tree_map_only(Tensor, lambda t: t.half() if t.is_floating_point() else t, inputs)


def _bert(batch: int, length: int = 128) -> tuple[nn.Module, Any]:
    import transformers as tf

    sizes: dict[str, Any] = {"hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12}
    config = tf.BertConfig(vocab_size=8000, attn_implementation="eager", **sizes)
    model = tf.BertModel(config, add_pooling_layer=False).eval()

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
            hidden = self.model.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
            bias = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * -10000.0
            for layer in self.model.encoder.layer:
                query, key, value = (
                    part(hidden).view(batch, length, 12, 64).transpose(1, 2)
                    for part in (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value)
                )
                scores = torch.matmul(query, key.transpose(-1, -2)) / 8.0 + bias
                mixed = torch.matmul(torch.softmax(scores, dim=-1), value)
                mixed = mixed.permute(0, 2, 1, 3).reshape(batch, length, 768)
                attended = layer.attention.output(mixed, hidden)
                hidden = layer.output(layer.intermediate(attended), attended)
            return hidden

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, _BELOW, (batch, length), generator=generator)
    ones = torch.ones(batch, length, dtype=torch.int64)
    return Masked().eval(), {"input_ids": ids, "attention_mask": ones, "token_type_ids": torch.zeros_like(ids)}


def _optimised(made: tuple[nn.Module, Any], path: Path, dtype: str, model_type: str, heads: int, width: int) -> None:
    """What ``python -m onnxruntime.transformers.optimizer`` makes of an export."""
    import onnx

    optimize_model = onnx_runtime.load("onnxruntime.transformers.optimizer").optimize_model
    with tempfile.TemporaryDirectory() as folder:
        source = _export(made, Path(folder) / "single.onnx", dynamo=False)
        bounds = {BELOW + x.name: str(2) for x in onnx.load(source).graph.input}
        model = optimize_model(str(source), model_type, heads, width, opt_level=0, use_gpu=False)
        if dtype == "fp16":
            model.convert_float_to_float16(keep_io_types=False)
        onnx.helper.set_model_props(model.model, bounds)
        model.save_model_to_file(str(path))


def optimised_bert(path: Path, dtype: str, batch: int) -> None:
    """BERT, six layers, after the optimiser for transformers: EmbedLayerNormalization, Attention, BiasGelu."""
    _optimised(_bert(batch), path, dtype, "bert", 12, 768)


def _encoder(batch: int, width: int = 384, length: int = 197, layers: int = 6) -> tuple[nn.Module, Any]:
    """A vision transformer's encoder as timm writes it: one product for queries, keys and values."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Tensor) -> Tensor:
            qkv = self.qkv(self.norm1(x)).reshape(batch, length, 3, 6, width // 6).permute(2, 0, 3, 1, 4)
            query, key, value = qkv[0], qkv[1], qkv[2]
            scores = (query * (width // 6) ** -0.5) @ key.transpose(-2, -1)
            x = x + self.proj((scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(batch, length, width))
            return x + self.mlp(self.norm2(x))

    class Vision(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, width, 16, stride=16)
            self.first = nn.Parameter(torch.zeros(1, 1, width))
            self.places = nn.Parameter(torch.randn(1, length, width) * 0.02)
            self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

        def forward(self, pixels: Tensor) -> Tensor:
            x = self.patches(pixels).flatten(2).transpose(1, 2)
            x = torch.cat([self.first.expand(batch, -1, -1), x], dim=1) + self.places
            return self.head(self.norm(self.blocks(x))[:, 0])

    return Vision().eval(), {"pixels": torch.rand(batch, 3, 224, 224)}


def optimised_vision(path: Path, dtype: str, batch: int) -> None:
    """A vision transformer of 384 after the optimiser for transformers: skipped norms, BiasGelu."""
    _optimised(_encoder(batch), path, dtype, "vit", 6, 384)


def scripted_vision(path: Path, dtype: str, batch: int) -> None:
    """The same by torch's older exporter, converted as a file to half precision with inputs and outputs kept."""
    _converted(_encoder(batch), path, dtype, dynamo=False)


def _battery(name: str, batch: int) -> tuple[nn.Module, Any]:
    from calibrate.workloads.sources import build

    torch.manual_seed(0)
    return build(f"benchmarks/battery/{name}", "cpu", batch)


def scripted_mobile(path: Path, dtype: str, batch: int) -> None:
    """MobileNetV3 by torch's older exporter, converted as a file to half precision."""
    _converted(_battery("convolutional.py:mobilenet_v3", batch), path, dtype, dynamo=False)


def scripted_lstm(path: Path, dtype: str, batch: int) -> None:
    """A tagger's LSTM by torch's older exporter, which writes LSTM nodes."""
    _converted(_battery("sequences.py:two_way_lstm", batch), path, dtype, dynamo=False)


def exported_modern_bert(path: Path, dtype: str, batch: int) -> None:
    """ModernBERT by torch's newer exporter, in half precision as a module: what it casts to fp32 itself stays so."""
    import transformers as tf

    sizes: dict[str, Any] = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 6}
    config = tf.ModernBertConfig(
        vocab_size=8000, intermediate_size=576, attn_implementation="eager", pad_token_id=0, **sizes
    )
    ids = torch.randint(1, _BELOW, (batch, 128), generator=torch.Generator().manual_seed(0))
    made = tf.ModernBertModel(config).eval(), {"input_ids": ids}
    with tempfile.TemporaryDirectory() as folder:
        _finish(_export(_half(made, dtype), Path(folder) / "whole.onnx", dynamo=True, opset=18), "fp32", path)


def exported_upscaler(path: Path, dtype: str, batch: int) -> None:
    """A sub-pixel upscaler by torch's newer exporter, in half precision as a module."""
    made = _battery("convolutional.py:subpixel", batch)
    with tempfile.TemporaryDirectory() as folder:
        _finish(_export(_half(made, dtype), Path(folder) / "whole.onnx", dynamo=True, opset=18), "fp32", path)


def _images(path: Path, count: int = 2) -> Any:
    """What the quantiser takes ranges from."""
    onnxruntime, quantization = onnx_runtime.load(), onnx_runtime.load("onnxruntime.quantization")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            given, rng = session.get_inputs()[0], np.random.default_rng(0)
            self.left = [{given.name: rng.random(given.shape, dtype=np.float32)} for _ in range(count)]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    return Reader()


def _static(path: Path, batch: int, form: str) -> None:
    quantization = onnx_runtime.load("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as folder:
        source = _export(_battery("convolutional.py:resnet18", batch), Path(folder) / "single.onnx", dynamo=False)
        prepared = Path(folder) / "prepared.onnx"
        quantization.shape_inference.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared), str(path), _images(prepared, 1), quant_format=quantization.QuantFormat[form]
        )


def qdq_convolutions(path: Path, dtype: str, batch: int) -> None:
    """ResNet-18 of int8 as pairs of QuantizeLinear and DequantizeLinear."""
    _static(path, batch, "QDQ")


def qoperator_convolutions(path: Path, dtype: str, batch: int) -> None:
    """ResNet-18 of int8 as QLinearConv and QLinearAdd."""
    _static(path, batch, "QOperator")


def _dynamic(source: Path, path: Path) -> None:
    import onnx

    quantization = onnx_runtime.load("onnxruntime.quantization")
    quantization.quantize_dynamic(
        str(source), str(path), weight_type=quantization.QuantType.QInt8, extra_options={"DefaultTensorType": 1}
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {BELOW + x.name: "2" for x in model.graph.input})
    onnx.save(model, path)


def dynamic_bert(path: Path, dtype: str, batch: int) -> None:
    """BERT with products of int8 whose ranges are found while it runs: DynamicQuantizeLinear, MatMulInteger."""
    with tempfile.TemporaryDirectory() as folder:
        _dynamic(_export(_bert(batch), Path(folder) / "single.onnx", dynamo=False), path)


def dynamic_optimised_bert(path: Path, dtype: str, batch: int) -> None:
    """The same after the optimiser for transformers: QAttention."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "fused.onnx"
        optimised_bert(source, "fp32", batch)
        _dynamic(source, path)


def forest(path: Path, dtype: str, batch: int) -> None:
    """A scaler and a forest of scikit-learn, converted by skl2onnx."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    data, labels = rng.standard_normal((500, 20)), rng.integers(0, 3, 500)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(30, max_depth=6, random_state=0)).fit(data, labels)
    found = convert_sklearn(
        model, initial_types=[("x", FloatTensorType([batch, 20]))], options={"zipmap": False}, target_opset=17
    )
    path.write_bytes(found.SerializeToString())


Write = Callable[[Path, str, int], None]
"""Writes a file. Given: where, the dtype, the batch size."""
