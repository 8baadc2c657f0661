"""edgekit_bench with ExecuTorch, built with g++ for this machine, against ExecuTorch's own Python runtime."""

from __future__ import annotations

import dataclasses
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from .harness import Case, golden_by, linear_golden

pytestmark = pytest.mark.toolchain  # needs g++


@pytest.mark.parametrize("layout", ["nchw", "nhwc_u8"])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_gives_what_the_weights_say(small_pte: Case, ptes: dict[str, Path], layout: str, threads: int) -> None:
    golden = linear_golden(layout, small_pte.images, 11)
    case = dataclasses.replace(small_pte, model=ptes[layout], layout=layout, golden=golden)
    result = case.run(threads=threads, iterations=50).result()
    assert result.check.passed and result.check.images == 4 and result.validity.valid
    assert (result.runtime.name, result.runtime.backend) == ("executorch", "XNNPACK")
    assert result.runtime.version == version("executorch")
    assert result.model.format == "executorch"


def test_the_bundled_model_gives_what_python_gives(tower_pte: Case) -> None:
    """Bit for bit, in whatever order: an input that is set once only would be overwritten."""
    result = tower_pte.run(min_cosine=1 - 1e-12, iterations=3 * len(tower_pte.images)).result()
    assert result.check.passed and result.check.images == len(tower_pte.images)
    assert result.check.max_abs == 0


def test_quantized_models_run(int8_pte: Case) -> None:
    result = int8_pte.run(min_cosine=1 - 1e-12).result()
    assert result.check.passed and result.check.max_abs == 0
    assert (golden_by(int8_pte.model, int8_pte.images) == int8_pte.golden).all()


def test_models_of_other_types_and_shapes(small_pte: Case) -> None:
    small_pte.run(layout="nhwc_u8").failed(3, "its input is not uint8 [1,5,7,3]")
    narrow = dataclasses.replace(small_pte, golden=small_pte.golden[:, :10])
    narrow.run().failed(3, "its output is not float32 [1,10]")


def test_files_that_are_no_model(small_pte: Case) -> None:
    for name, content in {
        "noise.pte": os.urandom(5000),
        "cut.pte": small_pte.model.read_bytes()[:-3000],
        "short.pte": b"ET",
    }.items():
        path = small_pte.folder / name
        path.write_bytes(content)
        dataclasses.replace(small_pte, model=path).run().failed(3, name, "cannot load this model", "ExecuTorch's error")


def test_libraries_that_are_not_the_glue(small_pte: Case) -> None:
    small_pte.run(library="libm.so.6").failed(3, "is not libedgekit_executorch.so")
    small_pte.run(library=small_pte.folder / "absent.so").failed(3, "does not load")


def test_wrong_outputs_are_told(small_pte: Case) -> None:
    case = dataclasses.replace(small_pte, golden=np.roll(small_pte.golden, 1, axis=0))
    assert case.run().result().validity.reasons == ("wrong-output",)
