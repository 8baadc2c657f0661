"""Operators of LiteRT files, as its own profiler tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bench import profile
from edgekit.bench.profile_litert import times_of
from edgekit.errors import ModelError
from tests.bench_native.harness import lite


@pytest.mark.parametrize("layout", ["nhwc", "nhwc_u8"])
def test_operators_in_their_order(tmp_path: Path, layout: str) -> None:
    path = lite(tmp_path / "large.tflite", layout, (64, 64), 512)
    for runs in (1, 7):
        times = times_of(path, 2, 1, runs)
        kinds = [kind for kind, _ in times]
        assert any("Fully Connected" in kind or "FULLY_CONNECTED" in kind for kind in kinds), kinds
        assert all(took >= 0 for _, took in times)
        assert len(times) == len(times_of(path, 1, 0, 2))  # as many, however often it runs


def test_the_table_calls_each_operator_by_its_place(tmp_path: Path) -> None:
    path = lite(tmp_path / "small.tflite", "nhwc", (5, 7), 11)
    operators = profile._TOOLS[path.suffix](path, None, 1)
    assert operators and all(one.name == f"{one.kind} #{at}" for at, one in enumerate(operators, 1))


def test_a_file_that_is_none_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "noise.tflite"
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(ModelError, match=r"noise\.tflite: LiteRT cannot profile it .*CreateModelFromFile"):
        times_of(path, 1, 1, 2)
    assert capfd.readouterr().err == ""
