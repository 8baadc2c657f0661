"""The Swift package as files: its layout, names, refusals, and the same bytes wherever it is written."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_swift
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.release.ios.bundle import module_name, write
from edgekit.release.kinds import KINDS, Material
from edgekit.release.reasons import LIMITS, REASONS
from tests.bench_ios_project.harness import SHARED
from tests.release.ios.conftest import LIBRARY, material_of, small

SOURCES = [*sorted(SHARED.glob("*.swift")), *sorted(LIBRARY.glob("*.swift"))]


def written(folder: Path, material: Material) -> dict[str, bytes]:
    """Every file of the package, written to `folder`/ios."""
    out = folder / "ios"
    out.mkdir(parents=True)
    write(material, out, folder)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture
def both(tmp_path: Path) -> Material:
    return material_of(small(tmp_path, "s0-ios-fp16"), small(tmp_path, "s0-coreai", "coreai"))


def test_layout(tmp_path: Path, both: Material) -> None:
    out = tmp_path / "out" / "ios"
    out.mkdir(parents=True)
    placed = write(both, out, tmp_path)
    for one, model in zip(placed, ("model.mlpackage", "model.aimodel"), strict=True):
        assert (out / one.folder / model / "Data/weight.bin").read_bytes() == b"weights"
        original = one.artifact.folder
        assert (out / one.folder / "manifest.json").read_bytes() == (original / "manifest.json").read_bytes()
        assert (out / one.folder / "parity.json").is_file() and (out / one.golden / "photos/a.png").is_file()
        assert one.folder.startswith("Sources/CatalogS0/Resources/artifacts/") and one.container is None
    swift = {path.name for path in (out / "Sources/CatalogS0").glob("*.swift")}
    assert swift == {path.name for path in SOURCES} | {"Contents.swift"}
    assert [path.name for path in out.glob("Tests/*/*")] == ["SelfTests.swift"]
    assert "@testable import CatalogS0\n" in (out / "Tests/CatalogS0Tests/SelfTests.swift").read_text()


def test_package_and_contents_say_what_is_there(tmp_path: Path, both: Material) -> None:
    files = written(tmp_path / "both", both)
    package = files["Package.swift"].decode()
    assert package.startswith("// swift-tools-version: 5.9\n") and "platforms: [.iOS(.v17)]" in package
    assert '.library(name: "CatalogS0", targets: ["CatalogS0"])' in package
    copied = re.findall(r'\.copy\("(.+?)"\)', package)
    assert copied == ["Resources/artifacts", "Resources/golden"]
    held = {"/".join(name.split("/")[2:4]) for name in files if "/Resources/" in name}
    assert held == set(copied)
    contents = files["Sources/CatalogS0/Contents.swift"].decode()
    assert re.findall(r"public static let (\w+) = \"(.+)\"", contents) == [
        ("name", "catalog-s0"),
        ("version", "1.2.0"),
        ("space", "catalog-s0/1"),
    ]
    assert re.findall(r"format: \.(\w+)", contents) == ["coreml", "coreai"]
    for place in re.findall(r'appendingPathComponent\("(.+?)"', contents):
        assert any(name.startswith(f"Sources/CatalogS0/Resources/{place}/") for name in files)


def test_what_needs_core_ai_is_there_only_with_such_a_model(tmp_path: Path, both: Material) -> None:
    with_it = written(tmp_path / "with", both)
    without = written(tmp_path / "without", material_of(both.artifacts[0]))
    assert set(with_it) > set(without) and "Sources/CatalogS0/CoreAIModel.swift" in set(with_it) - set(without)
    assert b'.define("EDGEKIT_CORE_AI")' in with_it["Package.swift"]
    assert b"EDGEKIT_CORE_AI" not in without["Package.swift"]


def test_written_sources_are_swift(tmp_path: Path, both: Material) -> None:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    for name, content in written(tmp_path / "out", both).items():
        if name.endswith(".swift"):
            assert not parser.parse(content).root_node.has_error, name


def test_the_same_bytes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(tmp_path / "a", material_of(small(tmp_path / "one", "s0-ios-fp16")))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("LANG", "tr_TR.UTF-8")
    before = os.umask(0o077)
    try:
        again = written(tmp_path / "elsewhere" / "deep", material_of(small(tmp_path / "other", "s0-ios-fp16")))
    finally:
        os.umask(before)
    assert first == again


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("catalog-s0", "CatalogS0"),
        ("catalog_mobilevit.xs", "CatalogMobilevitXs"),
        ("7-segments", "Model7Segments"),
        ("swift", "SwiftModel"),
        ("core-ml", "CoreMlModel"),
        ("embedder", "EmbedderModel"),
        ("bundle-verifier", "BundleVerifierModel"),
        ("contents", "ContentsModel"),
        ("0", "Model0"),
    ],
)
def test_names_of_modules(name: str, module: str) -> None:
    assert module_name(name, SOURCES) == module


@settings(deadline=None)
@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True))
def test_every_name_of_a_release_gives_a_module(name: str) -> None:
    module = module_name(name)
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", module) and module == module_name(name)


@pytest.mark.parametrize(("name", "told"), [("a b ", "ends with a space"), ("mödel", "printable ASCII")])
def test_an_artifact_of_a_bad_name_is_refused(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        written(tmp_path / "out", material_of(small(tmp_path, name)))


def test_two_artifacts_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = (small(tmp_path / "a", "s0"), small(tmp_path / "b", "s0"))
    with pytest.raises(InputError, match="is there twice"):
        written(tmp_path / "out", material_of(*twice))


@pytest.mark.parametrize("space", ['s0"; import Darwin //', "s0\\(1)", "s0\n1", "s0\u202e"])
def test_what_would_be_code_is_refused(tmp_path: Path, space: str) -> None:
    with pytest.raises(InputError, match="cannot stand in Swift sources"):
        written(tmp_path / "out", material_of(small(tmp_path, "s0"), space=space))


def test_the_kind_takes_what_iphones_run() -> None:
    assert KINDS["ios"].module == "edgekit.release.ios.bundle"
    formats = (SHARED / "ModelFormat.swift").read_text()
    assert f"case {', '.join(KINDS['ios'].formats)}\n" in formats


def test_reasons_and_limits_are_those_of_python() -> None:
    source = (LIBRARY / "Refusal.swift").read_text()
    cases = re.findall(r'^    case (\w+)(?: = "(.+)")?$', source, re.M)
    assert [raw or plain for plain, raw in cases] == list(REASONS)
    stated = dict(re.findall(r"^    static let (\w+) = (.+)$", source.partition("enum Limits")[2], re.M))
    deepest = re.search(r"static let deepest = (\d+)", (SHARED / "StrictJSON.swift").read_text())
    assert deepest is not None and stated.pop("depth") == "JSON.deepest"
    assert int(deepest[1]) == LIMITS["depth"]
    due = {re.sub("_(.)", lambda letter: letter[1].upper(), name): value for name, value in LIMITS.items()}
    assert due.keys() - stated.keys() == {"depth", "ratio"}  # nothing is unpacked by an inflater
    for name, value in stated.items():
        assert value.strip('"').replace("_", "") == str(due[name]).replace("_", ""), name


def test_sources_are_small_and_name_apples_frameworks_where_linux_never_looks() -> None:
    apples = {"CoreAI", "CoreGraphics", "CoreML", "CoreVideo", "CryptoKit", "ObjectiveC", "UIKit", "VideoToolbox"}
    for path in SOURCES:
        lines = path.read_text().splitlines()
        assert len(lines) < 300 and lines[0].startswith("// "), path
        for line in lines:
            named = re.match(r"( *)import (\w+)", line)
            assert named is None or named[2] == "Foundation" or (named[2] in apples and named[1]), (path, line)
