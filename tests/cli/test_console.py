"""What tables and JSON of several commands share."""

from __future__ import annotations

import json

import click
import click.testing
import pytest

from edgekit.cli.console import figure, print_facts, print_json, typed_command


def test_a_figure_that_was_not_taken_is_a_dash() -> None:
    assert (figure(None, 3), figure(0.12345, 3), figure(1.0, 0)) == ("-", "0.123", "1")


def test_json_and_facts_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Größe"})
    assert json.loads(capsys.readouterr().out) == {"name": "Größe"}
    print_facts("Catalogue", {"images": 6})
    text = capsys.readouterr().out
    assert "Catalogue" in text
    assert "images" in text
    assert "6" in text


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        (["a b.parquet"], "edgekit 'a b.parquet'"),
        (["q", "g", "--at", "5", "--at", "10", "--mixed"], "edgekit q g --at 5 --at 10 --mixed"),
        (["q", "--no-verify", "-n", "3", "--json"], "edgekit q --number 3 --no-verify"),
    ],
)
def test_a_command_can_be_typed_again(typed: list[str], again: str) -> None:
    @click.command()
    @click.argument("queries")
    @click.argument("gallery", required=False)
    @click.option("-n", "--number", type=int, default=1)
    @click.option("--at", multiple=True, type=int, default=(1,))
    @click.option("--mixed", is_flag=True)
    @click.option("--verify/--no-verify", default=True)
    @click.option("--json", "as_json", is_flag=True)
    def command(**_options: object) -> None:
        click.echo(typed_command())

    done = click.testing.CliRunner().invoke(command, typed)
    assert done.stdout == f"{again}\n", done.output
