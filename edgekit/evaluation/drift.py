"""Evaluate drift: last week's embeddings against this week's, as a whole and by segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgekit.embedding.file import same_space
from edgekit.errors import InputError, UsageError
from edgekit.evaluation.drift_report import Check, Churn, DriftedItem, DriftReport, Norms
from edgekit.evaluation.inputs import Embedded, Inputs
from edgekit.evaluation.segments import texts_of
from edgekit.evaluation.two_sample import KERNELS, TwoSample, compare, compare_shares
from edgekit.evaluation.uncertainty import corrected, units_of
from edgekit.metrics.retrieval import cosine, neighbour_overlap
from edgekit.recipe import Recipe
from edgekit.support.fields import AnyPath, Converted, check_number
from edgekit.support.progress import Reporter, Silent

__all__ = ["FEWEST", "DriftRequest", "evaluate_drift"]

FEWEST = 30  # rows of each file, of different listings, that a test needs


@dataclass(frozen=True)
class DriftRequest:
    """What to compare: two files of embeddings by one model, or data that `model` embeds."""

    reference: Converted[AnyPath, str] = Converted(str)
    current: Converted[AnyPath, str] = Converted(str)
    distance: Literal["energy", "mmd"] = "energy"
    by: Sequence[str] = ()  # columns whose texts are tested one by one, too
    alpha: float = 0.01  # how often nothing may raise an alert, all tests together
    rows: int = 1000  # that are drawn of each file for a test, at most
    permutations: int = 1999
    neighbours: int = 10  # of which the churn is measured
    worst: int = 10  # how many of the items that drifted most to list
    other_models: bool = False  # the files may be of two models that share a space
    model: Recipe | AnyPath | None = None  # that embeds data, as for `EmbedRequest`
    workers: int | None = None  # processes that embed; None: one a core
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError where a field is not one that can be meant."""
        if self.distance not in KERNELS:
            raise UsageError(f"`distance` is {self.distance!r}; give one of {', '.join(KERNELS)}", field="distance")
        check_number("alpha", self.alpha, 1e-6, 0.5, whole=False)
        check_number("rows", self.rows, FEWEST, 10_000)
        check_number("permutations", self.permutations, 19, 100_000)
        check_number("neighbours", self.neighbours, 1, 1000)
        check_number("worst", self.worst, 0, 10_000)
        check_number("seed", self.seed, 0, 2**32 - 1)


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows int64 of each file that a test is about, and those that were drawn for it; `found` None: too few."""

    column: str | None
    segment: str | None
    rows: tuple[np.ndarray, np.ndarray]
    drawn: tuple[np.ndarray, np.ndarray]
    found: TwoSample | None


def evaluate_drift(request: DriftRequest, reporter: Reporter | None = None) -> DriftReport:
    """Test whether the rows of `current` come from where those of `reference` came from.

    Of a listing with several photos one is drawn, since photos of one listing are alike and would be taken for more
    evidence than they are. All tests together raise an alert without a change in at most `alpha` of all cases.

    Raises:
        InputError: a file is damaged, of another model or dimension, lacks a column, or has too few rows.
        MissingDependencyError: a package of the extra `evaluate` is not installed.
    """
    reporter = reporter or Silent()
    with Inputs(request.model, request.workers, reporter) as inputs:
        files = inputs.rows(request.reference, "reference"), inputs.rows(request.current, "current")
        inputs.check_model()
        same_space(files[0].file, files[1].file, other_models=request.other_models)
        return _report(request, files, reporter)


def _report(request: DriftRequest, files: tuple[Embedded, Embedded], reporter: Reporter) -> DriftReport:
    parts = list(_tested(request, files, reporter))
    tested = [part for part in parts if part.found is not None]
    with reporter.stage("neighbours and items"):
        p = corrected([part.found.p for part in tested if part.found is not None], "holm")
        checks = _checks(request, files, parts, dict(zip(map(id, tested), p, strict=True)))
        shared = _shared(files)
        return DriftReport(
            alert=any(check.drifted for check in checks),
            distance=request.distance,
            alpha=request.alpha,
            permutations=request.permutations,
            checks=checks,
            norms=_norms(files),
            churn=_churn(request, files, shared),
            items=_items(request, files, shared, parts[0]),
            notes=_notes(request, files, checks),
        )


def _tested(request: DriftRequest, files: tuple[Embedded, Embedded], reporter: Reporter) -> Iterator[_Part]:
    """All rows first, which must be enough; then of each column its mix, and its segments."""
    every = np.arange(len(files[0].file)), np.arange(len(files[1].file))
    texts = [texts_of(file.side, rows, request.by) for file, rows in zip(files, every, strict=True)]
    wanted: list[tuple[str | None, str | None]] = [(None, None)]
    for name in texts[0]:
        wanted += [(name, None), *((name, text) for text in sorted({*texts[0][name], *texts[1][name]}))]
    with reporter.stage(f"test {len(wanted)} times with {request.permutations} permutations") as tick:
        for number, (column, segment) in enumerate(wanted, 1):
            rows = every
            if column is not None and segment is not None:
                masks = [np.array([text == segment for text in own[column]]) for own in texts]
                rows = np.flatnonzero(masks[0]), np.flatnonzero(masks[1])
            drawn = _drawn(request, files[0], rows[0], 0), _drawn(request, files[1], rows[1], 1)
            if column is None:
                _require_enough(files, drawn)
            found = None
            if column is not None and segment is None:
                old, new = ([texts[side][column][row] for row in drawn[side]] for side in (0, 1))
                found = compare_shares(old, new, request.alpha)
            elif min(map(len, drawn)) >= FEWEST:
                first, second = (file.values[some] for file, some in zip(files, drawn, strict=True))
                found = compare(first, second, request.distance, request.permutations, request.alpha, request.seed)
            yield _Part(column, segment, rows, drawn, found)
            tick(number, len(wanted))


def _drawn(request: DriftRequest, file: Embedded, rows: np.ndarray, stream: int) -> np.ndarray:
    """At most `rows` of some rows, in their order: one of each listing, by chance."""
    rng = np.random.default_rng([request.seed, stream])
    labels = file.side.columns.get("label")
    units = units_of(None if labels is None else [labels[row] for row in rows], len(rows))
    shuffled = rng.permutation(len(rows))
    _, first = np.unique(units[shuffled], return_index=True)
    one = rows[shuffled[np.sort(first)]]  # in the order of the shuffle
    return np.sort(one[: request.rows])


def _require_enough(files: tuple[Embedded, Embedded], drawn: tuple[np.ndarray, np.ndarray]) -> None:
    for file, rows in zip(files, drawn, strict=True):
        if len(rows) < FEWEST:
            what = "listings" if len(set(file.side.columns.get("label", ()))) == len(rows) else "rows"
            raise InputError(
                f"{file.name}: has {len(rows)} {what}, a test of drift needs at least {FEWEST} in each file; embed "
                f"{FEWEST - len(rows)} more"
            )


def _checks(
    request: DriftRequest, files: tuple[Embedded, Embedded], parts: Sequence[_Part], p: dict[int, float]
) -> list[Check]:
    rows = []
    for part in parts:
        found, own = part.found, p.get(id(part))
        rows.append(
            Check(
                column=part.column,
                segment=part.segment,
                share_reference=len(part.rows[0]) / len(files[0].file),
                share_current=len(part.rows[1]) / len(files[1].file),
                tested_reference=len(part.drawn[0]),
                tested_current=len(part.drawn[1]),
                statistic=None if found is None else found.statistic,
                limit=None if found is None else found.limit,
                p=own,
                drifted=own is not None and own <= request.alpha,
            )
        )
    return rows


def _norms(files: tuple[Embedded, Embedded]) -> Norms:
    means = [float(np.sqrt(np.einsum("nd,nd->n", file.values, file.values)).mean()) for file in files]
    return Norms(reference=means[0], current=means[1], change=means[1] / means[0] - 1)


def _shared(files: tuple[Embedded, Embedded]) -> np.ndarray:
    """Rows int64 [N,2] of the items that are in both files, in the reference's order."""
    place = {id: row for row, id in enumerate(files[1].side.ids)}
    pairs = [(row, place[id]) for row, id in enumerate(files[0].side.ids) if id in place]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _churn(request: DriftRequest, files: tuple[Embedded, Embedded], shared: np.ndarray) -> Churn | None:
    if len(shared) > request.rows:
        rng = np.random.default_rng([request.seed, 2])
        shared = shared[np.sort(rng.choice(len(shared), request.rows, replace=False))]
    if len(shared) < request.neighbours + 2:
        return None
    old, new = files[0].values[shared[:, 0]], files[1].values[shared[:, 1]]
    changed = 1 - neighbour_overlap(old, new, request.neighbours)
    return Churn(items=len(old), k=request.neighbours, changed=changed, mean_cosine=float(cosine(old, new).mean()))


