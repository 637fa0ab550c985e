"""Generated modules and models."""

from __future__ import annotations

from functools import cache

import pytest
import torch

import models_zoo
from calibrate.workloads import architectures
from calibrate.workloads.modules import generate
from predictor.capture.recorder import capture
from predictor.runtimes.eager import lowering as eager
from tests.helpers import BUILDABLE


@pytest.mark.parametrize("seed", range(8))
def test_a_generated_module_runs_is_modelled_and_is_the_same_on_every_run(seed: int) -> None:
    module, x = generate(seed)
    with torch.inference_mode():
        first = module(x)
    again, same = generate(seed)
    with torch.inference_mode():
        assert torch.equal(again(same), first)
    program = eager.lower(capture(module, x))
    assert program.unmodelled == {}
    assert any(call.kernels for call in program.calls)


def test_generated_modules_differ() -> None:
    assert len({str(generate(seed)[0]) for seed in range(12)}) > 9


@pytest.mark.parametrize("seed", range(len(architectures.FAMILIES)), ids=architectures.FAMILIES)
def test_a_library_model_runs_is_modelled_and_is_no_model_of_the_zoo(seed: int) -> None:
    module, inputs = architectures.generate(seed, (128,))
    with torch.inference_mode():
        module(**inputs)
    with torch.device("meta"):
        abstract, again = architectures.generate(seed, (128,))
    program, real = eager.lower(capture(abstract, again)), eager.lower(capture(module, inputs))
    assert program.unmodelled == {}
    assert [(call.op, call.kernels) for call in program.calls] == [(call.op, call.kernels) for call in real.calls]
    name = architectures.FAMILIES[seed % len(architectures.FAMILIES)]
    assert (type(module).__module__ in zoo_modules()) == (name in architectures.IN_THE_ZOO)


@pytest.mark.parametrize("seed", range(len(architectures.DEEP)), ids=architectures.DEEP)
def test_a_deep_model_is_modelled_and_is_many_layers_of_one_kind(seed: int) -> None:
    with torch.device("meta"):
        module, inputs = architectures.deep(seed, (128, 256))
    program = eager.lower(capture(module, inputs))
    assert program.unmodelled == {}
    kernels = [kernel for call in program.calls for kernel in call.kernels]
    distinct = {(k.family, tuple(k.dims.items())) for k in kernels}
    assert len(distinct) < 30 < 150 < len(kernels)


@cache
def zoo_modules() -> set[str]:
    """Modules of the library that the zoo's models are from."""
    with torch.device("meta"):
        built = [models_zoo.module(name).build() for name in BUILDABLE]
    return {type(part).__module__ for model in built for part in model.modules()}
