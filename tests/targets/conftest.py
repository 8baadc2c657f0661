"""One toy embedder, its program and what two fresh processes make of it; conversions cost seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit.graph import capture, rewrite
from edgekit.model.embedder import Embedder
from edgekit.recipe import InputSpec
from edgekit.targets import LowerOptions, Precision, Runner
from edgekit.targets.coreml import backend as coreml
from edgekit.targets.onnx import backend as onnx
from tests import warm
from tests.toys import tower
from tests.waiting import PATIENCE

SIZE = 64
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")
METADATA = {
    "author": "The authors",
    "license": "Apache-2.0",
    "version": "2.1",
    "description": "A toy tower",
    "recipe": "toy",
}


def toy(uint8_input: bool = False) -> Embedder:
    spec = InputSpec(size=(SIZE, SIZE), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    return Embedder(tower(), spec, uint8_input=uint8_input).eval()


def build(rewrites: str, *, dynamic_batch: bool = False, uint8_input: bool = False) -> ExportedProgram:
    """The toy as a program that went through one target's rewrites."""
    embedder = toy(uint8_input)
    return rewrite(capture(embedder, embedder.example(), dynamic_batch=dynamic_batch), rewrites)[0]


def rebuild(folder: Path) -> None:
    for module, name in ((coreml, "coreml"), (onnx, "onnx")):
        for precision in PRECISIONS:
            options = LowerOptions(precision=precision, metadata=METADATA)
            module.lower(build(name), folder / f"{name}-{precision}", options)


def write_seeded(write: Callable[[Path], None], folder: Path) -> None:
    """Let `write` fill the folder, and say beside it which seed its process hashes with."""
    write(folder)
    (folder / "seed").write_text(str(hash("seed")))


def made_twice(write: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders that `write` filled, in processes with different hash seeds."""
    here, there = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    process = warm.start(write_seeded, write, there)
    write_seeded(write, here)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert (here / "seed").read_text() != (there / "seed").read_text()
    return here, there


def check_embeds(runner: Runner, runtime: str, embedder: Embedder, images: np.ndarray, cosine: float) -> None:
    """Check an opened file of the toy: what it says of itself, and its embeddings against the module's."""
    found, wanted = runner.embed(images), embedder.embed(images)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert (found * wanted).sum(axis=1).min() >= cosine
    assert (runner.runtime, runner.reference, runner.input_size) == (runtime, False, (SIZE, SIZE))


class Spectral(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return torch.linalg.svdvals(tokens)


class Exotic(nn.Module):
    """A model whose inner module uses an operator that no target has."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 8, stride=8)
        self.head = nn.Sequential(nn.Identity(), Spectral())

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.normalize(self.head(self.stem(image).flatten(2)), dim=1)


@pytest.fixture(scope="session")
def exotic() -> ExportedProgram:
    """A program with an operator that no target has, in the module `head.1`."""
    return torch.export.export(Exotic().eval(), (torch.rand(1, 3, 16, 16),))


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return toy()


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """uint8 [5,64,64,3]: noise over a gradient, so that embeddings differ."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 200, (5, 1, 1, 3)) + np.linspace(0, 40, SIZE)[None, :, None, None]
    return np.clip(base + rng.normal(0, 12, (5, SIZE, SIZE, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same artifacts from two processes with different hash seeds, as `<target>-<precision>` in each folder."""
    return made_twice(rebuild, tmp_path_factory)


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Every file under a path, or the file itself, with its bytes."""

    def read(path: Path) -> dict[str, bytes]:
        files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
        return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}

    return read
