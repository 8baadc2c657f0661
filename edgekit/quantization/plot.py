"""A picture of a plan: what each layer alone costs the embedding, in the order in which they run."""

from __future__ import annotations

from pathlib import Path

from edgekit.quantization.plan import Plan
from edgekit.quantization.schemes import SCHEMES
from edgekit.support.plots import figure_of, save

__all__ = ["plot_damage"]

_NAMED = 4  # of the worst
_FLOOR = 1e-8


def plot_damage(plan: Plan, out: Path) -> None:
    """Draw 1 - cosine of each layer in its fastest form, coloured by the form that it got; writes the PNG `out`.

    Raises MissingDependencyError without matplotlib, OutputError where `out` cannot be written.
    """
    figure = figure_of(10.0, 4.2)
    axes = figure.subplots()
    rows = [(index, row, max(max(row.damage.values()), _FLOOR)) for index, row in enumerate(plan.layers) if row.damage]
    for scheme in SCHEMES.values():
        own = [(index, damage) for index, row, damage in rows if row.scheme == scheme.key]
        if own:
            x, y = zip(*own, strict=True)
            axes.vlines(x, _FLOOR, y, color=scheme.colour, linewidth=1)
            axes.plot(x, y, "o", markersize=3, color=scheme.colour, label=scheme.key)
    for index, row, damage in sorted(rows, key=lambda item: -item[2])[:_NAMED]:
        axes.annotate(row.name, (index, damage), fontsize=7, xytext=(3, 3), textcoords="offset points")
    axes.set_yscale("log")
    axes.set_title(f"{plan.model}: what each layer alone costs in its fastest form", loc="left", fontsize=11)
    axes.set_xlabel("layer, in the order in which they run")
    axes.set_ylabel("1 - cosine, worst of some images")
    axes.spines[["top", "right"]].set_visible(False)
    if rows:
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    save(figure, out)
