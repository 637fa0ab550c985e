"""``nn.Module`` and inputs -> ``Graph``: the operators that eager mode runs, in issue order, without running them.

The module is copied to the meta device (no data, no kernels) and run once under a dispatch mode. Nothing is traced,
so the module takes the branches that it takes in eager mode. Integer and boolean tensors keep their values on the
CPU, so that code which looks at them (``mask.all()``, ``pad_id in input_ids``) finds an answer. The Python that runs
is counted on the way, that of the capture itself left out. The module, its inputs and the process are as before
afterwards (``isolation``, ``stand_ins``); a forward without an end is stopped (``limits``).
"""

from __future__ import annotations

import contextlib
import dis
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch
from torch._compile import _disable_dynamo
from torch._library import simple_registry
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from predictor.capture import (
    assumptions,
    autocast,
    calls,
    capture_mode,
    compiled_frames,
    device_paths,
    higher_order,
    isolation,
    kept,
    layers,
    layouts,
    python_events,
    python_trace,
    redirected,
    shapes,
    signatures,
    threads,
    traced_tensors,
)
from predictor.capture.assumptions import RESTS_ON
from predictor.capture.attention_paths import as_fused, is_padded, math_attention, needs_math, padded_attention
from predictor.capture.calls import (
    DTYPES,
    bind,
    custom_kernel,
    describe,
    explicit_kernel,
    is_composite,
    is_mask,
    is_pointwise,
    is_view,
    name_of,
    selects,
    spec_of,
    tensors_in,
    tensors_within,
    traffic,
)
from predictor.capture.capture_mode import COMPILED_MODES, LIST_CODE, READ_CODE, answering_as, mark_on_host
from predictor.capture.compiled_checks import checked_modules
from predictor.capture.compiled_frames import CompiledFrames, is_left_to_eager_mode
from predictor.capture.device_paths import fused_layers
from predictor.capture.isolation import isolated, seed
from predictor.capture.limits import Limits, Stopped
from predictor.capture.messages import complaint, needs_gradients, refusal
from predictor.capture.origins import file_outside_of_torch
from predictor.capture.placement import (
    NAMING_A_DEVICE,
    asks_for,
    has_known_integers,
    has_known_values,
    has_meta,
    has_real,
    is_on_host,
    named_by_tensor,
    on_one_device,
    placement,
    run_real_or_meta,
    uploaded,
    without_large_values,
)
from predictor.capture.python_events import events_for
from predictor.capture.python_trace import PythonTrace
from predictor.capture.refusals import refused
from predictor.capture.signatures import Keyed, Repeated, Signature, Way
from predictor.capture.stand_ins import (
    MOST_KEPT_ELEMENTS,
    Copies,
    abstract,
    abstract_constant,
    is_scripted,
    modules_in,
    runs_in,
)
from predictor.collection import without_collection
from predictor.errors import PredictorError, one_line
from predictor.graph.inputs import batch_of, call_arguments
from predictor.ops import OPS, operator_of
from predictor.ops.fills import FILLED_LIKE
from predictor.ops.macs import count_macs
from predictor.records import (
    PYTHON_OP,
    READ_AS_LIST,
    READ_BY_OPERATOR,
    SIZES,
    CaptureMode,
    CaptureOptions,
    Graph,
    OpCall,
    Origin,
    PythonWork,
    Trait,
)

_VALUE = "_captured_value"


