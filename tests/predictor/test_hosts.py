"""Hosts of a GPU that published passes were fitted to."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from calibrate.fit.pass_work import KINDS, workload
from predictor import runtimes
from predictor.calibration.files import SHIPPED, write_probe_file
from predictor.calibration.host_costs import CPU_PROBE_SHARE, HOSTS_DIFFER, PROBE_ERROR, beside_a_probe
from predictor.calibration.load import load_calibration
from predictor.calibration.schema import HostProbe
from predictor.cli.main import app
from predictor.predict import Predictor
from predictor.sources import plan_of as zoo_plan
from tests.calibrate.builders import published_graph, published_plan
from tests.calibrations import edit
from tests.helpers import complaint

V100_EAGER = ("v100-eager-fp16-a", "v100-eager-fp32-a")
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
        assert default.environment.torch == ("1.12.1" if runtime in fitted else "2.11.0")
        assert default.name == "typical"


def test_a_typical_host_is_the_geometric_mean_of_those_that_are_known() -> None:
    calibration, h200 = load_calibration("v100"), load_calibration("h200").host("eager")
    typical, (first, second) = calibration.host("eager"), (calibration.host("eager", name) for name in V100_EAGER)
    for term in ("op_factor", "line_s", "module_s", "fixed_s"):
        factors = [getattr(host, term) / getattr(h200, term) for host in (first, second) if getattr(h200, term)]
        if factors:
            found = getattr(typical, term) / getattr(h200, term)
            assert found == pytest.approx(math.sqrt(factors[0] * factors[1]))
    for kind in typical.kinds:
        assert typical.kinds[kind] == pytest.approx(math.sqrt(first.kinds[kind] * second.kinds[kind]))
    assert calibration.host("eager", "typical") is not typical
    assert calibration.host("eager", "typical") == typical


def test_the_interval_of_a_typical_host_covers_those_that_are_known() -> None:
    plan = zoo_plan("bert-base")
    low, high = plan.report("v100").interval_s
    for name in V100_EAGER:
        assert low < plan.report("v100", host=name).latency_s < high


def test_a_gpu_whose_sessions_were_one_machine_does_not_pass_for_all_machines() -> None:
    """Its two sessions differ by 3 %, hosts of all GPUs by 30."""
    titanx = load_calibration("titanx")
    assert titanx.named_hosts is not None
    assert titanx.named_hosts.log_sd < 0.05
    assert titanx.host("eager").hosts_differ == HOSTS_DIFFER


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
    named = ["--model", "bert-base", "--gpu", "v100", "--host", "v100-eager-fp32-a"]
    assert "torch 1.12.1, attention multiplied out, v100-eager-fp32-a" in run(app, named).output
    assert "v100-eager-fp32-a" in run(app, [*named, "--compare"]).output
    assert "unknown host of v100 'v100-eager-fp23-a': did you mean" in complaint(
        run(app, [*named[:-1], "v100-eager-fp23-a"])
    )


def test_hosts_are_listed_those_of_the_gpu_first() -> None:
    run = CliRunner().invoke
    lines = run(app, ["--list-hosts", "--gpu", "v100"]).output.splitlines()
    names = [line.split()[0] for line in lines if line]
    assert names[1:6] == ["typical", *sorted(load_calibration("v100").hosts)]
    assert {"h200", "h100", "a100-eager-fp16-a"} < set(names)
    (h200,) = (line for line in lines if line.startswith("h200 "))
    assert "1.00" in h200
    assert "2.11.0" in h200
    without = run(app, ["--list-hosts"]).output
    assert {"h200", "v100-eager-fp16-a"} < {line.split()[0] for line in without.splitlines() if line}


def test_any_host_goes_with_any_gpu_and_brings_its_software() -> None:
    plan = zoo_plan("bert-base")
    h200, borrowed = plan.report("h200"), plan.report("a100", host="h200")
    assert borrowed.host_s == pytest.approx(h200.host_s, rel=0.02)  # another library may launch more
    assert borrowed.kernel_s != pytest.approx(h200.kernel_s, rel=0.05)
    assert (borrowed.software, borrowed.attention) == ({"torch": "2.11.0"}, "fused")
    assert borrowed.host == "the h200's host"
    old = plan.report("h200", host="a100-eager-fp16-a")
    assert (old.software, old.attention) == ({"torch": "1.12.1"}, "multiplied out")
    assert old.host_s == pytest.approx(plan.report("a100", host="a100-eager-fp16-a").host_s, rel=0.02)
    low, high = borrowed.interval_s
    assert high / low > 2  # nobody measured that host with this GPU
    assert plan.sweep("a100", batch=[1], host="h200")[0] == pytest.approx(borrowed.latency_s)
    assert plan.compare("a100", host="h200")[0].report is not None


def test_a_model_without_attention_is_said_to_have_none() -> None:
    assert zoo_plan("resnet50").report("v100").attention == "none"


def test_a_host_goes_with_a_datasheet(tmp_path: Path) -> None:
    sheet = ["--gpu-spec", str(SHIPPED / "t4" / "datasheet.json")]
    said = {}
    for host in ("h200", "rtx8000-eager-fp16-a"):
        found = CliRunner().invoke(app, ["--model", "bert-base", *sheet, "--host", host, "--json"])
        said[host] = json.loads(found.output)
    assert said["h200"]["software"] == {"torch": "2.11.0"}
    assert said["rtx8000-eager-fp16-a"]["host"] == "rtx8000-eager-fp16-a"
    assert said["rtx8000-eager-fp16-a"]["host_s"] > 1.5 * said["h200"]["host_s"]


def test_the_name_of_a_gpu_is_its_typical_host() -> None:
    host, typical = load_calibration("h200").host("eager", "v100"), load_calibration("v100").host("eager")
    assert (host.op_factor, host.label) == (typical.op_factor, typical.label)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_a_probed_host_takes_as_many_times_as_long_as_its_probe(ratio: float, tmp_path: Path) -> None:
    path, plan = tmp_path / "mine.json", zoo_plan("bert-base")
    reference = load_calibration("h200").host("eager")
    write_probe(path, ratio * CPU_PROBE_SHARE * reference.probe_s)
    for gpu in ("h200", "a100"):
        found = plan.report(gpu, host=str(path))
        assert found.host_s == pytest.approx(ratio * plan.report(gpu, host="h200").host_s)
        assert f"{ratio:.2f} x the h200's" in found.host
    h100 = plan.report("h100", host=str(path))
    assert f"{ratio:.2f} x the h200's" in h100.host  # the host that is scaled, not the GPU's own
    probes = load_calibration("h100").host("eager").probe_s / reference.probe_s
    assert h100.host_s == pytest.approx(ratio / probes * plan.report("h100").host_s)


def test_a_file_that_is_no_probe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    ask = ["--model", "bert-base", "--gpu", "h200", "--host", str(path)]
    assert "the file is missing" in complaint(CliRunner().invoke(app, ask))
    write_probe(path, 1e-3)
    path.write_text(path.read_text().replace("0.001", "-0.001"))
    assert "$.cpu_probe_s: expected a number" in complaint(CliRunner().invoke(app, ask))


def write_probe(path: Path, seconds: float) -> None:
    probe = HostProbe(date="2026-11-27", cpu="a CPU", versions={"torch": "2.11.0"}, cpu_probe_s=seconds)
    write_probe_file(path, probe)


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


def test_a_gpu_may_price_another_ones_host_by_default() -> None:
    h100, h200 = load_calibration("h100"), load_calibration("h200")
    default, own = h100.host("eager"), h100.own_host("eager")
    assert (default.name, default.op_factor) == ("h200", h200.host("eager").op_factor)
    assert own.probe_s == pytest.approx(1.5 * default.probe_s, rel=0.05)
    assert own.label == h100.host("eager", "H100").label == "the h100's host"
    assert h200.host("eager", "h100").op_factor == own.op_factor
    assert default.error > own.error  # it may be another machine


def test_a_probe_says_how_much_hosts_differ() -> None:
    h100 = load_calibration("h100")
    default, own = h100.host("eager"), h100.own_host("eager")
    assert own.hosts_differ == 0
    assert beside_a_probe(own) == own
    assert (own.is_probed, default.is_probed, beside_a_probe(default).is_probed) == (False, False, True)
    probed = beside_a_probe(default)
    assert probed.error == pytest.approx(math.hypot(load_calibration("h200").host("eager").error, PROBE_ERROR))
    assert probed.error < default.error


def test_a_note_tells_a_host_that_nobody_measured_from_one_that_was_not_asked_for() -> None:
    plan = zoo_plan("bert-base")

    def said(gpu: str, host: str | None = None, runtime: str = "eager") -> str:
        return " ".join(note for note in plan.report(gpu, runtime, host=host).notes if "host" in note)

    assert said("h100") == "host costs are those of a machine with an h200; the h100's own: --host h100"
    assert said("h100", host="h100") == said("h200") == said("a100") == ""
    assert said("a100", host="h200").endswith("; the a100's own: --host a100")
    assert said("a100", runtime="cudagraph").endswith(": nobody measured this runtime with this GPU")
    assert said("l4").endswith(": nobody measured this runtime with this GPU")
