"""A stand-in for `ios` of go-ios 1.2.0, with its grammar, its words and its exit codes."""

import json
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from tests.bench.drivers.ios.tools.app import run_app
from tests.bench.drivers.ios.tools.device import WORLD, Device, fail, fetch, find, hang, install, installed, place


def go_ios(words: list[str]) -> None:
    if words == ["list"]:
        if (WORLD / "garbage").exists():
            fail(0, out='{"deviceList": ["\x1b[2J')
        devices = [Device(path.name) for path in sorted((WORLD / "devices").iterdir())]
        udids = [one.state.get("shown", one.udid) for one in devices if not one.has("gone")]
        print(json.dumps({"deviceList": udids}))
        return
    grammar: dict[tuple[str, ...], set[str]] = {
        ("info",): {"udid"},
        ("devmode", "get"): {"udid"},
        ("install",): {"path", "udid"},
        ("runtest",): {"test-runner-bundle-id", "xctest-config", "xctest", "test-to-run", "log-output", "udid"},
        ("kill", "dev.edgekit.bench"): {"udid"},
        ("fsync", "mkdir"): {"app", "udid", "path"},
        ("fsync", "rm"): {"app", "udid", "path", "r"},
        ("fsync", "push"): {"app", "udid", "srcPath", "dstPath"},
        ("fsync", "pull"): {"app", "udid", "srcPath", "dstPath"},
    }
    options = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
    command = tuple(word for word in words if not word.startswith("--"))
    if set(options) != grammar.get(command):
        fail(1, out="Usage:\n  ios --version | version [options]\n")
    udid = options["udid"]
    device = find(udid, lambda: go_error(f"Device not found: {udid}", f"Device '{udid}' not found. Is it attached?"))
    log("WARN", "go-ios agent is not running. You might need to start it with 'ios tunnel start' for ios17+.", None)
    if device.has("untrusted"):
        go_error("failed getting info", "could not retrieve PairRecord with error: '2', is the device paired?")
    if command == ("info",):
        if device.has("hang-ask"):
            hang(device, stubborn=False)
        version = device.state.get("ios", "18.5")
        print(json.dumps({"ProductType": "iPhone16,1", "ProductVersion": version, "DeviceName": "\u001b[2Jx"}))
        return
    if command == ("devmode", "get"):
        print(json.dumps({"DeveloperModeEnabled": not device.has("no-developer-mode")}))
        return
    if command == ("install",):
        install(device, Path(options["path"]), lambda what, number: go_error("failed writing", what))
        return
    if command[0] == "fsync":
        fsync(device, command[1], options)
        return
    if command[0] == "runtest":
        assert (options["xctest-config"], options["log-output"]) == ("EdgeKitBenchTests.xctest", "-"), words
        assert options["test-to-run"] == "EdgeKitBenchTests.BenchTests", words
        if not installed(device, options["test-runner-bundle-id"]):
            log("INFO", "Failed running Xcuitest", "Did not find test runner app for this bundle identifier")
            return
        runtest(device)
        return


def fsync(device: Device, verb: str, options: dict[str, str]) -> None:
    if not installed(device, options["app"]):
        go_error("fsync: connect afc service failed", "ApplicationLookupFailed")
    if verb == "mkdir":
        device.local(options["path"]).mkdir(exist_ok=True)
        return device.local(options["path"]).chmod(0o777)  # as the app's own
    if verb == "rm":
        if not device.local(options["path"]).exists():
            go_error("fsync: remove failed", "error deleting file: afc error code: 8")
        shutil.rmtree(device.local(options["path"]))
        return
    if verb == "push":
        if device.has("lost-copy", once=True):
            go_error("fsync: push failed", "write: connection reset by peer")
        if device.has("full", once=True):
            go_error("fsync: push failed", "error reading data: afc error code: 18")
        place(device, Path(options["srcPath"]), device.local(options["dstPath"]))
        device.local(options["dstPath"]).chmod(0o666)
        return
    source = device.local(options["srcPath"])
    target = Path(options["dstPath"]) / source.name
    fetch(device, source, target, lambda what, number: go_error("fsync: pull failed", pulled(what)))


def pulled(what: str) -> str:
    return "afc error code: 8" if "No such file" in what else "read: connection reset by peer"


def runtest(device: Device) -> None:
    """It ends with 0 whatever happens."""
    if device.has("gone-test"):
        device.state["faults"].append("gone")
        device.save()
    if device.has("locks-itself"):
        log("INFO", "Failed running Xcuitest", "the device was not, or could not be, unlocked")
        return
    if device.has("lost-test", once=True) or device.has("gone"):
        log("INFO", "Failed running Xcuitest", "read: connection reset by peer")
        return
    if device.has("talkative"):
        sys.stderr.write('{"level":"INFO","msg":"Testing started"}\n' * 100_000)
    print("[espresso] error: a thing of no account")
    log("ERROR", "could not close a connection", None)
    if said := run_app(device):
        print(f"/Attach.swift:9: error: -[EdgeKitBenchTests.BenchTests testMeasure] : failed - {said}")
    print('[{"TestCases":[{"ClassName":"BenchTests","Err":{"Message":""}}]}]')


def log(level: str, what: str, why: str | None) -> None:
    print(json.dumps({"time": "2026-01-01T00:00:00Z", "level": level, "msg": what, "error": why}), file=sys.stderr)


def go_error(what: str, why: str) -> NoReturn:
    print(json.dumps({"time": "2026-01-01T00:00:00Z", "level": "ERROR", "msg": what, "err": why}), file=sys.stderr)
    raise SystemExit(1)
