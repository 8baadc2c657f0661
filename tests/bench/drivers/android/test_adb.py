"""The wrapper on `adb`: what the real client says is understood, and nothing is ever a shell's to interpret."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit.bench.drivers.android.adb import Adb
from edgekit.bench.drivers.base import plain
from edgekit.errors import DeviceError, InputError, MissingDependencyError, UsageError
from tests.bench.drivers.adb_device import Bench, bench, clients
from tests.waiting import PATIENCE, until

HOSTILE = ("a b", "it's", 'say "x"', "x; touch PWNED", "$(touch PWNED)", "`touch PWNED`", "-e", "*", "a\nb", "", "é\t")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_words_reach_the_device_as_they_are(lab: Bench) -> None:
    device = lab.add()
    adb = Adb(server_port=lab.port, serial=device.serial)
    found = run(adb.shell(["printf", "%s\\0", *HOSTILE], PATIENCE))
    assert found.code == 0
    assert found.text.split("\0")[:-1] == list(HOSTILE)
    assert not list(lab.folder.rglob("PWNED"))


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exit_code_stdout_and_stderr_are_kept_apart(lab: Bench, code: int) -> None:
    adb = Adb(server_port=lab.port, serial=lab.add().serial)
    found = run(adb.shell(["sh", "-c", f"printf out; printf err >&2; exit {code}"], PATIENCE))
    assert (found.code, found.stdout, found.stderr) == (code, b"out", b"err")


def test_files_come_back_as_they_went_whatever_they_are_called(lab: Bench) -> None:
    adb = Adb(server_port=lab.port, serial=lab.add().serial)
    data = os.urandom(700_001) + b"\r\n\0\n"
    for name in ("plain", "a b", "it's", 'say "x"', "x; touch PWNED", "$(touch PWNED)", "a\nb", "-p"):
        local = lab.folder / name
        local.write_bytes(data)
        run(adb.push(local, "/data/local/tmp/file", PATIENCE))
        run(adb.pull("/data/local/tmp/file", lab.folder / "back", 30, max_bytes=1 << 20))
        assert (lab.folder / "back").read_bytes() == data
    lab.command("-s", adb.serial or "", "pull", "/data/local/tmp/file", str(lab.folder / "again"))
    assert (lab.folder / "again").read_bytes() == data
    assert lab.command("-s", adb.serial or "", "ls", "/data/local/tmp").endswith(" file\n")
    assert lab.command("-s", adb.serial or "", "exec-out", "echo a; echo b") == "a\nb\n"
    assert not list(lab.folder.rglob("PWNED"))


def test_too_much_output_is_not_read(lab: Bench) -> None:
    adb = Adb(server_port=lab.port, serial=lab.add().serial)
    with pytest.raises(InputError, match="over 1024 KiB"):
        run(adb.shell(["cat", "/dev/zero"], PATIENCE, limit=1 << 20))
    with pytest.raises(InputError, match="over 64 KiB while pulling zero"):
        run(adb.pull("/dev/zero", lab.folder / "back", PATIENCE, max_bytes=1 << 16))
    assert not (lab.folder / "back").exists()


def test_a_hanging_shell_ends_at_its_time_limit_and_the_client_with_it(lab: Bench) -> None:
    device = lab.add("hang")
    started = time.monotonic()
    with pytest.raises(DeviceError, match=rf"{device.serial}: not finished after 0.5 s while running true"):
        run(Adb(server_port=lab.port, serial=device.serial).shell(["true"], 0.5))
    assert time.monotonic() - started < PATIENCE
    assert not clients()


def test_cancelling_ends_the_client(lab: Bench) -> None:
    device = lab.add("hang")

    async def work() -> None:
        async with asyncio.timeout(0.5):
            await Adb(server_port=lab.port, serial=device.serial).shell(["true"], PATIENCE)

    with pytest.raises(TimeoutError):
        run(work())
    assert not clients()


def test_no_adb_says_how_to_get_it() -> None:
    for executable in ("no-such-adb", "/nowhere/adb", "/dev/null"):
        with pytest.raises(MissingDependencyError, match="apt-get install adb"):
            run(Adb(executable).devices())


def test_no_server_is_one_line() -> None:
    with pytest.raises(DeviceError, match="adb cannot list devices") as told:
        run(Adb(server_port=0).devices())
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("fault", ["unauthorised", "offline", "full", "drop-push", "gone"])
def test_troubles_are_said_plainly(lab: Bench, fault: str) -> None:
    device = lab.add(fault)
    adb = Adb(server_port=lab.port, serial=device.serial if fault != "gone" else "HT 'x'; $(touch PWNED)")
    local = lab.folder / "model"
    local.write_bytes(bytes(3 << 20))
    until(lambda: device.serial in dict(run(adb.devices())))
    said = {
        "unauthorised": "not authorised",
        "offline": "offline",
        "full": "no space left on the device",
        "drop-push": "lost while pushing model",
        "gone": "lost or not connected",
    }
    with pytest.raises(DeviceError, match=said[fault]) as told:
        run(adb.push(local, "/data/local/tmp/model", PATIENCE))
    assert str(told.value).startswith(adb.serial or "")
    assert str(told.value).isprintable()


def test_what_a_command_says_is_no_reason_why_the_device_is_lost(tmp_path: Path) -> None:
    client = tmp_path / "adb"
    client.write_text("#!/bin/sh\necho 'camera: offline, unauthorized, service not found'\nexit 1\n")
    client.chmod(0o755)
    with pytest.raises(DeviceError, match=r"^one: the connection was lost while running dumpsys; check the cable"):
        run(Adb(str(client), "one").shell(["dumpsys"], PATIENCE))


def test_a_serial_is_one_line() -> None:
    for serial in ("", "a\nb", "a\0b", "\x1b[2J"):
        with pytest.raises(UsageError, match="adb devices"):
            Adb(serial=serial)


def test_a_hostile_list_of_devices() -> None:
    rows = "good\tdevice\nwith space; 'x'\tunauthorized\n\x1b[2Jevil\tdevice\nno tab device\nx\todd\n\tdevice\n"
    rows += "usb\tno permissions (user in plugdev group; are your udev rules wrong?)\ngood\toffline\n\xff\toffline\n"
    with _server(rows.encode("latin-1")) as port:
        found = run(Adb(server_port=port).devices())
    assert found == [
        ("good", "device"),
        ("with space; 'x'", "unauthorized"),
        ("usb", "no permissions"),
        ("�", "offline"),
    ]


def test_plain() -> None:
    assert plain(b"a\n\x1b[31m\xff  b\r\n") == "a ?[31m� b"
    assert plain("x" * 300) == "..." + "x" * 197


class _server:
    """An adb server that lists what it is told to."""

    def __init__(self, rows: bytes) -> None:
        self.rows = rows
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self.thread.start()
        port: int = self.socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client, client.makefile("rwb") as stream:
                asked = stream.read(int(stream.read(4), 16))
                answer = b"0029" if asked == b"host:version" else self.rows
                stream.write(b"OKAY%04x" % len(answer) + answer)
