"""Spare ExecuTorch's lowering the work that a rewritten program does not need.

XNNPACK's `preprocess` runs 17 passes over every partition, each of which re-runs the whole graph on fake tensors, and
each re-run deep-copies the growing provenance of every node. A rewritten program has nothing for most of those passes
to find. Both patches are process-wide while they last, and fall away where ExecuTorch's or torch's internals changed.
Upstream: https://github.com/pytorch/executorch/blob/v1.0.0/backends/xnnpack/_passes/__init__.py
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from executorch.backends.xnnpack import xnnpack_preprocess
from torch.fx import traceback

from edgekit.targets.common import replaced

__all__ = ["lean_lowering"]

# Each pass, and the operators (a part of their name) without which it changes nothing. The SDPA pass looks for
# a decomposed attention that `plain_attention` has replaced, and exports seven small models to build its patterns.
_NEEDED_BY: dict[str, tuple[str, ...]] = {
    "XNNPACKRemoveCloneOpsTransform": ("clone", "alias"),
    "DimOrderOpsRevertPass": ("dim_order",),
    "ConvertToUpsampleBilinear2d": (),
    "ConvertToLinearPass": ("addmm", ".mm"),
    "PropagateCustomMetaPass": ("quantize",),
    "ConvertToSDPAPass": (),
    "FuseBatchNormPass": ("batch_norm",),
    "DecomposeBatchNorm": ("batch_norm",),
    "FuseActivationPass": ("relu", "hardtanh"),
    "DecomposeConcatenate": ("cat",),
    "RemoveGetItemPass": ("getitem", "max_pool", "max.dim", "batch_norm"),
    "InsertPadQDQPass": ("quantize",),
    "PReLUReshapePass": ("prelu",),
}


@contextlib.contextmanager
def lean_lowering() -> Iterator[None]:
    """While this lasts, XNNPACK's preprocess skips passes that have nothing to do, and no provenance is copied."""
    with _fewer_passes(), _no_provenance():
        yield


@contextlib.contextmanager
def _fewer_passes() -> Iterator[None]:
    original = getattr(xnnpack_preprocess, "XNNPACKPassManager", None)
    if original is None:
        yield
        return

    def select(exported_program: Any, passes: Any = None) -> Any:
        manager = original(exported_program, passes=passes)
        names = {str(node.target) for node in exported_program.graph.nodes if node.op == "call_function"}
        manager.passes = [
            _for_integers(item) if item.__name__ == "InsertPadQDQPass" else item
            for item in manager.passes
            if item.__name__ not in _NEEDED_BY
            or any(part in name for part in _NEEDED_BY[item.__name__] for name in names)
        ]
        return manager

    with replaced(xnnpack_preprocess, XNNPACKPassManager=select):
        yield


@contextlib.contextmanager
def _no_provenance() -> Iterator[None]:
    original = getattr(traceback, "NodeSource", None)
    if original is None:
        yield
        return

    class Forgetful(original):  # type: ignore[misc, valid-type]
        def __init__(self, node: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(None, *args, **kwargs)

    with replaced(traceback, NodeSource=Forgetful):
        yield


def _for_integers(original: Any) -> Any:
    """XNNPACK's pass `original`, InsertPadQDQPass, as a class that leaves paddings for float layers alone.

    ExecuTorch 1.5.1 makes integers of what a padding of dequantized values gives, whoever takes it; of a convolution in
    float it then says "Weight and Input should both be quantized".
    https://github.com/pytorch/executorch/blob/main/backends/xnnpack/_passes/insert_pad_qdq.py
    """

    class PadsOfIntegers(original):
        def call(self, graph_module: Any) -> Any:
            spared = {node: node.args for node in graph_module.graph.nodes if _is_padding(node) and _meets_float(node)}
            for node, (image, amounts, *_) in spared.items():
                node.args = (image, amounts, 1.0)  # the pass is for zeros
            result = super().call(graph_module)
            for node, arguments in spared.items():
                node.args = arguments
            graph_module.recompile()
            return result

    PadsOfIntegers.__name__ = original.__name__
    return PadsOfIntegers


def _is_padding(node: Any) -> bool:
    return node.op == "call_function" and "constant_pad_nd" in str(node.target)


def _meets_float(node: Any) -> bool:
    """Whether a layer takes what `node` gives that has no weight of integers."""
    return any(
        len(user.all_input_nodes) < 2 or "dequantize" not in str(user.all_input_nodes[1].target) for user in node.users
    )
