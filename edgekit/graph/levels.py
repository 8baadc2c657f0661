"""A weight or constant on few levels, as it is stored: an index for each value, and what an index stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["CENTER", "Levels", "finder"]

CENTER = 8  # the code of zero where levels are even steps


@dataclass(frozen=True, eq=False)
class Levels:
    """A weight [O,I,...] of a layer, or a constant.

    Either `table` says what a code stands for, or `scales` do: a code is then a step of (code - 8) times the scale of
    its block, and blocks part the input channels (axis 1) evenly. Both hold values that half precision has.
    """

    codes: np.ndarray  # uint8, in the shape of the values
    bits: int  # of a code, at most 8
    table: np.ndarray | None = None  # float32 [2**bits]
    scales: np.ndarray | None = None  # float32 [O,blocks]

    def values(self) -> np.ndarray:
        """The values, float32."""
        if self.table is not None:
            return self.table[self.codes]
        assert self.scales is not None
        wide = np.repeat(self.scales, self.codes.shape[1] // self.scales.shape[1], axis=1)
        steps = self.codes.astype(np.float32) - CENTER
        return steps * wide.reshape(*wide.shape, *[1] * (steps.ndim - 2))


def finder(levels: Sequence[Levels], dtype: type[np.floating]) -> Callable[[np.ndarray], tuple[Levels, bool] | None]:
    """What tells of a constant which of `levels` it is, once both are rounded to `dtype`, and whether transposed."""

    def key(values: np.ndarray) -> tuple[tuple[int, ...], bytes]:
        return values.shape, np.ascontiguousarray(values, dtype).tobytes()

    known: dict[tuple[tuple[int, ...], bytes], tuple[Levels, bool]] = {}
    for own in levels:
        values = own.values()
        known[key(values)] = own, False
        if values.ndim == 2:
            known.setdefault(key(values.T), (own, True))
    shapes = {shape for shape, _ in known}
    return lambda values: known.get(key(values)) if values.shape in shapes else None
