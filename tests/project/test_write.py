"""A project that `edgekit init` writes is whole: its recipe is the model's, and what it runs is there."""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from edgekit.errors import InputError, OutputError, UsageError
from edgekit.project import write
from edgekit.project.write import TEMPLATE, ProjectRequest, write_project
from edgekit.recipe import Recipe, load_recipe, resolve_model
from edgekit.release.bundle import Name, Version
from edgekit.support.files import sha256_file
from tests.fuzz.parsers import PARSERS

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


EVERY_TABLE = """
name = "My_Model"
[model]
backbone = "resnet18"
weights = "deep/net.safetensors.index.json"
args = { day = 2026-01-02, "odd key" = [1e-07, { sign = "\\u0000" }] }
[input]
size = [224, 224]
[embedding]
compatibility = "v1-v2.json"
[gates.fp16]
min_cosine = 0.9999
[metadata]
author = '👟 "A" \\'
license = "MIT"
version = "1.2.0"
[release]
max_mb = 12.5
listings = 100
[release.max_median_ms]
android = 20
[distill]
photos = 1000
data = [{ name = "own", folder = "photos" }, { name = "drawn", catalog = {} }]
teachers = [{ model = "teacher.toml" }]
"""


def test_nothing_of_a_recipe_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "given"
    (given / "deep").mkdir(parents=True)
    (given / "recipe.toml").write_text(EVERY_TABLE)
    (given / "v1-v2.json").write_text("{}")
    (given / "deep/one.safetensors").write_bytes(bytes(1000))
    (given / "deep/net.safetensors.index.json").write_text('{"weight_map": {"a": "one.safetensors"}}')
    monkeypatch.chdir(tmp_path)
    before = load_recipe(Path("given/recipe.toml"))
    result = write_project(ProjectRequest("shop", "given/recipe.toml"))
    after = load_recipe(result.recipe)
    assert after.name == "my_model"
    for table in ("input", "gates", "metadata", "release"):
        assert getattr(after, table) == getattr(before, table)
    assert {"weights/one.safetensors", "weights/net.safetensors.index.json", "space/v1-v2.json"} <= {*result.files}
    assert after.model == before.model.model_copy(update={"weights": Path("shop/weights/net.safetensors.index.json")})
    assert after.embedding.compatibility == Path("shop/space/v1-v2.json")
    assert after.distill is not None and before.distill is not None
    assert after.distill.photos == 1000
    own, drawn = after.distill.data
    assert own.folder is not None and own.folder.resolve() == (given / "photos").resolve()
    assert drawn == before.distill.data[1]
    assert Path(str(after.distill.teachers[0].model)).resolve() == (given / "teacher.toml").resolve()


def test_the_training_card_goes_with_its_weights(tmp_path: Path) -> None:
    result = write_project(ProjectRequest(tmp_path, "catalog-b0"))
    assert {"weights/catalog-b0.json", "weights/catalog-b0.safetensors"} <= {*result.files}


@pytest.mark.parametrize("name", ["Shop Embedder", "_a", "x" * 128, "a" * 63 + "-.b"])
def test_a_recipe_s_name_becomes_one_that_a_release_can_have(name: str, tmp_path: Path) -> None:
    given = resolve_model("resnet18").model_copy(update={"name": name})
    TypeAdapter(Name).validate_python(recipe_of(given, tmp_path).name)


@pytest.mark.parametrize("version", ["1.2.0", "01.2.0", "1.2", "1\u0662.0.0", "0"])
def test_a_version_is_kept_where_a_release_can_have_it(version: str, tmp_path: Path) -> None:
    written = recipe_of(resolve_model("resnet18").override(metadata={"version": version}), tmp_path).metadata.version
    TypeAdapter(Version).validate_python(written)
    assert written == ("1.2.0" if version == "1.2.0" else "0.1.0")


