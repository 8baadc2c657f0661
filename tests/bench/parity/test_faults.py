"""What phones do wrong, with the real adb client: every fault a phone of its own, all compared in one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.drivers.android.job import AndroidJob
from edgekit.bench.parity.run import Finding, ParityRequest, device_parity
from edgekit.bench.request import BenchRequest
from edgekit.errors import DeviceError, InputError, IntegrityError
from edgekit.recipe.selection import select_recipe
from tests.bench.drivers.adb_device import bench
from tests.bench.parity.phone import write_runner

IMAGES, PARTS = 24, 4
PIXELS = 64 * 64 * 3  # bytes of an image
# What is wrong with each phone: its faults, and what its runner is told.
PHONES: Mapping[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "good": ((), {}),
    "memory": ((), {"MEMORY": str(2 * PIXELS)}),
    "little memory": ((), {"MEMORY": "1"}),
    "few": ((), {"ROWS": "few"}),
    "short": ((), {"ROWS": "short"}),
    "missing": ((), {"ROWS": "missing"}),
    "changed": ((), {"ROWS": "changed"}),
    "nan": ((), {"ROWS": "nan", "PART": "2"}),
    "other": ((), {"ROWS": "other"}),
    "order": ((), {"ROWS": "order", "PART": "3"}),
    "mixed": ((), {"ROWS": "mixed"}),
    "old": ((), {"ROWS": "old"}),
    "silent": ((), {"ROWS": "silent"}),
    "full": (("full",), {}),
    "fails late": ((), {"ROWS": "few", "PART": "3"}),
    "lost": (("gone-run",), {}),
}


@pytest.fixture(scope="module")
def found(tower_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Finding]]:
    """What came of each phone."""
    folder = tmp_path_factory.mktemp("phones")
    (folder / "other").write_bytes(np.random.default_rng(0).normal(size=1 << 16).astype("<f4").tobytes())
    with pytest.MonkeyPatch.context() as patch, bench(folder / "lab") as lab:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(lab.port))
        patch.setattr("edgekit.bench.drivers.android.driver.AndroidJob", partial(AndroidJob, cleanup_timeout_s=3.0))
        devices = {
            name: lab.add(*faults, OTHER=str(folder / "other"), **told) for name, (faults, told) in PHONES.items()
        }
        runner = write_runner(folder)
        where = BenchRequest(artifacts=[tower_file], on="android", runner=runner, library=runner, all_devices=True)
        request = ParityRequest(where=where, samples=IMAGES, part_bytes=IMAGES // PARTS * PIXELS)
        findings = {one.serial: one for one in device_parity(request, select_recipe("tests.toys:tower", size=64))}
        assert len(findings) == len(devices)
        yield {name: findings[device.serial] for name, device in devices.items()}
        reachable = [device for name, device in devices.items() if name != "lost"]
        assert not [path for device in reachable for path in device.data.iterdir()]  # nothing is left on any


def test_a_good_phone_passes(found: Mapping[str, Finding]) -> None:
    document = found["good"].document
    assert document is not None and document.passed and found["good"].error is None
    assert (document.report.min_cosine, document.images.received, document.label) == (1.0, IMAGES, "device")
    assert document.report.retrieval is not None and document.report.retrieval.mixed.at_10 > 0


def test_a_phone_with_little_memory_gets_smaller_parts(found: Mapping[str, Finding]) -> None:
    document = found["memory"].document
    assert document is not None and document.passed and found["memory"].error is None
    one_line(found["little memory"], DeviceError, "killed, perhaps for want of memory")


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("few", InputError, "gave 5 embeddings for 6 images"),
        ("short", IntegrityError, "embeddings.bin is 12 bytes"),
        ("missing", InputError, "embeddings.bin cannot be read"),
        ("changed", IntegrityError, "was changed on the way"),
        ("old", DeviceError, "of another version: build it again"),
        ("silent", InputError, "of another version"),
        ("full", DeviceError, "no space left on the device; free some space"),
        ("lost", DeviceError, "lost"),
    ],
)
def test_a_phone_that_gives_nothing_is_one_line(
    found: Mapping[str, Finding], name: str, kind: type[Exception], told: str
) -> None:
    one_line(found[name], kind, told)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nan", "1 of 24 embeddings hold NaN or infinity"),
        ("other", "no row is near any image's embedding: it is another model's"),
        ("order", "the rows are in another order: 6 of 24 moved"),
        ("mixed", "they were mixed up on the way"),
    ],
)
def test_rows_that_are_wrong_fail(found: Mapping[str, Finding], name: str, reason: str) -> None:
    document = found[name].document
    assert document is not None and found[name].error is None
    assert document.report.verdict == "fail" and not document.passed
    assert any(reason in line for line in document.report.reasons), document.report.reasons


def test_a_phone_that_is_lost_midway_keeps_what_came(found: Mapping[str, Finding]) -> None:
    finding = found["fails late"]
    document = finding.document
    assert document is not None and isinstance(finding.error, InputError)
    assert (document.images.asked, document.images.received) == (IMAGES, 12)
    assert document.report.verdict == "fail" and document.report.min_cosine == 1.0
    assert "incomplete: embeddings of 12 of 24 images came back" in document.report.reasons
    assert any("gave 5 embeddings" in line for line in document.errors)
    assert finding.serial not in document.to_json()


def one_line(finding: Finding, kind: type[Exception], told: str) -> None:
    """It must be an error of one line, without a document."""
    assert finding.document is None
    assert isinstance(finding.error, kind) and told in str(finding.error), finding.error
    assert "\n" not in str(finding.error)
