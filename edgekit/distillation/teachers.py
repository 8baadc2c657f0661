"""Teachers: any model that EdgeKit can embed with, or embeddings that were computed elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from edgekit.distillation.augment import AUGMENTATIONS, Augmentation, apply, canvas, draw
from edgekit.distillation.cache import BLOCK, Cache, CachedTargets, Targets
from edgekit.distillation.loader import DataSets, read_photos
from edgekit.distillation.sources.base import Source
from edgekit.errors import InputError, MissingDependencyError, UsageError
from edgekit.model.embedder import Embedder, build_embedder, state_sha256
from edgekit.recipe import resolve_model
from edgekit.recipe.training import DistillSpec, TeacherSpec
from edgekit.support.files import sha256_file
from edgekit.support.progress import Reporter
from edgekit.support.text import reason_of

__all__ = ["FileTargets", "Process", "Teacher", "embed", "fill", "open_teacher"]

_BATCH = 32


@dataclass(frozen=True)
class Teacher:
    """A teacher that is ready: `embedder` is None where its embeddings come from a file."""

    spec: TeacherSpec
    dim: int
    sha256: str
    license: str
    embedder: Embedder | None = None


def open_teacher(spec: TeacherSpec, side: tuple[int, int]) -> Teacher:
    """Build the teacher, or look at its file, for a student with an input of `side` (height, width) pixels.

    Raises:
        UsageError: there is no such model, its weights would be random, or it cannot be shown the student's views.
        InputError: the file of embeddings cannot be read.
    """
    if spec.embeddings is not None:
        values = _embeddings(spec.embeddings)[1]
        return Teacher(spec, values.shape[1], sha256_file(spec.embeddings), spec.license or "unknown")
    recipe = resolve_model(spec.model)
    if spec.weights is not None or spec.pretrained:
        recipe = recipe.override(
            model={"weights": spec.weights, "weights_key": spec.weights_key, "pretrained": spec.pretrained}
        )
    embedder = build_embedder(recipe)
    if embedder.origin == "seeded":
        raise UsageError(
            f"teacher {spec.label} has random weights, which teach nothing; give its weights or pretrained"
        )
    height, width = embedder.spec.size
    if height * side[1] != width * side[0]:
        raise UsageError(
            f"teacher {spec.label} takes {height}x{width} pixels, the student {side[0]}x{side[1]}: they cannot be "
            "shown the same view; give one of them an input of the other's proportions"
        )
    license = spec.license or embedder.weight_license or recipe.metadata.license
    return Teacher(spec, embedder.dim, state_sha256(embedder), license, embedder)


class FileTargets:
    """Embeddings computed elsewhere: one row a photo, whatever the view."""

    def __init__(self, path: Path, sources: Sequence[Source]) -> None:
        names, values = _embeddings(path)
        total = sum(len(source) for source in sources)
        if names is None:
            if len(values) != total:
                raise InputError(
                    f"{path}: {len(values)} embeddings for {total} photos; write one row per photo, in order"
                )
            self._rows = np.split(np.arange(total), np.cumsum([len(source) for source in sources])[:-1])
        else:
            place = {name: row for row, name in enumerate(names)}
            self._rows = []
            for source in sources:
                wanted = [source.photo_name(index) for index in range(len(source))]
                lost = [name for name in wanted if name not in place]
                if lost:
                    raise InputError(
                        f"{path}: no embedding for {len(lost)} of {len(wanted)} photos of data "
                        f"{source.name}, first {lost[0]}"
                    )
                self._rows.append(np.array([place[name] for name in wanted], np.int64))
        self._values, self.dim = values, values.shape[1]

    def of(self, sources: np.ndarray, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        """float32 [B,dim], one row a photo."""
        out = np.empty((len(rows), self.dim), np.float32)
        for index in np.unique(sources):
            here = sources == index
            out[here] = self._values[self._rows[index][rows[here]]]
        return out


def _embeddings(path: Path) -> tuple[list[str] | None, np.ndarray]:
    """(photo names or None, float [N,D]) of a .npy or Parquet file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file of embeddings")
    if path.suffix not in (".npy", ".parquet"):
        raise InputError(f"{path}: embeddings are read from .npy or .parquet; give one of those")
    names: list[str] | None = None
    try:
        if path.suffix == ".npy":
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            names, values = _parquet(path)
    except InputError:
        raise
    except ImportError as error:
        raise MissingDependencyError("reading Parquet needs pyarrow: run `pip install 'edgekit[distill]'`") from error
    except Exception as error:
        raise InputError(f"{path}: not a file of embeddings ({reason_of(error)})") from error
    if values.ndim != 2 or 0 in values.shape or values.dtype.kind != "f":
        raise InputError(f"{path}: holds {values.dtype} {list(values.shape)}; embeddings are floating point [N,D]")
    for start in range(0, len(values), 65536):
        part = np.asarray(values[start : start + 65536], np.float32)
        bad = ~np.isfinite(part).all(axis=1) | ~part.any(axis=1)
        if bad.any():
            raise InputError(
                f"{path}: row {start + int(np.argmax(bad))} is zero or not finite; compute the embeddings again"
            )
    return names, values


