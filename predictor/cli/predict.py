"""The command ``predict MODEL``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from predictor import report, runtimes
from predictor.cli.list import Kind, listing
from predictor.cli.names import complete_gpu, complete_host, complete_model, complete_runtime
from predictor.cli.terminal import Waiting, complain

if TYPE_CHECKING:
    from predictor.measured import Measured
    from predictor.plans import Plan
    from predictor.records import CaptureOptions, Compared
    from predictor.sources import FileSizes

EPILOG = """[bold]Examples[/bold]
  predict bert-base --gpu h200 --batch 8
  predict my_net.py:build --gpu a100 --dtype bf16 --compare
  predict timm:resnet50 --gpu-spec my_gpu.json --json
  predict model.onnx --gpu h100 --runtime onnx --dim tokens=128

[bold]Exit codes[/bold]
  0 predicted, 2 bad input or a fault, 3 the runtime cannot run the model"""
"""What ``--help`` ends with."""

ANSWER, CAPTURE, FILES = "The answer", "How the model runs", "ONNX files"
"""Parts of ``--help``, besides the first."""

_GIVEN_MODEL = (
    "A zoo model (predict list models), FILE.py:FUNCTION, torchvision:NAME, timm:NAME, diffusers:CLASS, "
    "transformers:CLASS or model type, a config.json, a .pt2 or TorchScript file, or a FILE.onnx."
)
_RUNTIMES = f"Runtime that runs the model: {', '.join(runtimes.names())}."
_FORMATS = "|".join(report.names())


def _show_version(asked: bool) -> None:
    if asked:
        from predictor import __version__

        typer.echo(f"predict {__version__}")
        raise typer.Exit


def predict(
    given: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help=_GIVEN_MODEL, autocompletion=complete_model, show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The same, also for a model that is called like a command.",
            autocompletion=complete_model,
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A calibrated GPU (predict list gpus), cpu, or a calibration's folder.",
            autocompletion=complete_gpu,
        ),
    ] = None,
    gpu_spec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON file with the datasheet of a GPU that is not calibrated, see the README.",
        ),
    ] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help=_RUNTIMES, autocompletion=complete_runtime)] = "eager",
    batch: Annotated[
        str | None,
        typer.Option(metavar="N", help="Batch size. Default: 1, or the file's own."),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Tokens, of models that take them. Default: 128, or a user's own.",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="fp32, tf32, fp16 or bf16. Default: the module's or the ONNX file's own; zoo models: fp16, or fp32 "
            "where fp16 is not calibrated.",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Host: typical, another (predict list hosts), or a FILE.json of calibrate --probe. Default: the "
            "GPU's measured host, else a typical one.",
            autocompletion=complete_host,
        ),
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or JSON of latencies of your own machine (model, batch, runtime, latency_ms; length and dtype "
            "where they matter), which correct host and device.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Predict for all runtimes.", rich_help_panel=ANSWER)
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON, times in seconds: --format json.", rich_help_panel=ANSWER),
    ] = False,
    output: Annotated[
        str, typer.Option("--format", metavar=_FORMATS, help="Format of the report.", rich_help_panel=ANSWER)
    ] = "text",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Fail if an operator is not modelled, a kernel extrapolated, or a field of a configuration ignored.",
            rich_help_panel=ANSWER,
        ),
    ] = False,
    estimator: Annotated[
        str,
        typer.Option(
            metavar="queue|max",
            help="queue: the two-lane queue; max: max(host time, kernel time).",
            rich_help_panel=ANSWER,
        ),
    ] = "queue",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.", rich_help_panel=ANSWER)] = False,
    lengths: Annotated[
        str | None,
        typer.Option(
            metavar="ptb",
            help="Texts of a batch have drawn lengths, padded to --length: ptb, as sentences of the Penn Treebank.",
            rich_help_panel=CAPTURE,
        ),
    ] = None,
    amp: Annotated[
        str | None,
        typer.Option(
            metavar="fp16|bf16",
            help="Operators run under torch.autocast; --dtype is that of the weights.",
            rich_help_panel=CAPTURE,
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="channels_last", help="Of weights and inputs. Default: as they are.", rich_help_panel=CAPTURE
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Task head of a config.json or a model type of transformers, for example masked-lm, or a class's "
            "name. Default: none, the base model.",
            rich_help_panel=CAPTURE,
        ),
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            metavar="sdpa|eager",
            help="sdpa: fused; eager: separate products. Default: as the torch of the calibration runs it.",
            rich_help_panel=CAPTURE,
        ),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="What is taken for granted of values that nobody computes: keep=0.3, the share of its elements that a "
            "selection by values keeps. Default: keep=1.",
            rich_help_panel=CAPTURE,
        ),
    ] = None,
    dim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SIZE",
            help="Size of an open dimension, by its name. Repeatable.",
            rich_help_panel=FILES,
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT=1x3x8x8", help="Shape of an input. Repeatable.", rich_help_panel=FILES),
    ] = None,
    trips: Annotated[
        int | None,
        typer.Option(metavar="N", help="Rounds of loops, in a file that does not say how many.", rich_help_panel=FILES),
    ] = None,
    list_models: Annotated[bool, typer.Option("--list-models", hidden=True)] = False,
    list_gpus: Annotated[bool, typer.Option("--list-gpus", hidden=True)] = False,
    list_hosts: Annotated[bool, typer.Option("--list-hosts", hidden=True)] = False,
) -> None:
    """Predict how long a neural network takes on a GPU, and what bounds it."""
    form = "json" if as_json else output
    with complain(debug, form == "json"):
        gpu = _gpu(gpu, gpu_spec)
        options = Options(dtype, estimator, host, attention, _measured(measured))
        captured = _captured(layout, amp, lengths, assume or [])
        sizes = _sizes(dim or [], shape or [], trips)
        source = _Model(_spec(given, model), _size("--batch", batch), _size("--length", length), head, captured, sizes)
        kinds = {Kind.MODELS: list_models, Kind.GPUS: list_gpus, Kind.HOSTS: list_hosts}
        listed = next((kind for kind, asked in kinds.items() if asked), None)
        if listed:
            typer.echo(listing(listed, gpu).text)
        elif compare:
            typer.echo(_compare(source, gpu, options, form, strict))
        else:
            typer.echo(_predict(source, gpu, runtime, options, form, strict))


def _spec(given: str | None, model: str | None) -> str | None:
    """What names the model: the word or the option."""
    from predictor.errors import PredictorError

    if given is not None and model is not None and given != model:
        raise PredictorError(f"say one model, not {given} and --model {model}")
    return given if model is None else model


def _size(option: str, text: str | None) -> int | None:
    """A size as it was written. Raises PredictorError for what is no whole number."""
    from predictor.errors import PredictorError

    try:
        return None if text is None else int(text)
    except ValueError:
        raise PredictorError(f"{option} wants a whole number, not {text!r}") from None


class Options(NamedTuple):
    """What a prediction may leave open."""

    dtype: str | None
    estimator: str
    host: str | None
    attention: str | None
    measured: Sequence[Measured]

    def compare(self, plan: Plan, gpu: str, batch: int | None, length: int | None) -> tuple[Compared, ...]:
        """A plan under every runtime, see ``Plan.compare``."""
        return plan.compare(
            gpu,
            self.dtype,
            batch,
            length,
            host=self.host,
            attention=self.attention,
            estimator=self.estimator,
            measured=self.measured,
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


def _captured(layout: str | None, amp: str | None, lengths: str | None, assumed: list[str]) -> CaptureOptions:
    """What the options say of how a model is captured. assumed: of ``--assume``, each NAME=VALUE."""
    from predictor.errors import PredictorError, unknown
    from predictor.padding import DISTRIBUTIONS
    from predictor.records import ASSUMABLE, AUTOCAST, CaptureOptions

    if layout not in (None, *LAYOUTS):
        raise unknown("layout", str(layout), LAYOUTS)
    if amp not in (None, *AUTOCAST):
        raise unknown("dtype of autocast", str(amp), AUTOCAST)
    if lengths not in (None, *DISTRIBUTIONS):
        raise unknown("distribution of lengths", str(lengths), DISTRIBUTIONS)
    values = {}
    for assumption in assumed:
        name, _, value = assumption.partition("=")
        if name not in ASSUMABLE:
            raise unknown("assumption", name, ASSUMABLE)
        try:
            values[name] = float(value)
        except ValueError:
            raise PredictorError(f"--assume wants NAME=NUMBER, for example {name}=0.3, not {assumption!r}") from None
    is_last = layout == "channels_last"
    return CaptureOptions(channels_last=is_last, autocast=amp or "", lengths=lengths or "", **values)


LAYOUTS = ("contiguous", "channels_last")
"""Values of ``--layout``."""


def _sizes(dims: list[str], shapes: list[str], trips: int | None) -> FileSizes:
    """What is said of an ONNX file's sizes."""
    from predictor.capture.onnx_files.bindings import parsed_dim, parsed_shape
    from predictor.sources import FileSizes

    return FileSizes(dict(map(parsed_dim, dims)), dict(map(parsed_shape, shapes)), trips)


