"""An exported program run node by node, in float32 and as runtimes with half precision would.

A call in half precision takes rounded operands, computes in float32 and rounds its result once; an operator that
runtimes spell in several is rounded between them. Half values travel as float32 tensors that hold half numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from edgekit.graph.edit import args_of

__all__ = ["SPELLED", "Simulation", "constants", "norm_at_the_end", "rounded"]

aten = torch.ops.aten

# Whose numbers among the arguments are values, not sizes or axes.
_WITH_NUMBERS = frozenset({
    aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar, aten.rsub.Scalar, aten.mul.Tensor,
    aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar, aten.clamp.default, aten.clamp_min.default,
    aten.clamp_max.default, aten.masked_fill.Scalar, aten.where.ScalarOther, aten.where.ScalarSelf, aten.where.Scalar,
})  # fmt: skip


def rounded(value: Any) -> Any:
    """Float32 tensors, alone or in a tuple, to the nearest numbers that half precision has; the rest as it is."""
    if isinstance(value, Tensor):
        return value.half().float() if value.dtype == torch.float32 else value
    return tuple(map(rounded, value)) if isinstance(value, (tuple, list)) else value


def constants(program: ExportedProgram) -> dict[Node, Tensor]:
    """The program's parameters and buffers by their nodes."""
    signature, tensors = program.graph_signature, {}
    named = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    named |= signature.inputs_to_lifted_tensor_constants
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in named:
            target = named[node.name]
            tensor = program.state_dict.get(target)
            tensors[node] = (program.constants[target] if tensor is None else tensor).detach()
    return tensors


class Simulation:
    """One program; the calls in `kept` are in float32 whatever the precision, as the last norm is on some runtimes."""

    def __init__(self, program: ExportedProgram, kept: Collection[Node] = ()) -> None:
        self.calls = [node for node in program.graph.nodes if node.op == "call_function"]
        self.constants = constants(program)
        self.result: Node = next(node for node in program.graph.nodes if node.op == "output").args[0][0]
        self.kept = frozenset(kept)
        self._inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node not in self.constants]
        self._halves = {node: rounded(tensor) for node, tensor in self.constants.items()}
        last = {source: node for node in self.calls for source in node.all_input_nodes}
        self._free: dict[Node, list[Node]] = {}
        for source, node in last.items():
            if source.op == "call_function" and source is not self.result:
                self._free.setdefault(node, []).append(source)

    def exact(self, image: Tensor) -> dict[Node, Any]:
        """Every node's value in float32."""
        values: dict[Node, Any] = {**self.constants, **dict.fromkeys(self._inputs, image)}
        for node in self.calls:
            values[node] = _call(node, values)
        return values

    def mixed(self, image: Tensor, wide: Collection[Node]) -> Tensor:
        """The embedding with every call in half precision but those in `wide`."""
        values: dict[Node, Any] = {**self.constants, **dict.fromkeys(self._inputs, image)}
        for node in self.calls:
            if node in wide or node in self.kept:
                values[node] = _call(node, values)
            else:
                operands = {source: rounded(values[source]) for source in node.all_input_nodes}
                values[node] = self._half(node, operands)
            for source in self._free.get(node, ()):
                del values[source]
        embedding: Tensor = values[self.result]
        return embedding

    def alone(self, nodes: Collection[Node], exact: Mapping[Node, Any], *, result_only: bool = False) -> Tensor:
        """The embedding where these calls alone, or only what they give, are in half precision."""
        changed: dict[Node, Any] = {}
        for call in self.calls:
            if call not in nodes and not any(source in changed for source in call.all_input_nodes):
                continue
            operands = {source: changed.get(source, exact[source]) for source in call.all_input_nodes}
            if call in nodes:
                changed[call] = rounded(_call(call, operands)) if result_only else self._half(call, operands)
            else:
                changed[call] = _call(call, operands)
        embedding: Tensor = changed.get(self.result, exact[self.result])
        return embedding

    def numbers_of(self, node: Node) -> list[Tensor]:
        """The float32 constants that a call takes, the numbers among its arguments included."""
        own = [self.constants[source] for source in node.all_input_nodes if source in self.constants]
        numbers = [item for item in node.args if isinstance(item, float)] if node.target in _WITH_NUMBERS else []
        return [*own, *map(torch.tensor, numbers)]

    def _half(self, node: Node, operands: Mapping[Node, Any]) -> Any:
        own = {source: self._halves.get(source, operands[source]) for source in node.all_input_nodes}
        return rounded(_call(node, own, SPELLED.get(node.target), halved=node.target in _WITH_NUMBERS))


