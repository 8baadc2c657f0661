"""A new model before an old gallery: must it be embedded again, and does an adapter of the queries serve meanwhile?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import Field

from edgekit.embedding.about import Model
from edgekit.errors import InputError
from edgekit.evaluation.adapters import ADAPTERS, Adapter, fit
from edgekit.evaluation.galleries import plain_gallery
from edgekit.evaluation.inputs import Embedded, Inputs
from edgekit.evaluation.judging import judge
from edgekit.evaluation.retrieval_report import Change, Figure
from edgekit.evaluation.tasks import Questions, Side, questions, task_named
from edgekit.evaluation.uncertainty import interval, paired_p, units_of
from edgekit.metrics.ranking import metric_names
from edgekit.recipe import Recipe
from edgekit.support.documents import Document, Part
from edgekit.support.fields import AnyPath, Converted, OptionalPath, check_number, optional_path
from edgekit.support.progress import Reporter, Silent

__all__ = ["CompatibilityReport", "CompatibilityRequest", "Way", "evaluate_compatibility"]

SCHEMA: Final = "edgekit.compatibility/1"
_PARTS = (0.5, 0.7)  # up to where of all listings an adapter is learned, and up to where it is chosen; the rest judges
_FEWEST = 100  # listings that are in both files
_TASK = "similar"


@dataclass(frozen=True)
class CompatibilityRequest:
    """The same photos embedded by an old and by a new model, with a column `label`; or the models, and the photos."""

    reference: Recipe | AnyPath  # a file of embeddings by the old model, or that model
    current: Recipe | AnyPath  # and the new one
    data: AnyPath | None = None  # the photos that models embed, as for `EmbedRequest`
    workers: int | None = None  # processes that embed; None: one a core
    adapter: OptionalPath = Converted(optional_path, None)  # where to write the query adapter, as safetensors
    k: int = 10  # recall at which the old gallery must keep
    max_drop: float = 0.01  # of the recall that k places allow, which the old gallery may lose
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError where a field is not one that can be meant."""
        check_number("k", self.k, 1, 1000)
        check_number("max_drop", self.max_drop, 0, 1, whole=False)
        check_number("resamples", self.resamples, 99, 1_000_000)
        check_number("seed", self.seed, 0, 2**32 - 1)


class Way(Part):
    """One way to search with queries that no adapter was learned from or chosen on."""

    name: str
    recall: Figure
    mrr: Figure
    change: Change | None = Field(description="Of the recall, against the old model in its own gallery; null for that.")


class CompatibilityReport(Document):
    """Whether an old gallery serves a new model's queries.

    "old", "new": a model in its own gallery. "unchanged": the new model's queries in the old gallery, left out where
    the dimensions differ. Others are adapters of those queries.
    """

    schema_: Literal["edgekit.compatibility/1"] = Field(SCHEMA, alias="schema")
    old: Model | None = Field(None, description="The old model, as its file says; null where it does not.")
    new: Model | None = Field(None, description="The new model.")
    k: int
    max_drop: float
    allowed: float = Field(description="What a way may lose of the recall: `max_drop` of what k places allow.")
    pairs: int = Field(description="Items that are in both files: the gallery that is searched.")
    learned_from: int = Field(description="Pairs that adapters were learned from.")
    queries: int = Field(description="Queries that judge.")
    ways: list[Way]
    chosen: str = Field(description="The adapter with the highest recall on queries that were held out for choosing.")
    reindex: bool = Field(description="The new model's queries as they are may lose over `max_drop` of recall.")
    adapter_serves: bool = Field(description="With the chosen adapter they do not.")
    verdict: str
    written: str | None = Field(description="Name of the adapter's file.")


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Both models' embeddings of the same photos, what they ask, and the part (0, 1, 2) of each row."""

    old: np.ndarray
    new: np.ndarray
    asked: Questions
    units: np.ndarray
    part: np.ndarray

    def queries(self, part: int) -> np.ndarray:
        """Those of a part that have something to find."""
        return np.flatnonzero((self.asked.relevance.relevant() > 0) & (self.part == part))


