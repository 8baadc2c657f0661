"""Convolution, pooling, normalisation, products, reductions and activation quantization."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage, special

from .cases import Case, check, floats, onnx_op, run_cases, whole

X, Y = floats(2, 4, 9, 8), floats(2, 4, 9, 8, seed=1)
LINE, CUBE = floats(2, 4, 11), floats(1, 2, 5, 6, 4)
W, BIAS = floats(6, 4, 3, 3, seed=2), floats(6, seed=3)
GROUPED, DEPTHWISE = floats(6, 2, 3, 2, seed=4), floats(8, 1, 5, 5, seed=5)
BACK, BACK_GROUPED = floats(4, 3, 3, 3, seed=6), floats(4, 2, 2, 3, seed=7)
GAMMA, BETA = floats(4, seed=8, low=0.5, high=1.5), floats(4, seed=9)
MEAN, VARIANCE = floats(4, seed=10), floats(4, seed=11, low=0.2, high=2.0)
LAST_GAMMA, LAST_BETA = floats(8, seed=12), floats(8, seed=13)
I = whole(3, 4, 5, low=-5, high=6)  # noqa: E741
Q, K, V = floats(2, 3, 5, 4), floats(2, 3, 7, 4, seed=1), floats(2, 3, 7, 6, seed=2)
MASK = np.random.default_rng(0).uniform(size=(5, 7)) > 0.3
MASK[:, 0] = True


def t(a: Any) -> Any:
    return torch.from_numpy(a)


def conv(
    name: str,
    x: Any,
    weight: Any,
    torch_args: Any,
    onnx_args: Any,
    opset: Any = "iOS15",
    bias: Any = None,
    **mil_args: Any,
) -> Any:
    rank = x.ndim - 2
    functions = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
    before = torch_args.pop("before", None)

    def by_torch(x: Any) -> Any:
        return functions[rank](
            F.pad(x, before) if before else x, t(weight), None if bias is None else t(bias), **torch_args
        )

    return Case(
        name,
        lambda mb, x: mb.conv(x=x, weight=weight, bias=bias, **mil_args),
        by_torch,
        lambda x: onnx_op("Conv", *((x, weight) if bias is None else (x, weight, bias)), **onnx_args),
        (x,),
        opset,
        1e-4,
    )


def deconv(
    name: str, weight: Any, torch_args: Any, onnx_args: Any, bias: Any = None, crop: Any = None, **mil_args: Any
) -> Any:
    def by_torch(x: Any) -> Any:
        out = F.conv_transpose2d(x, t(weight), None if bias is None else t(bias), **torch_args)
        return out[crop] if crop else out

    return Case(
        name,
        lambda mb, x: mb.conv_transpose(x=x, weight=weight, bias=bias, **mil_args),
        by_torch,
        lambda x: onnx_op("ConvTranspose", *((x, weight) if bias is None else (x, weight, bias)), **onnx_args),
        (X,),
        tolerance=1e-4,
    )


CONVOLUTION = [
    conv("conv-valid", X, W, {}, {}, pad_type="valid"),
    conv("conv-bias-stride", X, W, {"stride": 2, "padding": 1}, {"strides": [2, 2], "pads": [1, 1, 1, 1]}, bias=BIAS,
         strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]),
    conv("conv-uneven-pad", X, W, {"before": (2, 1, 0, 1)}, {"pads": [0, 2, 1, 1]}, pad_type="custom",
         pad=[0, 1, 2, 1]),
    conv("conv-same", X, W, {"before": (0, 1, 1, 1), "stride": 2}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
         pad_type="same", strides=[2, 2]),
    conv("conv-same-lower", X, W, {"before": (1, 0, 1, 1), "stride": 2}, {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
         opset="iOS16", pad_type="same_lower", strides=[2, 2]),
    conv("conv-groups-dilation", X, GROUPED, {"groups": 2, "dilation": (2, 3)}, {"group": 2, "dilations": [2, 3]},
         groups=2, dilations=[2, 3]),
    conv("conv-depthwise", X, DEPTHWISE, {"groups": 4, "padding": 2}, {"group": 4, "pads": [2] * 4}, groups=4,
         pad_type="custom", pad=[2] * 4),
    conv("conv-1d", LINE, floats(3, 4, 3), {"stride": 2}, {"strides": [2]}, strides=[2]),
    conv("conv-3d", CUBE, floats(3, 2, 2, 3, 1), {}, {}),
    deconv("deconv-valid", BACK, {}, {}),
    deconv("deconv-stride-bias", BACK, {"stride": 2}, {"strides": [2, 2]}, bias=floats(3), strides=[2, 2]),
    deconv("deconv-custom", BACK, {"stride": 2, "padding": 1}, {"strides": [2, 2], "pads": [1] * 4}, strides=[2, 2],
           pad_type="custom", pad=[1] * 4),
    deconv("deconv-output-shape", BACK, {"stride": 2, "padding": 1, "output_padding": 1},
           {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}, strides=[2, 2], pad_type="custom",
           pad=[1] * 4, output_shape=[2, 3, 18, 16]),
    deconv("deconv-same", BACK, {"stride": 2}, {"strides": [2, 2], "pads": [0, 0, 1, 1]}, strides=[2, 2],
           pad_type="same", crop=(..., slice(0, 18), slice(0, 16))),
    Case("deconv-groups-dilation",
         lambda mb, x: mb.conv_transpose(x=x, weight=BACK_GROUPED, groups=2, dilations=[1, 2]),
         lambda x: F.conv_transpose2d(x, t(BACK_GROUPED), groups=2, dilation=(1, 2)),
         lambda x: np.concatenate([onnx_op("ConvTranspose", x[:, s], BACK_GROUPED[s], dilations=[1, 2])
                                   for s in (slice(0, 2), slice(2, 4))], 1), (X,), tolerance=1e-4),
]  # fmt: skip

KERNEL = {"kernel_shape": [3, 2], "strides": [2, 2]}
POOL = {"kernel_sizes": [3, 2], "strides": [2, 2]}
PADDED = {"pad_type": "custom", "pad": [1, 1, 1, 1]}


def pool(
    name: str, op: Any, by_torch: Any, kind: Any, onnx_args: Any, opset: Any = "iOS15", x: Any = X, **mil_args: Any
) -> Any:
    args = {**POOL, **mil_args}
    return Case(
        name,
        lambda mb, x: getattr(mb, op)(x=x, **args),
        by_torch,
        lambda x: onnx_op(kind, x, **{**KERNEL, **onnx_args}),
        (x,),
        opset,
    )


def lp(x: Any, **kw: Any) -> Any:
    return F.lp_pool2d(x, 2, (3, 2), stride=2, **kw)


def uneven(x: Any) -> Any:
    return F.avg_pool2d(F.pad(x, (0, 1, 2, 0)), (3, 2), 2)


POOLING = [
    pool("avg-valid", "avg_pool", lambda x: F.avg_pool2d(x, (3, 2), 2), "AveragePool", {}, pad_type="valid"),
    pool("avg-include", "avg_pool", lambda x: F.avg_pool2d(x, (3, 2), 2, 1), "AveragePool",
         {"pads": [1] * 4, "count_include_pad": 1}, **PADDED),
    pool("avg-exclude", "avg_pool", lambda x: F.avg_pool2d(x, (3, 2), 2, 1, count_include_pad=False), "AveragePool",
         {"pads": [1] * 4}, exclude_padding_from_average=True, **PADDED),
    pool("avg-ceil-exclude", "avg_pool", lambda x: F.avg_pool2d(x, (3, 2), 2, 1, True, False), "AveragePool",
         {"pads": [1] * 4, "ceil_mode": 1}, exclude_padding_from_average=True, ceil_mode=True, **PADDED),
    pool("avg-ceil-include", "avg_pool", lambda x: F.avg_pool2d(x, 3, 2, 1, True), "AveragePool",
         {"pads": [1] * 4, "ceil_mode": 1, "count_include_pad": 1, "kernel_shape": [3, 3]},
         kernel_sizes=[3, 3], ceil_mode=True, **PADDED),
    pool("avg-uneven-exclude", "avg_pool",
         lambda x: uneven(x) / uneven(x * 0 + 1),
         "AveragePool", {"pads": [2, 0, 0, 1]}, pad_type="custom", pad=[2, 0, 0, 1], exclude_padding_from_average=True),
    pool("avg-same", "avg_pool", lambda x: F.avg_pool2d(F.pad(x, (0, 0, 1, 1)), (3, 2), 2), "AveragePool",
         {"auto_pad": "SAME_UPPER", "count_include_pad": 1}, pad_type="same"),
    pool("max-valid", "max_pool", lambda x: F.max_pool2d(x, (3, 2), 2), "MaxPool", {}, pad_type="valid"),
    pool("max-pad", "max_pool", lambda x: F.max_pool2d(x, (3, 2), 2, 1), "MaxPool", {"pads": [1] * 4}, **PADDED),
    pool("max-ceil", "max_pool", lambda x: F.max_pool2d(x, (3, 2), 2, ceil_mode=True), "MaxPool", {"ceil_mode": 1},
         pad_type="valid", ceil_mode=True),
    pool("max-same-lower", "max_pool",
         lambda x: F.max_pool2d(F.pad(x, (1, 0, 1, 1), value=-9.0), 3, 2), "MaxPool",
         {"pads": [1, 1, 1, 0], "kernel_shape": [3, 3]}, opset="iOS16", kernel_sizes=[3, 3], pad_type="same_lower"),
    pool("l2-valid", "l2_pool", lp, "LpPool", {"p": 2}, pad_type="valid"),
    pool("l2-pad", "l2_pool", lambda x: lp(F.pad(x, (1, 1, 1, 1))), "LpPool", {"p": 2, "pads": [1] * 4}, **PADDED),
    pool("max-1d", "max_pool", lambda x: F.max_pool1d(x, 3, 2), "MaxPool", {"kernel_shape": [3], "strides": [2]},
         x=LINE, kernel_sizes=[3], strides=[2], pad_type="valid"),
    pool("avg-3d", "avg_pool", lambda x: F.avg_pool3d(x, 2, 2), "AveragePool",
         {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]}, x=CUBE, kernel_sizes=[2] * 3, strides=[2] * 3,
         pad_type="valid"),
]  # fmt: skip


def layer_norm(x: Any, axes: Any, gamma: Any, beta: Any, eps: Any) -> Any:
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + eps) * gamma + beta


NORM = [
    Case("batch-norm",
         lambda mb, x: mb.batch_norm(x=x, mean=MEAN, variance=VARIANCE, gamma=GAMMA, beta=BETA, epsilon=1e-3),
         lambda x: F.batch_norm(x, t(MEAN), t(VARIANCE), t(GAMMA), t(BETA), eps=1e-3),
         lambda x: onnx_op("BatchNormalization", x, GAMMA, BETA, MEAN, VARIANCE, epsilon=1e-3), (X,)),
    Case("batch-norm-plain", lambda mb, x: mb.batch_norm(x=x, mean=MEAN, variance=VARIANCE),
         lambda x: F.batch_norm(x, t(MEAN), t(VARIANCE)),
         lambda x: (x - MEAN[:, None, None]) / np.sqrt(VARIANCE[:, None, None] + 1e-5), (X,)),
    Case("instance-norm", lambda mb, x: mb.instance_norm(x=x, gamma=GAMMA, beta=BETA, epsilon=1e-4),
         lambda x: F.instance_norm(x, weight=t(GAMMA), bias=t(BETA), eps=1e-4),
         lambda x: onnx_op("InstanceNormalization", x, GAMMA, BETA, epsilon=1e-4), (X,)),
    Case("layer-norm-last", lambda mb, x: mb.layer_norm(x=x, axes=[-1], gamma=LAST_GAMMA, beta=LAST_BETA, epsilon=1e-4),
         lambda x: F.layer_norm(x, [8], t(LAST_GAMMA), t(LAST_BETA), 1e-4),
         lambda x: onnx_op("LayerNormalization", x, LAST_GAMMA, LAST_BETA, epsilon=1e-4), (X,)),
    Case("layer-norm-channels", lambda mb, x: mb.layer_norm(x=x, axes=[1], gamma=GAMMA, beta=BETA, epsilon=1e-4),
         lambda x: F.layer_norm(x.movedim(1, -1), [4], t(GAMMA), t(BETA), 1e-4).movedim(-1, 1),
         lambda x: layer_norm(x, (1,), GAMMA[:, None, None], BETA[:, None, None], 1e-4), (X,)),
    Case("layer-norm-all", lambda mb, x: mb.layer_norm(x=x, axes=[0, 1, 2, 3]),
         lambda x: F.layer_norm(x, x.shape), lambda x: layer_norm(x, None, 1, 0, 1e-5), (X,)),
    Case("l2-norm", lambda mb, x: mb.l2_norm(x=x, epsilon=1e-3),
         lambda x: x / (x.square().flatten(1).sum(1) + 1e-3).sqrt()[:, None, None, None],
         lambda x: x / np.sqrt(np.einsum("nchw,nchw->n", x, x) + 1e-3)[:, None, None, None], (X,)),
    Case("lrn", lambda mb, x: mb.local_response_norm(x=x, size=3, alpha=0.3, beta=0.6, k=1.5),
         lambda x: F.local_response_norm(x, 3, 0.3, 0.6, 1.5),
         lambda x: x / (1.5 + 0.1 * ndimage.convolve1d(x**2, np.ones(3), axis=1, mode="constant")) ** 0.6, (X,)),
]  # fmt: skip

LW = floats(5, 8, seed=14)
PRODUCTS = [
    Case("linear", lambda mb, x: mb.linear(x=x, weight=LW, bias=BIAS[:5]), lambda x: F.linear(x, t(LW), t(BIAS[:5])),
         lambda x: np.einsum("bnk,mk->bnm", x, LW) + BIAS[:5], (X[0],)),
    Case("linear-plain", lambda mb, x: mb.linear(x=x, weight=LW), lambda x: x @ t(LW).T,
         lambda x: onnx_op("Gemm", x, LW, transB=1), (X[0, 0],)),
    Case("matmul", lambda mb, x, y: mb.matmul(x=x, y=y, transpose_y=True), lambda x, y: x @ y.mT,
         lambda x, y: np.einsum("abik,abjk->abij", x, y), (X, Y)),
    Case("matmul-transpose-x", lambda mb, x, y: mb.matmul(x=x, y=y, transpose_x=True), lambda x, y: x.mT @ y,
         lambda x, y: np.einsum("abki,kj->abij", x, y), (X, Y[0, 0])),
    Case("matmul-int", lambda mb, x, y: mb.matmul(x=x, y=y), torch.matmul, np.matmul,
         (whole(3, 4, low=-9), whole(4, 2, seed=1))),
    Case("einsum", lambda mb, x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
         lambda x, y: torch.stack([x[:, :, h] @ y[:, :, h] for h in range(3)], 2),
         lambda x, y: np.einsum("nchw,nwhu->nchu", x, y), (floats(2, 4, 3, 5), floats(2, 5, 3, 6))),
    Case("sdpa", lambda mb, q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
         F.scaled_dot_product_attention,
         lambda q, k, v: special.softmax(q @ k.swapaxes(-1, -2) / 2, axis=-1) @ v, (Q, K, V), "iOS18"),
    Case("sdpa-bool", lambda mb, q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=MASK),
         lambda q, k, v: F.scaled_dot_product_attention(q, k, v, t(MASK)),
         lambda q, k, v: special.softmax(q @ k.swapaxes(-1, -2) / 2 + np.where(MASK, 0, -np.inf), axis=-1) @ v,
         (Q, K, V), "iOS18"),
    Case("sdpa-added", lambda mb, q, k, v, m: mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=m),
         F.scaled_dot_product_attention,
         lambda q, k, v, m: special.softmax(q @ k.swapaxes(-1, -2) / 2 + m, axis=-1) @ v,
         (Q, K, V, floats(5, 7)), "iOS18"),
]  # fmt: skip

REDUCTIONS = {
    "reduce_sum": (lambda x, d, k: x.sum(d, k), np.sum),
    "reduce_mean": (lambda x, d, k: x.mean(d, k), np.mean),
    "reduce_max": (lambda x, d, k: x.amax(d, k), np.max),
    "reduce_min": (lambda x, d, k: x.amin(d, k), np.min),
    "reduce_prod": (lambda x, d, k: x.movedim(d, (0, 1)).flatten(0, 1).prod(0) if not k else None, np.prod),
    "reduce_l1_norm": (lambda x, d, k: x.norm(1, d, k), lambda x, **kw: np.sum(np.abs(x), **kw)),
    "reduce_l2_norm": (lambda x, d, k: x.norm(2, d, k), lambda x, **kw: np.sqrt(np.sum(x * x, **kw))),
    "reduce_sum_square": (lambda x, d, k: x.norm(2, d, k) ** 2, lambda x, **kw: np.sum(x * x, **kw)),
    "reduce_log_sum_exp": (torch.logsumexp, lambda x, **kw: special.logsumexp(x, **kw)),
}


def reductions() -> Any:
    out = []
    for op, (by_torch, by_numpy) in REDUCTIONS.items():
        for keep in [False] if op == "reduce_prod" else [False, True]:
            out.append(
                Case(
                    f"{op}-{keep}",
                    lambda mb, x, op=op, keep=keep: getattr(mb, op)(x=x, axes=[1, -1], keep_dims=keep),
                    lambda x, f=by_torch, keep=keep: f(x, (1, 3), keep),
                    lambda x, f=by_numpy, keep=keep: f(x, axis=(1, 3), keepdims=keep),
                    (X / 2,),
                )
            )
        out.append(
            Case(
                f"{op}-all",
                lambda mb, x, op=op: mb.reshape(x=getattr(mb, op)(x=x), shape=[1]),
                lambda x, f=by_torch: f(x[None], (1, 2), False),
                lambda x, f=by_numpy: np.reshape(f(x, axis=None), 1),
                (floats(3, 4),),
            )
        )
    return out


def spread_out(*shape: Any) -> Any:
    """Distinct values, so that an order has no ties."""
    return np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)


S = spread_out(3, 7, 5)


def sums(x: Any, axis: Any, exclusive: Any, reverse: Any) -> Any:
    return onnx_op("CumSum", x, np.array(axis), exclusive=exclusive, reverse=reverse)


ORDER = [
    Case("reduce-log-sum", lambda mb, x: mb.reduce_log_sum(x=x, axes=[1]), lambda x: x.sum(1).log(),
         lambda x: onnx_op("ReduceLogSum", x, np.array([1]), keepdims=0), (floats(3, 4, low=0.1),)),
    Case("reduce-mean-int", lambda mb, x: mb.reduce_mean(x=x, axes=[0]),
         lambda x: torch.trunc(x.double().mean(0)).int(),
         lambda x: np.trunc(np.mean(x, 0)).astype(np.int32), (I,)),
    Case("reduce-sum-int", lambda mb, x: mb.reduce_sum(x=x, axes=[0]), lambda x: x.sum(0).int(),
         lambda x: np.sum(x, 0), (I,)),
    Case("argmax", lambda mb, x: mb.reduce_argmax(x=x, axis=1), lambda x: x.argmax(1), lambda x: np.argmax(x, 1), (S,)),
    Case("argmin-keep", lambda mb, x: mb.reduce_argmin(x=x, axis=-1, keep_dims=True), lambda x: x.argmin(-1, True),
         lambda x: np.argmin(x, -1, keepdims=True), (S,)),
    Case("argmax-uint16", lambda mb, x: mb.reduce_argmax(x=x, axis=1, output_dtype="uint16"), lambda x: x.argmax(1),
         lambda x: np.argmax(x, 1), (S,), "iOS17"),
    Case("argsort", lambda mb, x: mb.argsort(x=x, axis=1, ascending=True), lambda x: x.argsort(1),
         lambda x: np.argsort(x, 1), (S,)),
    Case("argsort-descending", lambda mb, x: mb.argsort(x=x), lambda x: x.argsort(-1, descending=True),
         lambda x: np.argsort(-x, -1), (S,)),
    Case("topk", lambda mb, x: mb.topk(x=x, k=3, axis=1), lambda x: tuple(x.topk(3, 1)),
         lambda x: onnx_op("TopK", x, np.array([3]), axis=1, outputs=2), (S,)),
    Case("topk-smallest", lambda mb, x: mb.topk(x=x, k=2, axis=0, ascending=True),
         lambda x: tuple(x.topk(2, 0, largest=False)),
         lambda x: onnx_op("TopK", x, np.array([2]), axis=0, largest=0, outputs=2), (S,), "iOS16"),
    Case("topk-values", lambda mb, x: mb.topk(x=x, k=2, axis=1, return_indices=False), lambda x: x.topk(2, 1).values,
         lambda x: -np.sort(-x, 1)[:, :2], (S,), "iOS16"),
    Case("cumsum", lambda mb, x: mb.cumsum(x=x, axis=1), lambda x: x.cumsum(1), lambda x: sums(x, 1, 0, 0), (S,)),
    Case("cumsum-exclusive", lambda mb, x: mb.cumsum(x=x, axis=1, exclusive=True), lambda x: x.cumsum(1) - x,
         lambda x: sums(x, 1, 1, 0), (S,)),
    Case("cumsum-reverse", lambda mb, x: mb.cumsum(x=x, axis=0, exclusive=True, reverse=True),
         lambda x: x.flip(0).cumsum(0).flip(0) - x, lambda x: sums(x, 0, 1, 1), (S,)),
]  # fmt: skip

SCALES, ZEROS = np.array([0.1, 0.03, 0.5, 0.02], np.float32), np.array([3, -4, 0, 7], np.int8)


def steps(name: str, scale: Any, zero: Any, dtype: Any, axis: Any = None) -> Any:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    extra = {} if axis is None else {"axis": axis}

    def build(mb: Any, x: Any) -> Any:
        q = mb.quantize(input=x, scale=scale, zero_point=zero, output_dtype=np.dtype(dtype).name, **extra)
        return mb.dequantize(input=q, scale=scale, zero_point=zero, **extra)

    def by_torch(x: Any) -> Any:
        kind = {"low": low, "high": high}
        if axis is None:
            return torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero), kind["low"], kind["high"])
        return torch.fake_quantize_per_channel_affine(x, t(scale), t(zero).int(), axis, kind["low"], kind["high"])

    def by_onnx(x: Any) -> Any:
        q = onnx_op("QuantizeLinear", x, scale, zero, axis=axis or 0, version=19)
        return onnx_op("DequantizeLinear", q, scale, zero, axis=axis or 0, version=19)

    return Case(name, build, by_torch, by_onnx, (3 * X,), "iOS17")


QUANTIZATION = [
    steps("quantize-tensor", np.float32(0.07), np.int8(-5), np.int8),
    steps("quantize-uint8", np.float32(0.04), np.uint8(120), np.uint8),
    steps("quantize-channel", SCALES, ZEROS, np.int8, 1),
]

CASES = [*CONVOLUTION, *POOLING, *NORM, *PRODUCTS, *reductions(), *ORDER, *QUANTIZATION]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run_cases(CASES, tmp_path_factory.mktemp("layers"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_op(case: Any, results: Any) -> None:
    check(case, results[case.id])
