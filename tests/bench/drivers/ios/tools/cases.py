"""What the tests of the iOS driver share: simulated devices, a job, and what has to hold after each run."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import jsonschema
import numpy as np
import psutil
import pytest

from edgekit.bench.drivers.ios.devicectl import DEVICECTL
from edgekit.bench.drivers.ios.driver import IosDriver, IosOutcome
from edgekit.bench.drivers.ios.goios import GO_IOS
from edgekit.bench.drivers.ios.steps import IosJob
from edgekit.bench.drivers.ios.tools import Tools
from edgekit.bench.drivers.runner import on_devices
from edgekit.bench.golden import Golden
from edgekit.bench.protocol import AppJob
from edgekit.bench.request import BenchRequest
from edgekit.bench.schema import Model, Result, read_result
from edgekit.errors import EdgeKitError
from edgekit.support.files import sha256_tree, size_of
from edgekit.support.progress import Silent
from tests.bench.drivers.ios.tools.world import Phone, World, products

VALIDATOR = jsonschema.Draft202012Validator(Result.model_json_schema())
NAME = "we ird'\"; $(touch PWNED)\n.mlpackage"
REMOVED = ["edgekit-job", "edgekit-job/removed"]  # what devicectl, which cannot remove, leaves


@pytest.fixture(params=[DEVICECTL, GO_IOS], ids=lambda tools: tools.provider)
def tools(request: pytest.FixtureRequest) -> Tools:
    return request.param


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path)
    monkeypatch.setenv("FAKE_IPHONES", str(made.folder))
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    others = set(psutil.Process().children())  # of tests before this one
    yield made
    assert not list(tmp_path.rglob("PWNED"))
    assert not list((tmp_path / "scratch").iterdir()), "files of this machine are left"
    assert set(psutil.Process().children()) <= others, "programs are left"


@pytest.fixture
def job(tmp_path: Path) -> IosJob:
    model = tmp_path / "files" / NAME
    for name, size in {
        "Manifest.json": 10,
        "Data/com.apple.CoreML/model.mlmodel": 99,
        "Data/weight.bin": 9999,
    }.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(os.urandom(size))
    facts = Model(name="toy", format="coreml", sha256=sha256_tree(model), bytes=size_of(model), input=(4, 4))
    return IosJob(
        model=model,
        golden=Golden(np.zeros((2, 4, 4, 3), np.uint8), np.ones((2, 8), np.float32)),
        asked=AppJob(
            run_id="0" * 32,
            model="model.mlpackage",
            format="coreml",
            facts=facts,
            count=2,
            height=4,
            width=4,
            dim=8,
            layout="nhwc_u8",
            warmup=3,
            iterations=20,
            duration=0.0,
            threads=1,
            min_cosine=0.99,
        ),
        app=products(tmp_path / "bui lt"),
        cleanup_timeout_s=20.0,
    )


def driver(tools: Tools, app: Path, serials: Sequence[str] = (), *, every: bool = False) -> IosDriver:
    return IosDriver(BenchRequest(artifacts=(), app=app, serials=serials, all_devices=every), Silent(), tools)


async def choose(tools: Tools, serials: Sequence[str] = (), *, every: bool = False) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        return await driver(tools, products(Path(folder) / "Products"), serials, every=every).choose()


async def bench_phones(
    tools: Tools, job: IosJob, udids: Sequence[str], *, say: Callable[[str, str], None] | None = None
) -> list[IosOutcome]:
    outcomes = await on_devices(driver(tools, job.app), job, udids, say or (lambda udid, step: None))
    return [one if isinstance(one, IosOutcome) else IosOutcome(one.serial, one.result, one.error) for one in outcomes]


def measure(tools: Tools, phone: Phone, job: IosJob) -> list[IosOutcome]:
    """On one device; results are ones that the schema allows, and nothing is left on it."""
    outcomes = asyncio.run(bench_phones(tools, job, [phone.udid]))
    for one in outcomes:
        if one.result is not None:
            check(one.result, phone)
        else:
            assert str(one.error).isprintable() and str(one.error).startswith(f"{phone.udid}: "), one.error
    clean(tools, [phone])
    return outcomes


def failure(tools: Tools, phone: Phone, job: IosJob) -> EdgeKitError:
    """The only outcome, which is an error."""
    (outcome,) = measure(tools, phone, job)
    assert outcome.error is not None
    return outcome.error


def check(result: Result, phone: Phone) -> None:
    text = result.to_json()
    VALIDATOR.validate(json.loads(text))
    (phone.folder / "read.json").write_text(text)
    assert read_result(phone.folder / "read.json") == result
    assert phone.udid not in text


def clean(tools: Tools, phones: Sequence[Phone]) -> None:
    for phone in phones:
        assert phone.documents in ([], REMOVED if tools is DEVICECTL else [])


def running(phone: Phone) -> list[psutil.Process]:
    """The program that hangs on this device, and all of its group."""
    path = phone.folder / "hangs"
    with suppress(FileNotFoundError, ValueError):
        group = int(path.read_text())
        return [one for one in psutil.process_iter() if _group(one) == group]
    return []


def _group(process: psutil.Process) -> int | None:
    with suppress(OSError, psutil.Error):  # it may end while it is looked at
        return os.getpgid(process.pid) if process.status() != psutil.STATUS_ZOMBIE else None
    return None


def plist(folder: Path) -> Path:
    return next(folder.glob("*/*.app")) / "Info.plist"


def bundle(name: str) -> bytes:
    return f"<plist><dict><key>CFBundleIdentifier</key><string>{name}</string></dict></plist>".encode()
