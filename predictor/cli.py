"""The command ``predict``."""

from __future__ import annotations

import atexit
import gc
from pathlib import Path
from typing import Annotated

import typer

from predictor.terminal import complain, run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def predict(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="Zoo model, FILE.py:FUNCTION, a transformers config.json, or a FILE.onnx.")
    ] = None,
    gpu: Annotated[str | None, typer.Option(help="Name of a calibrated GPU, or cpu.")] = None,
    gpu_spec: Annotated[
        Path | None, typer.Option(help="Datasheet of a GPU that is on no list: a JSON file, see the README.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="Runtime that runs the model.")] = "eager",
    dtype: Annotated[str | None, typer.Option(help="fp32, tf32, fp16 or bf16; by default fp16, on a CPU fp32.")] = None,
    batch: Annotated[int, typer.Option(help="Batch size.")] = 1,
    length: Annotated[
        int | None, typer.Option(help="Tokens, for the zoo's language models; by default 128.", min=1)
    ] = None,
    estimator: Annotated[str, typer.Option(help="queue, or max: the plain formula.")] = "queue",
    compare: Annotated[bool, typer.Option("--compare", help="All runtimes side by side.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in seconds.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where an operator is not modelled or a kernel extrapolated.")
    ] = False,
    list_models: Annotated[bool, typer.Option("--list-models", help="Names of the zoo models.")] = False,
    list_gpus: Annotated[
        bool, typer.Option("--list-gpus", help="Calibrated GPUs and where their figures come from.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Predict the latency of a neural network, and what bounds it."""
    if context.invoked_subcommand is not None:
        return
    with complain(debug):
        gpu = _gpu(gpu, gpu_spec)
        if list_models:
            import models_zoo

            typer.echo("\n".join(models_zoo.names()))
        elif list_gpus:
            typer.echo(_gpus())
        elif compare:
            typer.echo(_compare(model, gpu, dtype, batch, length, estimator, as_json))
        else:
            typer.echo(_predict(model, gpu, runtime, dtype, batch, length, estimator, as_json, strict))


def _gpu(gpu: str | None, spec: Path | None) -> str | None:
    """What names the GPU: one of the two options."""
    from predictor.errors import PredictorError

    if spec is None:
        return gpu
    if gpu is not None:
        raise PredictorError("say either --gpu or --gpu-spec")
    if spec.suffix != ".json":
        raise PredictorError(f"--gpu-spec wants a .json file, not {spec}")
    return str(spec)


@app.command()
def kernel(
    family: Annotated[str, typer.Argument(help="Kernel family, for example gemm or attention.")],
    dims: Annotated[list[str], typer.Argument(help="Its dimensions, for example m=4096 n=4096 k=4096.")],
    gpu: Annotated[str, typer.Option(help="Name of a calibrated GPU.")],
    dtype: Annotated[str, typer.Option(help="fp32, tf32, fp16 or bf16.")] = "fp16",
    context: Annotated[
        str, typer.Option(help="replay: repeated alone, caches warm; model: among others, weights cold.")
    ] = "replay",
    monotone: Annotated[
        bool, typer.Option("--monotone", help="No less than a kernel that is smaller by powers of four.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in seconds.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Predict the time of one kernel."""
    with complain(debug):
        typer.echo(_kernel(family, dims, gpu, dtype, context, monotone, as_json))


def _kernel(family: str, dims: list[str], gpu: str, dtype: str, context: str, monotone: bool, as_json: bool) -> str:
    import json
    import math

    from predictor.calibration import load_calibration
    from predictor.errors import PredictorError, unknown
    from predictor.families import FAMILIES
    from predictor.predict import EXTRAPOLATION_ERROR, interval

    calibration = load_calibration(gpu)
    if family not in FAMILIES:
        raise unknown("kernel family", family, sorted(FAMILIES))
    if dtype not in calibration.dtypes:
        raise unknown(f"dtype of {calibration.gpu}", dtype, calibration.dtypes)
    try:
        values = {name: float(value) for name, value in (part.split("=") for part in dims)}
    except ValueError:
        raise PredictorError(f"dimensions are NAME=NUMBER, not {' '.join(dims)!r}") from None
    row = FAMILIES[family]
    try:
        row.complete(values)
    except KeyError as error:
        raise PredictorError(str(error.args[0])) from None
    seconds = calibration.kernel_seconds(family, dtype, context=context, monotone=monotone, **values)
    fit = calibration.fit(family, dtype, context)
    arrays = row.complete(values)
    compute, memory = calibration.base(row, dtype, arrays)
    far = bool(calibration.extrapolated(family, dtype, context, **values)[0])
    low, high = interval(seconds, math.hypot(fit.error, EXTRAPOLATION_ERROR if far else 0.0))
    found = {
        **{"family": family, "gpu": calibration.gpu, "dtype": dtype, "context": context},
        **{"seconds": seconds, "interval_s": [low, high], "bound": "compute" if compute > memory else "memory"},
        **{"flops": float(row.flops(arrays)), "roofline_s": float(max(compute, memory)), "provenance": fit.provenance},
        "extrapolated": far,
    }
    if as_json:
        return json.dumps(found)
    rate, share = found["flops"] / seconds * 1e-12, found["roofline_s"] / seconds
    return (
        f"{family} {' '.join(dims)}, {dtype} on {calibration.gpu}: {seconds * 1e6:.4g} us "
        f"(90 % interval {low * 1e6:.4g} to {high * 1e6:.4g} us)\n"
        f"{found['bound']}-bound, {rate:.4g} TFLOP/s, {share:.0%} of the roofline; {fit.provenance}"
        f"{', extrapolated beyond the calibrated range' if far else ''}"
    )


def _predict(
    model: str | None,
    gpu: str | None,
    runtime: str,
    dtype: str | None,
    batch: int,
    length: int | None,
    estimator: str,
    as_json: bool,
    strict: bool,
) -> str:
    import sys
    from contextlib import redirect_stdout

    from predictor import report
    from predictor.errors import CannotRunError, PredictorError
    from predictor.models import source_of
    from predictor.predict import Predictor, check_batch, compare
    from predictor.predict import report as predicted

    if model is None or gpu is None:
        raise PredictorError(_ASK)
    predictor = Predictor(gpu, runtime, dtype, estimator)
    calibration, host, dtype = predictor.check()
    if model.endswith(".onnx"):
        found = predictor.predict_file(model)
    else:
        name, source = source_of(model, check_batch(batch), length)
        try:
            with redirect_stdout(sys.stderr):  # what the model prints is not the answer
                found = predicted(source(dtype, runtime), calibration, host, estimator)
        except CannotRunError as error:
            with redirect_stdout(sys.stderr):
                others = compare(gpu, dtype, source, estimator)
            can = ", ".join(o.runtime for o in others if o.report) or "none"
            raise CannotRunError(f"{name} cannot run under {runtime}: {error} (runtimes that can: {can})") from None
    if strict and found.unmodelled:
        raise PredictorError(f"not modelled: {', '.join(sorted(found.unmodelled))}")
    if strict and found.extrapolated:
        raise PredictorError(f"outside the calibrated range: kernels of {', '.join(sorted(found.extrapolated))}")
    return report.as_json(found) if as_json else report.as_text(found)


_ASK = "say what to predict: --model NAME --gpu NAME or --gpu-spec FILE (--list-models, --list-gpus)"


def _compare(
    model: str | None,
    gpu: str | None,
    dtype: str | None,
    batch: int,
    length: int | None,
    estimator: str,
    as_json: bool,
) -> str:
    import sys
    from contextlib import redirect_stdout

    from predictor import report
    from predictor.errors import PredictorError
    from predictor.models import source_of
    from predictor.predict import check_batch, compare

    if model is None or gpu is None:
        raise PredictorError(_ASK)
    if model.endswith(".onnx"):
        raise PredictorError("an ONNX file runs under onnx and onnx-cudagraph alone: --runtime onnx")
    _, source = source_of(model, check_batch(batch), length)
    with redirect_stdout(sys.stderr):
        found = compare(gpu, dtype, source, estimator)
    return report.comparison_as_json(found) if as_json else report.comparison_as_text(found)


def _gpus() -> str:
    from predictor.calibration import load_calibration
    from predictor.calibration_files import known_gpus

    lines = [f"{'gpu':10} {'kernels':10} {'host':10} {'dtypes':22} {'calibrated':10} runtimes"]
    for name in known_gpus():
        calibration = load_calibration(name)
        date = str(calibration.device["environment"]["date"])[:10]
        runtimes, dtypes = ", ".join(calibration.runtimes) or "kernels only", ", ".join(calibration.dtypes)
        hosts = sorted({calibration.host(runtime).provenance for runtime in calibration.runtimes})
        line = f"{name:10} {calibration.provenance:10} {', '.join(hosts):10} {dtypes:22} {date:10} {runtimes}"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Entry point. One prediction makes no garbage worth collecting: doing without saves a second."""
    gc.disable()
    atexit.register(gc.freeze)
    run(app)
