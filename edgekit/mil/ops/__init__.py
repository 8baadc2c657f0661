"""The ops that the runtime knows: MIL op name -> function of that op's named inputs.

Every function takes and returns torch tensors. fp16 values travel as float32 tensors that hold fp16 numbers:
the runner rounds what an op returns, so a function computes in fp32 and never rounds by itself. Inputs that
the op definition requires to be constants (axes, sizes, modes) arrive as Python numbers, lists and strings.
A public function of a module here is the op of its name; helpers begin with an underscore.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import getmembers, isfunction
from typing import Any

from edgekit.mil.ops import elementwise, indexing, layers, quantization, reduction, resizing, shape, windows

MODULES = (elementwise, indexing, layers, quantization, reduction, resizing, shape, windows)

# A TABLE has the ops that differ in nothing but the function of torch that they call.
OPS: dict[str, Callable[..., Any]] = {
    **{
        name: function
        for module in MODULES
        for name, function in getmembers(module, isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    },
    **elementwise.TABLE,
    **reduction.TABLE,
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
