"""Stand-ins for `xcrun devicectl`, `xcodebuild` and go-ios's `ios`, which need a Mac or an iPhone.

They refuse what the real ones would refuse. $FAKE_IPHONES is a folder: `devices/UDID/` is a device, `calls` has one
line for each call.
"""

import json
import sys
from pathlib import Path

from tests.bench.drivers.ios.tools.apple import devicectl, xcodebuild
from tests.bench.drivers.ios.tools.device import WORLD, fail
from tests.bench.drivers.ios.tools.goios import go_ios


def main() -> None:
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    with (WORLD / "calls").open("a") as calls:
        calls.write(json.dumps([name, *words]) + "\n")
    if name == "xcrun":
        if words[0] != "devicectl" or (WORLD / "no-xcode").exists():
            fail(72, err='xcrun: error: unable to find utility "devicectl", not a developer tool or in PATH\n')
        devicectl(words[1:])
    else:
        {"xcodebuild": xcodebuild, "ios": go_ios}[name](words)
