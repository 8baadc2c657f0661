"""An arm64 machine for tests: the one that `edgekit setup arm64` makes, kept in pytest's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bench.drivers.arm64.machine import Machine, set_up
from edgekit.errors import MissingDependencyError


def arm64_machine(cache: Path) -> Machine:
    """The machine, made in `cache` once; the test fails where a program that it needs is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        try:
            return set_up()
        except MissingDependencyError as error:
            pytest.fail(f"this test needs an emulated arm64 machine: {error}")
