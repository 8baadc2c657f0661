"""The table of operators that EdgeKit writes itself, and what its rows work with: a program on its way into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from edgekit.targets.litert.draft import Draft, Tensor
from edgekit.targets.litert.layout import Value, View, arranged, natural, settled, viewed

__all__ = ["ROWS", "Translation", "dtype_of", "row"]

Result = Value | View | list[Value]
ROWS: dict[Any, Callable[[Translation, Node], Result | None]] = {}
# LiteRT's converter and runtimes count in 32 bits.
_NARROW = {torch.int64: "int32", torch.float64: "float32"}


def row(*targets: Any) -> Callable[[Callable[[Translation, Node], Result | None]], Any]:
    """Put a function into the table, for these operators. It gives None for a call that it does not understand."""

    def add(function: Callable[[Translation, Node], Result | None]) -> Any:
        ROWS.update(dict.fromkeys(targets, function))
        return function

    return add


def dtype_of(tensor: torch.Tensor) -> str:
    """What the file calls the type of a program's tensor."""
    return _NARROW.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))


class Translation:
    """A program on its way into a draft."""

    def __init__(self) -> None:
        self.draft = Draft()
        self.values: dict[Node, Result] = {}
        self._plain: dict[Tensor, Tensor] = {}

    def value(self, item: Any, dtype: str = "float32") -> Value:
        """The value of an operand: a node, or a number, which becomes a constant without axes."""
        if isinstance(item, Node):
            found = self.values[item]
            if isinstance(found, View):
                self.values[item] = found = settled(self.draft, found)
            assert isinstance(found, Value)
            return found
        return Value(self.draft.constant(np.array(item, dtype)), ())

    def view(self, item: Node) -> View:
        """The value of an operand, to be seen in another shape or order; nothing moves yet."""
        found = self.values[item]
        assert not isinstance(found, list)
        return found if isinstance(found, View) else viewed(found)

    def plain(self, value: Value) -> Value:
        """The value as the program means it: integers that stand for numbers become these."""
        if not value.coded:
            return value
        tensor = value.tensor
        if tensor not in self._plain:
            self._plain[tensor] = self.draft.emit("DEQUANTIZE", [tensor], tensor.shape)
        return Value(self._plain[tensor], value.order)

    def read(self, item: Any, order: Sequence[int] | None = None) -> Tensor:
        """An operand as the program means it, its axes in this order in memory, or as the program has them."""
        value = self.plain(self.value(item))
        return arranged(self.draft, value, natural(len(value.order)) if order is None else order)

    def plain_weight(self, item: Any) -> Value | None:
        """A layer's weight, as the layer's operator takes it; None where it is not known before the model runs."""
        value = self.value(item)
        return value if value.tensor.data is not None else None

    def emit(
        self, kind: str, inputs: Sequence[Tensor | None], node: Node, order: Sequence[int], **options: Any
    ) -> Value:
        """Add an operator whose result is that of `node`, its axes in this order in memory."""
        result = node.meta["val"]
        shape = [int(result.shape[axis]) for axis in order]
        return Value(self.draft.emit(kind, inputs, shape, dtype_of(result), **options), tuple(order))
