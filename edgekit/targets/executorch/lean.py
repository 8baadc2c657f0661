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

from edgekit.targets.executorch.pads import for_integers

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
    with contextlib.ExitStack() as stack:
        stack.enter_context(_fewer_passes())
        stack.enter_context(_no_provenance())
        yield


@contextlib.contextmanager
def _fewer_passes() -> Iterator[None]:
    from executorch.backends.xnnpack import xnnpack_preprocess

    original = getattr(xnnpack_preprocess, "XNNPACKPassManager", None)
    if original is None:
        yield
        return

    def select(exported_program: Any, passes: Any = None) -> Any:
        manager = original(exported_program, passes=passes)
        names = {str(node.target) for node in exported_program.graph.nodes if node.op == "call_function"}
        manager.passes = [
            for_integers(item) if item.__name__ == "InsertPadQDQPass" else item
            for item in manager.passes
            if item.__name__ not in _NEEDED_BY
            or any(part in name for part in _NEEDED_BY[item.__name__] for name in names)
        ]
        return manager

    xnnpack_preprocess.XNNPACKPassManager = select
    try:
        yield
    finally:
        xnnpack_preprocess.XNNPACKPassManager = original


@contextlib.contextmanager
def _no_provenance() -> Iterator[None]:
    from torch.fx import traceback

    original = getattr(traceback, "NodeSource", None)
    if original is None:
        yield
        return

    class Forgetful(original):  # type: ignore[misc, valid-type]
        def __init__(self, node: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(None, *args, **kwargs)

    setattr(traceback, "NodeSource", Forgetful)  # noqa: B010
    try:
        yield
    finally:
        setattr(traceback, "NodeSource", original)  # noqa: B010
