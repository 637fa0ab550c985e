"""The command ``predict MODEL``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from predictor import report, runtimes
from predictor.cli.list import Kind, listing
from predictor.cli.names import complete_gpu, complete_host, complete_model, complete_runtime
from predictor.cli.quantities import duration_s, sizes
from predictor.cli.request import Request, capture_options, file_sizes, gpu_of, measured_of, spec_of
from predictor.cli.terminal import EXIT_OVER_BUDGET, EXIT_STRADDLES, complain

if TYPE_CHECKING:
    from predictor.plans import Plan
    from predictor.records import Report

EPILOG = """[bold]Examples[/bold]
  predict bert-base --gpu h200 --advise
  predict my_net.py:build --gpu a100 --dtype bf16 --compare
  predict timm:resnet50 --gpu-spec my_gpu.json --json
  predict gpt2 --gpu h100 --batch 1..64 --csv
  predict vit-base --gpu h200 --by module --depth 4
  predict model.onnx --gpu h100 --runtime onnx --dim tokens=128

[bold]Exit codes[/bold]
  0 predicted, within the budget if there is one
  1 the latency's interval exceeds the budget (--budget)
  2 bad input, or a fault of the program
  3 the runtime cannot run the model
  4 the interval straddles the budget (--budget-strict)"""
"""What ``--help`` ends with."""

ANSWER, CAPTURE, FILES = "The answer", "How the model runs", "ONNX files"
"""Parts of ``--help``, besides the first."""

_GIVEN_MODEL = (
    "A zoo model (predict list models), FILE.py:FUNCTION, torchvision:NAME, timm:NAME, diffusers:CLASS, "
    "transformers:CLASS or model type, a config.json, a .pt2 or TorchScript file, or a FILE.onnx."
)
_RUNTIMES = f"Runtime that runs the model: {', '.join(runtimes.names())}."
_FORMATS = "|".join(report.names())


class Answer(NamedTuple):
    """What the answer shows of a prediction, besides its report, as it was typed."""

    by: str | None
    depth: int | None
    top: int | None
    trace: Path | None
    trace_measured: Path | None
    budget: str | None
    budget_strict: bool

    def check_none(self, other: str) -> None:
        """Raises PredictorError where something of this is asked for: it is of one runtime, ``other`` of several."""
        from predictor.errors import PredictorError

        options = ("--by", "--depth", "--top", "--trace", "--trace-measured", "--budget", "--budget-strict")
        asked = [option for option, value in zip(options, self, strict=True) if value not in (None, False)]
        if asked:
            raise PredictorError(f"{asked[0]} is of one prediction: leave {other} out")

    def of(self, request: Request, layout: report.Format) -> tuple[str, int]:
        """The answer and the exit code."""
        from predictor.errors import PredictorError

        budget_s = None if self.budget is None else duration_s("--budget", self.budget)
        if self.budget_strict and budget_s is None:
            raise PredictorError("--budget-strict is of a --budget")
        if (self.depth is not None or self.top is not None) and self.by is None:
            raise PredictorError("--depth and --top are of a breakdown: --by op, module or layer")
        if self.trace_measured and not self.trace:
            raise PredictorError("say where both traces go: --trace FILE")
        if self.by or self.trace:
            request.check_one_size("--by" if self.by else "--trace")
        plan, predicted = request.reports()
        predicted = tuple(replace(prediction, budget_s=budget_s) for prediction in predicted)
        if self.trace:
            self._write_trace(plan, predicted[0], request)
        if request.is_sweep:
            text = layout.render_sweep(predicted)
        elif self.by:
            depth = DEPTH.get(self.by) if self.depth is None else self.depth
            text = layout.render_breakdown(predicted[0], self.by, depth, self.top or TOP)
        else:
            text = layout.render(predicted[0])
        return text, self._exit_code([prediction.verdict for prediction in predicted])

    def _exit_code(self, verdicts: list[str | None]) -> int:
        if "over" in verdicts or ("straddles" in verdicts and not self.budget_strict):
            return EXIT_OVER_BUDGET
        return EXIT_STRADDLES if "straddles" in verdicts else 0

    def _write_trace(self, plan: Plan, prediction: Report, request: Request) -> None:
        from predictor.errors import PredictorError
        from predictor.timeline.trace import chrome_trace, with_measured

        assert self.trace is not None
        spans = plan.timeline(
            request.gpu,
            request.runtime,
            request.dtype,
            prediction.batch,
            prediction.length or None,
            host=request.host,
            attention=request.attention,
            measured=request.measured,
        )
        title = f"predicted: {prediction.model}, batch {prediction.batch}, {prediction.dtype}, "
        written = chrome_trace(spans, f"{title}{prediction.runtime} on {prediction.gpu}")
        if self.trace_measured:
            written = with_measured(written, self.trace_measured)
        try:
            self.trace.write_text(json.dumps(written), encoding="utf-8")
        except OSError as error:
            raise PredictorError(f"cannot write {self.trace}: {error.strerror}") from None


def advised(request: Request, layout: report.Format, advise: bool, plot: Path | None, html: Path | None) -> str:
    """Answers for a designer, or the report alone, and what is drawn and written of them."""
    from predictor.report import _page, _plots

    if plot:
        _plots.check(plot)
    advice = request.advised()
    if plot:
        _plots.write(advice, plot)
    if html:
        _page.write(advice, html)
    return layout.render_advice(advice) if advise else layout.render(advice.report)


DEPTH = {"module": 2, "layer": 4}
TOP = 12
"""Levels and rows of a breakdown, where nobody says how many: what fits a screen."""


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
            help="JSON file with the datasheet of a GPU that is not calibrated, see docs/gpus.md.",
        ),
    ] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help=_RUNTIMES, autocompletion=complete_runtime)] = "eager",
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Batch size, or several for a table: 1,2,8; 4..64 doubles up to 64; 64..512+64 adds 64. Default: 1, "
            "or the file's own.",
        ),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Tokens, of models that take them, or several as for --batch. Default: 128, or a user's own.",
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
            "GPU's (list hosts --gpu marks it), else a typical one.",
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
    advise: Annotated[
        bool,
        typer.Option(
            "--advise",
            help="What bounds it, from which batch it does not, what may grow for free, what to change.",
            rich_help_panel=ANSWER,
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg|png",
            help="Draw latency over batch, breakdown, runtimes and roofline (extra: plot).",
            rich_help_panel=ANSWER,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a page with all of that and tables.", rich_help_panel=ANSWER),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON, times in seconds: --format json.", rich_help_panel=ANSWER),
    ] = False,
    as_csv: Annotated[
        bool,
        typer.Option("--csv", help="Print comma-separated values: --format csv.", rich_help_panel=ANSWER),
    ] = False,
    output: Annotated[
        str, typer.Option("--format", metavar=_FORMATS, help="Format of the report.", rich_help_panel=ANSWER)
    ] = "text",
    by: Annotated[
        str | None,
        typer.Option(
            metavar="op|module|layer",
            help="Show where the time goes: by operator, by module (a tree), by layer (those of a kind together).",
            rich_help_panel=ANSWER,
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Levels of that tree. Default: 2, of layers 4.", rich_help_panel=ANSWER),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Rows of operators, or parts of each module. Default: 12.", rich_help_panel=ANSWER
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the pass as a Chrome trace, for ui.perfetto.dev.",
            rich_help_panel=ANSWER,
        ),
    ] = None,
    trace_measured: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A trace of torch.profiler to lay beside it in --trace.", rich_help_panel=ANSWER
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="5ms",
            help="Exit code 1 where the upper end of the 90 % interval exceeds it.",
            rich_help_panel=ANSWER,
        ),
    ] = None,
    budget_strict: Annotated[
        bool,
        typer.Option(
            "--budget-strict",
            help="Exit code 1 where the whole interval exceeds the budget, 4 where it straddles it.",
            rich_help_panel=ANSWER,
        ),
    ] = False,
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
    layout_of_tensors: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="channels_last",
            help="Of weights and inputs. Default: as they are.",
            rich_help_panel=CAPTURE,
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
    from predictor.errors import PredictorError

    form = "csv" if as_csv else "json" if as_json else output
    with complain(debug, form == "json"):
        listed = {Kind.MODELS: list_models, Kind.GPUS: list_gpus, Kind.HOSTS: list_hosts}
        for kind in (kind for kind, asked in listed.items() if asked):
            typer.echo(listing(kind, gpu).text)
            return
        layout = report.load(form)
        request = Request(
            spec_of(given, model),
            sizes("--batch", batch),
            sizes("--length", length),
            head,
            capture_options(layout_of_tensors, amp, lengths, assume or []),
            file_sizes(dim or [], shape or [], trips),
            gpu_of(gpu, gpu_spec),
            runtime,
            dtype,
            estimator,
            host,
            attention,
            measured_of(measured),
            strict,
        )
        one = Answer(by, depth, top, trace, trace_measured, budget, budget_strict)
        if advise or plot or html:
            asked = "--advise" if advise else "--plot" if plot else "--html"
            one.check_none(asked)
            if compare:
                raise PredictorError(f"{asked} compares the runtimes, too: leave --compare out")
            typer.echo(advised(request, layout, advise, plot, html))
            return
        if compare:
            one.check_none("--compare")
            typer.echo(layout.render_comparison(request.compared()))
            return
        text, code = one.of(request, layout)
        typer.echo(text)
    if code:
        raise typer.Exit(code)
