"""A kind of bundle is a row of a table, which code outside of the package can add to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgekit.artifact.manifest import FileEntry, TargetInfo
from edgekit.errors import UsageError
from edgekit.release.kinds import KINDS, find, register
from tests.artifact.conftest import example

FILES = [FileEntry(path="model.mlpackage/weight.bin", bytes=1, sha256="0" * 64)]


def test_a_row_from_outside_is_found() -> None:
    for name in KINDS:
        assert find(name).name == name
    toy = replace(find("plain"), name="toy")
    register(toy)
    assert find("toy") is toy
    with pytest.raises(UsageError, match="'toy' already"):
        register(toy)
    del KINDS["toy"]


def test_a_bundle_takes_what_is_for_its_platform() -> None:
    """An app for Android carries no ONNX file beside its own, nor the .pte of an iPhone."""
    rows = [
        ("ios", "executorch"),
        ("android", "executorch"),
        ("android", "litert"),
        ("onnx", "onnx"),
        ("ios", "coreml"),
    ]
    manifests = [example(FILES, target=TargetInfo(name=name, format=form)) for name, form in rows]

    def taken(kind: str, *given: int) -> list[tuple[str, str]]:
        chosen = find(kind).take([manifests[at] for at in given])
        return [(one.target.name, one.target.format) for one in chosen]

    assert taken("android", 0, 1, 2, 3, 4) == rows[1:3]
    assert taken("android", 0, 3) == rows[3:4]
    assert taken("android", 0, 4) == []
    assert taken("ios", 0, 1, 4) == rows[4:]
    assert taken("web", 0, 3) == rows[3:4]
    assert taken("plain", 0, 1, 2, 3, 4) == rows


def test_an_unknown_kind_is_one_line() -> None:
    with pytest.raises(UsageError, match="no kind of bundle 'wear'; give one of ios, android"):
        find("wear")
