"""Parity jobs in Swift: every image's embedding comes back, of pixels and of photographs."""

from __future__ import annotations

import io
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import parity_job as shared
from tests.faults.disk import mounted

from .harness import Core, linear, write_job
from .test_core import edited, images, measured, refused

pytestmark = pytest.mark.toolchain


def parity_job(folder: Path, pictures: np.ndarray, **changes: Any) -> Path:
    """The job in a folder, for as many embeddings as there are pictures; `inputs=...` leaves a key out."""
    whole = {**shared.WHOLE, "iterations": len(pictures), **changes}
    return write_job(folder, pictures, linear(pictures, shared.DIM), **whole)


def photo_job(core: Core, files: dict[str, bytes], **changes: Any) -> tuple[Path, np.ndarray]:
    """A job with photographs, whose stored pixels stand beside them, and what Python makes of them."""
    folder = core.swift.folder("job-")
    pictures = shared.write_photos(folder / "raw", files)
    for name, content in files.items():
        with Image.open(io.BytesIO(content)) as stored:
            raw = struct.pack("<2I", *stored.size) + stored.convert("RGB").tobytes()
        (folder / "raw/photos" / f"{name}.rgb").write_bytes(raw)
    parity_job(folder, pictures, **{"inputs": None, "photos": "raw"} | changes)
    (folder / "inputs.bin").unlink()
    return folder, pictures


@pytest.fixture
def job(core: Core) -> Path:
    """The job of all languages."""
    return parity_job(core.swift.folder("job-"), shared.images())


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".mlpackage",))


def test_the_job_of_all_languages(core: Core, job: Path) -> None:
    done = core("measure", job)
    assert (done.returncode, done.stderr) == (0, "")
    shared.agrees(shared.kept(job / "result.json"), shared.embeddings(shared.images()))
    check = json.loads((job / "result.json").read_bytes())["check"]
    assert check["images"] == 37 and check["min_cosine"] == pytest.approx(1, abs=1e-9)
    assert left(job) == sorted(["embeddings.bin", "golden.bin", "inputs.bin", "job.json", "result.json"])


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_photographs_of_all_languages(core: Core, kind: str) -> None:
    folder, pictures = photo_job(core, shared.photos(kind))
    done = core("measure", folder)
    assert (done.returncode, done.stderr) == (0, "")
    shared.agrees(shared.kept(folder / "result.json"), shared.embeddings(pictures))


def test_a_job_that_python_wrote(core: Core) -> None:
    folder, pictures = photo_job(core, shared.photos("png"))
    shared.by_python(folder / "job.json")
    assert core("measure", folder).returncode == 0
    shared.agrees(shared.kept(folder / "result.json"), shared.embeddings(pictures))


def test_a_measurement_leaves_no_embeddings(core: Core, job: Path) -> None:
    measured(core, edited(job, embeddings=None))
    assert "embeddings.bin" not in left(job)


def test_rows_are_the_first_outputs_where_images_come_again(core: Core, job: Path) -> None:
    assert core("measure", edited(job, warmup=40, iterations=70)).returncode == 0
    shared.agrees(shared.kept(job / "result.json"), shared.embeddings(shared.images()))


def test_an_output_that_is_no_number_is_written_as_it_is(core: Core, job: Path) -> None:
    assert core("measure", job, "not-a-number").returncode == 0
    rows = shared.kept(job / "result.json")
    assert np.isnan(rows[:, -1]).all()
    assert np.array_equal(rows[:, :-1], shared.embeddings(shared.images())[:, :-1])
    assert not json.loads((job / "result.json").read_bytes())["check"]["passed"]


def test_one_image_is_in_memory_at_a_time(core: Core) -> None:
    pictures = np.broadcast_to(images(1, 500, 700), (400, 500, 700, 3))  # 420 MB
    folder = core.swift.folder("job-")
    parity_job(folder, pictures[:1])
    with open(folder / "inputs.bin", "wb") as file:
        for picture in pictures:
            file.write(picture.tobytes())
    np.repeat(linear(pictures[:1], shared.DIM), 400, axis=0).tofile(folder / "golden.bin")
    done = core("measure", edited(folder, count=400, iterations=400))
    assert (done.returncode, done.stderr) == (0, "")
    peak = json.loads((folder / "result.json").read_bytes())["memory_bytes"]["peak_rss"]
    assert peak < 300 << 20  # 96 MiB are the model's own
    assert len(shared.kept(folder / "result.json")) == 400


