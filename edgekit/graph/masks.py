"""Constant boolean masks as an index: taken as the numbers that they stand for, so that sizes are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["Numbered"]


class Numbered(TorchFunctionMode):
    """While `module` is traced, `x[:, mask]` with a boolean buffer that nothing wrote to is `x[:, numbers]`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        masks = {name: value.clone() for name, value in module.named_buffers() if value.dtype is torch.bool}
        self.numbers = {name: mask.nonzero(as_tuple=True) for name, mask in masks.items() if mask.ndim}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__getitem__ and self.numbers:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            numbered = [self._numbers(item) for item in index]
            if any(found is not None for found in numbered):
                pairs = zip(index, numbered, strict=True)
                args = (args[0], tuple(one for item, found in pairs for one in (found or (item,))))
        return func(*args, **(kwargs or {}))

    def _numbers(self, item: Any) -> tuple[Tensor, ...] | None:
        if not isinstance(item, Tensor) or item.dtype is not torch.bool or item._version:
            return None
        name = next((name for name in self.numbers if self.module.get_buffer(name) is item), None)
        return None if name is None else self.numbers[name]