def evaluate_compatibility(request: CompatibilityRequest, reporter: Reporter | None = None) -> CompatibilityReport:
    """Search the old gallery with the new model's queries, as they are and through adapters.

    Half of the listings teach the adapters, a fifth chooses one, and the rest judges; the gallery has all photos. A way
    serves if the 95 % interval of its change of recall against the old model lies above -`max_drop` of the recall that
    k places allow.

    Raises:
        InputError: a file is damaged, has no labels, or too few listings are in both.
        OutputError: the adapter cannot be written.
    """
    reporter = reporter or Silent()
    with Inputs(None, request.workers, reporter) as inputs:
        old, new = (inputs.rows_by(getattr(request, field), field, request.data) for field in ("reference", "current"))
        inputs.check_data(request.data)
        return _report(request, (old, new), reporter)


def _report(request: CompatibilityRequest, files: tuple[Embedded, Embedded], reporter: Reporter) -> CompatibilityReport:
    pairs = _pairs(request, files)
    learned = pairs.part == 0
    with reporter.stage(f"learn {len(ADAPTERS)} adapters from {int(learned.sum())} pairs"):
        adapters = {kind: fit(kind, pairs.new[learned], pairs.old[learned]) for kind in ADAPTERS}
        chosen = max(adapters.values(), key=lambda adapter: _recall(request, pairs, adapter, 1))
    with reporter.stage("search with the queries that judge"):
        ways = _ways(request, pairs, adapters)
    by_name = {way.name: way for way in ways}
    unchanged = by_name.get("unchanged")
    spare = request.max_drop * _most(request, pairs)
    reindex = unchanged is None or not _serves(spare, unchanged)
    serves = _serves(spare, by_name[chosen.kind])
    written = request.adapter
    if written is not None:
        _write(chosen, written, files, serves=serves)
    about = [None if given.file.about is None else given.file.about.model for given in files]
    return CompatibilityReport(
        old=about[0],
        new=about[1],
        k=request.k,
        max_drop=request.max_drop,
        allowed=spare,
        pairs=len(pairs.old),
        learned_from=int(learned.sum()),
        queries=len(pairs.queries(2)),
        ways=ways,
        chosen=chosen.kind,
        reindex=reindex,
        adapter_serves=serves,
        verdict=_verdict(by_name, chosen.kind, reindex=reindex, serves=serves),
        written=None if written is None else written.name,
    )


def _write(adapter: Adapter, path: Path, files: tuple[Embedded, Embedded], *, serves: bool) -> None:
    from edgekit.model.adapter import write_adapter

    old, new = files
    kind = None if new.file.about is None else new.file.about.model.kind
    before = None if old.file.about is None else old.file.about.model
    # Whoever searches through it is in the old space where that was measured to serve, in the gallery of its own model.
    space = before.space if before is not None and serves and not before.shared else None
    facts = {"kind": adapter.kind, "old_model": old.sha256, "new_model": new.sha256, "new_kind": kind}
    facts |= {"old_space": space}
    write_adapter(path, adapter.weight, facts)


def _pairs(request: CompatibilityRequest, files: tuple[Embedded, Embedded]) -> _Pairs:
    old, new = files
    place = {id: row for row, id in enumerate(new.side.ids)}
    rows = np.array([(row, place[id]) for row, id in enumerate(old.side.ids) if id in place], np.int64).reshape(-1, 2)
    if "label" not in old.side.columns:
        raise InputError(f"{old.name}: has no column label, which says what is to be found; embed labelled photos")
    labels = [old.side.columns["label"][row] for row in rows[:, 0]]
    units = units_of(labels, len(labels))
    listings = np.unique(units)
    if len(listings) < _FEWEST:
        raise InputError(
            f"{old.name} and {new.name} have {len(listings)} listings in common, at least {_FEWEST} are needed; embed "
            "the same photos with both models"
        )
    side = Side(old.name, [old.side.ids[row] for row in rows[:, 0]], {"label": labels})
    order = np.random.default_rng(request.seed).permutation(len(listings))
    part = np.searchsorted(np.array(_PARTS) * len(listings), order, side="right")[np.searchsorted(listings, units)]
    asked = questions(task_named(_TASK), side, side)
    pairs = _Pairs(old.values[rows[:, 0]], new.values[rows[:, 1]], asked, units, part)
    if not len(pairs.queries(1)) or not len(pairs.queries(2)):
        raise InputError(f"{old.name}: hardly any label is there twice, so there is nothing to find; give more photos")
    return pairs


