"""A plan's layers in integers: its own codes, scales and ranges, in LiteRT's integer operators.

A quantize operator looks back at what gives its operand: where that can be computed in integers from integers, it is,
and the float operators that were written for it go, because nothing uses them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # the operators' names
from torch.fx import Node

from edgekit.graph.edit import VIEWS, arg, aten, sole_user, source_of
from edgekit.targets.litert.draft import Steps, Tensor
from edgekit.targets.litert.elementwise import ACTIVATIONS, common_order, spread_to
from edgekit.targets.litert.layers import convolution, linear, pooled
from edgekit.targets.litert.layout import Value
from edgekit.targets.litert.shapes import reduced
from edgekit.targets.litert.translate import ROWS, Translation, row

__all__: list[str] = []  # rows of the table

_own = torch.ops.quantized_decomposed
_LOGISTIC = Steps((1 / 256,), -128)  # what LiteRT's kernels of integers give for a sigmoid
_MOST = 2**31 - 1


@row(_own.choose_qparams.tensor)
def _ranges(translation: Translation, node: Node) -> list[Value]:
    """The runtime works ranges out itself: what is taken from here is never read."""
    return [translation.value(node.args[0])] * 2


@row(_own.quantize_per_tensor.tensor, _own.dequantize_per_tensor.tensor)
def _as_it_runs(translation: Translation, node: Node) -> Value:
    return translation.value(node.args[0])


@row(_own.dequantize_per_tensor.default)
def _meant(translation: Translation, node: Node) -> Value | None:
    value = translation.value(node.args[0])
    if value.tensor.data is not None:
        steps = Steps((float(arg(node, "scale")),), int(arg(node, "zero_point")))
        return Value(translation.draft.constant(value.tensor.data, steps), value.order, coded=True)
    return replace(value, coded=True)


@row(_own.dequantize_per_channel.default)
def _weight(translation: Translation, node: Node) -> Value | None:
    value, scales, zeros = (translation.value(item) for item in node.args[:3])
    data, scale, zero = (item.tensor.data for item in (value, scales, zeros))
    if data is None or scale is None or zero is None or zero.any():
        return None
    axis = arg(node, "axis") % len(value.order)
    steps = Steps(tuple(float(item) for item in scale), 0, value.place(axis))
    return Value(translation.draft.constant(data, steps), value.order, coded=True)


@row(_own.quantize_per_tensor.default)
def _quantize(translation: Translation, node: Node) -> Value | None:
    if arg(node, "dtype") is not torch.int8:
        return None
    steps = Steps((float(arg(node, "scale")),), int(arg(node, "zero_point")))
    source, views = source_of(node), []
    while (
        source.op == "call_function"
        and source.target in VIEWS
        and source.target in ROWS
        and sole_user(source) is not None
    ):
        views.append(source)
        source = source_of(source)
    own = _integers(translation, source, steps) if sole_user(source) is not None else None
    if own is None:
        return _coded(translation, translation.value(node.args[0]), steps)
    kept = translation.values[source]
    translation.values[source] = own
    for view in reversed(views):
        shown = ROWS[view.target](translation, view)
        assert shown is not None
        translation.values[view] = shown
        own = translation.value(view)
    translation.values[source] = kept
    return replace(own, coded=False)


def _coded(translation: Translation, value: Value, steps: Steps) -> Value:
    """A value in these steps, by an operator that does nothing else."""
    tensor = value.tensor
    if tensor.steps is not None and _same(tensor.steps, steps):
        return Value(tensor, value.order)
    return Value(translation.draft.emit("QUANTIZE", [tensor], tensor.shape, "int8", steps=steps), value.order)


def _same(one: Steps, other: Steps) -> bool:
    return one.zero == other.zero and np.float32(one.scale[0]) == np.float32(other.scale[0])


def _integers(translation: Translation, source: Node, steps: Steps) -> Value | None:
    """What `source` gives, computed in integers, as integers in `steps`; None where that cannot be."""
    code, layer = _activation(source)
    if layer is None:
        return None
    make = _ROWS.get(layer.target)
    return None if make is None else make(translation, layer, steps, code)


def _activation(source: Node) -> tuple[int, Node | None]:
    """The activation that `source` is, with what it is applied to; no activation, and `source`, otherwise."""
    known: dict[Any, Callable[[], tuple[Any, Any]]] = {
        aten.relu.default: lambda: (0.0, math.inf),
        aten.relu6.default: lambda: (0.0, 6.0),
        aten.hardtanh.default: lambda: (arg(source, "min_val"), arg(source, "max_val")),
        aten.clamp.default: lambda: (arg(source, "min"), arg(source, "max")),
    }
    bounds = known.get(source.target)
    if bounds is None:
        return 0, source
    low, high = bounds()
    code = ACTIVATIONS.get((-math.inf if low is None else low, math.inf if high is None else high))
    layer = source.args[0]
    if code is None or not isinstance(layer, Node) or sole_user(layer) is None:
        return 0, None
    return code, layer


def _layer(translation: Translation, node: Node, steps: Steps, code: int) -> Value | None:
    """A convolution or linear layer of integers."""
    value, weight = translation.value(node.args[0]), translation.value(node.args[1])
    if not (value.coded and weight.coded) or weight.tensor.data is None or weight.tensor.steps is None:
        return None
    assert value.tensor.steps is not None
    bias = arg(node, "bias")
    plain = np.zeros(weight.shape[0], np.float32) if bias is None else translation.read(bias).data
    if plain is None:
        return None
    made = _with_bias(translation, value.tensor.steps, weight, plain)
    if made is None:
        return None
    function = linear if node.target is aten.linear.default else convolution
    return function(translation, node, value, *made, dtype="int8", steps=steps, activation=code)


def _with_bias(translation: Translation, given: Steps, weight: Value, bias: np.ndarray) -> tuple[Value, Tensor] | None:
    """A layer's weight, and its bias in steps of input times weight; None where a bias is too large for that.

    A channel of zeros has the scale of its bias: its own may be so small that the bias would not fit.
    """
    own = weight.tensor
    assert own.data is not None
    assert own.steps is not None
    if own.steps.axis != weight.place(0) and len(own.steps.scale) > 1:
        return None
    rows = np.moveaxis(own.data, weight.place(0), 0).reshape(weight.shape[0], -1)
    scales = np.broadcast_to(np.array(own.steps.scale, np.float32), weight.shape[0]).copy()
    scales[~rows.any(axis=1)] = 1.0 if len(own.steps.scale) > 1 else scales[0]
    both = scales.astype(np.float64) * np.float32(given.scale[0])
    codes = np.round(bias.astype(np.float64) / both)
    if np.abs(codes).max(initial=0) > _MOST:
        return None
    draft, axis = translation.draft, own.steps.axis
    tensor = draft.constant(own.data, Steps(tuple(float(scale) for scale in scales), 0, axis), own.dtype)
    steps = Steps(tuple(float(scale) for scale in both), 0, 0)
    return replace(weight, tensor=tensor), draft.constant(codes.astype(np.int32), steps)


def _pairwise(kind: str) -> Callable[[Translation, Node, Steps, int], Value | None]:
    def make(translation: Translation, node: Node, steps: Steps, code: int) -> Value | None:
        if len(node.args) != 2 or node.kwargs or not all(isinstance(item, Node) for item in node.args):
            return None
        values = [translation.value(item) for item in node.args]
        if not all(value.coded for value in values):
            return None
        order = common_order(values, node.meta["val"].dim())
        tensors = [spread_to(translation, value, order) for value in values]
        shape = [int(node.meta["val"].shape[axis]) for axis in order]
        made = translation.draft.emit(kind, tensors, shape, "int8", steps=steps, fusedActivationFunction=code)
        return Value(made, order, coded=True)

    return make


def _sigmoid(translation: Translation, node: Node, steps: Steps, code: int) -> Value | None:
    value = translation.value(node.args[0])
    if not value.coded or code:
        return None
    made = translation.draft.emit("LOGISTIC", [value.tensor], value.tensor.shape, "int8", steps=_LOGISTIC)
    return replace(_coded(translation, Value(made, value.order), steps), coded=True)


def _mean(translation: Translation, node: Node, steps: Steps, code: int) -> Value | None:
    value = translation.value(node.args[0])
    if not value.coded or code:
        return None
    made = reduced(translation, node, value, "MEAN", steps=steps)
    if made is None:
        return None
    made.tensor.dtype = "int8"
    return replace(made, coded=True)


def _pool(translation: Translation, node: Node, steps: Steps, code: int) -> Value | None:
    """A pool of integers gives some of them: where others are asked for, they are made of these."""
    value = translation.value(node.args[0])
    if not value.coded or code:
        return None
    made = pooled(translation, node, value)
    return None if made is None else replace(_coded(translation, made, steps), coded=True)


_ROWS: dict[Any, Callable[[Translation, Node, Steps, int], Value | None]] = {
    aten.conv2d.default: _layer,
    aten.linear.default: _layer,
    aten.add.Tensor: _pairwise("ADD"),
    aten.sub.Tensor: _pairwise("SUB"),
    aten.mul.Tensor: _pairwise("MUL"),
    aten.sigmoid.default: _sigmoid,
    aten.mean.dim: _mean,
    aten.max_pool2d.default: _pool,
    aten.avg_pool2d.default: _pool,
}
