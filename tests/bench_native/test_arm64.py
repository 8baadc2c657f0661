"""edgekit_bench built for arm64 with zig, under qemu, with the arm64 runtimes."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

from .arm64 import Arm64, arm64_machine
from .harness import Case, linear_golden, tool

pytestmark = pytest.mark.slow  # it downloads a wheel


@pytest.fixture(scope="module")
def arm64(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Arm64:
    assert pytestconfig.cache is not None
    return arm64_machine(tmp_path_factory.mktemp("arm64"), Path(pytestconfig.cache.mkdir("arm64")))


def on_arm64(case: Case, arm64: Arm64) -> Case:
    command = (*arm64.prefix, str(arm64.runner))
    library = arm64.lite_library if case.format == "litert" else arm64.library
    return dataclasses.replace(case, command=command, library=library, environment=arm64.environment)


def test_it_is_an_arm64_program(arm64: Arm64) -> None:
    header = arm64.runner.read_bytes()[:20]
    assert header[:5] == b"\x7fELF\x02" and int.from_bytes(header[18:20], "little") == 183  # EM_AARCH64
    done = subprocess.run([tool("readelf", "binutils"), "-d", str(arm64.runner)], capture_output=True, text=True)
    assert "libc.so.6" in done.stdout


@pytest.mark.parametrize("threads", [1, 2])
def test_the_tower_gives_the_golden_embeddings_of_this_machine(tower: Case, arm64: Arm64, threads: int) -> None:
    result = on_arm64(tower, arm64).run(threads=threads, duration=0.5).result()
    assert result.check.passed and result.check.images == 5 and result.validity.valid
    assert result.check.max_abs is not None and 0 < result.check.max_abs < 1e-4  # other arithmetic: another last bit
    assert len(result.latency_ms.samples) >= 10 and min(result.latency_ms.samples) > 0
    assert result.runtime.version and result.runtime.version in arm64.library.name
    assert result.memory_bytes.peak_rss and result.memory_bytes.loaded


def test_bytes_as_input(small: Case, arm64: Arm64) -> None:
    assert on_arm64(small, arm64).run().result().check.passed


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "nhwc_u8"])
def test_litert(small_lite: Case, lites: dict[str, Path], arm64: Arm64, layout: str) -> None:
    golden = linear_golden(layout, small_lite.images, 11)
    case = on_arm64(dataclasses.replace(small_lite, model=lites[layout], layout=layout, golden=golden), arm64)
    result = case.run(threads=2).result()
    assert result.check.passed and result.validity.valid and result.runtime.name == "litert"
    case.run(layout="nchw" if layout != "nchw" else "nhwc").failed(3, "its input is not float32")


def test_wrong_outputs_are_told(small: Case, arm64: Arm64) -> None:
    case = dataclasses.replace(small, golden=np.roll(small.golden, 1, axis=0))
    assert on_arm64(case, arm64).run().result().validity.reasons == ("wrong-output",)


def test_errors(small: Case, arm64: Arm64) -> None:
    case = on_arm64(small, arm64)
    case.run(count=3).failed(2, "inputs.bin")
    case.run(layout="nchw").failed(3, "input is not float32")
    case.run(library=small.library).failed(3, "does not load")  # of this machine, not of an arm64 one
