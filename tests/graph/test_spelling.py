"""What is spelled out computes what it did, for every set of rewrites; what cannot be is left alone or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UnsupportedOpError
from edgekit.graph import capture, prepare, rewrite
from tests.targets.op_rows import ROWS

aten = torch.ops.aten
SETS = ("coreml", "executorch", "onnx")
GROUPS = sorted({name.partition(":")[0] for name in ROWS})
# Operators that some target lacks or gets wrong; none may be left of what the rows call.
SPELLED = {
    "as_strided",
    "unfold",
    "im2col",
    "col2im",
    "addbmm",
    "addmv",
    "lerp",
    "view_as_complex",
    "view_as_real",
    "polar",
    "_upsample_bicubic2d_aa",
    "_upsample_bilinear2d_aa",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "cdist",
}


class Rows(nn.Module):
    def __init__(self, ops: list[Callable[[Tensor], Tensor]]) -> None:
        super().__init__()
        self.ops = ops

    def forward(self, x: Tensor) -> list[Tensor]:
        return [op(x) for op in self.ops]


def example() -> Tensor:
    return 2 * torch.rand(1, 4, 12, 10, generator=torch.Generator().manual_seed(0)) - 1


def called(program: torch.export.ExportedProgram) -> list[str]:
    return [
        node.target._schema.name.removeprefix("aten::")
        for node in program.graph.nodes
        if node.op == "call_function" and hasattr(node.target, "_schema")
    ]


@pytest.mark.parametrize("group", GROUPS)
def test_every_row_computes_the_same_before_and_after(group: str) -> None:
    names = [name for name in ROWS if name.startswith(f"{group}:") and name not in UNREADABLE]
    module, x = Rows([ROWS[name] for name in names]), example()
    program = capture(module, x)
    with torch.no_grad():
        expected = module(x)
        for rewrites in SETS:
            new, _ = rewrite(program, rewrites)
            for name, found, wanted in zip(names, new.module()(x), expected, strict=True):
                assert torch.allclose(found, wanted, rtol=2e-5, atol=2e-5, equal_nan=True), (name, rewrites)
            assert not SPELLED & set(called(new))


# Complex operators that are refused before lowering.
UNREADABLE = {"complex: real fft", "complex: fft filter", "complex: fft mixing"}


def spelled(function: Callable[[Tensor], Tensor], x: Tensor) -> list[str]:
    """The operators of the prepared program; the numbers are compared on the way."""
    module = Rows([function])
    program, _ = prepare(capture(module, x))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x)[0], function(x), rtol=1e-5, atol=1e-5)
    return called(program)


def test_an_alpha_of_one_costs_nothing() -> None:
    assert spelled(lambda x: torch.add(x, x.sigmoid()), example()) == ["sigmoid", "add"]


@pytest.mark.parametrize("counted", [True, False])
def test_an_average_that_every_runtime_has_stays_one_operator(counted: bool) -> None:
    # Spelled out, EfficientFormer is 6 % slower in ONNX Runtime.
    assert spelled(lambda x: F.avg_pool2d(x, 3, 1, 1, False, counted), example()) == ["avg_pool2d"]


def test_as_strided_of_a_part_reads_the_whole_that_it_is_a_part_of() -> None:
    assert "as_strided" not in spelled(lambda x: (x * 2)[:, 1:].as_strided((3, 4), (10, 2), 130), example())


def test_as_strided_of_turned_axes_reads_memory_in_its_order() -> None:
    assert "as_strided" not in spelled(lambda x: (x * 2).transpose(1, 3).as_strided((5, 7), (11, 2), 3), example())


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dilation", [1, 2])
def test_folds_of_every_geometry(kernel: int, stride: int, padding: int, dilation: int) -> None:
    def round_trip(x: Tensor) -> Tensor:
        windows = F.unfold(x, kernel, dilation, padding, stride)
        return F.fold(windows.relu(), (12, 10), kernel, dilation, padding, stride)

    assert not {"im2col", "col2im"} & set(spelled(round_trip, example()))


@pytest.mark.parametrize("size", [(1, 1), (12, 10), (6, 5), (5, 3), (13, 21), (1, 7)])
def test_adaptive_pooling_to_any_grid(size: tuple[int, int]) -> None:
    names = spelled(lambda x: F.adaptive_avg_pool2d(x, size) + F.adaptive_max_pool2d(x, size), example())
    assert "adaptive_max_pool2d" not in names
    assert ("adaptive_avg_pool2d" in names) == (size == (1, 1))


def test_an_antialiased_resize_of_a_dynamic_batch_is_spelled_out() -> None:
    module = Rows([lambda x: F.interpolate(x, size=(5, 7), mode="bicubic", antialias=True)])
    program, counts = rewrite(capture(module, example(), dynamic_batch=True), "onnx")
    assert counts["spell_antialiased"] == 1
    x = torch.cat([example(), example().flip(2), -example()])
    torch.testing.assert_close(program.module()(x)[0], module(x)[0], rtol=1e-5, atol=1e-5)


def test_scattered_means_of_a_dynamic_batch_are_spelled_out() -> None:
    module = Rows([lambda x: x.scatter_reduce(2, (x.sigmoid() * 11).long(), x.tanh(), "mean")])
    program, counts = rewrite(capture(module, example(), dynamic_batch=True), "onnx")
    assert counts["spell_scattered_means"] == 1
    x = torch.cat([example(), example().flip(2), -example()])
    torch.testing.assert_close(program.module()(x)[0], module(x)[0], rtol=1e-5, atol=1e-5)


def test_what_complex_numbers_cannot_do_is_refused_with_its_name_and_module() -> None:
    class Exponential(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.complex(x, x).exp().real

    with pytest.raises(UnsupportedOpError, match=r"complex numbers.*aten\.exp\.default.* used in (module\.)?1\b"):
        prepare(capture(nn.Sequential(nn.Identity(), Exponential()), example()))
