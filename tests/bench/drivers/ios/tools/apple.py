"""Stand-ins for `xcrun devicectl`, with the grammar of its own help (Xcode 26), and for `xcodebuild`."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

from tests.bench.drivers.ios.tools.app import run_app
from tests.bench.drivers.ios.tools.device import (
    WORLD,
    Device,
    fail,
    fetch,
    find,
    hang,
    install,
    installed,
    place,
    usage,
)


def devicectl(words: list[str]) -> None:
    copying = {"device", "domain-type", "domain-identifier", "source", "destination"}
    commands: dict[str, set[str]] = {
        "list devices": set(),
        "device info details": {"device"},
        "device info lockState": {"device"},
        "device install app": {"device"},
        "device copy to": copying | {"remove-existing-content"},
        "device copy from": copying,
    }
    command = next((one for one in commands if words[: len(one.split())] == one.split()), None)
    if command is None:
        usage(f"Unexpected argument {words[:3]}")
    given: dict[str, str] = {}
    rest: list[str] = []
    words = words[len(command.split()) :]
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            rest.append(word)
        elif word[2:] in commands[command] | {"json-output"} and words:
            given[word[2:]] = words.pop(0)
        else:
            usage(f"Unknown option '{word}'")
    if set(given) - {"json-output"} != commands[command] or len(rest) != (command == "device install app"):
        usage(f"Missing expected argument of {command}, or too many: {given} {rest}")
    if command == "list devices":
        report(given, {"devices": [shown(path.name) for path in sorted((WORLD / "devices").iterdir())]})
        return
    device = find(given["device"], lambda: ctl_error("The specified device was not found.", 1000))
    if command.startswith("device info"):
        if device.has("hang-ask"):
            hang(device, stubborn=False)
        if command.endswith("details"):
            report(given, shown(device.udid))
            return
        report(given, {"passcodeRequired": device.has("locked"), "unlockedSinceBoot": True})
        return
    if device.has("untrusted"):
        ctl_error("The device is not paired.", 1003)
    if command == "device install app":
        install(device, Path(rest[0]), ctl_error)
        return
    if given["domain-type"] != "appDataContainer" or not installed(device, given["domain-identifier"]):
        ctl_error("The application container does not exist.", 7001)
    if command == "device copy to":
        source, target = Path(given["source"]), device.local(given["destination"])
        if device.has("lost-copy", once=True):
            ctl_error("The device disconnected while the transfer was going on.", 4)
        if device.has("full", once=True):
            ctl_error("The file could not be written: No space left on device.", 7000)
        if source.is_dir() and not any(source.iterdir()):
            ctl_error("Failed to copy an empty folder.", 7000)
        if given["remove-existing-content"] == "true" and source.is_dir() and target.is_dir():
            shutil.rmtree(target)
        place(device, source, target)
        return
    fetch(device, device.local(given["source"]), Path(given["destination"]), ctl_error)


def ctl_error(what: str, number: int) -> NoReturn:
    fail(1, err=f"noise: The tunnel is fine.\nERROR: {what} (com.apple.dt.CoreDeviceError error {number} (0x0))\n")


def report(given: dict[str, str], result: object) -> None:
    if (WORLD / "garbage").exists():
        Path(given["json-output"]).write_bytes(b'{"result": {"devices": [\xff\x1b[2J')
        return
    document = {"info": {"outcome": "success", "jsonVersion": 2}, "result": result}
    Path(given["json-output"]).write_text(json.dumps(document))


def shown(udid: str) -> dict[str, Any]:
    device = Device(udid)
    return {
        "identifier": "21ABE4B1-1509-5D45-9645-75A52D050D68",
        "hardwareProperties": {
            "udid": device.state.get("shown", udid),
            "marketingName": "iPhone 15 Pro",
            "productType": "iPhone16,1",
            "platform": device.state.get("platform", "iOS"),
            "reality": "physical",
        },
        "connectionProperties": {
            "pairingState": "unpaired" if device.has("untrusted") else "paired",
            "tunnelState": "unavailable" if device.has("gone") else "disconnected",
        },
        "deviceProperties": {
            "name": "\u001b[2Jsomeone's phone",
            "osVersionNumber": device.state.get("ios", "18.5"),
            "developerModeStatus": "disabled" if device.has("no-developer-mode") else "enabled",
        },
    }


def xcodebuild(words: list[str]) -> None:
    single = {"-xctestrun", "-destination", "-destination-timeout", "-collect-test-diagnostics", "-derivedDataPath"}
    given: dict[str, str] = {}
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        name, colon, value = word.partition(":")
        if name == "-only-testing" and colon:
            given[name] = value
        elif word in single | {"-resultBundlePath"} and rest:
            given[word] = rest.pop(0)
        else:
            fail(64, err=f"xcodebuild: error: invalid option '{word}'\n")
    assert words[0] == "test-without-building" and given["-collect-test-diagnostics"] == "never", words
    assert given["-only-testing"] == "EdgeKitBenchTests/BenchTests/testMeasure", words
    assert not Path(given["-resultBundlePath"]).exists() and int(given["-destination-timeout"]) > 0
    assert b"TestConfigurations" in Path(given["-xctestrun"]).read_bytes()
    pairs = dict(pair.split("=") for pair in given["-destination"].split(","))
    assert set(pairs) == {"platform", "id"} and pairs["platform"] == "iOS", pairs

    def lost() -> None:
        fail(
            70,
            err="xcodebuild: error: Unable to find a destination matching the provided destination specifier:\n\t{}\n",
        )

    device = find(pairs["id"], lost)
    if device.has("locks-itself"):
        fail(74, out="Testing failed:\n\tUnlock iPhone to Continue\n")
    if device.has("gone-test"):
        device.state["faults"].append("gone")
        device.save()
    if device.has("lost-test", once=True) or device.has("gone"):
        lost()
    sys.stdout.write("Testing started\n" * 100_000 if device.has("talkative") else "Testing started\n")
    if said := run_app(device):
        fail(65, out=f"/Tests.swift:9: error: -[EdgeKitBenchTests.BenchTests testMeasure] : failed - {said}\n")
