"""Artifacts that were published earlier: open them, run them on images, check them again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError, UsageError
from edgekit.quantization.schemes import gates_for
from edgekit.support.threads import one_thread

if TYPE_CHECKING:
    import numpy as np

    from edgekit.artifact.manifest import Manifest
    from edgekit.data.image_files import LeftOut
    from edgekit.data.images import Folder, Picture
    from edgekit.parity import ParityReport
    from edgekit.recipe import InputSpec, Recipe
    from edgekit.support.progress import Reporter
    from edgekit.targets import Runner

__all__ = ["Artifact", "Embeddings", "check", "embed", "open_artifact", "save"]

_BATCH = 8
_SAVED_AS = (".csv", ".json", ".npy")


@dataclass(frozen=True)
class Artifact:
    """A written file, whose hashes agree with its manifest, opened with a runtime of this machine."""

    path: Path
    manifest: Manifest | None
    runner: Runner
    spec: InputSpec


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of N images: `values` is float32 [N,D], row for row with `names`."""

    names: Sequence[str]
    values: np.ndarray
    skipped: Sequence[tuple[str, str]]
    left_out: LeftOut  # images in folders, of kinds that are not read here
    runtime: str
    reference: bool

    def nearest(self) -> list[str]:
        """For each image the most similar other one with its cosine; "-" for a single image."""
        from edgekit.metrics.retrieval import nearest

        if len(self.names) < 2:
            return ["-"] * len(self.names)
        return [f"{self.names[index]} ({cosine:.3f})" for index, cosine in zip(*nearest(self.values), strict=True)]


def open_artifact(path: Path, *, allow_bare: bool = False, threads: int = 1) -> Artifact:
    """Open a published folder, or the artifact in it, after comparing every file with the manifest's hashes.

    Args:
        allow_bare: take a file that has no manifest, with the default preprocessing and nothing to compare with.
        threads: of the runtime, where it lets that be said.

    Raises:
        InputError: no such artifact, no manifest, or a damaged one.
        IntegrityError: a file is not what the manifest says.
        MissingDependencyError: the runtime of this format is not installed.
    """
    from edgekit import targets
    from edgekit.artifact.manifest import find, verify_files
    from edgekit.recipe import InputSpec

    artifact, manifest = find(path)
    if artifact.suffix == ".mlpackage":
        from edgekit.mil import import_lean

        import_lean()  # nothing is converted here, and the whole of coremltools takes seconds
    if manifest is not None:
        verify_files(manifest, artifact.parent)
        target = targets.find(manifest.target.name, manifest.target.format)
        runner = target.backend().open(artifact, threads=threads)
        wanted = manifest.preprocessing.model_dump(
            include={"size", "mean", "std", "interpolation", "crop_pct", "crop_mode"}
        )
        spec = InputSpec.model_validate(wanted)
        if tuple(spec.size) != tuple(runner.input_size):
            raise InputError(
                f"{artifact}: takes {runner.input_size} pixels, its manifest says {tuple(spec.size)}; export it again"
            )
        return Artifact(artifact, manifest, runner, spec)
    if not allow_bare:
        raise InputError(f"{artifact}: no manifest.json beside it to check it by; --no-manifest runs it all the same")
    runner = targets.of(artifact).backend().open(artifact, threads=threads)
    return Artifact(artifact, None, runner, InputSpec(size=runner.input_size, crop_pct=1.0))


def embed(path: Path, images: Sequence[Path], reporter: Reporter, *, allow_bare: bool = False) -> Embeddings:
    """Embed image files, and the images of folders, with an artifact; unreadable ones are skipped and named.

    Raises:
        InputError: the artifact or all images cannot be read, or over half of a folder's are of kinds not read here.
    """
    import numpy as np

    with reporter.stage(f"open {path.name}"):
        artifact = open_artifact(path, allow_bare=allow_bare)
    sources = _Files(images, artifact.spec)
    for line in sources.told:
        reporter.note(line)
    names, rows = [], []
    with reporter.stage(f"embed {len(sources)} images") as tick:
        for picture in sources:
            rows.append(artifact.runner.embed(picture.image[None]))
            names.append(picture.name)
            tick(len(names), len(sources))
    if not rows:
        first, reason = sources.skipped[0]
        raise InputError(f"none of {len(sources)} images can be read; {first}: {reason}")
    runner = artifact.runner
    return Embeddings(names, np.concatenate(rows), sources.skipped, sources.left_out, runner.runtime, runner.reference)


