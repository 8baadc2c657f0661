"""Elementwise arithmetic and activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import special

from .cases import Case, check, floats, onnx_op, run_cases, whole

X, Y = floats(2, 4, 6, 3), floats(2, 4, 6, 3, seed=1)
POSITIVE, UNIT = floats(2, 4, 6, 3, low=0.1, high=3.0), floats(2, 4, 6, 3, low=-0.9, high=0.9)
ROW = floats(6, 1, seed=2)
A, B = whole(3, 4, low=-9, high=10), whole(3, 4, low=1, high=5, seed=1)
ALPHA, BETA = floats(4, seed=3, low=0.1, high=0.9), floats(4, seed=4, low=0.5, high=1.5)


def channels(v: Any) -> Any:
    return v.reshape(1, 4, 1, 1)


UNARY = [
    ("abs", torch.abs, np.abs, X),
    ("acos", torch.acos, np.arccos, UNIT),
    ("asin", torch.asin, np.arcsin, UNIT),
    ("atan", torch.atan, np.arctan, X),
    ("atanh", torch.atanh, np.arctanh, UNIT),
    ("ceil", torch.ceil, np.ceil, X),
    ("cos", torch.cos, np.cos, X),
    ("cosh", torch.cosh, np.cosh, X),
    ("erf", torch.erf, special.erf, X),
    ("exp", torch.exp, np.exp, X),
    ("exp2", torch.exp2, np.exp2, X),
    ("floor", torch.floor, np.floor, X),
    ("identity", lambda x: x, lambda x: x, X),
    ("round", torch.round, np.round, np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.4, 2.6], np.float32)),
    ("sign", torch.sign, np.sign, np.array([-2.0, 0.0, 3.0], np.float32)),
    ("sin", torch.sin, np.sin, X),
    ("sinh", torch.sinh, np.sinh, X),
    ("sqrt", torch.sqrt, np.sqrt, POSITIVE),
    ("square", torch.square, np.square, X),
    ("tan", torch.tan, np.tan, UNIT),
    ("tanh", torch.tanh, np.tanh, X),
    ("relu", torch.relu, lambda x: np.maximum(x, 0), X),
    ("relu6", F.relu6, lambda x: np.clip(x, 0, 6), 5 * X),
    ("sigmoid", torch.sigmoid, special.expit, X),
    ("silu", F.silu, lambda x: x * special.expit(x), X),
    ("softplus", F.softplus, lambda x: np.logaddexp(0, x), X),
    ("softsign", F.softsign, lambda x: x / (1 + np.abs(x)), X),
]
BINARY = [
    ("add", torch.add, np.add, (X, ROW)),
    ("sub", torch.sub, np.subtract, (X, ROW)),
    ("mul", torch.mul, np.multiply, (X, Y)),
    ("real_div", torch.div, np.divide, (X, POSITIVE)),
    ("floor_div", torch.floor_divide, np.floor_divide, (X, POSITIVE)),
    ("maximum", torch.maximum, np.maximum, (X, ROW)),
    ("minimum", torch.minimum, np.minimum, (X, Y)),
    ("mod", torch.remainder, np.mod, (X, POSITIVE)),
    ("pow", torch.pow, np.power, (POSITIVE, Y)),
    ("equal", torch.eq, np.equal, (A, B)),
    ("not_equal", torch.ne, np.not_equal, (A, B)),
    ("greater", torch.gt, np.greater, (X, Y)),
    ("greater_equal", torch.ge, np.greater_equal, (A, B)),
    ("less", torch.lt, np.less, (X, ROW)),
    ("less_equal", torch.le, np.less_equal, (A, B)),
]
INTEGER = [
    ("floor_div", torch.floor_divide, np.floor_divide),
    ("mod", torch.remainder, np.mod),
    ("add", torch.add, np.add),
    ("mul", torch.mul, np.multiply),
]
LOGICAL = [
    ("logical_and", torch.logical_and, np.logical_and),
    ("logical_or", torch.logical_or, np.logical_or),
    ("logical_xor", torch.logical_xor, np.logical_xor),
]
# op, its parameters, torch, other
PARAMETRIC = [
    ("clip", {"alpha": -0.5, "beta": 0.75}, lambda x: x.clamp(-0.5, 0.75), lambda x: np.clip(x, -0.5, 0.75)),
    ("threshold", {"alpha": 0.25}, lambda x: x.clamp(min=0.25), lambda x: np.maximum(x, 0.25)),
    ("leaky_relu", {"alpha": 0.1}, lambda x: F.leaky_relu(x, 0.1), lambda x: onnx_op("LeakyRelu", x, alpha=0.1)),
    ("elu", {"alpha": 1.5}, lambda x: F.elu(x, 1.5), lambda x: onnx_op("Elu", x, alpha=1.5)),
    (
        "clamped_relu",
        {"alpha": 0.3, "beta": 1.0},
        lambda x: F.leaky_relu(x, 0.3).clamp(max=1.0),
        lambda x: np.minimum(np.where(x >= 0, x, 0.3 * x), 1.0),
    ),
    (
        "thresholded_relu",
        {"alpha": 0.4},
        lambda x: F.threshold(x, 0.4, 0.0),
        lambda x: onnx_op("ThresholdedRelu", x, alpha=0.4),
    ),
    ("scaled_tanh", {"alpha": 1.7, "beta": 0.6}, lambda x: 1.7 * (0.6 * x).tanh(), lambda x: 1.7 * np.tanh(0.6 * x)),
    ("linear_activation", {"alpha": 2.0, "beta": -1.0}, lambda x: 2 * x - 1, lambda x: np.float32(2) * x - 1),
    (
        "sigmoid_hard",
        {"alpha": 0.2, "beta": 0.5},
        lambda x: (0.2 * x + 0.5).clamp(0, 1),
        lambda x: onnx_op("HardSigmoid", x, alpha=0.2, beta=0.5),
    ),
    (
        "prelu",
        {"alpha": ALPHA},
        lambda x: F.prelu(x, torch.tensor(ALPHA)),
        lambda x: onnx_op("PRelu", x, channels(ALPHA)),
    ),
    (
        "softplus_parametric",
        {"alpha": ALPHA, "beta": BETA},
        lambda x: torch.tensor(channels(ALPHA)) * F.softplus(x * torch.tensor(channels(BETA))),
        lambda x: channels(ALPHA) * np.logaddexp(0, x * channels(BETA)),
    ),
    ("softmax", {"axis": 1}, lambda x: x.softmax(1), lambda x: special.softmax(x, axis=1)),
    ("softmax", {"axis": -1}, lambda x: x.softmax(-1), lambda x: special.softmax(x, axis=-1)),
    ("gelu", {"mode": "EXACT"}, F.gelu, lambda x: x * special.ndtr(x)),
    (
        "gelu",
        {"mode": "TANH_APPROXIMATION"},
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    (
        "gelu",
        {"mode": "SIGMOID_APPROXIMATION"},
        lambda x: x * torch.sigmoid(1.702 * x),
        lambda x: x * special.expit(1.702 * x),
    ),
    ("log", {"epsilon": 3.0}, lambda x: (x + 3).log(), lambda x: np.log(x + 3)),
    ("inverse", {"epsilon": 3.0}, lambda x: 1 / (x + 3), lambda x: np.reciprocal(x + 3)),
    ("rsqrt", {"epsilon": 3.0}, lambda x: (x + 3).rsqrt(), lambda x: (x + 3) ** -0.5),
]


def cases() -> list[Case]:
    op: str
    t: Any
    n: Any
    out: list[Case] = []
    for op, t, n, x in UNARY:
        out.append(Case(op, lambda mb, x, op=op: getattr(mb, op)(x=x), t, n, (x,)))
    for op, t, n, pair in BINARY:
        out.append(Case(op, lambda mb, x, y, op=op: getattr(mb, op)(x=x, y=y), t, n, pair))
    for op, t, n in INTEGER:
        out.append(Case(f"{op}-int", lambda mb, x, y, op=op: getattr(mb, op)(x=x, y=y), t, n, (A, B)))

    def flags(mb: Any, op: Any, x: Any, y: Any) -> Any:
        return getattr(mb, op)(x=mb.greater(x=x, y=0.0), y=mb.greater(x=y, y=0.0))

    for op, t, n in LOGICAL:
        out.append(
            Case(
                op,
                lambda mb, x, y, op=op: flags(mb, op, x, y),
                lambda x, y, t=t: t(x > 0, y > 0),
                lambda x, y, n=n: n(x > 0, y > 0),
                (X, Y),
            )
        )
    for i, (op, parameters, t, n) in enumerate(PARAMETRIC):
        build = lambda mb, x, op=op, parameters=parameters: getattr(mb, op)(x=x, **parameters)  # noqa: E731
        out.append(Case(f"{op}-{i}", build, t, n, (X,)))
    for op, t, n in [
        ("log", torch.log, np.log),
        ("rsqrt", torch.rsqrt, lambda x: x**-0.5),
        ("inverse", lambda x: 1 / (x + 1e-4), lambda x: np.reciprocal(x + np.float32(1e-4))),
    ]:
        out.append(Case(f"{op}-default", lambda mb, x, op=op: getattr(mb, op)(x=x), t, n, (POSITIVE,)))
    return [
        *out,
        Case(
            "logical_not",
            lambda mb, x: mb.logical_not(x=mb.greater(x=x, y=0.0)),
            lambda x: ~(x > 0),
            lambda x: np.logical_not(x > 0),
            (X,),
        ),
        Case(
            "select",
            lambda mb, x, y: mb.select(cond=mb.greater(x=x, y=y), a=x, b=y),
            lambda x, y: torch.where(x > y, x, y),
            lambda x, y: np.where(x > y, x, y),
            (X, Y),
        ),
        Case(
            "cast-int",
            lambda mb, x: mb.cast(x=x, dtype="int32"),
            lambda x: x.int(),
            lambda x: np.trunc(x).astype(np.int32),
            (3 * X,),
        ),
        Case(
            "cast-bool",
            lambda mb, x: mb.cast(x=x, dtype="bool"),
            lambda x: x.bool(),
            lambda x: x != 0,
            (np.array([0.0, 0.4, -2.0], np.float32),),
        ),
        Case(
            "cast-fp16",
            lambda mb, x: mb.cast(x=mb.cast(x=x, dtype="fp16"), dtype="fp32"),
            lambda x: x.half().float(),
            lambda x: x.astype(np.float16).astype(np.float32),
            (X,),
            tolerance=0,
        ),
    ]


CASES = cases()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run_cases(CASES, tmp_path_factory.mktemp("elementwise"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_op(case: Any, results: Any) -> None:
    check(case, results[case.id])
