"""The command ``validate``: predictions against real measurements, over the model zoo and of users' own models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predictor.cli.terminal import APP, Waiting, complain, run

app = typer.Typer(add_completion=False, **APP)


@app.callback(invoke_without_command=True)
def validate(
    context: typer.Context,
    gpu: Annotated[
        str | None, typer.Option(help="GPU whose calibration predicts; measuring needs it in this machine.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="Runtime to validate.")] = "eager",
    models: Annotated[
        str, typer.Option(help="Zoo models or factories (FILE.py:FUNCTION), comma-separated, or all: of the zoo.")
    ] = "all",
    batches: Annotated[str, typer.Option(help="Batch sizes, comma-separated.")] = "1,8,32,128",
    dtypes: Annotated[str, typer.Option(help="Dtypes, comma-separated.")] = "fp16,fp32",
    data: Annotated[
        Path | None,
        typer.Option(help="File of measurements: cases in it are not measured again, new cases are added."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of measurement, interleaved over the cases.")] = 6,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the summary as Markdown tables.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Compare predictions with real measurements: errors, ranking and bounds per model and regime."""
    if context.invoked_subcommand is not None:
        return
    with complain(debug):
        from predictor.errors import PredictorError

        if gpu is None:
            raise PredictorError("say which calibration to validate: --gpu NAME")
        _validate(gpu, runtime, models, batches, dtypes, data, rounds, markdown)


