"""A quicker import of coremltools, for a process that opens packages and converts nothing."""

from __future__ import annotations

import sys

from edgekit.support.quiet import quiet

__all__ = ["UNUSED", "import_lean"]

# What coremltools imports when it is there, and uses for conversion and training alone.
UNUSED = ("executorch", "sklearn", "tensorflow", "torchao", "torchvision", "transformers", "xgboost")


def import_lean() -> None:
    """Import coremltools without the frameworks that only its converters use; that takes a third of the time.

    Does nothing where coremltools is imported already. In this process coremltools then believes those
    frameworks absent, so call it only where nothing will be converted; the frameworks themselves stay importable.
    """
    if "coremltools" in sys.modules:
        return
    hidden = [name for name in UNUSED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own mark for "cannot be imported"
    try:
        with quiet("coremltools"):
            import coremltools.converters.mil.frontend.milproto.load  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
