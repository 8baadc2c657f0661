"""Which calls half precision spoils, by simulation alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.graph import half
from edgekit.graph.half import Finding, difference, find_wide
from edgekit.graph.half_simulation import Simulation, norm_at_the_end
from edgekit.graph.narrow_masks import narrow_masks
from tests import half_toys, toys


class _Embedder(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.normalize(self.backbone((image / 255 - 0.5) / 0.5), dim=-1)


def _images(count: int = 3) -> list[Tensor]:
    draws = torch.Generator().manual_seed(0)
    small = torch.rand(count, 3, 6, 6, generator=draws) * 255
    return list(nn.functional.interpolate(small, size=(64, 64), mode="bilinear").round().split(1))


def _program(backbone: nn.Module, rewrites: str = "coreml") -> ExportedProgram:
    module = _Embedder(backbone).eval()
    return graph.rewrite(torch.export.export(module, (_images(1)[0],), strict=False), rewrites)[0]


def _find(program: ExportedProgram, norm_is_wide: bool = False) -> Finding:
    return find_wide(program, _images(), allowed=1e-3, measured=math.inf, norm_is_wide=norm_is_wide)


def _loss(program: ExportedProgram, image: Tensor, names: set[str]) -> float:
    simulation = Simulation(program)
    wide = [node for node in simulation.calls if node.name in names]
    with torch.inference_mode():
        exact = simulation.exact(image)[simulation.result]
        return 1 - float((exact * simulation.mixed(image, wide)).sum())


@pytest.mark.parametrize(
    ("toy", "ops", "reason"),
    [
        ("large", {"linear", "relu"}, "values to"),
        ("multiplied", {"mul"}, "3.4e+38"),
        ("spread", {"mul", "mean", "add", "rsqrt"}, "values to"),
        ("tiny", {"square", "mean", "add", "rsqrt"}, "below what half precision"),
    ],
)
def test_the_calls_that_half_precision_spoils_are_found_and_few(toy: str, ops: set[str], reason: str) -> None:
    program = _program(getattr(half_toys, toy)())
    finding = _find(program)
    assert not finding.loss <= 0.01
    assert {call.op for call in finding.calls} >= ops
    assert {call.module for call in finding.calls if call.op in ops} <= {
        f"backbone.{name}" for name in ("hazards.0", "hazards.0.up", "hazards.0.down")
    }
    assert any(reason in call.reason for call in finding.calls)
    assert len(finding.calls) <= 8
    assert _loss(program, _images()[1], {call.node for call in finding.calls}) <= 5e-4


def test_the_largest_value_is_told() -> None:
    finding = _find(_program(half_toys.large()))
    assert finding.worst is not None and finding.worst.op == "linear"
    assert finding.worst.module == "backbone.hazards.0.up"
    assert 65504 < finding.worst.largest < 1e7


def test_of_many_calls_the_dearest_groups_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(half_toys.every())
    monkeypatch.setattr(half, "_MANY", 24)
    monkeypatch.setattr(half, "_GROUP", 4)
    finding = _find(program)
    assert finding.calls
    assert _loss(program, _images()[1], {call.node for call in finding.calls}) <= 5e-4


def test_a_program_for_any_batch_is_searched_too() -> None:
    example = torch.cat(_images(2))
    captured = graph.capture(_Embedder(half_toys.large()).eval(), example, dynamic_batch=True)
    finding = _find(graph.rewrite(captured, "onnx")[0], norm_is_wide=True)
    assert {"linear", "relu"} <= {call.op for call in finding.calls}


def test_no_few_calls_mend_a_model_that_doubles_every_error() -> None:
    finding = _find(_program(half_toys.chaos()))
    assert not finding.calls
    assert finding.worst is not None and finding.worst.module == "backbone.hazards.0"


def test_a_model_that_half_precision_keeps_is_not_blamed() -> None:
    finding = _find(_program(toys.tower()))
    assert finding.loss < 1e-4
    assert finding.worst is None and not finding.calls


def test_the_simulation_in_float32_is_the_program() -> None:
    program = _program(toys.tower(), "executorch")
    simulation = Simulation(program)
    (image,) = _images(1)
    with torch.inference_mode():
        assert torch.equal(simulation.mixed(image, simulation.calls), simulation.exact(image)[simulation.result])
        torch.testing.assert_close(simulation.exact(image)[simulation.result], program.module()(image))


@pytest.mark.parametrize("rewrites", ["executorch", "onnx"])
def test_a_norm_that_stays_in_float32_anyway_is_not_among_the_calls(rewrites: str) -> None:
    program = _program(half_toys.every(), rewrites)
    _, tail = norm_at_the_end(program.graph.output_node().args[0][0])
    finding = _find(program, norm_is_wide=True)
    assert tail and finding.calls
    assert not {node.name for node in tail} & {call.node for call in finding.calls}


class _Norms(nn.Module):
    """A variance, a group norm and an RMS norm of values whose squares overflow, though no result of theirs does."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 8, stride=8)
        self.norm = {"group": nn.GroupNorm(2, 8), "rms": nn.RMSNorm(8), "var": nn.Identity()}[kind]
        self.kind = kind

    def forward(self, image: Tensor) -> Tensor:
        features = self.stem(image) * 500
        if self.kind == "rms":
            features = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        elif self.kind == "group":
            features = self.norm(features)
        else:
            features = features / (features.var(dim=1, keepdim=True) + 1e-5).sqrt()
        return features.mean((2, 3)) - features.amax((2, 3)) * 0.5


