"""Parity jobs on the JVM with ONNX Runtime: every image's embedding comes back, of pixels and of photographs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgekit.recipe import InputSpec
from tests import parity_job as shared
from tests.faults.disk import mounted

from ..bench_native.harness import golden_of, linear, photographs
from .harness import Case, Core
from .test_preprocess import encode, noise

pytestmark = pytest.mark.toolchain
NO_PIXELS: dict[str, Any] = {"inputs": None, "photos": "raw"}


@pytest.fixture
def same(core: Core, tmp_path: Path) -> Case:
    """The job that all languages get."""
    (tmp_path / "job").mkdir()
    images = shared.images()
    model = shared.model(tmp_path / "same.onnx")
    return Case(tmp_path / "job", core, model, images, shared.embeddings(images), "nhwc_u8")


def raw(case: Case, files: dict[str, bytes], spec: InputSpec = shared.SPEC) -> tuple[Case, np.ndarray]:
    """The case with photographs in the place of its images, and what Python makes of them."""
    images = shared.write_photos(case.folder / "raw", files, spec)
    return dataclasses.replace(case, images=images, golden=golden_of(case.model, images)), images


def test_the_job_of_all_languages(same: Case) -> None:
    shared.agrees(same.parity(), same.golden)
    check = json.loads(same.out.read_text(encoding="utf-8"))["check"]
    assert check["images"] == 37 and check["min_cosine"] == pytest.approx(1, abs=1e-6)


def test_photographs_without_loss_of_all_languages(same: Case) -> None:
    case, images = raw(same, shared.photos("png"))
    shared.agrees(case.parity(**NO_PIXELS), shared.embeddings(images))


@pytest.mark.parametrize(("kind", "least"), [("png", 1 - 1e-6), ("jpg", 0.9999)])  # decoders of JPEG round otherwise
def test_photographs_through_an_exported_model(
    core: Core, tower_file: Path, tmp_path: Path, kind: str, least: float
) -> None:
    start = Case(tmp_path, core, tower_file, np.zeros(0), np.zeros(0), "nchw")
    case, _ = raw(start, shared.photos(kind), InputSpec(size=(64, 64)))
    rows, due = case.parity(**NO_PIXELS).astype(np.float64), case.golden.astype(np.float64)
    cosines = rows @ due.T / np.linalg.norm(rows, axis=1)[:, None] / np.linalg.norm(due, axis=1)
    assert cosines.diagonal().min() > least and (cosines.argmax(axis=1) == range(8)).all()
    check = json.loads(case.out.read_text(encoding="utf-8"))["check"]
    assert check["min_cosine"] == pytest.approx(cosines.diagonal().min(), abs=1e-6)


def test_a_job_that_python_wrote(same: Case) -> None:
    case, images = raw(same, shared.photos("png"))
    job = shared.by_python(case.job(**NO_PIXELS, **shared.WHOLE, iterations=8))
    assert {"inputs": None, "photos": "raw"}.items() <= json.loads(job.read_text(encoding="utf-8")).items()
    assert case.core.run("measure", job).returncode == 0
    shared.agrees(shared.kept(case.out), shared.embeddings(images))


def test_rows_are_the_first_outputs_where_images_come_again(same: Case) -> None:
    assert len(same.parity(warmup=40, iterations=70)) == 37


def test_an_output_that_is_no_number_is_written_as_it_is(small: Case, tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["flat", "flat"], ["zero"]), helper.make_node("Log", ["zero"], ["logs"])]
    nodes.append(helper.make_node("Mul", ["logs", "zero"], ["embedding"]))  # infinity times 0
    model = linear(tmp_path / "broken.onnx", "nhwc_u8", (5, 7), 11, tail=nodes)
    rows = dataclasses.replace(small, model=model).parity()
    assert rows.shape == (4, 11) and np.isnan(rows).all()
    assert not json.loads(small.out.read_text(encoding="utf-8"))["check"]["passed"]


def test_one_image_is_in_memory_at_a_time(core: Core, tmp_path: Path) -> None:
    size = (700, 900)
    for name in ("pixels", "photos"):
        (tmp_path / name).mkdir()
    model = linear(tmp_path / "wide.onnx", "nhwc_u8", size, 3)
    images = np.broadcast_to(noise(*size), (60, *size, 3)).copy()  # 113 MB
    images[:, 0, 0, 0] = np.arange(60)
    pixels = Case(tmp_path / "pixels", core, model, images, golden_of(model, images), "nhwc_u8")
    assert np.abs(pixels.parity(heap="48m") - pixels.golden).max() < 1e-2
    case = dataclasses.replace(pixels, folder=tmp_path / "photos")
    files = {f"{index % 8 + 1}-{index}.png": encode(noise(1000, 1500, index)) for index in range(12)}  # 54 MB decoded
    case, images = raw(case, files, InputSpec(size=size))
    assert np.abs(case.parity(heap="48m", **NO_PIXELS) - case.golden).max() < 1e-2


def refused(case: Case, *told: str, **changes: Any) -> None:
    """The job ends in one line with these texts; neither a result nor embeddings are there."""
    whole = {**shared.WHOLE, "iterations": len(case.golden)}
    line = case.refused(case.job(**whole | changes))
    for text in told:
        assert text in line, line
    assert not (case.folder / shared.KEPT).exists()


def test_fields_that_are_wrong_are_told_in_one_line(same: Case) -> None:
    names: tuple[Any, ...] = ("../e.bin", "", "job.json", "golden.bin", "result.json", 1, [])
    for name in names:
        refused(same, "embeddings", embeddings=name)
    refused(same, "iterations", "give 37", iterations=35)
    refused(same, "photos", photos="gone", inputs=None)
    refused(same, "inputs", "leave it out", photos="gone")
    refused(same, "unknown key pictures", pictures="raw")


def test_photographs_that_are_wrong_are_told_in_one_line(same: Case) -> None:
    case, _ = raw(same, shared.photos("jpg"))
    refused(case, "raw", "8 images of 24 x 32", "the job has 8 of 25 x 32", **NO_PIXELS, **_taller(case))
    listed = json.loads((case.folder / "raw/golden.json").read_text())
    last = case.folder / "raw" / listed["items"][7]["file"]
    sound = last.read_bytes()
    for content, told in [(sound[:-9], "has changed"), (None, "not there"), (bytes((64 << 20) + 1), "more than")]:
        last.unlink() if content is None else last.write_bytes(content)
        refused(case, "photos/8.jpg", told, **NO_PIXELS)
    for content in (sound[:200], b"no photograph", b""):
        last.write_bytes(content)
        listed["items"][7]["sha256"] = hashlib.sha256(content).hexdigest()
        (case.folder / "raw/golden.json").write_text(json.dumps(listed))
        refused(case, "photos/8.jpg", **NO_PIXELS)


def _taller(case: Case) -> dict[str, Any]:
    facts = json.loads(case.job().read_text(encoding="utf-8"))["facts"]
    return {"height": 25, "facts": facts | {"input": [25, 32]}}


def test_a_model_of_another_dim_is_told(same: Case) -> None:
    other = np.ones((37, 12), np.float32)
    refused(dataclasses.replace(same, golden=other), "its output is not float [1,12]")


def test_a_place_that_is_taken_is_told_before_the_run(same: Case) -> None:
    (same.folder / shared.KEPT).mkdir()
    line = same.refused(same.job(**shared.WHOLE, iterations=37))
    assert "embeddings.bin" in line and "not a file" in line


def test_a_disk_that_fills_up_or_takes_no_writes_leaves_nothing(core: Core, tmp_path: Path) -> None:
    images = photographs(2000, 5, 7)
    model = linear(tmp_path / "small.onnx", "nhwc_u8", (5, 7), 11)
    with mounted(tmp_path / "disk", 1) as disk:
        case = Case(disk.root, core, model, images, golden_of(model, images), "nhwc_u8")
        job = case.job(**shared.WHOLE, iterations=2000)
        disk.fill()
        os.truncate(disk.root / ".filler", (disk.root / ".filler").stat().st_size - 40_000)
        line = case.refused(job)  # its embeddings have 88,000 bytes
        assert "embeddings.bin: cannot be written (No space left on device)" in line
        assert not (disk.root / shared.KEPT).exists()
        disk.mend()
        assert disk.read_only()
        assert "its folder is not there or cannot be written to" in case.refused(job)
        disk.mend()
        shared.agrees(case.parity(), case.golden)
