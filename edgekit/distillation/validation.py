"""What a student is worth on listings it never saw: retrieval, attributes of neighbours, likeness to its teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from edgekit.distillation.augment import canvas, evaluate
from edgekit.distillation.cache import Targets
from edgekit.distillation.loader import Corrupt, DataSets, as_read
from edgekit.distillation.metrics import Retrieval, knn_accuracy, retention, retrieval
from edgekit.distillation.sources import Source, open_source, tell_left_out
from edgekit.distillation.teachers import Process, Teacher, embed, fill
from edgekit.errors import InputError
from edgekit.model.embedder import Embedder
from edgekit.recipe import InputSpec
from edgekit.recipe.training import DistillSpec, RetrievalSpec
from edgekit.support.progress import Reporter, Tick

__all__ = ["Figures", "Task", "Validator", "embed_photos"]

_BATCH = 50


@dataclass(frozen=True)
class Task:
    """A retrieval task: photo numbers of `source` that ask and that answer, and the teachers' embeddings."""

    name: str
    source: Source
    query: np.ndarray
    gallery: np.ndarray
    targets: Sequence[Targets]


@dataclass(frozen=True)
class Figures:
    """The figures of one validation; `details` keeps each task's Retrieval, `table` is what is written down."""

    table: dict[str, Any]
    details: Mapping[str, Retrieval]


def _no_tick(done: int, total: int, text: str = "", /) -> None:
    pass


class Validator:
    """Measures a student on the recipe's retrieval tasks; the teachers' own embeddings are cached beforehand.

    Raises InputError for a data set without two photos of a listing, or with a label that training never shows.
    """

    def __init__(
        self,
        spec: DistillSpec,
        input: InputSpec,
        teachers: Sequence[Teacher],
        vocabulary: Mapping[str, Sequence[str]],
        cache: Path,
        reporter: Reporter,
        device: torch.device,
    ) -> None:
        self._spec, self._input, self._device, self._workers = spec, input, device, spec.workers
        models = [teacher for teacher in teachers if teacher.embedder is not None]
        self._same = [teacher.spec.projection is False for teacher in models]
        self.tasks = []
        for row in spec.validation.retrieval:
            source = open_source(row.data)
            tell_left_out([source], reporter)
            query, gallery = _split(row, source)
            _refuse_unseen(row, source, vocabulary)
            data = DataSets([source], [source.digest()], Corrupt([source], [row.data.max_corrupt]))
            targets = [
                fill(teacher, data, spec, cache, reporter, augment=False, process=Process(device)) for teacher in models
            ]
            self.tasks.append(Task(row.name, source, query, gallery, targets))
        self._teacher_figures: dict[tuple[str, int], float] = {}

    def __call__(self, student: nn.Module, size: tuple[int, int], final: bool) -> dict[str, Any]:
        """Figures of a student in training, at the size that is on and in the precision it trains in."""
        embedder = student.embedder
        assert isinstance(embedder, Embedder)
        student.eval()
        return self.measure(embedder, size, None if final else self._spec.validation.sample, self._spec.precision).table

    def measure(
        self, embedder: Embedder, size: tuple[int, int], sample: int | None, precision: str, tick: Tick = _no_tick
    ) -> Figures:
        """Figures of `embedder` on the first `sample` listings of every task (None: all of them)."""
        chosen = [_first(task, sample) for task in self.tasks]
        total, done = sum(len(query) + len(gallery) for query, gallery in chosen), 0
        table: dict[str, Any] = {"retrieval": {}, "knn": {}, "teacher_cosine": None}
        details, cosines = {}, []
        for task, (query, gallery) in zip(self.tasks, chosen, strict=True):
            rows, parts = np.concatenate([query, gallery]), []
            for part in embed_photos(
                embedder, self._input, task.source, rows, size, precision, self._device, self._workers
            ):
                parts.append(part)
                done += len(part)
                tick(done, total, task.name)
            vectors = np.concatenate(parts)
            listings = task.source.listings
            figures = retrieval(vectors[: len(query)], vectors[len(query) :], listings[query], listings[gallery])
            details[task.name] = figures
            row: dict[str, Any] = {
                "recall_1": figures.recall_1,
                "recall_10": figures.recall_10,
                "ndcg_10": figures.ndcg_10,
                "mean_ap": figures.mean_ap,
                "queries": figures.queries,
                "gallery": figures.gallery,
            }
            if task.targets:
                best = max(self._teacher(task, which, query, gallery) for which in range(len(task.targets)))
                row |= {"teacher_recall_1": best, "retention": retention(figures.recall_1, best)}
            for targets, same in zip(task.targets, self._same, strict=True):
                if same and targets.dim == vectors.shape[1]:
                    wanted = targets.of(np.zeros(len(rows), np.int64), rows, np.zeros(len(rows), np.int64))
                    cosines.append(float((wanted * vectors).sum(1).mean()))
            table["retrieval"][task.name] = row
            self._attributes(task, rows, vectors, table["knn"])
        if cosines:
            table["teacher_cosine"] = float(np.mean(cosines))
        return Figures(table, details)

    def _attributes(self, task: Task, rows: np.ndarray, vectors: np.ndarray, into: dict[str, float]) -> None:
        """kNN accuracy of each attribute, on the first task that knows it."""
        wanted = self._spec.validation.tasks
        for name, column in task.source.labels.items():
            if name in into or (wanted is not None and name not in wanted):
                continue
            groups = task.source.listings[rows]
            accuracy = knn_accuracy(vectors, column.codes[rows], self._spec.validation.neighbours, groups=groups)
            if accuracy is not None:
                into[name] = accuracy

    def _teacher(self, task: Task, which: int, query: np.ndarray, gallery: np.ndarray) -> float:
        key = (f"{task.name} {which}", len(query))
        if key not in self._teacher_figures:
            first, zero = task.targets[which], np.zeros_like
            asked, answers = (first.of(zero(rows), rows, zero(rows)) for rows in (query, gallery))
            listings = task.source.listings
            self._teacher_figures[key] = retrieval(asked, answers, listings[query], listings[gallery]).recall_1
        return self._teacher_figures[key]


