"""Reductions, sorting and running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def _reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    """Make an op of `function(x, dims, keep)`; no axes means all of them."""

    def run(x: Tensor, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Tensor:
        return function(x, list(range(x.ndim)) if axes is None else list(axes), keep_dims)

    return run


def _product(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    """The product over `dims`, one after the other."""
    for dim in sorted((d % x.ndim for d in dims), reverse=True):
        x = x.prod(dim, keep)
    return x


def _argument(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make an op of `function(x, axis, keep)` that gives places, int64; the runner converts them."""

    def run(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
        return function(x, axis, keep_dims)

    return run


def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    """The places that sort `axis`, greatest first by default; equal values keep their order."""
    return torch.sort(x, dim=axis, descending=not ascending, stable=True).indices


def topk(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> Tensor | tuple[Tensor, Tensor]:
    """The `k` greatest (or least) values of `axis`, sorted, and their places; all of them where `k` is -1."""
    order = argsort(x, axis, ascending).narrow(axis, 0, x.shape[axis] if k == -1 else k)
    values = torch.take_along_dim(x, order, axis)
    return (values, order) if return_indices else values


def cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Running sums along `axis`, from the end with `reverse`, each without its own value with `exclusive`."""
    x = x.flip(axis) if reverse else x
    total = x.cumsum(axis)
    if exclusive:
        shape = list(x.shape)
        shape[axis] = 1
        total = torch.cat([total.new_zeros(shape), total.narrow(axis, 0, x.shape[axis] - 1)], axis)
    return total.flip(axis) if reverse else total


TABLE: dict[str, Callable[..., Tensor]] = {
    "reduce_sum": _reduction(lambda x, dims, keep: x.sum(dims, keep)),
    "reduce_mean": _reduction(lambda x, dims, keep: x.float().mean(dims, keep)),
    "reduce_prod": _reduction(_product),
    "reduce_max": _reduction(lambda x, dims, keep: x.amax(dims, keep)),
    "reduce_min": _reduction(lambda x, dims, keep: x.amin(dims, keep)),
    "reduce_l1_norm": _reduction(lambda x, dims, keep: x.abs().sum(dims, keep)),
    "reduce_l2_norm": _reduction(lambda x, dims, keep: x.square().sum(dims, keep).sqrt()),
    "reduce_log_sum": _reduction(lambda x, dims, keep: x.sum(dims, keep).log()),
    "reduce_log_sum_exp": _reduction(lambda x, dims, keep: torch.logsumexp(x.float(), dims, keep)),
    "reduce_sum_square": _reduction(lambda x, dims, keep: x.square().sum(dims, keep)),
    "reduce_argmax": _argument(torch.argmax),
    "reduce_argmin": _argument(torch.argmin),
}
