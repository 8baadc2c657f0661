"""From a plan to a batch: worker processes decode, the main process only receives tensors."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from edgekit.distillation.augment import Augmentation, canvas, draw
from edgekit.distillation.cache import Targets
from edgekit.distillation.sampling import Plan
from edgekit.distillation.sources.base import Source
from edgekit.errors import EdgeKitError, InputError, TrainingError
from edgekit.recipe import InputSpec
from edgekit.support.progress import Reporter
from edgekit.support.text import reason_of

__all__ = ["Batch", "DataSets", "Reader", "batches", "read_photos"]

_TRIES = 50  # neighbours tried in place of an unreadable photo


@dataclass(frozen=True)
class Batch:
    """One step: uint8 images [B,H,W,3], view parameters, listing groups, class codes a task, teachers' embeddings."""

    plan: Plan
    images: Tensor
    views: Tensor | None
    groups: Tensor
    targets: dict[str, Tensor]
    teachers: list[Tensor]
    corrupt: list[tuple[int, str, str]]  # data set, photo, reason


@dataclass
class DataSets:
    """The data sets of a run in order, the sha256 of each, and why photos of each could not be read, by their names.

    `limits` is the largest share of such photos in each.
    """

    sources: Sequence[Source]
    digests: Sequence[str]
    limits: Sequence[float]

    def __post_init__(self) -> None:
        self.unread: list[dict[str, str]] = [{} for _ in self.sources]

    def skip(self, source: int, name: str, reason: str, reporter: Reporter) -> None:
        """Note a photo that cannot be read, and say so once. Raises InputError above the data set's limit."""
        reasons, data, limit = self.unread[source], self.sources[source], self.limits[source]
        if name in reasons:
            return
        reasons[name] = reason
        if len(reasons) > limit * len(data):
            raise InputError(
                f"data {data.name}: {len(reasons)} of {len(data)} images cannot be read, more than max_corrupt allows "
                f"({limit:.1%}); first {next(iter(reasons))}: {next(iter(reasons.values()))}"
            )
        reporter.note(f"data {data.name}: {name} skipped: {reason}")


@dataclass
class Reader(Dataset[Any]):
    """Reads what a plan names. A photo that cannot be read is replaced by its next readable neighbour."""

    sources: Sequence[Source]
    spec: InputSpec
    classes: dict[str, list[np.ndarray | None]]  # a task: class codes of each data set's photos, None for no labels
    augmentation: Augmentation | None
    augment_seed: int
    targets: Sequence[Targets] = ()
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    def __getitem__(self, plan: Plan) -> Batch | EdgeKitError:
        try:
            return self.batch(plan)
        except EdgeKitError as error:  # raised in a worker it would lose its one line to a traceback
            return error

    def batch(self, plan: Plan) -> Batch:
        """Read one step. Raises InputError where too many photos in a row cannot be read."""
        height, width = canvas(self.spec, plan.size)
        images = np.empty((len(plan.rows), height, width, 3), np.uint8)
        rows = plan.rows.copy()
        corrupt: list[tuple[int, str, str]] = []
        for place, (source, row) in enumerate(zip(plan.sources.tolist(), plan.rows.tolist(), strict=True)):
            rows[place], images[place] = self._read(source, row, (height, width), corrupt)
        views = draw(self.augmentation, self.augment_seed, rows, plan.views)
        groups = np.empty(len(rows), np.int64)
        targets = {task: np.full(len(rows), -1, np.int64) for task in self.classes}
        for index, source in enumerate(self.sources):
            here = plan.sources == index
            listing = source.listings[rows[here]]
            groups[here] = np.where(listing >= 0, listing + (index << 40), -1)
            for task, codes in self.classes.items():
                of = codes[index]
                if of is not None:
                    targets[task][here] = of[rows[here]]
        return Batch(
            plan,
            torch.from_numpy(images),
            None if views is None else torch.from_numpy(views),
            torch.from_numpy(groups),
            {task: torch.from_numpy(codes) for task, codes in targets.items()},
            [torch.from_numpy(target.of(plan.sources, rows, plan.views)) for target in self.targets],
            corrupt,
        )

    def _read(
        self, source: int, row: int, size: tuple[int, int], corrupt: list[tuple[int, str, str]]
    ) -> tuple[int, np.ndarray]:
        data, first = self.sources[source], row
        row = self._known.get((source, row), row)
        for _ in range(_TRIES):
            try:
                image = data.read(row, size)
            except InputError as error:
                corrupt.append((source, *_complaint(data, row, error)))
                row = (row + 1) % len(data)
                self._known[source, first] = row
                continue
            return row, image
        raise InputError(
            f"data {data.name}: {_TRIES} images in a row cannot be read; last {corrupt[-1][1]}: {corrupt[-1][2]}"
        )


def _complaint(data: Source, row: int, error: InputError) -> tuple[str, str]:
    """(name of the photo, what is wrong with it)."""
    name = data.photo_name(row)
    return name, str(error).removeprefix(f"{name}: ")


@dataclass(frozen=True)
class _Photos(Dataset[Any]):
    source: Source
    groups: Sequence[np.ndarray]
    size: tuple[int, int]
    grey: int

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> tuple[np.ndarray, list[tuple[str, str]]]:
        rows = self.groups[index]
        images, corrupt = np.full((len(rows), *self.size, 3), self.grey, np.uint8), []
        for place, row in enumerate(rows.tolist()):
            try:
                images[place] = self.source.read(row, self.size)
            except InputError as error:
                corrupt.append(_complaint(self.source, row, error))
        return images, corrupt


def read_photos(
    source: Source, groups: Sequence[np.ndarray], size: tuple[int, int], grey: int, workers: int
) -> Iterator[tuple[np.ndarray, list[tuple[str, str]]]]:
    """Photos by number, a group at a time: uint8 [n,H,W,3] of `size`, and (name, reason) of those that cannot be read.

    Those are all of the level `grey`, so that places do not shift.
    """
    photos = _Photos(source, groups, size, grey)
    return iter(_loader(photos, num_workers=workers))


def _loader(photos: Dataset[Any], **options: Any) -> DataLoader[Any]:
    """A DataLoader of what already is whole batches; its seed must not be drawn from the state that is resumed."""
    generator = torch.Generator().manual_seed(0)
    return DataLoader(photos, batch_size=None, collate_fn=_as_read, generator=generator, **options)


def batches(reader: Reader, plans: Iterable[Plan], workers: int, *, pin: bool = False) -> Generator[Batch, None, None]:
    """The batches of `plans`, in order, read ahead by `workers` processes (0: read in this one).

    Raises what the data raise, and TrainingError where a worker died.
    """
    ahead = 4 if workers else None
    loader = _loader(
        reader, sampler=plans, num_workers=workers, prefetch_factor=ahead, pin_memory=pin, worker_init_fn=_quiet
    )
    try:
        for item in loader:
            if isinstance(item, EdgeKitError):
                raise item
            yield item
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a worker process that reads images has stopped ({reason_of(error, 160)}); is memory or /dev/shm full? "
            "Continue with `resume=True`, perhaps with fewer `workers`",
            field="workers",
        ) from error


def _as_read(item: Any) -> Any:
    return item


def _quiet(_worker: int) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides when to stop