def _measured(path: Path | None) -> Sequence[Measured]:
    """What the user has measured."""
    from predictor.measured import read_measured

    return read_measured(path) if path else ()


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


def _predict(model: _Model, gpu: str | None, runtime: str, options: Options, output: str, strict: bool) -> str:
    from predictor.errors import CannotRunError, PredictorError
    from predictor.predict import Predictor
    from predictor.standard_output import process_to_standard_error

    if model.spec is None or gpu is None:
        raise PredictorError(_ASK)
    layout = report.load(output)
    predictor = Predictor(
        gpu, runtime, options.dtype, options.estimator, options.host, options.attention, measured=options.measured
    )
    predictor.check()
    with process_to_standard_error(), Waiting(f"reading {model.spec}") as waiting:  # what the model prints is no answer
        plan = model.plan(strict)
        waiting.doing(f"capturing {plan.name}")
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


_ASK = (
    "say what to predict: predict MODEL --gpu NAME, or --gpu-spec FILE (predict list models, predict list gpus, "
    "predict --help)"
)


def _compare(model: _Model, gpu: str | None, options: Options, output: str, strict: bool) -> str:
    from predictor.errors import PredictorError
    from predictor.standard_output import process_to_standard_error

    if model.spec is None or gpu is None:
        raise PredictorError(_ASK)
    layout = report.load(output)
    with process_to_standard_error(), Waiting(f"reading {model.spec}") as waiting:
        plan = model.plan(strict)
        waiting.doing(f"capturing {plan.name} under every runtime")
        rows = options.compare(plan, gpu, model.batch, model.length)
    return layout.render_comparison(rows)
