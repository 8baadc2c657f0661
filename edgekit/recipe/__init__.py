"""What to export and how it was trained: recipes in TOML, and the names that stand for one."""

from edgekit.recipe.recipe import EmbeddingSpec, InputSpec, ModelSpec, Recipe, ReleaseSpec, load_recipe, resolve_model

__all__ = ["EmbeddingSpec", "InputSpec", "ModelSpec", "Recipe", "ReleaseSpec", "load_recipe", "resolve_model"]
