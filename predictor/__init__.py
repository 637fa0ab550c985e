"""Predicts the latency of neural networks from measured dispatch overhead and kernel throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from predictor.version import VERSION

if TYPE_CHECKING:
    from predictor.errors import PredictorError
    from predictor.measured import Measured, read_measured
    from predictor.ops import Operator, register_operator
    from predictor.plans import Plan, load_plan
    from predictor.predict import load_calibration, plan, plan_file
    from predictor.records import Kernel, OpCall, Report, Trait
    from predictor.search import Predictor
    from predictor.tables import Price, Result, Results, SweepTable

__version__ = VERSION
__all__ = [
    "Kernel",
    "Measured",
    "OpCall",
    "Operator",
    "Plan",
    "Predictor",
    "PredictorError",
    "Price",
    "Report",
    "Result",
    "Results",
    "SweepTable",
    "Trait",
    "load_calibration",
    "load_plan",
    "plan",
    "plan_file",
    "read_measured",
    "register_operator",
]

_HOMES = {
    "Predictor": "predictor.search",
    "PredictorError": "predictor.errors",
    "Plan": "predictor.plans",
    "Kernel": "predictor.records",
    "Measured": "predictor.measured",
    "OpCall": "predictor.records",
    "Operator": "predictor.ops",
    "Price": "predictor.tables",
    "Report": "predictor.records",
    "Result": "predictor.tables",
    "Results": "predictor.tables",
    "SweepTable": "predictor.tables",
    "Trait": "predictor.records",
    "load_calibration": "predictor.predict",
    "load_plan": "predictor.plans",
    "plan": "predictor.predict",
    "plan_file": "predictor.predict",
    "read_measured": "predictor.measured",
    "register_operator": "predictor.ops",
}


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that ``import predictor`` and ``--help`` stay fast."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
