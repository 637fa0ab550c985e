"""Calibration files: whole or not at all, checked when they are read."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from predictor.calibration.files import SHIPPED, read, write_calibration, write_json
from predictor.calibration.load import forget
from predictor.calibration.schema import FILES, Device, RuntimeCosts
from predictor.errors import PredictorError
from predictor.kernels.families import FAMILIES
from predictor.predict import GpuCalibration, load_calibration
from predictor.pricing.kernels import kernel_fit, price_kernels
from tests.calibrations import edit

FILE_NAMES = ("device.json", "kernels.json", "eager.json")


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped calibration, found before it."""
    folder = tmp_path / "calibrations" / "h200"
    folder.mkdir(parents=True)
    for name in FILE_NAMES:
        shutil.copy(SHIPPED / "h200" / name, folder)
    monkeypatch.setenv("PREDICTOR_CALIBRATIONS", str(folder.parent))
    return folder


def use(gpu: str = "h200") -> Any:
    """Load both parts."""
    return load_calibration(gpu).host("eager")


def drop(data: dict[str, Any], family: str, units: str) -> None:
    """Drop the fits of a family from kernels.json."""
    data["fits"] = [fit for fit in data["fits"] if (fit["family"], fit["units"]) != (family, units)]


# writing


def test_what_is_written_is_read(tmp_path: Path, h200: GpuCalibration) -> None:
    write_calibration(tmp_path / "new", [h200.device, h200.runtime_costs["eager"]])
    read_device = read(tmp_path / "new" / "device.json", Device, "h200")
    read_costs = read(tmp_path / "new" / "eager.json", RuntimeCosts, "h200")
    assert replace(read_device, digest=None) == replace(h200.device, digest=None)
    assert replace(read_costs, digest=None) == replace(h200.runtime_costs["eager"], digest=None)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/*.json")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_files_are_as_the_program_writes_them(path: Path, tmp_path: Path) -> None:
    """The layout that a person can diff, and the digest."""
    content = read(path, FILES.get(path.stem, RuntimeCosts), path.parent.name)
    write_calibration(tmp_path, [content])
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_what_the_format_does_not_allow_is_not_written(tmp_path: Path, h200: GpuCalibration) -> None:
    """Neither the wrong file nor those beside it."""
    wrong = replace(h200.device, sms=0)
    with pytest.raises(PredictorError, match=r"device\.json: \$\.sms: expected a whole number >= 1, got 0"):
        write_calibration(tmp_path, [h200.runtime_costs["eager"], wrong])
    assert not list(tmp_path.iterdir())


def test_an_entry_of_a_mapping_is_a_line_that_a_person_can_diff(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1, "b": {"c": [1, 2, 3]}, "d": [{"e": 1, "f": "g"}, {"e": 2, "f": "h"}]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == (
        '{\n "a": 1,\n "b": {\n  "c": [1,2,3]\n },\n "d": [\n  {"e":1,"f":"g"},\n  {"e":2,"f":"h"}\n ]\n}\n'
    )


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o644


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), object()], ids=["nan", "infinity", "object"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, bad: Any) -> None:
    path = tmp_path / "device.json"
    write_json(path, {"a": 1})
    old = path.read_bytes()
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"a": 2, "b": bad})
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["device.json"]


def test_a_failed_rename_leaves_nothing_behind(tmp_path: Path) -> None:
    """A folder of the file's name cannot be replaced by a file."""
    (tmp_path / "device.json").mkdir()
    with pytest.raises(OSError, match=r"."):
        write_json(tmp_path / "device.json", {"a": 1})
    assert os.listdir(tmp_path) == ["device.json"]


# reading


def test_a_copy_loads_as_the_original_does(copied: Path, h200: GpuCalibration) -> None:
    found = load_calibration("h200")
    assert found.folder == copied
    assert found.device == h200.device
    assert found.host("eager").calls == h200.host("eager").calls
    assert found.host("eager").library_calls.keys() == h200.host("eager").library_calls.keys()


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        *((name, "h200") for name in ("h200", "H200", "h-200", "H 200", "h_200", "NVIDIA H200")),
        *(("RTX 3090", "3090"), ("GeForce RTX 2080 Ti", "2080ti"), ("GTX 1080 Ti", "1080ti"), ("TITAN X", "titanx")),
        *(("rtx-8000", "rtx8000"), ("Quadro RTX 8000", "rtx8000"), ("NVIDIA RTX A6000", "a6000")),
        *(("Tesla V100", "v100"), ("A100", "a100")),
    ],
)
def test_names_of_gpus_are_forgiving(name: str, gpu: str) -> None:
    assert load_calibration(name).gpu == gpu


def test_a_path_names_a_calibration_too(copied: Path) -> None:
    assert load_calibration(str(copied)).folder == copied


def test_an_unknown_gpu_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(PredictorError, match=r"unknown GPU 'h20': did you mean h200 or b200\?"):
        load_calibration("h20")
    with pytest.raises(PredictorError, match=r"unknown GPU 'abacus': .*--gpu-spec FILE.* 1080ti, 2080ti, 3080, 3090, "):
        load_calibration("abacus")


def test_missing_kernels_are_an_error_that_names_the_remedy(copied: Path) -> None:
    (copied / "kernels.json").unlink()
    with pytest.raises(PredictorError, match=r"kernels\.json: the file is missing: run calibrate"):
        use()


def test_a_runtime_without_a_host_part_is_an_error(copied: Path) -> None:
    (copied / "eager.json").unlink()
    with pytest.raises(PredictorError, match="h200 is not calibrated for runtime 'eager'"):
        use()


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_file_of_another_gpu_is_an_error(copied: Path, name: str) -> None:
    edit(copied / name, lambda data: data.update(gpu="a100"))
    with pytest.raises(PredictorError, match=rf"{name}: \$\.gpu: expected 'h200', got \"a100\""):
        use()


def test_a_renamed_folder_does_not_turn_one_gpu_into_another(copied: Path) -> None:
    copied.rename(copied.with_name("a100"))
    with pytest.raises(PredictorError, match="expected 'a100', got \"h200\""):
        use("a100")


def test_a_family_that_was_not_measured_in_a_dtype_is_an_error(copied: Path) -> None:
    edit(copied / "kernels.json", lambda data: drop(data, "attention", "single"))
    with pytest.raises(PredictorError, match="no attention kernels in fp32"):
        load_calibration("h200").kernel_seconds("attention", "fp32", batch=1, heads=1, seq=8, head_dim=64)


def test_files_that_changed_are_read_again_after_forget(copied: Path) -> None:
    before = use().line_s
    edit(copied / "eager.json", lambda data: data.update(line_s=2 * before))
    assert use().line_s == before
    forget()
    assert use().line_s == 2 * before


# kernels


def test_a_kernel_repeated_alone_is_not_one_in_a_model(h200: GpuCalibration) -> None:
    """16 MB of weights: in a model they come from memory, repeated alone they stay in the cache."""
    dims = {"m": 16, "n": 4096, "k": 2048}
    alone, in_model = (h200.kernel_seconds("gemm", "bf16", context=c, **dims) for c in ("replay", "model"))
    assert alone < in_model
    assert h200.kernel_seconds("gemm", "bf16", **dims) == alone
    assert kernel_fit(h200, "gemm", "bf16", "replay").provenance == "fitted"
    assert kernel_fit(h200, "gemm", "bf16").provenance == "measured"


def test_the_nearest_fit_stands_in_for_one_that_was_not_made(h200: GpuCalibration) -> None:
    """fp16 was not published: bf16 stands in, on the same units; a softmax has one fit for every context."""
    assert kernel_fit(h200, "gemm", "fp16", "replay") is kernel_fit(h200, "gemm", "bf16", "replay")
    assert kernel_fit(h200, "gemm", "fp32", "replay") is kernel_fit(h200, "gemm", "fp32")
    assert kernel_fit(h200, "softmax", "fp16", "replay") is kernel_fit(h200, "softmax", "fp16")
    a100 = load_calibration("a100")
    assert kernel_fit(a100, "gemm", "bf16") is kernel_fit(a100, "gemm", "bf16", "replay")
    assert kernel_fit(a100, "gemm", "fp32").provenance == "derived"


def test_a_kernel_larger_than_any_measured_is_extrapolated_at_the_edge_s_efficiency(h200: GpuCalibration) -> None:
    largest = kernel_fit(h200, "gemm", "fp16").largest["k"]
    dims = {"m": 4096, "n": 4096, "k": np.array([largest, 1.875 * largest, 2.125 * largest, 8 * largest])}
    assert price_kernels(h200, "gemm", "fp16", dims).extrapolated.tolist() == [False, False, True, True]
    assert not price_kernels(h200, "gemm", "fp16", {"m": 1, "n": 1, "k": 1}).extrapolated[0]
    seconds = h200.kernel_seconds("gemm", "fp16", context="model", **dims)
    assert seconds[3] == pytest.approx(8 / 2.125 * seconds[2], rel=0.15)


def test_a_row_that_is_longer_than_any_measured_takes_as_many_times_as_long(h200: GpuCalibration) -> None:
    """Also where few rows leave most of the device idle, and the roofline says nothing."""
    fit = kernel_fit(h200, "batch_norm", "fp16")
    longest = fit.largest["cols"]
    one, four = (
        price_kernels(h200, "batch_norm", "fp16", {"rows": 32, "cols": n * longest}).seconds[0] for n in (1, 4)
    )
    assert four - fit.floor_s == pytest.approx(4 * (one - fit.floor_s))
    mixed = price_kernels(h200, "batch_norm", "fp16", {"rows": 32, "cols": np.array([longest, 4 * longest])}).seconds
    assert list(mixed) == pytest.approx([one, four])


def test_unknown_families_and_contexts_are_answered_with_the_known(h200: GpuCalibration) -> None:
    with pytest.raises(PredictorError, match="unknown kernel family 'gem': did you mean gemm"):
        h200.kernel_seconds("gem", "fp16", m=1, n=1, k=1)
    with pytest.raises(PredictorError, match="unknown context 'modle': did you mean model"):
        h200.kernel_seconds("gemm", "fp16", context="modle", m=1, n=1, k=1)


def test_shipped_kernels_stay_small() -> None:
    for path in SHIPPED.glob("*/kernels.json"):
        assert path.stat().st_size < 2.4e6, path


