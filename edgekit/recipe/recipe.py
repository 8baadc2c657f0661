"""The recipe: everything an export needs, from a TOML file, a timm name or a factory."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from edgekit.errors import InputError, UsageError
from edgekit.recipe.gates import Gates
from edgekit.recipe.training import DistillSpec
from edgekit.support.documents import Part, mistake_in

__all__ = [
    "EmbeddingSpec",
    "GatesSpec",
    "InputSpec",
    "Metadata",
    "ModelSpec",
    "Pixels",
    "Recipe",
    "ReleaseSpec",
    "Triple",
    "bundled_recipes",
    "load_recipe",
    "models_folder",
    "resolve_model",
]

# A release's name; and its version, by Semantic Versioning 2.0.0, as Maven, npm and Swift's packages take it. Not with
# \d, which has digits of all scripts.
RELEASE_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_NUMBER = "(0|[1-9][0-9]{0,8})"
RELEASE_VERSION = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
DEFAULT_RECIPE = "catalog-s0"
PROJECT_RECIPE = "edgekit.toml"
_MAX_RECIPE_BYTES = 1 << 20
_FACTORY = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")


def _square(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


def _index(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Triple = tuple[float, float, float]
Pixels = Annotated[int, Field(ge=8, le=4096)]


class InputSpec(Part):
    """What the backbone expects of an image: size as (height, width) in pixels, the rest as timm defines it."""

    size: Annotated[tuple[Pixels, Pixels], BeforeValidator(_square)] = (224, 224)
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"] = "bicubic"
    crop_pct: float = Field(0.875, gt=0, le=2)
    crop_mode: Literal["center", "squash", "border"] = "center"

    @model_validator(mode="after")
    def _std_is_positive(self) -> InputSpec:
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        return self


class ModelSpec(Part):
    """Where the backbone and its weights come from."""

    backbone: str = Field(description="a timm name, hf-hub:ORG/NAME, or package.module:factory")
    weights: Path | None = Field(None, description="a checkpoint of PyTorch or safetensors, relative to the recipe")
    weights_key: str | None = Field(
        None, description="dotted name of the part of the checkpoint to take; default: what fits"
    )
    pretrained: bool = Field(False, description="load the weights that timm publishes")
    seed: int = Field(0, ge=0, description="seed of the weights where none are given")
    output: Annotated[str | None, BeforeValidator(_index)] = Field(
        None,
        description="which of the backbone's outputs is the embedding: a dotted name or an index; default: the evident",
    )
    pool: Literal["avg", "cls", "max"] | None = Field(None, description="how an output [N,C,H,W] or [N,L,C] is pooled")
    args: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of timm.create_model or the factory"
    )

    @property
    def is_factory(self) -> bool:
        """Whether `backbone` names a Python callable rather than a timm model."""
        return not self.backbone.startswith("hf-hub:") and bool(_FACTORY.match(self.backbone))


class EmbeddingSpec(Part):
    """The embedding, and its space: the model's own, unless `adapter` or `compatibility` gives an older model's."""

    dim: int | None = Field(None, ge=1, le=65536, description="adds a linear layer to that many values")
    adapter: Path | None = Field(
        None, description="a query adapter of `edgekit evaluate compatibility`, relative to the recipe"
    )
    compatibility: Path | None = Field(
        None,
        description="a report of `edgekit evaluate compatibility` as JSON, which shows that an older model's gallery "
        "serves this model as it is; relative to the recipe",
    )

    @model_validator(mode="after")
    def _one_way(self) -> EmbeddingSpec:
        if self.adapter is not None and self.compatibility is not None:
            raise ValueError("adapter and compatibility exclude each other")
        return self


def _over_defaults(precision: str) -> BeforeValidator:
    """Lets a recipe state one limit and keep the others of that precision."""
    defaults = Gates.for_precision(precision)
    return BeforeValidator(lambda value: defaults.model_dump() | value if isinstance(value, dict) else value)


class GatesSpec(Part):
    """Parity gates a precision; limits that are not set keep that precision's default."""

    fp32: Annotated[Gates, _over_defaults("fp32")] = Gates.for_precision("fp32")
    fp16: Annotated[Gates, _over_defaults("fp16")] = Gates.for_precision("fp16")
    int8: Annotated[Gates, _over_defaults("int8")] = Gates.for_precision("int8")
    int4: Annotated[Gates, _over_defaults("int4")] = Gates.for_precision("int4")

    def of(self, precision: str) -> Gates:
        """The gates that a file of `precision` must keep: "fp32", "fp16", "int8" or "int4"."""
        return getattr(self, precision)


