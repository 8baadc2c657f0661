"""`edgekit bench --on android`, whole: the real adb, the native runner, the real ONNX Runtime, a simulated device."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click.testing
import jsonschema
import pytest

from edgekit.bench.drivers.android.job import AndroidJob
from edgekit.bench.schema import read_result
from tests.bench.drivers.adb_device import Bench
from tests.bench_native.arm64 import arm64_machine
from tests.bench_native.harness import host_library, lite, lite_library

Invoke = Callable[..., click.testing.Result]


def test_a_device_measures_what_this_machine_exported(
    lab: Bench, runner: Path, published: Path, invoke: Invoke, tmp_path: Path
) -> None:
    device = lab.add()
    (artifact,) = published.glob("*/*.onnx")
    run = ("bench", artifact, "--on", "android", "--runner", runner, "--library", host_library(), "--duration", 0.1)
    result = invoke(*run, "--iterations", 20, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    jsonschema.validate(told["results"][0], json.loads(invoke("schema", "bench").stdout))
    (path,) = (tmp_path / "out").iterdir()
    found = read_result(path)
    assert found.tool.runner == "android-native"
    assert found.device.platform == "android"
    assert found.check.passed
    assert (found.check.min_cosine or 0) > 0.9999
    assert len(found.latency_ms.samples) >= 20
    assert (found.latency_ms.p50 or 0) > 0
    assert (found.model.parity_min_cosine or 0) > 0.99
    assert device.serial not in path.read_text()  # only its hash: results are passed on
    assert not list(device.folder.rglob("edgekit-*"))


def test_a_device_measures_a_litert_file(lab: Bench, runner: Path, invoke: Invoke, tmp_path: Path) -> None:
    lab.add()
    model = lite(tmp_path / "small.tflite", "nhwc", (32, 32), 11)
    run = ("bench", model, "--no-manifest", "--on", "android", "--runner", runner, "--library", lite_library())
    result = invoke(*run, "--duration", 0, "--iterations", 20, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 0, result.stderr
    (path,) = (tmp_path / "out").iterdir()
    found = read_result(path)
    assert (found.model.format, found.runtime.name, found.runtime.backend) == ("litert", "litert", "XNNPACK")
    assert found.check.passed and len(found.latency_ms.samples) == 20


@pytest.mark.slow  # needs qemu and a compiler for arm64, and downloads wheels
def test_a_device_of_another_processor(
    lab: Bench, published: Path, invoke: Invoke, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Push, run and pull with the arm64 runner and library; qemu runs what was pushed."""
    arm64 = arm64_machine(Path(pytestconfig.cache.mkdir("arm64")))
    qemu = " ".join(map(shlex.quote, arm64.prefix))
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in arm64.environment.items())
    taskset = lab.folder / "tools" / "taskset"
    taskset.write_text(f'#!/bin/sh\nshift\n[ "$1" = true ] && exec true\n{settings} exec {qemu} "$@"\n')
    device = lab.add()
    (artifact,) = published.glob("*/*.onnx")
    run = (
        "bench",
        artifact,
        "--on",
        "android",
        "--runner",
        arm64.runner,
        "--library",
        arm64.library("onnx"),
        "--duration",
        0.1,
    )
    result = invoke(*run, "--iterations", 20, "--json")
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(result.stdout)["results"]
    assert found["check"]["passed"]
    assert 0 < found["check"]["max_abs"] < 1e-4  # other arithmetic: another last bit
    assert not list(device.folder.rglob("edgekit-*"))


def test_one_broken_device_costs_only_its_own_result(
    lab: Bench, runner: Path, published: Path, invoke: Invoke, tmp_path: Path
) -> None:
    lab.add()
    broken = lab.add("full")
    (artifact,) = published.glob("*/*.onnx")
    run = ("bench", artifact, "--on", "android", "--runner", runner, "--library", host_library(), "--duration", 0.1)
    result = invoke(*run, "--all-devices", "--iterations", 20, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 11
    assert broken.serial in result.stderr
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_phone_that_is_lost_between_two_artifacts_is_told(
    lab: Bench, runner: Path, published: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices are chosen once: the one that is gone fails twice, and costs the other nothing."""
    monkeypatch.setattr("edgekit.bench.drivers.android.driver.AndroidJob", partial(AndroidJob, cleanup_timeout_s=3.0))
    lab.add()
    gone = lab.add("gone-run")
    (artifact,) = published.glob("*/*.onnx")
    second = tmp_path / "second.onnx"
    second.write_bytes(artifact.read_bytes())
    run = ("--on", "android", "--runner", runner, "--library", host_library(), "--duration", 0, "--iterations", 20)
    result = invoke("bench", artifact, second, *run, "--all-devices", "--no-manifest", "--json")
    assert result.exit_code == 11
    assert [one["model"]["name"] for one in json.loads(result.stdout)["results"]] == [artifact.stem, "second"]
    assert len([line for line in result.stderr.splitlines() if gone.serial in line]) == 2


def test_what_is_measured_is_kept_whatever_comes_after_it(
    lab: Bench, runner: Path, published: Path, invoke: Invoke, tmp_path: Path
) -> None:
    lab.add()
    (artifact,), (package,) = published.glob("*/*.onnx"), published.glob("*/*.mlpackage")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    run = ("--on", "android", "--runner", runner, "--library", host_library(), "--duration", 0, "--iterations", 20)
    result = invoke("bench", artifact, broken, *run, "--no-manifest", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 3
    assert "broken.onnx" in result.stderr
    assert len(json.loads(result.stdout)["results"]) == len(list((tmp_path / "out").iterdir())) == 1
    refused = invoke("bench", artifact, package, *run, "--out", tmp_path / "none", "--quiet")
    assert refused.exit_code == 2 and "takes .onnx" in refused.stderr
    assert not (tmp_path / "none").exists()  # which is said before the first is measured


def test_what_is_missing_is_one_line(lab: Bench, runner: Path, published: Path, invoke: Invoke, tmp_path: Path) -> None:
    (artifact,), (package,) = published.glob("*/*.onnx"), published.glob("*/*.mlpackage")
    lite_file = tmp_path / "m.tflite"
    lite_file.write_bytes(b"is not opened")
    whole = ("--on", "android", "--runner", runner, "--library", host_library(), "--quiet")
    for arguments, code, said in (
        ((artifact, "--on", "android", "--quiet"), 2, "runner"),
        ((artifact, "--on", "android", "--runner", runner, "--quiet"), 2, "library"),
        ((artifact, "--on", "android", "--app", tmp_path / "none.apk", "--quiet"), 3, "none.apk"),
        (
            (artifact, "--on", "android", "--runner", tmp_path / "none", "--library", runner, "--quiet"),
            3,
            "no such file",
        ),
        ((artifact, *whole), 2, "no device is connected"),
        ((package, *whole), 2, "takes .onnx, .pte and .tflite"),
        ((artifact, lite_file, *whole), 2, "in runs of their own"),
        ((lite_file, *whole, "--compute-units", "gpu"), 2, "the native runner measures on the CPU"),
        ((artifact, "--on", "android", "--app", runner, "--compute-units", "gpu", "--quiet"), 2, "are for .tflite"),
        ((lite_file, "--on", "android", "--app", runner, "--compute-units", "all", "--quiet"), 2, "some of cpu, gpu"),
    ):
        result = invoke("bench", *arguments)
        assert result.exit_code == code, result.stderr
        assert said in result.stderr
    assert shutil.which("adb")