def test_one_kernel_is_a_number(h200: GpuCalibration) -> None:
    seconds = h200.kernel_seconds("gemm", "fp16", m=4096, n=4096, k=4096)
    assert isinstance(seconds, float)
    assert (
        2 * 4096**3 / 1.98e15 < seconds < 2 * 4096**3 / 1e14
    )  # above 5 %, below twice, of the datasheet's 989 TFLOP/s


def test_arrays_of_dimensions_broadcast(h200: GpuCalibration) -> None:
    m, n = np.array([[64.0], [128.0], [4096.0]]), np.array([256.0, 1024.0])
    seconds = h200.kernel_seconds("gemm", "fp16", m=m, n=n, k=768)
    assert seconds.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            one = h200.kernel_seconds("gemm", "fp16", m=m[i, 0], n=n[j], k=768)
            assert seconds[i, j] == pytest.approx(one, rel=1e-12)


def test_an_unknown_or_missing_dimension_is_a_key_error(h200: GpuCalibration) -> None:
    with pytest.raises(KeyError, match="depth"):
        h200.kernel_seconds("gemm", "fp16", m=8, n=8, k=8, depth=8)
    with pytest.raises(KeyError, match="k"):
        h200.kernel_seconds("gemm", "fp16", m=8, n=8)


def test_large_kernels_take_longer_in_wider_formats(h200: GpuCalibration) -> None:
    half, single = (h200.kernel_seconds("gemm", d, m=8192, n=8192, k=8192) for d in ("fp16", "fp32"))
    assert half < single / 4


