"""Our command lines and the real go-ios: it takes each of them as far as the device, which is not paired."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edgekit.bench.drivers.ios.app import Products, find_products
from edgekit.bench.drivers.ios.goios import GO_IOS
from edgekit.bench.drivers.ios.steps import Device, IosJob, ask
from edgekit.bench.drivers.ios.tools import FOLDER, Argv, trouble
from edgekit.bench.drivers.program import Done
from edgekit.errors import DeviceError, MissingDependencyError, UsageError
from tests.bench.drivers.ios.tools.cases import choose
from tests.bench.drivers.ios.tools.cases import job as job
from tests.bench.drivers.ios.tools.usbmuxd import usbmuxd
from tests.bench.drivers.ios.tools.world import products
from tests.bench_native.harness import tool
from tests.waiting import PATIENCE

pytestmark = pytest.mark.toolchain
VERSION = "1.2.0"
UDID = "00008101-001611D026A0001E"
PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}


@pytest.fixture(scope="module")
def ios(pytestconfig: pytest.Config) -> Path:
    """The folder of the real program."""
    folder = pytestconfig.cache.mkdir(f"go-ios-{VERSION}")
    kind = f"linux-{PROCESSORS[platform.machine()]}"
    program = folder / f"node_modules/go-ios/dist/go-ios-{kind}_{kind.replace('-', '_')}/ios"
    if not program.exists():
        argv = [tool("npm", "npm"), "install", "--ignore-scripts", "--prefix", str(folder), f"go-ios@{VERSION}"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
    program.chmod(0o755)
    return program.parent


@pytest.fixture
def asked(ios: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What usbmuxd, which knows two devices, is asked."""
    monkeypatch.setenv("PATH", f"{ios}{os.pathsep}{os.environ['PATH']}")
    assert shutil.which("ios") == str(ios / "ios")
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has to be short
        path = Path(folder) / "mux"
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(path))
        with usbmuxd(path, [UDID, "x'; touch PWNED"]) as asked:
            yield asked


def run(argv: Sequence[str]) -> Done:
    done = subprocess.run(argv, capture_output=True, timeout=PATIENCE)
    assert b"Usage:" not in done.stdout + done.stderr, argv
    return Done(done.returncode, done.stdout, done.stderr)


def commands(built: Products, folder: Path) -> dict[str, Argv]:
    """Every command line for a device."""
    bundle = built.bundle
    rows = [
        GO_IOS.asking(UDID, folder)[0],
        GO_IOS.installing(UDID, built),
        *GO_IOS.cleaning(UDID, bundle),
        *GO_IOS.pushing(UDID, bundle, folder),
        GO_IOS.testing(UDID, built, folder),
        GO_IOS.fetching(UDID, bundle, "result.json", folder),
        *GO_IOS.stopping(UDID, bundle),
        GO_IOS.removing(UDID, bundle, folder),
    ]
    return {" ".join(row): row for row in rows}


def test_each_command_line_reaches_the_device(asked: list[str], tmp_path: Path) -> None:
    job = tmp_path / "we ird'; $(touch PWNED)"
    (job / "model.mlpackage").mkdir(parents=True)
    (job / "model.mlpackage" / "Manifest.json").write_text("{}")
    built = find_products(products(tmp_path / "bui lt"))
    rows = commands(built, job)
    assert len([row for row in rows if FOLDER in row]) == 5, "mkdir twice, push, pull, rm"
    for row, argv in rows.items():
        done = run(argv)
        assert set(asked) == {"ListDevices", "ReadPairRecord"}, row
        asked.clear()
        told = trouble(GO_IOS, done, UDID, "trying")
        assert isinstance(told, DeviceError) and "does not trust this computer" in str(told), (row, done)
        assert GO_IOS.failed(done), row


def test_what_the_real_program_lists(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(choose(GO_IOS)) == [UDID]
    with pytest.raises(UsageError, match="no device"):
        asyncio.run(choose(GO_IOS, ["00008101-0000000000000000"]))
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "/nowhere/usbmuxd")
    with pytest.raises(MissingDependencyError, match="install go-ios and usbmuxd"):
        asyncio.run(choose(GO_IOS))


def test_a_device_that_is_gone(asked: list[str], job: IosJob) -> None:
    device = Device(GO_IOS, "00008101-0000000000000000", job, find_products(job.app))
    with pytest.raises(DeviceError, match="lost or not connected; check the cable"):
        asyncio.run(ask(device))


def test_developer_mode_is_read(asked: list[str]) -> None:
    _, argv = GO_IOS.asking(UDID, Path())
    assert run(argv).stdout == b'{"DeveloperModeEnabled":false}\n'
