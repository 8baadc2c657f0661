"""The device side of adb over TCP, for the real client: a private folder in place of a phone, and faults on demand.

Services: `shell,v2` and `exec:` run mksh or sh with small stand-ins for Android's tools; `sync:` knows STAT, LIST, SEND
and RECV. "/data/local/tmp", "/sdcard" and "/sys/devices" in a command become folders of the device's own. `am
instrument` runs what was installed as a script, with the job as its argument and the app's folder in OUT.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import adbutils
import psutil

from tests.waiting import PATIENCE

__all__ = ["Bench", "Device", "bench", "clients"]

_SHELL = shutil.which("mksh") or "/bin/sh"  # mksh is Android's
_TOOLS = {
    "getprop": 'cat "$DEVICE/props"',
    "dumpsys": 'exec cat "$DEVICE/dumpsys.$1"',
    "svc": '[ "$1 $2" = "power stayon" ] && echo 7 >"$DEVICE/settings/stay_on_while_plugged_in"',
    "cmd": """[ "$1 $2" = "connectivity airplane-mode" ] || exit 1
case "$3" in enable) v=1 ;; disable) v=0 ;; *) exit 1 ;; esac
echo $v >"$DEVICE/settings/airplane_mode_on\"""",
    "settings": """[ "$2" = global ] || exit 1
case "$1" in
get) cat "$DEVICE/settings/$3" 2>/dev/null || echo null ;;
put) echo "$4" >"$DEVICE/settings/$3" ;;
delete) rm -f "$DEVICE/settings/$3" ;;
*) exit 1 ;;
esac""",
    "pm": """case "$1" in
path) [ "$PM" != broken ] || { echo "Can't find service: package" >&2; exit 20; }
  [ -f "$DEVICE/installed" ] && echo package:/data/app/base.apk ;;
install) [ "$2 $3" = "-r -t" ] || exit 2
  if grep -q REFUSED "$4"; then echo "Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures]"; exit 1; fi
  cp "$4" "$DEVICE/installed" && echo Success ;;
uninstall) rm "$DEVICE/installed" && echo Success ;;
*) exit 2 ;;
esac""",
    "am": """case "$1" in
force-stop) if read p <"$DEVICE/running"; then kill -9 "$p"; rm "$DEVICE/running"; fi 2>/dev/null; exit 0 ;;
instrument) [ "$2 $3 $4 $5 $7" = "-w -r -e job dev.edgekit.bench/.MeasureInstrumentation" ] || exit 2 ;;
*) exit 2 ;;
esac
echo $$ >"$DEVICE/running"
OUT="$DEVICE/sdcard/Android/data/dev.edgekit.bench/files" exec sh "$DEVICE/installed" "$6\"""",
    "taskset": 'echo "$1" >"$DEVICE/mask"; shift; exec "$@"',
    "df": """echo "Filesystem 1K-blocks Used Available Use% Mounted on"
echo "/dev/d 9 9 $(cat "$DEVICE/free") 9% /data\"""",
}
_PROPS = {
    "ro.product.manufacturer": "Acme",
    "ro.product.model": "Fone 7",
    "ro.soc.model": "AC700",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.cpu.abi": "arm64-v8a",
}
_CORES = {0: 1_800_000, 1: 1_800_000, 2: 2_400_000, 3: 2_400_000}


