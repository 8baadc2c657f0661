"""In-place calls on whatever shares memory with whatever keep their meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn import functional as F

from edgekit.errors import ModelError
from edgekit.graph import capture, rewrite
from edgekit.graph.functionalize import has_hazards
from tests.graph.test_arguments import run

aten = torch.ops.aten


class Steps(nn.Module):
    def __init__(self, steps: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.steps, self.fc = steps, nn.Linear(4, 4)
        self.register_buffer("table", torch.randn(4, 4))
        self.plain = torch.ones(4)

    def forward(self, image: Tensor) -> Tensor:
        return self.steps(self, image)


def check(steps: Callable[[Any, Tensor], Any]) -> tuple[ExportedProgram, ExportedProgram]:
    """(program, rewritten) of a module that reads [4,4]; their numbers are compared."""
    module, image = Steps(steps).eval(), torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    program = capture(module, image)
    new, _ = rewrite(program, "onnx")
    assert not any(node.target._schema.is_mutable for node in new.graph.nodes if hasattr(node.target, "_schema"))
    with torch.no_grad():
        expected = module(image.clone())
    (actual,) = run(new, [image.clone()])
    assert actual.dtype == expected.dtype
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    return program, new


def _set(tensor: Tensor, index: Any, value: Any) -> Tensor:
    tensor[index] = value
    return tensor


def _then(_: Any, result: Tensor) -> Tensor:
    return result


def _whole(view: Callable[[Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """Steps that change a view of a tensor and read the tensor."""

    def steps(self: Any, image: Tensor) -> Tensor:
        whole = self.fc(image)
        view(whole).mul_(3.0)
        return whole

    return steps


HAZARDS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "chunk": _whole(lambda whole: whole.chunk(2, 1)[1]),
    "split": _whole(lambda whole: whole.split([1, 3])[1]),
    "movedim": _whole(lambda whole: whole.movedim(0, 1)[0]),
    "swapaxes": _whole(lambda whole: whole.swapaxes(0, 1)[:2]),
    "unbind": _whole(lambda whole: whole.unbind(1)[2]),
    "diagonal": _whole(lambda whole: whole.diagonal(1)),
    "unfold": _whole(lambda whole: whole.unfold(0, 2, 2)[1]),
    "as_strided": _whole(lambda whole: whole.as_strided((2, 2), (5, 1), 3)),
    "hsplit": _whole(lambda whole: torch.hsplit(whole, 2)[0]),
    "view_as_complex": _whole(lambda whole: torch.view_as_real(torch.view_as_complex(whole.view(4, 2, 2)))[..., 0]),
    "einsum of one operand": _whole(lambda whole: torch.einsum("ij->ji", whole)[1]),
    "meshgrid": _whole(lambda whole: torch.meshgrid(whole[0], whole[1], indexing="ij")[0].select(1, 0)),
    "type_as": _whole(lambda whole: whole.type_as(whole)[1:]),
    "to, which copies nothing": _whole(lambda whole: whole.to(torch.float32)[0]),
    "dropout": _whole(lambda whole: F.dropout(whole, 0.5, training=False)[1:]),
    "contiguous": _whole(lambda whole: whole.contiguous().flatten()[3:9]),
    "strides of two": lambda self, x: _set(self.fc(x), (slice(None), slice(0, 4, 2)), x[:, :2]),
    "a slice": lambda self, x: _set(self.fc(x), (slice(1, 3), slice(2, None)), 7.0),
    "a row": lambda self, x: _set(self.fc(x), -1, x[0]),
    "another type": lambda self, x: _set(self.fc(x), 0, torch.arange(4)),
    "out": lambda self, x: (lambda y: _then(torch.add(y, 1, out=y), y))(self.fc(x)),
    "a value that was read": lambda self, x: (lambda y: (lambda z: y.relu_() + z)(y * 2))(self.fc(x)),
    "a view made before": lambda self, x: (lambda y: (lambda z: _then(y.add_(1), z * y[1]))(y[0]))(self.fc(x)),
    "promotion": lambda self, x: self.fc(x).add_(torch.ones(4, dtype=torch.float64)) * 2,
    "a comparison": lambda self, x: self.fc(x).gt_(0.1) * 2,
    "the image": lambda self, x: _then(x[1:].sub_(1.0), self.fc(x)),
    "a tensor made here": lambda self, x: x + _set(torch.zeros(4, 4), (slice(1, 3), 2), 5.0),
}


@pytest.mark.parametrize("name", HAZARDS)
def test_a_change_that_others_see_is_theirs_too(name: str) -> None:
    program, _ = check(HAZARDS[name])
    assert has_hazards(program) or name == "the image"  # whoever runs the program keeps their own


@pytest.mark.parametrize(
    "steps",
    [
        lambda self, x: F.relu_(self.fc(x)) * 2,
        lambda self, x: F.dropout(self.fc(x), 0.5, training=False).relu_(),
        lambda self, x: self.fc(x).view(2, 8).mul_(2.0).add_(1.0),
        lambda self, x: self.fc(x).chunk(2)[0].sigmoid_(),
        lambda self, x: F.hardswish(self.fc(x), inplace=True).t().clamp_(0.1),
        # Their twins go by other names, or one of that name takes its arguments in another order.
        lambda self, x: self.fc(x).pow_(2).add_(1e-3).sqrt_(),
        lambda self, x: self.fc(x).abs_().pow_(x.abs()),
        lambda self, x: self.fc(x).mul_(9).floor_divide_(x.abs() + 0.3),
    ],
)
def test_a_change_that_nobody_else_sees_needs_no_decomposition(steps: Callable[[Any, Tensor], Tensor]) -> None:
    program, _ = check(steps)
    assert not has_hazards(program)


def test_a_changed_constant_is_refused_in_one_line() -> None:
    module = Steps(lambda self, x: _then(self.plain[:2].add_(1), x + self.plain)).eval()
    with pytest.raises(ModelError, match=r"keeps state from one image to the next \(plain\)"):
        capture(module, torch.randn(4, 4))
    program = torch.export.export(module, (torch.randn(4, 4),))
    with pytest.raises(ModelError, match=r"changes a tensor in place that must stay as it is, in .*plain") as caught:
        rewrite(program, "onnx")
    assert "\n" not in str(caught.value)


def _window_mask(self: Any, image: Tensor) -> Tensor:
    """A mask as Swin-like models build it in forward: regions numbered in place, windows cut, differences taken."""
    regions, count = torch.zeros(1, 4, 4, 1), 0
    parts = (slice(0, -2), slice(-2, -1), slice(-1, None))
    for rows in parts:
        for columns in parts:
            regions[:, rows, columns, :] = count
            count += 1
    windows = regions.view(1, 2, 2, 2, 2, 1).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 4)
    apart = windows.unsqueeze(1) - windows.unsqueeze(2)
    return self.fc(image) + apart.masked_fill(apart != 0, -100.0).masked_fill(apart == 0, 0.0)[1]


@pytest.mark.parametrize(
    "steps",
    [
        _window_mask,
        lambda self, x: self.fc(x).permute(1, 0).contiguous().view(2, 8),
        lambda self, x: self.fc(x).t().clone().as_strided((2, 3), (4, 2), 1),
        lambda self, x: self.fc(x).t().as_strided((2, 3), (4, 2), 1),
        lambda self, x: self.fc(x)[1:].as_strided((2, 3), (4, 1)),
        lambda self, x: torch.view_as_real(torch.view_as_complex(self.fc(x).view(4, 2, 2).mT.contiguous()) * 1j),
        lambda self, x: self.fc(x).t().contiguous().view(torch.int32).float(),
    ],
)
def test_what_depends_on_strides_keeps_its_meaning(steps: Callable[[Any, Tensor], Tensor]) -> None:
    check(steps)


def test_copies_go_where_the_batch_is_dynamic() -> None:
    module = Steps(lambda self, x: self.fc(x.unflatten(1, (2, 2)).mT.contiguous().view(x.shape[0], 4))).eval()
    new, _ = rewrite(capture(module, torch.randn(2, 4), dynamic_batch=True), "onnx")
    for batch in (1, 3):
        image = torch.randn(batch, 4)
        with torch.no_grad():
            torch.testing.assert_close(new.module()(image), module(image))


def test_a_batch_norm_next_to_a_hazard_still_folds() -> None:
    norm = nn.BatchNorm2d(4).eval()
    assert norm.running_mean is not None
    norm.running_mean.normal_()

    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), norm

        def forward(self, image: Tensor) -> Tensor:
            features = self.norm(self.conv(image))
            features.chunk(2, 1)[0].relu_()
            return features

    module, image = Halves().eval(), torch.randn(1, 3, 6, 6)
    new, counts = rewrite(capture(module, image), "onnx")
    assert counts["fold_batch_norm"] == 1 and not any("batch_norm" in str(node.target) for node in new.graph.nodes)
    with torch.no_grad():
        torch.testing.assert_close(run(new, [image])[0], module(image), rtol=1e-5, atol=1e-5)


VIEWS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda t: t,
    lambda t: t.flatten(),
    lambda t: t.transpose(0, -1),
    lambda t: t[1:],
    lambda t: t[..., ::2],
    lambda t: t.chunk(2, -1)[0],
    lambda t: t.unbind(0)[-1] if t.dim() > 1 else t,
    lambda t: t.unsqueeze(0).movedim(0, -1),
    lambda t: t.diagonal() if t.dim() == 2 else t,
    lambda t: t.reshape(-1),
    lambda t: t.contiguous(),
    lambda t: F.dropout(t, 0.5, training=False),
)
CHANGES: tuple[Callable[[Tensor], Any], ...] = (
    lambda t: t.mul_(1.5),
    lambda t: t.add_(t, alpha=0.5),
    lambda t: t.relu_(),
    lambda t: t.fill_(0.25),
    lambda t: t.copy_(t * 2 - 1),
    lambda t: t.clamp_(-0.5, 0.5),
    lambda t: torch.neg(t, out=t),
)


@settings(max_examples=8, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(VIEWS), st.none() | st.sampled_from(CHANGES)),
        min_size=1,
        max_size=6,
    )
)
def test_any_sequence_of_views_and_changes_keeps_its_meaning(
    moves: list[tuple[int, Callable[[Tensor], Tensor], Callable[[Tensor], Any] | None]],
) -> None:
    def steps(self: Any, image: Tensor) -> Tensor:
        tensors = [self.fc(image), image * 2]
        for source, view, change in moves:
            tensors.append(view(tensors[source % len(tensors)]))
            if change is not None and tensors[-1].numel():
                change(tensors[-1])
        return torch.cat([tensor.flatten() for tensor in tensors])

    check(steps)
