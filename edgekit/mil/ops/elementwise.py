"""Elementwise arithmetic, comparison, logic and casts. Binary ops broadcast as NumPy does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["TABLE", "unary"]


def binary(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An op of `x` and `y`, which broadcast."""

    def run(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return run


def unary(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
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


TABLE: dict[str, Callable[..., Tensor]] = {
    "add": binary(torch.add),
    "sub": binary(torch.sub),
    "mul": binary(torch.mul),
    "real_div": binary(torch.true_divide),
    "floor_div": floor_div,
    "maximum": binary(torch.maximum),
    "minimum": binary(torch.minimum),
    "mod": binary(torch.remainder),
    "pow": binary(torch.pow),
    "equal": binary(torch.eq),
    "not_equal": binary(torch.ne),
    "greater": binary(torch.gt),
    "greater_equal": binary(torch.ge),
    "less": binary(torch.lt),
    "less_equal": binary(torch.le),
    "logical_and": binary(torch.logical_and),
    "logical_or": binary(torch.logical_or),
    "logical_xor": binary(torch.logical_xor),
    "logical_not": unary(torch.logical_not),
    "abs": unary(torch.abs),
    "acos": unary(torch.acos),
    "asin": unary(torch.asin),
    "atan": unary(torch.atan),
    "atanh": unary(torch.atanh),
    "ceil": unary(torch.ceil),
    "cos": unary(torch.cos),
    "cosh": unary(torch.cosh),
    "erf": unary(torch.erf),
    "exp": unary(torch.exp),
    "exp2": unary(torch.exp2),
    "floor": unary(torch.floor),
    "round": unary(torch.round),
    "sign": unary(torch.sign),
    "sin": unary(torch.sin),
    "sinh": unary(torch.sinh),
    "sqrt": unary(torch.sqrt),
    "square": unary(torch.square),
    "tan": unary(torch.tan),
    "tanh": unary(torch.tanh),
    "clip": clip,
    "threshold": threshold,
    "inverse": inverse,
    "log": log,
    "rsqrt": rsqrt,
    "select": select,
    "cast": cast,
}
