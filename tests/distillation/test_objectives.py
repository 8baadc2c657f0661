from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgekit.distillation.objectives import Truth, combine, contrastive, cosine, labels, objectives, relational
from edgekit.distillation.student import Output
from edgekit.recipe.training import LossSpec

GROUPS = st.lists(st.integers(-1, 3), min_size=2, max_size=8)


def rows(count: int, width: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradient(loss: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.clone().requires_grad_(True)
    loss(at).backward()
    assert at.grad is not None
    return at.grad


def rotated(values: Tensor, width: int) -> Tensor:
    """The same geometry in `width` dimensions."""
    orthogonal = torch.linalg.qr(rows(width, width, 99)).Q
    return values @ orthogonal[: values.shape[1]]


# -- values by hand ---------------------------------------------------------------------------------------------------


def test_cosine_by_hand() -> None:
    student = torch.tensor([[2.0, 0], [0, 3.0], [1.0, 1.0]])
    teacher = torch.tensor([[1.0, 0], [0, -1.0], [1.0, 0]])
    assert cosine(student, teacher).item() == pytest.approx((0 + 2 + 1 - 0.5**0.5) / 3)
    assert cosine(student * 7, teacher / 3).item() == pytest.approx(cosine(student, teacher).item())


def test_relational_by_hand() -> None:
    student = torch.tensor([[1.0, 0], [0, 1.0], [1.0, 0]])  # cosines 0, 1, 0
    teacher = torch.tensor([[1.0], [1.0], [-2.0]])  # cosines 1, -1, -1
    assert relational(student, teacher).item() == pytest.approx((1 + 4 + 1) / 3)


def test_contrastive_by_hand() -> None:
    student = torch.tensor([[1.0, 0], [1.0, 1.0], [0, 1.0], [-1.0, 0]])
    half = 0.5**0.5
    groups = torch.tensor([1, 1, 2, -1])
    first = -math.log(math.exp(half / 0.5) / sum(math.exp(s / 0.5) for s in (half, 0, -1)))
    second = -math.log(math.exp(half / 0.5) / sum(math.exp(s / 0.5) for s in (half, half, -half)))
    assert contrastive(student, groups, 0.5).item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_other_photos_of_the_listing_are_no_wrong_answers() -> None:
    student = torch.tensor([[1.0, 0], [1.0, 1.0], [0, 1.0], [-1.0, 0]])
    groups = torch.tensor([4, 4, 4, 9])
    unit = torch.nn.functional.normalize(student)
    s = (unit @ unit.T / 0.5).tolist()
    each = [-math.log(math.exp(s[i][j]) / (math.exp(s[i][j]) + math.exp(s[i][3]))) for i in range(3) for j in range(3)]
    expected = sum(value for place, value in enumerate(each) if place // 3 != place % 3) / 6
    assert contrastive(student, groups, 0.5).item() == pytest.approx(expected, abs=1e-6)


def test_labels_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [5.0, 1.0], [math.log(4), 0.0]])
    targets = torch.tensor([1, -1, 1])
    assert labels(logits, targets, 0.0).item() == pytest.approx((-math.log(3 / 4) - math.log(1 / 5)) / 2)
    smooth = [0.9 * -math.log(a) + 0.1 * -math.log(b) for a, b in ((3 / 4, 1 / 4), (1 / 5, 4 / 5))]
    assert labels(logits, targets, 0.2).item() == pytest.approx(sum(smooth) / 2)


# -- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: cosine(x, rows(5, 4, 1)),
        lambda x: relational(x, rows(5, 3, 1)),
        lambda x: contrastive(x, torch.tensor([1, 1, 1, -1, 2]), 0.2),
        lambda x: contrastive(x, torch.tensor([1, 1, 2, 2, 3]), 1.0),
        lambda x: labels(x, torch.tensor([0, 3, -1, 1, 1]), 0.1),
    ],
    ids=["cosine", "relational", "three of a listing", "two listings", "labels"],
)
def test_gradients_are_right(loss: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, (rows(5, 4).requires_grad_(True),))


@settings(max_examples=60, deadline=None)
@given(GROUPS, st.floats(0.01, 2.0), st.integers(0, 1000))
def test_contrastive_is_finite_for_any_listings(groups: list[int], temperature: float, seed: int) -> None:
    at, codes = rows(len(groups), 6, seed, torch.float32), torch.tensor(groups)
    value = contrastive(at, codes, temperature).item()
    grad = gradient(lambda x: contrastive(x, codes, temperature), at)
    assert math.isfinite(value)
    assert value >= -1e-5
    assert grad.isfinite().all()
    known = [code for code in groups if code >= 0]
    if len(set(known)) == len(known):  # nobody has a partner
        assert value == 0
        assert not grad.any()


def test_unknown_listings_are_not_one_listing() -> None:
    at = rows(4, 6)
    assert contrastive(at, torch.full((4,), -1), 0.1).item() == 0
    known = contrastive(at, torch.tensor([3, 3, -1, -1]), 0.1)
    assert known.item() == contrastive(at, torch.tensor([3, 3, -1, -2]), 0.1).item()
    assert gradient(lambda x: contrastive(x, torch.tensor([3, 3, -1, -1]), 0.1), at)[2:].any()  # but wrong answers


def test_contrastive_falls_as_partners_come_closer() -> None:
    at, groups = rows(6, 8), torch.tensor([0, 0, 1, 1, 2, 2])
    before = contrastive(at, groups, 0.1)
    after = contrastive(at - 0.05 * gradient(lambda x: contrastive(x, groups, 0.1), at), groups, 0.1)
    assert after < before


