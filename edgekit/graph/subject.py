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
    contents: list[tuple[Any, Any]] = []
    for part in parts:
        _keep(part.__dict__, contents, depth=4)
    try:
        yield
    finally:
        for container, content in reversed(contents):
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


def agree(actual: Any, expected: Any) -> bool:
    """Whether two results, or all their tensors, are equal but for rounding."""
    if isinstance(actual, Tensor) and isinstance(expected, Tensor):
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            return False
        if not actual.is_floating_point():
            return torch.equal(actual, expected)
        limit = _TOLERANCE * max(1e-30, float(expected.nan_to_num(0, 0, 0).abs().amax())) if expected.numel() else 0.0
        return torch.allclose(actual, expected, rtol=_TOLERANCE, atol=limit, equal_nan=True)
    if isinstance(actual, (tuple, list)) and type(actual) is type(expected):
        return len(actual) == len(expected) and all(map(agree, actual, expected))
    if isinstance(actual, dict) and isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(agree(actual[key], expected[key]) for key in actual)
    return actual is None and expected is None


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


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        return before.shape == after.shape and torch.equal(before, after)
    return type(before) is type(after) and bool(before == after)


def _keep(container: Any, contents: list[tuple[Any, Any]], depth: int) -> None:
    """Note what is in a container, and in the containers within."""
    if type(container) in (dict, OrderedDict):
        content: Any = dict(container)
        inside = list(container.values())
    elif type(container) in (list, set, deque):
        content = inside = list(container)
    else:
        return
    contents.append((container, content))
    for item in inside if depth else ():
        _keep(item, contents, depth - 1)


def _put_back(container: Any, content: Any) -> None:
    container.clear()
    container.update(content) if isinstance(container, (dict, set)) else container.extend(content)
