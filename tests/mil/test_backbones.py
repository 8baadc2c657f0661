"""Whole backbones: converted, saved, opened again and compared with PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekit import mil


def backbone(name: str, size: Any) -> Any:
    import timm

    torch.manual_seed(0)
    kwargs = {"img_size": size} if name.startswith("vit") else {}
    model = timm.create_model(name, num_classes=0, **kwargs).eval()
    # With the statistics it is born with, an EfficientNet's embedding hardly depends on the image.
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for module in norms:
        module.momentum = 1.0
        module.train()
    with torch.no_grad():
        model(torch.randn(4, 3, size, size) * torch.rand(4, 3, 1, 1) + torch.randn(4, 3, 1, 1))
    return model.eval()


def convert(model: Any, size: Any, path: Any, precision: Any) -> Any:
    import coremltools as ct

    exported = torch.export.export(model, (torch.zeros(1, 3, size, size),)).run_decompositions({})
    package = ct.convert(
        exported,
        inputs=[ct.ImageType(name="image", shape=(1, 3, size, size), scale=1 / 127.5, bias=[-1.0, -1.0, -1.0])],
        outputs=[ct.TensorType(name="embedding")],
        compute_precision=getattr(ct.precision, precision),
        minimum_deployment_target=ct.target.iOS16,
        skip_model_load=True,
    )
    package.save(str(path))
    return mil.load(path)


@pytest.mark.parametrize(
    ("name", "size", "precision", "cosine", "error"),
    [
        pytest.param("efficientnet_b0", 64, "FLOAT32", 0.99999, 1e-4, marks=pytest.mark.slow),
        ("mobilevit_xxs", 64, "FLOAT32", 0.99999, 1e-4),
        ("vit_tiny_patch16_224", 96, "FLOAT16", 0.9999, 2e-2),
        pytest.param("fastvit_t8", 64, "FLOAT32", 0.99999, 1e-4, marks=pytest.mark.slow),
    ],
)
def test_embeddings_are_pytorchs(tmp_path: Path, name: str, size: Any, precision: Any, cosine: Any, error: Any) -> None:
    model = backbone(name, size)
    runtime = convert(model, size, tmp_path / "m.mlpackage", precision)
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
    images[1] //= 4
    with torch.inference_mode():
        expected = model(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1).numpy()
    got = runtime.predict({"image": images})["embedding"].astype(np.float64)
    cosines = (got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > cosine
    scale = np.abs(expected).max()
    assert np.abs(got - expected).max() < error * scale
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * scale