def interrupted_at(line: int, folder: Path) -> bool:
    """Press Ctrl-C at the `line`th line of write.py that writes; whether it came to that line."""
    left = line

    def lines(_frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        nonlocal left
        if event == "line" and (left := left - 1) == 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return lines

    def calls(frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        return lines if frame.f_code in (write._write.__code__, write._make.__code__) else None

    before = sys.gettrace()
    try:
        sys.settrace(calls)
        write_project(ProjectRequest(folder, "resnet18"))
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_ctrl_c_at_any_moment_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_mine.py").write_text("mine")
    line = 1
    while interrupted_at(line, tmp_path):
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["test_mine.py", "tests"], line
        line += 1
    assert line > 50
    assert (tmp_path / "edgekit.toml").is_file()


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the weights are larger than that
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write_project(ProjectRequest(tmp_path / "new/deep", "catalog-s0"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_a_link_to_nowhere_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "Makefile").symlink_to(tmp_path / "none")
    with pytest.raises(OutputError, match="Makefile: is there already"):
        write_project(ProjectRequest(tmp_path, "resnet18"))


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
    adapted = resolve_model("catalog-s0").override(embedding={"adapter": tmp_path / "none.safetensors"})
    with pytest.raises(InputError, match="cannot be read"):
        write_project(ProjectRequest(tmp_path / "a", adapted))
    for name in ("a" * 300, "a" * 300 + "/b"):
        with pytest.raises(OutputError, match="cannot be written"):
            write_project(ProjectRequest(tmp_path / name))
    assert not (tmp_path / "a").exists()


def test_this_project_keeps_the_workflow_that_it_gives_to_others() -> None:
    assert (ROOT / WORKFLOW).read_bytes() == (TEMPLATE / WORKFLOW).read_bytes()


@pytest.mark.parametrize("makefile", [ROOT / "Makefile", TEMPLATE / "Makefile"], ids=["edgekit", "a project"])
def test_every_step_of_the_workflow_is_a_target(makefile: Path) -> None:
    jobs = yaml.safe_load((TEMPLATE / WORKFLOW).read_text())["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = {word for run in runs for word in re.findall(r"^make (\w+)", run, re.M)}
    assert targets >= {"environment", "lint", "test", "export", "parity", "bench", "package", "sign", "verify", "tag"}
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


@pytest.mark.parametrize("makefile", [ROOT / "Makefile", TEMPLATE / "Makefile"], ids=["edgekit", "a project"])
def test_a_tag_of_another_version_stops_the_release(makefile: Path, tmp_path: Path) -> None:
    write_project(ProjectRequest(tmp_path, resolve_model("resnet18").override(metadata={"version": "1.1.0"})))
    shutil.copy(makefile, tmp_path / "Makefile")
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    ended = {}
    for tag in ("v1.1.0", "v1.2.0", "1.1.0", "v1.1.0 ", "$(touch here)", ""):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TAG": tag}
        command = ["make", "-o", ".venv/.ready", "tag"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        ended[tag] = done.returncode
        assert done.returncode == 0 or "the model's version v1.1.0: set `version` in" in done.stderr, done.stderr
    assert [tag for tag, code in ended.items() if code == 0] == ["v1.1.0"]
    assert not (tmp_path / "here").exists()


def test_workflows_ask_for_little_and_run_nothing_that_others_named() -> None:
    for path in sorted((ROOT / ".github/workflows").iterdir()):
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            secret = "secrets." in yaml.safe_dump(job)
            assert ("permissions" in job or secret) <= (job.get("environment") == "release"), name
            for step in job["steps"]:
                assert "${{" not in step.get("run", ""), name
                assert step.get("uses", "").partition("@")[0] != "actions/checkout" or (
                    step["with"]["persist-credentials"] is False
                )


def test_each_parser_is_fuzzed_in_a_job_of_its_own() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["fuzz"]["strategy"]["matrix"]["parser"] == "${{ fromJSON(needs.parsers.outputs.names) }}"
    listed = jobs["parsers"]["steps"][-1]["run"]
    folder = re.search(r"ls (\S+)", listed)
    assert folder is not None and sorted(path.name for path in (ROOT / folder[1]).iterdir()) == sorted(PARSERS)


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
