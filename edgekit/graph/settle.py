"""A fresh program made a function of its image alone: regions inlined, dead state dropped, the rest refused."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch._subclasses import FakeTensor
from torch.export import ExportedProgram
from torch.export.graph_signature import ExportGraphSignature, InputKind, OutputKind
from torch.fx import GraphModule, Node
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from edgekit.errors import ModelError
from edgekit.graph.blame import place_of
from edgekit.graph.edit import arg, args_of, argument_names

__all__ = ["settle"]

aten = torch.ops.aten
_ASSERTS = {
    aten._assert_async.msg,
    aten._assert_async.default,
    aten._assert_scalar.default,
    aten.sym_constrain_range.default,
    aten.sym_constrain_range_for_size.default,
}
_OF_DENSE: dict[Any, Any] = {aten._sparse_mm.default: aten.mm.default}  # all tensors are dense here


def settle(program: ExportedProgram, module: nn.Module) -> ExportedProgram:
    """`program`, of `module`, without regions, asserts and mutations of state that its output does not depend on.

    Raises:
        ModelError: the output depends on state, on random numbers, on other images of the batch, or on a value that
            was read into Python.
    """
    hidden = [name for name, value in program.constants.items() if isinstance(value, FakeTensor)]
    if hidden:
        raise ModelError(
            f"torch.export lost sight of a tensor ({hidden[0]}) that an operation outside torch made: write it in torch"
        )
    graph = program.graph_module.graph
    while any([_inline(node) for node in list(graph.nodes) if _is_region(node)]):
        pass
    for node in list(graph.nodes):
        node.target = _OF_DENSE.get(node.target, node.target)
        if node.target in _ASSERTS:
            graph.erase_node(node)
    for node in _live(program):
        for is_wrong, reason, advice in _WRONG:
            if is_wrong(node):
                raise ModelError(f"{reason}, {place_of(node)}; {advice}")
    if any(_writes_state(node) or _is_untraceable(node) for node in graph.nodes):
        program.graph_module.recompile()
        program = _without_mutations(program.run_decompositions({}), module)
    graph = program.graph_module.graph
    graph.eliminate_dead_code()
    graph.lint()
    program.graph_module.recompile()
    return program


def _is_region(node: Node) -> bool:
    """A higher-order call of a subgraph as it stands: no_grad and autocast regions, regions compiled apart."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.HigherOrderOperator):
        return False
    name = node.target.name()
    return name.startswith(("wrap_with", "invoke_subgraph", "hints_wrapper", "tag_activation_checkpoint", "wrap"))


def _inline(node: Node) -> bool:
    owner: Any = node.graph.owning_module
    position, body = next(
        (index, getattr(owner, str(item.target)))
        for index, item in enumerate(node.args)
        if isinstance(item, Node) and item.op == "get_attr" and isinstance(_attribute(owner, item), GraphModule)
    )
    inputs = [item for item in node.args[position + 1 :] if not isinstance(item, str)]
    if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)):  # hints_wrapper
        inputs = list(inputs[0])
    copies: dict[Node, Any] = {}
    given = iter(inputs)
    with node.graph.inserting_before(node):
        for inner in body.graph.nodes:
            if inner.op == "placeholder":
                copies[inner] = next(given)
            elif inner.op == "output":
                result = torch.fx.node.map_arg(inner.args[0], lambda old: copies[old])
            elif inner.op == "get_attr":
                name = f"{args_of(node)[position].target}_{inner.target}".replace(".", "_")
                setattr(owner, name, _attribute(body, inner))
                copies[inner] = node.graph.create_node("get_attr", name)
                copies[inner].meta = dict(inner.meta)
            else:
                copies[inner] = node.graph.node_copy(inner, lambda old: copies[old])
    for user in list(node.users):
        if user.target is operator.getitem and isinstance(result, (tuple, list)):
            user.replace_all_uses_with(result[args_of(user)[1]])
            node.graph.erase_node(user)
    if node.users:
        node.replace_all_uses_with(result)
    node.graph.erase_node(node)
    return True


def _attribute(owner: Any, node: Node) -> Any:
    for part in str(node.target).split("."):
        owner = getattr(owner, part)
    return owner


def _live(program: ExportedProgram) -> list[Node]:
    """The nodes on which what the user gets depends, in graph order; what writes to one of them counts as well."""
    output = next(iter(reversed(program.graph.nodes)))
    needed: set[Node] = set()
    queue = [output]
    while queue:
        node = queue.pop()
        if node not in needed:
            needed.add(node)
            queue.extend(node.all_input_nodes)
            queue.extend(user for user in node.users if any(target is node for target in _written(user)))
    return [node for node in program.graph.nodes if node in needed]


