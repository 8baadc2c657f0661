"""What a model is worth to the tasks: photos embedded by the artifact and by the original, searched in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.embedding.sources import Source, open_source
from edgekit.errors import UsageError
from edgekit.evaluation.compare_report import Value
from edgekit.evaluation.kept import kept_embeddings
from edgekit.evaluation.retrieval import RetrievalRequest, evaluate_retrieval
from edgekit.evaluation.tasks import task_named
from edgekit.metrics.ranking import metric_names
from edgekit.recipe import Recipe
from edgekit.support.progress import Reporter
from edgekit.support.text import shown

__all__ = ["Judging", "figure_names", "open_data"]

# Whose queries search whose gallery: the artifact its own, the artifact the original's, the original its own.
_ARRANGEMENTS = {"plain": "", "mixed": "mixed.", "original": "original."}


def figure_names(tasks: Sequence[str], at: Sequence[int]) -> list[str]:
    """The names of all figures of quality: those of the first task plain, those of others after the task's name."""
    return [
        f"{_of_task(tasks, task)}{before}{name}"
        for task in tasks
        for before in _ARRANGEMENTS.values()
        for name in metric_names(sorted(set(at)))
    ]


def open_data(data: str, tasks: Sequence[str]) -> Source:
    """The photos.

    Raises:
        InputError: they cannot be read.
        UsageError: they lack a column that a task needs, or there is no such task.
    """
    rows = [task_named(task) for task in tasks]
    source = open_source(data)
    for row in rows:
        needed = [row.must, *(side[0] for side in (row.asks, row.searched) if side is not None)]
        if lacking := [name for name in needed if name not in source.columns]:
            there = ", ".join(shown(name, 40) for name in source.columns[:8]) or "none"
            raise UsageError(
                f"{shown(data, 80)} has no column {lacking[0]}, which the task {row.key} needs (its columns: {there}); "
                "give other `data`, or another task in `tasks`",
                field="tasks",
            )
    return source


@dataclass(frozen=True)
class Judging:
    """How quality is judged; embeddings are kept in the folder `kept`, and taken from there where they are the same."""

    data: str
    source: Source
    tasks: Sequence[str]
    at: Sequence[int]
    kept: Path
    workers: int | None
    resamples: int
    seed: int

    def embedded(self, model: Recipe | Path, key: str, reporter: Reporter) -> Path:
        """The file of the photos' embeddings by a model, which `key` tells from every other.

        Raises:
            EdgeKitError: the photos cannot be embedded.
        """
        return kept_embeddings(self.data, self.source, model, key, self.kept, workers=self.workers, reporter=reporter)

    def figures(self, own: Path, original: Path, runtime: str, reporter: Reporter) -> dict[str, Value]:
        """Those of `figure_names`, from the files of both.

        Raises:
            EdgeKitError: a task cannot be judged.
        """
        found: dict[str, Value] = {}
        for task in self.tasks:
            request = RetrievalRequest(
                own,
                task=task,
                at=self.at,
                against=original,
                mixed=True,
                resamples=self.resamples,
                seed=self.seed,
            )
            report = evaluate_retrieval(request, reporter)
            where = f"{report.queries} queries in a gallery of {report.gallery}, {self.source.name}"
            for row in report.arrangements:
                ran = "by PyTorch" if row.name == "original" else f"by the artifact in {runtime}"
                how = f"task {task}, {where}; embedded {ran}"
                before = f"{_of_task(self.tasks, task)}{_ARRANGEMENTS[row.name]}"
                for name, value in row.figures.items():
                    found[f"{before}{name}"] = Value(value=value.value, low=value.low, high=value.high, how=how)
        return found


def _of_task(tasks: Sequence[str], task: str) -> str:
    return "" if task == tasks[0] else f"{task}."
