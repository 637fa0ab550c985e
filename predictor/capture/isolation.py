"""What a capture must not see of the process around it, and what the process must not see of the capture.

Random number generators, the default dtype, torch's modes and contexts, tracers and standard output are put in a state
that is always the same, and back afterwards, also where the model raises. One capture runs at a time.
"""

from __future__ import annotations

import _lsprof
import contextlib
import linecache
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import overrides
from torch.fx import graph_module
from torch.utils import _device as device_contexts
from torch.utils._python_dispatch import _disable_current_modes

from predictor.errors import PredictorError
from predictor.standard_output import to_standard_error

_one_capture = threading.Lock()
_capturing: set[int] = set()  # the thread that holds the lock, and those that the captured module has started

AUTOCAST_DEVICES = ("cpu", "cuda")


@contextlib.contextmanager
def isolated(dtype: torch.dtype = torch.float32) -> Iterator[None]:
    """Run the body in a clean state of Python and torch, then restore the caller's. Other threads wait for their turn.

    dtype: that of the prediction. It becomes the default dtype where the user's default is not torch's: a model that
    is built under such a default makes its tensors in the dtype that it runs in. Raises PredictorError where the body
    of another ``isolated`` asks for it.

    >>> with torch.device("meta"), isolated():
    ...     made = torch.zeros(1)
    >>> made.device
    device(type='cpu')
    """
    if is_capturing():
        raise PredictorError("a model's forward asks for a prediction: predict outside of it")
    with (
        _one_capture,
        taking_part(),
        _without_tracers(),
        _without_modes(),
        _without_autocast(),
        _default_dtype(dtype),
        _random_states(),
        _generated_sources(),
        to_standard_error(),
        torch.inference_mode(False),
        torch.no_grad(),
    ):
        yield


def is_capturing() -> bool:
    """Whether this thread runs the body of ``isolated``, or takes part in it."""
    return threading.get_ident() in _capturing


@contextlib.contextmanager
def taking_part() -> Iterator[None]:
    """This thread takes part in the capture that runs."""
    _capturing.add(threading.get_ident())
    try:
        yield
    finally:
        _capturing.discard(threading.get_ident())


@contextlib.contextmanager
def _without_tracers() -> Iterator[None]:
    """Without a debugger's, a profiler's or a coverage tool's hooks."""
    trace, profile = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        if isinstance(profile, _lsprof.Profiler):  # no function that ``setprofile`` could take back; -m cProfile, too
            profile.enable()
        else:
            sys.setprofile(profile)
        sys.settrace(trace)


@contextlib.contextmanager
def _without_modes() -> Iterator[None]:
    """Without torch's function modes (``torch.device``) and dispatch modes (``FakeTensorMode``)."""
    modes = _popped_function_modes()
    device, default = device_contexts.CURRENT_DEVICE, torch._GLOBAL_DEVICE_CONTEXT
    default_context = getattr(default, "device_context", None)
    device_contexts.CURRENT_DEVICE = None
    default.device_context = None
    try:
        with _disable_current_modes():
            yield
    finally:
        _popped_function_modes()
        for mode in reversed(modes):
            overrides._push_mode(mode)
        device_contexts.CURRENT_DEVICE = device
        default.device_context = default_context


def _popped_function_modes() -> list[Any]:
    """The stack of function modes, the innermost first; it is empty afterwards."""
    return [overrides._pop_mode() for _ in overrides._get_current_function_mode_stack()]


@contextlib.contextmanager
def _without_autocast() -> Iterator[None]:
    """Outside of all of the caller's autocast contexts."""
    before = [(d, torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in AUTOCAST_DEVICES]
    for device in AUTOCAST_DEVICES:
        torch.set_autocast_enabled(device, False)
    depth = torch.autocast_increment_nesting()
    for _ in range(depth):
        torch.autocast_decrement_nesting()
    try:
        yield
    finally:
        for _ in range(depth - 1):
            torch.autocast_increment_nesting()
        for device, enabled, dtype in before:
            torch.set_autocast_enabled(device, enabled)
            torch.set_autocast_dtype(device, dtype)


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if before is torch.float32 else dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def _random_states() -> Iterator[None]:
    """Random number generators are as before afterwards."""
    torch_state, python_state = torch.default_generator.get_state(), random.getstate()
    numpy_random = _numpy_random()
    numpy_state = numpy_random.get_state() if numpy_random else None
    try:
        yield
    finally:
        torch.default_generator.set_state(torch_state)
        random.setstate(python_state)
        if numpy_random:
            numpy_random.set_state(numpy_state)


@contextlib.contextmanager
def _generated_sources() -> Iterator[None]:
    """What torch writes down of the code that it generates for the copies of a traced module goes with them."""
    kept: tuple[dict[str, Any], ...] = (linecache.cache, graph_module._loader.eval_cache)
    before = [set(sources) for sources in kept]
    try:
        yield
    finally:
        for sources, names in zip(kept, before, strict=True):
            for name in list(sources):  # other threads write and remove lines, too: a Dask worker's profiler does
                if name not in names and name.startswith(GENERATED):
                    sources.pop(name, None)


GENERATED = "<eval_with_key>"
"""How the names of files begin that torch.fx generates."""


def seed() -> None:
    """Seed every random number generator of the process: each pass draws the same numbers."""
    torch.default_generator.manual_seed(0)
    random.seed(0)
    numpy_random = _numpy_random()
    if numpy_random:
        numpy_random.seed(0)


def _numpy_random() -> Any:
    """``numpy.random``, where numpy is imported."""
    return getattr(sys.modules.get("numpy"), "random", None)
