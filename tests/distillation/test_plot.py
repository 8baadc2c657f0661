"""The pictures: that they are written, are the same each time, and show what is in the rows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.distillation.plot import plot_ablation, plot_run
from edgekit.errors import MissingDependencyError, OutputError

Row = dict[str, Any]

ABLATION: list[Row] = [
    {"variant": "base", "mean_recall_1": 0.7, "difference": None, "low": None, "high": None},
    {"variant": "without contrastive", "mean_recall_1": 0.65, "difference": -0.05, "low": -0.06, "high": -0.04},
    {"variant": "strong augmentation", "mean_recall_1": 0.72, "difference": 0.02, "low": 0.01, "high": 0.03},
    {"variant": "no EMA", "mean_recall_1": 0.705, "difference": 0.005, "low": None, "high": None},
]


def train(step: int, **losses: float) -> Row:
    given = losses or {"cosine": 1 / (1 + step), "contrastive": 3.0 + step % 3}
    return {"kind": "train", "step": step, "photos": 64 * step, "loss": 1.0, "losses": given, "rate": 1e-3}


def validation(step: int, recall_1: float | None = 0.5, teacher: float | None = None) -> Row:
    task: Row = {"recall_1": recall_1, "recall_10": 0.9, "ndcg_10": 0.7, "mean_ap": 0.6, "retention": None}
    if teacher is not None:
        task["teacher_recall_1"] = teacher
    return {"kind": "validation", "step": step, "photos": 64 * step, "size": 64, "retrieval": {"seller": task}}


def pixels(rows: list[Row], out: Path, draw: Callable[[list[Row], Path], None] = plot_run) -> np.ndarray:
    draw(rows, out)
    with Image.open(out) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def shows(picture: np.ndarray, colour: str) -> bool:
    wanted = np.array(list(bytes.fromhex(colour.removeprefix("#"))))
    return int(np.sum((picture == wanted).all(axis=2))) > 30


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "rows",
    [
        [],
        [train(0)],
        [train(step) for step in range(40)],
        [validation(3)],
        [train(step) for step in range(3)] + [validation(3)],
        [train(0, cosine=0.0), train(1, cosine=0.0)],
        [train(0, cosine=float("nan")), train(1, cosine=float("inf")), validation(1, None)],
        [train(0, cosine=0.5, labels=0.0), train(1, cosine=0.4)],
        [{"kind": "note", "text": "of another kind"}],
    ],
)
def test_any_run_gives_a_picture(rows: list[Row], tmp_path: Path) -> None:
    height, width, _ = pixels(rows, tmp_path / "run.png").shape
    assert 1000 <= width <= 2000
    assert 400 <= height <= 1000
    assert [file.name for file in tmp_path.iterdir()] == ["run.png"]


@pytest.mark.parametrize("draw", [plot_run, plot_ablation])
def test_same_rows_give_the_same_bytes(draw: Callable[[list[Row], Path], None], tmp_path: Path) -> None:
    rows = ABLATION if draw is plot_ablation else [train(0), train(1), validation(1, teacher=0.8)]
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    draw(rows, first)
    second.write_bytes(b"an older picture")
    draw(rows, second)
    assert first.read_bytes() == second.read_bytes()
    assert b"Software" not in first.read_bytes()


def test_every_objective_has_its_colour(tmp_path: Path) -> None:
    one = pixels([train(step, cosine=0.5) for step in range(9)], tmp_path / "one.png")
    two = pixels([train(step, cosine=0.5, labels=0.9) for step in range(9)], tmp_path / "two.png")
    assert shows(one, "#0072B2") and not shows(one, "#D55E00")
    assert shows(two, "#0072B2") and shows(two, "#D55E00")


def test_the_teacher_is_drawn_where_it_is_known(tmp_path: Path) -> None:
    without = pixels([validation(1), validation(2)], tmp_path / "without.png")
    taught = pixels([validation(1, teacher=0.8), validation(2, teacher=0.8)], tmp_path / "with.png")
    blue = [int(np.sum((picture == (0, 0x72, 0xB2)).all(axis=2))) for picture in (without, taught)]
    assert blue[1] > blue[0] + 100


def test_a_variant_is_coloured_by_what_its_interval_says(tmp_path: Path) -> None:
    wide = [row | ({} if row["difference"] is None else {"low": -0.1, "high": 0.1}) for row in ABLATION]
    clear = pixels(ABLATION, tmp_path / "clear.png", plot_ablation)
    unclear = pixels(wide, tmp_path / "unclear.png", plot_ablation)
    for colour in (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00):
        counts = [int(np.sum((picture == colour).all(axis=2))) for picture in (clear, unclear)]
        assert counts[0] > 3 * counts[1]  # the legend has one marker of each


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [0, 1, 2, 12])
def test_an_ablation_of_any_length(count: int, tmp_path: Path) -> None:
    picture = pixels([ABLATION[i % 4] for i in range(count)], tmp_path / "ablation.png", plot_ablation)
    assert 300 <= picture.shape[0] <= 1200
    assert picture.shape[1] == 1200


@pytest.mark.parametrize("draw", [plot_run, plot_ablation])
def test_a_place_that_cannot_be_written(draw: Callable[[list[Row], Path], None], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        draw([], tmp_path / "missing" / "plot.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        draw([], tmp_path / "folder.png")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.png"]


def test_no_global_state_of_pyplot_is_touched(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    plot_run([train(0)], tmp_path / "run.png")
    assert ("matplotlib.pyplot" in sys.modules) == before


@pytest.mark.parametrize("draw", [plot_run, plot_ablation])
def test_without_matplotlib_the_install_command_is_named(
    draw: Callable[[list[Row], Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgekit\[distill\]'"):
        draw([], tmp_path / "plot.png")
