"""What a student is worth on listings it never saw: retrieval, attributes of neighbours, likeness to its teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekit.distillation.augment import canvas, evaluate
from edgekit.distillation.cache import Targets
from edgekit.distillation.job import Job
from edgekit.distillation.loader import DataSets, read_photos
from edgekit.distillation.metrics import Retrieval, knn_accuracy, retention, retrieval
from edgekit.distillation.sources import Source, open_source, tell_left_out
from edgekit.distillation.teachers import Process, embed, fill
from edgekit.errors import InputError
from edgekit.model.embedder import Embedder
from edgekit.recipe import InputSpec
from edgekit.recipe.training import RetrievalSpec
from edgekit.support.progress import Tick

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


class Validator:
    """Measures a student on the recipe's retrieval tasks; the teachers' own embeddings are cached beforehand.

    Raises InputError for a data set without two photos of a listing, or with a label that training never shows.
    """

    def __init__(self, job: Job) -> None:
        self._spec, self._input, self._device = job.spec, job.student.spec, job.accelerator.device
        models = [teacher for teacher in job.teachers if teacher.embedder is not None]
        self._same = [teacher.spec.projection is False for teacher in models]
        self.tasks = []
        process = Process(self._device)
        for row in job.spec.validation.retrieval:
            source = open_source(row.data)
            tell_left_out([source], job.reporter)
            query, gallery = _split(row, source)
            _refuse_unseen(row, source, job.vocabulary)
            data = DataSets([source], [source.digest()], [row.data.max_corrupt])
            targets = [
                fill(teacher, data, job.spec, job.cache, job.reporter, augment=False, process=process)
                for teacher in models
            ]
            self.tasks.append(Task(row.name, source, query, gallery, targets))
        self._teacher_figures: dict[tuple[str, int], float] = {}

    def __call__(self, student: nn.Module, size: tuple[int, int]) -> dict[str, Any]:
        """Figures of a student in training, at the size that is on and in the precision it trains in."""
        embedder = student.embedder
        assert isinstance(embedder, Embedder)
        student.eval()
        sample, precision = self._spec.validation.sample, self._spec.precision
        return self.measure(embedder, size, sample, precision, lambda *_: None).table

    def measure(
        self, embedder: Embedder, size: tuple[int, int], sample: int | None, precision: str, tick: Tick
    ) -> Figures:
        """Figures of `embedder` on the first `sample` listings of every task (None: all of them)."""
        chosen = [_first(task, sample) for task in self.tasks]
        total, done = sum(len(query) + len(gallery) for query, gallery in chosen), 0
        table: dict[str, Any] = {"retrieval": {}, "knn": {}, "teacher_cosine": None}
        details, cosines = {}, []
        for task, (query, gallery) in zip(self.tasks, chosen, strict=True):
            rows, parts = np.concatenate([query, gallery]), []
            workers = self._spec.workers
            for part in embed_photos(embedder, self._input, task.source, rows, size, precision, self._device, workers):
                parts.append(part)
                done += len(part)
                tick(done, total, task.name)
            vectors = np.concatenate(parts)
            listings = task.source.listings
            figures = retrieval(vectors[: len(query)], vectors[len(query) :], listings[query], listings[gallery])
            details[task.name] = figures
            row: dict[str, Any] = {name: value for name, value in vars(figures).items() if name != "ranks"}
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
    groups = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    for images, _ in read_photos(source, groups, canvas(spec, size), 127, workers):
        pixels = evaluate(torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float(), size)
        yield embed(embedder, pixels, precision)