def _split(row: RetrievalSpec, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """The first photo of each listing with at least two, and the others."""
    codes = source.listings
    known = np.flatnonzero(codes >= 0)
    _, first, inverse, counts = np.unique(codes[known], return_index=True, return_inverse=True, return_counts=True)
    whole = counts > 1
    if not whole.any():
        raise InputError(
            f"validation {row.name}: data {source.name} has no listing with two photos, so nothing can be retrieved; "
            "name the listing of each photo"
        )
    query = np.sort(known[first[whole]])
    rest = known[whole[inverse]]
    return query, np.setdiff1d(rest, query)


def _refuse_unseen(row: RetrievalSpec, source: Source, vocabulary: Mapping[str, Sequence[str]]) -> None:
    if row.data.unseen == "ignore":
        return
    for task, column in source.labels.items():
        known = set(vocabulary.get(task, column.names))
        new = [name for name in column.names if name not in known]
        if new:
            raise InputError(
                f"validation {row.name}: {len(new)} labels of {task!r} never occur in training, first {new[0]!r}; "
                'add such photos to training, or set unseen = "ignore"'
            )


def _first(task: Task, sample: int | None) -> tuple[np.ndarray, np.ndarray]:
    if sample is None or sample >= len(task.query):
        return task.query, task.gallery
    query = task.query[:sample]
    return query, task.gallery[np.isin(task.source.listings[task.gallery], task.source.listings[query])]


class _Photos(Dataset[Any]):
    """Batches of photos at one size; an unreadable one is grey, so that places do not shift."""

    def __init__(self, source: Source, rows: np.ndarray, size: tuple[int, int]) -> None:
        self._source, self._rows, self._size = source, rows, size

    def __len__(self) -> int:
        return -(-len(self._rows) // _BATCH)

    def __getitem__(self, index: int) -> np.ndarray:
        rows = self._rows[index * _BATCH : (index + 1) * _BATCH]
        images = np.full((len(rows), *self._size, 3), 127, np.uint8)
        for place, row in enumerate(rows.tolist()):
            try:
                images[place] = self._source.read(row, self._size)
            except InputError:
                continue
        return images


def embed_photos(
    embedder: Embedder,
    spec: InputSpec,
    source: Source,
    rows: np.ndarray,
    size: tuple[int, int],
    precision: str,
    device: torch.device,
    workers: int,
) -> Iterator[np.ndarray]:
    """Unit embeddings of photos `rows`, read at `size` (height, width) and cropped as at evaluation.

    Yields float32 [n,D], a batch at a time, in the order of `rows`.
    """
    photos = _Photos(source, rows, canvas(spec, size))
    loader = DataLoader(
        photos, batch_size=None, num_workers=workers, collate_fn=as_read, generator=torch.Generator().manual_seed(0)
    )
    for images in loader:
        pixels = evaluate(torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float(), size)
        yield embed(embedder, pixels, precision)
