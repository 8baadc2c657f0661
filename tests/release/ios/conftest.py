"""Small artifacts for the Swift package, and one build of its library for all tests that run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgekit.artifact.folder import describe_files, write_manifest
from edgekit.artifact.manifest import TargetInfo
from edgekit.release.kinds import Checked, Material
from tests.artifact.conftest import example
from tests.bench_ios_project.harness import SHARED, WARNED, Swift, simulated, swift

__all__ = ["LIBRARY", "TESTS", "Library", "material_of", "small"]

LIBRARY = SHARED.parent / "Library"
TESTS = Path(__file__).parent / "swift"


def small(folder: Path, name: str, format_: str = "coreml") -> Checked:
    """An artifact of a few bytes in `folder`, with golden vectors of as few."""
    suffix = {"coreml": "mlpackage", "coreai": "aimodel"}[format_]
    made, golden = folder / name, folder / f"{name}-golden"
    (made / f"model.{suffix}" / "Data").mkdir(parents=True)
    (made / f"model.{suffix}" / "Data" / "weight.bin").write_bytes(b"weights")
    (made / "parity.json").write_text("{}\n")
    target = TargetInfo(name="ios", format=format_, min_ios=16)
    manifest = example(describe_files(made), artifact=f"model.{suffix}", target=target)
    write_manifest(manifest, made)
    (golden / "photos").mkdir(parents=True)
    (golden / "photos" / "a.png").write_bytes(b"\x89PNG")
    (golden / "golden.json").write_text("{}\n")
    return Checked(made, manifest, None, golden)


def material_of(*artifacts: Checked, **changes: Any) -> Material:
    """The material of a release of these artifacts."""
    given = {"name": "catalog-s0", "version": "1.2.0", "space": "catalog-s0/1", "license": "Apache-2.0"}
    return Material(**(given | {"description": "An embedder.", "artifacts": artifacts} | changes))


@pytest.fixture(scope="session", name="swift")
def compiler() -> Iterator[Swift]:
    """Where Swift is compiled and run."""
    with swift() as found:
        yield found


@dataclass(frozen=True)
class Library:
    """The command line around the Swift library; see swift/main.swift."""

    swift: Swift
    program: str

    def __call__(self, command: str, *paths: Path) -> Any:
        """What a command answers; the paths lie where the compiler sees them."""
        done = self.swift.run([self.program, command, *(self.swift.seen(path) for path in paths)])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def library(swift: Swift) -> Library:
    """The library as it is shipped, on our own CryptoKit and Core AI."""
    modules, objects = simulated(swift, "CryptoKit", "CoreAI")
    files = [*swift.sources(SHARED, LIBRARY, TESTS), *objects]
    program = swift.seen(swift.work / "library")
    flags = [*WARNED, "5", "-D", "EDGEKIT_CORE_AI", "-I", modules, "-o", program]
    done = swift.run(["swiftc", "-O", "-wmo", *flags, *files])
    assert done.returncode == 0, done.stderr
    return Library(swift, program)
