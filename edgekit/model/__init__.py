"""From a recipe to an embedder: backbones, weights, heads."""
