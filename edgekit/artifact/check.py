"""Check a published artifact again: its embeddings against the original's."""

from __future__ import annotations

from pathlib import Path

from edgekit.artifact.folder import check_size, stated
from edgekit.artifact.open import open_artifact
from edgekit.parity.report import ParityReport
from edgekit.quantization.schemes import gates_for
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.fields import AnyPath, optional_path
from edgekit.support.progress import Reporter, Silent
from edgekit.support.threads import one_thread

__all__ = ["check_parity"]


@one_thread()
def check_parity(
    path: AnyPath,
    recipe: Recipe | AnyPath,
    images: AnyPath | None = None,
    samples: int | None = None,
    reporter: Reporter | None = None,
) -> ParityReport:
    """Compare a published artifact with the model that `recipe` describes, on the images of a folder, or on `samples`
    photos of the synthetic catalogue: 64 where nobody says how many, and fewer images where the runtime is slow.

    Raises:
        EdgeKitError: the artifact or the model cannot be opened. A missed gate is in the report.
    """
    from edgekit.data.datasets import SAMPLES, a_few, pictures
    from edgekit.model.build import build
    from edgekit.parity.judge import judge_of

    reporter, recipe = reporter or Silent(), resolve_model(recipe)
    with reporter.stage(f"open {Path(path).name}"):
        artifact = open_artifact(path, allow_bare=True)
    manifest = stated(Path(path), artifact.manifest)
    embedder = build(recipe, reporter)
    check_size(Path(path), manifest, recipe.name, embedder.spec.size)
    data = pictures(optional_path(images), samples or SAMPLES, embedder.spec, reporter)
    judge = judge_of(embedder, a_few(data, artifact.target.images_for(samples)), reporter, plain=False)
    with reporter.stage(f"embed {len(judge.data)} images with {artifact.path.name}") as tick:
        return judge.report(artifact.runner, recipe.gates.of(gates_for(manifest.precision)), tick)
