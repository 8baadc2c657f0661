from __future__ import annotations

import numpy as np
from torch.export import ExportedProgram

from edgekit.quantization.calibrate import pixels_of
from edgekit.quantization.layers import layers
from edgekit.quantization.sensitivity import measure
from edgekit.quantization.simulate import Simulator


def test_each_layer_is_measured_alone_under_each_scheme(program: ExportedProgram, images: np.ndarray) -> None:
    simulator = Simulator(program, {})
    names = [layer.name for layer in layers(program) if layer.kind == "linear"]
    counts: list[int] = []
    damage = measure(
        simulator,
        dict.fromkeys(names, ("w8a8-dynamic", "w8", "float")),
        list(map(pixels_of, images[:2])),
        counts.append,
    )
    assert list(damage) == names
    for own in damage.values():
        assert 0 <= own["w8"].mean <= own["w8"].worst < 1e-3
        assert own["float"].worst < 1e-6
    total = {scheme: sum(own[scheme].mean for own in damage.values()) for scheme in ("w8", "w8a8-dynamic")}
    assert total["w8"] < total["w8a8-dynamic"]  # which rounds the same weights, and activations too
    assert counts == list(range(1, 2 * 3 * len(names) + 1))
