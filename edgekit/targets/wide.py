"""Marks on the calls of a program that stay in float32 where the rest goes to half precision.

A mark travels in the node's `custom` metadata, which torch hands on to what a call is decomposed into. Core ML's ops
are chosen by the debug handle that each inherits.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["half_but", "handles", "is_wide", "marked"]

_MARK = "edgekit.float32"


@contextlib.contextmanager
def marked(program: ExportedProgram, names: Collection[str]) -> Iterator[None]:
    """Mark the calls of these names while the context lasts."""
    chosen = [node for node in program.graph.nodes if node.name in names]
    for node in chosen:
        node.meta["custom"] = {**node.meta.get("custom", {}), _MARK: True}
    try:
        yield
    finally:
        for node in chosen:
            node.meta["custom"].pop(_MARK)
        for node in program.graph.nodes if chosen else ():
            node.meta.pop("debug_handle", None)


def is_wide(node: Node) -> bool:
    """Whether this node, or the one that it was made from, is marked."""
    return bool((node.meta.get("custom") or {}).get(_MARK))


def half_but(wide: Collection[int]) -> Any:
    """coremltools' compute precision with the ops of these debug handles in float32."""
    from coremltools.converters.mil.mil.passes.defs.quantization import FP16ComputePrecision
    from coremltools.converters.mil.mil.scope import ScopeSource

    kept = frozenset(wide)

    def is_half(op: Any) -> bool:
        return not kept.intersection(op.scopes.get(ScopeSource.EXIR_DEBUG_HANDLE) or [])

    return FP16ComputePrecision(op_selector=is_half)


def handles(program: ExportedProgram) -> frozenset[int]:
    """Give every call that has none a debug handle; returns those of the marked calls."""
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    for number, node in enumerate(calls):
        node.meta.setdefault("debug_handle", number + 1)
    return frozenset(node.meta["debug_handle"] for node in calls if is_wide(node))
