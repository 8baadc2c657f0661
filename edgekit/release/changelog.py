"""CHANGELOG.md of a release: what is different from the one before, and what a search team must do for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.artifact.folder import read_manifest
from edgekit.artifact.manifest import FILENAME as MANIFEST
from edgekit.artifact.manifest import Manifest
from edgekit.errors import InputError, UsageError
from edgekit.release.bundle import BUNDLE, RELEASE, Bundle, Previous, Release, numbers_of
from edgekit.release.material import Given, Subject
from edgekit.support.files import sha256_file
from edgekit.support.text import human_size, shown

__all__ = ["FILENAME", "Before", "changelog", "read_before"]

FILENAME: Final = "CHANGELOG.md"
_HEAD: Final = (
    "# Changelog\n\nThe format is [Keep a Changelog](https://keepachangelog.com/en/1.1.0/); versions are numbers of "
    "[Semantic Versioning](https://semver.org/spec/v2.0.0.html).\n"
)
_MOST_BYTES: Final = 256 << 10  # of earlier entries
_NONE: Final = "(none)"


@dataclass(frozen=True)
class _Artifact:
    """One artifact as a line of the list tells of it."""

    bytes: int
    min_cosine: float | None
    obtained: str
    tools: Mapping[str, str] | None  # None where its manifest is inside an archive


@dataclass(frozen=True)
class Before:
    """The release before this one."""

    release: Release
    artifacts: Mapping[str, _Artifact]
    entries: str  # of its changelog

    @property
    def previous(self) -> Previous:
        """What the documents say of it."""
        return Previous(version=self.release.version, space=self.release.space)


def read_before(folder: Path, name: str, version: str) -> Before:
    """Read the release that `version` of `name` follows.

    Raises:
        InputError: it cannot be read.
        UsageError: it is of another name, or not older.
    """
    release = Release.read(folder / RELEASE if folder.is_dir() else folder)
    folder = folder if folder.is_dir() else folder.parent
    if release.name != name:
        raise UsageError(
            f"{folder}: is a release of {release.name}, not of {name}; give one of the same name as `previous`",
            field="previous",
        )
    if numbers_of(release.version) >= numbers_of(version):
        raise UsageError(
            f"{folder}: is version {release.version}; give a higher `release_version` than that, not {version}",
            field="release_version",
        )
    found: dict[str, _Artifact] = {}
    for one in release.bundles:
        if one.archive:
            continue
        _check_unchanged(folder / one.hashed, one.sha256, RELEASE)
        bundle = Bundle.read(folder / one.hashed)
        for artifact in bundle.artifacts:
            manifest = None
            if artifact.container is None:
                manifest = _manifest(folder / one.path / artifact.folder, artifact.manifest_sha256)
            figure = artifact.parity[0]
            tools = None if manifest is None else _tools(manifest)
            key = _key(artifact.target, artifact.format, artifact.precision)
            found[key] = _Artifact(artifact.bytes, figure.min_cosine, figure.obtained, tools)
    for entry in release.files:
        if entry.path == FILENAME:
            _check_unchanged(folder / FILENAME, entry.sha256, RELEASE)
    return Before(release, found, _entries(folder))


def changelog(subject: Subject, before: Before | None, created: str | None) -> str:
    """The whole file: an entry of this version, then the earlier ones."""
    day = "" if created is None else f" - {created[:10]}"
    sections = _first(subject) if before is None else _changes(subject, before)
    lines = [f"## [{subject.version}]{day}", "", f"**Search team:** {subject.update}"]
    for title, items in sections.items():
        if items:
            lines += ["", f"### {title}", "", *(f"- {item}" for item in items)]
    earlier = "" if before is None or not before.entries else f"\n{before.entries}"
    return f"{_HEAD}\n" + "\n".join(lines) + "\n" + earlier


def _first(subject: Subject) -> dict[str, list[str]]:
    return {
        "Added": [
            *(_line(_key_of(one), _artifact(one)) for one in subject.given),
            f"Embedding space `{subject.space}`, licence of the weights {shown(subject.license, 80)}.",
        ]
    }


def _changes(subject: Subject, before: Before) -> dict[str, list[str]]:
    now = {_key_of(one): _artifact(one) for one in subject.given}
    old, release = before.artifacts, before.release
    changed = [
        f"{what}: {shown(was, 80)} -> {shown(new, 80)}."
        for what, was, new in (
            ("Embedding space", release.space, subject.space),
            ("Licence of the weights", release.license, subject.license),
        )
        if was != new
    ]
    changed += [_difference(key, old[key], now[key]) for key in now if key in old and old[key] != now[key]]
    tools, were = _all_tools(now), _all_tools(old)
    changed += [
        f"Toolchain: {name} {were.get(name, _NONE)} -> {tools.get(name, _NONE)}."
        for name in sorted({*tools, *were})
        if were and tools.get(name) != were.get(name)
    ]
    return {
        "Added": [_line(key, now[key]) for key in now if key not in old],
        "Changed": changed,
        "Removed": [f"{key}." for key in old if key not in now],
    }


def _difference(key: str, was: _Artifact, now: _Artifact) -> str:
    told = [
        f"{what} {before} -> {after}"
        for what, before, after in (
            ("size", human_size(was.bytes), human_size(now.bytes)),
            ("min cosine", _cosine(was), _cosine(now)),
        )
        if before != after
    ]
    return f"{key}: {', '.join(told) or 'other bytes of the same size'}."


def _line(key: str, artifact: _Artifact) -> str:
    return f"{key}: {human_size(artifact.bytes)}, min cosine {_cosine(artifact)}."


def _cosine(artifact: _Artifact) -> str:
    if artifact.min_cosine is None:
        return "unverified"
    return f"{artifact.min_cosine:.7f} ({artifact.obtained})"


def _artifact(given: Given) -> _Artifact:
    figure = given.figures[0]
    return _Artifact(given.bytes, figure.min_cosine, figure.obtained, _tools(given.manifest))


def _tools(manifest: Manifest) -> Mapping[str, str]:
    return {"edgekit": manifest.edgekit} | manifest.toolchain


def _all_tools(artifacts: Mapping[str, _Artifact]) -> dict[str, str]:
    return {name: version for one in artifacts.values() for name, version in (one.tools or {}).items()}


def _key_of(given: Given) -> str:
    target = given.manifest.target
    return _key(target.name, target.format, given.manifest.precision)


def _key(target: str, format: str, precision: str) -> str:
    return f"{target} {format} {precision}" if target != format else f"{format} {precision}"


def _manifest(folder: Path, digest: str) -> Manifest:
    _check_unchanged(folder / MANIFEST, digest, BUNDLE)
    return read_manifest(folder / MANIFEST)


def _check_unchanged(path: Path, digest: str, by: str) -> None:
    if sha256_file(path) != digest:
        raise InputError(f"{path}: is not the file that {by} lists; give an unchanged release", field="previous")


def _entries(folder: Path) -> str:
    """The entries of an earlier changelog, as far as it is text of a sensible size."""
    try:
        with open(folder / FILENAME, "rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "ignore")
    except OSError:
        return ""
    start = re.search(r"^## \[", text, re.MULTILINE)
    if start is None:
        return ""
    lines = text[start.start() :].replace("\r\n", "\n").rstrip().split("\n")
    return "\n".join(shown(line, None) for line in lines) + "\n"  # which anyone may have written
