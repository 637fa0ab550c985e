"""Fits recover what samples were made from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibrate.fit.calibration import fits_that_stay
from calibrate.fit.host import LEAST_FACTOR, fit_host, fit_shapes
from calibrate.fit.kernels import fit_family, fit_kernels
from calibrate.samples.kernels import MeasuredKernel
from predictor.calibration.files import SHIPPED
from predictor.calibration.kernel_models import KernelFit
from predictor.calibration.load import Calibration
from predictor.calibration.schema import Fit, FitKey
from predictor.calibration.trees import Forest
from predictor.kernels.families import FAMILIES, itemsize
from predictor.pricing.kernels import kernel_fit, kernel_seconds, price_kernels
from predictor.pricing.program import shape_features
from tests.calibrations import device

DEVICE = device({"fp32": 5e13, "fp16": 8e14}, 4e12, 132)


def host_samples(count: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "hot_s": rng.uniform(5e-4, 5e-3, count),
        "cold_s": rng.uniform(1e-4, 1e-3, count),
        "cold_lines": rng.integers(20, 1500, count).astype(float),
        "cold_modules": rng.integers(5, 300, count).astype(float),
        "functions": rng.integers(50, 3000, count).astype(float),
        "device_s": rng.uniform(1e-5, 1e-4, count),
    }


TRUE = {"op_factor": 1.1, "cold_factor": 1.6, "line_s": 1e-6, "module_s": 2e-6, "function_s": 2e-7, "fixed_s": 2e-5}


def latencies(x: dict[str, np.ndarray], **others: float) -> np.ndarray:
    true = TRUE | others
    calls_s = true["op_factor"] * x["hot_s"] + true["cold_factor"] * x["cold_s"]
    python_s = true["line_s"] * x["cold_lines"] + true["module_s"] * x["cold_modules"]
    python_s = python_s + true["function_s"] * x["functions"]
    return np.asarray(calls_s + python_s + x["device_s"] + true["fixed_s"])


def test_host_coefficients_are_recovered() -> None:
    x = host_samples()
    found = fit_host(**x, latency_s=latencies(x))
    assert found.coefficients == pytest.approx(TRUE, rel=1e-3)
    assert found.error.mape < 1e-3


def test_host_coefficients_survive_noise_and_the_error_says_how_much() -> None:
    x = host_samples(200)
    noise = np.exp(np.random.default_rng(1).normal(0, 0.04, 200))
    found = fit_host(**x, latency_s=latencies(x) * noise)
    assert found.coefficients["op_factor"] == pytest.approx(1.1, rel=0.05)
    assert found.coefficients["line_s"] == pytest.approx(1e-6, rel=0.2)
    assert 0.02 < found.error.log_rms < 0.08


def test_a_module_that_was_disturbed_moves_no_coefficient() -> None:
    """One of ten took twice as long as it should: the other nine decide."""
    x = host_samples(200)
    disturbed = np.where(np.arange(200) % 10 == 0, 2.0, 1.0)
    found = fit_host(**x, latency_s=latencies(x) * disturbed).coefficients
    names = ("op_factor", "cold_factor", "line_s", "module_s", "function_s")
    assert {n: found[n] for n in names} == pytest.approx({n: TRUE[n] for n in names}, rel=0.05)
    assert found["op_factor"] == pytest.approx(1.1, rel=0.02)


def test_no_host_coefficient_is_below_what_can_be() -> None:
    """Latencies that fall with the Python between calls, and calls much cheaper than alone: the coefficients stay at
    their limits.
    """
    x = host_samples()
    found = fit_host(**x, latency_s=latencies(x, op_factor=0.5, line_s=-5e-8)).coefficients
    assert min(found.values()) >= 0
    assert found["line_s"] == pytest.approx(0.0, abs=1e-9)
    assert found["op_factor"] == LEAST_FACTOR


def test_the_host_cost_of_flags_is_recovered_and_sizes_do_not_count(h200: Calibration) -> None:
    """A library that takes 10 us, and twice that with a bias; where a product has many columns it was disturbed."""
    rng = np.random.default_rng(3)

    def sample(n: int, bias: int) -> MeasuredKernel:
        dims = {"m": int(rng.integers(1, 512)), "n": n, "k": int(rng.integers(64, 1024)), "batch": 1, "nt": 1}
        disturbed = 1.1 if n > 512 else 0.9
        return MeasuredKernel("gemm", "fp16", {**dims, "bias": bias}, disturbed * (2e-5 if bias else 1e-5))

    drawn = zip(rng.integers(64, 960, 300), rng.integers(0, 2, 300), strict=True)
    fits = fit_shapes([sample(int(n), int(bias)) for n, bias in drawn], h200)
    assert set(fits) == {("gemm", "fp16")}
    for n, bias, expected in ((128, 0, 1e-5), (900, 0, 1e-5), (128, 1, 2e-5), (900, 1, 2e-5)):
        dims = {name: np.array([float(d)]) for name, d in sample(n, bias).dims.items()}
        log = fits["gemm", "fp16"].predict(shape_features(h200, "gemm", "fp16", dims, np.ones(1)))
        assert np.exp(log[0]) == pytest.approx(expected, rel=0.05)


def gemm_samples(count: int, seed: int, noise: float = 0.02) -> list[MeasuredKernel]:
    """A device that loses time on small and on unaligned products, beside its roofline and a floor of 2 us."""
    rng = np.random.default_rng(seed)
    row, samples = FAMILIES["gemm"], []
    for _ in range(count):
        dims = {d: int(2 ** rng.uniform(4, 13)) for d in ("m", "n", "k")}
        dims["k"] -= dims["k"] % 64 if rng.random() < 0.5 else 0
        dims["k"] = max(dims["k"], 16)
        arrays = row.complete(dims)
        base = max(float(row.flops(arrays)) / 8e14, float(row.nbytes(arrays, itemsize("fp16"))) / 4e12) + 2e-6
        residual = 0.5 * (dims["k"] % 64 != 0) + 0.08 * (13 - np.log2(dims["m"]))
        seconds = base * np.exp(residual + rng.normal(0, noise))
        launches = 2 if dims["k"] > 2048 else 1
        samples.append(MeasuredKernel("gemm", "fp16", dims, float(seconds), launches))
    return samples


@pytest.fixture(scope="module")
def fit() -> Fit:
    return fit_family(gemm_samples(600, 0), "gemm", DEVICE)


def test_a_family_fit_beats_the_roofline_on_unseen_shapes(fit: Fit) -> None:
    """Of the mean error on other samples of the same device, less than a quarter is left."""
    row, residual, unseen = FAMILIES["gemm"], Forest.from_record(fit.residual), gemm_samples(200, 1)
    fitted, roofline = [], []
    for sample in unseen:
        arrays = row.complete(sample.dims)
        base = max(float(row.flops(arrays)) / 8e14, float(row.nbytes(arrays, 2)) / 4e12)
        predicted = (base + fit.floor_s) * np.exp(residual.predict(row.matrix_of_features(arrays, "fp16", 132))[0])
        fitted.append(abs(predicted / sample.seconds - 1))
        roofline.append(abs((base + 2e-6) / sample.seconds - 1))
    assert np.mean(fitted) < 0.1
    assert np.mean(fitted) < np.mean(roofline) / 4


def test_a_family_fit_knows_its_own_error(fit: Fit) -> None:
    assert fit.error.samples == 600
    assert 0.01 < fit.error.mape < fit.error.roofline_mape / 3
    assert fit.error.log_rms < 0.15


def test_launch_counts_are_fitted_too(fit: Fit) -> None:
    row, known = FAMILIES["gemm"], KernelFit.of(fit)
    arrays = row.complete({"m": 512, "n": 512, "k": np.array([512, 4096])})
    assert known.launch_count(row.matrix_of_features(arrays, "fp16", 132), np.ones(2)).tolist() == [1, 2]


def test_launches_per_group_hold_for_numbers_of_groups_that_nobody_measured() -> None:
    """Wide groups run one by one, two kernels each and one for all; narrow ones at once."""
    rng = np.random.default_rng(3)
    samples = []
    for _ in range(300):
        width, groups, batch = int(rng.choice([16, 128])), int(rng.choice([2, 4, 8])), int(rng.integers(1, 64))
        dims = {"batch": batch, "c_in": width * groups, "c_out": width * groups, "h": 28, "w": 28, "r": 3, "s": 3}
        launches = 2 * groups + 1 if width == 128 else 1
        samples.append(MeasuredKernel("conv_grouped", "fp16", {**dims, "groups": groups}, 1e-5, launches))
    known = KernelFit.of(fit_family(samples, "conv_grouped", DEVICE))
    row = FAMILIES["conv_grouped"]
    dims = {"batch": 8, "h": 28, "w": 28, "r": 3, "s": 3, "groups": 6}
    for width, expected in ((16, 1), (128, 13)):
        features = row.matrix_of_features(row.complete({**dims, "c_in": 6 * width, "c_out": 6 * width}), "fp16", 132)
        assert known.launch_count(features, np.array([6.0])) == expected


def test_families_are_kept_apart() -> None:
    softmax = [
        MeasuredKernel("softmax", dtype, {"rows": rows, "cols": 64}, 2e-6 + rows * 1e-9)
        for rows in range(64, 64 * 16, 64)
        for dtype in ("fp16", "fp32")
    ]
    fits = fit_kernels([*gemm_samples(20, 2), *softmax], DEVICE)
    found = [(fit.family, fit.units, fit.error.samples) for fit in fits]
    assert found == [("gemm", "half", 20), ("softmax", "any", 30)]


def test_a_measured_shape_that_the_fit_misses_is_kept_and_priced_as_measured() -> None:
    """A convolution for which the library picks something ten times slower, between others that run alike."""
    rng = np.random.default_rng(0)
    row = FAMILIES["conv_grouped"]

    def sample(batch: int, slow: bool) -> MeasuredKernel:
        dims = {"batch": batch, "c_in": 768, "c_out": 768, "h": 1, "w": 99, "r": 1, "s": 128, "pad_w": 64, "groups": 16}
        seconds = 1e-5 * batch * (10 if slow else 1) * float(np.exp(rng.normal(0, 0.02)))
        return MeasuredKernel(row.name, "fp16", dims, seconds, 64 if slow else 16)

    samples = [sample(batch, batch == 37) for batch in range(1, 200)]
    fit = fit_family(samples, "conv_grouped", DEVICE)
    assert {len(kept.dims) for kept in fit.exceptions} == {len(row.dims)}
    assert 37 in [kept.dims[0] for kept in fit.exceptions]
    assert len(fit.exceptions) < 10  # and perhaps its neighbours, which the slow one drags along
    calibration = Calibration("x", None, DEVICE, {FitKey(row.name, "half", "model"): KernelFit.of(fit)})
    dims = {**samples[0].dims, "batch": np.array([36.0, 37.0, 38.0])}
    prices = price_kernels(calibration, "conv_grouped", "fp16", dims)
    assert prices.seconds == pytest.approx([3.6e-4, 3.7e-3, 3.8e-4], rel=0.25)
    assert prices.launches[1] == 64


def test_sixteen_bit_formats_share_a_fit_and_keep_their_difference() -> None:
    """bf16 a quarter slower than fp16, each measured at half of the sizes: the fit knows both at all of them."""
    rng = np.random.default_rng(9)
    samples = []
    for index in range(800):
        dtype = ("fp16", "bf16")[index % 2]
        m, n, k = (int(2 ** rng.uniform(6, 12)) for _ in range(3))
        seconds = 2e-6 + 2 * m * n * k / 4e14 * (1.25 if dtype == "bf16" else 1.0)
        samples.append(MeasuredKernel("gemm", dtype, {"m": m, "n": n, "k": k}, seconds))
    known = device({**DEVICE.peak_flops, "bf16": DEVICE.peak_flops["fp16"]}, 4e12, 132)
    (fit,) = fit_kernels(samples, known)
    assert (fit.family, fit.units) == ("gemm", "half")
    calibration = Calibration("x", None, known, {FitKey("gemm", "half", "model"): KernelFit.of(fit)})
    fp16, bf16 = (kernel_seconds(calibration, "gemm", d, m=3000, n=3000, k=3000) for d in ("fp16", "bf16"))
    assert bf16 / fp16 == pytest.approx(1.25, rel=0.08)
    assert fp16 == pytest.approx(2e-6 + 2 * 3000**3 / 4e14, rel=0.08)


def test_a_dimension_that_never_varied_says_nothing_of_other_values(h200: Calibration) -> None:
    """Causal attention with heads of 128 alone: neither smaller heads nor full attention are in its range."""
    rng = np.random.default_rng(5)
    samples = [
        MeasuredKernel("attention", "fp16", {**drawn, "head_dim": 128, "causal": 1}, 1e-5)
        for drawn in ({"batch": int(b), "heads": 8, "seq": int(s)} for b, s in rng.integers(1, 512, (30, 2)))
    ]
    fit = fit_family(samples, "attention", DEVICE)
    assert fit.only == {"heads": 8.0, "head_dim": 128.0, "causal": 1.0, "mask": 0.0}
    assert fit.largest["seq"] == max(s.dims["seq"] for s in samples)
    narrow = replace(kernel_fit(h200, "attention", "fp16"), only=fit.only, largest=fit.largest)
    calibration = replace(h200, fits={FitKey("attention", "half", "model"): narrow})
    inside = {"batch": 4, "heads": 8, "seq": 100, "head_dim": 128, "causal": 1}
    assert not price_kernels(calibration, "attention", "fp16", inside).extrapolated.any()
    for other in ({"head_dim": 64}, {"causal": 0}, {"mask": 1}, {"seq": 2000}):
        assert price_kernels(calibration, "attention", "fp16", {**inside, **other}).extrapolated.all()


def test_fits_that_no_calibration_measures_stay_when_it_is_fitted_again() -> None:
    """Recurrent layers are measured by a benchmark of their own."""
    kept, _ = fits_that_stay(SHIPPED / "h200" / "kernels.json", "h200")
    assert {"recurrence", "recurrent_cell", "recurrent_product"} <= {fit.family for fit in kept}
    assert "gemm" not in {fit.family for fit in kept}
