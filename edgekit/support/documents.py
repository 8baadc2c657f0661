"""JSON documents with a schema of their own, written by anyone: read as hostile, refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgekit.errors import InputError
from edgekit.support.files import read_json

__all__ = ["read_versioned", "validated"]

_Model = TypeVar("_Model", bound=BaseModel)


def read_versioned(path: Path, schema: str, *, max_bytes: int = 4 << 20) -> dict[str, Any]:
    """The JSON object at `path`, which must be of `schema`; InputError says what is wrong with it."""
    content = read_json(path, max_bytes=max_bytes)
    found = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(content, dict) or found != schema:
        raise InputError(f"{path}: schema is {str(found)[:60]!r}, only {schema!r} can be read; use a matching version")
    return content


def validated(model: type[_Model], content: dict[str, Any], path: Path, advice: str) -> _Model:
    """The document as `model`; InputError names the first field that is wrong, and ends in `advice`."""
    try:
        # Through JSON once more: strict mode takes a JSON number as a float, a Python int not.
        return model.model_validate_json(json.dumps(content), strict=True)
    except (ValidationError, UnicodeEncodeError) as error:
        what = model.__name__.lower()
        raise InputError(f"{path}: not a valid {what} ({_first_line(error)}); {advice}") from error


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    return str(error).splitlines()[0][:200]
