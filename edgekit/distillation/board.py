"""TensorBoard, where it is installed: the same figures as metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Board"]


class Board:
    """Writes rows of metrics.jsonl to `folder`, or nothing without TensorBoard; a resumed run replaces what follows."""

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._writer: Any = None
            return
        self._writer = SummaryWriter(str(folder), purge_step=step)

    def write(self, row: Mapping[str, Any]) -> None:
        """One row of either kind."""
        if self._writer is None:
            return
        scalars = {"loss": row.get("loss"), "rate": row.get("rate"), "teacher cosine": row.get("teacher_cosine")}
        scalars |= {f"loss/{name}": value for name, value in row.get("losses", {}).items()}
        scalars |= {f"knn/{name}": value for name, value in row.get("knn", {}).items()}
        for task, figures in row.get("retrieval", {}).items():
            scalars |= {f"{name}/{task}": value for name, value in figures.items() if isinstance(value, float)}
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name.replace(" ", "_"), value, row["step"])

    def close(self) -> None:
        """Put what was written on the disk."""
        if self._writer is not None:
            self._writer.close()