def _items(
    request: DriftRequest, files: tuple[Embedded, Embedded], shared: np.ndarray, whole: _Part
) -> list[DriftedItem]:
    """Items of both files by their own change; where none is in both, new ones by how far they lie apart."""
    side = files[1].side
    if len(shared):
        rows, by = shared[:, 1], 1 - cosine(files[0].values[shared[:, 0]], files[1].values[shared[:, 1]])
    else:
        rows, by = whole.drawn[1], np.zeros(0) if whole.found is None else whole.found.apart
    order = np.argsort(-by, kind="stable")[: request.worst]
    return [
        DriftedItem(
            id=side.ids[rows[place]],
            by=float(by[place]),
            columns={name: texts[rows[place]] for name, texts in side.columns.items()},
        )
        for place in order
    ]


def _notes(request: DriftRequest, files: tuple[Embedded, Embedded], checks: Sequence[Check]) -> list[str]:
    notes = []
    untested = [check for check in checks if check.statistic is None and check.segment is not None]
    if untested:
        names = ", ".join(f"{row.name} ({row.tested_reference} and {row.tested_current})" for row in untested[:5])
        more = ", ..." if len(untested) > 5 else ""
        notes.append(f"too few rows to test, {FEWEST} of each file are needed: {names}{more}")
    tests = len(checks) - len(untested)
    needed = int(np.ceil(tests / request.alpha)) - 1
    if request.permutations < needed:
        notes.append(
            f"{tests} tests can only raise an alert with {needed} `permutations` or more, given are "
            f"{request.permutations}"
        )
    about = [file.file.about for file in files]
    if about[0] is not None and about[1] is not None and about[0].preprocessing != about[1].preprocessing:
        notes.append("the files were made with different preprocessing, which alone can be what drifted")
    return notes
