"""A recipe by its name, with the few changes that say which model is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict, Unpack

from edgekit.errors import UsageError
from edgekit.recipe.recipe import ModelSpec, Recipe, resolve_model

__all__ = ["ModelOptions", "select_recipe"]


class ModelOptions(TypedDict, total=False):
    """What may be changed; None, False and what is left out keep the recipe's own value."""

    weights: Path | None
    weights_key: str | None  # of `weights`, or where there are none, of the recipe's file
    pretrained: bool
    seed: int | None
    size: int | None  # pixels, width and height
    output: str | None
    pool: Literal["avg", "cls", "max"] | None
    dim: int | None  # values of an embedding
    adapter: Path | None  # which makes another model of it, with a name of its own


def select_recipe(model: str | None, **options: Unpack[ModelOptions]) -> Recipe:
    """The recipe that `model` names as for `resolve_model`, with `options`.

    Raises:
        InputError: the recipe cannot be read.
        UsageError: nothing goes by that name, or the options exclude each other.
    """
    weights, key, pretrained = options.get("weights"), options.get("weights_key"), options.get("pretrained")
    seed, size = options.get("seed"), options.get("size")
    if weights and pretrained:
        raise UsageError("`weights` and `pretrained` exclude each other; give one of them", field="pretrained")
    recipe = resolve_model(model)
    if pretrained and recipe.model.is_factory:
        raise UsageError(
            f"{recipe.model.backbone} brings its own weights; `pretrained` is for timm and the hub", field="pretrained"
        )
    if key and (pretrained or not (weights or recipe.model.weights)):
        raise UsageError("`weights_key` names a part of a weights file; give it with `weights`", field="weights_key")
    changes = {
        name: value for name, value in options.items() if value and name in ModelSpec.model_fields and name != "seed"
    }
    if seed is not None:
        changes["seed"] = seed
    if pretrained:
        changes |= {"weights": None, "weights_key": None}
    elif weights or seed is not None:
        changes["pretrained"] = False
    if weights:
        changes["weights_key"] = key  # the recipe's key is for the recipe's file
    embedding = {name: value for name in ("dim", "adapter") if (value := options.get(name))}
    if options.get("adapter"):
        recipe = recipe.model_copy(update={"name": f"{recipe.name[:118]}-adapted"})
    return recipe.override(model=changes, input={"size": (size, size)} if size else {}, embedding=embedding)
