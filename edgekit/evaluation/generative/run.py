"""Evaluate text queries by generated pictures: recall of what people chose by language, and how models rank by it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.embedding.file import need_arrow
from edgekit.embedding.sources import open_source
from edgekit.embedding.subject import Opened, subject_of
from edgekit.errors import InputError, UsageError
from edgekit.evaluation.generative.figures import Judged, judge_chosen
from edgekit.evaluation.generative.gallery import Shelf, open_shelf
from edgekit.evaluation.generative.generators import Generator, Settings, generator_of
from edgekit.evaluation.generative.pictures import FOLDER, check_languages, draw_pictures, write_table
from edgekit.evaluation.generative.queries import Asked, Query, chosen_rows, queries_of_catalog, read_queries
from edgekit.evaluation.generative.report import Example, GenerativeReport, Reviewed
from edgekit.evaluation.generative.request import GenerativeRequest
from edgekit.evaluation.generative.review import Check, read_review, reviewed, write_review
from edgekit.evaluation.generative.summary import Answers, Real, summarized
from edgekit.evaluation.inputs import Embedded, open_embedded, rows_of_ids
from edgekit.evaluation.judging import judge
from edgekit.evaluation.kept import kept_embeddings
from edgekit.evaluation.retrieval_report import FoundItem
from edgekit.evaluation.tasks import questions, task_named
from edgekit.evaluation.uncertainty import units_of
from edgekit.metrics.ranking import metric_names
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import shown

__all__ = ["evaluate_generative"]

_LISTED = 10  # found items of an example, and of a row of the check list
_TASK = "similar"  # what real photos are asked
_REVIEWED = 100  # rows of a check list


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is asked of whom: the gallery as each model embeds it, and the rows that show what was chosen."""

    shelf: Shelf
    asked: Asked
    opened: Sequence[Opened]
    galleries: Sequence[Embedded]
    chosen: Sequence[Sequence[np.ndarray]]


def evaluate_generative(request: GenerativeRequest, reporter: Reporter | None = None) -> GenerativeReport:
    """Draw a picture of each text, search the gallery with it, and say whether what was chosen is found.

    Pictures and embeddings are kept in the request's `out`: the same request goes on from there after it was killed.

    Raises:
        InputError: a table, gallery, model or check list cannot be read, an item is not in the gallery, a language is
            not known, or no text is understood.
        UsageError: the request contradicts itself.
        ModelError: a model gives no embeddings, or a pipeline no pictures.
        OutputError: something cannot be written.
        MissingDependencyError: a package of the extra `evaluate` or `diffusers` is not installed.
    """
    reporter = reporter or Silent()
    need_arrow()
    filled = read_review(request.review) if request.review is not None and request.review.exists() else []
    settings = Settings(request.seed, request.picture_size, request.steps, request.guidance)
    generator = generator_of(request.generator, settings, reporter)
    subject = _subject(request, generator, reporter)
    names = _drawn(request, subject.asked, generator, reporter)
    judged, real = _searched(request, subject, names, reporter)
    queries = [query for query, name in zip(subject.asked.queries, names, strict=True) if name is not None]
    side = subject.galleries[0].side
    answers = Answers(
        subject.asked, queries, [one.model for one in subject.opened], [one.values for one in judged], real
    )
    with reporter.stage("intervals"):
        examples = _examples(queries, [name for name in names if name is not None], judged[0], side.ids)
        review = None if request.review is None else _review(request, request.review, examples, filled)
        report = summarized(request, answers, generator.name, (subject.shelf.name, len(side.ids)), review)
    return report.model_copy(update={"examples": _few_of(examples, request.examples)})


def _subject(request: GenerativeRequest, generator: Generator, reporter: Reporter) -> _Subject:
    with reporter.stage("read the queries and the gallery"):
        shelf = open_shelf(request.data)
        asked = _asked(request, shelf)
        check_languages(asked.queries, generator)
    opened = [subject_of(one, allow_bare=request.allow_bare).open(reporter) for one in request.models]
    shelf.check_model(opened, other_models=request.other_models)
    galleries = [
        _embedded(request, request.data, number, one, reporter) if shelf.file is None else shelf.file
        for number, one in enumerate(opened)
    ]
    side = galleries[0].side
    return _Subject(
        shelf, asked, opened, galleries, chosen_rows(asked, shelf.name, side.ids, side.columns.get("label"))
    )


def _asked(request: GenerativeRequest, shelf: Shelf) -> Asked:
    if request.queries is not None:
        return read_queries(request.queries)
    if shelf.catalog is None:
        raise UsageError(
            "`queries` is missing: give a table with the columns text, language and item; only the synthetic catalogue "
            "has texts of its own",
            field="queries",
        )
    return queries_of_catalog(shelf.catalog.catalog)


