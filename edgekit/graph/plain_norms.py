"""Layer and vector norms written with the operators that XNNPACK has."""

from __future__ import annotations

from functools import partial

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    add_constant,
    affine,
    arg,
    args_of,
    calls,
    emit,
    features_axis,
    int_shape,
    is_call,
    replace,
    shape,
    val,
    weights,
)
from edgekit.graph.spelling import spell

__all__ = ["plain_group_norm", "plain_layer_norm", "plain_vector_norm"]

aten = torch.ops.aten


def plain_layer_norm(graph_module: GraphModule) -> int:
    """Write a layer norm over the last axis as two C -> 1 linears and elementwise steps, with gain and offset moved
    into the linears that read it where only linears do.

    `mean = linear(x, 1/C)`, `y = (x - mean) * rsqrt(linear((x - mean)^2, 1/C) + eps)`.
    """
    return spell(graph_module, {aten.layer_norm.default: _layer_norm})


def _layer_norm(node: Node) -> Node | None:
    width, source, known = arg(node, "normalized_shape"), node.args[0], affine(node)
    if known is None or len(width) != 1 or int_shape(source) is None or width[0] == 0 or not _one_type(node):
        return None
    ones = add_constant(node, torch.full((1, width[0]), 1.0 / width[0], dtype=val(node).dtype), "mean_weight")
    eps = _epsilon(node)
    centred = emit(node, aten.sub.Tensor, source, emit(node, aten.linear.default, source, ones))
    square = emit(node, aten.mul.Tensor, centred, centred)
    spread = emit(node, aten.rsqrt.default, emit(node, aten.linear.default, square, ones, eps))
    new = emit(node, aten.mul.Tensor, centred, spread)
    gain, offset = known
    return new if gain is None and offset is None else _moved(node, new, gain, offset)


def _epsilon(norm: Node) -> Node:
    return add_constant(norm, torch.full((1,), arg(norm, "eps"), dtype=val(norm).dtype), "norm_eps")


def _moved(norm: Node, plain: Node, gain: torch.Tensor | None, offset: torch.Tensor | None) -> Node:
    """The norm with its gain and offset in the linears that read it, or behind it."""
    linears = [(user, weights(user)) for user in norm.users if _is_linear_of(user, norm)]
    known = [(user, *both) for user, both in linears if both is not None]
    if len(known) == len(norm.users):
        for user, weight, bias in known:
            wide, moved = weight.double(), None if bias is None else bias.double()
            if offset is not None:
                moved = wide @ offset.double() + (0.0 if moved is None else moved)
            if gain is not None:
                wide = wide * gain.double()
            hint = str(args_of(user)[1].target)
            args = [plain, add_constant(norm, wide.to(weight.dtype), f"{hint}_scaled")]
            if moved is not None:
                args.append(add_constant(norm, moved.to(weight.dtype), f"{hint}_bias"))
            user.args, user.kwargs = (norm, *args[1:]), {}
        return plain
    return _offset(norm, _gain(norm, plain, gain), offset)


def _gain(norm: Node, value: Node, gain: torch.Tensor | None) -> Node:
    return value if gain is None else emit(norm, aten.mul.Tensor, value, add_constant(norm, gain, "norm_gain"))


def _offset(norm: Node, value: Node, offset: torch.Tensor | None) -> Node:
    return value if offset is None else emit(norm, aten.add.Tensor, value, add_constant(norm, offset, "norm_offset"))


def _is_linear_of(user: Node, norm: Node) -> bool:
    return is_call(user, aten.linear.default) and user.args[0] is norm and features_axis(user) is not None


def _one_type(norm: Node) -> bool:
    return all(val(source).dtype == val(norm).dtype for source in norm.all_input_nodes)


def plain_group_norm(graph_module: GraphModule, least: int = 2) -> int:
    """Write group and instance norms in global pooling and elementwise steps, with a C -> 1 convolution for one group.

    The runtime's own kernels subtract the squared mean from the mean square, which leaves nothing where the mean is
    large. Tensors of fewer than `least` axes stay.
    """
    norms = (aten.group_norm.default, aten.instance_norm.default)
    return spell(graph_module, dict.fromkeys(norms, partial(_group_norm, least=least)))


def _group_norm(node: Node, least: int) -> Node | None:
    size, known = int_shape(node), affine(node)
    if known is None or size is None or len(size) < least or 0 in size or not _one_type(node):
        return None
    instance = node.target is aten.instance_norm.default
    if instance and not arg(node, "use_input_stats"):
        return None
    groups = size[1] if instance else arg(node, "num_groups")
    axes = [1, size[1], *[1] * (len(size) - 2)]
    gain, offset = (None if values is None else values.reshape(axes) for values in known)
    if groups == 1 and len(size) == 4:
        return _one_group(node, gain, offset)
    return _offset(node, _gain(node, _groups(node, groups, size), gain), offset)


def _groups(node: Node, groups: int, size: list[int]) -> Node:
    flat = [size[0], groups, -1, size[-1]] if len(size) > 2 else [size[0], groups, -1, 1]
    source = emit(node, aten.reshape.default, node.args[0], flat)
    eps = _epsilon(node)
    centred = emit(node, aten.sub.Tensor, source, emit(node, aten.mean.dim, source, [2, 3], True))
    square = emit(node, aten.mean.dim, emit(node, aten.mul.Tensor, centred, centred), [2, 3], True)
    spread = emit(node, aten.rsqrt.default, emit(node, aten.add.Tensor, square, eps))
    return emit(node, aten.reshape.default, emit(node, aten.mul.Tensor, centred, spread), size)


def _one_group(node: Node, gain: torch.Tensor | None, offset: torch.Tensor | None) -> Node:
    source, dtype, channels = node.args[0], val(node).dtype, shape(node)[1]
    ones = add_constant(node, torch.full((1, channels, 1, 1), 1.0 / channels, dtype=dtype), "mean_weight")
    eps = _epsilon(node)
    mean = emit(node, aten.conv2d.default, emit(node, aten.mean.dim, source, [2, 3], True), ones)
    centred = emit(node, aten.sub.Tensor, source, mean)
    square = emit(node, aten.mean.dim, emit(node, aten.mul.Tensor, centred, centred), [2, 3], True)
    spread = emit(node, aten.rsqrt.default, emit(node, aten.conv2d.default, square, ones, eps))
    return _offset(node, emit(node, aten.mul.Tensor, centred, _gain(node, spread, gain)), offset)


def plain_vector_norm(graph_module: GraphModule) -> int:
    """Write the L2 norm of the rows of a 2-D `x`, `linalg_vector_norm(x, 2, [-1], True)`, as a product and a root."""
    count = spell(graph_module, {aten.linalg_vector_norm.default: _vector_norm})
    for node in calls(graph_module, aten.clamp_min.default):
        replace(node, emit(node, aten.clamp.default, *node.args[:2]))
    return count


def _vector_norm(node: Node) -> Node | None:
    source, size = node.args[0], int_shape(node.args[0])
    if size is None or len(size) != 2 or arg(node, "ord") != 2 or val(node).dtype != val(source).dtype:
        return None
    if [axis % 2 for axis in arg(node, "dim") or ()] != [1] or not arg(node, "keepdim"):
        return None
    ones = add_constant(node, torch.ones((1, size[1]), dtype=val(node).dtype), "sum_weight")
    total = emit(node, aten.linear.default, emit(node, aten.mul.Tensor, source, source), ones)
    return emit(node, aten.sqrt.default, total)
