"""What embeds: a model in PyTorch, or an artifact in its runtime; each process opens it for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekit.artifact.manifest import FILENAME
from edgekit.embedding.about import Model
from edgekit.recipe import InputSpec, Recipe, resolve_model
from edgekit.support.fields import AnyPath
from edgekit.support.files import sha256_tree
from edgekit.support.progress import Reporter, Silent
from edgekit.targets import by_suffix

__all__ = ["Opened", "Subject", "subject_of"]

_BATCH = 8  # images that PyTorch takes at once


class Opened(NamedTuple):
    """A model that is ready: what it is, what it takes, and how it embeds uint8 [n,H,W,3] to float32 [n,D]."""

    model: Model
    spec: InputSpec
    batch: int  # images to give at once
    embed: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Subject:
    """An artifact's path, or a recipe; it can be sent to another process."""

    artifact: Path | None
    recipe: Recipe | None
    allow_bare: bool = False

    def open(self, reporter: Reporter | None = None) -> Opened:
        """Open it, to run on one thread.

        Raises:
            EdgeKitError: it cannot be opened or built.
        """
        reporter = reporter or _Mute()
        if self.artifact is not None:
            return _open_artifact(self.artifact, self.allow_bare, reporter)
        assert self.recipe is not None
        return _build(self.recipe, reporter)


def subject_of(model: Recipe | AnyPath | None, *, allow_bare: bool = False) -> Subject:
    """What `model` names: an artifact, or the folder of an export; otherwise what `resolve_model` knows.

    Raises:
        UsageError: nothing goes by that name.
        InputError: the recipe cannot be read.
    """
    if isinstance(model, Path | str):
        path = Path(model)
        if by_suffix(path.suffix) is not None or (path / FILENAME).is_file():
            return Subject(path.absolute(), None, allow_bare)
    return Subject(None, resolve_model(model), allow_bare)


def _open_artifact(path: Path, allow_bare: bool, reporter: Reporter) -> Opened:
    from edgekit.artifact.open import open_artifact

    with reporter.stage(f"open {path.name}"):
        artifact = open_artifact(path, allow_bare=allow_bare)
    runner, manifest = artifact.runner, artifact.manifest
    name = artifact.path.stem if manifest is None else str(manifest.recipe.get("name", artifact.path.stem))
    runtime = f"{runner.runtime} (reference)" if runner.reference else runner.runtime
    space = None if manifest is None else manifest.embedding.space
    shared = manifest is not None and manifest.embedding.shared is not None
    sha256, kind = sha256_tree(artifact.path), artifact.target.format
    model = Model(name=name, sha256=sha256, space=space, shared=shared, kind=kind, runtime=runtime)
    return Opened(model, artifact.spec, 1, runner.embed)


def _build(recipe: Recipe, reporter: Reporter) -> Opened:
    import torch

    from edgekit.model.build import build, model_sha256

    embedder = build(recipe, reporter)

    def embed(images: np.ndarray) -> np.ndarray:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return embedder.embed(images)
        finally:
            torch.set_num_threads(before)

    space, sha256 = embedder.space, model_sha256(embedder, recipe)
    model = Model(
        name=recipe.name,
        sha256=sha256,
        space=None if space is None else space.id,
        shared=space is not None and space.evidence is not None,
        kind="pytorch",
        runtime="torch",
    )
    return Opened(model, embedder.spec, _BATCH, embed)


class _Mute(Silent):
    """Says nothing: the first process that opened the model has said it."""

    def note(self, line: str) -> None:
        pass
