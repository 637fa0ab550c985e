"""Torch's transformer layers on nested tensors, as padding is left out: measure them on the GPU at hand, or read what
was measured.

    python -m benchmarks.nested_layers --out FILE.json
    python -m benchmarks.nested_layers --read calibrations/h200/samples/nested.json.gz

Encoders of BERT's size, of seeded sequences of 21 tokens on average and 128 at most, padded to the longest. First, of
all, the host's seconds: of a pass, of its operators, and of parts of a layer, each in a loop with the device drained
before and after; then by the profiler the kernels of a pass by name, with how many and nanoseconds, and attention of
sequences of one length each, packed behind each other.

Read, a line for each batch has the host's seconds of a pass as predicted and as measured, then comes the mean error of
packed attention.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from calibrate.measure.timers import pass_seconds, profile_events, short_name, tight_seconds
from predictor.calibration.load import load_calibration
from predictor.capture.recorder import capture
from predictor.pricing.kernels import kernel_seconds
from predictor.pricing.program import price
from predictor.runtimes.bettertransformer.lowering import NAME, lower

WIDTH, HEADS, INNER, LAYERS, LONGEST, MEAN = 768, 12, 3072, 12, 128, 21
BATCHES = (1, 2, 4, 8, 16, 32, 64)
LOOPS, ROUNDS = 20, 5


def lengths_of(batch: int) -> list[int]:
    """Tokens of each sequence of a batch."""
    generator = torch.Generator().manual_seed(7)
    drawn = torch.empty(max(BATCHES)).log_normal_(2.9, 0.55, generator=generator)
    return [int(length) for length in drawn.round().clamp(3, LONGEST)[:batch]]


def inputs_of(batch: int, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """States, and which of them are real."""
    lengths = lengths_of(batch)
    x = torch.randn(batch, max(lengths), WIDTH, device=device, dtype=dtype)
    places = torch.arange(max(lengths), device=device)
    return x, places < torch.tensor(lengths, device=device)[:, None]


def encoder_of(device: str, dtype: torch.dtype) -> nn.TransformerEncoder:
    """An encoder of BERT's size."""
    options: dict[str, Any] = {"batch_first": True, "device": device, "dtype": dtype}
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.0, "gelu", 1e-12, **options)
    return nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=True, mask_check=False).eval()


def layer_call(layer: Any, x: Tensor, mask: Tensor | None = None) -> Callable[[], Any]:
    """A layer's one operator."""
    attention = layer.self_attn
    weights = attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias
    norms = layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias
    products = layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias
    kind = None if mask is None else 1

    def run() -> Any:
        return torch._transformer_encoder_layer_fwd(
            x, WIDTH, HEADS, *weights, True, False, 1e-12, *norms, *products, mask, kind
        )

    return run


