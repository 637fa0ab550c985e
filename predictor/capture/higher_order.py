"""Operators that take functions: what torch runs for them where nothing compiles them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._ops import HigherOrderOperator


def branch(condition: Any, if_true: Callable[..., Any], if_false: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """``torch.cond``: the branch that is taken."""
    return (if_true if bool(condition) else if_false)(*operands)


def steps(combine: Callable[..., Any], state: Any, xs: Any, more: Sequence[Any] = ()) -> Any:
    """``scan``: a step for each slice."""
    from torch._higher_order_ops.scan import generic_scan

    run: Callable[..., Any] = generic_scan
    return run(combine, state, xs, additional_inputs=tuple(more))


BY_NAME: dict[str, Callable[..., Any]] = {"cond": branch, "scan": steps}
"""Those whose own implementation refuses to be watched."""


def steps_of(operator: HigherOrderOperator) -> Callable[..., Any] | None:
    """What an operator runs, as a function of its arguments; None where nobody knows."""
    name: str = operator.name()  # type: ignore[no-untyped-call]
    own = operator.py_kernels.get(torch._C.DispatchKey.CompositeExplicitAutograd)
    return BY_NAME.get(name, own)
