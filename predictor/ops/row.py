"""What a row of the operator table says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from predictor.records import Kernel, OpCall, Trait, Variant

Lower = Callable[[OpCall], tuple[Kernel, ...]]
"""A captured call -> its kernels, in issue order."""

Macs = Callable[[OpCall], int]
"""A captured call -> its multiply-accumulates."""


Traffic = Callable[[OpCall], tuple[int, int]]
"""A captured call -> the bytes that it reads and writes."""


class Fuser(StrEnum):
    """What makes one kernel of several operators.

    NNC: TorchScript's (torch/csrc/jit/passes/tensorexpr_fuser.cpp). NVFUSER: TorchScript's of torch 1.12 to 2.0
    (torch/csrc/jit/codegen/cuda/parser.cpp). NVFUSER_PASCAL: the same on a GPU before Volta, where it joins no
    reductions (partition.cpp in the same folder). INDUCTOR: torch.compile's; what it does not fuse is a library call.
    """

    NNC = "nnc"
    NVFUSER = "nvfuser"
    NVFUSER_PASCAL = "nvfuser before volta"
    INDUCTOR = "inductor"


LOOP = frozenset({Fuser.INDUCTOR})
"""An operator that Inductor alone fuses."""

NO_FUSER: frozenset[Fuser] = frozenset()
"""One that each of them calls as it is (``make_fallback`` in torch/_inductor/lowering.py)."""

EVERY_FUSER = frozenset(Fuser)
NOT_NNC = EVERY_FUSER - {Fuser.NNC}
NOT_NVFUSER = EVERY_FUSER - {Fuser.NVFUSER, Fuser.NVFUSER_PASCAL}


class GraphBreak(StrEnum):
    """Why a compiled graph ends at an operator. READS_DATA: Python decides by its result. NOT_TRACED: Dynamo leaves it
    to eager mode, between two graphs.
    """

    NONE = ""
    READS_DATA = "reads data"
    NOT_TRACED = "not traced"


@dataclass(frozen=True, slots=True)
class Operands:
    """Tensors and modules that examples are built of, on one device and in one dtype. Sizes are those of a model at
    batch 1 on a GPU (R 128 rows, W 768 wide, C 256 channels, S 14 pixels a side) and small ones on a CPU.

    torch, functional: the modules ``torch`` and ``torch.nn.functional``; device, dtype: of the tensors, for factories.
    x, y: (1, R, W), activations; matrix: (R, W); sequence: (1, W, R); square: (1, R, R); column: (1, R, 1); scalar:
    (1,); heads: (1, H, R, D), a transposed view; heads_last: (1, R, H, D); image: (1, C, S, S). Weights: weight
    (W, W), vector (W,), channels (C,), window (C, C, 3, 3), depthwise_window (C, 1, 3, 3), grouped_window (C, C/4, 3,
    3), window_1d (W, W, 3), depthwise_window_1d (W, 1, 3), grouped_window_1d (W, W/4, 1). Integers: ids (1, R), index
    (1, R, 8); mask: (1, R, W), bool; on_host: (64, 64), on the CPU.
    """

    torch: Any
    functional: Any
    device: str
    dtype: Any
    x: Any
    y: Any
    matrix: Any
    sequence: Any
    square: Any
    column: Any
    scalar: Any
    heads: Any
    heads_last: Any
    image: Any
    weight: Any
    vector: Any
    channels: Any
    window: Any
    depthwise_window: Any
    grouped_window: Any
    window_1d: Any
    depthwise_window_1d: Any
    grouped_window_1d: Any
    ids: Any
    index: Any
    mask: Any
    on_host: Any

    @property
    def width(self) -> int:
        """W."""
        return int(self.x.shape[-1])

    @property
    def options(self) -> dict[str, Any]:
        """Where and in what a factory makes a tensor."""
        return {"device": self.device, "dtype": self.dtype}


Example = Callable[[Operands], Callable[[], Any]]
"""Operands -> a call without arguments, which is timed. It imports torch no earlier than it is called."""

RARE = "no model of the zoo spends time in it: the typical cost of its trait stands in"
SPELLED_OTHERWISE = "models call it by another name, this one is what that becomes inside"
ONNX_ALONE = "torch has no such operator"
"""Why an operator has no example."""


def no_kernels(call: OpCall) -> tuple[Kernel, ...]:
    """Of an operator that is host work alone."""
    return ()


def always_calls(*names: str) -> Callable[[OpCall], tuple[str, ...]]:
    """What ``Operator.calls`` says of an operator that calls the same ones whatever its arguments."""
    return lambda call: names


def no_macs(call: OpCall) -> int:
    """Of an operator that multiplies nothing."""
    return 0


@dataclass(frozen=True, slots=True)
class OnnxForm:
    """An operator as ONNX has it.

    names: of nodes, ONNX Runtime's own among them; lower: a node -> the kernels that ONNX Runtime runs it with; trait:
    how the session issues it; macs: of a node; is_control_flow: it runs graphs inside of it; cpu_passes: so many times
    as long as a vectorised pass over its elements a CPU takes for it; cpu_elements: elements of such a pass that take
    as long, where its largest tensor does not say. rounds: of a node that reads on the host what the device has found,
    and goes on by that: its kernels from one such wait to the next; None: it never waits, or at its end.
    """

    names: tuple[str, ...]
    lower: Lower
    trait: Trait
    macs: Macs = no_macs
    is_control_flow: bool = False
    cpu_passes: int = 1
    cpu_elements: Callable[[OpCall], int] | None = None
    rounds: Callable[[OpCall], tuple[tuple[Kernel, ...], ...]] | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """A row: all that the program knows of an operator.

    aten: its names in torch, without overload and without the namespace "aten" ("softmax", but "mylib::fancy"); several
    where nothing tells them apart. trait: how it behaves. lower: a captured call -> its kernels. macs:
    multiply-accumulates of a captured call; None: as fvcore counts them, or else as its parts have. traffic: bytes that
    it reads and writes; None: all of its tensors, of what it gathers no more than it writes. onnx: the same operator in
    ONNX.

    fused_by: who joins it with its neighbours. graph_break: whether a compiled graph ends at it. is_transcendental: it
    computes a transcendental function of every element. is_attention: it is scaled dot-product attention. is_wrapper: a
    composite that is a cheap check around parts that it may or may not run. is_literal: its result is a number in the
    code. is_random: two calls differ. is_constant_factory: what it makes is known while capturing. writes_input:
    whether it writes into its first tensor; None: where its name ends with an underscore, as torch names them.
    only_tagged: the row is of those overloads alone that torch tags as pointwise (``where`` of a condition alone finds
    indices). healthy_answer: what it says of the activations of a healthy model.

    example: builds the call that its host cost is measured with; variants: the same for other paths, each with a cost
    of its own; example_calls: what the example calls besides, whose cost is taken off; untimed: why there is none;
    calls: operators that an untimed one calls in torch's C++, by whose costs it is priced then.
    """

    aten: tuple[str, ...]
    trait: Trait
    lower: Lower = no_kernels
    macs: Macs | None = None
    traffic: Traffic | None = None
    onnx: tuple[OnnxForm, ...] = ()
    fused_by: frozenset[Fuser] = frozenset()
    is_transcendental: bool = False
    only_tagged: bool = False
    graph_break: GraphBreak = GraphBreak.NONE
    is_wrapper: bool = False
    is_attention: bool = False
    is_literal: bool = False
    writes_input: bool | None = None
    is_constant_factory: bool = False
    is_random: bool = False
    healthy_answer: bool | None = None
    example: Example | None = None
    variants: Mapping[Variant, Example] = field(default_factory=dict)
    example_calls: tuple[str, ...] = ()
    untimed: str = ""
    calls: Callable[[OpCall], tuple[str, ...]] | None = None

    @property
    def examples(self) -> dict[Variant, Example]:
        """Every example by its path."""
        return ({Variant.USUAL: self.example} if self.example else {}) | dict(self.variants)
