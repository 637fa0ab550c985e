"""What a calibration says of itself, in a few lines."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from predictor import runtimes
from predictor.calibration.host_costs import probe_factor
from predictor.calibration.host_list import REFERENCE_GPU, listed_hosts
from predictor.calibration.load import Calibration, load_calibration
from predictor.calibration.schema import HostProbe
from predictor.report.text import WIDTH


def calibration_text(folder: Path) -> str:
    """Peaks, lanes, host coefficients and errors of a calibration that was measured."""
    calibration = load_calibration(str(folder.resolve()))
    device, lanes = calibration.device, calibration.lanes
    peaks = ", ".join(f"{dtype} {flops / 1e12:.1f}" for dtype, flops in device.peak_flops.items())
    lines = [
        f"{device.name}: {device.bandwidth_bytes_per_s / 1e9:.0f} GB/s, TFLOP/s {peaks}",
        f"launch latency {lanes.launch_latency_s * 1e6:.1f} us, gap {lanes.gap_s * 1e6:.2f} us, "
        f"sync {lanes.sync_s * 1e6:.1f} us",
        *(_host(calibration, name) for name in calibration.runtimes),
    ]
    return "\n".join([*(fill(line, WIDTH, subsequent_indent="  ") for line in lines), f"written to {folder}"])


def _host(calibration: Calibration, runtime: str) -> str:
    host = calibration.own_host(runtime)
    if runtimes.load(runtime).host_terms is None:
        return (
            f"{runtime}: {host.op_factor:.2f} x the calls' costs, {host.cold_factor:.2f} x what being cold adds, "
            f"{host.function_s * 1e6:.2f} us per function, {host.line_s * 1e6:.2f} us per cold line + "
            f"{host.module_s * 1e6:.2f} us per cold module + {host.fixed_s * 1e6:.0f} us; error {host.error:.1%}"
        )
    gap = f"gap {host.gap_s * 1e6:.2f} us, " if host.gap_s is not None else ""
    return f"{runtime}: {gap}{host.fixed_s * 1e6:.0f} us a pass, error {host.error:.1%}"


def probe_text(probe: HostProbe, gpu: str | None, out: Path) -> str:
    """How fast a probed host is against those that are known. gpu: whose hosts are shown, too."""
    ours = probe_factor(probe, load_calibration(REFERENCE_GPU).host("eager"))
    lines = [f"{probe.cpu}, torch {probe.versions.get('torch', '?')}: probe {probe.cpu_probe_s * 1e3:.3g} ms"]
    lines += [
        f"  {ours / host.time_factor:.2f} x as long as {host.name}{' host' if host.runtime == 'all' else ''}"
        f", torch {host.torch}"
        for host in listed_hosts(gpu)
        if host.default or host.runtime == "all" or (gpu and host.name in load_calibration(gpu).hosts)
    ]
    return "\n".join([*lines, f"written to {out}: predict --gpu {gpu or 'NAME'} --host {out}"])


def fits_text(folder: Path) -> str:
    """What was fitted from others' figures, and its errors."""
    calibration = load_calibration(str(folder.resolve()))
    lines = [
        f"{key.family:12} {f'{key.units} {key.context}':12} error {fit.error:.1%}"
        for key, fit in sorted(calibration.fits.items())
        if fit.provenance == "fitted"
    ]
    if calibration.kernels_error is not None:
        lines.append(f"kernel time of a pass: error {calibration.kernels_error:.1%}")
    lines += [f"host {name}: {calibration.host_time_factor(name):.2f} x the reference" for name in calibration.hosts]
    return "\n".join([*lines, f"written to {folder}"])
