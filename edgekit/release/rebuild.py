"""Build a release once more from its recipe, compare every byte, and say at which step the first difference came."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from edgekit.artifact.manifest import FILENAME as MANIFEST
from edgekit.artifact.manifest import Manifest, toolchain
from edgekit.errors import InputError, IntegrityError, UsageError
from edgekit.parity.report import FILENAME as PARITY
from edgekit.quantization import Plan, read_plan
from edgekit.recipe import Recipe, resolve_model
from edgekit.release import bom, card, changelog
from edgekit.release.bundle import BUNDLE, RELEASE, Bundle, Release
from edgekit.release.containers import Place, places
from edgekit.release.evidence import artifacts_apart
from edgekit.release.licenses import FOLDER as LICENSES
from edgekit.release.package import PackageRequest, package
from edgekit.release.training import cards_beside
from edgekit.release.unpack import unpack
from edgekit.support.drafts import scratch
from edgekit.support.fields import Converted, OptionalPath, PathField, PathsField, optional_path, paths
from edgekit.support.progress import Reporter, Silent

__all__ = ["STEPS", "Difference", "RebuildRequest", "Rebuilt", "rebuild", "step_of"]

# In the order of the road: what differs at one makes what comes after it differ.
STEPS: Final = {
    "lower": "the model's file: another toolchain, other weights, or another recipe",
    "verify": "parity.json: compared on other photos, or by another runtime",
    "describe": "manifest.json: what it states is not what the export here states",
    "golden": "golden vectors: another runtime or decoder of images",
    "document": "a document: another previous release, training card, licence text or result of a measurement",
    "bundle": "a file of the package itself: another version of EdgeKit, or another compiler",
}
_DOCUMENTS: Final = {bom.FILENAME, card.FILENAME, changelog.FILENAME}


@dataclass(frozen=True)
class RebuildRequest:
    """Which release, from what, and what else went into it."""

    release: PathField = Converted(Path)
    recipe: Converted[Recipe | Path | str | None, Recipe] = Converted(resolve_model)
    previous: OptionalPath = Converted(optional_path, None)  # the release that it follows
    plan: OptionalPath = Converted(optional_path, None)  # of artifacts that are quantized
    results: PathsField = Converted(paths, ())  # of `edgekit bench`


@dataclass(frozen=True)
class Difference:
    """A file that is not the same."""

    step: str  # of STEPS
    bundle: str
    path: str
    what: str  # "differs", "only in the release", "only here"


@dataclass(frozen=True)
class Rebuilt:
    """What came of building a release again."""

    files: int  # compared
    differences: tuple[Difference, ...]  # the earliest step first
    toolchain: dict[str, tuple[str, str]]  # package -> its version in the release and here, where these differ
    rounding: float = 0.0  # by how much figures of parity differ, which another processor rounds otherwise

    def raise_for_differences(self) -> None:
        """Raise IntegrityError with the first difference, where there is one."""
        if self.differences:
            raise IntegrityError(self.line)

    @property
    def line(self) -> str:
        """The verdict in one line."""
        if not self.differences:
            but = f"; this processor's figures of parity differ by {self.rounding:.1g} at most" if self.rounding else ""
            return f"rebuilt: all {self.files} files are the same, byte for byte{but}"
        first = self.differences[0]
        others = ", ".join(f"{name} {theirs} there and {ours} here" for name, (theirs, ours) in self.toolchain.items())
        more = f"; other versions of {others}" if others else ""
        count = len(self.differences)
        return (
            f"rebuilt: {count} of {self.files} files differ, first at the step `{first.step}` ({first.bundle}, "
            f"{first.path}, {first.what}): {STEPS[first.step]}{more}"
        )


def rebuild(request: RebuildRequest, reporter: Reporter | None = None) -> Rebuilt:
    """Export and package what a release holds once more, and compare. Verify the release first: its files are opened.

    What a machine measures (parity and golden vectors) is compared as numbers, and the release's own is packaged where
    it is the same but for a processor's rounding; all else is compared byte for byte.

    Raises:
        InputError: it is no release, or lacks what is needed to build it again.
        EdgeKitError: the recipe cannot be exported or packaged.
    """
    reporter = reporter or Silent()
    release = Release.read(request.release / RELEASE)
    with scratch() as aside, _date(release.created):
        theirs = _bundles(request.release, release, aside / "theirs")
        known = _artifacts(theirs, aside / "known")
        manifests = [one.manifest for one in known]
        exported = _export(request, manifests, aside / "exported", reporter)
        artifacts, rounding = _measured_alike(exported, known)
        options = PackageRequest(
            artifacts=artifacts,
            out=aside / "ours",
            kinds=tuple(dict.fromkeys(one.kind for one in release.bundles)),
            name=release.name,
            release_version=release.version,
            previous=request.previous,
            results=request.results,
            card=next((path for path in cards_beside(request.recipe.model.weights) if path.is_file()), None),
            accept_licenses=(release.license,),
            allow_unverified=any(manifest.parity.verdict != "pass" for manifest in manifests),
        )
        golden = {one.folder.name: one.golden for one in known if one.golden is not None}
        ours = _bundles(aside / "ours", package(options, reporter, golden=golden).release, aside / "unpacked")
        with reporter.stage("compare"):
            return _compare(theirs, ours, manifests, rounding)


@dataclass(frozen=True)
class _Known:
    """An artifact as the release has it, in a folder of its own."""

    folder: Path
    manifest: Manifest
    golden: Path | None


@contextlib.contextmanager
def _date(created: str | None) -> Iterator[None]:
    """Let what is made here have the date of the release, or none."""
    before = os.environ.pop("SOURCE_DATE_EPOCH", None)
    if created is not None:
        moment = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        os.environ["SOURCE_DATE_EPOCH"] = str(int(moment.timestamp()))
    try:
        yield
    finally:
        os.environ.pop("SOURCE_DATE_EPOCH", None)
        if before is not None:
            os.environ["SOURCE_DATE_EPOCH"] = before


def _bundles(folder: Path, release: Release, aside: Path) -> dict[str, tuple[Path, Bundle]]:
    """Each bundle as a folder, archives unpacked, with its bundle.json."""
    found = {}
    for at, one in enumerate(release.bundles):
        place = folder / one.path
        if one.archive:
            (into := aside / str(at)).mkdir(parents=True)
            place, _ = unpack(place, into)
        found[one.path] = (place, Bundle.read(place / BUNDLE))
    return found


def _artifacts(bundles: Mapping[str, tuple[Path, Bundle]], aside: Path) -> list[_Known]:
    """Each artifact in any of the bundles once, sorted by its name."""
    found: dict[str, _Known] = {}
    for folder, bundle in bundles.values():
        with places(folder, bundle) as there:
            for one in there:
                name = PurePosixPath(one.artifact.folder).name
                if name not in found:
                    found[name] = _taken(one, aside / name, aside / "golden" / name)
    return [found[name] for name in sorted(found)]


def _taken(place: Place, to: Path, golden: Path) -> _Known:
    """Copies of an artifact, and of its golden vectors, which in an archive lie below it."""
    inside, own = place.artifact.folder, place.artifact.golden
    shutil.copytree(place.root / inside, to)
    if own is not None:
        shutil.copytree(place.root / own, golden)
        if PurePosixPath(own).is_relative_to(inside):
            shutil.rmtree(to / PurePosixPath(own).relative_to(inside))
    return _Known(to, Manifest.read(to / MANIFEST), None if own is None else golden)


def _measured_alike(exported: Sequence[Path], known: Sequence[_Known]) -> tuple[list[Path], float]:
    """The release's own artifacts where those made here are the same but for rounding, and by how much they differ."""
    own = {_kind(one.manifest): one.folder for one in known}
    chosen, rounding = [], 0.0
    for folder in exported:
        there = own.get(_kind(Manifest.read(folder / MANIFEST)))
        apart = None if there is None else artifacts_apart(folder, there)
        chosen.append(folder if there is None or apart is None else there)
        rounding = max(rounding, apart or 0.0)
    return chosen, rounding


