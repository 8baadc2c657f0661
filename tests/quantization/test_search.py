"""The search takes as few steps as keep both limits, and says the best it found where none do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from edgekit import graph
from edgekit.errors import UsageError
from edgekit.model.embedder import build_embedder
from edgekit.quantization.judge import Loss
from edgekit.quantization.layers import Layer, layers
from edgekit.quantization.schemes import candidates
from edgekit.quantization.search import first_choice, integers_pay, search, steps, without_isolated
from edgekit.quantization.sensitivity import Damage
from edgekit.recipe import resolve_model

Damages = Mapping[str, Mapping[str, Damage]]


@pytest.fixture(scope="module")
def found() -> list[Layer]:
    embedder = build_embedder(resolve_model("tests.toys:joined").override(input={"size": (64, 64)}))
    return layers(graph.prepare(graph.capture(embedder, embedder.example()))[0])


@pytest.fixture(scope="module")
def damage(found: list[Layer]) -> Damages:
    """Each static layer costs 0.001, weights alone nothing."""
    return {
        layer.name: {
            scheme: Damage(0.0, 0.001 if scheme.startswith("w8a8") else 0.0) for scheme in candidates(layer.kind)
        }
        for layer in found
    }


def cosine(schemes: Mapping[str, str]) -> float:
    return 1 - 0.001 * sum(scheme.startswith("w8a8") for scheme in schemes.values())


def run(
    found: list[Layer],
    damage: Damages,
    min_cosine: float,
    *,
    whole: Callable[[Mapping[str, str]], float] = cosine,
) -> tuple[dict[str, str], Loss]:
    order = steps(found, damage)
    return search(
        found,
        order,
        lambda schemes, _: cosine(schemes),
        lambda schemes, _: Loss(whole(schemes), 1.0),
        min_cosine=min_cosine,
        max_recall_drop=0.3,
    )


def test_nothing_is_given_up_that_need_not_be(found: list[Layer], damage: Damages) -> None:
    schemes, _ = run(found, damage, 0.5)
    assert schemes == without_isolated(found, first_choice(found))


def test_limits_are_kept_with_few_steps(found: list[Layer], damage: Damages) -> None:
    fastest = cosine(without_isolated(found, first_choice(found)))
    schemes, loss = run(found, damage, fastest + 0.0015)
    assert loss.min_cosine >= fastest + 0.0015
    assert "w8a8" in schemes.values()


def test_a_step_that_helps_nothing_beside_others_is_taken_back(found: list[Layer], damage: Damages) -> None:
    """The layer that alone seems worst stays in 8 bits where the whole model holds without its step."""
    order = steps(found, damage)
    needed = order[2].layer

    def whole(schemes: Mapping[str, str], _: float = 0.0) -> float:
        return 0.9 if schemes[needed].startswith("w8a8") else 1.0

    schemes, loss = search(
        found,
        order,
        whole,
        lambda schemes, _: Loss(whole(schemes), 1.0),
        min_cosine=0.99,
        max_recall_drop=0.3,
    )
    assert loss.min_cosine == 1.0
    only = {**first_choice(found), needed: order[2].scheme}
    assert schemes == without_isolated(found, only)


def test_images_that_were_not_searched_on_may_want_more(found: list[Layer], damage: Damages) -> None:
    fastest = cosine(without_isolated(found, first_choice(found)))
    searched, _ = run(found, damage, fastest)
    more, loss = run(found, damage, fastest, whole=lambda schemes: cosine(schemes) - 0.002)
    assert loss.min_cosine >= fastest
    assert cosine(more) > cosine(searched)


def test_a_limit_that_no_plan_keeps_is_refused_with_the_best(found: list[Layer], damage: Damages) -> None:
    with pytest.raises(UsageError, match=r"the best has cosine 0\.97") as caught:
        search(
            found,
            steps(found, damage),
            lambda *_: 0.97,
            lambda *_: Loss(0.97, 1.0),
            min_cosine=0.99,
            max_recall_drop=0.3,
        )
    assert caught.value.field == "min_cosine"


class Clamped(nn.Module):
    """Two convolutions with ReLU6, summed for a third."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, image: Tensor) -> Tensor:
        relu6 = nn.functional.relu6
        return self.three(relu6(self.one(image)) + relu6(self.two(image))).mean((2, 3))


def test_a_clamp_is_no_border() -> None:
    """What a clamped layer gives are integers too: no conversion stands before the sum that takes them."""
    found = layers(graph.prepare(graph.capture(Clamped().eval(), torch.rand(1, 3, 32, 32)))[0])
    schemes = without_isolated(found, first_choice(found))
    assert [schemes[layer.name] for layer in found if layer.kind == "add"] == ["w8a8"]


def test_integers_pay_only_where_much_stands_between_conversions(found: list[Layer]) -> None:
    assert not integers_pay(found, {layer.name: "w8a8" if layer.kind == "add" else "float" for layer in found} | {
        found[0].name: "w8a8"
    })  # fmt: skip
    assert integers_pay(found, {layer.name: "float" for layer in found})  # none: nothing to lose
