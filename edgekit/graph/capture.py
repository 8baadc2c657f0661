"""Capture: from an embedder module to the one exported program that all targets share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from edgekit.errors import ModelError
from edgekit.graph.blame import Place, batch_watched, explain, explain_batch
from edgekit.graph.constants import Constants
from edgekit.graph.eager import plain
from edgekit.graph.reparameterize import reparameterize
from edgekit.graph.settle import settle
from edgekit.graph.subject import copy_of, random_image, untouched
from edgekit.support.quiet import quiet

__all__ = ["capture"]

_MAX_BATCH = 1024


class _Renamed(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> Tensor:
        return self.module(image)


def capture(
    module: nn.Module, example: Tensor, *, dynamic_batch: bool = False, note: Callable[[str], None] = lambda line: None
) -> ExportedProgram:
    """Export `module` for inputs like `example` (any dtype, [N,...]); the module itself is left untouched.

    A copy is put into eval mode and its train-time branches are merged; where no copy does what the module does, the
    module itself is traced. The program's one input is called `image`, it keeps no state and reads no value into
    Python. With `dynamic_batch` the first dimension takes 1 to 1024. `note` is told what the user should know.

    Raises:
        ModelError: the module cannot be traced, or is no function of the image; names the cause and the user's line.
    """
    if dynamic_batch and example.shape[0] < 2:
        example = torch.cat([example, example])  # torch.export pins a dimension that it sees as 1
    with plain(), untouched(module):
        subject = copy_of(module, example)
        if subject is None:
            subject = module.eval().requires_grad_(False)
        else:
            subject, left = reparameterize(subject, random_image(example))
            if left:
                note(
                    f"{', '.join(left)}: left as in training, because merging its branches raised or changed its result"
                )
        if list(inspect.signature(subject.forward).parameters)[:1] != ["image"]:
            subject = _Renamed(subject)
        return settle(_trace(subject, example, dynamic_batch), subject)


def _trace(module: nn.Module, example: Tensor, dynamic_batch: bool) -> ExportedProgram:
    """The program as torch.export makes it from the running module or, where that fails, from its bytecode.

    Only the second sees through prints, asserts and numpy; only the first takes most other Python.
    """
    shapes = {"image": {0: Dim("batch", min=1, max=_MAX_BATCH)}} if dynamic_batch else None
    first: Exception | None = None
    decided: list[Place] = []
    for strict in (False, True):
        try:
            known = nullcontext() if strict else Constants(module, example)  # its code would be in the bytecode
            with quiet("torch.export"), _traceable_data(), untouched(module), known, batch_watched(module) as decided:
                return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=strict)
        except Exception as error:
            first = first or error
            reason = explain_batch(error, decided) if dynamic_batch else None
            if reason is not None:
                raise ModelError(reason, field="dynamic_batch") from error
    assert first is not None
    raise ModelError(explain(first, module)) from first


@contextmanager
def _traceable_data() -> Iterator[None]:
    """`x.data` as `x.detach()`, which differs in what autograd sees alone and which torch.export can follow."""
    plain_data: Any = torch._C.TensorBase.data
    torch.Tensor.data = property(torch.Tensor.detach, plain_data.__set__)  # type: ignore[assignment]
    try:
        yield
    finally:
        del torch.Tensor.data
