"""Run one artifact on several versions of its runtime, and judge each against the original model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import targets
from edgekit.artifact.folder import check_size, find, stated, verify_files, write_manifest
from edgekit.artifact.manifest import Manifest
from edgekit.errors import UsageError
from edgekit.quantization.schemes import gates_for
from edgekit.recipe import Recipe, resolve_model
from edgekit.runtimes.report import RuntimeRow, RuntimesReport
from edgekit.runtimes.trial import Trial, write_pixels
from edgekit.runtimes.wheels import Say, Wheel, installed
from edgekit.support.drafts import scratch
from edgekit.support.fields import AnyPath, Converted, OptionalPath, PathField, check_number, optional_path
from edgekit.support.files import sha256_tree
from edgekit.support.progress import Reporter, Silent, Tick
from edgekit.support.text import shown
from edgekit.support.threads import one_thread
from edgekit.targets import Target

if TYPE_CHECKING:
    from edgekit.parity.judge import Judge

__all__ = ["RuntimesRequest", "check_runtimes"]

_VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){0,3}")
_MOST = 20  # versions
_BUNDLE = "bundle.json"  # of a release, which has a hash of each file


def _versions(given: str | Sequence[str]) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else list(given)
    names = tuple(dict.fromkeys(part.strip() for part in parts))
    for name in names:
        if not _VERSION.fullmatch(name):
            raise UsageError(f"{shown(name)!r} is no version; give numbers such as 1.4 or 1.4.1", field="runtimes")
    if len(names) > _MOST:
        raise UsageError(f"{len(names)} versions are too many at once; give at most {_MOST}", field="runtimes")
    return names


@dataclass(frozen=True)
class RuntimesRequest:
    """What to run where. `runtimes` are versions: "1.3" is the newest release of that line."""

    path: PathField = Converted(Path)
    recipe: Converted[Recipe | AnyPath, Recipe] = Converted(resolve_model)
    runtimes: Converted[str | Sequence[str], tuple[str, ...]] = Converted(_versions)
    images: OptionalPath = Converted(optional_path, None)
    samples: int | None = None
    keep: bool = False  # the environments, for the next time
    record: bool = False  # the oldest that agrees, in the artifact's manifest

    def __post_init__(self) -> None:
        if self.samples is not None:
            check_number("samples", self.samples, 1)


@dataclass(frozen=True)
class _File:
    path: Path
    target: Target
    manifest: Manifest


@one_thread()
def check_runtimes(request: RuntimesRequest, reporter: Reporter | None = None) -> RuntimesReport:
    """Run the artifact on each version, in an environment and a process of its own, and compare as `check_parity` does.

    A version that refuses or crashes on the file is a row of the report; a missed gate raises nothing either.

    Raises:
        UsageError: the format's runtime has no versions, or there is no such one for this Python.
        MissingDependencyError: there is no pip, or no package index answers.
        EdgeKitError: the artifact or the model cannot be opened, or the manifest not be written.
    """
    reporter = reporter or Silent()
    file = _file_of(request)
    package = file.target.runtime.package
    with ExitStack() as stack:
        found: dict[str, Wheel] = {}
        for version in request.runtimes:  # all before the first is run: a wrong number is told at once
            with reporter.stage(f"get {package} {version}") as tick:
                wanted = installed(package, f"=={version}.*", keep=request.keep, say=_say(reporter, tick))
                wheel = stack.enter_context(wanted)
            found.setdefault(wheel.version, wheel)
        judge = _judge_of(file, request, reporter)
        folder = stack.enter_context(scratch())
        write_pixels(judge.data, len(judge.reference.names), folder)
        rows = [_row(found[version], file, judge, folder, request, reporter) for version in sorted(found, key=_order)]
    report = RuntimesReport(
        artifact=file.path.name,
        sha256=sha256_tree(file.path),
        package=package,
        oldest=_oldest(rows),
        versions=rows,
    )
    if request.record:
        write_manifest(file.manifest.model_copy(update={"runtime": report.summary()}), file.path.parent)
    return report


def _file_of(request: RuntimesRequest) -> _File:
    artifact, manifest = find(request.path)
    target = targets.of(artifact) if manifest is None else targets.find(manifest.target.name, manifest.target.format)
    if target.runtime.beside is None:
        able = ", ".join(dict.fromkeys(row.suffix for row in targets.TARGETS if row.runtime.beside is not None))
        raise UsageError(
            f"{artifact}: the runtime of {target} is part of the phone's system, of which there are no versions to "
            f"install here; give a file that ends in {able}",
            field="runtimes",
        )
    manifest = stated(artifact, manifest)
    verify_files(manifest, artifact.parent)
    if request.record and (of := next((one for one in artifact.absolute().parents if (one / _BUNDLE).is_file()), None)):
        raise UsageError(
            f"{of}: a bundle of a release, whose hashes `record` would make wrong; give the folder that it was made of",
            field="record",
        )
    return _File(artifact, target, manifest)


def _judge_of(file: _File, request: RuntimesRequest, reporter: Reporter) -> Judge:
    from edgekit.data.datasets import SAMPLES, a_few, pictures
    from edgekit.model.build import build
    from edgekit.parity.judge import judge_of

    embedder = build(request.recipe, reporter)
    check_size(file.path, file.manifest, request.recipe.name, embedder.spec.size)
    data = pictures(request.images, request.samples or SAMPLES, embedder.spec, reporter)
    return judge_of(embedder, a_few(data, file.target.images_for(request.samples)), reporter, plain=False)


def _row(
    wheel: Wheel, file: _File, judge: Judge, folder: Path, request: RuntimesRequest, reporter: Reporter
) -> RuntimeRow:
    """What one version makes of the file; where it does not start, once more with what it was built beside."""
    from edgekit.parity.check import compare

    count = len(judge.reference.names)
    trial = Trial(file.path, file.target, folder, count)
    with ExitStack() as stack:
        beside: list[Wheel] = []
        with reporter.stage(f"{wheel.name} {wheel.version}: embed {count} images") as tick:
            outcome = trial.run([wheel.folder], tick)
        if not outcome.starts and (needed := _beside(wheel, file.target.runtime.beside)) is not None:
            with reporter.stage(f"get {''.join(needed)} for {wheel.name} {wheel.version}") as tick:
                other = installed(*needed, keep=request.keep, say=_say(reporter, tick))
                beside.append(stack.enter_context(other))
            with reporter.stage(f"{wheel.name} {wheel.version}: embed {count} images") as tick:
                outcome = trial.run([wheel.folder, beside[0].folder], tick)
    said = {"version": wheel.version, "beside": f"{beside[0].name} {beside[0].version}" if beside else None}
    if outcome.rows is None:
        return RuntimeRow(verdict="refused" if outcome.starts else "unavailable", reason=outcome.reason, **said)
    report = compare(
        outcome.rows,
        judge.reference,
        request.recipe.gates.of(gates_for(file.manifest.precision)),
        dataset=judge.data.name,
        digest=judge.digest,
        runtime=f"{wheel.name} {wheel.version}",
        stand_in=False,
    )
    return RuntimeRow(verdict=report.verdict, reason="; ".join(report.reasons) or None, parity=report, **said)


def _beside(wheel: Wheel, needed: tuple[str, str] | None) -> tuple[str, str] | None:
    """The package and the versions that a version is installed with; None where its metadata does not say which."""
    name, wanted = needed or ("", "{lowest}")
    lowest = wheel.lowest(name)
    return None if lowest is None and "{lowest}" in wanted else (name, wanted.replace("{lowest}", lowest or ""))


def _say(reporter: Reporter, tick: Tick) -> Say:
    """Tell on the live line, or in a log on one of its own."""

    def say(text: str) -> None:
        tick(0, 1, text)
        reporter.progress(text)

    return say


def _oldest(rows: Sequence[RuntimeRow]) -> str | None:
    """The version from which on all agree; `rows` are the oldest first."""
    oldest = None
    for row in reversed(rows):
        if row.verdict != "pass":
            break
        oldest = row.version
    return oldest


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
