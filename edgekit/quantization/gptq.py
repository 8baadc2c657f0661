"""Rounding a weight so that its layer, not each value, stays right: what one input channel loses, the next make up for.

GPTQ (Frantar et al., 2022, arXiv 2210.17323), after Optimal Brain Surgeon: columns are rounded one by one, those with
the largest inputs first, and the error of each is spread over the columns to come by the inverse of the inputs' second
moments. As the moments are not centred, this also keeps the mean of what the layer gives (bias correction).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.nn import functional

from edgekit.errors import ModelError
from edgekit.graph.edit import arg, val
from edgekit.graph.levels import Levels
from edgekit.quantization.calibrate import watch
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
    takers: dict[str, list[Layer]] = defaultdict(list)
    for layer in chosen:
        takers[layer.node.all_input_nodes[0].name].append(layer)
    known: dict[str, Tensor] = {}

    def add(name: str, value: Tensor) -> None:
        for layer in takers.get(name, ()):
            columns = _columns(layer, value)
            moments = columns.transpose(1, 2) @ columns
            known[layer.name] = known[layer.name].add_(moments) if layer.name in known else moments

    watch(program, images, add, progress)
    for name, moments in known.items():
        if not torch.isfinite(moments).all():
            raise ModelError(f"the input of {name} is not finite on a calibration image: check the weights")
    return known


def _columns(layer: Layer, image: Tensor) -> Tensor:
    """What the weights of one output value are multiplied with, for each position: [groups,positions,K]."""
    if layer.kind == "linear":
        return image.reshape(1, -1, image.shape[-1])
    shape = val(layer.weight).shape
    dilation, padding, stride = (arg(layer.node, name) for name in ("dilation", "padding", "stride"))
    flat = functional.unfold(image, shape[2:], dilation, padding, stride)[0]
    return flat.reshape(image.shape[1] // shape[1], -1, flat.shape[-1]).transpose(1, 2)


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
