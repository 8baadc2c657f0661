"""A small module for every kind of layer, with a convolution before and after it, and plans for any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.quantization.calibrate import calibrate
from edgekit.quantization.draft import layer_row
from edgekit.quantization.layers import layers, static_tensors, tied, untouched
from edgekit.quantization.plan import Plan
from edgekit.quantization.ranges import plan_tensors, tie
from edgekit.quantization.schemes import candidates
from edgekit.quantization.search import without_isolated

WIDTH, SIZE = 48, 12


class Twice(nn.Module):
    """One convolution, used two times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(torch.relu(self.conv(x)))


class Reshaped(nn.Module):
    """A layer that takes its image in another shape."""

    def __init__(self, layer: nn.Module, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.before, self.after = layer, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.layer(self.before(x)))


class Padded(nn.Module):
    """A convolution whose zeros are put around the image first, more at one side, as TensorFlow's models do."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(nn.functional.pad(x, [0, 1, 0, 1]))


def _dead(layer: nn.Conv2d) -> nn.Module:
    with torch.no_grad():
        layer.weight[: WIDTH // 2] = 0
        layer.weight[WIDTH // 2] *= 1e-12
    return layer


def _conv(kernel: int = 3, **options: object) -> nn.Conv2d:
    return nn.Conv2d(WIDTH, WIDTH, kernel, padding=kernel // 2, **options)  # type: ignore[arg-type]


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def _image(x: Tensor) -> Tensor:
    return x.transpose(1, 2).unflatten(2, (SIZE, SIZE))


KINDS: Mapping[str, Callable[[], nn.Module]] = {
    "conv": _conv,
    "pointwise": lambda: _conv(1),
    "strided": lambda: _conv(stride=2),
    "strided pointwise": lambda: _conv(1, stride=2),
    "dilated": lambda: nn.Conv2d(WIDTH, WIDTH, 3, dilation=2, padding=2),
    "grouped": lambda: _conv(groups=4),
    "depthwise": lambda: _conv(groups=WIDTH),
    "depthwise of 49": lambda: _conv(7, groups=WIDTH),
    "depthwise, twice as many": lambda: nn.Conv2d(WIDTH, 2 * WIDTH, 3, padding=1, groups=WIDTH),
    "strided depthwise": lambda: _conv(stride=2, groups=WIDTH),
    "padded": lambda: Padded(nn.Conv2d(WIDTH, WIDTH, 3, stride=2)),
    "padded depthwise": lambda: Padded(nn.Conv2d(WIDTH, WIDTH, 3, stride=2, groups=WIDTH)),
    "padded, pooled": lambda: Padded(nn.MaxPool2d(3, 2)),
    "clamped": lambda: nn.Sequential(_conv(groups=WIDTH), nn.ReLU6(), _conv(1)),
    "transposed": lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 2, stride=2),
    "conv1d": lambda: Reshaped(nn.Conv1d(WIDTH, WIDTH, 3, padding=1), lambda x: x.flatten(2), lambda x: x[..., None]),
    "linear 2": lambda: Reshaped(
        nn.Linear(WIDTH, WIDTH), lambda x: x.mean((2, 3)), lambda x: x[..., None, None]
    ),
    "linear 3": lambda: Reshaped(nn.Linear(WIDTH, WIDTH), _tokens, _image),
    "linear 4": lambda: Reshaped(
        nn.Linear(WIDTH, WIDTH), lambda x: x.permute(0, 2, 3, 1), lambda x: x.permute(0, 3, 1, 2)
    ),
    "shared": Twice,
    "no bias": lambda: _conv(bias=False),
    "depthwise without bias": lambda: _conv(groups=WIDTH, bias=False),
    "zero channels": lambda: _dead(_conv()),
    "zero depthwise channels": lambda: _dead(_conv(groups=WIDTH)),
}  # fmt: skip


class Between(nn.Module):
    """What is tried, between two convolutions."""

    def __init__(self, tried: nn.Module, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.tried = tried
        self.last = nn.Conv2d(width, WIDTH, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.tried(torch.relu(self.first(image / 255)))).mean((2, 3))


def between(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return Between(KINDS[kind](), 2 * WIDTH if kind == "depthwise, twice as many" else WIDTH).eval()


def prepared(module: nn.Module) -> ExportedProgram:
    return graph.prepare(graph.capture(module, torch.rand(1, 3, SIZE, SIZE) * 255))[0]


def images(count: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)


def plan(program: ExportedProgram, schemes: Callable[[str], str]) -> Plan:
    """A plan that gives each layer the scheme that `schemes` says for its name, as `quantize` would write it.

    Operators without weights are static where they stand between static layers, and float elsewhere.
    """
    found = layers(program)
    wanted = static_tensors(program, {layer.name for layer in found})
    seen = calibrate(program, list(wanted.values()), lambda: list(images())).histograms
    tensors = plan_tensors(tie({name: seen[node] for name, node in wanted.items()}, tied(program)), "minmax")
    alive = untouched(program, set(wanted) - set(tensors))
    chosen = {
        layer.name: schemes(layer.name) if layer in alive and schemes(layer.name) in candidates(layer.kind) else "float"
        for layer in found
    }
    chosen = without_isolated(found, chosen)
    rows = [layer_row(layer, chosen[layer.name]) for layer in found]
    return Plan(
        model="toy", backbone="toy", weights_sha256="0" * 64, input=(SIZE, SIZE), scheme="auto", layers=tuple(rows),
        calibration=None, tensors=tensors,
    )  # fmt: skip
