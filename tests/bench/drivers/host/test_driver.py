"""`edgekit bench` on this machine, with the real runtimes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import jsonschema
import numpy as np
import pytest

from edgekit.artifact.open import Artifact
from edgekit.bench import schema as s
from edgekit.bench.drivers.base import Outcome
from edgekit.bench.drivers.host.driver import HERE
from edgekit.bench.golden import Golden, golden_of
from edgekit.bench.measure import measure
from edgekit.bench.request import BenchRequest
from edgekit.errors import OutputError
from tests.bench_native.harness import lite
from tests.waiting import PATIENCE, until

Invoke = Callable[..., click.testing.Result]
Measured = tuple[dict[str, Any], Path]


@pytest.fixture(scope="module")
def measured(published: Path, invoke: Invoke, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Results of the tower as .onnx and .pte, and the folder that they were written to."""
    out = tmp_path_factory.mktemp("results")
    paths = [*published.glob("*/*.onnx"), *published.glob("*/*.pte")]
    result = invoke("bench", *paths, "--iterations", 60, "--duration", 0.1, "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout), out


def test_results_are_whole_and_keep_to_the_schema(measured: Measured, invoke: Invoke) -> None:
    told, out = measured
    schema = json.loads(invoke("schema", "bench").stdout)
    assert len(told["files"]) == len(list(out.iterdir())) == 2
    for path, row in zip(told["files"], told["results"], strict=True):
        jsonschema.validate(row, schema)
        result = s.read_result(out / os.path.basename(path))
        assert result.validity.reasons in ((), ("throttled",))  # a busy machine may look so
        assert result.check.passed
        assert (result.check.min_cosine or 0) > 0.999
        latency = result.latency_ms
        assert len(latency.samples) >= 60
        assert sum(latency.samples) >= 100
        assert latency.min and latency.p50 and latency.p99
        assert 0 < latency.min <= latency.p50 <= latency.p99
        assert latency.cold_load and latency.first and latency.warm_load
        assert (result.memory_bytes.peak_rss or 0) > 10_000_000
        assert result.runtime.version
        assert result.runtime.cores is not None and len(result.runtime.cores) == 1
        assert (result.model.parity_min_cosine or 0) > 0.99


def test_artifacts_take_turns(measured: Measured) -> None:
    first, second = measured[0]["results"]
    assert first["run_id"] == second["run_id"]
    assert first["protocol"]["interleaved_with"] == [second["model"]["sha256"]]
    assert len(first["latency_ms"]["samples"]) == len(second["latency_ms"]["samples"])


def test_those_that_took_turns_are_compared(measured: Measured, invoke: Invoke) -> None:
    told, _ = measured
    first, second = told["results"]
    (one,) = told["differences"]
    assert (one["base"]["sha256"], one["new"]["sha256"]) == (first["model"]["sha256"], second["model"]["sha256"])
    pairs = zip(second["latency_ms"]["samples"], first["latency_ms"]["samples"], strict=True)
    assert one["ratio"] == pytest.approx(np.median([new / base for new, base in pairs]))
    assert one["low"] <= one["ratio"] <= one["high"]
    assert one["unlike"] == ["model", "runtime", "backend"]


def test_the_process_is_let_go_afterwards(measured: Measured) -> None:
    assert len(os.sched_getaffinity(0)) == os.cpu_count() or len(os.sched_getaffinity(0)) > 1 or os.cpu_count() == 1


def test_an_output_that_changes_is_seen(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(artifact: Artifact, count: int) -> Golden:
        golden = golden_of(artifact, count)
        return Golden(golden.images, np.roll(golden.embeddings, 1, axis=0))

    monkeypatch.setattr("edgekit.bench.drivers.host.driver.golden_of", turned)
    request = BenchRequest(artifacts=list(published.glob("*/*.onnx")), min_iterations=5, min_duration_s=0)
    (outcome,) = measure(request)
    result = outcome.result
    assert result is not None
    assert not result.check.passed
    assert "wrong-output" in result.validity.reasons


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_measurement_is_interrupted_at_once(published: Path, number: int, tmp_path: Path) -> None:
    (path,) = published.glob("*/*.onnx")
    command = [
        sys.executable,
        "-m",
        "edgekit",
        "bench",
        str(path),
        "--duration",
        "80000",
        "--out",
        str(tmp_path / "out"),
    ]
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, start_new_session=True)
    try:
        until(lambda: "fresh process" in log.read_text(), process)  # which is said at its end
        process.send_signal(number)
        assert process.wait(PATIENCE) == 130, log.read_text()
    finally:
        process.kill()
    assert "interrupted" in log.read_text()
    assert not (tmp_path / "out").exists()


def test_a_notebook_has_a_loop_of_its_own(published: Path) -> None:
    async def cell() -> list[Outcome]:
        request = BenchRequest(artifacts=list(published.glob("*/*.onnx")), min_iterations=5, min_duration_s=0)
        return list(measure(request))

    (outcome,) = asyncio.run(cell())
    assert outcome.result is not None and outcome.serial == HERE


@pytest.mark.parametrize("kind", ["onnx", "pte"])
def test_a_profile_names_the_slowest_operators_first(published: Path, invoke: Invoke, kind: str) -> None:
    (path,) = published.glob(f"*/*.{kind}")
    result = invoke("bench", path, path, "--profile", "--json")
    assert result.exit_code == 0, result.stderr
    (profile,) = json.loads(result.stdout)["profiles"]
    operators = profile["operators"]
    times = [one["ms"] for one in operators]
    assert times == sorted(times, reverse=True)
    assert sum(times) > 0
    assert any("conv" in one["kind"].lower() for one in operators)


def test_litert_files_take_turns_and_are_profiled(tmp_path: Path, invoke: Invoke) -> None:
    files = [lite(tmp_path / f"{layout}.tflite", layout, (32, 32), 64) for layout in ("nhwc", "nhwc_u8")]
    run = invoke("bench", *files, "--no-manifest", "--duration", 0, "--iterations", 20, "--warmup", 1, "--json")
    assert run.exit_code == 0, run.output
    results = json.loads(run.stdout)["results"]
    assert [result["model"]["format"] for result in results] == ["litert", "litert"]
    assert all(result["check"]["passed"] and result["runtime"]["backend"] == "XNNPACK" for result in results)
    told = invoke("bench", files[0], "--no-manifest", "--profile", "--json")
    assert told.exit_code == 0, told.output
    assert "#1" in told.stdout


def test_a_core_ml_package_is_not_timed_on_a_stand_in(published: Path, invoke: Invoke) -> None:
    (path,) = published.glob("*/*.mlpackage")
    refused = invoke("bench", path, "--quiet")
    assert refused.exit_code == 2
    assert "reference runtime" in refused.stderr


def test_a_stand_in_among_others_is_named_and_they_are_measured(
    published: Path, invoke: Invoke, tmp_path: Path
) -> None:
    paths = [*published.glob("*/*.mlpackage"), *published.glob("*/*.onnx")]
    result = invoke("bench", *paths, "--iterations", 5, "--duration", 0, "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.stderr
    (one,) = json.loads(result.stdout)["results"]
    assert one["model"]["format"] == "onnx"
    assert paths[0].name in result.stderr
    assert "is not measured" in result.stderr


def test_an_out_that_cannot_be_is_told_before_measuring(published: Path, invoke: Invoke, tmp_path: Path) -> None:
    (path,) = published.glob("*/*.onnx")
    (tmp_path / "file").write_text("mine")
    refused = invoke("bench", path, "--out", tmp_path / "file" / "sub")
    assert refused.exit_code == 8
    assert "measure" not in refused.stderr


def test_what_was_measured_is_shown_where_it_cannot_be_kept(
    published: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.bench.results import store as results

    def full(found: object, folder: Path) -> None:
        raise OutputError(f"{folder}: the disk is full")

    monkeypatch.setattr(results, "save_one", full)
    (path,) = published.glob("*/*.onnx")
    lost = invoke("bench", path, "--iterations", 5, "--duration", 0, "--out", tmp_path, "--json")
    assert lost.exit_code == 8
    assert len(json.loads(lost.stdout)["results"]) == 1


def test_too_many_at_once_are_refused_before_measuring(published: Path, invoke: Invoke) -> None:
    (path,) = published.glob("*/*.onnx")
    refused = invoke("bench", *[path] * 65, "--quiet")
    assert refused.exit_code == 2
    assert "64" in refused.stderr


def test_a_folder_of_exports_names_one(published: Path, invoke: Invoke) -> None:
    refused = invoke("bench", published, "--quiet")
    assert refused.exit_code == 3
    assert str(min(published.iterdir())) in refused.stderr


def test_bad_files_and_options_are_one_line(published: Path, invoke: Invoke, tmp_path: Path) -> None:
    bad = tmp_path / "x.onnx"
    bad.write_bytes(b"no model")
    (good,) = published.glob("*/*.onnx")
    for arguments, code in (
        ((bad, "--no-manifest"), 3),
        ((tmp_path / "none.onnx",), 3),
        ((good, "--threads", 200), 2),
        ((good, "--iterations", 0), 2),
        ((good, "--profile", "--on", "android"), 2),
        ((good, "--profile", "--serial", "one"), 2),
    ):
        result = invoke("bench", *arguments, "--quiet")
        assert result.exit_code == code, result.stderr
        assert "Traceback" not in result.stderr
