"""The rewrites that take a known hazard out of a program: equal numbers, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.graph import capture, rewrite, run_program
from edgekit.graph.half_simulation import Simulation

aten = torch.ops.aten


class Small(nn.Module):
    def __init__(self, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.linear, self.same = nn.Linear(8, 4), nn.Linear(8, 8)
        self.register_buffer("row", torch.linspace(-1, 1, 8))

    def forward(self, image: Tensor) -> Tensor:
        return self.function(self, image)


def rewritten(
    function: Callable[[Any, Tensor], Tensor], image: Tensor, which: str, name: str, tolerance: float = 2e-6
) -> tuple[int, list[Any]]:
    """How often the rewrite called `name` fired, and what is called afterwards; the numbers are compared."""
    torch.manual_seed(0)
    module = Small(function).eval()
    program, counts = rewrite(capture(module, image), which)
    with torch.no_grad():
        expected, actual = module(image), run_program(program, image)
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    scale = float(expected.abs().max().clamp(min=1))
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance * scale)
    return counts.get(name, 0), [node.target for node in program.graph.nodes if node.op == "call_function"]


def numbers(*size: int, spread: float = 1.0) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(1)) * spread


@pytest.mark.parametrize("which", ["coreml", "coreai"])
@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda self, x: F.softplus(x), 1),
        (lambda self, x: F.softplus(x, beta=0.3, threshold=40), 1),
        (lambda self, x: F.mish(x), 1),
        (lambda self, x: F.logsigmoid(x), 1),
        (lambda self, x: F.softplus(x, threshold=2), 0),
    ],
)
def test_softplus_is_the_same_at_both_ends(function: Any, count: int, which: str) -> None:
    image = torch.linspace(-90, 90, 181).reshape(1, 1, 181)
    fired, calls = rewritten(function, image, which, "spell_softplus")
    assert fired == count
    assert (aten.softplus.default in calls or aten.mish.default in calls) == (not count)


def test_no_value_of_softplus_leaves_half_precision() -> None:
    image = torch.linspace(-40, 40, 161).reshape(1, 1, 161)
    program, _ = rewrite(capture(nn.Sequential(nn.Softplus(), nn.Mish()), image), "coreml")
    largest = max(
        float(value.abs().max()) for value in Simulation(program).exact(image).values() if isinstance(value, Tensor)
    )
    assert largest == 40  # of the image itself, where its exponential would be 2e17


@pytest.mark.parametrize("which", ["coreml", "coreai"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_log_softmax_is_the_same_where_one_dominates(axis: int, which: str) -> None:
    fired, calls = rewritten(
        lambda self, x: F.log_softmax(x, axis), numbers(2, 5, 7, spread=60), which, "spell_log_softmax"
    )
    assert fired == 1 and aten.log_softmax.int not in calls


def test_gelu_by_tanh_stays_that_formula_in_core_ml() -> None:
    import coremltools as ct

    fired, _ = rewritten(
        lambda self, x: F.gelu(x, approximate="tanh"), numbers(2, 3, 8, 8, spread=4), "coreml", "spell_gelu"
    )
    assert fired == 1
    assert rewritten(lambda self, x: F.gelu(x), numbers(2, 3), "coreml", "spell_gelu")[0] == 0
    assert rewritten(lambda self, x: F.gelu(x, approximate="tanh"), numbers(2, 3), "coreai", "spell_gelu")[0] == 0
    program = capture(nn.GELU(approximate="tanh"), numbers(1, 3, 8, 8))
    modes = {}
    for name, own in (("as it is", program), ("rewritten", rewrite(program, "coreml")[0])):
        image = ct.TensorType(shape=(1, 3, 8, 8))
        made = ct.convert(
            own.run_decompositions({}), inputs=[image], convert_to="milinternal",
            minimum_deployment_target=ct.target.iOS16,
        )  # fmt: skip
        (gelu,) = made.functions["main"].find_ops(op_type="gelu")
        modes[name] = gelu.mode.val
    assert modes["rewritten"] == "TANH_APPROXIMATION"
    assert modes["as it is"] == "EXACT"  # once this fails, coremltools reads `approximate` and the rewrite may go


@pytest.mark.parametrize("which", ["coreml", "coreai"])
@pytest.mark.parametrize(
    ("function", "size", "count"),
    [
        (lambda self, x: F.hardswish(self.linear(x)), (3, 8), 1),
        (lambda self, x: F.hardswish(F.linear(x, self.same.weight)), (3, 8), 1),
        (lambda self, x: F.hardswish(self.linear(x)), (3, 5, 8), 0),
        (lambda self, x: F.hardswish(self.linear(x)), (8,), 0),
        (lambda self, x: (lambda y: F.hardswish(y) + y)(self.linear(x)), (3, 8), 0),
        (lambda self, x: F.hardswish(F.linear(x, x)), (3, 8), 0),
        (lambda self, x: F.relu(self.linear(x)), (3, 8), 0),
    ],
)
def test_a_linear_layer_before_hardswish_is_a_convolution(
    function: Any, size: tuple[int, ...], count: int, which: str
) -> None:
    fired, calls = rewritten(function, numbers(*size, spread=3), which, "convolve_linears")
    assert fired == count == calls.count(aten.conv2d.default)


@pytest.mark.parametrize("size", [(2, 6, 8), (2, 3, 6, 8), (2, 2, 3, 6, 8)])
def test_attention_is_turned_the_usual_way(size: tuple[int, ...]) -> None:
    def attend(self: Any, x: Tensor) -> Tensor:
        return x.mT @ torch.softmax(self.same(x) @ x.mT, -1).mT

    fired, calls = rewritten(attend, numbers(*size), "coreml", "turn_attention", 1e-5)
    assert fired == 1 and calls.count(aten.bmm.default) + calls.count(aten.matmul.default) == 2
    assert rewritten(attend, numbers(*size), "onnx", "turn_attention", 1e-5)[0] == 0


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: torch.softmax(x @ x.mT, -1) @ x,
        lambda self, x: x.mT @ torch.softmax(x @ x.mT, -1),
        lambda self, x: x.mT @ (x @ x.mT).mT,
        lambda self, x: torch.softmax(x @ x.mT, -1).mT @ x,
    ],
)
def test_other_products_stay(function: Any) -> None:
    assert rewritten(function, numbers(2, 6, 8), "coreml", "turn_attention", 1e-5)[0] == 0


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda self, x: x.amax(1) * x, 1),
        (lambda self, x: x - x.amax((0, 1)), 1),
        (lambda self, x: torch.add(x.amax(1, keepdim=True), x), 1),
        (lambda self, x: torch.maximum(x.amax((0, 1)), x), 1),
        (lambda self, x: x.amax(1, keepdim=True) / x, 0),
        (lambda self, x: x + x.amax(1, keepdim=True), 0),
        (lambda self, x: self.row * x, 0),
        (lambda self, x: x * x.amax(), 0),
        (lambda self, x: x * 2, 0),
    ],
)
def test_operands_have_one_rank_and_the_larger_is_first(function: Any, count: int) -> None:
    def with_two(self: Any, x: Tensor) -> Tensor:
        return function(self, x) * 3

    fired, _ = rewritten(with_two, numbers(2, 2, 8), "litert", "align_operands", 1e-5)
    assert fired == count
    assert rewritten(with_two, numbers(2, 2, 8), "executorch", "align_operands", 1e-5)[0] == 0


@pytest.mark.parametrize(
    ("size", "amounts", "options", "count"),
    [
        ((2, 6, 8), (0, 0, 0, 2), {}, 1),
        ((2, 6, 8), (1, 0, 2, 1, 0, 3), {"value": 1.5}, 1),
        ((2, 6, 8), (3, 1), {}, 0),
        ((1, 2, 6, 8), (0, 0, 0, 2), {}, 0),
        ((2, 6, 8), (1, 1), {"mode": "reflect"}, 0),
    ],
)
def test_outer_axes_are_padded_with_four(
    size: tuple[int, ...], amounts: tuple[int, ...], options: dict[str, Any], count: int
) -> None:
    fired, _ = rewritten(lambda self, x: F.pad(x, amounts, **options), numbers(*size), "litert", "wide_pads")
    assert fired == count
