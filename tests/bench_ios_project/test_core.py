"""`ios_bench/Core` on Linux: a job is measured, and hostile ones are refused in one line."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgekit.bench.golden import Golden
from edgekit.bench.protocol import AppJob
from edgekit.bench.protocol import write_job as write_app_job
from edgekit.bench.schema import Model, Result, read_result

from .harness import RUN_ID, Core, facts, linear, write_job

pytestmark = pytest.mark.toolchain


def images(count: int = 4, height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture
def job(core: Core) -> Path:
    """A folder with a job of a few pixels."""
    pictures = images()
    return write_job(core.swift.folder("job-"), pictures, linear(pictures, 11))


def measured(core: Core, folder: Path, *faults: str) -> Result:
    """The result of a run, which must satisfy the schema both ways."""
    done = core("measure", folder, *faults)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    out = folder / "result.json"
    assert int(done.stdout) == out.stat().st_size
    document = json.loads(out.read_bytes().decode("utf-8"), parse_constant=_refuse)
    jsonschema.Draft202012Validator(Result.model_json_schema()).validate(document)
    return read_result(out)


def _refuse(name: str) -> float:
    raise AssertionError(f"{name} in the document")


def refused(done: subprocess.CompletedProcess[str], folder: Path, code: int, *told: str) -> None:
    """It said one line with each of the texts in it, and wrote nothing."""
    assert (done.returncode, done.stdout) == (code, ""), (done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("core: ") and len(done.stderr.splitlines()) == 1, done.stderr
    for text in told:
        assert text in done.stderr
    assert not (folder / "result.json").exists()


def edited(folder: Path, **changes: Any) -> Path:
    """The folder with other keys in its job.json."""
    document = json.loads((folder / "job.json").read_text())
    document |= changes
    (folder / "job.json").write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))
    return folder


def test_document(core: Core, job: Path) -> None:
    started = time.time()
    result = measured(core, edited(job, compute_units="cpuAndGPU"), "slow")
    took_ms = (time.time() - started) * 1000

    assert (result.run_id, result.tool.runner, result.tool.harness) == (RUN_ID, "ios-app", "tests ")
    assert result.model.model_dump(mode="json") == facts()
    assert (result.runtime.name, result.runtime.backend, result.runtime.threads) == ("coreml", "cpuAndGPU", None)
    assert result.device.platform == "ios" and result.device.emulated is False and result.device.ram_bytes is None
    assert [core.id for core in result.device.cores or ()] == [0, 1]
    assert (result.protocol.warmup, result.protocol.min_iterations, result.protocol.iterations) == (2, 10, 10)
    assert (result.protocol.inputs, result.protocol.screen_on, result.protocol.airplane) == (4, True, None)
    assert (result.state.before.thermal_status, result.state.before.charging) == (0, None)

    times = result.latency_ms
    assert len(times.samples) == 10 and all(10 <= sample < took_ms for sample in times.samples)
    assert times.cold_load and times.warm_load and times.first
    assert times.cold_load >= 80 and times.warm_load >= 20 and times.first >= 10 and times.compile == 1.5
    assert times.cold_load + times.first + sum(times.samples) + times.warm_load < took_ms
    assert (times.mean, times.p50, times.p99, times.outliers) == (None,) * 4
    assert result.memory_bytes.peak_rss and result.memory_bytes.loaded is not None
    assert result.memory_bytes.loaded < result.memory_bytes.peak_rss < 1 << 30
    assert result.memory_bytes.phys_footprint_peak is None

    assert result.check.passed and result.check.images == 4
    assert result.check.min_cosine == pytest.approx(1, abs=1e-9)
    assert result.validity.valid and result.validity.reasons == () and result.errors == ()


def test_a_job_that_python_wrote(core: Core) -> None:
    pictures = images(3, 9, 4)
    model = core.swift.folder("model-")
    job = AppJob(
        run_id="ab" * 16,
        model="model.mlpackage",
        format="coreml",
        facts=Model.model_validate(facts()),
        count=3,
        height=9,
        width=4,
        dim=5,
        layout="nhwc_u8",
        warmup=1,
        iterations=4,
        duration=0.0,
        threads=2,
        compute_units="cpuOnly",
    )
    folder = core.swift.folder("job-")
    write_app_job(folder, job, model, Golden(pictures, linear(pictures, 5)))
    result = measured(core, folder)
    assert result.check.passed and result.model == job.facts and result.run_id == job.run_id
    assert (result.runtime.backend, result.protocol.iterations) == ("cpuOnly", 4)
    unset = job.model_copy(update={"compute_units": None})
    (folder / "job.json").write_text(json.dumps(unset.model_dump(mode="json")))
    assert measured(core, folder).runtime.backend == "all"


def test_setting_the_input_is_not_timed(core: Core, job: Path) -> None:
    assert np.median(measured(core, job, "slow-input").latency_ms.samples) < 20


def test_as_many_images_are_checked_as_are_run(core: Core, job: Path) -> None:
    assert measured(core, edited(job, warmup=0, iterations=1)).check.images == 2
    assert measured(core, edited(job, warmup=1, iterations=1)).check.images == 3


def test_both_limits_are_kept(core: Core, job: Path) -> None:
    assert len(measured(core, edited(job, iterations=57)).latency_ms.samples) == 57
    started = time.monotonic()
    long = measured(core, edited(job, iterations=1, duration=0.5))
    assert time.monotonic() - started >= 0.5
    assert long.protocol.iterations == len(long.latency_ms.samples) > 57
    assert (long.protocol.min_iterations, long.protocol.min_duration_s) == (1, 0.5)


@pytest.mark.parametrize("fault", ["stale-input", "stale-output"])
def test_a_model_that_repeats_itself_is_told(core: Core, job: Path, fault: str) -> None:
    result = measured(core, job, fault)
    assert not result.check.passed and result.validity.reasons == ("wrong-output",)
    assert result.check.min_cosine is not None and result.check.min_cosine < 0.9999


@pytest.mark.parametrize("fault", ["zeros", "not-a-number", "huge"])
def test_outputs_that_are_no_embedding_fail_the_check(core: Core, job: Path, fault: str) -> None:
    result = measured(core, edited(job, min_cosine=-1), fault)
    assert not result.check.passed and not result.validity.valid
    assert (result.check.min_cosine, result.check.max_abs) == (None, None)


def test_the_worst_image_counts_and_the_limit_is_the_one_given(core: Core) -> None:
    pictures = images()
    golden = linear(pictures, 11)
    golden[2] += 400
    folder = write_job(core.swift.folder("job-"), pictures, golden, min_cosine=-1)
    check = measured(core, folder).check
    due = linear(pictures, 11)[2].astype(np.float64)
    other = golden[2].astype(np.float64)
    cosine = due @ other / np.linalg.norm(due) / np.linalg.norm(other)
    assert check.min_cosine == pytest.approx(cosine, abs=1e-12) and cosine < 0.9999
    assert check.max_abs == pytest.approx(400, rel=1e-5)
    assert measured(core, edited(folder, min_cosine=cosine - 1e-6)).check.passed
    assert not measured(core, edited(folder, min_cosine=cosine + 1e-6)).check.passed


def test_what_makes_a_result_not_comparable(core: Core, job: Path) -> None:
    result = measured(core, job, "emulated", "background", "low-power", "no-memory", "no-plan")
    assert not result.validity.valid and result.check.passed
    assert set(result.validity.reasons) == {"emulated", "background", "low-power"}
    assert result.protocol.screen_on is None and result.device.emulated is True
    assert (result.memory_bytes.peak_rss, result.memory_bytes.loaded) == (None, None)
    assert result.errors == ("no plan:  test",)


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        ("does-not-open", 3, "cannot be opened"),
        ("does-not-open-twice", 3, "model.mlpackage: cannot be measured"),
        ("does-not-run", 3, "model.mlpackage: cannot be measured"),
        ("no-output", 3, "gave no output"),
        ("short", 2, "gives 10 values, dim is 11"),
    ],
)
def test_a_model_that_fails_leaves_no_result(core: Core, job: Path, fault: str, code: int, told: str) -> None:
    refused(core("measure", job, fault), job, code, told)


UNITS: tuple[Any, ...] = ("ALL", "cpu", 1, [])
FACTS: tuple[Any, ...] = (None, "x", [])
NUMBERS: tuple[Any, ...] = (0, -1, "1", 1.5, None, True)
SIZES: tuple[Any, ...] = (0, 65537, [], {})
WRONG: list[tuple[str, Any]] = [
    *[(key, ...) for key in ("schema", "run_id", "model", "facts", "inputs", "count", "duration", "threads", "out")],
    *[(key, value) for key in ("count", "height", "iterations", "threads") for value in NUMBERS],
    *[("dim", value) for value in (0, 1_000_001, 2**63, 1e300)],
    *[("width", value) for value in SIZES],
    *[("duration", value) for value in (-1, 86401, "0", None, True)],
    *[("min_cosine", value) for value in (1.01, -2, "1", None)],
    *[("run_id", value) for value in ("", "a" * 31, "A" * 32, "a" * 31 + "\n", "á" * 16, 5)],
    *[("layout", value) for value in ("NCHW", "", None)],
    *[("format", value) for value in ("onnx", "executorch", "tflite", 1)],
    *[("schema", value) for value in ("edgekit.job/1", "", 1)],
    *[("compute_units", value) for value in UNITS],
    *[("facts", value) for value in FACTS],
    *[("warmup", value) for value in (-1, 1_000_001, 0.5)],
    *[
        (key, value)
        for key in ("model", "inputs", "golden", "out")
        for value in ("", "..", "../x", "/etc/passwd", "a/../../x", "a//b", "./x", "a\nb", "a\u0000b", "x" * 500, 1)
    ],
    *[
        ("out", value)
        for value in ("sub/result.json", "job.json", "inputs.bin", "model.mlpackage", "compute-plan.json")
    ],
    *[(key, "missing.bin") for key in ("inputs", "golden")],
    ("golden", "model.mlpackage"),
    ("surprise", 1),
    ("a\nb\u2028c\u0007", 1),
]


def test_a_job_of_an_older_edgekit_is_refused_by_its_schema(core: Core, job: Path) -> None:
    document = json.loads((job / "job.json").read_text()) | {"schema": "edgekit.job/1"}
    (job / "job.json").write_text(json.dumps({key.replace("_", "-"): value for key, value in document.items()}))
    refused(core("measure", job), job, 2, "schema is not edgekit.job/2: use the driver of this version")


def test_hostile_keys_are_refused_in_one_line(core: Core, job: Path) -> None:
    for key, value in WRONG:
        before = (job / "job.json").read_bytes()
        document = json.loads(before) | {key: value}
        (job / "job.json").write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))
        refused(core("measure", job), job, 2, key if key.isprintable() else "unknown key")
        (job / "job.json").write_bytes(before)
    assert measured(core, job).check.passed


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"schema": "edgekit.job/2"}',
        b"\xff\xfe{\x00}\x00",
        b'{"schema": NaN}',
        b"[" * 5000,
        b'{"a":' * 5000,
        b"x" * (1 << 20),
        b" " * (1 << 20) + b"{}",
        b'{"count": 1' + b"0" * 400 + b"}",
    ],
    ids=range(12),
)
def test_hostile_documents_are_refused_in_one_line(core: Core, job: Path, content: bytes) -> None:
    (job / "job.json").write_bytes(content)
    refused(core("measure", job), job, 2, "job.json")


def test_damaged_documents_end_in_one_line_or_a_result(core: Core, job: Path) -> None:
    random = np.random.default_rng(3)
    whole = (job / "job.json").read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        (job / "job.json").write_bytes(damaged)
        done = core("measure", job)
        if done.returncode == 0:
            (job / json.loads(damaged)["out"]).unlink()
        else:
            refused(done, job, 2)


def test_files_that_are_no_files_are_refused(core: Core, job: Path) -> None:
    inputs = job / "inputs.bin"
    content = inputs.read_bytes()
    inputs.write_bytes(content + b"x")
    refused(core("measure", job), job, 2, "inputs inputs.bin", "has 421 bytes")
    inputs.write_bytes(content[:-1])
    refused(core("measure", job), job, 2, "inputs inputs.bin: has 419 bytes", "420")
    inputs.unlink()
    os.mkfifo(inputs)
    refused(core("measure", job), job, 2, "inputs inputs.bin: not a regular file")
    inputs.unlink()
    outside = job.parent / f"{job.name}-outside.bin"
    outside.write_bytes(content)
    inputs.symlink_to(f"../{outside.name}")
    refused(core("measure", job), job, 2, "a link that leaves the folder")
    inputs.unlink()
    inputs.write_bytes(content)
    (job / "job.json").unlink()
    refused(core("measure", job), job, 2, "job.json: no such file")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("dim", 10, "golden golden.bin: has 176 bytes, float32 embeddings [count,dim] have 160"),
        ("width", 8, "inputs inputs.bin: has 420 bytes, uint8 images [count,height,width,3] have 480"),
        ("count", 100_000, "inputs inputs.bin: has 420 bytes"),
        ("height", 65536, "inputs inputs.bin: has 420 bytes"),
    ],
)
def test_sizes_must_be_those_of_the_files(core: Core, job: Path, key: str, value: int, told: str) -> None:
    refused(core("measure", edited(job, **{key: value})), job, 2, told)


def test_more_than_can_be_addressed_is_refused(core: Core, job: Path) -> None:
    wrong = edited(job, count=100_000, height=65536, width=65536)
    refused(core("measure", wrong), job, 2, "inputs: uint8 images [count,height,width,3] would have more than 4 GiB")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0])
def test_golden_embeddings_must_be_embeddings(core: Core, value: float) -> None:
    golden = linear(images(), 11)
    golden[1] = value
    folder = write_job(core.swift.folder("job-"), images(), golden)
    refused(core("measure", folder), folder, 2, "golden golden.bin: the embedding of image 1")


def test_a_result_from_before_is_replaced_whole(core: Core, job: Path) -> None:
    (job / "result.json").write_text("from before")
    refused_run = core("measure", job, "does-not-run")
    assert refused_run.returncode == 3 and (job / "result.json").read_text() == "from before"
    (job / "result.json").unlink()
    measured(core, job)
    assert sorted(path.name for path in job.iterdir()) == sorted(
        ["golden.bin", "inputs.bin", "job.json", "model.mlpackage", "result.json"]
    )
    (job / "result.json").unlink()
    (job / "result.json").mkdir()
    done = core("measure", job)
    assert done.returncode == 3 and "out result.json: cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
