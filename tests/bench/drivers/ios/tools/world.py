"""A folder of simulated iPhones, and programs on the PATH that reach them."""

from __future__ import annotations

import json
import plistlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["BUNDLE", "Phone", "World", "products"]

BUNDLE = "dev.edgekit.bench"
_ROOT = str(Path(__file__).parents[5])


@dataclass(frozen=True)
class Phone:
    """One simulated device."""

    folder: Path

    @property
    def udid(self) -> str:
        return self.folder.name

    @property
    def documents(self) -> list[str]:
        """Every file and folder that the app has in its documents."""
        root = self.folder / "container" / "Documents"
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """The jobs that the app ran."""
        path = self.folder / "jobs"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def faults(self) -> list[str]:
        return json.loads((self.folder / "state.json").read_text())["faults"]


class World:
    """All that is connected; `bin` has the programs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.phones = folder / "world", folder / "bin", list[Phone]()
        (self.folder / "devices").mkdir(parents=True)
        self.bin.mkdir()
        script = f"import sys\nsys.path.insert(0, {_ROOT!r})\nfrom {__package__}.programs import main\nmain()\n"
        for name in ("xcrun", "xcodebuild", "ios"):
            (self.bin / name).write_text(f"#!{sys.executable} -IS\n{script}")
            (self.bin / name).chmod(0o755)

    def add(self, *faults: str, **state: object) -> Phone:
        """Connect a device."""
        phone = Phone(self.folder / "devices" / f"0000{8100 + len(self.phones)}-001611D026A0001E")
        (phone.folder / "container").mkdir(parents=True)
        (phone.folder / "state.json").write_text(json.dumps({"faults": faults, **state}))
        self.phones.append(phone)
        return phone

    @property
    def calls(self) -> list[list[str]]:
        """Every command line so far."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def products(folder: Path, *, bundle: str = BUNDLE) -> Path:
    """What `xcodebuild build-for-testing` leaves."""
    test = folder / "Release-iphoneos" / "EdgeKitBench.app" / "PlugIns" / "EdgeKitBenchTests.xctest"
    test.mkdir(parents=True)
    (test.parents[1] / "Info.plist").write_bytes(plistlib.dumps({"CFBundleIdentifier": bundle}))
    (folder / "EdgeKitBench_iphoneos26.0-arm64.xctestrun").write_bytes(plistlib.dumps({"TestConfigurations": []}))
    return folder
