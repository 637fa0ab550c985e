"""The stages, composed: capture -> lower -> price -> queue -> report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictor import runtimes
from predictor.calibration import load
from predictor.calibration.load import Calibration
from predictor.errors import CannotRunError, MissingLibraryError, PredictorError
from predictor.graph.files import GraphSet, SizeRange
from predictor.graph.inputs import generated_by
from predictor.padding import padded
from predictor.plans import MeasuredLatency, Plan, Settings, check_batch, load_plan, settings
from predictor.pricing import kernels
from predictor.records import CaptureMode, CaptureOptions, Graph, Report
from predictor.runtimes import load as load_runtime

if TYPE_CHECKING:
    from predictor.capture.module_source import ModuleSource
    from predictor.capture.onnx_files.bindings import Bindings
    from predictor.capture.onnx_files.reading import OnnxFile

__all__ = [
    "GpuCalibration",
    "Plan",
    "Predictor",
    "graph_of",
    "load_calibration",
    "load_plan",
    "plan",
    "plan_file",
    "without_exports",
]


@dataclass(frozen=True)
class Predictor:
    """Predicts latency on one GPU and runtime: the short way to ``Plan.report``, whose arguments these are.

    The first call raises PredictorError for unknown names.

    >>> Predictor(gpu="h200", dtype="fp16").latency(module, inputs)  # doctest: +SKIP
    0.0039
    """

    gpu: str
    runtime: str = "eager"
    dtype: str | None = None
    estimator: str = "queue"
    host: str | None = None
    attention: str | None = None
    options: CaptureOptions = field(default_factory=CaptureOptions)
    measured: Sequence[MeasuredLatency] = ()
    monotone: bool = False

    def predict(self, module: Any, inputs: Any, name: str | None = None) -> Report:
        """Report for a module and its inputs (tensor, tuple or mapping), in any dtype and on any device, meta
        included. Raises CannotRunError where the runtime cannot run it.
        """
        self.check()
        return self.report(plan(module, inputs, name, options=self.options))

    def predict_file(
        self,
        path: Path | str,
        name: str | None = None,
        *,
        batch: int | None = None,
        dims: Mapping[str, int] | None = None,
        shapes: Mapping[str, Sequence[int]] | None = None,
        trips: int | None = None,
    ) -> Report:
        """Report for an ONNX file, without torch; for its open dimensions see ``plan_file``."""
        self.check()
        return self.report(plan_file(path, name, batch=batch, dims=dims, shapes=shapes, trips=trips))

    def report(self, of: Plan, batch: int | None = None, length: int | None = None) -> Report:
        """Report for a plan, see ``Plan.report``."""
        return of.report(
            self.gpu,
            self.runtime,
            self.dtype,
            batch,
            length,
            host=self.host,
            attention=self.attention,
            estimator=self.estimator,
            measured=self.measured,
            monotone=self.monotone,
        )

    def latency(self, module: Any, inputs: Any) -> float:
        """Seconds of one synchronised forward pass."""
        return self.predict(module, inputs).latency_s

    def check(self, own_dtype: str | None = None) -> Settings:
        """The settings of this predictor, for a model whose own dtype this is. Raises PredictorError for a name that is
        not known.
        """
        names = self.gpu, self.runtime, self.dtype, self.estimator, self.host, self.attention
        return settings(*names, own_dtype, self.measured, self.monotone)


def plan(
    module: Any,
    inputs: Any,
    name: str | None = None,
    *,
    runtimes: Iterable[str] = (),
    dtypes: Iterable[str] | None = None,
    options: CaptureOptions | None = None,
) -> Plan:
    """A plan of a module: what it does, to be priced many times.

    module: in any dtype and on any device, meta included; inputs: a tensor, a tuple or a mapping, whose shapes give
    batch and length. The module is captured when a runtime and dtype are first asked for; runtimes, dtypes: captured
    at once, for any batch where the module allows it, so that the plan knows them when it is pickled or written; None:
    the module's own dtype, which is that of most of its parameters, of its inputs where it has none. Other
    batch sizes are captured from inputs that are cut or repeated along their first dimension, other lengths likewise,
    where the first integer input has tokens along its second. options: how it is captured. Raises PredictorError where
    the module does not take the inputs.

    >>> plan(module, inputs).report("h200", runtime="cudagraph", batch=8)  # doctest: +SKIP
    """
    from predictor.capture.module_source import ModuleSource

    options = options or CaptureOptions()
    turned = None if options.channels_last else partial(graph_of, options=replace(options, channels_last=True))
    captured = partial(graph_of, options=options)
    source = ModuleSource(module, inputs, name or type(module).__name__, captured, turned)
    generated = generated_by(module)
    graphs = GraphSet(source.name, source.batch, source.length, notes=options.notes, generated=generated)
    for runtime in runtimes:
        for dtype in (source.dtype,) if dtypes is None else dtypes:
            for mode in load_runtime(runtime).capture_modes:
                graphs = _captured(graphs, source, dtype, runtime, mode)
    return Plan(graphs, source)


BATCHES = (2, 3, 5)
"""Batch sizes that a module is captured at to know it at any: two say how every size grows, the third checks it."""


def _captured(graphs: GraphSet, source: ModuleSource, dtype: str, runtime: str, mode: CaptureMode) -> GraphSet:
    """With what a runtime makes of a module in a mode: for any batch, where the module takes others and its sizes
    follow them; else at that of its inputs.
    """
    length = source.length
    if graphs.has(dtype, mode):
        return graphs

    def at(*batches: int) -> dict[tuple[int, int], Graph]:
        return {(batch, length): source.graph(dtype, runtime, mode, batch, length) for batch in batches}

    given = at(source.batch)
    try:
        alone, more = at(1), at(*BATCHES)
        opened = graphs.extended(dtype, mode, alone, SizeRange(1, 1, length, length))
        opened = opened.extended(dtype, mode, more, SizeRange(2, 0, length, length))
    except (PredictorError, ValueError):
        return graphs.extended(dtype, mode, given, SizeRange(source.batch, source.batch, length, length))
    whole = opened.find(dtype, mode, source.batch, length)
    if whole is None or whole.calls != given[source.batch, length].calls:
        return graphs.extended(dtype, mode, given, SizeRange(source.batch, source.batch, length, length))
    return opened


def plan_file(
    path: Path | str,
    name: str | None = None,
    *,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    trips: int | None = None,
) -> Plan:
    """A plan of an ONNX file, without torch; for the runtimes that run ONNX files.

    Open dimensions get sizes: batch, that which most inputs have in the first place (None: 1); dims: by name; shapes:
    of whole inputs. A plan with an open batch dimension is priced for any batch. trips: rounds of loops whose number is
    not in the file. Without a dtype the file's own is priced. Raises PredictorError for a file that is none, for names
    that it does not have, for sizes that are fixed in the file, and for open dimensions that nothing is said of.

    >>> plan_file("model.onnx", dims={"sequence": 128}).report("h200", "onnx", batch=8)  # doctest: +SKIP
    """
    from predictor.capture.onnx_files.bindings import Bindings, bound, check_trips
    from predictor.capture.onnx_files.reading import read

    file = read(Path(path))
    sizes = {name: tuple(shape) for name, shape in (shapes or {}).items()}
    bindings = Bindings(None if batch is None else check_batch(batch), dict(dims or {}), sizes, check_trips(trips))
    sized = bound(file, bindings)
    return Plan(GraphSet(name or file.path.stem, sized.batch), _OnnxSource(file, bindings, name))


@dataclass(frozen=True)
class _OnnxSource:
    """The graph of an ONNX file."""

    file: OnnxFile
    bindings: Bindings
    name: str | None

    @property
    def dtype(self) -> str:
        """The file's own."""
        return self.file.dtype

    def graph(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        from predictor.capture.onnx_files.files import graph

        if runtimes.load(runtime).capture_mode is not CaptureMode.EXPORTED:
            able = [n for n in runtimes.names() if runtimes.load(n).capture_mode is CaptureMode.EXPORTED]
            raise CannotRunError(f"{runtime} runs modules, not ONNX files: --runtime {', '.join(able)}")
        return graph(self.file, self.bindings.at(batch), dtype, self.name)


_exports = ContextVar("exports", default=True)


@contextmanager
def without_exports() -> Iterator[None]:
    """Modules are not exported to ONNX meanwhile, which takes seconds: NotExportedError is raised where that was not
    done before.
    """
    before = _exports.set(False)
    try:
        yield
    finally:
        _exports.reset(before)


def graph_of(
    module: Any,
    inputs: Any,
    dtype: str,
    runtime: str,
    name: str | None = None,
    options: CaptureOptions | None = None,
    mode: CaptureMode | None = None,
) -> Graph:
    """The graph that a runtime makes of a module. mode: one of the runtime's, None: that of today's torch. Raises
    CannotRunError where it makes none.
    """
    from predictor.capture.recorder import capture

    mode, options = mode or runtimes.load(runtime).capture_mode, options or CaptureOptions()
    inputs = padded(inputs, options.lengths) if options.lengths else inputs
    try:
        if mode is CaptureMode.EXPORTED and (options.autocast or options.channels_last):
            raise CannotRunError(
                f"{runtime} runs an export, whose layout and dtypes are its own: leave --layout and --amp out"
            )
        if mode is CaptureMode.EXPORTED:
            from predictor.capture.assumption_texts import EVERYTHING
            from predictor.capture.onnx_files.modules import exported

            graph = exported(module, inputs, dtype, name, only_kept=not _exports.get())
            if options.keep != 1 and EVERYTHING in graph.assumptions:
                raise CannotRunError("of an exported graph all that it selects is kept: leave keep at 1")
            return graph
        module = runtimes.load(runtime).convert(module)
        return capture(module, inputs, dtype, name, mode, options)
    except (CannotRunError, MissingLibraryError):
        raise
    except PredictorError as error:
        if mode is CaptureMode.EAGER:
            raise
        # it raises where the model or its inputs are at fault
        capture(module, inputs, dtype, name, CaptureMode.EAGER, options)
        raise CannotRunError(f"its code fails as {runtime} runs it ({error})") from error


class GpuCalibration(Calibration):
    """A calibration as users load it, with what its kernels take."""

    def kernel_seconds(
        self, family: str, dtype: str, *, context: str = "replay", monotone: bool = False, **dims: Any
    ) -> Any:
        """Seconds of kernels of one family, see ``pricing.kernels.kernel_seconds``."""
        return kernels.kernel_seconds(self, family, dtype, context=context, monotone=monotone, **dims)


def load_calibration(gpu: str) -> GpuCalibration:
    """The calibration of a GPU, by name or as a path to its folder or to a datasheet (.json). Raises PredictorError
    where there is none.

    >>> load_calibration("h100").kernel_seconds("gemm", "bf16", m=[1, 4096], n=4096, k=4096).shape
    (2,)
    """
    return _with_kernels(load.load_calibration(gpu))


@cache
def _with_kernels(calibration: Calibration) -> GpuCalibration:
    return GpuCalibration(**{f.name: getattr(calibration, f.name) for f in fields(calibration) if f.init})
