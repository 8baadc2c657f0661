"""Open an artifact that was published earlier, after comparing its files with its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit import targets
from edgekit.artifact.folder import find, verify_files
from edgekit.artifact.manifest import Manifest
from edgekit.artifact.trial import survives
from edgekit.errors import InputError
from edgekit.recipe import InputSpec
from edgekit.support.fields import AnyPath
from edgekit.targets.base import Runner, Target, load_runtime

__all__ = ["Artifact", "open_artifact"]


@dataclass(frozen=True)
class Artifact:
    """A written file, whose hashes agree with its manifest, opened with a runtime of this machine."""

    path: Path
    target: Target
    manifest: Manifest | None
    runner: Runner
    spec: InputSpec


def open_artifact(path: AnyPath, *, allow_bare: bool = False, threads: int = 1) -> Artifact:
    """Open a published folder, or the artifact in it, after comparing every file with the manifest's hashes.

    Args:
        allow_bare: take a file that has no manifest, with the default preprocessing and nothing to compare with.
            Where a runtime does not survive damaged files, it is tried in another process first.
        threads: of the runtime, where it lets that be said.

    Raises:
        InputError: no such artifact, no manifest, or a damaged one.
        IntegrityError: a file is not what the manifest says.
        MissingDependencyError: the runtime of this format is not installed.
    """
    artifact, manifest = find(Path(path))
    if manifest is None and not allow_bare:
        raise InputError(
            f"{artifact}: has no manifest.json beside it, so it cannot be checked; `allow_bare=True` runs it anyway",
            field="allow_bare",
        )
    if manifest is not None:
        verify_files(manifest, artifact.parent)
        target = targets.find(manifest.target.name, manifest.target.format)
    else:
        target = targets.of(artifact)
        survives(artifact, target)
    backend = target.backend()
    load_runtime(target.runtime.entry)
    runner = backend.open(artifact, threads=threads)
    if manifest is None:
        return Artifact(artifact, target, None, runner, InputSpec(size=runner.input_size, crop_pct=1.0))
    spec = InputSpec.model_validate(manifest.preprocessing.model_dump(include={*InputSpec.model_fields}))
    if tuple(spec.size) != tuple(runner.input_size):
        raise InputError(
            f"{artifact}: takes {runner.input_size} pixels, its manifest says {tuple(spec.size)}; export it again"
        )
    return Artifact(artifact, target, manifest, runner, spec)
