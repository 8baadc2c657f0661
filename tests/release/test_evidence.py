"""What two machines measured is the same but for rounding, or it is not; everything else is the same to the byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.release.bundle import Bundle
from edgekit.release.evidence import artifacts_apart, golden_apart
from edgekit.support.files import sha256_file


@pytest.fixture
def golden(plain_release: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Golden vectors, and a copy."""
    (artifact,) = Bundle.read(plain_release / "web/bundle.json").artifacts
    assert artifact.golden is not None
    return plain_release / "web" / artifact.golden, Path(
        shutil.copytree(plain_release / "web" / artifact.golden, tmp_path / "golden")
    )


def edit(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def reweigh(folder: Path, by: float) -> None:
    """Golden embeddings that are off by that much, and their hash."""
    path = folder / "golden.bin"
    values = np.fromfile(path, "<f4")
    values[::7] += np.float32(by)
    path.write_bytes(values.tobytes())
    edit(folder / "golden.json", lambda content: content.update(embeddings_sha256=sha256_file(path)))


def test_golden_vectors_that_are_rounded_otherwise(golden: tuple[Path, Path]) -> None:
    own, other = golden
    assert golden_apart(own, other) == 0
    reweigh(other, 1e-6)
    assert golden_apart(own, other) == pytest.approx(1e-6, rel=0.2)
    reweigh(other, 1e-2)
    assert golden_apart(own, other) is None


def test_other_pixels_or_a_damaged_file_are_no_rounding(golden: tuple[Path, Path]) -> None:
    own, other = golden
    pixels = bytearray((other / "inputs.bin").read_bytes())
    pixels[0] ^= 1
    (other / "inputs.bin").write_bytes(pixels)
    assert golden_apart(own, other) is None
    edit(other / "golden.json", lambda content: content.update(inputs_sha256=sha256_file(other / "inputs.bin")))
    assert golden_apart(own, other) is None


@pytest.fixture
def exports(toys: dict[str, Path], tmp_path: Path) -> tuple[Path, Path]:
    """An export, and a copy."""
    return toys["onnx"], Path(shutil.copytree(toys["onnx"], tmp_path / "export"))


def test_figures_of_parity_that_are_rounded_otherwise(exports: tuple[Path, Path]) -> None:
    own, other = exports
    assert artifacts_apart(own, other) == 0
    edit(other / "parity.json", lambda content: content.update(min_cosine=content["min_cosine"] - 3e-7))
    edit(other / "manifest.json", lambda content: content["parity"].update(min_cosine=0.9999997))
    assert artifacts_apart(own, other) == pytest.approx(3e-7, rel=0.1)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit(folder / "parity.json", lambda content: content.update(min_cosine=0.99)),
        lambda folder: edit(folder / "parity.json", lambda content: content.update(verdict="fail")),
        lambda folder: edit(folder / "manifest.json", lambda content: content.update(precision="fp16")),
        lambda folder: edit(folder / "manifest.json", lambda content: content["files"].pop()),
        lambda folder: next(folder.glob("*.onnx")).write_bytes(b"another"),
        lambda folder: (folder / "more.txt").write_text("more"),
        lambda folder: (folder / "parity.json").unlink(),
    ],
)
def test_anything_else_is_a_difference(change: Callable[[Path], object], exports: tuple[Path, Path]) -> None:
    own, other = exports
    change(other)
    assert artifacts_apart(own, other) is None
