"""Compare an artifact with the original on devices, many at once: the drivers of measurements with a job of parity."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgekit.bench.drivers import table
from edgekit.bench.drivers.base import Driver, NoRoomError, Outcome, Say, require_formats, run
from edgekit.bench.drivers.phone import PhoneJob
from edgekit.bench.drivers.runner import on_devices
from edgekit.bench.parity.document import DeviceParity, Images, label_of
from edgekit.bench.parity.judge import Subject, judged
from edgekit.bench.parity.parts import MOST_BYTES, Part
from edgekit.bench.parity.subject import Given, subject
from edgekit.bench.request import BenchRequest
from edgekit.errors import EdgeKitError, UsageError
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.fields import AnyPath, Converted, OptionalPath, check_number, optional_path
from edgekit.support.progress import Reporter, Silent

__all__ = ["SAMPLES", "Finding", "ParityRequest", "device_parity"]

_UNKNOWN = re.compile(r"(unknown|unexpected|no such).{0,60}(embeddings|photos)", re.I)
SAMPLES = 256  # images where nobody says how many
PART_BYTES = 64 << 20  # of images that go to a device at once: a few hundred of usual sizes


@dataclass(frozen=True, kw_only=True)
class ParityRequest:
    """Which images go to which devices; `where` names one artifact, the kind of device and the devices.

    Raises:
        UsageError: a number is not one that can be meant.
    """

    where: BenchRequest
    images: OptionalPath = Converted(optional_path, None)  # a folder; default: the synthetic catalogue
    samples: int = SAMPLES  # images, at most
    raw: bool = False  # photos go over as files, and the device decodes and prepares them itself
    part_bytes: int = PART_BYTES  # of images that a device gets at once, at most

    def __post_init__(self) -> None:
        check_number("samples", self.samples, 2)
        check_number("part_bytes", self.part_bytes, 1)
        if self.part_bytes > MOST_BYTES:
            raise UsageError(f"`part_bytes` is more than the {MOST_BYTES} that a device takes")
        if len(self.where.artifacts) != 1:
            raise UsageError("give one artifact: it is compared with one model", field="artifacts")


@dataclass(frozen=True)
class Finding:
    """What came of one device with one setting of its compute units: a document, an error, or both of a lost one."""

    serial: str
    document: DeviceParity | None = None
    error: EdgeKitError | None = None


class _InParts:
    """A driver of measurements that gets images in parts, one after the other, until nothing comes of one.

    Parts for which a device has no room are halved, and so are those after them.
    """

    def __init__(self, driver: Driver[PhoneJob]) -> None:
        self._driver = driver

    async def measure(self, job: _Parts, serial: str, say: Say) -> AsyncIterator[Outcome]:
        left, total = deque(job.parts), job.parts[-1].stop
        most = total
        while left:
            part = left.popleft()
            if part.stop - part.start > most:
                left.extendleft(reversed(part.halves()))
                continue
            came = halved = False
            words = f"images {part.start + 1} to {part.stop} of {total}: " if len(job.parts) > 1 or left else ""
            async for outcome in self._driver.measure(job.of(part), serial, _ahead(words, say)):
                came |= outcome.error is None
                if isinstance(outcome.error, NoRoomError) and part.stop - part.start > 1:
                    halved, outcome = True, replace(outcome, error=None)
                yield replace(outcome, span=(part.start, part.stop), error=_explained(outcome.error))
            if halved:
                most = (part.stop - part.start + 1) // 2
                left.appendleft(part)
            elif not came:
                return

    async def restore(self, serial: str) -> Sequence[str]:
        return await self._driver.restore(serial)


@dataclass(frozen=True)
class _Parts:
    """What every device gets: the parts, and the job that each is set into."""

    job: PhoneJob
    parts: Sequence[Part]

    def of(self, part: Part) -> PhoneJob:
        return replace(self.job, golden=part, asked=self.job.asked.model_copy(update=part.fields()))


def _explained(error: EdgeKitError | None) -> EdgeKitError | None:
    """An error that an app or runner of another version gives, which does not know the fields of parity."""
    if error is None or not _UNKNOWN.search(str(error)):
        return error
    return type(error)(f"{error}; it is of another version: build it again from this one", field=error.field)


def _ahead(words: str, say: Say) -> Say:
    return lambda step: say(words + step)


def device_parity(
    request: ParityRequest, recipe: Recipe | AnyPath, reporter: Reporter | None = None
) -> Iterator[Finding]:
    """Send images to devices, and compare the embeddings that come back with those of the model that `recipe` names.

    Returns:
        The findings, a device and setting of its compute units each. Devices are chosen before this returns.

    Raises:
        UsageError: the kind of device gives no embeddings, or cannot do what is asked for; or no device is chosen.
        EdgeKitError: the artifact or the model cannot be opened, or a program that reaches the devices is missing.
    """
    reporter, where = reporter or Silent(), request.where
    row = table.find(where)
    if not row.embeds:
        keys = ", ".join(other.key for other in table.DRIVERS if other.embeds)
        raise UsageError(f"`on` is {row.key!r}; of {keys} embeddings come back", field="on")
    if request.raw and (not row.decodes or where.runner is not None):
        raise UsageError(
            "`raw` needs an app that decodes photos, of android or ios: what runs here takes pixels alone", field="raw"
        )
    if row.formats is not None:
        require_formats(where, row.formats, f"{row.key} takes")
    # One image is enough to see that the file opens; and nothing is timed, so that no phone needs to be cool.
    changes: dict[str, Any] = {"images": 1, "warmup": 0, "min_iterations": 1, "min_duration_s": 0.0}
    changes |= {"cooldown_minutes": 0.0} if "cooldown_minutes" in row.fields else {}
    driver = row.make(replace(where, **changes), reporter)
    return _findings(driver, run(driver.choose()), request, resolve_model(recipe), reporter)


def _findings(
    driver: Driver[PhoneJob], serials: Sequence[str], request: ParityRequest, recipe: Recipe, reporter: Reporter
) -> Iterator[Finding]:
    path = request.where.artifacts[0]
    given = Given(path, recipe, request.images, request.samples, request.raw, request.part_bytes)
    with driver.prepare([path]) as job, subject(given, job.asked.facts, reporter) as due:
        parts = _Parts(job, due.parts)
        with reporter.board(f"compare {path.name} on devices") as say:
            outcomes = run(on_devices(_InParts(driver), parts, serials, say))
    runs: dict[tuple[str, str | None], list[Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault((outcome.serial, outcome.compute_units), []).append(outcome)
    mode: Literal["pixels", "raw"] = "raw" if request.raw else "pixels"
    for (serial, _), own_runs in runs.items():
        yield _finding(due, serial, own_runs, mode)


def _finding(due: Subject, serial: str, outcomes: Sequence[Outcome], mode: Literal["pixels", "raw"]) -> Finding:
    came = [outcome for outcome in outcomes if outcome.embeddings is not None]
    error = next((outcome.error for outcome in outcomes if outcome.error is not None), None)
    first = next((outcome.result for outcome in came if outcome.result is not None), None)
    if first is None:
        return Finding(serial, error=error)
    try:
        report = judged(due, came)
    except EdgeKitError as wrong:
        return Finding(serial, error=error or wrong)
    told = [line for outcome in came if outcome.result is not None for line in outcome.result.errors]
    if error is not None:
        told.append(str(error).replace(serial, "the device"))  # documents are passed on
    document = DeviceParity(
        run_id=first.run_id,
        started_utc=first.started_utc,
        label=label_of(first.device),
        model=first.model,
        device=first.device,
        runtime=first.runtime,
        mode=mode,
        images=Images(asked=len(due.reference.names), received=report.dataset.images),
        report=report,
        errors=tuple(line[:500] for line in told[-64:]),
    )
    return Finding(serial, document, error)
