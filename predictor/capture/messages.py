"""What a user is told of a capture that failed: the operator, the line of code, the remedy."""

from __future__ import annotations

import traceback
from pathlib import Path

from predictor.capture.origins import file_outside_of_torch
from predictor.capture.refusals import NESTED, NESTED_ATTENTION

BY_VALUES = ("cannot be called on meta tensors", "on meta tensors", "data-dependent", "Tensor.item()")
OF_DTYPES = ("same dtype", "expected scalar type", "should be the same", "same data type", "dtypes")
OF_SHAPES = ("'Meta' backend", "no fake impl registered")
OF_GRADIENTS = ("does not require grad", "inference tensor", "Inference tensor")
OF_EXPORT = ("Guard failed",)
OF_CUDA = ("CUDA enabled", "requires CUDA", "dummy base class", "NVTX", "NVIDIA driver", "CUDA-capable", "cudart")
_ATTENTION_OF_NESTED = str(Path("torch", "nested", "_internal", "sdpa.py"))
"""What torch's messages of a cause contain."""

WITHOUT = "if it runs on the same inputs without a prediction, let its forward depend on shapes and integers alone"
"""What helps where a model raises an error of its own."""


def needs_gradients(error: Exception) -> bool:
    """Whether a module failed because it takes gradients, which inference mode forbids."""
    return any(words in str(error) for words in OF_GRADIENTS)


def complaint(error: BaseException, failed: tuple[BaseException | None, str], module: str, dtype: str) -> str:
    """What went wrong in a pass, where, and what helps, in one line. failed: what an operator raised, and which did."""
    raised, operator = failed
    chain = (error, error.__cause__, error.__context__)
    operator = operator if raised is not None and raised in chain else ""
    said = " ".join(str(error).split())[:300] or type(error).__name__
    where = where_raised(error, operator)
    if any(words in said for words in BY_VALUES):
        return (
            f"{module} decides by the values of floating-point tensors, which a prediction does not compute{where}: "
            "decide by integers, booleans or sizes"
        )
    if operator and any(words in said for words in OF_DTYPES):
        return (
            f"{module} mixes dtypes in {dtype}: {said}{where}: make tensors in the dtype of those that they meet "
            "(dtype=x.dtype), or predict another --dtype"
        )
    if operator and (isinstance(error, NotImplementedError) or any(words in said for words in OF_SHAPES)):
        return (
            f"{module} runs an operator whose output shape torch does not know without data{where}: "
            "register one with torch.library.register_fake"
        )
    if _attends_to_nested(error):  # what fails in it depends on whether torch's counter of FLOPs is imported
        return f"{module} is not predicted{where_raised(error, '')}: {NESTED_ATTENTION}"
    if "NestedTensorImpl" in said:
        return f"{module} is not predicted{where}: {NESTED}"
    if any(words in said for words in OF_CUDA):
        return (
            f"{module} does with CUDA what only a GPU can: {said}{where}: leave streams, events, synchronisation and "
            "questions for the GPU out of its forward"
        )
    if any(words in said for words in OF_EXPORT):
        return (
            f"{module} was exported for inputs of other sizes: {said}: export it with dynamic_shapes, or at this size"
        )
    wrong_arguments = isinstance(error, TypeError) and "forward()" in said
    if wrong_arguments or (operator and isinstance(error, (RuntimeError, ValueError, IndexError, TypeError))):
        return f"{module} does not run on these inputs: {said}{where}"
    return f"{module} raised {type(error).__name__}: {said}{where}: {WITHOUT}"


def refusal(stop: BaseException, failed: tuple[BaseException | None, str], module: str) -> str:
    """What a pass was stopped for, where, in one line. failed: as of ``complaint``."""
    raised, operator = failed
    if _attends_to_nested(stop):
        return f"{module} is not predicted{where_raised(stop, '')}: {NESTED_ATTENTION}"
    return f"{module} is not predicted{where_raised(stop, operator if raised is stop else '')}: {stop}"


def _attends_to_nested(error: BaseException) -> bool:
    """Whether an error went through torch's attention of nested tensors."""
    return any(_ATTENTION_OF_NESTED in frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))


def where_raised(error: BaseException, operator: str) -> str:
    """The innermost line of a user's or a library's code that an error went through, and the operator."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    lines = [f"{file}:{line}" for code, line in frames if (file := file_outside_of_torch(code))]
    said = ", ".join((*([operator] if operator else []), *lines[-1:]))
    return f" ({said})" if said else ""
