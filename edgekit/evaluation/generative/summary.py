"""From what was found to the report: figures by language with their intervals, gaps, and the ranking of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgekit.embedding.about import Model
from edgekit.evaluation.generative.figures import agreement, figure_of, gap_of, metrics
from edgekit.evaluation.generative.queries import Asked, Query
from edgekit.evaluation.generative.report import Agreement, GenerativeReport, Language, Ranked, Reviewed, Unread
from edgekit.evaluation.generative.request import GenerativeRequest
from edgekit.evaluation.retrieval_report import Change
from edgekit.evaluation.uncertainty import paired_p

__all__ = ["Answers", "Real", "summarized"]

_NAMED = 100  # texts that were not understood


class Real(NamedTuple):
    """The metric of each photo that asks for others [R], and its listing int64 [R]."""

    values: np.ndarray
    units: np.ndarray


class Answers(NamedTuple):
    """Figures [Q,M] of the queries that have a picture, and what real photos find, of each model."""

    asked: Asked
    queries: Sequence[Query]
    models: Sequence[Model]
    values: Sequence[np.ndarray]
    real: Sequence[Real | None]


def summarized(
    request: GenerativeRequest,
    answers: Answers,
    generator: str,
    gallery: tuple[str, int],
    review: Reviewed | None,
) -> GenerativeReport:
    """The report without examples; `gallery` is its name and how many photos it has."""
    asked, queries = answers.asked, answers.queries
    units = np.unique([query.items[0] for query in queries], return_inverse=True)[1].reshape(-1)
    understood = {query.id for query in queries}
    unread = [query for query in asked.queries if query.id not in understood]
    languages = [
        Language(
            language=language,
            queries=sum(query.language == language for query in asked.queries),
            understood=sum(query.language == language for query in queries),
        )
        for language in dict.fromkeys(query.language for query in asked.queries)
    ]
    agreed = _agreement(request, answers, units)
    ranked = [_ranked(request, answers, number, units) for number in range(len(answers.models))]
    return GenerativeReport(
        metric=request.judged_by,
        generator=generator,
        source=asked.name,
        gallery_name=gallery[0],
        gallery=gallery[1],
        queries=len(asked.queries),
        judged=len(queries),
        units=len(np.unique(units)),
        resamples=request.resamples,
        languages=languages,
        unread=[Unread(id=query.id, language=query.language, text=query.text) for query in unread[:_NAMED]],
        models=ranked,
        agreement=agreed,
        review=review,
        examples=[],
        notes=_notes(request, answers, gallery[1], agreed, review),
    )


def _ranked(request: GenerativeRequest, answers: Answers, number: int, units: np.ndarray) -> Ranked:
    names = metrics(request.cuts)
    at = names.index(request.judged_by)
    values, base = answers.values[number], answers.values[0]
    spoken = np.array([query.language for query in answers.queries])
    draws = (request.resamples, request.seed)
    parts = {language: spoken == language for language in dict.fromkeys(spoken.tolist())}
    model, real = answers.models[number], answers.real[number]
    changes = {}
    for name, part in {"all": np.ones(len(spoken), bool), **parts}.items():
        apart = (values - base)[part, at]
        p = paired_p(apart[:, None], units[part], *draws)[0]
        changes[name] = Change(**figure_of(apart, units[part], *draws).model_dump(), p=float(p))
    return Ranked(
        name=_called(answers.models, number),
        sha256=model.sha256,
        kind=model.kind,
        runtime=model.runtime,
        figures={name: figure_of(values[:, place], units, *draws) for place, name in enumerate(names)},
        languages={name: figure_of(values[part, at], units[part], *draws) for name, part in parts.items()},
        gap=gap_of(values[:, at], spoken, units, *draws),
        change=changes if number else None,
        real=None if real is None else figure_of(real.values, real.units, *draws),
    )


def _called(models: Sequence[Model], number: int) -> str:
    """The model's name; with its kind, and then its hash, where others have the same."""
    names = [model.name for model in models]
    for more in (lambda model: f" ({model.kind})", lambda model: f" {model.sha256[:8]}"):
        if names.count(names[number]) == 1:
            break
        names = [f"{name}{more(model)}" for name, model in zip(names, models, strict=True)]
    return names[number]


def _agreement(request: GenerativeRequest, answers: Answers, units: np.ndarray) -> Agreement | None:
    real = [one for one in answers.real if one is not None]
    if len(real) < len(answers.real):
        return None
    at = metrics(request.cuts).index(request.judged_by)
    return agreement(
        np.stack([values[:, at] for values in answers.values], axis=1),
        units,
        np.stack([one.values for one in real], axis=1),
        real[0].units,
        request.resamples,
        request.seed,
    )


def _notes(
    request: GenerativeRequest, answers: Answers, rows: int, agreement: Agreement | None, review: Reviewed | None
) -> list[str]:
    notes = []
    if answers.asked.doubled:
        notes.append(f"{answers.asked.doubled} rows of {answers.asked.name} are there twice and count once")
    if unread := len(answers.asked.queries) - len(answers.queries):
        notes.append(
            f"{unread} of {len(answers.asked.queries)} texts are not understood by the generator: they have no picture "
            "and are not judged"
        )
    if (deepest := max(request.cuts)) > rows:
        notes.append(f"the gallery has {rows} rows, fewer than k = {deepest}: every row is listed")
    if any(one is None for one in answers.real):
        notes.append("the gallery has no two photos of one label, so real photos rank nothing")
    elif agreement is None and len(answers.models) > 2:
        notes.append(f"all models have one {request.judged_by}, so there is no ranking; take a larger gallery")
    elif len(answers.models) < 3:
        notes.append("a ranking needs three models or more to be compared with that of real photos")
    if review is not None and review.stale:
        notes.append(
            f"{review.stale} verdicts of the check list are on other pictures or other found items and do not count; "
            "the list stays as it is"
        )
    return notes
