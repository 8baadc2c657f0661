"""The bundle for iOS: a folder that is a Swift package, with models and golden vectors as its resources."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from edgekit.errors import InputError
from edgekit.release import plain
from edgekit.release.ios import background_assets
from edgekit.release.kinds import Material, Placed
from edgekit.release.names import check_names

__all__ = ["module_name", "write"]

_TOOLS: Final = "5.9"  # Xcode 15
_IOS: Final = "v17"
_CORE_AI: Final = "CoreAIModel.swift"  # only where there is such a model: apps of older systems must link it weakly
# Modules that the sources import, or that every Swift file sees: a package must have another name.
_SYSTEM: Final = frozenset(
    [
        "builtin",
        "combine",
        "coreai",
        "coregraphics",
        "coreml",
        "corevideo",
        "cryptokit",
        "darwin",
        "dispatch",
        "foundation",
        "glibc",
        "objectivec",
        "packagedescription",
        "swift",
        "swiftui",
        "testing",
        "uikit",
        "videotoolbox",
        "xctest",
    ]
)
_TYPE: Final = re.compile(r"^ *(?:\w+ )*(?:actor|class|enum|protocol|struct|typealias) (\w+)", re.M)


def write(material: Material, folder: Path, documents: Path) -> list[Placed]:
    """Write the package: Package.swift, sources, tests, resources, and the manifest of an asset pack.

    InputError where an artifact's folder has a name that no bundle can have, or that another has, too.
    """
    names = [artifact.name for artifact in material.artifacts]
    check_names(names, "artifacts")
    with as_file(files("edgekit.release.ios") / "swift") as swift:
        sources = [path for part in ("Shared", "Library") for path in sorted((swift / part).glob("*.swift"))]
        tests = sorted((swift / "Tests").glob("*.swift"))
        module = module_name(material.name, sources)
        core_ai = any(artifact.manifest.target.format == "coreai" for artifact in material.artifacts)
        target = folder / "Sources" / module
        target.mkdir(parents=True)
        for path in sources:
            if core_ai or path.name != _CORE_AI:
                shutil.copyfile(path, target / path.name)
        tested = folder / "Tests" / f"{module}Tests"
        tested.mkdir(parents=True)
        for path in tests:
            (tested / path.name).write_text(path.read_text("utf-8").replace("EDGEKIT_MODULE", module), "utf-8")
    resources = f"Sources/{module}/Resources"
    placed = []
    for artifact in material.artifacts:
        put = plain.place(artifact, folder / resources)
        placed.append(replace(put, folder=f"{resources}/{put.folder}", golden=f"{resources}/{put.golden}"))
    (target / "Contents.swift").write_text(_contents(material, placed, resources), "utf-8")
    (folder / "Package.swift").write_text(_package(module, core_ai=core_ai), "utf-8")
    background_assets.write(material.name, folder)
    return placed


def module_name(name: str, sources: Sequence[Path] = ()) -> str:
    """The Swift module of a release's name: "catalog-s0" is CatalogS0.

    A name that a system module or a type of `sources` has gets "Model" behind it: a module that is called as one of
    its types hides it.
    """
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    module = "".join(word[0].upper() + word[1:] for word in words)
    if not module or module[0].isdigit():
        module = f"Model{module}"
    types = {found for path in sources for found in _TYPE.findall(path.read_text("utf-8"))} | {"Contents"}
    taken = _SYSTEM | {found.lower() for found in types}
    return f"{module}Model" if module.lower() in taken else module


def _package(module: str, *, core_ai: bool) -> str:
    """Package.swift. Resources are not in a folder of that name in the app: such a bundle of iOS cannot be signed."""
    settings = '\n            swiftSettings: [.define("EDGEKIT_CORE_AI")]' if core_ai else ""
    return f"""\
// swift-tools-version: {_TOOLS}
import PackageDescription

let package = Package(
    name: "{module}",
    platforms: [.iOS(.{_IOS})],
    products: [.library(name: "{module}", targets: ["{module}"])],
    targets: [
        .target(
            name: "{module}",
            resources: [.copy("Resources/artifacts"), .copy("Resources/golden")]{"," if settings else ""}{settings}
        ),
        .testTarget(name: "{module}Tests", dependencies: ["{module}"]),
    ]
)
"""


def _contents(material: Material, placed: Sequence[Placed], resources: str) -> str:
    """Contents.swift: which models the package has, in the order in which they were given."""
    rows = []
    for one in placed:
        folder, golden = (text.removeprefix(f"{resources}/") for text in (one.folder, one.golden))
        rows.append(
            f"        PackagedModel(\n            format: .{one.artifact.manifest.target.format},\n"
            f"            folder: resources.appendingPathComponent({_literal(folder)}, isDirectory: true),\n"
            f"            golden: resources.appendingPathComponent({_literal(golden)}, isDirectory: true)),\n"
        )
    return f"""\
// What this package holds, as EdgeKit wrote it.
import Foundation

public enum Contents {{
    public static let name = {_literal(material.name)}
    public static let version = {_literal(material.version)}
    /// Id of the embedding space of every model here.
    public static let space = {_literal(material.space)}

    static let models: [PackagedModel] = [
{"".join(rows)}    ]

    private static let resources = Bundle.module.resourceURL ?? Bundle.module.bundleURL
}}
"""


def _literal(text: str) -> str:
    """A literal of Swift; InputError for what needs escapes, which no name, version or space does."""
    if not (text.isascii() and text.isprintable()) or '"' in text or "\\" in text:
        raise InputError(f"{text!r} cannot stand in Swift sources; use letters, digits and . _ / -")
    return f'"{text}"'
