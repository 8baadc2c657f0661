"""Half precision in the program itself, for ExecuTorch and Core AI: weights and activations are half inside, float32 at
the borders and in the last norm.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Collection

import torch
import torch.ao.quantization.fx._decomposed  # the operators' names
from torch.export import ExportedProgram
from torch.fx import Graph, GraphModule, Node

from edgekit.graph.half_simulation import norm_at_the_end

__all__ = ["to_half"]

_own = torch.ops.quantized_decomposed
_DEQUANTIZERS = frozenset((_own.dequantize_per_tensor.default, _own.dequantize_per_channel.default))


def to_half(program: ExportedProgram, float32_calls: Collection[str] = ()) -> ExportedProgram:
    """A copy of `program` in float16, its input and output as before, and the calls of these names in float32.

    The L2 norm at the end stays float32: a sum of squares leaves half precision's range (65,504) easily. Layers on
    integers keep their scales as they are, float32 too.
    """
    aten = torch.ops.aten
    module = copy.deepcopy(program.module(check_guards=False))
    graph = module.graph
    (result,) = next(node for node in graph.nodes if node.op == "output").args[0]
    features, tail = norm_at_the_end(result)
    wide = _wide(graph, float32_calls) - tail
    for node in list(graph.nodes):
        if node.op == "placeholder":
            with graph.inserting_after(node):
                half = graph.call_function(aten.to.dtype, (node, torch.float16))
            for user in [user for user in node.users if user is not half and user not in wide]:
                user.replace_input_with(node, half)
        elif node.op == "call_function" and node not in wide:
            if node.target in _DEQUANTIZERS:
                node.kwargs = {**node.kwargs, "out_dtype": torch.float16}
                continue
            swap = {torch.float32: torch.float16}
            node.args = tuple(swap.get(item, item) if isinstance(item, torch.dtype) else item for item in node.args)
            node.kwargs = {
                name: swap.get(item, item) if isinstance(item, torch.dtype) else item
                for name, item in node.kwargs.items()
            }
    kept = wide | {node for node in graph.nodes if node.target in _DEQUANTIZERS}
    for node in list(graph.nodes):
        if node.op == "get_attr" and not set(node.users) <= tail | kept:
            _halve(module, node, kept)
    _cast_borders(graph, wide, tail)
    with graph.inserting_after(features):
        single = graph.call_function(aten.to.dtype, (features, torch.float32))
    for user in list(features.users):
        if user is not single and (user in tail or user.op == "output"):
            user.replace_input_with(features, single)
    module.recompile()
    assert program.example_inputs is not None
    return torch.export.export(module, program.example_inputs[0], strict=False)


def _wide(graph: Graph, names: Collection[str]) -> set[Node]:
    """The calls of these names; what is taken out of a tuple goes with the tuple."""
    wide: set[Node] = set()
    for node in graph.nodes:
        if node.op == "call_function":
            taken = node.target is operator.getitem
            if node.args[0] in wide if taken else node.name in names:
                wide.add(node)
    return wide


def _halve(module: GraphModule, constant: Node, wide: set[Node]) -> None:
    """Give a float32 constant's users in half precision a float16 one; where all are, in its place."""
    owner, _, name = str(constant.target).rpartition(".")
    holder = module.get_submodule(owner)
    value = getattr(holder, name)
    if value.dtype != torch.float32:
        return
    if not wide.intersection(constant.users):
        delattr(holder, name)
        holder.register_buffer(name, value.detach().half())
        return
    holder.register_buffer(f"{name}_half", value.detach().half())
    with module.graph.inserting_after(constant):
        half = module.graph.get_attr(f"{constant.target}_half")
    for user in [user for user in constant.users if user not in wide]:
        user.replace_input_with(constant, half)


def _cast_borders(graph: Graph, wide: set[Node], tail: set[Node]) -> None:
    """Casts wherever a value goes from a half call to a wide one, or back."""
    for node in list(graph.nodes):
        if node.op != "call_function" or not _is_float(node) or node in tail:
            continue
        if node in wide:
            others = [user for user in node.users if user.op == "call_function" and user not in wide | tail]
            _cast(graph, node, others, torch.float16)
        else:
            _cast(graph, node, [user for user in node.users if user in wide], torch.float32)


def _cast(graph: Graph, node: Node, users: list[Node], dtype: torch.dtype) -> None:
    users = [user for user in users if user.target is not operator.getitem]
    if users:
        with graph.inserting_after(node):
            cast = graph.call_function(torch.ops.aten.to.dtype, (node, dtype))
        for user in users:
            user.replace_input_with(node, cast)


def _is_float(node: Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()
