"""Make a release: a bundle for each platform and their index, of verified artifacts, all or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from edgekit.artifact.manifest import Manifest, created_now
from edgekit.bench.parity.document import SUFFIX, DeviceParity, read_parity
from edgekit.bench.schema import Result, read_result
from edgekit.errors import UsageError
from edgekit.evaluation.compatibility import CompatibilityReport
from edgekit.evaluation.prices import read_prices
from edgekit.recipe import Recipe, resolve_model
from edgekit.release.budget import check_budget, demands_of
from edgekit.release.bundle import Name, Release, ReleasedBundle, Version
from edgekit.release.changelog import Before, changelog, read_before
from edgekit.release.evidence import golden_apart
from edgekit.release.frame import Frame, Made, released_files, write_bundle, write_index
from edgekit.release.golden import make_golden
from edgekit.release.keys import check_private
from edgekit.release.kinds import KINDS, Checked, Kind, find
from edgekit.release.licenses import check_license, spelled, write_licenses
from edgekit.release.material import (
    Given,
    Level,
    Subject,
    check_parity_level,
    check_together,
    open_given,
    space_of,
)
from edgekit.release.names import fault_in
from edgekit.release.sign import SignRequest, sign
from edgekit.release.training import TrainingCard, find_card, read_card
from edgekit.release.update import Known, advise
from edgekit.support.drafts import scratch
from edgekit.support.fields import AnyPaths, Converted, OptionalPath, PathField, PathsField, optional_path, paths
from edgekit.support.progress import Reporter, Silent
from edgekit.support.staging import staging
from edgekit.support.text import shown
from edgekit.support.threads import one_thread

__all__ = ["PackageRequest", "PackageResult", "package"]

_NO_NPM: Final = ("node_modules", "favicon.ico")
_EXPORTED: Final = {"ios": "coreml", "android": "executorch", "web": "onnx"}  # what each kind gets of a recipe


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


@dataclass(frozen=True)
class PackageRequest:
    """Which artifacts become which bundles, and what is asked of them."""

    artifacts: Converted[AnyPaths, tuple[Path, ...]] = Converted(paths, ())  # none: what the kinds need is exported
    out: PathField = Converted(Path, Path("release"))
    kinds: Converted[str | Sequence[str], tuple[str, ...]] = Converted(_names, ())  # none: each that takes an artifact
    name: str | None = None  # None: the recipe's
    release_version: str | None = None  # None: the version of the artifacts' metadata
    recipe: Recipe | Path | str | None = None  # what is exported, where no artifact is given; None: the default model
    previous: OptionalPath = Converted(optional_path, None)  # the release that this one follows
    compatibility: OptionalPath = Converted(optional_path, None)  # report of its model and this one
    prices: OptionalPath = Converted(optional_path, None)  # what indexing costs; None: the shipped table
    results: PathsField = Converted(paths, ())  # of `edgekit bench`
    card: OptionalPath = Converted(optional_path, None)  # the training card; None: the one beside the weights
    license_file: OptionalPath = Converted(optional_path, None)  # the text of the weights' licence
    accept_licenses: Converted[str | Sequence[str], tuple[str, ...]] = Converted(_names, ())
    require_parity: Level | None = None
    allow_unverified: bool = False
    private_key: OptionalPath = Converted(optional_path, None)  # signs the release
    password: str | None = None  # of that key

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        for kind in self.kinds:
            find(kind)
        if self.require_parity not in (None, *get_args(Level)):
            raise UsageError(
                f"`require_parity` is {self.require_parity!r}; choose from {', '.join(get_args(Level))}",
                field="require_parity",
            )
        if self.require_parity is not None and self.allow_unverified:
            raise UsageError(
                "`require_parity` and `allow_unverified` contradict each other; give one", field="allow_unverified"
            )
        if self.artifacts and self.recipe is not None:
            raise UsageError("`recipe` is for releases without artifacts; give artifacts, or a recipe", field="recipe")
        _named(self.name, Name, "name", "small letters, digits, dots and hyphens, as in shop-embedder")
        _named(self.release_version, Version, "release_version", "numbers, as in 1.4.0")


@dataclass(frozen=True)
class PackageResult:
    """What was written."""

    out: Path
    release: Release
    left_out: dict[str, str]  # kinds without a bundle, and why
    signed: bool

    @property
    def bundles(self) -> list[ReleasedBundle]:
        """Folders and archives, kind by kind."""
        return self.release.bundles


@one_thread()
def package(
    request: PackageRequest, reporter: Reporter | None = None, *, golden: Mapping[str, Path] | None = None
) -> PackageResult:
    """Write a release to `out`, where an older one is replaced in one step.

    `golden` has golden vectors by an artifact's name that are taken in place of this machine's, where both are the same
    but for a processor's rounding.

    Raises:
        UsageError: artifacts that do not belong together, or a licence that nobody accepted.
        InputError, IntegrityError: an artifact that is not what its manifest says.
        ParityError: an artifact that was not verified, or not as well as is required.
        BudgetError: an artifact that is larger or slower than its recipe allows.
        OutputError: `out` holds something else, or cannot be written.
    """
    reporter = reporter or Silent()
    created, chosen = created_now(), [find(name) for name in dict.fromkeys(request.kinds or KINDS)]
    parities = [read_parity(path) for path in request.results if path.name.endswith(SUFFIX)]
    results = [read_result(path) for path in request.results if not path.name.endswith(SUFFIX)]
    if request.private_key is not None:
        check_private(request.private_key, request.password, Silent())  # before the work
    with scratch() as aside:
        recipe = None if request.artifacts else resolve_model(request.recipe)
        artifacts = request.artifacts if recipe is None else _export(recipe, chosen, aside / "exported", reporter)
        made = _open(request, artifacts, (results, parities), aside / "golden", reporter)
        subject, before = _subject(request, made, results, None if recipe is None else recipe.model.weights)
        fitting, left_out = _fit(chosen, subject.given, asked=bool(request.kinds))
        _tell(request, subject, left_out, reporter)
        _write_golden(made, golden or {}, aside / "photos", reporter)
        with staging(request.out, released_files) as folder, _named_inside(folder, subject) as inside:
            frame = Frame(inside, aside, created, changelog(subject, before, created), aside / "licenses")
            _write_licenses(request, subject, frame.licenses, reporter)
            bundles: list[ReleasedBundle] = []
            for kind in fitting:
                manifests = kind.take([one.manifest for one, _ in made])
                taken = [(one, checked) for one, checked in made if one.manifest in manifests]
                with reporter.stage(f"write the {kind.name} bundle ({kind.title})"):
                    bundles += write_bundle(kind, subject, taken, frame)
            release = write_index(subject, bundles, frame)
            if request.private_key is not None:
                unverified = request.allow_unverified
                sign(SignRequest(inside, request.private_key, request.password, allow_unverified=unverified), reporter)
    return PackageResult(request.out, release, left_out, request.private_key is not None)


@contextmanager
def _named_inside(folder: Path, subject: Subject) -> Iterator[Path]:
    """A folder in `folder` while it is filled: a signature states its name, which must not be that of a draft."""
    inside = folder / f"{subject.name}-{subject.version}"
    inside.mkdir()
    yield inside
    for path in inside.iterdir():
        path.rename(folder / path.name)
    inside.rmdir()


def _export(recipe: Recipe, kinds: Sequence[Kind], out: Path, reporter: Reporter) -> tuple[Path, ...]:
    """Export what `kinds` need; the folders of the exports."""
    from edgekit import pipeline, targets

    wanted = [_EXPORTED[kind.name] for kind in kinds if kind.name in _EXPORTED] or [*_EXPORTED.values()]
    rows = [next(row for row in targets.TARGETS if row.format == form) for form in wanted]
    request = pipeline.ExportRequest(recipe=recipe, targets=rows, out=out)
    result = pipeline.export(request, reporter)
    result.raise_for_failures()
    return tuple(item.folder for item in result.exports)


def _open(
    request: PackageRequest,
    artifacts: Sequence[Path],
    evidence: tuple[Sequence[Result], Sequence[DeviceParity]],
    golden: Path,
    reporter: Reporter,
) -> list[Made]:
    """Artifacts that may be packaged together, in an order that does not depend on how they were given."""
    with reporter.stage(f"check {len(artifacts)} artifacts") as tick:
        given = []
        for at, path in enumerate(artifacts):
            tick(at, len(artifacts), path.name)
            given.append(open_given(path, *evidence, allow_unverified=request.allow_unverified))
            check_parity_level(given[-1], request.require_parity)
        check_together(given)
        given.sort(key=lambda one: one.folder.name)
        made = [(one, Checked(one.folder, one.manifest, one.parity, golden / one.folder.name)) for one in given]
        check_budget(given, evidence[0])
    return made


def _subject(
    request: PackageRequest, made: Sequence[Made], results: Sequence[Result], weights: Path | None
) -> tuple[Subject, Before | None]:
    first, _ = made[0]
    manifest = first.manifest
    license = spelled(manifest.weights.license or "unknown")
    check_license(license, request.accept_licenses)
    name = request.name or str(manifest.recipe.get("name")).lower()
    _named(name, Name, "name", "one in small letters, digits, dots and hyphens; the recipe's is none")
    version = request.release_version or manifest.metadata.version or ""
    _named(version, Version, "release_version", "one such as 1.4.0; the recipe's is none")
    before = None if request.previous is None else read_before(request.previous, name, version)
    report = None if request.compatibility is None else CompatibilityReport.read(request.compatibility)
    known = Known(
        previous=None if before is None else before.previous,
        version=version,
        space=space_of(first),
        shared=manifest.embedding.shared,
        report=report,
        listings=demands_of(first).listings,
        artifacts=tuple(one for one, _ in made),
        results=tuple(results),
        prices=read_prices(request.prices),
    )
    subject = Subject(
        name=name,
        version=version,
        kind="",
        space=known.space,
        license=license,
        update=advise(known),
        previous=known.previous,
        given=tuple(given for given, _ in made),
        card=_card(request, manifest, weights),
    )
    return subject, before


def _card(request: PackageRequest, manifest: Manifest, weights: Path | None) -> TrainingCard | None:
    return find_card(manifest, weights) if request.card is None else read_card(request.card, manifest)


def _tell(request: PackageRequest, subject: Subject, left_out: Mapping[str, str], reporter: Reporter) -> None:
    """Say what was let pass, and what there will not be."""
    if limit := check_license(subject.license, request.accept_licenses):
        reporter.note(f"{limit}; it is accepted by name")
    for one in subject.given:
        if not one.verified:
            reporter.note(f"{one.folder.name}: its parity verdict is {one.manifest.parity.verdict}, as its bundles say")
    for name, why in left_out.items():
        reporter.note(f"no {name} bundle: {why}")


def _fit(kinds: Sequence[Kind], given: Sequence[Given], *, asked: bool) -> tuple[list[Kind], dict[str, str]]:
    """The kinds that take an artifact, and why the others do not; those are an error where they were asked for."""
    manifests = [one.manifest for one in given]
    there = ", ".join(sorted({f"{one.target.name} {one.target.format}" for one in manifests}))
    left_out = {
        kind.name: f"it takes {' or '.join(kind.formats)}{_for(kind)}, and the artifacts are {there}"
        for kind in kinds
        if not kind.take(manifests)
    }
    fitting = [kind for kind in kinds if kind.name not in left_out]
    for name, why in left_out.items():
        if asked or not fitting:
            raise UsageError(f"no artifact for the bundle {name}: {why}; export one, or leave it out", field="kinds")
    return fitting, left_out


def _for(kind: Kind) -> str:
    return f" for {' or '.join(kind.platforms)}" if kind.platforms and kind.platforms != kind.formats else ""


def _write_golden(made: Sequence[Made], golden: Mapping[str, Path], photos: Path, reporter: Reporter) -> None:
    photos.mkdir()
    with reporter.stage(f"make golden vectors for {len(made)} artifacts") as tick:
        for at, (one, checked) in enumerate(made):
            tick(at, len(made), checked.name)
            make_golden(one.folder, one.manifest, checked.golden, photos, Silent())
            known = golden.get(checked.name)
            if known is not None and golden_apart(checked.golden, known):
                shutil.rmtree(checked.golden)
                shutil.copytree(known, checked.golden)


def _write_licenses(request: PackageRequest, subject: Subject, folder: Path, reporter: Reporter) -> None:
    weights = subject.manifest.weights
    about = f"{weights.file or subject.name}, {weights.origin}, sha256 {weights.sha256 or 'none'}"
    missing = write_licenses(folder, subject.license, shown(about, 300), request.license_file)
    if missing:
        reporter.note(f"the text of {', '.join(missing)} is not at hand; give it as `license_file`")


def _named(value: str | None, form: object, field: Literal["name", "release_version"], advice: str) -> None:
    try:
        if value is not None:
            TypeAdapter(form).validate_python(value)
    except ValidationError:
        raise UsageError(f"`{field}` is {shown(value or '', 80)!r}; give {advice}", field=field) from None
    if value is not None and (value in _NO_NPM or fault_in(value)):
        raise UsageError(f"`{field}` is {value!r}, a name that npm or Windows refuse; give another", field=field)
