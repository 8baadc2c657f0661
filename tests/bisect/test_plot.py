"""Error over depth, drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgekit.bisect.plot import draw
from edgekit.errors import OutputError
from tests.bisect.test_report import report


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        assert image.format == "PNG" and min(image.size) > 100
        return image.convert("RGB").tobytes()


def test_a_jump_is_seen_in_the_picture(tmp_path: Path) -> None:
    for name, made in {"right": report(), "again": report(), "wrong": report(2, 4), "empty": report(steps=0)}.items():
        draw(made, tmp_path / f"{name}.png")
    right, again, wrong, empty = (pixels(tmp_path / f"{name}.png") for name in ("right", "again", "wrong", "empty"))
    assert right == again
    assert len({right, wrong, empty}) == 3


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        draw(report(1), tmp_path)