class ReleaseSpec(Part):
    """What a release of this model must keep; one that does not is refused."""

    max_mb: float | None = Field(None, gt=0, description="size of a model's file or package, in 10^6 bytes")
    max_median_ms: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")], Annotated[float, Field(gt=0)]] = (
        Field(
            default_factory=dict, max_length=32, description="median latency a target (ios, android, onnx), as measured"
        )
    )
    listings: int | None = Field(
        None, ge=1, description="photos of the gallery that a new embedding space has embedded again"
    )


class Metadata(Part):
    """What the artifact says of itself."""

    author: str = "unknown"
    license: str = "unknown"
    version: str = "0"
    description: str = "Image embedding"


class Recipe(Part):
    """Everything an export needs. `input` keys that are not set are taken from the backbone's own configuration."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    model: ModelSpec
    input: InputSpec = InputSpec()
    embedding: EmbeddingSpec = EmbeddingSpec()
    gates: GatesSpec = GatesSpec()
    release: ReleaseSpec = ReleaseSpec()
    metadata: Metadata = Metadata()
    distill: DistillSpec | None = Field(None, description="how the model is trained; an export leaves it alone")

    def override(self, **changes: Mapping[str, Any]) -> Recipe:
        """A copy with keys of its tables replaced, e.g. `override(model={"pretrained": True})`."""
        tables = {table: getattr(self, table).model_copy(update=dict(keys)) for table, keys in changes.items() if keys}
        return self.model_copy(update=tables)


def models_folder() -> Path:
    """The folder of bundled recipes: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def bundled_recipes() -> dict[str, Path]:
    """Bundled recipes by name."""
    return {path.stem: path for path in sorted(models_folder().glob("*.toml"))}


def load_recipe(path: Path) -> Recipe:
    """Read a TOML recipe; a relative `weights` path is taken from the recipe's folder.

    Raises:
        InputError: the file is missing, is not TOML, or a key is unknown or has a wrong value.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_RECIPE_BYTES + 1)
        if len(text) > _MAX_RECIPE_BYTES:
            raise InputError(f"recipe {path} is over 1 MB; is it a recipe at all?")
        table = tomllib.loads(text.decode())
    except OSError as error:
        raise InputError(f"cannot read recipe {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # also of a number with too many digits
        raise InputError(f"recipe {path} is not TOML: {error}") from error
    table.setdefault("name", "model" if path.name == PROJECT_RECIPE else _slug(path.stem))
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        raise InputError(f"recipe {path}: {mistake_in(error, 'the recipe')}") from error
    weights = recipe.model.weights
    if weights is not None:
        recipe = recipe.override(model={"weights": path.parent / weights})
    beside = {
        name: path.parent / file for name in ("adapter", "compatibility") if (file := getattr(recipe.embedding, name))
    }
    recipe = recipe.override(embedding=beside)
    if recipe.distill is not None:
        recipe = recipe.model_copy(update={"distill": recipe.distill.below(path.parent)})
    return recipe


def resolve_model(model: Recipe | Path | str | None) -> Recipe:
    """Turn what the user typed into a recipe.

    Args:
        model: a recipe (bundled name or path), a timm name, `hf-hub:ORG/NAME` or `package.module:factory`;
            None means `edgekit.toml` in the working directory, else the bundled default. A recipe is given back.

    Raises:
        InputError: the recipe cannot be read.
        UsageError: nothing goes by that name; the message suggests near ones.
    """
    if isinstance(model, Recipe):
        return model
    if isinstance(model, Path):
        model = str(model)
    if model is None:
        own = Path(PROJECT_RECIPE)
        return load_recipe(own if own.is_file() else bundled_recipes()[DEFAULT_RECIPE])
    if model.endswith(".toml") or (os.sep in model and Path(model).is_file()):
        return load_recipe(Path(model))
    bundled = bundled_recipes()
    if model in bundled:
        return load_recipe(bundled[model])
    if model.startswith("hf-hub:"):
        # Who names a model on the hub means its weights.
        return Recipe(name=_slug(model.removeprefix("hf-hub:")), model=ModelSpec(backbone=model, pretrained=True))
    if _FACTORY.match(model):
        return Recipe(name=_slug(model), model=ModelSpec(backbone=model))
    import timm

    from edgekit.recipe.backbones import suggest

    # is_model knows architectures; a tag after the dot names one of its sets of weights.
    if not timm.is_model(model.split(".")[0]):
        near = [*difflib.get_close_matches(model, bundled, n=1), *suggest(model)[:3]]
        hint = f"did you mean {', '.join(near)}?" if near else "see `edgekit backbones`"
        raise UsageError(f"no recipe, timm model or factory is called {model!r}; {hint}")
    return Recipe(name=_slug(model), model=ModelSpec(backbone=model))


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:128] or "model"
