"""What a captured graph depends on, written out: code, configuration, shapes. Two modules of one key have one graph.

Code counts by its bytecode, which is there for a class of a notebook, too, followed into what it calls, up to the
border of an installed package, which counts by its version and the class's own file. State counts by value. What cannot
be written out safely (an object of an extension, a generator, an open file) has no key: such a module is captured anew.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import sys
import types
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as global_hooks

MOST_BYTES = 2**24
"""Bytes of a tensor up to which its values are part of a key: tables of positions and of indices are smaller."""

DEEPEST = 60
"""Objects within objects that are followed."""

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
TORCH_PLAIN = (torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size)


class NotKeyableError(Exception):
    """There is something whose equality nobody can tell."""


def module_key(module: Any, inputs: Any) -> str | None:
    """The key of a module with inputs; None where it has none. Weights and inputs of floating point count by their
    shapes, all other tensors by their values, too.
    """
    try:
        if global_hooks._global_forward_hooks or global_hooks._global_forward_pre_hooks:
            return None
        key = _Key()
        key.add(module)
        key.looks_at_floats = False
        key.add(inputs)
        key.text(repr((torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled(), _attention_kernels())))
        return key.digest()
    except (NotKeyableError, RecursionError):
        return None


def code_key(function: Any) -> str | None:
    """The key of a function's code and of what it calls, whatever its arguments; None where it has none."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        key = _Key()
        key.code_of(function)
        return key.digest()
    except (NotKeyableError, RecursionError):
        return None


def _attention_kernels() -> tuple[bool, ...]:
    cuda: Any = torch.backends.cuda
    return cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()