class _Recorder(TorchDispatchMode):
    """Sees every operator before it is split into parts, notes it, and runs it on the meta device."""

    def __init__(
        self, module: torch.nn.Module, mode: CaptureMode, options: CaptureOptions, copies: Set[int] = frozenset()
    ) -> None:
        """copies: tensors of the capture's own, by identity; the pass may write into them."""
        super().__init__()
        self._mode, self._options = mode, options
        self._owner = object()  # what tensors know this pass by: were it the recorder, it would go in a cycle with them
        self.assumed: dict[str, int] = {}
        self._paths = _paths_in(module)
        self._origins: dict[tuple[str, str, int], Origin] = {}
        self._files: dict[int, tuple[CodeType, str]] = {}  # by the identity of the code that stands in it
        self.calls: list[OpCall | Repeated] = []
        self._ran: list[Any] = []  # operators, the parts of one before it
        self._remembers = signatures.is_on()
        self._context = signatures.context_of(mode, options)
        self._reads_values = False  # what runs was given values of tensors that others of its arguments do not have
        self._way = Way.UNKNOWN  # how the results of the operator were made that has run last
        self._values = 0
        self._watched = 0  # layers that run and may be remembered
        self._log: list[layers.Call | None] = []  # what they have called
        self.learned: dict[layers.Key, tuple[layers.Called, layers.Layer]] = {}
        self.outputs: tuple[int, ...] = ()
        self.inputs: tuple[int, ...] = ()
        self.used: _Copy | None = None  # what has made the pass, where that keeps something for the next
        self.failed: tuple[BaseException | None, str] = (None, "")  # what an operator raised, and the operator
        self._copies = copies
        self._foreign: list[tuple[torch.Tensor, int]] = []  # tensors that no operator of the pass has made, as values
        self._asked: dict[int, tuple[torch.Tensor, int]] = {}  # see ``holder``, by identity
        self._numbers: dict[int, int] = {}  # that those have got since
        self._users: list[tuple[torch.Tensor, int, torch.Tensor]] = []  # those that are no copies: version and values
        self._limits = Limits()
        self._depth = 0
        self.casts = autocast.Casts()
        self._is_cast = False  # autocast has cast the arguments of what is being split: its parts are not cast again
        self._caller: FrameType | None = None  # what called the operator that is no part of another
        self._frames = CompiledFrames(partial(_is_call_of_model, self._paths)) if mode in COMPILED_MODES else None
        self.enters_unknown: Callable[[FrameType], None] = (
            _ignored if self._frames is None else self._frames.enters_unknown
        )  # a function of the pass enters a context that Dynamo does not know
        self._stays_on_device = False  # what is split asked for the device, where known values are kept on the CPU
        self._makes_on_device = False  # what is split has such values, and makes tensors where these are
        self._keeps_values = True  # of tensors that are made of numbers alone
        self.python = PythonTrace(
            [_HIDER],
            _OWN_FILES,
            _MODULE_CODE,
            self._limits.tick,
            compiled_frames.enters_lock if self._frames is not None else None,
            self.enters_unknown,
        )
        self.events = events_for(self.python)

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: torch would put two functions around each call of ``__torch_dispatch__``, see ``_compiler``."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if types:
            if func is _DETACH and tuple(types) == (torch.Tensor,):
                return _held_apart(args[0])
            return NotImplemented  # a tensor that is made of others: it calls the operators on these
        paused = self.events.pause()
        try:
            return self._dispatched(func, args, kwargs)
        finally:
            self.events.resume(paused)

    def _dispatched(self, func: Any, args: Any, kwargs: Any) -> Any:
        self._limits.operator()
        if isinstance(func, HigherOrderOperator):
            return self._higher_order(func, args, kwargs or {})
        caller = sys._getframe(2)
        origin = self._origin(caller)
        if not self._depth:
            self._caller = caller
        if func is _NUMBER and self._mode in _RUNS and _stores(caller):
            return mark_on_host(func(*args, **{**kwargs, "device": torch.device("cpu")}))
        keyed = None
        if self._remembers and not self.casts.enabled and traced_tensors.sizes_given() is None:
            keyed = signatures.keyed(func, args, kwargs, self._context, self._stays_on_device, self._makes_on_device)
            if keyed is not None and (seen := signatures.find(keyed)) is not None:
                results = seen.results_of(func, args, kwargs or {}, keyed.tensors)
                if results is not None:
                    if self._watched and not self._depth:
                        self._log.append(layers.Call(seen, origin.module, keyed.tensors, results))
                    return self._repeated(seen, keyed.tensors, results, origin)
                keyed = None
        policy = None if self._is_cast else self.casts.policy_of(func)
        wanted = layouts.wanted_by(func._schema.name.removeprefix("aten::"), args)
        if policy is None and wanted is None:
            return self._noted(func, args, kwargs or {}, origin, keyed)
        with self:
            if policy is not None:
                func, args, kwargs = self.casts.arguments(policy, func, args, kwargs or {})
            if wanted is not None:
                args = (*(tensor.contiguous(memory_format=wanted) for tensor in args[:2]), *args[2:])
        if not self._depth:
            self._caller = caller
        before, self._is_cast = self._is_cast, self._is_cast or policy is not None
        try:
            return self._noted(func, args, kwargs or {}, origin)
        finally:
            self._is_cast = before

    def _noted(self, func: Any, args: Any, kwargs: Any, origin: Origin, keyed: Keyed | None = None) -> Any:
        """Run an operator on the meta device, its call noted. keyed: if what it gives is to be remembered."""
        first_ran = len(self._ran)
        before = None if keyed is None else self._before(keyed, bind(func, args, kwargs))
        self._depth += 1
        try:
            result, call = self._run(func, args, kwargs)
        except (Exception, Stopped) as error:
            if self.failed[0] is not error:  # the innermost operator is said
                self.failed = (error, func._schema.name.removeprefix("aten::"))
            raise
        finally:
            self._depth -= 1
        self._ran.append(func)
        call = replace(call, op=self._read(call), origin=origin)
        self.calls.append(call)
        met = [] if before is None else self._foreign[before.foreign :]
        if keyed is not None and before is not None and all(t.is_meta for t, _ in met):
            after = signatures.After(
                call,
                result,
                self._way,
                self._values,
                tuple(self._number(t) for t in keyed.tensors),
                tuple(self._number(t) for t in tensors_in(result)),
                tuple(text for text, n in self.assumed.items() for _ in range(n - before.assumed.get(text, 0))),
                tuple(self._ran[first_ran:]),
            )
            signatures.remember(keyed, before, after)
        if not self._depth:  # the parts of an operator are no marks
            self.python.mark()
            self._log.append(None)
            self._follow(call)
        return result

    def _read(self, call: OpCall) -> str:
        """The name of a call: of a read that a trace has, because an operator takes the number, another; of what reads
        a tensor for a list of its values.
        """
        if self._caller is not None and self._caller.f_code is LIST_CODE and not self._depth:
            return READ_AS_LIST
        is_one = self._mode is CaptureMode.TRACED and call.op == "item" and not self._depth
        by_python = self._caller is not None and self._caller.f_code is READ_CODE
        return READ_BY_OPERATOR if is_one and not by_python else call.op

    def _follow(self, call: OpCall) -> None:
        """Note from where an operator was called, where that decides what is compiled."""
        if self._frames is not None:
            self._frames.called(call, self._caller)

    def layer(self, module: torch.nn.Module, value: Any, run: Callable[..., Any]) -> Any:
        """What a module gives that is called with one value. run: torch's call of it."""
        called = self.known(module, value)
        if isinstance(called, _Done):
            return called.result
        if called is None or called.key in self.learned:
            return run(module, value)
        self._watched += 1
        first, position = len(self._log), self.python.position
        try:
            result = run(module, value)
            self.learn(called, result, first, position)
        finally:
            self._watched -= 1
            if not self._watched:
                self._log.clear()
        return result

    def known(self, module: torch.nn.Module, value: Any) -> _Done | layers.Called | None:
        """What a layer gives that did the same before; else what it is, None for one that may do anything."""
        paused = self.events.pause()
        try:
            return self._known(module, value, sys._getframe(3))
        finally:
            self.events.resume(paused)

    def _known(self, module: torch.nn.Module, value: Any, caller: FrameType) -> _Done | layers.Called | None:
        path = self._paths.get(id(module))
        if not path or not self._remembers or self.casts.enabled or self._depth or self._stays_on_device:
            return None
        called = layers.called(module, value, self._context)
        if called is None or not all(id(child) in self._paths for child in called.modules):
            return None
        layer = layers.find(called)
        if layer is None:
            return called
        return _Done(self._again(called, layer, path, caller))

    def _again(self, called: layers.Called, layer: layers.Layer, path: str, caller: FrameType) -> torch.Tensor:
        """The calls of a layer that did the same before; what it returns."""
        first = self._origin(caller, path)
        origins = [first if child is called.modules[0] else self._at(child, first) for child in called.modules]
        if self._frames is not None:
            self._frames.again(len(layer.steps), caller)
        own = len(called.tensors)
        held = [0] * layer.tensors  # the values that tensors hold, 0: not asked for yet

        def hold(number: int) -> int:
            held[number] = self._number(called.tensors[number])
            return held[number]

        self._limits.operator(layer.operators)
        for seen, module, given, results in layer.steps:
            input_ids = tuple([held[given[i]] or hold(given[i]) for i in seen.inputs])
            before = self._values
            self._values += seen.values
            for assumption in seen.assumed:
                self._assume(assumption)
            self._ran += seen.operators
            for number, result in zip(results, seen.results, strict=True):
                if result.made:
                    held[number] = before + result.number
                else:
                    held[number] = held[given[result.number]] or hold(given[result.number])
                if number < own:
                    called.tensors[number].__dict__[_VALUE] = self._owner, held[number]
            self.calls.append(Repeated(seen, input_ids, before, origins[module]))
        tensors: list[Any] = [*called.tensors, *([None] * (layer.tensors - own))]
        if layer.made:
            with torch._C._DisableTorchDispatch():
                for number, how, of in layer.made:
                    made = tensors[number] = how.of([tensors[place] for place in of])
                    made.__dict__[_VALUE] = self._owner, held[number]
        if self._watched:
            seen_by_none = [object() if tensor is None else tensor for tensor in tensors]
            for seen, module, given, results in layer.steps:
                operands, gave = ([seen_by_none[number] for number in numbers] for numbers in (given, results))
                self._log.append(layers.Call(seen, origins[module].module, operands, gave))
        self.python.repeat(layer.ran, list(map(id, called.modules)))
        self.python.codes.update(layer.codes)
        return tensors[layer.result]

    def _at(self, child: torch.nn.Module, other: Origin) -> Origin:
        """The origin of a call in a module from the same line as another."""
        place = self._paths[id(child)], other.file, other.line
        origin = self._origins.get(place)
        if origin is None:
            origin = self._origins[place] = Origin(*place)
        return origin

    def learn(self, called: layers.Called, result: Any, first: int, position: int) -> None:
        """Note what a layer has done, since so many calls and so much Python."""
        paused = self.events.pause()
        ran = self.python.since(position, list(map(id, called.modules)))
        layer = layers.learned(called, result, self._log[first:], ran, self.python.codes, self._paths)
        if layer is not None:
            self.learned[called.key] = called, layer
        self.events.resume(paused)

    def _before(self, keyed: Keyed, bound: Mapping[str, Any]) -> signatures.Before:
        """What there is before a call that is to be remembered; the values of its arguments get their numbers."""
        for tensor in tensors_in(*bound.values()):
            self._number(tensor)
        numbers = tuple(self._number(tensor) for tensor in keyed.tensors)
        return signatures.Before(
            numbers, signatures.specs_of(keyed.tensors), self._values, len(self._foreign), dict(self.assumed)
        )

    def _repeated(
        self, seen: Signature, tensors: Sequence[torch.Tensor], results: Sequence[torch.Tensor], origin: Origin
    ) -> Any:
        """What a call gives whose signature was seen before; its call is noted."""
        self._limits.operator(len(seen.operators) - 1)
        input_ids = tuple([self._number(tensors[place]) for place in seen.inputs])
        first = self._values
        self._values += seen.values
        for assumption in seen.assumed:
            self._assume(assumption)
        self._ran += seen.operators
        for tensor, result in zip(results, seen.results, strict=True):
            number = first + result.number if result.made else self._number(tensors[result.number])
            tensor.__dict__[_VALUE] = (self._owner, number)
        call = Repeated(seen, input_ids, first, origin)
        if self._depth:
            self.calls.append(call.call())
        else:
            self.calls.append(call)
            self.python.mark()
            if self._frames is not None:
                self._follow(call.call())
        return results[0] if seen.container is None else seen.container(results)

    @property
    def operators(self) -> dict[int, Any]:
        """Operators that ran, by identity."""
        return {id(func): func for func in self._ran}

    def _higher_order(self, func: HigherOrderOperator, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """An operator that takes functions: what torch runs for it (a branch, the steps of a loop), attention whose
        scores a function changes.
        """
        with self:
            if func.name() == "flex_attention":
                query, key, value, *_ = args
                grouped = query.shape[-3] != key.shape[-3]
                attended = torch.nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=grouped)
                sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
                self._assume(assumptions.ALL_BLOCKS)
                return attended, sums, sums
            as_run = higher_order.steps_of(func)
            if as_run is not None:
                return as_run(*args, **kwargs)
        raise Stopped(f"torch.{func.name()} is not modelled: write out what it runs")

    def function(self, of: type, run: Callable[[], Any], args: Sequence[Any]) -> Any:
        """What a function gives that has a gradient of its own: in a trace one call, which runs its Python anew in
        every pass (``PythonOp`` in torch/csrc/jit/python/python_ir.h).
        """
        if self._depth:
            return run()
        caller = sys._getframe(2)
        input_ids = tuple(self._number(tensor) for tensor in tensors_in(*args))
        outer, self.calls = self.calls, []
        self._depth += 1
        try:
            result = run()
        finally:
            self._depth -= 1
            parts, self.calls = self.calls, outer
        self.aside(lambda: self._called(of, args, input_ids, parts, result, caller))
        return result

    def _called(
        self,
        of: type,
        args: Sequence[Any],
        input_ids: tuple[int, ...],
        parts: Sequence[OpCall | Repeated],
        result: Any,
        caller: FrameType,
    ) -> None:
        """Note the call of a function in Python."""
        call = OpCall(
            PYTHON_OP,
            {"function": of.__name__, **{str(position): describe(value) for position, value in enumerate(args)}},
            tuple(map(spec_of, tensors_in(result))),
            Trait.OPAQUE,
            parts=tuple(part for part in parts if isinstance(part, OpCall)),
            input_ids=input_ids,
            output_ids=tuple(map(self._number, tensors_in(result))),
            origin=self._origin(caller),
        )
        read, written = traffic(call)
        macs = sum(part.macs * part.times for part in call.parts)
        self.calls.append(replace(call, macs=macs, bytes_read=read, bytes_written=written))
        self.python.mark()
        self._log.append(None)

    def aside(self, work: Callable[[], Any]) -> Any:
        """What work gives that is none of the pass."""
        paused = self.events.pause()
        try:
            return work()
        finally:
            self.events.resume(paused)

    def _origin(self, frame: FrameType | None, path: str | None = None) -> Origin:
        """The module and the line that a call comes from, seen from the frame below the recorder's; what called the
        model itself is no part of it. path: of the module, where that is known.
        """
        file, line = "", 0
        while frame is not None and (path is None or not file):
            code = frame.f_code
            if code is _MODULE_CODE:
                called = self._paths.get(id(frame.f_locals["self"]))
                path = called if path is None else path
                if called == "":
                    break
            elif not file:
                known = self._files.get(id(code))
                if known is None:
                    known = self._files[id(code)] = code, file_outside_of_torch(code)
                file = known[1]
                line = frame.f_lineno if file else 0
            frame = frame.f_back
        place = path or "", file, line
        origin = self._origins.get(place)
        if origin is None:
            origin = self._origins[place] = Origin(*place)
        return origin

    def _run(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, OpCall]:
        name = name_of(func)
        trait = operator_of(name, is_pointwise(func), is_view(func) and not is_composite(func)).trait
        where = placement(name, args, kwargs)
        if where == "download" and self._stays_on_device:
            where = "device"
        made_there = self._makes_on_device
        if where == "host" and made_there and asks_for("cpu", args, kwargs):
            where = "factory"
        self._makes_on_device = where in ("device", "factory") and (made_there or has_real(args, kwargs))
        stayed = self._stays_on_device
        other = named_by_tensor(name, args)
        goes_there = asks_for("meta", args, kwargs) or (other is not None and not is_on_host(other))
        self._stays_on_device = stayed or goes_there
        bound = bind(func, args, kwargs)
        if reason := refused(func, tensors_in(*bound.values())):
            raise Stopped(reason)
        described = {name: describe(value) for name, value in bound.items()}
        input_ids = tuple(self._number(t) for t in tensors_in(*bound.values()))
        rests_on = next((getattr(t, RESTS_ON) for t in tensors_in(*bound.values()) if hasattr(t, RESTS_ON)), "")
        given = args, kwargs
        outer_reads, self._reads_values = self._reads_values, False
        way = Way.BY_SPECS
        args, kwargs = on_one_device(args, kwargs)
        args, kwargs = without_large_values(func, trait, args, kwargs)
        parts: tuple[OpCall, ...] = ()
        self._assume(device_paths.assumed(name, given[0]))
        on_device = device_paths.parts_of(name, self._mode, given[0]) if where == "device" else None
        if where == "download":
            name, trait, result = f"{name} device", Trait.SYNC, self._downloaded(args[0], kwargs)
        elif where == "upload":
            result = uploaded(func(*args, **kwargs))
            nothing = not result.numel()  # to copy, or to wait for
            name = "to" if name in NAMING_A_DEVICE else name
            name, trait = ("to", Trait.VIEW) if nothing else (f"{name} device", Trait.SYNC)
        elif where == "host":
            trait, result = Trait.HOST, mark_on_host(func(*args, **kwargs))
        elif name == "scaled_dot_product_attention" and needs_math(described):
            name, trait = "_scaled_dot_product_attention_math", Trait.COMPOSITE
            result, parts = self._split(math_attention, args, kwargs)
        elif name == "scaled_dot_product_attention" and is_padded(described):
            name, trait = "_scaled_dot_product_flash_attention", Trait.COMPOSITE
            result, parts = self._split(padded_attention, args, kwargs)
        elif on_device is not None:
            trait = Trait.COMPOSITE if custom_kernel(func) is None else Trait.OPAQUE
            self._reads_values = True
            result, parts = self._split(on_device, *given)
        elif selects(name, bound):
            trait = Trait.COMPOSITE
            self._reads_values = True
            result, parts = self._selected(func, name, *given)
        elif trait is Trait.UNMODELLED and is_composite(func):
            trait = Trait.COMPOSITE
            keeps_values = name in assumptions.SIZED_BY_VALUES or name in assumptions.SHAPED_LIKE
            result, parts = self._split_known(func.decompose, given, (args, kwargs), keeps_values)
        elif trait is Trait.UNMODELLED and (explicit := explicit_kernel(func)) is not None:
            self._makes_on_device = False  # its kernel may make tensors on the host
            result, parts = self._split_explicit(func, explicit, given, (args, kwargs))
            trait = Trait.COMPOSITE if parts else trait
        elif trait is Trait.UNMODELLED and (custom := custom_kernel(func)) is not None:
            result, parts = self._split_custom(func, custom, given, (args, kwargs))
            trait = Trait.OPAQUE if parts else trait
        else:
            way = Way.AS_GIVEN if args is given[0] and kwargs is given[1] and not has_meta(*given) else way
            result = layouts.result_of(name, args, self._computed(func, name, bound, args, kwargs, given))
            if name == "scaled_dot_product_attention":
                result = as_fused(result)
            if (where == "factory" and self._keeps_values and has_known_values(name, result)) or (
                name in FILLED_LIKE and result.is_meta and has_known_integers(result)
            ):
                result = func(*args, **{**kwargs, "device": torch.device("cpu")})
                way = Way.ON_CPU
            if func._schema.is_mutable and where == "device":
                self._reads_values = True
                result = self._written(given[0], result)
        self._stays_on_device, self._makes_on_device = stayed, made_there
        if reason := refused(func, tensors_in(result)):
            raise Stopped(reason)
        settled = assumptions.either(name, given[0]) if where == "device" else None
        result = result if settled is None else settled
        by_values = self._reads_values or name in assumptions.SETTLED
        self._way = Way.UNKNOWN if by_values and has_real(*given) else way
        self._reads_values = outer_reads
        result = self._with_assumed_values(name, bound, result, rests_on)
        outputs = tuple(spec_of(t) for t in tensors_in(result))
        answer = OPS[name].healthy_answer if name in OPS else None
        if answer is not None and result.is_meta:
            result = torch.tensor(answer).expand(result.shape)
        output_ids = tuple(self._number(t, new=not parts and trait is not Trait.COMPOSITE) for t in tensors_in(result))
        call = OpCall(name, described, outputs, trait, parts=parts, input_ids=input_ids, output_ids=output_ids)
        read, written = traffic(call)
        call = replace(call, macs=count_macs(call), bytes_read=read, bytes_written=written)
        sizes = traced_tensors.sizes_given() if operator_of(name).trait is Trait.FILL else None
        return result, call if sizes is None else _with_sizes(call, sizes)

    def _computed(
        self, func: Any, name: str, bound: Mapping[str, Any], args: Any, kwargs: Any, given: tuple[Any, Any]
    ) -> Any:
        """What an operator gives: on the CPU or on meta; an assumption where only values would say it."""
        if name in device_paths.SHAPES:
            return device_paths.SHAPES[name](*args, **kwargs)
        rule = shapes.RULES.get(func) if self._remembers else None
        if rule is not None and (result := rule(*args, **kwargs)) is not None:
            return result
        unknown = [t for t in tensors_in(*bound.values()) if t.is_meta]
        if name in assumptions.DECIDED and unknown:
            self._reads_values = True
            decision = assumptions.DECIDED[name]
            self._assume(decision.assumption(self._options, unknown[0]))
            return decision.result(self._options, *args, **kwargs)
        try:
            return run_real_or_meta(func, args, kwargs)
        except (RuntimeError, NotImplementedError):
            if not (has_real(*given) and unknown):
                raise
            self._reads_values = True
            return func(*given[0], **given[1])  # it reads sizes from tensors on the CPU

    def _with_assumed_values(self, name: str, bound: Mapping[str, Any], result: Any, rests_on: str) -> Any:
        """The result, integers that stand for choices with values; note what the values of others rest on."""
        if rests_on and (name in assumptions.DECIDED or name in assumptions.COUNTING):
            self._assume(rests_on)
        if name in assumptions.CHOICES and any(t.is_meta for t in tensors_in(*bound.values())):
            result = assumptions.with_values(name, bound, result)
        for tensor in tensors_in(result) if rests_on else ():
            if not tensor.is_meta:
                setattr(tensor, RESTS_ON, rests_on)
        return result

    def _written(self, args: Any, result: Any) -> Any:
        """The result of a write. A mask with known values that takes values which nobody computes is true everywhere:
        left as it is it would select what it did before.
        """
        target = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if target is None or target.is_meta or target.dtype != torch.bool:
            return result
        if not any(t.is_meta for arg in args[1:] for t in tensors_in(arg)):
            return result
        self._assume(assumptions.HOLDS)
        target.fill_(True)
        return target

    def _assume(self, assumption: str) -> None:
        if assumption:
            self.assumed[assumption] = self.assumed.get(assumption, 0) + 1

    def _downloaded(self, tensor: torch.Tensor, kwargs: Mapping[str, Any]) -> torch.Tensor:
        """A copy on the host; of numbers that nobody computes: ones."""
        if not tensor.is_meta:
            known: torch.Tensor = mark_on_host(tensor.to(kwargs.get("dtype") or tensor.dtype, copy=True))
            return known
        self._assume(assumptions.ONE)
        dtype = kwargs.get("dtype") or tensor.dtype
        copied: torch.Tensor = mark_on_host(torch.ones((), dtype=dtype).expand(tensor.shape).contiguous())
        return copied

    def _selected(self, func: Any, name: str, args: Any, kwargs: Any) -> tuple[Any, tuple[OpCall, ...]]:
        """Reads or writes where masks are true: the places are found first, the host waits for how many there are."""
        calls: list[OpCall] = []

        def run(operator: Any, *operands: Any) -> Any:
            result, call = self._run(operator, operands, {})
            calls.append(call)
            return result

        def columns(mask: torch.Tensor) -> list[torch.Tensor]:
            places = run(torch.ops.aten.nonzero.default, mask)
            return [places[:, dim] for dim in range(mask.dim())]

        x, *rest = args
        if name == "masked_select":
            mask = rest[0].expand(torch.broadcast_shapes(rest[0].shape, x.shape))
            result = run(torch.ops.aten.index.Tensor, x.expand(mask.shape), columns(mask))
            return result, tuple(calls)
        indices: list[Any] = []
        for index in rest[0]:
            indices += columns(index) if is_mask(index) else [index]
        return run(func, x, indices, *rest[1:]), tuple(calls)

    def _split_known(
        self, run: Any, given: tuple[Any, Any], on_one_device: tuple[Any, Any], needs_values: bool
    ) -> tuple[Any, tuple[OpCall, ...]]:
        """Parts of a composite operator; where it needs values that are known they stay on the CPU."""
        first, second = (given, on_one_device) if needs_values else (on_one_device, given)
        self._reads_values = needs_values
        try:
            return self._split(run, *first)
        except (RuntimeError, NotImplementedError):
            if not has_real(*given):
                return self._split_without_values(run, given)
            self._reads_values = True
            return self._split(run, *second)

    def _split_without_values(self, run: Any, given: tuple[Any, Any]) -> tuple[Any, tuple[OpCall, ...]]:
        """Parts of a composite operator that compares the devices of what it makes with those of what it is given."""
        before = self._keeps_values, self._remembers
        self._keeps_values = self._remembers = False
        try:
            return self._split(run, *given)
        finally:
            self._keeps_values, self._remembers = before

    def _split_explicit(
        self, func: Any, kernel: Any, given: tuple[Any, Any], on_one_device: tuple[Any, Any]
    ) -> tuple[Any, tuple[OpCall, ...]]:
        """Parts of an operator whose one kernel for all devices is made of other operators; none where that fails."""
        try:
            return self._split_known(kernel, given, on_one_device, needs_values=True)
        except (RuntimeError, NotImplementedError):
            return run_real_or_meta(func, *on_one_device), ()

    def _split_custom(
        self, func: Any, kernel: Any, given: tuple[Any, Any], on_one_device: tuple[Any, Any]
    ) -> tuple[Any, tuple[OpCall, ...]]:
        """Parts of a custom operator that is written in Python; none where it runs what is no operator."""
        self._reads_values = True
        try:
            return self._split(kernel, *given)
        except Exception:
            return run_real_or_meta(func, *on_one_device), ()

    def _number(self, tensor: torch.Tensor, new: bool = False) -> int:
        """The number of the value that a tensor holds. new: it holds another one now."""
        owner, number = getattr(tensor, _VALUE, (None, 0))
        if new or owner is not self._owner:
            number = self._values = self._values + 1
            setattr(tensor, _VALUE, (self._owner, number))
            if not new:
                self._meet(tensor)
        return number

    def holder(self, tensor: torch.Tensor) -> int:
        """The number of the value that a tensor holds, for one whose size is asked for; a negative one, until the graph
        is made, where no operator has read it before.
        """
        owner, number = getattr(tensor, _VALUE, (None, 0))
        asked = self._asked.get(id(tensor))
        if asked is None and owner is not self._owner:
            asked = self._asked[id(tensor)] = tensor, ~len(self._asked)
        if asked is None or (owner is self._owner and self._numbers.get(asked[1]) != number):
            return int(number)
        return asked[1]

    def _meet(self, tensor: torch.Tensor) -> None:
        """Note a tensor that no operator of the pass has made; and its values, where it may be a user's (a global)."""
        self._foreign.append((tensor, self._values))
        if id(tensor) in self._asked:
            self._numbers[self._asked[id(tensor)][1]] = self._values
        if self._frames is not None and not tensor.is_meta and id(tensor) not in self._copies:
            self._frames.makes(self._values)
        if tensor.is_meta or id(tensor) in self._copies or tensor.numel() > MOST_KEPT_ELEMENTS:
            return
        if tensor.layout is torch.strided and not tensor.is_inference():
            self._users.append((tensor, tensor._version, tensor.clone()))

    @property
    def waits(self) -> int:
        """Calls that wait for the device."""
        return sum(isinstance(call, OpCall) and call.trait is Trait.SYNC for call in self.calls)

    def returns(self, tensors: list[torch.Tensor], given: list[torch.Tensor]) -> None:
        """Note what the pass returned, and what it was given and has read."""
        self.outputs = tuple(self._number(tensor) for tensor in tensors)
        met = {id(tensor): number for tensor, number in self._foreign}
        self.inputs = tuple(met[id(tensor)] for tensor in given if id(tensor) in met)

    def forget(self) -> None:
        """Take the numbers off tensors that may be a user's, and give back the values that the pass wrote over."""
        for asked, placeholder in self._asked.values():
            if placeholder not in self._numbers:
                self._number(asked)
        self._asked.clear()
        for tensor, version, values in self._users:
            if tensor._version != version:
                tensor.detach().copy_(values)
        self._users.clear()
        self._caller = None
        if self._frames is not None:
            self._frames.forget()
        for tensor, _ in self._foreign:
            if hasattr(tensor, _VALUE):
                delattr(tensor, _VALUE)
        self._foreign.clear()

    def _split(self, run: Any, args: Any, kwargs: Any) -> tuple[Any, tuple[OpCall, ...]]:
        outer, self.calls = self.calls, []
        try:
            with self:
                result = run(*args, **kwargs)
            return result, tuple(call for call in self.calls if isinstance(call, OpCall))
        finally:
            self.calls = outer

    def _settled(self, call: OpCall) -> OpCall:
        """A call with the numbers that values have got since."""
        if SIZES not in call.args and not call.parts:
            return call
        input_ids = tuple(self._numbers.get(value, value) for value in call.input_ids)
        return replace(call, input_ids=input_ids, parts=tuple(map(self._settled, call.parts)))

    def graph(self, name: str, dtype: str, batch: int) -> Graph:
        """What was seen, the Python between two operators given to the second."""
        *before, tail = self.python.work([call.op for call in self.calls])
        before += [PythonWork()] * (len(self.calls) - len(before))  # where a library has taken the hook away
        calls = tuple(
            call.call(work) if isinstance(call, Repeated) else replace(call, python=work)
            for call, work in zip(self.calls, before, strict=True)
        )
        calls = tuple(self._settled(call) for call in calls) if self._numbers else calls
        calls = calls if self._frames is None else self._frames.marked(calls)
        known = versions(), self.outputs, tuple(self.assumed), self.inputs
        return Graph(name, calls, dtype, batch, tail, self.python.module_calls, *known)


