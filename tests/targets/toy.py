"""A target as somebody else writes one: programs as torch saves them, run by torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.export import ExportedProgram

from edgekit.targets import Coverage, LowerOptions, Runtime, Target


def lower(program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
    torch.export.save(program, path)
    return Coverage(backend="torch", delegated=1.0, partitions=1, outside={})


def open(path: Path, *, threads: int = 1) -> TorchRunner:
    return TorchRunner(path)


class TorchRunner:
    runtime = "torch"
    reference = False

    def __init__(self, path: Path) -> None:
        program = torch.export.load(path)
        assert program.example_inputs is not None
        height, width = program.example_inputs[0][0].shape[2:]
        self.input_size, self._module = (height, width), program.module()

    def embed(self, images: np.ndarray) -> np.ndarray:
        return np.stack([self.run(self.ready(image)) for image in images])

    def ready(self, image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(image)[None].permute(0, 3, 1, 2).float()

    def run(self, ready: torch.Tensor) -> np.ndarray:
        row: np.ndarray = self._module(ready)[0].detach().numpy()
        return row


ROW = Target(
    key="toy",
    platform="toy",
    format="torch",
    suffix=".toy",
    precision="fp32",
    rewrites="onnx",
    module=__name__,
    packages=("torch",),
    extra="",
    runtime=Runtime("torch", "CPU", "torch"),
)
