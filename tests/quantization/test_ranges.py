"""Ranges: the best observer for each tensor, and one range for tensors that must share it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.data.datasets import CatalogPictures
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.quantization.calibrate import Histogram, calibrate, pixels_of
from edgekit.quantization.layers import layers, static_tensors, tied
from edgekit.quantization.observers import BINS, OBSERVERS
from edgekit.quantization.plan import TensorPlan
from edgekit.quantization.ranges import best_ranges, plan_tensors, tie
from edgekit.quantization.simulate import Simulator, rounded
from edgekit.recipe import resolve_model


def histogram(low: float, high: float) -> Histogram:
    return Histogram(low, high, np.ones(BINS, np.int64))


def prepared(name: str) -> tuple[Embedder, ExportedProgram]:
    embedder = build_embedder(resolve_model(name).override(input={"size": (64, 64)}))
    return embedder, graph.prepare(graph.capture(embedder, embedder.example()))[0]


def test_tied_tensors_get_the_widest_histogram() -> None:
    seen = {"a": histogram(-1, 1), "b": histogram(0, 8), "c": histogram(0, 1)}
    found = tie(seen, [{"a", "b", "elsewhere"}])
    assert found["a"] is found["b"] is seen["b"]
    assert found["c"] is seen["c"]


def test_a_concatenation_ties_its_parts() -> None:
    _, program = prepared("tests.toys:joined")
    (group,) = [names for names in tied(program) if any(name.endswith(":cat") for name in names)]
    assert len([name for name in group if ":mul" in name]) == 2  # both SiLUs


def test_the_best_range_of_a_tensor_is_the_least_damage_among_observers() -> None:
    embedder, program = prepared("tests.toys:tower")
    images = [picture.image for picture in CatalogPictures(16, embedder.spec)]
    wanted = static_tensors(program, {layer.name for layer in layers(program)})
    by_node = calibrate(program, list(wanted.values()), lambda: images).histograms
    seen = {name: by_node[node] for name, node in wanted.items()}
    simulator = Simulator(program, {})
    probes = [pixels_of(image) for image in images[:3]]
    found = best_ranges(simulator, seen, probes)
    name = next(name for name in found if name != "image")

    def damage(range_: TensorPlan) -> float:
        total = 0.0
        for probe in probes:
            original = simulator.hold(probe)
            total += max(0.0, 1 - float((simulator.embed_held_tensor(name, range_) * original).sum()))
        return total

    least = min(damage(plan_tensors(seen, observer)[name]) for observer in OBSERVERS)
    assert damage(found[name]) == pytest.approx(least)


def test_rounding_keeps_zero_and_stays_within_half_a_step() -> None:
    range_ = plan_tensors({"x": histogram(-1.0, 3.0)}, "minmax")["x"]
    values = torch.linspace(-1, 3, 1001)
    assert rounded(torch.zeros(1), range_).item() == 0.0
    assert (rounded(values, range_) - values).abs().max() <= range_.scale * 0.501
