"""The Xcode project, its scheme and property lists, and the Swift files as text: what can be seen without Swift."""

from __future__ import annotations

import plistlib
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_swift
from pbxproj import XcodeProject

import edgekit

from .harness import HERE, SHARED, SOURCES

PROJECT = SOURCES / "EdgeKitBench.xcodeproj"
FOLDERS = {name: SOURCES / name for name in ("App", "Core", "Tests")} | {"Shared": SHARED}
SWIFT = sorted([*SOURCES.rglob("*.swift"), *SHARED.parent.rglob("*.swift"), *HERE.rglob("*.swift")])
PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))


@pytest.fixture(scope="module")
def project() -> Any:
    return XcodeProject.load(str(PROJECT / "project.pbxproj"))


def faults(source: bytes) -> list[tuple[int, str]]:
    """Lines that are not Swift."""
    found, todo = [], [PARSER.parse(source).root_node]
    while todo:
        node = todo.pop()
        if node.is_error or node.is_missing:
            found.append((node.start_point[0] + 1, (node.text or b"").decode()[:80]))
        todo += node.children
    return found


def target(project: Any, name: str) -> Any:
    found = project.get_target_by_name(name)
    assert found is not None, f"the project has no target {name}"
    return found


def built(project: Any, name: str) -> set[str]:
    """The files that a target compiles, by their folder's name and their own."""
    paths: dict[str, Any] = {}
    for group in project.objects.get_objects_in_section("PBXGroup"):
        paths |= {child: group for child in group.children}
    found = set()
    for phase in target(project, name).buildPhases:
        for build_file in project.get_object(phase).files:
            reference = project.get_object(project.get_object(build_file).fileRef)
            found.add(f"{Path(paths[reference.get_id()].path).name}/{reference.path}")
    return found


def settings(project: Any, name: str, configuration: str) -> dict[str, Any]:
    """A target's settings over the project's."""
    lists = [project.get_object(project.rootObject), target(project, name)]
    merged: dict[str, Any] = {}
    for one in lists:
        for key in project.get_object(one.buildConfigurationList).buildConfigurations:
            found = project.get_object(key)
            if found.name == configuration:
                merged |= {key: found.buildSettings[key] for key in found.buildSettings.get_keys()}
    return merged


