"""Plans on disk: what is found again, what is not, how large they get, many processes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from predictor import Predictor, disk_cache, ops, search
from predictor.capture.module_key import module_key
from predictor.disk_cache import DiskCache
from predictor.graph.files import GraphSet
from predictor.ops.row import Operator
from predictor.plans import settings
from predictor.predict import plan
from predictor.records import CaptureOptions, Trait
from predictor.stored_programs import from_bytes, stored, to_bytes
from tests.predictor.search_candidates import Chain, chain, chains, noted

H200 = Predictor("h200", dtype="fp16")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "plans"


def captures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the modules that are captured from now on."""
    names: list[str] = []
    captured = search.predict.graph_of

    def noting(module: Any, *more: Any, **named: Any) -> Any:
        names.append(type(module).__name__)
        return captured(module, *more, **named)

    monkeypatch.setattr("predictor.predict.graph_of", noting)
    return names


# what is found again


def test_a_second_search_captures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = H200.map(chains(6))
    names = captures(monkeypatch)
    assert H200.map(chains(6)).results == first.results
    assert names == []
    assert H200.map(chains(6), cache=False).results == first.results
    assert len(names) == 6


def test_another_gpu_or_runtime_of_the_same_code_captures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    H200.map(chains(2))
    names = captures(monkeypatch)
    Predictor("a100", dtype="fp16").map(chains(2))
    assert names == []
    H200.map(chains(2), runtimes=["cudagraph"])  # which takes other branches of a model's code
    assert len(names) == 2


def test_a_named_candidate_is_not_built_again(tmp_path: Path) -> None:
    candidates = [partial(noted, tmp_path, number) for number in range(3)]
    first = H200.map(candidates, keys=["a", "b", "c"])
    built = set(tmp_path.glob("*-*-*"))
    again = H200.map(candidates, 2, keys=["a", "b", "c"])
    assert set(tmp_path.glob("*-*-*")) == built
    assert again.results == first.results
    assert [result.parameters for result in again] == [result.parameters for result in first]
    H200.map([partial(noted, tmp_path, 5)], keys=["d"])
    assert len(set(tmp_path.glob("*-*-*")) - built) == 1


def test_a_name_is_of_the_code_that_makes_it() -> None:
    def twice() -> Any:
        return chain(2)

    def thrice() -> Any:
        return chain(3)

    (first,) = H200.map([twice], keys=["best"])
    (other,) = H200.map([thrice], keys=["best"])
    assert other.macs == 1.5 * first.macs


def test_the_options_of_a_capture_are_part_of_it() -> None:
    convolution = nn.Conv2d(8, 8, 3), torch.rand(1, 8, 16, 16)
    first = H200.map([convolution])
    strided = dataclasses.replace(H200, options=CaptureOptions(channels_last=True))
    assert strided.map([convolution]).results == strided.map([convolution], cache=False).results
    assert H200.map([convolution]).results == first.results


def test_batch_and_length_are_part_of_it() -> None:
    small, large = (H200.map([partial(chain, 2)], batch=batch)[0] for batch in (1, 64))
    assert large.macs == 64 * small.macs


# what has one key


def key(module: nn.Module, inputs: Any = None) -> str | None:
    return module_key(module, torch.rand(2, 16) if inputs is None else inputs)


