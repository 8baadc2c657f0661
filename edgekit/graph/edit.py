"""Graph surgery shared by the rewrites: take an exported program apart, edit it, put it together again.

Inside a rewrite the program is a `torch.fx.GraphModule` whose constants (parameters and buffers) are `get_attr` nodes,
and every node carries its fake tensor in `meta["val"]`.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from torch.fx import Graph, GraphModule, Node

from edgekit.errors import ModelError

__all__ = [
    "VIEWS",
    "add_constant",
    "affine",
    "arg",
    "args_of",
    "argument_names",
    "aten",
    "calls",
    "constant",
    "drop_dead",
    "emit",
    "features_axis",
    "getitem",
    "imagine",
    "int_shape",
    "is_call",
    "kwargs_of",
    "memory_of",
    "module_path",
    "number",
    "op_name",
    "operator_of",
    "pair",
    "replace",
    "row_by_row",
    "set_weights",
    "shape",
    "sole_user",
    "source_of",
    "spread",
    "to_graph",
    "to_program",
    "val",
    "weights",
    "zero_padding",
]

aten = torch.ops.aten
# `getitem` is the one call in these graphs that has no operator schema.
getitem = operator.getitem
# What gives values of its operand as they are: all of them in another shape, or a part.
VIEWS = frozenset({
    aten.reshape.default, aten.view.default, aten.permute.default, aten.transpose.int, aten.unsqueeze.default,
    aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims, aten.expand.default, aten.flatten.using_ints,
    aten.contiguous.default, aten.clone.default, aten.alias.default, aten.detach.default, aten.slice.Tensor,
    aten.select.int, aten.t.default, aten.movedim.int, aten.unflatten.int,
})  # fmt: skip
_CONSTANT_KINDS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
_KEPT_META = ("nn_module_stack", "stack_trace", "source_fn_stack")


def to_graph(program: ExportedProgram) -> GraphModule:
    """A private copy of the program's graph with its constants as `get_attr` nodes; tensors are shared, not copied.

    Raises:
        ModelError: the program changes its inputs or buffers, which an embedder must not.
    """
    signature = program.graph_signature
    for spec in signature.output_specs:
        if spec.kind is not OutputKind.USER_OUTPUT:
            raise ModelError(
                f"the model changes {spec.target or spec.arg.name!r} with every image, and an artifact keeps nothing "
                "from one image to the next: change it only `if self.training`"
            )
    constants = {spec.arg.name: spec.target or "" for spec in signature.input_specs if spec.kind in _CONSTANT_KINDS}
    root = torch.nn.Module()
    graph = Graph()
    copies: dict[Node, Node] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in constants:
            target = constants[node.name]
            tensor = program.state_dict.get(target)
            tensor = program.constants[target] if tensor is None else tensor
            root.register_buffer(node.name, tensor.detach(), persistent=True)
            copy = graph.get_attr(node.name)
            copy.meta = dict(node.meta)
            copies[node] = copy
        elif node.op == "get_attr":
            raise ModelError(
                f"the model has control flow ({node.target}), which the rewrites do not support; write it without "
                "branches that depend on data"
            )
        else:
            copies[node] = graph.node_copy(node, lambda old: copies[old])
    return GraphModule(root, graph)


def to_program(graph_module: GraphModule, like: ExportedProgram) -> ExportedProgram:
    """Put an edited graph together as an exported program with `like`'s input, dynamic shapes and call signature.

    Constants become buffers in order of first use, so that equal graphs give equal programs.
    The input is called `image`; parameters are shared with `graph_module`.
    """
    source = graph_module.graph
    graph = Graph()
    copies: dict[Node, Node] = {}
    specs: list[InputSpec] = []
    state: dict[str, torch.Tensor] = {}
    by_target: dict[str, Node] = {}
    for node in source.nodes:
        if node.op != "get_attr" or not node.users:
            continue
        target = str(node.target)
        if target not in by_target:
            placeholder = graph.placeholder(target)
            placeholder.meta = {"val": node.meta["val"]}
            state[target] = getattr(graph_module, target)
            by_target[target] = placeholder
            specs.append(InputSpec(InputKind.BUFFER, TensorArgument(name=placeholder.name), target, persistent=True))
        copies[node] = by_target[target]
    for node in source.nodes:
        if node.op == "get_attr":
            continue
        copies[node] = graph.node_copy(node, lambda old: copies[old])
        if node.op == "placeholder":
            specs.append(InputSpec(InputKind.USER_INPUT, TensorArgument(name=copies[node].name), None))
    output = next(iter(reversed(graph.nodes)))
    outputs = [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(name=result.name), None) for result in output.args[0]]
    return ExportedProgram(
        root=torch.nn.Module(),
        graph=graph,
        graph_signature=ExportGraphSignature(specs, outputs),
        state_dict=state,
        range_constraints=dict(like.range_constraints),
        module_call_graph=[entry for entry in like.module_call_graph if entry.fqn == ""],
        example_inputs=like.example_inputs,
        constants={},
        verifiers=like.verifiers,
    )


def is_call(node: Any, *targets: Any) -> bool:
    """Whether `node` calls one of these operators."""
    return isinstance(node, Node) and node.op == "call_function" and node.target in targets


def calls(graph_module: GraphModule, *targets: Any) -> Iterator[Node]:
    """The calls of these operators in graph order, from a snapshot, so that a rewrite may edit as it walks."""
    for node in list(graph_module.graph.nodes):
        if is_call(node, *targets):
            yield node


def operator_of(node: Node) -> OpOverload:
    """The operator that `node` calls, with its schema.

    Raises:
        TypeError: `node` calls something else, such as `getitem`, or nothing.
    """
    if not isinstance(node.target, OpOverload):
        raise TypeError(f"{node} calls no operator")
    return node.target


def argument_names(node: Node) -> list[str]:
    """The names that the schema of the operator which `node` calls gives its arguments, in order."""
    return [entry.name for entry in operator_of(node)._schema.arguments]


def args_of(node: Node) -> tuple[Any, ...]:
    """The arguments of `node` that were passed by position: nodes, numbers, lists, as the operator's schema says."""
    return node.args


