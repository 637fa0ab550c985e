"""Hosts of a GPU that published passes were fitted to."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from calibrate.fit.pass_work import KINDS, workload
from predictor import runtimes
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from predictor.cli.main import app
from predictor.predict import Predictor
from tests.calibrate.builders import published_graph, published_plan
from tests.calibrations import edit
from tests.helpers import complaint

FITTED = ("1080ti", "2080ti", "3090", "a100", "a6000", "rtx8000", "titanx", "v100")


@pytest.mark.parametrize("gpu", FITTED)
def test_a_fitted_gpu_names_its_hosts_and_says_what_each_is(gpu: str) -> None:
    calibration = load_calibration(gpu)
    assert calibration.provenance == "fitted"
    assert len(calibration.hosts) > 1
    fitted = [runtime for runtime in calibration.runtimes if calibration.host(runtime).provenance == "fitted"]
    assert "eager" in fitted
    for runtime in calibration.runtimes:
        default = calibration.host(runtime)
        named = calibration.host(runtime, calibration.hosts[0])
        assert default.error > named.error  # it does not know which
        assert default.reference_gpu == "h200"
        assert default.is_unmeasured == (runtime not in fitted)
        assert default.environment.torch == "1.12.1"
    speeds = [calibration.host_time_factor(name) for name in calibration.hosts if "-eager-" in name]
    default = calibration.host("eager")
    assert calibration.host_time_factor(default.name) == min(speeds)


def test_a_slower_host_takes_longer_and_the_device_as_long() -> None:
    """As much as its speed and its kinds of work say."""
    plan, graph = published_plan("bert"), published_graph("bert")
    calibration, h200 = load_calibration("v100"), load_calibration("h200")
    host_s = np.array(workload(runtimes.load("eager").lower(graph), h200, h200.host("eager"), graph.macs).host_s)
    own = calibration.named_hosts
    assert own is not None
    of_runtime = own.runtimes["eager"].time_factors
    kernel_s = set()
    for name in calibration.hosts[:2]:
        host = own.hosts[name]
        factors = [host.time_factor * getattr(of_runtime, kind) * getattr(host.time_factors, kind) for kind in KINDS]
        found = plan.report("v100", "eager", "fp16", 1, host=name)
        assert found.host_s == pytest.approx(host_s @ factors, rel=1e-3)
        kernel_s.add(found.kernel_s)
    assert len(kernel_s) == 1


def test_the_option_names_a_host() -> None:
    run = CliRunner().invoke
    found = run(app, ["--list-hosts", "--gpu", "v100"]).output
    assert "v100-eager-fp32-a" in found
    assert found.count("(default)") == 2  # one for eager, one for TorchScript
    named = ["--model", "bert-base", "--gpu", "v100", "--host", "v100-eager-fp32-a"]
    assert "host v100-eager-fp32-a" in " ".join(run(app, named).output.split())
    assert "v100-eager-fp32-a" in run(app, [*named, "--compare"]).output
    assert "unknown host of v100 'v100-eager-fp23-a': did you mean" in complaint(
        run(app, [*named[:-1], "v100-eager-fp23-a"])
    )
    assert "has one host" in complaint(run(app, ["--model", "bert-base", "--gpu", "h200", "--host", "x"]))
    assert "say whose hosts" in complaint(run(app, ["--list-hosts"]))


def test_a_predictor_takes_a_host_and_the_way_to_attend() -> None:
    found = Predictor("v100", host="v100-eager-fp32-a", attention="sdpa").check()
    assert found[1].name == "v100-eager-fp32-a"


def test_a_name_is_a_published_host_also_beside_a_host_that_was_measured(tmp_path: Path) -> None:
    folder = tmp_path / "v100"
    shutil.copytree(SHIPPED / "v100", folder)
    shutil.copy(SHIPPED / "h200" / "eager.json", folder)
    edit(folder / "eager.json", lambda data: data.update(gpu="v100"))
    calibration = load_calibration(str(folder))
    assert calibration.host("eager").provenance == "measured"
    assert calibration.host("eager", "v100-eager-fp32-a").name == "v100-eager-fp32-a"