def _with_sizes(call: OpCall, sizes: Sequence[Any]) -> OpCall:
    """A call that makes a tensor of numbers, given these sizes of a trace."""
    values = {value: spec_of(tensor) for size in sizes for value, tensor in size.values.items()}
    noted = {**call.args, SIZES: (*values.values(), *(size.number for size in sizes))}
    return replace(call, args=noted, input_ids=(*call.input_ids, *values))


def _is_call_of_model(paths: Mapping[int, str], frame: FrameType) -> bool:
    """Whether a frame is the call of the model itself. paths: see ``_paths_in``."""
    return frame.f_code is _MODULE_CODE and paths.get(id(frame.f_locals["self"])) == ""


def _ignored(frame: FrameType) -> None:
    """Whom nobody asks for frames tells of them."""


def _paths_in(module: torch.nn.Module) -> dict[int, str]:
    """Where a module and all in it stand, the first of several places, by identity: as ``Module.named_modules``."""
    paths: dict[int, str] = {}
    waiting = [("", module)]
    while waiting:
        path, child = waiting.pop()
        if id(child) not in paths:
            paths[id(child)] = path
            below = f"{path}." if path else ""
            waiting += [
                (below + name, part) for name, part in reversed(list(child._modules.items())) if part is not None
            ]
    return paths