@one_thread()
def check(
    path: Path,
    recipe: Recipe,
    images: Path | None,
    samples: int,
    reporter: Reporter,
) -> ParityReport:
    """Compare a published artifact with the model that `recipe` describes.

    Raises:
        EdgeKitError: the artifact or the model cannot be opened. A missed gate is in the report.
    """
    from edgekit import parity
    from edgekit.data.datasets import pictures
    from edgekit.model.build import build
    from edgekit.parity.reference import reference_of

    with reporter.stage(f"open {path.name}"):
        artifact = open_artifact(path)
    manifest = artifact.manifest
    if manifest is None:
        raise UsageError(f"{path}: parity needs the manifest that was published with it")
    embedder = build(recipe, reporter)
    if embedder.spec.size != artifact.spec.size:
        raise UsageError(
            f"{path} takes {artifact.spec.size} pixels, {recipe.name} takes {embedder.spec.size}: another model?"
        )
    data = pictures(images, samples, embedder.spec, reporter)
    reference = reference_of(embedder, data, reporter)
    with reporter.stage(f"embed {len(data)} images with {artifact.path.name}") as tick:
        return parity.check(
            artifact.runner,
            reference,
            data,
            recipe.gates.of(gates_for(manifest.precision)),
            dataset=data.name,
            digest=data.digest(),
            progress=tick,
            batch=_BATCH,
        )


def save(embeddings: Embeddings, out: Path) -> None:
    """Write embeddings as .npy (float32 [N,D]), .csv (name, values) or .json, in one step.

    Raises:
        UsageError: another suffix.
        OutputError: the disk is full or refuses.
    """
    import numpy as np

    from edgekit.support.files import write_atomically

    if out.suffix not in _SAVED_AS:
        raise UsageError(f"{out}: save embeddings as {', '.join(_SAVED_AS)}")
    buffer = io.BytesIO()
    if out.suffix == ".npy":
        np.save(buffer, embeddings.values, allow_pickle=False)
    elif out.suffix == ".csv":
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["image", *(f"e{index}" for index in range(embeddings.values.shape[1]))])
        writer.writerows([name, *row.tolist()] for name, row in zip(embeddings.names, embeddings.values, strict=True))
        buffer.write(text.getvalue().encode())
    else:
        pairs = zip(embeddings.names, embeddings.values.tolist(), strict=True)
        rows = [{"image": name, "embedding": values} for name, values in pairs]
        buffer.write(json.dumps(rows, ensure_ascii=False).encode())
    write_atomically(out, buffer.getvalue())


class _Files:
    """Pictures from files and folders, read one at a time; what cannot be read is in `skipped`, by name and reason.

    `left_out` are the folders' images of kinds that are not read here, `told` says so of each such folder. Raises
    MostLeftOutError where they are over half of a folder's.
    """

    def __init__(self, paths: Sequence[Path], spec: InputSpec) -> None:
        from edgekit.data.image_files import LeftOut, MostLeftOutError
        from edgekit.data.images import Folder
        from edgekit.support.text import shown

        self._spec = spec
        self._opened: list[tuple[Path, Folder | InputError | None]] = []
        self.skipped: list[tuple[str, str]] = []
        self.left_out, self.told = LeftOut(), list[str]()
        for path in paths:
            if not path.is_dir():
                self._opened.append((path, None))
                continue
            try:
                folder = Folder(path, spec)
            except MostLeftOutError:
                raise
            except InputError as error:
                self._opened.append((path, error))
                continue
            self._opened.append((path, folder))
            if folder.left_out.names:
                self.told.append(folder.left_out.line(shown(str(path))))
                self.left_out += folder.left_out.below(path)

    def __len__(self) -> int:
        return sum(1 if folder is None or isinstance(folder, InputError) else len(folder) for _, folder in self._opened)

    def __iter__(self) -> Iterator[Picture]:
        from edgekit.data.image_files import MostLeftOutError
        from edgekit.data.images import Picture, load_image, preprocess

        for path, folder in self._opened:
            try:
                if folder is None:
                    yield Picture(str(path), None, preprocess(load_image(path), self._spec))
                elif isinstance(folder, InputError):
                    raise folder
                else:
                    yield from self._folder(path, folder)
            except MostLeftOutError:
                raise
            except InputError as error:
                self.skipped.append((str(path), str(error).removeprefix(f"{path}: ")))

    def _folder(self, path: Path, folder: Folder) -> Iterator[Picture]:
        try:
            for picture in folder:
                yield replace(picture, name=str(path / picture.name))
        finally:
            self.skipped += [(str(path / name), reason) for name, reason in folder.skipped]
