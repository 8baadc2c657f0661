"""What a metric is: its columns, its kind, and which direction is wanted."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from edgekit.errors import InputError, UsageError
from edgekit.support.documents import Part, mistake_in
from edgekit.support.text import reason_of, shown

__all__ = ["ExperimentMetric", "guess_metrics", "metrics_of"]

_BEFORE = ("pre_{}", "{}_pre", "{}_before", "before_{}")  # how the covariate of a metric is usually called
_MOST_BYTES = 1 << 20


class ExperimentMetric(Part):
    """A metric of an experiment.

    `kind` is seen from the column where it is not given: 0 and 1 alone are a rate. `per` names the denominator's column
    of a ratio, whose value is the quotient of the two columns' totals. `covariate` is a column from before the
    experiment.
    """

    name: str = Field(min_length=1, max_length=200)
    kind: Literal["rate", "mean", "ratio"] | None = None
    column: str = ""  # empty: called as the metric
    per: str | None = None
    covariate: str | None = None
    want: Literal["up", "down"] | None = None  # None: any difference is told without praise

    @model_validator(mode="after")
    def _ratio_has_a_denominator(self) -> ExperimentMetric:
        if self.kind == "ratio" and self.per is None:
            raise ValueError("a ratio needs per, the column of its denominator")
        if self.kind in ("rate", "mean") and self.per is not None:
            raise ValueError(f"a {self.kind} has no per; leave it out, or write kind=ratio")
        return self

    @property
    def source(self) -> str:
        """The column of its values."""
        return self.column or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it needs."""
        return tuple(name for name in (self.source, self.per, self.covariate) if name)


def metrics_of(given: Sequence[ExperimentMetric | str] | ExperimentMetric | str) -> tuple[ExperimentMetric, ...]:
    """Metrics as they are, from text as `NAME:KEY=VALUE,...`, and those of a TOML file of `[[metrics]]`.

    Raises:
        UsageError: a text is no metric, or two have one name.
        InputError: a file cannot be read as such.
    """
    rows = (given,) if isinstance(given, ExperimentMetric | str) else tuple(given)
    metrics: list[ExperimentMetric] = []
    for row in rows:
        if isinstance(row, ExperimentMetric):
            metrics.append(row)
        elif row.endswith(".toml"):
            metrics += _read(Path(row))
        else:
            metrics.append(_parse(row))
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"`metrics` has {shown(name, 60)!r} twice; give each a name of its own", field="metrics")
    return tuple(metrics)


def guess_metrics(numeric: Sequence[str], taken: Sequence[str]) -> tuple[ExperimentMetric, ...]:
    """A metric for each column of numbers that is none of `taken`; `pre_NAME` and `NAME_before` are the covariate of
    NAME.
    """
    free = [name for name in numeric if name not in taken]
    before = {name: next((form.format(name) for form in _BEFORE if form.format(name) in free), None) for name in free}
    covariates = set(before.values())
    return tuple(
        ExperimentMetric(name=name, covariate=covariate) for name, covariate in before.items() if name not in covariates
    )


def _parse(text: str) -> ExperimentMetric:
    name, _, rest = text.partition(":")
    parts = [part.partition("=") for part in rest.split(",")] if rest else []
    if any(not equals for _, equals, _ in parts):
        raise UsageError(
            f"`metrics` has {shown(text, 100)!r}; write NAME, or NAME:KEY=VALUE,... with the keys kind, column, per, "
            "covariate and want",
            field="metrics",
        )
    return _valid({"name": name.strip(), **{key.strip(): value.strip() for key, _, value in parts}}, text)


def _valid(fields: dict[str, Any], text: str) -> ExperimentMetric:
    try:
        return ExperimentMetric.model_validate(fields)
    except ValidationError as error:
        raise UsageError(
            f"`metrics` has {shown(text, 100)!r}, which is no metric ({mistake_in(error)}); docs/experiment.md has the "
            "keys",
            field="metrics",
        ) from None


def _read(path: Path) -> list[ExperimentMetric]:
    name = shown(str(path))
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InputError(f"{name}: over 1 MiB, more than is read of such a file")
        document = tomllib.loads(content.decode())
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # also of a number with too many digits
        raise InputError(f"{name}: not valid TOML ({reason_of(error)})") from None
    rows = document.get("metrics")
    if not isinstance(rows, list) or not rows or set(document) != {"metrics"}:
        raise InputError(f"{name}: has no list of metrics alone; write one [[metrics]] table for each")
    try:
        return [ExperimentMetric.model_validate(row) for row in rows]
    except ValidationError as error:
        raise InputError(
            f"{name}: a metric is not valid ({mistake_in(error)}); docs/experiment.md has the keys"
        ) from None
