"""What tables of several commands share, and results as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from edgekit.support.progress import table

__all__ = ["figure", "print_facts", "print_json"]


def figure(value: float | None, digits: int) -> str:
    """A number in a table; a dash where it could not be taken."""
    return "-" if value is None else f"{value:.{digits}f}"


def print_json(value: object) -> None:
    """Write to stdout what a machine is to read."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    """A table of one fact a row."""
    table(title, ("figure", "value"), [(name, str(value)) for name, value in facts.items()])
