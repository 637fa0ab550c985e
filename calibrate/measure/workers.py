"""A process for each model, or each of its runtimes: what one of them breaks (a failed capture can make CUDA unusable)
no other feels, and slow preparations (export, compilation) go on at the same time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

PRELOADED = ("calibrate.measure.models", "torch._dynamo", "torch.onnx", "transformers")
"""What a process has imported when it starts: seconds each, spent once. None of them touches a GPU."""


@cache
def forking() -> Any:
    """The way to start processes: forks of one that has imported what takes long, and has no GPU open."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
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

    def answer(self) -> Any:
        """What the call returned. Raises RuntimeError where it raised, or where the process died."""
        try:
            failed, found = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            raise RuntimeError(f"its process died (exit code {self._process.exitcode})") from None
        if failed:
            raise RuntimeError(found)
        return found

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
            self._process.kill()
            self._process.join()


def _serve(pipe: Connection, server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Answer until the pipe closes: the one who asks has ended, in whatever way."""
    made = None
    while True:
        try:
            method, values = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            made = server(*args, **kwargs) if made is None else made
            answer = False, getattr(made, method)(*values)
        except KeyboardInterrupt:
            return
        except Exception as error:
            answer = True, f"{type(error).__name__}: {error}"
        pipe.send(answer)
