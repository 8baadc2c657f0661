"""Capture: from an embedder module to the one exported program that all targets share."""

from __future__ import annotations

import copy
import inspect
import logging
import warnings

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from edgekit.errors import ModelError

__all__ = ["capture"]

_MAX_BATCH = 1024


class _Renamed(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.module(image)


def capture(module: nn.Module, example: torch.Tensor, *, dynamic_batch: bool = False) -> ExportedProgram:
    """Export `module` for inputs like `example` (any dtype, [N,...]); the module itself is left untouched.

    A copy is put into eval mode, its train-time branches are merged (`timm.utils.reparameterize_model`), and its one
    input is called `image`. With `dynamic_batch` the first dimension takes 1 to 1024.

    Raises:
        ModelError: the module cannot be traced; names the cause and, where known, the submodule.
    """
    module = copy.deepcopy(module).eval().requires_grad_(False)
    if any(
        hasattr(child, name) for child in module.modules() for name in ("reparameterize", "fuse", "switch_to_deploy")
    ):
        module = _reparameterized(module)
    if list(inspect.signature(module.forward).parameters)[:1] != ["image"]:
        module = _Renamed(module)
    if dynamic_batch and example.shape[0] < 2:
        example = torch.cat([example, example])  # torch.export pins a dimension that it sees as 1
    shapes = {"image": {0: Dim("batch", min=1, max=_MAX_BATCH)}} if dynamic_batch else None
    logger = logging.getLogger("torch._export")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # modules that cache a tensor while they run, as timm's attention does
            return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as error:
        raise ModelError(_explain(error)) from error
    finally:
        logger.setLevel(level)


def _reparameterized(module: nn.Module) -> nn.Module:
    from timm.utils import reparameterize_model

    return reparameterize_model(module)


def _explain(error: Exception) -> str:
    trace = error.__traceback__
    where = ""
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if trace.tb_frame.f_code.co_name == "forward" and isinstance(owner, nn.Module):
            where = type(owner).__name__
        trace = trace.tb_next
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    return f"torch.export cannot trace the model{f' (in {where})' if where else ''}: {reason}"
