"""The runner built for this machine, and the cases that it is run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from tests.conftest import TOWER

from .harness import (
    ZIG,
    Case,
    build,
    glue_library,
    golden_by,
    golden_of,
    host_library,
    linear,
    linear_golden,
    lite,
    lite_library,
    photographs,
    pte,
    tool,
)


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """edgekit_bench, built for this machine."""
    return build(tmp_path_factory.mktemp("built") / "edgekit_bench", ZIG)


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the address and undefined behaviour sanitizers."""
    flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    return build(tmp_path_factory.mktemp("sanitized") / "edgekit_bench", [tool("gcc", "gcc")], *flags)


@pytest.fixture
def tower(tower_file: Path, runner: Path, tmp_path: Path) -> Case:
    """The exported tower, float32 [1,3,64,64], on five images."""
    images = photographs(5, 64, 64)
    golden = golden_of(tower_file, images)
    return Case(tmp_path, tower_file, images, golden, "nchw", (str(runner),), host_library())


@pytest.fixture
def small(runner: Path, tmp_path: Path) -> Case:
    """A model of a few pixels, uint8 [1,5,7,3] to 11 values: quick, and no two of its sizes are the same."""
    model = linear(tmp_path / "small.onnx", "nhwc_u8", (5, 7), 11)
    images = photographs(4, 5, 7)
    return Case(tmp_path, model, images, golden_of(model, images), "nhwc_u8", (str(runner),), host_library())


@pytest.fixture(scope="session")
def lites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small model for LiteRT, by its layout; read only."""
    folder = tmp_path_factory.mktemp("lite")
    return {layout: lite(folder / f"{layout}.tflite", layout, (5, 7), 11) for layout in ("nchw", "nhwc", "nhwc_u8")}


@pytest.fixture
def small_lite(runner: Path, lites: dict[str, Path], tmp_path: Path) -> Case:
    """The small model for LiteRT, float32 [1,5,7,3] to 11 values."""
    images, command = photographs(4, 5, 7), (str(runner),)
    golden = linear_golden("nhwc", images, 11)
    return Case(tmp_path, lites["nhwc"], images, golden, "nhwc", command, lite_library(), format="litert")


@pytest.fixture(scope="session")
def glue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runner opens for ExecuTorch, built for this machine."""
    return glue_library(tmp_path_factory.mktemp("glue"))


@pytest.fixture(scope="session")
def ptes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small model for ExecuTorch, by its layout; read only."""
    folder = tmp_path_factory.mktemp("pte")
    return {layout: pte(folder / f"{layout}.pte", layout, (5, 7), 11) for layout in ("nchw", "nhwc_u8")}


@pytest.fixture
def small_pte(runner: Path, glue: Path, ptes: dict[str, Path], tmp_path: Path) -> Case:
    """The small model for ExecuTorch, float32 [1,3,5,7] to 11 values."""
    images, command = photographs(4, 5, 7), (str(runner),)
    golden = linear_golden("nchw", images, 11)
    return Case(tmp_path, ptes["nchw"], images, golden, "nchw", command, glue, format="executorch")


@pytest.fixture
def tower_pte(published: Path, runner: Path, glue: Path, tmp_path: Path) -> Case:
    """The exported tower, float32 [1,3,64,64], on five images, with what Python's runtime gives."""
    (model,) = published.glob("*/*.pte")
    images = photographs(5, 64, 64)
    golden = golden_by(model, images)
    return Case(tmp_path, model, images, golden, "nchw", (str(runner),), glue, format="executorch")


@pytest.fixture(scope="session")
def int8_tower(tmp_path_factory: pytest.TempPathFactory, invoke: Callable[..., click.testing.Result]) -> Path:
    """The tower as a `.pte` file with 8-bit weights and activations. Read only."""
    out = tmp_path_factory.mktemp("int8")
    for command in (
        ("quantize", *TOWER, "--scheme", "w8a8", "--samples", 16, "--out", out / "plan"),
        ("export", *TOWER, "--plan", out / "plan/plan.json", "--target", "android", "--no-verify", "--out", out),
    ):
        result = invoke(*command, "--quiet")
        assert result.exit_code == 0, result.stderr
    (found,) = out.glob("*/*.pte")
    return found


@pytest.fixture
def int8_pte(int8_tower: Path, runner: Path, glue: Path, tmp_path: Path) -> Case:
    """The quantized tower on five images, with what Python's runtime gives."""
    images = photographs(5, 64, 64)
    golden = golden_by(int8_tower, images)
    return Case(tmp_path, int8_tower, images, golden, "nchw", (str(runner),), glue, format="executorch")
