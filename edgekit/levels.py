"""A weight or constant on few levels, as it is stored: an index for each value, and what an index stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CENTER", "Levels"]

CENTER = 8  # the code of zero where levels are even steps


@dataclass(frozen=True, eq=False)
class Levels:
    """A weight [O,I,...] of a layer, or a constant.

    Either `table` says what a code stands for, or `scales` do: a code is then a step of (code - 8) times the scale of
    its block, and blocks part the input channels (axis 1) evenly. Both hold values that half precision has.
    """

    codes: np.ndarray  # uint8, in the shape of the values
    bits: int  # of a code: 4, 6 or 8
    table: np.ndarray | None = None  # float32 [2**bits]
    scales: np.ndarray | None = None  # float32 [O,blocks]

    def values(self) -> np.ndarray:
        """The values, float32."""
        import numpy as np

        if self.table is not None:
            return self.table[self.codes]
        assert self.scales is not None
        wide = np.repeat(self.scales, self.codes.shape[1] // self.scales.shape[1], axis=1)
        steps = self.codes.astype(np.float32) - CENTER
        return steps * wide.reshape(*wide.shape, *[1] * (steps.ndim - 2))
