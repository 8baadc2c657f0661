"""Embed images with an artifact, and save what comes of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.artifact.open import open_artifact
from edgekit.data.image_files import LeftOut, MostLeftOutError
from edgekit.data.images import Folder, Picture, load_image, preprocess
from edgekit.errors import InputError, UsageError
from edgekit.recipe import InputSpec
from edgekit.support.fields import AnyPath, AnyPaths, paths
from edgekit.support.files import write_atomically
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import shown

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Embeddings", "run", "save"]

_SAVED_AS = (".csv", ".json", ".npy")


@dataclass(frozen=True, eq=False)  # arrays do not compare as a whole
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


def run(path: AnyPath, images: AnyPaths, reporter: Reporter | None = None, *, allow_bare: bool = False) -> Embeddings:
    """Embed image files, and the images of folders, with an artifact; unreadable ones are skipped and named.

    Raises:
        UsageError: there is no image.
        InputError: the artifact or all images cannot be read, or over half of a folder's are of kinds not read here.
    """
    import numpy as np

    reporter, given = reporter or Silent(), paths(images)
    if not given:
        raise UsageError("no image is given; name files, or folders of images", field="images")
    with reporter.stage(f"open {Path(path).name}"):
        artifact = open_artifact(path, allow_bare=allow_bare)
    sources = _Files(given, artifact.spec)
    for line in sources.left_lines:
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


def save(embeddings: Embeddings, out: AnyPath) -> None:
    """Write embeddings as .npy (float32 [N,D]), .csv (name, values) or .json, in one step.

    Raises:
        UsageError: another suffix.
        OutputError: the disk is full or refuses.
    """
    import numpy as np

    out = Path(out)
    if out.suffix not in _SAVED_AS:
        raise UsageError(f"{out}: embeddings are saved as {', '.join(_SAVED_AS)}; give a name that ends so")
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

    `left_out` are the folders' images of kinds that are not read here, `left_lines` says so of each such folder. Raises
    MostLeftOutError where they are over half of a folder's.
    """

    def __init__(self, paths: Sequence[Path], spec: InputSpec) -> None:
        self._spec = spec
        self._opened: list[tuple[Path, Folder | InputError | None]] = []
        self.skipped: list[tuple[str, str]] = []
        self.left_out, self.left_lines = LeftOut(), list[str]()
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
                self.left_lines.append(folder.left_out.line(shown(str(path))))
                self.left_out += folder.left_out.below(path)

    def __len__(self) -> int:
        return sum(1 if folder is None or isinstance(folder, InputError) else len(folder) for _, folder in self._opened)

    def __iter__(self) -> Iterator[Picture]:
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
