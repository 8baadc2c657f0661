from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgekit.errors import InputError, ModelError, UnsupportedOpError
from edgekit.graph import capture, rewrite
from edgekit.targets import LowerOptions
from edgekit.targets.common import perhaps, running
from edgekit.targets.coreml import backend as coreml
from edgekit.targets.executorch import backend as executorch
from edgekit.targets.onnx import backend as onnx


class ManyAxes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 2, 2, 2, 2, 2, 2, -1).cumsum(3).reshape(1, -1)


@pytest.mark.parametrize(("rewrites", "lower"), [("coreml", coreml.lower), ("executorch", executorch.lower)])
def test_more_axes_than_a_runtime_takes_are_told_with_their_module(
    rewrites: str, lower: Callable[..., object], tmp_path: Path
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), ManyAxes()).eval()
    program = rewrite(capture(model, torch.zeros(1, 3, 32, 32)), rewrites)[0]
    with pytest.raises(UnsupportedOpError, match=r"(reshape|cumsum).*used in module\.1") as caught:
        lower(program, tmp_path / "file", LowerOptions(precision="fp32"))
    assert "\n" not in str(caught.value)


class Inner(nn.Module):
    def __init__(self, op: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x).flatten(1)


def model(op: Callable[[Tensor], Tensor]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.BatchNorm2d(8), nn.GELU(), Inner(op)).eval()


def test_what_is_not_ordinary_is_suspected() -> None:
    image = torch.zeros(1, 3, 32, 32)
    ordinary = capture(model(lambda x: nn.functional.interpolate(x, scale_factor=2.0).softmax(1)), image)
    assert perhaps(ordinary) == ""
    odd = capture(model(lambda x: x + torch.linalg.inv(x + 9 * torch.eye(8))), image)
    assert perhaps(odd) == ", perhaps because of aten.linalg_inv.default, used in module.3"


@pytest.mark.parametrize(
    ("rewrites", "lower"), [("coreml", coreml.lower), ("executorch", executorch.lower), ("onnx", onnx.lower)]
)
@pytest.mark.parametrize("op", [lambda x: torch.linalg.inv(x + 9 * torch.eye(8)), lambda x: torch.histc(x, 8)[None]])
def test_an_error_without_an_operator_names_the_likeliest_and_its_module(
    rewrites: str, lower: Callable[..., object], op: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    program = rewrite(capture(model(op), torch.zeros(1, 3, 32, 32)), rewrites)[0]
    with pytest.raises(ModelError, match=r"(linalg_inv|histc).*used in module\.3") as caught:
        lower(program, tmp_path / "file", LowerOptions(precision="fp32"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rewrites", "lower"), [("coreml", coreml.lower), ("onnx", onnx.lower)])
def test_bfloat16_is_refused_with_its_module(rewrites: str, lower: Callable[..., object], tmp_path: Path) -> None:
    program = rewrite(
        capture(model(lambda x: (x.bfloat16() @ x.bfloat16()).float()), torch.zeros(1, 3, 32, 32)), rewrites
    )
    with pytest.raises(UnsupportedOpError, match=r"no operators in bfloat16, in which module\.3 computes"):
        lower(program[0], tmp_path / "file", LowerOptions(precision="fp32"))


def test_the_runtime_s_reason_is_read_where_python_s_error_channel_is_elsewhere(tmp_path: Path) -> None:
    kernel = torch.ones(1, 2, 2, 2, 2)
    op = model(lambda x: nn.functional.conv_transpose3d(x[:, None], kernel))
    program = rewrite(capture(op, torch.zeros(1, 3, 32, 32)), "executorch")[0]
    with (
        contextlib.redirect_stderr(io.StringIO()),
        pytest.raises(UnsupportedOpError, match=r"aten\.convolution, used in module\.3"),
    ):
        executorch.lower(program, tmp_path / "file", LowerOptions(precision="fp32"))


class Gives(nn.Module):
    def __init__(self, op: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.op = op

    def forward(self, image: Tensor) -> Tensor:
        return self.op(image / 255)


@pytest.mark.parametrize("name", ["coreai", "executorch", "litert", "onnx"])
@pytest.mark.parametrize(
    "op",
    [lambda x: x.flatten(2), lambda x: x.reshape(3, -1), lambda x: x.flatten(1).int()],
    ids=["a map", "three rows", "integers"],
)
def test_a_file_that_gives_no_embedding_is_refused(name: str, op: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    backend = importlib.import_module(f"edgekit.targets.{name}.backend")
    program, _ = rewrite(capture(Gives(op), torch.rand(1, 3, 8, 8)), name)
    path = tmp_path / f"other.{name}"
    backend.lower(program, path, LowerOptions(min_ios=27))
    with pytest.raises(InputError, match=r"other\.[a-z]+: not an embedder, .* one float32 \[1, D\]"):
        backend.open(path)


def test_what_a_runtime_raises_is_one_line_about_the_file() -> None:
    said = r"LiteRT's runtime refuses to run this file \(index 9\): export it again"
    with pytest.raises(ModelError, match=said), running("LiteRT"):
        raise IndexError("index 9")