def _ways(request: CompatibilityRequest, pairs: _Pairs, adapters: dict[str, Adapter]) -> list[Way]:
    searches = {"old": (pairs.old, pairs.old), "new": (pairs.new, pairs.new)}
    if pairs.old.shape[1] == pairs.new.shape[1]:
        searches["unchanged"] = (pairs.new, pairs.old)
    searches |= {kind: (adapter(pairs.new), pairs.old) for kind, adapter in adapters.items()}
    ways: list[Way] = []
    queries = pairs.queries(2)
    units, base = pairs.units[queries], np.zeros(0)
    for name, (asked, gallery) in searches.items():
        values = _judged(request, pairs, asked, gallery, queries)
        low, high = interval(values, units, request.resamples, request.seed)
        recall, mrr = (Figure(value=float(values[:, n].mean()), low=float(low[n]), high=float(high[n])) for n in (0, 1))
        change = None
        if ways:
            apart = values[:, :1] - base
            ends = interval(apart, units, request.resamples, request.seed)
            p = float(paired_p(apart, units, request.resamples, request.seed)[0])
            change = Change(value=float(apart.mean()), low=float(ends[0][0]), high=float(ends[1][0]), p=p)
        else:
            base = values[:, :1]
        ways.append(Way(name=name, recall=recall, mrr=mrr, change=change))
    return ways


def _judged(
    request: CompatibilityRequest, pairs: _Pairs, asked: np.ndarray, gallery: np.ndarray, queries: np.ndarray
) -> np.ndarray:
    """Recall and mrr of each query, [Q,2]."""
    with Silent().stage("") as tick:
        judged = judge(asked[queries], plain_gallery(gallery), pairs.asked, queries, [request.k], tick)
    names = metric_names([request.k])
    return judged.values[:, [names.index(f"{name}@{request.k}") for name in ("recall", "mrr")]]


def _recall(request: CompatibilityRequest, pairs: _Pairs, adapter: Adapter, part: int) -> float:
    return float(_judged(request, pairs, adapter(pairs.new), pairs.old, pairs.queries(part))[:, 0].mean())


def _most(request: CompatibilityRequest, pairs: _Pairs) -> float:
    """The highest recall that k places allow the queries that judge; below 1 where more than k items are relevant."""
    relevant = pairs.asked.relevance.relevant()[pairs.queries(2)]
    return float((np.minimum(relevant, request.k) / relevant).mean())


def _serves(spare: float, way: Way) -> bool:
    return way.change is not None and way.change.low >= -spare


def _verdict(ways: dict[str, Way], chosen: str, *, reindex: bool, serves: bool) -> str:
    old, new, adapted = (ways[name].recall.value for name in ("old", "new", chosen))
    if not reindex:
        return "The old gallery serves the new model's queries as they are: it need not be embedded again."
    before = ways["unchanged"].recall.value if "unchanged" in ways else None
    without = "they do not fit it at all" if before is None else f"they find {before:.1%} of what is relevant in it"
    told = f"The old gallery must be embedded again for the new model ({new:.1%}, the old one {old:.1%}): {without}."
    meanwhile = f"Through the {chosen.replace('_', ' ')} adapter they find {adapted:.1%}, which "
    return f"{told} {meanwhile}{'serves meanwhile' if serves else 'is less than the old model finds'}."
