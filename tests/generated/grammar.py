"""Models drawn at random: Python source of a small stack of blocks, the same for the same random numbers.

A block is drawn as the lines of its `__init__` and of its `forward`, which takes and gives `x`, a float32 [N,C,H,W].
What a block does to the shape is found by running it; one that fails, or gives something unfit, is drawn again.
"""

from __future__ import annotations

import linecache
import textwrap
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["PRELUDE", "Block", "Grammar", "Maker", "Shape", "build", "forms", "images"]

PRELUDE = """
import math
import torch
import torch.nn.functional as F
from torch import nn
"""
_MOST_VALUES = 24576
_TRIES = 20


class Shape(NamedTuple):
    """Channels, rows and columns of what a block is given."""

    c: int
    h: int
    w: int


class Block(NamedTuple):
    """The lines of a block's `__init__` (after super's) and of its `forward`."""

    init: tuple[str, ...]
    forward: tuple[str, ...]


Maker = Callable[[Random, Shape], Block]
_OUTPUTS = (
    "return embedding",
    "return embedding",
    "return embedding",
    'return {"pooler_output": embedding, "last_hidden_state": x.flatten(2).transpose(1, 2)}',
    "return x, embedding",
)
_POOLS = (
    "x.mean((2, 3))",
    "x.flatten(2).mean(-1)",
    "F.adaptive_avg_pool2d(x, 1).flatten(1)",
    "F.adaptive_max_pool2d(x, 1).flatten(1)",
    "x.amax((2, 3))",
    "F.avg_pool2d(x, x.shape[-2:])[..., 0, 0]",
    "x.flatten(2).transpose(1, 2)[:, 0]",
    "x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)",
    "torch.logsumexp(x, dim=(2, 3))",
    "x.sum((-1, -2)) / (x.shape[-1] * x.shape[-2])",
)


def forms(text: str) -> Maker:
    """A choice of blocks, parted by empty lines; `init: ` stands before lines of `__init__`, which know c, h and w."""
    blocks = []
    for form in text.strip().split("\n\n"):
        lines = form.splitlines()
        init = tuple(line.removeprefix("init: ") for line in lines if line.startswith("init: "))
        blocks.append(Block(init, tuple(line for line in lines if not line.startswith("init: "))))

    def drawn(random: Random, shape: Shape) -> Block:
        block = random.choice(blocks)
        sizes = (f"c, h, w = {shape.c}, {shape.h}, {shape.w}",) if block.init else ()
        return Block((*sizes, *block.init), block.forward)

    return drawn


class Grammar(NamedTuple):
    """The kinds of blocks, by name."""

    makers: dict[str, Maker]

    def source(self, random: Random, kinds: tuple[str, ...] = ()) -> str:
        """A model's source: `Model`, of two to four blocks drawn with `random`; `kinds` says which instead."""
        names = kinds or tuple(random.choice(sorted(self.makers)) for _ in range(random.randint(2, 4)))
        shape, classes, steps = Shape(24, 16, 16), list[str](), list[str]()
        for name in names:
            block, after = self._fitting(random, name, shape)
            if block is None:
                continue
            index = len(classes)
            classes.append(_as_class(f"Block{index}", name, block))
            same = after == shape and random.choice((True, False))
            steps.append(f"x = x + self.block{index}(x)" if same else f"x = self.block{index}(x)")
            shape = after
        return _whole(classes, steps, shape, random)

    def _fitting(self, random: Random, name: str, shape: Shape) -> tuple[Block | None, Shape]:
        for _ in range(_TRIES):
            block = self.makers[name](random, shape)
            after = _after(block, shape)
            if after is not None:
                return block, after
        return None, shape


