"""Compare backbones, precisions and targets: quality, parity, latency, memory, size and cost in one table, and which
row to ship."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgekit import targets
from edgekit.bench.results.store import find_results
from edgekit.bench.schema import Result
from edgekit.errors import EdgeKitError, UsageError
from edgekit.evaluation.candidates import Candidate, Counted, Making, candidates, counted
from edgekit.evaluation.choice import choose, marked
from edgekit.evaluation.compare_report import CompareReport, Price, Row, Value
from edgekit.evaluation.cost import COSTS, Demand, costs
from edgekit.evaluation.prices import Prices, read_prices
from edgekit.evaluation.tasks import TASKS
from edgekit.evaluation.timing import TIMES, pick, time_here
from edgekit.evaluation.variants import is_seeded, swept
from edgekit.evaluation.where import Condition, parse
from edgekit.evaluation.worth import Judging, figure_names, open_data
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.fields import (
    AnyPath,
    Converted,
    OptionalPath,
    PathField,
    PathsField,
    check_number,
    optional_path,
    paths,
)
from edgekit.support.progress import Reporter, Silent
from edgekit.targets import Target

__all__ = ["FIGURES", "CompareRequest", "compare"]

# What is counted or read from a manifest.
_STATIC = ("size_mb", "parameters", "macs", "min_cosine")
FIGURES = (*TIMES, *_STATIC, *COSTS)
_PRECISIONS = ("default", "fp32", "fp16", "int8")
_TRAFFIC = re.compile(r"(\d{1,15}(?:\.\d+)?)(?:/(day|hour|second))?", re.ASCII)
_A_DAY = {"day": 1, "hour": 24, "second": 86400}
_SEEDED = "random weights: cost without quality"


def _recipes(given: Sequence[Recipe | AnyPath] | Recipe | AnyPath) -> tuple[Recipe, ...]:
    several = [given] if isinstance(given, Recipe | str | Path) else given
    return tuple(resolve_model(one) for one in several)


def _per_day(given: str | float | None) -> float | None:
    """Embeddings a day, of 100000, 100000/day, 5000/hour or 2/second."""
    if given is None or isinstance(given, int | float):
        return given
    match = _TRAFFIC.fullmatch(given.strip())
    if match is None:
        raise UsageError(f"`traffic` is {given[:40]!r}; give a number, as in 100000/day or 2/second", field="traffic")
    return float(match[1]) * _A_DAY[match[2] or "day"]


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """What to compare, on what, and what is asked of the one that ships."""

    models: Converted[Sequence[Recipe | AnyPath] | Recipe | AnyPath, tuple[Recipe, ...]] = Converted(_recipes)
    precisions: Sequence[str] = ("default",)  # default: each target's own float; fp32, fp16, int8
    targets: Converted[str | Sequence[Target | str], Sequence[Target]] = Converted(
        targets.select, tuple(targets.select("onnx"))
    )
    sweep: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of `variants.SWEEPS`
    plans: Mapping[str, AnyPath] = field(default_factory=dict)  # for int8, by the model's name
    out: PathField = Converted(Path, Path("compared"))  # artifacts, embeddings and results are kept there
    images: OptionalPath = Converted(optional_path, None)  # for the parity of what is exported
    samples: int | None = None
    min_ios: int | None = None
    data: str = "catalog:200"  # what quality is judged on, as for `EmbedRequest`
    tasks: Sequence[str] = ("similar",)
    at: Sequence[int] = (1, 5, 10)
    workers: int | None = None  # that embed
    results: PathsField = Converted(paths, ())  # of earlier measurements
    seconds: float = 5.0  # to measure each artifact for, where there is no result
    prices: OptionalPath = Converted(optional_path, None)  # None: the table that is shipped
    instance: str | None = None  # None: the table's first
    transfer: str | None = None
    traffic: Converted[str | float | None, float | None] = Converted(_per_day, None)  # embeddings a day
    gallery: int | None = None  # photos to embed again
    installs: int | None = None  # of the app
    where: str | None = None
    best: str | None = None  # None: recall at the deepest cut-off
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        for name, given in (("models", self.models), ("tasks", self.tasks), ("at", self.at)):
            if not given:
                raise UsageError(f"`{name}` is empty; give one at least", field=name)
        known = [row.key for row in TASKS]
        if foreign := [task for task in self.tasks if task not in known]:
            there = ", ".join(known)
            raise UsageError(f"`tasks` has no {foreign[0][:40]!r}; give some of {there}", field="tasks")
        for precision in self.precisions:
            if precision not in _PRECISIONS:
                names = ", ".join(_PRECISIONS)
                raise UsageError(f"`precisions` has no {precision[:40]!r}; choose from {names}", field="precisions")
        for k in self.at:
            check_number("at", k, 1, 10_000)
        check_number("seconds", self.seconds, 0, 3600, whole=False)
        check_number("resamples", self.resamples, 99, 1_000_000)
        for name in ("samples", "workers", "gallery", "installs"):
            if (value := getattr(self, name)) is not None:
                check_number(name, value, 1)
        if self.traffic is not None:
            check_number("traffic", self.traffic, 0, whole=False)
        if self.judged_by not in self.names:
            raise UsageError(f"`best`: no figure is called {self.judged_by[:60]!r}; {self._hint()}", field="best")
        known = [recipe.name for recipe in self.recipes()]
        if foreign := [name for name in self.plans if name not in known]:
            raise UsageError(
                f"`plans`: no model is called {foreign[0][:60]!r}; there are {', '.join(known)}", field="plans"
            )
        self.condition()

    @property
    def names(self) -> list[str]:
        """The figures that a condition may name."""
        return [*FIGURES, *figure_names(self.tasks, self.at)]

    @property
    def judged_by(self) -> str:
        """The figure that is to be best."""
        return self.best or f"recall@{max(self.at)}"

    def recipes(self) -> list[Recipe]:
        """Each model in each variant."""
        return swept(self.models, self.sweep)

    def condition(self) -> Condition | None:
        """`where`, read."""
        return None if self.where is None else parse(self.where, self.names)

    def _hint(self) -> str:
        return f"there are {', '.join(self.names)}"


@dataclass(frozen=True)
class _Made:
    """A candidate with what is known of its model, and its figures of quality or why there are none."""

    candidate: Candidate
    model: Counted | None
    quality: dict[str, Value]
    without: str | None = None


def compare(request: CompareRequest, reporter: Reporter | None = None) -> CompareReport:
    """Export what is not there yet, judge, measure and price every row, and say which one to ship.

    What cannot be exported is a row that says why; the others go on. Artifacts, embeddings and measurements are kept in
    `out` and used again, as long as they are of the same model, data and versions.

    Raises:
        UsageError: the price table has no such instance, or the data lack a column that a task needs.
        InputError: the data, the price table or the results cannot be read.
        OutputError: `out` cannot be written.
        EdgeKitError: nothing at all could be exported: the first row's reason.
    """
    reporter = reporter or Silent()
    prices = read_prices(request.prices)
    demand = Demand(
        request.traffic,
        request.gallery,
        request.installs,
        prices.instance_named(request.instance),
        prices.transfer_named(request.transfer),
    )
    judging = Judging(
        request.data,
        open_data(request.data, request.tasks),
        request.tasks,
        request.at,
        request.out / "embeddings",
        request.workers,
        request.resamples,
        request.seed,
    )
    results, notes = find_results(request.results) if request.results else ([], [])
    made = [row for recipe in request.recipes() for row in _of_model(recipe, request, judging, reporter)]
    timed, failed = _timed(made, results, request, reporter)
    rows = marked([_row(row, timed, demand) for row in made], request.judged_by, request.condition())
    return CompareReport(
        data=judging.source.name,
        tasks=list(request.tasks),
        best=request.judged_by,
        where=request.where,
        currency=prices.currency,
        prices=_used(demand),
        rows=rows,
        answer=choose(rows, request.judged_by, request.condition()),
        notes=[*notes, *failed, *_remarks(prices, demand)],
    )


def _of_model(recipe: Recipe, request: CompareRequest, judging: Judging, reporter: Reporter) -> list[_Made]:
    """All rows of a model."""
    making = Making(
        request.out,
        request.precisions,
        request.targets,
        request.plans,
        request.images,
        request.samples,
        request.min_ios,
    )
    try:
        model = counted(recipe, reporter)
    except EdgeKitError as error:
        return [
            _Made(Candidate(recipe, target, precision, request.out, error=str(error)), None, {})
            for precision in dict.fromkeys(request.precisions)
            for target in request.targets
        ]
    found = list(candidates(recipe, model.state, making, reporter))
    if is_seeded(recipe):
        return [_Made(row, model, {}, _SEEDED) for row in found]
    return [_judged(row, model, judging, reporter) for row in found]


def _judged(row: Candidate, model: Counted, judging: Judging, reporter: Reporter) -> _Made:
    if row.manifest is None:
        return _Made(row, model, {})
    try:
        original = judging.embedded(row.recipe, _key(row.recipe, model.state), reporter)
        own = judging.embedded(row.path, row.sha256, reporter)
        runtime = f"{row.manifest.parity.runtime}{' (a stand-in)' if row.manifest.parity.reference else ''}"
        return _Made(row, model, judging.figures(own, original, runtime, reporter))
    except EdgeKitError as error:
        return _Made(row, model, {}, str(error))


def _key(recipe: Recipe, state: str) -> str:
    """What tells the original from other models: all that an embedding follows from."""
    facts = recipe.model_dump_json(include={"model": {"backbone", "output", "pool", "args"}, "input": True})
    return f"pytorch {hashlib.sha256(facts.encode()).hexdigest()} {state}"


def _timed(
    made: Sequence[_Made], results: Sequence[Result], request: CompareRequest, reporter: Reporter
) -> tuple[list[Result], list[str]]:
    """All results: those that were given, those that `out` has kept, and for what a host has none yet, new ones."""
    keep = request.out / "results"
    kept = find_results([keep])[0] if keep.is_dir() and any(keep.iterdir()) else []
    known = [*results, *kept]
    rows = [row.candidate for row in made if row.candidate.manifest is not None]
    untimed = [
        row.path
        for row in rows
        if not (row.manifest and row.manifest.parity.reference) and pick(known, row.sha256).host is None
    ]
    if not untimed:
        return known, []
    fresh, failed = time_here(untimed, request.seconds, keep, reporter)
    return [*known, *fresh], failed


def _row(made: _Made, results: Sequence[Result], demand: Demand) -> Row:
    row, manifest = made.candidate, made.candidate.manifest
    figures: dict[str, Value] = {}
    missing: dict[str, str] = {}
    if made.model is not None:
        how = "counted on the exported program, with the projection"
        figures["parameters"] = Value(value=made.model.parameters, how=how)
        figures["macs"] = Value(value=made.model.macs, how=f"multiply-accumulates of one image, {how}")
    if manifest is not None:
        parity = manifest.parity
        figures["size_mb"] = Value(value=row.bytes / 1e6, how="bytes of the artifact, which a phone downloads")
        if parity.min_cosine is not None:
            how = f"manifest: worst of {parity.images} images of {parity.dataset}, in {parity.runtime}"
            figures["min_cosine"] = Value(value=parity.min_cosine, how=how)
        times = pick(results, row.sha256).figures()
        figures |= times | costs(times.get("images_per_second"), row.bytes, demand)
        if "latency_ms" not in times:
            missing["latency_ms"] = (
                "the runtime here is a stand-in, whose time says nothing; give `results` of a device"
                if parity.reference
                else "it could not be timed"
            )
    if made.without is not None:
        missing["quality"] = made.without
    return Row(
        name=row.folder.name if manifest is not None else f"{row.recipe.name}-{row.target.key}-{row.precision}",
        model=row.recipe.name,
        target=row.target.platform,
        format=row.target.format,
        precision=row.precision,
        sha256=None if manifest is None else row.sha256,
        reference=None if manifest is None else manifest.parity.reference,
        figures=figures | made.quality,
        missing=missing,
        error=row.error,
        front=None,
        dominated_by=None,
        qualifies=None,
    )


def _used(demand: Demand) -> list[Price]:
    used = []
    if (row := demand.instance) is not None:
        cited = {"name": row.name, "source": row.source, "date": row.date, "note": row.note}
        used.append(Price(price=row.price_per_hour, per=f"hour, {row.cores} cores", **cited))
    if (way := demand.transfer) is not None:
        cited = {"name": way.name, "source": way.source, "date": way.date, "note": way.note}
        used.append(Price(price=way.price_per_gb, per="GB", **cited))
    return used


def _remarks(prices: Prices, demand: Demand) -> list[str]:
    return [
        f"the price table has no {kind}, so {what}"
        for kind, row, what in (
            ("instance", demand.instance, "computing is given in core hours alone"),
            ("transfer", demand.transfer, "downloads have no price"),
        )
        if row is None
    ]
