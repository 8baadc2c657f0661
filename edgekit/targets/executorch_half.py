"""Half precision for ExecuTorch: weights and activations half inside, float32 at the borders and in the last norm."""

# torch.fx types an argument as a union of sixteen kinds.
# mypy: disable-error-code="union-attr, arg-type, operator, index, attr-defined, return-value"

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["to_half"]


def to_half(program: ExportedProgram) -> ExportedProgram:
    """A copy of `program` in float16, its input and output as before.

    The L2 norm at the end stays float32: a sum of squares leaves half precision's range (65,504) easily.
    """
    import torch

    aten = torch.ops.aten
    module = copy.deepcopy(program.module(check_guards=False))
    graph = module.graph
    (result,) = next(node for node in graph.nodes if node.op == "output").args[0]
    features, tail = _features(result, aten)
    for node in list(graph.nodes):
        if node.op == "placeholder":
            with graph.inserting_after(node):
                half = graph.call_function(aten.to.dtype, (node, torch.float16))
            for user in [user for user in node.users if user is not half]:
                user.replace_input_with(node, half)
        elif node.op == "call_function":
            swap = {torch.float32: torch.float16}
            node.args = tuple(swap.get(item, item) if isinstance(item, torch.dtype) else item for item in node.args)
            node.kwargs = {
                name: swap.get(item, item) if isinstance(item, torch.dtype) else item
                for name, item in node.kwargs.items()
            }
    for node in graph.nodes:
        if node.op == "get_attr" and not set(node.users) <= tail:
            owner, _, name = str(node.target).rpartition(".")
            holder = module.get_submodule(owner)
            value = getattr(holder, name)
            if value.dtype == torch.float32:
                delattr(holder, name)
                holder.register_buffer(name, value.detach().half())
    with graph.inserting_after(features):
        wide = graph.call_function(aten.to.dtype, (features, torch.float32))
    for user in list(features.users):
        if user is not wide and (user in tail or user.op == "output"):
            user.replace_input_with(features, wide)
    module.recompile()
    assert program.example_inputs is not None
    return torch.export.export(module, program.example_inputs[0], strict=False)


def _features(result: Node, aten: object) -> tuple[Node, set[Node]]:
    """What the last L2 norm divides, and the calls of that norm; the result itself where there is none."""
    if result.op == "call_function" and result.target is aten.div.Tensor:
        features = result.args[0]
        tail, queue = {result}, [result.args[1]]
        while queue and len(tail) < 8:
            node = queue.pop()
            if node is features or node in tail or node.op != "call_function":
                continue
            tail.add(node)
            queue.extend(node.all_input_nodes)
        if not queue:
            return features, tail
    return result, set()
