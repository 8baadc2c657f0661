"""The repository: coordinates, what Maven and Gradle read, and checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edgekit.release.android.bundle import write
from edgekit.release.android.runtimes import RUNTIMES
from edgekit.support.version import VERSION
from tests.release.android.conftest import artifact, documents, material

GROUPS = {"shop-embedder": "models", "shop-embedder-jvm": "models", "embedder": ".", "embedder-jvm": "."}
VERSIONS = {"models": "1.2.0", ".": VERSION}
DESCRIPTION = 'A <shop> & its "photos" \u2013 é'


@pytest.fixture
def repository(tmp_path: Path, compiled: Path) -> Path:
    assert compiled.is_file()
    (tmp_path / "android").mkdir()
    made = material(artifact(tmp_path, "a", "onnx"), artifact(tmp_path, "b", "litert"), description=DESCRIPTION)
    write(made, tmp_path / "android", documents(tmp_path / "documents"))
    return tmp_path / "android" / "maven/dev/edgekit"


def file(repository: Path, name: str, suffix: str) -> Path:
    """A file of a module of the repository."""
    version = VERSIONS[GROUPS[name]]
    return repository / GROUPS[name] / name / version / f"{name}-{version}.{suffix}"


def module(repository: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file(repository, name, "module").read_text())
    return content


def test_each_file_has_its_checksums(repository: Path) -> None:
    algorithms = ("md5", "sha1", "sha256", "sha512")
    files = [path for path in repository.rglob("*") if path.is_file() and path.suffix[1:] not in algorithms]
    assert len(files) == 16  # of four modules: an archive, a POM, Gradle's metadata, the list of versions
    for path in files:
        for algorithm in algorithms:
            due = hashlib.new(algorithm, path.read_bytes()).hexdigest()
            assert path.with_name(f"{path.name}.{algorithm}").read_text() == due


@pytest.mark.parametrize(
    ("name", "packaging", "modules"),
    [
        ("shop-embedder", "aar", {"embedder": "aar", "litert": "aar", "onnxruntime-android": "aar"}),
        ("shop-embedder-jvm", "jar", {"embedder-jvm": None, "onnxruntime": None}),
        ("embedder", "aar", {"kotlin-stdlib": None}),
        ("embedder-jvm", "jar", {"kotlin-stdlib": None}),
    ],
)
def test_the_pom_names_the_package_and_what_it_needs(
    repository: Path, name: str, packaging: str, modules: dict[str, str | None]
) -> None:
    pom = ElementTree.parse(file(repository, name, "pom")).getroot()
    version, is_package = VERSIONS[GROUPS[name]], GROUPS[name] == "models"
    group = "dev.edgekit.models" if is_package else "dev.edgekit"
    texts = {key: pom.findtext(key) for key in ("groupId", "artifactId", "version", "packaging")}
    assert texts == {"groupId": group, "artifactId": name, "version": version, "packaging": packaging}
    found = {one.findtext("artifactId"): one.findtext("type") for one in pom.iter("dependency")}
    assert found == modules
    assert pom.findtext("licenses/license/name") == "Apache-2.0"
    assert (pom.findtext("description") == DESCRIPTION) == is_package
    versions = ElementTree.parse(file(repository, name, "pom").parents[1] / "maven-metadata.xml").getroot()
    assert [one.text for one in versions.iter("version")] == [version] == [one.text for one in versions.iter("release")]


def test_gradle_finds_a_variant_for_apps_and_one_for_desktops(repository: Path) -> None:
    content = module(repository, "shop-embedder")
    assert content["formatVersion"] == "1.1"
    assert (content["component"]["group"], content["component"]["module"]) == ("dev.edgekit.models", "shop-embedder")
    found = {}
    for variant in content["variants"]:
        attributes = variant["attributes"]
        found[variant["name"]] = (attributes["org.gradle.jvm.environment"], attributes["org.gradle.usage"])
        assert attributes["org.gradle.category"] == "library"
        assert ("files" in variant) != ("available-at" in variant)
    assert found == {
        "releaseApiElements": ("android", "java-api"),
        "releaseRuntimeElements": ("android", "java-runtime"),
        "jvmApiElements": ("standard-jvm", "java-api"),
        "jvmRuntimeElements": ("standard-jvm", "java-runtime"),
    }


@pytest.mark.parametrize("name", GROUPS)
def test_gradles_metadata_is_true(repository: Path, name: str) -> None:
    content, folder = module(repository, name), file(repository, name, "module").parent
    for variant in content["variants"]:
        if "available-at" in variant:
            assert (folder / variant["available-at"]["url"]).resolve().is_file()
            continue
        (listed,) = variant["files"]
        data = (folder / listed["url"]).read_bytes()
        assert listed["size"] == len(data)
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            assert listed[algorithm] == hashlib.new(algorithm, data).hexdigest()
    if "url" in content["component"]:
        assert (folder / content["component"]["url"]).resolve().is_file()


def test_a_runtime_is_asked_for_by_its_version(repository: Path) -> None:
    (variant, _) = module(repository, "shop-embedder-jvm")["variants"]
    desktop = RUNTIMES["onnx"].desktop
    assert desktop is not None
    assert variant["dependencies"] == [
        {"group": "dev.edgekit", "module": "embedder-jvm", "version": {"requires": VERSION}},
        {"group": desktop.group, "module": desktop.module, "version": {"requires": desktop.version}},
    ]
