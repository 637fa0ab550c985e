"""The command ``calibrate``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from predictor.cli.terminal import APP, complain, run

app = typer.Typer(add_completion=False, **APP)


@app.callback(invoke_without_command=True)
def calibrate(
    context: typer.Context,
    gpu: Annotated[str | None, typer.Option(help="Name of the GPU in this machine, for example h200.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, to calibrate this machine's processor.")] = None,
    runtime: Annotated[
        str,
        typer.Option(help="Runtimes to measure the host costs of, comma-separated, or all. Eager is always measured."),
    ] = "eager",
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="70 to 100 seconds for eager: a coarser host, a few kernels. The GPU's kernels are taken from whoever "
            "measured all, or from the nearest GPU with a factor for each family.",
        ),
    ] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Measure twice as many kernels; an existing calibration is extended.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: the folder of the user, which predict reads.")
    ] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Measure nothing; fit the samples in --out again.")] = False,
    host_only: Annotated[
        bool, typer.Option("--host-only", help="Measure (or refit) the host only; take the GPU's calibrated kernels.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Measure on a busy machine, and write what the fits say should not be trusted; it is marked.",
        ),
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Only time this machine's host, ten seconds, no GPU needed: --out FILE.json is what predict --host "
            "takes. Default: host.json.",
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Measure the dispatch overhead and the kernel throughput of this machine.

    After an interruption, run it again: it continues from the samples on disk.
    """
    if context.invoked_subcommand is None:
        with complain(debug):
            if probe:
                _probe(gpu, out or Path("host.json"))
                return
            _calibrate(gpu, device, runtime, quick, thorough, out, refit, host_only, force)


@app.command()
def fit(
    gpu: Annotated[str, typer.Option(help="GPU that was measured; for --published several, comma-separated, or all.")],
    kernels: Annotated[
        list[Path] | None,
        typer.Option(help="File of kernel times: a table (.csv, .csv.gz) or samples (.jsonl.gz); repeatable."),
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Table (.csv) of latencies of whole models on this and other GPUs.")
    ] = None,
    reference_gpu: Annotated[
        str | None, typer.Option(help="Calibrated GPU whose fits stand in for kernel families that were not measured.")
    ] = None,
    source: Annotated[str, typer.Option(help="Who measured the kernels, kept with the fits.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the calibration. Default: where the GPU's calibration is now."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Fit published kernel times, or published latencies of whole models, into a calibration.

    A calibrated GPU keeps what it has. Any other GPU needs a datasheet.json in its folder, and --reference-gpu for
    kernels.
    """
    with complain(debug):
        from predictor.errors import PredictorError

        if not kernels and published is None:
            raise PredictorError("say what to fit: --kernels FILE or --published FILE")
        from calibrate.fit.others import fit_tables
        from calibrate.validate.summary import fits_text

        for folder in fit_tables(gpu, kernels or (), published, reference_gpu, source, out):
            typer.echo(fits_text(folder))


@app.command()
def check(
    folder: Annotated[str, typer.Argument(help="Folder of a calibration, or the name of a GPU.")],
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Tell how good a calibration is: noise while it was measured, errors of its fits, what is missing, how old it is.

    Exit code 1 where it should not be trusted.
    """
    with complain(debug):
        from calibrate.validate.quality import checked, quality_text

        findings = checked(folder)
        typer.echo(quality_text(findings))
        if any(finding.fails for finding in findings):
            raise typer.Exit(1)


def _probe(gpu: str | None, out: Path) -> None:
    from calibrate.measure import host_probe
    from calibrate.validate.summary import probe_text
    from predictor.calibration.files import write_probe_file
    from predictor.errors import PredictorError

    if out.suffix != ".json":
        raise PredictorError(f"--probe writes a file: --out FILE.json, not {out}")
    length = int(host_probe.SECONDS * 1000)
    with typer.progressbar(length=length, label="probe", show_eta=True, file=sys.stderr) as bar:
        probe = host_probe.probe_host(tell=lambda seconds: bar.update(int(seconds * 1000)))
    write_probe_file(out, probe)
    typer.echo(probe_text(probe, gpu, out))


def _calibrate(
    gpu: str | None,
    device: str | None,
    runtime: str,
    quick: bool,
    thorough: bool,
    out: Path | None,
    refit: bool,
    host_only: bool,
    force: bool,
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
    folder = out or user_folder() / name
    from calibrate import pipeline
    from calibrate.progress import bar
    from calibrate.samples.environment import check_device, interrupted
    from calibrate.validate.summary import calibration_text

    wanted = pipeline.runtimes_to_measure(runtime, on_cpu=name == "cpu")
    if refit:
        pipeline.fit(name, folder, host_only, force)
    else:
        target = check_device(name)
        if host_only:
            pipeline.take_kernels(name, folder)
        effort = pipeline.effort_of(target, quick, thorough)
        parts = pipeline.Parts(not host_only, True, wanted)
        tell = partial(typer.echo, err=True)
        try:
            pipeline.check_machine(target, folder, tell)
            pipeline.check_noise(target, force, tell)
            with bar(f"calibrate {name}", parts.stages(effort)) as progress:
                pipeline.run(name, target, folder, effort, parts, progress, tell, force)
        except KeyboardInterrupt:
            typer.echo(f"\n{interrupted()}", err=True)
            raise typer.Exit(130) from None
    typer.echo(calibration_text(folder))


def main() -> None:
    """Entry point."""
    run(app)
