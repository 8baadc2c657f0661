"""Operators that work number by number, and activations, which the operator before them takes along."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch.fx import Node

from edgekit.graph.edit import arg, aten, operator_of
from edgekit.targets.litert.draft import Tensor
from edgekit.targets.litert.layout import Value, arranged, natural, reshaped
from edgekit.targets.litert.translate import Translation, dtype_of, row

__all__ = ["ACTIVATIONS", "activated", "common_order", "spread_to", "zeros"]

NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
ACTIVATIONS = {(0.0, math.inf): RELU, (-1.0, 1.0): RELU_N1_TO_1, (0.0, 6.0): RELU6}
_FUSED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV"})
_UNARY = {
    aten.sigmoid.default: "LOGISTIC", aten.tanh.default: "TANH", aten.exp.default: "EXP", aten.sqrt.default: "SQRT",
    aten.rsqrt.default: "RSQRT", aten.abs.default: "ABS", aten.neg.default: "NEG", aten.log.default: "LOG",
    aten.sin.default: "SIN", aten.cos.default: "COS", aten.floor.default: "FLOOR", aten.ceil.default: "CEIL",
    aten.hardswish.default: "HARD_SWISH", aten.square.default: "SQUARE",
}  # fmt: skip
_BINARY = {
    aten.add.Tensor: "ADD", aten.sub.Tensor: "SUB", aten.mul.Tensor: "MUL", aten.div.Tensor: "DIV",
    aten.maximum.default: "MAXIMUM", aten.minimum.default: "MINIMUM", aten.add.Scalar: "ADD", aten.sub.Scalar: "SUB",
    aten.mul.Scalar: "MUL", aten.div.Scalar: "DIV",
}  # fmt: skip
_WITH_ACTIVATION = frozenset({"ADD", "SUB", "MUL", "DIV"})
_OF_INTEGERS = frozenset({"ABS", "NEG"})
_FEW_CHANNELS = 16


@row(*_UNARY)
def _unary(translation: Translation, node: Node) -> Value | None:
    value, kind = translation.plain(translation.value(node.args[0])), _UNARY[operator_of(node)]
    known = ("float32", "int32") if kind in _OF_INTEGERS else ("float32",)
    if value.tensor.dtype not in known or dtype_of(node.meta["val"]) != value.tensor.dtype:
        return None
    return translation.emit(kind, [value.tensor], node, value.order)


@row(*_BINARY)
def _binary(translation: Translation, node: Node) -> Value | None:
    dtype, kind = dtype_of(node.meta["val"]), _BINARY[operator_of(node)]
    if node.kwargs.get("alpha", 1) != 1 or len(node.args) != 2 or dtype not in ("float32", "int32"):
        return None
    values = [translation.plain(translation.value(item, dtype)) for item in node.args]
    if any(value.tensor.dtype != dtype for value in values) or (kind == "DIV" and dtype == "int32"):
        return None
    added = values[1:] if kind == "SUB" else values if kind == "ADD" else []
    for value in added:  # what a layer of zeros gives: the branch that begins with it goes
        other = values[1 - values.index(value)]
        if zeros(value.tensor) and other.shape == tuple(node.meta["val"].shape):
            return other
    order = common_order(values, node.meta["val"].dim())
    options = {"fusedActivationFunction": NONE} if kind in _WITH_ACTIVATION else {}
    tensors = [spread_to(translation, value, order) for value in values]
    kept, tensors = tensors, _in_long_rows(translation, tensors)
    made = translation.emit(kind, tensors, node, order, **options)
    if tensors != kept:
        translation.draft.ops[-1].wide = True  # a handful of numbers: nothing is gained by storing them in half
    return made


def _in_long_rows(translation: Translation, tensors: list[Tensor]) -> list[Tensor]:
    """A constant for each of a few channels, written for each pixel of a row, beside a map: XNNPACK goes row by row.

    It takes ten times as long with rows of three numbers, which is what an image's channels are.
    """
    for number, constant in enumerate(tensors):
        shape = tensors[1 - number].shape
        alone = constant.data is not None and constant.steps is None and tensors[1 - number].data is None
        if alone and len(shape) == 4 and constant.shape[-3:] == (1, 1, shape[3]) and 1 < shape[3] < _FEW_CHANNELS:
            assert constant.data is not None
            rows = np.broadcast_to(constant.data.reshape(1, 1, 1, shape[3]), (1, 1, *shape[2:]))
            tensors = [*tensors]
            tensors[number] = translation.draft.constant(rows)
    return tensors


def zeros(tensor: Tensor) -> bool:
    """Whether a tensor is known to be nothing but zeros."""
    return tensor.data is not None and not tensor.data.any()


def common_order(values: list[Value], rank: int) -> tuple[int, ...]:
    """The order in which the largest of values that are broadcast lies, where it has all axes of the result."""
    full = [value for value in values if len(value.order) == rank]
    made = [value for value in full if value.tensor.data is None] or full
    if not made:
        return natural(rank)
    return max(made, key=lambda value: math.prod(value.shape)).order


def spread_to(translation: Translation, value: Value, order: tuple[int, ...]) -> Tensor:
    """A value's tensor with its axes in an order that has more of them, as broadcasting counts axes from the last."""
    missing = len(order) - len(value.order)
    if math.prod(value.shape) == 1 and value.tensor.data is not None:
        return translation.draft.constant(value.tensor.data.reshape(()), value.tensor.steps, value.tensor.dtype)
    if missing and order[:missing] != natural(missing):
        value = reshaped(translation.draft, value, [1] * missing + list(value.shape))
        missing = 0
    return arranged(translation.draft, value, [axis - missing for axis in order[missing:]])


