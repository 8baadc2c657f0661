from __future__ import annotations

import pytest
import torch
from torch.export import ExportedProgram

from edgekit import quantization
from edgekit.quantization.calibrate import pixels_of
from edgekit.quantization.simulate import Simulator, round_dynamic
from tests.quantization import kinds


def of_plan(kind: str, own: str) -> tuple[ExportedProgram, Simulator, quantization.Plan]:
    program = kinds.prepared(kinds.between(kind))
    plan = kinds.plan(program, lambda layer: own if layer.startswith("tried") else "w8a8")
    return program, Simulator(program, plan.tensors), plan


@pytest.mark.parametrize(
    ("kind", "own"), [("conv", "w8a8"), ("padded depthwise", "w8"), ("linear 3", "w8a8-dynamic"), ("shared", "w8a8")]
)
def test_it_gives_what_the_quantized_program_gives(kind: str, own: str) -> None:
    """For a target that has every form: XNNPACK but for weights alone, which ONNX Runtime has."""
    target = "onnx" if own in ("w8", "w8a8") else "executorch"
    program, simulator, plan = of_plan(kind, own)
    run = quantization.apply(program, plan, target)[0].module()
    image = pixels_of(kinds.images(1)[0])
    imitated = simulator.embed(image, {row.name: row.on(target) for row in plan.layers})
    with torch.no_grad():
        assert torch.nn.functional.cosine_similarity(imitated, run(image)).item() > 0.99999


def test_a_held_image_gives_the_same_with_one_layer_or_tensor_changed() -> None:
    program, simulator, plan = of_plan("conv", "w8")
    image = pixels_of(kinds.images(1)[0])
    held = simulator.hold(image)
    with torch.no_grad():
        assert torch.allclose(held, program.module()(image), atol=1e-5)
    (tried,) = [row for row in plan.layers if row.name == "tried"]
    alone = simulator.embed(image, {tried.name: "w8"})
    assert torch.equal(simulator.embed_held(tried.name, "w8"), alone)
    assert not torch.equal(alone, held)
    name, tensor = next(iter(plan.tensors.items()))
    assert torch.allclose(simulator.embed_held_tensor(name, tensor), held, atol=0.05)


def test_dynamic_rounding_keeps_zero_and_the_extremes() -> None:
    value = torch.tensor([-1.0, 0.0, 0.3, 3.0])
    rounded = round_dynamic(value)
    assert rounded[1] == 0.0
    assert (rounded - value).abs().max() <= 4 / 255 * 0.501 + 4 / 255 * 0.5  # the zero point is an integer too
    assert torch.equal(round_dynamic(torch.zeros(3)), torch.zeros(3))
