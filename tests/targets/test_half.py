"""Half precision in a program: what is half in it, what stays float32, and that it still computes the same."""

from __future__ import annotations

import pytest
import torch
import torch.ao.quantization.fx._decomposed
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.targets.half import to_half
from tests.targets.conftest import SIZE, build

IMAGE = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 255


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    return build("coreai")


def embedding(program: ExportedProgram, image: Tensor = IMAGE) -> Tensor:
    with torch.no_grad():
        found: Tensor = program.module()(image)
    return found


def calls(program: ExportedProgram, *kinds: str) -> list[Node]:
    return [node for node in program.graph.nodes if any(kind in str(node.target) for kind in kinds)]


def test_layers_are_half_and_borders_are_not(program: ExportedProgram) -> None:
    half = to_half(program)
    layers = calls(half, "conv2d", "linear")
    assert layers
    assert {node.meta["val"].dtype for node in layers} == {torch.float16}
    (result,) = next(node for node in half.graph.nodes if node.op == "output").args[0]
    assert result.meta["val"].dtype == torch.float32
    found, due = embedding(half), embedding(program)
    assert found.dtype == torch.float32
    assert float((found * due).sum()) > 0.999
    assert not torch.equal(found, due)


def test_the_program_that_is_given_stays_as_it_is(program: ExportedProgram) -> None:
    before = {name: value.dtype for name, value in program.state_dict.items()}
    to_half(program)
    assert {name: value.dtype for name, value in program.state_dict.items()} == before


def test_calls_that_are_named_stay_in_float32(program: ExportedProgram) -> None:
    named = calls(program, "conv2d")[0].name
    found = {node.meta["val"].dtype for node in calls(to_half(program, [named]), "conv2d")}
    assert found == {torch.float16, torch.float32}


class OnIntegers(nn.Module):
    """A convolution between integers, whose scales half precision does not have."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("codes", torch.randint(-127, 128, (8, 3, 3, 3), generator=generator, dtype=torch.int8))
        self.register_buffer("scales", 2e-6 + 1e-6 * torch.rand(8, generator=generator))
        self.register_buffer("zeros", torch.zeros(8, dtype=torch.int64))

    def forward(self, image: Tensor) -> Tensor:
        own = torch.ops.quantized_decomposed
        taken = own.quantize_per_tensor(image, 1.0, -128, -128, 127, torch.int8)
        given = own.dequantize_per_tensor(taken, 1.0, -128, -128, 127, torch.int8)
        weight = own.dequantize_per_channel(self.codes, self.scales, self.zeros, 0, -127, 127, torch.int8)
        return nn.functional.normalize(nn.functional.conv2d(given, weight).flatten(1), dim=1)


def test_layers_on_integers_give_half_numbers_and_keep_their_scales() -> None:
    program = torch.export.export(OnIntegers().eval(), (IMAGE,))
    half = to_half(program)
    numbers = calls(half, "dequantize_per_tensor", "dequantize_per_channel", "conv2d")
    assert [node.meta["val"].dtype for node in numbers] == [torch.float16] * 3
    scales = [value for name, value in half.named_buffers() if name.endswith("scales")]
    torch.testing.assert_close(scales, [program.state_dict["scales"]], rtol=0, atol=0)
    assert float((embedding(half) * embedding(program)).sum()) > 0.9999
