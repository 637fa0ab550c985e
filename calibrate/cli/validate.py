"""The command ``validate``: predictions against real measurements, over the model zoo and of users' own models."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictor.cli.terminal import complain, run

if TYPE_CHECKING:
    from calibrate.fit.published import Judged
    from calibrate.validate.accuracy import Row, Summary

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


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
        typer.Option(help="File of measurements: what it holds is not measured again, what is new is added."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of measurement, interleaved over the cases.")] = 6,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the summary as Markdown tables.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Hold predictions against real measurements: errors, ranking and bounds per model and regime."""
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
    data: Annotated[Path, typer.Option(help="Folder of measurements, a file <runtime>.jsonl for each runtime.")],
    dtype: Annotated[str, typer.Option(help="Dtype of the cases.")] = "fp16",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Hold every runtime's predictions against measurements, and the choice of the fastest."""
    with complain(debug):
        typer.echo(_runtimes(gpu, data, dtype, markdown))


def _runtimes(gpu: str, data: Path, dtype: str, markdown: bool) -> str:
    import numpy as np

    from calibrate.measure import models as measure
    from calibrate.samples.store import SampleFile
    from calibrate.validate import accuracy
    from predictor.calibration.load import load_calibration
    from predictor.errors import PredictorError

    calibration = load_calibration(gpu)
    everything: list[Row] = []
    lines: list[tuple[str, ...]] = []
    for runtime in ("eager", *(name for name in calibration.runtimes if name != "eager")):
        if not (data / f"{runtime}.jsonl").is_file():
            continue
        file = SampleFile(data / f"{runtime}.jsonl", _tell)
        measure.check_gpu(file, calibration)
        found = [row for row in accuracy.rows(file, calibration, runtime) if row.dtype == dtype]
        if not found:
            continue
        everything += found
        s, (seconds, launches) = accuracy.summarise_rows(found, "queue"), accuracy.kernel_errors(found)
        told = [case for case in accuracy.refusals(file, runtime) if case[1] or case[2]]
        refused = f"{sum(said and could for _, said, could in told)} of {len(told)}" if told else ""
        repeats = float(np.mean([row.measured.repeatability for row in found]))
        covered = sum(row.covered for row in found) / len(found)
        figures = (s.mape, s.median, s.worst, s.bound, seconds, launches, covered, repeats)
        lines.append((runtime, str(s.cases), *(f"{f:.1%}" for f in figures), refused))
    if not lines:
        raise PredictorError(f"no measurements of {dtype} in {data}")
    table = [_RUNTIMES, *lines]
    if markdown:
        table.insert(1, ("---",) * len(_RUNTIMES))
        text = ["| " + " | ".join(line) + " |" for line in table]
    else:
        text = ["{:18} {:>6} {:>7} {:>7} {:>7} {:>7} {:>12} {:>9} {:>9} {:>8}  {}".format(*line) for line in table]
    chosen = accuracy.choices(everything)
    right = sum(c.predicted == c.measured for c in chosen)
    text += ["", f"The fastest runtime is named for {right} of {len(chosen)} models and batches."]
    wrong = [c for c in chosen if c.predicted != c.measured]
    said = [f"{c.model}, batch {c.batch}: {c.predicted} instead of {c.measured}, {c.loss:.1%} slower" for c in wrong]
    text += [f"- {line}" if markdown else line for line in said]
    return "\n".join(text)


_RUNTIMES = (
    *("runtime", "cases", "MAPE", "median", "worst", "bound", "kernel time", "launches", "in 90 %", "repeats"),
    "refusals foreseen",
)