class _Done(NamedTuple):
    """What a layer gives that did the same before."""

    result: torch.Tensor


_DETACH = torch.ops.aten.detach.default

_NUMBER = torch.ops.aten.scalar_tensor.default

_RUNS = frozenset({CaptureMode.EAGER, CaptureMode.CAPTURED})
"""Modes in which Python runs in every pass."""


def _stores(caller: FrameType) -> bool:
    """Whether Python assigns to a part of a tensor. A number that it assigns to one on a GPU is a tensor of the host
    that no operator makes, and whose value the kernel is given (THPVariable_setitem in
    torch/csrc/autograd/python_variable_indexing.cpp, scalarToTensor in aten/src/ATen/TensorIndexing.h).
    """
    return dis.opname[caller.f_code.co_code[caller.f_lasti]] in ("STORE_SUBSCR", "STORE_SLICE")


def _held_apart(tensor: torch.Tensor) -> torch.Tensor:
    """What torch gives of a tensor that was just made, by ``arange`` say, and that something holds already: the same
    value, and no call of the model's.
    """
    apart = tensor.detach()
    vars(apart).update(vars(tensor))
    return apart


@contextlib.contextmanager
def _known_layers(recorder: _Recorder) -> Iterator[None]:
    """Layers whose like was called before are not run."""
    run: Callable[..., Any] = torch.nn.Module.__call__

    def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and layers.is_candidate(module) and isolation.is_capturing():
            return recorder.layer(module, args[0], run)
        return run(module, *args, **kwargs)

    torch.nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.nn.Module.__call__ = run  # type: ignore[method-assign]


