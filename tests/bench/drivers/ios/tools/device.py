"""A simulated iPhone: a folder with `state.json` and the app's container. `faults` says what is wrong with it.

Run by the stand-ins only, without anything but the standard library: see programs.py.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

WORLD = Path(os.environ["FAKE_IPHONES"])
JOB = "Documents/edgekit-job"
Fail = Callable[[str, int], object]


class Device:
    def __init__(self, udid: str) -> None:
        self.udid, self.folder = udid, WORLD / "devices" / udid
        self.state = json.loads((self.folder / "state.json").read_text())
        self.container = self.folder / "container"

    def has(self, fault: str, once: bool = False) -> bool:
        here: bool = fault in self.state["faults"]
        if here and once:
            self.state["faults"].remove(fault)
            self.save()
        return here

    def save(self) -> None:
        (self.folder / "state.json").write_text(json.dumps(self.state))

    def local(self, path: str) -> Path:
        found = self.container / path.lstrip("/")
        assert found.parent.resolve().is_relative_to(self.container.resolve()), path
        return found


def find(udid: str, lost: Callable[[], object]) -> Device:
    """The device, where it is connected."""
    if not (WORLD / "devices" / udid / "state.json").is_file() or Device(udid).has("gone"):
        lost()
    return Device(udid)


def fail(code: int, *, out: str = "", err: str = "") -> NoReturn:
    sys.stdout.write(out)
    sys.stderr.write(err)
    raise SystemExit(code)


def usage(what: str) -> NoReturn:
    fail(64, err=f"Error: {what}\nUsage: see help\n")


def hang(device: Device, stubborn: bool) -> None:
    """Never end; one that is stubborn does not even at Ctrl-C, nor does its child."""
    if stubborn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.posix_spawnp("sleep", ["sleep", "300"], os.environ)
    (device.folder / "hangs").write_text(str(os.getpid()))
    time.sleep(300)


def place(device: Device, source: Path, target: Path) -> None:
    """Copy a file or a folder's contents to the device."""
    if device.has("hang-copy"):
        hang(device, stubborn=False)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def install(device: Device, app: Path, error: Fail) -> None:
    if not (app / "Info.plist").is_file():
        error("The app does not exist.", 3002)
    if device.has("untrusted-developer"):
        error("The profile has not been explicitly trusted by the user.", 3002)
    (device.container / "Documents").mkdir(parents=True, exist_ok=True)
    (device.folder / "installed").write_bytes((app / "Info.plist").read_bytes())


def installed(device: Device, bundle: str) -> bool:
    path = device.folder / "installed"
    return path.is_file() and f"<string>{bundle}</string>" in path.read_text()


def fetch(device: Device, source: Path, target: Path, error: Fail) -> None:
    if device.has("lost-fetch", once=True):
        error("The connection was invalidated.", 4)
    if device.has("endless-fetch"):
        with target.open("wb", buffering=0) as file:
            for _ in range(200):  # MiB, were nobody to stop it
                file.write(bytes(1 << 20))
                time.sleep(0.005)
    if not source.is_symlink() and not source.exists():
        error("The file could not be opened: No such file or directory.", 7000)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target, follow_symlinks=False)
