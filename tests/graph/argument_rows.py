"""One row per ATen operator that a rewrite touches: calls with its schema's arguments at values of every kind."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

__all__ = ["EXEMPT", "ROWS", "Case", "Given", "case"]

aten = torch.ops.aten


class Given(NamedTuple):
    """A tensor argument, filled with random values; a constant one belongs to the module."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    constant: bool = False
    hidden: bool = False  # a mask whose last row hides everything


class Case(NamedTuple):
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def case(*args: Any, **kwargs: Any) -> Case:
    return Case(args, kwargs)


def f(*shape: int) -> Given:
    return Given(shape)


def d(*shape: int) -> Given:
    return Given(shape, torch.float64)


def i(*shape: int) -> Given:
    return Given(shape, torch.int64)


def b(*shape: int) -> Given:
    return Given(shape, torch.bool)


def c(*shape: int, dtype: torch.dtype = torch.float32) -> Given:
    return Given(shape, dtype, constant=True)


def h(*shape: int, dtype: torch.dtype = torch.float32, constant: bool = True) -> Given:
    return Given(shape, dtype, constant=constant, hidden=True)


# Arguments that no embedder's numbers depend on, or that make a call random or change its module.
EXEMPT = {
    "memory_format", "layout", "device", "pin_memory", "non_blocking", "copy", "momentum", "cudnn_enabled",
    "dropout_p", "train", "p", "implicit",
}  # fmt: skip

_VIEW = [case(f(2, 3, 4)), case(i(2, 1, 3)), case(b(4))]
_UNARY = [case(f(2, 3, 4)), case(f(1, 4, 3, 3)), case(d(3, 2))]
_ADDS = [
    case(f(2, 3, 4), c(4), alpha=2),
    case(f(2, 3, 4), f(4), alpha=-0.5),
    case(f(2, 3, 4), c(4)),
    case(f(2, 3, 4), 3, alpha=2),
    case(f(1, 4, 3, 3), c(4, 1, 1), alpha=3),
    case(f(1, 4, 3, 3), c(1, 4, 1, 1)),
    case(f(2, 3, 4), c(2, 1, 4)),
    case(c(4), f(2, 4), alpha=2),
    case(f(1, 4), f(3, 1)),
    case(f(2, 3), c(3, dtype=torch.float64)),
    case(f(2, 3), i(3), alpha=2),
    case(i(2, 3), i(3), alpha=2),
    case(i(2, 3), 1.5),
    case(i(2, 3), f(3)),
    case(f(2, 3), c()),
    case(c(), f(3)),
]
_MULS = [
    case(f(2, 3, 4), c(4)),
    case(f(2, 3, 4), 3),
    case(f(2, 3, 4), c()),
    case(f(2, 3, 4), c(1)),
    case(f(1, 4, 3, 3), c(4, 1, 1)),
    case(f(1, 4, 3, 3), c(3)),
    case(c(2, 1), f(2, 3)),
    case(f(1, 4), f(3, 1)),
    case(f(2, 3), c(3, dtype=torch.float64)),
    case(f(2, 3), i(3)),
    case(i(2, 3), f(3)),
    case(i(2, 3), 1.5),
    case(f(2, 3), b(3)),
    case(f(2, 3), c(1, 1, 1)),
]
_CONV = [
    case(f(1, 4, 9, 9), c(6, 2, 3, 3), c(6), [2, 1], [1, 0], [1, 2], 2),
    case(f(1, 4, 9, 9), c(3, 4, 3, 3)),
    case(f(4, 9, 9), c(4, 4, 3, 3), None, [2, 2], [1, 1]),
    case(f(1, 4, 9, 9), c(4, 1, 7, 7), c(4), [2, 2], [3, 3], [1, 1], 4),
    case(f(1, 4, 9, 9), c(4, 1, 7, 7), c(4), [1, 1], [3, 3], [2, 2], 4),
    case(f(4, 9, 9), c(4, 1, 7, 7), None, [1, 1], [3, 3], [1, 1], 4),
    case(f(1, 4, 5, 5), f(3, 4, 3, 3), f(3)),
    case(d(1, 2, 5, 5), c(3, 2, 3, 3, dtype=torch.float64)),
]
_RESIZE_SIZES = [([7, 5], False), ([3, 9], True), ([8, 8], False)]
_NORM4 = (c(4), c(4), c(4), h(4))  # weight, bias, mean, variance (positive)

