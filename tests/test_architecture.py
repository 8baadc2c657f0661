"""The code keeps the plan of docs/architecture.md, as far as import-linter does not hold it."""

from __future__ import annotations

import ast
import fnmatch
import graphlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "edgekit").rglob("*.py"))
TYPED = ("edgekit", "benchmarks", "models", "tests", "docs")

MOST_LINES = 60  # of a function, without its decorators
MOST_PARAMETERS = 8  # of a function, without self; a click command has one for each option
MOST_LINES_OF_A_FILE = 450

Function = ast.FunctionDef | ast.AsyncFunctionDef


def imports_of(package: str) -> dict[str, set[str]]:
    """What each module of a package imports of it, wherever the import stands."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_circle_among_modules() -> None:
    try:
        graphlib.TopologicalSorter(imports_of("edgekit")).prepare()
    except graphlib.CycleError as error:
        pytest.fail("modules import each other in a circle: " + " <- ".join(error.args[1]))


def test_imports_inside_functions_and_for_types_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "counted"
    package.mkdir()
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from counted import b\n"
    for name, text in {"__init__": "", "a": typed, "b": "def f():\n    from counted import a\n    return a\n"}.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert imports_of("counted") == {"counted": set(), "counted.a": {"counted.b"}, "counted.b": {"counted.a"}}
    assert LINTER["exclude_type_checking_imports"] is False


def functions(path: str) -> Iterator[Function]:
    """Every function of a file, methods and inner functions included."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, Function):
            yield node


def parameters(function: Function) -> int:
    """How many a caller may give: self and cls do not count."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len(named) - (bool(named) and named[0].arg in ("self", "cls"))


def is_command(function: Function) -> bool:
    """Whether click calls it, with a parameter for each option."""
    return any(re.search(r"\.(command|group)\b", ast.unparse(decorator)) for decorator in function.decorator_list)


@pytest.mark.parametrize("path", FILES)
def test_functions_and_files_are_short(path: str) -> None:
    lines = len((ROOT / path).read_text().splitlines())
    assert lines <= MOST_LINES_OF_A_FILE, f"{path} has {lines} lines: it wants to be two rooms"
    for function in functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length <= MOST_LINES, f"{path}: {function.name} has {length} lines; at most {MOST_LINES}"
        count = parameters(function)
        assert count <= MOST_PARAMETERS or is_command(function), (
            f"{path}: {function.name} has {count} parameters; at most {MOST_PARAMETERS}, or one object that holds them"
        )


@pytest.mark.parametrize("folder", TYPED)
def test_no_error_code_of_mypy_is_switched_off_for_a_file_or_a_whole_line(folder: str) -> None:
    switched = re.compile(r"#\s*mypy\s*:|#\s*type:\s*ignore(?!\[)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / folder).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if switched.search(line)
    ]
    assert not found, f"name the code, as in ignore[attr-defined]: {', '.join(found)}"


def twins(path: str) -> list[str]:
    """Where the tests of a file that defines something stand; nothing for one that only hands names on."""
    inside = Path(path).relative_to("edgekit")
    if inside.name != "__init__.py":
        return [str(Path("tests") / inside.parent / f"test_{inside.name}")]
    defines = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if not any(isinstance(node, defines) for node in ast.parse((ROOT / path).read_text()).body):
        return []
    package = Path("tests") / inside.parent
    return [str(package / "test_package.py"), str(package.parent / f"test_{package.name}.py")]


def covered() -> dict[str, list[str]]:
    """The table of docs/architecture.md: a pattern of files in edgekit/, and the tests that cover them."""
    section = PAGE.split("## Which test covers which file", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split("|") for line in section.splitlines() if line.startswith("| `edgekit/")]
    return {
        pattern: re.findall(r"`(tests/[^`]+)`", row[1]) for row in rows for pattern in re.findall(r"`([^`]+)`", row[0])
    }


@pytest.mark.parametrize("path", FILES)
def test_each_file_has_a_test_of_its_name_or_a_row_that_says_which_covers_it(path: str) -> None:
    if not (wanted := twins(path)) or any((ROOT / twin).is_file() for twin in wanted):
        return
    assert any(fnmatch.fnmatchcase(path, pattern) for pattern in covered()), (
        f"write {wanted[0]}, or name {path} in docs/architecture.md, under `Which test covers which file`"
    )


def test_the_rows_of_tests_are_true() -> None:
    rows = covered()
    wrong = [pattern for pattern in rows if not fnmatch.filter(FILES, pattern)]
    wrong += [pattern for pattern, tests in rows.items() if not tests]
    wrong += [test for test in sorted(set().union(*rows.values())) if not (ROOT / test).is_file()]
    assert not wrong, f"docs/architecture.md has rows about what is not there: {', '.join(wrong)}"


def test_the_page_has_the_floors_that_the_linter_holds() -> None:
    contracts = LINTER["contracts"]
    layers = [set(re.split(r"\s*[|:]\s*", layer)) for layer in reversed(contracts[0]["layers"])]
    section = PAGE.split("## The floors", 1)[1].split("\n## ", 1)[0]
    told = [set(re.findall(r"`(\w+)`", row.split("|")[2])) for row in section.splitlines() if re.match(r"\| \d", row)]
    assert told == layers
    assert len(layers) <= 10
    rooms = {Path(path).parts[1].removesuffix(".py") for path in FILES} - {"__init__", "__main__"}
    assert set().union(*layers) == rooms


def test_the_places_that_the_page_names_are_there() -> None:
    before_the_rows = PAGE.split("## Which test covers which file", 1)[0]
    spans = re.findall(r"`([^`\s]+/(?:[^`\s]+\.(?:py|json))?)`", before_the_rows)
    named = {span for span in spans if span == span.lower() and not re.search(r"[*]|/a/", span)}
    missing = [name for name in sorted(named) if not any((root / name).exists() for root in (ROOT, ROOT / "edgekit"))]
    assert not missing, f"docs/architecture.md names {', '.join(missing)}"


def public_names(tree: ast.Module) -> Iterator[str]:
    """The functions and classes of a module that others may use."""
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


# Every public function of `mil/ops/` is an operator: tests/mil/test_forms.py holds them.
@pytest.mark.parametrize("path", [path for path in FILES if not path.startswith("edgekit/mil/ops/")])
def test_each_module_lists_its_public_functions_and_classes(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    listed = set(ast.literal_eval(lists[0])) if lists else set()
    assert listed >= set(public_names(tree))
    if path != "edgekit/__init__.py":
        assert listed <= {name.id for name in ast.walk(tree) if isinstance(name, ast.Name)} | set(bound_names(tree))


def bound_names(tree: ast.Module) -> Iterator[str]:
    """What the imports, functions and classes of a module bind."""
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
