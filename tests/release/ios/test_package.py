"""The Swift package builds and tests itself with SwiftPM on Linux; what needs Apple's frameworks is type-checked."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from edgekit.artifact.folder import find
from edgekit.release.golden import make_golden
from edgekit.release.ios.bundle import write
from edgekit.release.kinds import Checked
from edgekit.support.progress import Silent
from tests.bench_ios_project.harness import SHARED, WARNED, Swift
from tests.bench_ios_project.test_types import modules as declared
from tests.release.ios.conftest import LIBRARY, TESTS, material_of

__all__ = ["declared"]

pytestmark = pytest.mark.toolchain
PAGE = Path(__file__).parents[3] / "docs/ios-package.md"


@pytest.fixture(scope="module")
def package(toys: dict[str, Path], swift: Swift, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a real artifact, where the compiler sees it."""
    aside = tmp_path_factory.mktemp("aside")
    folder = toys["coreml"]
    _, manifest = find(folder)
    assert manifest is not None
    golden = make_golden(folder, manifest, aside / "golden", aside, Silent())
    out = swift.folder("package-") / "ios"
    out.mkdir()
    write(material_of(Checked(folder, manifest, None, golden), name="toy"), out, aside)
    return out


def _run(swift: Swift, package: Path, verb: str) -> tuple[int, str]:
    words = f"cd {swift.seen(package)} && HOME={swift.seen(package)} swift {verb} 2>&1"
    done = swift.run(["sh", "-c", words], timeout=1200)
    return done.returncode, done.stdout


def test_the_package_builds_and_passes_its_own_test(swift: Swift, package: Path) -> None:
    code, said = _run(swift, package, "test")
    assert code == 0, said
    assert "Test Case 'SelfTests.testWhatThePackageHolds' passed" in said and "with 0 failures" in said
    golden = package / "Sources/Toy/Resources/golden/toy-ios-fp16/golden.bin"
    content = golden.read_bytes()
    golden.write_bytes(content[:-4])
    code, said = _run(swift, package, "test")
    assert code != 0 and "golden.bin: has" in said
    golden.write_bytes(content)


@pytest.mark.parametrize("core_ai", [True, False])
def test_types(swift: Swift, declared: str, core_ai: bool) -> None:
    flags = ["-D", "EDGEKIT_CORE_AI"] if core_ai else []
    sources = swift.sources(SHARED, LIBRARY, TESTS)
    files = [path for path in sources if not path.endswith("/main.swift")]
    if not core_ai:
        files = [path for path in files if not path.endswith("/CoreAIModel.swift")]
    done = swift.run(["swiftc", "-typecheck", "-parse-as-library", *WARNED, "5", *flags, "-I", declared, *files])
    assert (done.returncode, done.stderr) == (0, "")


# What the examples of the page have from the app, in their order.
GIVEN = (
    "photo: CGImage, listings: [(String, CGImage)], other: Embedding",
    "pinnedPEM: String, downloaded: URL",
    "verifier: BundleVerifier, zip: URL, models: URL, expecting: BundleVerifier.Expectations",
    "verifier: BundleVerifier, expecting: BundleVerifier.Expectations",
)


def examples(page: str) -> str:
    """The examples of the page that call the library, each as a function, for the compiler."""
    blocks = [block for block in re.findall(r"```swift\n(.+?)```", page, re.S) if "try " in block]
    made = ["import BackgroundAssets\nimport CoreGraphics\nimport Foundation\nimport Toy\n"]
    for number, (block, given) in enumerate(zip(blocks, GIVEN, strict=True)):
        body = re.sub(r"^import .+$", "", block, flags=re.M)
        made.append(f"func example{number}({given}) async throws {{\n{body}\n}}\n")
    return "\n".join(made)


def test_the_test_of_the_model_and_the_examples_are_checked_too(swift: Swift, declared: str, package: Path) -> None:
    """With UIKit and Core ML: what only a device runs of the package's own test and of the page's examples."""
    out = swift.folder("module-")
    (out / "Module.swift").write_text("import Foundation\nextension Bundle { static let module = Bundle.main }\n")
    files = [swift.seen(path) for path in [*sorted((package / "Sources/Toy").glob("*.swift")), out / "Module.swift"]]
    module = ["-emit-module", "-emit-module-path", swift.seen(out / "Toy.swiftmodule"), "-module-name", "Toy"]
    flags = ["-parse-as-library", "-enable-testing", *WARNED, "5", "-I", declared]
    made = swift.run(["swiftc", *module, *flags, *files])
    assert made.returncode == 0, made.stderr
    test, page = out / "SelfTests.swift", out / "Page.swift"
    shutil.copyfile(package / "Tests/ToyTests/SelfTests.swift", test)
    checked = ["swiftc", "-typecheck", *flags, "-I", swift.seen(out)]
    assert swift.run([*checked, swift.seen(test)]).stderr == ""
    test.write_text(test.read_text().replace("try await embedder.selfTest().require()", "try await embedder.test()"))
    wrong = swift.run([*checked, swift.seen(test)])
    assert wrong.returncode != 0 and "has no member 'test'" in wrong.stderr
    page.write_text(examples(PAGE.read_text()))
    told = swift.run([word for word in (*checked, swift.seen(page)) if word != "-warnings-as-errors"])
    assert told.returncode == 0, told.stderr
