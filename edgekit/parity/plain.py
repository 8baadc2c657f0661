"""Images of one colour, on which a spread is zero: a covered lens, a white wall. No photograph shows what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgekit.parity.report import ParityReport

__all__ = ["held_on_plain", "plain_images"]

_COLOURS = {"black": 0, "grey": 128, "white": 255}


def plain_images(original: Callable[[np.ndarray], np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Images uint8 [H,W,3] by the name of their colour, without those on which the original gives no number either."""
    images = {name: np.full((*size, 3), value, dtype=np.uint8) for name, value in _COLOURS.items()}
    return {name: image for name, image in images.items() if np.isfinite(original(image[None])).all()}


def held_on_plain(
    report: ParityReport, file: Callable[[np.ndarray], np.ndarray], images: Mapping[str, np.ndarray]
) -> ParityReport:
    """The report, failed where the file gives NaN or infinity for an image on which the original gives numbers.

    `file` embeds uint8 [N,H,W,3] with it. Cosines are not judged: what a norm makes of no spread is rounding.
    """
    lost = [name for name, image in images.items() if not np.isfinite(file(image[None])).all()]
    if not lost:
        return report
    reason = f"the embedding of an image that is all {' or '.join(lost)} holds NaN or infinity, the original's does not"
    return report.model_copy(update={"verdict": "fail", "reasons": [*report.reasons, reason]})