@pytest.mark.parametrize("kind", ["group", "rms", "var"])
def test_squares_inside_one_operator_count(kind: str) -> None:
    torch.manual_seed(0)
    program = _program(_Norms(kind))
    finding = _find(program)
    assert finding.worst is not None and finding.calls
    assert _loss(program, _images()[1], {call.node for call in finding.calls}) <= 5e-4


def test_a_mask_that_only_a_softmax_sees_is_spelled_with_a_number_that_half_precision_has() -> None:
    program = _program(half_toys.masked())
    narrowed, count = narrow_masks(program)
    assert count == 1
    assert difference(program, narrowed, _images()) < 1e-6
    assert _loss(program, _images()[1], set()) > 0.1 or math.isnan(_loss(program, _images()[1], set()))
    assert _loss(narrowed, _images()[1], set()) < 5e-4


@pytest.mark.parametrize("toy", [half_toys.multiplied, half_toys.large, toys.tower])
def test_other_numbers_are_left_alone(toy: Callable[[], nn.Module]) -> None:
    program = _program(toy())
    narrowed, count = narrow_masks(program)
    assert count == 0 and narrowed is program


@pytest.mark.parametrize("hide", ["where", "masked_fill", "constant"])
def test_every_spelling_of_a_mask_is_narrowed(hide: str) -> None:
    class Hides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 8, stride=8)
            self.register_buffer("mask", torch.where(torch.arange(64) > 40, torch.finfo(torch.float32).min, 0.0))

        def forward(self, image: Tensor) -> Tensor:
            tokens = self.stem(image).flatten(2).transpose(1, 2)
            scores, hidden = tokens @ tokens.transpose(1, 2), (tokens[..., 0] < -0.1)[:, None, :]
            if hide == "where":
                scores = torch.where(hidden, -1e30, scores)
            elif hide == "masked_fill":
                scores = scores.masked_fill(hidden, -1e30)
            else:
                scores = scores + self.mask
            return (scores.softmax(-1) @ tokens).mean(1)

    program = _program(Hides())
    narrowed, count = narrow_masks(program)
    assert count == 1
    assert difference(program, narrowed, _images()) < 1e-6
    values = [value for value in narrowed.state_dict.values() if value.is_floating_point()]
    assert all(float(value.min()) >= -65504 for value in values)