def test_a_copy_runs_at_no_more_than_the_bandwidth_of_the_datasheet(h200: GpuCalibration) -> None:
    elements = 2**28
    seconds = h200.kernel_seconds(
        "pointwise", "fp32", elements=elements, bytes_read=4 * elements, bytes_written=4 * elements
    )
    assert 8 * elements / seconds < 4.8e12 * 1.05
    assert 8 * elements / seconds > 2e12


def test_roofline_by_hand(h200: GpuCalibration) -> None:
    """A square product stands under the compute roof, a thin one under the memory roof."""
    compute = price_kernels(h200, "gemm", "fp16", {"m": np.array([8192.0, 1.0]), "n": 8192, "k": 8192}).compute_bound
    assert compute.tolist() == [True, False]


# monotone prices

SIZES = {
    "gemm": {
        "m": st.integers(1, 4096),
        "n": st.integers(1, 4096),
        "k": st.integers(1, 4096),
        "batch": st.integers(1, 64),
    },
    "attention": {
        **{"batch": st.integers(1, 64), "heads": st.integers(1, 16), "seq": st.integers(1, 1024)},
        "head_dim": st.sampled_from([32, 64, 128]),
    },
    "conv": {
        **{"batch": st.integers(1, 64), "c_in": st.integers(1, 256), "c_out": st.integers(1, 256)},
        **{"h": st.integers(3, 56), "w": st.integers(3, 56), "r": st.just(3), "s": st.just(3)},
    },
    **{f: {"rows": st.integers(1, 10**6), "cols": st.integers(1, 4096)} for f in ("softmax", "layer_norm", "reduce")},
}
"""Family -> its dimensions, to draw."""


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("gpu", ["h200", "a100"])
def test_time_never_falls_when_one_dimension_grows_fourfold(gpu: str, data: st.DataObject) -> None:
    calibration = load_calibration(gpu)
    family = data.draw(st.sampled_from(sorted(SIZES)))
    dtype = data.draw(st.sampled_from(["bf16", "fp32"]))
    dims = {name: data.draw(values, label=name) for name, values in SIZES[family].items()}
    grown = data.draw(st.sampled_from([name for name in dims if name in FAMILIES[family].sizes]))
    context = data.draw(st.sampled_from(["model", "replay"]))
    before, after = (
        calibration.kernel_seconds(family, dtype, context=context, monotone=True, **some)
        for some in (dims, {**dims, grown: 4 * dims[grown]})
    )
    assert after >= before
    assert before >= calibration.kernel_seconds(family, dtype, context=context, **dims)


