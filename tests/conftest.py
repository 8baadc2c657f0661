"""Exported artifacts that many tests share: an export costs seconds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import click.testing
import filelock
import hypothesis
import pytest

from edgekit.cli import cli

# Threads that wait for each other make single images slower, most of all where several tests run at once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure: neither an example nor the making of one is timed.
hypothesis.settings.register_profile("edgekit", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("edgekit")

TOWER = ("tests.toys:tower", "--size", "64")

Invoke = Callable[..., click.testing.Result]  # of the fixture `invoke`


def one_line(result: click.testing.Result, code: int, *words: str) -> None:
    """The command failed with `code` and said why in one line, which has the words, without a traceback."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    for word in words:
        assert word in lines[0]


def tree(folder: Path) -> dict[str, bytes]:
    """The contents of all files below a folder, by their path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def invoke() -> Invoke:
    """Run `edgekit` in this process; the result has exit_code, stdout and stderr."""
    runner = click.testing.CliRunner()
    return lambda *args: runner.invoke(cli, [str(arg) for arg in args])


def _exported(name: str, target: str, factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    """The folder `name` with the toy tower's export, made by the first worker to need it and read by all."""
    base = factory.getbasetemp()
    out = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with filelock.FileLock(f"{out}.lock"):
        if not out.exists():
            partial = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=out.parent))
            result = invoke("export", *TOWER, "--target", target, "--samples", 24, "--out", partial, "--quiet")
            assert result.exit_code == 0, result.output
            partial.rename(out)
    return out


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    """The toy tower, exported and verified for all three targets in one run. Read only."""
    return _exported("published", "all", tmp_path_factory, invoke)


@pytest.fixture(scope="session")
def tower_file(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    """The toy tower as EdgeKit exports it to ONNX. Read only."""
    (found,) = _exported("tower", "onnx", tmp_path_factory, invoke).glob("**/*.onnx")
    return found
