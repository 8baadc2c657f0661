"""Models whose values leave half precision's range at one place or more; `tests.half_toys:name` names a factory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Hazard = Callable[[Tensor], Tensor]


class Large(nn.Module):
    """Values to about 1e6 between two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)
        with torch.no_grad():
            self.up.weight.mul_(1e6)
            self.down.weight.mul_(1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.down(torch.relu(self.up(tokens)))


class Masked(nn.Module):
    """Attention over the first tokens, the others hidden by the lowest float32; the mask is made in forward."""

    places: Tensor

    def __init__(self, width: int, after: float = 1.0) -> None:
        super().__init__()
        self.after = after
        self.keys = nn.Linear(width, width)
        self.register_buffer("places", torch.arange(64.0))

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = (self.places + 0.1 * tokens[..., 0].tanh() > 40.5).float()
        scores = tokens @ self.keys(tokens).transpose(1, 2) + (hidden * torch.finfo(torch.float32).min)[:, None, :]
        scores = scores if self.after == 1 else scores * self.after
        return scores.softmax(-1) @ tokens


class Spread(nn.Module):
    """Layer norm written out, of values of about 1e3, whose squares overflow."""

    def forward(self, tokens: Tensor) -> Tensor:
        far = tokens * 2000.0
        centred = far - far.mean(-1, keepdim=True)
        return centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + 1e-5)


class Tiny(nn.Module):
    """A norm of values of about 1e-4, whose squares are zero in half precision."""

    def forward(self, tokens: Tensor) -> Tensor:
        near = tokens * 1e-4
        return near * torch.rsqrt(near.square().mean(-1, keepdim=True) + 1e-10)


class Chaos(nn.Module):
    """A recurrence that doubles every error forty times: no few operators are to blame."""

    def forward(self, tokens: Tensor) -> Tensor:
        state = torch.sigmoid(tokens.mean(1))
        for _ in range(18):
            state = 3.9 * state * (1 - state)
        return state[:, None]


class Tower(nn.Module):
    """A stem, the hazards in turn, and the mean of what they give: [N,3,H,W] to [N,width]."""

    centre: Tensor
    scale: Tensor

    def __init__(self, hazards: list[nn.Module], width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 8, stride=8)
        self.hazards = nn.Sequential(*hazards)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.out = nn.Linear(width, width)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.stem(image).flatten(2).transpose(1, 2)
        return self.out((self.hazards(tokens).mean(dim=1) - self.centre) / self.scale)


def _tower(*hazards: Callable[[int], nn.Module], width: int = 24) -> nn.Module:
    """A tower whose embedding varies with the image: the mean that all images share is taken out of it."""
    torch.manual_seed(0)
    model = Tower([make(width) for make in hazards], width).eval()
    with torch.no_grad():
        images = torch.randn(32, 3, 1, 1).expand(-1, -1, 64, 64) + 0.3 * torch.randn(32, 3, 64, 64)
        seen: Tensor = model.hazards(model.stem(images).flatten(2).transpose(1, 2)).mean(dim=1)
        model.centre.copy_(seen.mean(dim=0))
        model.scale.copy_(seen.std(dim=0).clamp_min(1e-4))
    return model


def large() -> nn.Module:
    return _tower(Large)


def masked() -> nn.Module:
    return _tower(Masked)


def multiplied() -> nn.Module:
    """A mask whose number is multiplied once more before the softmax: it cannot be spelled with another."""
    return _tower(lambda width: Masked(width, after=0.5))


def spread() -> nn.Module:
    return _tower(lambda _: Spread())


def tiny() -> nn.Module:
    return _tower(lambda _: Tiny())


def every() -> nn.Module:
    """All four in one model."""
    return _tower(Large, lambda width: Masked(width, after=0.5), lambda _: Spread(), lambda _: Tiny())


def chaos() -> nn.Module:
    return _tower(lambda _: Chaos())