def kwargs_of(node: Node) -> dict[str, Any]:
    """The arguments of `node` that were passed by name."""
    return dict(node.kwargs)


def source_of(node: Node) -> Node:
    """The node whose tensor `node` takes as its first argument.

    Raises:
        TypeError: there is no such argument, or it is no node.
    """
    if not node.args or not isinstance(node.args[0], Node):
        raise TypeError(f"{node} does not take a tensor first")
    return node.args[0]


def arg(node: Node, name: str) -> Any:
    """An operator's argument by its schema name, however it was passed, or the schema's default."""
    for index, entry in enumerate(operator_of(node)._schema.arguments):
        if entry.name == name:
            if not entry.kwarg_only and index < len(node.args):
                return node.args[index]
            return node.kwargs.get(name, entry.default_value)
    raise KeyError(name)


def val(node: Any) -> torch.Tensor:
    """The node's fake tensor."""
    return node.meta["val"]


def shape(node: Any) -> list[Any]:
    """The node's shape; dynamic dimensions are SymInts."""
    return list(val(node).shape)


def int_shape(node: Any) -> list[int] | None:
    """The node's shape where it is a tensor of static shape, otherwise None."""
    value = node.meta.get("val") if isinstance(node, Node) else None
    if not isinstance(value, torch.Tensor) or not all(type(size) is int for size in value.shape):
        return None
    return list(value.shape)


def module_path(node: Node) -> str:
    """The dotted path of the module that `node` was captured from, `the top level` where there is none."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return str(paths[-1]) if paths else "the top level"


def op_name(node: Node) -> str:
    """An operator's name as a person writes it: `avg_pool2d`."""
    schema = getattr(node.target, "_schema", None)
    return str(getattr(node.target, "__name__", node.target)) if schema is None else schema.name.split("::")[-1]


def spread(value: Any, count: int) -> list[int]:
    """A per-axis argument (stride, padding, kernel) that is given once or for each of `count` axes, for each."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return values * count if len(values) == 1 else values


def weights(layer: Node) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """Weight and bias of a linear or convolution; None where one of them is not a constant."""
    weight, bias_node = constant(layer.args[1]), arg(layer, "bias")
    bias = constant(bias_node)
    return None if weight is None or (bias is None and bias_node is not None) else (weight, bias)


def affine(norm: Node) -> tuple[torch.Tensor | None, torch.Tensor | None] | None:
    """Gain and offset of a norm, None for what it does not have; None where one of them is not a constant."""
    given = arg(norm, "weight"), arg(norm, "bias")
    gain, offset = map(constant, given)
    return None if [gain is None, offset is None] != [node is None for node in given] else (gain, offset)


def set_weights(layer: Node, weight: Node, bias: Node | None) -> None:
    """Let a linear or convolution take another weight and bias."""
    layer.args = (layer.args[0], weight, bias, *layer.args[3:])
    layer.kwargs = {name: value for name, value in layer.kwargs.items() if name not in ("weight", "bias")}


def pair(value: Any) -> tuple[int, int]:
    """A per-axis argument of length 1 or 2, as (rows, columns)."""
    values = spread(value, 2)
    return values[0], values[1]


def features_axis(layer: Node) -> int | None:
    """The axis of a linear's or convolution's output features.

    None where its input has no batch axis (a convolution of [C,H,W]) or its weight is a vector (a linear to [N]).
    """
    weight, rank = val(layer.args[1]), val(layer).dim()
    if weight.dim() == 2:
        return rank - 1
    return 1 if weight.dim() == rank and rank > 2 else None


def sole_user(node: Node) -> Node | None:
    """The one node that uses this one, or None where there are none or several."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def zero_padding(node: Any) -> list[int] | None:
    """How many zeros a node puts around an image, as `aten.pad` has them; None for a node that does anything else."""
    bare = aten.constant_pad_nd.default
    if not is_call(node, aten.pad.default, bare):
        return None
    amounts = list(node.args[1])
    zeros = (node.target is bare or arg(node, "mode") == "constant") and not arg(node, "value")
    return amounts if zeros and 0 < len(amounts) <= 4 and min(amounts) >= 0 else None


