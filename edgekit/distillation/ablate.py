"""Ablations: variants of one recipe, trained alike from the same caches, and compared query by query."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import numpy as np

from edgekit.distillation.metrics import bootstrap_mean_difference
from edgekit.distillation.plot import plot_ablation
from edgekit.distillation.run import DistillRequest, DistillResult, distill
from edgekit.errors import UsageError
from edgekit.recipe import Recipe
from edgekit.recipe.training import DistillSpec
from edgekit.support.files import write_atomically
from edgekit.support.progress import Reporter, Silent

__all__ = ["KINDS", "Row", "ablate", "variants"]

KINDS = ("losses", "sampling", "tasks")
_OBJECTIVES = ("cosine", "relational", "contrastive", "labels")


@dataclass(frozen=True)
class Row:
    """One variant: recall@1 a retrieval task, their mean, and its difference to the base with a 95 % interval."""

    variant: str
    recall_1: Mapping[str, float]
    mean_recall_1: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None


def variants(recipe: Recipe, kinds: Sequence[str]) -> dict[str, Recipe]:
    """The recipe itself as "base", then its variants by name.

    `losses` leaves out one objective at a time, `sampling` tries the other ways to mix the data sets, `tasks` trains
    on each data set alone. Raises UsageError for an unknown kind, or one that this recipe has nothing to vary of.
    """
    spec = recipe.distill
    assert spec is not None
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UsageError(f"`kinds` has {unknown[0]!r}: give one or more of {', '.join(KINDS)}", field="kinds")
    out = {"base": recipe}
    for kind in kinds:
        changed_specs = {"losses": _losses, "sampling": _sampling, "tasks": _tasks}[kind](spec)
        if not changed_specs:
            raise UsageError(
                f"`kinds` has {kind!r}, but this recipe has nothing of that kind to vary; leave it out", field="kinds"
            )
        out |= {name: recipe.model_copy(update={"distill": changed}) for name, changed in changed_specs.items()}
    return out


def _losses(spec: DistillSpec) -> dict[str, DistillSpec]:
    used = [name for name in _OBJECTIVES if getattr(spec.losses, name)]
    taught = [name for name in used if name in ("cosine", "relational")]
    out = {}
    for name in used:
        rest = [other for other in used if other != name]
        if rest and not (spec.teachers and taught == [name]):
            out[f"without {name}"] = spec.model_copy(update={"losses": spec.losses.model_copy(update={name: 0.0})})
    return out


def _sampling(spec: DistillSpec) -> dict[str, DistillSpec]:
    if len(spec.data) < 2:
        return {}
    modes = get_args(DistillSpec.model_fields["sampling"].annotation)
    weighted = len({data.weight for data in spec.data}) > 1
    wanted = [mode for mode in modes if mode != spec.sampling and (mode != "weights" or weighted)]
    return {f"sampling {mode}": spec.model_copy(update={"sampling": mode}) for mode in wanted}


def _tasks(spec: DistillSpec) -> dict[str, DistillSpec]:
    if len(spec.data) < 2:
        return {}
    out = {}
    for data in spec.data:
        change: dict[str, Any] = {"data": (data,)}
        if spec.losses.labels and not (data.labels or data.folder):
            change["losses"] = spec.losses.model_copy(update={"labels": 0.0})
        out[f"only {data.name}"] = spec.model_copy(update=change)
    return out


def ablate(request: DistillRequest, kinds: Sequence[str], reporter: Reporter | None = None) -> list[Row]:
    """Train every variant below the request's folder and compare each with the base.

    Writes the rows as ablation.json and ablation.png, and returns them. Raises what `distill` raises.
    """
    spec = request.recipe.distill
    if spec is None or not spec.validation.retrieval:
        raise UsageError("an ablation compares retrieval: give the recipe a [[distill.validation.retrieval]]")
    if "tasks" in kinds and spec.photos is None:
        raise UsageError("the kind 'tasks' compares equal budgets: give `photos` in place of `epochs`", field="photos")
    reporter = reporter or Silent()
    results: dict[str, DistillResult] = {}
    for name, recipe in variants(request.recipe, kinds).items():
        reporter.progress(f"variant: {name}")
        folder = request.out / re.sub(r"[^a-z0-9]+", "-", name)
        result = distill(replace(request, recipe=recipe, out=folder), reporter)
        if result is not None:
            results[name] = result
    if not results:
        return []
    rows = [_row(name, result, results["base"]) for name, result in results.items()]
    tables = [asdict(row) for row in rows]
    write_atomically(request.out / "ablation.json", json.dumps(tables, indent=2) + "\n")
    plot_ablation(tables, request.out / "ablation.png")
    return rows


def _row(name: str, result: DistillResult, base: DistillResult) -> Row:
    hits, others = (_hits(side) for side in (base, result))
    recall = {task: float(hit.mean()) for task, hit in others.items()}
    mean = float(np.mean(list(recall.values())))
    if name == "base":
        return Row(name, recall, mean)
    difference = bootstrap_mean_difference([hits[task] for task in recall], [others[task] for task in recall])
    return Row(name, recall, mean, *difference)


def _hits(result: DistillResult) -> dict[str, np.ndarray]:
    tasks = result.figures.details.items()
    return {task: (figures.ranks[figures.ranks > 0] == 1).astype(np.float64) for task, figures in tasks}
