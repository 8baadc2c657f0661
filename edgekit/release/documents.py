"""What the documents of a bundle say, once its signature and hashes hold: each valid, and none against the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgekit.artifact.manifest import FILENAME, FileEntry, Manifest
from edgekit.bench import preprocessing
from edgekit.errors import InputError
from edgekit.parity.report import FILENAME as PARITY
from edgekit.parity.report import ParityReport
from edgekit.release import bom
from edgekit.release.bundle import BUNDLE, RELEASE, Bundle, BundledArtifact, Release, ReleasedBundle, numbers_of
from edgekit.release.containers import Place
from edgekit.release.reasons import Refused
from edgekit.support.documents import Document
from edgekit.support.files import read_json

__all__ = ["Expected", "check_documents", "check_entry", "read_bundle", "read_release"]

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Expected:
    """What a bundle must be; None where anything will do."""

    name: str | None = None
    minimum_version: str | None = None
    space: str | None = None

    def check(self, given: Bundle | Release, where: Path) -> None:
        """Refused (wrong-name, downgraded, wrong-space) where `given` is another."""
        if self.name is not None and given.name != self.name:
            raise Refused("wrong-name", where, f"{given.name}, not {self.name}")
        if self.minimum_version is not None and numbers_of(given.version) < numbers_of(self.minimum_version):
            raise Refused("downgraded", where, f"{given.version}, below {self.minimum_version}")
        if self.space is not None and given.space != self.space:
            raise Refused("wrong-space", where, f"{given.space}, not {self.space}")


def read_bundle(folder: Path, found: Mapping[str, str]) -> Bundle:
    """The bundle.json of a folder whose files have these hashes; Refused (schema) where it says otherwise."""
    bundle = _read(Bundle, folder, BUNDLE, found)
    _check_listed(folder, BUNDLE, bundle.files, {name: digest for name, digest in found.items() if name != BUNDLE})
    _check_once(folder / BUNDLE, [f"{one.container}/{one.folder}" for one in bundle.artifacts], "artifact")
    return bundle


def read_release(folder: Path, found: Mapping[str, str]) -> Release:
    """The release.json of a folder whose files have these hashes; Refused (schema) where it says otherwise."""
    release = _read(Release, folder, RELEASE, found)
    _check_once(folder / RELEASE, [one.path for one in release.bundles], "bundle")
    but = {RELEASE, *(one.signature for one in release.bundles)}
    _check_listed(folder, RELEASE, release.files, {name: digest for name, digest in found.items() if name not in but})
    return release


def check_entry(folder: Path, entry: ReleasedBundle, found: Mapping[str, str]) -> None:
    """Refused (wrong-index) where a bundle in a release's folder is not the one that the index names."""
    if found.get(entry.hashed) != entry.sha256:
        raise Refused("wrong-index", folder / entry.hashed, "the index names another, or one that is not there")


def _check_listed(folder: Path, document: str, files: Sequence[FileEntry], due: Mapping[str, str]) -> None:
    listed = {entry.path: entry for entry in files}
    if len(listed) < len(files) or listed.keys() != due.keys():
        raise Refused("schema", folder / document, "it lists other files than there are")
    for name in sorted(listed):
        if listed[name].sha256 != due[name]:
            raise Refused("schema", folder / document, f"it states another hash of {name}")
        if listed[name].bytes != (folder / name).stat().st_size:
            raise Refused("schema", folder / document, f"it states another size of {name}")


def _check_once(where: Path, names: Sequence[str], what: str) -> None:
    if len(set(names)) < len(names):
        raise Refused("schema", where, f"it lists one {what} twice")


def check_documents(folder: Path, bundle: Bundle, found: Sequence[Place]) -> None:
    """Manifests, parity reports and golden vectors of all artifacts of a bundle, and the bill of materials.

    Raises:
        Refused: schema, with what is wrong with the first.
        MissingDependencyError: what checks the bill of materials is not installed.
    """
    for place in found:
        _check_artifact(place.root, place.artifact, place.listed, bundle.space)
    _check_bom(folder / bom.FILENAME)


def _check_artifact(root: Path, artifact: BundledArtifact, listed: Mapping[str, str], space: str) -> None:
    path = f"{artifact.folder}/{FILENAME}"
    if listed.get(path) != artifact.manifest_sha256:
        raise Refused("schema", root / path, f"it is missing, or another than {BUNDLE} states")
    manifest = _read(Manifest, root / artifact.folder, FILENAME, {FILENAME: ""})
    for what, said, due in _facts(artifact, manifest, space):
        if said != due:
            raise Refused("schema", root / path, f"{BUNDLE} states the {what} {said}, it {due}")
    for entry in manifest.files:
        if listed.get(f"{artifact.folder}/{entry.path}") != entry.sha256:
            raise Refused("schema", root / path, f"{entry.path} is another than it states")
    if f"{artifact.folder}/{PARITY}" in listed:
        _read(ParityReport, root / artifact.folder, PARITY, {PARITY: ""})
    if artifact.golden is not None:
        try:
            preprocessing.read(root / artifact.golden)
        except InputError as error:
            raise Refused("schema", root / artifact.golden, _said(error, root / artifact.golden)) from error


def _facts(artifact: BundledArtifact, manifest: Manifest, space: str) -> Iterator[tuple[str, object, object]]:
    """What bundle.json and a manifest both say: of what, the one's words, the other's."""
    yield "target", artifact.target, manifest.target.name
    yield "format", artifact.format, manifest.target.format
    yield "precision", artifact.precision, manifest.precision
    yield "embedding space", space, manifest.embedding.space
    yield "parity", artifact.parity[0].verdict, manifest.parity.verdict


def _read(kind: type[D], folder: Path, name: str, found: Mapping[str, str]) -> D:
    if name not in found:
        raise Refused("schema", folder / name, "it is missing")
    try:
        return kind.read(folder / name)
    except InputError as error:
        raise Refused("schema", folder / name, _said(error, folder / name)) from error


def _said(error: InputError, where: Path) -> str:
    """What a message says beside the path and the advice, which a refusal has itself."""
    return str(error).removeprefix(f"{where}: ").removesuffix(f"; {Document.ADVICE}")


def _check_bom(path: Path) -> None:
    """Let CycloneDX's own library check a bill of materials; Refused (schema) says what is wrong with it."""
    try:
        read_json(path)  # bounded, before a library reads it
        wrong = bom.check_bom(path.read_text("utf-8"))
    except InputError as error:
        raise Refused("schema", path, _said(error, path)) from error
    if wrong is not None:
        raise Refused("schema", path, wrong)