ROWS: dict[Any, list[Case]] = {
    aten.view.default: [case(f(2, 6), [3, 4]), case(f(2, 6), [-1]), case(i(2, 6), [4, 3]), case(f(0, 3), [3, 0])],
    aten.reshape.default: [case(f(2, 6), [3, -1]), case(b(2, 6), [12]), case(f(1, 2, 3), [2, 3, 1]), case(f(), [1, 1])],
    aten._unsafe_view.default: [case(f(2, 6), [3, 4])],
    aten.view_as.default: [case(f(2, 6), f(3, 4))],
    aten.reshape_as.default: [case(f(2, 6), f(3, 4))],
    aten.view.dtype: [case(f(2, 6), torch.int32), case(i(2, 6), torch.float64)],
    aten.view_as_complex.default: [],
    aten.flatten.using_ints: [case(f(2, 3, 4), 1, 2), case(f(2, 3, 4)), case(f(2, 3, 4), -2), case(f(), 0, -1)],
    aten.unflatten.int: [case(f(2, 12), -1, [3, -1]), case(i(6, 2), 0, [2, 3])],
    aten.squeeze.default: [*_VIEW, case(f(1, 1))],
    aten.squeeze.dim: [case(f(2, 1, 3), -2), case(f(2, 1, 3), 0), case(f(), 0)],
    aten.squeeze.dims: [case(f(1, 2, 1), [0, -1]), case(f(1, 2, 1), [1, 2])],
    aten.unsqueeze.default: [case(f(2, 3), -1), case(i(2, 3), 0), case(f(), 0)],
    aten.expand.default: [case(f(1, 3), [2, -1]), case(f(3), [2, 2, 3]), case(d(1), [4]), case(f(), [2])],
    aten.expand_as.default: [case(f(1, 3), f(2, 3)), case(i(1), f(2, 3))],
    aten.broadcast_to.default: [case(f(3, 1), [2, 3, 4]), case(b(1), [4])],
    aten.permute.default: [
        case(f(2, 3, 4), [-1, 0, 1]),
        case(f(2, 3), [0, 1]),
        case(f(1, 3, 1), [2, 1, 0]),
        case(f(), []),
    ],
    aten.transpose.int: [case(f(2, 3, 4), -1, 0), case(i(2, 3), 0, 1), case(f(), 0, -1), case(f(0, 3), 0, 1)],
    aten.swapaxes.default: [case(f(2, 3, 4), -1, 0)],
    aten.movedim.int: [case(f(2, 3, 4), 0, -1), case(f(2, 3, 4), -1, 1)],
    aten.movedim.intlist: [case(f(2, 3, 4, 5), [0, 1], [-1, 0])],
    aten.t.default: [case(f(2, 3)), case(f(3)), case(f())],
    aten.mT.default: [case(f(2, 3, 4)), case(b(3, 2))],
    aten.numpy_T.default: [case(f(2, 3, 4)), case(f(3))],
    aten.select.int: [case(f(2, 3, 4), 1, -1), case(f(2, 3, 4), -1, 2), case(b(3), 0, 1)],
    aten.slice.Tensor: [
        case(f(4, 6), 1, 1, 5, 2),
        case(f(4, 6), -1, -4, -1),
        case(f(4, 6)),
        case(f(4, 6), 0, 3, 2),
        case(f(4, 6), 1, None, 99),
        case(i(4, 6), 1, -99, 3),
        case(f(1, 6), 0, 0, 1, 3),
    ],
    aten.chunk.default: [case(f(5, 6), 2), case(f(2, 6), 4, -1), case(i(6), 3)],
    aten.split.Tensor: [case(f(5, 6), 2), case(f(2, 6), 4, -1)],
    aten.split.sizes: [case(f(2, 6), [1, 2, 3], -1), case(f(6), [4, 0, 2])],
    aten.split_with_sizes.default: [case(f(2, 6), [1, 5], 1), case(f(6), [4, 2])],
    aten.unsafe_chunk.default: [case(f(5, 6), 2), case(f(2, 6), 4, -1)],
    aten.unsafe_split.Tensor: [case(f(5, 6), 2), case(f(2, 6), 4, -1)],
    aten.unsafe_split_with_sizes.default: [case(f(2, 6), [1, 5], 1), case(f(6), [4, 2])],
    aten.tensor_split.sections: [case(f(2, 7), 3, -1), case(f(7), 3)],
    aten.unbind.int: [case(f(3, 2), 1), case(f(3, 2)), case(b(2, 3), -1)],
    aten.as_strided.default: [
        case(f(4, 6), [2, 3], [6, 2], 1),
        case(f(4, 6), [3, 3], [1, 1]),
        case(c(4, 6), [2, 2], [7, 1], 3),
    ],
    aten.clone.default: _VIEW,
    aten.contiguous.default: _VIEW,
    aten.detach.default: _VIEW,
    aten.detach_.default: [],
    aten.alias.default: _VIEW,
    aten.lift_fresh_copy.default: _VIEW,
    aten.dropout.default: [case(f(2, 3), 0.5, False)],
    aten.feature_dropout.default: [case(f(2, 3), 0.5, False)],
    aten.alpha_dropout.default: [case(f(2, 3), 0.5, False)],
    aten.feature_alpha_dropout.default: [case(f(2, 3), 0.5, False)],
    aten.to.dtype: [
        case(f(2, 3), torch.int64),
        case(f(2, 3), torch.float32),
        case(b(3), torch.float32),
        case(i(3), torch.bool),
    ],
    aten.to.dtype_layout: [case(f(2, 3), dtype=torch.float64), case(f(2, 3))],
    aten.to.device: [
        case(f(2, 3), torch.device("cpu"), torch.float64),
        case(f(2, 3), torch.device("cpu"), torch.float32),
    ],
    aten._to_copy.default: [case(f(2, 3)), case(f(2, 3), dtype=torch.int32)],
    aten.type_as.default: [case(f(2, 3), i(1)), case(f(2, 3), f(1))],
    aten._assert_tensor_metadata.default: [],
    aten.sym_size.int: [],
    aten._assert_async.default: [],
    aten._assert_async.msg: [],
    aten._assert_scalar.default: [],
    aten.sym_constrain_range.default: [],
    aten.sym_constrain_range_for_size.default: [],
    aten.pad.default: [
        case(f(1, 2, 5, 5), [1, 2, 0, -1]),
        case(f(1, 2, 5, 5), [0, 0]),
        case(f(1, 2, 5, 5), [1, 1, 2, 0], "constant", 3.5),
        case(f(1, 2, 5, 5), [1, 1, 2, 0], "reflect"),
        case(f(1, 2, 5), [-1, 2], "replicate"),
        case(i(2, 3), [1, 0], "constant", 2),
    ],
    aten.constant_pad_nd.default: [
        case(f(1, 2, 5, 5), [1, 2, 0, -1], 3.5),
        case(f(1, 2, 5, 5), [0, 0], 0.0),
        case(i(2, 3), [1, 0], 2),
    ],
    aten.add.Tensor: _ADDS,
    aten.sub.Tensor: [row for row in _ADDS if not (isinstance(row.args[0], Given) and row.args[0].dtype == torch.bool)],
    aten.mul.Tensor: _MULS,
    aten.div.Tensor: [*_MULS, case(f(2, 3, 4), 0.0), case(f(2, 3, 4), -4), case(i(2, 3), i(3)), case(i(2, 3), 2)],
    aten.add.Scalar: [case(f(2, 3), 1e-8, 2), case(f(2, 3), 1e-8), case(i(2, 3), 2, -1)],
    aten.sub.Scalar: [case(f(2, 3), 1e-9, 2), case(f(2, 3), 1e-9), case(i(2, 3), 2, -1)],
    aten.mul.Scalar: [case(f(2, 3), 1.000009), case(f(2, 3), -2), case(i(2, 3), 2)],
    aten.div.Scalar: [case(f(2, 3), 0.999999), case(f(2, 3), -2), case(i(2, 3), 2)],
    aten.relu.default: [*_UNARY, case(i(2, 3)), case(f(5)), case(f(0, 3))],
    aten.relu6.default: _UNARY,
    aten.gelu.default: [*_UNARY, case(f(2, 3), approximate="tanh")],
    aten.silu.default: _UNARY,
    aten.sigmoid.default: [*_UNARY, case(i(2, 3)), case(b(2, 3))],
    aten.tanh.default: [*_UNARY, case(i(2, 3))],
    aten.hardswish.default: _UNARY,
    aten.hardsigmoid.default: _UNARY,
    aten.hardtanh.default: [case(f(2, 3), -0.3, 0.4), case(f(1, 4, 3, 3)), case(d(3, 2), 0.1)],
    aten.clamp.default: [
        case(f(2, 3), -0.2),
        case(f(2, 3), None, 0.3),
        case(i(2, 3), 0.5),
        case(i(2, 3), -1, 1),
        case(d(4), 0.1, 0.2),
    ],
    aten.clamp_min.default: [case(f(2, 3), 0.3), case(i(2, 3), 1), case(i(2, 3), 0.5), case(d(4), -0.1)],
    aten.maximum.default: [case(f(2, 3), f(3)), case(f(3), f(2, 3)), case(f(2, 3), c(3)), case(i(2, 3), i(3))],
    aten.minimum.default: [case(f(2, 3), f(3)), case(f(1, 3), f(2, 3)), case(i(3), i(2, 3))],
    aten.neg.default: [*_UNARY, case(i(2, 3))],
    aten.mish.default: [*_UNARY, case(f(5))],
    aten.softplus.default: [*_UNARY, case(f(2, 3), 2.5), case(f(2, 3), 1, 0.5), case(f(2, 3), 3, 40)],
    aten.log_softmax.int: [
        case(f(1, 2, 3, 4), -1),
        case(f(2, 3), 0, torch.float64),
        case(i(2, 3), 1, torch.float32),
        case(f(), 0),
    ],
    aten._log_softmax.default: [case(f(1, 2, 3, 4), 1, False)],
    aten.exp.default: [*_UNARY, case(i(2, 3)), case(b(2, 3))],
    aten.sqrt.default: [*_UNARY, case(i(2, 3))],
    aten.rsqrt.default: [*_UNARY, case(i(2, 3))],
    aten.matmul.default: [
        case(f(2, 3, 4), c(4, 5)),
        case(f(4), c(4, 5)),
        case(f(3, 4), c(4)),
        case(f(2, 3, 4), f(2, 4, 5)),
        case(f(1, 2, 3, 4), f(1, 2, 4, 5)),
        case(f(2, 1, 3, 4), f(1, 2, 4, 5)),
        case(f(2, 3, 4), f(4, 5)),
        case(i(2, 3, 4), i(2, 4, 5)),
        case(i(3, 4), c(4, 5, dtype=torch.int64)),
        case(c(3, 4), f(2, 4, 5)),
        case(d(3, 4), c(4, 5, dtype=torch.float64)),
    ],
    aten.bmm.default: [case(f(2, 3, 4), f(2, 4, 5)), case(i(2, 3, 4), i(2, 4, 5))],
    aten.mm.default: [case(f(3, 4), f(4, 5)), case(c(3, 4), f(4, 5))],
    aten._sparse_mm.default: [case(f(3, 4), f(4, 5)), case(c(3, 4), f(4, 5))],
    aten.linear.default: [
        case(f(2, 3, 4), c(5, 4), c(5)),
        case(f(2, 4), c(5, 4)),
        case(f(4), c(5, 4), c(5)),
        case(f(2, 3, 4), c(4)),
        case(f(2, 4), f(5, 4), f(5)),
        case(d(2, 4), c(5, 4, dtype=torch.float64)),
    ],
    aten.conv1d.default: [case(f(1, 4, 9), c(6, 2, 3), c(6), [2], [1], [2], 2), case(f(4, 9), c(4, 4, 3))],
    aten.conv2d.default: _CONV,
    aten.conv2d.padding: [
        case(f(1, 4, 9, 9), c(6, 2, 3, 3), c(6), [2, 1], "valid", [1, 2], 2),
        case(f(1, 4, 9, 9), c(4, 1, 7, 7), None, [1, 1], "same", [1, 1], 4),
        case(f(1, 4, 9, 9), c(4, 1, 7, 7), None, [1, 1], "same", [2, 2], 4),
        case(f(1, 4, 9, 9), c(5, 4, 2, 2), c(5), [1, 1], "same"),
    ],
    aten.conv3d.default: [
        case(f(1, 4, 5, 5, 5), c(6, 2, 3, 3, 3), c(6), [2, 1, 2], [1, 1, 0], [1, 2, 1], 2),
        case(f(4, 5, 5, 5), c(4, 4, 1, 1, 1)),
    ],
    aten.batch_norm.default: [
        case(f(2, 4, 3, 3), *_NORM4, False, 0.3, 1e-2, False),
        case(f(2, 4), None, None, c(4), h(4), False, 0.1, 1e-5, True),
        case(f(2, 4, 5), c(4), None, c(4), h(4), False, 0.1, 1e-3, True),
        case(f(2, 4, 3, 3), f(4), f(4), c(4), h(4), False, 0.1, 1e-3, True),
        case(f(2, 4, 3, 3), c(4), c(4), None, None, True, 0.1, 1e-2, True),
        case(f(4, 4, 4), *_NORM4, False, 0.1, 1e-5, True),
    ],
    aten._native_batch_norm_legit_no_training.default: [
        case(f(2, 4, 3, 3), *_NORM4, 0.3, 1e-2),
        case(f(2, 4), None, None, c(4), h(4), 0.1, 1e-5),
    ],
    aten.layer_norm.default: [
        case(f(2, 3, 4), [4], c(4), c(4), 1e-2, False),
        case(f(2, 3, 4), [3, 4], c(3, 4), c(3, 4), 1e-5),
        case(f(2, 3, 4), [4]),
        case(f(2, 3, 4), [4], c(4)),
        case(f(2, 3, 4), [4], f(4), f(4)),
        case(f(4), [4], None, c(4), 0.1),
    ],
    aten.group_norm.default: [
        case(f(2, 4, 3, 3), 2, c(4), c(4), 1e-2, False),
        case(f(2, 4, 3, 3), 1, c(4), c(4), 1e-2),
        case(f(2, 4, 3, 3), 1),
        case(f(2, 4, 3, 3), 1, f(4), f(4)),
        case(f(2, 4, 5), 1, c(4), None, 0.1),
    ],
    aten.instance_norm.default: [
        case(f(2, 4, 3, 3), c(4), c(4), None, None, True, 0.2, 1e-2, True),
        case(f(2, 4, 5), None, None, None, None, True, 0.1, 0.1, False),
        case(f(2, 4, 3, 3), f(4), f(4), None, None, True, 0.1, 1e-3, True),
        case(f(2, 4, 3, 3), c(4), c(4), c(4), c(4), False, 0.1, 1e-3, True),
    ],
    aten.linalg_vector_norm.default: [
        case(f(2, 5), 2, [-1], True),
        case(f(2, 5), 1, [-1], True),
        case(f(2, 5), 2, [1], False),
        case(f(2, 5), 2, [0], True),
        case(f(2, 5), 2, None, True),
        case(f(2, 5), 2, [1], True, dtype=torch.float64),
        case(f(2, 5), math.inf, [1], True),
        case(f(2, 3, 4), 2, [-1], True),
    ],
    aten.softmax.int: [
        case(f(1, 2, 3, 4), -1),
        case(f(1, 2, 3, 4), 1),
        case(f(1, 2, 3, 4), -1, torch.float64),
        case(i(1, 2, 3, 4), 3, torch.float32),
        case(f(2, 3), 0),
    ],
    aten._softmax.default: [case(f(1, 2, 3, 4), -1, False), case(f(1, 2, 3, 4), 1, False)],
    aten.scaled_dot_product_attention.default: [
        case(f(1, 2, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 6), scale=0.3),
        case(f(1, 2, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 4), None, 0.0, True),
        case(f(1, 4, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 4), enable_gqa=True),
        case(f(1, 2, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 4), c(5, 3)),
        case(f(1, 2, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 4), h(5, 3)),
        case(f(1, 2, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 4), h(5, 3, dtype=torch.bool)),
        case(f(1, 2, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 4), h(1, 1, 5, 3, constant=False)),
        case(f(1, 2, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 4), h(2, 5, 3, dtype=torch.bool, constant=False)),
        case(f(2, 5, 4), f(2, 3, 4), f(2, 3, 4)),
        case(d(2, 5, 4), d(2, 3, 4), d(2, 3, 4)),
    ],
    aten.mean.dim: [
        case(f(1, 4, 3, 3), [2, 3], True),
        case(f(1, 4, 3, 3), [-1, -2]),
        case(f(1, 4, 3, 3), [2, 3], False, dtype=torch.float64),
        case(i(1, 4, 3, 3), [2, 3], True, dtype=torch.float32),
        case(f(2, 3, 4), [1]),
        case(f(2, 3, 4), [-2], True),
        case(i(2, 3, 4), [1], dtype=torch.float32),
        case(f(2, 3, 4), None, True),
        case(f(2, 3, 4), []),
        case(f(2, 3, 4), [0]),
        case(d(2, 3, 4), [1]),
    ],
    aten.sum.dim_IntList: [
        case(f(1, 4, 3, 3), [-1], True),
        case(b(1, 4, 3, 3), [-1], True),
        case(i(1, 4, 3, 3), [-1], True),
        case(f(1, 4, 3, 3), [-1], True, dtype=torch.float64),
        case(f(1, 4, 3, 3), [3]),
        case(f(2, 1, 3, 1), [1], True),
        case(f(2, 3), None, True),
    ],
    aten.adaptive_avg_pool2d.default: [
        case(f(1, 4, 6, 6), [1, 1]),
        case(f(1, 4, 6, 6), [2, 3]),
        case(f(4, 6, 6), [1, 1]),
    ],
    aten.avg_pool2d.default: [
        case(f(1, 4, 6, 6), [6, 6], [1, 1], [0, 0], True, False, 7),
        case(f(1, 4, 6, 6), [6, 6]),
        case(f(1, 4, 5, 5), [3, 3], [2, 2], [1, 1], True, False),
        case(f(1, 4, 5, 5), [2], [2], [0], True),
        case(f(1, 4, 1, 1), [3, 3], [1, 1], [1, 1], False, False),
        case(f(4, 6, 6), [6, 6]),
    ],
    aten.upsample_bilinear2d.default: [
        *(case(f(1, 2, 4, 4), size, corners) for size, corners in _RESIZE_SIZES),
        case(f(1, 2, 4, 4), [7, 7], False, 1.8, 1.9),
        case(d(1, 2, 4, 4), [7, 7], False),
    ],
    aten.upsample_bilinear2d.vec: [
        case(f(1, 2, 4, 4), [7, 5], True, None),
        case(f(1, 2, 4, 4), None, False, [1.9, 1.6]),
    ],
    aten.upsample_bicubic2d.default: [
        *(case(f(1, 2, 4, 4), size, corners) for size, corners in _RESIZE_SIZES),
        case(f(1, 2, 4, 4), [7, 7], False, 1.8, 1.9),
        case(d(1, 2, 4, 4), [7, 7], True),
    ],
    aten.upsample_bicubic2d.vec: [
        case(f(1, 2, 4, 4), [7, 5], True, None),
        case(f(1, 2, 4, 4), None, False, [1.9, 1.6]),
    ],
    aten.copy.default: [case(f(2, 3), f(3)), case(f(2, 3), i(2, 3)), case(i(2, 3), f(3), True)],
    aten.fill.Scalar: [case(f(2, 3), 2.5), case(i(2, 3), 2.5), case(b(2), 1)],
    aten.fill.Tensor: [case(f(2, 3), torch.tensor(2.5)), case(i(2, 3), torch.tensor(2.5)), case(b(2), torch.tensor(1))],
    aten.zero.default: [case(f(2, 3)), case(b(2, 3))],
    aten.slice_scatter.default: [
        case(f(4, 6), f(4, 2), 1, 1, 3),
        case(f(4, 6), f(4, 3), -1, 0, 6, 2),
        case(f(4, 6), f(4, 6), 1),
        case(f(4, 6), f(0, 6), 0, 3, 2),
        case(i(4, 6), i(1, 6), 0, -1),
    ],
    aten.select_scatter.default: [case(f(4, 6), f(4), 1, -1), case(i(4, 6), i(6), 0, 2)],
    aten.diagonal_scatter.default: [case(f(4, 6), f(4), 1), case(f(2, 4, 4), f(2, 4), 0, -2, -1)],
    aten.as_strided_scatter.default: [case(f(4, 6), f(2, 2), [2, 2], [7, 1], 3)],
    aten.cat.default: [case([f(2, 3), f(2, 1)], -1), case([f(2, 3), f(1, 3)]), case([i(2, 3), f(1, 3)])],
    aten.index_select.default: [case(f(3, 4), -1, c(5, dtype=torch.int64))],
    aten.full.default: [case([2, 3], 1.5), case([2, 3], 2, dtype=torch.float64)],
    aten.where.self: [case(b(2, 3), f(2, 3), f(3)), case(b(3), i(2, 3), f())],
    aten.gt.Scalar: [case(f(2, 3), 0.2), case(i(2, 3), 0.5)],
    aten.amax.default: [case(f(2, 3), [-1], True), case(f(2, 3)), case(i(2, 3), [0])],
}
