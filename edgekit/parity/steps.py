"""Which step of an export lost an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.metrics.retrieval import cosine

if TYPE_CHECKING:
    import numpy as np

    from edgekit.parity.check import Reference
    from edgekit.parity.report import ParityReport

__all__ = ["losing_step"]


def losing_step(
    report: ParityReport, reference: Reference, index: int, lowered: np.ndarray, *, precision: str, format: str
) -> str:
    """Words for the step to blame for image `index` of a missed gate, and what to try next.

    Args:
        lowered: float32 [D], the embedding of that image by the program that was lowered, run in PyTorch.
        precision: "fp32", "fp16", or the scheme of the plan that the program follows.
        format: the file's.
    """
    kept = float(cosine(lowered[None], reference.embeddings[[index]])[0])
    of_file = report.cosines[index].cosine if report.cosines else None
    there = f"on {reference.names[index]} what was lowered has cosine {kept:.6f} with the original, the file " + (
        "gives no number" if of_file is None else f"{of_file:.6f}"
    )
    quantized = precision not in ("fp32", "fp16")
    if not kept >= report.gates.min_cosine:
        step = f"the plan's rounding ({precision}) is" if quantized else "the rewrites are"
        advice = "leave more layers in float with `edgekit quantize`" if quantized else "report it with the model"
    elif precision == "fp32":
        step, advice = f"lowering to {format} is", "report it with the model, or try another target"
    else:
        step = f"lowering to {format} or its precision {precision} is"
        advice = 'try `precision="fp16"`, without a plan' if quantized else 'try `precision="fp32"`'
    return f"{there}: {step} to blame; {advice}"
