"""The table of commands that faults strike, each on so little data that a run takes a second or two."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.release.bundle import SIGNATURE
from edgekit.release.verify import VerifyRequest, verify
from tests import warm
from tests.distillation.test_run import RECIPE, TEACHER
from tests.release import craft
from tests.waiting import PATIENCE

__all__ = ["COMMANDS", "Command", "Material", "make_material"]

Check = Callable[[Path], object]


@dataclass(frozen=True)
class Material:
    """What the commands read, which no fault strikes."""

    recipe: Path
    artifact: Path
    embeddings: Path  # made when they are first needed, as is the release
    key: Path  # to sign with
    release: Path  # not signed


@dataclass(frozen=True)
class Command:
    """One command: how it is typed, what it publishes, and what a person types after it was stopped."""

    name: str
    typed: Callable[[Material], list[object]]
    out: str | None  # option before the name of the result; None: it is an argument
    result: str  # name on the disk
    check: Check  # raises where a result that is there is not whole
    timed: frozenset[str] = frozenset()  # files that say how long it took
    at_once: bool = True  # the result gets its name in one step; else each of its files does
    older: tuple[object, ...] | None = None  # options that make an earlier result; None: it may not be there
    replaces: tuple[object, ...] = ()  # options that a run needs where an earlier result is there
    again: tuple[object, ...] = ()  # options of the run after one that was stopped
    laid: Callable[[Material], Path] | None = None  # the folder that lies at the result's place before each run


def _export(_material: Material) -> list[object]:
    return ["export", "tests.toys:tower", "--size", 64, "--target", "onnx", "--samples", 8]


def _quantize(_material: Material) -> list[object]:
    return ["quantize", "tests.toys:tower", "--size", 64, "--scheme", "w4", "--samples", 8]


def _distill(material: Material) -> list[object]:
    return ["distill", material.recipe]


def _embed(material: Material) -> list[object]:
    return ["embed", "catalog:40", "--with", material.artifact, "--workers", 1]


def _evaluate(material: Material) -> list[object]:
    if not material.embeddings.exists():
        _done(*_embed(material), "--out", material.embeddings)
    return ["evaluate", "retrieval", material.embeddings, "--by", "category", "--resamples", 99]


def _package(material: Material) -> list[object]:
    named = ["--name", "toy", "--release-version", "2.0.0", "--accept-license", "unknown", "--kind", "plain"]
    return ["package", material.artifact, *named, "--private-key", material.key]


def _release(material: Material) -> Path:
    if not material.release.exists():
        _done(*_package(material)[:-2], "--out", material.release)
    return material.release


def _sign(material: Material) -> list[object]:
    return ["sign", "--private-key", material.key]


def _whole_export(folder: Path) -> None:
    from edgekit.artifact.folder import read_manifest, verify_files

    for manifest in folder.glob("*/manifest.json"):
        verify_files(read_manifest(manifest), manifest.parent)


def _whole_plan(folder: Path) -> None:
    from edgekit.quantization import read_plan

    if (folder / "plan.json").exists():
        read_plan(folder / "plan.json")


def _whole_student(folder: Path) -> None:
    from edgekit.distillation import checkpoint
    from edgekit.model.embedder import build_embedder
    from edgekit.recipe import load_recipe

    if (folder / "toy.toml").exists():
        build_embedder(load_recipe(folder / "toy.toml"))
    if (folder / "checkpoint.safetensors").exists():
        checkpoint.load(folder / "checkpoint.safetensors")


def _whole_embeddings(path: Path) -> None:
    from edgekit.embedding.file import read_embeddings

    if path.exists():
        read_embeddings(path)


def _whole_release(folder: Path) -> None:
    """Every signature that is there holds."""
    with tempfile.TemporaryDirectory() as place:
        key = Path(place) / "key.pem"
        key.write_bytes(craft.pem())
        for signature in folder.rglob("*.sig"):
            subject = signature.parent if signature.name == SIGNATURE else signature.with_suffix("")
            verify(VerifyRequest(subject, public_key=key, self_test=False))


def _whole_page(path: Path) -> None:
    assert not path.exists() or path.read_text().rstrip().endswith("</html>"), f"{path} is cut off"


COMMANDS: dict[str, Command] = {
    row.name: row
    for row in (
        Command("export", _export, "--out", "exported", _whole_export, older=("--samples", 6)),
        Command("quantize", _quantize, "--out", "plan", _whole_plan, at_once=False, older=("--samples", 6)),
        Command(
            "distill",
            _distill,
            "--out",
            "student",
            _whole_student,
            timed=frozenset({"card.json", "card.md", "metrics.jsonl", "training.png"}),
            at_once=False,
            again=("--resume",),
        ),
        Command(
            "embed",
            _embed,
            "--out",
            "photos.parquet",
            _whole_embeddings,
            older=("--dtype", "fp16"),
            replaces=("--overwrite",),
        ),
        Command("evaluate", _evaluate, "--page", "page.html", _whole_page, older=("--seed", 1)),
        Command("package", _package, "--out", "release", _whole_release, older=("--release-version", "1.0.0")),
        Command("sign", _sign, None, "release", _whole_release, at_once=False, laid=_release),
    )
}


def make_material(folder: Path) -> Material:
    """An artifact, a key, and a recipe to learn from, in a new folder."""
    folder.mkdir()
    (folder / "teacher.toml").write_text(TEACHER)
    recipe = folder / "toy.toml"
    recipe.write_text(RECIPE.format(backbone="tests.toys:tower", photos=32, more=""))
    _done("export", "tests.toys:tower", "--size", 64, "--target", "onnx", "--samples", 8, "--out", folder / "made")
    (artifact,) = (folder / "made").iterdir()
    key = folder / "key.pem"
    key.write_bytes(craft.private_pem())
    key.chmod(0o600)
    return Material(recipe, artifact, folder / "photos.parquet", key, folder / "release")


def _done(*arguments: Any) -> None:
    process = warm.edgekit(*arguments, "--quiet")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
