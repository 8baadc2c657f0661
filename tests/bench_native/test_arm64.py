"""edgekit_bench on the emulated arm64 machine, with the arm64 runtimes."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.drivers.arm64.machine import CPU, Machine

from .arm64 import arm64_machine
from .harness import Case, linear_golden, tool

pytestmark = pytest.mark.slow  # it downloads wheels, and needs qemu and a compiler for arm64


@pytest.fixture(scope="module")
def arm64(pytestconfig: pytest.Config) -> Machine:
    assert pytestconfig.cache is not None
    return arm64_machine(Path(pytestconfig.cache.mkdir("arm64")))


def on_arm64(case: Case, arm64: Machine, **environment: str) -> Case:
    command = (*arm64.prefix, str(arm64.runner))
    settings = {**arm64.environment, **environment}
    return dataclasses.replace(case, command=command, library=arm64.library(case.format), environment=settings)


def test_it_is_an_arm64_program(arm64: Machine) -> None:
    header = arm64.runner.read_bytes()[:20]
    assert header[:5] == b"\x7fELF\x02" and int.from_bytes(header[18:20], "little") == 183  # EM_AARCH64
    done = subprocess.run([tool("readelf", "binutils"), "-d", str(arm64.runner)], capture_output=True, text=True)
    assert "libc.so.6" in done.stdout


@pytest.mark.parametrize("threads", [1, 2])
def test_the_tower_gives_the_golden_embeddings_of_this_machine(tower: Case, arm64: Machine, threads: int) -> None:
    result = on_arm64(tower, arm64).run(threads=threads, duration=0.5).result()
    assert result.check.passed and result.check.images == 5 and result.validity.valid
    assert result.check.max_abs is not None and 0 < result.check.max_abs < 1e-4  # other arithmetic: another last bit
    assert len(result.latency_ms.samples) >= 10 and min(result.latency_ms.samples) > 0
    assert result.runtime.version == arm64.versions["onnx"] == version("onnxruntime")
    assert result.memory_bytes.peak_rss and result.memory_bytes.loaded


def test_bytes_as_input(small: Case, arm64: Machine) -> None:
    assert on_arm64(small, arm64).run().result().check.passed


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "nhwc_u8"])
def test_litert(small_lite: Case, lites: dict[str, Path], arm64: Machine, layout: str) -> None:
    golden = linear_golden(layout, small_lite.images, 11)
    case = on_arm64(dataclasses.replace(small_lite, model=lites[layout], layout=layout, golden=golden), arm64)
    result = case.run(threads=2).result()
    assert result.check.passed and result.validity.valid and result.runtime.name == "litert"
    case.run(layout="nchw" if layout != "nchw" else "nhwc").failed(3, "its input is not float32")


@pytest.mark.parametrize("layout", ["nchw", "nhwc_u8"])
def test_executorch(small_pte: Case, ptes: dict[str, Path], arm64: Machine, layout: str) -> None:
    golden = linear_golden(layout, small_pte.images, 11)
    case = on_arm64(dataclasses.replace(small_pte, model=ptes[layout], layout=layout, golden=golden), arm64)
    result = case.run(threads=2).result()
    assert result.check.passed and result.validity.valid
    assert (result.runtime.name, result.runtime.version) == ("executorch", version("executorch"))
    case.run(layout="nchw" if layout != "nchw" else "nhwc_u8").failed(3, "its input is not")


def is_dot_product(word: int) -> bool:
    """Whether an instruction is SDOT, of vectors or by element."""
    return word & 0xBFE0FC00 == 0x0E809400 or word & 0xBFC0F400 == 0x0F80E000


def test_runtimes_see_the_processor_and_choose_its_kernels(int8_pte: Case, arm64: Machine, tmp_path: Path) -> None:
    """Dot products of bytes run where the processor has them, and not where it has not."""
    old = tmp_path / "old"
    (old / "proc").mkdir(parents=True)
    (old / "lib").symlink_to(arm64.folder / "lib")
    about = (arm64.folder / "proc/cpuinfo").read_text().replace("0xd0c", "0xd07")
    (old / "proc/cpuinfo").write_text(re.sub("(fphp|asimdhp|asimdrdm|asimddp|atomics|lrcpc|dcpop) ?", "", about))

    def dot_products(cpu: str, machine: Machine) -> int:
        log = tmp_path / f"{cpu}.log"
        case = on_arm64(int8_pte, machine, QEMU_CPU=cpu, QEMU_LOG="in_asm", QEMU_LOG_FILENAME=str(log))
        assert case.run(warmup=0, iterations=1, min_cosine=0.9).result().check.passed
        words = re.findall(r"^0x[0-9a-f]+:\s+([0-9a-f]{8})\s", log.read_text("ascii", "replace"), re.M)
        assert len(words) > 10_000
        return sum(is_dot_product(int(word, 16)) for word in words)

    assert dot_products(CPU, arm64) > 0
    prefix = (*arm64.prefix[:-1], str(old))
    assert dot_products("cortex-a57", dataclasses.replace(arm64, prefix=prefix)) == 0


def test_wrong_outputs_are_told(small: Case, arm64: Machine) -> None:
    case = dataclasses.replace(small, golden=np.roll(small.golden, 1, axis=0))
    assert on_arm64(case, arm64).run().result().validity.reasons == ("wrong-output",)


def test_errors(small: Case, arm64: Machine) -> None:
    case = on_arm64(small, arm64)
    case.run(count=3).failed(2, "inputs.bin")
    case.run(layout="nchw").failed(3, "input is not float32")
    case.run(library=small.library).failed(3, "does not load")  # of this machine, not of an arm64 one
