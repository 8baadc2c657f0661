"""The kinds of bundles, as rows of a table; a row from outside the package is added with `register`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgekit.artifact.manifest import FILENAME as MANIFEST
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.artifact.manifest import Manifest
    from edgekit.parity.report import ParityReport

__all__ = ["KINDS", "Checked", "Kind", "Material", "Placed", "Writer", "find", "register"]


@dataclass(frozen=True, eq=False)
class Checked:
    """A published artifact whose files agree with its manifest, and what its release needs beside it."""

    folder: Path  # manifest.json, the model, parity.json if it was verified
    manifest: Manifest
    parity: ParityReport | None
    golden: Path  # a folder of edgekit.golden/1: a few photos, their pixels, and what the artifact makes of them

    @property
    def name(self) -> str:
        """What the folder of the export is called, for example "catalog-s0-ios-fp16"."""
        return self.folder.name

    @property
    def published(self) -> list[str]:
        """The manifest and what it lists, by name in `folder`; nothing that lies beside."""
        return [MANIFEST, *(entry.path for entry in self.manifest.files)]

    def copy(self, to: Path, golden: Path) -> None:
        """Copy what was published to one folder, and the golden vectors to another."""
        for name in self.published:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name, to / name)
        shutil.copytree(self.golden, golden, copy_function=shutil.copyfile)


@dataclass(frozen=True, eq=False)
class Material:
    """What the bundles of a release have in common."""

    name: str
    version: str
    space: str
    license: str
    description: str
    artifacts: tuple[Checked, ...]  # those that the kind takes


@dataclass(frozen=True)
class Placed:
    """Where a writer put an artifact: folders in the bundle, or in an archive of it."""

    artifact: Checked
    folder: str
    golden: str
    container: str | None = None


class Writer(Protocol):
    """Module of a kind."""

    def write(self, material: Material, folder: Path, documents: Path) -> list[Placed]:
        """Fill `folder`, in which MODEL_CARD.md, LICENSES/ and the like are put later, from `documents`.

        Equal material gives equal bytes. A kind that has an archive of its own inside (an AAR) puts what it needs of
        `documents` into it.
        """


@dataclass(frozen=True)
class Kind:
    """One kind of bundle."""

    name: str
    title: str  # for people
    formats: tuple[str, ...]  # of artifacts that it takes
    module: str  # has the verb of `Writer`
    platforms: tuple[str, ...] = ()  # it takes those for the first of these that has any; none: for any platform
    folder: bool = True  # the release has the bundle as a folder
    archives: tuple[str, ...] = ()  # and as archives: "zip", "tar.zst", "tgz"

    def take(self, manifests: Sequence[Manifest]) -> list[Manifest]:
        """Those of the artifacts that belong into such a bundle, so that an app does not carry another's."""
        fitting = [one for one in manifests if one.target.format in self.formats]
        for platform in self.platforms:
            if own := [one for one in fitting if one.target.name == platform]:
                return own
        return [] if self.platforms else fitting


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("ios", "Swift package", ("coreml", "coreai"), "edgekit.release.ios.bundle", ("ios",)),
        Kind(
            "android",
            "Maven repository with an AAR",
            ("executorch", "onnx", "litert"),
            "edgekit.release.android.bundle",
            ("android", "onnx"),
        ),
        Kind("web", "npm package", ("onnx",), "edgekit.release.web.bundle", ("onnx",), archives=("tgz",)),
        Kind(
            "plain",
            "archives",
            ("coreml", "coreai", "executorch", "onnx", "litert"),
            "edgekit.release.plain",
            folder=False,
            archives=("tar.zst", "zip"),
        ),
    )
}


def find(name: str) -> Kind:
    """The kind of that name; UsageError where there is none."""
    if name in KINDS:
        return KINDS[name]
    raise UsageError(f"there is no kind of bundle {name!r}; give one of {', '.join(KINDS)}", field="kinds")


def register(kind: Kind) -> None:
    """Add a kind from outside the package; UsageError where the name is taken."""
    if kind.name in KINDS:
        raise UsageError(f"there is a kind of bundle {kind.name!r} already; give another name")
    KINDS[kind.name] = kind
