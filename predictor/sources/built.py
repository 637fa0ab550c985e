"""A model that is built anew for the sizes that it is asked for."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property, partial, wraps
from typing import TYPE_CHECKING, Any

from predictor.collection import without_collection
from predictor.errors import PredictorError, one_line
from predictor.graph.inputs import generated_by
from predictor.predict import graph_of
from predictor.records import CaptureMode, CaptureOptions, Graph

if TYPE_CHECKING:
    from predictor.capture.module_source import ModuleSource

TOKENS = 128
"""Tokens of a text where no length is asked for, as in the zoo."""

FRAMES = 16
"""Frames of a video where nothing says how many."""

PIXELS = 224
"""Height and width of an image where nothing says them."""


@dataclass(frozen=True)
class Built:
    """A model as a source made it, with its inputs.

    batch: that the inputs are for; notes: what a report says of it; dtype: the model's own where its weights do not
    say it (a configuration's field), None where they do; remedy: what to do where a length does not fit; length: tokens
    of the text, None where the first integer input of two dimensions has them along its second.

    again: what makes it at other sizes in less time, without its weights' data, which may fail where these are needed;
    shape: "width" and "depth", those that it can be made anew with; reshaped: (one of them, its value) -> what makes it
    so, raises PredictorError where it cannot be so.
    """

    module: Any
    inputs: Any
    name: str
    batch: int
    notes: tuple[str, ...] = ()
    dtype: str | None = None
    remedy: str = ""
    length: int | None = None
    again: Build | None = None
    shape: Mapping[str, int] = field(default_factory=dict)
    reshaped: Callable[[str, int], Build] | None = None


Build = Callable[[int | None, int | None], Built]
"""(Batch, length in tokens) -> the model with inputs of these sizes, None: of its own. Raises PredictorError where it
does not take a batch. A length that it does not take is left out: the inputs are cut or repeated afterwards.
"""


class BuiltSource:
    """The graphs of a model at any size, see ``plans.Source``."""

    def __init__(self, build: Build, batch: int | None, length: int | None, options: CaptureOptions) -> None:
        """batch, length: what is asked for first. Raises PredictorError where the model takes no tokens."""
        self._build, self._options = build, options
        self._first = build(batch, length)
        self.batch, self.name, self.notes = self._first.batch, self._first.name, self._first.notes
        self.generated = generated_by(self._first.module)
        self.length = self._tokens(self._first)
        if length is not None and not self.length:
            raise PredictorError(f"{self.name} takes no tokens: its inputs have one size, leave --length out")

    @cached_property
    def dtype(self) -> str:
        """The model's own dtype."""
        return self._first.dtype or self._sized(self._first).dtype

    def channels_last(self) -> BuiltSource | None:
        """The model with channels-last weights and inputs, None where it has them already."""
        if self._options.channels_last:
            return None
        turned = copy(self)
        turned._options = replace(self._options, channels_last=True)
        return turned

    @property
    def shape(self) -> Mapping[str, int]:
        """Width and depth, those that it can be built anew with."""
        return self._first.shape

    def reshaped(self, dimension: str, value: int) -> BuiltSource:
        """The model with another width or depth, at the same sizes. Raises PredictorError where it cannot be so."""
        if self._first.reshaped is None or dimension not in self.shape:
            raise PredictorError(f"{self.name} has no {dimension} that can be said")
        build = self._first.reshaped(dimension, value)
        return BuiltSource(build, self.batch, self.length or None, self._options)

    def _tokens(self, built: Built) -> int:
        return self._sized(built).length if built.length is None else built.length

    def _sized(self, built: Built) -> ModuleSource:
        from predictor.capture.module_source import ModuleSource

        return ModuleSource(built.module, built.inputs, built.name, partial(graph_of, options=self._options))

    def graph(self, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        """The graph for a runtime at sizes."""
        if (batch, length) == (self.batch, self.length):
            return self._graph(self._first, dtype, runtime, mode, batch, length)
        if self._first.again is not None:
            with contextlib.suppress(PredictorError):
                return self._graph(self._first.again(batch, length or None), dtype, runtime, mode, batch, length)
        return self._graph(self._build(batch, length or None), dtype, runtime, mode, batch, length)

    def _graph(self, built: Built, dtype: str, runtime: str, mode: CaptureMode, batch: int, length: int) -> Graph:
        sized = self._sized(built)
        try:
            tokens = sized.length if length == self._tokens(built) else length
            return replace(sized.graph(dtype, runtime, mode, sized.batch, tokens), batch=batch)
        except PredictorError as error:
            if length == self._tokens(built) or not built.remedy:
                raise
            raise type(error)(f"{error}; {built.remedy}") from error


_one_build = threading.RLock()


@contextlib.contextmanager
def weights_on_meta() -> Iterator[None]:
    """Parameters that modules register are moved to the meta device, so that a large model is built without its data.
    What is no parameter (tables of positions, schedules of dropout) has its values, where it is not too large when it
    is made (``WithoutMemory``).
    """
    import torch
    from torch.nn.modules import module

    from predictor.sources.copied_layers import copied_layers
    from predictor.sources.without_memory import WithoutMemory

    builder = threading.get_ident()

    def moved(owner: Any, name: str, parameter: Any) -> Any:
        if threading.get_ident() != builder or parameter is None or parameter.is_meta:
            return None
        return torch.nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    def unfilled(fill: Callable[..., Any]) -> Callable[..., Any]:
        """A function that fills a weight; one without data stays as it is."""

        @wraps(fill)
        def filled(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            return tensor if type(tensor) is torch.nn.Parameter and tensor.is_meta else fill(tensor, *args, **kwargs)

        return filled

    with _one_build, torch.no_grad(), WithoutMemory() as without_memory, without_collection():
        handle = module.register_module_parameter_registration_hook(moved)
        fills = {name: getattr(torch.nn.init, name) for name in FILLS}
        for name, fill in fills.items():
            setattr(torch.nn.init, name, unfilled(fill))
        try:
            with copied_layers(without_memory):
                yield
        finally:
            for name, fill in fills.items():
                setattr(torch.nn.init, name, fill)
            handle.remove()


FILLS = (
    *("uniform_", "normal_", "trunc_normal_", "constant_", "ones_", "zeros_", "kaiming_uniform_", "kaiming_normal_"),
    *("xavier_uniform_", "xavier_normal_"),
)
"""Functions of ``torch.nn.init`` that read nothing of a weight but its shape, which layers call on every one."""


def without_data(make: Callable[[], Any], what: str) -> Any:
    """A module in evaluation mode whose weights have no data, where its code allows that. what: how a message starts
    where it cannot be built, which raises PredictorError.
    """
    from predictor.standard_output import to_standard_error

    with to_standard_error(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with weights_on_meta():
                return make().eval()
        except Exception:  # its code looks at its weights
            pass
        try:
            return make().eval()
        except Exception as error:
            raise PredictorError(f"{what}: {one_line(error)}") from error


def said(error: BaseException) -> str:
    """An error of someone else's code: its class and what it says."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def shapes_of(inputs: Any) -> str:
    """Shapes of inputs as a person writes them.

    >>> import torch
    >>> shapes_of({"input_ids": torch.ones(1, 8)})
    'input_ids (1, 8)'
    """
    import torch
    from torch.utils._pytree import tree_flatten_with_path

    leaves, _ = tree_flatten_with_path(inputs)
    shapes = []
    for path, leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            names = [str(key.key) for key in path if hasattr(key, "key")]  # of mappings, not positions
            shapes.append(" ".join([*names, str(tuple(leaf.shape))]))
    few = shapes if len(shapes) <= 4 else [*shapes[:3], f"{len(shapes) - 3} more"]
    return ", ".join(few)
