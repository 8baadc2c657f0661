"""Write the skeleton of a project: a recipe, tests, a Makefile, a workflow that runs it, and the weights."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgekit.errors import InputError, OutputError, UsageError
from edgekit.recipe import Recipe, resolve_model
from edgekit.recipe.recipe import PROJECT_RECIPE
from edgekit.support.fields import Converted, PathField
from edgekit.support.files import write_atomically
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import shown
from edgekit.support.version import VERSION

__all__ = ["TEMPLATE", "ProjectRequest", "ProjectResult", "write_project"]

TEMPLATE: Final = Path(__file__).parent / "template"
_SUFFIX: Final = ".jinja"
_WEIGHTS: Final = "weights"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_SPARE: Final = 1.5  # an artifact's size over that of its weights, which no format exceeds in fp32
_MOST_BYTES: Final = 1 << 33


@dataclass(frozen=True)
class ProjectRequest:
    """Which model becomes a project, and where."""

    folder: PathField = Converted(Path, Path())
    model: Recipe | Path | str | None = None  # as for an export; None: the bundled default
    name: str | None = None  # None: the model's


@dataclass(frozen=True)
class ProjectResult:
    """What was written."""

    folder: Path
    recipe: Path
    files: tuple[str, ...]  # relative to the folder, sorted


def write_project(request: ProjectRequest, reporter: Reporter | None = None) -> ProjectResult:
    """Write the project's files into a folder that has none of their names; all of them, or none.

    Raises:
        UsageError: there is no such model, or no such name can be.
        InputError: the recipe or its weights cannot be read.
        OutputError: a file is there already, or cannot be written.
    """
    reporter = reporter or Silent()
    recipe = _named(resolve_model(request.model), request.name)
    if recipe.embedding.adapter is not None or recipe.embedding.compatibility is not None:
        raise UsageError(
            f"the recipe {recipe.name} names an older model's space; begin with a model of its own space, and add the "
            "line to its edgekit.toml",
            field="model",
        )
    content = _rendered(recipe)
    weights = recipe.model.weights
    if weights is not None:
        content[f"{_WEIGHTS}/{weights.name}"] = _read(weights)
    for name in sorted(content):
        if (path := request.folder / name).exists():
            raise OutputError(f"{path}: is there already; move it away, or give another folder", field="folder")
    with reporter.stage(f"write {len(content)} files"):
        _write(request.folder, content)
    return ProjectResult(request.folder, request.folder / PROJECT_RECIPE, tuple(sorted(content)))


def _named(recipe: Recipe, name: str | None) -> Recipe:
    """The recipe under a name that a release can have, too."""
    given = recipe.name if name is None else name
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", given):
        if name is not None:
            raise UsageError(
                f"`name` is {shown(name, 80)!r}; give small letters, digits, dots and hyphens, as in shop-embedder",
                field="name",
            )
        given = re.sub(r"[^a-z0-9._-]", "-", given.lower()).strip("._-")[:64] or "model"
    return recipe.model_copy(update={"name": given})


def _rendered(recipe: Recipe) -> dict[str, bytes]:
    from jinja2 import Environment, StrictUndefined

    engine = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    engine.filters["toml"] = _toml
    facts = _facts(recipe)
    content = {}
    for path in sorted(TEMPLATE.rglob("*")):
        name = path.relative_to(TEMPLATE).as_posix()
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        data = path.read_bytes()
        if name.endswith(_SUFFIX):
            name, data = name.removesuffix(_SUFFIX), engine.from_string(data.decode()).render(facts).encode()
        content[name] = data
    return content


def _facts(recipe: Recipe) -> dict[str, Any]:
    weights, metadata = recipe.model.weights, recipe.metadata
    model = recipe.model.model_dump(mode="json", exclude_defaults=True)
    where = None if weights is None else f"{_WEIGHTS}/{weights.name}"
    if where is not None:
        model["weights"] = where
    version = metadata.version if _VERSION.fullmatch(metadata.version) else "0.1.0"
    return {
        "name": recipe.name,
        "model": model,
        "input": recipe.input.model_dump(mode="json", exclude_unset=True),
        "embedding": recipe.embedding.model_dump(mode="json", exclude_defaults=True),
        "metadata": {**metadata.model_dump(mode="json"), "version": version},
        "max_mb": None if weights is None else math.ceil(_SPARE * _size(weights) / 1e6),
        "weights": where,
        "version": VERSION,
    }


def _toml(value: Any) -> str:
    """A value as TOML: JSON has the same strings, numbers and lists, and tables in a line need other words."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give other weights", field="model") from error


def _read(path: Path) -> bytes:
    if _size(path) > _MOST_BYTES:
        raise InputError(f"{path}: over 8 GB, more than a project should hold; give smaller weights", field="model")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give other weights", field="model") from error


def _write(folder: Path, content: dict[str, bytes]) -> None:
    made: list[Path] = []
    try:
        for name, data in content.items():
            path = folder / name
            missing = [parent for parent in reversed(path.parents) if not parent.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            made += missing
            write_atomically(path, data, "choose another folder")
            made.append(path)
    except BaseException as error:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(
                f"{folder}: cannot be written ({error.strerror}); give another folder", field="folder"
            ) from error
        raise
