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
    told: list[int] = []
    damage = measure(
        simulator, dict.fromkeys(names, ("w8a8-dynamic", "w8", "float")), list(map(pixels_of, images[:2])), told.append
    )
    assert list(damage) == names
    for own in damage.values():
        assert 0 <= own["w8"].mean <= own["w8"].worst < 1e-3
        assert own["float"].worst < 1e-6
        assert own["w8"].worst <= own["w8a8-dynamic"].worst + 1e-6
    assert told == list(range(1, 2 * 3 * len(names) + 1))
