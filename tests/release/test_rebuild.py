"""A release is built again from its recipe; what differs is laid to the step that it first differs at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import IntegrityError
from edgekit.pipeline import ExportRequest, export
from edgekit.recipe import resolve_model
from edgekit.release.bundle import Bundle
from edgekit.release.package import PackageRequest, package
from edgekit.release.rebuild import Difference, RebuildRequest, Rebuilt, rebuild, step_of
from edgekit.targets.onnx import backend

TOWER = resolve_model("tests.toys:tower").override(
    input={"size": (64, 64)}, metadata={"version": "1.0.0", "license": "Apache-2.0"}
)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy tower as a web and a plain release."""
    folder = tmp_path_factory.mktemp("released")
    exported = export(ExportRequest(TOWER, targets="onnx", out=folder / "exported"))
    exported.raise_for_failures()
    paths = [item.folder for item in exported.exports]
    package(PackageRequest(paths, folder / "release", kinds=("web", "plain"), name="tower"))
    return folder / "release"


def test_the_same_recipe_gives_the_same_bytes(released: Path) -> None:
    again = rebuild(RebuildRequest(released, TOWER))
    assert again.differences == ()
    assert "byte for byte" in again.line
    assert again.files > 20
    again.raise_for_differences()


def test_other_weights_differ_where_the_file_is_lowered(released: Path) -> None:
    again = rebuild(RebuildRequest(released, TOWER.override(model={"args": {"seed": 3}})))
    assert again.differences[0].step == "lower"
    assert again.differences[0].path.endswith(".onnx")
    with pytest.raises(IntegrityError, match="first at the step `lower`") as caught:
        again.raise_for_differences()
    assert "\n" not in str(caught.value)


def test_another_text_differs_in_what_is_stated(released: Path) -> None:
    again = rebuild(RebuildRequest(released, TOWER.override(metadata={"author": "somebody else"})))
    assert "describe" in {one.step for one in again.differences}


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("golden/{artifact}/golden.bin", "golden"),
        ("artifacts/{artifact}/parity.json", "verify"),
        ("LICENSES/NOTICE", "document"),
        ("CHANGELOG.md", "document"),
        ("index.js", "bundle"),
    ],
)
def test_each_file_is_laid_to_the_step_that_writes_it(name: str, step: str, released: Path) -> None:
    bundle = Bundle.read(released / "web/bundle.json")
    (artifact,) = bundle.artifacts
    path = name.format(artifact=Path(artifact.folder).name)
    assert path in {entry.path for entry in bundle.files}
    assert step_of(path, bundle) == step


def test_versions_that_differ_are_told_as_the_likely_reason() -> None:
    made = Rebuilt(9, (Difference("lower", "web", "a.onnx", "differs"),), {"torch": ("2.11.0", "2.14.1")})
    assert "1 of 9 files differ" in made.line
    assert "torch 2.11.0 there and 2.14.1 here" in made.line


def test_figures_of_another_processor_are_no_difference(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is off by a rounding; the release's own figures are packaged, and all bytes compared."""
    plain = backend._Runner.embed
    monkeypatch.setattr(backend._Runner, "embed", lambda self, images: plain(self, images) + np.float32(3e-6))
    again = rebuild(RebuildRequest(released, TOWER))
    assert again.differences == ()
    assert 0 < again.rounding < 1e-4
    assert "this processor's figures" in again.line
