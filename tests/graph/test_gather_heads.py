"""A projection parted as timm does becomes slices of its heads, and other ways of parting stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgekit.graph import capture, prepare, rewrite

aten = torch.ops.aten
HEADS, WIDTH, TOKENS = 2, 8, 5
Parted = tuple[Tensor, Tensor, Tensor]


class Attention(nn.Module):
    def __init__(self, part: Callable[[Tensor], Parted]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.qkv = nn.Linear(HEADS * WIDTH, 3 * HEADS * WIDTH)
        self.part = part

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.part(self.qkv(tokens))
        return nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def timm(projected: Tensor) -> Parted:
    query, key, value = projected.reshape(1, TOKENS, 3, HEADS, WIDTH).permute(2, 0, 3, 1, 4).unbind(0)
    return query, key, value


def heads_first(projected: Tensor) -> Parted:
    query, key, value = projected.reshape(1, TOKENS, HEADS, 3, WIDTH).permute(3, 0, 2, 1, 4).unbind(0)
    return query, key, value


def counts_of(part: Callable[[Tensor], Parted]) -> tuple[dict[str, int], list[object], torch.export.ExportedProgram]:
    module, tokens = Attention(part).eval(), torch.randn(1, TOKENS, HEADS * WIDTH)
    program = capture(module, tokens)
    new, counts = rewrite(program, "coreai")
    with torch.no_grad():
        torch.testing.assert_close(new.module()(tokens), module(tokens))
    return counts, [node.target for node in new.graph.nodes if node.op == "call_function"], program


def test_a_projection_is_parted_by_its_heads() -> None:
    counts, targets, _ = counts_of(timm)
    assert (counts["gather_heads"], counts["join_slices"]) == (1, 1)
    assert targets.count(aten.linear.default) == 1
    assert targets.count(aten.split_with_sizes.default) == 1
    assert targets.count(aten.permute.default) == 2
    assert aten.scaled_dot_product_attention.default in targets
    assert aten.slice.Tensor not in targets


def test_heads_that_lie_otherwise_are_left_alone() -> None:
    assert counts_of(heads_first)[0]["gather_heads"] == 0


@pytest.mark.parametrize("rewrites", ["coreml", "onnx"])
def test_other_targets_and_plans_keep_three_projections(rewrites: str) -> None:
    program = counts_of(timm)[2]
    for new, counts in (rewrite(program, rewrites), prepare(program)):
        assert counts.get("gather_heads", 0) == 0
        assert [node.target for node in new.graph.nodes].count(aten.linear.default) == 3
