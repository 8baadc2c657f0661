"""What every file of one model is judged by: images, what the original makes of them, and which step is to blame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from edgekit.data.datasets import Pictures, tell_skipped
from edgekit.metrics.retrieval import cosine
from edgekit.parity.check import Reference, check, embed_original
from edgekit.parity.report import ParityReport
from edgekit.recipe.gates import Gates
from edgekit.support.progress import Reporter
from edgekit.targets import Runner

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from edgekit.model.embedder import Embedder

__all__ = ["Judge", "held_on_plain", "judge_of", "losing_step", "plain_images"]

# Of images on which a spread is zero: a covered lens, a white wall. No photograph shows what they do.
_COLOURS = {"black": 0, "grey": 128, "white": 255}


@dataclass(frozen=True)
class Judge:
    """The original, the images, and its embeddings of them; `plain` are images of one colour that it takes, too."""

    embedder: Embedder
    data: Pictures
    digest: str
    reference: Reference
    plain: Mapping[str, np.ndarray]

    def report(self, runner: Runner, gates: Gates, progress: Callable[[int, int], None]) -> ParityReport:
        """What parity finds in an opened file."""
        data, name = self.data, self.data.name
        report = check(runner, self.reference, data, gates, dataset=name, digest=self.digest, progress=progress)
        return held_on_plain(report, runner.embed, self.plain)

    def step_to_blame(self, report: ParityReport, lowered: ExportedProgram, *, precision: str, format: str) -> str:
        """Words for the step that lost the embedding of the report's worst image, on which `lowered` is run."""
        from edgekit import graph

        names = list(self.reference.names)
        index = names.index(report.worst_image or names[0])
        picture = next(islice(self.data, index, None))
        embedding = graph.run_program(lowered, self.embedder.pixels(picture.image[None])).numpy()[0]
        return losing_step(report, self.reference, index, embedding, precision=precision, format=format)


def judge_of(embedder: Embedder, data: Pictures, reporter: Reporter, *, plain: bool = True) -> Judge:
    """A judge on `data`, which the original embeds once; and on images of one colour where `plain` says so."""
    colours = plain_images(embedder.embed, embedder.spec.size) if plain else {}
    digest = data.digest()
    with reporter.stage(f"embed {len(data)} images with the original") as tick:
        reference = embed_original(embedder.embed, data, progress=tick)
    tell_skipped(data, reporter)
    return Judge(embedder, data, digest, reference, colours)


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


def losing_step(
    report: ParityReport, reference: Reference, index: int, lowered: np.ndarray, *, precision: str, format: str
) -> str:
    """Words for the step to blame for image `index` of a missed gate, and what to try next.

    Args:
        lowered: float32 [D], the embedding of that image by the program that was lowered, run in PyTorch.
        precision: "fp32", "fp16", or the scheme of the plan that the program follows.
        format: the file's.
    """
    similarity = float(cosine(lowered[None], reference.embeddings[[index]])[0])
    of_file = report.cosines[index].cosine if report.cosines else None
    there = f"on {reference.names[index]} what was lowered has cosine {similarity:.6f} with the original, the file " + (
        "gives no number" if of_file is None else f"{of_file:.6f}"
    )
    quantized = precision not in ("fp32", "fp16")
    if not similarity >= report.gates.min_cosine:
        step = f"the plan's rounding ({precision}) is" if quantized else "the rewrites are"
        advice = "leave more layers in float with `edgekit quantize`" if quantized else "report it with the model"
    elif precision == "fp32":
        step, advice = f"lowering to {format} is", "report it with the model, or try another target"
    else:
        step = f"lowering to {format} or its precision {precision} is"
        advice = 'try `precision="fp16"`, without a plan' if quantized else 'try `precision="fp32"`'
    return f"{there}: {step} to blame; {advice}"
