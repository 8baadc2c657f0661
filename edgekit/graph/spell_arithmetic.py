"""Arithmetic whose factors exporters drop (alpha, beta, value), or whose name a runtime lacks, in plain steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, args_of, constant, emit, operator_of, shape, source_of, val
from edgekit.graph.spelling import Spelling, cast, constant_like, spell

__all__ = ["spell_arithmetic", "spell_rare_arithmetic"]

aten = torch.ops.aten
_MOST_BOUNDS = 256
_SHIFTED = (torch.uint8, torch.int32, torch.int64)


def spell_arithmetic(graph_module: GraphModule) -> int:
    """Spell out `alpha`, `beta` and `value`, which coremltools drops in sums, and scalars of `where`.

    A factor of 1 is left where it is. Integers stay integers.
    """
    return spell(graph_module, _FACTORS)


def spell_rare_arithmetic(graph_module: GraphModule) -> int:
    """Spell what torch itself defines by plainer operators: lerp, hypot, trunc, fmod, logaddexp, isfinite ..."""
    return spell(graph_module, _RARE)


def _times(node: Node, value: Any, factor: Any) -> Any:
    """`value * factor`, where either may be a number."""
    if not isinstance(value, Node):
        return value * factor
    return value if factor == 1 else emit(node, aten.mul.Tensor, value, factor)


def _sum(node: Node) -> Node | None:
    """add and sub."""
    alpha = arg(node, "alpha")
    if alpha == 1:
        return None
    return emit(node, operator_of(node).overloadpacket.Tensor, node.args[0], _times(node, node.args[1], alpha))


def _rsub(node: Node) -> Node | None:
    alpha = arg(node, "alpha")
    if alpha == 1:
        return None
    scaled, other = _times(node, node.args[0], alpha), node.args[1]
    if isinstance(other, Node):
        return emit(node, aten.sub.Tensor, other, scaled)
    return emit(node, aten.add.Tensor, _times(node, scaled, -1), other)


def _added_product(node: Node) -> Node | None:
    """addmm, addmv, addr, baddbmm and addbmm: `beta * input + alpha * product`."""
    beta, alpha = arg(node, "beta"), arg(node, "alpha")
    start, left, right = node.args[:3]
    if node.target in (aten.addmm.default, aten.baddbmm.default) and alpha == beta == 1:
        return None
    if node.target is aten.addmv.default:
        column = emit(node, aten.unsqueeze.default, right, 1)
        product = emit(node, aten.squeeze.dim, emit(node, aten.matmul.default, left, column), 1)
    elif node.target is aten.addr.default:
        column = emit(node, aten.unsqueeze.default, left, 1)
        product = emit(node, aten.mul.Tensor, column, emit(node, aten.unsqueeze.default, right, 0))
    else:
        product = emit(node, aten.matmul.default, left, right)
    if node.target is aten.addbmm.default:
        product = emit(node, aten.sum.dim_IntList, product, [0])
    product = _times(node, product, alpha)
    return product if beta == 0 else emit(node, aten.add.Tensor, product, _times(node, start, beta))


def _added_ratio(node: Node) -> Node | None:
    """addcmul and addcdiv: `input + value * (left op right)`."""
    start, left, right = node.args[:3]
    step = aten.mul.Tensor if node.target is aten.addcmul.default else aten.div.Tensor
    return emit(node, aten.add.Tensor, start, _times(node, emit(node, step, left, right), arg(node, "value")))


def _tensors(node: Node, values: Iterable[Any]) -> list[Node]:
    """Each of the values, a number or a tensor, as a tensor of the result's dtype."""
    dtype, rank = val(node).dtype, val(node).dim()
    return [
        cast(node, value, dtype) if isinstance(value, Node) else constant_like(node, value, dtype, rank)
        for value in values
    ]