@pytest.mark.parametrize("path", SWIFT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_swift_parses(path: Path) -> None:
    assert faults(path.read_bytes()) == []


@pytest.mark.parametrize("wrong", ["func f( { }", "struct S { let }", "let x = = 1", "func f() { if { } "])
def test_the_parser_finds_faults(wrong: str) -> None:
    assert faults(wrong.encode())


def test_swift_files_are_small_and_say_what_they_hold() -> None:
    for path in SWIFT:
        lines = path.read_text().splitlines()
        assert len(lines) < 300 and lines[0].startswith("// "), path
        assert not [line for line in lines if len(line) > 120], path


def test_project_and_folders_hold_the_same_files(project: Any) -> None:
    on_disk = {f"{name}/{path.name}" for name, folder in FOLDERS.items() for path in folder.iterdir()}
    assert {path.parent.name for path in SOURCES.rglob("*.swift")} == set(FOLDERS) - {"Shared"}
    groups = [group for group in project.objects.get_objects_in_section("PBXGroup") if "path" in group]
    assert {(SOURCES / group.path).resolve() for group in groups} == set(FOLDERS.values())
    grouped = {
        f"{Path(group.path).name}/{project.get_object(child).path}" for group in groups for child in group.children
    }
    assert grouped == on_disk
    swift = {path for path in on_disk if path.endswith(".swift")}
    assert built(project, "EdgeKitBench") == {path for path in swift if path.startswith("App/")}
    assert built(project, "EdgeKitBenchTests") == {path for path in swift if not path.startswith("App/")}


def test_no_reference_leads_nowhere(project: Any) -> None:
    known = set(project.objects.get_keys())
    text = (PROJECT / "project.pbxproj").read_text()
    used = set(re.findall(r"\b[0-9A-F]{24}\b", text))
    assert used == known and len(known) > 50
    defined = re.findall(r"^\t\t([0-9A-F]{24}) .*= \{", text, re.MULTILINE)
    assert len(defined) == len(set(defined)) == len(known)


@pytest.mark.parametrize("configuration", ["Debug", "Release"])
def test_targets_and_settings(project: Any, configuration: str) -> None:
    app, tests = target(project, "EdgeKitBench"), target(project, "EdgeKitBenchTests")
    assert len(project.objects.get_targets()) == 2
    assert app.productType == "com.apple.product-type.application"
    assert tests.productType == "com.apple.product-type.bundle.unit-test"
    (dependency,) = tests.dependencies
    assert project.get_object(dependency).target == app.get_id()
    proxy = project.get_object(project.get_object(dependency).targetProxy)
    assert (proxy.containerPortal, proxy.remoteGlobalIDString) == (project.rootObject, app.get_id())

    of_app = settings(project, "EdgeKitBench", configuration)
    of_tests = settings(project, "EdgeKitBenchTests", configuration)
    for found in (of_app, of_tests):
        assert found["IPHONEOS_DEPLOYMENT_TARGET"] == "17.0" and found["SDKROOT"] == "iphoneos"
        assert found["SWIFT_VERSION"] == "5.0" and found["CODE_SIGN_STYLE"] == "Automatic"
        assert found["MARKETING_VERSION"] == edgekit.__version__, "set MARKETING_VERSION in project.pbxproj"
        assert found["GENERATE_INFOPLIST_FILE"] == "YES" and "DEVELOPMENT_TEAM" not in found
    assert of_app["PRODUCT_BUNDLE_IDENTIFIER"] == "dev.edgekit.bench"
    assert of_tests["PRODUCT_BUNDLE_IDENTIFIER"] == "dev.edgekit.bench.tests"
    assert of_tests["TEST_HOST"] == "$(BUILT_PRODUCTS_DIR)/EdgeKitBench.app/EdgeKitBench"
    assert of_tests["BUNDLE_LOADER"] == "$(TEST_HOST)"
    assert (SOURCES / of_app["INFOPLIST_FILE"]).is_file() and "INFOPLIST_FILE" not in of_tests
    # Core AI is linked weakly, for iOS 17 to 26, and only where the SDK has it: not in Xcode 26, not for simulators.
    linked = {key: found[key] for found in (of_app, of_tests) for key in found if key.startswith("OTHER_LDFLAGS")}
    assert linked == {"OTHER_LDFLAGS[sdk=iphoneos27*]": ["$(inherited)", "-weak_framework", "CoreAI"]}
    assert of_app["SWIFT_OPTIMIZATION_LEVEL"] == {"Debug": "-Onone", "Release": "-O"}[configuration]


def test_scheme(project: Any) -> None:
    scheme = ElementTree.parse(PROJECT / "xcshareddata/xcschemes/EdgeKitBench.xcscheme").getroot()
    action = scheme.find("TestAction")
    assert action is not None and action.get("buildConfiguration") == "Release"
    (testable,) = action.findall("Testables/TestableReference")
    assert (testable.get("skipped"), testable.get("parallelizable")) == ("NO", "NO")
    references = scheme.findall(".//BuildableReference")
    assert len(references) >= 4
    for reference in references:
        found = project.get_object(reference.get("BlueprintIdentifier"))
        assert found.name == reference.get("BlueprintName")
        assert project.get_object(found.productReference).path == reference.get("BuildableName")
        assert reference.get("ReferencedContainer") == f"container:{PROJECT.name}"
    tested = testable.find("BuildableReference")
    assert tested is not None and tested.get("BlueprintName") == "EdgeKitBenchTests"


def test_property_list() -> None:
    (path,) = SOURCES.rglob("*.plist")
    assert plistlib.loads(path.read_bytes()) == {"UIFileSharingEnabled": True}


def test_the_tests_that_the_driver_names_are_there() -> None:
    for name in ("BenchTests.testMeasure", "GoldenTests.testGolden"):
        owner, method = name.split(".")
        text = (SOURCES / f"Tests/{owner}.swift").read_text()
        assert f"final class {owner}: XCTestCase" in text and f"    func {method}() async" in text
