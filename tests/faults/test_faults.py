"""A few faults at a few moments; `python -m tests.faults` strikes at many."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.commands import COMMANDS, make_material
from tests.faults.disk import Disk
from tests.faults.inject import FAULTS, Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Embedding a few photos into a folder that no disk of its own is needed for."""
    base = tmp_path_factory.mktemp("faults")
    disk = Disk(base / "disk")
    disk.root.mkdir()
    disk.clear()
    return Bench(COMMANDS["embed"], make_material(base / "material"), disk)


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.mounts])
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_nothing_is_half_published_and_the_next_run_succeeds(bench: Bench, name: str, share: float) -> None:
    outcome = bench.injected(FAULTS[name], share * bench.seconds, replacing=share > 0.5)
    assert not outcome.faults
    assert not outcome.left


def test_a_fault_that_leaves_something_is_seen(bench: Bench) -> None:
    root = bench._disk.root
    (root / "tmp" / "forgotten").touch()
    assert bench._left() == ["tmp/forgotten"]
    bench._disk.clear()
    assert bench._left() == []


def test_the_disk_is_emptied_but_for_its_folders(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    (tmp_path / "old").mkdir()
    disk.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "tmp"]