def _where(node: Node) -> Node | None:
    """`where` of numbers as `where` of tensors of the result's dtype."""
    return emit(node, aten.where.self, node.args[0], *_tensors(node, args_of(node)[1:3]))


def _scattered_number(node: Node) -> Node | None:
    """`scatter` of a whole number into others as one of theirs."""
    value, values = arg(node, "value"), arg(node, "self")
    if not isinstance(value, int) or not val(node).is_floating_point():
        return None
    reduce = {"reduce": arg(node, "reduce")} if node.target is aten.scatter.value_reduce else {}
    return emit(node, node.target, values, arg(node, "dim"), arg(node, "index"), float(value), **reduce)


def _divided(node: Node) -> Node:
    return emit(node, aten.div.Tensor, *node.args)


_FACTORS: dict[Any, Spelling] = {
    aten.true_divide.Tensor: _divided,
    **dict.fromkeys((aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar), _sum),
    **dict.fromkeys((aten.rsub.Tensor, aten.rsub.Scalar), _rsub),
    **dict.fromkeys((aten.addmm.default, aten.addmv.default, aten.addr.default), _added_product),
    **dict.fromkeys((aten.baddbmm.default, aten.addbmm.default), _added_product),
    **dict.fromkeys((aten.addcmul.default, aten.addcdiv.default), _added_ratio),
    **dict.fromkeys((aten.where.Scalar, aten.where.ScalarSelf, aten.where.ScalarOther), _where),
    **dict.fromkeys((aten.scatter.value, aten.scatter.value_reduce), _scattered_number),
}


def _lerp(node: Node) -> Node:
    start, end, weight = node.args
    step = emit(node, aten.mul.Tensor, emit(node, aten.sub.Tensor, end, start), weight)
    return emit(node, aten.add.Tensor, start, step)


def _hypot(node: Node) -> Node:
    squares = [emit(node, aten.mul.Tensor, value, value) for value in node.args]
    return emit(node, aten.sqrt.default, emit(node, aten.add.Tensor, *squares))


def _truncated(node: Node, value: Any) -> Node:
    whole = emit(node, aten.floor.default, emit(node, aten.abs.default, value))
    return emit(node, aten.mul.Tensor, emit(node, aten.sign.default, value), whole)


def _trunc(node: Node) -> Node | None:
    return _truncated(node, node.args[0]) if val(node).is_floating_point() else source_of(node)


def _frac(node: Node) -> Node:
    return emit(node, aten.sub.Tensor, node.args[0], _truncated(node, node.args[0]))


def _fmod(node: Node) -> Node | None:
    value, divisor = args_of(node)
    if not val(node).is_floating_point():
        return None
    whole = _truncated(node, emit(node, aten.div.Tensor, cast(node, value, val(node).dtype), divisor))
    return emit(node, aten.sub.Tensor, value, emit(node, aten.mul.Tensor, whole, divisor))


def _round(node: Node) -> Node | None:
    decimals = arg(node, "decimals")
    power = float(10 ** abs(decimals))
    there, back = (aten.mul.Tensor, aten.div.Tensor) if decimals >= 0 else (aten.div.Tensor, aten.mul.Tensor)
    return emit(node, back, emit(node, aten.round.default, emit(node, there, node.args[0], power)), power)


def _logaddexp(node: Node) -> Node:
    left, right = node.args
    gap = emit(node, aten.neg.default, emit(node, aten.abs.default, emit(node, aten.sub.Tensor, left, right)))
    tail = emit(node, aten.log.default, emit(node, aten.add.Tensor, emit(node, aten.exp.default, gap), 1.0))
    return emit(node, aten.add.Tensor, emit(node, aten.maximum.default, left, right), tail)


def _size_to_infinity(test: Any) -> Spelling:
    """`test` of a number's size and infinity."""

    def spelled(node: Node) -> Node | None:
        if not val(node.args[0]).is_floating_point():
            return None
        return emit(node, test, emit(node, aten.abs.default, node.args[0]), math.inf)

    return spelled


