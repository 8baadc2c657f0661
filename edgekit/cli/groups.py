"""Groups of commands: loaded when needed, listed without a cut line, with a suggestion for a name that is mistyped."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

import click

from edgekit.cli.errors import Command, exit_codes
from edgekit.errors import UsageError

__all__ = ["DefaultGroup", "LazyGroup"]


class LazyGroup(click.Group):
    """Commands that are loaded when they are run: `name` is that attribute of the module `edgekit.cli.name`."""

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:
        """`sections` has, below each heading of the help, commands by name with their line."""
        super().__init__(*args, **kwargs)
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return [name for rows in self.sections.values() for name in rows]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None where there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = getattr(importlib.import_module(f"edgekit.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; UsageError with the nearest name where none has it."""
        if args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            near = _nearest(args[0], self.list_commands(ctx))
            hint = f"did you mean {near}?" if near else "see `edgekit --help`"
            raise UsageError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section, all with one column of names."""
        widest = max(map(len, self.list_commands(ctx)))
        for heading, rows in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl(list(rows.items()), col_spacing=2 + widest - max(map(len, rows)))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line; what is raised becomes an exit code."""
        with exit_codes():
            return super().main(*args, **{**kwargs, "standalone_mode": False})


class DefaultGroup(click.Group):
    """A group whose first command need not be named: `edgekit bench model.onnx` is `edgekit bench run model.onnx`."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the first command's name before words that name none."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            if (near := _nearest(args[0], list(self.commands))) and not os.path.exists(args[0]):
                raise UsageError(f"no command or file {args[0]!r}; did you mean {near}?")
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, the default first."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first sentence of each command, whole."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.get_short_help_str(limit=1000)) for name, row in self.commands.items()])


def _nearest(typed: str, names: list[str]) -> str | None:
    """The name that was probably meant."""
    import difflib

    near = difflib.get_close_matches(typed[:50].lower(), names, n=1, cutoff=0.75)
    return near[0] if near else None