@contextlib.contextmanager
def _traced_functions(recorder: _Recorder) -> Iterator[None]:
    """Functions with gradients of their own are one call each."""
    apply = vars(torch.autograd.Function)["apply"]

    def applied(of: type, *args: Any, **kwargs: Any) -> Any:
        def run() -> Any:
            return apply.__func__(of, *args, **kwargs)

        return recorder.function(of, run, args) if isolation.is_capturing() else run()

    torch.autograd.Function.apply = classmethod(applied)  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.autograd.Function.apply = apply  # type: ignore[method-assign]


_HIDER = _disable_dynamo(lambda: None).__code__
"""Torch's function around what it hides from its compiler."""

_compiler = torch._C._dynamo.eval_frame
_compiler.set_code_exec_strategy(
    _Recorder.__torch_dispatch__.__code__,
    _compiler._FrameExecStrategy(_compiler._FrameAction.SKIP, _compiler._FrameAction.SKIP),
)  # torch.compile leaves the recorder, and all that it calls, as they are


_MODULE_CODE = torch.nn.Module._call_impl.__code__


_DISPATCH_FILE = simple_registry.__file__  # looks for a mode's rules before every operator; eager mode does not


_OWN_FILES = frozenset(
    [
        _DISPATCH_FILE,
        __file__,
        *(
            str(module.__file__)
            for module in (
                *(
                    assumptions,
                    autocast,
                    calls,
                    capture_mode,
                    device_paths,
                    higher_order,
                    isolation,
                    kept,
                    layouts,
                    redirected,
                ),
                *(compiled_frames, layers, python_events, python_trace, shapes, signatures, threads, traced_tensors),
            )
        ),
        *(
            f"{Path(torch.__file__).parent / file}"
            for file in ("_dynamo/mutation_guard.py", "_dynamo/utils.py", "utils/_config_module.py")
        ),
    ]
)
"""Files whose Python is none of the pass: the capture's own, and what torch.compile does, once it is imported, to every
module that is made; its settings, which each thread looks up for the first time.
"""