def constant(node: Any) -> torch.Tensor | None:
    """The tensor behind a constant node, otherwise None."""
    if isinstance(node, Node) and node.op == "get_attr":
        return getattr(node.graph.owning_module, str(node.target))
    return None


def number(operand: Any) -> torch.Tensor | None:
    """The value of an operand that is a constant or a real number (then float64, no axes), otherwise None."""
    return torch.tensor(operand, dtype=torch.float64) if isinstance(operand, (int, float)) else constant(operand)


def row_by_row(tensor: torch.Tensor) -> torch.Tensor:
    """The same values, the last axis fastest in memory, of one entry too: XNNPACK's delegate reads their stride."""
    if tensor.stride() == torch.empty(tensor.shape, device="meta").stride():
        return tensor
    return torch.empty_like(tensor, memory_format=torch.contiguous_format).copy_(tensor)


def add_constant(owner: GraphModule | Node, tensor: torch.Tensor, hint: str) -> Node:
    """Register `tensor` under a fresh name that starts with `hint` and return its node, at the head of the graph.

    `owner` is the graph module, or any node in it.
    """
    graph_module = owner if isinstance(owner, GraphModule) else _module(owner.graph)
    names = itertools.chain([hint], (f"{hint}_{count}" for count in itertools.count(1)))
    name = next(name for name in names if not hasattr(graph_module, name))
    tensor = row_by_row(tensor.detach())
    graph_module.register_buffer(name, tensor)
    head = next(iter(graph_module.graph.nodes))
    with graph_module.graph.inserting_before(head):
        node = graph_module.graph.get_attr(name)
    node.meta["val"] = _fake_mode(graph_module).from_tensor(tensor, static_shapes=True)
    return node


def emit(before: Node, target: Any, *args: Any, like: Node | None = None, **kwargs: Any) -> Node:
    """Insert a call in front of `before` with its fake tensor worked out; `like` lends the module path."""
    graph = before.graph
    with graph.inserting_before(before):
        node = graph.call_function(target, args, kwargs)
    source = before if like is None else like
    node.meta.update({key: source.meta[key] for key in _KEPT_META if key in source.meta})
    node.meta["val"] = imagine(graph, target, args, kwargs)
    return node


def imagine(graph: Graph, target: Any, args: Any, kwargs: Any) -> Any:
    """What a call gives for the fake tensors of its arguments: shapes, types, strides and shared memory, no values."""
    fake_args, fake_kwargs = torch.fx.node.map_arg((args, kwargs), lambda item: item.meta["val"])
    with _fake_mode(_module(graph)):
        return target(*fake_args, **fake_kwargs)


def replace(old: Node, new: Node) -> None:
    """Let every user of `old` use `new`, then remove `old` and what only it needed."""
    old.replace_all_uses_with(new)
    drop_dead([old])


def drop_dead(nodes: Iterable[Node]) -> int:
    """Remove these nodes where nothing uses them, and then their inputs likewise. Returns how many went."""
    count = 0
    queue = list(nodes)
    while queue:
        node = queue.pop()
        if node.users or node.op in ("placeholder", "output") or node._erased:
            continue
        queue.extend(node.all_input_nodes)
        node.graph.erase_node(node)
        count += 1
    return count


def memory_of(value: Any) -> int | None:
    """What tensors that share memory have in common; None for anything else."""
    return value.untyped_storage()._cdata if isinstance(value, torch.Tensor) else None


def _module(graph: Graph) -> GraphModule:
    if graph.owning_module is None:
        raise ModelError("the program has no module")
    return graph.owning_module


def _fake_mode(graph_module: GraphModule) -> Any:
    for node in graph_module.graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, torch._subclasses.FakeTensor):
            return value.fake_mode
    raise ModelError("the program has no tensors")
