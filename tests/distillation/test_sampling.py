from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.distillation.sampling import Plan, Planner, Position, shares
from edgekit.errors import UsageError
from edgekit.recipe.training import DistillSpec, StageSpec
from tests.distillation.conftest import Photos, data_specs, one_line

SIDE = (64, 64)
FAST = settings(max_examples=40, deadline=None)


def planner(sources: Sequence[Photos], weights: Sequence[float] | None = None, **keys: Any) -> Planner:
    return Planner(DistillSpec(data=data_specs(len(sources), weights), **keys), sources, SIDE)


def pairs_of(plans: Sequence[Plan]) -> np.ndarray:
    """Rows [P,2] in the order in which the steps show them."""
    return np.concatenate([plan.rows for plan in plans]).reshape(-1, 2)


def one_pass(source: Photos, **keys: Any) -> np.ndarray:
    whole = planner([source], photos=2 * -(-len(source) // 2), batch=2, **keys)
    return pairs_of(list(whole.plans(whole.start())))


def same(one: Plan, two: Plan) -> bool:
    arrays = all(np.array_equal(getattr(one, key), getattr(two, key)) for key in ("sources", "rows", "views"))
    return arrays and (one.size, one.stage, one.after) == (two.size, two.stage, two.after)


# -- a pass -----------------------------------------------------------------------------------------------------------


@FAST
@given(listings=st.lists(st.integers(-1, 6), min_size=1, max_size=40), seed=st.integers(0, 2**32 - 1))
def test_a_pass_shows_each_photo_once_and_as_many_pairs_of_a_listing_as_there_can_be(
    listings: list[int], seed: int
) -> None:
    source = Photos(len(listings), listings=listings)
    pairs = one_pass(source, seed=seed)
    times = Counter(pairs.reshape(-1).tolist())
    assert set(times) == set(range(len(listings)))
    twice = [row for row, count in times.items() if count > 1]
    assert len(twice) == len(listings) % 2
    assert all([row, row] in pairs.tolist() for row in twice)  # the odd one goes with itself
    codes = source.listings[pairs]
    together = (codes[:, 0] == codes[:, 1]) & (codes[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])
    for listing, count in Counter(listings).items():
        if listing >= 0:
            assert (codes[together, 0] == listing).sum() == count // 2
    left = codes[~together & (pairs[:, 0] != pairs[:, 1])]
    assert not ((left[:, 0] == left[:, 1]) & (left[:, 0] >= 0)).any()


def test_each_pass_has_its_own_order_and_the_next_view() -> None:
    whole = planner([Photos(30, listings=np.arange(30) // 3)], photos=30 * 5, batch=30, views=3)
    plans = list(whole.plans(whole.start()))
    assert [sorted(set(plan.views.tolist())) for plan in plans] == [[0], [1], [2], [0], [1]]
    assert len({tuple(plan.rows.tolist()) for plan in plans}) == 5


def test_a_step_may_span_several_passes_over_a_small_data_set() -> None:
    whole = planner([Photos(4)], photos=20, batch=20, views=8)
    (plan,) = whole.plans(whole.start())
    assert Counter(plan.rows.tolist()) == {row: 5 for row in range(4)}
    assert Counter(plan.views.tolist()) == {view: 4 for view in range(5)}


def test_the_two_photos_of_a_pair_share_their_view_and_their_data_set() -> None:
    whole = planner([Photos(7), Photos(12)], photos=200, batch=10, views=5, seed=3)
    for plan in whole.plans(whole.start()):
        for values in (plan.sources, plan.views):
            assert (values.reshape(-1, 2)[:, 0] == values.reshape(-1, 2)[:, 1]).all()
        assert all(row < (7, 12)[source] for source, row in zip(plan.sources, plan.rows, strict=True))


def test_epochs_are_passes_over_all_data_together() -> None:
    whole = planner([Photos(10), Photos(30)], epochs=2.0, batch=8)
    assert whole.total == 80
    shown = Counter[tuple[int, int]]()
    for plan in whole.plans(whole.start()):
        shown.update(zip(plan.sources.tolist(), plan.rows.tolist(), strict=True))
    assert set(shown.values()) == {2}
    assert len(shown) == 40


# -- processes and resuming -------------------------------------------------------------------------------------------

WORLDS = st.fixed_dictionaries(
    {
        "sizes": st.lists(st.integers(1, 25), min_size=1, max_size=3),
        "half": st.sampled_from([2, 4, 6]),
        "seed": st.integers(0, 2**32 - 1),
        "sampling": st.sampled_from(["proportional", "temperature", "uniform"]),
        "staged": st.booleans(),
    }
)


@FAST
@given(WORLDS)
def test_two_processes_see_together_what_one_with_the_doubled_batch_sees(case: dict[str, Any]) -> None:
    sources = [Photos(size, listings=np.arange(size) // 3) for size in case["sizes"]]

    def run(batch: int) -> Planner:
        stages = [StageSpec(until=0.4, size=32, batch=2 * batch), StageSpec(until=1, size=64)] if case["staged"] else []
        keys = {key: case[key] for key in ("seed", "sampling")}
        return planner(sources, photos=100, batch=batch, views=4, stages=stages, **keys)

    one = run(2 * case["half"])
    two = run(case["half"])
    plans = [
        list(one.plans(one.start())),
        *(list(two.plans(two.start(), rank=rank, world=2)) for rank in range(2)),
    ]
    assert len(plans[0]) == len(plans[1]) == len(plans[2])
    for whole, *parts in zip(*plans, strict=True):
        rows = [list(zip(p.sources.tolist(), p.rows.tolist(), p.views.tolist(), strict=True)) for p in (whole, *parts)]
        assert sorted(rows[0]) == sorted(rows[1] + rows[2])
        assert len(rows[1]) == len(rows[2])
        assert all((p.after, p.size, p.stage) == (whole.after, whole.size, whole.stage) for p in parts)


@FAST
@given(WORLDS, st.data())
def test_a_run_goes_on_from_any_position_as_if_it_had_never_stopped(case: dict[str, Any], data: st.DataObject) -> None:
    def run() -> Planner:  # a new process: nothing is remembered
        sources = [Photos(size, listings=np.arange(size) // 2) for size in case["sizes"]]
        keys = {key: case[key] for key in ("seed", "sampling")}
        return planner(sources, photos=120, batch=case["half"], views=3, **keys)

    plans = list(run().plans(run().start(), rank=1, world=2))
    stop = data.draw(st.integers(0, len(plans) - 1))
    stored = json.loads(json.dumps(dataclasses.asdict(plans[stop].after)))
    position = Position(stored["step"], stored["shown"], tuple(stored["drawn"]), tuple(stored["owed"]))
    rest = list(run().plans(position, rank=1, world=2))
    assert len(rest) == len(plans) - stop - 1
    assert all(same(one, two) for one, two in zip(rest, plans[stop + 1 :], strict=True))


# -- shares -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampling", "temperature", "expected"),
    [
        ("proportional", 2.0, [0.1, 0.9]),
        ("temperature", 2.0, [0.25, 0.75]),  # the roots of 100 and 900 are 10 and 30
        ("temperature", 1.0, [0.1, 0.9]),
        ("temperature", float("inf"), [0.5, 0.5]),
        ("uniform", 2.0, [0.5, 0.5]),
        ("weights", 2.0, [0.8, 0.2]),
    ],
)
def test_shares(sampling: Any, temperature: float, expected: list[float]) -> None:
    np.testing.assert_allclose(shares([100, 900], [2.0, 0.5], sampling, temperature), expected)


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="weight above 0") as caught:
        shares([1, 2], [0.0, 0.0], "weights", 1.0)
    one_line(caught)


@FAST
@given(
    weights=st.lists(st.floats(0, 100), min_size=1, max_size=5).filter(lambda values: sum(values) > 1e-3),
    batch=st.sampled_from([2, 4, 6, 32]),
    steps=st.integers(1, 50),
)
def test_what_each_data_set_gave_follows_its_share(weights: list[float], batch: int, steps: int) -> None:
    sources = [Photos(5) for _ in weights]
    whole = planner(sources, weights, sampling="weights", batch=batch, photos=batch * steps)
    share = np.array(weights) / sum(weights)
    bound = sum(1 / place for place in range(2, len(weights) + 1))  # below one pair up to three data sets, 1.28 for 5
    before = np.zeros(len(weights), int)
    for plan in whole.plans(whole.start()):
        drawn = np.array(plan.after.drawn)
        assert (drawn >= before).all()
        assert drawn.sum() == plan.after.shown / 2
        assert np.abs(drawn - share * drawn.sum()).max() < bound + 1e-6
        np.testing.assert_array_equal(
            np.bincount(plan.sources, minlength=len(weights)), 2 * (drawn - before), err_msg=str(plan.after)
        )
        before = drawn
    assert (before[share == 0] == 0).all()


# -- shards -----------------------------------------------------------------------------------------------------------


@FAST
@given(
    sizes=st.lists(st.integers(1, 8).map(lambda half: 2 * half), min_size=1, max_size=6),
    buffer=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_shards_are_read_one_after_another_through_a_bounded_buffer(sizes: list[int], buffer: int, seed: int) -> None:
    bounds = np.r_[0, np.cumsum(sizes)]
    source = Photos(int(bounds[-1]), listings=np.arange(bounds[-1]) // 3, chunks=bounds.tolist())
    streamed = one_pass(source, shuffle_buffer=1, seed=seed)  # a buffer of one changes nothing
    shard = np.searchsorted(bounds, streamed, side="right") - 1
    assert (shard[:, 0] == shard[:, 1]).all()
    assert (np.diff(shard[:, 0]) != 0).sum() == len(sizes) - 1  # each shard is left once
    shuffled = one_pass(source, shuffle_buffer=buffer, seed=seed)
    assert sorted(shuffled.reshape(-1).tolist()) == list(range(len(source)))
    np.testing.assert_array_equal(shuffled, one_pass(source, shuffle_buffer=buffer, seed=seed))
    place = {tuple(pair): index for index, pair in enumerate(streamed.tolist())}
    came = np.array([place[tuple(pair)] for pair in shuffled.tolist()])
    assert (came < np.arange(len(came)) + buffer).all()  # nothing leaves before it was read


def test_shards_come_in_another_order_each_pass_and_seed() -> None:
    source = Photos(64, chunks=range(0, 65, 8))
    whole = planner([source], photos=128, batch=64, shuffle_buffer=4)
    first, second = (plan.rows.tolist() for plan in whole.plans(whole.start()))
    assert first != second
    assert sorted(first) == sorted(second)
    assert first != one_pass(source, shuffle_buffer=4, seed=1).reshape(-1).tolist()
    assert first != one_pass(source, shuffle_buffer=1).reshape(-1).tolist()


def test_odd_shards_keep_the_length_of_a_pass() -> None:
    source = Photos(15, chunks=[0, 3, 8, 15])
    pairs = one_pass(source)
    assert pairs.shape == (8, 2)
    assert len(set(pairs.reshape(-1).tolist())) >= 13


# -- classes ----------------------------------------------------------------------------------------------------------


def test_balanced_sampling_draws_classes_equally_and_partners_from_the_listing() -> None:
    classes = ["rare"] * 6 + ["common"] * 90 + ["usual"] * 30 + [None] * 14
    count = len(classes)
    source = Photos(count, listings=[*(np.arange(count - 20) // 2), *[-1] * 20], labels={"kind": classes})
    whole = planner([source], photos=6000, batch=100, balanced="kind", seed=5, views=4)
    plans = list(whole.plans(whole.start()))
    pairs = pairs_of(plans)
    drawn = Counter(classes[row] for row in pairs[:, 0])
    assert set(drawn) == {"rare", "common", "usual"}
    assert all(abs(value - 1000) < 100 for value in drawn.values())  # 3000 draws: 4 standard deviations
    codes = source.listings[pairs]
    known = codes[:, 0] >= 0
    assert known.sum() > 2000
    assert (codes[known, 0] == codes[known, 1]).all()
    assert (pairs[known, 0] != pairs[known, 1]).all()
    unknown = Counter(classes[row] for row in pairs[~known, 1])
    assert None not in unknown
    assert len(unknown) == 3  # a photo without listing goes with one of any class
    assert set(np.concatenate([plan.views for plan in plans]).tolist()) == {0, 1, 2, 3}


def test_balanced_sampling_leaves_data_without_that_label_alone() -> None:
    plain = Photos(20)
    labelled = Photos(20, labels={"kind": [None] * 20})
    for source in (plain, labelled):
        np.testing.assert_array_equal(one_pass(source, balanced="kind"), one_pass(source))


# -- stages -----------------------------------------------------------------------------------------------------------


def test_stages_get_their_share_of_the_work_and_bring_their_batch() -> None:
    # 1, 4 and 16 times the pixels for 1/21, 4/21 and 16/21 of the work: a third of the photos each
    stages = (
        StageSpec(until=1 / 21, size=16, batch=40),
        StageSpec(until=5 / 21, size=32),
        StageSpec(until=1.0, size=64, batch=10),
    )
    spec = DistillSpec(data=data_specs(1), photos=650, batch=20, stages=stages)
    whole = Planner(spec, [Photos(50)], (64, 32))
    shown, seen = 0, []
    for plan in whole.plans(whole.start()):
        stage = 0 if shown < 650 / 3 else 1 if shown < 1300 / 3 else 2
        assert plan.stage == stage
        assert plan.size == ((16, 8), (32, 16), (64, 32))[stage]
        assert len(plan.rows) == (40, 20, 10)[stage]
        seen.append(stage)
        shown += len(plan.rows)
        assert plan.after.shown == shown
    assert Counter(seen) == {0: 6, 1: 10, 2: 21}
    assert whole.stage_at(650)[0] == 2
    np.testing.assert_allclose(
        np.array([whole.share(photos) for photos in (0, 325 / 3, 650 / 3, 1300 / 3, 650)]),
        np.array([0, 0.5 / 21, 1 / 21, 5 / 21, 1]),
    )


def test_without_stages_the_model_s_own_size_is_used() -> None:
    whole = planner([Photos(6)], photos=6, batch=6)
    assert [plan.size for plan in whole.plans(whole.start())] == [SIDE]