def _kind(manifest: Manifest) -> tuple[str, str, str, str]:
    return manifest.target.name, manifest.target.format, manifest.precision, manifest.input.dtype


def _export(request: RebuildRequest, manifests: Sequence[Manifest], out: Path, reporter: Reporter) -> tuple[Path, ...]:
    """Export what the manifests describe; those that were asked for alike, in one run."""
    from edgekit import pipeline, targets

    plan = None if request.plan is None else read_plan(request.plan)
    alike: dict[tuple[object, ...], list[Manifest]] = {}
    for one in manifests:
        alike.setdefault(_asked(one), []).append(one)
    folders: list[Path] = []
    for group in alike.values():
        first = group[0]
        precision: Literal["fp32", "fp16"] = "fp16" if first.precision == "fp16" else "fp32"
        asked = pipeline.ExportRequest(
            recipe=request.recipe,
            targets=[targets.find(one.target.name, one.target.format) for one in group],
            out=out,
            precision=None if first.quantization is not None else precision,
            plan=None if first.quantization is None else _planned(first, plan),
            min_ios=first.target.min_ios,
            dynamic_batch=first.input.layout.startswith("N"),
            input_dtype="uint8" if first.input.dtype == "uint8" else "float32",
            verify=first.parity.verdict != "unverified",
        )
        result = pipeline.export(asked, reporter)
        result.raise_for_failures()
        folders += [item.folder for item in result.exports]
    return tuple(folders)


