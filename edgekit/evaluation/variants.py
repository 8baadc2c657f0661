"""What is compared: recipes, and variants of one family, each in its precisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgekit.errors import UsageError
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.text import shown

__all__ = ["SWEEPS", "is_seeded", "swept"]

_MOST = 64  # variants


def is_seeded(recipe: Recipe) -> bool:
    """Whether its weights are random: what it costs can be said, what it is worth cannot."""
    model = recipe.model
    return model.weights is None and not model.pretrained and not model.is_factory


def swept(recipes: Sequence[Recipe], sweep: Mapping[str, Sequence[str]]) -> list[Recipe]:
    """Each recipe in each variant of `SWEEPS`; all combinations, in order.

    Raises:
        UsageError: an unknown sweep, a value that it does not take, too many variants, or two recipes of one name.
    """
    done = list(recipes)
    for key, values in sweep.items():
        if key not in SWEEPS:
            raise UsageError(f"`sweep` has no {shown(key, 40)!r}; give one of {', '.join(SWEEPS)}", field="sweep")
        if not values:
            raise UsageError(f"`sweep`: {key} has no values; give some, as in size=160,192,224", field="sweep")
        done = [SWEEPS[key](recipe, value) for recipe in done for value in dict.fromkeys(values)]
        if len(done) > _MOST:
            raise UsageError(f"`sweep` makes {len(done)} variants; at most {_MOST} are compared", field="sweep")
    names = [recipe.name for recipe in done]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two models are called {shown(name, 60)}; rename one, or name it once", field="models")
    return done


def _sized(recipe: Recipe, value: str) -> Recipe:
    size = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0
    if not 8 <= size <= 4096:
        raise UsageError(f"`sweep`: size is {shown(value, 20)!r}; give pixels from 8 to 4096", field="sweep")
    return _renamed(recipe, str(size)).override(input={"size": (size, size)})


def _of_width(recipe: Recipe, value: str) -> Recipe:
    """Another variant of timm's, by its name, with the recipe's input and embedding; its own weights it has not."""
    other = resolve_model(value)
    if other.model.is_factory or other.model.weights is not None:
        raise UsageError(f"`sweep`: width takes names of timm models, not {shown(value, 60)!r}", field="sweep")
    model = {"backbone": other.model.backbone, "weights": None, "weights_key": None, "pretrained": False}
    return _renamed(recipe, other.name).override(model=model)


def _renamed(recipe: Recipe, more: str) -> Recipe:
    return recipe.model_copy(update={"name": f"{recipe.name}-{more}"[:128]})


SWEEPS: dict[str, Callable[[Recipe, str], Recipe]] = {"size": _sized, "width": _of_width}
