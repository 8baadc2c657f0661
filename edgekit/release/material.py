"""What a release is made of: artifacts that agree with their manifests, were verified, and are of one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from edgekit.artifact.folder import find, verify_files
from edgekit.artifact.manifest import FILENAME as MANIFEST
from edgekit.artifact.manifest import FileEntry, Manifest
from edgekit.bench.parity.document import DeviceParity
from edgekit.bench.schema import Result
from edgekit.errors import InputError, ParityError, UsageError
from edgekit.parity.report import FILENAME as PARITY
from edgekit.parity.report import ParityReport
from edgekit.quantization.schemes import gates_for
from edgekit.recipe.gates import Gates
from edgekit.release.bundle import ParityFigure, Previous
from edgekit.release.names import check_names
from edgekit.release.training import TrainingCard
from edgekit.support.files import sha256_tree
from edgekit.support.text import shown

__all__ = [
    "LEVELS",
    "Given",
    "Level",
    "Subject",
    "check_parity_level",
    "check_together",
    "open_given",
    "parity_figures",
    "space_of",
]

Level = Literal["host", "emulated", "device"]
LEVELS: Final[tuple[str, ...]] = ("reference", "host", "emulated", "device")  # from the weakest proof to the strongest


@dataclass(frozen=True, eq=False)
class Given:
    """A published artifact as it was given, its files compared with their hashes."""

    folder: Path
    path: Path  # the model
    manifest: Manifest
    parity: ParityReport | None
    figures: tuple[ParityFigure, ...]  # of the export first, then of devices

    @property
    def bytes(self) -> int:
        """Of the model, without its documents."""
        return sum(entry.bytes for entry in self.model_files)

    @property
    def model_files(self) -> list[FileEntry]:
        """The model's files, by their path in `folder`."""
        model = self.manifest.artifact
        return [entry for entry in self.manifest.files if PurePosixPath(entry.path).is_relative_to(model)]

    @property
    def verified(self) -> bool:
        """Whether its export compared it with the original, and it passed."""
        return self.manifest.parity.verdict == "pass"


@dataclass(frozen=True, eq=False)
class Subject:
    """What the documents of a bundle speak of."""

    name: str
    version: str
    kind: str
    space: str
    license: str
    update: str  # what a search team must do, in one line
    previous: Previous | None
    given: tuple[Given, ...]
    card: TrainingCard | None

    @property
    def manifest(self) -> Manifest:
        """Of the first artifact: in what follows from the model, all agree."""
        return self.given[0].manifest

    @property
    def description(self) -> str:
        """What the author says of the model."""
        return shown(self.manifest.metadata.description or "Image embedding", 500)


def open_given(
    path: Path,
    results: Sequence[Result] = (),
    parities: Sequence[DeviceParity] = (),
    *,
    allow_unverified: bool = False,
) -> Given:
    """Open the folder of an export, or the artifact in one.

    Raises:
        InputError: it has no manifest, or a damaged one, or a name that no bundle can have.
        IntegrityError: a file is not what the manifest says.
        ParityError: it was not verified, or did not pass, and `allow_unverified` is not set.
    """
    artifact, manifest = find(path)
    if manifest is None:
        raise InputError(
            f"{artifact}: has no manifest.json beside it, so nothing says what it is; give the folder that "
            "`edgekit export` published"
        )
    folder = artifact.parent
    check_names((f"{folder.name}/{name}" for name in (MANIFEST, *(entry.path for entry in manifest.files))), str(path))
    verify_files(manifest, folder)
    verdict = manifest.parity.verdict
    if verdict != "pass" and not allow_unverified:
        raise ParityError(
            f"{folder}: its parity verdict is `{verdict}`; export it again with verification, or package it with "
            "`allow_unverified=True`",
            field="allow_unverified",
        )
    listed = any(entry.path == PARITY for entry in manifest.files)
    parity = ParityReport.read(folder / PARITY) if listed else None
    if parity is not None and parity.verdict != verdict:
        raise InputError(f"{folder}: parity.json says {parity.verdict}, its manifest {verdict}; export it again")
    return Given(folder, artifact, manifest, parity, parity_figures(artifact, manifest, results, parities, parity))


