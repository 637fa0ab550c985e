"""Published passes, fitted: what is put in comes out, and the shipped calibrations are what the command makes."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from calibrate.cli import calibrate as cli
from calibrate.cli.validate import app as validate
from calibrate.fit.kernels import log_sd
from calibrate.fit.passes import Model, Table, leave_models_out, table_of
from calibrate.fit.published import fit_published
from calibrate.samples.passes import GRAPHS, KINDS, Pass, Workload, families_of, read_passes, workload
from calibrate.validate.published import judge_passes
from predictor import runtimes
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import load_calibration
from predictor.cli.main import app
from predictor.graph.files import read
from predictor.plans import Plan
from predictor.predict import Predictor
from predictor.pricing.kernels import kernel_fit
from predictor.records import CaptureMode, Report
from tests.helpers import complaint

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "published_latency_2022.csv"
FITTED = ("1080ti", "2080ti", "3090", "a100", "a6000", "rtx8000", "titanx", "v100")


@cache
def plan_of(model: str) -> Plan:
    return Plan(read(GRAPHS / f"{model}.json.gz"))


def predicted(row: Pass) -> Report:
    return plan_of(row.model).report(row.gpu, row.runtime, row.dtype, row.batch, host=row.session)


def table() -> Table:
    """Sessions of three hosts and two GPUs, whose speeds and factors are known."""
    rng = np.random.default_rng(0)
    rows, host, kernel = [], [], []
    for session, gpu, slower in (("a", "x", 1.5), ("b", "x", 3.0), ("c", "y", 2.0)):
        for model in range(12):
            calls = rng.uniform(0.2, 2.0, len(KINDS)) * 1e-3
            work = np.random.default_rng(model).uniform(0.1, 1.0, 2) * 1e-3
            for batch in (1, 8, 64):
                by_host, by_kernel = calls.sum() * slower, batch * work @ (0.5, 1.0 if gpu == "x" else 2.0)
                rows.append(Pass(session, gpu, "eager", "fp16", f"m{model}", batch, max(by_host, by_kernel)))
                host.append(calls)
                kernel.append(batch * work)
    asked = [Workload(tuple(one), {}, 1, 1) for one in host]
    return Table(rows, asked, np.array(host), np.array(kernel), [("gemm", "half"), ("pointwise", "any")])


def test_speeds_and_factors_that_were_put_in_come_out() -> None:
    known = table()
    model = Model(known)
    speeds, kinds, families, gpus, own = model.parts(model.fit(np.arange(len(known.rows))))
    assert np.exp(speeds) == pytest.approx([1.5, 3.0, 2.0], rel=0.05)
    assert np.abs(kinds).max() < 0.15
    assert np.abs(own).max() < 0.1
    assert np.exp(families[0] + gpus[0, 0]) == pytest.approx(0.5, rel=0.1)
    assert np.exp(families[1] + gpus[1, 1]) == pytest.approx(2.0, rel=0.1)


def test_a_host_that_is_slow_at_one_kind_of_work_alone_is_found() -> None:
    known = table()
    slow = KINDS.index("matrix")
    rows = []
    for row, host, kernel in zip(known.rows, known.host_s, known.kernel_s, strict=True):
        more = 0.5 * 3.0 * host[slow] if row.session == "b" else 0.0  # half as much again
        by_kernel = kernel @ (0.5, 1.0 if row.gpu == "x" else 2.0)
        by_host = host.sum() * {"a": 1.5, "b": 3.0, "c": 2.0}[row.session] + more
        rows.append(replace(row, seconds=max(by_host, by_kernel)))
    model = Model(Table(rows, known.asked, known.host_s, known.kernel_s, known.factors))
    speeds, kinds, *_, own = model.parts(model.fit(np.arange(len(rows))))
    found = np.exp(speeds[:, None] + kinds + own)
    assert found[1, slow] / np.median(found[1]) > 1.1  # of half as much again what the prior leaves
    assert found[0, slow] / np.median(found[0]) == pytest.approx(1, abs=0.15)


def test_a_pass_that_ran_elsewhere_counts_little() -> None:
    known = table()
    spoilt = [Pass(**{**{n: getattr(r, n) for n in Pass.__slots__}, "seconds": r.seconds * (60 if i == 4 else 1)})
              for i, r in enumerate(known.rows)]  # fmt: skip
    model = Model(Table(spoilt, known.asked, known.host_s, known.kernel_s, known.factors))
    assert np.exp(model.parts(model.fit(np.arange(len(spoilt))))[0]) == pytest.approx([1.5, 3.0, 2.0], rel=0.07)


def test_a_model_that_is_left_out_does_not_say_anything_about_itself() -> None:
    known = table()
    lied = [Pass(r.session, r.gpu, r.runtime, r.dtype, r.model, r.batch, r.seconds * (2 if r.model == "m3" else 1))
            for r in known.rows]  # fmt: skip
    found = leave_models_out(Model(Table(lied, known.asked, known.host_s, known.kernel_s, known.factors)))
    own = np.array([row.model == "m3" for row in lied])
    assert (found.seconds / np.array([row.seconds for row in lied]))[own] == pytest.approx(0.5, rel=0.1)


def test_an_error_is_the_width_that_holds_nine_tenths() -> None:
    ratios = np.random.default_rng(0).normal(0, 0.2, 20_000)
    assert log_sd(ratios) == pytest.approx(0.2, rel=0.03)


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
        assert (default.borrowed == "h200") == (runtime not in fitted)
        assert default.environment["versions"]["torch"] == "1.12.1"
    speeds = [calibration.slower_host(name) for name in calibration.hosts if "-eager-" in name]
    default = calibration.host("eager")
    assert calibration.slower_host(default.name) == min(speeds)


def test_a_slower_host_takes_longer_and_the_device_as_long() -> None:
    """As much as its speed and its kinds of work say."""
    plan = plan_of("bert")
    graph = plan.graphs.find("fp16", CaptureMode.EAGER, 1, plan.length)
    assert graph is not None
    calibration, h200 = load_calibration("v100"), load_calibration("h200")
    host_s = np.array(workload(runtimes.load("eager").lower(graph), h200, h200.host("eager"), graph.macs).host_s)
    own = json.loads((SHIPPED / "v100" / "hosts.json").read_text("utf-8"))
    kernel_s = set()
    for name in calibration.hosts[:2]:
        said = own["hosts"][name]
        factors = [said["slower"] * own["kinds"]["eager"][kind] * said["kinds"][kind] for kind in KINDS]
        found = plan.report("v100", dtype="fp16", batch=1, host=name)
        assert found.host_s == pytest.approx(host_s @ factors, rel=1e-3)
        kernel_s.add(found.kernel_s)
    assert len(kernel_s) == 1


def test_the_option_names_a_host() -> None:
    run = CliRunner().invoke
    found = run(app, ["--list-hosts", "--gpu", "v100"]).output
    assert "v100-eager-fp32-a" in found
    assert found.count("(default)") == 2  # one for eager, one for TorchScript
    named = ["--model", "bert-base", "--gpu", "v100", "--host", "v100-eager-fp32-a"]
    assert "host v100-eager-fp32-a" in run(app, named).output
    assert "v100-eager-fp32-a" in run(app, [*named, "--compare"]).output
    assert "unknown host of v100 'v100-eager-fp23-a': did you mean" in complaint(
        run(app, [*named[:-1], "v100-eager-fp23-a"])
    )
    assert "has one host" in complaint(run(app, ["--model", "bert-base", "--gpu", "h200", "--host", "x"]))
    assert "say whose hosts" in complaint(run(app, ["--list-hosts"]))


def test_the_papers_statements_come_out() -> None:
    def seconds(model: str, gpu: str, dtype: str = "fp16") -> tuple[float, int]:
        found = plan_of(model).report(gpu, dtype=dtype, batch=1)
        return found.latency_s, found.macs

    assert seconds("bert", "a100")[0] > 0.97 * seconds("bert", "v100")[0]
    for gpu in ("a100", "v100", "rtx8000"):
        (funnel, fewer), (bert, more) = seconds("funnel_transformer", gpu), seconds("bert", gpu)
        assert funnel > bert
        assert fewer < more
        slowest = seconds("mobile_bert", gpu)[0]
        assert all(slowest > seconds(m, gpu)[0] for m in ("albert", "bert", "funnel_transformer", "longformer"))


def test_what_cannot_be_fitted_is_said(tmp_path: Path) -> None:
    run, path = CliRunner().invoke, tmp_path / "table.csv"
    assert "say what to fit" in complaint(run(cli.app, ["fit", "--gpu", "v100"]))
    path.write_text("session,gpu\na,b\n")
    assert "cannot be read as a table" in complaint(run(cli.app, ["fit", "--gpu", "v100", "--published", str(path)]))
    path.write_text("session,gpu,runtime,precision,model,batch,latency_ms\na,v100,eager,fp16,nonesuch,1,2.0\n")
    assert "no graph of nonesuch" in complaint(run(cli.app, ["fit", "--gpu", "v100", "--published", str(path)]))
    assert "cannot be read" in complaint(run(validate, ["published", "--data", str(tmp_path / "none.csv")]))


@pytest.fixture(scope="module")
def some() -> list[Pass]:
    """Three sessions at a few batches."""
    if not PUBLISHED.is_file():
        pytest.skip("the published measurements are not here")
    sessions = {"v100-eager-fp16-a", "a100-torchscript-fp16-a", "rtx8000-onnx-fp32-a"}
    return [row for row in read_passes(PUBLISHED) if row.session in sessions and row.batch in (1, 32)]


def test_a_table_is_what_a_prediction_sees(some: list[Pass]) -> None:
    rows = [row for row in some if row.model in ("bert", "resnet50", "mobilenet_v2", "vgg16")]
    found = table_of(rows, "h200")
    for row, host_s, kernel_s in zip(rows, found.host_s, found.kernel_s, strict=True):
        calibration = load_calibration(row.gpu)
        own = json.loads((SHIPPED / row.gpu / "hosts.json").read_text("utf-8"))
        of_host = own["hosts"][row.session]["kinds"]
        kinds = np.array([own["kinds"][row.runtime][kind] * of_host[kind] for kind in KINDS])
        factors = [calibration.factors[families_of(factor)[0], factor[1]] for factor in found.factors]
        report = predicted(row)
        assert report.host_s == pytest.approx(host_s @ kinds * calibration.slower_host(row.session), rel=0.01)
        assert report.kernel_s == pytest.approx(kernel_s @ factors, rel=0.01)


def test_shipped_calibrations_predict_what_was_published(some: list[Pass]) -> None:
    errors = []
    for row in some:
        errors.append(abs(predicted(row).max_s / row.seconds - 1))
    assert np.mean(errors) < 0.14
    assert np.median(errors) < 0.1


def test_models_unseen_are_judged_session_by_session(some: list[Pass], tmp_path: Path) -> None:
    found = {one.name: one for one in judge_passes(some, "h200")}
    one = found["v100-eager-fp16-a"]
    assert (one.models, one.rows) == (17, 34)
    assert one.mape < one.flops / 2
    assert one.tau > 0.7
    path = tmp_path / "some.csv"
    names = ("session", "gpu", "runtime", "dtype", "model", "batch", "seconds")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["session", "gpu", "runtime", "precision", "model", "batch", "latency_ms"])
        writer.writerows([*(getattr(row, n) for n in names[:-1]), row.seconds * 1e3] for row in some)
    printed = CliRunner().invoke(validate, ["published", "--data", str(path), "--gpu", "V100", "--markdown"])
    assert printed.exit_code == 0, printed.output
    assert f"| v100-eager-fp16-a | 17 | 34 | {one.mape:.1%} |" in printed.output
    assert "a100" not in printed.output


def test_a_fit_can_be_repeated_to_the_byte(some: list[Pass], tmp_path: Path) -> None:
    from calibrate.fit.passes import fit_passes

    for folder in ("one", "two"):
        fit_passes({"v100": tmp_path / folder}, some)
    for name in ("device.json", "hosts.json", "kernels.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    fitted = load_calibration(str(tmp_path / "one"))
    assert fitted.hosts == ["v100-eager-fp16-a"]
    measured = next(r.seconds for r in some if (r.session, r.model, r.batch) == ("v100-eager-fp16-a", "bert", 1))
    found = plan_of("bert").report(str(tmp_path / "one"), dtype="fp16", batch=1)
    assert found.max_s == pytest.approx(measured, rel=0.25)


def test_a_predictor_takes_a_host_and_the_way_to_attend() -> None:
    found = Predictor("v100", host="v100-eager-fp32-a", attention="sdpa").check()
    assert found.host.name == "v100-eager-fp32-a"


def test_kernels_that_are_fitted_later_leave_hosts_and_factors(tmp_path: Path) -> None:
    folder = tmp_path / "a100"
    shutil.copytree(SHIPPED / "a100", folder)
    table = tmp_path / "gemm.csv"
    rng = np.random.default_rng(0)
    shapes = rng.integers(64, 4096, (60, 3)).tolist()
    table.write_text("m,n,k,kernel_us\n" + "".join(f"{m},{n},{k},{m * n * k * 1e-8 + 5}\n" for m, n, k in shapes))
    fit_published("a100", folder, [table], "h200")
    before, after = load_calibration("a100"), load_calibration(str(folder))
    assert (after.provenance, after.hosts) == ("fitted", before.hosts)
    assert (after.factors, after.kernels_error) == (before.factors, before.kernels_error)
    assert kernel_fit(after, "gemm", "bf16").error != kernel_fit(before, "gemm", "bf16").error


def test_a_name_is_a_published_host_also_beside_a_host_that_was_measured(tmp_path: Path) -> None:
    folder = tmp_path / "v100"
    shutil.copytree(SHIPPED / "v100", folder)
    own = json.loads((SHIPPED / "h200" / "eager.json").read_text("utf-8"))
    (folder / "eager.json").write_text(json.dumps({**own, "gpu": "v100"}))
    calibration = load_calibration(str(folder))
    assert calibration.host("eager").provenance == "measured"
    assert calibration.host("eager", "v100-eager-fp32-a").name == "v100-eager-fp32-a"
