"""Which photos a step shows: a plan that depends on the recipe alone, not on how many processes carry it out.

Photos are drawn in pairs, two of one listing where the data set knows listings. A pass over a data set shows every
photo once. The plan of a step is made for all processes together and then dealt out, so two processes see together
what one process with the doubled batch sees, and a run can go on with another number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgekit.distillation.sources.base import Source
from edgekit.errors import UsageError
from edgekit.recipe.training import DistillSpec, StageSpec

__all__ = ["Plan", "Planner", "Position", "shares"]


@dataclass(frozen=True)
class Position:
    """How far a run is: steps and photos shown by all processes, pairs drawn from each data set, shares owed."""

    step: int
    shown: int
    drawn: tuple[int, ...]
    owed: tuple[float, ...]


@dataclass(frozen=True)
class Plan:
    """One step of one process: arrays [B] of data set, photo and view numbers; `after` is the position behind it."""

    size: tuple[int, int]
    stage: int
    sources: np.ndarray
    rows: np.ndarray
    views: np.ndarray
    after: Position


def shares(
    sizes: Sequence[int],
    weights: Sequence[float],
    sampling: Literal["proportional", "temperature", "uniform", "weights"],
    temperature: float,
) -> np.ndarray:
    """Share of each data set in the photos shown: float64 [D], summing to 1.

    Temperature sampling (arXiv 1907.05019) takes size^(1/temperature): 1 is proportional, infinity uniform.
    Raises UsageError where all weights are 0.
    """
    count = np.asarray(sizes, np.float64)
    raw = {
        "proportional": count,
        "temperature": count ** (1 / temperature),
        "uniform": np.ones(len(count)),
        "weights": np.asarray(weights, np.float64),
    }[sampling]
    if raw.sum() <= 0:
        raise UsageError("sampling = weights needs a data set with a weight above 0")
    return raw / raw.sum()


class Planner:
    """Plans the steps of a run over `sources`; `side` is the student's own input size (height, width)."""

    def __init__(self, spec: DistillSpec, sources: Sequence[Source], side: tuple[int, int]) -> None:
        self._spec, self._sources = spec, sources
        self._shares = shares(
            [len(source) for source in sources],
            [data.weight for data in spec.data],
            spec.sampling,
            spec.sampling_temperature,
        )
        stages = spec.stages or (StageSpec(until=1.0, size=max(side)),)
        self._stages = [
            (_scaled(side, stage.size) if spec.stages else side, stage.batch or spec.batch) for stage in stages
        ]
        whole = sum(len(source) for source in sources)
        self.total = spec.photos or max(2, round((spec.epochs or 1.0) * whole))
        # A stage's share is one of the work, which grows with the pixels, so small sizes get more photos for it.
        self._ends = np.array([0.0, *(stage.until for stage in stages)])
        photos = np.diff(self._ends) / [float(np.prod(size)) for size, _ in self._stages]
        self._bounds = np.concatenate([[0.0], np.cumsum(photos) / photos.sum()]) * self.total
        self._passes: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}

    def start(self) -> Position:
        """The position before the first step."""
        count = len(self._sources)
        return Position(0, 0, (0,) * count, (0.0,) * count)

    def stage_at(self, shown: int) -> tuple[int, tuple[int, int], int]:
        """(number, input size, photos a process) of the stage that is on after `shown` photos."""
        number = int(np.searchsorted(self._bounds[1:-1], shown, side="right"))
        return number, *self._stages[number]

    def share(self, shown: float) -> float:
        """How much of the run's work is done after `shown` photos: 0 to 1, in pixels."""
        return float(np.interp(shown, self._bounds, self._ends))

    def plans(self, position: Position, rank: int = 0, world: int = 1) -> Iterator[Plan]:
        """The remaining steps of process `rank` of `world`, from `position` to the end of the run."""
        while position.shown < self.total:
            number, size, batch = self.stage_at(position.shown)
            pairs = batch * world // 2
            counts, owed = self._allot(position, pairs)
            drawn = [self._draw(index, position.drawn[index], count) for index, count in enumerate(counts)]
            sources = np.repeat(np.arange(len(counts)), counts)
            rows = np.concatenate([rows for rows, _ in drawn])
            views = np.concatenate([views for _, views in drawn])
            position = Position(
                position.step + 1,
                position.shown + 2 * pairs,
                tuple(int(a + b) for a, b in zip(position.drawn, counts, strict=True)),
                owed,
            )
            mine = slice(rank, None, world)
            yield Plan(
                size, number, np.repeat(sources[mine], 2), rows[mine].reshape(-1), np.repeat(views[mine], 2), position
            )

    def _allot(self, position: Position, pairs: int) -> tuple[np.ndarray, tuple[float, ...]]:
        """Pairs a data set in this step; what rounding leaves over is owed to the next steps."""
        wanted = np.asarray(position.owed) + pairs * self._shares
        counts = np.maximum(np.floor(wanted), 0).astype(np.int64)
        while counts.sum() > pairs:
            counts[np.argmax(counts)] -= 1
        for index in np.argsort(counts - wanted, kind="stable")[: pairs - counts.sum()]:
            counts[index] += 1
        return counts, tuple(float(value) for value in wanted - counts)

    def _draw(self, index: int, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs `start` to `start + count` of data set `index`: rows [count,2] and the view of each pair [count]."""
        rows, views = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
        per_pass = -(-len(self._sources[index]) // 2)
        while count > 0:
            number, offset = divmod(start, per_pass)
            pairs, seen = self._pass(index, number)
            take = min(count, per_pass - offset)
            rows.append(pairs[offset : offset + take])
            views.append(seen[offset : offset + take])
            start, count = start + take, count - take
        return np.concatenate(rows), np.concatenate(views)

    def _pass(self, index: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """All pairs [P,2] of pass `number` over data set `index`, and their views [P]."""
        known = self._passes.get(index)
        if known is None or known[0] != number:
            rng = np.random.default_rng([self._spec.seed, index, number])
            source = self._sources[index]
            column = source.labels.get(self._spec.balanced) if self._spec.balanced else None
            if column is not None and (column.codes >= 0).any():
                pairs = _balanced(column.codes, source.listings, rng)
                views = rng.integers(self._spec.views, size=len(pairs))
            else:
                pairs = _ordered(source, self._spec.shuffle_buffer, rng)
                views = np.full(len(pairs), number % self._spec.views)
            known = self._passes[index] = (number, pairs, views)
        return known[1], known[2]


def _scaled(side: tuple[int, int], size: int) -> tuple[int, int]:
    """`side` scaled so that its longer edge is `size`."""
    return round(side[0] * size / max(side)), round(side[1] * size / max(side))


def _ordered(source: Source, buffer: int, rng: np.random.Generator) -> np.ndarray:
    if source.chunks is None:
        return rng.permutation(_paired(np.arange(len(source)), source.listings, rng))
    bounds = source.chunks
    parts = [
        _paired(np.arange(bounds[chunk], bounds[chunk + 1]), source.listings, rng)
        for chunk in rng.permutation(len(bounds) - 1)
    ]
    # Each odd shard leaves a pair with one photo twice; a pass has a fixed length, so the surplus is left out.
    return _buffered(np.concatenate(parts), buffer, rng)[: -(-len(source) // 2)]


def _paired(photos: np.ndarray, listings: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each of `photos` once, two of one listing where possible: int64 [ceil(N/2),2]; an odd one goes with itself."""
    photos = rng.permutation(photos)
    photos = photos[np.argsort(listings[photos], kind="stable")]
    codes = listings[photos]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    place = np.arange(len(codes)) - np.repeat(starts, np.diff(np.r_[starts, len(codes)]))
    second = (place % 2 == 1) & (codes >= 0)
    first = np.r_[second[1:], False]
    together = np.stack([photos[first], photos[second]], axis=1)
    single = rng.permutation(photos[~(first | second)])
    if len(single) % 2:
        single = np.append(single, single[-1])
    return np.concatenate([together, single.reshape(-1, 2)])


def _buffered(pairs: np.ndarray, buffer: int, rng: np.random.Generator) -> np.ndarray:
    """The order in which a shuffle buffer of that many pairs lets them out."""
    slots = rng.integers(buffer, size=len(pairs))
    held = list(range(min(buffer, len(pairs))))
    order = np.empty(len(pairs), np.int64)
    for position in range(len(held), len(pairs)):
        slot = slots[position]
        order[position - len(held)] = held[slot]
        held[slot] = position
    order[len(pairs) - len(held) :] = rng.permutation(held)
    return pairs[order]


def _balanced(codes: np.ndarray, listings: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many pairs as a pass has, their classes drawn equally often; the partner is of the same listing if it can."""
    count = -(-len(codes) // 2)
    by_class = [np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])]
    chosen = rng.integers(len(by_class), size=(count, 2))
    rows = np.array([[rng.choice(by_class[code]) for code in pair] for pair in chosen])
    order = np.argsort(listings, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    first = rows[:, 0]
    low, high = (np.searchsorted(listings[order], listings[first], side) for side in ("left", "right"))
    others = high - low - 1
    step = 1 + rng.integers(np.maximum(others, 1))
    partner = order[low + (place[first] - low + step) % (high - low)]
    rows[:, 1] = np.where((listings[first] >= 0) & (others > 0), partner, rows[:, 1])
    return rows
