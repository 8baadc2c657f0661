"""Half precision for Core ML with some ops left in float32, chosen by the debug handle that each op inherits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.targets.wide import is_wide

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch.export import ExportedProgram

__all__ = ["half_but", "handles"]


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
