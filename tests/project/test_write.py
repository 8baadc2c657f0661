"""A project that `edgekit init` writes is whole: its recipe is the model's, and what it runs is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from edgekit.errors import InputError, OutputError, UsageError
from edgekit.project.write import TEMPLATE, ProjectRequest, write_project
from edgekit.recipe import Recipe, load_recipe, resolve_model
from edgekit.support.files import sha256_file

ROOT = Path(__file__).parents[2]
WORKFLOW = ".github/workflows/model.yml"


def recipe_of(model: Recipe | str | None, folder: Path, name: str | None = None) -> Recipe:
    return load_recipe(write_project(ProjectRequest(folder, model, name)).recipe)


def test_the_recipe_is_that_of_the_model(tmp_path: Path) -> None:
    given, written = resolve_model("catalog-s0"), recipe_of(None, tmp_path / "a")
    assert given.model.weights is not None and written.model.weights is not None
    assert written.model.weights == tmp_path / "a/weights/catalog-s0.safetensors"
    assert sha256_file(written.model.weights) == sha256_file(given.model.weights)
    for table in ("input", "embedding", "metadata", "gates"):
        assert getattr(written, table) == getattr(given, table)
    assert written.model.backbone == given.model.backbone
    assert written.release.max_mb is not None


def test_every_key_of_a_model_is_kept(tmp_path: Path) -> None:
    args = {"drop_path_rate": 0.25, "names": ["a", 'quote " and \\'], "deep": {"flag": True}}
    given = resolve_model("vit_tiny_patch16_224").override(
        model={"args": args, "seed": 7, "pool": "cls"}, input={"size": (64, 96)}, embedding={"dim": 32}
    )
    written = recipe_of(given, tmp_path / "a", "shop-embedder")
    assert written.name == "shop-embedder"
    assert (written.model, written.embedding) == (given.model, given.embedding)
    assert written.input.size == (64, 96)
    assert re.fullmatch(r"\d+\.\d+\.\d+", written.metadata.version)


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = (write_project(ProjectRequest(tmp_path / name, "catalog-b0")) for name in ("a", "b"))
    assert first.files == second.files
    for name in first.files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputError, match=r"README\.md: is there already"):
        write_project(ProjectRequest(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    (tmp_path / "README.md").rename(tmp_path / "notes.md")
    assert "README.md" in write_project(ProjectRequest(tmp_path)).files
    assert (tmp_path / "notes.md").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_line_and_left_clean(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where a folder is due")
    with pytest.raises(OutputError) as caught:
        write_project(ProjectRequest(tmp_path))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_names_and_models_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give small letters"):
        write_project(ProjectRequest(tmp_path / "a", None, "Shop Embedder"))
    gone = resolve_model("catalog-s0").override(model={"weights": tmp_path / "none.safetensors"})
    with pytest.raises(InputError, match="cannot be read"):
        write_project(ProjectRequest(tmp_path / "a", gone))
    adapted = resolve_model("catalog-s0").override(embedding={"adapter": tmp_path / "a.safetensors"})
    with pytest.raises(UsageError, match="older model's space"):
        write_project(ProjectRequest(tmp_path / "a", adapted))
    assert not (tmp_path / "a").exists()


def test_this_project_keeps_the_workflow_that_it_gives_to_others() -> None:
    assert (ROOT / WORKFLOW).read_bytes() == (TEMPLATE / WORKFLOW).read_bytes()


@pytest.mark.parametrize("makefile", [ROOT / "Makefile", TEMPLATE / "Makefile"], ids=["edgekit", "a project"])
def test_every_step_of_the_workflow_is_a_target(makefile: Path) -> None:
    jobs = yaml.safe_load((TEMPLATE / WORKFLOW).read_text())["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = {word for run in runs for word in re.findall(r"^make (\w+)", run, re.M)}
    assert targets >= {"environment", "lint", "test", "export", "parity", "bench", "package", "sign", "verify"}
    assert targets <= set(re.findall(r"^([\w-]+):", makefile.read_text(), re.M))
    assert all("uses" in step or "run" in step for job in jobs.values() for step in job["steps"])


def test_a_project_is_clean_by_its_own_linter(tmp_path: Path) -> None:
    write_project(ProjectRequest(tmp_path, "resnet18"))
    for words in ("check", "format --check"):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *shlex.split(words), "."], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert tomllib.loads((tmp_path / "edgekit.toml").read_text())["name"] == "resnet18"


@pytest.mark.toolchain
def test_all_steps_of_the_workflow_run(tmp_path: Path) -> None:
    """As the workflow runs them, in the environment of these tests; what publishes is left to the service."""
    folder = tmp_path / "shop"
    write_project(ProjectRequest(folder, None, "shop"))
    (folder / ".venv").symlink_to(Path(sys.prefix))
    (folder / "requirements.txt").touch()
    key, public = tmp_path / "private.pem", tmp_path / "public.pem"
    steps = [
        f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {key}",
        f"openssl pkey -in {key} -pubout -out {public}",
        *(f"make -o .venv/.ready {target}" for target in ("lint", "test", "export", "parity", "bench", "package")),
        f"make -o .venv/.ready sign KEY={key}",
        f"make -o .venv/.ready verify PUBLIC_KEY={public}",
    ]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600", "PYTHONPATH": str(ROOT)}
    for step in steps:
        done = subprocess.run(shlex.split(step), cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    assert (folder / "release/model.sig").is_file()
