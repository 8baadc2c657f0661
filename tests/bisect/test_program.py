"""A program walked for one image: each call as it is, and anew from what a file gave."""

from __future__ import annotations

import torch

from tests.bisect.spoiled import embedder, picture, program, walk


def test_every_call_has_what_the_program_makes() -> None:
    walked = walk()
    with torch.no_grad():
        due = program().module()(embedder().pixels(picture()[None]))
    assert torch.allclose(walked.own(walked.nodes[-1]), due)
    assert [walked.places[node] for node in walked.nodes] == sorted(walked.places.values())


def test_a_call_is_computed_anew_from_what_was_given() -> None:
    walked = walk()
    by_name = {node.name: node for node in walked.nodes}
    add, mean = by_name["add"], by_name["mean"]
    walked.give(add, walked.own(add) + 1)
    assert torch.allclose(walked.again(mean, {}), walked.own(mean) + 1, atol=1e-5)
    assert walked.before(mean, 0) == {add}
    assert walked.segment(mean) == [mean]
    walked.give(add, None)
    assert walked.given(add) is None
    assert torch.allclose(walked.again(mean, {}), walked.own(mean), atol=1e-6)


def test_nothing_is_computed_from_too_far_before() -> None:
    walked = walk()
    last = walked.nodes[-1]
    between = len(walked.before(last, len(walked.places)))
    assert between > 10
    assert walked.before(last, 3) == set()
    (first, *_) = walked.nodes
    assert walked.before(first, 0) == {first}
    walked.give(first, walked.own(first))
    second = walked.nodes[1]
    assert walked.segment(second) == [second]
