"""Write the skeleton of a project: a recipe, tests, a Makefile, a workflow that runs it, and the weights."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgekit.errors import InputError, OutputError, UsageError
from edgekit.recipe import Recipe, ReleaseSpec, resolve_model
from edgekit.recipe.recipe import PROJECT_RECIPE, RELEASE_NAME, RELEASE_VERSION
from edgekit.recipe.written import tables_of, to_toml
from edgekit.support.drafts import draft, is_full, publishable, sync
from edgekit.support.fields import Converted, PathField
from edgekit.support.files import read_json, sha256_file
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import reason_of, shown
from edgekit.support.version import VERSION

__all__ = ["TEMPLATE", "ProjectRequest", "ProjectResult", "write_project"]

TEMPLATE: Final = Path(__file__).parent / "template"
_SUFFIX: Final = ".jinja"
_WEIGHTS: Final = "weights"
_SPACE: Final = "space"  # what shows which embedding space the model is in
_SPARE: Final = 3  # an artifact's size over that of its weights, which may be stored in 16 bits and exported in 32
_MOST_BYTES: Final = 1 << 33

_Files = dict[str, bytes | Path]  # by their names in the project: what is in them, or what is copied


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
    given = resolve_model(request.model)
    recipe = _named(given, request.name)
    copies = _copies(recipe)
    content: _Files = {**_rendered(_moved(recipe, copies, request.folder), copies), **copies}
    for name in sorted(content):
        if os.path.lexists(path := request.folder / name):
            raise OutputError(f"{path}: is there already; move it away, or give another folder", field="folder")
    with reporter.stage(f"write {len(content)} files"):
        _write(request.folder, content)
    if recipe.model.is_factory:
        module = recipe.model.backbone.partition(":")[0]
        reporter.note(
            f"the project imports {module}: put it beside {PROJECT_RECIPE}, or its package in requirements.txt"
        )
    if recipe.metadata.license == "unknown":
        reporter.note(f"say in {PROJECT_RECIPE} which `license` the weights have: a release is refused without")
    return ProjectResult(request.folder, request.folder / PROJECT_RECIPE, tuple(sorted(content)))


def _named(recipe: Recipe, name: str | None) -> Recipe:
    """The recipe under a name and a version that a release can have, too."""
    given = recipe.name if name is None else name
    if not re.fullmatch(RELEASE_NAME, given):
        if name is not None:
            raise UsageError(
                f"`name` is {shown(name, 80)!r}; give small letters, digits, dots and hyphens, as in shop-embedder",
                field="name",
            )
        given = re.sub(r"[^a-z0-9._-]", "-", given.lower()).strip("._-")[:64] or "model"
    version = recipe.metadata.version
    recipe = recipe.override(metadata={"version": version if re.fullmatch(RELEASE_VERSION, version) else "0.1.0"})
    return recipe.model_copy(update={"name": given})


def _copies(recipe: Recipe) -> dict[str, Path]:
    """Files that the recipe names, by their names in the project.

    Raises:
        InputError: one cannot be read, or they are too large together.
    """
    from edgekit.model.weights import files_of

    copies: dict[str, Path] = {}
    if recipe.model.weights is not None:
        try:
            copies = {f"{_WEIGHTS}/{path.name}": path for path in files_of(recipe.model.weights)}
        except OSError as error:
            raise _unreadable(recipe.model.weights, error) from error
        if (card := _card_of(recipe.model.weights)) is not None:
            copies.setdefault(f"{_WEIGHTS}/{card.name}", card)
    for path in (recipe.embedding.adapter, recipe.embedding.compatibility):
        if path is not None:
            copies[f"{_SPACE}/{path.name}"] = path
    if _size_of(copies) > _MOST_BYTES:
        raise InputError("the weights are over 8 GB, more than a project should hold; give smaller ones", field="model")
    return copies


def _card_of(weights: Path) -> Path | None:
    """The training card beside the weights, which a release tells of."""
    path = weights.with_suffix(".json")
    if path == weights or not path.is_file():
        return None
    try:
        said = read_json(path)["weights"]["sha256"]
    except (InputError, KeyError, TypeError):
        return None
    return path if said == sha256_file(weights) else None


def _moved(recipe: Recipe, copies: dict[str, Path], folder: Path) -> Recipe:
    """The recipe with paths as they are in the project; photos to learn from stay where they are."""
    inside = {path: Path(name) for name, path in copies.items()}
    given = recipe.embedding
    placed = {key: inside[path] for key in ("adapter", "compatibility") if (path := getattr(given, key)) is not None}
    recipe = recipe.override(embedding=placed)
    if recipe.model.weights is not None:
        recipe = recipe.override(model={"weights": inside[recipe.model.weights]})
    if recipe.distill is not None:
        back = Path(os.path.relpath(Path.cwd(), folder.resolve()))
        recipe = recipe.model_copy(update={"distill": recipe.distill.below(back)})
    return recipe


def _rendered(recipe: Recipe, copies: dict[str, Path]) -> dict[str, bytes]:
    from jinja2 import Environment, StrictUndefined

    engine = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    engine.filters["toml"] = lambda table: to_toml(table).rstrip("\n")
    facts = _facts(recipe, copies)
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


def _facts(recipe: Recipe, copies: dict[str, Path]) -> dict[str, Any]:
    tables = tables_of(recipe)
    release = tables.pop("release", {})
    weights = recipe.model.weights
    if weights is not None and "max_mb" not in release:
        release["max_mb"] = math.ceil(_SPARE * _size_of(copies) / 1e6)
    return {
        "name": recipe.name,
        "model": tables.pop("model"),
        "tables": {name: table for name, table in tables.items() if name not in ("name", "metadata")},
        "metadata": recipe.metadata.model_dump(mode="json"),
        "release": release,
        "max_median_ms": release.pop("max_median_ms", {"onnx": 1000} if recipe.release == ReleaseSpec() else {}),
        "weights": None if weights is None else weights.as_posix(),
        "version": VERSION,
    }


def _size_of(copies: dict[str, Path]) -> int:
    size = 0
    for path in copies.values():
        try:
            size += path.stat().st_size
        except OSError as error:
            raise _unreadable(path, error) from error
    return size


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be read ({error.strerror}); give another model, or fetch it", field="model")


def _write(folder: Path, content: _Files) -> None:
    """Put all files beside their places first, and then each into its own."""
    made: list[Path] = []
    try:
        _make(folder, made)
        with draft(folder, "project") as aside:
            for name, data in content.items():
                part = aside / name
                part.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(data) if isinstance(data, bytes) else shutil.copyfile(data, part)
                publishable(part, aside)
                sync(part)
            for name in content:
                _make((folder / name).parent, made)
                made.append(folder / name)
                (aside / name).rename(folder / name)
    except BaseException as error:
        for path in reversed(made):
            with contextlib.suppress(OSError):  # a folder that is not empty is somebody else's, too
                path.rmdir() if path.is_dir() else path.unlink()
        if not isinstance(error, OSError) and not is_full(error):
            raise
        reason = getattr(error, "strerror", None) or reason_of(error, 200)
        raise OutputError(f"{folder}: cannot be written ({reason}); give another folder", field="folder") from error


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it, each noted in `made` before it is there."""
    for path in [*reversed(folder.parents), folder]:
        if not path.exists():
            made.append(path)
            path.mkdir()
