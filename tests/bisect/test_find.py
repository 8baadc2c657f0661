"""Tensors are matched by their numbers, whatever a file calls them and however they lie, and a step that errs shows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgekit.bisect.find import Match, allowed_in, distance, match
from edgekit.bisect.likely import weighted
from edgekit.bisect.program import Walk
from edgekit.graph.edit import calls
from edgekit.targets.base import Value
from tests.bisect.spoiled import (
    Spoil,
    clipped_range,
    embedder,
    overflow,
    picture,
    program,
    spoiled,
    walk,
    wrong_constant,
)

ALLOWED = allowed_in("fp32")
NUMBERS = arrays(np.float32, st.integers(1, 30), elements=st.floats(-(2.0**99), 2.0**99, width=32))


def file_of(walked: Walk, *, channels_last: bool = False, every: int = 1) -> Iterator[Value]:
    """The tensors of a file that a converter made: under other names, some of them left out; none of one number."""
    for number, node in enumerate(node for node in walked.nodes if walked.own(node).numel() > 1):
        tensor = walked.own(node)
        if number % every and node is not walked.nodes[-1]:
            continue
        lying = tensor.permute(0, 2, 3, 1) if channels_last and tensor.ndim == 4 else tensor
        yield Value(f"t{number}", "op", lying.numpy())


def look(spoil: Spoil, *, channels_last: bool = False) -> tuple[list[Match], int]:
    """A file of a spoiled program held against the right one."""
    wrong = Walk(spoiled(program(), spoil), embedder().pixels(picture()[None]))
    file = file_of(wrong, channels_last=channels_last)
    return match(walk(), file, allowed=ALLOWED, channels_last=channels_last)


@given(NUMBERS, st.floats(0.25, 4))
def test_a_distance_is_relative_to_what_is_due(numbers: np.ndarray, factor: float) -> None:
    due = torch.from_numpy(numbers)
    assert distance(due, due) == 0
    if float(due.double().norm()) > 1e-20:
        assert distance(due * factor, due) == pytest.approx(abs(factor - 1), abs=1e-5)


@given(NUMBERS, st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_number_in_place_of_none_is_infinitely_far(numbers: np.ndarray, none: float) -> None:
    due = torch.from_numpy(numbers)
    found = due.clone()
    found[0] = none
    assert distance(found, due) == distance(due, found) == math.inf
    assert distance(found, found) == 0


def test_a_plan_is_allowed_more_than_half_precision_and_that_more_than_floats() -> None:
    assert allowed_in("w8a8") > allowed_in("fp16") > allowed_in("fp32")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("every", [1, 3])
def test_a_right_file_has_no_jump(channels_last: bool, every: int) -> None:
    file = list(file_of(walk(), channels_last=channels_last, every=every))
    matches, seen = match(walk(), file, allowed=ALLOWED, channels_last=channels_last)
    assert seen == len(matches) == len(file) > 17 / every
    assert max(one.error for one in matches) < 1e-5


def test_tensors_that_no_call_gives_and_integers_are_left_out() -> None:
    noise = np.random.default_rng(3).normal(size=(1, 64, 24)).astype(np.float32)
    more = [Value("noise", "op", noise), Value("shape", "op", np.arange(4)), Value("one", "op", np.ones(1, np.float32))]
    file = list(file_of(walk()))
    matches, seen = match(walk(), [*file[:9], *more, *file[9:]], allowed=ALLOWED, channels_last=False)
    assert (seen, len(matches)) == (len(file) + 1, len(file))
    assert all(one.error <= ALLOWED for one in matches)


@pytest.mark.parametrize(
    ("spoil", "place"), [(wrong_constant, "linear_1"), (overflow, "conv2d_1"), (clipped_range, "linear_1")]
)
@pytest.mark.parametrize("channels_last", [False, True])
def test_one_step_errs_and_what_follows_does_not(spoil: Spoil, place: str, channels_last: bool) -> None:
    matches, _ = look(spoil, channels_last=channels_last)
    (jump,) = (one for one in matches if one.error > ALLOWED)
    assert jump.node.name == place
    assert jump.segment[-1] is jump.node
    assert len(matches) >= 18


def test_a_fault_in_the_last_call_is_one_of_the_embedding() -> None:
    def spoil(module: torch.fx.GraphModule) -> None:
        for node in calls(module, torch.ops.aten.clamp_min.default):
            node.update_arg(1, 1e3)

    matches, _ = look(spoil)
    (first, *_) = (one for one in matches if one.error > ALLOWED)
    assert first.node.name in ("clamp_min", "div")


def test_of_other_weights_the_steps_with_weights_do_not_fit() -> None:
    file = list(file_of(walk(factory="tests.toys:other_tower")))
    matches, _ = match(walk(), file, allowed=ALLOWED, channels_last=False)
    heavy = [one for one in matches if weighted(one)]
    assert sum(one.error <= ALLOWED for one in heavy) < 0.4 * len(heavy)
