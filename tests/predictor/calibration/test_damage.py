"""A damaged calibration gives the same figures or an error of one line, with the file and the path inside it."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.calibration_format import PAGE, page
from benchmarks.mutated_calibrations import (
    DAMAGE,
    FILES,
    VALUES,
    Outcome,
    damage,
    figures,
    outcome,
    small_plan,
    write_base,
)
from predictor.calibration.host_costs import HostCosts
from predictor.calibration.load import forget, load_calibration
from predictor.cli.main import app
from predictor.errors import PredictorError
from predictor.plans import Plan
from tests.calibrations import edit
from tests.helpers import complaint


@pytest.fixture(scope="module")
def network() -> Plan:
    return small_plan()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrations")
    write_base(folder)
    return folder


@pytest.fixture(scope="module")
def expected(network: Plan, base: Path) -> list[float]:
    return figures(network, base)


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_or_does_not_matter(
    name: str, network: Plan, base: Path, expected: list[float], tmp_path: Path
) -> None:
    for seed, file in enumerate(FILES):
        damage(base, tmp_path / "work", file, name, seed)
        found, text = outcome(network, tmp_path / "work", expected)
        assert found in (Outcome.SAME, Outcome.REFUSED), (file, seed, text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.sampled_from(sorted(DAMAGE)), st.integers(0, 2**32))
def test_any_damage_is_refused_or_does_not_matter(
    network: Plan, base: Path, expected: list[float], tmp_path: Path, file: Path, name: str, seed: int
) -> None:
    damage(base, tmp_path / "work", file, name, seed)
    found, text = outcome(network, tmp_path / "work", expected)
    assert found in (Outcome.SAME, Outcome.REFUSED), text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.sampled_from([one.__name__ for one in VALUES]), st.integers(0, 2**32))
def test_what_is_edited_by_hand_is_refused_or_priced(
    network: Plan, base: Path, expected: list[float], tmp_path: Path, file: Path, name: str, seed: int
) -> None:
    """Without the digest other figures are what was asked for; nothing else may come of it."""
    damage(base, tmp_path / "work", file, name, seed, signed=False)
    found, text = outcome(network, tmp_path / "work", expected)
    assert found in (Outcome.SAME, Outcome.REFUSED, Outcome.OTHER_FIGURES), text
    if found is Outcome.OTHER_FIGURES:
        assert all(math.isfinite(value) and value >= 0 for value in figures(network, tmp_path / "work"))


Change = Callable[[dict[str, Any]], Any]


def factor(data: dict[str, Any]) -> dict[str, Any]:
    """The time factor of batch norms, the same for every dtype."""
    return next(row for row in data["factors"] if row["family"] == "batch_norm")


def first(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An element of a list of a file."""
    return lambda data: next(iter(data[name]))


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("v100/device.json", lambda d: d["lanes"].update(gap_s=math.nan), "$.lanes.gap_s: expected a number, got NaN"),
        ("v100/device.json", lambda d: d["lanes"].update(gap_s=-1), "$.lanes.gap_s: expected a number >= 0, got -1"),
        ("v100/device.json", lambda d: d["lanes"].update(gap_s=1.0), "$.lanes.gap_s: expected a number < 1, got 1.0"),
        ("v100/device.json", lambda d: d["lanes"].update(gap_s="1"), "$.lanes.gap_s: expected a number, got text"),
        ("v100/device.json", lambda d: d.update(sms=10**18), "$.sms: expected a whole number <= 4096, got 1000000"),
        ("v100/device.json", lambda d: d.pop("sms"), "$.sms: is missing"),
        ("v100/device.json", lambda d: d.update(smss=1), "$.smss: is not known"),
        ("v100/device.json", lambda d: d.update(name="a\nb"), '$.name: expected text of one line, got "a\\nb"'),
        ("v100/device.json", lambda d: d["peak_flops"].update(fp8=1e13), "$.peak_flops.fp8: such a key is not known"),
        ("v100/device.json", lambda d: d["environment"].update(date="May"), "$.environment.date: expected a date"),
        ("v100/device.json", lambda d: d.update(architecture="vollta"), "did you mean volta"),
        ("v100/device.json", lambda d: d.update(provenance="measured"), "$.reference_gpu: 'h200' does not fit"),
        ("v100/device.json", lambda d: d.update(schema=4), "$.schema: 4, this program reads 3: upgrade it"),
        ("v100/device.json", lambda d: d.update(schema=2), "schema 2: run calibrate --refit"),
        ("v100/device.json", lambda d: d.pop("schema"), "$.schema: expected the version of the format, got null"),
        ("v100/device.json", lambda d: d.update(gpu="a100"), "$.gpu: expected 'v100', got \"a100\""),
        (
            "v100/kernels.json",
            lambda d: d.update(reference_gpu="a100"),
            "$.reference_gpu: expected that of device.json",
        ),
        (
            "v100/kernels.json",
            lambda d: first("factors")(d).update(time_factor=0),
            "$.factors[0].time_factor: expected",
        ),
        (
            "v100/kernels.json",
            lambda d: first("factors")(d).update(family="batch_norm", units="half"),
            "$.factors[0].units: batch_norm",
        ),
        ("v100/kernels.json", lambda d: first("factors")(d).update(family="x"), "$.factors[0].family: unknown kernel"),
        ("v100/kernels.json", lambda d: d["factors"].append(factor(d)), "$.factors: batch_norm any False is"),
        ("v100/hosts.json", lambda d: d["hosts"].pop("v100-eager-fp16-a"), "$.runtimes.eager: there is no host"),
        (
            "v100/hosts.json",
            lambda d: d["hosts"]["v100-eager-fp32-a"]["time_factors"].update(view=1e4),
            "$.hosts.v100-eager-fp32-a.time_factors.view: expected a number <= 1000, got 10000.0",
        ),
        (
            "h200/eager.json",
            lambda d: first("calls")(d).update(variant="x"),
            "$.calls[0].variant: invalid enum value 'x'",
        ),
        (
            "h200/eager.json",
            lambda d: first("calls")(d).update(hot_s=2),
            "$.calls[0].hot_s: expected a number < 1, got 2",
        ),
        (
            "h200/eager.json",
            lambda d: d["calls"].append(first("calls")(d)),
            "$.calls: linear usual fp32 is there twice",
        ),
        ("h200/eager.json", lambda d: d["typical"].pop("pointwise"), "$.typical.pointwise: is missing"),
        (
            "h200/eager.json",
            lambda d: d["environment"].pop("probe_s"),
            "$.environment: probe_s or versions are missing",
        ),
        ("h200/eager.json", lambda d: d.update(runtime="compile"), "$.runtime: expected 'eager' as the file is called"),
        ("h200/eager.json", lambda d: d.update(base="eager"), "$.base: eager cannot be its own base"),
        ("h200/torchscript.json", lambda d: d.update(base="x"), "$.base: there is no x.json"),
        (
            "h200/kernels.json",
            lambda d: first("fits")(d)["residual"]["sizes"].pop(),
            "$.fits[0].residual.feature: expected",
        ),
        ("h200/kernels.json", lambda d: first("fits")(d)["residual"].update(feature="!"), "bytes of base64 for"),
        (
            "h200/kernels.json",
            lambda d: first("fits")(d).update(patterns=[]),
            "$.fits[0].patterns: expected one at least",
        ),
        (
            "h200/kernels.json",
            lambda d: first("fits")(d)["largest"].clear(),
            "$.fits[0].largest: expected the dimensions",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_with_its_place(
    file: str, change: Change, said: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(base, tmp_path / "work")
    edit(tmp_path / "work" / file, change)
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(tmp_path / "work"))
    forget()
    with pytest.raises(PredictorError) as raised:
        every_part(Path(file).parts[0])
    forget()
    assert str(raised.value).startswith(str(tmp_path / "work" / file))
    assert said in str(raised.value)


def every_part(gpu: str) -> list[HostCosts]:
    """Load a calibration with all of its runtimes."""
    calibration = load_calibration(gpu)
    return [calibration.host(runtime) for runtime in calibration.runtimes]


def test_a_base_that_leads_back_is_refused(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base / "h200", tmp_path / "h200")
    edit(tmp_path / "h200" / "eager.json", lambda data: data.update(base="torchscript"))
    with pytest.raises(
        PredictorError, match=r"torchscript\.json: \$\.base: .*eager -> torchscript -> eager leads back"
    ):
        every_part(str(tmp_path / "h200"))


@pytest.fixture
def v100(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a calibration that may be damaged, found before the shipped one."""
    shutil.copytree(base, tmp_path / "work")
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(tmp_path / "work"))
    return tmp_path / "work" / "v100"


def asked(gpu: str = "v100") -> str:
    """What the command says of a calibration."""
    forget()
    try:
        return complaint(CliRunner().invoke(app, ["--model", "bert-base", "--gpu", gpu]))
    finally:
        forget()


def test_a_calibration_that_refers_to_itself_is_refused(v100: Path) -> None:
    for name in ("device", "kernels", "hosts"):
        edit(v100 / f"{name}.json", lambda data: data.update(reference_gpu="v100"))
    assert "$.reference_gpu: v100 was not measured" in asked()


def test_two_that_refer_to_each_other_are_refused(v100: Path) -> None:
    for name in ("device", "kernels", "hosts"):
        edit(v100 / f"{name}.json", lambda data: data.update(reference_gpu="a100"))
    assert "$.reference_gpu: a100 was not measured, it has the reference h200" in asked()


def test_a_fitted_gpu_without_its_hosts_does_not_get_those_of_another(v100: Path) -> None:
    (v100 / "hosts.json").unlink()
    assert f"{v100}/hosts.json: is missing: it has the hosts of a GPU" in asked()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (os.mkfifo, "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.write_bytes(b""), "$: truncated or damaged, Expecting value in line 1"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "$: no text in UTF-8 at byte 0"),
        (lambda path: path.write_text("[" * 100_000), "$: nested too deeply"),
        (lambda path: path.write_text("[]"), "$: expected an object, got a list"),
        (
            lambda path: path.write_text('{"schema": 3, "schema": 3}'),
            "$: expected an object, got the key 'schema' twice",
        ),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**27), "has 134217728 bytes"),
    ],
    ids=["folder", "fifo", "endless", "loop", "empty", "no text", "deep", "list", "twice", "huge"],
)
@pytest.mark.parametrize("name", ["device", "kernels", "hosts"])
def test_what_stands_in_a_file_s_place_is_said(make: Callable[[Path], Any], said: str, name: str, v100: Path) -> None:
    path = v100 / f"{name}.json"
    path.unlink()
    make(path)
    assert f"{path}: {said}" in asked()


def test_a_number_of_thousands_of_digits_is_said_with_its_place(v100: Path) -> None:
    path = v100 / "device.json"
    path.write_text(path.read_text("utf-8").replace('"sms": 80', f'"sms": 8{"0" * 5000}'))
    assert "$.sms: expected a whole number, got a number of 5001 digits" in asked()


def test_an_edit_is_refused_until_the_digest_is_removed(v100: Path) -> None:
    path = v100 / "device.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "sms": 81}))
    assert "$.digest: the content is not what was written" in asked()
    edit(path, lambda data: data.update(sms=81))
    assert load_calibration("v100").sms == 81


def test_the_layout_does_not_matter(v100: Path) -> None:
    path = v100 / "device.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content, indent=4))
    forget()
    assert load_calibration("v100").sms == 80


def test_the_page_of_the_format_is_current() -> None:
    """benchmarks/calibration_format.py writes it."""
    assert PAGE.read_text("utf-8") == page()
