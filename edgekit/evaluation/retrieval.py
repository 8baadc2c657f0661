"""Evaluate retrieval: figures of a task in each arrangement, with intervals, paired differences and segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from edgekit.embedding.file import holds_embeddings, same_space
from edgekit.errors import InputError, UsageError
from edgekit.evaluation.galleries import Gallery
from edgekit.evaluation.inputs import Embedded, Inputs, rows_of_ids
from edgekit.evaluation.judging import Judged, judge
from edgekit.evaluation.pairs import read_pairs
from edgekit.evaluation.retrieval_report import (
    Arrangement,
    Change,
    Figure,
    FoundItem,
    RetrievalReport,
    Segment,
    WorstQuery,
)
from edgekit.evaluation.segments import segments_of, texts_of
from edgekit.evaluation.tasks import Questions, questions, task_named
from edgekit.evaluation.uncertainty import interval, paired_p, units_of
from edgekit.metrics.ranking import metric_names
from edgekit.recipe import Recipe
from edgekit.support.fields import AnyPath, Converted, OptionalPath, check_number, optional_path
from edgekit.support.progress import Reporter, Silent

__all__ = ["RetrievalRequest", "evaluate_retrieval"]

_SHOWN = 10  # places of a worst query's list
_DEEPEST = 1000
_TASK = "similar"


@dataclass(frozen=True)
class RetrievalRequest:
    """What to evaluate: files of `edgekit embed`, others with the columns `id` and `embedding`, or data and a model."""

    queries: Converted[AnyPath, str] = Converted(str)
    gallery: AnyPath | None = None  # default: the queries
    task: str = _TASK  # a row of `tasks.TASKS`
    relevance: OptionalPath = Converted(optional_path, None)  # a table of pairs in place of the task
    at: Sequence[int] = (1, 5, 10)  # cut-offs k
    metric: str | None = None  # what segments and worst queries are judged by; default: recall at the deepest k
    by: Sequence[str] = ()  # columns of the queries whose texts are segments
    forms: Sequence[str] = ("plain",)  # of the gallery
    against: Recipe | AnyPath | None = None  # the same queries, embedded by the original; or the original, for data
    against_gallery: AnyPath | None = None  # and the same gallery; default: what `against` gives
    mixed: bool = False  # also search the original's gallery with the queries
    other_models: bool = False  # queries and gallery may be of two models that share a space
    model: Recipe | AnyPath | None = None  # that embeds data, as for `EmbedRequest`
    workers: int | None = None  # processes that embed; None: one a core
    correction: Literal["holm", "fdr_bh"] = "holm"
    worst: int = 0  # how many of the worst queries to list
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError where a field is not one that can be meant."""
        task_named(self.task)
        if self.relevance is not None and self.task != _TASK:
            raise UsageError("`task` and `relevance` exclude each other; give one of them", field="task")
        if not self.at or not self.forms:
            field = "forms" if self.at else "at"
            raise UsageError(f"`{field}` is empty; give one at least", field=field)
        for k in self.at:
            check_number("at", k, 1, _DEEPEST)
        check_number("worst", self.worst, 0, 10_000)
        check_number("resamples", self.resamples, 99, 1_000_000)
        check_number("seed", self.seed, 0, 2**32 - 1)
        if self.correction not in ("holm", "fdr_bh"):
            raise UsageError(f"`correction` is {self.correction!r}; give holm or fdr_bh", field="correction")
        if self.judged_by not in (names := metric_names(self.cuts)):
            raise UsageError(f"`metric` has no {self.judged_by!r}; give one of {', '.join(names)}", field="metric")
        for field in ("mixed", "against_gallery"):
            if getattr(self, field) and self.against is None:
                raise UsageError(f"`{field}` needs `against`, the file of the original", field=field)

    @property
    def cuts(self) -> list[int]:
        """The cut-offs, each once."""
        return sorted(set(self.at))

    @property
    def judged_by(self) -> str:
        """The figure of segments and worst queries."""
        return self.metric or f"recall@{max(self.at)}"


@dataclass(frozen=True, eq=False)
class _Search:
    """An arrangement to come: queries float32 [Q,D] of one model in a gallery of one."""

    name: str
    queries: Embedded
    asked: np.ndarray
    gallery: Embedded
    form: str
    kept: Gallery


