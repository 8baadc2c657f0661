"""The embedding is taken from whatever a backbone returns, where it is evident, or where the user says which."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgekit.errors import ModelError, UsageError
from edgekit.model.embedder import build_embedder
from edgekit.model.outputs import Pool, find_output
from edgekit.recipe import ModelSpec, Recipe

Pair = namedtuple("Pair", ["logits", "embedding"])


@dataclasses.dataclass
class Data:
    map: Tensor
    pooled: Tensor
    rest: Any = None


def take(returned: Any, output: str | None = None, pool: Pool | None = None) -> Tensor:
    return find_output(returned, output, pool, (64, 64), "toy")(returned, 1)


VECTOR, OTHER = torch.arange(8.0)[None], torch.ones(1, 8)
MAP, TOKENS = torch.rand(1, 8, 4, 4), torch.rand(1, 5, 8)


@pytest.mark.parametrize(
    "returned",
    [
        VECTOR,
        (VECTOR,),
        [VECTOR, MAP],
        (MAP, [TOKENS, {"deep": VECTOR}]),
        {"logits": OTHER, "features": VECTOR},
        {"image_embeds": VECTOR, "pooler_output": OTHER, "last_hidden_state": TOKENS},
        {"x_norm_clstoken": VECTOR, "x_norm_patchtokens": TOKENS, "masks": None},
        OrderedDict(last_hidden_state=TOKENS, pooler_output=VECTOR),
        Pair(OTHER, VECTOR),
        Data(MAP, VECTOR),
        SimpleNamespace(loss=None, embeds=VECTOR),
        VECTOR[:, :, None, None],
        VECTOR[:, None],
        VECTOR[:, None, None],
        VECTOR[0],
        VECTOR.half(),
    ],
)
def test_the_evident_embedding_is_taken(returned: Any) -> None:
    found = take(returned)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, VECTOR)


@pytest.mark.parametrize(
    ("returned", "output"),
    [
        ((OTHER, VECTOR), "1"),
        ((OTHER, VECTOR), "-1"),
        ({"a": OTHER, "b": {"c": [OTHER, VECTOR]}}, "b.c.1"),
        ({"a": OTHER, "b": {"c": VECTOR}}, "b"),
        (Data(MAP, OTHER, VECTOR), "rest"),
        ({3: VECTOR, 4: OTHER}, "3"),
    ],
)
def test_a_name_or_an_index_says_which(returned: Any, output: str) -> None:
    torch.testing.assert_close(take(returned, output), VECTOR)


@pytest.mark.parametrize(
    ("returned", "pool", "expected"),
    [
        (MAP, "avg", MAP.mean((2, 3))),
        (MAP, "max", MAP.amax((2, 3))),
        (MAP.permute(0, 2, 3, 1), "avg", MAP.mean((2, 3))),
        (TOKENS, "avg", TOKENS.mean(1)),
        (TOKENS, "cls", TOKENS[:, 0]),
        (TOKENS, "max", TOKENS.amax(1)),
        ({"last_hidden_state": TOKENS, "pooler_output": OTHER}, "cls", TOKENS[:, 0]),
        ({"feature_maps": [MAP]}, "avg", MAP.mean((2, 3))),
    ],
)
def test_maps_and_tokens_are_pooled_as_told(returned: Any, pool: Pool, expected: Tensor) -> None:
    torch.testing.assert_close(take(returned, pool=pool), expected)


@pytest.mark.parametrize(
    ("returned", "output", "pool", "error", "says"),
    [
        ((VECTOR, OTHER), None, None, ModelError, r"0 \[1, 8\], 1 \[1, 8\]; say which with `output`"),
        ([MAP, TOKENS], None, None, ModelError, "`output` and how to pool it"),
        ({"a": VECTOR, "b": OTHER}, "c", None, UsageError, "no such tensor; it gives a "),
        (VECTOR, "a", None, UsageError, "leave out `output`"),
        (MAP, None, None, ModelError, r'\[1, 8, 4, 4\].*pooled features \[1,C\].*`pool="avg"` or "max"'),
        (TOKENS, None, None, ModelError, '`pool="avg"`, "cls" or "max"'),
        (MAP, None, "cls", UsageError, 'takes `pool="avg"` or "max"'),
        (VECTOR, None, "avg", UsageError, "pooled already"),
        (torch.ones(1, 8, dtype=torch.int64), None, None, ModelError, "real numbers"),
        (torch.ones(3, 8), None, None, ModelError, "for one image"),
        ("text", None, None, ModelError, "without a tensor"),
    ],
)
def test_what_is_not_evident_is_one_line(
    returned: Any, output: str | None, pool: Pool | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        take(returned, output, pool)
    assert "\n" not in str(caught.value)


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)

    def forward(self, image: Tensor) -> dict[str, Any]:
        found = self.stem(image)
        return {"maps": [found, 2 * found], "first": found.mean((2, 3)), "second": found.amax((2, 3))}


def test_a_recipe_names_the_output_and_its_pooling() -> None:
    spec = ModelSpec(backbone="tests.model.test_outputs:Several")
    recipe = Recipe(name="toy", model=spec, input={"size": 32})
    image = 255 * torch.rand(3, 3, 32, 32)
    with pytest.raises(ModelError, match=r"first \[1, 8\], second"):
        build_embedder(recipe)
    for output, pool, expected in (
        ("second", None, lambda found: found["second"]),
        ("maps.1", "max", lambda found: found["maps"][1].amax((2, 3))),
    ):
        embedder = build_embedder(recipe.override(model={"output": output, "pool": pool}))
        found = expected(embedder.backbone((image - embedder.mean) * embedder.scale))
        torch.testing.assert_close(embedder(image), nn.functional.normalize(found))


def test_an_index_may_be_a_number_in_the_recipe() -> None:
    assert ModelSpec.model_validate({"backbone": "a:b", "output": -1}).output == "-1"
