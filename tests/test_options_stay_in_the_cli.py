"""Only the command line speaks of its options: the rest of the package names fields, which have other callers too."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgekit
from tests.cli.test_groups import PAGES

PACKAGE = Path(edgekit.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "cli" not in path.relative_to(PACKAGE).parts)
NAMES = {
    option.removeprefix("--")
    for command in PAGES.values()
    for param in command.params
    for option in (*param.opts, *param.secondary_opts)
    if option.startswith("--")
}
OPTION = re.compile(rf"(?<![\w-])--({'|'.join(sorted(NAMES, key=len, reverse=True))})(?![\w-])")


def named_options(source: str, *, drives_programs: bool) -> Iterator[tuple[int, str]]:
    """Line and option of each string and comment that names one of EdgeKit's.

    What drives other programs may hold their options: where an element of a list or tuple begins with `--`, as in
    `("--app", path)`, and in scripts, which are strings of several lines the first of which begins with `#`.
    """
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    skipped: set[ast.AST] = set()
    if drives_programs:
        elements = [one for node in nodes if isinstance(node, ast.List | ast.Tuple) for one in node.elts]
        skipped |= {part for one in elements if re.match(r"--[\w-]+(=|$)", _text(one)) for part in ast.walk(one)}
        skipped |= {part for one in nodes if re.match(r"#.*\n", _text(one)) for part in ast.walk(one)}
    texts = [(node.lineno, _text(node)) for node in nodes if isinstance(node, ast.Constant) and node not in skipped]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            texts.append((token.start[0], token.string))
    for line, text in texts:
        for match in OPTION.finditer(text):
            yield line, match[0]


def _text(node: ast.AST) -> str:
    """The text of a string or f-string, with braces for its values; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return "".join(_text(part) or "{}" for part in node.values) if isinstance(node, ast.JoinedStr) else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_other_file_names_an_option(path: Path) -> None:
    drives_programs = any(path.is_relative_to(PACKAGE / room) for room in ("bench/drivers", "runtimes"))
    assert list(named_options(path.read_text(encoding="utf-8"), drives_programs=drives_programs)) == []


def test_a_field_that_an_error_blames_is_a_parameter_of_a_command() -> None:
    parameters = {param.name for command in PAGES.values() for param in command.params}
    blamed = {name for path in FILES for name in re.findall(r'\bfield="(\w+)"', path.read_text(encoding="utf-8"))}
    assert blamed <= parameters


def test_options_are_found_where_they_are_and_nowhere_else() -> None:
    assert {"min-ios", "no-verify", "no-manifest", "against", "json", "on"} <= NAMES
    message = 'raise Error(f"--min-ios {x} is old, " "--verify")  # --json'
    assert [name for _, name in named_options(message, drives_programs=True)] == ["--min-ios", "--verify", "--json"]
    other = 'a = x--size\n"--min-ios-version --no-verifying"\n"the device: --- --"'
    assert not list(named_options(other, drives_programs=False))
    command = """run(("tool", "--app", path, f"--library={path}"), "leave out --app", "#!/bin/sh\\ntool --app $1")\n"""
    assert list(named_options(command, drives_programs=True)) == [(1, "--app")]
    assert len(list(named_options(command, drives_programs=False))) == 4
