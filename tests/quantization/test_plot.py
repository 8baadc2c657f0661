from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from edgekit.errors import OutputError
from edgekit.quantization.plan import LayerPlan, Plan
from edgekit.quantization.plot import plot_damage
from edgekit.quantization.schemes import SCHEMES


def plan_of(*schemes: str) -> Plan:
    rows = [
        LayerPlan(name=f"layer{index}", kind="conv", scheme=scheme, damage={"w8a8": 10.0 ** -(1 + index)})
        for index, scheme in enumerate(schemes)
    ]
    return Plan(
        model="toy", backbone="toy", weights_sha256="0" * 64, input=(8, 8), scheme="auto", calibration=None,
        layers=tuple(rows), tensors={},
    )  # fmt: skip


def test_every_scheme_has_its_own_colour_in_the_picture(tmp_path: Path) -> None:
    plot_damage(plan_of(*SCHEMES), tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as image:
        seen = {tuple(pixel) for pixel in np.array(image.convert("RGB")).reshape(-1, 3)}
    for scheme in SCHEMES.values():
        assert tuple(round(255 * part) for part in to_rgb(scheme.colour)) in seen, scheme.key
    assert len({scheme.colour for scheme in SCHEMES.values()}) == len(SCHEMES)


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        plot_damage(plan_of("w8a8", "float"), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="the plot cannot be written"):
        plot_damage(plan_of("w8a8"), tmp_path / "file" / "plot.png")