@dataclass(frozen=True, eq=False)
class _Subject:
    """The files of a request, and what is asked of them, without queries that have nothing to find."""

    queries: Embedded
    gallery: Embedded
    asked: Questions
    judged: np.ndarray  # places int64 of the queries in `asked` that have a relevant item
    original: tuple[Embedded, Embedded] | None  # queries and gallery of the original

    @property
    def rows(self) -> np.ndarray:
        """Of the judged queries in their file."""
        return self.asked.queries[self.judged]

    @cached_property
    def units(self) -> np.ndarray:
        """Of the judged queries: what intervals and tests draw."""
        labels = self.queries.side.columns.get("label")
        return units_of(None if labels is None else [labels[row] for row in self.rows], len(self.rows))


def evaluate_retrieval(request: RetrievalRequest, reporter: Reporter | None = None) -> RetrievalReport:
    """Search each arrangement's gallery with its queries, and say what the lists are worth.

    Raises:
        InputError: a file is damaged or lacks a column or an id, files do not fit each other, or no query has a
            relevant item.
        UsageError: a form does not suit the embeddings.
        MissingDependencyError: a package of the extra `evaluate` is not installed.
    """
    reporter = reporter or Silent()
    with Inputs(request.model, request.workers, reporter) as inputs:
        return _report(request, _subject(request, inputs), reporter)


def _report(request: RetrievalRequest, subject: _Subject, reporter: Reporter) -> RetrievalReport:
    names = metric_names(request.cuts)
    arrangements: list[Arrangement] = []
    metric = names.index(request.judged_by)
    segments: list[Segment] = []
    texts = texts_of(subject.queries.side, subject.rows, request.by)
    base: Judged | None = None
    last: Judged | None = None
    for arrangement in _searches(request, subject):
        with reporter.stage(f"search {arrangement.name}: {len(subject.judged)} queries") as tick:
            judged = judge(arrangement.asked, arrangement.kept, subject.asked, subject.judged, request.cuts, tick)
        with reporter.stage(f"intervals of {arrangement.name}"):
            arrangements.append(_described(request, subject, arrangement, judged, base))
            own, others = judged.values[:, metric], None if base is None else base.values[:, metric]
            segments += segments_of(arrangement.name, own, others, subject.units, texts, request)
        base, last = base or judged, judged
    return RetrievalReport(
        task=request.task if request.relevance is None else "own table",
        metric=request.judged_by,
        base=arrangements[0].name,
        queries=len(subject.judged),
        left_out=len(subject.asked.queries) - len(subject.judged),
        units=len(np.unique(subject.units)),
        gallery=len(subject.asked.gallery),
        correction=request.correction,
        resamples=request.resamples,
        notes=_notes(request, subject),
        arrangements=arrangements,
        segments=segments,
        worst=[] if last is None else _worst(request, subject, last, metric),
    )


def _subject(request: RetrievalRequest, inputs: Inputs) -> _Subject:
    queries = inputs.rows(request.queries, "queries")
    gallery = queries if request.gallery is None else inputs.rows(request.gallery, "gallery")
    inputs.check_model()
    same_space(queries.file, gallery.file, other_models=request.other_models)
    pairs = None if request.relevance is None else read_pairs(request.relevance)
    asked = questions(task_named(request.task), queries.side, gallery.side, pairs)
    judged = np.flatnonzero(asked.relevance.relevant() > 0)
    if not len(judged):
        check = (
            "both have the same texts in the columns of the task"
            if pairs is None
            else f"{pairs.path.name} lists items beside the query itself, with a relevance above 0"
        )
        raise InputError(
            f"{queries.name}: none of {len(asked.queries)} queries has a relevant item in {gallery.name}; check that "
            f"{check}"
        )
    return _Subject(queries, gallery, asked, judged, _original(request, inputs))


def _original(request: RetrievalRequest, inputs: Inputs) -> tuple[Embedded, Embedded] | None:
    """The original's queries and gallery; a model that embeds the ones embeds the others."""
    if (given := request.against) is None:
        return None
    queries = inputs.rows_by(given, "against", request.queries)
    if request.against_gallery is not None:
        gallery = inputs.rows_by(request.against_gallery, "against_gallery", request.gallery or request.queries)
    elif request.gallery is None or (not isinstance(given, Recipe) and holds_embeddings(given)):
        gallery = queries
    else:
        gallery = inputs.rows_by(given, "against", request.gallery)
    same_space(queries.file, gallery.file, other_models=request.other_models)
    return queries, gallery