def _nan_to_num(node: Node) -> Node | None:
    value, dtype = source_of(node), val(node).dtype
    if not dtype.is_floating_point:
        return value
    limits = torch.finfo(dtype)
    tests = {
        "nan": (emit(node, aten.ne.Tensor, value, value), 0.0),
        "posinf": (emit(node, aten.eq.Scalar, value, math.inf), limits.max),
        "neginf": (emit(node, aten.eq.Scalar, value, -math.inf), limits.min),
    }
    for name, (test, default) in tests.items():
        number = default if arg(node, name) is None else arg(node, name)
        value = emit(node, aten.where.self, test, constant_like(node, number, dtype, val(node).dim()), value)
    return value


def _logical(target: Any) -> Spelling:
    """A bitwise call on booleans as `target`; on numbers it stays."""

    def spelled(node: Node) -> Node | None:
        if any(val(tensor).dtype != torch.bool for tensor in (node, *node.all_input_nodes)):
            return None
        return emit(node, target, *_tensors(node, args_of(node)))

    return spelled


def _places(node: Node, bounds: Any, value: Any, right: bool) -> Node | None:
    """How many of few ascending bounds lie below each value, or at it too."""
    if not isinstance(value, Node) or val(bounds).dim() != 1 or not shape(bounds)[0] <= _MOST_BOUNDS:
        return None
    test = aten.ge.Tensor if right else aten.gt.Tensor
    beyond = emit(node, test, emit(node, aten.unsqueeze.default, value, -1), bounds)
    return emit(node, aten.sum.dim_IntList, cast(node, beyond, torch.float32), [-1])


def _shifted(to_left: bool) -> Spelling:
    """A shift by known places as a product, or a quotient, with a power of two; a byte's in a wider type."""

    def spelled(node: Node) -> Node | None:
        value, places = args_of(node)
        dtype = val(node).dtype
        known = constant(places) if isinstance(places, Node) else torch.full([1] * val(node).dim(), places)
        if not isinstance(value, Node) or dtype not in _SHIFTED or known is None:
            return None
        if known.min() < 0 or known.max() >= (8 if dtype == torch.uint8 else 31):
            return None
        wide = torch.int32 if dtype == torch.uint8 else dtype
        power = add_constant(node, (torch.ones_like(known) << known).to(wide), "power_of_two")
        value = cast(node, value, wide)
        if not to_left:
            return emit(node, aten.div.Tensor_mode, value, power, rounding_mode="floor")
        product = emit(node, aten.mul.Tensor, value, power)
        return product if wide == dtype else emit(node, aten.remainder.Scalar, product, 256)

    return spelled


def _bucketize(node: Node) -> Node | None:
    return _places(node, arg(node, "boundaries"), node.args[0], arg(node, "right"))


def _searchsorted(node: Node) -> Node | None:
    if arg(node, "sorter") is not None:
        return None
    right = arg(node, "side") == "right" if arg(node, "side") is not None else arg(node, "right")
    return _places(node, arg(node, "sorted_sequence"), arg(node, "self"), right)


def _copysign(node: Node) -> Node:
    """Of a zero, the sign is taken to be positive."""
    size = emit(node, aten.abs.default, node.args[0])
    if not isinstance(node.args[1], Node):
        return size if math.copysign(1, args_of(node)[1]) > 0 else emit(node, aten.neg.default, size)
    below = emit(node, aten.lt.Scalar, node.args[1], 0)
    return emit(node, aten.where.self, below, emit(node, aten.neg.default, size), size)


def _erfc(node: Node) -> Node:
    return emit(node, aten.rsub.Scalar, emit(node, aten.erf.default, node.args[0]), 1.0)


def _exp2(node: Node) -> Node:
    return emit(node, aten.exp.default, emit(node, aten.mul.Tensor, node.args[0], math.log(2)))


