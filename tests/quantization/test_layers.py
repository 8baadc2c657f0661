from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.quantization.layers import layers, names
from tests.toys import tower


class Sums(nn.Module):
    """A convolution and its ReLU, a sum of two tensors, and one with a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.second = nn.Conv2d(3, 8, 3)

    def forward(self, image: Tensor) -> Tensor:
        left, right = torch.relu(self.first(image)), self.second(image)
        return ((left + right) + 2.0).mean((2, 3))


def prepared(module: nn.Module, size: int) -> ExportedProgram:
    return graph.prepare(graph.capture(module.eval(), torch.rand(1, 3, size, size)))[0]


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    return prepared(tower(), 64)


def test_layers_are_called_what_their_modules_are(program: ExportedProgram) -> None:
    found = {layer.name: layer.kind for layer in layers(program)}
    assert (found["stem"], found["depthwise"]) == ("conv", "depthwise")
    assert {"qkv", "qkv#2", "qkv#3", "out"} <= found.keys()
    assert found["out"] == "linear"


def test_names_are_unique_and_the_same_each_time(program: ExportedProgram) -> None:
    first, second = names(program), names(prepared(tower(), 64))
    assert len(set(first.values())) == len(first)
    assert list(first.values()) == list(second.values())
    assert "image" in first.values()


def test_weights_are_not_activations(program: ExportedProgram) -> None:
    made = {node for node in program.graph.nodes if node.op == "call_function"}
    for layer in layers(program):
        assert all(node in made or node.name == "image" for node in layer.inputs)


def test_a_clamp_that_runtimes_fold_is_a_layer_s_output() -> None:
    program = prepared(Sums(), 16)
    found = {layer.name: layer for layer in layers(program)}
    assert "relu" in str(found["first"].result.target)
    assert found["second"].result is found["second"].node


def test_a_sum_with_a_constant_is_no_layer() -> None:
    assert [layer.kind for layer in layers(prepared(Sums(), 16))].count("add") == 1
