"""The core's own tests, and jobs that it runs with ONNX Runtime on the JVM."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from onnx import helper

from edgekit import __version__

from ..bench_native.harness import golden_of, linear, linear_golden, photographs
from .harness import RUN_ID, SOURCES, Case, Core

pytestmark = pytest.mark.toolchain


@pytest.mark.parametrize("reports", ["surefire-reports", "android-json-reports"])
def test_the_cores_own_tests_pass(core: Core, reports: str) -> None:
    """With org.json from Maven, and with Android's own."""
    cases = [
        case
        for report in (core.folder / reports).glob("TEST-*.xml")
        for case in ElementTree.parse(report).getroot().iter("testcase")
    ]
    failed = [f"{case.get('name')}: {part.text}" for case in cases for part in case if part.tag in ("failure", "error")]
    assert not failed, "\n".join(failed)
    assert len(cases) >= 40 and not any(part.tag == "skipped" for case in cases for part in case)


def test_no_class_of_the_desktop_goes_on_a_phone(core: Core) -> None:
    """java.nio.file, java.time and streams are missing or other on Android 7, java.awt and javax.imageio everywhere."""
    desktop = re.compile(rb"java/(awt|nio/file|time|beans|util/stream)/|javax/imageio")
    classes = sorted((core.folder / "classes").rglob("*.class"))
    assert len(classes) > 20
    assert not [path.name for path in classes if desktop.search(path.read_bytes())]


def test_the_versions_are_those_of_the_package() -> None:
    sources = (SOURCES / "core/src/main/kotlin/dev/edgekit/bench/Report.kt").read_text(encoding="utf-8")
    assert f'const val VERSION = "{__version__}"' in sources
    pom = ElementTree.parse(SOURCES / "pom.xml").getroot()
    assert pom.findtext("{*}version") == __version__


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "nhwc_u8"])
def test_a_model_is_measured(small: Case, tmp_path: Path, layout: str) -> None:
    model = linear(tmp_path / "this.onnx", layout, (5, 7), 11)
    case = dataclasses.replace(small, model=model, layout=layout, golden=linear_golden(layout, small.images, 11))
    result = case.result()
    assert result.check.passed and result.check.images == 4
    assert result.check.min_cosine == pytest.approx(1, abs=1e-6)
    assert result.model.input == (5, 7)


def test_document_of_an_exported_model(core: Core, tower_file: Path, tmp_path: Path) -> None:
    images = photographs(5, 64, 64)
    case = Case(tmp_path, core, tower_file, images, golden_of(tower_file, images), "nchw")
    started = time.time()
    result = case.result(threads=2)
    took_ms = (time.time() - started) * 1000

    assert (result.run_id, result.tool.runner, result.tool.edgekit) == (RUN_ID, "android-app", __version__)
    assert (result.device.platform, result.device.emulated, result.tool.harness) == ("linux", None, None)
    assert (result.runtime.name, result.runtime.version) == ("onnxruntime", "1.23.2")
    assert (result.runtime.backend, result.runtime.threads) == ("CPUExecutionProvider", 2)
    protocol = result.protocol
    assert (protocol.warmup, protocol.min_iterations, protocol.iterations, protocol.inputs) == (2, 10, 10, 5)

    times = result.latency_ms
    assert len(times.samples) == 10 and all(0 < sample < took_ms for sample in times.samples)
    assert times.cold_load and times.warm_load and times.first
    assert times.cold_load + times.first + sum(times.samples) + times.warm_load < took_ms
    assert (times.compile, times.p50, times.mean, times.outliers) == (None,) * 4
    assert result.memory_bytes.peak_rss and result.memory_bytes.loaded
    assert tower_file.stat().st_size < result.memory_bytes.loaded < result.memory_bytes.peak_rss < 2 << 30

    assert result.check.passed and result.check.images == 5
    assert result.check.min_cosine == pytest.approx(1, abs=1e-6)
    assert result.check.max_abs is not None and result.check.max_abs < 1e-4
    assert result.validity.valid and result.validity.reasons == () and result.errors == ()


def test_least_duration_is_kept(small: Case) -> None:
    started = time.monotonic()
    result = small.result(iterations=1, duration=1.25)
    assert time.monotonic() - started >= 1.25
    assert result.protocol.iterations == len(result.latency_ms.samples) > 1


