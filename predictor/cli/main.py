"""The command ``predict``."""

from __future__ import annotations

import atexit
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from predictor.cli.terminal import complain, run

if TYPE_CHECKING:
    from predictor.plans import Plan
    from predictor.records import CaptureOptions, Compared
    from predictor.sources import FileSizes

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def predict(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            help="Zoo model, FILE.py:FUNCTION, torchvision:NAME, timm:NAME, diffusers:CLASS, transformers:CLASS or "
            "model type, a config.json, a .pt2 or TorchScript file, or a FILE.onnx."
        ),
    ] = None,
    gpu: Annotated[str | None, typer.Option(help="Name of a calibrated GPU, or cpu.")] = None,
    gpu_spec: Annotated[
        Path | None, typer.Option(help="JSON file with the datasheet of a GPU that is not calibrated, see the README.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="Runtime that runs the model.")] = "eager",
    host: Annotated[
        str | None,
        typer.Option(help="Host of the GPU, one of --list-hosts. Default: the fastest."),
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(help="sdpa: fused; eager: separate products. Default: as the torch of the calibration runs it."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="fp32, tf32, fp16 or bf16. Default: the module's or the ONNX file's own; zoo models: fp16, or fp32 "
            "where fp16 is not calibrated."
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Batch size, of an ONNX file with an open first dimension, too. Default: 1, or the file's."),
    ] = None,
    length: Annotated[
        int | None, typer.Option(help="Tokens, of models that take them. Default: 128, or a user's own.", min=1)
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="Task head of a config.json or a model type of transformers, for example masked-lm, or a class's "
            "name. Default: none, the base model."
        ),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="channels_last: of weights and inputs. Default: as they are.")
    ] = None,
    amp: Annotated[
        str | None,
        typer.Option(help="fp16 or bf16: operators run under torch.autocast; --dtype is that of the weights."),
    ] = None,
    dim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZE", help="Size of an open dimension of an ONNX file, by its name. Repeatable."),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT=1x3x224x224", help="Shape of an ONNX file's input. Repeatable."),
    ] = None,
    trips: Annotated[
        int | None, typer.Option(help="Rounds of loops in an ONNX file that does not say how many.")
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="queue: the two-lane queue; max: max(host time, kernel time).")
    ] = "queue",
    compare: Annotated[bool, typer.Option("--compare", help="Predict for all runtimes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in seconds: --format json.")] = False,
    output: Annotated[str, typer.Option("--format", help="Format of the report: text or json.")] = "text",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Fail if an operator is not modelled, a kernel extrapolated, or a field of a configuration ignored.",
        ),
    ] = False,
    assume: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="What is taken for granted of values that nobody computes: keep=0.3, the share of its elements that a "
            "selection by values keeps. Default: keep=1.",
        ),
    ] = None,
    list_models: Annotated[bool, typer.Option("--list-models", help="List the zoo models.")] = False,
    list_gpus: Annotated[
        bool, typer.Option("--list-gpus", help="List the calibrated GPUs and where their figures come from.")
    ] = False,
    list_hosts: Annotated[
        bool, typer.Option("--list-hosts", help="List the hosts that the GPU's calibration knows by name.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Predict the latency of a neural network, and what bounds it."""
    if context.invoked_subcommand is not None:
        return
    with complain(debug):
        gpu = _gpu(gpu, gpu_spec)
        options, captured = Options(dtype, estimator, host, attention), _captured(layout, amp, assume or [])
        sizes = _sizes(dim or [], shape or [], trips)
        form, source = "json" if as_json else output, _Model(model, batch, length, head, captured, sizes)
        if list_models:
            import models_zoo

            typer.echo("\n".join(models_zoo.names()))
        elif list_gpus:
            typer.echo(_gpus())
        elif list_hosts:
            typer.echo(_hosts(gpu))
        elif compare:
            typer.echo(_compare(source, gpu, options, form, strict))
        else:
            typer.echo(_predict(source, gpu, runtime, options, form, strict))


class Options(NamedTuple):
    """What a prediction may leave open."""

    dtype: str | None
    estimator: str
    host: str | None
    attention: str | None

    def compare(self, plan: Plan, gpu: str, batch: int | None, length: int | None) -> tuple[Compared, ...]:
        """A plan under every runtime, see ``Plan.compare``."""
        return plan.compare(
            gpu, self.dtype, batch, length, host=self.host, attention=self.attention, estimator=self.estimator
        )


class _Model(NamedTuple):
    """Which model is predicted, at which sizes, and how it is captured."""

    spec: str | None
    batch: int | None
    length: int | None
    head: str | None
    captured: CaptureOptions
    sizes: FileSizes

    def plan(self, strict: bool) -> Plan:
        """Its plan, see ``sources.plan_of``. Raises PredictorError where none was named."""
        from predictor.errors import PredictorError
        from predictor.sources import plan_of

        if self.spec is None:
            raise PredictorError(_ASK)
        return plan_of(
            self.spec,
            self.batch,
            self.length,
            head=self.head,
            options=self.captured,
            sizes=self.sizes,
            strict=strict,
        )


def _captured(layout: str | None, amp: str | None, assumed: list[str]) -> CaptureOptions:
    """What the options say of how a model is captured. assumed: of ``--assume``, each NAME=VALUE."""
    from predictor.errors import PredictorError, unknown
    from predictor.records import ASSUMABLE, AUTOCAST, CaptureOptions

    if layout not in (None, *LAYOUTS):
        raise unknown("layout", str(layout), LAYOUTS)
    if amp not in (None, *AUTOCAST):
        raise unknown("dtype of autocast", str(amp), AUTOCAST)
    values = {}
    for assumption in assumed:
        name, _, value = assumption.partition("=")
        if name not in ASSUMABLE:
            raise unknown("assumption", name, ASSUMABLE)
        try:
            values[name] = float(value)
        except ValueError:
            raise PredictorError(f"--assume wants NAME=NUMBER, for example {name}=0.3, not {assumption!r}") from None
    return CaptureOptions(channels_last=layout == "channels_last", autocast=amp or "", **values)


LAYOUTS = ("contiguous", "channels_last")
"""Values of ``--layout``."""


def _sizes(dims: list[str], shapes: list[str], trips: int | None) -> FileSizes:
    """What is said of an ONNX file's sizes."""
    from predictor.capture.onnx_files.bindings import parsed_dim, parsed_shape
    from predictor.sources import FileSizes

    return FileSizes(dict(map(parsed_dim, dims)), dict(map(parsed_shape, shapes)), trips)


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
        str,
        typer.Option(help="replay: the kernel alone, repeated, caches warm; model: among other kernels, weights cold."),
    ] = "replay",
    monotone: Annotated[
        bool, typer.Option("--monotone", help="At least the time of every kernel that is smaller by powers of four.")
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

    import numpy as np

    from predictor.calibration.load import load_calibration
    from predictor.errors import PredictorError, unknown
    from predictor.kernels.families import FAMILIES
    from predictor.pricing.intervals import EXTRAPOLATION_ERROR, interval
    from predictor.pricing.kernels import kernel_fit, kernel_seconds, price_kernels, roofline_s

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
    seconds = kernel_seconds(calibration, family, dtype, context=context, monotone=monotone, **values)
    fit = kernel_fit(calibration, family, dtype, context)
    arrays = row.complete(values)
    compute, memory = roofline_s(calibration, row, dtype, arrays)
    far = bool(price_kernels(calibration, family, dtype, values, context).extrapolated[0])
    low, high = interval(seconds, math.hypot(fit.error, EXTRAPOLATION_ERROR if far else 0.0))
    result = {
        **{"family": family, "gpu": calibration.gpu, "dtype": dtype, "context": context},
        **{"seconds": seconds, "interval_s": [low, high], "bound": "compute" if compute > memory else "memory"},
        "flops": float(row.flops(arrays)),
        "roofline_s": float(np.maximum(compute, memory)),
        **{"provenance": fit.provenance, "extrapolated": far},
    }
    if as_json:
        return json.dumps(result)
    rate, share = result["flops"] / seconds * 1e-12, result["roofline_s"] / seconds
    return (
        f"{family} {' '.join(dims)}, {dtype} on {calibration.gpu}: {seconds * 1e6:.4g} us "
        f"(90 % interval {low * 1e6:.4g} to {high * 1e6:.4g} us)\n"
        f"{result['bound']}-bound, {rate:.4g} TFLOP/s, {share:.0%} of the roofline; {fit.provenance}"
        f"{', extrapolated beyond the calibrated range' if far else ''}"
    )


def _predict(model: _Model, gpu: str | None, runtime: str, options: Options, output: str, strict: bool) -> str:
    from predictor import report
    from predictor.errors import CannotRunError, PredictorError
    from predictor.predict import Predictor
    from predictor.standard_output import process_to_standard_error

    if model.spec is None or gpu is None:
        raise PredictorError(_ASK)
    layout = report.load(output)
    predictor = Predictor(gpu, runtime, *options)
    predictor.check()
    with process_to_standard_error():  # what the model prints is not the answer
        plan = model.plan(strict)
        try:
            prediction = predictor.report(plan, model.batch, model.length)
        except CannotRunError as error:
            others = options.compare(plan, gpu, model.batch, model.length)
            can = ", ".join(o.runtime for o in others if o.report) or "none"
            raise CannotRunError(
                f"{plan.name} cannot run under {runtime}: {error} (runtimes that can: {can})"
            ) from None
    if strict and prediction.unmodelled:
        raise PredictorError(f"not modelled: {', '.join(sorted(prediction.unmodelled))}")
    if strict and prediction.extrapolated:
        raise PredictorError(f"outside the calibrated range: kernels of {', '.join(sorted(prediction.extrapolated))}")
    return layout.render(prediction)


_ASK = "say what to predict: --model NAME --gpu NAME or --gpu-spec FILE (--list-models, --list-gpus)"


def _compare(model: _Model, gpu: str | None, options: Options, output: str, strict: bool) -> str:
    from predictor import report
    from predictor.errors import PredictorError
    from predictor.standard_output import process_to_standard_error

    if model.spec is None or gpu is None:
        raise PredictorError(_ASK)
    layout = report.load(output)
    with process_to_standard_error():
        plan = model.plan(strict)
        rows = options.compare(plan, gpu, model.batch, model.length)
    return layout.render_comparison(rows)


def _gpus() -> str:
    from predictor.calibration.files import known_gpus
    from predictor.calibration.load import load_calibration
    from predictor.pricing.intervals import typical_error

    lines = [
        f"{'gpu':8} {'kernels':9} {'error':>6} {'host':17} {'error':>6} {'torch':8} {'dtypes':22} {'date':10} runtimes"
    ]
    for name in known_gpus():
        calibration = load_calibration(name)
        hosts = {runtime: calibration.host(runtime) for runtime in calibration.runtimes}
        origins = ", ".join(sorted({host.provenance for host in hosts.values()}))
        eager = hosts.get("eager")
        torch = (eager.environment.torch or "?") if eager else ""
        date = (eager.environment if eager else calibration.device.environment).date[:10]
        kernels = f"{typical_error(calibration):.0%}"
        lines.append(
            f"{name:8} {calibration.provenance:9} {kernels:>6} {origins:17} {f'{eager.error:.0%}' if eager else '':>6} "
            f"{torch:8} {', '.join(calibration.dtypes):22} {date:10} {', '.join(hosts) or 'kernels only'}"
        )
    note = "errors: standard deviation of log time, of a pass's kernels (measured: of a product) and of the eager host"
    return "\n".join([*lines, "", note])


def _hosts(gpu: str | None) -> str:
    from predictor.calibration.load import load_calibration
    from predictor.errors import PredictorError

    if gpu is None:
        raise PredictorError("say whose hosts: --gpu NAME")
    calibration = load_calibration(gpu)
    defaults, default = {calibration.host(runtime).name for runtime in calibration.runtimes}, "  (default)"
    lines = [
        f"{name:28} {calibration.host_time_factor(name):5.2f} x the reference{default if name in defaults else ''}"
        for name in calibration.hosts
    ]
    return "\n".join(lines) or f"the calibration of {calibration.gpu} has one host, without a name"


def main() -> None:
    """Entry point. One prediction makes no garbage worth collecting: doing without saves a second."""
    gc.disable()
    atexit.register(gc.freeze)
    run(app)
