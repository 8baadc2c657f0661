"""An app of a desktop that depends on the package by its coordinates, and runs the library on a real model."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from edgekit.artifact.folder import read_manifest
from edgekit.release.android.bundle import LIBRARY, write
from edgekit.release.golden import make_golden
from edgekit.release.kinds import Checked, Material
from edgekit.support.progress import Silent
from tests.bench_native.harness import tool
from tests.conftest import tree
from tests.release import craft, mutants
from tests.release.android.conftest import documents
from tests.release.tampered import materialize
from tests.waiting import PATIENCE

pytestmark = pytest.mark.toolchain
NAME, VERSION = "edgekit-test-toy", "3.1.4"  # which Maven keeps in the user's repository: removed before and after
MAIN = "org.example.shop.MainKt"
ROOT = Path(__file__).parents[3]
DECLARATIONS = ROOT / "edgekit/release/android/kotlin/declarations"
# What the examples of the page have from the app, in their order.
GIVEN = (
    "context: Context, jpegBytes: ByteArray, bitmap: Bitmap, gallery: List<FloatArray>",
    "publicKeyPem: String, downloads: File, filesDir: File, embedder: Embedder, report: (String) -> Unit",
)


def examples(page: str) -> str:
    """The examples of the page that call the library, each as a function, for the compiler."""
    blocks = [block for block in re.findall(r"```kotlin\n(.+?)```", page, re.S) if "import dev.edgekit" in block]
    imports = {"import android.content.Context", "import android.graphics.Bitmap", "import java.io.File"}
    functions = []
    for number, (block, given) in enumerate(zip(blocks, GIVEN, strict=True)):
        lines = block.splitlines()
        imports |= {line for line in lines if line.startswith("import ")}
        body = "\n".join(line for line in lines if not line.startswith("import "))
        functions.append(f"fun example{number}({given}) {{\n{body}\n}}\n")
    return "package org.example.shop\n\n" + "\n".join([*sorted(imports), *functions])


@dataclass(frozen=True)
class App:
    """The built app, the bundle that it depends on, and the artifact in that."""

    bundle: Path
    classes: Path
    libraries: tuple[Path, ...]
    artifact: Checked

    def run(self, *arguments: object, libraries: Sequence[Path] = ()) -> list[list[str]]:
        """Its answers: the words of each line."""
        path = os.pathsep.join(map(str, (self.classes, *(libraries or self.libraries))))
        command = [tool("java", "openjdk-17-jdk-headless"), "-Xmx256m", "-cp", path, MAIN, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]


def _run_maven(arguments: list[str], work: Path) -> None:
    """Run Maven on the app's project; it resolves the package from the bundle's repository alone."""
    command = [tool("mvn", "maven"), "-B", "-ntp", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=work, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def app(tower_file: Path, tmp_path_factory: pytest.TempPathFactory) -> App:
    work = tmp_path_factory.mktemp("coordinates")
    folder = tower_file.parent
    manifest = read_manifest(folder)
    (work / "aside").mkdir()
    golden = make_golden(folder, manifest, work / "golden", work / "aside", Silent())
    artifact = Checked(folder, manifest, None, golden)
    (work / "android").mkdir()
    material = Material(NAME, VERSION, "toy/1", "Apache-2.0", "A toy tower for tests.", (artifact,))
    write(material, work / "android", documents(work / "documents"))
    shutil.copytree(Path(__file__).parent / "jvm", work / "project")
    shutil.copytree(DECLARATIONS / "android", work / "project/src/android")  # which the page's examples name
    (work / "project/src/Page.kt").write_text(examples((ROOT / "docs/android-package.md").read_text()))
    settings = {"package.name": NAME, "package.version": VERSION, "edgekit.build": str(work / "build")}
    settings |= {"package.repository": (work / "android" / "maven").as_uri(), "mdep.outputFile": str(work / "path")}
    home = Path.home() / ".m2/repository/dev/edgekit"
    kept = (home / "models" / f"{NAME}-jvm", home / f"{LIBRARY.module}-jvm" / LIBRARY.version)
    for place in kept:
        shutil.rmtree(place, ignore_errors=True)
    try:
        goals = ["kotlin:compile", "dependency:build-classpath"]
        _run_maven([*(f"-D{key}={value}" for key, value in settings.items()), *goals], work / "project")
        libraries = []
        for path in map(Path, (work / "path").read_text().strip().split(os.pathsep)):
            libraries.append(path if not path.is_relative_to(home) else Path(shutil.copy(path, work / path.name)))
    finally:
        for place in kept:
            shutil.rmtree(place, ignore_errors=True)
    return App(work / "android", work / "build" / "classes", tuple(libraries), artifact)


def expect_tested(answers: list[list[str]], dim: int) -> None:
    """The self-test passed on 8 images, and a photo is nearest to itself."""
    ((passed, images, cosine, values, nearest, found, itself),) = answers
    assert (passed, images, nearest, found) == ("true", "8", "1", "2")
    assert float(cosine) > 0.99999 and float(itself) > 0.99999 and int(values) == dim


def test_the_package_is_used_by_its_coordinates(app: App, tmp_path: Path) -> None:
    """Maven checked the checksums; the model comes from the class path, and is copied to a cache once."""
    dim = app.artifact.manifest.embedding.dim
    cache = tmp_path / "cache"
    expect_tested(app.run("resource", app.artifact.name, cache), dim)
    copy = {path: path.stat().st_mtime_ns for path in cache.rglob("*.onnx")}
    assert len(copy) == 1
    expect_tested(app.run("resource", app.artifact.name, cache), dim)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.onnx")} == copy
    (path,) = copy
    path.write_bytes(b"something else")
    expect_tested(app.run("resource", app.artifact.name, cache), dim)
    assert not list(cache.rglob("*.partial"))


def test_the_aar_has_the_same_library_and_the_same_model(app: App, tmp_path: Path) -> None:
    for aar in (app.bundle / "maven").rglob("*.aar"):
        with ZipFile(aar) as archive:
            archive.extractall(tmp_path / aar.parents[1].name)
    ours = (f"{NAME}-jvm-{VERSION}.jar", f"{LIBRARY.module}-jvm-{LIBRARY.version}.jar")
    libraries = [path for path in app.libraries if path.name not in ours]
    assert len(libraries) == len(app.libraries) - 2
    place, library = tmp_path / NAME / "assets/edgekit" / app.artifact.name, tmp_path / LIBRARY.module / "classes.jar"
    found = app.run("folder", place, place / "golden", libraries=[library, *libraries])
    expect_tested(found, app.artifact.manifest.embedding.dim)


def test_the_pack_for_google_play_has_a_model_that_opens(app: App) -> None:
    (place,) = (app.bundle / "play-ai-pack").rglob(f"assets/{NAME}")
    expect_tested(app.run("folder", place, place / "golden"), app.artifact.manifest.embedding.dim)


def test_searches_that_are_out_of_the_ordinary(app: App) -> None:
    found = app.run("search")
    assert found[:3] == [["1:1.0 4:1.0 0:0.0"], ["1:1.0"], [""]]
    told = ("k is 0", *("all zeros or not finite",) * 3, "embeddings of 1 and 2 values")
    for (kind, line), part in zip(found[3:], told, strict=True):
        assert kind == "error" and part in line


def test_a_closed_model_is_told(app: App, tmp_path: Path) -> None:
    ((kind, line),) = app.run("closed", app.artifact.name, tmp_path / "cache")
    assert kind == "error" and "is closed: open it again" in line


def test_damaged_models_are_told_in_one_line(app: App, tmp_path: Path) -> None:
    folder, golden = tmp_path / "model", tmp_path / "golden"
    shutil.copytree(app.artifact.folder, folder)
    shutil.copytree(app.artifact.golden, golden)
    model, manifest = folder / app.artifact.manifest.artifact, folder / "manifest.json"
    kept = manifest.read_text()
    cases = [
        (golden / "golden.bin", lambda data: data[:-4] + bytes(4), "golden.bin has changed"),
        (golden / "inputs.bin", lambda data: data + b"0", "inputs.bin: has more than"),
        (golden / "golden.json", lambda data: b"{" + data, "golden.json: "),
        (manifest, lambda data: data.replace(b'"crop_mode"', b'"crop_modus"'), "manifest.json: crop_mode is missing"),
        (manifest, lambda data: data.replace(b'"onnx"', b'"coreml"'), "no runtime runs coreml"),
        (manifest, lambda data: data.replace(b'"onnx"', b'"litert"'), "no runtime for litert"),
        (manifest, lambda data: data.replace(b'"onnx"', b'"executorch"'), "ExecuTorch does not load"),
        (manifest, lambda data: data.replace(model.name.encode(), b"../x.onnx"), "not a name of a file"),
        (model, lambda data: data[:-1], "has changed"),
    ]
    for path, change, told in cases:
        whole = path.read_bytes()
        path.write_bytes(change(whole))
        ((kind, line),) = app.run("folder", folder, golden)
        assert kind == "error" and told in line, line
        path.write_bytes(whole)
    assert manifest.read_text() == kept
    ((kind, line),) = app.run("resource", "another", tmp_path / "cache")
    assert kind == "error" and "edgekit/another/manifest.json is not there" in line


def verdicts(app: App, index: Path) -> dict[str, str | None]:
    """What the Kotlin verifier answers to each case of an index: a reason, or None where it accepts."""
    folder, lines = index.parent, []
    cases = json.loads(index.read_text())["cases"]
    for case in cases:
        path = folder / case["path"]
        missing = path / "model.sig" if case["kind"] == "folder" else path.with_name(f"{path.name}.sig")
        signature = folder / case["signature"] if case["signature"] else missing
        expected = (case["expectations"].get(key) or "-" for key in ("name", "minimum_version", "space"))
        lines.append("\t".join([case["kind"], str(path), str(signature), str(folder / case["public_key"]), *expected]))
    (folder / "cases.tsv").write_text("\n".join(lines) + "\n")
    answers = app.run("verify", folder / "cases.tsv")
    names = [case["case"] for case in cases]
    return {name: None if said == "accepted" else said for name, (said, *_) in zip(names, answers, strict=True)}


def test_good_and_tampered_bundles_are_told_apart_as_python_does(app: App, tmp_path: Path) -> None:
    index = materialize(tmp_path / "cases", phones=True)
    cases = json.loads(index.read_text())["cases"]
    found = verdicts(app, index)
    assert len(found) == len(cases) >= 40
    assert found == {case["case"]: case["expected"] for case in cases}
    assert {case["kind"] for case in cases if case["expected"] is None} == {"folder", "zip"}


@pytest.mark.slow
def test_bundles_changed_at_random_are_told_apart_as_python_does(app: App, tmp_path: Path) -> None:
    index = mutants.materialize(tmp_path / "cases", 250)
    assert mutants.disagreements(index, verdicts(app, index)) == []


def test_a_verified_archive_is_put_into_a_folder(app: App, tmp_path: Path) -> None:
    files = craft.bundle()
    archive, out = tmp_path / "bundle.zip", tmp_path / "out"
    archive.write_bytes(craft.zipped(files).build())
    (tmp_path / "bundle.zip.sig").write_bytes(craft.signed(archive.read_bytes()))
    (tmp_path / "key.pem").write_bytes(craft.pem())
    assert app.run("extract", tmp_path / "key.pem", archive, out) == [[craft.VERSION]]
    assert tree(out) == files
    ((kind, line),) = app.run("extract", tmp_path / "key.pem", archive, out)
    assert kind == "error" and "is there already" in line

    archive.write_bytes(archive.read_bytes() + b"0")
    ((kind, line),) = app.run("extract", tmp_path / "key.pem", archive, tmp_path / "second")
    assert kind == "file-changed"
    assert not list(tmp_path.glob("second*"))
    (tmp_path / "key.pem").write_bytes(craft.pem("other"))
    ((kind, line),) = app.run("extract", tmp_path / "key.pem", archive, tmp_path / "second")
    assert kind == "wrong-key"
    (tmp_path / "key.pem").write_text("no key")
    ((kind, line),) = app.run("extract", tmp_path / "key.pem", archive, tmp_path / "second")
    assert kind == "error" and "not a P-256 key" in line