@dataclass
class Device:
    """One simulated phone.

    `faults`: unauthorised, offline, hang (every command), drop-push, drop-run, drop-pull (once each), gone-run (for
    good), full (a push fails), corrupt-push (the model gets other bytes). What the runner does wrong is in
    `environment`.
    """

    folder: Path
    faults: set[str] = field(default_factory=set)
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    commands: list[str] = field(default_factory=list)
    server: asyncio.Server | None = None
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        for name in ("data", "sdcard", "settings", "sys/system/cpu"):
            (self.folder / name).mkdir(parents=True)
        for core, khz in _CORES.items():
            frequency = self.folder / f"sys/system/cpu/cpu{core}/cpufreq"
            frequency.mkdir(parents=True)
            values = {"cpuinfo_max_freq": khz, "scaling_cur_freq": khz, "scaling_governor": "schedutil"}
            for name, value in values.items():
                (frequency / name).write_text(f"{value}\n")
        (self.folder / "settings/airplane_mode_on").write_text("0\n")
        (self.folder / "free").write_text("50000000\n")
        self.props()
        self.battery()
        self.thermal()
        (self.folder / "dumpsys.power").write_text("  mWakefulness=Awake\n  mLowPowerModeEnabled=false\n")

    @property
    def serial(self) -> str:
        """As `adb connect` names it."""
        return f"{self.host}:{self.port}"

    @property
    def data(self) -> Path:
        """What the device has under /data/local/tmp."""
        return self.folder / "data"

    @property
    def settings(self) -> dict[str, str]:
        """Its global settings."""
        return {path.name: path.read_text().strip() for path in (self.folder / "settings").iterdir()}

    def props(self, **more: str) -> None:
        """Set what getprop says."""
        every = _PROPS | {key.replace("_", "."): value for key, value in more.items()}
        (self.folder / "props").write_text("".join(f"[{key}]: [{value}]\n" for key, value in every.items()))

    def battery(self, level: int = 80, celsius: float = 29.5, status: int = 3) -> None:
        """Set what `dumpsys battery` says."""
        lines = f"  AC powered: false\n  status: {status}\n  level: {level}\n  scale: 100\n"
        (self.folder / "dumpsys.battery").write_text(f"State:\n{lines}  temperature: {round(10 * celsius)}\n")

    def thermal(self, status: int = 0, skin: float = 31.25) -> None:
        """Set what `dumpsys thermalservice` says."""
        sensor = f"Temperature{{mValue={skin}, mType=3, mName=skin, mStatus={status}}}"
        text = f"Thermal Status: {status}\nCurrent temperatures from HAL:\n\t{sensor}\nCurrent cooling devices:\n"
        (self.folder / "dumpsys.thermalservice").write_text(text)

    def here(self, text: str) -> str:
        """A command or path of the device as one of this machine."""
        own = text.replace("/data/local/tmp", str(self.data)).replace("/sdcard/", f"{self.folder}/sdcard/")
        return own.replace("/sys/devices", str(self.folder / "sys"))


class _Stream:
    """One open service."""

    def __init__(self, peer: _Peer, number: int, remote: int) -> None:
        self.peer, self.number, self.remote = peer, number, remote
        self.input = asyncio.StreamReader()
        self.acknowledged = asyncio.Semaphore(0)

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), 1 << 16):
            await self.peer.send(b"WRTE", self.number, self.remote, data[start : start + (1 << 16)])
            await self.acknowledged.acquire()


