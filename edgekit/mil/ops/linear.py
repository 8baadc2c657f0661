"""Matrix products and attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["TABLE"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`: [..., D] and [D_out, D] to [..., D_out]."""
    x, weight = together(x, weight)
    if x.is_floating_point():
        return torch.nn.functional.linear(x, weight, None if bias is None else bias.to(x.dtype))
    out = x @ weight.T
    return out if bias is None else out + bias


def together(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands in the one type that torch multiplies."""
    kind = torch.promote_types(x.dtype, y.dtype)
    return x.to(kind), y.to(kind)


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """The product of the last two axes, [..., M, K] and [..., K, N] to [..., M, N]; the others broadcast."""
    x = x.transpose(-1, -2) if transpose_x and x.ndim > 1 else x
    y = y.transpose(-1, -2) if transpose_y and y.ndim > 1 else y
    x, y = together(x, y)
    return x @ y


def einsum(values: Sequence[Tensor], equation: str) -> Tensor:
    """The product of two tensors as `equation` says, such as "nchw,nwhu->nchu"."""
    return torch.einsum(equation, *values)


def attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """softmax(query @ key.T / sqrt(E) + mask) @ value: [..., L, E], [..., S, E], [..., S, V] to [..., L, V]."""
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask)


TABLE: dict[str, Callable[..., Tensor]] = {
    "linear": linear,
    "matmul": matmul,
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
}
