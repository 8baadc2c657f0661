"""The Gradle project that users build, without Gradle: its syntax, and that Maven's project says the same."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from .harness import SOURCES, apk_script

ROOT = SOURCES.parent
APP = SOURCES / "app" / "src" / "main"
SCRIPTS = ("settings.gradle.kts", "build.gradle.kts", "app/build.gradle.kts")
ANDROID = "{http://schemas.android.com/apk/res/android}"


def shared() -> dict[str, str]:
    return apk_script().shared_settings()


def maven() -> dict[str, str]:
    """The properties of the parent POM."""
    (properties,) = ElementTree.parse(SOURCES / "pom.xml").getroot().iter("properties")
    return {one.tag: one.text or "" for one in properties}


@pytest.mark.parametrize("script", [*SCRIPTS, *(str(path.relative_to(SOURCES)) for path in sorted(APP.rglob("*.kt")))])
def test_script_is_kotlin(script: str) -> None:
    import tree_sitter
    import tree_sitter_kotlin

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_kotlin.language()))
    assert not parser.parse((SOURCES / script).read_bytes()).root_node.has_error
    assert parser.parse((SOURCES / script).read_bytes() + b"}").root_node.has_error


def test_gradle_and_maven_name_the_same_versions() -> None:
    gradle, pom = shared(), maven()
    for name in ("kotlin", "onnxruntime", "json"):
        assert gradle[name] == pom[f"{name}.version"], name
    # A .pte file is read by the ExecuTorch that wrote it.
    pinned = re.search(r"^executorch==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert pinned is not None and gradle["executorch"] == pinned.group(1)
    lite = re.search(r"^ai-edge-litert==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert lite is not None and gradle["litert"] == lite.group(1)


def test_every_shared_setting_is_there_and_used() -> None:
    used = set()
    for script in SCRIPTS:
        text = (SOURCES / script).read_text()
        used |= set(re.findall(r'"edgekit\.(\w+)"|shared\("(\w+)"\)|property\("edgekit\.(\w+)"\)', text))
    names = {name for groups in used for name in groups if name}
    secret = {"keystore", "keystorePassword", "keyAlias", "keyPassword"}  # a user's own, in none of our files
    assert names - secret == set(shared())


def test_gradle_takes_what_the_app_runs_on() -> None:
    text = (SOURCES / "app" / "build.gradle.kts").read_text()
    taken = set(re.findall(r'^    implementation\((?:"([\w.:-]+):\$|project\("(:\w+)")', text, re.M))
    assert {name for pair in taken for name in pair if name} == {
        ":core",
        "com.microsoft.onnxruntime:onnxruntime-android",
        "org.pytorch:executorch-android",
        "com.google.ai.edge.litert:litert",
    }
    assert 'include(":core", ":app")' in (SOURCES / "settings.gradle.kts").read_text()


def test_manifest_names_classes_that_are_there() -> None:
    root = ElementTree.parse(APP / "AndroidManifest.xml").getroot()
    package = shared()["applicationId"]
    named = [one for tag in ("activity", "instrumentation") for one in root.iter(tag)]
    assert len(named) == 3
    for one in named:
        name = one.get(f"{ANDROID}name", "")
        source = APP / "kotlin" / package.replace(".", "/") / f"{name.removeprefix('.')}.kt"
        assert name.startswith(".") and re.search(rf"^(open )?class {name[1:]} :", source.read_text(), re.M)
    assert [one.get(f"{ANDROID}targetPackage") for one in root.iter("instrumentation")] == [package]
    assert not list(root.iter("uses-permission"))
    assert root.get("package") is None  # which the Android Gradle plugin refuses; it and apk.py put it in


def test_app_is_free_of_androidx() -> None:
    for path in sorted(APP.rglob("*.kt")):
        assert "androidx" not in path.read_text(), path.name
