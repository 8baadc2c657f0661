"""Complex numbers as pairs of real tensors: rotary positions by `polar`, and what is done with their products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.errors import UnsupportedOpError
from edgekit.graph.edit import VIEWS, add_constant, arg, args_of, drop_dead, emit, kwargs_of, module_path, source_of
from edgekit.graph.fold_constants import fold_constants
from edgekit.graph.spelling import cast

__all__ = ["spell_complex"]

aten = torch.ops.aten
Pair = tuple[Node, Node]  # real part, imaginary part
Pairs = dict[Node, Pair]


def spell_complex(graph_module: GraphModule) -> int:
    """Spell complex tensors as pairs of real ones, from where they are made to where their parts are read.

    Raises:
        UnsupportedOpError: an operator on complex numbers that has no row here; names it and its module.
    """
    if not any(_is_complex(node) for node in graph_module.graph.nodes):
        return 0
    fold_constants(graph_module)  # what weights alone decide needs no spelling
    pairs: Pairs = {}
    done: list[Node] = []
    for node in list(graph_module.graph.nodes):
        if not (_is_complex(node) or any(source in pairs for source in node.all_input_nodes)):
            continue
        if node.op == "get_attr":
            tensor = getattr(graph_module, str(node.target)).resolve_conj()
            hint = f"{node.target}_part"
            pairs[node] = add_constant(node, tensor.real.clone(), hint), add_constant(node, tensor.imag.clone(), hint)
        elif node.op == "call_function":
            done.append(node)
            if node.target is aten._assert_tensor_metadata.default:
                continue
            made = _spelled(node, pairs)
            if isinstance(made, Node):
                node.replace_all_uses_with(made)
            else:
                pairs[node] = made
        else:
            raise UnsupportedOpError("the model gives complex numbers: return their parts, or their absolute value")
    drop_dead(done)
    return len(done)


def _is_complex(node: Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_complex()


def _spelled(node: Node, pairs: Pairs) -> Pair | Node:
    made = None
    if node.target in _ROWS:
        made = _ROWS[node.target](node, pairs)
    elif node.target in _EACH:
        made = _each(node, pairs)
    if made is None:
        raise UnsupportedOpError(
            f"no target has complex numbers, and {node.target}, used in {module_path(node)}, has no spelling in real "
            "ones: write that module with sines and cosines"
        )
    return made


def _each(node: Node, pairs: Pairs) -> Pair | None:
    """An operator that treats both parts alike: views, slices, sums."""

    def part(index: int) -> Node:
        args, kwargs = torch.fx.node.map_arg(
            (args_of(node), kwargs_of(node)), lambda source: pairs[source][index] if source in pairs else source
        )
        return emit(node, node.target, *args, **kwargs)

    mixed = [source for source in node.all_input_nodes if source not in pairs]
    return None if mixed and node.target in (aten.cat.default, aten.stack.default) else (part(0), part(1))


def _parts(node: Node, value: Any, pairs: Pairs) -> tuple[Any, Any]:
    """Real and imaginary part of an operand; 0 stands for a part that is not there."""
    if isinstance(value, Node):
        return pairs.get(value, (value, 0))
    return (value.real, value.imag) if isinstance(value, complex) else (value, 0)


def _sum(node: Node, left: Any, right: Any) -> Any:
    if not isinstance(left, Node) and not isinstance(right, Node):
        return left + right
    if isinstance(left, Node) and isinstance(right, Node):
        return emit(node, aten.add.Tensor, left, right)
    tensor, number = (left, right) if isinstance(left, Node) else (right, left)
    return tensor if number == 0 else emit(node, aten.add.Tensor, tensor, number)


def _times(node: Node, left: Any, right: Any) -> Any:
    if not isinstance(left, Node) and not isinstance(right, Node):
        return left * right
    tensor, factor = (left, right) if isinstance(left, Node) else (right, left)
    if not isinstance(factor, Node) and factor in (0, 1):
        return tensor if factor == 1 else 0
    return emit(node, aten.mul.Tensor, tensor, factor)


def _whole(node: Node, made: tuple[Any, Any]) -> Pair:
    """Both parts as tensors of the result's shape."""
    zeros = next(part for part in made if isinstance(part, Node))
    real, imaginary = (
        part if isinstance(part, Node) else _sum(node, emit(node, aten.mul.Tensor, zeros, 0.0), part) for part in made
    )
    return real, imaginary


