"""A rewritten program as a draft of a LiteRT file: each operator by a row of a table, or by litert-torch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.graph.edit import to_graph
from edgekit.targets.litert.draft import Draft, Tensor
from edgekit.targets.litert.layout import Value, View, arranged, natural, settled, viewed

__all__ = ["Translation", "dtype_of", "row", "translate"]

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


def translate(program: ExportedProgram, float32_calls: Collection[str] = ()) -> Draft:
    """The whole program, from `image` to `embedding`; the constants of the calls of these names stay in float32."""
    from edgekit.targets.litert import elementwise, foreign, integers, layers, shapes

    assert all((elementwise, integers, layers, shapes))  # their rows are in the table by now
    translation = Translation()
    draft = translation.draft
    graph_module = to_graph(program)
    for node in graph_module.graph.nodes:
        draft.label, draft.wide = node.name, node.name in float32_calls
        if node.op == "placeholder":
            translation.values[node] = _image(draft, node)
        elif node.op == "get_attr":
            translation.values[node] = _constant(draft, getattr(graph_module, str(node.target)))
        elif node.op == "output":
            (result,) = node.args[0]
            value = translation.plain(translation.value(result))
            tensor = arranged(draft, value, natural(len(value.order)))
            if draft.maker(tensor) is None:  # a file's output is what one of its operators gives
                tensor = draft.emit("RESHAPE", [tensor, draft.constant(np.array(tensor.shape, np.int32))], tensor.shape)
            tensor.name = "embedding"
            draft.outputs = [tensor]
        else:
            function = ROWS.get(node.target)
            made = None if function is None else function(translation, node)
            translation.values[node] = foreign.call(translation, node) if made is None else made
    draft.prune()
    return draft


def _image(draft: Draft, node: Node) -> Value:
    """The input, rows of pixels whose channels lie side by side, also where the program has channels first."""
    from edgekit.targets.litert.layout import NHWC

    shape = tuple(int(size) for size in node.meta["val"].shape)
    order = NHWC if len(shape) == 4 and shape[1] == 3 and shape[3] != 3 else natural(len(shape))
    tensor = Tensor(tuple(shape[axis] for axis in order), dtype_of(node.meta["val"]), name="image")
    draft.inputs = [tensor]
    return Value(tensor, order)


def _constant(draft: Draft, tensor: torch.Tensor) -> Value:
    data = tensor.detach().cpu().contiguous().numpy() if tensor.dtype != torch.bfloat16 else tensor.float().numpy()
    return Value(draft.constant(data.astype(dtype_of(tensor), copy=False)), natural(tensor.dim()))


@row(operator.getitem)
def _taken(translation: Translation, node: Node) -> Value:
    source: Any = translation.values[node.args[0]]  # type: ignore[index]  # a node that gives several
    taken: Value = source[node.args[1]]
    return taken
