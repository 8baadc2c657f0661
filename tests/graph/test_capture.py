"""Habits of training code are captured as what they mean, or refused with the user's own line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from edgekit.errors import ModelError
from edgekit.graph import capture, rewrite
from edgekit.graph.eager import plain
from edgekit.graph.reparameterize import reparameterize
from tests.graph.habits import asserts, asserts_twice, raises

Forward = Callable[[Any, Tensor], Tensor]
_SWITCH = Callable[[], AbstractContextManager[Any]]


class Core(nn.Module):
    """A small network with places for state; how it runs is `body(self, image)`."""

    def __init__(self, body: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.mix = nn.Linear(8, 8)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("last", torch.zeros(8))
        self.kept: dict[str, Tensor] = {}
        self.seen: list[Tensor] = []
        self.cache: Tensor | None = None
        self.count = 0
        self.body = body

    def stem(self, image: Tensor) -> Tensor:
        return self.conv(image).mean((2, 3))

    def forward(self, image: Tensor) -> Tensor:
        return self.body(self, image)


def pixels(batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, 16, 16, generator=torch.Generator().manual_seed(7))


def within(switch: _SWITCH) -> Forward:
    def body(self: Any, image: Tensor) -> Tensor:
        with switch():
            found = self.mix(self.stem(image))
        return found.float() * 2

    return body


def counts(self: Any, image: Tensor) -> Tensor:
    self.calls += 1
    return self.stem(image)


def counts_anew(self: Any, image: Tensor) -> Tensor:
    self.calls = self.calls + 1
    return self.stem(image)


def overwrites(self: Any, image: Tensor) -> Tensor:
    self.last.copy_(self.stem(image)[0])
    return self.mix(self.stem(image) + self.last)


def averages(self: Any, image: Tensor) -> Tensor:
    found = self.stem(image)
    self.last.mul_(0.9).add_(found[0], alpha=0.1)
    return found


def keeps(self: Any, image: Tensor) -> Tensor:
    self.kept["middle"] = self.stem(image)
    self.cache = self.kept["middle"]
    self.seen.append(self.cache)
    self.count += 1
    return self.mix(self.cache)


def caches(self: Any, image: Tensor) -> Tensor:
    if self.cache is None:
        self.cache = torch.linspace(0, 1, 8)
    return self.stem(image) + self.cache


@functools.lru_cache
def table(count: int) -> Tensor:
    return torch.arange(float(count))


def remembers(self: Any, image: Tensor) -> Tensor:
    return self.stem(image) * table(8)


def checkpoints(self: Any, image: Tensor) -> Tensor:
    return self.mix(checkpoint(self.stem, image, use_reentrant=False))


def hides(self: Any, image: Tensor) -> Tensor:
    return self.mix(self.stem(image.data).data)


def prints(self: Any, image: Tensor) -> Tensor:
    found = self.stem(image)
    print("mean", float(found.mean()))
    return found


def maps(self: Any, image: Tensor) -> Tensor:
    return torch.vmap(lambda one: self.conv(one[None])[0].mean((1, 2)))(image)


def by_numpy(self: Any, image: Tensor) -> Tensor:
    return torch.from_numpy(self.stem(image).numpy() * 2)


@torch.compile
def doubled(value: Tensor) -> Tensor:
    return 2 * value


def compiles(self: Any, image: Tensor) -> Tensor:
    return doubled(self.stem(image))


HARMLESS: dict[str, Forward] = {
    "autocast off": within(lambda: torch.autocast("cpu", enabled=False)),
    "autocast": within(lambda: torch.autocast("cpu", dtype=torch.bfloat16)),
    "autocast of another device": within(lambda: torch.autocast("cuda", dtype=torch.float16)),
    "no_grad": within(torch.no_grad),
    "enable_grad": within(torch.enable_grad),
    "inference_mode": within(torch.inference_mode),
    **{
        body.__name__: body
        for body in (
            *(counts, counts_anew, overwrites, averages, keeps, caches, remembers, checkpoints, hides, prints, maps),
            *(by_numpy, compiles, asserts, asserts_twice, raises),
        )
    },
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_habit_that_means_nothing_leaves_nothing(name: str) -> None:
    module = Core(HARMLESS[name]).eval()
    state = {key: value.clone() for key, value in module.state_dict().items()}
    program = capture(module, pixels())
    assert {str(spec.kind.name) for spec in program.graph_signature.output_specs} == {"USER_OUTPUT"}
    assert not [node for node in program.graph.nodes if node.op == "get_attr"]
    rewritten, _ = rewrite(program, "onnx")
    image = torch.randn(1, 3, 16, 16)
    with plain():
        expected = module(image)
    for one in (program, rewritten):
        torch.testing.assert_close(one.module()(image), expected, rtol=1e-5, atol=1e-5)
    if name not in ("counts", "counts_anew", "overwrites", "averages"):
        assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def test_capture_leaves_the_module_as_it_was() -> None:
    module = Core(lambda self, image: keeps(self, counts_anew(self, image)[:, :3, None, None] + image)).train()
    capture(module, pixels())
    assert (module.training, module.count, module.kept, module.seen, module.cache) == (True, 0, {}, [], None)
    assert int(module.get_buffer("calls")) == 0
    assert module.conv.weight.requires_grad


def times_calls(self: Any, image: Tensor) -> Tensor:
    self.calls += 1
    return self.stem(image) * self.calls


def after_average(self: Any, image: Tensor) -> Tensor:
    self.last.lerp_(self.stem(image)[0], 0.5)
    return self.stem(image) - self.last


def times_count(self: Any, image: Tensor) -> Tensor:
    self.count += 1
    return self.stem(image) * self.count


def hardly_depends(self: Any, image: Tensor) -> Tensor:
    self.calls += 1
    return self.stem(image) * torch.where(self.calls > 1000, 2.0, 1.0)


def branches(self: Any, image: Tensor) -> Tensor:
    found = self.stem(image)
    return found if found.sum() > 0 else -found


def reads(self: Any, image: Tensor) -> Tensor:
    return self.stem(image) * self.stem(image).max().item()


def drops(self: Any, image: Tensor) -> Tensor:
    return F.dropout(self.stem(image), 0.1)


def noisy(self: Any, image: Tensor) -> Tensor:
    return self.stem(image) + image.new_empty(1, 8).bernoulli_(0.5)


def selects(self: Any, image: Tensor) -> Tensor:
    found = self.stem(image)
    return found[found > 0][None]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (times_calls, r"again.*\(calls\).*constant"),
        (after_average, r"again.*\(last\)"),
        (times_count, r"again.*\(count\)"),
        (hardly_depends, r"buffer 'calls' of Core"),
        (branches, r"in Core at .*test_capture\.py:\d+ `return found if found.sum\(\) > 0.*torch\.where"),
        (reads, r"Python number.*in Core at .*test_capture\.py:\d+ `"),
        (selects, r"boolean index.*test_capture\.py:\d+ `"),
        (drops, r"random numbers.*test_capture\.py:\d+ `"),
        (noisy, r"random numbers.*test_capture\.py:\d+ "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_function_of_the_image_is_refused_with_its_line(body: Forward, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        capture(Core(body), pixels())
    assert "\n" not in str(caught.value)
    assert not any(word in str(caught.value) for word in ("TORCH_LOGS", "site-packages", "eval mode:"))


def test_batch_norm_of_the_batch_is_refused_and_of_weights_or_instances_is_not() -> None:
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    with pytest.raises(ModelError, match=r"BatchNorm2d \(1\).*test_capture|BatchNorm.*BatchNorm2d \(1\)"):
        capture(nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.AdaptiveAvgPool2d(1), nn.Flatten()), pixels())
    capture(nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8), nn.AdaptiveMaxPool2d(1), nn.Flatten()), pixels())


class Settings(nn.Module):
    """Constants of all kinds, read into Python in forward."""

    def __init__(self, body: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.power = nn.Parameter(torch.tensor(3.0))
        self.per_channel = nn.Parameter(torch.arange(1.0, 9.0))
        self.register_buffer("ready", torch.tensor(True))
        self.register_buffer("initialized", torch.tensor(1, dtype=torch.uint8))
        self.register_buffer("n", torch.tensor(3))
        self.register_buffer("sizes", torch.tensor([4, 6]))
        self.register_buffer("keep", torch.arange(8) % 3 == 0)
        self.register_buffer("std", torch.tensor([0.2, 0.3, 0.4]))
        self.attribute = torch.tensor(2.0)
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        return self.body(self, image)


def normalizes(self: Any, image: Tensor) -> Tensor:
    from torchvision.transforms.v2.functional import normalize

    return self.conv(normalize(image, [0.5, 0.5, 0.5], [0.2, 0.3, 0.4]))


def normalizes_by_buffers(self: Any, image: Tensor) -> Tensor:
    if (self.std == 0).any():
        raise ValueError("std")
    return self.conv(image / self.std.view(-1, 1, 1))


def resizes(self: Any, image: Tensor) -> Tensor:
    height, width = self.sizes
    return F.interpolate(self.conv(image), (int(height), int(width)))


def of_places(self: Any, image: Tensor) -> Tensor:
    return self.conv(image)[:, self.keep.nonzero().flatten()]


def made_here(self: Any, image: Tensor) -> Tensor:
    counts = torch.zeros(4, dtype=torch.long)
    counts[1] = 5
    counts[1:] += self.n
    return self.conv(image)[:, : counts.max()]


def is_ready(self: Any, image: Tensor) -> Tensor:
    return self.conv(image) if self.ready else self.conv(image) * 0


def is_initialized(self: Any, image: Tensor) -> Tensor:
    if self.initialized.item() == 0:
        self.per_channel.data.copy_(self.conv(image).mean((0, 2, 3)))
        self.initialized.fill_(1)
    return self.conv(image) * self.per_channel[:, None, None]


def says(read: Callable[[Any, Tensor], Tensor]) -> Forward:
    return lambda self, image: read(self, self.conv(image))


READ: dict[str, Forward] = {
    **{body.__name__: body for body in (normalizes, normalizes_by_buffers, resizes, of_places, made_here)},
    **{body.__name__: body for body in (is_ready, is_initialized)},
    "compared": says(lambda self, found: found * 2 if self.n > 2 else found),
    "gem": says(lambda self, found: F.avg_pool2d(found.clamp(min=1e-6).pow(self.power.item()), 8) ** (1 / self.power)),
    "power": says(lambda self, found: found.abs() ** float(self.power.detach())),
    "rolled": says(lambda self, found: found.roll(int(self.n), 1)),
    "sliced": says(lambda self, found: found[:, : self.n]),
    "masked": says(lambda self, found: found[:, self.keep]),
    "masked after": says(lambda self, found: found[:, ~self.keep & (self.per_channel > 2)]),
    "range": says(lambda self, found: torch.stack([found[:, place] for place in range(self.n)], 1)),
    "list": says(lambda self, found: found.flatten(1)[:, self.sizes.tolist()]),
    "attribute": says(lambda self, found: found * self.attribute.item()),
    "rolled by a tensor": says(lambda self, found: found.roll(self.n, 1)),
    "sizes of tensors": says(lambda self, found: F.adaptive_avg_pool2d(found, tuple(self.sizes))),
    "padded by a tensor": says(lambda self, found: F.pad(found, (0, self.n - 1))),
    "made of a tensor's size": says(lambda self, found: found[:, torch.arange(self.n)]),
    "where": says(lambda self, found: found.index_select(1, torch.where(self.keep)[0])),
    "numpy": says(lambda self, found: found * float(self.sizes.numpy().sum())),
    "derived": says(lambda self, found: found * (self.per_channel.exp().sum() / self.n).item()),
}


@pytest.mark.parametrize("dynamic_batch", [False, True])
@pytest.mark.parametrize("name", READ)
def test_a_constant_that_is_read_is_what_is_in_it(name: str, dynamic_batch: bool) -> None:
    module = Settings(READ[name]).eval()
    program = capture(module, pixels(), dynamic_batch=dynamic_batch)
    assert not any("item" in str(node.target) for node in program.graph.nodes)
    image = pixels(3 if dynamic_batch else 1)
    torch.testing.assert_close(program.module()(image), module(image).detach())


def once_written(self: Any, image: Tensor) -> Tensor:
    found = self.stem(image)
    counted = found * 2 if self.calls > 1000 else found
    self.calls += 1
    return counted


def written_through_a_view(self: Any, image: Tensor) -> Tensor:
    found, kept = self.stem(image), torch.zeros(8)
    kept[2:].copy_(found[0, 2:])
    return found if kept.sum() > 0 else -found


def written_in_another_shape(self: Any, image: Tensor) -> Tensor:
    found, kept = self.stem(image), torch.zeros(8)
    kept.view_as(found).copy_(found)
    return found if kept.sum() > 0 else -found


def sized_by_what_was_written(self: Any, image: Tensor) -> Tensor:
    found, size = self.stem(image), torch.ones((), dtype=torch.long)
    size.view(1).copy_(found[0, :1].abs() * 100)
    return found.roll(size, 1)


def kept_anew(self: Any, image: Tensor) -> Tensor:
    self.last = self.stem(image)[0]
    return self.stem(image) * (2 if self.last.sum() > 0 else 1)


def random_branch(self: Any, image: Tensor) -> Tensor:
    return self.stem(image) * (2 if torch.rand(()) > 0.5 else 1)


def by_batch(self: Any, image: Tensor) -> Tensor:
    return self.stem(image) * (2 if torch.ones(image.shape[0]).sum() > 4 else 1)


def raises_else(self: Any, image: Tensor) -> Tensor:
    found = self.stem(image)
    if found.sum() > 1e9:
        raise ValueError("large")
    elif found.sum() > 0:
        found = -found
    return found


def raises_and_catches(self: Any, image: Tensor) -> Tensor:
    found = self.stem(image)
    try:
        if found.sum() > 0:
            raise ValueError("positive")
    except ValueError:
        found = -found
    return found


def through_python(self: Any, image: Tensor) -> Tensor:
    size = torch.tensor(self.stem(image).sum().item())
    return self.stem(image) * (2 if size > 0 else 1)


@pytest.mark.parametrize(
    "body",
    [
        *(
            once_written,
            written_through_a_view,
            written_in_another_shape,
            sized_by_what_was_written,
            kept_anew,
            random_branch,
            by_batch,
        ),
        *(through_python, raises_else, raises_and_catches),
    ],
)
def test_a_value_that_is_no_constant_is_not_read(body: Forward) -> None:
    with pytest.raises(ModelError, match=r"Core at .*test_capture\.py:\d+|`dynamic_batch`"):
        capture(Core(body), pixels(), dynamic_batch=body is by_batch)


class Hooked(nn.Module):
    """Takes a middle layer's output with a hook that holds `self`."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 4, 1))
        self.kept: dict[str, Tensor] = {}
        self.net[1].register_forward_hook(lambda _module, _inputs, output: self.kept.update(middle=output))

    def forward(self, image: Tensor) -> Tensor:
        self.net(image)
        return self.kept["middle"].mean((2, 3))


