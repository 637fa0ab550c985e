"""The command ``calibrate``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictor.cli.terminal import complain, run

if TYPE_CHECKING:
    from predictor.calibration.load import Calibration

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def calibrate(
    context: typer.Context,
    gpu: Annotated[str | None, typer.Option(help="Name of the GPU in this machine, for example h200.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, to calibrate this machine's processor.")] = None,
    runtime: Annotated[
        str, typer.Option(help="Runtimes whose host costs are measured, comma-separated, or all; eager always is.")
    ] = "eager",
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer samples: under a minute for eager, wider intervals.")
    ] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Twice the kernels, also on top of a calibration that is there.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write, by default the user's own, where predict looks.")
    ] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Measure nothing, fit the samples in --out again.")] = False,
    host_only: Annotated[
        bool, typer.Option("--host-only", help="Measure the host alone; kernels are those of the GPU's calibration.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Measure dispatch overhead and kernel throughput of this machine.

    Started again after an interruption, it continues from the samples on disk.
    """
    if context.invoked_subcommand is None:
        with complain(debug):
            _calibrate(gpu, device, runtime, quick, thorough, out, refit, host_only)


@app.command()
def fit(
    gpu: Annotated[str, typer.Option(help="GPU that was measured; of --published several, comma-separated, or all.")],
    kernels: Annotated[
        list[Path] | None,
        typer.Option(help="File of kernel times: a table (.csv, .csv.gz) or samples (.jsonl); repeatable."),
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Table (.csv) of latencies of whole models on this and other GPUs.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="Calibrated GPU whose residuals stand in for families that nobody measured.")
    ] = None,
    source: Annotated[str, typer.Option(help="Who measured the kernels, kept with the fits.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the calibration, by default where the GPU's is now."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Fit what others measured, kernel times or latencies of whole models, into a calibration.

    A calibrated GPU keeps what it has. Any other needs a datasheet.json in its folder, and for kernels --like.
    """
    with complain(debug):
        from predictor.calibration.files import find
        from predictor.errors import PredictorError

        if not kernels and published is None:
            raise PredictorError("say what to fit: --kernels FILE or --published FILE")
        rows = []
        if published is not None:
            from calibrate.samples.passes import read_passes

            rows = read_passes(published)
        gpus = sorted({row.gpu for row in rows}) if gpu == "all" else gpu.split(",")
        if len(gpus) > 1 and (kernels or out):
            raise PredictorError("--kernels and --out are for one GPU")
        folders = {name: out or find(name) for name in gpus}
        if kernels:
            from calibrate.fit.published import fit_published

            fit_published(gpu, folders[gpu], kernels, like, source)
        if rows:
            from calibrate.fit.passes import fit_passes

            fit_passes(folders, rows)
        for folder in folders.values():
            typer.echo(_fitted(folder))


def _fitted(folder: Path) -> str:
    """What was fitted from others' figures, and its errors."""
    from predictor.calibration.load import load_calibration

    calibration = load_calibration(str(folder.resolve()))
    lines = [
        f"{family:12} {name:12} error {one.error:.1%}"
        for (family, name), one in sorted(calibration.fits.items())
        if one.provenance == "fitted"
    ]
    if calibration.kernels_error is not None:
        lines.append(f"kernel time of a pass: error {calibration.kernels_error:.1%}")
    lines += [f"host {name}: {calibration.slower_host(name):.2f} x the reference" for name in calibration.hosts]
    return "\n".join([*lines, f"written to {folder}"])


def _calibrate(
    gpu: str | None,
    device: str | None,
    runtime: str,
    quick: bool,
    thorough: bool,
    out: Path | None,
    refit: bool,
    host_only: bool,
) -> None:
    from predictor.calibration.files import user_folder
    from predictor.errors import PredictorError, unknown

    if device not in (None, "cpu", "cuda"):
        raise unknown("device", device, ("cpu", "cuda"))
    name = gpu or ("cpu" if device == "cpu" else None)
    if name is None:
        raise PredictorError("say what to calibrate: --gpu NAME or --device cpu")
    if device == "cpu" and name != "cpu":
        raise PredictorError(f"--device cpu and --gpu {name} contradict each other")
    wanted = _wanted(runtime, on_cpu=name == "cpu")
    folder = out or user_folder() / name
    from calibrate import pipeline as calibration_run

    if refit:
        calibration_run.fit(name, folder)
    else:
        from calibrate.samples.environment import check_device, interrupted

        target = check_device(name)
        if host_only:
            calibration_run.take_kernels(name, folder)
        effort = calibration_run.effort_of(target, quick, thorough)
        parts = calibration_run.Parts(not host_only, True, wanted)
        try:
            with typer.progressbar(
                length=parts.steps(effort), label=f"calibrate {name}", show_eta=True, show_pos=True, file=sys.stderr
            ) as bar:
                tell = partial(typer.echo, err=True)
                calibration_run.run(name, target, folder, effort, parts, bar.update, tell)
        except KeyboardInterrupt:
            typer.echo(f"\n{interrupted()}", err=True)
            raise typer.Exit(130) from None
    typer.echo(_summary(folder))


def _wanted(runtime: str, on_cpu: bool) -> tuple[str, ...]:
    """Runtimes besides eager that are asked for, those that others are like first."""
    from calibrate.fit.runtimes import TERMS, known
    from predictor import runtimes
    from predictor.errors import unknown

    possible = [name for name in known() if not runtimes.load(name).needs_gpu or not on_cpu]
    asked = possible if runtime == "all" else runtime.split(",")
    for name in asked:
        if name not in (*possible, "eager"):
            raise unknown("runtime", name, (*possible, "eager"))
    needed = {*asked, *(TERMS[name].like for name in asked if name in TERMS)}
    return tuple(name for name in possible if name in needed)


def _summary(folder: Path) -> str:
    from predictor.calibration.load import load_calibration

    calibration = load_calibration(str(folder.resolve()))
    host = calibration.host("eager")
    device, lanes = calibration.device, calibration.lanes
    peaks = ", ".join(f"{dtype} {flops / 1e12:.1f}" for dtype, flops in device["peak_flops"].items())
    lines = [
        f"{device['name']}: {device['bandwidth_bytes_per_s'] / 1e9:.0f} GB/s, TFLOP/s {peaks}",
        f"launch latency {lanes.launch_latency_s * 1e6:.1f} us, gap {lanes.gap_s * 1e6:.2f} us, "
        f"sync {lanes.sync_s * 1e6:.1f} us",
        f"host: {host.op_factor:.2f} x the calls' costs + {host.line_s * 1e6:.2f} us per cold line + "
        f"{host.module_s * 1e6:.2f} us per cold module + {host.fixed_s * 1e6:.0f} us; error {host.error:.1%}",
        *_others(calibration),
        f"written to {folder}",
    ]
    return "\n".join(lines)


def _others(calibration: Calibration) -> list[str]:
    lines = []
    for name in calibration.runtimes:
        host = calibration.host(name)
        if name != "eager":
            said = f"gap {host.gap_s * 1e6:.2f} us, " if host.gap_s is not None else ""
            lines.append(f"{name}: {said}{host.fixed_s * 1e6:.0f} us a pass, error {host.error:.1%}")
    return lines


def main() -> None:
    """Entry point."""
    run(app)
