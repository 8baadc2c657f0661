"""Pictures of a training run and of an ablation: one PNG each, the same bytes for the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.support.plots import COLOURS, figure_of, save

__all__ = ["plot_ablation", "plot_run"]

_BLUE, _RED, _GREY = COLOURS[0], COLOURS[1], "#666666"
_MARKERS = "osD^vPX"

Points = tuple[list[float], list[float]]  # x, y


def plot_run(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Draw each objective's loss and each retrieval task's recall@1 against photos shown; writes the PNG `out`.

    `rows` are the parsed lines of metrics.jsonl, of kind "train" (photos, losses) and "validation" (photos, retrieval);
    other kinds are skipped, and so are missing and non-finite figures. Losses are drawn faint, with an exponential
    mean over them. Teachers' recall is dashed where a task has "teacher_recall_1".
    Raises MissingDependencyError without matplotlib, OutputError where `out` cannot be written.
    """
    figure = figure_of(10.0, 4.2)
    left, right = figure.subplots(1, 2, sharex=True)
    losses: dict[str, Points] = {}
    recalls: dict[str, Points] = {}
    teachers: dict[str, Points] = {}
    for row in rows:
        if row.get("kind") == "train":
            for name, value in row.get("losses", {}).items():
                _add(losses, name, row["photos"], value)
        elif row.get("kind") == "validation":
            for name, task in row.get("retrieval", {}).items():
                _add(recalls, name, row["photos"], task.get("recall_1"))
                _add(teachers, name, row["photos"], task.get("teacher_recall_1"))

    for index, (name, (photos, values)) in enumerate(losses.items()):
        colour, alone = _colour(index), "o" if len(values) == 1 else None
        left.plot(photos, values, color=colour, alpha=0.25, linewidth=0.8)
        left.plot(photos, _smooth(values), color=colour, linewidth=1.8, marker=alone, label=name)
    if any(value > 0 for _, values in losses.values() for value in values):
        _log_scale(left)
    _finish(left, "Training loss", "loss (faint: as logged)", bool(losses))

    for index, (name, (photos, values)) in enumerate(recalls.items()):
        marker = _MARKERS[index % len(_MARKERS)]
        right.plot(photos, values, color=_colour(index), linewidth=1.8, marker=marker, markersize=5, label=name)
        if name in teachers:
            right.axhline(teachers[name][1][-1], color=_colour(index), linewidth=1.3, linestyle="--")
    if teachers:
        right.plot([], [], color=_GREY, linewidth=1.3, linestyle="--", label="teacher")
    _finish(right, "Retrieval on held-out listings", "recall@1", bool(recalls))
    save(figure, out)


def plot_ablation(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Draw each variant's difference in mean recall@1 to the base, with its 95 % interval; writes the PNG `out`.

    A row has "variant" and "mean_recall_1" (0 to 1), and "difference", "low" and "high" in the same unit, None for the
    base. Triangles point to where an interval without 0 lies; a variant that the interval cannot tell from the base is
    a grey dot.
    Raises MissingDependencyError without matplotlib, OutputError where `out` cannot be written.
    """
    figure = figure_of(8.0, 1.5 + 0.36 * max(2, len(rows)))
    axes = figure.subplots()
    axes.axvline(0, color=_GREY, linewidth=1.0)
    for place, row in enumerate(rows):
        difference, low, high = row.get("difference"), row.get("low"), row.get("high")
        if difference is None:
            axes.plot(0, place, "D", color=_GREY, markerfacecolor="white", markersize=7, markeredgewidth=1.5)
            continue
        marker, colour = "o", _GREY
        if low is not None and high is not None:
            if low > 0 or high < 0:
                marker, colour = (">", _BLUE) if low > 0 else ("<", _RED)
            axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(difference, place, marker, color=colour, markersize=8)
    for marker, colour, label in ((">", _BLUE, "better"), ("<", _RED, "worse"), ("o", _GREY, "no clear difference")):
        axes.plot([], [], marker, color=colour, markersize=7, label=label)
    axes.plot([], [], "D", color=_GREY, markerfacecolor="white", markeredgewidth=1.5, markersize=6, label="base")
    axes.set_yticks(range(len(rows)), [str(row["variant"]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    figures = axes.secondary_yaxis("right")
    figures.set_yticks(range(len(rows)), [f"{row['mean_recall_1']:.3f}" for row in rows])
    figures.set_ylabel("mean recall@1", color=_GREY)
    figures.tick_params(length=0, labelcolor=_GREY)
    figures.spines["right"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.set_xlabel("difference in mean recall@1 to the base, with 95 % interval")
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    save(figure, out)


def _add(series: dict[str, Points], name: str, photos: float, value: float | None) -> None:
    if value is not None and math.isfinite(value):
        x, y = series.setdefault(name, ([], []))
        x.append(photos)
        y.append(value)


def _smooth(values: Sequence[float]) -> list[float]:
    """Exponential mean over about a hundredth of the run, without the pull towards 0 at its start."""
    decay = 1 - 1 / max(1.0, len(values) / 100)
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = decay * total + value, decay * weight + 1
        smoothed.append(total / weight)
    return smoothed


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _log_scale(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log", nonpositive="mask")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _finish(axes: Any, title: str, label: str, drawn: bool) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("photos shown")
    axes.set_ylabel(label)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    if drawn:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, frameon=False, fontsize=9)
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "nothing measured yet", transform=axes.transAxes, ha="center", color=_GREY)
