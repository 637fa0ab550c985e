"""Shared fixtures, and how the suite is spread: one file, or folder whose files share what is costly, stays in one
process, the longest first.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import models_zoo
from predictor import collection, load_calibration
from predictor.graph import files
from predictor.plans import Plan
from predictor.predict import GpuCalibration
from predictor.records import Graph

LONGEST = ("test_end_to_end.py", "test_contract.py", "test_macs.py")

TOGETHER = "tests/calibrate/validate/"
"""A folder whose files share the fixture ``h200_validation``."""


def pytest_configure(config: pytest.Config) -> None:
    """One thread each, before torch is imported: of two test processes on two cores neither takes both. Nor does either
    start a process a core for its fits, which would import all anew. No example of a property has a deadline: a busy
    machine is no fault.
    """
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", LOKY_MAX_CPU_COUNT="1")
    settings.register_profile("without deadlines", deadline=None)
    settings.load_profile("without deadlines")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files start first."""
    rank = {name: position for position, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


def pytest_collection_finish() -> None:
    """What libraries and tests are made of lives to the end: no garbage collection looks at it again. Of what a file
    makes little is in cycles, and most is kept until its end: it is looked at seldom, also by captures, of which every
    64th would look at all.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    collection.OFTEN = collection.SELDOM = 4096


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Nor at what a file left behind: graphs, calibrations, all that is kept for the session."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests share what its fixtures measured, so they share a process."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER if nodeid.startswith(TOGETHER) else str(super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _home_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or changes what a user has at home: calibrations, caches. What is exported to ONNX once is kept for
    the session, for all of its processes.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folders = {"HOME": own / "home", "XDG_DATA_HOME": own / "data", "XDG_CACHE_HOME": shared / "cache"}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREDICTOR_CALIBRATIONS", raising=False)
        for name, folder in folders.items():
            folder.mkdir(exist_ok=True)
            patch.setenv(name, str(folder))
        yield


@pytest.fixture(scope="session")
def h200() -> GpuCalibration:
    """The shipped calibration."""
    return load_calibration("h200")


@pytest.fixture(scope="session")
def zoo_plan() -> Callable[[str], Plan]:
    """Zoo model -> its shipped plan, read once."""
    return cache(lambda name: Plan(files.read(models_zoo.graphs(name))))


@pytest.fixture(scope="session")
def zoo_graph(zoo_plan: Callable[[str], Plan]) -> Callable[..., Graph]:
    """(model, dtype, batch) -> its shipped graph in eager mode, which is what a capture gives."""

    @cache
    def graph(name: str, dtype: str = "fp32", batch: int = 1) -> Graph:
        return zoo_plan(name).graph(dtype, "eager", batch)

    return graph


@pytest.fixture
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent
