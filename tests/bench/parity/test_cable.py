"""A cable that is pulled while a later part is measured: what came is kept, the phone is found again and cleaned."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edgekit.bench.parity.run import ParityRequest, device_parity
from edgekit.bench.request import BenchRequest
from edgekit.errors import DeviceError
from edgekit.recipe.selection import select_recipe
from tests.bench.drivers.adb_device import Device, bench
from tests.bench.parity.phone import write_runner
from tests.waiting import until

IMAGES, PART = 24, 8


def runs(device: Device) -> int:
    """How many parts a phone has begun."""
    path = device.folder / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_what_came_before_is_kept(tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = write_runner(tmp_path)
    where = BenchRequest(artifacts=[tower_file], on="android", runner=runner, library=runner, all_devices=True)
    request = ParityRequest(where=where, samples=IMAGES, part_bytes=PART * 64 * 64 * 3)
    with bench(tmp_path / "lab") as lab:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(lab.port))
        device, other = lab.add(ROWS="slow", PART="2"), lab.add()

        def pull() -> None:
            until(lambda: runs(device) == 2)
            lab.command("disconnect", device.serial)

        cable = threading.Thread(target=pull)
        cable.start()
        found = {one.serial: one for one in device_parity(request, select_recipe("tests.toys:tower", size=64))}
        cable.join()
        assert not list(device.data.iterdir()) and not list(other.data.iterdir())
    lost, whole = found[device.serial], found[other.serial]
    assert isinstance(lost.error, DeviceError) and "the connection was lost while measuring" in str(lost.error)
    assert lost.document is not None and not lost.document.passed
    assert (lost.document.images.received, lost.document.images.asked) == (PART, IMAGES)
    assert lost.document.report.verdict == "fail" and lost.document.report.min_cosine == 1.0
    assert "incomplete: embeddings of 8 of 24 images came back" in lost.document.report.reasons
    assert device.serial not in lost.document.to_json()
    assert whole.error is None and whole.document is not None and whole.document.passed