def _multiply(node: Node, pairs: Pairs) -> Pair:
    (a, b), (c, d) = (_parts(node, value, pairs) for value in node.args[:2])
    real = _sum(node, _times(node, a, c), _times(node, _times(node, b, d), -1))
    return _whole(node, (real, _sum(node, _times(node, a, d), _times(node, b, c))))


def _divide(node: Node, pairs: Pairs) -> Pair | None:
    (a, b), (c, d) = (_parts(node, value, pairs) for value in node.args[:2])
    if isinstance(d, Node) or d != 0 or len(node.args) > 2 or node.kwargs:
        return None
    return emit(node, aten.div.Tensor, a, c), emit(node, aten.div.Tensor, b, c)


def _add(node: Node, pairs: Pairs) -> Pair:
    factor = arg(node, "alpha") * (-1 if node.target in (aten.sub.Tensor, aten.sub.Scalar) else 1)
    (a, b), right = (_parts(node, value, pairs) for value in node.args[:2])
    c, d = (_times(node, part, factor) for part in right)
    return _whole(node, (_sum(node, a, c), _sum(node, b, d)))


def _conjugate(node: Node, pairs: Pairs) -> Pair:
    real, imaginary = pairs[source_of(node)]
    return real, emit(node, aten.neg.default, imaginary)


def _polar(node: Node, _pairs: Pairs) -> Pair:
    length, angle = node.args
    cosine = emit(node, aten.mul.Tensor, length, emit(node, aten.cos.default, angle))
    return cosine, emit(node, aten.mul.Tensor, length, emit(node, aten.sin.default, angle))


def _from_pairs(node: Node, _pairs: Pairs) -> Pair:
    return emit(node, aten.select.int, node.args[0], -1, 0), emit(node, aten.select.int, node.args[0], -1, 1)


def _to_pairs(node: Node, pairs: Pairs) -> Node:
    return emit(node, aten.stack.default, list(pairs[source_of(node)]), -1)


def _absolute(node: Node, pairs: Pairs) -> Node:
    squares = [emit(node, aten.mul.Tensor, part, part) for part in pairs[source_of(node)]]
    return emit(node, aten.sqrt.default, emit(node, aten.add.Tensor, *squares))


def _angle(node: Node, pairs: Pairs) -> Node:
    real, imaginary = pairs[source_of(node)]
    return emit(node, aten.atan2.default, imaginary, real)


def _cast(node: Node, pairs: Pairs) -> Pair | Node:
    source = source_of(node)
    if _is_complex(node):
        wanted = torch.float64 if node.meta["val"].dtype == torch.complex128 else torch.float32
        real, imaginary = (cast(node, part, wanted) for part in _whole(node, _parts(node, source, pairs)))
        return real, imaginary
    return emit(node, node.target, pairs[source][0], *node.args[1:], **kwargs_of(node))


_ROWS: dict[Any, Callable[[Node, Pairs], Pair | Node | None]] = {
    aten.view_as_complex.default: _from_pairs,
    aten.view_as_real.default: _to_pairs,
    aten.complex.default: lambda node, _pairs: (args_of(node)[0], args_of(node)[1]),
    aten.polar.default: _polar,
    **dict.fromkeys((aten.mul.Tensor, aten.mul.Scalar), _multiply),
    **dict.fromkeys((aten.div.Tensor, aten.div.Scalar), _divide),
    **dict.fromkeys((aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar), _add),
    **dict.fromkeys((aten.conj.default, aten._conj.default), _conjugate),
    **dict.fromkeys((aten.conj_physical.default, aten._conj_physical.default), _conjugate),
    aten.real.default: lambda node, pairs: pairs[source_of(node)][0],
    aten.imag.default: lambda node, pairs: pairs[source_of(node)][1],
    aten.abs.default: _absolute,
    aten.angle.default: _angle,
    aten.to.dtype: _cast,
    aten._to_copy.default: _cast,
}
_EACH = VIEWS | {
    aten._unsafe_view.default,
    aten.movedim.intlist,
    aten.narrow.default,
    aten.repeat.default,
    aten.cat.default,
    aten.stack.default,
    aten.index_select.default,
    aten.index.Tensor,
    aten.roll.default,
    aten.flip.default,
    aten.lift_fresh_copy.default,
    aten.resolve_conj.default,
    aten.resolve_neg.default,
    aten.neg.default,
    aten.sum.default,
    aten.sum.dim_IntList,
    aten.mean.default,
    aten.mean.dim,
    aten.where.self,
}
