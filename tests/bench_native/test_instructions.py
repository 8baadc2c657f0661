"""`benchmarks/arm_instructions.py`: what it makes of the plugin's lines, and counts that are known beforehand."""

from __future__ import annotations

import dataclasses
import importlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edgekit.bench.drivers.arm64.machine import TOOLCHAIN, Machine

from .arm64 import arm64_machine
from .harness import Case, tool

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# `run_model` of this program executes 4 instructions in each of the turns that it is given, and a few around them.
PROGRAM = """\
static void run_model(long turns) {
    __asm__ volatile("mov x9, #0\\n 1: add x9, x9, #1\\n add x10, x10, #1\\n subs %0, %0, #1\\n b.ne 1b"
                     : "+r"(turns) : : "x9", "x10", "cc");
}
void (*volatile run)(long) = run_model;
int main(void) {
    const long turns[] = {1000, 1000, 5000};
    for (int i = 0; i < 3; i++) run(turns[i]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("arm_instructions")


@pytest.fixture(scope="module")
def arm64(pytestconfig: pytest.Config) -> Machine:
    assert pytestconfig.cache is not None
    return arm64_machine(Path(pytestconfig.cache.mkdir("arm64")))


def row(name: str, edgekit: int | None, baseline: int | None, *, int8: bool = False) -> dict[str, object]:
    return {"backbone": name, "format": "executorch", "int8": int8, "edgekit": edgekit, "baseline": baseline}


def test_an_inference_is_from_the_call_to_its_return(benchmark: ModuleType) -> None:
    lines = ["look 5", "in 7", "enter 10", "look 15", "in 30", "in 31", "look 90", "enter 100", "in 160", "", "map x"]
    assert benchmark.counted(lines) == [21, 60]
    assert benchmark.counted(["enter 4"]) == [0]
    assert benchmark.counted([]) == []


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        ([row("a", 25, 100), row("b", 100, 100)], False),  # a mean of 0.5
        ([row("a", 50, 100), row("b", 100, 100)], True),  # of 0.71
        ([row("a", 10, 100), row("b", 103, 100)], True),  # one above 1.02
        ([row("a", 10, 100), row("b", 100, None)], False),  # the one-liner makes no file
        ([row("a", 50, 100, int8=True)], False),
        ([row("a", 51, 100, int8=True)], True),
    ],
)
def test_limits(benchmark: ModuleType, rows: list[dict[str, object]], broken: bool) -> None:
    assert benchmark.show(rows) is broken


@pytest.mark.slow  # it needs qemu and a compiler for arm64
def test_a_loop_is_counted_to_the_instruction(benchmark: ModuleType, arm64: Machine, tmp_path: Path) -> None:
    source, program, log = (tmp_path / name for name in ("loop.c", "loop", "log.txt"))
    source.write_text(PROGRAM)
    subprocess.run([tool(f"{TOOLCHAIN}gcc", "g++-aarch64-linux-gnu"), "-O2", "-o", program, source], check=True)
    command = [*benchmark.counting(arm64, log, tmp_path), str(program)]
    subprocess.run(command, env={**os.environ, **arm64.environment}, check=True)
    first, second, third = benchmark.counted(log.read_text().splitlines())
    assert first == second and 4000 <= second < 4010
    assert third - second == 4 * 4000


@pytest.mark.slow
def test_the_count_of_an_inference_repeats(
    benchmark: ModuleType, arm64: Machine, tower_pte: Case, int8_pte: Case, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"

    def count(case: Case) -> list[int]:
        counted = dataclasses.replace(
            case,
            command=(*benchmark.counting(arm64, log, tmp_path), str(arm64.runner)),
            library=arm64.library("executorch"),
            environment=dict(arm64.environment),
        )
        assert counted.run(warmup=0, iterations=2).result().check.passed
        found: list[int] = benchmark.counted(log.read_text().splitlines())
        assert len(found) == 3  # the first one, and two iterations
        return found[1:]

    for case in (tower_pte, int8_pte):
        counts = [*count(case), *count(case)]
        assert max(counts) < 1.001 * min(counts)
