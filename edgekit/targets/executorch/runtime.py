"""ExecuTorch's runtime alone: its own module imports the whole exporter, for the sake of one kind of warning."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

__all__ = ["bindings"]

_EXPORTER = "executorch.exir"
_RUNTIME = "executorch.extension.pybindings.portable_lib"


def bindings() -> ModuleType:
    """The Python bindings of ExecuTorch's runtime, imported without its exporter; that takes a third of the time.

    The exporter stays importable. Raises ImportError where ExecuTorch is not installed.
    """
    if _RUNTIME in sys.modules or _EXPORTER in sys.modules:
        return importlib.import_module(_RUNTIME)
    package = importlib.util.find_spec("executorch")
    if package is None or not package.submodule_search_locations:
        raise ImportError("executorch is not installed")
    empty = ModuleType(_EXPORTER)  # what the runtime wants of it, `_warnings`, is found by this path
    empty.__path__ = [os.path.join(place, "exir") for place in package.submodule_search_locations]
    sys.modules[_EXPORTER] = empty
    try:
        return importlib.import_module(_RUNTIME)
    finally:
        for name in [name for name in sys.modules if name == _EXPORTER or name.startswith(f"{_EXPORTER}.")]:
            del sys.modules[name]
