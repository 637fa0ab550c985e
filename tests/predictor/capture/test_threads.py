"""Threads that a forward starts: their operators are part of the pass, in an order that is always the same."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
import torch
from torch import Tensor

from predictor.capture import threads
from predictor.errors import PredictorError
from predictor.records import Graph
from tests.helpers import of

X = torch.rand(4, 8)


def ops(graph: Graph) -> list[str]:
    return [call.op for call in graph.calls]


def in_threads(*tasks: Callable[[], Any]) -> None:
    started = [threading.Thread(target=task) for task in tasks]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
        assert not thread.is_alive()


def joined(x: Tensor) -> Tensor:
    results: dict[str, Tensor] = {}
    in_threads(lambda: results.update(a=x.exp()), lambda: results.update(b=x.sin()))
    return results["a"] + results["b"]


class Task(threading.Thread):
    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x

    def run(self) -> None:
        self.x = self.x.exp() + torch.arange(8, device=self.x.device)


def of_a_class(x: Tensor) -> Tensor:
    task = Task(x)
    task.start()
    task.join()
    return task.x.sin()


def pooled(x: Tensor) -> Tensor:
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(function, x) for function in (torch.exp, torch.sin)]
        a, b = (future.result() for future in futures)
    return a + b


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (joined, ["exp", "sin", "add"]),
        (of_a_class, ["exp", "arange", "add", "sin"]),
        (pooled, ["exp", "sin", "add"]),
    ],
)
def test_operators_of_threads_are_part_of_the_pass(forward: Callable[[Tensor], Tensor], expected: list[str]) -> None:
    graphs = [of(forward, X, dtype="fp16") for _ in range(3)]
    assert ops(graphs[0]) == expected
    assert graphs[0] == graphs[1] == graphs[2]


def test_python_of_threads_is_counted() -> None:
    def forward(x: Tensor) -> Tensor:
        def work(y: Tensor) -> None:
            for _ in range(20):
                abs(1)
            y.exp()

        in_threads(lambda: work(x))
        return x

    (call,) = of(forward, X).calls
    assert call.python.calls > 3


def test_an_error_in_a_thread_is_that_threads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda hook: raised.append(hook.exc_type))

    def fails() -> None:
        raise ValueError

    assert ops(of(lambda x: (in_threads(fails), x + 1)[1], X)) == ["add"]
    assert set(raised) == {ValueError}


def waits_for_the_forward(x: Tensor) -> Any:
    given: queue.Queue[Tensor] = queue.Queue()
    made: queue.Queue[Tensor] = queue.Queue()
    threading.Thread(target=lambda: made.put(given.get().exp())).start()
    given.put(x)
    return made.get(timeout=5)


def pool_of_processes_with_threads(x: Tensor) -> Any:
    with ThreadPool(1) as pool:
        return pool.map(torch.exp, [x])


@pytest.mark.parametrize("forward", [waits_for_the_forward, pool_of_processes_with_threads])
def test_a_thread_that_waits_for_the_forward_is_refused(
    forward: Callable[[Tensor], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "STANDS_S", 0.3)
    with pytest.raises(
        PredictorError, match=r"test_threads\.py:\d+\): a thread .* waits for what the forward does beside"
    ):
        of(forward, X)
    assert ops(of(joined, X)) == ["exp", "sin", "add"]


def test_a_thread_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_ever() -> None:
        while True:
            abs(1)

    monkeypatch.setenv("PREDICTOR_CAPTURE_SECONDS", "0.2")
    with pytest.raises(PredictorError, match=r"for more than 0\.2 s"):
        of(lambda x: (in_threads(for_ever), x)[1], X)


def test_a_capture_in_a_thread_of_a_forward_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda hook: refused.append(str(hook.exc_value)))
    of(lambda x: (in_threads(lambda: of(torch.exp, X)), x + 1)[1], X)
    assert all("predict outside of it" in said for said in refused)
    assert refused
