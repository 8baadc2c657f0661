"""Several at once, in order, each on one thread of torch."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from edgekit.support.threads import in_turn, one_thread
from tests.waiting import PATIENCE


def test_results_come_in_the_order_of_items_whoever_is_first() -> None:
    later = threading.Event()

    def one(number: int) -> int:
        if number == 0 and threads > 1:
            assert later.wait(PATIENCE)
        later.set()
        return number * number

    threads = len({thread for thread, _ in in_turn(_where, range(64))})
    assert list(in_turn(one, range(20))) == [number * number for number in range(20)]
    assert list(in_turn(one, [])) == []


def _where(_: int) -> tuple[int, int]:
    return threading.get_ident(), torch.get_num_threads()


def test_torch_has_one_thread_in_each() -> None:
    assert {threads for _, threads in in_turn(_where, range(16))} == {1}


def test_nothing_is_begun_after_it_is_closed() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            begun.append(number)
            yield number

    results = in_turn(lambda number: number, items())
    assert next(results) == 0
    results.close()
    seen = len(begun)
    assert seen < 100
    assert threading.active_count() < 100
    assert len(begun) == seen


def test_what_one_raises_is_raised_in_its_place() -> None:
    def one(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    results, seen = in_turn(one, range(9)), []
    with pytest.raises(ValueError, match="three"):
        for result in results:
            seen.append(result)
    assert seen == [0, 1, 2]


def test_a_product_is_the_same_to_the_last_bit_in_any_thread() -> None:
    images = [torch.randn(64, 300, generator=torch.Generator().manual_seed(seed)) for seed in range(12)]
    weights = torch.randn(300, 50)
    with one_thread():
        alone = [image @ weights for image in images]
    for row, other in zip(alone, in_turn(lambda image: image @ weights, images), strict=True):
        assert torch.equal(row, other)
