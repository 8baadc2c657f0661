"""Matrix products and attention; normalisation, with statistics in fp32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`: [..., D] and [D_out, D] to [..., D_out]."""
    x, weight = _together(x, weight)
    if x.is_floating_point():
        return F.linear(x, weight, None if bias is None else bias.to(x.dtype))
    out = x @ weight.T
    return out if bias is None else out + bias


def _together(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands in the one type that torch multiplies."""
    kind = torch.promote_types(x.dtype, y.dtype)
    return x.to(kind), y.to(kind)


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """The product of the last two axes, [..., M, K] and [..., K, N] to [..., M, N]; the others broadcast."""
    x = x.transpose(-1, -2) if transpose_x and x.ndim > 1 else x
    y = y.transpose(-1, -2) if transpose_y and y.ndim > 1 else y
    x, y = _together(x, y)
    return x @ y


def einsum(values: Sequence[Tensor], equation: str) -> Tensor:
    """The product of two tensors as `equation` says, such as "nchw,nwhu->nchu"."""
    return torch.einsum(equation, *values)


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """softmax(query @ key.T / sqrt(E) + mask) @ value: [..., L, E], [..., S, E], [..., S, V] to [..., L, V]."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask)


def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """[N,C,...] with the stored mean and variance [C] of each channel, then gain `gamma` and offset `beta` [C]."""
    return F.batch_norm(x, mean, variance, gamma, beta, eps=epsilon)


def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    """[N,C,...], each channel of each image by its own mean and variance; `gamma` and `beta` are [C]."""
    return F.instance_norm(x, weight=gamma, bias=beta, eps=epsilon)


def layer_norm(
    x: Tensor,
    axes: Sequence[int] | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """By mean and variance over `axes`, all of them by default; `gamma` and `beta` have the shape of these axes."""
    dims = sorted(axis % x.ndim for axis in axes) if axes is not None else list(range(x.ndim))
    if dims == list(range(x.ndim - len(dims), x.ndim)):
        return F.layer_norm(x, [x.shape[d] for d in dims], gamma, beta, epsilon)
    shape = [n if d in dims else 1 for d, n in enumerate(x.shape)]
    centred = x - x.mean(dims, keepdim=True)
    out = centred * (centred.square().mean(dims, keepdim=True) + epsilon).rsqrt()
    out = out if gamma is None else out * gamma.reshape(shape)
    return out if beta is None else out + beta.reshape(shape)


def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Divide by the norm over the last three dimensions."""
    return x / (x.square().sum((-3, -2, -1), keepdim=True) + epsilon).sqrt()


def local_response_norm(x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each value by the squares of `size` channels around it: [N,C,...], or [C,...] of rank 3."""
    # Core ML sums along the third axis from the end, whatever the rank: coremltools' own test of rank 3
    # (iOS14/test_normalization.py, values from macOS) has each value divided by itself alone.
    return (
        F.local_response_norm(x, size, alpha, beta, k)
        if x.ndim > 3
        else local_response_norm(x.unsqueeze(0), size, alpha, beta, k).squeeze(0)
    )