class _Peer:
    """One connection of an adb server."""

    def __init__(self, device: Device, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.device, self.reader, self.writer = device, reader, writer
        self.streams: dict[int, _Stream] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    async def send(self, command: bytes, arg0: int, arg1: int, data: bytes = b"") -> None:
        number = int.from_bytes(command, "little")
        checksum = sum(data) & 0xFFFFFFFF
        self.writer.write(struct.pack("<6I", number, arg0, arg1, len(data), checksum, number ^ 0xFFFFFFFF) + data)
        await self.writer.drain()

    def drop(self, for_good: bool = False) -> None:
        """Cut the connection, as a pulled cable does."""
        if for_good and self.device.server is not None:
            self.device.server.close()
        self.writer.transport.abort()

    async def serve(self) -> None:
        try:
            while True:
                number, arg0, arg1, size, _, _ = struct.unpack("<6I", await self.reader.readexactly(24))
                data = await self.reader.readexactly(size)
                await self.handle(number.to_bytes(4, "little"), arg0, arg1, data)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for task in self.tasks:
                task.cancel()
            self.writer.close()

    async def handle(self, command: bytes, arg0: int, arg1: int, data: bytes) -> None:
        if command in (b"CNXN", b"AUTH"):
            if "unauthorised" in self.device.faults:
                await self.send(b"AUTH", 1, 0, bytes(20))
            elif "offline" not in self.device.faults:
                banner = b"device::ro.product.name=fake;features=shell_v2,cmd,fixed_push_mkdir\0"
                await self.send(b"CNXN", 0x01000001, 1 << 20, banner)
        elif command == b"OPEN":
            stream = _Stream(self, len(self.streams) + 1, arg0)
            self.streams[stream.number] = stream
            await self.send(b"OKAY", stream.number, arg0)
            task = asyncio.create_task(self.service(stream, data.rstrip(b"\0").decode("utf-8", "surrogateescape")))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        elif command == b"OKAY":
            self.streams[arg1].acknowledged.release()
        elif command == b"WRTE":
            self.streams[arg1].input.feed_data(data)
            await self.send(b"OKAY", arg1, arg0)
        elif command == b"CLSE" and not self.streams[arg1].input.at_eof():
            self.streams[arg1].input.feed_eof()
            await self.send(b"CLSE", arg1, arg0)

    async def service(self, stream: _Stream, name: str) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            if name == "sync:":
                await _Sync(self, stream).serve()
            elif name.startswith(("shell,v2", "exec:")):
                head, _, command = name.partition(":")
                await self.shell(stream, command, v2=head != "exec")
            await self.send(b"CLSE", stream.number, stream.remote)

    async def shell(self, stream: _Stream, command: str, v2: bool) -> None:
        device = self.device
        device.commands.append(command)
        if "hang" in device.faults:
            await asyncio.Event().wait()
        if "result.json" in command and "drop-pull" in device.faults and command.startswith("cat "):
            device.faults.discard("drop-pull")
            await stream.write(b"\x01" + struct.pack("<I", 9) + b'{"schema"')
            return self.drop()
        process = await asyncio.create_subprocess_exec(
            _SHELL,
            "-c",
            device.here(command),
            cwd=device.folder,
            env={"DEVICE": str(device.folder), "PATH": f"{device.folder.parent}/tools:/usr/bin:/bin"}
            | device.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        device.processes.append(process)
        lost = (
            {"drop-run", "gone-run"} & device.faults if "--run-id" in command or "am instrument" in command else set()
        )
        if lost:
            await asyncio.sleep(0.3)
            device.faults -= lost
            return self.drop(for_good="gone-run" in lost)
        lock = asyncio.Lock()

        async def forward(source: asyncio.StreamReader | None, kind: bytes) -> None:
            while source is not None and (block := await source.read(1 << 15)):
                async with lock:
                    await stream.write(kind + struct.pack("<I", len(block)) + block if v2 else block)

        await asyncio.gather(forward(process.stdout, b"\x01"), forward(process.stderr, b"\x02"))
        code = await process.wait()
        if v2:
            await stream.write(b"\x03" + struct.pack("<IB", 1, code & 0xFF))


class _Sync:
    """The file service."""

    def __init__(self, peer: _Peer, stream: _Stream) -> None:
        self.peer, self.stream = peer, stream

    async def serve(self) -> None:
        while True:
            command, size = struct.unpack("<4sI", await self.stream.input.readexactly(8))
            if command == b"QUIT":
                return
            name = (await self.stream.input.readexactly(size)).decode("utf-8", "surrogateescape")
            if command == b"SEND":
                name, _, mode = name.rpartition(",")
                await self.receive(Path(self.peer.device.here(name)), int(mode))
            elif command == b"RECV":
                await self.give(Path(self.peer.device.here(name)))
            elif command == b"STAT":
                await self.stream.write(b"STAT" + _stat(Path(self.peer.device.here(name))))
            elif command == b"LIST":
                for path in Path(self.peer.device.here(name)).iterdir():
                    row = path.name.encode()
                    await self.stream.write(b"DENT" + _stat(path) + struct.pack("<I", len(row)) + row)
                await self.stream.write(b"DONE" + bytes(16))

    async def receive(self, path: Path, mode: int) -> None:
        """Store what is pushed."""
        faults, reader = self.peer.device.faults, self.stream.input
        full = "full" in faults
        path.parent.mkdir(parents=True, exist_ok=True)  # "fixed_push_mkdir"
        with open(os.devnull if full else path, "wb") as file:
            while True:
                kind, size = struct.unpack("<4sI", await reader.readexactly(8))
                if kind == b"DONE":
                    break
                file.write(await reader.readexactly(size))
                if "corrupt-push" in faults and path.name == "model.onnx":
                    file.write(b"!")
                if "drop-push" in faults:
                    faults.discard("drop-push")
                    self.peer.drop()
        if full:
            reason = b"couldn't create file: No space left on device"
            await self.stream.write(b"FAIL" + struct.pack("<I", len(reason)) + reason)
        else:
            path.chmod(mode & 0o666)  # Android keeps no execute bit of a push either way: the driver sets it
            await self.stream.write(b"OKAY" + bytes(4))

    async def give(self, path: Path) -> None:
        """Send what is pulled."""
        data = path.read_bytes()
        for start in range(0, len(data), 1 << 16):
            block = data[start : start + (1 << 16)]
            await self.stream.write(b"DATA" + struct.pack("<I", len(block)) + block)
        await self.stream.write(b"DONE" + bytes(4))


def _stat(path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError:
        return bytes(12)
    return struct.pack("<III", found.st_mode, found.st_size, int(found.st_mtime))


class Bench:
    """A private adb server and the devices that are connected to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.devices = folder, list[Device]()
        self.pending: list[subprocess.Popen[bytes]] = []
        self.adb = str(Path(adbutils.__file__).parent / "binaries" / "adb")  # the real client, as the wheel brings it
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        (folder / "tools").mkdir(parents=True)
        for name, script in _TOOLS.items():
            (folder / "tools" / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / "tools" / name).chmod(0o755)
        self.port: int = self._run(_free_port())
        self.command("start-server")

    def command(self, *args: str) -> str:
        """Run the client, wait for it, and give what it printed."""
        assert self.adb is not None
        words = [self.adb, "-P", str(self.port), *args]
        environment = os.environ | {"HOME": str(self.folder), "TMPDIR": str(self.folder)}
        environment["ADB_LIBUSB"] = "0"  # else a server without USB waits three seconds for it
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env=environment).stdout

    def add(self, *faults: str, host: str = "127.0.0.1", **environment: str) -> Device:
        """Make a device and connect it."""
        device = Device(self.folder / f"d{len(self.devices)}", set(faults), environment, host=host)
        self.devices.append(device)
        self._run(self._listen(device))
        if faults and "offline" in faults:  # `adb connect` waits for a greeting that never comes
            assert self.adb is not None
            words = [self.adb, "-P", str(self.port), "connect", device.serial]
            self.pending.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            while device.serial not in self.command("devices"):
                time.sleep(0.02)
        else:
            self.command("connect", device.serial)
        return device

    def close(self) -> None:
        """Stop the server, the devices, and what still runs on them."""
        self.command("kill-server")
        for client in self.pending:
            client.wait(PATIENCE)
        self._run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()

    def left(self, devices: Sequence[Device] | None = None) -> list[Path]:
        """Every file that is still on the devices."""
        places = [place for device in devices or self.devices for place in (device.data, device.folder / "sdcard")]
        return [path for place in places for path in place.rglob("*") if path.is_file() or place.name == "data"]

    async def _stop(self) -> None:
        for device in self.devices:
            assert device.server is not None
            device.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for process in [process for device in self.devices for process in device.processes]:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()

    async def _listen(self, device: Device) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _Peer(device, reader, writer).serve()

        device.server = await asyncio.start_server(serve, device.host, 0)
        device.port = device.server.sockets[0].getsockname()[1]

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)


async def _free_port() -> int:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    return port


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A bench for as long as it is in use."""
    made = Bench(folder)
    try:
        yield made
    finally:
        made.close()


def clients() -> list[psutil.Process]:
    """The adb clients that this process started and that have not ended."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it may end while it is looked at
            if child.name() == "adb":
                found.append(child)
    return found
