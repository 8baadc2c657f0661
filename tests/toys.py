"""Small models and factories that tests export through the same door as a user's: `tests.toys:name`."""

from __future__ import annotations

import argparse
import sys

import torch
from torch import Tensor, nn


class Tower(nn.Module):
    """A padded and a depthwise convolution, one head of attention, mean pooling: [N,3,H,W] to [N,width]."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=4, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.depthwise = nn.Conv2d(width, width, 7, stride=2, padding=3, groups=width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.last = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        features = nn.functional.silu(self.norm(self.stem(image)))
        tokens = self.depthwise(features).flatten(2).transpose(1, 2)
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        tokens = tokens + self.out(nn.functional.scaled_dot_product_attention(query, key, value))
        return self.last(tokens.mean(dim=1))


def tower(seed: int = 0, width: int = 24) -> nn.Module:
    """A tower whose embedding varies with the image: the mean that all images share is taken out of it."""
    torch.manual_seed(seed)
    model = Tower(width).eval()
    with torch.no_grad():
        features = model(torch.randn(32, 3, 1, 1).expand(-1, -1, 64, 64) + 0.3 * torch.randn(32, 3, 64, 64))
        model.last.weight.div_(features.std(dim=0))
        model.last.bias.sub_(features.mean(dim=0)).div_(features.std(dim=0))
    return model


def silent() -> nn.Module:
    """A tower whose attention adds nothing: the output of its `out` is zero for every image."""
    model = tower()
    assert isinstance(model, Tower)
    with torch.no_grad():
        model.out.weight.zero_()
        model.out.bias.zero_()
    return model


class Joined(Tower):
    """A tower that joins its image with a version of it of another range, as MobileViT's blocks do."""

    def __init__(self, width: int = 24) -> None:
        super().__init__(width)
        self.side = nn.Conv2d(width, width, 1)
        self.mix = nn.Conv2d(2 * width, width, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = nn.functional.silu(self.norm(self.stem(image)))
        side = nn.functional.silu(4 * self.side(features))
        features = self.mix(torch.cat([features, side], dim=1))
        tokens = self.depthwise(features).flatten(2).transpose(1, 2)
        return self.last(self.out(tokens).mean(dim=1))


def joined() -> nn.Module:
    torch.manual_seed(0)
    model = Joined().eval()
    with torch.no_grad():
        features = model(torch.randn(32, 3, 1, 1).expand(-1, -1, 64, 64) + 0.3 * torch.randn(32, 3, 64, 64))
        model.last.weight.div_(features.std(dim=0))
        model.last.bias.sub_(features.mean(dim=0)).div_(features.std(dim=0))
    return model


def raises() -> nn.Module:
    raise RuntimeError("the configuration file is missing")


def ends() -> nn.Module:
    sys.exit(3)


def asks() -> nn.Module:
    """A script's entry that wants an option."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    return tower(parser.parse_args().config)


def not_a_module() -> object:
    return {"weights": 1}


class Constant(Tower):
    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image) * 0 + torch.linspace(1, 2, self.last.weight.numel())


def constant() -> nn.Module:
    """Answers every image with the same embedding."""
    return Constant().eval()


class Spectral(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return torch.linalg.svdvals(tokens)


class Unsupported(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(8)
        self.spectral = Spectral()

    def forward(self, image: Tensor) -> Tensor:
        return self.spectral(self.pool(image)).flatten(1)


def unsupported() -> nn.Module:
    """Singular values: no phone runtime has them."""
    return Unsupported().eval()


class Branching(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        pooled = image.mean(dim=(2, 3))
        return pooled if pooled.sum() > 0 else -pooled


def branching() -> nn.Module:
    """Control flow that depends on pixels: cannot be captured."""
    return Branching().eval()


def unpooled() -> nn.Module:
    """Gives a feature map, not an embedding."""
    return nn.Conv2d(3, 8, 3)


def other_tower() -> nn.Module:
    """The same architecture with other weights."""
    return tower(seed=1)


class Overflowing(nn.Module):
    """Its second convolution is infinite on every image; its embedding is not."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4)
        self.far = nn.Conv2d(64, 64, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = self.stem(image)
        return features.mean((2, 3)) + torch.tanh(self.far(features * 1e38 * 1e3)).mean((2, 3))


def overflowing() -> nn.Module:
    torch.manual_seed(0)
    model = Overflowing().eval()
    with torch.no_grad():
        model.far.weight.abs_()
        model.stem.weight.abs_()
    return model


class Placed(nn.Module):
    """Patches with a position embedding of 4096 values."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 8, stride=8)
        self.places = nn.Parameter(torch.randn(1, 64, 64))
        self.mix = nn.Linear(64, 64)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2) + self.places
        return torch.relu(self.mix(tokens)).mean(dim=1)


def placed() -> nn.Module:
    """Seeded by whoever builds it."""
    return Placed()


class Forked(nn.Module):
    """A convolution of one pixel and one of nine that take the same image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 48, 3, stride=4, padding=1)
        self.near = nn.Conv2d(48, 48, 1)
        self.far = nn.Conv2d(48, 48, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        features = torch.relu(self.stem(image))
        return torch.cat([self.near(features), self.far(features)], dim=1).mean((2, 3))


def forked() -> nn.Module:
    """Seeded by whoever builds it."""
    return Forked()


def wide() -> nn.Module:
    """A tower with enough weights for tables of values to save something."""
    return tower(width=64)


class Tokens(nn.Module):
    """Patches, a token mixer and LayerNorm: nothing in it depends on the other images of a batch."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, stride=8)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)
        self.last = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.norm(self.patches(image).flatten(2).transpose(1, 2))
        return self.last((tokens + torch.relu(self.mix(tokens))).mean(dim=1))


def tokens(width: int = 24) -> nn.Module:
    """Seeded by whoever builds it."""
    return Tokens(width)


class Trained(nn.Module):
    """What training and folded batch norms leave of a small inverted-residual CNN: ReLU6 everywhere, a stem that
    pads more at one side, depthwise filters whose channels differ a thousandfold and some of which are
    dead, and inputs that are far from zero on average.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width // 2, 3, stride=2)
        self.first = nn.Conv2d(width // 2, width // 2, 3, padding=1, groups=width // 2)
        self.project = nn.Conv2d(width // 2, width, 1)
        self.expand = nn.Conv2d(width, 4 * width, 1)
        self.depthwise = nn.Conv2d(4 * width, 4 * width, 3, stride=2, groups=4 * width)
        self.reduce = nn.Conv2d(4 * width, width, 1)
        self.mix = nn.Conv2d(width, 4 * width, 1)
        self.back = nn.Conv2d(4 * width, width, 1)
        self.head = nn.Conv2d(width, 4 * width, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = nn.functional.relu6(self.stem(nn.functional.pad(image, [0, 1, 0, 1])))
        features = self.project(nn.functional.relu6(self.first(features)))
        features = nn.functional.relu6(self.expand(features))
        features = nn.functional.relu6(self.depthwise(nn.functional.pad(features, [0, 1, 0, 1])))
        features = self.reduce(features)
        features = features + self.back(nn.functional.relu6(self.mix(features)))
        return nn.functional.relu6(self.head(features)).mean((2, 3))


def trained(width: int = 48) -> nn.Module:
    """Layer by layer scaled so that ReLU6 sees values about 2 wide, as after a batch norm."""
    torch.manual_seed(0)
    model = Trained(width).eval()
    images = 2 * (torch.rand(16, 3, 1, 1) + 0.3 * torch.randn(16, 3, 64, 64)).clamp(0, 1) - 1

    def settle(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.Conv2d)
        spread = torch.exp(1.5 * torch.randn(len(module.weight), 1, 1, 1))
        if module.groups > 1:
            module.weight.mul_(spread)
            module.weight[:3] *= 1e-6
        made = nn.functional.conv2d(args[0], module.weight, None, module.stride, module.padding, 1, module.groups)
        deviation = made.std((0, 2, 3)) if module.groups == 1 else made.std((0, 2, 3)).clamp_min(1e-3)
        module.weight.mul_((2 / deviation).reshape(-1, 1, 1, 1))
        assert module.bias is not None
        module.bias.copy_(1 - made.mean((0, 2, 3)) * 2 / deviation)

    with torch.no_grad():
        hooks = [layer.register_forward_pre_hook(settle) for layer in model.children()]
        model(images)
        for hook in hooks:
            hook.remove()
    return model


class Standardized(Tower):
    """As models that normalise an image by its own spread, which is zero where all is one colour."""

    def forward(self, image: Tensor) -> Tensor:
        spread = image.std((1, 2, 3), keepdim=True) + 1e-8
        return super().forward((image - image.mean((1, 2, 3), keepdim=True)) / spread)
