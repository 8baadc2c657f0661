"""A kind of device that EdgeKit does not know: it is registered, measures, is interrupted and restored, and goes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edgekit.bench import schema as s
from edgekit.bench.drivers import table
from edgekit.bench.drivers.base import Outcome, Say, run
from edgekit.bench.drivers.phone import PhoneJob, merged, opened
from edgekit.bench.drivers.runner import on_devices
from edgekit.bench.measure import measure
from edgekit.bench.request import BenchRequest
from edgekit.errors import UsageError
from edgekit.support.progress import Reporter, Silent


# The toy: boards whose lamp has to be on while they measure. `lit` says of which it is.
@dataclass
class Boards:
    request: BenchRequest
    reporter: Reporter
    lit: set[str] = field(default_factory=set)

    async def choose(self) -> Sequence[str]:
        return ["board-1", "board-2"]

    @contextmanager
    def prepare(self, artifacts: Sequence[Path]) -> Iterator[PhoneJob]:
        yield PhoneJob(**opened(artifacts[0], self.request, self.reporter))

    async def measure(self, job: PhoneJob, serial: str, say: Say) -> AsyncIterator[Outcome]:
        self.lit.add(serial)
        say("measure")
        await asyncio.sleep(0.01 if job.asked.iterations < 1000 else 300)
        run_id, started = s.new_run()
        asked = job.asked.model_copy(update={"run_id": run_id})
        runtime = s.Runtime(name="toy")
        written = s.Result(
            run_id=run_id,
            started_utc=started,
            tool=s.Tool(edgekit="0", runner="android-native"),
            model=asked.facts,
            runtime=runtime,
            device=s.Device(platform="linux", model="Board"),
            protocol=s.Protocol(warmup=0, min_iterations=1, min_duration_s=0, iterations=asked.iterations, inputs=1),
            latency_ms=s.Latency(samples=(2.5,) * asked.iterations),
            check=s.Check(images=1, min_cosine=1.0, max_abs=0.0, passed=True),
            validity=s.Validity(valid=False),
        )
        yield Outcome(
            serial, merged(written, asked, started, tool=written.tool, runtime=runtime, device=written.device)
        )

    async def restore(self, serial: str) -> Sequence[str]:
        self.lit.discard(serial)
        return []


@pytest.fixture
def boards() -> Iterator[list[Boards]]:
    """Drivers that were made of the row, which is registered meanwhile."""
    made: list[Boards] = []

    def make(request: BenchRequest, reporter: Reporter) -> Boards:
        made.append(Boards(request, reporter))
        return made[-1]

    row = table.Row(key="boards", formats=(".onnx",), fields=frozenset({"all_devices"}), driver=make)
    table.register(row)
    yield made
    table.unregister(row)


def test_it_measures_and_is_restored(boards: list[Boards], tower_file: Path) -> None:
    request = BenchRequest(artifacts=[tower_file], on="boards", min_iterations=20, min_duration_s=0)
    outcomes = list(measure(request))
    assert [outcome.serial for outcome in outcomes] == ["board-1", "board-2"]
    for outcome in outcomes:
        assert outcome.result is not None and outcome.result.validity.valid, outcome.error
        assert outcome.result.latency_ms.p50 == 2.5
    assert boards[0].lit == set()


def test_it_is_interrupted_and_restored(boards: list[Boards], tower_file: Path) -> None:
    request = BenchRequest(artifacts=[tower_file], on="boards", min_iterations=1000, min_duration_s=0)
    driver = table.find(request).make(request, Silent())

    async def interrupted(job: PhoneJob) -> set[str]:
        task = asyncio.ensure_future(on_devices(driver, job, ["board-1", "board-2"], lambda serial, step: None))
        while len(boards[0].lit) < 2:
            await asyncio.sleep(0.01)
        lit = set(boards[0].lit)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return lit

    with driver.prepare([tower_file]) as job:
        assert run(interrupted(job)) == {"board-1", "board-2"}
    assert boards[0].lit == set()


@dataclass
class Slow:
    """Two boards, the second of which takes longer to restore."""

    restored: set[str] = field(default_factory=set)

    async def choose(self) -> Sequence[str]:
        return ["fast", "slow"]

    @contextmanager
    def prepare(self, artifacts: Sequence[Path]) -> Iterator[None]:
        yield

    async def measure(self, job: None, serial: str, say: Say) -> AsyncIterator[Outcome]:
        await asyncio.sleep(300)
        yield Outcome(serial)

    async def restore(self, serial: str) -> Sequence[str]:
        await asyncio.sleep(0.01 if serial == "fast" else 0.5)
        self.restored.add(serial)
        return []


def test_ctrl_c_restores_a_board_that_takes_longer_than_another() -> None:
    driver = Slow()

    async def interrupted() -> None:
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
        await on_devices(driver, None, ["fast", "slow"], lambda serial, step: None)

    with pytest.raises(KeyboardInterrupt):
        run(interrupted())
    assert driver.restored == {"fast", "slow"}


def test_what_it_does_not_take_is_refused_by_name(boards: list[Boards], tower_file: Path) -> None:
    request = BenchRequest(artifacts=[tower_file], on="boards", all_devices=True, airplane=False)
    with pytest.raises(UsageError, match="`airplane` is for android: leave it out") as refused:
        measure(request)
    assert refused.value.field == "airplane"
    with pytest.raises(UsageError, match=r"`all_devices` is for android, ios and boards, `airplane` is .*: leave them"):
        measure(replace(request, on="host"))
    with pytest.raises(UsageError, match=r"boards takes \.onnx; give"):
        measure(replace(request, airplane=None, artifacts=[Path(__file__)]))


def test_a_row_goes_as_it_came(boards: list[Boards], tower_file: Path) -> None:
    (row,) = [row for row in table.DRIVERS if row.key == "boards"]
    with pytest.raises(UsageError, match="registered already"):
        table.register(row)
    table.unregister(row)
    with pytest.raises(UsageError, match="`on` is 'boards'; give one of host, android, ios"):
        measure(BenchRequest(artifacts=[tower_file], on="boards"))
    table.register(row)