_WARM: dict[CaptureMode, weakref.WeakValueDictionary[int, Any]] = {
    mode: weakref.WeakValueDictionary() for mode in CaptureMode
}
"""Code and operators that have run in a capture of this process, by identity: their first run fills caches, with Python
calls that no later has. An entry goes with the code: a model's is free to.
"""


def versions() -> dict[str, str]:
    """Versions of the packages that shape a graph."""
    package_versions = {"torch": torch.__version__, "python": ".".join(map(str, sys.version_info[:3]))}
    transformers = sys.modules.get("transformers")
    if transformers is not None:
        package_versions["transformers"] = transformers.__version__
    return package_versions


def capture(
    module: torch.nn.Module,
    inputs: Any,
    dtype: str = "fp32",
    name: str | None = None,
    mode: CaptureMode = CaptureMode.EAGER,
    options: CaptureOptions | None = None,
) -> Graph:
    """Capture one forward pass in inference mode.

    module: in any dtype and on any device, it is not changed. inputs: a tensor, a tuple or a mapping, shapes give batch
    and length. dtype: what it would run in ("fp32", "tf32", "fp16", "bf16"). mode: what the model's code is told of the
    runtime that it runs under. options: how it is captured. Captures of several threads wait for one another. Raises
    PredictorError where the module does not accept the inputs, fails, or does not end (``limits``).

    >>> capture(torch.nn.Linear(8, 4), torch.empty(2, 8)).macs
    64
    """
    if not isinstance(module, (torch.nn.Module, torch.export.ExportedProgram)):
        raise PredictorError(f"a model is a torch.nn.Module, not {type(module).__name__}")
    kind = type(module).__name__
    try:
        batch = batch_of(inputs)
    except PredictorError:
        raise
    except Exception as error:
        raise PredictorError(f"the inputs of {kind} have no batch size: {one_line(error)}") from error
    # finalizers and callbacks of a collection are no part of the pass
    with isolated(DTYPES[dtype]), without_collection():
        if isinstance(module, torch.export.ExportedProgram):
            module = module.module()
        user = _Pass(module, inputs, mode, dtype, options or CaptureOptions())
        graph = _recorded(user).graph(name or kind, dtype, batch)
        if is_left_to_eager_mode(graph.calls):  # whose code is told so
            eager = _recorded(replace(user, mode=CaptureMode.EAGER)).graph(name or kind, dtype, batch)
            graph = replace(eager, calls=(graph.calls[0], *eager.calls))
        graph = replace(graph, checked_modules=checked_modules(module))
    if any(isinstance(child, _DIFFER_IN_TRAINING) and child.training for child in user.modules):
        return replace(graph, assumptions=(*graph.assumptions, assumptions.EVALUATION))
    return graph


