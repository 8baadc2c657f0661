from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest

from edgekit.distillation.augment import AUGMENTATIONS, draw
from edgekit.distillation.loader import Batch, DataSets, Reader, batches
from edgekit.distillation.run import _vocabulary
from edgekit.distillation.sampling import Plan, Planner, Position
from edgekit.errors import InputError, TrainingError
from edgekit.recipe import InputSpec
from edgekit.recipe.training import DistillSpec
from tests.distillation.conftest import Notes, Photos, data_specs, one_line

SPEC = InputSpec(size=(32, 32))
CANVAS = (36, 36)


class Numbers:
    """Targets that tell which data set, photo and view they were asked for."""

    dim = 3

    def of(self, sources: np.ndarray, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        return np.stack([sources, rows, views], axis=1).astype(np.float32)


def reader(sources: Sequence[Photos], kind: str = "light", seed: int = 0) -> Reader:
    return Reader(sources, SPEC, _vocabulary(sources)[1], AUGMENTATIONS[kind], seed, [Numbers()])


def plans(sources: Sequence[Photos], **keys: Any) -> list[Plan]:
    spec = DistillSpec(data=data_specs(len(sources)), **({"photos": 48, "batch": 8, "views": 3} | keys))
    planner = Planner(spec, sources, SPEC.size)
    return list(planner.plans(planner.start()))


def one_plan(sources: Sequence[int], rows: Sequence[int]) -> Plan:
    after = Position(1, len(rows), (0,), (0.0,))
    return Plan(SPEC.size, 0, np.array(sources), np.array(rows), np.zeros(len(rows), np.int64), after)


def equal(one: Batch, two: Batch) -> bool:
    same = one.images.equal(two.images) and one.groups.equal(two.groups)
    if one.views is None or two.views is None:
        same = same and one.views is two.views
    else:
        same = same and one.views.equal(two.views)
    same = same and one.targets.keys() == two.targets.keys()
    same = same and all(one.targets[task].equal(two.targets[task]) for task in one.targets)
    return same and all(a.equal(b) for a, b in zip(one.teachers, two.teachers, strict=True))


# -- what a batch holds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_what_the_data_sets_give(workers: int) -> None:
    sources = [Photos(15, listings=np.arange(15) // 2), Photos(9, name="b", seed=4)]
    steps = plans(sources, augment_seed=5)
    got = list(batches(reader(sources, seed=5), steps, workers))
    assert [batch.plan.after.step for batch in got] == list(range(1, 7))
    for batch, plan in zip(got, steps, strict=True):
        expected = [sources[s].read(row, CANVAS) for s, row in zip(plan.sources, plan.rows, strict=True)]
        np.testing.assert_array_equal(batch.images.numpy(), np.stack(expected))
        assert batch.views is not None
        np.testing.assert_array_equal(batch.views.numpy(), draw(AUGMENTATIONS["light"], 5, plan.rows, plan.views))
        np.testing.assert_array_equal(
            batch.teachers[0].numpy(), np.stack([plan.sources, plan.rows, plan.views], axis=1)
        )
        assert batch.corrupt == []
    assert multiprocessing.active_children() == []


def test_without_augmentation_there_are_no_views() -> None:
    sources = [Photos(8)]
    assert next(batches(reader(sources, "none"), plans(sources), 0)).views is None


def test_groups_are_listings_and_never_those_of_another_data_set() -> None:
    listings = [0, 0, 1, 1, -1, -1]
    sources = [Photos(6, listings=listings), Photos(6, name="b", listings=listings), Photos(2, name="c")]
    plan = one_plan([0] * 6 + [1] * 6 + [2] * 2, [*range(6), *range(6), 0, 1])
    groups = reader(sources).batch(plan).groups.tolist()
    for data in (groups[:6], groups[6:12]):
        assert data[0] == data[1] != data[2] == data[3]
        assert min(data[:4]) >= 0
        assert set(data[4:]) == {-1}
    assert groups[12:] == [-1, -1]
    assert not {value for value in groups[:6] if value >= 0} & set(groups[6:12])


def test_labels_of_all_data_sets_are_of_one_vocabulary() -> None:
    sources = [
        Photos(4, labels={"kind": ["cup", "bag", None, "cup"]}),
        Photos(3, name="b", labels={"kind": ["hat", "cup", "cup"], "colour": ["red", None, "blue"]}),
        Photos(2, name="c"),
    ]
    names, codes = _vocabulary(sources)
    assert names == {"kind": ["bag", "cup", "hat"], "colour": ["blue", "red"]}
    assert codes["colour"][0] is None
    plan = one_plan([0] * 4 + [1] * 3 + [2] * 2, [*range(4), *range(3), 0, 1])
    targets = reader(sources).batch(plan).targets
    said = {task: [names[task][code] if code >= 0 else None for code in targets[task].tolist()] for task in names}
    assert said["kind"] == ["cup", "bag", None, "cup", "hat", "cup", "cup", None, None]
    assert said["colour"] == [None] * 4 + ["red", None, "blue"] + [None] * 2


# -- unreadable photos ------------------------------------------------------------------------------------------------


def test_an_unreadable_photo_is_replaced_by_its_next_neighbour_in_everything() -> None:
    broken = [2, 3, 7]
    source = Photos(8, listings=range(8), labels={"kind": list("abcdefgh")}, broken=broken)
    read = reader([source])
    batch = read.batch(one_plan([0, 0, 0, 0], [2, 1, 7, 3]))
    stand_ins = [4, 1, 0, 4]  # the last photo's neighbour is the first
    np.testing.assert_array_equal(batch.images.numpy(), np.stack([source.read(row, CANVAS) for row in stand_ins]))
    assert batch.groups.tolist() == batch.targets["kind"].tolist() == stand_ins
    assert batch.teachers[0][:, 1].tolist() == stand_ins
    assert batch.views is not None
    np.testing.assert_array_equal(
        batch.views.numpy(), draw(AUGMENTATIONS["light"], 0, np.array(stand_ins), np.zeros(4, int))
    )
    assert {name for _, name, _ in batch.corrupt} == {f"toy/000{row}.png" for row in broken}
    assert {reason for *_, reason in batch.corrupt} == {"the file has 0 bytes"}
    again = read.batch(one_plan([0, 0, 0, 0], [2, 1, 7, 3]))
    assert again.corrupt == []  # known by now
    assert equal(batch, again)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_replaced_photo_is_the_same_one_whoever_reads_it(workers: int) -> None:
    sources = [Photos(20, broken=[1, 2, 10]), Photos(9, name="b", broken=[8])]
    steps = plans(sources)
    got = list(batches(reader(sources), steps, workers))
    expected = [reader(sources).batch(plan) for plan in steps]  # each by a reader that has seen nothing yet
    assert all(equal(one, two) for one, two in zip(got, expected, strict=True))


def test_each_unreadable_photo_counts_once_and_too_many_stop(notes: Notes) -> None:
    sources = [Photos(50), Photos(4, name="b")]
    data = DataSets(sources, ["", ""], [0.04, 0.0])
    data.skip(0, "toy/0001.png", "why", notes)
    data.skip(0, "toy/0001.png", "why", notes)
    data.skip(0, "toy/0002.png", "other", notes)
    assert notes.notes == ["data toy: toy/0001.png skipped: why", "data toy: toy/0002.png skipped: other"]
    assert [len(reasons) for reasons in data.unread] == [2, 0]
    with pytest.raises(InputError, match=r"toy: 3 of 50 images.*\(4.0%\); first toy/0001.png: why") as caught:
        data.skip(0, "toy/0003.png", "third", notes)
    one_line(caught)
    with pytest.raises(InputError, match="data b: 1 of 4"):
        data.skip(1, "b/0000.png", "why", notes)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_data_is_one_line_from_a_worker_too(workers: int) -> None:
    sources = [Photos(60, broken=range(60))]
    with pytest.raises(InputError, match="data toy: 50 images in a row cannot be read") as caught:
        list(batches(reader(sources), plans(sources), workers))
    message = one_line(caught)
    assert "Traceback" not in message
    assert "the file has 0 bytes" in message


class Slow(Photos):
    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        time.sleep(0.02)
        return super().read(index, size)


def _lose_a_worker(told: Connection) -> None:
    sources = [Slow(40)]
    stream = batches(reader(sources), plans(sources, photos=4000), 1)
    next(stream)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    try:
        for _ in stream:
            pass
    except TrainingError as error:
        told.send(str(error))


def test_a_worker_that_is_killed_ends_the_run_with_one_line() -> None:
    fork = multiprocessing.get_context("fork")  # torch's handler of SIGCHLD stays in that process
    mine, theirs = fork.Pipe()
    process = fork.Process(target=_lose_a_worker, args=(theirs,))
    process.start()
    found = mine.poll(60)
    process.kill()
    process.join()
    assert found
    said = mine.recv()
    assert "a worker process that reads images has stopped" in said
    assert "`resume=True`" in said
    assert said.isprintable()