def _call(
    node: Node, values: Mapping[Node, Any], target: Callable[..., Any] | None = None, *, halved: bool = False
) -> Any:
    args = map_arg(node.args, values.__getitem__)
    if halved:
        args = tuple(float(torch.tensor(item).half()) if isinstance(item, float) else item for item in args)
    function: Any = target or node.target
    return function(*args, **map_arg(node.kwargs, values.__getitem__))


def _spread(x: Tensor, axes: Any, correction: float = 1, keep: bool = False) -> Tensor:
    """Variance along axes, the squares of centred values being half numbers too."""
    axes = list(range(x.dim())) if axes is None else axes
    centred = rounded(x - rounded(x.mean(axes, keepdim=True)))
    squares = rounded(centred * centred).mean(axes, keepdim=keep)
    count = x.numel() / max(squares.numel(), 1)
    return rounded(squares * (count / max(count - correction, 1)))


def _variance(x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False) -> Tensor:
    return _spread(x, dim, 1 if correction is None else correction, keepdim)


def _variance_of_sample(x: Tensor, dim: Any, unbiased: bool = True, keepdim: bool = False) -> Tensor:
    return _spread(x, dim, float(unbiased), keepdim)


def _group_norm(
    x: Tensor, groups: int, gain: Tensor | None = None, offset: Tensor | None = None, eps: float = 1e-5, _: bool = True
) -> Tensor:
    parts = x.reshape(x.shape[0], groups, -1)
    centred = rounded(parts - rounded(parts.mean(-1, keepdim=True)))
    spread = rounded(rounded(centred * centred).mean(-1, keepdim=True))
    normal = rounded(centred * rounded(torch.rsqrt(spread + eps))).reshape(x.shape)
    axes = [1, -1] + [1] * (x.dim() - 2)
    normal = normal if gain is None else rounded(normal * gain.reshape(axes))
    return normal if offset is None else normal + offset.reshape(axes)


def _rms_norm(x: Tensor, shape: Any, gain: Tensor | None = None, eps: float | None = None) -> Tensor:
    axes = list(range(-len(shape), 0))
    power = rounded(rounded(x * x).mean(axes, keepdim=True))
    normal = rounded(x * rounded(torch.rsqrt(power + (torch.finfo(x.dtype).eps if eps is None else eps))))
    return normal if gain is None else normal * gain


# Operators that the converters write as several, whose values in between have a range of their own.
SPELLED: dict[Any, Callable[..., Any]] = {
    aten.var.correction: _variance,
    aten.var.dim: _variance_of_sample,
    aten.std.correction: lambda *args, **more: _variance(*args, **more).sqrt(),
    aten.std.dim: lambda *args, **more: _variance_of_sample(*args, **more).sqrt(),
    aten.group_norm.default: _group_norm,
    aten.rms_norm.default: _rms_norm,
}


def norm_at_the_end(result: Node) -> tuple[Node, set[Node]]:
    """What the last L2 norm divides, and the calls of that norm; the result itself where there is none."""
    if result.op == "call_function" and result.target is aten.div.Tensor and isinstance(result.args[1], Node):
        features, *queue = args_of(result)
        tail = {result}
        while queue and len(tail) < 8:
            node = queue.pop()
            if node is features or node in tail or node.op != "call_function":
                continue
            tail.add(node)
            queue.extend(node.all_input_nodes)
        if not queue:
            return features, tail
    return result, set()
