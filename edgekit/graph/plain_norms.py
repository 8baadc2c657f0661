"""Layer and vector norms written with the operators that XNNPACK has."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    add_constant,
    arg,
    args_of,
    calls,
    constant,
    emit,
    features_axis,
    int_shape,
    is_call,
    replace,
    shape,
    val,
    weights,
)

__all__ = ["plain_group_norm", "plain_layer_norm", "plain_vector_norm"]

aten = torch.ops.aten


def plain_layer_norm(graph_module: GraphModule) -> int:
    """Write a layer norm over the last axis as two C -> 1 linears and elementwise steps, with gain and offset moved
    into the linears that read it where only linears do.

    `mean = linear(x, 1/C)`, `y = (x - mean) * rsqrt(linear((x - mean)^2, 1/C) + eps)`.
    """
    count = 0
    for node in calls(graph_module, aten.layer_norm.default):
        width = arg(node, "normalized_shape")
        source = node.args[0]
        if len(width) != 1 or int_shape(source) is None or width[0] == 0 or not _one_type(node):
            continue
        gain, offset = (constant(arg(node, name)) for name in ("weight", "bias"))
        if (gain is None) != (arg(node, "weight") is None) or (offset is None) != (arg(node, "bias") is None):
            continue
        dtype = val(node).dtype
        ones = add_constant(graph_module, torch.full((1, width[0]), 1.0 / width[0], dtype=dtype), "mean_weight")
        eps = add_constant(node, torch.full((1,), arg(node, "eps"), dtype=dtype), "norm_eps")
        centred = emit(node, aten.sub.Tensor, source, emit(node, aten.linear.default, source, ones))
        square = emit(node, aten.mul.Tensor, centred, centred)
        spread = emit(node, aten.rsqrt.default, emit(node, aten.linear.default, square, ones, eps))
        new = emit(node, aten.mul.Tensor, centred, spread)
        if gain is not None or offset is not None:
            new = _affine(node, new, gain, offset)
        replace(node, new)
        count += 1
    return count


def _affine(norm: Node, plain: Node, gain: torch.Tensor | None, offset: torch.Tensor | None) -> Node:
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
    if gain is not None:
        plain = emit(norm, aten.mul.Tensor, plain, add_constant(norm, gain, "norm_gain"))
    if offset is not None:
        plain = emit(norm, aten.add.Tensor, plain, add_constant(norm, offset, "norm_offset"))
    return plain


def _is_linear_of(user: Node, norm: Node) -> bool:
    return is_call(user, aten.linear.default) and user.args[0] is norm and features_axis(user) is not None


def _one_type(norm: Node) -> bool:
    return all(val(source).dtype == val(norm).dtype for source in norm.all_input_nodes)


def plain_group_norm(graph_module: GraphModule, least: int = 2) -> int:
    """Write group and instance norms in global pooling and elementwise steps, with a C -> 1 convolution for one group.

    The runtime's own kernels subtract the squared mean from the mean square, which leaves nothing where the mean is
    large. Tensors of fewer than `least` axes stay.
    """
    count = 0
    for node in calls(graph_module, aten.group_norm.default, aten.instance_norm.default):
        size = int_shape(node)
        if size is None or len(size) < least or 0 in size or not _one_type(node):
            continue
        gain, offset = (constant(arg(node, name)) for name in ("weight", "bias"))
        if (gain is None) != (arg(node, "weight") is None) or (offset is None) != (arg(node, "bias") is None):
            continue
        if node.target is aten.instance_norm.default:
            if not arg(node, "use_input_stats"):
                continue
            groups = size[1]
        else:
            groups = arg(node, "num_groups")
        new = _one_group(node, gain, offset) if groups == 1 and len(size) == 4 else _groups(node, groups, gain, offset)
        replace(node, new)
        count += 1
    return count


def _groups(node: Node, groups: int, gain: torch.Tensor | None, offset: torch.Tensor | None) -> Node:
    size = shape(node)
    flat = [size[0], groups, -1, size[-1]] if len(size) > 2 else [size[0], groups, -1, 1]
    source = emit(node, aten.reshape.default, node.args[0], flat)
    eps = add_constant(node, torch.full((1,), arg(node, "eps"), dtype=val(node).dtype), "norm_eps")
    centred = emit(node, aten.sub.Tensor, source, emit(node, aten.mean.dim, source, [2, 3], True))
    square = emit(node, aten.mean.dim, emit(node, aten.mul.Tensor, centred, centred), [2, 3], True)
    spread = emit(node, aten.rsqrt.default, emit(node, aten.add.Tensor, square, eps))
    new = emit(node, aten.reshape.default, emit(node, aten.mul.Tensor, centred, spread), size)
    axes = [1, size[1], *[1] * (len(size) - 2)]
    if gain is not None:
        new = emit(node, aten.mul.Tensor, new, add_constant(node, gain.reshape(axes), "norm_gain"))
    if offset is not None:
        new = emit(node, aten.add.Tensor, new, add_constant(node, offset.reshape(axes), "norm_offset"))
    return new


def _one_group(node: Node, gain: torch.Tensor | None, offset: torch.Tensor | None) -> Node:
    source, dtype, channels = node.args[0], val(node).dtype, shape(node)[1]
    ones = add_constant(node, torch.full((1, channels, 1, 1), 1.0 / channels, dtype=dtype), "mean_weight")
    eps = add_constant(node, torch.full((1,), arg(node, "eps"), dtype=dtype), "norm_eps")
    mean = emit(node, aten.conv2d.default, emit(node, aten.mean.dim, source, [2, 3], True), ones)
    centred = emit(node, aten.sub.Tensor, source, mean)
    square = emit(node, aten.mean.dim, emit(node, aten.mul.Tensor, centred, centred), [2, 3], True)
    spread = emit(node, aten.rsqrt.default, emit(node, aten.conv2d.default, square, ones, eps))
    axes = (1, channels, 1, 1)
    if gain is not None:
        spread = emit(node, aten.mul.Tensor, spread, add_constant(node, gain.reshape(axes), "norm_gain"))
    new = emit(node, aten.mul.Tensor, centred, spread)
    if offset is not None:
        new = emit(node, aten.add.Tensor, new, add_constant(node, offset.reshape(axes), "norm_offset"))
    return new


def plain_vector_norm(graph_module: GraphModule) -> int:
    """Write the L2 norm of the rows of a 2-D `x`, `linalg_vector_norm(x, 2, [-1], True)`, as a product and a root."""
    count = 0
    for node in calls(graph_module, aten.linalg_vector_norm.default):
        source = node.args[0]
        size = int_shape(source)
        if size is None or len(size) != 2 or arg(node, "ord") != 2 or val(node).dtype != val(source).dtype:
            continue
        if [axis % 2 for axis in arg(node, "dim") or ()] != [1] or not arg(node, "keepdim"):
            continue
        ones = add_constant(graph_module, torch.ones((1, size[1]), dtype=val(node).dtype), "sum_weight")
        total = emit(node, aten.linear.default, emit(node, aten.mul.Tensor, source, source), ones)
        replace(node, emit(node, aten.sqrt.default, total))
        count += 1
    for node in calls(graph_module, aten.clamp_min.default):
        replace(node, emit(node, aten.clamp.default, node.args[0], node.args[1]))
    return count
