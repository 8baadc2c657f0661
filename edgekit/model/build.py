"""An embedder that is ready for the road, and what its programs are held against."""

from __future__ import annotations

import hashlib
import json

import torch
from torch import Tensor, nn

from edgekit import graph
from edgekit.data.datasets import CatalogPictures
from edgekit.model.adapter import read_adapter
from edgekit.model.embedder import Embedder, build_embedder, calibrate_normalization, state_sha256
from edgekit.model.space import Evidence, Space, own_space, shared_space
from edgekit.recipe import Recipe
from edgekit.support.files import sha256_file
from edgekit.support.progress import Reporter

__all__ = ["build", "model_sha256", "probe"]

_CALIBRATION_IMAGES = 32
_PROBED = 2  # photographs that every program is run on


def build(recipe: Recipe, reporter: Reporter, *, uint8_input: bool = False) -> Embedder:
    """The recipe's embedder; seeded weights get normalisation statistics from catalogue images, and a warning."""
    with reporter.stage(f"build {recipe.name}"):
        embedder = build_embedder(recipe, uint8_input=uint8_input)
        if embedder.origin == "seeded":
            sample = CatalogPictures(_CALIBRATION_IMAGES, embedder.spec, split="train")
            calibrate_normalization(embedder, [picture.image for picture in sample])
        _place(embedder, recipe, reporter)
    if embedder.taken is not None:
        (reporter.progress if embedder.taken.is_plain else reporter.note)(embedder.taken.line)
    for line in embedder.notes:
        reporter.note(line)
    if embedder.origin == "seeded":
        seed = recipe.model.seed
        reporter.note(
            f"{recipe.name} has RANDOM weights (seed {seed}): give `weights`, or `pretrained=True`, for a real model"
        )
    return embedder


def model_sha256(embedder: Embedder, recipe: Recipe) -> str:
    """SHA-256 of what the embeddings of a PyTorch model follow from: weights, architecture and input."""
    facts = recipe.model.model_dump(mode="json", include={"backbone", "output", "pool", "args"})
    facts |= {"state": _state(embedder, recipe), "input": embedder.spec.model_dump(mode="json")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _state(embedder: Embedder, recipe: Recipe) -> str:
    """The hash of the weights; of seeded ones what they are drawn by, as each kernel draws and calibrates its own."""
    if embedder.origin != "seeded":
        return state_sha256(embedder)
    import timm

    model, makers = recipe.model, {"torch": torch.__version__.partition("+")[0], "timm": timm.__version__}
    drawn = {"seed": model.seed, "dim": recipe.embedding.dim, **makers}
    adapter = None if embedder.adapter is None else state_sha256(embedder.adapter)
    return json.dumps(drawn | {"adapter": adapter}, sort_keys=True)


def _place(embedder: Embedder, recipe: Recipe, reporter: Reporter) -> None:
    """Say which space the embeddings are in: the model's own, or an older one's through an adapter or by evidence."""
    sha256 = model_sha256(embedder, recipe)
    own = own_space(embedder.dim, sha256)
    spec = recipe.embedding
    embedder.space = Space(own) if spec.compatibility is None else shared_space(spec.compatibility, own)
    if spec.adapter is not None:
        adapter = read_adapter(spec.adapter, embedder.dim, sha256)
        _adapt(embedder, adapter.weight)
        embedder.space = Space(own_space(embedder.dim, model_sha256(embedder, recipe)))
        if adapter.old_space is not None:
            embedder.space = Space(adapter.old_space, Evidence("adapter", own, sha256_file(spec.adapter)))
        else:
            reporter.note(f"{spec.adapter.name} was not measured to serve an older gallery: this is a space of its own")


def _adapt(embedder: Embedder, weight: Tensor) -> None:
    """Put the adapter behind the embedding. Its L2 norm comes last alone, as the adapter has no bias."""
    embedder.adapter = nn.Linear(embedder.dim, len(weight), bias=False)
    embedder.adapter.weight = nn.Parameter(weight, requires_grad=False)
    embedder.dim = len(weight)


def probe(embedder: Embedder) -> graph.Probe:
    """Two catalogue photos and what `embedder` makes of them: the same ones always, so that a plan and an export that
    follows it leave out the same rewrites.
    """
    photos = CatalogPictures(_PROBED, embedder.spec, split="train")
    return graph.probe(embedder.run, [embedder.pixels(photo.image[None]) for photo in photos])
