"""Images of one colour: numbers where the original has numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgekit.parity import Gates, ParityReport, held_on_plain, plain_images
from edgekit.parity.report import Dataset


def file(bad: set[int]) -> Callable[[np.ndarray], np.ndarray]:
    """Embeds images as a file does that gives no number for these greys."""
    return lambda images: np.array([[np.nan if int(image[0, 0, 0]) in bad else 1.0, 0.0] for image in images])


def report() -> ParityReport:
    dataset = Dataset(name="toy", sha256="0" * 64, images=1, skipped=0)
    return ParityReport(verdict="pass", runtime="toy", reference=False, dataset=dataset, gates=Gates(min_cosine=0.9))


def test_a_colour_on_which_the_file_gives_no_number_fails_it() -> None:
    images = plain_images(file(set()), (4, 4))
    assert {name: image.shape for name, image in images.items()} == dict.fromkeys(("black", "grey", "white"), (4, 4, 3))
    assert held_on_plain(report(), file(set()), images) == report()
    lost = held_on_plain(report(), file({0, 255}), images)
    assert lost.verdict == "fail" and "all black or white holds NaN" in lost.reasons[0]


def test_a_colour_on_which_the_original_gives_none_is_not_asked() -> None:
    assert list(plain_images(file({0}), (4, 4))) == ["grey", "white"]
