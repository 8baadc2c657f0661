"""Kernels that several convolutions share, apart where these are of different kinds."""

from __future__ import annotations

from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, argument_names, constant, op_name

__all__ = ["untie_kernels"]


def untie_kernels(graph_module: GraphModule) -> int:
    """A constant that a convolution reads as its kernel and another kind of call reads as well: one copy a kind.

    ExecuTorch's XNNPACK backend puts a kernel's axes in the order of the call that it meets first.
    """
    count = 0
    for node in list(graph_module.graph.nodes):
        tensor = constant(node)
        if tensor is None or len(node.users) < 2:
            continue
        readers: dict[object, list[Node]] = {}
        for user in node.users:
            readers.setdefault(_kind(user, node), []).append(user)
        if not any(isinstance(kind, tuple) for kind in readers):
            continue
        for users in list(readers.values())[1:]:
            copy = add_constant(graph_module, tensor.clone(), str(node.target))
            for user in users:
                user.replace_input_with(node, copy)
            count += 1
    return count


def _kind(user: Node, kernel: Node) -> object:
    """How a call reads the constant: convolutions that arrange a kernel alike are of one kind."""
    if user.op != "call_function" or not op_name(user).startswith("conv") or arg(user, "weight") is not kernel:
        return None
    names = argument_names(user)
    return user.target, tuple(arg(user, name) for name in ("groups", "transposed") if name in names)
