"""Help pages: every command is listed, no line is cut, and nothing heavy is loaded for them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import click.testing
import pytest

from edgekit.cli import COMMANDS, cli
from tests.conftest import Invoke, one_line

NAMES = [name for rows in COMMANDS.values() for name in rows]


def pages(command: click.Command = cli, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below one, with the words that name it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from pages(below, *path, name)


PAGES = {" ".join(("edgekit", *path)): command for path, command in pages()}


def one_text(page: str) -> str:
    return " ".join(page.split())


def test_help_loads_no_heavy_package_and_no_command() -> None:
    code = "import sys; sys.argv = ['edgekit', '--help']\nfrom edgekit.cli import cli\n"
    code += "try: cli()\nexcept SystemExit: pass\n"
    code += "heavy = {'torch', 'numpy', 'PIL', 'timm', 'coremltools', 'onnx', 'executorch', 'pydantic', 'rich'}\n"
    code += f"heavy |= {{'logging', *('edgekit.cli.' + name for name in {NAMES})}}\n"
    code += "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_commands_are_listed_below_headings(invoke: Invoke) -> None:
    lines = invoke("--help").stdout.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", "Make a model:", "Release:", "Check and measure:", "Evaluate and decide:", "Data:"]
    for rows in COMMANDS.values():
        for name, line in rows.items():
            assert any(shown.split() == [name, *line.split()] for shown in lines)
    assert "5 parity gate missed" in one_text("\n".join(lines))


@pytest.mark.parametrize("words", PAGES)
def test_no_line_of_a_help_page_is_cut_or_longer_than_80_columns(words: str) -> None:
    result = click.testing.CliRunner().invoke(cli, [*words.split()[1:], "--help"], terminal_width=80)
    assert result.exit_code == 0, result.output
    for line in result.stdout.splitlines():
        assert len(line) <= 80, line
        assert not (line.startswith("  ") and line.endswith("...")), line


@pytest.mark.parametrize("words", PAGES)
def test_every_option_has_a_help_text_of_whole_sentences(words: str) -> None:
    for option in PAGES[words].params:
        if isinstance(option, click.Option) and not option.hidden:
            text = (option.help or "").split("  [default:")[0]
            assert text[:1].isupper(), (option.opts, text)
            assert text.endswith("."), (option.opts, text)


@pytest.mark.parametrize("group", [(), ("bench",), ("evaluate",), ("golden",)])
def test_a_group_alone_shows_its_help_in_lines(invoke: Invoke, group: tuple[str, ...]) -> None:
    result = invoke(*group)
    assert result.exit_code == 2
    assert ("Commands:" if group else "Make a model:") in result.stderr.splitlines()
    assert "error:" not in result.output


def test_a_mistyped_name_gets_a_suggestion(invoke: Invoke) -> None:
    one_line(invoke("exprot"), 2, "did you mean export?")
    one_line(invoke("poem"), 2, "'poem'", "edgekit --help")
    one_line(invoke("golden", "chekc"), 2, "did you mean check?")