def _searches(request: RetrievalRequest, subject: _Subject) -> Iterator[_Search]:
    """The original first, where there is one; then the mixed case, and each form of the model's own gallery."""
    queries, gallery, searched = subject.queries, subject.gallery, subject.asked.gallery
    own = queries.values[subject.rows]
    if subject.original is not None:
        original, other = subject.original
        ids = [queries.side.ids[row] for row in subject.rows]
        asked = original.values[rows_of_ids(ids, original, queries.name)]
        rows = rows_of_ids([gallery.side.ids[row] for row in searched], other, gallery.name)
        kept = other.gallery("plain", rows)
        yield _Search("original", original, asked, other, "plain", kept)
        if request.mixed:
            same_space(queries.file, other.file, other_models=True)
            yield _Search("mixed", queries, own, other, "plain", kept)
    for form in dict.fromkeys(request.forms):
        yield _Search(form, queries, own, gallery, form, gallery.gallery(form, searched))


def _described(
    request: RetrievalRequest, subject: _Subject, arrangement: _Search, judged: Judged, base: Judged | None
) -> Arrangement:
    names, units = metric_names(request.cuts), subject.units
    low, high = interval(judged.values, units, request.resamples, request.seed)
    means = judged.values.mean(axis=0)
    change = None
    if base is not None:
        apart = judged.values - base.values
        ends = interval(apart, units, request.resamples, request.seed)
        p = paired_p(apart, units, request.resamples, request.seed)
        change = {
            name: Change(value=float(row[0]), low=float(row[1]), high=float(row[2]), p=float(row[3]))
            for name, row in zip(names, np.stack([apart.mean(axis=0), *ends, p], axis=1), strict=True)
        }
    return Arrangement(
        name=arrangement.name,
        queries=arrangement.queries.model,
        gallery=arrangement.gallery.model,
        form=arrangement.form,
        gallery_bytes=arrangement.kept.size,
        figures={
            name: Figure(value=float(row[0]), low=float(row[1]), high=float(row[2]))
            for name, row in zip(names, np.stack([means, low, high], axis=1), strict=True)
        },
        change=change,
    )


def _notes(request: RetrievalRequest, subject: _Subject) -> list[str]:
    notes = []
    searched = len(subject.asked.gallery) - int((subject.asked.own[subject.judged] >= 0).any())
    if (deepest := max(request.cuts)) > searched:
        notes.append(
            f"the gallery has {searched} rows besides the query, fewer than k = {deepest}: every row is listed, and "
            "precision counts the missing places as misses"
        )
    if left_out := len(subject.asked.queries) - len(subject.judged):
        notes.append(
            f"{left_out} of {len(subject.asked.queries)} queries have no relevant item in the gallery and are left out"
        )
    return notes


def _worst(request: RetrievalRequest, subject: _Subject, judged: Judged, metric: int) -> list[WorstQuery]:
    """The queries with the lowest figure; of equal ones, those that found a relevant item last."""
    far = np.iinfo(np.int64).max
    first = np.where(judged.place > 0, judged.place, far).min(axis=1)
    order = np.lexsort((np.arange(len(first)), -first, judged.values[:, metric]))[: request.worst]
    asker, ids = subject.queries.side, subject.gallery.side.ids
    relevant = subject.asked.relevance.relevant()[subject.judged]
    listed = []
    for query in order:
        row = int(subject.rows[query])
        rows, scores, gains = (
            array[query][:_SHOWN] for array in (judged.found.rows, judged.found.scores, judged.gains)
        )
        listed.append(
            WorstQuery(
                id=asker.ids[row],
                figure=float(judged.values[query, metric]),
                first=0 if first[query] == far else int(first[query]),
                relevant=int(relevant[query]),
                columns={name: texts[row] for name, texts in asker.columns.items()},
                found=[
                    FoundItem(id=ids[subject.asked.gallery[item]], score=round(float(score), 6), relevance=float(gain))
                    for item, score, gain in zip(rows, scores, gains, strict=True)
                    if item >= 0
                ],
            )
        )
    return listed
