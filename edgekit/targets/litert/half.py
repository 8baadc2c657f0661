"""Half precision for LiteRT: weights stored in it, which XNNPACK widens once, as it loads the file."""

from __future__ import annotations

import numpy as np

from edgekit.targets.litert.draft import Draft, Op, Tensor

__all__ = ["to_half"]

_FEWEST = 16  # values of a constant that is worth an operator of its own
_LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "ADD", "SUB", "MUL"})
_MOST_LOST = 2.0**-11  # of numbers that half precision has; more, where they are too small for it
_LARGEST = float(np.finfo(np.float16).max)


def to_half(draft: Draft) -> None:
    """Store the weights and constants of layers in half precision, except where a call is to stay in float32.

    A constant with numbers too large or too small for half precision stays as it is, and so does a layer's bias where
    its weight is integers.
    """
    widened: dict[Tensor, Tensor] = {}
    before: list[Op] = []
    for op in draft.ops:
        if op.wide or op.kind not in _LAYERS or any(tensor is not None and tensor.steps for tensor in op.inputs):
            continue
        for place, tensor in enumerate(op.inputs):
            if tensor is None or not _fits(tensor):
                continue
            if tensor not in widened:
                assert tensor.data is not None
                half = Tensor(tensor.shape, "float16", tensor.data.astype(np.float16), name=tensor.name)
                widened[tensor] = Tensor(tensor.shape, "float32", name=tensor.name)
                before.append(Op("DEQUANTIZE", [half], [widened[tensor]]))
            op.inputs[place] = widened[tensor]
    draft.ops[:0] = before


def _fits(tensor: Tensor) -> bool:
    if tensor.data is None or tensor.dtype != "float32" or tensor.data.size < _FEWEST:
        return False
    if np.abs(tensor.data).max() > _LARGEST:
        return False
    lost = np.linalg.norm(tensor.data - tensor.data.astype(np.float16).astype(np.float32))
    return bool(lost <= _MOST_LOST * np.linalg.norm(tensor.data))