NAMES: tuple[Any, ...] = ("", "..", "../e.bin", "/e.bin", "a/e.bin", "a\nb", "x" * 500, 1, [])
TAKEN = ("job.json", "result.json", "inputs.bin", "golden.bin", "model.mlpackage", "compute-plan.json")
FOLDERS: tuple[Any, ...] = ("", "..", "/tmp", 1, {}, "a\u0000b")
WRONG: list[tuple[str, Any]] = [
    *[("embeddings", value) for value in (*NAMES, *TAKEN)],
    *[("photos", value) for value in FOLDERS],
    *[("inputs", value) for value in (None, ...)],
    ("iterations", 35),
]


def test_fields_that_are_wrong_are_told_in_one_line(core: Core, job: Path) -> None:
    for key, value in WRONG:
        before = (job / "job.json").read_bytes()
        refused(core("measure", edited(job, **{key: value})), job, 2, key)
        (job / "job.json").write_bytes(before)
    refused(core("measure", edited(job, photos="raw")), job, 2, "inputs", "none where photos are given")
    refused(core("measure", edited(job, inputs=None)), job, 2, "golden.json: no such file")
    assert "embeddings.bin" not in left(job)


def test_inputs_may_be_left_out_or_null(core: Core) -> None:
    folder, _ = photo_job(core, shared.photos("png"))
    assert core("measure", edited(folder, inputs=...)).returncode == 0


def test_photographs_that_are_wrong_are_told_in_one_line(core: Core) -> None:
    folder, _ = photo_job(core, shared.photos("png"))
    refused(core("measure", edited(folder, height=25)), folder, 2, "8 images of 24 x 32", "the job has 8 of 25 x 32")
    edited(folder, height=24)
    listed = json.loads((folder / "raw/golden.json").read_text())
    (folder / "raw/golden.json").write_text(json.dumps(listed | {"items": listed["items"][:7]}))
    refused(core("measure", folder), folder, 2, "raw", "7 images of 24 x 32", "the job has 8 of 24 x 32")
    (folder / "raw/golden.json").write_text(json.dumps(listed))
    last = folder / "raw" / listed["items"][7]["file"]
    sound = last.read_bytes()
    for content, told in [
        (sound[:-9], "not the one listed"),
        (None, "no such file"),
        (bytes((64 << 20) + 1), "at most"),
    ]:
        last.unlink() if content is None else last.write_bytes(content)
        refused(core("measure", folder), folder, 2, "photos/8.png", told)
    assert "embeddings.bin" not in left(folder)


def test_photographs_of_more_than_a_part_are_refused_before_any_is_decoded(core: Core) -> None:
    folder, _ = photo_job(core, shared.photos("png"))
    for path in (folder / "raw/photos").glob("*.png"):
        os.truncate(path, 40 << 20)
    refused(core("measure", folder), folder, 2, "photos raw", f"{8 * (40 << 20)} bytes", "give them in parts")


@pytest.mark.parametrize("fault", ["short", "no-output", "does-not-run", "does-not-open-twice"])
def test_a_model_that_fails_leaves_nothing(core: Core, job: Path, fault: str) -> None:
    done = core("measure", job, fault)
    assert done.returncode in (2, 3) and len(done.stderr.splitlines()) == 1
    assert not {"embeddings.bin", "result.json"} & set(left(job))


def test_a_place_that_is_taken_is_told(core: Core, job: Path) -> None:
    (job / "embeddings.bin").mkdir()
    refused(core("measure", job), job, 3, "embeddings embeddings.bin: cannot be written")


def test_without_its_result_there_are_no_embeddings(core: Core, job: Path) -> None:
    (job / "result.json").mkdir()
    done = core("measure", job)
    assert done.returncode == 3 and "out result.json: cannot be written" in done.stderr
    assert "embeddings.bin" not in left(job)


def test_a_disk_that_fills_up_leaves_nothing(core: Core) -> None:
    pictures = images(2000)
    with mounted(core.swift.work / "disk", 1) as disk:
        parity_job(disk.root, pictures)
        before = left(disk.root)
        disk.fill()
        os.truncate(disk.root / ".filler", (disk.root / ".filler").stat().st_size - 40_000)
        done = core("measure", disk.root)  # its embeddings have 88,000 bytes
        refused(done, disk.root, 3, "embeddings embeddings.bin: cannot be written")
        assert left(disk.root) == sorted([*before, ".filler"])
        disk.mend()
        assert core("measure", disk.root).returncode == 0
        shared.agrees(shared.kept(disk.root / "result.json"), linear(pictures, shared.DIM))


def test_damaged_golden_folders_end_in_one_line_or_a_result(core: Core) -> None:
    folder, _ = photo_job(core, dict(list(shared.photos("png").items())[:2]))
    whole, random = (folder / "raw/golden.json").read_bytes(), np.random.default_rng(5)
    for _ in range(30):
        damaged = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        (folder / "raw/golden.json").write_bytes(damaged)
        done = core("measure", folder)
        if done.returncode != 0:
            refused(done, folder, 2)
        (folder / "result.json").unlink(missing_ok=True)
