"""A rewritten program as a draft of a LiteRT file: each operator by a row of the table, or by litert-torch."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.graph.edit import source_of, to_graph
from edgekit.targets.litert import elementwise, foreign, integers, layers, shapes
from edgekit.targets.litert.draft import Draft, Tensor
from edgekit.targets.litert.layout import NHWC, Value, arranged, natural
from edgekit.targets.litert.translate import ROWS, Translation, dtype_of, row

__all__ = ["translate"]

_WITH_ROWS = (elementwise, integers, layers, shapes)  # importing them put their rows into the table


def translate(program: ExportedProgram, float32_calls: Collection[str] = ()) -> Draft:
    """The whole program, from `image` to `embedding`; the constants of the calls of these names stay in float32."""
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
    several: Any = translation.values[source_of(node)]
    taken: Value = several[node.args[1]]
    return taken
