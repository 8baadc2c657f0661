"""What the command line changes in a recipe: teachers, data sets, and any other key by its name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekit.errors import UsageError
from edgekit.recipe import Recipe
from edgekit.support.documents import mistake_in

__all__ = ["override"]


def override(
    recipe: Recipe,
    *,
    teachers: Sequence[str] = (),
    data: Sequence[str] = (),
    freeze: Sequence[str] = (),
    keys: Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
) -> Recipe:
    """A copy of `recipe` with a `distill` table that has been changed.

    Args:
        recipe: one with or without a `distill` table.
        teachers: in place of the recipe's: what `resolve_model` takes, or a .npy or .parquet file of embeddings.
        data: in place of the recipe's: an image folder, a .csv or .parquet table, .tar shards, or catalog[:LISTINGS].
        freeze: MODULES@SHARE, e.g. backbone*@0.5.
        keys: values of the `distill` table by name; None leaves one alone.
        settings: KEY=VALUE with dots between tables and a TOML value, e.g. distill.losses.cosine=0.5.

    Raises UsageError for a key that does not exist or a value it cannot have.
    """
    table = recipe.model_dump(mode="json", exclude_unset=True)
    distill = table["distill"] = table.get("distill") or {}
    for key, texts, read in (("teachers", teachers, _teacher), ("data", data, _data), ("freeze", freeze, _freeze)):
        if texts:
            distill[key] = [read(text) for text in texts]
    given = {key: value for key, value in (keys or {}).items() if value is not None}
    distill |= given
    if "epochs" in given:
        distill.pop("photos", None)
    elif "photos" in given:
        distill.pop("epochs", None)
    for text in settings:
        _set(table, text)
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise UsageError(mistake_in(error, "the recipe")) from error


def _teacher(text: str) -> dict[str, Any]:
    return {"embeddings": text} if Path(text).suffix.lower() in (".npy", ".parquet") else {"model": text}


def _data(text: str) -> dict[str, Any]:
    if re.fullmatch(r"catalog(:\d+)?", text):
        listings = text.partition(":")[2]
        return {"name": "catalog", "catalog": {"listings": int(listings)} if listings else {}}
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(text).stem).strip("-._")[:64] or "data"
    kind = {".csv": "table", ".parquet": "table", ".tar": "shards"}.get(Path(text).suffix.lower(), "folder")
    return {"name": name, kind: text}


def _freeze(text: str) -> dict[str, Any]:
    modules, at, share = text.rpartition("@")
    try:
        return {"modules": [modules], "until": float(share)} if at else {"modules": [text], "until": 1.0}
    except ValueError:
        raise UsageError(
            f"`freeze` has {text!r}: write MODULES@SHARE, for example 'backbone*@0.5'", field="freeze"
        ) from None


def _set(table: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise _refused(repr(text), "write KEY=VALUE, for example distill.rate=0.001")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        parsed = value  # a bare word is text
    except RecursionError:
        raise _refused(key, "the value is nested too deep") from None
    *path, last = key.strip().split(".")
    here: Any = table
    for part in path:
        here = _step(here, part, key)
        if here is None:
            raise _refused(key, "there is no such key")
    if not isinstance(here, dict | list):
        raise _refused(key, "there is no such key")
    place: Any = _index(here, last, key) if isinstance(here, list) else last
    here[place] = parsed


def _step(here: Any, part: str, key: str) -> Any:
    if isinstance(here, list):
        return here[_index(here, part, key)]
    return here.setdefault(part, {}) if isinstance(here, dict) else None


def _index(rows: list[Any], part: str, key: str) -> int:
    named = [place for place, row in enumerate(rows) if isinstance(row, dict) and row.get("name") == part]
    if named:
        return named[0]
    if part.isascii() and part.isdecimal() and int(part) < len(rows):
        return int(part)
    raise _refused(key, f"{part!r} is neither the name nor the number of one of {len(rows)} entries")


def _refused(key: str, reason: str) -> UsageError:
    return UsageError(f"`settings` has {key}: {reason}", field="settings")
