"""Marks on the calls of a program that stay in float32 where the rest goes to half precision.

A mark travels in the node's `custom` metadata, which torch hands on to what a call is decomposed into.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["is_wide", "marked"]

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
