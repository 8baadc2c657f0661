"""The step that lost an embedding is named, with what to try next."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.parity import Gates, Reference, compare, losing_step

ORIGINAL = np.eye(4, dtype=np.float32)[[0, 1, 2]]
NAMES = ["a.png", "b.png", "c.png"]


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
