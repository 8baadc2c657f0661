"""`edgekit completion`: print the completion script of a shell."""

from __future__ import annotations

import click

from edgekit.cli.errors import Command

__all__ = ["completion"]


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    eval "$(edgekit completion bash)"
    eval "$(edgekit completion zsh)"
    edgekit completion fish | source
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    click.echo(kind(click.get_current_context().find_root().command, {}, "edgekit", "_EDGEKIT_COMPLETE").source())
