"""Small real artifacts, and a release of them, that many tests share: each is made once."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgekit
from tests.conftest import Invoke

__all__ = ["RECIPE", "export_toy"]

RECIPE = """\
name = "toy"

[model]
backbone = "tests.toys:tower"

[model.args]
seed = {seed}

[input]
size = 64

[metadata]
author = "EdgeKit's tests"
license = "{license}"
version = "{version}"
description = "A toy tower for tests."
"""


def export_toy(
    folder: Path, invoke: Invoke, *more: object, seed: int = 0, version: str = "1.0.0", license: str = "Apache-2.0"
) -> Path:
    """Export the toy of a recipe to `folder`, for all platforms where `more` names none; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "toy.toml"
    recipe.write_text(RECIPE.format(seed=seed, version=version, license=license))
    targets = more or ("--target", "all")
    result = invoke("export", recipe, *targets, "--samples", 24, "--out", folder, "--quiet")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> dict[str, Path]:
    """The toy's exports by format: coreml, executorch and onnx, verified. Read only."""
    folder = export_toy(tmp_path_factory.mktemp("toys"), invoke)
    return {
        "coreml": folder / "toy-ios-fp16",
        "executorch": folder / "toy-android-fp32",
        "onnx": folder / "toy-onnx-fp32",
    }


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory, toys: dict[str, Path]) -> Path:
    """A release of the toy, not signed: version 1.0.0, a bundle of each kind. Read only; copy it to change it."""
    out = tmp_path_factory.mktemp("release") / "toy"
    edgekit.package(edgekit.PackageRequest([*toys.values()], out))
    return out


@pytest.fixture(scope="session")
def plain_release(tmp_path_factory: pytest.TempPathFactory, toys: dict[str, Path]) -> Path:
    """A release with the npm package and the archives alone, which need no other toolchain. Read only."""
    out = tmp_path_factory.mktemp("plain-release") / "toy"
    edgekit.package(edgekit.PackageRequest([*toys.values()], out, kinds=["web", "plain"]))
    return out
