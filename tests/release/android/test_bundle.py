"""The Android bundle: what lies where, and that nothing but the material is in it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZIP_STORED, ZipFile

import pytest

from edgekit.errors import UsageError
from edgekit.release.android.bundle import write
from edgekit.release.android.runtimes import RUNTIMES
from edgekit.release.kinds import KINDS, Material, Placed
from edgekit.support.version import VERSION
from tests.conftest import tree
from tests.release.android.conftest import CLASSES, artifact, documents, material

ANDROID = "{http://schemas.android.com/apk/res/android}"
AAR = "maven/dev/edgekit/models/shop-embedder/1.2.0/shop-embedder-1.2.0.aar"
LIBRARY = f"maven/dev/edgekit/embedder/{VERSION}/embedder-{VERSION}.aar"
LIBRARY_JAR = f"maven/dev/edgekit/embedder-jvm/{VERSION}/embedder-jvm-{VERSION}.jar"
JAR = "maven/dev/edgekit/models/shop-embedder-jvm/1.2.0/shop-embedder-jvm-1.2.0.jar"


def members(path: Path) -> dict[str, bytes]:
    """The members of an archive that holds all of them as they are, of one time and mode."""
    with ZipFile(path) as archive:
        infos = archive.infolist()
        assert [info.filename for info in infos] == sorted({info.filename for info in infos})
        kinds = {(info.compress_type, info.date_time, info.external_attr >> 16) for info in infos}
        assert kinds == {(ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o100644)}
        return {info.filename: archive.read(info) for info in infos}


@pytest.fixture
def two(tmp_path: Path) -> Material:
    """A model for ExecuTorch, and a larger one for ONNX Runtime."""
    return material(
        artifact(tmp_path, "shop-android-fp32", "executorch"), artifact(tmp_path, "shop-onnx-fp32", "onnx", 4000)
    )


@pytest.fixture
def written(tmp_path: Path, two: Material, compiled: Path) -> Iterator[tuple[Path, list[Placed]]]:
    assert compiled.is_file()
    (tmp_path / "android").mkdir()
    yield tmp_path / "android", write(two, tmp_path / "android", documents(tmp_path / "documents"))


def test_the_aar_holds_the_models_and_the_documents(
    written: tuple[Path, list[Placed]], two: Material, tmp_path: Path
) -> None:
    folder, placed = written
    found = members(folder / AAR)
    (tmp_path / "classes.jar").write_bytes(found.pop("classes.jar"))
    assert [*members(tmp_path / "classes.jar")] == ["META-INF/MANIFEST.MF"]
    assert (found.pop("R.txt"), found.pop("proguard.txt")) == (b"", b"")
    manifest = ElementTree.fromstring(found.pop("AndroidManifest.xml"))
    assert manifest.get("package") == "dev.edgekit.models.shop_embedder"
    assert [one.get(f"{ANDROID}minSdkVersion") for one in manifest.iter("uses-sdk")] == ["24"]
    due = {"META-INF/edgekit/shop-embedder/MODEL_CARD.md": b"# Card\n"}
    due["META-INF/edgekit/shop-embedder/LICENSES/Apache-2.0.txt"] = b"Apache License\n"
    for one, place in zip(two.artifacts, placed, strict=True):
        assert (place.artifact, place.container) == (one, AAR)
        assert place.folder == f"assets/edgekit/{one.name}" and place.golden == f"{place.folder}/golden"
        own = tree(one.folder)
        del own["notes.txt"]
        due |= {f"{place.folder}/{name}": content for name, content in own.items()}
        due |= {f"{place.golden}/{name}": content for name, content in tree(one.golden).items()}
    assert found == due


def test_the_jar_holds_what_a_desktop_runs(written: tuple[Path, list[Placed]], two: Material) -> None:
    found = members(written[0] / JAR)
    assert not found.keys() & CLASSES.keys()
    models = {name.split("/")[1] for name in found if name.startswith("edgekit/")}
    assert models == {"shop-onnx-fp32"}
    model = two.artifacts[1].folder / "model.onnx"
    assert found["edgekit/shop-onnx-fp32/model.onnx"] == model.read_bytes()
    assert "edgekit/shop-onnx-fp32/golden/inputs.bin" in found


def test_the_library_is_a_module_of_its_own(written: tuple[Path, list[Placed]], compiled: Path) -> None:
    found = members(written[0] / LIBRARY)
    assert found.pop("classes.jar") == compiled.read_bytes()
    rules = found.pop("proguard.txt").decode()
    for pattern in (pattern for row in RUNTIMES.values() for pattern in row.keep):
        assert f"-keep class {pattern} {{ *; }}\n" in rules and f"-dontwarn {pattern}\n" in rules
    assert found.keys() == {"AndroidManifest.xml", "R.txt"}
    assert ElementTree.fromstring(found["AndroidManifest.xml"]).get("package") == "dev.edgekit.embedder"
    assert members(written[0] / LIBRARY_JAR) == CLASSES


def test_packages_of_other_models_have_the_same_library(
    written: tuple[Path, list[Placed]], tmp_path: Path, compiled: Path
) -> None:
    """An app that depends on both has each class once."""
    assert compiled.is_file()
    (tmp_path / "other").mkdir()
    other = material(artifact(tmp_path, "other-litert", "litert"), name="other")
    write(other, tmp_path / "other", documents(tmp_path / "others"))
    place = "maven/dev/edgekit"
    library = {name: content for name, content in tree(written[0] / place).items() if not name.startswith("models/")}
    assert library == {
        name: content for name, content in tree(tmp_path / "other" / place).items() if not name.startswith("models/")
    }
    assert len(library) == 2 * 4 * 5


def test_equal_material_gives_equal_bytes_wherever_and_whenever(
    written: tuple[Path, list[Placed]], tmp_path: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "ein anderer Ordner"
    artifacts = (
        artifact(elsewhere, "shop-android-fp32", "executorch"),
        artifact(elsewhere, "shop-onnx-fp32", "onnx", 4000),
    )
    for path in elsewhere.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    before = os.umask(0o077)
    try:
        (elsewhere / "out").mkdir()
        write(material(*artifacts), elsewhere / "out", documents(elsewhere / "documents"))
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert compiled.is_file()
    assert tree(elsewhere / "out") == tree(written[0])


def test_equal_names_of_files_are_no_surprise(written: tuple[Path, list[Placed]]) -> None:
    """No machine, path or date is in a file that is text."""
    for name, content in tree(written[0]).items():
        if name.endswith((".pom", ".module", ".xml", ".kts")):
            assert str(written[0].parent).encode() not in content and b"lastUpdated" not in content, name


@pytest.mark.parametrize(("name", "package"), [("a", "a"), ("2nd.v1-x_y", "m2nd_v1_x_y"), ("a..b", "a__b")])
def test_every_name_makes_a_package_of_java(tmp_path: Path, compiled: Path, name: str, package: str) -> None:
    assert compiled.is_file()
    (tmp_path / "out").mkdir()
    (placed,) = write(
        material(artifact(tmp_path, "m", "onnx"), name=name), tmp_path / "out", documents(tmp_path / "documents")
    )
    assert placed.container is not None
    manifest = ElementTree.fromstring(members(tmp_path / "out" / placed.container)["AndroidManifest.xml"])
    assert manifest.get("package") == f"dev.edgekit.models.{package}"


def test_a_format_without_a_runtime_is_refused(tmp_path: Path, compiled: Path) -> None:
    assert compiled.is_file()
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="no runtime for Android runs coreml"):
        write(material(artifact(tmp_path, "m", "coreml")), tmp_path / "out", documents(tmp_path / "documents"))
    assert not any((tmp_path / "out").iterdir())


def test_the_kind_takes_the_formats_that_have_a_runtime() -> None:
    assert set(KINDS["android"].formats) == set(RUNTIMES)
    assert KINDS["android"].module == write.__module__


def test_a_bundle_is_written_anew_where_one_was_removed(written: tuple[Path, list[Placed]], two: Material) -> None:
    first = tree(written[0])
    shutil.rmtree(written[0])
    written[0].mkdir()
    write(two, written[0], written[0].parent / "documents")
    assert tree(written[0]) == first