def build(source: str) -> nn.Module:
    """The `Model` of a source, its weights seeded and its features centred, in eval mode."""
    name = f"<generated {hash(source) & 0xFFFFFF:06x}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # for lines in messages
    space: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, name, "exec"), space)
    torch.manual_seed(0)
    model: Any = space["Model"]().eval()
    with torch.no_grad():
        _move_statistics(model)
        features = model.features(images(32))[1]
        model.mu.copy_(features.mean(0))
        # A feature that hardly varies says nothing, and its rounding would be all that is seen of it.
        model.sd.copy_(features.std(0).clamp_min(1e-2) + 1e-3 * features.abs().amax(0))
    return model


def images(count: int, size: int = 64, seed: int = 1) -> Tensor:
    """Smooth colours and some noise, float32 [count,3,size,size] from -1 to 1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    noisy = smooth + 0.1 * torch.rand(count, 3, size, size, generator=generator)
    return 2 * noisy.clamp(0, 1) - 1


def _move_statistics(model: nn.Module) -> None:
    """Normalisation layers as trained ones are: no mean of 0, no variance of 1, no weight of 1."""
    generator = torch.Generator().manual_seed(2)
    for part in model.modules():
        for name in ("running_mean", "running_var", "weight", "bias"):
            value = getattr(part, name, None)
            if isinstance(value, Tensor) and value.ndim == 1 and value.unique().numel() == 1 and value.numel() > 1:
                value += 0.3 * torch.rand(value.shape, generator=generator)


def _after(block: Block, shape: Shape) -> Shape | None:
    """What the block makes of two images; None where it fails or the result is unfit."""
    space: dict[str, Any] = {}
    exec(PRELUDE + _as_class("Trial", "trial", block), space)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            trial = space["Trial"]().eval()
            image = torch.rand(2, *shape) - 0.3
            results = [trial(image.clone()), trial(image[:1].clone())]
    except Exception:  # drawn arguments need not fit together
        return None
    first, alone = results
    if not isinstance(first, Tensor) or first.dtype != torch.float32 or first.ndim != 4 or first.shape[0] != 2:
        return None
    found = Shape(*first.shape[1:])
    fit = found.c >= 4 and min(found.h, found.w) >= 3 and first[0].numel() <= _MOST_VALUES
    calm = bool(first.isfinite().all()) and 1e-3 < float(first.abs().amax()) < 1e3
    # What depends on the other images of the batch, or keeps state, is another test's.
    return found if fit and calm and torch.allclose(first[:1], alone, atol=1e-4) else None


def _as_class(name: str, kind: str, block: Block) -> str:
    init = ["super().__init__()", *block.init]
    return (
        f"\n\nclass {name}(nn.Module):  # {kind}\n    def __init__(self):\n"
        + textwrap.indent("\n".join(init), " " * 8)
        + "\n\n    def forward(self, x):\n"
        + textwrap.indent("\n".join(block.forward), " " * 8)
        + "\n"
    )


def _whole(classes: list[str], steps: list[str], shape: Shape, random: Random) -> str:
    pool, output = random.choice(_POOLS), random.choice(_OUTPUTS)
    act = random.choice(("nn.GELU()", "nn.SiLU()", "nn.ReLU(inplace=True)", "nn.Hardswish()"))
    blocks = "".join(f"        self.block{index} = Block{index}()\n" for index in range(len(classes)))
    body = "".join(f"        {step}\n" for step in steps)
    return f"""{PRELUDE}{"".join(classes)}

class Model(nn.Module):
    pretrained_cfg = dict(input_size=(3, 64, 64), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1), nn.BatchNorm2d(24), {act}, nn.Conv2d(24, 24, 3, 2, 1, bias=False)
        )
{blocks}        self.register_buffer("mu", torch.zeros({shape.c + 24}))
        self.register_buffer("sd", torch.ones({shape.c + 24}))
        self.head = nn.Linear({shape.c + 24}, 32)

    def features(self, image):
        x = first = self.stem(image)
{body}        return x, torch.cat([{pool}, 0.3 * first.mean((2, 3))], dim=1)

    def forward(self, image):
        x, features = self.features(image)
        embedding = self.head((features - self.mu) / self.sd)
        {output}
"""