class Bound(nn.Module):
    """Calls a method of its own that was put in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(3, 4)
        self.offset = torch.zeros(4)
        self.steps = [lambda image: self.mix(image.mean((2, 3))) + self.offset]

    def forward(self, image: Tensor) -> Tensor:
        self.offset = image[:, 0, 0, :4].detach()
        return self.steps[0](image)


@pytest.mark.parametrize("kind", [Hooked, Bound])
@pytest.mark.parametrize("used", [False, True])
def test_a_module_that_no_copy_stands_for_is_traced_itself(kind: type[nn.Module], used: bool) -> None:
    module = kind().train()
    if used:
        module(pixels())
    program = capture(module, pixels())
    image = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(program.module()(image), module(image).detach())
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_weights_that_are_computed_from_others_are_captured() -> None:
    linears = parametrizations.orthogonal(nn.Linear(8, 8)), parametrizations.weight_norm(nn.Linear(8, 8))
    module = nn.Sequential(
        parametrizations.spectral_norm(nn.Conv2d(3, 8, 3)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *linears
    ).eval()
    image = torch.randn(1, 3, 16, 16)
    rewritten, _ = rewrite(capture(module, pixels()), "onnx")
    torch.testing.assert_close(rewritten.module()(image), module(image).detach(), rtol=1e-5, atol=1e-5)


def windows(self: Any, image: Tensor) -> Tensor:
    found = self.conv(image).flatten(2).transpose(1, 2).reshape(-1, 16, 8)
    batch = int(found.shape[0] / 4.0)
    return found.view(batch, -1, 8).mean(1)


def of_two(self: Any, image: Tensor) -> Tensor:
    return self.stem(image).reshape(2, -1)


def adds_two(self: Any, image: Tensor) -> Tensor:
    return self.stem(image) + torch.zeros(2, 8)


@pytest.mark.parametrize("body", [windows, of_two, adds_two])
def test_a_batch_that_is_fixed_is_told_with_its_line(body: Forward) -> None:
    with pytest.raises(
        ModelError, match=r"`dynamic_batch`.*in Core at .*test_capture\.py:\d+ `.*`; let that"
    ) as caught:
        capture(Core(body), pixels(), dynamic_batch=True)
    assert "\n" not in str(caught.value)
    assert "TORCH_LOGS" not in str(caught.value)


def test_a_batch_that_is_not_fixed_stays_free() -> None:
    program = capture(Core(counts), pixels(), dynamic_batch=True)
    module = Core(counts)
    for batch in (1, 2, 5):
        torch.testing.assert_close(program.module()(pixels(batch)), module(pixels(batch)).detach())


class Fusable(nn.Module):
    """Two branches that add up; `switch_to_deploy` merges them, rightly or wrongly."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)
        self.wrong = wrong

    def forward(self, image: Tensor) -> Tensor:
        return self.one(image) + self.other(image) if hasattr(self, "other") else self.one(image)

    def switch_to_deploy(self) -> None:
        if self.wrong == "raises":
            raise RuntimeError("not now")
        self.one.weight.data += self.other.weight.data
        if not self.wrong:
            assert self.one.bias is not None and self.other.bias is not None
            self.one.bias.data += self.other.bias.data
        del self.other