def _written(node: Node) -> Iterator[Node]:
    """The arguments that an in-place call changes."""
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None or not schema.is_mutable:
        return
    for index, entry in enumerate(schema.arguments):
        if entry.alias_info is not None and entry.alias_info.is_write:
            value = node.args[index] if index < len(node.args) else node.kwargs.get(entry.name)
            items = value if isinstance(value, (list, tuple)) else [value]
            yield from (item for item in items if isinstance(item, Node))


def _writes_state(node: Node) -> bool:
    """Whether an in-place call changes something that was there before the program ran."""
    return any(_root(item).op in ("placeholder", "get_attr") for item in _written(node))


def _root(node: Node) -> Node:
    """What a chain of views is a view of."""
    while node.op == "call_function" and node.all_input_nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is not None and not any(item.alias_info is not None for item in schema.returns):
            break
        if schema is None and node.target is not operator.getitem:
            break
        node = node.all_input_nodes[0]
    return node


def _is_untraceable(node: Node) -> bool:
    """A function of torch.func, which a second tracing turns into operators."""
    known = (torch._ops.OpOverload, torch._ops.HigherOrderOperator)
    if node.op != "call_function" or isinstance(node.target, known):
        return False
    return getattr(node.target, "__module__", "").startswith("torch._functorch")


def _without_mutations(program: ExportedProgram, module: nn.Module) -> ExportedProgram:
    """Leave out new values of buffers and of the input; refuse where the embedding is made from the old ones."""
    signature = program.graph_signature
    output = next(iter(reversed(program.graph.nodes)))
    pairs = list(zip(signature.output_specs, output.args[0], strict=True))
    changed = {spec.target for spec, _ in pairs if spec.kind is OutputKind.BUFFER_MUTATION}
    kept = [(spec, node) for spec, node in pairs if spec.kind is OutputKind.USER_OUTPUT]
    if len(kept) == len(pairs):
        return program
    output.args = (tuple(node for _, node in kept),)
    live = {node.name for node in _live(program)}
    for spec in signature.input_specs:
        if spec.kind is InputKind.BUFFER and spec.target in changed and spec.arg.name in live:
            raise ModelError(_state_matters(str(spec.target), module))
    return program._update(
        program.graph_module, ExportGraphSignature(signature.input_specs, [spec for spec, _ in kept])
    )


def _state_matters(target: str, module: nn.Module) -> str:
    owner, _, name = target.rpartition(".")
    kind = type(module.get_submodule(owner)).__name__
    return (
        f"the embedding depends on the buffer {name!r} of {kind}, which forward changes with every image; an artifact "
        "keeps nothing from one image to the next: change it only `if self.training`, or make the embedding without it"
    )


def _is_random(node: Node) -> bool:
    if node.op != "call_function" or torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    if any(_given(node, name) is False for name in ("train", "training")):
        return False
    return not any(_given(node, name) == 0 for name in ("p", "dropout_p", "dropout"))


def _mixes_images(node: Node) -> bool:
    """BatchNorm with the statistics of this batch. The operator may be used on weights or instances as well."""
    if node.op != "call_function" or "batch_norm" not in str(node.target) or _given(node, "training") is not True:
        return False
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return bool(stack) and "BatchNorm" in str(stack[-1][1])


def _reads_values(node: Node) -> bool:
    """A Python number made from a tensor's values, or a shape that depends on one."""
    value = node.meta.get("val")
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool, torch.Tensor)):
        return bool(free_unbacked_symbols(value))
    return False


def _given(node: Node, name: str) -> Any:
    """An argument by its schema name, or None where the operator has none of that name."""
    return arg(node, name) if name in argument_names(node) else None


# A test of a node, what is wrong with a model that has such a one, and what to do.
_WRONG: tuple[tuple[Callable[[Node], bool], str, str], ...] = (
    (
        _is_random,
        "the model draws random numbers for its embedding even in eval mode",
        "give dropout `self.training`, or take it out",
    ),
    (
        _mixes_images,
        "a BatchNorm takes the mean and variance of the batch, so that embeddings depend on the other images",
        "let it be in eval mode with running statistics",
    ),
    (
        _reads_values,
        "a Python number or a size is made from the values of a tensor (.item(), nonzero, boolean index)",
        "keep it a tensor, with torch.where, index numbers or a fixed size",
    ),
)
