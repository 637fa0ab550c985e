"""Many candidates at once: what a search over architectures asks for.

Candidates go to processes in batches (joblib: processes of this machine, a Dask or a Ray cluster). A process makes a
candidate's program, from the cache of plans where it is there, and prices the programs of a batch together.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache as remember
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import models_zoo
from predictor import disk_cache, ops, predict, runtimes
from predictor.assemble import bound, spread
from predictor.disk_cache import DiskCache
from predictor.errors import CannotRunError, PredictorError, one_line
from predictor.graph.files import GraphSet, SizeRange
from predictor.plans import Plan, Settings, Source, check_batch, check_length, queued
from predictor.pricing.intervals import interval
from predictor.pricing.program import HostProfile, host_profile, price_together
from predictor.records import CaptureMode, Graph
from predictor.sources.built import TOKENS, weights_on_meta
from predictor.stored_programs import StoredProgram, from_bytes, stored, to_bytes
from predictor.tables import Price, Result, Results, SweepTable, compared_s
from predictor.timeline.queue import timeline_at

BATCH = 32
"""Candidates that go to a process together: enough to price together, few enough for a bar that moves."""

ROOM = "plans"
"""Name of the cache of plans."""

Target = tuple[str, str]
"""GPU and runtime."""


@dataclass(frozen=True)
class Predictor(predict.Predictor):
    """Predicts latency on one GPU and runtime: the short way to ``Plan.report``, whose arguments these are.

    The first call raises PredictorError for unknown names.

    >>> Predictor(gpu="h200", dtype="fp16").latency(module, inputs)  # doctest: +SKIP
    0.0039
    """

    def map(
        self,
        candidates: Iterable[Any],
        workers: int | None = None,
        *,
        batch: int | None = None,
        length: int | None = None,
        inputs: Any = None,
        gpus: Sequence[str] | None = None,
        runtimes: Sequence[str] | None = None,
        keys: Iterable[object] | None = None,
        cache: bool = True,
        progress: bool | None = None,
        budget_s: float | None = None,
        upper: bool = False,
    ) -> Results:
        """Predictions for many candidates, in their order, the same whatever the number of workers.

        A candidate is a function without arguments, or of batch, or of batch and length, that returns a module or
        (module, inputs); a module; a pair (module, inputs); a plan; or what ``--model`` takes: the name of a zoo model,
        a file. Iterators are taken as they come. What one of them raises is its result's ``error``, that its process
        died likewise where there are ``workers``; the rest go on.

        workers: processes, -1: one a core; None: those of the ``joblib.parallel_config`` around the call, else this
        process alone. batch, length: sizes, None: the candidates' own. inputs: of candidates that are modules without.
        gpus, runtimes: priced for each of them, None: this predictor's. keys: a name for each candidate that says all
        of what it is, for example its genotype: one that the cache has under its name is not built again. cache: keep
        plans on disk, see ``docs/search.md``. progress: a bar with the time left, on standard error; None: where that
        is a terminal. budget_s: candidates whose latency is over it are marked, and not priced for the GPUs and
        runtimes that follow. upper: budget and rank go by the upper end of the interval instead of the latency.
        Raises PredictorError for settings that cannot be.

        >>> candidates = [partial(build, depth) for depth in (2, 4, 8)]  # doctest: +SKIP
        >>> results = Predictor("h200").map(candidates, workers=2, budget_s=0.004)  # doctest: +SKIP
        >>> [result.latency_s for result in results]  # doctest: +SKIP
        [0.0011, 0.0018, 0.0032]
        """
        import joblib

        check_sizes(batch, length)
        targets = tuple((gpu, runtime) for gpu in gpus or (self.gpu,) for runtime in runtimes or (self.runtime,))
        for gpu, runtime in targets:
            with suppress(CannotRunError):  # an answer, which every candidate's price gives
                replace(self, gpu=gpu, runtime=runtime).check()
        disk = disk_cache.cache_of(ROOM) if cache else None
        job = _Job(self, targets, batch, length, inputs, disk, budget_s, upper)
        elsewhere = joblib.effective_n_jobs(workers) > 1 or _is_elsewhere()
        feed = _Feed(candidates, keys, job, elsewhere)
        total = len(candidates) if isinstance(candidates, Sequence) else None
        results: list[Result] = []
        with _bar(total, progress) as advance:
            for part in _in_order(job, feed.parts(_batch(total, workers)), workers):
                results += part
                advance(len(part))
        if feed.error is not None:
            raise feed.error
        return Results(tuple(results), upper)

    def sweep(
        self,
        of: Any,
        *,
        batch: int | Sequence[int] | None = None,
        length: int | Sequence[int] | None = None,
        gpus: Sequence[str] | None = None,
        runtimes: Sequence[str] | None = None,
        dtypes: Sequence[str | None] | None = None,
    ) -> SweepTable:
        """Latencies of one model over batch sizes, lengths, GPUs, runtimes and dtypes, see ``Plan.sweep``. of: a
        candidate, see ``map``. None: this predictor's, and the model's own sizes. Raises as ``Plan.report`` does.

        >>> table = Predictor("h200").sweep("bert-base", batch=[1, 8], runtimes=["eager", "cudagraph"])
        >>> table.array.shape, list(table.axes)
        ((1, 2, 1, 2, 1), ['gpu', 'runtime', 'dtype', 'batch', 'length'])
        """
        plan = _Candidate.of(of, _Job(self, ())).plan
        return plan.table(
            gpus or (self.gpu,),
            runtimes or (self.runtime,),
            dtypes or (self.dtype,),
            batch,
            length,
            host=self.host,
            attention=self.attention,
            estimator=self.estimator,
            measured=self.measured,
            monotone=self.monotone,
        )


def check_sizes(batch: int | None, length: int | None) -> None:
    """Raises PredictorError for sizes that cannot be."""
    if batch is not None:
        check_batch(batch)
    if length is not None:
        check_length(length)


@dataclass(frozen=True)
class _Job:
    """What is asked of every candidate."""

    predictor: Predictor
    targets: tuple[Target, ...]
    batch: int | None = None
    length: int | None = None
    inputs: Any = None
    disk: DiskCache | None = None
    budget_s: float | None = None
    upper: bool = False

    def settings(self, target: Target, own_dtype: str | None) -> Settings:
        """For a GPU and runtime."""
        return replace(self.predictor, gpu=target[0], runtime=target[1]).check(own_dtype)

    def is_over(self, price: Price) -> bool:
        """Whether a price is over the budget."""
        return self.budget_s is not None and compared_s(price, self.upper) > self.budget_s


class _Entry(NamedTuple):
    """A candidate on its way to a process. content: it, or as bytes; key: what its plan is kept under, where its user
    says so; name: likewise.
    """

    place: int
    content: Any
    is_bytes: bool
    key: str
    name: str


class _Feed:
    """Candidates with their keys, in batches. elsewhere: for other processes, so that they are written out here, each
    by itself: one that is not needed, as its plan is known, is not read there. error: what ended them early; tasks are
    drawn by threads of joblib's, in which it would be lost.
    """

    def __init__(self, candidates: Iterable[Any], keys: Iterable[object] | None, job: _Job, elsewhere: bool) -> None:
        self._candidates, self._keys = candidates, None if keys is None else iter(keys)
        self._job, self._elsewhere = job, elsewhere
        self.error: BaseException | None = None

    def parts(self, size: int) -> Iterator[list[_Entry]]:
        """So many at a time."""
        entries = self._entries()
        while part := list(islice(entries, size)):
            yield part

    def _entries(self) -> Iterator[_Entry]:
        try:
            for index, candidate in enumerate(self._candidates):
                yield self._entry(index, candidate)
        except BaseException as error:
            self.error = error

    def _entry(self, index: int, candidate: Any) -> _Entry:
        key = name = ""
        if self._keys is not None:
            try:
                name = str(next(self._keys))
            except StopIteration:
                raise PredictorError(f"there are more candidates than keys: {index}") from None
            key = _named_key(name, candidate) if self._job.disk else ""
        if not self._elsewhere or isinstance(candidate, (str, Path)):
            return _Entry(index, candidate, False, key, name)
        try:
            if isinstance(candidate, Plan) and candidate.source is not None:
                candidate, key = _Programs.of(candidate, self._job), ""
            return _Entry(index, _pickled(candidate), True, key, name)
        except Exception as error:
            message = f"it cannot be sent to another process ({one_line(error)}): give a function that makes it"
            return _Entry(index, PredictorError(message), False, key, name)


class _Programs(NamedTuple):
    """A plan that captures on demand, captured here: what it is for each GPU and runtime, or why it is not."""

    name: str
    programs: dict[Target, bytes | PredictorError]

    @classmethod
    def of(cls, plan: Plan, job: _Job) -> _Programs:
        """Of a plan."""
        programs: dict[Target, bytes | PredictorError] = {}
        for target in job.targets:
            try:
                programs[target] = to_bytes(
                    stored(plan.program(job.settings(target, plan.dtype), job.batch, job.length))
                )
            except PredictorError as error:
                programs[target] = error
        return cls(plan.name, programs)


def _named_key(name: str, candidate: Any) -> str:
    """The key of a candidate that has a name: the name and the code that makes it; empty where that has none."""
    if not callable(candidate) or _is_module(candidate):
        return disk_cache.named("named", name)
    from predictor.capture.module_key import code_key

    while hasattr(candidate, "func"):
        candidate = candidate.func
    code = getattr(candidate, "__code__", None)
    if code is None:
        return ""
    if code not in _code_keys:
        if len(_code_keys) > BATCH:
            _code_keys.clear()
        _code_keys[code] = code_key(candidate)
    return disk_cache.named("named", name, _code_keys[code]) if _code_keys[code] else ""


_code_keys: dict[Any, str | None] = {}


def _is_elsewhere() -> bool:
    """Whether joblib's backend runs tasks in other processes though it has one of them."""
    from joblib.parallel import get_active_backend

    return type(get_active_backend()[0]).__name__ in ("DaskDistributedBackend", "RayBackend")


