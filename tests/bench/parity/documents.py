"""A document of parity for tests of what is done with one."""

from __future__ import annotations

from edgekit.bench import schema as s
from edgekit.bench.parity.document import DeviceParity, Images
from edgekit.parity.report import Dataset, ImageCosine, ParityReport
from edgekit.recipe.gates import Gates

__all__ = ["document"]


def document(*, cosine: float = 0.99995, model: s.Model | None = None, device: s.Device | None = None) -> DeviceParity:
    """Three images on a phone, the second the worst; "pass" where its cosine is near enough."""
    cosines = [1.0, cosine, 1.0]
    gates = Gates()
    report = ParityReport(
        verdict="pass" if cosine >= gates.min_cosine else "fail",
        reasons=[] if cosine >= gates.min_cosine else [f"min cosine {cosine} is too low"],
        runtime="onnxruntime 1.23.0",
        reference=False,
        dataset=Dataset(name="photos", sha256="0" * 64, images=3),
        gates=gates,
        min_cosine=cosine,
        worst_image="1.jpg",
        cosines=[ImageCosine(name=f"{index}.jpg", cosine=value) for index, value in enumerate(cosines)],
    )
    return DeviceParity(
        run_id="a" * 32,
        started_utc="2026-01-02T03:04:05Z",
        label="device",
        model=model or s.Model(name="toy", format="onnx", sha256="1" * 64, bytes=1, input=(4, 4)),
        device=device or s.Device(platform="android", model="Fone 7", emulated=False),
        runtime=s.Runtime(name="onnxruntime", version="1.23.0", backend="CPUExecutionProvider"),
        mode="pixels",
        images=Images(asked=3, received=3),
        report=report,
    )
