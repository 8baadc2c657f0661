"""A LiteRT graph while it is made: tensors and operators in order, constants that are equal kept once."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Draft", "Op", "Steps", "Tensor"]


@dataclass(frozen=True)
class Steps:
    """What integers stand for: (q - zero) * scale; one scale, or with a zero of 0 one for each index of `axis`."""

    scale: tuple[float, ...]
    zero: int = 0
    axis: int = 0


@dataclass(eq=False)
class Tensor:
    """A tensor of the file, its axes in the order in which they lie in memory."""

    shape: tuple[int, ...]
    dtype: str  # as numpy calls it, and "int4"
    data: np.ndarray | None = None  # of a constant; of "int4" one int8 a value
    steps: Steps | None = None
    name: str = ""


@dataclass(eq=False)
class Op:
    """One operator; `options` are fields of its options table, or such a table as it was read from another file."""

    kind: str
    inputs: list[Tensor | None]
    outputs: list[Tensor]
    options: dict[str, Any] = field(default_factory=dict)
    wide: bool = False  # its constants stay in float32
    foreign: Any = None  # (type, table, version) of an operator that another converter wrote


class Draft:
    """Operators in the order in which they run."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.label = ""  # of the call that is being translated; tensors are named after it
        self.wide = False  # whether that call stays in float32
        self._constants: dict[tuple[Any, ...], Tensor] = {}
        self._makers: dict[Tensor, Op] = {}

    def constant(self, data: np.ndarray, steps: Steps | None = None, dtype: str | None = None) -> Tensor:
        """A constant of these values; the same one for the same values."""
        data = np.ascontiguousarray(data).reshape(data.shape)
        dtype = dtype or str(data.dtype)
        key = (dtype, data.shape, hashlib.sha256(data.tobytes()).digest(), steps)
        if key not in self._constants:
            self._constants[key] = Tensor(data.shape, dtype, data, steps, name=self.label)
        return self._constants[key]

    def emit(
        self,
        kind: str,
        inputs: Sequence[Tensor | None],
        shape: Iterable[int],
        dtype: str = "float32",
        *,
        steps: Steps | None = None,
        **options: Any,
    ) -> Tensor:
        """Add an operator with one result, and return that."""
        result = Tensor(tuple(int(size) for size in shape), dtype, steps=steps, name=self.label)
        self.add(Op(kind, list(inputs), [result], options))
        return result

    def add(self, op: Op) -> None:
        op.wide = self.wide
        self.ops.append(op)
        self._makers.update(dict.fromkeys(op.outputs, op))

    def maker(self, tensor: Tensor) -> Op | None:
        """The operator that gives `tensor`."""
        return self._makers.get(tensor)

    def prune(self) -> None:
        """Drop the operators whose results nothing uses."""
        wanted, kept = set(self.outputs), []
        for op in reversed(self.ops):
            if wanted.intersection(op.outputs):
                wanted.update(tensor for tensor in op.inputs if tensor is not None)
                kept.append(op)
        self.ops = kept[::-1]

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor once, in order of first use."""
        used = (tensor for op in self.ops for tensor in (*op.inputs, *op.outputs) if tensor is not None)
        yield from dict.fromkeys(itertools.chain(self.inputs, used, self.outputs))
