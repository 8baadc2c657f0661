"""The ops that the runtime knows: tables of MIL op name -> function of that op's named inputs.

Every function takes and returns torch tensors. fp16 values travel as float32 tensors that hold fp16 numbers:
the runner rounds what an op returns, so a function computes in fp32 and never rounds by itself. Inputs that
the op definition requires to be constants (axes, sizes, modes) arrive as Python numbers, lists and strings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.mil.ops import (
    activation,
    constexpr,
    convolution,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    quantization,
    reduction,
    resizing,
    shape,
)

__all__ = ["OPS", "SELECTING"]

OPS: dict[str, Callable[..., Any]] = {
    **elementwise.TABLE,
    **activation.TABLE,
    **convolution.TABLE,
    **pooling.TABLE,
    **linear.TABLE,
    **normalization.TABLE,
    **reduction.TABLE,
    **shape.TABLE,
    **indexing.TABLE,
    **resizing.TABLE,
    **quantization.TABLE,
    **constexpr.TABLE,
}

# Ops whose outputs are among their inputs (or zero, or a constant of the op): nothing is left to round.
SELECTING = frozenset(
    [
        *("abs", "ceil", "floor", "identity", "maximum", "minimum", "relu", "relu6", "round", "select", "sign"),
        *("max_pool", "reduce_max", "reduce_min", "topk", "argsort"),
        *("band_part", "batch_to_space", "concat", "crop", "depth_to_space", "expand_dims", "flatten2d", "pad"),
        *("pixel_shuffle", "pixel_unshuffle", "reshape", "reshape_like", "reverse", "reverse_sequence", "shape"),
        *("sliding_windows", "space_to_batch", "space_to_depth", "split", "squeeze", "stack", "tile", "transpose"),
        *("gather", "gather_along_axis", "gather_nd", "slice_by_index", "slice_by_size", "slice_update"),
        *("resize_nearest_neighbor", "upsample_nearest_neighbor", "thresholded_relu"),
    ]
)
