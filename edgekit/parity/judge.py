"""What every file of one model is judged by: images, what the original makes of them, and which step is to blame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from edgekit.parity.check import check
from edgekit.parity.plain import held_on_plain, plain_images
from edgekit.parity.reference import reference_of
from edgekit.parity.steps import losing_step

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    from edgekit.data.datasets import Pictures
    from edgekit.model.embedder import Embedder
    from edgekit.parity.check import Reference
    from edgekit.parity.report import ParityReport
    from edgekit.recipe.gates import Gates
    from edgekit.support.progress import Reporter
    from edgekit.targets import Runner

__all__ = ["Judge", "judge_of"]

_BATCH = 8


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
        report = check(
            runner,
            self.reference,
            self.data,
            gates,
            dataset=self.data.name,
            digest=self.digest,
            progress=progress,
            batch=_BATCH,
        )
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
    return Judge(embedder, data, data.digest(), reference_of(embedder, data, reporter), colours)
