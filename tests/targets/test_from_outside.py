"""A target from outside: a row and two verbs, no file of EdgeKit edited, and its files go the whole road."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click.testing
import numpy as np
import pytest
from PIL import Image

from edgekit import targets
from edgekit.artifact.folder import read_manifest
from edgekit.errors import UsageError
from edgekit.model.embedder import build_embedder
from edgekit.recipe import resolve_model
from tests.conftest import TOWER
from tests.targets import toy

Invoke = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
def registered() -> Iterator[targets.Target]:
    targets.register(toy.ROW)
    yield toy.ROW
    targets.unregister(toy.ROW)


@pytest.fixture(scope="module")
def folder(registered: targets.Target, invoke: Invoke, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy tower in the toy format."""
    out = tmp_path_factory.mktemp("toy")
    result = invoke("export", *TOWER, "--target", "toy", "--samples", 24, "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    return out / "tests.toys-tower-toy-fp32"


def test_it_is_exported_verified_and_published(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert (manifest.target.name, manifest.target.format, manifest.target.min_ios) == ("toy", "torch", None)
    assert (manifest.artifact, manifest.input.layout) == ("tests.toys-tower.toy", "1x3x64x64")
    assert manifest.parity.verdict == "pass" and manifest.coverage.backend == "torch"
    assert {entry.path for entry in manifest.files} == {"parity.json", "tests.toys-tower.toy"}


def test_it_runs(folder: Path, invoke: Invoke, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    result = invoke("run", folder / "tests.toys-tower.toy", tmp_path / "a.png", "--out", tmp_path / "a.npy", "--json")
    assert result.exit_code == 0, result.output
    original = build_embedder(resolve_model("tests.toys:tower").override(input={"size": (64, 64)}))
    embeddings = np.load(tmp_path / "a.npy")
    assert embeddings.shape == original.embed(image[None]).shape
    assert np.linalg.norm(embeddings) == pytest.approx(1, abs=1e-5)


def test_it_is_measured(folder: Path, invoke: Invoke) -> None:
    options = ("--iterations", 2, "--warmup", 0, "--duration", 0, "--json")
    result = invoke("bench", "run", folder, *options)
    assert result.exit_code == 0, result.output
    (measured,) = json.loads(result.stdout)["results"]
    assert (measured["model"]["format"], measured["runtime"]["backend"]) == ("torch", "CPU")
    assert measured["check"]["passed"] and len(measured["latency_ms"]["samples"]) == 2


def test_what_its_row_does_not_accept_is_refused(registered: targets.Target) -> None:
    with pytest.raises(UsageError, match=r"`dynamic_batch` is for onnx; toy \(torch\) takes one image"):
        targets.check_request(registered, dynamic_batch=True, input_dtype="float32")
    with pytest.raises(UsageError, match=r'`input_dtype="uint8"` is for android and onnx; toy \(torch\) takes float32'):
        targets.check_request(registered, dynamic_batch=False, input_dtype="uint8")
    targets.check_request(registered, dynamic_batch=False, input_dtype="float32")


def test_a_key_or_a_format_that_is_taken_is_refused(registered: targets.Target) -> None:
    for row in (registered, replace(registered, key="other"), replace(registered, platform="other")):
        with pytest.raises(UsageError, match="registered already"):
            targets.register(row)
    assert targets.TARGETS.count(registered) == 1


def test_once_unregistered_it_is_unknown(invoke: Invoke) -> None:
    row = replace(toy.ROW, key="passing", platform="passing", suffix=".passing")
    targets.register(row)
    assert targets.select(["passing"]) == [row] == [targets.find("passing", "torch")]
    targets.unregister(row)
    assert "passing" not in targets.platforms() and targets.by_suffix(".passing") is None
    result = invoke("export", *TOWER, "--target", "passing")
    assert result.exit_code == 2 and "unknown target 'passing'" in result.stderr
