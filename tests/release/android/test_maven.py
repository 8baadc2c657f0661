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
from tests.release.android.conftest import artifact, documents, material

POM = "{http://maven.apache.org/POM/4.0.0}"
PACKAGE = "maven/dev/edgekit/models"
DESCRIPTION = 'A <shop> & its "photos" \u2013 é'


@pytest.fixture
def repository(tmp_path: Path, compiled: Path) -> Path:
    assert compiled.is_file()
    (tmp_path / "android").mkdir()
    made = material(artifact(tmp_path, "a", "onnx"), artifact(tmp_path, "b", "litert"), description=DESCRIPTION)
    write(made, tmp_path / "android", documents(tmp_path / "documents"))
    return tmp_path / "android" / PACKAGE


def module(repository: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((repository / name / "1.2.0" / f"{name}-1.2.0.module").read_text())
    return content


def test_each_file_has_its_checksums(repository: Path) -> None:
    algorithms = ("md5", "sha1", "sha256", "sha512")
    files = [path for path in repository.rglob("*") if path.is_file() and path.suffix[1:] not in algorithms]
    assert len(files) == 12  # of three modules: an archive, a POM, Gradle's metadata, the list of versions
    for path in files:
        for algorithm in algorithms:
            due = hashlib.new(algorithm, path.read_bytes()).hexdigest()
            assert path.with_name(f"{path.name}.{algorithm}").read_text() == due


@pytest.mark.parametrize(
    ("name", "packaging", "modules"),
    [
        ("shop-embedder", "aar", {"kotlin-stdlib": None, "litert": "aar", "onnxruntime-android": "aar"}),
        ("shop-embedder-jvm", "jar", {"kotlin-stdlib": None, "onnxruntime": None}),
        ("shop-embedder-library", "aar", {"kotlin-stdlib": None, "litert": "aar", "onnxruntime-android": "aar"}),
    ],
)
def test_the_pom_names_the_package_and_what_it_needs(
    repository: Path, name: str, packaging: str, modules: dict[str, str | None]
) -> None:
    pom = ElementTree.parse(repository / name / "1.2.0" / f"{name}-1.2.0.pom").getroot()
    texts = {key: pom.findtext(f"{POM}{key}") for key in ("groupId", "artifactId", "version", "packaging")}
    assert texts == {"groupId": "dev.edgekit.models", "artifactId": name, "version": "1.2.0", "packaging": packaging}
    found = {one.findtext(f"{POM}artifactId"): one.findtext(f"{POM}type") for one in pom.iter(f"{POM}dependency")}
    assert found == modules
    assert pom.findtext(f"{POM}licenses/{POM}license/{POM}name") == "Apache-2.0"
    if not name.endswith("library"):
        assert pom.findtext(f"{POM}description") == DESCRIPTION
    versions = ElementTree.parse(repository / name / "maven-metadata.xml").getroot()
    assert [one.text for one in versions.iter("version")] == ["1.2.0"] == [one.text for one in versions.iter("release")]


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


@pytest.mark.parametrize("name", ["shop-embedder", "shop-embedder-jvm", "shop-embedder-library"])
def test_gradles_metadata_is_true(repository: Path, name: str) -> None:
    content, folder = module(repository, name), repository / name / "1.2.0"
    for variant in content["variants"]:
        if "available-at" in variant:
            assert (folder / variant["available-at"]["url"]).resolve().is_file()
            continue
        (file,) = variant["files"]
        data = (folder / file["url"]).read_bytes()
        assert file["size"] == len(data)
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            assert file[algorithm] == hashlib.new(algorithm, data).hexdigest()
        own, library = variant["capabilities"]
        assert own == {"group": "dev.edgekit.models", "name": name, "version": "1.2.0"}
        assert library["name"] == "embedder"
    if "url" in content["component"]:
        assert (folder / content["component"]["url"]).resolve().is_file()


def test_a_runtime_is_asked_for_by_its_version(repository: Path) -> None:
    (variant, _) = module(repository, "shop-embedder-jvm")["variants"]
    desktop = RUNTIMES["onnx"].desktop
    assert desktop is not None
    due = {"group": desktop.group, "module": desktop.module, "version": {"requires": desktop.version}}
    assert due in variant["dependencies"] and len(variant["dependencies"]) == 2
