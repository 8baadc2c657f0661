"""Norms and activations whose statistics, epsilon or defaults a converter misreads, in plain steps."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, emit, val
from edgekit.graph.spelling import Spelling, cast, spell

__all__ = ["spell_norms", "split_silu"]

aten = torch.ops.aten


def spell_norms(graph_module: GraphModule) -> int:
    """Spell instance norm of running statistics as batch norm, RMS norm, hard shrinking and log-sigmoid in steps."""
    return spell(graph_module, _ROWS)


def split_silu(graph_module: GraphModule) -> int:
    """Spell `silu(x)` as `x * sigmoid(x)`: runtimes have both on 8-bit integers, and not the whole."""
    return spell(graph_module, {aten.silu.default: _silu})


def _instance(node: Node) -> Node | None:
    if arg(node, "use_input_stats"):
        return None
    names = ("input", "weight", "bias", "running_mean", "running_var")
    statistics = [arg(node, name) for name in names]
    return emit(node, aten.batch_norm.default, *statistics, False, arg(node, "momentum"), arg(node, "eps"), False)


def _root_mean_square(node: Node) -> Node | None:
    source, weight, epsilon = (arg(node, name) for name in ("input", "weight", "eps"))
    axes = list(range(-len(arg(node, "normalized_shape")), 0))
    epsilon = torch.finfo(val(source).dtype).eps if epsilon is None else epsilon
    power = emit(node, aten.mean.dim, emit(node, aten.mul.Tensor, source, source), axes, True)
    root = emit(node, aten.rsqrt.default, emit(node, aten.add.Tensor, power, epsilon))
    normed = emit(node, aten.mul.Tensor, source, root)
    return normed if weight is None else emit(node, aten.mul.Tensor, normed, weight)


def _hard_shrink(node: Node) -> Node:
    source = node.args[0]
    kept = emit(node, aten.gt.Scalar, emit(node, aten.abs.default, source), arg(node, "lambd"))
    return emit(node, aten.mul.Tensor, source, cast(node, kept, val(node).dtype))


def _silu(node: Node) -> Node:
    return emit(node, aten.mul.Tensor, node.args[0], emit(node, aten.sigmoid.default, node.args[0]))


def _log_sigmoid(node: Node) -> Node:
    soft = emit(node, aten.softplus.default, emit(node, aten.neg.default, node.args[0]))
    return emit(node, aten.neg.default, soft)


_ROWS: dict[Any, Spelling] = {
    aten.instance_norm.default: _instance,
    aten.rms_norm.default: _root_mean_square,
    aten.hardshrink.default: _hard_shrink,
    aten.log_sigmoid.default: _log_sigmoid,
}