def _parquet(path: Path) -> tuple[list[str], np.ndarray]:
    from pyarrow import parquet

    table = parquet.read_table(path)
    for column in ("name", "embedding"):
        if column not in table.column_names:
            raise InputError(f"{path}: has no column {column!r}; it has {', '.join(table.column_names)}")
    names = table["name"].to_pylist()
    if len(set(names)) < len(names):
        raise InputError(f"{path}: has two rows for one photo; keep one of them")
    return names, np.stack(table["embedding"].to_numpy())


@dataclass(frozen=True)
class Process:
    """Process `rank` of the `world` that share the work, and the device that it computes on."""

    device: torch.device
    rank: int = 0
    world: int = 1


def fill(
    teacher: Teacher,
    data: DataSets,
    spec: DistillSpec,
    root: Path,
    reporter: Reporter,
    *,
    process: Process,
    augment: bool = True,
) -> Targets:
    """The teacher's embeddings of every photo and view, computed where the cache under `root` lacks them.

    Of several processes each computes its share; the caller waits for the others before it reads.

    Raises:
        InputError: too many photos cannot be read.
        IntegrityError: the cache is one of something else.
        OutputError: the disk is full.
    """
    if teacher.embedder is None:
        assert teacher.spec.embeddings is not None
        return FileTargets(teacher.spec.embeddings, data.sources)
    augmentation = AUGMENTATIONS[spec.augment] if augment else None
    writer = _Writer(teacher, teacher.embedder, data, spec, augmentation, reporter, process.device)
    caches = []
    for index, (source, digest) in enumerate(zip(data.sources, data.digests, strict=True)):
        facts = {
            "teacher": teacher.sha256,
            "input": teacher.embedder.spec.model_dump(mode="json"),
            "precision": teacher.spec.precision,
            "data": digest,
            "augment": spec.augment if augmentation is not None else "none",
            "augment_seed": spec.augment_seed if augmentation is not None else 0,
        }
        cache = Cache(root, facts, len(source), spec.views if augmentation is not None else 1, teacher.dim)
        caches.append(cache)
        missing = cache.missing()  # reads the whole cache, so only once
        if damaged := cache.damaged(missing):
            reporter.note(f"{damaged} damaged blocks of the teacher cache {cache.folder} are computed again")
        if process.world > 1:
            writer.write(cache, index, [block for block in missing if block % process.world == process.rank])
        elif missing:
            with cache.locked():  # another run may have filled it meanwhile
                writer.write(cache, index, cache.missing())
    return CachedTargets(caches, teacher.dim)


@dataclass(frozen=True)
class _Writer:
    """Embeds photos with a teacher and puts the embeddings into its caches."""

    teacher: Teacher
    embedder: Embedder
    data: DataSets
    spec: DistillSpec
    augmentation: Augmentation | None
    reporter: Reporter
    device: torch.device

    def write(self, cache: Cache, index: int, blocks: Sequence[int]) -> None:
        """Fill these blocks of the cache of data set `index`."""
        if not blocks:
            return
        source, size = self.data.sources[index], self.embedder.spec.size
        embedder = self.embedder.to(self.device).to(memory_format=torch.channels_last)
        groups = [np.arange(block * BLOCK, min((block + 1) * BLOCK, len(source))) for block in blocks]
        photos = read_photos(source, groups, canvas(self.embedder.spec, size), 0, self.spec.workers)
        done, total = 0, sum(map(len, groups)) * cache.views
        with self.reporter.stage(f"teacher {self.teacher.spec.label} embeds {source.name}") as tick:
            for block, rows, (images, unreadable) in zip(blocks, groups, photos, strict=True):
                for name, reason in unreadable:
                    self.data.skip(index, name, reason, self.reporter)
                values = np.empty((len(images), cache.views, self.teacher.dim), np.float16)
                for view in range(cache.views):
                    parameters = draw(self.augmentation, self.spec.augment_seed, rows, np.full(len(rows), view))
                    for start in range(0, len(rows), _BATCH):
                        part = slice(start, start + _BATCH)
                        pixels = torch.from_numpy(images[part]).to(self.device)
                        of = None if parameters is None else torch.from_numpy(parameters[part]).to(self.device)
                        values[part, view] = embed(embedder, apply(pixels, of, size), self.teacher.spec.precision)
                        done += len(pixels)
                        tick(done, total)
                cache.write(block, values)


def embed(embedder: Embedder, pixels: torch.Tensor, precision: str) -> np.ndarray:
    """Unit embeddings float32 [N,D] of float32 [N,3,H,W] pixels 0-255, computed in `precision` where the pixels are."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast(pixels.device.type, dtype, enabled=precision != "fp32"):
        values = embedder.features(pixels)
    return torch.nn.functional.normalize(values.float(), dim=1).cpu().numpy()
