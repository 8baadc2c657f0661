"""Convolutions, linear layers, products of matrices, pools and resizes, channels last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch.fx import Node

from edgekit.graph.edit import arg, argument_names, aten, pair, source_of
from edgekit.graph.edit import shape as shape_of
from edgekit.targets.litert.draft import Draft, Tensor
from edgekit.targets.litert.elementwise import zeros
from edgekit.targets.litert.layout import NHWC, Value, arranged, natural, reshaped
from edgekit.targets.litert.shapes import padded
from edgekit.targets.litert.translate import Translation, dtype_of, row

__all__ = ["Window", "convolution", "linear", "pooled"]

SAME, VALID = 0, 1


class Window:
    """How a convolution or a pool goes over a map, and what LiteRT's two kinds of padding make of it."""

    def __init__(self, node: Node, kernel: tuple[int, int], padding: Any) -> None:
        self.strides = pair(arg(node, "stride") or list(kernel))
        self.dilations = pair(arg(node, "dilation")) if "dilation" in argument_names(node) else (1, 1)
        self.reach = tuple((size - 1) * step + 1 for size, step in zip(kernel, self.dilations, strict=True))
        given, made = shape_of(source_of(node))[2:], shape_of(node)[2:]
        self.amounts: list[int] = []  # as `aten.pad` has them
        self.same = True
        low: list[int] = [(reach - 1) // 2 for reach in self.reach] if padding == "same" else list(pair(padding))
        for axis in (1, 0):
            size, out, step, reach = int(given[axis]), int(made[axis]), self.strides[axis], self.reach[axis]
            missing = max((out - 1) * step + reach - size, 0)
            self.same &= -(-size // step) == out and missing // 2 == low[axis]
            self.amounts += [low[axis], max(missing - low[axis], 0)]

    @property
    def bare(self) -> bool:
        """Whether nothing is put around the map."""
        return not any(self.amounts)

    def options(self) -> dict[str, int]:
        return {
            "padding": VALID if self.bare or not self.same else SAME,
            "strideH": self.strides[0],
            "strideW": self.strides[1],
        }


@row(aten.conv2d.default, aten.conv2d.padding)
def _conv2d(translation: Translation, node: Node) -> Value | None:
    value, weight = translation.plain(translation.value(node.args[0])), translation.plain_weight(node.args[1])
    bias = arg(node, "bias")
    if len(value.order) != 4 or value.tensor.dtype != "float32" or weight is None:
        return None
    biases = translation.read(bias) if bias is not None else None
    if zeros(weight.tensor) and (biases is None or zeros(biases)):
        shape = [int(node.meta["val"].shape[axis]) for axis in NHWC]
        return Value(translation.draft.constant(np.zeros(shape, np.float32)), NHWC)
    return convolution(translation, node, value, weight, biases)


def convolution(
    translation: Translation, node: Node, value: Value, weight: Value, bias: Tensor | None, **result: Any
) -> Value | None:
    """A convolution of floats or integers; depthwise ones by their own operator."""
    kernel = weight.shape[2:]
    padding = arg(node, "padding")
    window = Window(node, (kernel[0], kernel[1]), 0 if padding == "valid" else padding)
    groups, draft = arg(node, "groups"), translation.draft
    channels = value.shape[1]
    if not window.bare and not window.same:
        value = padded(translation, value, window.amounts)
    if bias is None:
        bias = draft.constant(np.zeros(weight.shape[0], np.float32))
    options = {
        **window.options(),
        "dilationHFactor": window.dilations[0],
        "dilationWFactor": window.dilations[1],
        "fusedActivationFunction": result.pop("activation", 0),
    }
    taken = arranged(draft, value, NHWC)
    if groups == channels and weight.shape[1] == 1 and groups > 1:
        kernels, kind = arranged(draft, weight, (1, 2, 3, 0)), "DEPTHWISE_CONV_2D"
        options["depthMultiplier"] = weight.shape[0] // channels
    else:
        kernels, kind = arranged(draft, weight, NHWC), "CONV_2D"
    kernels = _as_taken(translation, node, kernels, result)
    shape = [int(node.meta["val"].shape[axis]) for axis in NHWC]
    dtype = result.pop("dtype", "float32")
    return Value(draft.emit(kind, [taken, kernels, bias], shape, dtype, **result, **options), NHWC, dtype == "int8")


def _scaled_as_it_runs(item: Any) -> bool:
    """Whether a layer's input is one that is quantized as the model runs."""
    return isinstance(item, Node) and str(item.target) == "quantized_decomposed.dequantize_per_tensor.tensor"


def _as_taken(translation: Translation, node: Node, weight: Tensor, result: Mapping[str, Any]) -> Tensor:
    """A weight as the layer takes it: integers where its input is some, or becomes some as the model runs."""
    if weight.steps is None or result.get("dtype") == "int8" or _scaled_as_it_runs(node.args[0]):
        return weight
    return translation.plain(Value(weight, natural(len(weight.shape)), coded=True)).tensor


@row(aten.conv_transpose2d.input, aten.conv_transpose1d.default)
def _transposed(translation: Translation, node: Node) -> Value | None:
    """A transposed convolution, whole; what its padding cuts off is cut off, and what lies beyond it is put on."""
    value, draft = translation.plain(translation.value(node.args[0])), translation.draft
    weight, bias = translation.plain(translation.value(node.args[1])), arg(node, "bias")
    if value.tensor.dtype != "float32" or len(value.order) != len(weight.order):
        return None
    if len(value.order) == 3:  # a map of one row
        value, weight = (reshaped(draft, item, (*item.shape[:2], 1, item.shape[2])) for item in (value, weight))
    strides, padding, beyond, dilations = (
        _both(arg(node, name), number)
        for name, number in (("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1))
    )
    kernels = _turned(draft, weight, arg(node, "groups"), dilations)
    if kernels is None:
        return None
    whole = [
        (size - 1) * step + reach
        for size, step, reach in zip(value.shape[2:], strides, kernels.shape[1:3], strict=True)
    ]
    left = [size - 2 * less + more for size, less, more in zip(whole, padding, beyond, strict=True)]
    held = [min(size, full - less) for size, full, less in zip(left, whole, padding, strict=True)]
    batch, channels = value.shape[0], kernels.shape[0]
    biases = translation.read(bias) if bias is not None else draft.constant(np.zeros(channels, np.float32))
    sizes = draft.constant(np.array([batch, *whole, channels], np.int32))
    made = draft.emit(
        "TRANSPOSE_CONV", [sizes, kernels, arranged(draft, value, NHWC), biases], (batch, *whole, channels),
        padding=VALID, strideH=strides[0], strideW=strides[1],
    )  # fmt: skip
    if held != whole:
        places = [draft.constant(np.array(row, np.int32)) for row in ([0, *padding, 0], [batch, *held, channels])]
        made = draft.emit("SLICE", [made, *places], (batch, *held, channels))
    result = Value(made, NHWC)
    if held != left:
        result = _edged(translation, result, biases, [size - inner for size, inner in zip(left, held, strict=True)])
    return reshaped(draft, result, [int(size) for size in node.meta["val"].shape])


def _both(given: Any, least: int) -> tuple[int, int]:
    """A number for rows and one for columns, of a call that has one for both, or one for the columns of one row."""
    return (least, int(given[0])) if not isinstance(given, int) and len(given) == 1 else pair(given)


def _turned(draft: Draft, weight: Value, groups: int, dilations: tuple[int, int]) -> Tensor | None:
    """A weight [I,O/G,h,w] as LiteRT takes it, [O,h,w,I]: zeros between its numbers, and between its groups."""
    if groups == 1 and dilations == (1, 1):
        return arranged(draft, weight, (1, 2, 3, 0))
    if weight.tensor.data is None:
        return None
    data = arranged(draft, weight, natural(4)).data
    assert data is not None
    given, made = data.shape[0] // groups, data.shape[1]
    reach = [(size - 1) * step + 1 for size, step in zip(data.shape[2:], dilations, strict=True)]
    kernels = np.zeros((groups * made, *reach, data.shape[0]), np.float32)
    for group in range(groups):
        rows, columns = slice(group * made, (group + 1) * made), slice(group * given, (group + 1) * given)
        kernels[rows, :: dilations[0], :: dilations[1], columns] = data[columns].transpose(1, 2, 3, 0)
    return draft.constant(kernels)


def _edged(translation: Translation, value: Value, biases: Tensor, missing: list[int]) -> Value:
    """A map with rows and columns after its last, where there is nothing but the bias."""
    draft = translation.draft
    without = draft.emit("SUB", [value.tensor, biases], value.tensor.shape, fusedActivationFunction=0)
    wide = padded(translation, Value(without, NHWC), [0, missing[1], 0, missing[0]])
    return Value(draft.emit("ADD", [wide.tensor, biases], wide.tensor.shape, fusedActivationFunction=0), NHWC)


@row(aten.linear.default)
def _linear(translation: Translation, node: Node) -> Value | None:
    value, weight = translation.plain(translation.value(node.args[0])), translation.plain_weight(node.args[1])
    bias = arg(node, "bias")
    if value.tensor.dtype != "float32" or weight is None or len(weight.order) != 2:
        return None
    if not weight.coded and _averages(weight.tensor):
        return _mean(translation, node, value, bias)
    return linear(translation, node, value, weight, translation.read(bias) if bias is not None else None)


def _averages(weight: Tensor) -> bool:
    """Whether a weight [1,C] gives the mean of C numbers, which is how the rewrites for XNNPACK write one."""
    data = weight.data
    return data is not None and data.shape[0] == 1 and bool((data == np.float32(1 / data.shape[1])).all())


def _mean(translation: Translation, node: Node, value: Value, bias: Node | None) -> Value:
    """A mean over the last axis, and a number added: LiteRT's own operator is faster than a layer of one output."""
    draft, last = translation.draft, value.place(-1)
    places = draft.constant(np.array([last], np.int32))
    shape = [size if place != last else 1 for place, size in enumerate(value.tensor.shape)]
    made = draft.emit("MEAN", [value.tensor, places], shape, keepDims=True)
    if bias is not None:
        made = draft.emit("ADD", [made, translation.read(bias)], shape, fusedActivationFunction=0)
    return Value(made, value.order)


def linear(
    translation: Translation, node: Node, value: Value, weight: Value, bias: Tensor | None, **result: Any
) -> Value | None:
    """A linear layer over the last axis of the program's tensor."""
    rank, draft = len(value.order), translation.draft
    if not rank:
        return None
    order = (*(axis for axis in value.order if axis != rank - 1), rank - 1)
    taken, kernels = arranged(draft, value, order), arranged(draft, weight, (0, 1))
    kernels = _as_taken(translation, node, kernels, result)
    shape = [int(node.meta["val"].shape[axis]) for axis in order]
    dtype = result.pop("dtype", "float32")
    made = draft.emit(
        "FULLY_CONNECTED", [taken, kernels, bias], shape, dtype, keepNumDims=rank != 2,
        fusedActivationFunction=result.pop("activation", 0), **result,
    )  # fmt: skip
    return Value(made, order, dtype == "int8")


@row(aten.bmm.default, aten.matmul.default)
def _bmm(translation: Translation, node: Node) -> Value | None:
    left, right = (translation.plain(translation.value(item)) for item in node.args[:2])
    rank = len(left.order)
    if rank != len(right.order) or rank < 3 or left.shape[:-2] != right.shape[:-2]:
        return None
    if {left.tensor.dtype, right.tensor.dtype} != {"float32"}:
        return None
    straight = natural(rank)
    turned = (*straight[:-2], rank - 1, rank - 2)
    draft = translation.draft
    if left.order == turned and right.order == turned:  # the product turned is the product of both turned
        return translation.emit("BATCH_MATMUL", [right.tensor, left.tensor], node, turned, adjX=False, adjY=False)
    # The GPU delegate forgets a transposition that is an option of the product (LiteRT#8913).
    tensors = [arranged(draft, item, straight) for item in (left, right)]
    return translation.emit("BATCH_MATMUL", tensors, node, straight, adjX=False, adjY=False)


@row(aten.max_pool2d.default, aten.avg_pool2d.default)
def _pool(translation: Translation, node: Node) -> Value | None:
    value = translation.value(node.args[0])
    if not value.coded or node.target is not aten.max_pool2d.default:
        value = translation.plain(value)
    return pooled(translation, node, value)


def pooled(translation: Translation, node: Node, value: Value) -> Value | None:
    """A pool of floats, or of integers, which gives integers in the same steps."""
    kernel, maximum = pair(arg(node, "kernel_size")), node.target is aten.max_pool2d.default
    dtype = value.tensor.dtype
    if len(value.order) != 4 or dtype not in ("float32", "int8") or arg(node, "ceil_mode"):
        return None
    window = Window(node, kernel, arg(node, "padding"))
    if window.dilations != (1, 1) or (not maximum and arg(node, "divisor_override") is not None):
        return None
    counted = not maximum and arg(node, "count_include_pad") and not window.bare
    if counted or (not window.bare and not window.same):
        if not maximum and not counted:
            return None
        lowest = -128.0 if dtype == "int8" else float(np.finfo(np.float32).min)
        value = padded(translation, value, window.amounts, lowest if maximum else 0.0)
        window.amounts = [0] * 4
    kind = "MAX_POOL_2D" if maximum else "AVERAGE_POOL_2D"
    options = {**window.options(), "filterHeight": kernel[0], "filterWidth": kernel[1], "fusedActivationFunction": 0}
    taken, shape = arranged(translation.draft, value, NHWC), [int(node.meta["val"].shape[axis]) for axis in NHWC]
    if kernel == (1, 1) and dtype == "float32":
        return _thinned(translation.draft, taken, shape, window)
    made = translation.draft.emit(kind, [taken], shape, dtype, steps=taken.steps, **options)
    return Value(made, NHWC, value.coded)


def _thinned(draft: Draft, taken: Tensor, shape: list[int], window: Window) -> Value:
    """Some of a map's pixels, by a convolution with ones: XNNPACK has no pool of one pixel."""
    channels = shape[3]
    ones, nothing = np.ones((1, 1, 1, channels), np.float32), np.zeros(channels, np.float32)
    tensors = [taken, draft.constant(ones), draft.constant(nothing)]
    options: dict[str, Any] = {**window.options(), "dilationHFactor": 1, "dilationWFactor": 1}
    made = draft.emit("DEPTHWISE_CONV_2D", tensors, shape, depthMultiplier=1, fusedActivationFunction=0, **options)
    return Value(made, NHWC)


@row(aten.adaptive_avg_pool2d.default)
def _global_pool(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    if len(value.order) != 4 or pair(node.args[1]) != (1, 1) or value.tensor.dtype != "float32":
        return None
    places = translation.draft.constant(np.array(sorted((value.place(2), value.place(3))), np.int32))
    return translation.emit("MEAN", [value.tensor, places], node, value.order, keepDims=True)


@row(aten.upsample_bilinear2d.vec, aten.upsample_nearest2d.vec)
def _resize(translation: Translation, node: Node) -> Value | None:
    value = translation.plain(translation.value(node.args[0]))
    if value.tensor.dtype != "float32" or dtype_of(node.meta["val"]) != "float32":
        return None
    sizes = [int(size) for size in node.meta["val"].shape[2:]]
    if not _exact(node, value.shape[2:], sizes):
        return None
    smooth = node.target is aten.upsample_bilinear2d.vec
    corners = bool(arg(node, "align_corners")) if smooth else False
    if not smooth and any(size % given for size, given in zip(sizes, value.shape[2:], strict=True)):
        return None
    taken = [arranged(translation.draft, value, NHWC), translation.draft.constant(np.array(sizes, np.int32))]
    kind = "RESIZE_BILINEAR" if smooth else "RESIZE_NEAREST_NEIGHBOR"
    return translation.emit(kind, taken, node, NHWC, alignCorners=corners, halfPixelCenters=smooth and not corners)


def _exact(node: Node, given: tuple[int, ...], sizes: list[int]) -> bool:
    """Whether the factors that the resize was asked for are those of the sizes, which LiteRT goes by."""
    factors = arg(node, "scale_factors")
    if factors is None:
        return True
    return all(abs(size * factor - out) < 1e-6 for size, factor, out in zip(given, factors, sizes, strict=True))
