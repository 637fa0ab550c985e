"""A GPU that is on no list, from its datasheet."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace as changed
from typer.testing import CliRunner

from predictor.calibration.datasheets import nearest
from predictor.calibration.files import SHIPPED
from predictor.calibration.load import forget
from predictor.calibration.schema import Datasheet, FactorKey
from predictor.cli.main import app
from predictor.errors import PredictorError
from predictor.predict import GpuCalibration, load_calibration
from predictor.pricing.kernels import kernel_fit, price_kernels
from predictor.pricing.transfer import equal_waves
from predictor.sources import plan_of
from tests.helpers import complaint

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def sheet() -> dict[str, Any]:
    """The example of the page on GPUs."""
    found = re.search(r"```json\n(.*?)```", (ROOT / "docs" / "gpus.md").read_text(encoding="utf-8"), re.S)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def predicted(sheet: dict[str, Any], folder: Path, *more: str) -> Any:
    path = folder / "spec.json"
    path.write_text(json.dumps(sheet))
    return CliRunner().invoke(app, ["--model", "bert-base", "--gpu-spec", str(path), *more])


def test_a_datasheet_gives_a_derived_prediction(sheet: dict[str, Any], tmp_path: Path) -> None:
    found = predicted(sheet, tmp_path, "--json")
    assert found.exit_code == 0, found.output
    report = json.loads(found.output)
    assert report["calibration"]["provenance"] == report["calibration"]["host_provenance"] == "derived"
    assert any("nobody measured this runtime with this GPU" in note for note in report["notes"])
    low, high = report["interval_s"]
    assert high / low > 2


def test_the_datasheet_of_a_measured_gpu_gives_its_kernels(h200: GpuCalibration) -> None:
    derived = load_calibration(str(SHIPPED / "h200" / "datasheet.json"))
    for dims in ({"m": 4096, "n": 4096, "k": 4096}, {"m": 32, "n": 768, "k": 768}):
        ours = h200.kernel_seconds("gemm", "fp16", context="model", **dims)
        assert derived.kernel_seconds("gemm", "fp16", context="model", **dims) == pytest.approx(ours, rel=1e-6)
    assert kernel_fit(derived, "gemm", "fp16").error > kernel_fit(h200, "gemm", "fp16").error


def test_a_gpu_that_was_calibrated_again_keeps_its_datasheet(
    h200: GpuCalibration, sheet: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("device.json", "kernels.json", "eager.json"):
        (tmp_path / "own" / "h200").mkdir(parents=True, exist_ok=True)
        shutil.copy(SHIPPED / "h200" / name, tmp_path / "own" / "h200" / name)
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(tmp_path / "own"))
    forget()
    found = predicted(sheet, tmp_path, "--json")
    forget()
    assert found.exit_code == 0, found.output


def test_half_the_bandwidth_is_twice_the_time(sheet: dict[str, Any], tmp_path: Path) -> None:
    found = []
    for share in (1.0, 0.5):
        path = tmp_path / f"{share}.json"
        less = {"bandwidth_bytes_per_s": share * sheet["bandwidth_bytes_per_s"], "reference_gpu": "h200"}
        path.write_text(json.dumps({**sheet, **less}))
        calibration = load_calibration(str(path))
        found.append(
            calibration.kernel_seconds(
                "pointwise", "fp16", elements=1e9, bytes_read=2e9, bytes_written=2e9, context="model"
            )
        )
    assert found[1] / found[0] == pytest.approx(2, rel=0.02)


def test_kernels_are_compared_where_a_multiprocessor_has_as_much_to_do() -> None:
    assert equal_waves(132, 132) == [(1.0, 1.0)]
    assert equal_waves(132, 66) == [(2.0, 1.0)]
    (few, less), (many, more) = equal_waves(132, 28)
    assert (few, many) == (4.0, 8.0)
    assert less + more == pytest.approx(1)
    assert few**less * many**more == pytest.approx(132 / 28)


def test_half_a_gpu_takes_as_long_as_a_whole_one_for_twice_the_work(h200: GpuCalibration, tmp_path: Path) -> None:
    whole = json.loads((SHIPPED / "h200" / "datasheet.json").read_text(encoding="utf-8"))
    del whole["digest"]
    halves = {
        "sms": whole["sms"] // 2,
        "bandwidth_bytes_per_s": whole["bandwidth_bytes_per_s"] / 2,
        "peak_flops": {dtype: peak / 2 for dtype, peak in whole["peak_flops"].items()},
    }
    path = tmp_path / "half.json"
    path.write_text(json.dumps({**whole, "gpu": "half", "name": "half", **halves}))
    half = load_calibration(str(path))
    product = {"n": 4096, "k": 4096, "context": "model"}
    assert half.kernel_seconds("gemm", "fp16", m=2048, **product) == pytest.approx(
        h200.kernel_seconds("gemm", "fp16", m=4096, **product), rel=1e-6
    )
    image = {"c_in": 64, "c_out": 64, "h": 28, "w": 28, "r": 3, "s": 3, "pad_h": 1, "pad_w": 1, "context": "model"}
    small, large = {"rows": 1024, "cols": 768, "context": "model"}, {"rows": 2048, "cols": 768, "context": "model"}
    assert half.kernel_seconds("softmax", "fp16", **small) == pytest.approx(
        h200.kernel_seconds("softmax", "fp16", **large), rel=1e-6
    )
    assert half.kernel_seconds("conv", "fp16", batch=64, **image) == pytest.approx(
        h200.kernel_seconds("conv", "fp16", batch=128, **image), rel=0.02
    )


def test_in_models_a_gpu_has_the_kernels_of_one_of_its_architecture() -> None:
    """The L40S's table of attention is of another library's; a measured GPU has its own."""
    h100, a100 = load_calibration("h100"), load_calibration("a100")
    for family in ("gemm", "attention"):
        assert kernel_fit(h100, family, "bf16", "model").provenance == "measured"
        assert kernel_fit(h100, family, "bf16", "replay").provenance == "fitted"
        assert kernel_fit(a100, family, "bf16", "model").provenance == "fitted"  # Ampere's are not Hopper's


def test_without_tf32_convolutions_run_as_exact_ones(sheet: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    peaks = {"fp32": sheet["peak_flops"]["fp32"], "fp16": sheet["peak_flops"]["fp16"]}
    path.write_text(json.dumps({**sheet, "peak_flops": peaks}))
    calibration = load_calibration(str(path))
    shape = {"batch": 32, "c_in": 256, "c_out": 256, "h": 14, "w": 14, "r": 3, "s": 3, "pad_h": 1, "pad_w": 1}
    exact = calibration.kernel_seconds("conv", "fp32", context="model", **shape)
    assert calibration.kernel_seconds("conv", "tf32", context="model", **shape) == pytest.approx(exact, rel=0.02)
    assert calibration.dtypes == ["fp16", "fp32"]


def test_convolutions_of_three_by_three_have_a_factor_of_their_own(sheet: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps({**sheet, "peak_flops": {"fp32": sheet["peak_flops"]["fp32"]}}))
    plain = load_calibration(str(path))
    scaled = replace(plain, factors={FactorKey("conv", "fp32", False): 2.0, FactorKey("conv", "fp32", True): 0.5})
    shape = {"batch": 32, "c_in": 256, "c_out": 256, "h": 14, "w": 14}
    for size, stride, factor in ((3, 1, 0.5), (3, 2, 2.0), (1, 1, 2.0)):
        dims = {**shape, "r": size, "s": size, "stride_h": stride, "stride_w": stride}
        before, after = (price_kernels(one, "conv", "fp32", dims) for one in (plain, scaled))
        limit = before.least_s if factor < 1 else 0.0  # of what a card can do nothing is taken off
        assert after.seconds - limit == pytest.approx((before.seconds - limit) * factor)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sms": 0}, "$.sms: expected a whole number >= 1, got 0"),
        ({"peak_flops": {"fp16": 1e14}}, "$.peak_flops.fp32: is missing"),
        (
            {"peak_flops": {"fp32": 1e13, "fp8": 1e14}},
            "$.peak_flops.fp8: such a key is not known: expected fp32, tf32, fp16 or bf16",
        ),
        ({"architecture": "amper"}, "ampere"),
        ({"name": None}, "$.name: expected text, got null"),
        ({"peak_flops": {"fp32": 1e30}}, "$.peak_flops.fp32: expected a number <= 1e+17, got 1e+30"),
        ({"bandwidth_bytes_per_s": 1}, "$.bandwidth_bytes_per_s: expected a number >= 1e+08, got 1"),
        ({"clock_hz": float("nan")}, "$.clock_hz: expected a number, got NaN"),
        ({"memory": 24}, "$.memory: is not known"),
    ],
)
def test_what_is_wrong_with_a_datasheet_is_said(
    change: dict[str, Any], said: str, sheet: dict[str, Any], tmp_path: Path
) -> None:
    assert said in complaint(predicted({**sheet, **change}, tmp_path))


def test_a_gpu_is_named_once(tmp_path: Path) -> None:
    both = ["--model", "bert-base", "--gpu", "h200", "--gpu-spec", str(tmp_path / "x.json")]
    assert "either --gpu or --gpu-spec" in complaint(CliRunner().invoke(app, both))


@pytest.mark.parametrize(
    ("name", "said"),
    [("missing.json", "no such file"), ("damaged.json", "truncated or damaged"), ("folder.json", "is a folder")],
)
def test_a_datasheet_that_cannot_be_read_is_said(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "damaged.json").write_text("{")
    (tmp_path / "folder.json").mkdir()
    path = str(tmp_path / name)
    assert path in complaint(CliRunner().invoke(app, ["--model", "bert-base", "--gpu-spec", path]))
    assert said in complaint(CliRunner().invoke(app, ["--model", "bert-base", "--gpu-spec", path]))


def test_the_nearest_architecture_is_taken_the_newer_of_two() -> None:
    h200 = msgspec.json.decode((SHIPPED / "h200" / "datasheet.json").read_bytes(), type=Datasheet)
    known = {
        gpu: changed(h200, architecture=a) for gpu, a in (("v100", "volta"), ("a100", "ampere"), ("h200", "hopper"))
    }
    wanted = [changed(h200, architecture=a) for a in ("pascal", "turing", "ampere", "ada", "blackwell")]
    assert [nearest(sheet, known) for sheet in wanted] == ["v100", "a100", "a100", "h200", "h200"]


def test_of_one_architecture_the_one_of_the_same_balance_is_taken_unless_the_datasheet_names_another(
    sheet: dict[str, Any], tmp_path: Path
) -> None:
    """A GPU of half an H200 has its bandwidth for each FLOP/s; an H100 has less."""
    half = {**sheet, "bandwidth_bytes_per_s": sheet["bandwidth_bytes_per_s"] / 2}
    half["peak_flops"] = {dtype: peak / 2 for dtype, peak in sheet["peak_flops"].items()}
    for name, more, reference in (("half", {}, "h200"), ("named", {"reference_gpu": "h100"}, "h100")):
        (tmp_path / f"{name}.json").write_text(json.dumps({**half, **more}))
        assert load_calibration(str(tmp_path / f"{name}.json")).device.reference_gpu == reference
    (tmp_path / "odd.json").write_text(json.dumps({**half, "reference_gpu": "a1000"}))
    with pytest.raises(PredictorError, match=r"\$\.reference_gpu: unknown calibrated GPU 'a1000': did you mean a100"):
        load_calibration(str(tmp_path / "odd.json"))


@pytest.mark.parametrize("gpu", [str(SHIPPED / "h100" / "datasheet.json"), "l40s"])
def test_a_gpu_without_a_measured_host_borrows_one_and_says_so(gpu: str, h200: GpuCalibration) -> None:
    calibration = load_calibration(gpu)
    assert calibration.runtimes == h200.runtimes
    for runtime in calibration.runtimes:
        host, theirs = calibration.host(runtime), h200.host(runtime)
        assert (host.provenance, host.reference_gpu, host.launch_s) == ("derived", "h200", theirs.launch_s)
        assert host.error > theirs.error


DERIVED = ("t4", "titanrtx", "titanxp", "a10", "a40", "a30", "3080", "rtx4090", "6000ada", "l40", "l4", "b200")


@pytest.mark.parametrize("gpu", DERIVED)
def test_a_gpu_that_people_ask_for_is_derived_and_says_whose_host_is_priced(gpu: str) -> None:
    sheet = msgspec.json.decode((SHIPPED / gpu / "datasheet.json").read_bytes(), type=Datasheet)
    assert sheet.source
    assert sheet.reference_gpu
    found = plan_of("resnet50").report(gpu, batch=32)
    assert found.calibration["provenance"] == "derived"
    assert found.host
    assert 1e-3 < found.latency_s < 1
    low, high = found.interval_s
    assert high / low > 1.3


@pytest.mark.parametrize(
    ("gpu", "dtype", "units_per_cycle"),
    [
        *((gpu, "fp16", 1024) for gpu in ("t4", "titanrtx", "a10", "a40", "6000ada", "l4")),
        *((gpu, "fp16", 512) for gpu in ("3080", "rtx4090", "l40")),
        *(("a30", "fp16", 2048), ("b200", "fp32", 256), ("titanxp", "fp32", 256)),
    ],
)
def test_peaks_are_what_the_multiprocessors_do_in_a_cycle(gpu: str, dtype: str, units_per_cycle: int) -> None:
    """FLOPs of a multiprocessor in a cycle, with FP32 accumulation: GeForce cards, and the L40, at half the rate."""
    sheet = msgspec.json.decode((SHIPPED / gpu / "datasheet.json").read_bytes(), type=Datasheet)
    assert sheet.peak_flops[dtype] == pytest.approx(sheet.sms * sheet.clock_hz * units_per_cycle, rel=0.02)


def test_a_fitted_gpu_s_own_datasheet_gives_what_was_fitted(tmp_path: Path) -> None:
    """Kernels with their factors, and hosts; only less certain."""
    own = json.loads((SHIPPED / "rtx8000" / "datasheet.json").read_text(encoding="utf-8"))
    path = tmp_path / "same.json"
    path.write_text(json.dumps({**own, "digest": None, "gpu": "same", "reference_gpu": "rtx8000"}))
    plan = plan_of("resnet50")
    for dtype, batch in (("fp16", 64), ("fp32", 8)):
        theirs, found = (plan.report(gpu, dtype=dtype, batch=batch) for gpu in ("rtx8000", str(path)))
        assert found.kernel_s == pytest.approx(theirs.kernel_s, rel=1e-6)
        assert found.host_s == pytest.approx(theirs.host_s)
        assert found.host == theirs.host
        assert found.interval_s[1] > theirs.interval_s[1]


def test_a_reference_may_be_fitted_but_not_derived(tmp_path: Path) -> None:
    own = json.loads((SHIPPED / "t4" / "datasheet.json").read_text(encoding="utf-8"))
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({**own, "digest": None, "reference_gpu": "titanrtx"}))
    with pytest.raises(PredictorError, match="unknown calibrated GPU 'titanrtx'"):
        load_calibration(str(path))
