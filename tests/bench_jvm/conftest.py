"""The core built once, and the models that jobs are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..bench_native.harness import golden_of, linear, photographs
from .harness import Case, Core, build


@pytest.fixture(scope="session")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    """The measuring core for this machine's JVM."""
    return build(tmp_path_factory.mktemp("maven"))


@pytest.fixture
def small(core: Core, tmp_path: Path) -> Case:
    """A model of a few pixels, uint8 [1,5,7,3] to 11 values: no two of its sizes are the same."""
    (tmp_path / "job").mkdir()
    model = linear(tmp_path / "small.onnx", "nhwc_u8", (5, 7), 11)
    images = photographs(4, 5, 7)
    return Case(tmp_path / "job", core, model, images, golden_of(model, images), "nhwc_u8")