class Named(nn.Module):
    """`fuse` is a layer, `reparameterize` wants an argument."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse = nn.Conv2d(3, 8, 1)

    def reparameterize(self, gate: Tensor) -> Tensor:
        return torch.sigmoid(gate)

    def forward(self, image: Tensor) -> Tensor:
        return self.reparameterize(self.fuse(image))


class Strange(Fusable):
    """Anybody's `fuse` is left alone."""

    switch_to_deploy = None  # type: ignore[assignment]

    def fuse(self) -> None:
        raise AssertionError("called")


@pytest.mark.parametrize(
    ("part", "left", "convolutions"),
    [
        (Fusable(), [], 1),
        (Fusable("forgets the bias"), ["Fusable"], 2),
        (Fusable("raises"), ["Fusable"], 2),
        (Named(), [], 1),
        (Strange(), [], 2),
    ],
)
def test_branches_are_merged_where_that_changes_nothing(part: nn.Module, left: list[str], convolutions: int) -> None:
    module = nn.Sequential(nn.Sequential(part), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval().requires_grad_(False)
    notes: list[str] = []
    program = capture(module, pixels(), note=notes.append)
    assert sum("conv2d" in str(node.target) for node in program.graph.nodes) == convolutions
    assert [name for name in ("Fusable",) if any(name in line for line in notes)] == left
    image = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(program.module()(image), module(image), rtol=1e-4, atol=1e-5)


def test_timm_s_own_branches_are_merged() -> None:
    import timm

    torch.manual_seed(0)
    module = timm.create_model("repvit_m0_9", num_classes=0).eval().requires_grad_(False)
    image = torch.rand(1, 3, 32, 32)
    expected = module(image)
    before = sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    merged, left = reparameterize(module, image)
    assert not left
    assert sum(isinstance(part, nn.BatchNorm2d) for part in merged.modules()) < before / 4
    torch.testing.assert_close(merged(image), expected, rtol=1e-3, atol=1e-4)
