"""What ``predict`` is asked for, from the words of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictor.cli.terminal import Waiting

if TYPE_CHECKING:
    from predictor.advice import Advice
    from predictor.measured import Measured
    from predictor.plans import Plan
    from predictor.records import CaptureOptions, Compared, Report
    from predictor.sources import FileSizes

ASK = "say what to predict: predict MODEL --gpu NAME (predict list models, predict -h)"


@dataclass(frozen=True)
class Request:
    """A model at some sizes, how it is captured, and what it is to run on. batches, lengths: None: the model's own;
    strict: what is not modelled, extrapolated or ignored is an error.
    """

    spec: str
    batches: Sequence[int] | None
    lengths: Sequence[int] | None
    head: str | None
    captured: CaptureOptions
    sizes: FileSizes
    gpu: str
    runtime: str
    dtype: str | None
    estimator: str
    host: str | None
    attention: str | None
    measured: Sequence[Measured]
    strict: bool

    @property
    def is_sweep(self) -> bool:
        """Whether it asks for a table of sizes."""
        return any(sizes is not None and len(sizes) > 1 for sizes in (self.batches, self.lengths))

    @property
    def options(self) -> dict[str, Any]:
        """What every prediction is asked with, see ``Plan.report``."""
        from predictor.plans import OPTIONS

        return {name: getattr(self, name) for name in OPTIONS}

    def check_one_size(self, option: str) -> None:
        """Raises PredictorError where a table of sizes is asked for: an option answers for one."""
        from predictor.errors import PredictorError

        if self.is_sweep:
            raise PredictorError(f"{option} takes one batch size and one length")

    def reports(self) -> tuple[Plan, tuple[Report, ...]]:
        """The plan, and a prediction for every length and batch size. Raises CannotRunError where the runtime cannot
        run the model, with those that can; PredictorError otherwise.
        """
        from predictor.errors import CannotRunError
        from predictor.plans import settings

        settings(self.gpu, self.runtime, self.dtype, self.estimator, self.host, self.attention)
        with self._plan() as (plan, waiting):
            reports: list[Report] = []
            try:
                for number, length in enumerate(self.lengths or [None]):
                    waiting.doing(f"capturing {plan.name}", number, len(self.lengths or [None]))
                    reports += plan.reports(
                        self.gpu,
                        self.runtime,
                        self.dtype,
                        self.batches,
                        None if length is None else [length],
                        **self.options,
                    )
            except CannotRunError as error:
                can = ", ".join(row.runtime for row in self._compared(plan, waiting) if row.report) or "none"
                raise CannotRunError(
                    f"{plan.name} cannot run under {self.runtime} (runtimes that can: {can}): {error}"
                ) from None
        for report in reports if self.strict else ():
            check_strictly(report)
        return plan, tuple(reports)

    def compared(self) -> tuple[Compared, ...]:
        """The model under every runtime, see ``Plan.compare``."""
        self.check_one_size("--compare")
        with self._plan() as (plan, waiting):
            return self._compared(plan, waiting)

    def advised(self) -> Advice:
        """Answers for a designer, see ``Plan.advise``."""
        from predictor import advice

        self.check_one_size("--advise")
        with self._plan() as (plan, waiting):
            asked = advice.question(
                plan,
                self.gpu,
                self.runtime,
                self.dtype,
                self._first(self.batches),
                self._first(self.lengths),
                **self.options,
            )
            advised = advice.advise(asked, waiting.doing)
        if self.strict:
            check_strictly(advised.report)
        return advised

    def _compared(self, plan: Plan, waiting: Waiting) -> tuple[Compared, ...]:
        return plan.compare(
            self.gpu,
            self.dtype,
            self._first(self.batches),
            self._first(self.lengths),
            **self.options,
            tell=lambda runtime, number, of: waiting.doing(f"capturing {plan.name} for {runtime}", number, of),
        )

    @contextmanager
    def _plan(self) -> Iterator[tuple[Plan, Waiting]]:
        """The model's plan, while what its code prints goes to standard error: it is not the answer."""
        from predictor.sources import plan_of
        from predictor.standard_output import process_to_standard_error

        with process_to_standard_error(), Waiting(f"reading {self.spec}") as waiting:
            plan = plan_of(
                self.spec,
                self._first(self.batches),
                self._first(self.lengths),
                head=self.head,
                options=self.captured,
                sizes=self.sizes,
                strict=self.strict,
            )
            yield plan, waiting

    def _first(self, sizes: Sequence[int] | None) -> int | None:
        return sizes[0] if sizes else None


def check_strictly(report: Report) -> None:
    """Raises PredictorError where something is not modelled or extrapolated."""
    from predictor.errors import PredictorError

    if report.unmodelled:
        raise PredictorError(f"not modelled: {', '.join(sorted(report.unmodelled))}")
    if report.extrapolated:
        raise PredictorError(f"outside the calibrated range: kernels of {', '.join(sorted(report.extrapolated))}")


def spec_of(given: str | None, model: str | None) -> str:
    """What names the model: the word or the option."""
    from predictor.errors import PredictorError

    if given is not None and model is not None and given != model:
        raise PredictorError(f"say one model, not {given} and --model {model}")
    spec = given if model is None else model
    if spec is None:
        raise PredictorError(ASK)
    return spec


def capture_options(layout: str | None, amp: str | None, lengths: str | None, assumed: list[str]) -> CaptureOptions:
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


def file_sizes(dims: list[str], shapes: list[str], trips: int | None) -> FileSizes:
    """What is said of an ONNX file's sizes."""
    from predictor.capture.onnx_files.bindings import parsed_dim, parsed_shape
    from predictor.sources import FileSizes

    return FileSizes(dict(map(parsed_dim, dims)), dict(map(parsed_shape, shapes)), trips)


def measured_of(path: Path | None) -> Sequence[Measured]:
    """What the user has measured."""
    from predictor.measured import read_measured

    return read_measured(path) if path else ()


def gpu_of(gpu: str | None, spec: Path | None) -> str:
    """What names the GPU: one of the two options."""
    from predictor.errors import PredictorError

    if spec is None and gpu is None:
        raise PredictorError("say on which GPU: --gpu NAME (predict list gpus), or --gpu-spec FILE")
    if spec is None:
        return gpu or ""
    if gpu is not None:
        raise PredictorError("say either --gpu or --gpu-spec")
    if not spec.exists():
        raise PredictorError(f"no such file: {spec}")
    if spec.suffix != ".json":
        raise PredictorError(f"--gpu-spec wants a .json file, not {spec}")
    return str(spec)
