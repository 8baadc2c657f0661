"""A recipe as TOML again: what is at its default is left out, and reading it gives an equal recipe."""

from __future__ import annotations

from typing import Any

from edgekit.errors import UsageError
from edgekit.recipe.gates import Gates
from edgekit.recipe.recipe import GatesSpec, Recipe
from edgekit.support.text import reason_of

__all__ = ["tables_of", "to_toml"]


def tables_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe's tables; paths as the recipe has them."""
    tables = recipe.model_dump(
        mode="json",
        exclude={"model": {"args"}, "input": True, "gates": True},
        exclude_none=True,
        exclude_defaults=True,
    )
    if recipe.model.args:
        tables["model"]["args"] = recipe.model.args  # whose values need not be those of JSON
    # A key of `input` that is set counts also where it is the default: the backbone's own configuration differs.
    tables |= {"input": recipe.input.model_dump(mode="json", exclude_unset=True), "gates": _limits(recipe.gates)}
    # An empty [distill] is a run with every default; of the others it says nothing.
    said = {name for name, table in tables.items() if table or name == "distill"}
    return {name: tables[name] for name in Recipe.model_fields if name in said}


def to_toml(table: dict[str, Any]) -> str:
    """Tables as TOML.

    Raises:
        UsageError: a value is none that TOML has.
    """
    import tomli_w

    try:
        text = tomli_w.dumps(table)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"the recipe cannot be written as TOML ({reason_of(error, 160)}); give text, numbers, dates, lists, tables",
            field="model",
        ) from error
    return text


def _limits(gates: GatesSpec) -> dict[str, dict[str, float]]:
    """Limits that differ from those of their precision, which are not those of the class."""
    found = {}
    for precision in GatesSpec.model_fields:
        given, usual = gates.of(precision).model_dump(), Gates.for_precision(precision).model_dump()
        if changed := {key: value for key, value in given.items() if value != usual[key]}:
            found[precision] = changed
    return found
