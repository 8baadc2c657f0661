"""Operators that only torch knows by name, taken apart by torch's own definition before any rewrite looks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch._C import DispatchKey
from torch._decomp import decomposition_table

__all__ = ["COMPOSED", "own_definition"]

aten = torch.ops.aten
COMPOSED = frozenset(
    {
        aten.aminmax.default,
        aten.argsort.default,
        aten.argsort.stable,
        aten.cosine_similarity.default,
        aten.gru_cell.default,
        aten.kron.default,
        aten.ldexp.Tensor,
        aten.lstm_cell.default,
        aten.msort.default,
        aten.nanmean.default,
        aten.nansum.default,
        aten.quantile.default,
        aten.quantile.scalar,
        aten.pairwise_distance.default,
        aten.renorm.default,
        aten.rnn_relu_cell.default,
        aten.rnn_tanh_cell.default,
        aten.sinc.default,
        aten.special_sinc.default,
        aten.special_xlogy.default,
        aten.xlogy.Scalar_Other,
        aten.xlogy.Scalar_Self,
        aten.xlogy.Tensor,
    }
)


def own_definition(op: Any) -> Callable[..., Any]:
    """What torch makes of an operator: others, which have spellings for the runtimes."""
    if op.has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd):
        return functools.partial(op._op_dk, DispatchKey.CompositeImplicitAutograd)
    return decomposition_table[op]