def parity_figures(
    artifact: Path,
    manifest: Manifest,
    results: Sequence[Result],
    parities: Sequence[DeviceParity] = (),
    parity: ParityReport | None = None,
) -> tuple[ParityFigure, ...]:
    """How the artifact was compared: at its export, by `edgekit parity` on each device, and in each measurement of this
    very file on a phone.

    A document of a device is held to the artifact's own gate, of its `parity`, or of its precision where that is not
    there; not to the one that stands in the document.
    A measurement's figure compares its answers with those of the file on the host, which the export compared with the
    original.
    """
    own = manifest.parity
    figures = [
        ParityFigure(
            obtained="reference" if own.reference else "host",
            verdict=own.verdict,
            runtime=own.runtime,
            images=own.images,
            min_cosine=own.min_cosine,
        )
    ]
    digest = sha256_tree(artifact) if results or parities else ""
    gates = Gates.for_precision(gates_for(manifest.precision)) if parity is None else parity.gates
    figures += [
        ParityFigure(
            obtained=one.label,
            verdict=one.verdict_at(max(gates.min_cosine, one.report.gates.min_cosine)),
            runtime=f"{one.ran} on {one.place}"[:200],
            images=one.images.received,
            min_cosine=one.report.min_cosine,
        )
        for one in parities
        if one.model.sha256 == digest
    ]
    for result in results:
        if result.model.sha256 != digest or result.device.platform not in ("android", "ios"):
            continue
        # Where nobody knows whether a device is real, it counts as an emulated one.
        figures.append(
            ParityFigure(
                obtained="device" if result.device.emulated is False else "emulated",
                verdict="pass" if result.check.passed else "fail",
                runtime=f"{result.runtime.name} on {shown(result.device.label, 80)}",
                images=result.check.images,
                min_cosine=result.check.min_cosine,
            )
        )
    return tuple(figures)


def check_parity_level(given: Given, level: Level | None) -> None:
    """Refuse an artifact that no figure of `level`, or of a stronger one, shows to pass.

    Raises:
        ParityError: says what there is.
    """
    if level is None:
        return
    enough = LEVELS[LEVELS.index(level) :]
    failed = [figure for figure in given.figures if figure.verdict == "fail"]
    if failed:
        raise ParityError(f"{given.folder}: parity failed ({failed[0].obtained}, {failed[0].runtime}); do not ship it")
    if not any(figure.obtained in enough and figure.verdict == "pass" for figure in given.figures):
        known = ", ".join(dict.fromkeys(figure.obtained for figure in given.figures))
        raise ParityError(
            f"{given.folder}: was compared with the original by {known} alone, `require_parity` asks for {level}; "
            "compare it there with `edgekit parity`, or measure it with `edgekit bench`, and give what they write as "
            "`results`",
            field="require_parity",
        )


def space_of(given: Given) -> str:
    """The embedding space that an artifact's manifest states; InputError where an earlier version wrote it."""
    if (space := given.manifest.embedding.space) is None:
        raise InputError(f"{given.folder}: its manifest names no embedding space; export it again with this version")
    return space


def check_together(given: Sequence[Given]) -> None:
    """Refuse artifacts that do not belong into one release.

    Raises:
        UsageError: two are of different models, versions or embedding spaces, or are the same but for their folder.
    """
    first = given[0]
    for other in given[1:]:
        for what, mine, theirs in zip(_SAME, _same(first), _same(other), strict=True):
            if mine != theirs:
                raise UsageError(
                    f"{other.folder}: {what} {shown(str(theirs), 80)}, {first.folder} {shown(str(mine), 80)}; "
                    "package one model at a time"
                )
    for unique, advice in ((_kind, "give one of them"), (_name, "rename one of the folders")):
        seen: dict[str, Given] = {}
        for one in given:
            key = unique(one)
            if key in seen:
                raise UsageError(f"{one.folder} and {seen[key].folder} are both {key}; {advice}")
            seen[key] = one


_SAME: Final = ("is of the recipe", "is of weights with sha256", "has the licence", "has the version",
                "is in the embedding space")  # fmt: skip


def _same(given: Given) -> tuple[object, ...]:
    manifest = given.manifest
    weights = manifest.weights
    return (manifest.recipe.get("name"), weights.sha256, weights.license, manifest.metadata.version, space_of(given))


def _kind(given: Given) -> str:
    target = given.manifest.target
    return f"{target.name} {target.format} {given.manifest.precision} with input {given.manifest.input.dtype}"


def _name(given: Given) -> str:
    return given.folder.name.casefold()
