"""What a rewrite may ask of a node, and what it is told where the node has nothing of the kind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgekit.graph import capture
from edgekit.graph.edit import (
    add_constant,
    arg,
    args_of,
    argument_names,
    calls,
    constant,
    getitem,
    operator_of,
    set_weights,
    source_of,
    to_graph,
    weights,
)

aten = torch.ops.aten


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.known = nn.Linear(4, 4)
        self.bare = nn.Linear(4, 4, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        first, second = self.bare(self.known(image)).chunk(2, dim=1)
        return nn.functional.linear(first, second, None)


def test_arguments_by_place_and_by_name() -> None:
    graph_module = to_graph(capture(Layers(), torch.randn(2, 4)))
    known, bare, computed = calls(graph_module, aten.linear.default)
    assert argument_names(known) == ["input", "weight", "bias"]
    assert source_of(bare) is known
    assert args_of(bare)[1] is arg(bare, "weight")
    assert arg(bare, "bias") is None
    assert operator_of(known) is aten.linear.default
    (taken, _) = calls(graph_module, getitem)
    with pytest.raises(TypeError, match="calls no operator"):
        operator_of(taken)
    head = next(iter(graph_module.graph.nodes))
    assert weights(computed) is None, "a weight that the image decides"
    with pytest.raises(TypeError, match="does not take a tensor first"):
        source_of(head)


def test_weights_are_read_and_replaced() -> None:
    module = Layers()
    graph_module = to_graph(capture(module, torch.randn(2, 4)))
    known, bare, _ = calls(graph_module, aten.linear.default)
    both = weights(known)
    assert both is not None
    assert both[1] is not None
    torch.testing.assert_close(both[0], module.known.weight)
    assert weights(bare) == (constant(args_of(bare)[1]), None)
    doubled = add_constant(known, both[0] * 2, "doubled")
    set_weights(known, doubled, None)
    again = weights(known)
    assert again is not None
    assert again[1] is None
    torch.testing.assert_close(again[0], module.known.weight * 2)
    assert add_constant(graph_module, both[0], "doubled").target == "doubled_1", "names are fresh"