class _Key:
    """A hash that values are added to, each object once."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=20)
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no two objects have one id
        self._classes: set[type] = set()
        self._depth = 0
        self.looks_at_floats = True

    def digest(self) -> str:
        return self._hash.hexdigest()

    def text(self, text: str) -> None:
        self._hash.update(text.encode("utf-8", "surrogatepass") + b"\0")

    def _is_new(self, value: Any) -> bool:
        """Whether an object was not added before; if it was, its number is added."""
        number = self._numbers.get(id(value))
        if number is not None:
            self.text(f"again {number}")
            return False
        self._numbers[id(value)] = len(self._alive)
        self._alive.append(value)
        return True

    def add(self, value: Any) -> None:
        """Add a value."""
        kind = type(value)
        if kind in PLAIN or kind in TORCH_PLAIN:
            self.text(f"{kind.__name__} {value!r}")
        elif isinstance(value, enum.Enum):
            self.text(f"enum {kind.__qualname__} {value.name}")
        else:
            self._add_object(value, kind)

    def _add_object(self, value: Any, kind: type) -> None:
        if not self._is_new(value):
            return
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotKeyableError
        if isinstance(value, torch.nn.Module):
            self._add_module(value)
        elif isinstance(value, torch.Tensor):
            self._add_tensor(value)
        elif kind in (list, tuple) or isinstance(value, tuple):
            self.text(f"{kind.__qualname__} {len(value)}")
            self._each(value)
        elif kind in (set, frozenset):
            self.text(f"set {sorted(map(repr, value))}")
            if not all(type(member) in PLAIN for member in value):
                raise NotKeyableError
        elif isinstance(value, Mapping):
            self._add_mapping(value, kind)
        elif isinstance(value, (np.ndarray, np.generic)):
            array = np.asarray(value)
            if array.dtype.hasobject or array.nbytes > MOST_BYTES:
                raise NotKeyableError
            self.text(f"array {array.dtype} {array.shape}")
            self._hash.update(np.ascontiguousarray(array).tobytes())
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, types.ModuleType):
            self._add_python_module(value)
        elif isinstance(value, functools.partial):
            self.text("partial")
            self._each((value.func, value.args, value.keywords))
        elif isinstance(value, types.MethodType):
            self.text("method")
            self._each((value.__func__, value.__self__))
        elif isinstance(value, (types.FunctionType, types.BuiltinFunctionType, np.ufunc)):
            self.code_of(value)
        elif isinstance(value, (staticmethod, classmethod)):
            self.add(value.__func__)
        elif isinstance(value, property):
            self._each((value.fget, value.fset))
        elif isinstance(value, range):
            self.text(repr(value))
        elif hasattr(value, "__dict__") and kind.__module__ != "builtins":
            self.text("object")
            self._add_class(kind)
            if isinstance(value, (list, set, dict, str, bytes, int, float)):
                raise NotKeyableError
            self._add_mapping(vars(value), dict)
        else:
            raise NotKeyableError
        self._depth -= 1

    def _each(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def _add_mapping(self, value: Mapping[Any, Any], kind: type) -> None:
        self.text(f"{kind.__qualname__} {len(value)}")
        if hasattr(value, "default_factory"):
            self.add(value.default_factory)
        for key, entry in value.items():
            self.add(key)
            self.add(entry)

    def _add_module(self, value: Any) -> None:
        self.text("module")
        self._add_class(type(value))
        state = vars(value)
        for name in sorted(state):
            entry = state[name]
            if name == "_parameters":
                self.text(name)
                for parameter, tensor in entry.items():
                    self.text(parameter)
                    if tensor is None or self._is_new(tensor):
                        self._add_weight(tensor)
            elif entry or not isinstance(entry, (dict, set)):  # hooks that nobody has registered
                self.text(name)
                self.add(sorted(entry) if name == "_non_persistent_buffers_set" else entry)

    def _add_weight(self, tensor: Any) -> None:
        """A weight: nobody looks at its values where it is of floating point."""
        if tensor is None:
            self.text("none")
        elif type(tensor) is torch.nn.Parameter and (tensor.is_floating_point() or tensor.is_complex()):
            self.text(f"weight {tuple(tensor.shape)} {tensor.stride()} {tensor.dtype} {tensor.requires_grad}")
            if vars(tensor):
                self._add_mapping(vars(tensor), dict)
        else:
            self._add_tensor(tensor)

    def _add_tensor(self, tensor: Any) -> None:
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.layout is not torch.strided:
            raise NotKeyableError
        tensor = tensor.detach()
        if tensor.is_quantized or tensor.is_nested:
            raise NotKeyableError
        self.text(f"tensor {tuple(tensor.shape)} {tensor.stride()} {tensor.dtype} {tensor.device.type}")
        if tensor.is_meta or (tensor.is_floating_point() and not self.looks_at_floats):
            return
        if tensor.numel() * tensor.itemsize > MOST_BYTES:
            raise NotKeyableError
        content = tensor.cpu().contiguous().flatten().view(torch.uint8) if tensor.numel() else tensor
        self._hash.update(content.numpy().tobytes())

    def _add_python_module(self, module: types.ModuleType) -> None:
        if _package(module.__name__):
            self.text(f"package {module.__name__} {_package(module.__name__)}")
        else:
            self.text(f"file {module.__name__} {_file_hash(getattr(module, '__file__', None))}")

    def _add_class(self, kind: type) -> None:
        if _package(kind.__module__):
            self.text(_package_class(kind, tuple(map(id, vars(kind).values()))))
            return
        self.text(f"class {kind.__module__} {kind.__qualname__}")
        if kind in self._classes:
            return
        self._classes.add(kind)
        for base in kind.__mro__[1:]:
            self._add_class(base)
        for name, entry in vars(kind).items():
            if name not in _OF_EVERY_CLASS and not isinstance(entry, (types.GetSetDescriptorType, _Slot)):
                self.text(name)
                self.add(entry)

    def code_of(self, function: Any) -> None:
        """Add a function: its code, its defaults, what it encloses and what it names."""
        if isinstance(function, type):
            self._add_class(function)
            return
        code = getattr(function, "__code__", None)
        where = getattr(function, "__module__", None) or ""
        if code is None or _package(where):
            name = getattr(function, "__qualname__", None)
            if name is None and not isinstance(function, np.ufunc):
                if callable(function):  # an object with __call__
                    self.add(function)
                    return
                raise NotKeyableError
            self.text(f"function {where} {name or function.__name__} {_package(where)}")
            if code is not None:  # one that somebody has put there
                self.text(_code_text(code))
            return
        self.text(f"function {function.__qualname__}")
        self._add_code(code, function.__globals__)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # nothing in it yet
                self.text("empty")

    def _add_code(self, code: types.CodeType, names: Mapping[str, Any]) -> None:
        self.text(_code_text(code))
        for nested in (code, *_nested(code)):
            for name in nested.co_names:
                if name in names:
                    self.text(name)
                    self.add(names[name])


_Slot = type(types.FunctionType.__code__)  # a member of a class with slots
_OF_EVERY_CLASS = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__", "__annotate_func__"}
    | {
        "__static_attributes__",
        "__firstlineno__",
        "__parameters__",
        "__abstractmethods__",
        "_abc_impl",
        "__orig_bases__",
    }
)


def _nested(code: types.CodeType) -> Iterable[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _nested(constant)


@functools.lru_cache(maxsize=4096)
def _code_text(code: types.CodeType) -> str:
    """A function's code with its lines: what is counted of its Python, and where an operator comes from."""
    digest = hashlib.blake2b(digest_size=20)
    for part in (code, *_nested(code)):
        constants = [c for c in part.co_consts if not isinstance(c, types.CodeType)]
        names = part.co_names, part.co_varnames, part.co_freevars, part.co_cellvars, part.co_flags
        lines = part.co_filename, part.co_firstlineno, part.co_linetable, part.co_exceptiontable
        digest.update(repr((part.co_code, constants, names, lines)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@functools.lru_cache(maxsize=4096)
def _package_class(kind: type, members: tuple[int, ...]) -> str:
    """A class of an installed package: its package's version and its own code, as it is now. members: its attributes'
    identities, so that one that somebody has exchanged counts.
    """
    codes = [f"{name} {_code_text(entry.__code__)}" for name, entry in vars(kind).items() if hasattr(entry, "__code__")]
    bases = [_package_class(base, tuple(map(id, vars(base).values()))) for base in kind.__mro__[1:]]
    return hashlib.sha256(
        repr((kind.__module__, kind.__qualname__, _package(kind.__module__), codes, bases)).encode()
    ).hexdigest()


@functools.cache
def _package(name: str) -> str:
    """The version of the installed package that a module is of, "python" for Python's own; empty for a user's."""
    top = name.partition(".")[0]
    if top == "__main__" or not top:
        return ""
    if top in sys.stdlib_module_names:
        return f"python {sys.version}"
    if top in OURS:
        return ""
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is not None and "-packages" not in file:  # a user's own, or one that is being edited
        return ""
    try:
        return f"{top} {_version(top)}"
    except metadata.PackageNotFoundError:
        return ""


OURS = ("predictor", "calibrate", "models_zoo", "benchmarks", "tests")
"""Packages whose files change between two versions."""


@functools.cache
def _version(package: str) -> str:
    """The version of what an import name is of."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        version = getattr(sys.modules.get(package), "__version__", None)
        if version is None:
            raise
        return str(version)


def _file_hash(file: str | None) -> str:
    if file is None:
        raise NotKeyableError
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        raise NotKeyableError from None
