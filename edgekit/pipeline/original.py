"""The model as it was before any rewrite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.pipeline.request import ExportRequest
from edgekit.support.progress import Reporter

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from edgekit.graph import Checked, Probe
    from edgekit.model.embedder import Embedder

__all__ = ["Original", "capture"]


@dataclass(frozen=True)
class Original:
    """The original, its program before any rewrite, and what programs are held against."""

    embedder: Embedder
    program: ExportedProgram
    held: Probe

    def prepared(self) -> Checked:
        """The program to quantize."""
        from edgekit import graph

        return graph.checked(self.program, graph.PREPARATION, self.held)

    @property
    def weight_bytes(self) -> int:
        """Of the program's weights, which toolchains write to their temporary files."""
        return sum(tensor.nbytes for tensor in self.program.state_dict.values())


def capture(request: ExportRequest, reporter: Reporter) -> Original:
    from edgekit import graph
    from edgekit.model.build import build, probe

    embedder = build(request.recipe, reporter, uint8_input=request.input_dtype == "uint8")
    with reporter.stage("capture the graph"):
        program = graph.capture(embedder, embedder.example(), dynamic_batch=request.dynamic_batch, note=reporter.note)
        return Original(embedder, program, probe(embedder))
