"""The Kotlin library: what is compiled, the cache, and what is said where it cannot be compiled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from edgekit.errors import MissingDependencyError, OutputError
from edgekit.release.android.library import classes_jar, sources_of
from edgekit.release.android.runtimes import RUNTIMES
from edgekit.release.reasons import LIMITS, REASONS
from tests.bench_native.harness import tool
from tests.waiting import PATIENCE

KOTLIN = Path(__file__).parents[3] / "edgekit/release/android/kotlin"
VERIFIER = [path.read_text() for path in (KOTLIN / "library").rglob("*.kt")]
JAVA_8 = 52  # the version of a class file
# Of libraries that an app has beside Android.
OTHERS = re.compile(r"\b(kotlin|ai\.onnxruntime|org\.pytorch\.executorch|com\.google\.ai\.edge\.litert)\.")
AFTER_A_LOOK_AT_THE_VERSION = {
    "android.graphics.ColorSpace",
    "android.graphics.ColorSpace android.graphics.Bitmap.getColorSpace()",
    "android.graphics.ColorSpace android.graphics.ColorSpace.get(android.graphics.ColorSpace.Named)",
    "android.graphics.ColorSpace.Named android.graphics.ColorSpace.Named.SRGB",
    "void android.graphics.Bitmap.setColorSpace(android.graphics.ColorSpace)",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, which is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgekit"


def programs(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Only these programs can be found, each a script of the shell."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.mark.parametrize(
    ("scripts", "missing"), [({}, "mvn"), ({"java": ""}, "mvn"), ({"mvn": ""}, "java")], ids=["none", "mvn", "java"]
)
def test_a_missing_tool_is_one_line_that_says_what_to_install(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripts: dict[str, str], missing: str
) -> None:
    programs(tmp_path / "bin", monkeypatch, **scripts)
    with pytest.raises(MissingDependencyError, match=f"^{missing} is not there.*apt-get install maven") as error:
        classes_jar()
    assert len(str(error.value).splitlines()) == 1
    assert not cache.exists()


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("[ERROR] COMPILATION ERROR\n[ERROR] -> [Help 1]", "does not compile the Android library: COMPILATION ERROR"),
        ("[INFO] x\n[ERROR]\n[ERROR] Plugin could not be resolved: no network", "cannot fetch what compiles"),
        ("", "it gives no reason"),
    ],
)
def test_what_maven_says_is_told_in_one_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, told: str
) -> None:
    programs(tmp_path / "bin", monkeypatch, java="", mvn=f"echo '{output}'\nexit 1")
    with pytest.raises(MissingDependencyError, match=told) as error:
        classes_jar()
    assert len(str(error.value).splitlines()) == 1
    assert not cache.exists()


FAKE = r"""
for word in "$@"; do case $word in
  -Dedgekit.build=*) build=${word#*=};;
  -Dedgekit.sources=*) sources=${word#*=};;
esac; done
mkdir -p $build/classes/dev/edgekit/embedder $build/classes/com/google/ai/edge/litert
cat $sources/dev/edgekit/embedder/Runtimes.kt > $build/classes/dev/edgekit/embedder/RuntimesKt.class
echo > $build/classes/com/google/ai/edge/litert/CompiledModel.class
echo once >> $COUNTED
"""


def test_the_library_is_compiled_once(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"#!/bin/sh\nPATH={os.environ['PATH']}\n"
    programs(tmp_path / "bin", monkeypatch, java="", mvn=path + FAKE)
    monkeypatch.setenv("COUNTED", str(tmp_path / "counted"))
    found = [classes_jar() for _ in range(2)]
    assert found[0] == found[1] and list(cache.iterdir()) == found[:1]
    assert (tmp_path / "counted").read_text().count("once") == 1
    with ZipFile(found[0]) as archive:  # without what stands for runtimes
        assert archive.namelist() == ["dev/edgekit/embedder/RuntimesKt.class"]
    sources = sources_of(KOTLIN)
    monkeypatch.setattr("edgekit.release.android.library.sources_of", lambda _: sources | {"more.kt": b""})
    assert classes_jar() not in found


def test_a_cache_that_cannot_be_written_is_told(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"#!/bin/sh\nPATH={os.environ['PATH']}\n"
    programs(tmp_path / "bin", monkeypatch, java="", mvn=path + FAKE)
    monkeypatch.setenv("COUNTED", str(tmp_path / "counted"))
    cache.parent.write_text("in the way")
    with pytest.raises(OutputError, match="set XDG_CACHE_HOME"):
        classes_jar()


def test_the_library_opens_what_the_table_has() -> None:
    table = sources_of(KOTLIN)["dev/edgekit/embedder/Runtimes.kt"].decode()
    assert re.findall(r'^    "(\w+)" to ', table, re.M) == list(RUNTIMES)


def test_the_verifier_has_the_limits_and_the_reasons_of_the_tables() -> None:
    stated = dict(
        re.findall(r"const val (\w+) = (.+)", (KOTLIN / "library/dev/edgekit/embedder/Limits.kt").read_text())
    )
    assert stated
    for name, value in stated.items():
        due: Any = LIMITS[name.lower()]
        assert value.strip('"') == due if isinstance(due, str) else int(value.rstrip("L").replace("_", "")) == due, name
    known = {reason for text in VERIFIER for reason in re.findall(r'(?:BundleRefused|NameFault)\("([\w-]+)"', text)}
    python_alone = {"certificate-refused", "wrong-index", "self-test-failed"}
    assert known == set(REASONS) - python_alone


@pytest.mark.toolchain
def test_the_classes_call_nothing_that_android_7_lacks(tmp_path: Path) -> None:
    with ZipFile(classes_jar()) as archive:
        classes = {name: archive.read(name) for name in archive.namelist()}
        archive.extractall(tmp_path / "classes")
    modules = [name for name in classes if not name.startswith("dev/edgekit/embedder/")]
    assert modules == ["META-INF/embedder.kotlin_module"]
    del classes[modules[0]]
    assert len(classes) > 50 and {int.from_bytes(code[6:8], "big") for code in classes.values()} == {JAVA_8}
    project = shutil.copytree(Path(__file__).parent / "api24", tmp_path / "project")
    command = [tool("mvn", "maven"), "-B", "-ntp", "-q", f"-Dedgekit.classes={tmp_path / 'classes'}"]
    done = subprocess.run(
        [*command, "animal-sniffer:check"], cwd=project, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    missing = set(re.findall(r"Undefined reference: (.+)", done.stdout + done.stderr))
    assert {one for one in missing if not OTHERS.search(one)} == AFTER_A_LOOK_AT_THE_VERSION
    assert any("kotlin." in one for one in missing)
