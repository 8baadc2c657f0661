"""What tables of several commands share, and results as JSON for machines."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import click
from click.core import ParameterSource

from edgekit.support.progress import table

__all__ = ["figure", "print_facts", "print_json", "typed_command"]


def figure(value: float | None, digits: int) -> str:
    """A number in a table; a dash where it could not be taken."""
    return "-" if value is None else f"{value:.{digits}f}"


def print_json(value: object) -> None:
    """Write to stdout what a machine is to read."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    """A table of one fact a row."""
    table(title, ("figure", "value"), [(name, str(value)) for name, value in facts.items()])


def _typed(value: object) -> str:
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def typed_command() -> str:
    """The running command as a person can type it again: what was given, without what only changes the output."""
    context = click.get_current_context()
    words = context.command_path.split()[1:]
    for param in context.command.params:
        given = context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if not given or param.name in ("as_json", "quiet", "debug"):
            continue
        value, typed = context.params[param.name or ""], getattr(param.type, "typed", _typed)
        for one in value if param.multiple or param.nargs != 1 else [value]:
            if not isinstance(param, click.Argument):
                words.append(max(param.secondary_opts if one is False else param.opts, key=len))
            words += [] if isinstance(one, bool) else [typed(one)]
    return shlex.join(["edgekit", *words])
