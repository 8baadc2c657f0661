"""In-place calls as ordinary ones, so that every rewrite may move calls about."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch._C import DispatchKey
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind
from torch.fx import GraphModule, Node

from edgekit.errors import ModelError
from edgekit.graph.edit import arg, imagine, is_call, memory_of, module_path, operator_of
from edgekit.graph.plain_layout import plain_layout
from edgekit.graph.spell_composed import COMPOSED, own_definition
from edgekit.support.text import reason_of

__all__ = ["functionalize", "has_hazards", "without_hazards"]

aten = torch.ops.aten
# These read a tensor's size and type, never its values.
_METADATA = (aten.sym_size.int, aten._assert_tensor_metadata.default)


def functionalize(graph_module: GraphModule) -> int:
    """Turn each in-place call whose operand nobody else reads or views into the ordinary call, and make views
    independent of how tensors lie in memory. Returns how many in-place calls there were.

    Raises:
        ModelError: a call changes a tensor that others may see, which `has_hazards` would have told.
    """
    plain_layout(graph_module)
    count = 0
    for node in graph_module.graph.nodes:
        if not _changes(node):
            continue
        if _hazard(node):
            raise ModelError(
                f"the model changes a tensor in place with {node.target}, which the rewrites cannot make an ordinary "
                "call: write it as one"
            )
        node.target = _twin(node)
        count += 1
    return count


def without_hazards(program: ExportedProgram) -> ExportedProgram:
    """The program without in-place calls that others may see and without what only torch knows by its name.

    That is `program` itself, or torch's functionalisation of it, which trusts the schemas. An operator that gives its
    input back, or a view of it, and does not say so in its schema is taken apart first.

    Raises:
        ModelError: torch cannot make the program functional.
    """
    operators = [node for node in program.graph.nodes if node.op == "call_function" and hasattr(node.target, "_schema")]
    apart = {node.target for node in operators if node.target in COMPOSED}
    if not apart and not has_hazards(program):
        return program
    apart |= {node.target for node in operators if not _named(node) and _aliased(node)}
    ways = {op: own_definition(op) for op in apart | COMPOSED}  # the definition of one may name others
    try:
        new = program.run_decompositions(ways)
    except RuntimeError as error:
        reason = reason_of(error).split(". ")[0]
        places = dict.fromkeys(module_path(node) for node in program.graph.nodes if _changes(node) and _hazard(node))
        raise ModelError(
            f"the model changes a tensor in place that must stay as it is, in {' or '.join(places)}: write that as "
            f"ordinary calls, such as torch.where ({reason})"
        ) from error
    _forget_changed_input(new)
    return new


def _forget_changed_input(program: ExportedProgram) -> None:
    """A changed image is no result of an embedder: whoever runs the exported file keeps their own."""
    output = next(iter(reversed(program.graph.nodes)))
    specs = program.graph_signature.output_specs
    kept = [spec.kind is not OutputKind.USER_INPUT_MUTATION for spec in specs]
    output.args = (tuple(itertools.compress(output.args[0], kept)),)
    specs[:] = itertools.compress(specs, kept)


def has_hazards(program: ExportedProgram) -> bool:
    """Whether an in-place call changes a tensor that others may see: such a program needs `run_decompositions({})`."""
    return any(_changes(node) and _hazard(node) for node in program.graph.nodes)


def _changes(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and schema.is_mutable


def _hazard(node: Node) -> bool:
    """A change that is not the last word on a tensor of its own, or that no ordinary call makes: others may see it."""
    arguments = operator_of(node)._schema.arguments
    written = [entry.name for entry in arguments if entry.alias_info is not None and entry.alias_info.is_write]
    if written != [arguments[0].name] or not node.args or not isinstance(node.args[0], Node):
        return True
    target = node.args[0]
    return _readers(target) != [node] or not _fresh(target) or not _twin_is_alike(node, target)


def _readers(node: Node) -> list[Node]:
    """Who may see a change of the tensor; the parts of a split that nobody uses do not."""
    read = [user for user in node.users if not is_call(user, *_METADATA)]
    return [user for user in read if user.users or user.op == "output" or _changes(user)]


def _fresh(node: Node) -> bool:
    """Whether the tensor was made for this node alone, or is a view of such a one that nobody else has."""
    if node.op != "call_function":
        return False
    return all(_readers(source) == [node] and _fresh(source) for source in _aliased(node))


def _aliased(node: Node) -> list[Node]:
    """The inputs that the result may share memory with.

    An operator's schema says which, but for those that are composed of others (`einsum` of one operand, `dropout` in
    eval mode, `meshgrid`): they are run on fake tensors, and what they return is compared with what they were given.
    """
    if not hasattr(node.target, "_schema"):
        return node.all_input_nodes
    named = _named(node)
    if named:
        leaves = torch.utils._pytree.tree_leaves([arg(node, name) for name in named])
        return [leaf for leaf in leaves if isinstance(leaf, Node)]
    if not operator_of(node).has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd):
        return []
    made = imagine(node.graph, node.target, node.args, node.kwargs)
    memories = {memory_of(leaf) for leaf in torch.utils._pytree.tree_leaves(made)} - {None}
    return [source for source in node.all_input_nodes if memory_of(source.meta.get("val")) in memories]


def _named(node: Node) -> list[str]:
    return [entry.name for entry in operator_of(node)._schema.arguments if entry.alias_info is not None]


def _twin(node: Node) -> Any:
    """The operator that computes what this one writes, of the same arguments: `relu` for `relu_`, `pow.Tensor_Scalar`
    for `pow_.Scalar`.
    """
    name = operator_of(node)._schema.name.removeprefix("aten::")
    packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") and not name.endswith("__") else None
    if packet is None:
        return None
    own = operator_of(node)._overloadname
    twins = sorted((getattr(packet, name) for name in packet.overloads()), key=lambda twin: twin._overloadname != own)
    return next((twin for twin in twins if not twin._schema.is_mutable and _types(twin) == _types(node.target)), None)


def _types(target: Any) -> list[str]:
    return [str(entry.type) for entry in target._schema.arguments]


def _twin_is_alike(node: Node, target: Node) -> bool:
    """An in-place call keeps its operand's type and shape; the ordinary call promotes and broadcasts."""
    twin, old = _twin(node), target.meta["val"]
    if twin is None:
        return False
    new = imagine(node.graph, twin, node.args, node.kwargs)
    return isinstance(new, torch.Tensor) and new.dtype == old.dtype and new.shape == old.shape
