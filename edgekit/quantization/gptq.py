"""Rounding a weight so that its layer, not each value, stays right: what one input channel loses, the next make up for.

GPTQ (Frantar et al., 2022, arXiv 2210.17323), after Optimal Brain Surgeon: columns are rounded one by one, those with
the largest inputs first, and the error of each is spread over the columns to come by the inverse of the inputs' second
moments. As the moments are not centred, this also keeps the mean of what the layer gives (bias correction).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node
from torch.nn import functional

from edgekit.errors import ModelError
from edgekit.graph.levels import Levels
from edgekit.quantization.calibrate import pixels_of
from edgekit.quantization.layers import Layer, layers, weights
from edgekit.quantization.palettes import Palette, Steps, palette, steps
from edgekit.quantization.schemes import SCHEMES

__all__ = ["encode_weights", "gptq", "second_moments"]

_DAMP = 0.01  # share of the mean second moment that is added to each, as in the paper


def encode_weights(
    program: ExportedProgram,
    schemes: Mapping[str, str],
    images: Iterable[np.ndarray],
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Levels]:
    """The weights of the layers called in `schemes` on the levels of their scheme, by layer name.

    Args:
        program: the prepared program.
        schemes: by layer name, one whose weights are codes.
        images: uint8 [H,W,3], from which the layers' inputs are learnt.
        progress: called with the number of images so far.

    Raises:
        ModelError: the inputs of a layer are not finite on some image.
    """
    chosen = [layer for layer in layers(program) if layer.name in schemes]
    moments, known = second_moments(program, chosen, images, progress), weights(program)
    encoded = {}
    for layer in chosen:
        weight, scheme = known[layer.name], SCHEMES[schemes[layer.name]]
        grid = steps(weight) if scheme.weights == "steps" else palette(weight, scheme.weight_bits)
        codes = gptq(weight, moments[layer.name], grid).numpy()
        encoded[layer.name] = Levels(codes, scheme.weight_bits, **grid.stored())
    return encoded


def second_moments(
    program: ExportedProgram,
    chosen: Sequence[Layer],
    images: Iterable[np.ndarray],
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Tensor]:
    """By name of each layer, the sum over uint8 [H,W,3] `images` of the products of inputs that meet in one value.

    float32 [groups,K,K], K the weights of one output value; for a convolution in the order of its flat weight.

    Raises:
        ModelError: the inputs of a layer are not finite on some image.
    """
    watcher = _Moments(program, chosen)
    with torch.no_grad():
        for done, image in enumerate(images, 1):
            watcher.run(pixels_of(image))
            progress(done)
    for name, moments in watcher.moments.items():
        if not torch.isfinite(moments).all():
            raise ModelError(f"the input of {name} is not finite on a calibration image: check the weights")
    return watcher.moments


class _Moments(Interpreter):
    def __init__(self, program: ExportedProgram, chosen: Sequence[Layer]) -> None:
        super().__init__(program.module())
        self._nodes = {layer.node.name: layer for layer in chosen}
        self.moments: dict[str, Tensor] = {}

    def run_node(self, n: Node) -> Any:
        layer = self._nodes.get(n.name)
        if layer is not None:
            arguments, _ = self.fetch_args_kwargs_from_env(n)
            columns = _columns(layer, arguments)
            moments = columns.transpose(1, 2) @ columns
            known = self.moments.get(layer.name)
            self.moments[layer.name] = moments if known is None else known.add_(moments)
        return super().run_node(n)


def _columns(layer: Layer, arguments: Sequence[Any]) -> Tensor:
    """What the weights of one output value are multiplied with, for each position: [groups,positions,K]."""
    image, weight = arguments[:2]
    if layer.kind == "linear":
        return image.reshape(1, -1, image.shape[-1])
    given = arguments[3:6]
    defaults: tuple[Any, ...] = (1, 0, 1)
    stride, padding, dilation = [*given, *defaults[len(given) :]]
    flat = functional.unfold(image, weight.shape[2:], dilation, padding, stride)[0]
    return flat.reshape(image.shape[1] // weight.shape[1], -1, flat.shape[-1]).transpose(1, 2)


def gptq(weight: Tensor, moments: Tensor, grid: Palette | Steps) -> Tensor:
    """Codes, uint8 in the shape of `weight` [O,...], on the levels of `grid`.

    Args:
        weight: float32.
        moments: of the layer's inputs, [groups,K,K].
        grid: the levels.
    """
    groups, size = moments.shape[:2]
    rows = weight.reshape(groups, len(weight) // groups, size).double()
    power = torch.diagonal(moments.double(), dim1=1, dim2=2)
    order = torch.argsort(power.mean(0), descending=True, stable=True)
    damped = moments.double() + torch.diag_embed((_DAMP * power.mean(1, keepdim=True) + 1e-9).expand(groups, size))
    damped, rows = damped[:, order][:, :, order], rows[:, :, order]
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    codes = torch.empty(len(weight), size, dtype=torch.uint8)
    for place, index in enumerate(order.tolist()):
        chosen = grid.codes(rows[:, :, place].reshape(-1), index)
        codes[:, index] = chosen.to(torch.uint8)
        error = rows[:, :, place] - grid.values(chosen, index).reshape(groups, -1)
        error = error / inverse[:, place, place, None]
        rows[:, :, place + 1 :] -= error[:, :, None] * inverse[:, place : place + 1, place + 1 :]
    return codes.reshape(weight.shape)
