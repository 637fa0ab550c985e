"""Published passes, fitted: what is put in comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibrate.fit.model_latencies import Model, Table, leave_models_out, table_of
from calibrate.fit.pass_work import KINDS, Factor, Workload, families_of
from calibrate.samples.model_latencies import Pass
from predictor.calibration.load import load_calibration
from predictor.calibration.schema import FactorKey
from tests.calibrate.builders import published_plan


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
    return Table(
        rows,
        asked,
        np.array(host),
        np.array(kernel),
        np.zeros((len(kernel), 2)),
        [Factor("gemm", "half"), Factor("pointwise", "any")],
    )


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
    model = Model(Table(rows, known.asked, known.host_s, known.kernel_s, known.least_s, known.factors))
    speeds, kinds, *_, own = model.parts(model.fit(np.arange(len(rows))))
    found = np.exp(speeds[:, None] + kinds + own)
    assert found[1, slow] / np.median(found[1]) > 1.1  # of half as much again what the prior leaves
    assert found[0, slow] / np.median(found[0]) == pytest.approx(1, abs=0.15)


def test_a_pass_that_ran_elsewhere_counts_little() -> None:
    known = table()
    spoilt = [Pass(**{**{n: getattr(r, n) for n in Pass.__slots__}, "seconds": r.seconds * (60 if i == 4 else 1)})
              for i, r in enumerate(known.rows)]  # fmt: skip
    model = Model(Table(spoilt, known.asked, known.host_s, known.kernel_s, known.least_s, known.factors))
    assert np.exp(model.parts(model.fit(np.arange(len(spoilt))))[0]) == pytest.approx([1.5, 3.0, 2.0], rel=0.07)


def test_a_model_that_is_left_out_does_not_say_anything_about_itself() -> None:
    known = table()
    lied = [Pass(r.session, r.gpu, r.runtime, r.dtype, r.model, r.batch, r.seconds * (2 if r.model == "m3" else 1))
            for r in known.rows]  # fmt: skip
    found = leave_models_out(
        Model(Table(lied, known.asked, known.host_s, known.kernel_s, known.least_s, known.factors))
    )
    own = np.array([row.model == "m3" for row in lied])
    assert (found.seconds / np.array([row.seconds for row in lied]))[own] == pytest.approx(0.5, rel=0.1)


def test_a_table_is_what_a_prediction_sees(some: list[Pass]) -> None:
    rows = [row for row in some if row.model in ("bert", "resnet50", "mobilenet_v2", "vgg16")]
    found = table_of(rows, "h200")
    for row, host_s, kernel_s in zip(rows, found.host_s, found.kernel_s, strict=True):
        calibration = load_calibration(row.gpu)
        own = calibration.named_hosts
        assert own is not None
        of_host, of_runtime = own.hosts[row.session].time_factors, own.runtimes[row.runtime].time_factors
        kinds = np.array([getattr(of_runtime, kind) * getattr(of_host, kind) for kind in KINDS])
        keys = [[FactorKey(family, *factor[1:]) for family in families_of(factor)] for factor in found.factors]
        factors = [next(calibration.factors[key] for key in group if key in calibration.factors) for group in keys]
        predicted = published_plan(row.model).report(row.gpu, row.runtime, row.dtype, row.batch, host=row.session)
        assert predicted.host_s == pytest.approx(host_s @ kinds * calibration.host_time_factor(row.session), rel=0.01)
        assert predicted.kernel_s == pytest.approx(kernel_s @ factors, rel=0.01)


def test_a_fit_can_be_repeated_to_the_byte(some: list[Pass], tmp_path: Path) -> None:
    from calibrate.fit.model_latencies import fit_passes

    for folder in ("one", "two"):
        fit_passes({"v100": tmp_path / folder}, some)
    for name in ("device.json", "hosts.json", "kernels.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    fitted = load_calibration(str(tmp_path / "one"))
    assert fitted.hosts == ["v100-eager-fp16-a"]
    predicted = published_plan("bert").report(str(tmp_path / "one"), "eager", "fp16", 1)
    measured = next(r.seconds for r in some if (r.session, r.model, r.batch) == ("v100-eager-fp16-a", "bert", 1))
    assert predicted.max_s == pytest.approx(measured, rel=0.25)