def activated(translation: Translation, node: Node, low: float, high: float) -> Value | None:
    """`node`'s operand between two bounds: by the operator that gives it where that can, and nobody else sees it."""
    draft, value = translation.draft, translation.plain(translation.value(node.args[0]))
    if value.tensor.dtype != "float32":
        return None
    maker, code = draft.maker(value.tensor), ACTIVATIONS.get((low, high))
    alone = isinstance(node.args[0], Node) and len(node.args[0].users) == 1
    own = maker is not None and maker.foreign is None and maker.kind in _FUSED
    if (
        maker is not None
        and own
        and not maker.options.get("fusedActivationFunction", NONE)
        and alone
        and code is not None
    ):
        maker.options["fusedActivationFunction"] = code
        return value
    if code is not None and code != RELU_N1_TO_1:
        return translation.emit("RELU" if code == RELU else "RELU6", [value.tensor], node, value.order)
    tensor = value.tensor
    for kind, bound in (("MAXIMUM", low), ("MINIMUM", high)):
        if math.isfinite(bound):
            tensor = draft.emit(kind, [tensor, draft.constant(np.array(bound, np.float32))], tensor.shape)
    return Value(tensor, value.order)


@row(aten.relu.default)
def _relu(translation: Translation, node: Node) -> Value | None:
    return activated(translation, node, 0.0, math.inf)


@row(aten.relu6.default)
def _relu6(translation: Translation, node: Node) -> Value | None:
    return activated(translation, node, 0.0, 6.0)


@row(aten.clamp.default, aten.hardtanh.default, aten.clamp_min.default)
def _clamp(translation: Translation, node: Node) -> Value | None:
    names = ("min_val", "max_val") if node.target is aten.hardtanh.default else ("min", "max")
    low = arg(node, names[0])
    high = None if node.target is aten.clamp_min.default else arg(node, names[1])
    bounds: list[Any] = [-math.inf if low is None else low, math.inf if high is None else high]
    if any(isinstance(bound, Node) for bound in bounds):
        return None
    return activated(translation, node, float(bounds[0]), float(bounds[1]))


@row(aten.hardsigmoid.default)
def _hardsigmoid(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    draft, shape = translation.draft, value.tensor.shape
    if value.tensor.dtype != "float32":
        return None
    three, sixth = (draft.constant(np.array(number, np.float32)) for number in (3, 1 / 6))
    raised = draft.emit("ADD", [value.tensor, three], shape, fusedActivationFunction=RELU6)
    return translation.emit("MUL", [raised, sixth], node, value.order, fusedActivationFunction=NONE)


@row(aten.silu.default)
def _silu(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    if value.tensor.dtype != "float32":
        return None
    gate = translation.draft.emit("LOGISTIC", [value.tensor], value.tensor.shape)
    return translation.emit("MUL", [value.tensor, gate], node, value.order, fusedActivationFunction=NONE)


@row(aten.gelu.default)
def _gelu(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    if value.tensor.dtype != "float32":
        return None
    return translation.emit("GELU", [value.tensor], node, value.order, approximate=arg(node, "approximate") == "tanh")


@row(aten.leaky_relu.default)
def _leaky_relu(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    if value.tensor.dtype != "float32":
        return None
    return translation.emit("LEAKY_RELU", [value.tensor], node, value.order, alpha=float(arg(node, "negative_slope")))


@row(aten.pow.Tensor_Scalar)
def _power(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    if value.tensor.dtype != "float32" or node.args[1] != 2:
        return None
    return translation.emit("MUL", [value.tensor, value.tensor], node, value.order, fusedActivationFunction=NONE)


@row(aten.to.dtype, aten._to_copy.default)
def _cast(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    given, wanted = value.tensor.dtype, dtype_of(node.meta["val"])
    if given == wanted:
        return value
    if {given, wanted} <= {"float32", "uint8", "int32", "bool"} and (given, wanted) != ("float32", "uint8"):
        return translation.emit("CAST", [value.tensor], node, value.order)
    return None


@row(aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default, aten.dropout.default)
def _same(translation: Translation, node: Node) -> Value:
    return translation.value(node.args[0])