@app.command()
def runtimes(
    gpu: Annotated[str, typer.Option(help="GPU whose calibration predicts.")],
    data: Annotated[Path, typer.Option(help="Folder of files of measurements (.jsonl.gz).")],
    dtype: Annotated[str, typer.Option(help="Dtypes of the cases, comma-separated.")] = "fp16",
    host: Annotated[
        str | None, typer.Option(help="Host whose costs predict, see predict list hosts; default: the GPU's own.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Compare the predictions for every runtime, and the choice of the fastest, with measurements."""
    with complain(debug):
        from calibrate.validate.runtimes import evaluate, judge_runtimes
        from calibrate.validate.tables import runtimes_text
        from predictor.calibration.load import load_calibration
        from predictor.errors import PredictorError

        with Waiting(f"predicting what was measured in {data}"):
            evaluated = evaluate(load_calibration(gpu), data, _tell, *dtype.split(","), host=host)
        if not evaluated:
            raise PredictorError(f"no measurements in {data}")
        typer.echo(runtimes_text(judge_runtimes(evaluated, *dtype.split(",")), markdown))


@app.command()
def kernels(
    gpu: Annotated[str, typer.Option(help="GPU that the kernels were measured on, and whose calibration predicts.")],
    data: Annotated[Path, typer.Option(help="File of kernel times: a table (.csv, .csv.gz) or samples (.jsonl.gz).")],
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Judge the calibration's own fits, on kernels that they have not seen.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Compare kernel times with measured ones: errors per family, dtype and decade of work, on unseen kernels.

    Fits are made on three quarters of the file and tested on the rest, four times; a weight matrix or a shape is never
    in both parts.
    """
    with complain(debug):
        from calibrate.samples.kernels import read_kernels
        from calibrate.validate.kernels import judge_kernels
        from calibrate.validate.tables import kernels_text
        from predictor.calibration.load import load_calibration
        from predictor.errors import PredictorError

        calibration = load_calibration(gpu)
        samples = read_kernels(data, calibration.gpu)
        if not samples:
            raise PredictorError(f"no kernels of {calibration.gpu} in {data}")
        with Waiting("fitting kernels"):
            judged = judge_kernels(samples, calibration, as_is)
        typer.echo(kernels_text(judged))


@app.command()
def published(
    data: Annotated[Path, typer.Option(help="Table (.csv) of latencies of whole models.")],
    gpu: Annotated[str | None, typer.Option(help="Show the sessions of this GPU alone.")] = None,
    reference_gpu: Annotated[str, typer.Option(help="Calibrated GPU whose host is the reference.")] = "h200",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Compare published latencies with fits that have not seen the model: each model is left out once.

    Two simpler formulas are shown, too: multiply-accumulates alone, and max(launches, kernel time), with constants of
    the session that have not seen the model either. A table of single public latencies (columns source, model, gpu,
    runtime, dtype, batch, measured_ms, note) is predicted as it is, nothing is fitted; errors are shown by source.
    """
    with complain(debug):
        from calibrate.validate.public_latencies import is_public_table, judge_public, read_public
        from predictor.errors import PredictorError

        if not data.is_file():
            raise PredictorError(f"no such file: {data}")

        if is_public_table(data):
            from calibrate.validate.tables import public_text

            rows = [row for row in read_public(data) if gpu in (None, row.gpu)]
            if not rows:
                raise PredictorError(f"no rows{f' of {gpu}' if gpu else ''} in {data}")
            typer.echo(public_text(judge_public(rows, _tell), markdown))
            return
        from calibrate.samples.model_latencies import read_passes
        from calibrate.validate.model_latencies import judge_passes
        from calibrate.validate.tables import passes_text

        with Waiting("pricing the models of the table") as waiting:
            judged = judge_passes(read_passes(data), reference_gpu, gpu, waiting.doing)
        typer.echo(passes_text(judged, markdown))


@app.command()
def paper(
    gpu: Annotated[str, typer.Option(help="GPU that is predicted.")],
    out: Annotated[Path, typer.Option(help="Folder for plots, tables and index.html.")],
    data: Annotated[
        Path | None, typer.Option(help="Table (.csv) of the paper's published latencies, drawn beside the lines.")
    ] = None,
    figures: Annotated[str, typer.Option(help="Figures, comma-separated (figure03,table1), or all.")] = "all",
    capture: Annotated[
        bool, typer.Option("--capture", help="Capture graphs that are not shipped: needs the models' libraries.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Draw the figures of The Framework Tax (Fernandez et al., 2023) as predicted, and check what the paper says.

    Writes a plot (SVG, PNG) and a table (CSV) for each figure, statements.csv and index.html. Measurements that lie
    with the calibration are drawn beside the predictions.

    Exit status 1: a statement that holds as observed does not hold as predicted.
    """
    with complain(debug):
        from calibrate.validate.paper.command import write
        from calibrate.validate.paper.statements import listing

        judged = write(gpu, out, data, [] if figures == "all" else figures.split(","), capture, _tell)
        typer.echo(listing(judged))
        typer.echo(f"{out / 'index.html'} has all figures.")
    if any(one.observed and one.observed.holds and one.agrees is False for one in judged):
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    from predictor.errors import PredictorError
    from predictor.plans import check_batch

    try:
        return [check_batch(int(part)) for part in text.split(",")]
    except ValueError:
        raise PredictorError(f"batches are whole numbers, comma-separated, not {text!r}") from None


def _validate(
    gpu: str, runtime: str, models: str, batches: str, dtypes: str, data: Path | None, rounds: int, markdown: bool
) -> None:
    import models_zoo
    from calibrate import pipeline
    from calibrate.progress import bar
    from calibrate.samples.environment import interrupted
    from calibrate.validate.tables import accuracy_markdown, accuracy_text
    from predictor.errors import PredictorError

    names = models_zoo.names() if models == "all" else models.split(",")
    request = pipeline.Request(gpu, runtime, tuple(names), tuple(_numbers(batches)), tuple(dtypes.split(",")))
    validation = pipeline.validation(request, data, rounds, _tell)
    device = None
    if not validation.is_measured:
        try:
            device = validation.check_device()
        except PredictorError as error:
            if not validation.has_measurements:
                raise
            _tell(f"{error}: what is in the file already is compared")
    if device is not None:
        try:
            with bar(f"validate {gpu}", validation.stages) as progress:
                validation.measure(device, progress.of("models"))
        except KeyboardInterrupt:
            _tell(f"\n{interrupted()}")
            raise typer.Exit(130) from None
    rows = validation.rows()
    for refusal in validation.refusals():
        _tell(f"{refusal.case}: cannot run: {refusal.reason}")
    typer.echo(accuracy_markdown(rows) if markdown else accuracy_text(rows))


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def main() -> None:
    """Entry point."""
    run(app)
