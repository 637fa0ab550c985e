"""Processes that answer calls: what one breaks (a failed capture can make CUDA unusable, a compiler can hang) no other
feels, and slow preparations (export, compilation) go on at the same time.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

from predictor.errors import one_line

PRELOADED = ["calibrate.measure.models", "torch._dynamo", "torch.onnx", "transformers"]
"""What a process has imported when it starts: seconds each, spent once. None of them touches a GPU. Modules may be
added before the first process starts.
"""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@cache
def forking() -> Any:
    """The way to start processes: forks of one that has imported what takes long, and has no GPU open."""
    if "forkserver" not in get_all_start_methods():  # Windows
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def give_way() -> None:
    """Let a process compute when no other wants to: the one that waits for it has work of its own meanwhile."""
    if hasattr(os, "nice"):
        os.nice(10)


class Worker:
    """A process that answers calls of a server object's methods, one after another. Use it in a ``with`` block.

    >>> with Worker(dict, a=1) as worker:
    ...     worker.ask("get", "a")
    ...     worker.answer()
    1
    """

    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        context = forking()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, server, args, kwargs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, method: str, *args: Any) -> None:
        """Start a call; ``answer`` waits for it."""
        with suppress(OSError):  # it has died: the answer says so
            self._pipe.send((method, args))

    def answer(self, limit_s: float | None = None) -> Any:
        """What the call returned. Raises RuntimeError where it raised, where the process died, and where it took longer
        than the limit: then it is killed.
        """
        try:
            if not self._pipe.poll(limit_s):
                self.kill()
                raise RuntimeError(f"took longer than {limit_s:.0f} s")
            failed, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            raise RuntimeError(f"its process died (exit code {self._process.exitcode})") from None
        if failed:
            raise RuntimeError(answer)
        return answer

    def pause(self) -> None:
        """Stop the process and those that it started, until ``resume``: what others time is not disturbed."""
        self._signal("SIGSTOP")

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal("SIGCONT")

    def kill(self) -> None:
        """End the process and those that it started, at once."""
        self._signal("SIGKILL")
        self._process.kill()
        self._process.join(10)

    def _signal(self, name: str) -> None:
        if not hasattr(os, "killpg"):  # Windows has no groups that could be paused
            return
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or has no group of its own yet
            os.killpg(self._process.pid, getattr(signal, name))

    def close(self) -> None:
        """Let the process end, without waiting for that."""
        self._pipe.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._process.join(5)
        if self._process.is_alive():
            self.kill()


def answered(workers: Sequence[Worker], limit_s: float) -> list[Worker]:
    """Those whose ``answer`` is there, or who have died; after the limit none."""
    ready = set(wait([worker._pipe for worker in workers], limit_s))
    return [worker for worker in workers if worker._pipe in ready]


def _serve(pipe: Connection, server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Answer until the pipe closes: the one who asks has ended, in whatever way."""
    _stand_alone()
    instance = None
    while True:
        try:
            method, values = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            instance = server(*args, **kwargs) if instance is None else instance
            answer = False, getattr(instance, method)(*values)
        except KeyboardInterrupt:
            return
        except Exception as error:
            answer = True, one_line(error)
        pipe.send(answer)


def _stand_alone() -> None:
    """A process group of its own, so that signals reach the compilers that it starts; and an end with the process that
    forked it, even where it is paused.
    """
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