def _embedded(request: GenerativeRequest, data: str, number: int, opened: Opened, reporter: Reporter) -> Embedded:
    """Photos or pictures by one of the models."""
    key = f"{opened.model.model_dump_json()} {opened.spec.model_dump_json()}"

    def kept() -> Path:
        return kept_embeddings(
            data,
            open_source(data),
            request.models[number],
            key,
            request.out / "embeddings",
            workers=request.workers,
            reporter=reporter,
            allow_bare=request.allow_bare,
        )

    path = kept()
    try:
        return open_embedded(path, shown(data, 80))
    except InputError:  # damaged: it is only what was kept, and is made again
        path.unlink()
        return open_embedded(kept(), shown(data, 80))


def _drawn(request: GenerativeRequest, asked: Asked, generator: Generator, reporter: Reporter) -> list[str | None]:
    names = draw_pictures(asked.queries, generator, request.out, reporter)
    if not any(names):
        raise InputError(
            f"{asked.name}: none of {len(names)} texts is understood by {generator.name}, first "
            f"{asked.queries[0].text[:60]!r}; check the column language, or give another `generator`",
            field="generator",
        )
    return names


def _searched(
    request: GenerativeRequest, subject: _Subject, names: Sequence[str | None], reporter: Reporter
) -> tuple[list[Judged], list[Real | None]]:
    """What each model finds with the pictures, and what it finds with the photos of its gallery."""
    table = write_table(subject.asked.queries, names, request.out)
    drawn = [number for number, name in enumerate(names) if name is not None]
    ids = [subject.asked.queries[number].id for number in drawn]
    chosen = [subject.chosen[number] for number in drawn]
    judged, real = list[Judged](), list[Real | None]()
    for number, (opened, gallery) in enumerate(zip(subject.opened, subject.galleries, strict=True)):
        pictures = _embedded(request, str(table), number, opened, reporter)
        with reporter.stage(f"search with {opened.model.name}") as tick:
            asked = pictures.values[rows_of_ids(ids, pictures, subject.asked.name)]
            kept = gallery.gallery("plain", np.arange(len(gallery.side.ids)))
            judged.append(judge_chosen(asked, kept, chosen, request.cuts, tick))
            real.append(_real(gallery, request))
    return judged, real


def _real(gallery: Embedded, request: GenerativeRequest) -> Real | None:
    """Each photo of the gallery asks for the other photos of its label; None where no label has two."""
    side = gallery.side
    if "label" not in side.columns:
        return None
    asked = questions(task_named(_TASK), side, side)
    able = np.flatnonzero(asked.relevance.relevant() > 0)
    if not len(able):
        return None
    kept = gallery.gallery("plain", asked.gallery)
    found = judge(gallery.values[asked.queries[able]], kept, asked, able, request.cuts, lambda *_: None)
    values = found.values[:, metric_names(request.cuts).index(request.judged_by)]
    labels = [side.columns["label"][row] for row in asked.queries[able]]
    return Real(values, units_of(labels, len(able)))


def _examples(queries: Sequence[Query], names: Sequence[str], judged: Judged, ids: Sequence[str]) -> list[Example]:
    """Every query, with what the first model found."""
    examples = []
    for number, (query, name) in enumerate(zip(queries, names, strict=True)):
        rows, scores, gains = (
            array[number][:_LISTED] for array in (judged.found.rows, judged.found.scores, judged.gains)
        )
        found = [
            FoundItem(id=ids[row], score=round(float(score), 6), relevance=float(gain))
            for row, score, gain in zip(rows, scores, gains, strict=True)
            if row >= 0
        ]
        examples.append(
            Example(
                id=query.id,
                language=query.language,
                text=query.text,
                picture=name,
                chosen=query.items,
                right=any(item.relevance > 0 for item in found),
                found=found,
            )
        )
    return examples


def _few_of(examples: Sequence[Example], each: int) -> list[Example]:
    """Up to `each` of every language, in turn wrong and right ones; languages in the order of their first query."""
    chosen = []
    for language in dict.fromkeys(row.language for row in examples):
        sides = [
            [row for row in examples if row.language == language and row.right is right] for right in (False, True)
        ]
        short = min(map(len, sides))
        turns = [row for pair in zip(*sides, strict=False) for row in pair]
        chosen += [*turns, *sides[0][short:], *sides[1][short:]][:each]
    return chosen


def _review(request: GenerativeRequest, path: Path, examples: Sequence[Example], filled: Sequence[Check]) -> Reviewed:
    """Read the verdicts, and write the list of now, unless that would lose a verdict that is stale."""
    languages = list(dict.fromkeys(row.language for row in examples))
    rows = [
        Check.of(
            row.id,
            row.language,
            row.text,
            Path(os.path.relpath(request.out / FOLDER / row.picture, path.parent)).as_posix(),
            [item.id for item in row.found],
            row.right,
        )
        for row in _few_of(examples, -(-_REVIEWED // len(languages)))
    ]
    found, kept = reviewed(filled, rows, path)
    if not found.stale:
        write_review(path, kept)
    return found
