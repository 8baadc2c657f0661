"""The real adb client, as a wheel brings it, where a person would have it: on the PATH."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import adbutils
import pytest


@pytest.fixture(autouse=True, scope="session")
def adb_on_path() -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{Path(adbutils.__file__).parent / 'binaries'}{os.pathsep}{before}"
    yield
    os.environ["PATH"] = before
