"""Images of one colour are judged, too, and the step that lost an embedding is named, with what to try next."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgekit.parity.check import Reference, compare
from edgekit.parity.judge import held_on_plain, losing_step, plain_images
from edgekit.parity.report import Dataset, ParityReport
from edgekit.recipe.gates import Gates

ORIGINAL = np.eye(4, dtype=np.float32)[[0, 1, 2]]
NAMES = ["a.png", "b.png", "c.png"]


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


def turned(by: float) -> np.ndarray:
    """The second image's embedding, off by an angle."""
    return np.array([0, np.cos(by), np.sin(by), 0], np.float32)


@pytest.mark.parametrize(
    ("precision", "lowered", "told"),
    [
        ("fp32", 0.0, "lowering to onnx is to blame; report it with the model, or try another target"),
        ("fp32", 0.5, "the rewrites are to blame; report it with the model"),
        ("fp16", 0.0, 'lowering to onnx or its precision fp16 is to blame; try `precision="fp32"`'),
        ("w8a8", 0.0, 'lowering to onnx or its precision w8a8 is to blame; try `precision="fp16"`, without a plan'),
        ("w8a8", 0.5, "the plan's rounding (w8a8) is to blame; leave more layers in float with `edgekit quantize`"),
    ],
)
@pytest.mark.parametrize("nan", [False, True])
def test_the_step_is_named(precision: str, lowered: float, told: str, nan: bool) -> None:
    artifact = ORIGINAL.copy()
    artifact[1] = np.nan if nan else turned(0.5)
    reference = Reference(NAMES, [None] * 3, ORIGINAL)
    gates = Gates.for_precision(precision)
    report = compare(artifact, reference, gates, dataset="toy", digest="0" * 64, runtime="toy", stand_in=False)
    words = losing_step(report, reference, 1, turned(lowered), precision=precision, format="onnx")
    file = "gives no number" if nan else "0.877583"
    seen = 1.0 if lowered == 0 else 0.877583
    assert words == f"on b.png what was lowered has cosine {seen:.6f} with the original, the file {file}: {told}"
