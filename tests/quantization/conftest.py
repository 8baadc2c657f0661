"""The toy tower's plan for each scheme, and what each target makes of it. An export costs seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click.testing
import numpy as np
import pytest
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.data.datasets import CatalogPictures
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.recipe import resolve_model
from tests.conftest import TOWER

Invoke = Callable[..., click.testing.Result]
SCHEMES = ("w8a8", "w8a8-dynamic", "w8")


@pytest.fixture(scope="session")
def plans(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> dict[str, Path]:
    """Scheme -> plan.json of the tower. Read only."""
    out = tmp_path_factory.mktemp("plans")
    for scheme in SCHEMES:
        result = invoke(
            "quantize", *TOWER, "--scheme", scheme, "--samples", 32, "--out", out / scheme, "--quiet"
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
    return {scheme: out / scheme / "plan.json" for scheme in SCHEMES}


@pytest.fixture(scope="session")
def quantized(plans: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    """The tower exported by each plan to android and onnx, unverified: what was lost is for the tests to say."""
    out = tmp_path_factory.mktemp("quantized")
    for plan in plans.values():
        result = invoke(
            "export", *TOWER, "--plan", plan, "--target", "android", "--target", "onnx", "--no-verify",
            "--out", out, "--quiet",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
    return out


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The toy tower."""
    return build_embedder(resolve_model("tests.toys:tower").override(input={"size": (64, 64)}))


@pytest.fixture(scope="session")
def program(embedder: Embedder) -> ExportedProgram:
    """The toy tower, prepared for quantization. Read only."""
    return graph.prepare(graph.capture(embedder, embedder.example()))[0]


@pytest.fixture(scope="session")
def images(embedder: Embedder) -> np.ndarray:
    """uint8 [24,64,64,3]: photos of the catalogue."""
    return np.stack([picture.image for picture in CatalogPictures(24, embedder.spec)])