def parts_of(layer: Any, x: Tensor) -> Mapping[str, Callable[[], Any]]:
    """Operators that a layer consists of, on a nested or a usual tensor."""
    attention = layer.self_attn
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    joined = nn.functional.linear(x, weight, bias)
    third = joined.chunk(3, -1)[0]
    batch = x.size(0)
    viewed = third.view(batch, -1, HEADS, WIDTH // HEADS)
    heads = viewed.transpose(1, 2)
    back = heads.transpose(1, 2)
    return {
        "linear": lambda: nn.functional.linear(x, weight, bias),
        "chunk": lambda: joined.chunk(3, -1),
        "view": lambda: third.view(batch, -1, HEADS, WIDTH // HEADS),
        "transpose": lambda: viewed.transpose(1, 2),
        "attention": lambda: nn.functional.scaled_dot_product_attention(heads, heads, heads),
        "reshape": lambda: back.reshape(batch, -1, WIDTH),
        "add": lambda: x.add_(x),
        "norm": lambda: nn.functional.layer_norm(x, (WIDTH,), layer.norm1.weight, layer.norm1.bias, 1e-12),
        "gelu": lambda: nn.functional.gelu(x),
    }


def calls_of(encoder: Any, batch: int, device: str, dtype: torch.dtype) -> dict[str, Callable[[], Any]]:
    """Calls by name."""
    x, real = inputs_of(batch, device, dtype)
    layer, padding = encoder.layers[0], ~real
    nested = torch._nested_tensor_from_mask(x, real, mask_check=False)
    calls = {
        "pass": lambda: encoder(x, src_key_padding_mask=padding),
        "pass unmasked": lambda: encoder(x),
        "left_aligned": lambda: torch._nested_tensor_from_mask_left_aligned(x, real),
        "from_mask": lambda: torch._nested_tensor_from_mask(x, real, mask_check=False),
        "to_padded": lambda: nested.to_padded_tensor(0.0, x.size()),
        "layer nested": layer_call(layer, nested),
        "layer padded": layer_call(layer, x),
        "layer masked": layer_call(layer, x, padding),
    }
    for kind, given in (("nested", nested), ("padded", x.clone())):
        try:
            calls |= {f"{kind} {name}": call for name, call in parts_of(layer, given).items()}
        except RuntimeError as error:
            print(f"{kind}: {error}")
    return calls


def packed_attention(seconds: float) -> list[dict[str, Any]]:
    """Nanoseconds of attention over packed sequences of one length each, heads of 64."""
    shapes = [
        (b, length, heads)
        for length in (8, 26, 40, 64, 65, 100, 128, 129, 200, 256, 384, 512)
        for b in (1, 4, 8, 16, 32, 64, 128)
        for heads in (12, 16)
    ]
    calls = []
    for batch, length, heads in shapes:
        ends = torch.arange(batch + 1, device="cuda", dtype=torch.int32) * length
        x = torch.randn(batch * length, heads, 64, device="cuda", dtype=torch.float16)
        calls.append((x, ends, length))

    def run() -> None:
        start = time.monotonic()
        for x, ends, length in calls:
            if time.monotonic() - start < seconds:
                torch.ops.aten._flash_attention_forward(x, x, x, ends, ends, length, length, 0.0, False, False)

    run()
    events = [event for event in profile_events(run) if "flash" in event.name]
    keys = "batch", "length", "heads"
    return [{**dict(zip(keys, s)), "ns": e.duration_ns, "name": short_name(e.name)} for s, e in zip(shapes, events)]


def measure(out: Path, device: str, seconds: float) -> None:
    """Measure until the time is over; what there is by then is written."""
    start, host, profiles = time.monotonic(), [], []
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    found = {"gpu": gpu, "torch": torch.__version__, "host": host, "profiles": profiles}
    with torch.inference_mode():
        encoders = {dtype: encoder_of(device, dtype) for dtype in (torch.float16, torch.float32)}
        for dtype, encoder in encoders.items():
            for batch in BATCHES:
                if time.monotonic() - start > 0.6 * seconds:
                    break
                for name, call in calls_of(encoder, batch, device, dtype).items():
                    if dtype == torch.float32 and name not in ("pass", "layer nested"):
                        continue
                    loops = 2 if name.startswith("pass") else LOOPS
                    try:
                        call()
                        times = [tight_seconds(call, device, loops) for _ in range(ROUNDS)]
                    except RuntimeError as error:
                        print(f"{name}: {error}")
                        continue
                    row = {"dtype": str(dtype)[6:], "batch": batch, "lengths": lengths_of(batch), "name": name}
                    if name.startswith("pass"):
                        row["pass_s"] = pass_seconds(call, device, 6)
                    host.append({**row, "host_s": times})
        out.write_text(json.dumps(found))
        for dtype, encoder in encoders.items():
            for batch in BATCHES if device == "cuda" else ():
                calls = calls_of(encoder, batch, device, dtype)
                for name in ("pass", "pass unmasked", "layer masked"):
                    if time.monotonic() - start > seconds:
                        break
                    calls[name]()
                    kernels: dict[str, list[int]] = defaultdict(lambda: [0, 0])
                    events = profile_events(calls[name])
                    for event in events:
                        kernels[short_name(event.name)][0] += 1
                        kernels[short_name(event.name)][1] += event.duration_ns
                    row = {"dtype": str(dtype)[6:], "batch": batch, "lengths": lengths_of(batch), "name": name}
                    order = [(short_name(e.name), e.duration_ns) for e in events[:40]]
                    profiles.append({**row, "kernels": kernels, "order": order})
        out.write_text(json.dumps(found))
        if device == "cuda":
            found["packed"] = packed_attention(2.0)
    out.write_text(json.dumps(found))
    print(f"{time.monotonic() - start:.0f} s: {len(host)} calls, {len(profiles)} profiles")


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder_of("cpu", torch.float32)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        states: Tensor = self.encoder(x, src_key_padding_mask=padding)
        return states


def read(path: Path) -> None:
    """Print predictions beside what was measured."""
    found = json.loads(gzip.decompress(path.read_bytes()))
    calibration, encoder = load_calibration("h200"), _Encoder()
    for row in found["host"]:
        if row["dtype"] == "float16" and row["name"] == "pass":
            x, real = inputs_of(row["batch"], "cpu", torch.float32)
            program = lower(capture(encoder, (x, ~real), "fp16"))
            predicted_s = sum(call.host_s for call in price(program, calibration, calibration.host(NAME)).calls)
            host_s = min(row["host_s"])
            print(f"batch {row['batch']:3}: host {1e6 * predicted_s:5.0f} us of {1e6 * host_s:5.0f}")
    errors = []
    for row in found["packed"]:
        dims = {"batch": row["batch"], "tokens": row["batch"] * row["length"], "longest": row["length"]}
        wide = {"heads": row["heads"], "head_dim": 64}
        predicted_s = kernel_seconds(calibration, "attention_packed", "fp16", **dims, **wide)
        errors.append(abs(predicted_s / (1e-9 * row["ns"]) - 1))
    print(f"packed attention: {sum(errors) / len(errors):.1%} off in {len(errors)} calls")


def main() -> None:
    """Measure, or read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--read", type=Path, help="what was measured, compressed")
    parser.add_argument("--seconds", type=float, default=20.0, help="when to stop")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    if options.read:
        read(options.read)
    else:
        measure(options.out, options.device, options.seconds)


if __name__ == "__main__":
    main()
