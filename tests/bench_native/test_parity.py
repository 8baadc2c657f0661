"""Parity jobs with edgekit_bench: every image's embedding comes back in a file beside the result."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import resource
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests import parity_job as shared
from tests.waiting import PATIENCE

from .harness import Case, Run, golden_of, linear, linear_golden, photographs


@pytest.fixture
def same(small: Case, tmp_path: Path) -> Case:
    """The job of all languages."""
    images = shared.images()
    model = shared.model(tmp_path / "same.onnx")
    return dataclasses.replace(small, model=model, images=images, golden=shared.embeddings(images))


def parity(case: Case, **changes: Any) -> Run:
    """A run that is to bring as many embeddings as there are images."""
    return case.run(**{**shared.WHOLE, "iterations": len(case.images), **changes})


def rows(case: Case, **changes: Any) -> np.ndarray:
    """The embeddings that it brings."""
    done = parity(case, **changes)
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    assert not list(done.out.parent.glob("*.partial"))
    return shared.kept(done.out, case.golden.shape[1])


def failed(case: Case, code: int, *told: str, **changes: Any) -> None:
    """It ends in one line; neither a result nor embeddings are there."""
    parity(case, **changes).failed(code, *told)
    assert not (case.folder / shared.KEPT).exists()


def test_the_job_of_all_languages(same: Case) -> None:
    shared.agrees(rows(same), same.golden)
    check = json.loads((same.folder / "result.json").read_bytes())["check"]
    assert check["images"] == 37 and check["min_cosine"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_every_layout(small: Case, tmp_path: Path, layout: str) -> None:
    model, golden = linear(tmp_path / "it.onnx", layout, (5, 7), 11), linear_golden(layout, small.images, 11)
    case = dataclasses.replace(small, model=model, layout=layout, golden=golden)
    shared.agrees(rows(case), golden)


def test_another_runtime(small_lite: Case) -> None:
    shared.agrees(rows(small_lite), small_lite.golden)


def test_the_check_agrees_with_the_rows(same: Case) -> None:
    golden = same.golden + np.random.default_rng(1).normal(size=same.golden.shape).astype(np.float32) * 3
    found = rows(dataclasses.replace(same, golden=golden), min_cosine=-1).astype(np.float64)
    cosines = (found * golden).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(golden.astype("<f8"), axis=1)
    check = json.loads((same.folder / "result.json").read_bytes())["check"]
    assert check["min_cosine"] == pytest.approx(cosines.min(), abs=1e-7) and cosines.min() < 0.9999


def test_rows_are_the_first_outputs_where_images_come_again(same: Case) -> None:
    shared.agrees(rows(same, warmup=40, iterations=70), same.golden)


def test_a_measurement_leaves_no_embeddings(small: Case) -> None:
    small.run().result()
    assert not (small.folder / shared.KEPT).exists()


def test_an_output_that_is_no_number_is_written_as_it_is(small: Case, tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["flat", "flat"], ["zero"]), helper.make_node("Log", ["zero"], ["logs"])]
    nodes.append(helper.make_node("Mul", ["logs", "zero"], ["embedding"]))  # infinity times 0
    model = linear(tmp_path / "broken.onnx", "nhwc_u8", (5, 7), 11, tail=nodes)
    found = rows(dataclasses.replace(small, model=model))
    assert found.shape == (4, 11) and np.isnan(found).all()
    assert not json.loads((small.folder / "result.json").read_bytes())["check"]["passed"]


@pytest.mark.parametrize("dim", [1, 13, 14, 15, 16, 17])
def test_the_hash_of_every_length(small: Case, tmp_path: Path, dim: int) -> None:
    """SHA-256 takes blocks of 64 bytes, the last of which ends with eight for the length."""
    model = linear(tmp_path / "it.onnx", "nhwc_u8", (5, 7), dim)
    for count in (1, 2, 3):
        images = photographs(count, 5, 7)
        case = dataclasses.replace(small, model=model, images=images, golden=golden_of(model, images))
        assert len(rows(case, min_cosine=-1)) == count


def test_one_image_is_in_memory_at_a_time(small: Case, tmp_path: Path) -> None:
    images = np.broadcast_to(photographs(1, 500, 700), (160, 500, 700, 3))  # 168 MB
    model = linear(tmp_path / "wide.onnx", "nhwc_u8", (500, 700), 3)
    golden = np.repeat(golden_of(model, images[:1]), 160, axis=0)
    case = dataclasses.replace(small, model=model, images=images, golden=golden)
    assert np.allclose(rows(case), golden, rtol=1e-4)
    peak = json.loads((small.folder / "result.json").read_bytes())["memory_bytes"]["peak_rss"]
    assert peak < 150 << 20


def test_names_that_are_wrong_are_told_in_one_line(same: Case) -> None:
    for name in ("", "..", "../e.bin", "/e.bin", "a/e.bin", "a\nb", ".e", "-e", "x" * 101, "é"):
        failed(same, 2, "--embeddings is", "plain file name", embeddings=name)
    for name in ("result.json", "same.onnx", "inputs.bin", "golden.bin", same.library.name):
        failed(same, 2, f"--embeddings is '{name}'", "of its own", embeddings=name)
    failed(same, 2, "--iterations is 35: give 37", iterations=35)
    twice = [*same.arguments(**shared.WHOLE, iterations=37), "--embeddings", "other.bin"]
    same.start(twice, same.folder / "result.json").failed(2, "--embeddings is given twice")


def test_photographs_are_refused(same: Case) -> None:
    failed(same, 2, "unknown argument '--photos'", photos="raw")


def test_a_model_of_another_dim_is_told(same: Case) -> None:
    failed(dataclasses.replace(same, golden=np.ones((37, 12))), 3, "output is not float32 [1,12]")


def test_a_place_that_is_taken_or_missing_is_told_before_the_run(same: Case) -> None:
    (same.folder / shared.KEPT).mkdir()
    parity(same, duration=3600).failed(2, "--embeddings", "not a regular file")
    (same.folder / shared.KEPT).rmdir()
    failed(same, 2, "--out", out="absent/result.json", duration=3600)


def test_embeddings_from_before_stay_where_a_run_fails(same: Case) -> None:
    before = rows(same)
    (same.folder / "result.json").unlink()
    broken = same.folder / "broken.onnx"
    broken.write_bytes(b"no model")
    parity(dataclasses.replace(same, model=broken)).failed(3, "broken.onnx")
    kept = np.frombuffer((same.folder / shared.KEPT).read_bytes(), "<f4").reshape(before.shape)
    assert np.array_equal(kept, before)


@pytest.mark.parametrize(("limit", "told"), [(4096, "--embeddings"), (90_000, "--out")])
def test_a_full_disk_leaves_nothing_behind(small: Case, limit: int, told: str) -> None:
    """The embeddings have 88,000 bytes; the result, with its samples, more."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    images = np.repeat(small.images, 500, axis=0)
    case = dataclasses.replace(small, images=images, golden=np.repeat(small.golden, 500, axis=0))
    before = {*small.folder.iterdir(), small.folder / "inputs.bin", small.folder / "golden.bin"}
    command = [*case.command, *case.arguments(**shared.WHOLE, iterations=20_000)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited, timeout=PATIENCE)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert re.match(rf"edgekit_bench: {told} \S+: cannot be written \(File too large\): ", done.stderr)
    assert set(small.folder.iterdir()) == before


def test_an_input_that_becomes_shorter_is_told(small: Case, tmp_path: Path) -> None:
    """Images are read one by one, so that a file may change under the run."""
    images = np.repeat(small.images, 250, axis=0)
    case = dataclasses.replace(small, images=images, golden=np.repeat(small.golden, 250, axis=0))
    arguments = case.arguments(**{**shared.WHOLE, "duration": 600, "iterations": 1000})
    inputs = case.folder / "inputs.bin"
    process = subprocess.Popen([*case.command, *arguments], stderr=subprocess.PIPE, text=True)
    while not list(case.folder.glob("*.partial")):
        assert process.poll() is None
    os.truncate(inputs, 10)
    _, line = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and "it became shorter" in line and len(line.splitlines()) == 1
    assert not (case.folder / shared.KEPT).exists() and not list(case.folder.glob("*.partial"))


@pytest.mark.slow
def test_with_the_sanitizers(same: Case, sanitized: Path) -> None:
    case = dataclasses.replace(same, command=(str(sanitized),))
    failed(case, 2, "--iterations", iterations=3)
    failed(dataclasses.replace(case, golden=np.ones((37, 12))), 3, "output is not float32 [1,12]")
    shared.agrees(rows(case), same.golden)