class WithHelper(Chain):
    """Calls a function of its file."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return helper(super().forward(x))


def helper(x: torch.Tensor) -> torch.Tensor:
    return x + 1


def other_helper(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def test_equal_modules_have_one_key_whatever_their_weights() -> None:
    assert key(Chain(2, 16)) == key(Chain(2, 16)) is not None
    assert key(Chain(2, 16)) != key(Chain(3, 16))
    assert key(Chain(2, 16)) != key(Chain(2, 16).half())
    assert key(Chain(2, 16)) != key(Chain(2, 16).train(False))
    assert key(Chain(2, 16)) != key(Chain(2, 16), torch.rand(4, 16))


def test_code_that_a_module_calls_is_part_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(WithHelper(2, 16))
    assert before is not None
    monkeypatch.setattr(sys.modules[__name__], "helper", other_helper)
    assert key(WithHelper(2, 16)) != before


def test_hooks_buffers_configuration_and_patches_are_part_of_it() -> None:
    plain = key(Chain(1, 16))
    hooked = Chain(1, 16)
    hooked.register_forward_hook(lambda module, inputs, output: output + 1)
    counted, other = Chain(1, 16), Chain(1, 16)
    counted.register_buffer("order", torch.arange(4))
    other.register_buffer("order", torch.arange(4).flip(0))
    patched = Chain(1, 16)
    patched.forward = lambda x: x * 2  # type: ignore[method-assign]
    configured = Chain(1, 16)
    configured.config = {"dropout": 0.5}
    keys = [plain, *map(key, (hooked, counted, other, patched, configured))]
    assert None not in keys
    assert len(set(keys)) == 6


def test_two_classes_of_one_name_have_two_keys() -> None:
    def of(factor: int) -> nn.Module:
        def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if factor == 2 else x + 1

        return type("Made", (nn.Module,), {"forward": forward, "factor": factor})()

    assert key(of(2)) != key(of(3))


def test_what_nobody_can_compare_has_no_key_and_is_not_kept(folder: Path) -> None:
    module = Chain(1, 16)
    module.stream = iter([1, 2])
    assert key(module) is None
    assert H200.map([(module, torch.rand(2, 16))]).errors == ()
    assert not list(folder.rglob("*"))


def test_nothing_is_kept_while_there_are_operators_of_the_users(folder: Path) -> None:
    ops.register_operator(Operator(("mylib::kept",), Trait.POINTWISE))
    try:
        H200.map(chains(1))
    finally:
        del ops.OPS["mylib::kept"]
    assert not list(folder.rglob("*"))


# files


@pytest.mark.parametrize("runtime", ["eager", "cudagraph", "compile", "torchscript"])
def test_a_stored_program_is_priced_as_it_was(runtime: str) -> None:
    made = plan(*chain(3))
    chosen = settings("h200", runtime, "fp16")
    program = stored(made.program(chosen))
    content = to_bytes(program)
    assert to_bytes(from_bytes(content)) == content  # type: ignore[arg-type]
    assert len(content) < 2000
    (alone,) = Predictor("h200", runtime, "fp16").map([partial(chain, 3)])
    (again,) = Predictor("h200", runtime, "fp16").map([partial(chain, 3)])
    assert alone == again
    assert alone.latency_s == made.report("h200", runtime, "fp16").latency_s


def test_a_damaged_file_is_made_again(folder: Path) -> None:
    first = H200.map(chains(2))
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert paths
    for path in paths:
        path.write_bytes(path.read_bytes()[:-3] + b"abc")
    assert H200.map(chains(2)).results == first.results


def test_files_are_for_this_user_alone(folder: Path) -> None:
    H200.map(chains(1))
    assert {path.stat().st_mode & 0o77 for path in folder.rglob("*")} == {0}


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "small", 10_000)
    for number in range(9):
        cache.write(f"{number:040}", bytes(1000))
        os.utime(tmp_path / "small" / "00" / f"{number:040}", (number, number))
    assert cache.read(f"{0:040}") == bytes(1000)  # used now
    cache.write(f"{9:040}", bytes(1000))
    kept = [number for number in range(10) if cache.read(f"{number:040}") is not None]
    assert cache.usage().nbytes <= 10_000
    assert kept == [0, *range(10 - len(kept) + 1, 10)]


def test_it_can_be_moved_switched_off_and_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_CACHE", "off")
    assert disk_cache.cache_of("plans") is None
    assert H200.map(chains(1)).errors == ()
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PREDICTOR_CACHE_MB", "2.5")
    cache = disk_cache.cache_of("plans")
    assert cache == DiskCache(tmp_path / "elsewhere" / "plans", 2_500_000)
    H200.map(chains(2))
    assert cache.usage().files == 4  # two graphs, two programs
    assert cache.clear().files == 4
    assert cache.usage() == (0, 0)


WRITER = """
import sys
from pathlib import Path
from predictor.disk_cache import DiskCache
cache = DiskCache(Path(sys.argv[1]), 40_000)
for number in range(400):
    name = f"{number % 50:040}"
    content = bytes([number % 50]) * 1000
    known = cache.read(name)
    assert known in (None, content), name
    cache.write(name, content)
"""


def test_many_processes_share_it(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "shared")]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    cache = DiskCache(tmp_path / "shared", 40_000)
    cache.shrink()
    assert 0 < cache.usage().nbytes <= 40_000
    assert not list((tmp_path / "shared").rglob("*.aside"))


def test_graphs_are_kept_apart_from_programs(folder: Path) -> None:
    H200.map(chains(1))
    contents = [path.read_bytes()[disk_cache.SEAL_BYTES :] for path in folder.rglob("*") if path.is_file()]
    (graph,) = [content for content in contents if content.startswith(b"\x1f\x8b")]
    assert GraphSet.from_bytes(graph, "").templates[0].dtype == "fp16"
