"""Each operator with arguments that exporters get wrong: the file computes what the module does, or one line says why.

The quick tests put a few rows of every kind into one file a target; the slow ones make one file of every row.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.errors import UnsupportedOpError
from edgekit.graph import capture, rewrite
from edgekit.targets.base import LowerOptions
from tests.targets.op_rows import QUICK, REFUSED, ROWS

SUFFIX = {
    "coreai": ".aimodel",
    "coreml": ".mlpackage",
    "executorch": ".pte",
    "litert": ".tflite",
    "onnx": ".onnx",
}
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 24, 20, 3)).astype(np.uint8)


class Row(nn.Module):
    def __init__(self, op: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x).reshape(1, -1).to(torch.float32)


class Rows(nn.Module):
    """A stem that makes a map [1,4,12,10] of the image, and the rows' results side by side."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 2, 2)
        with torch.no_grad():
            self.stem.weight.mul_(3)
            assert self.stem.bias is not None
            self.stem.bias.zero_()
        self.rows = nn.ModuleList(Row(ROWS[name]) for name in names)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem((image - 127.5) * 0.0157)
        return torch.cat([row(x) for row in self.rows], dim=1)


def both(folder: Path, target: str, *names: str) -> tuple[np.ndarray, np.ndarray]:
    """What the module makes of the images, and what its file does."""
    module = Rows(*names).eval()
    pixels = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float().contiguous()
    with torch.no_grad():
        expected = np.concatenate([module(image[None]).numpy() for image in pixels])
    program, _ = rewrite(capture(module, pixels[:1]), target)
    backend = importlib.import_module(f"edgekit.targets.{target}.backend")
    path = folder / f"rows{SUFFIX[target]}"
    backend.lower(program, path, LowerOptions(precision="fp32", min_ios=27 if target == "coreai" else 16))
    return expected, backend.open(path).embed(IMAGES)


def agree(expected: np.ndarray, found: np.ndarray) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("target", sorted(SUFFIX))
def test_the_files_of_a_few_rows_of_every_kind_compute_what_the_modules_do(target: str, tmp_path: Path) -> None:
    agree(*both(tmp_path, target, *QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(SUFFIX))
@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_row_is_right_or_refused_by_name(name: str, target: str, tmp_path: Path) -> None:
    if name in REFUSED[target]:
        with pytest.raises(UnsupportedOpError) as refusal:
            both(tmp_path, target, name)
        assert re.search(r"aten\.\w+.*used in rows\.0\b", str(refusal.value))
        assert "\n" not in str(refusal.value)
    else:
        agree(*both(tmp_path, target, name))
