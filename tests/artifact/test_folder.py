"""The folder of an export: what was written reads back, and nothing wrong or damaged gets past it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.artifact.folder import (
    describe_files,
    find,
    published_files,
    read_manifest,
    verify_files,
    write_manifest,
)
from edgekit.errors import InputError, IntegrityError, OutputError
from tests.artifact.conftest import PACKAGE, edit, example


def test_reads_back_what_was_written(published: Path) -> None:
    manifest = read_manifest(published / "manifest.json")
    assert manifest == example(describe_files(published))
    assert read_manifest(published) == manifest
    assert manifest.schema_ == "edgekit.manifest/1"
    assert [(entry.path, entry.bytes) for entry in manifest.files] == sorted(
        (name, len(data)) for name, data in PACKAGE.items()
    )
    assert {entry.sha256 for entry in manifest.files} == {hashlib.sha256(data).hexdigest() for data in PACKAGE.values()}


def unlisted(content: dict[str, Any]) -> None:
    content["artifact"] = "other.mlpackage"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda content: content.update(schema="edgekit.manifest/2"), "edgekit.manifest/2"),
        (lambda content: content.pop("schema"), "schema is 'None'"),
        (lambda content: content.update(surprise=1), "surprise"),
        (lambda content: content.pop("files"), "files"),
        (lambda content: content.update(files=[]), "files"),
        (lambda content: content["files"].append(content["files"][0]), "listed twice"),
        (lambda content: content["files"][0].update(path="manifest.json"), "its own hash"),
        (lambda content: content["files"][0].update(bytes="12"), "files.0.bytes"),
        (lambda content: content["files"][0].update(bytes=-1), "files.0.bytes"),
        (lambda content: content["files"][0].update(sha256="0" * 64 + "\n"), "files.0.sha256"),
        (lambda content: content["files"][0].update(sha256="A" * 64), "files.0.sha256"),
        (lambda content: content["preprocessing"].update(size=[1]), "preprocessing.size"),
        (lambda content: content["coverage"].update(delegated=1.5), "coverage.delegated"),
        (lambda content: content["parity"].update(verdict="great"), "parity.verdict"),
        (lambda content: content.update(artifact="model.mlpackage/Data"), "artifact"),
        (unlisted, "not among the files"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(published: Path, change: Callable, word: str) -> None:
    edit(published, change)
    with pytest.raises(InputError, match=re.escape(word)) as caught:
        read_manifest(published)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "null", '"edgekit.manifest/1"', "{", '{"schema": "edgekit.manifest/1"}'])
def test_what_is_no_manifest_is_refused(published: Path, text: str) -> None:
    (published / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        read_manifest(published)


def test_an_unchanged_folder_verifies(published: Path) -> None:
    verify_files(read_manifest(published), published)
    (published / "notes.txt").write_text("beside the package, not in it")
    verify_files(read_manifest(published), published)


@pytest.mark.parametrize("name", sorted(PACKAGE))
def test_one_flipped_bit_in_any_file_is_found(published: Path, name: str) -> None:
    data = bytearray((published / name).read_bytes())
    data[len(data) // 2] ^= 1
    (published / name).write_bytes(data)
    with pytest.raises(IntegrityError, match=f"{name}: sha256"):
        verify_files(read_manifest(published), published)


def truncate(folder: Path) -> None:
    os.truncate(folder / "parity.json", 3)


def remove(folder: Path) -> None:
    (folder / "parity.json").unlink()


def add(folder: Path) -> None:
    (folder / "model.mlpackage" / "Data" / "extra.bin").write_bytes(b"")


def link_file(folder: Path) -> None:
    (folder / "parity.json").rename(folder / "real")
    (folder / "parity.json").symlink_to("real")


def link_folder(folder: Path) -> None:
    (folder / "model.mlpackage" / "Data").rename(folder / "real")
    (folder / "model.mlpackage" / "Data").symlink_to("../real")


def link_inside(folder: Path) -> None:
    (folder / "model.mlpackage" / "more").symlink_to("/etc")


def pipe(folder: Path) -> None:
    (folder / "parity.json").unlink()
    os.mkfifo(folder / "parity.json")


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (truncate, "parity.json: 3 bytes, the manifest says"),
        (remove, "parity.json: in the manifest, but missing"),
        (add, "extra.bin: not in the manifest"),
        (link_file, "parity.json: a link"),
        (link_folder, "Data: a link"),
        (link_inside, "more: a symbolic link"),
        (pipe, "parity.json: a link or special file"),
    ],
)
def test_a_damaged_folder_is_found(published: Path, damage: Callable[[Path], None], word: str) -> None:
    manifest = read_manifest(published)
    damage(published)
    with pytest.raises(IntegrityError, match=re.escape(word)):
        verify_files(manifest, published)


def test_finds_the_artifact_from_the_folder_and_from_itself(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read_manifest(published)
    package = published / "model.mlpackage"
    assert find(published) == find(package) == (package, manifest)
    monkeypatch.chdir(published)
    assert find(Path("model.mlpackage")) == (Path("model.mlpackage"), manifest)
    assert find(Path()) == (Path("model.mlpackage"), manifest)


def test_a_bare_artifact_has_no_manifest(published: Path, tmp_path: Path) -> None:
    (tmp_path / "bare.onnx").write_bytes(b"")
    assert find(tmp_path / "bare.onnx") == (tmp_path / "bare.onnx", None)
    (published / "other.onnx").write_bytes(b"")
    assert find(published / "other.onnx")[1] is None
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    assert find(tmp_path / "bare.onnx")[1] is None


def test_finding_nothing_is_an_input_error(published: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find(tmp_path / "missing")
    with pytest.raises(InputError, match=r"no manifest\.json"):
        find(tmp_path)
    edit(published, lambda content: content.update(schema="edgekit.manifest/9"))
    for path in (published, published / "model.mlpackage"):
        with pytest.raises(InputError, match=r"edgekit\.manifest/9"):
            find(path)


def test_published_files_are_known_whatever_the_version(published: Path) -> None:
    assert published_files(published) == {*PACKAGE, "manifest.json"}
    edit(published, lambda content: content.update(schema="edgekit.manifest/9", files=[1, {"path": "a"}]))
    assert published_files(published) == {"a", "manifest.json"}
    edit(published, lambda content: content.update(schema="other/1"))
    assert published_files(published) is None


def test_a_manifest_that_cannot_be_written_is_an_output_error(published: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_manifest(read_manifest(published), tmp_path / "missing")
