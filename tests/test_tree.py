"""What stands at the root of the repository agrees with itself: pins, hooks, targets of make."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def project() -> dict[str, Any]:
    """The project file."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_pre_commit_runs_what_make_lint_runs_and_fetches_nothing() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {repository["repo"] for repository in repositories} == {"local"}
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    recipe = (ROOT / "Makefile").read_text().split("\nlint:", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    assert [hook["entry"] for hook in hooks] == [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe]


def test_every_dependency_is_pinned() -> None:
    pins = {normal(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    lists = [project()["project"]["dependencies"], *project()["project"]["optional-dependencies"].values()]
    wanted = {normal(re.split(r"[\[<>=!~; ]", row, maxsplit=1)[0]) for rows in lists for row in rows} - {"edgekit"}
    assert not wanted - pins


def test_ci_runs_every_check_of_make() -> None:
    steps = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [f"make {name}" in steps for name in ("test", "lint", "docs", "test-harnesses")] == [True] * 4


def test_every_target_of_make_is_phony_and_told() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.M)
    assert set(phony.split()) == set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))


def test_every_room_has_its_page_of_the_api_reference() -> None:
    rooms = {
        path.stem for path in (ROOT / "edgekit").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    pages = {path.stem: path.read_text() for path in (ROOT / "docs" / "api").glob("*.md")}
    assert set(pages) == {"index"} | {room for room in rooms if not room.startswith("__")} - {"cli"}
    assert all(f"::: edgekit.{name}\n" in text for name, text in pages.items() if name != "index")
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert not [name for name in pages if f"api/{name}.md" not in navigation]