def _batch(total: int | None, workers: int | None) -> int:
    """Candidates that go to a process together: fewer where there are few, so that no process waits for another."""
    import joblib

    processes = joblib.effective_n_jobs(workers)
    return BATCH if total is None or processes == 1 else max(1, min(BATCH, total // (SHARES * processes)))


SHARES = 4
"""Batches that a process gets at least, where there are candidates enough."""


def _in_order(job: _Job, parts: Iterator[list[_Entry]], workers: int | None) -> Iterator[list[Result]]:
    """Results of batches of candidates, in their order, as they are ready where the backend can say so. Where a process
    of this machine dies, what it and those beside it had in hand is predicted again, one batch at a time.
    """
    from joblib.externals.loky import BrokenProcessPool

    while True:
        given = _Given(parts)
        try:
            for results in _parallel(given.tasks(job), workers):
                given.in_hand.popleft()
                yield results
            return
        except BrokenProcessPool:
            given.stop()
        for part in given.in_hand:
            yield _carefully(job, part, workers)


def _parallel(tasks: Iterable[Any], workers: int | None) -> Iterable[list[Result]]:
    """What tasks return, in their order."""
    import joblib

    parallel = joblib.Parallel(n_jobs=workers, return_as="generator", batch_size=1)
    if not parallel._backend.supports_return_generator:
        parallel = joblib.Parallel(n_jobs=workers, batch_size=1)
    results: Iterable[list[Result]] = parallel(tasks)
    return results


class _Given:
    """Batches that were given to processes. in_hand: those that have not come back. Threads of joblib's draw them."""

    def __init__(self, parts: Iterator[list[_Entry]]) -> None:
        self._parts, self._lock, self._stopped = parts, threading.Lock(), False
        self.in_hand: deque[list[_Entry]] = deque()

    def tasks(self, job: _Job) -> Iterator[Any]:
        """A task a batch, until there is none or ``stop`` is called."""
        import joblib

        while True:
            with self._lock:
                part = None if self._stopped else next(self._parts, None)
                if part is None:
                    return
                self.in_hand.append(part)
            yield joblib.delayed(_results)(job, part)

    def stop(self) -> None:
        """Draw no more."""
        with self._lock:
            self._stopped = True


DIED = (
    "the process that predicted it died: its code ends the process, or crashes it, or takes more memory than there is"
)


def _carefully(job: _Job, part: list[_Entry], workers: int | None) -> list[Result]:
    """Results of a batch with no other beside it; where its process dies, of one candidate after the other. One that
    dies by itself has that as its error.
    """
    import joblib
    from joblib.externals.loky import BrokenProcessPool

    try:
        return next(iter(_parallel([joblib.delayed(_results)(job, part)], workers)))
    except BrokenProcessPool:
        if len(part) > 1:
            return [result for entry in part for result in _carefully(job, [entry], workers)]
    candidate = _Candidate.of_entry(part[0], job, job.settings)
    candidate.error = DIED
    return [candidate.result()]


@contextmanager
def _bar(total: int | None, progress: bool | None) -> Iterator[Callable[[int], Any]]:
    """A progress bar on standard error: what moves it by so many candidates."""
    if progress is False or (progress is None and not sys.stderr.isatty()):
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=" candidates", file=sys.stderr, dynamic_ncols=True) as bar:
        yield bar.update


def _pickled(candidate: Any) -> bytes:
    """A candidate as bytes: functions by value where they cannot be imported, weights of modules by their shapes."""
    import io

    import cloudpickle

    if "torch" not in sys.modules:
        return bytes(cloudpickle.dumps(candidate))
    import torch

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            plain = type(obj) is torch.nn.Parameter and obj.is_floating_point() and not obj.is_meta
            if plain and obj.layout is torch.strided and not vars(obj):
                return _weight, (tuple(obj.shape), obj.stride(), obj.dtype, obj.requires_grad)
            return super().reducer_override(obj)

    content = io.BytesIO()
    Pickler(content).dump(candidate)
    return content.getvalue()


def _weight(shape: tuple[int, ...], stride: tuple[int, ...], dtype: Any, requires_grad: bool) -> Any:
    """A weight without data."""
    import torch

    data = torch.empty_strided(shape, stride, dtype=dtype, device="meta")
    return torch.nn.Parameter(data, requires_grad=requires_grad)


def _is_module(value: Any) -> bool:
    """Whether a value is a module of torch; nothing is imported where nobody can have made one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, (torch.nn.Module, torch.export.ExportedProgram))


# in a process


def _results(job: _Job, part: Sequence[_Entry]) -> list[Result]:
    """Results of a batch of candidates."""
    settings = remember(job.settings)
    candidates = [_Candidate.of_entry(entry, job, settings) for entry in part]
    for target in job.targets:
        pending: dict[int, list[tuple[_Candidate, Settings, StoredProgram]]] = {}
        for candidate in candidates:
            program = candidate.program(target)
            if program is not None:
                pending.setdefault(id(program[1].host), []).append(program)
        for together in pending.values():
            try:
                _price(target, together)
            except Exception:  # of one of them, which says so by itself
                for alone in together:
                    with alone[0].noting():
                        _price(target, [alone])
    return [candidate.result() for candidate in candidates]


def _price(target: Target, together: Sequence[tuple[_Candidate, Settings, StoredProgram]]) -> None:
    """Price programs for one GPU and runtime, those on one host together."""
    chosen = together[0][1]
    programs = [(p.lowered.program, _profile(p, one)) for _, one, p in together]
    priced_programs = price_together(programs, chosen.calibration, chosen.host, chosen.monotone)
    for (candidate, one, (lowered, _)), priced in zip(together, priced_programs, strict=True):
        priced, timelines = queued(priced, one)
        timeline = timeline_at(timelines, 0)
        latency_s = timeline.latency_s if one.estimator == "queue" else timeline.max_s
        low_high = interval(
            latency_s, spread(lowered, priced, timeline, one.calibration, one.host, correction=one.correction)
        )
        price = Price(
            *target,
            lowered.dtype,
            latency_s,
            low_high,
            bound(timeline, priced),
            timeline.host_s,
            timeline.kernel_s,
            int(priced.launches[0].sum()),
        )
        candidate.add(price, lowered.batches[0], int(lowered.macs[0]))


def _profile(program: StoredProgram, chosen: Settings) -> HostProfile:
    return host_profile(program.lowered.program.program, chosen.host, program.table)


NAN = float("nan")


@dataclass
class _Candidate:
    """A candidate in the process that predicts it: its plan, made when it is needed, and its prices."""

    index: int
    job: _Job
    settings: Callable[[Target, str | None], Settings]
    content: Any
    is_bytes: bool = False
    key: str = ""
    name: str = ""
    error: str = ""
    over_budget: bool = False
    prices: list[Price] = field(default_factory=list)
    batch: int = 0
    macs: int = 0
    dtype: str | None = None
    parameters: int | None = None

    @classmethod
    def of(cls, content: Any, job: _Job) -> _Candidate:
        """A candidate by itself."""
        return cls(0, job, job.settings, content)

    @classmethod
    def of_entry(cls, entry: _Entry, job: _Job, settings: Callable[[Target, str | None], Settings]) -> _Candidate:
        """A candidate as it came. settings: the job's, which are found once for all of a batch."""
        candidate = cls(entry.place, job, settings, entry.content, entry.is_bytes, entry.key, entry.name)
        if isinstance(entry.content, PredictorError):
            candidate.error = str(entry.content)
        if job.disk is not None and not candidate.key and isinstance(entry.content, (str, Path)):
            candidate.key = _spec_key(str(entry.content))
        if candidate.key:
            candidate.key = _full_key(candidate.key, job)
        return candidate

    def program(self, target: Target) -> tuple[_Candidate, Settings, StoredProgram] | None:
        """What it is on a GPU and under a runtime; None where there is nothing to price, and it is noted why."""
        if self.error or self.over_budget:
            return None
        try:
            with self.noting():
                chosen, program = self._program(target)
                reason = program.lowered.program.program.unsupported_reason
                if reason and not chosen.calibration.lanes.serial:
                    raise CannotRunError(reason)
                return self, chosen, program
        except CannotRunError as error:
            self.prices.append(Price(*target, "", NAN, (NAN, NAN), "", NAN, NAN, 0, str(error)))
        return None

    @contextmanager
    def noting(self) -> Iterator[None]:
        """What is raised inside is the candidate's error, but for what is an answer."""
        try:
            yield
        except CannotRunError:
            raise
        except PredictorError as error:
            self.error = str(error)
        except Exception as error:
            self.error = one_line(error)

    def _program(self, target: Target) -> tuple[Settings, StoredProgram]:
        cache, is_asked = self.job.disk, bool(self.job.predictor.dtype)
        if not self.key:
            if isinstance(self._read, _Programs):
                return self._sent(self._read, target)
            assert self.plan  # which may give it a key
        if not self.key or cache is None:
            chosen = self.settings(target, None if is_asked else self.plan.dtype)
            return chosen, stored(self.plan.program(chosen, self.job.batch, self.job.length))
        chosen = self.settings(target, None if is_asked else self._own(cache).dtype)
        name = disk_cache.named(self.key, "program", *_identity(chosen), self.job.batch, self.job.length)
        content = cache.read(name)
        if content is not None:
            own, _, rest = content.partition(_END)
            program = from_bytes(rest)
            if program is not None:
                self._know(_Own.from_bytes(own))
                return chosen, program
        program = stored(self.plan.program(chosen, self.job.batch, self.job.length))
        cache.write(name, _Own(self.plan.dtype, self.name, self.parameters).to_bytes() + _END + to_bytes(program))
        return chosen, program

    def _sent(self, sent: _Programs, target: Target) -> tuple[Settings, StoredProgram]:
        """What was captured where the plan is."""
        self.name = self.name or sent.name
        program = sent.programs[target]
        if isinstance(program, PredictorError):
            raise program
        known = from_bytes(program)
        assert known is not None  # written by this version
        return self.settings(target, known.lowered.dtype), known

    def _own(self, cache: DiskCache) -> _Own:
        """What is asked of the candidate itself, from the cache where it is there."""
        name = disk_cache.named(self.key, "own", self.job.batch, self.job.length)
        content = None if "plan" in self.__dict__ else cache.read(name)
        if content is not None:
            return self._know(_Own.from_bytes(content))
        own = _Own(self.plan.dtype, self.name, self.parameters)
        cache.write(name, own.to_bytes())
        return own

    def _know(self, own: _Own) -> _Own:
        self.name, self.parameters = own.name, own.parameters
        return own

    def add(self, price: Price, batch: int, macs: int) -> None:
        """Note a price."""
        self.prices.append(price)
        self.batch, self.macs = batch, macs
        self.over_budget = self.over_budget or self.job.is_over(price)

    def result(self) -> Result:
        """What became of it."""
        return Result(
            self.index,
            self.name or f"candidate {self.index}",
            self.batch,
            self.macs,
            self.parameters,
            () if self.error else tuple(self.prices),
            self.error,
            self.over_budget,
        )

    @cached_property
    def _read(self) -> Any:
        """The candidate itself."""
        if not self.is_bytes:
            return self.content
        import pickle

        return pickle.loads(self.content)

    @cached_property
    def plan(self) -> Plan:
        """Its plan. Raises whatever its code raises."""
        job, content = self.job, self._read
        if isinstance(content, Plan):
            return self._of_plan(content)
        if isinstance(content, (str, Path)):
            return self._of_spec(str(content))
        if callable(content) and not _is_module(content):
            content = _made(content, job.batch, job.length)
        if not isinstance(content, tuple):
            content = content, job.inputs
        if len(content) != 2 or not _is_module(content[0]):
            raise PredictorError(
                f"a candidate is a function, a module, a pair (module, inputs), a plan or what --model takes, not "
                f"{type(content[0]).__name__}"
            )
        return self._of_module(*content)

    def _of_module(self, module: Any, inputs: Any) -> Plan:
        if inputs is None:
            raise PredictorError(
                f"there are no inputs of {type(module).__name__}: return (module, inputs), or say inputs="
            )
        cache, options = self.job.disk, self.job.predictor.options
        plan = predict.plan(module, inputs, self.name or None, options=options)
        self.name, self.parameters = plan.name, _parameters(module)
        if cache is not None and not self.key:
            from predictor.capture.module_key import module_key

            known = module_key(module, inputs)
            self.key = _full_key(known, self.job) if known else ""
        return self._kept(plan)

    def _of_plan(self, plan: Plan) -> Plan:
        self.name = self.name or plan.name
        return plan

    def _of_spec(self, spec: str) -> Plan:
        """The plan of what ``--model`` takes. Zoo models and ONNX files are known by their content."""
        from predictor.sources import plan_of

        plan = plan_of(spec, self.job.batch, self.job.length, options=self.job.predictor.options)
        self.name = self.name or plan.name
        return plan

    def _kept(self, plan: Plan) -> Plan:
        """The plan, whose graphs are kept on disk."""
        if not self.key or self.job.disk is None or plan.source is None:
            return plan
        return Plan(plan.graphs, _KeptSource(plan.source, self.key, self.job.disk))


def _made(factory: Callable[..., Any], batch: int | None, length: int | None) -> Any:
    """What a factory returns, its weights without data where its code allows that."""
    from predictor.standard_output import to_standard_error

    named = _sizes_of(factory, batch, length)
    with to_standard_error():
        try:
            with weights_on_meta():
                return factory(**named)
        except Exception:  # its code looks at its weights, or it is wrong
            return factory(**named)


def _sizes_of(factory: Callable[..., Any], batch: int | None, length: int | None) -> dict[str, int]:
    """The arguments that a factory takes: ``batch``, or what else it needs, and ``length``."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # a callable of an extension
        return {}
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    sizes: dict[str, int] = {}
    for name, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind in kinds
        if name == "length":
            given, usual = length, TOKENS
        elif name == "batch" or (needed and name == next(iter(parameters))):
            given, usual = batch, 1
        else:
            continue
        if given is not None or needed:
            sizes[name] = given or usual
    return sizes


def _parameters(module: Any) -> int:
    """Elements of a module's parameters, shared ones once."""
    from torch.nn.parameter import Parameter, is_lazy

    parameters = module.parameters()
    return sum(p.numel() for p in parameters if type(p) is Parameter or not is_lazy(p))


# the cache of plans


class _Own(NamedTuple):
    """What is known of a candidate whatever it is priced for."""

    dtype: str | None
    name: str
    parameters: int | None

    def to_bytes(self) -> bytes:
        """As the first line of a file."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> _Own:
        """The inverse."""
        return cls(*msgspec.json.decode(content))


_END = b"\n"  # of what is known of a candidate, in the file of a program


def _identity(chosen: Settings) -> tuple[Any, ...]:
    """What of settings a program depends on."""
    runtime = runtimes.load(chosen.host.runtime)
    target = chosen.target
    mode, generation = runtime.mode_on(target), runtime.generation(target)
    return runtime.name, str(mode), generation, target.is_cpu, chosen.dtype, chosen.multiplied


@remember
def _zoo() -> frozenset[str]:
    return frozenset(models_zoo.names())


def _spec_key(spec: str) -> str:
    """The key of a zoo model or an ONNX file by their content; empty for what runs code, which is known once it is
    built, and for a file whose weights lie elsewhere.
    """
    if spec in _zoo():
        code = Path(models_zoo.__file__).parent / f"{spec.replace('-', '__')}.py"
        paths = [path for path in (models_zoo.graphs(spec), code) if path.is_file()]
    elif spec.endswith(".onnx") and Path(spec).is_file():
        paths = [Path(spec)]
    else:
        return ""
    contents = [path.read_bytes() for path in paths]
    if spec.endswith(".onnx") and b"location" in contents[0]:
        return ""
    return disk_cache.named("spec", spec, *(hashlib.sha256(content).hexdigest() for content in contents))


def _full_key(key: str, job: _Job) -> str:
    """A key with what a capture depends on besides the candidate; empty where somebody added operators, whose code is
    not part of it.
    """
    return "" if ops.is_extended() else disk_cache.named(key, repr(job.predictor.options), _versions())


@remember
def _versions() -> str:
    """What a capture depends on besides the candidate: this program's files, and versions of what it runs."""
    from importlib import metadata

    folder = Path(__file__).parent
    files = sorted(path for suffix in ("*.py", "*.json") for path in folder.rglob(suffix))
    ours = disk_cache.named(*((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files))
    packages = []
    for package in ("torch", "transformers", "onnx", "onnxruntime", "onnxruntime-gpu", "onnxscript", "numpy"):
        try:
            packages.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            packages.append((package, ""))
    return disk_cache.named(ours, packages, sys.version)


@dataclass(frozen=True)
class _KeptSource:
    """A source whose graphs are kept on disk."""

    source: Source
    key: str
    disk: DiskCache

    @property
    def dtype(self) -> str | None:
        """The model's own."""
        return self.source.dtype

    def graph(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        """The graph for a runtime at sizes, see ``plans.Source``."""
        name = disk_cache.named(self.key, "graph", dtype, str(mode), batch, length)
        content = self.disk.read(name)
        kept = GraphSet.from_bytes(content, name).find(dtype, mode, batch, length) if content else None
        if kept is not None:
            return kept
        graph = self.source.graph(dtype, runtime, mode, batch, length)
        sizes = SizeRange(batch, batch, length, length)
        self.disk.write(
            name, GraphSet(graph.name, batch, length).extended(dtype, mode, {(batch, length): graph}, sizes).to_bytes()
        )
        return graph
