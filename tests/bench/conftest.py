"""The real adb client, as a wheel brings it, on the PATH as a person has it; devices, and what runs on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import adbutils
import pytest

from tests.bench.drivers.adb_device import Bench, bench
from tests.bench_native.harness import ZIG, build


@pytest.fixture(autouse=True, scope="session")
def adb_on_path() -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{Path(adbutils.__file__).parent / 'binaries'}{os.pathsep}{before}"
    yield
    os.environ["PATH"] = before


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Simulated devices that the command line finds."""
    with bench(tmp_path / "lab") as made:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(made.port))
        yield made


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native runner, for this machine."""
    return build(tmp_path_factory.mktemp("runner") / "edgekit_bench", ZIG)
