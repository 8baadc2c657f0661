"""Weights on few levels as Core ML's own compressed constants, which it decodes as it loads or as it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from coremltools import PassPipeline
from coremltools.converters.mil import Builder
from coremltools.converters.mil.frontend._utils import _construct_constexpr_lut_op
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.helper import block_context_manager
from coremltools.converters.mil.mil.passes.pass_registry import register_pass

from edgekit.graph.levels import CENTER, Levels, finder

__all__ = ["pipeline", "store_levels"]

_NAME = "edgekit::store_levels"


def pipeline(levels: Sequence[Levels]) -> PassPipeline:
    """coremltools' default passes, and one that stores the constants that are equal to one of `levels` as codes."""
    passes = PassPipeline.DEFAULT
    passes.append_pass(_NAME)
    passes.set_options(_NAME, {"levels": levels})
    return passes


@register_pass(namespace="edgekit")
class store_levels(AbstractGraphPass):
    """The pass; coremltools sets `levels`."""

    levels: Sequence[Levels] = ()

    def apply(self, prog: Any) -> None:
        find = finder(self.levels, np.float16)  # a program may be in half precision by now
        for function in prog.functions.values():
            _store(function, find)


@block_context_manager
def _store(block: Any, find: Callable[[np.ndarray], tuple[Levels, bool] | None]) -> None:
    for op in list(block.operations):
        if op.op_type != "const" or not isinstance(op.outputs[0].val, np.ndarray):
            continue
        value = op.outputs[0].val
        match = find(value) if value.dtype in (np.float16, np.float32) else None
        if match is not None:
            made = _encoded(op, value.dtype, *match)
            block.replace_uses_of_var_after_op(
                anchor_op=op, old_var=op.outputs[0], new_var=made, no_check_var_types=True
            )
            block.remove_ops([op])


def _encoded(op: Any, dtype: np.dtype, levels: Levels, transposed: bool) -> Any:
    codes = np.ascontiguousarray(levels.codes.T if transposed else levels.codes)
    if levels.table is not None:
        table = levels.table.astype(dtype).reshape(*[1] * codes.ndim, -1, 1)
        return _construct_constexpr_lut_op(codes, table, name=f"{op.name}_palette", before_op=op)
    assert levels.scales is not None
    steps = (codes.astype(np.int8) - CENTER).astype(types.nptype_from_builtin(types.int4))
    scales = levels.scales.astype(dtype)
    scales = scales.T if transposed else scales.reshape(*scales.shape, *[1] * (codes.ndim - 2))
    return Builder.constexpr_blockwise_shift_scale(data=steps, scale=scales, name=f"{op.name}_steps", before_op=op)
