"""Activations and softmax."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekit.mil.ops.elementwise import unary

__all__ = ["TABLE"]


def per_channel(value: Tensor, x: Tensor) -> Tensor:
    """Shape a [C] vector so that it broadcasts along dimension 1 of `x`."""
    return value.reshape(-1, *([1] * (x.ndim - 2)))


def relu6(x: Tensor) -> Tensor:
    """Limit to 0..6; same shape and dtype."""
    return x.clamp(0, 6)


def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """`x` where it is positive, else `alpha * x`."""
    return F.leaky_relu(x, alpha)


def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """`x` where it is positive, else `alpha * x`; `alpha` [C] is one slope for each channel of [N,C,...]."""
    return torch.where(x > 0, x, x * per_channel(alpha, x))


def clamped_relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    """`x`, or `alpha * x` where it is negative, and at most `beta`."""
    return torch.where(x >= 0, x, alpha * x).clamp(max=beta)


def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    """`x` where it is at least `alpha`, else 0."""
    return torch.where(x >= alpha, x, torch.zeros_like(x))


def elu(x: Tensor, alpha: float) -> Tensor:
    """`x` where it is positive, else `alpha * (exp(x) - 1)`."""
    return F.elu(x, alpha)


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """`x` times the normal distribution's share below it; `mode` is EXACT or an approximation."""
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate="tanh" if mode == "TANH_APPROXIMATION" else "none")


def sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    """`alpha * x + beta`, limited to 0..1."""
    return (alpha * x + beta).clamp(0, 1)


def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    """`alpha * tanh(beta * x)`."""
    return alpha * torch.tanh(beta * x)


def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    """`alpha * x + beta`."""
    return alpha * x + beta


def softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """`alpha * log(1 + exp(beta * x))` with `alpha` and `beta` [C] for the channels of [N,C,...]."""
    return per_channel(alpha, x) * F.softplus(x * per_channel(beta, x))


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Exponentials that add up to 1 along `axis`; same shape."""
    return torch.softmax(x, axis)


TABLE: dict[str, Callable[..., Tensor]] = {
    "relu": unary(F.relu),
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "clamped_relu": clamped_relu,
    "thresholded_relu": thresholded_relu,
    "elu": elu,
    "gelu": gelu,
    "sigmoid": unary(torch.sigmoid),
    "sigmoid_hard": sigmoid_hard,
    "silu": unary(F.silu),
    "scaled_tanh": scaled_tanh,
    "linear_activation": linear_activation,
    "softplus": unary(F.softplus),
    "softplus_parametric": softplus_parametric,
    "softsign": unary(F.softsign),
    "softmax": softmax,
}
