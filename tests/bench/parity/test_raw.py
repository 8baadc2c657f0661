"""`edgekit parity --on android --raw`: photos go over as files, and a wrong decoder shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.bench.parity.run import Finding, ParityRequest, device_parity
from edgekit.bench.request import BenchRequest
from edgekit.data.catalog import Catalog
from edgekit.errors import InputError, UsageError
from edgekit.recipe.selection import select_recipe
from tests.bench.drivers.adb_device import Bench, Device
from tests.bench.parity.app import write_app
from tests.conftest import TOWER, Invoke


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of photos in both kinds of files, some of which lie on their side."""
    folder, catalog = tmp_path / "photos", Catalog(4, 2, size=96)
    for index in range(8):
        photo = catalog[index]
        path = folder / f"{photo.listing}" / f"Photo {index}.{'PNG' if index == 3 else 'jpeg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if index % 2:
            exif[0x0112] = 6
        Image.fromarray(photo.image[: 64 + index]).save(path, exif=exif)
    return folder


def compared(lab: Bench, artifact: Path, app: Path, photos: Path | None, part_bytes: int = 1 << 20) -> list[Finding]:
    """What comes of every phone of the lab."""
    where = BenchRequest(artifacts=[artifact], on="android", app=app, all_devices=True)
    request = ParityRequest(where=where, images=photos, samples=9, raw=True, part_bytes=part_bytes)
    return list(device_parity(request, select_recipe("tests.toys:tower", size=64)))


def test_a_wrong_decoder_shows(lab: Bench, tower_file: Path, photos: Path, tmp_path: Path) -> None:
    devices = [lab.add(), lab.add(DECODER="bgr"), lab.add(DECODER="lying")]
    size = sum(path.stat().st_size for path in photos.rglob("*.*"))
    found = {one.serial: one for one in compared(lab, tower_file, write_app(tmp_path), photos, size // 2)}
    good, swapped, lying = (found[device.serial] for device in devices)
    for one in (good, swapped, lying):
        assert one.error is None and one.document is not None
        assert (one.document.mode, one.document.images.received) == ("raw", 8)
    assert good.document is not None and good.document.passed
    assert good.document.report.dataset.name == "photos"
    assert {one.name for one in good.document.report.cosines} == {
        str(path.relative_to(photos)) for path in photos.rglob("*.*")
    }
    for one in (swapped, lying):
        assert one.document is not None and one.document.report.verdict == "fail"
    assert not lab.left()


def test_photos_of_the_catalogue_are_jpeg_files(lab: Bench, tower_file: Path, tmp_path: Path) -> None:
    device = lab.add()
    (found,) = compared(lab, tower_file, write_app(tmp_path), None)
    assert found.document is not None and found.document.passed, found
    assert found.document.report.dataset.name == "synthetic catalogue as JPEG files"
    assert "files" in "".join(device.commands)


def test_what_cannot_be_sent_is_said_first(lab: Bench, tower_file: Path, photos: Path, tmp_path: Path) -> None:
    device = lab.add()
    Image.fromarray(np.zeros((70, 70, 3), np.uint8)).save(photos / "0" / "other.bmp")
    with pytest.raises(InputError, match=r"1 of 9 images are no JPEG or PNG \(0/other.bmp\)"):
        compared(lab, tower_file, write_app(tmp_path), photos)
    where = BenchRequest(artifacts=[tower_file], on="android", runner=tower_file, library=tower_file)
    with pytest.raises(UsageError, match="needs an app that decodes photos"):
        device_parity(ParityRequest(where=where, raw=True), select_recipe("tests.toys:tower", size=64))
    assert not _jobs(device)


def test_devices_alone_take_the_options_of_devices(invoke: Invoke, tower_file: Path) -> None:
    result = invoke("parity", tower_file, "--against", *TOWER, "--raw", "--quiet")
    assert result.exit_code == 2 and "is for android, ios and arm64" in result.stderr


def _jobs(device: Device) -> list[str]:
    return [command for command in device.commands if "am instrument" in command]