def _remainder(node: Node) -> Node | None:
    """With the divisor's sign, also where the runtime's own remainder has the dividend's (ExecuTorch, of integers)."""
    if val(node).is_floating_point():
        return None
    once = emit(node, node.target, *node.args)
    return emit(node, node.target, emit(node, aten.add.Tensor, once, node.args[1]), node.args[1])


def _remainder_of_number(node: Node) -> Node:
    return emit(node, aten.remainder.Tensor, *_tensors(node, node.args[:1]), node.args[1])


def _clamp(node: Node) -> Node | None:
    """With tensors as limits; the upper one decides where they cross, in Core ML too."""
    value, low, high = node.args[0], arg(node, "min"), arg(node, "max")
    if low is None or high is None:
        return None
    return emit(node, aten.minimum.default, emit(node, aten.maximum.default, value, low), high)


def _reciprocal(node: Node) -> Node | None:
    """A division: coremltools 9.0 adds 1e-4 to what it inverts, and XNNPACK divides but does not invert."""
    if not val(node.args[0]).is_floating_point():
        return None
    return emit(node, aten.div.Tensor, *_tensors(node, [1]), node.args[0])


def _rrelu(node: Node) -> Node | None:
    if arg(node, "training"):
        return None
    return emit(node, aten.leaky_relu.default, node.args[0], (arg(node, "lower") + arg(node, "upper")) / 2)


def _dist(node: Node) -> Node:
    gap = emit(node, aten.sub.Tensor, *node.args[:2])
    return emit(node, aten.linalg_vector_norm.default, gap, arg(node, "p"))


_RARE: dict[Any, Spelling] = {
    **dict.fromkeys((aten.lerp.Scalar, aten.lerp.Tensor), _lerp),
    aten.hypot.default: _hypot,
    **dict.fromkeys((aten.trunc.default, aten.fix.default), _trunc),
    aten.frac.default: _frac,
    **dict.fromkeys((aten.fmod.Scalar, aten.fmod.Tensor), _fmod),
    aten.round.decimals: _round,
    aten.logaddexp.default: _logaddexp,
    aten.isfinite.default: _size_to_infinity(aten.lt.Scalar),
    aten.isinf.default: _size_to_infinity(aten.eq.Scalar),
    aten.nan_to_num.default: _nan_to_num,
    **{
        getattr(packet, overload): _logical(target)
        for packets, target in (
            ((aten.__and__, aten.bitwise_and), aten.logical_and.default),
            ((aten.__or__, aten.bitwise_or), aten.logical_or.default),
            ((aten.__xor__, aten.bitwise_xor), aten.ne.Tensor),
        )
        for packet in packets
        for overload in ("Tensor", "Scalar")
    },
    aten.logical_xor.default: _logical(aten.ne.Tensor),
    **{
        getattr(packet, overload): _shifted(to_left)
        for packets, to_left in (
            ((aten.__lshift__, aten.bitwise_left_shift), True),
            ((aten.__rshift__, aten.bitwise_right_shift), False),
        )
        for packet in packets
        for overload in packet.overloads()
        if overload in ("Scalar", "Tensor", "Tensor_Scalar")
    },
    aten.bucketize.Tensor: _bucketize,
    aten.searchsorted.Tensor: _searchsorted,
    aten.dist.default: _dist,
    **dict.fromkeys((aten.copysign.Tensor, aten.copysign.Scalar), _copysign),
    **dict.fromkeys((aten.erfc.default, aten.special_erfc.default), _erfc),
    **dict.fromkeys((aten.exp2.default, aten.special_exp2.default), _exp2),
    **dict.fromkeys((aten.remainder.Scalar, aten.remainder.Tensor), _remainder),
    aten.remainder.Scalar_Tensor: _remainder_of_number,
    aten.clamp.Tensor: _clamp,
    aten.rrelu.default: _rrelu,
    aten.reciprocal.default: _reciprocal,
}