def _asked(manifest: Manifest) -> tuple[object, ...]:
    """What artifacts of one export have alike."""
    return (
        manifest.quantization is not None or manifest.precision,
        manifest.target.min_ios,
        manifest.input.dtype == "uint8",
        manifest.input.layout.startswith("N"),
        manifest.parity.verdict == "unverified",
    )


def _planned(manifest: Manifest, plan: Plan | None) -> Plan:
    """The plan that the artifact follows."""
    if plan is None:
        raise UsageError(
            f"the release holds {manifest.artifact} in {manifest.precision}, which follows a plan; give it as `plan`",
            field="plan",
        )
    if plan.model_dump(mode="json") != manifest.quantization:
        raise InputError(f"{manifest.artifact} follows another plan than the one given; give its own", field="plan")
    return plan


def _compare(
    theirs: Mapping[str, tuple[Path, Bundle]],
    ours: Mapping[str, tuple[Path, Bundle]],
    manifests: Sequence[Manifest],
    rounding: float,
) -> Rebuilt:
    found, files = [], 0
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in theirs or name not in ours:
            what = "only in the release" if name in theirs else "only here"
            found.append(Difference("bundle", name, BUNDLE, what))
            continue
        left, right = (_hashes(*side[name]) for side in (theirs, ours))
        files += len(left.keys() | right.keys())
        for path in sorted(left.keys() | right.keys()):
            if left.get(path) != right.get(path):
                what = (
                    "differs" if path in left and path in right else ["only here", "only in the release"][path in left]
                )
                found.append(Difference(step_of(path, theirs[name][1]), name, path, what))
    order = list(STEPS)
    found.sort(key=lambda one: (order.index(one.step), one.bundle, one.path))
    return Rebuilt(files, tuple(found), _versions(manifests), rounding)


def _hashes(folder: Path, bundle: Bundle) -> dict[str, str]:
    """SHA-256 of each file but bundle.json, which follows from them, by path; those of a container one by one."""
    found = {entry.path: entry.sha256 for entry in bundle.files}
    with places(folder, bundle) as there:
        for one in there:
            if (container := one.artifact.container) is not None:
                found |= {f"{container}!/{name}": digest for name, digest in one.listed.items()}
    return found


def step_of(path: str, bundle: Bundle) -> str:
    """Which step of the road writes that file."""
    container, inside, name = path.partition("!/")
    name = name if inside else container
    for artifact in bundle.artifacts:
        if bool(inside) != (artifact.container is not None) or (inside and artifact.container != container):
            continue
        if artifact.golden is not None and PurePosixPath(name).is_relative_to(artifact.golden):
            return "golden"
        if PurePosixPath(name).is_relative_to(artifact.folder):
            rest = PurePosixPath(name).relative_to(artifact.folder).as_posix()
            return {MANIFEST: "describe", PARITY: "verify"}.get(rest, "lower")
    top = name.split("/")[0]
    return "document" if top in _DOCUMENTS or top == LICENSES else "bundle"


def _versions(manifests: Sequence[Manifest]) -> dict[str, tuple[str, str]]:
    stated = {name: version for manifest in manifests for name, version in manifest.toolchain.items()}
    here = toolchain(stated)
    return {name: (version, here.get(name, "none")) for name, version in stated.items() if here.get(name) != version}
