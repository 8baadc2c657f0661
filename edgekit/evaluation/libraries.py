"""The packages of the extra `evaluate`, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edgekit.errors import MissingDependencyError

__all__ = ["library"]


def library(module: str) -> Any:
    """Import `faiss`, `scipy.stats` and their kin.

    Raises:
        MissingDependencyError: it is not installed; says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = {"faiss": "faiss-cpu"}.get(module, module.split(".")[0])
        raise MissingDependencyError(f"evaluating needs {package}: run `pip install 'edgekit[evaluate]'`") from error
