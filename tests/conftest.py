"""Exported artifacts that many tests share: an export costs seconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click.testing
import hypothesis
import pytest

from edgekit.cli import cli

# Threads that wait for each other make single images slower, most of all where several tests run at once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure: neither an example nor the making of one is timed.
hypothesis.settings.register_profile("edgekit", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("edgekit")

TOWER = ("tests.toys:tower", "--size", "64")


@pytest.fixture(scope="session")
def invoke() -> Callable[..., click.testing.Result]:
    """Run `edgekit` in this process; the result has exit_code, stdout and stderr."""
    runner = click.testing.CliRunner()
    return lambda *args: runner.invoke(cli, [str(arg) for arg in args])


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, invoke: Callable[..., click.testing.Result]) -> Path:
    """The toy tower, exported and verified for all three targets in one run. Read only."""
    out = tmp_path_factory.mktemp("published")
    result = invoke("export", *TOWER, "--target", "all", "--samples", 24, "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="session")
def tower_file(tmp_path_factory: pytest.TempPathFactory, invoke: Callable[..., click.testing.Result]) -> Path:
    """The toy tower as EdgeKit exports it to ONNX."""
    out = tmp_path_factory.mktemp("tower")
    result = invoke("export", *TOWER, "--target", "onnx", "--samples", 24, "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    (found,) = out.glob("**/*.onnx")
    return found
