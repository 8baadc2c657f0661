"""Elementwise arithmetic, comparison, logic, casts and activations. Binary ops broadcast as NumPy does."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def _binary(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An op of `x` and `y`, which broadcast."""

    def run(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return run


def _unary(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An op of `x` alone; same shape."""

    def run(x: Tensor) -> Tensor:
        return function(x)

    return run


def floor_div(x: Tensor, y: Tensor) -> Tensor:
    """The quotient rounded down."""
    return torch.div(x, y, rounding_mode="floor")


def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Limit to `alpha`..`beta`."""
    return x.clamp(alpha, beta)


def threshold(x: Tensor, alpha: float) -> Tensor:
    """At least `alpha`."""
    return x.clamp(min=alpha)


def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    """`1 / (x + epsilon)`."""
    return (x + epsilon).reciprocal()


def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    """The natural logarithm of `x + epsilon`."""
    return (x + epsilon).log()


def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """`1 / sqrt(x + epsilon)`."""
    return (x + epsilon).rsqrt()


def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """`a` where `cond` holds, else `b`; the three broadcast."""
    return torch.where(cond.bool(), a, b)


def cast(x: Tensor, dtype: str) -> Tensor:
    """`x` in the type that `dtype` names."""
    # The program's own output type (which the runner converts to) says the same as `dtype`, but int8 and
    # uint8 to bool is a comparison, not a truncation.
    return x != 0 if dtype == "bool" else x


def _per_channel(value: Tensor, x: Tensor) -> Tensor:
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
    return torch.where(x > 0, x, x * _per_channel(alpha, x))


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
    return _per_channel(alpha, x) * F.softplus(x * _per_channel(beta, x))


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Exponentials that add up to 1 along `axis`; same shape."""
    return torch.softmax(x, axis)


# What torch has under MIL's own name: ops of `x`, and of `x` and `y`.
_UNARY = (
    *("abs", "acos", "asin", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp", "exp2", "floor", "logical_not"),
    *("relu", "round", "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh"),
)
_BINARY = (
    *("add", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or", "logical_xor"),
    *("maximum", "minimum", "mul", "not_equal", "pow", "sub"),
)

TABLE: dict[str, Callable[..., Tensor]] = {
    **{name: _unary(getattr(torch, name)) for name in _UNARY},
    "silu": _unary(F.silu),
    "softplus": _unary(F.softplus),
    "softsign": _unary(F.softsign),
    **{name: _binary(getattr(torch, name)) for name in _BINARY},
    "equal": _binary(torch.eq),
    "mod": _binary(torch.remainder),
    "real_div": _binary(torch.true_divide),
}
