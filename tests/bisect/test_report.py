"""The document of a bisect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.bisect.report import BisectReport, Step
from edgekit.errors import InputError


def report(*jumps: int, steps: int = 6) -> BisectReport:
    """Each step's own error is 1e-7, but for the jumps, of which the second is infinite."""
    made = [
        Step(
            depth=2 * place,
            module=f"blocks.{place}",
            op="linear",
            tensor=f"t{place}",
            kind="Gemm",
            shape=[1, 24],
            cosine=None if place in jumps[1:] else 0.9999,
            max_error=None if place in jumps[1:] else 0.1,
            own_error=(0.5 if place in jumps[:1] else None) if place in jumps else 1e-7,
            jump=place in jumps,
            likely="overflow" if place in jumps else None,
        )
        for place in range(steps)
    ]
    return BisectReport(
        model="toy", format="onnx", precision="fp32", image="a.png", cosine=0.5, allowed=5e-4, seen=9, steps=made
    )


def test_the_first_jump_is_the_first() -> None:
    first = report(2, 4).first
    assert first is not None and first.module == "blocks.2"
    assert report().first is None


def test_a_written_report_is_read_back(tmp_path: Path) -> None:
    made = report(1, 3)
    path = made.write(tmp_path / "bisect.json")
    assert BisectReport.read(path) == made
    assert json.loads(path.read_text())["schema"] == "edgekit.bisect/1"
    path.write_text(path.read_text().replace('"depth": 2', '"depth": -2'))
    with pytest.raises(InputError, match="depth"):
        BisectReport.read(path)