class _Copy(NamedTuple):
    """A copy of a module and of its arguments. tensors: those that they hold, by identity."""

    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: Set[int]


_DIFFER_IN_TRAINING = (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._NormBase)


@dataclass(frozen=True)
class _Pass:
    """What is captured and how: a user's module and inputs, which stay as they are. inference: in inference mode, which
    a module that takes gradients in its forward does not run in.
    """

    module: torch.nn.Module
    inputs: Any
    mode: CaptureMode
    dtype: str
    options: CaptureOptions
    inference: bool = True

    @cached_property
    def modules(self) -> list[torch.nn.Module]:
        """The module and those in it."""
        return modules_in(self.module)

    def copied(self) -> _Copy:
        """Copies for one pass, which may change them."""
        dtype = DTYPES[self.dtype]
        copies, stand_in = Copies(), partial(abstract, dtype=dtype)
        weight = partial(abstract, dtype=None if runs_in(self.modules, dtype) else dtype)
        if self.options.channels_last:
            stand_in, weight = (partial(layouts.channels_last_copy, copied) for copied in (stand_in, weight))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                copy = copies.module(self.modules, weight, abstract_constant)
                args, kwargs = copies.of(call_arguments(self.inputs), stand_in)
        except PredictorError:
            raise
        except Exception as error:
            kind = type(self.module).__name__
            raise PredictorError(f"{kind} or its inputs cannot be copied: {one_line(error)}") from error
        return _Copy(copy, args, kwargs, copies.tensors)

    def with_inputs_of(self, used: _Copy) -> _Copy:
        """A copy of the module that has made a pass, and inputs as they were before."""
        fresh = self.copied()
        return fresh._replace(module=used.module, tensors=fresh.tensors | used.tensors)

    def recorder(self, module: torch.nn.Module, copies: Set[int]) -> _Recorder:
        """What watches a pass of a copy."""
        return _Recorder(module, self.mode, self.options, copies)


