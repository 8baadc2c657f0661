"""The versions that packages ask for are those that the app is measured with."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgekit.errors import UsageError
from edgekit.release.android.bundle import LIBRARY
from edgekit.release.android.runtimes import KOTLIN, RUNTIMES, runtimes_of

ROOT = Path(__file__).parents[3]
SHARED = dict(re.findall(r"^edgekit\.(\w+)=(.+)$", (ROOT / "android_bench/gradle.properties").read_text(), re.M))
APP = (ROOT / "android_bench/app/build.gradle.kts").read_text()


@pytest.mark.parametrize("format", RUNTIMES)
def test_the_versions_are_those_of_the_app(format: str) -> None:
    row = RUNTIMES[format]
    setting = {"onnx": "onnxruntime"}.get(format, format)
    assert f'{row.android.group}:{row.android.module}:${{shared("{setting}")}}' in APP
    for dependency in filter(None, (row.android, row.desktop)):
        assert dependency.version == SHARED[setting]


def test_the_compilers_version_is_that_of_its_library() -> None:
    pom = ElementTree.parse(ROOT / "edgekit/release/android/kotlin/pom.xml").getroot()
    assert pom.findtext("{*}properties/{*}kotlin.version") == KOTLIN.version == SHARED["kotlin"]


def test_the_page_names_versions_that_there_are() -> None:
    page = (ROOT / "docs/android-package.md").read_text()
    libraries = [row.android for row in RUNTIMES.values()]
    known = {f"{one.group}:{one.module}:{one.version}" for one in libraries}
    known.add(f"{LIBRARY.group}:{LIBRARY.module}:{LIBRARY.version}")
    named = set(re.findall(r'implementation\("(.+?)"\)', page))
    assert {name for name in named if not name.startswith("dev.edgekit.models:")} <= known and len(named & known) == 2


def test_each_format_is_there_once_and_in_one_order() -> None:
    assert [row.format for row in runtimes_of(["onnx", "executorch", "onnx"])] == ["executorch", "onnx"]
    with pytest.raises(UsageError, match="runs coreai; give artifacts of executorch, litert, onnx"):
        runtimes_of(["onnx", "coreai"])