@app.command()
def kernels(
    gpu: Annotated[str, typer.Option(help="GPU that the kernels were measured on, and whose calibration predicts.")],
    data: Annotated[Path, typer.Option(help="File of kernel times: a table (.csv, .csv.gz) or samples (.jsonl).")],
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Judge the calibration's own fits, on kernels that they have not seen.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Hold kernel times against measured ones: errors per family, dtype and decade of work, on kernels unseen.

    Fits are made here on three quarters of the file and judged on the rest, four times over; a weight matrix or a shape
    is never in both.
    """
    with complain(debug):
        from calibrate.fit.published import judge, read_kernels
        from predictor.calibration.load import load_calibration
        from predictor.errors import PredictorError

        calibration = load_calibration(gpu)
        samples = read_kernels(data, calibration.gpu)
        if not samples:
            raise PredictorError(f"no kernels of {calibration.gpu} in {data}")
        typer.echo(_kernel_table(judge(samples, calibration, as_is)))


@app.command()
def published(
    data: Annotated[Path, typer.Option(help="Table (.csv) of latencies of whole models.")],
    gpu: Annotated[str | None, typer.Option(help="Show the sessions of this GPU alone.")] = None,
    like: Annotated[str, typer.Option(help="Calibrated GPU whose host is the reference.")] = "h200",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Hold published latencies against what fits predict that have not seen the model: each is left out once.

    Beside them two simpler formulas: multiply-accumulates alone, and max(launches, kernel time), with constants of the
    session that have not seen the model either.
    """
    with complain(debug):
        from calibrate.samples.passes import read_passes
        from calibrate.validate.published import COLUMNS, cells, judge_passes
        from predictor.calibration.files import gpu_name
        from predictor.errors import unknown

        rows = read_passes(data)
        own = {row.session for row in rows if gpu is None or gpu_name(row.gpu) == gpu_name(gpu)}
        if not own:
            raise unknown("published GPU", str(gpu), sorted({row.gpu for row in rows}))
        found = judge_passes(rows, like)
        shown = [one for one in found if one.name in own or (gpu is None and one.name not in {r.session for r in rows})]
        typer.echo(_columns(COLUMNS, [cells(one) for one in shown], markdown))


def _columns(head: Sequence[str], lines: Sequence[Sequence[str]], markdown: bool) -> str:
    """A table whose first column is text and the others numbers."""
    if markdown:
        rows = [head, ["---"] * len(head), *lines]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    widths = [max(len(row[i]) for row in (head, *lines)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *lines)
    )


def _kernel_table(found: Sequence[Judged]) -> str:
    lines = [
        f"{'family':14} {'dtype':5} {'FLOPs':>8} {'kernels':>7} {'predictor':15} {'MAPE':>7} {'median':>7} {'p90':>7}"
    ]
    for j in found:
        work = "all" if j.decade is None else f"1e{j.decade}"
        lines.append(
            f"{j.family:14} {j.dtype:5} {work:>8} {j.kernels:>7} {j.predictor:15} "
            f"{j.mape:>7.1%} {j.median:>7.1%} {j.p90:>7.1%}"
        )
    return "\n".join(lines)


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
    from predictor import runtimes
    from predictor.calibration.files import user_folder
    from predictor.calibration.load import load_calibration
    from predictor.errors import unknown

    calibration = load_calibration(gpu)
    if runtime not in runtimes.names():
        raise unknown("runtime", runtime, runtimes.names())
    calibration.host(runtime)
    names = models_zoo.names() if models == "all" else models.split(",")
    for name in names:
        _check_model(name)
    wanted_dtypes = dtypes.split(",")
    for dtype in wanted_dtypes:
        if dtype not in calibration.dtypes:
            raise unknown(f"dtype of {calibration.gpu}", dtype, calibration.dtypes)
    sizes = _numbers(batches)

    from calibrate.measure import models as measure
    from calibrate.samples.environment import check_device, interrupted
    from calibrate.samples.store import SampleFile
    from calibrate.validate import accuracy

    file = SampleFile(data or user_folder().parent / "validation" / f"{calibration.gpu}-{runtime}.jsonl", _tell)
    cases = measure.cases(names, sizes, wanted_dtypes, runtime)
    protocol = measure.Protocol(rounds=rounds)
    if not measure.complete(cases, file, protocol):
        device = check_device(calibration.gpu)
        try:
            steps = len(cases) * (protocol.rounds + 2)
            with typer.progressbar(
                length=steps, label=f"validate {gpu}", show_eta=True, show_pos=True, file=sys.stderr
            ) as bar:
                measure.measure(cases, file, device, protocol, bar.update)
        except KeyboardInterrupt:
            _tell(f"\n{interrupted()}")
            raise typer.Exit(130) from None
    measure.check_gpu(file, calibration)
    measure.record_programs([(case, file) for case in cases], "cpu" if calibration.lanes.serial else "cuda")
    for case in cases:
        if f"cannot/{case.key}" in file:
            _tell(f"{case.key}: cannot run: {file.samples[f'cannot/{case.key}']['reason']}")
    found = accuracy.rows(file, calibration, runtime, {c.key for c in cases})
    typer.echo(_markdown(found) if markdown else _text(found))


def _check_model(name: str) -> None:
    """Raises PredictorError for what is neither a model of the zoo nor a factory that makes one."""
    import torch

    import models_zoo
    from predictor.errors import PredictorError
    from predictor.sources import load_model

    if name in models_zoo.names():
        return
    if name.endswith(".json"):
        raise PredictorError(f"{name} has no weights that could run: write a factory, --models FILE.py:FUNCTION")
    with torch.device("meta"):
        load_model(name, 1)


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _text(found: Sequence[Row]) -> str:
    from calibrate.validate import accuracy

    columns = ("model", "batch", "dtype", "measured", "predicted", "error", "repeats")
    lines = ["{:13} {:>5} {:5} {:>9} {:>9} {:>7} {:>7}  bound (measured)".format(*columns)]
    for r in found:
        said = f" ({r.measured_bound})" if r.measured_bound else ""
        measured, predicted = r.measured.seconds * 1e3, r.predicted["queue"] * 1e3
        lines.append(
            f"{r.model.rpartition('/')[2]:13} {r.batch:>5} {r.dtype:5} {measured:>6.2f} ms {predicted:>6.2f} ms "
            f"{r.error():>+7.1%} {r.measured.repeatability:>7.1%}  {r.bound}{said}"
        )
    lines.append("")
    heads = ("regime", "estimator", "cases", "MAPE", "median", "worst", "bound", "tau")
    lines.append("{:16} {:9} {:>5} {:>7} {:>7} {:>7} {:>6} {:>5}".format(*heads))
    for regime, estimator, s in _summaries(accuracy.by_regime(found)):
        lines.append(
            f"{regime:16} {estimator:9} {s.cases:>5} {s.mape:>7.1%} {s.median:>7.1%} {s.worst:>7.1%} "
            f"{s.bound:>6.1%} {s.tau:>5.2f}"
        )
    families = _families(found)
    if families:
        lines += [
            "",
            _profiled(found),
            *("{:15} {:>13} {:>14} {:>7} {:>9} {:>7}".format(*row) for row in (_FAMILIES, *families)),
        ]
    return "\n".join([*lines, "", _repeatability(found), *_kernel_lines(found), _coverage(found), _unscaled(found)])


def _profiled(found: Sequence[Row]) -> str:
    told = sum(bool(r.kernels) for r in found)
    return f"kernels by family, of the {told} of {len(found)} passes in which none overlapped"


def _summaries(groups: Mapping[str, Sequence[Row]]) -> list[tuple[str, str, Summary]]:
    from calibrate.validate import accuracy

    return [
        (name, estimator, accuracy.summarise_rows(group, estimator))
        for name, group in groups.items()
        for estimator in accuracy.ESTIMATORS
    ]


def _repeatability(found: Sequence[Row]) -> str:
    import numpy as np

    values = [r.measured.repeatability for r in found]
    high = np.percentile(values, 90)
    return f"repeatability of the measurements: mean {np.mean(values):.1%}, 90th percentile {high:.1%}"


def _unscaled(found: Sequence[Row]) -> str:
    import numpy as np

    errors = [abs(r.unscaled_s / r.measured.seconds - 1) for r in found]
    return f"queue without scaling the host by its probe: MAPE {np.mean(errors):.1%}"


def _coverage(found: Sequence[Row]) -> str:
    return f"the 90 % intervals hold {sum(r.covered for r in found) / len(found):.1%} of the measurements"


def _kernel_lines(found: Sequence[Row]) -> list[str]:
    from calibrate.validate import accuracy

    seconds, launches = accuracy.kernel_errors(found)
    if seconds != seconds:
        return []
    return [f"kernel time against the profiler: MAPE {seconds:.1%}; launches: {launches:.1%}"]


_FAMILIES = ("kernel family", "share of time", "share of error", "bias", "launches", "of")


def _families(found: Sequence[Row]) -> list[tuple[str, ...]]:
    from calibrate.validate import accuracy

    return [
        (name, f"{e.time:.1%}", f"{e.error:.1%}", f"{e.bias:+.1%}", str(e.predicted_launches), str(e.measured_launches))
        for name, e in accuracy.by_family(found).items()
    ]


def _markdown(found: Sequence[Row]) -> str:
    from calibrate.validate import accuracy

    lines = [
        "| model | cases | MAPE | median | worst | framework or device bound right | kernel time | launches |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model, group in accuracy.by_model(found).items():
        s, (seconds, launches) = accuracy.summarise_rows(group, "queue"), accuracy.kernel_errors(group)
        lines.append(
            f"| {model} | {s.cases} | {s.mape:.1%} | {s.median:.1%} | {s.worst:.1%} | {s.bound:.0%} "
            f"| {seconds:.1%} | {launches:.1%} |"
        )
    lines += [
        "",
        "| regime | estimator | cases | MAPE | median | worst | Kendall tau |",
        "|---|---|---|---|---|---|---|",
    ]
    for regime, estimator, s in _summaries(accuracy.by_regime(found)):
        lines.append(
            f"| {regime} | {estimator} | {s.cases} | {s.mape:.1%} | {s.median:.1%} | {s.worst:.1%} | {s.tau:.2f} |"
        )
    families = _families(found)
    if families:
        lines += [
            "",
            _profiled(found) + ":",
            "",
            *("| " + " | ".join(row) + " |" for row in (_FAMILIES, ("---",) * len(_FAMILIES), *families)),
        ]
    tail = [_repeatability(found), *_kernel_lines(found), _coverage(found), _unscaled(found)]
    return "\n".join([*lines, "", *(line[0].upper() + line[1:] + "." for line in tail)])


def main() -> None:
    """Entry point."""
    run(app)