@pytest.mark.parametrize("wrong", [slice(None), slice(3, 4)], ids=["all", "one"])
def test_wrong_outputs_are_told(small: Case, wrong: slice) -> None:
    golden = small.golden.copy()
    golden[wrong] = np.roll(golden, 1, axis=0)[wrong]
    result = dataclasses.replace(small, golden=golden).result()
    assert not result.check.passed and not result.validity.valid
    assert result.validity.reasons == ("wrong-output",)
    assert result.check.min_cosine is not None and result.check.min_cosine < 0.9999
    assert len(result.latency_ms.samples) == 10


@pytest.mark.parametrize("tail", ["Log", "Sub"])
def test_outputs_that_are_no_embedding_fail_the_check(small: Case, tmp_path: Path, tail: str) -> None:
    nodes = [helper.make_node("Sub", ["flat", "flat"], ["zero" if tail == "Log" else "embedding"])]
    if tail == "Log":
        nodes.append(helper.make_node("Log", ["zero"], ["embedding"]))
    model = linear(tmp_path / "broken.onnx", "nhwc_u8", (5, 7), 11, tail=nodes)
    result = dataclasses.replace(small, model=model, golden=np.ones((4, 11))).result(min_cosine=-1)
    assert not result.check.passed and result.validity.reasons == ("wrong-output",)
    assert (result.check.min_cosine, result.check.max_abs) == (None, None)


def test_files_that_do_not_fit_are_told_in_one_line(small: Case) -> None:
    job = small.job()
    for name in ("inputs.bin", "golden.bin"):
        whole = (small.folder / name).read_bytes()
        (small.folder / name).write_bytes(whole[:-1])
        assert f"{name}: has {len(whole) - 1} bytes" in small.refused(job)
        (small.folder / name).write_bytes(whole)
    small.job()
    np.zeros_like(small.golden, dtype="<f4").tofile(small.folder / "golden.bin")
    assert "golden.bin: the embedding of image 0 is all zeros" in small.refused(job)


def test_models_that_do_not_fit_are_told_in_one_line(small: Case, tmp_path: Path) -> None:
    other = linear(tmp_path / "other.onnx", "nchw", (5, 7), 11)
    sizes = linear(tmp_path / "sizes.onnx", "nhwc_u8", (7, 5), 11)
    job = small.job()
    told = {
        b"not a model at all": "cannot be loaded",
        small.model.read_bytes()[:-100]: "cannot be loaded",
        other.read_bytes(): "its input is not uint8 [1,5,7,3]",
        sizes.read_bytes(): "its input is not uint8 [1,5,7,3]",
    }
    for content, text in told.items():
        (small.folder / "model.onnx").write_bytes(content)
        line = small.refused(job)
        assert "model.onnx" in line and text in line
    golden = np.ones((4, 12))
    assert "its output is not float [1,12]" in small.refused(dataclasses.replace(small, golden=golden).job())


def test_jobs_that_cannot_be_run_are_told_in_one_line(small: Case) -> None:
    assert "count" in small.refused(small.job(count=0))
    assert "only onnx" in small.refused(_executorch(small))
    assert "out" in small.refused(small.job(out="../result.json"))
    assert "result.json: its folder is not there" in small.refused(small.job(out="gone/result.json"))
    (small.folder / "job.json").unlink()
    assert "job.json: not there" in small.refused(small.folder / "job.json")
    for arguments in ([], ["measure"], ["preprocess", "x"], ["what", "x", "y"]):
        assert "give `measure JOB.json`" in small.core.refused(*arguments)


def _executorch(case: Case) -> Path:
    path = case.job(format="executorch")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["facts"]["format"] = "executorch"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_an_earlier_result_stays_when_a_job_fails(small: Case) -> None:
    before = small.result()
    (small.folder / "model.onnx").write_bytes(b"broken")
    small.core.refused("measure", small.folder / "job.json")
    assert json.loads(small.out.read_text(encoding="utf-8"))["run_id"] == before.run_id
    assert sorted(os.listdir(small.folder)) == ["golden.bin", "inputs.bin", "job.json", "model.onnx", "result.json"]
