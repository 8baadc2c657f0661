"""What all bundles have alike: their documents, the list of their files, their archives, and the index of a release."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from edgekit.artifact.manifest import FILENAME as MANIFEST
from edgekit.artifact.manifest import FileEntry
from edgekit.errors import InputError, OutputError
from edgekit.release import bom, card
from edgekit.release import changelog as log
from edgekit.release.archives import files_of, write_archive
from edgekit.release.bundle import (
    BUNDLE,
    RELEASE,
    SIGNATURE,
    Bundle,
    BundledArtifact,
    Release,
    ReleasedBundle,
    signature_of,
)
from edgekit.release.kinds import Checked, Kind, Material, Placed, Writer
from edgekit.release.licenses import FOLDER as LICENSES
from edgekit.release.material import Given, Subject
from edgekit.support.files import read_json, sha256_file

__all__ = ["Frame", "released_files", "write_bundle", "write_index"]

Made = tuple[Given, Checked]  # an artifact as it was given, and as writers take it
_SCHEMA: Final = "edgekit.release/"


@dataclass(frozen=True, eq=False)
class Frame:
    """Where a release is written, and what its bundles share."""

    folder: Path  # becomes the release
    aside: Path  # for what is needed meanwhile
    created: str | None  # UTC time of SOURCE_DATE_EPOCH
    changelog: str
    licenses: Path  # texts and NOTICE


def write_bundle(kind: Kind, subject: Subject, made: Sequence[Made], frame: Frame) -> list[ReleasedBundle]:
    """Write the bundle of `kind` of the artifacts in `made`, as a folder and as archives; returns these.

    Raises:
        InputError: a file of it has a name that no bundle can have.
        OutputError: two kinds write an archive of one name.
    """
    subject = replace(subject, kind=kind.name, given=tuple(given for given, _ in made))
    documents = _write_documents(subject, frame, frame.aside / f"{kind.name}-documents")
    folder = (frame.folder if kind.folder else frame.aside) / kind.name
    folder.mkdir()
    material = Material(
        subject.name,
        subject.version,
        subject.space,
        subject.license,
        subject.description,
        tuple(checked for _, checked in made),
    )
    writer = cast(Writer, import_module(kind.module))
    placed = writer.write(material, folder, documents)
    _copy(documents, folder)
    _write_about(subject, placed, folder, frame.created)
    found = []
    if kind.folder:
        size = sum(path.stat().st_size for path in files_of(folder).values())
        found.append(_released(kind, kind.name, size, folder / BUNDLE, archive=False))
    for form in kind.archives:
        due = frame.folder / f"{subject.name}-{subject.version}.{form}"
        if due.exists():
            raise OutputError(f"{due.name}: two kinds of bundles write it; leave one of them out, or its archive")
        path = write_archive(form, folder, frame.folder, subject.name, subject.version)
        found.append(_released(kind, path.name, path.stat().st_size, path, archive=True))
    if not kind.folder:
        shutil.rmtree(folder)
    return found


def write_index(subject: Subject, bundles: Sequence[ReleasedBundle], frame: Frame) -> Release:
    """Write release.json and CHANGELOG.md over all that lies in the release's folder by now."""
    (frame.folder / log.FILENAME).write_text(frame.changelog, "utf-8", newline="\n")
    about = _about(subject, frame.created)
    release = Release(**about, bundles=list(bundles), files=_entries(frame.folder, RELEASE))
    release.write(frame.folder / RELEASE)
    return release


def released_files(folder: Path) -> set[str] | None:
    """The files that the release in `folder`, of any version, claims, and its signatures; None without a release."""
    try:
        content = read_json(folder / RELEASE)
    except InputError:
        return None
    if not isinstance(content, dict) or not str(content.get("schema")).startswith(_SCHEMA):
        return None
    listed, bundles = content.get("files"), content.get("bundles")
    names = (
        {str(entry.get("path")) for entry in listed if isinstance(entry, dict)} if isinstance(listed, list) else set()
    )
    names |= {RELEASE, SIGNATURE}
    for one in bundles if isinstance(bundles, list) else ():
        if isinstance(one, dict):
            names.add(signature_of(str(one.get("path")), archive=bool(one.get("archive"))))
    return names


def _write_documents(subject: Subject, frame: Frame, folder: Path) -> Path:
    folder.mkdir()
    documents: dict[str, Callable[[], str]] = {
        card.FILENAME: lambda: card.model_card(subject),
        log.FILENAME: lambda: frame.changelog,
        bom.FILENAME: lambda: bom.bill_of_materials(subject, frame.created),
    }
    for name, text in documents.items():
        (folder / name).write_text(text(), "utf-8", newline="\n")
    shutil.copytree(frame.licenses, folder / LICENSES, copy_function=shutil.copyfile)
    return folder


def _copy(documents: Path, folder: Path) -> None:
    for name, path in files_of(documents).items():
        target = folder / name
        if target.exists():
            raise OutputError(f"{name}: the writer of the bundle {folder.name} has put its own file there")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _about(subject: Subject, created: str | None) -> dict[str, Any]:
    """What the index says of a release, and each bundle of itself."""
    said = {name: getattr(subject, name) for name in ("name", "version", "space", "license", "previous", "update")}
    return {"created": created} | said


def _write_about(subject: Subject, placed: Sequence[Placed], folder: Path, created: str | None) -> None:
    given = {one.folder: one for one in subject.given}
    Bundle(
        **_about(subject, created),
        kind=subject.kind,
        artifacts=[_bundled(one, given[one.artifact.folder], folder) for one in placed],
        files=_entries(folder, BUNDLE),
    ).write(folder / BUNDLE)


def _bundled(placed: Placed, given: Given, folder: Path) -> BundledArtifact:
    own = sha256_file(given.folder / MANIFEST)
    if placed.container is None and sha256_file(folder / placed.folder / MANIFEST) != own:
        raise OutputError(f"{placed.folder}: the writer of the bundle {folder.name} has changed {MANIFEST}")
    target = given.manifest.target
    return BundledArtifact(
        folder=placed.folder,
        container=placed.container,
        target=target.name,
        format=target.format,
        precision=given.manifest.precision,
        bytes=given.bytes,
        manifest_sha256=own,
        parity=list(given.figures),
        golden=placed.golden,
    )


def _entries(folder: Path, but: str) -> list[FileEntry]:
    return [
        FileEntry(path=name, bytes=path.stat().st_size, sha256=sha256_file(path))
        for name, path in files_of(folder).items()
        if name != but
    ]


def _released(kind: Kind, path: str, size: int, hashed: Path, *, archive: bool) -> ReleasedBundle:
    return ReleasedBundle(kind=kind.name, path=path, archive=archive, bytes=size, sha256=sha256_file(hashed))
