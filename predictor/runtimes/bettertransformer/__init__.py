"""BetterTransformer: a model's encoder layers as torch's own, run eagerly on their fast path, which skips padding."""

from __future__ import annotations

from predictor.records import CaptureMode
from predictor.runtimes.bettertransformer.conversion import converted
from predictor.runtimes.bettertransformer.execution import prepare
from predictor.runtimes.bettertransformer.lowering import NAME, lower
from predictor.runtimes.runtime import HostTerms, Runtime

RUNTIME = Runtime(
    name=NAME,
    capture_mode=CaptureMode.CONVERTED,
    needs_gpu=False,
    lower=lower,
    prepare=prepare,
    host_terms=HostTerms(base="eager", same=True),
    convert=converted,
)
