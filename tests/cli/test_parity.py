"""`edgekit parity`: an artifact is compared again, and one that was edited is found out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import TOWER, Invoke, one_line


def test_parity_of_a_published_artifact_can_be_checked_later(invoke: Invoke, published: Path) -> None:
    artifact = published / "tests.toys-tower-onnx-fp32"
    assert invoke("parity", artifact, "--against", *TOWER, "--samples", 24, "--quiet").exit_code == 0
    other = invoke("parity", artifact, "--against", "tests.toys:other_tower", "--size", 64, "--samples", 24, "--quiet")
    one_line(other, 5, "min cosine")


@pytest.mark.parametrize("command", ["run", "parity"])
def test_an_artifact_edited_after_export_is_found_out(
    invoke: Invoke, published: Path, photo: Path, tmp_path: Path, command: str
) -> None:
    folder = tmp_path / "edited"
    shutil.copytree(published / "tests.toys-tower-ios-fp16", folder)
    weights = next(folder.rglob("weight.bin"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    rest = [photo] if command == "run" else ["--against", *TOWER]
    one_line(invoke(command, folder, *rest, "--quiet"), 7, "weight.bin")
