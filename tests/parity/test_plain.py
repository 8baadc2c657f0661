"""Images of one colour: numbers where the original has numbers."""

from __future__ import annotations

import numpy as np

from edgekit.parity import Gates, ParityReport, held_on_plain, plain_images
from edgekit.parity.report import Dataset


class Runner:
    runtime, reference, input_size = "toy", False, (4, 4)

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad

    def embed(self, images: np.ndarray) -> np.ndarray:
        return np.array([[np.nan if int(image[0, 0, 0]) in self.bad else 1.0, 0.0] for image in images], np.float32)


def report() -> ParityReport:
    dataset = Dataset(name="toy", sha256="0" * 64, images=1, skipped=0)
    return ParityReport(verdict="pass", runtime="toy", reference=False, dataset=dataset, gates=Gates(min_cosine=0.9))


def test_a_colour_on_which_the_file_gives_no_number_fails_it() -> None:
    images = plain_images(Runner(set()).embed, (4, 4))
    assert {name: image.shape for name, image in images.items()} == dict.fromkeys(("black", "grey", "white"), (4, 4, 3))
    assert held_on_plain(report(), Runner(set()), images) == report()  # type: ignore[arg-type]
    lost = held_on_plain(report(), Runner({0, 255}), images)  # type: ignore[arg-type]
    assert lost.verdict == "fail" and "all black or white holds NaN" in lost.reasons[0]


def test_a_colour_on_which_the_original_gives_none_is_not_asked() -> None:
    assert list(plain_images(Runner({0}).embed, (4, 4))) == ["grey", "white"]
