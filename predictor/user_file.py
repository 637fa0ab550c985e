"""A user's Python file as a module: under a name of its own, so that ``json.py`` or ``torch.py`` replaces no library.

While it is imported and its factory runs, its folder's other modules can be imported, and what it prints goes to
standard error. ``sys.path`` and the modules that were imported before are as before afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from predictor.standard_output import to_standard_error

_one_folder = threading.RLock()

_OURS = ("predictor", "calibrate", "models_zoo")


def module_name(path: Path) -> str:
    """The name in ``sys.modules`` of the module that a file is loaded as."""
    stem, digest = re.sub(r"\W", "_", path.stem), hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    return f"_model_{stem}_{digest[:8]}"


def load(path: Path) -> ModuleType:
    """Run a file, anew each time. Raises ImportError where it is no Python file, and what the file raises."""
    name = module_name(path)
    # as a package, whose relative imports (``from .blocks import Block``) find the modules of its folder
    folders = [str(path.parent.resolve())]
    specification = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folders)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@contextlib.contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Make the modules of a folder importable, before any others but those of Python and of installed packages.
    Modules of the same names that were imported from elsewhere are put back afterwards.
    """
    with _one_folder, to_standard_error():
        siblings = _Siblings(folder.resolve())
        path, displaced = list(sys.path), siblings.imported_from_elsewhere()
        for name in displaced:
            del sys.modules[name]
        sys.meta_path.insert(0, siblings)
        sys.path.append(str(folder.resolve()))
        try:
            yield
        finally:
            sys.meta_path.remove(siblings)
            sys.path[:] = path
            sys.modules.update(displaced)


class _Siblings:
    """Finds the modules of a folder; an entry of ``sys.meta_path``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libraries = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
        self._libraries += [entry for entry in sys.path if entry.endswith("-packages")]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module of this name in the folder; None where it has none, and where Python or a library has one."""
        if path is not None or name in sys.stdlib_module_names or name in _OURS:
            return None
        spec = PathFinder.find_spec(name, [str(self._folder)])
        if spec is None or spec.origin is None:
            return None
        library = PathFinder.find_spec(name, self._libraries)
        return spec if library is None or library.origin is None else None

    def imported_from_elsewhere(self) -> dict[str, ModuleType]:
        """Modules that hide one of the folder's, with those below them, by name."""
        names = {entry.stem for entry in self._folder.glob("*.py")}
        names |= {entry.parent.name for entry in self._folder.glob("*/__init__.py")}
        hiding = {name for name in names & sys.modules.keys() if self._is_elsewhere(sys.modules[name], name)}
        return {name: module for name, module in sys.modules.copy().items() if name.partition(".")[0] in hiding}

    def _is_elsewhere(self, module: ModuleType, name: str) -> bool:
        file = getattr(module, "__file__", None)
        elsewhere = file is None or not Path(file).resolve().is_relative_to(self._folder)
        return elsewhere and name != "__main__" and self.find_spec(name) is not None


def line_of(error: BaseException, path: Path) -> str:
    """Where in a file an error was raised, ``" (models.py:12)"``; empty for one that did not pass through it."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    if isinstance(error, SyntaxError) and error.lineno and not lines:
        return f" ({Path(error.filename or path).name}:{error.lineno})"
    return f" ({path.name}:{lines[-1]})" if lines else ""
