"""Which module is traced: a copy where a copy does what the original does, else the original itself, put back after."""

from __future__ import annotations

import copy
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.errors import ModelError
from edgekit.graph.blame import place
from edgekit.graph.edit import row_by_row
from edgekit.support.text import reason_of

__all__ = ["agree", "copy_of", "random_image", "run", "untouched"]

_TOLERANCE = 1e-5


def copy_of(module: nn.Module, example: Tensor) -> nn.Module | None:
    """A copy of `module` in eval mode; None where none can be made that does the same on an image like `example`.

    What a copy cannot take along: hooks and lambdas that hold the original, tensors that are kept from call to call.

    Raises:
        ModelError: the module fails on the image, or gives another embedding when it sees the image again.
    """
    try:
        twin = copy.deepcopy(module).eval().requires_grad_(False)
        for tensor in [*twin.parameters(), *twin.buffers()]:
            tensor.data = row_by_row(tensor.data)  # channels_last is for training on GPUs; ExecuTorch stumbles over it
    except Exception:  # deepcopy may meet anything: locks, generators, tensors with a history
        twin = None
    image = random_image(example)
    of_twin = None
    if twin is not None:
        try:
            of_twin = run(twin, image)
        except Exception:
            twin = None
    try:
        first, again = run(module, image), run(module, image)
    except Exception as error:
        at = place(error.__traceback__, module)
        raise ModelError(f"the model fails on an image{f', {at}' if at else ''}: {reason_of(error)}") from error
    if not agree(first, again):
        raise ModelError(
            "the model gives another embedding when the same image comes again: it keeps state from one image to the "
            f"next{_changing(module, image)}, which no artifact does; make that part constant or leave it to training"
        )
    return twin if of_twin is not None and agree(of_twin, first) else None


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Whatever happens to the module's attributes, buffers and containers within, all is as before afterwards."""
    parts = list(module.modules())
    flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    kept: list[tuple[Any, Any]] = []
    for part in parts:
        _keep(part.__dict__, kept, depth=4)
    try:
        yield
    finally:
        for container, content in reversed(kept):
            _put_back(container, content)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        with torch.no_grad():
            for buffer, value in buffers:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)


def run(module: nn.Module, image: Tensor) -> Tensor:
    """What the module makes of an image, with the same random numbers every time."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return module(image.clone())  # a forward may write into what it is given


def agree(one: Any, other: Any) -> bool:
    """Whether two results, or all their tensors, are equal but for rounding."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        if not one.is_floating_point():
            return torch.equal(one, other)
        limit = _TOLERANCE * max(1e-30, float(other.nan_to_num(0, 0, 0).abs().amax())) if other.numel() else 0.0
        return torch.allclose(one, other, rtol=_TOLERANCE, atol=limit, equal_nan=True)
    if isinstance(one, (tuple, list)) and type(one) is type(other):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agree(one[key], other[key]) for key in one)
    return one is None and other is None


def random_image(example: Tensor) -> Tensor:
    """Noise of the example's shape and dtype, from 0 to twice its largest value: 0-254 for mid-grey."""
    generator = torch.Generator().manual_seed(0)
    if example.dtype is torch.uint8 or example.is_floating_point():
        scale = 2 * float(example.abs().amax()) or 1.0
        return (torch.rand(example.shape, generator=generator) * scale).to(example.dtype)
    return example


def _changing(module: nn.Module, image: Tensor) -> str:
    """The names of what a call changes, for a message."""
    before = {(name, key): value for name, key, value in _values(module)}
    run(module, image)
    names = [
        f"{name}.{key}".lstrip(".").removeprefix("backbone.")
        for name, key, value in _values(module)
        if not _same(before.get((name, key)), value)
    ]
    return f" ({', '.join(names[:4])})" if names else ""


def _values(module: nn.Module) -> Iterator[tuple[str, str, Any]]:
    for name, part in module.named_modules():
        for key, value in part.__dict__.items():
            if isinstance(value, (int, float, str, Tensor)) and key != "training":
                yield name, key, value.clone() if isinstance(value, Tensor) else value
        for key, value in part.named_buffers(recurse=False):
            yield name, key, value.clone()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    return type(one) is type(other) and bool(one == other)


def _keep(container: Any, kept: list[tuple[Any, Any]], depth: int) -> None:
    """Note what is in a container, and in the containers within."""
    if type(container) in (dict, OrderedDict):
        content: Any = dict(container)
        inside = list(container.values())
    elif type(container) in (list, set, deque):
        content = inside = list(container)
    else:
        return
    kept.append((container, content))
    for item in inside if depth else ():
        _keep(item, kept, depth - 1)


def _put_back(container: Any, content: Any) -> None:
    container.clear()
    container.update(content) if isinstance(container, (dict, set)) else container.extend(content)
