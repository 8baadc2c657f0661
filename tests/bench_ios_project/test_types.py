"""The app and its tests against our own declarations of Apple's interfaces; see declarations/README.md."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from .harness import HERE, SHARED, SOURCES, WARNED, Swift

pytestmark = pytest.mark.toolchain

# In the order of what they import.
MODULES = (
    *("ObjectiveC", "CoreVideo", "CoreML", "CoreGraphics", "UIKit", "SwiftUI", "XCTest", "CryptoKit", "Darwin"),
    *("CoreAI", "VideoToolbox", "BackgroundAssets"),
)


@pytest.fixture(scope="module")
def modules(swift: Swift) -> str:
    """A folder with the declarations as modules."""
    out = swift.work / "modules"
    out.mkdir()
    declared = dict(zip(sorted(MODULES), swift.sources(HERE / "declarations"), strict=True))
    for name in MODULES:
        file = out / f"{name}.swiftmodule"
        command = ["swiftc", "-emit-module", "-parse-as-library", "-module-name", name, "-I", swift.seen(out)]
        done = swift.run([*command, "-emit-module-path", swift.seen(file), declared[name]])
        assert done.returncode == 0, done.stderr
    return swift.seen(out)


def checked(swift: Swift, modules: str, version: str, files: list[str]) -> subprocess.CompletedProcess[str]:
    return swift.run(["swiftc", "-typecheck", "-parse-as-library", *WARNED, version, "-I", modules, *files])


def test_core_in_both_language_modes(swift: Swift) -> None:
    for version in ("5", "6"):
        files = swift.sources(SOURCES / "Core", SHARED)
        done = swift.run(["swiftc", "-typecheck", "-parse-as-library", *WARNED, version, *files])
        assert (done.returncode, done.stderr) == (0, "")


def test_app(swift: Swift, modules: str) -> None:
    done = checked(swift, modules, "5", swift.sources(SOURCES / "App"))
    assert (done.returncode, done.stderr) == (0, "")


def test_tests(swift: Swift, modules: str) -> None:
    done = checked(swift, modules, "5", swift.sources(SOURCES / "Core", SHARED, SOURCES / "Tests"))
    assert (done.returncode, done.stderr) == (0, "")


def test_tests_where_the_sdk_has_no_core_ai(swift: Swift, modules: str) -> None:
    older = swift.work / "older"
    older.mkdir()
    for name in MODULES:
        if name != "CoreAI":
            shutil.copy(swift.work / "modules" / f"{name}.swiftmodule", older)
    files = swift.sources(SOURCES / "Core", SHARED, SOURCES / "Tests")
    done = checked(swift, swift.seen(older), "5", files)
    assert (done.returncode, done.stderr) == (0, "")
    user = older / "user.swift"
    user.write_text("func user(_ model: PreparedCoreAI) {}\n")
    without = checked(swift, swift.seen(older), "5", [*files, swift.seen(user)])
    assert "cannot find type 'PreparedCoreAI'" in without.stderr
    assert checked(swift, modules, "5", [*files, swift.seen(user)]).returncode == 0


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("measureModel(job,", "measure(job,", "measure"),
        ("units: job.computeUnits", "units: job.units", "has no member 'units'"),
        ("await Phone.state()", "Phone.state()", "'async'"),
        ("preferredComputeUnitKind: .gpu", "computeUnitKind: .gpu", "computeUnitKind"),
        ("try await AIModel(", "try AIModel(", "'async'"),
        ("output = value.ndArray", "output = value.pixels", "no member 'pixels'"),
    ],
    ids=[
        "hidden-by-xctest",
        "no-such-name",
        "no-await",
        "core-ai-label",
        "core-ai-no-await",
        "core-ai-no-such-name",
    ],
)
def test_ordinary_mistakes_are_found(swift: Swift, modules: str, right: str, wrong: str, told: str) -> None:
    files = swift.sources(SOURCES / "Core", SHARED, SOURCES / "Tests")
    copies = (swift.work / f"{folder.parent.name}-{folder.name}" for folder in (SOURCES / "Tests", SHARED))
    (copy,) = (path for folder in copies for path in folder.glob("*.swift") if right in path.read_text())
    copy.write_text(copy.read_text().replace(right, wrong))
    done = checked(swift, modules, "5", files)
    assert done.returncode != 0 and told in done.stderr
