"""What an evaluation with generated queries comes to, in a few sentences."""

from __future__ import annotations

from edgekit.evaluation.generative.report import GenerativeReport
from edgekit.evaluation.retrieval_report import ALPHA
from edgekit.report.document import State
from edgekit.support.text import shown

__all__ = ["said_of"]

_FEW = 30  # judged rows with which kappa says little


def said_of(report: GenerativeReport) -> tuple[list[str], State]:
    """Sentences, and whether they are good news: mixed where a language is served worse or texts are not understood."""
    best = max(report.models, key=lambda row: row.figures[report.metric].value)
    figure = best.figures[report.metric]
    first = f"{report.metric} is {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
    if len(report.models) > 1:
        first = f"{shown(best.name, 80)} finds what people chose most often: {first}"
    said = [f"{first}."]
    uneven = [row for row in report.models if row.gap is not None and row.gap.p <= ALPHA]
    for row in uneven:
        assert row.gap is not None
        said.append(
            f"{shown(row.name, 80)} serves {row.gap.worst} worse than {row.gap.best}, by {row.gap.value:.3f} "
            f"({row.gap.low:+.3f} to {row.gap.high:+.3f})."
        )
    if not uneven and any(row.gap is not None for row in report.models):
        said.append("No gap between languages is shown.")
    if unread := report.queries - report.judged:
        said.append(f"{unread} of {report.queries} texts were not understood.")
    if (agreement := report.agreement) is not None:
        said.append(
            f"Spearman's correlation with the ranking by real photos is {agreement.rho:.2f} "
            f"({agreement.low:.2f} to {agreement.high:.2f}) over {agreement.models} models."
        )
    if report.review is not None:
        said.append(_said_of_review(report))
    return said, "mixed" if uneven or unread else "plain"


def _said_of_review(report: GenerativeReport) -> str:
    review = report.review
    assert review is not None
    if not review.judged:
        return "No row of the check list has a human verdict yet; fill in its last column."
    kappa = "not defined, as all verdicts are equal" if review.kappa is None else f"{review.kappa:.2f}"
    few = ", too few to tell" if review.judged < _FEW else ""
    return f"Cohen's kappa between people and the automatic verdict is {kappa} over {review.judged} rows{few}."