def test_monotone_prices_broadcast_as_others_do() -> None:
    calibration = load_calibration("h200")
    m = np.array([[1], [64], [500]])
    found = calibration.kernel_seconds("gemm", "bf16", monotone=True, m=m, n=[64, 256], k=512)
    assert found.shape == (3, 2)
    assert found[2, 1] == calibration.kernel_seconds("gemm", "bf16", monotone=True, m=500, n=256, k=512)


def test_a_family_that_a_calibration_does_not_have_is_priced_as_extrapolated(copied: Path) -> None:
    """Families that are newer than a calibration: the analytic base, at the efficiency of pointwise kernels."""
    edit(copied / "kernels.json", lambda data: drop(data, "interpolate", "any"))
    calibration = load_calibration("h200")
    dims = {"elements": 1e8, "bytes_read": 2e8, "bytes_written": 2e8}
    expected = calibration.kernel_seconds("pointwise", "fp16", **dims, inputs=1)
    one_each = {**dims, "threads": 1e8, "taps": 2}  # whose threads take no time of their own
    assert calibration.kernel_seconds("interpolate", "fp16", **one_each) == pytest.approx(expected, rel=0.5)
    assert price_kernels(calibration, "interpolate", "fp16", one_each).extrapolated.all()
    assert not price_kernels(calibration, "pointwise", "fp16", dims).extrapolated.any()
