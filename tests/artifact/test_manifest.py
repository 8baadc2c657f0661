"""The manifest: what it says, and that nothing wrong gets past it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgekit.artifact.folder import read_manifest, write_manifest
from edgekit.artifact.manifest import FileEntry, Manifest, created_now, toolchain
from edgekit.errors import InputError, UsageError
from tests.artifact.conftest import edit


def test_equal_manifests_are_equal_bytes(published: Path, tmp_path: Path) -> None:
    text = (published / "manifest.json").read_bytes()
    assert write_manifest(read_manifest(published), tmp_path).read_bytes() == text
    assert text.endswith(b"}\n")
    assert text.startswith(b'{\n  "schema": "edgekit.manifest/1",\n')


def test_is_what_its_json_schema_says(published: Path) -> None:
    schema = Manifest.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    content = json.loads((published / "manifest.json").read_text())
    jsonschema.validate(content, schema)
    for name in ("files", "target", "toolchain"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: value for key, value in content.items() if key != name}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | {"surprise": 1}, schema)


def test_the_date_is_source_date_epochs_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert created_now() is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert created_now() == "2023-11-14T22:13:20Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(UsageError):
        created_now()


def test_the_toolchain_lists_what_is_installed() -> None:
    import numpy

    assert toolchain(["numpy", "a-package-that-nobody-wrote"]) == {"numpy": numpy.__version__}


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../up", "a/../../b", "a//b", "./a", "a/.", "", "C:/x", "a\\b", "a\nb", "a\0b", "\x7f", "x" * 2000],
)
def test_a_path_that_could_leave_the_folder_is_refused(path: str, published: Path) -> None:
    with pytest.raises(ValidationError):
        FileEntry(path=path, bytes=0, sha256="0" * 64)
    edit(published, lambda content: content["files"][0].update(path=path))
    with pytest.raises(InputError, match=r"files\.0\.path"):
        read_manifest(published)


@given(st.text(max_size=30))
def test_an_accepted_path_stays_inside(path: str) -> None:
    try:
        FileEntry(path=path, bytes=0, sha256="0" * 64)
    except ValidationError:
        return
    inside = os.path.normpath(os.path.join("/folder", path))
    assert inside == f"/folder/{path}"