def _recorded(user: _Pass) -> _Recorder:
    """A pass in which nothing is run for the first time."""
    layers.check()
    with redirected.watched() as cuda:
        try:
            recorder = _record(user)
        except PredictorError as error:
            if user.inference and needs_gradients(error):
                return _recorded(replace(user, inference=False))
            if not (redirected.names_cuda(error) or cuda.asked):
                raise
            return _record_redirected(user)
    if cuda.asked or any(map(redirected.is_named_in, recorder.python.codes.values())):
        try:
            return _record_redirected(user)
        except PredictorError:  # it does with CUDA what only CUDA can
            return _later(recorder, user)
    for _ in range(MOST_PASSES):
        ran = recorder.operators | recorder.python.codes
        if all(identity in _WARM[user.mode] for identity in ran):
            layers.remember(recorder.learned.values())
            break
        _WARM[user.mode].update(ran)
        recorder = _record(user)
    return _later(recorder, user)


def _record_redirected(user: _Pass) -> _Recorder:
    with redirected.to("meta"):
        _record(user, redirected.CUDA)
        return _later(_record(user, redirected.CUDA), user, redirected.CUDA)


def _later(first: _Recorder, user: _Pass, device: torch.device = capture_mode.META) -> _Recorder:
    """What later passes run, where the first has made what it keeps for them."""
    if first.used is None or user.mode in kept.OF_THE_FIRST_PASS:
        return first
    try:
        _record(user, device, first.used)  # what it runs in place of that may run for the first time
        second = _record(user, device, first.used)
    except PredictorError:
        return first
    return min(first, second, key=lambda made: (len(made.calls), made.waits))


MOST_PASSES = 4
"""Passes until no code runs for the first time: what a library has cached in one leads to other code in the next."""

SCRIPT_PASSES = 2
"""Passes after which torch.jit has optimised a graph, which compares its constants."""


def _optimise(module: torch.nn.Module, user: _Pass) -> None:
    """Run a scripted module until its graph is what it stays."""
    for _ in range(SCRIPT_PASSES):
        _, args, kwargs, copies = user.copied()
        recorder = user.recorder(module, copies)
        cast = autocast.in_effect(user.options.autocast, recorder.casts)
        with recorder, cast, fused_layers(user.mode), answering_as(user.mode, recorder.holder):
            module(*args, **kwargs)


def _record(user: _Pass, device: torch.device = capture_mode.META, used: _Copy | None = None) -> _Recorder:
    """One pass of a copy. device: what its device is called; used: a copy that has made a pass. Raises PredictorError,
    whatever the module raises.
    """
    copied = user.copied() if used is None else user.with_inputs_of(used)
    module, args, kwargs, copies = copied
    recorder, rooms = user.recorder(module, copies), kept.Kept(module)
    seed()
    try:
        with torch.inference_mode(user.inference), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_scripted(user.modules):
                _optimise(module, user)
            with (
                recorder,
                autocast.in_effect(user.options.autocast, recorder.casts),
                fused_layers(user.mode),
                threads.followed(recorder.events),
                answering_as(user.mode, recorder.holder, device, recorder.enters_unknown),
                _known_layers(recorder),
                _traced_functions(recorder) if user.mode is CaptureMode.TRACED else contextlib.nullcontext(),
                recorder.events,
            ):
                result = module(*args, **kwargs)
        recorder.returns(_returned(result), tensors_within((args, kwargs)))
        if made := rooms.tensors():
            recorder.used = copied._replace(tensors=copies | set(map(id, made)))
    except KeyboardInterrupt:
        raise
    except Stopped as stop:
        raise PredictorError(refusal(stop, recorder.failed, type(module).__name__)) from None
    except BaseException as error:
        raise PredictorError(complaint(error, recorder.failed, type(module).__name__, user.dtype)) from error
    finally:
        recorder.forget()
    return recorder


def _returned(result: Any) -> list[torch.Tensor]:
    """Tensors that a module returns, in whatever they are wrapped."""
    return tensors_within(result.to_tuple() if hasattr(result, "to_tuple") else result)
