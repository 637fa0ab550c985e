"""What the instructions of a generated loop cost: long chains of transcendental functions are bound by them."""

from __future__ import annotations

from predictor.records import OpCall, Trait

USUAL_CYCLES = 2.0
"""Lane cycles of an element of an addition, a product or a choice: measured, see below, 0 to 2.5."""

CYCLES = {
    **{"div": 7.0, "clamp": 8.0, "clamp_min": 4.0, "clamp_max": 4.0, "hardtanh": 8.0, "remainder": 16.0},
    **{"exp": 8.0, "sigmoid": 12.0, "silu": 14.0, "tanh": 19.0, "log": 24.0, "softplus": 32.0, "gelu": 32.0},
    **{"sqrt": 11.0, "rsqrt": 11.0, "sin": 29.0, "cos": 28.0, "pow": 78.0, "erf": 24.0, "softmax": 12.0},
    **{"hardsigmoid": 8.0, "hardswish": 10.0, "elu": 12.0, "mish": 40.0, "log_sigmoid": 32.0, "log_softmax": 12.0},
}
"""Lane cycles of a GPU for one element by operator, where they are not the usual ones of an addition. Measured on an
H200: 270 loops of up to 12 operators, whose times they describe to 10 % (``benchmarks.inductor_sweep --cycles h200``).
Those that the loops do not hold are sums of what they are made of: ``erf``, ``softmax`` and its logarithm, one-sided
clamps, ``hardsigmoid``, ``hardswish``, ``elu``, ``mish``, ``log_sigmoid``, ``rsqrt``.
"""

OF_A_NUMBER = 37.0
"""Of a number to the power of a tensor: measured likewise."""


def cycles_of(call: OpCall) -> float:
    """Lane cycles of one element of an operator's result."""
    op = call.op.rstrip("_")
    if call.trait is Trait.VIEW:
        return 0.0
    if op == "pow" and isinstance(call.args.get("self"), (int, float)):
        return OF_A_NUMBER
    exponent = call.args.get("exponent")
    if op == "pow" and isinstance(exponent, (int, float)) and float(2 * exponent).is_integer():
        return USUAL_CYCLES if float(exponent).is_integer() else CYCLES["sqrt"]
    return CYCLES.get(op, USUAL_CYCLES)
