"""Threads that a module starts: the capture watches them, one at a time.

Torch's modes and Python's tracers are a thread's own. A thread that a forward starts gets those of the capture, and
runs to its end before the forward goes on; what is given to a pool of threads runs at once. So the order of the
operators is always the same. A thread that waits for what the forward does beside it is refused.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import torch
from torch import overrides
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from predictor.capture.isolation import is_capturing, taking_part
from predictor.capture.limits import Stopped
from predictor.capture.python_events import Events

LOOK_S = 0.02
"""Seconds between two looks at a thread that runs."""

STANDS_S = 2.0
"""A thread that stands at the same place for so many seconds waits for another."""

WAITS = (
    "a thread that its forward starts waits for what the forward does beside it: let it finish by itself, or call its "
    "function without a thread"
)


@contextlib.contextmanager
def followed(events: Events) -> Iterator[None]:
    """Threads that the capturing thread starts are watched as it is itself. events: of the pass. Raises Stopped in
    the capturing thread where one waits for it.
    """
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def started(thread: threading.Thread) -> None:
        if is_capturing():
            _run_to_its_end(thread, start, events)
        else:
            start(thread)

    def submitted(pool: ThreadPoolExecutor, task: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        if not is_capturing():
            return submit(pool, task, *args, **named)
        done: Future[Any] = Future()
        try:
            done.set_result(task(*args, **named))
        except Exception as error:
            done.set_exception(error)
        return done

    threading.Thread.start = started  # type: ignore[method-assign, assignment]
    ThreadPoolExecutor.submit = submitted  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]


def _run_to_its_end(thread: threading.Thread, start: Callable[[threading.Thread], None], events: Events) -> None:
    run, surroundings, stopped = thread.run, _Surroundings(events), list[Stopped]()

    def watched() -> None:
        try:
            with surroundings.entered():
                run()
        except Stopped as stop:
            stopped.append(stop)

    thread.run = watched  # type: ignore[method-assign]
    thread.daemon = True  # one that waits for ever keeps no process alive
    try:
        start(thread)
        stands_s, place = 0.0, None
        while thread.is_alive() and stands_s < STANDS_S:
            thread.join(LOOK_S)
            before, place = place, _place(thread)
            stands_s = stands_s + LOOK_S if place == before else 0.0
    finally:
        events.resume(surroundings.paused)
    if thread.is_alive():
        raise Stopped(WAITS)
    if stopped:
        raise stopped[0]


def _place(thread: threading.Thread) -> tuple[int, int] | None:
    """Where a thread is: its innermost call and the instruction."""
    frame = sys._current_frames().get(thread.ident or 0)
    return None if frame is None else (id(frame), frame.f_lasti)


class _Surroundings:
    """What the capturing thread has that a new thread has not: modes, events of Python. It is not watched
    from here on, as how often it looks depends on the machine.
    """

    def __init__(self, events: Events) -> None:
        self._functions: list[Any] = overrides._get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        self._dispatches = _get_current_dispatch_mode_stack()
        self._inference, self._gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
        self._events, self.paused = events, events.pause()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(taking_part())
            stack.enter_context(torch.inference_mode(self._inference))
            stack.enter_context(torch.set_grad_enabled(self._gradients))
            for mode in (*self._functions, *self._dispatches):
                stack.enter_context(mode)
            self._events.resume(self.paused)
            try:
                yield
            finally:
                self._events.pause()
