"""What a user hands in, and the process around a capture, are as before afterwards; neither changes the capture."""

from __future__ import annotations

import _lsprof
import contextlib
import cProfile
import gc
import linecache
import math
import random
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from transformers import DynamicCache

from predictor.capture.isolation import isolated
from predictor.capture.onnx_files import cache, modules
from predictor.capture.recorder import capture
from predictor.collection import LITTLE
from predictor.errors import PredictorError
from predictor.predict import Predictor
from predictor.records import CaptureMode, Graph
from predictor.sources.built import weights_on_meta
from tests.helpers import Function, of

IDS = torch.arange(8).reshape(2, 4)

# the user's module and inputs


class Counter(nn.Module):
    """Counts its passes in a buffer, in an attribute and in its input."""

    passes: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(1, dtype=torch.int64))
        self.flags = [torch.zeros(3, dtype=torch.bool)]
        self.scale = torch.ones(3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        self.flags[0][:] = True
        self.scale *= 2
        ids[:, 0] = 7
        return ids + self.passes


def test_integer_and_boolean_tensors_keep_their_values() -> None:
    module, ids = Counter(), IDS.clone()
    capture(module, ids)
    assert module.passes.tolist() == [0]
    assert module.flags[0].tolist() == [False] * 3
    assert module.scale.tolist() == [1.0] * 3
    assert torch.equal(ids, IDS)


def test_a_module_s_attributes_are_its_own() -> None:
    """What the pass hangs onto a copy of the module does not reach the module."""
    module = Counter()
    capture(module, IDS.clone())
    assert all(not hasattr(tensor, "_captured_value") for tensor in (module.passes, module.flags[0], module.scale))


def test_a_tensor_outside_of_the_module_bears_no_mark_of_the_capture() -> None:
    outside = torch.ones(4)
    of(lambda x: x + outside, torch.empty(2, 4))
    assert not vars(outside)


def test_a_tensor_outside_of_the_module_gets_its_values_back() -> None:
    passes, table = torch.zeros(1, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64)

    def forward(ids: torch.Tensor) -> torch.Tensor:
        table[0] = 5
        passes.add_(1)
        return ids + passes + table.sum()

    of(forward, IDS)
    assert (passes.tolist(), table.tolist()) == ([0], [[0, 0, 0], [0, 0, 0]])


def test_strides_of_inputs_with_values_are_kept() -> None:
    ids = torch.arange(4).expand(3, 4)
    (call,) = of(lambda x: x + 1, ids).calls
    assert call.tensors[0].stride == (0, 1)


class Grows(nn.Module):
    """One step of decoding: keys and values of a token are appended to a cache."""

    def forward(self, x: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        keys, values = cache.update(x, x, 0)
        return nn.functional.scaled_dot_product_attention(x, keys, values)


def test_a_cache_that_is_passed_in_does_not_grow() -> None:
    cache, past = DynamicCache(), torch.rand(1, 2, 7, 8)
    cache.update(past, past, 0)
    graphs = [capture(Grows(), (torch.empty(1, 2, 1, 8), cache), "fp16") for _ in range(2)]
    assert graphs[0] == graphs[1]
    assert cache.get_seq_length() == 7
    keys = cache.layers[0].keys
    assert keys is not None
    assert torch.equal(keys, past)
    attention = graphs[0].calls[-1]
    assert [t.shape for t in attention.tensors] == [(1, 2, 1, 8), (1, 2, 8, 8), (1, 2, 8, 8)]
    assert {t.dtype for t in attention.tensors} == {"fp16"}


# modules that cannot be deep-copied


class Uncopiable(nn.Module):
    """Holds a lock, a generator, an open file, a tensor of a graph, and its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.weight_norm(nn.Linear(8, 8))
        self.second = nn.Linear(8, 8)
        self.second.guard = threading.Lock()  # type: ignore[assignment]
        self.tools = {"lock": threading.RLock(), "file": sys.__stderr__, "numbers": (n for n in range(3))}
        self.noise = torch.Generator().manual_seed(1)
        self.last = self.first(torch.rand(2, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.tools["lock"]:  # type: ignore[attr-defined]
            x = self.second(self.first(x))
        self.last = x + torch.rand(x.shape, generator=self.noise).to(x.device, x.dtype)
        return self.last


def test_a_module_that_cannot_be_deep_copied_is_captured_and_left_as_it_was() -> None:
    module = Uncopiable()
    tensors = {name: (id(t), t.clone()) for name, t in module.state_dict(keep_vars=True).items()}
    last, noise = module.last, module.noise.get_state()
    graph = capture(module, torch.rand(2, 8), "fp16")
    assert {t.dtype for call in graph.calls if call.op == "linear" for t in call.tensors} == {"fp16"}
    assert module.last is last
    assert not last.is_meta
    assert torch.equal(module.noise.get_state(), noise)
    assert next(module.tools["numbers"]) == 0  # type: ignore[call-overload]
    for name, tensor in module.state_dict(keep_vars=True).items():
        assert id(tensor) == tensors[name][0]
        assert torch.equal(tensor, tensors[name][1])
    assert module.training


def test_shared_parts_of_what_cannot_be_copied_stay_shared() -> None:
    shared = nn.Linear(8, 8)
    module = nn.Sequential(shared, shared)
    module.guard = threading.Lock()  # type: ignore[assignment]
    first, second = capture(module, torch.empty(2, 8)).calls
    assert first.input_ids[1] == second.input_ids[1]


def test_lazy_layers_are_to_be_run_first() -> None:
    with pytest.raises(PredictorError, match="run it once"):
        capture(nn.LazyLinear(4), torch.empty(2, 8))


# random numbers


def draws(x: torch.Tensor) -> torch.Tensor:
    torch.randint(9, (2,)), random.random(), np.random.rand()
    return x + torch.rand(4)


def fails(x: torch.Tensor) -> torch.Tensor:
    draws(x)
    raise ValueError("out of cheese")


@pytest.mark.parametrize("forward", [draws, fails])
def test_random_numbers_go_on_as_if_there_was_no_capture(forward: Callable[[Any], Any]) -> None:
    def numbers() -> tuple[Any, ...]:
        return torch.rand(3).tolist(), random.random(), np.random.rand()

    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    expected = numbers()
    torch.set_rng_state(states[0]), random.setstate(states[1]), np.random.set_state(states[2])
    with contextlib.suppress(PredictorError):
        of(forward, torch.empty(2, 4))
    assert numbers() == expected


def test_a_branch_on_a_random_number_is_the_same_every_time() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        for _ in range(int(torch.randint(1, 30, ())) + random.randrange(30) + int(np.random.randint(30))):
            x = x * 2
        return x

    assert len({len(of(forward, torch.empty(2, 4)).calls) for _ in range(5)}) == 1


# the process: contexts, defaults, hooks, output


def attends(x: torch.Tensor) -> torch.Tensor:
    scale = torch.ones(x.shape[-1], device=x.device, dtype=x.dtype) * torch.arange(x.shape[-1]).to(x.device)
    return torch.softmax(nn.functional.linear(x * scale, torch.empty(4, 4).to(x.device, x.dtype)), -1)


CONTEXTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "meta": lambda: torch.device("meta"),
    "cpu": lambda: torch.device("cpu"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference": torch.inference_mode,
    "gradients": torch.enable_grad,
    "no gradients": torch.no_grad,
    "fake tensors": FakeTensorMode,
}


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_of_torch_around_a_capture_changes_nothing(context: str) -> None:
    module, inputs = nn.Sequential(nn.Linear(4, 4), Function(attends)), torch.rand(2, 4)
    outside = capture(module, inputs, "fp16")
    with CONTEXTS[context]():
        before = torch.get_default_device(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()
        inside = capture(module, inputs, "fp16")
        assert (torch.get_default_device(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()) == before
        with CONTEXTS[context]():
            nested = capture(module, torch.rand(2, 4), "fp16")
    assert inside == outside == nested


def test_fake_tensors_are_captured_as_real_ones() -> None:
    real = capture(nn.Embedding(9, 4), IDS)
    with FakeTensorMode():
        assert capture(nn.Embedding(9, 4), torch.zeros(2, 4, dtype=torch.int64)) == real


def test_contexts_stay_in_force_after_a_capture() -> None:
    with torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
        of(attends, torch.empty(2, 4))
        assert torch.zeros(1).is_meta
        assert torch.is_autocast_enabled("cpu")


def meddles(x: torch.Tensor) -> torch.Tensor:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(True)
    torch.set_autocast_enabled("cpu", True)
    sys.setprofile(lambda *_: None)
    sys.settrace(None)
    return x + 1


def test_what_a_model_sets_is_set_back() -> None:
    def state() -> tuple[Any, ...]:
        return (
            *(torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()),
            *(torch.is_autocast_enabled("cpu"), sys.getprofile(), sys.gettrace()),
        )

    before = state()
    of(meddles, torch.empty(2))
    assert state() == before


def test_a_default_dtype_is_that_of_the_prediction() -> None:
    """A model under a half-precision default makes half-precision tensors."""
    torch.set_default_dtype(torch.bfloat16)
    try:
        graph = of(lambda x: x @ torch.empty(4, 4).to(x.device), torch.empty(2, 4), dtype="fp16")
        assert torch.get_default_dtype() is torch.bfloat16
    finally:
        torch.set_default_dtype(torch.float32)
    assert graph.calls[-1].outputs[0].dtype == "fp16"


def test_a_debugger_and_a_profiler_count_nothing_and_stay() -> None:
    def tracer(frame: Any, event: str, argument: Any) -> Any:
        return tracer

    def profiler(frame: Any, event: str, argument: Any) -> None:
        return None

    module, inputs = nn.Sequential(nn.Linear(4, 4), Function(attends)), torch.rand(2, 4)
    plain, before = capture(module, inputs), (sys.gettrace(), sys.getprofile())
    sys.settrace(tracer)
    sys.setprofile(profiler)
    try:
        watched, hooks = capture(module, inputs), (sys.gettrace(), sys.getprofile())
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])
    assert watched == plain
    assert hooks == (tracer, profiler)


@pytest.mark.parametrize("profiler", [cProfile.Profile, _lsprof.Profiler])  # python -m cProfile has a class of its own
def test_cprofile_goes_on_after_a_capture(profiler: type[_lsprof.Profiler]) -> None:
    module, inputs, profile = nn.Linear(4, 4), torch.rand(2, 4), profiler()
    profile.enable()
    capture(module, inputs)
    math.gcd(4, 6)
    profile.disable()
    assert any("gcd" in str(entry.code) for entry in profile.getstats())


def test_what_a_model_prints_does_not_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    of(lambda x: (print("hello"), x + 1)[1], torch.empty(2))
    out, err = capsys.readouterr()
    assert out == ""
    assert "hello" in err


def test_a_capture_inside_of_a_forward_is_refused() -> None:
    with pytest.raises(PredictorError, match="outside of it"):
        of(lambda x: x + len(capture(nn.Linear(4, 4), torch.empty(2, 4)).calls), torch.empty(2, 4))


def test_eight_threads_get_what_one_gets() -> None:
    module, inputs = nn.Sequential(nn.Linear(4, 4), Function(attends)), torch.rand(2, 4)

    def graphs(_: int) -> tuple[Graph, Graph]:
        return capture(module, inputs, "fp16"), modules.exported(nn.Linear(4, 4).eval(), inputs, "fp32")

    alone = graphs(0)
    folder = cache.cache_folder()
    assert folder is not None
    for kept in filter(Path.is_file, folder.rglob("*")):
        kept.unlink()  # so that one of the eight exports again
    with ThreadPoolExecutor(8) as pool:
        assert all(found == alone for found in pool.map(graphs, range(8)))


def test_other_threads_write_and_remove_source_lines_meanwhile() -> None:
    over, interval = threading.Event(), sys.getswitchinterval()

    def lines() -> None:
        while not over.is_set():
            if linecache.cache.pop("<other>", None) is None:
                linecache.cache["<other>"] = 1, None, [], ""

    linecache.cache.update({f"<many {number}>": (1, None, [], "") for number in range(10_000)})
    other = threading.Thread(target=lines)
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        for _ in range(50):
            with isolated():
                pass
    finally:
        over.set()
        other.join()
        sys.setswitchinterval(interval)
        for number in range(10_000):
            del linecache.cache[f"<many {number}>"]
        linecache.cache.pop("<other>", None)


def test_the_code_of_a_model_is_freed_with_it() -> None:
    """Memory does not grow with models that are made on the way."""
    scope: dict[str, Any] = {"nn": nn}
    exec("class Model(nn.Module):\n    def forward(self, x):\n        return x + 1\n", scope)
    model = scope.pop("Model")
    capture(model(), torch.empty(2))
    code, kind = weakref.ref(model.forward.__code__), weakref.ref(model)
    del model
    scope.clear()
    gc.collect()
    assert (code(), kind()) == (None, None)


def test_the_module_is_freed_after_a_capture() -> None:
    module = Counter()
    capture(module, IDS.clone())
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("mode", [mode for mode in CaptureMode if mode is not CaptureMode.EXPORTED])
def test_a_capture_leaves_little_in_cycles(mode: CaptureMode) -> None:
    """Else the garbage collector would have to look at all objects of the process again and again."""
    module, x = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(20)]), torch.rand(1, 4)

    def found(times: int) -> int:
        gc.collect()
        for _ in range(times):
            capture(module, (x,), mode=mode)
        return gc.collect()

    found(2)  # what they fill caches with
    assert found(10) <= LITTLE * 10


def test_building_a_module_leaves_little_in_cycles() -> None:
    def found(times: int) -> int:
        gc.collect()
        for _ in range(times):
            with weights_on_meta():
                nn.Linear(4, 4)
        return gc.collect()

    found(2)
    assert found(10) <= LITTLE * 10


def test_memory_does_not_grow_with_the_number_of_captures() -> None:
    def objects_after(captures: int) -> int:
        for _ in range(captures):
            capture(nn.Sequential(nn.Linear(4, 4), Function(attends)), torch.rand(2, 4), "fp16")
        gc.collect()
        return len(gc.get_objects())

    before = objects_after(20)
    assert objects_after(40) - before < 40


def linear() -> nn.Linear:
    return nn.Linear(8, 8)


KINDS: dict[str, Callable[[], Any]] = {
    "plain": linear,
    "traced by torch.fx": lambda: torch.fx.symbolic_trace(nn.Sequential(linear(), nn.ReLU())),
    "scripted": lambda: torch.jit.script(linear()),
    "parametrised": lambda: nn.utils.parametrizations.weight_norm(linear()),
    "with a hook": lambda: hooked(linear()),
    "recurrent": lambda: nn.LSTM(8, 8),
    "of attention": lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(),
    "refused": lambda: Function(lambda x: x.to_sparse() @ x[0]),
    "that raises": lambda: Function(fails),
    "with threads": lambda: Function(lambda x: (threading.Thread(target=lambda: x + 1).start(), x)[1]),
}


def hooked(module: nn.Module) -> nn.Module:
    module.register_forward_hook(lambda m, i, o: o + 1)
    return module


@pytest.mark.filterwarnings("ignore")
def test_no_module_and_no_input_stays_alive_after_its_prediction() -> None:
    """Six of each kind, and nothing of the process grows with them."""
    kept: list[weakref.ref[Any]] = []

    def predictions(rounds: int) -> int:
        for build in [*KINDS.values()] * rounds:
            module, x = build(), torch.rand(1, 4, 8)
            kept.extend((weakref.ref(module), weakref.ref(x)))
            with contextlib.suppress(PredictorError):
                Predictor("h200", dtype="fp16").predict(module, (x,))
            del module, x
        gc.collect()
        return len(gc.get_objects()) - len(kept)

    before = predictions(3)
    after = predictions(3)
    assert len(kept) == 6 * 2 * len(KINDS)
    assert not [reference for reference in kept if reference() is not None]
    assert after - before < 30


def test_an_input_that_is_returned_is_an_output() -> None:
    graph = of(lambda x: (x, x + 1), torch.empty(2))
    assert graph.outputs == (graph.calls[0].input_ids[0], graph.calls[0].output_ids[0])
