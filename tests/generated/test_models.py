"""Models that nobody wrote: each comes out with the right numbers, or is refused in a line that says where."""

from __future__ import annotations

from pathlib import Path
from random import Random

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings

from tests.generated.examples import EXAMPLES, Example
from tests.generated.grammar import build, images
from tests.generated.models import GRAMMAR, seeded, sources
from tests.generated.road import SETS, lower_and_run, travel

_QUICK = 40
_SLOW = 500
# One of these holds several kinds of blocks, so that few lowerings meet many operators.
_LOWERED = ("convolution_norm", "padding", "attention", "in_place", "average", "view")
_ANY = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def test_a_seed_gives_one_model() -> None:
    assert seeded(3) == seeded(3) != seeded(4)
    first, again = (build(seeded(3))(images(2)) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)


@given(source=sources())
@settings(max_examples=_QUICK, derandomize=True, database=None, deadline=None, suppress_health_check=_ANY)
def test_the_rewrites_of_every_target_keep_the_numbers(source: str) -> None:
    hypothesis.note(source)
    assert travel(source).faults == []


@pytest.mark.parametrize("example", EXAMPLES, ids=[row.found for row in EXAMPLES])
def test_what_was_found_stays_mended(example: Example) -> None:
    found = travel(example.source())
    assert found.findings == []


@pytest.mark.parametrize("target", SETS)
def test_a_model_of_many_kinds_is_right_in_its_file(target: str, tmp_path: Path) -> None:
    found = travel(GRAMMAR.source(Random(5), _LOWERED))
    lower_and_run(found, target, tmp_path)
    assert found.faults == [] and found.refused == {}


@pytest.mark.slow
@given(source=sources())
@settings(
    max_examples=_SLOW,
    deadline=None,
    suppress_health_check=[*_ANY, HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
def test_every_model_is_right_in_every_file_or_refused_by_name(
    source: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hypothesis.note(source)
    found = travel(source)
    for target in found.programs:
        lower_and_run(found, target, tmp_path_factory.mktemp(target))
    assert found.faults == []