def test_a_batch_without_labels_costs_nothing() -> None:
    at = rows(4, 3)
    none = torch.full((4,), -1)
    assert labels(at, none, 0.1).item() == 0
    assert not gradient(lambda x: labels(x, none, 0.1), at).any()
    some = gradient(lambda x: labels(x, torch.tensor([-1, 2, -1, 0]), 0.0), at)
    assert not some[[0, 2]].any()
    assert some[[1, 3]].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 4), st.integers(0, 1000))
def test_equal_geometry_costs_nothing_whatever_the_dimensions(count: int, width: int, more: int, seed: int) -> None:
    at = rows(count, width, seed)
    scale = torch.linspace(0.5, 2.0, count, dtype=torch.float64)[:, None]
    assert relational(rotated(at, width + more) * scale, at).item() == pytest.approx(0, abs=1e-20)
    assert relational(rows(count, 4, seed + 1), at).item() > 1e-6


# -- all of them together ---------------------------------------------------------------------------------------------


OUTPUT: Output = (rows(6, 8), {"kind": rows(6, 3, 1), "colour": rows(6, 4, 2)}, [rows(6, 8), rows(6, 5, 3)])
TRUTH = Truth(
    teachers=[rows(6, 8, 4), rows(6, 5, 5)],
    weights=[3.0, 1.0],
    groups=torch.tensor([0, 0, 1, 1, -1, 2]),
    classes={"kind": torch.tensor([0, 1, 2, -1, 0, 1]), "colour": torch.tensor([3, -1, -1, -1, -1, 0])},
)


def together(spec: LossSpec, output: Output = OUTPUT, nested: Sequence[int] = (), **changes: Any) -> dict[str, Tensor]:
    return objectives(spec, output, replace(TRUTH, **changes), nested)


def test_only_what_has_a_weight_is_computed() -> None:
    assert list(together(LossSpec())) == ["cosine"]
    assert list(together(LossSpec(cosine=0, labels=1))) == ["labels"]
    every = LossSpec(cosine=1, relational=1, contrastive=1, labels=1)
    assert set(together(every)) == {"cosine", "relational", "contrastive", "labels"}
    assert set(together(every, (*OUTPUT[:2], []), teachers=[], weights=[])) == {"contrastive", "labels"}
    assert set(together(every, (OUTPUT[0], {}, OUTPUT[2]), classes={})) == {"cosine", "relational", "contrastive"}


def test_teachers_count_by_their_weights() -> None:
    vector = rows(6, 8)
    got = together(LossSpec(cosine=1, relational=1))
    by_hand = 0.75 * cosine(vector, rows(6, 8, 4)) + 0.25 * cosine(rows(6, 5, 3), rows(6, 5, 5))
    assert got["cosine"].item() == pytest.approx(by_hand.item())
    by_hand = 0.75 * relational(vector, rows(6, 8, 4)) + 0.25 * relational(vector, rows(6, 5, 5))
    assert got["relational"].item() == pytest.approx(by_hand.item())
    only = together(LossSpec(cosine=1), weights=[0.0, 2.0])["cosine"]
    assert only.item() == pytest.approx(cosine(rows(6, 5, 3), rows(6, 5, 5)).item())
    assert together(LossSpec(cosine=1), weights=[0.0, 0.0])["cosine"].item() == 0


def test_tasks_count_by_their_weights() -> None:
    kind = labels(rows(6, 3, 1), torch.tensor([0, 1, 2, -1, 0, 1]), 0.0).item()
    colour = labels(rows(6, 4, 2), torch.tensor([3, -1, -1, -1, -1, 0]), 0.0).item()
    assert together(LossSpec(labels=1))["labels"].item() == pytest.approx((kind + colour) / 2)
    weighted = together(LossSpec(labels=1, tasks={"colour": 3.0}))["labels"].item()
    assert weighted == pytest.approx((kind + 3 * colour) / 4)
    assert together(LossSpec(labels=1, tasks={"colour": 0.0}))["labels"].item() == pytest.approx(kind)


def test_nested_sizes_are_taught_like_the_whole() -> None:
    spec = LossSpec(cosine=1, relational=1, contrastive=1)
    groups = torch.tensor([0, 0, 1, 1, -1, 2])
    vector, got = rows(6, 8), together(spec, nested=(2, 4))
    parts = [vector[:, :2], vector[:, :4], vector]
    expected = np.mean([contrastive(part, groups, spec.temperature).item() for part in parts])
    assert got["contrastive"].item() == pytest.approx(expected)
    expected = np.mean(
        [
            0.75 * relational(part, rows(6, 8, 4)).item() + 0.25 * relational(part, rows(6, 5, 5)).item()
            for part in parts
        ]
    )
    assert got["relational"].item() == pytest.approx(expected)
    assert got["cosine"].item() == together(spec)["cosine"].item()


def test_combine_is_the_weighted_sum() -> None:
    spec = LossSpec(cosine=0.5, relational=3.0, contrastive=0.25, labels=2.0)
    values = together(spec)
    expected = sum(getattr(spec, name) * value.item() for name, value in values.items())
    assert combine(spec, values).item() == pytest.approx(expected)
    assert combine(LossSpec(cosine=4.0), {"cosine": torch.tensor(0.5)}).item() == 2.0
