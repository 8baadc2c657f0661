"""Forty phones at once, an interruption in each phase, and memory that does not grow with the images."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.parity.parts import Pixels, lay_out
from edgekit.bench.parity.run import Finding, ParityRequest, device_parity
from edgekit.bench.request import BenchRequest
from edgekit.data.image_files import LeftOut
from edgekit.data.images import Picture
from edgekit.errors import OutputError
from edgekit.recipe.selection import select_recipe
from edgekit.support.progress import Silent
from tests.bench.drivers.adb_device import Bench
from tests.bench.parity.phone import write_runner

SIDE = 32


def compared(artifact: Path, folder: Path, reporter: Silent | None = None) -> list[Finding]:
    runner = write_runner(folder)
    where = BenchRequest(artifacts=[artifact], on="android", runner=runner, library=runner, all_devices=True)
    request = ParityRequest(where=where, samples=12, part_bytes=6 * 64 * 64 * 3)
    return list(device_parity(request, select_recipe("tests.toys:tower", size=64), reporter))


def test_forty_phones_at_once(lab: Bench, tower_file: Path, tmp_path: Path) -> None:
    for _ in range(40):
        lab.add()
    found = compared(tower_file, tmp_path)
    assert len({one.serial for one in found}) == len(found) == 40
    assert all(one.document is not None and one.document.passed and one.error is None for one in found)
    serials = {one.document.device.serial_sha256 for one in found if one.document is not None}
    assert len(serials) == 40
    assert not lab.left()


class Interrupting(Silent):
    """Presses Ctrl-C when a phone is told to be at a step."""

    def __init__(self, step: str) -> None:
        self.step, self.pressed = step, False

    @contextmanager
    def board(self, title: str) -> Iterator[Callable[[str, str], None]]:
        def say(_serial: str, text: str) -> None:
            if text == self.step and not self.pressed:
                self.pressed = True
                os.kill(os.getpid(), signal.SIGINT)

        yield say


@pytest.mark.parametrize(
    ("part", "phase"),
    [(1, "preflight"), (1, "push model.onnx"), (1, "push inputs.bin"), (1, "measure"), (1, "putting it back"),
     (2, "push golden.bin"), (2, "measure")],
)  # fmt: skip
def test_an_interruption_leaves_nothing_on_a_phone(
    lab: Bench, tower_file: Path, tmp_path: Path, part: int, phase: str
) -> None:
    for _ in range(3):
        lab.add(**({"ROWS": "slow", "PART": str(part)} if phase == "measure" else {}))
    reporter = Interrupting(f"images {6 * part - 5} to {6 * part} of 12: {phase}")
    with pytest.raises(KeyboardInterrupt):
        compared(tower_file, tmp_path, reporter)
    assert reporter.pressed
    assert not lab.left()
    assert all(device.settings == {"airplane_mode_on": "0"} for device in lab.devices)


class Small:
    """Small images, made as they are read."""

    name = "small"
    left_out = LeftOut()

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Picture]:
        for index in range(self.count):
            yield Picture(f"{index}", None, np.full((SIDE, SIDE, 3), index % 256, np.uint8))

    def digest(self) -> str:
        return "0" * 64


def embed(images: np.ndarray) -> np.ndarray:
    """Two values an image."""
    return images.reshape(len(images), -1)[:, :2].astype(np.float32) + 1


def peak(count: int, folder: Path) -> int:
    """Bytes at once of laying images out, and of preparing each part for a device."""
    folder.mkdir()
    tracemalloc.start()
    try:
        kept = Pixels(Small(count), folder, 64 * SIDE * SIDE * 3)
        reference, parts = lay_out(kept, embed, (SIDE, SIDE), lambda done, total: None)
        for part in parts:
            part.write(folder / "inputs", folder / "golden")
            (folder / "inputs").unlink()
        assert (len(parts), len(reference.names)) == (count // 64, count)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    peak(64, tmp_path / "warm")
    few, many = peak(64, tmp_path / "few"), peak(1024, tmp_path / "many")
    pixels = (1024 - 64) * SIDE * SIDE * 3
    assert many - few < pixels / 10  # names and rows, and none of the pixels


def test_parts_hold_every_image_once_in_order(tmp_path: Path) -> None:
    kept = Pixels(Small(70), tmp_path, 9 * SIDE * SIDE * 3 + 5)
    _, parts = lay_out(kept, embed, (SIDE, SIDE), lambda done, total: None)
    assert [part.stop for part in parts] == [9, 18, 27, 36, 45, 54, 63, 70]
    halves = [half for part in parts for half in part.halves()]
    for pieces in (parts, halves):
        assert [image[0, 0, 0] for piece in pieces for image in piece.opened().images] == list(range(70))
        assert np.concatenate([piece.embeddings for piece in pieces])[:, 0].tolist() == [*range(1, 71)]
        for piece in pieces:
            assert piece.sizes == ((piece.stop - piece.start, SIDE, SIDE, 3), piece.embeddings.shape)
    one = replace(parts[0], stop=1)
    assert one.halves() == [one]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    kept = Pixels(Small(70), tmp_path / "not there", 1 << 20)
    with pytest.raises(OutputError, match="point TMPDIR at a disk with room"):
        lay_out(kept, embed, (SIDE, SIDE), lambda done, total: None)
