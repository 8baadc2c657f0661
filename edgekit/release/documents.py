"""What the documents of a bundle say, once its signature and hashes hold: each valid, and none against the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgekit.artifact.manifest import FILENAME, Manifest
from edgekit.bench import preprocessing
from edgekit.errors import InputError
from edgekit.parity.report import ParityReport
from edgekit.release.bundle import ARCHIVE_SIGNATURE, BUNDLE, RELEASE, SIGNATURE, Bundle, BundledArtifact, Release
from edgekit.release.containers import Place
from edgekit.release.keys import ready
from edgekit.release.reasons import Refused
from edgekit.support.documents import Document

__all__ = ["Expected", "check_bom", "check_documents", "read_bundle", "read_release"]

D = TypeVar("D", bound=Document)
_BOM = "bom.cdx.json"
_PARITY = "parity.json"


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
        if self.minimum_version is not None and _numbers(given.version) < _numbers(self.minimum_version):
            raise Refused("downgraded", where, f"{given.version}, below {self.minimum_version}")
        if self.space is not None and given.space != self.space:
            raise Refused("wrong-space", where, f"{given.space}, not {self.space}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def read_bundle(folder: Path, found: Mapping[str, str]) -> Bundle:
    """The bundle.json of a folder whose files have these hashes; Refused (schema) where it says otherwise."""
    bundle = _read(Bundle, folder, BUNDLE, found)
    listed = {entry.path: entry.sha256 for entry in bundle.files}
    due = {name: digest for name, digest in found.items() if name != BUNDLE}
    if len(listed) < len(bundle.files) or listed.keys() != due.keys():
        raise Refused("schema", folder / BUNDLE, "it lists other files than there are")
    for name in sorted(listed):
        if listed[name] != due[name]:
            raise Refused("schema", folder / BUNDLE, f"it states another hash of {name}")
    return bundle


def read_release(folder: Path, found: Mapping[str, str]) -> Release:
    """The release.json of a folder whose files have these hashes; Refused (schema) where it says otherwise."""
    release = _read(Release, folder, RELEASE, found)
    due = {name: digest for name, digest in found.items() if name != RELEASE and not _is_signature(name, found)}
    if {entry.path: entry.sha256 for entry in release.files} != due:
        raise Refused("schema", folder / RELEASE, "it lists other files, or other hashes, than there are")
    return release


def _is_signature(name: str, found: Mapping[str, str]) -> bool:
    beside = name.endswith(ARCHIVE_SIGNATURE) and name.removesuffix(ARCHIVE_SIGNATURE) in found
    return beside or name.endswith(f"/{SIGNATURE}")


def check_documents(folder: Path, found: Sequence[Place]) -> None:
    """Manifests, parity reports and golden vectors of all artifacts, and the bill of materials.

    Raises:
        Refused: schema, with what is wrong with the first.
        MissingDependencyError: what checks the bill of materials is not installed.
    """
    for place in found:
        _check_artifact(place.root, place.artifact, place.listed)
    if not (folder / _BOM).exists():
        raise Refused("schema", folder / _BOM, "there is no bill of materials")
    check_bom(folder / _BOM)


def _check_artifact(root: Path, artifact: BundledArtifact, listed: Mapping[str, str]) -> None:
    path = f"{artifact.folder}/{FILENAME}"
    if listed.get(path) != artifact.manifest_sha256:
        raise Refused("schema", root / path, f"it is missing, or another than {BUNDLE} states")
    manifest = _read(Manifest, root / artifact.folder, FILENAME, {FILENAME: ""})
    for entry in manifest.files:
        if listed.get(f"{artifact.folder}/{entry.path}") != entry.sha256:
            raise Refused("schema", root / path, f"{entry.path} is another than it states")
    if f"{artifact.folder}/{_PARITY}" in listed:
        _read(ParityReport, root / artifact.folder, _PARITY, {_PARITY: ""})
    if artifact.golden is not None:
        try:
            preprocessing.read(root / artifact.golden)
        except InputError as error:
            raise Refused("schema", root / artifact.golden, str(error)) from error


def _read(kind: type[D], folder: Path, name: str, found: Mapping[str, str]) -> D:
    if name not in found:
        raise Refused("schema", folder / name, "it is missing")
    try:
        return kind.read(folder / name)
    except InputError as error:
        raise Refused("schema", folder / name, str(error).removeprefix(f"{folder / name}: ")) from error


def check_bom(path: Path) -> None:
    """Let CycloneDX's own library check a bill of materials; Refused (schema) says what is wrong with it."""
    ready("cyclonedx", "jsonschema")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    from edgekit.support.files import read_json

    try:
        read_json(path)  # bounded, before a library reads it
        wrong = JsonStrictValidator(SchemaVersion.V1_7).validate_str(path.read_text("utf-8"))
    except InputError as error:
        raise Refused("schema", path, str(error)) from error
    if wrong is not None:
        raise Refused("schema", path, str(getattr(wrong, "data", wrong)))
