"""Runtimes at batch 1: latency, how busy the device is, and how much of it.

The paper's five latencies on an RTX 8000 are 10.54, 6.14, 2.82, 2.56 and 2.11 ms. The authors' published table says
which of them are PyTorch, TorchScript and ONNX Runtime; that the other two are torch's fast path and CUDA graphs is our
reading.
"""

from calibrate.validate.paper.description import BUSY, LATENCY, SMS, Figure, Line, Panel, at_index
from calibrate.workloads.cases import Case

ROWS = {
    "eager": ("PyTorch", 10.54e-3),
    "torchscript": ("TorchScript", 6.14e-3),
    "bettertransformer": ("fast path", 2.82e-3),
    "cudagraph": ("CUDA graphs", 2.56e-3),
    "onnx": ("ONNX Runtime", 2.11e-3),
}
"""Runtime -> its name and the paper's latency, seconds."""

CASES = tuple(Case("bert-base", 1, "fp16", runtime) for runtime in ROWS)

FIGURE = Figure(
    "Table 3: BERT-Base at batch 1, fp16",
    "The faster the host, the busier the device; at batch 1 few of its multiprocessors work all the same.",
    tuple(
        Panel(
            quantity.label,
            (Line("BERT-Base, 128 tokens", CASES, y=quantity),),
            at_index(CASES, "runtime"),
            tuple(label for label, _ in ROWS.values()),
            joined=False,
        )
        for quantity in (LATENCY, BUSY, SMS)
    ),
)
