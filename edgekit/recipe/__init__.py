"""What to export and how it was trained: recipes in TOML, and the names that stand for one."""

from edgekit.recipe.recipe import (
    DEFAULT_RECIPE,
    PROJECT_RECIPE,
    EmbeddingSpec,
    GatesSpec,
    InputSpec,
    Metadata,
    ModelSpec,
    Recipe,
    bundled_recipes,
    load_recipe,
    models_folder,
    resolve_model,
)
from edgekit.recipe.selection import ModelOptions, select_recipe

__all__ = [
    "DEFAULT_RECIPE",
    "PROJECT_RECIPE",
    "EmbeddingSpec",
    "GatesSpec",
    "InputSpec",
    "Metadata",
    "ModelOptions",
    "ModelSpec",
    "Recipe",
    "bundled_recipes",
    "load_recipe",
    "models_folder",
    "resolve_model",
    "select_recipe",
]
