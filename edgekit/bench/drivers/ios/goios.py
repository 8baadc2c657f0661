"""iPhones from Linux: `ios` of go-ios 1.2 or later, https://github.com/danielpaulus/go-ios"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgekit.bench.drivers.ios.app import TEST_CLASS, TESTS, Products
from edgekit.bench.drivers.ios.tools import FOLDER, NO_MODE, Argv, Facts, Tools, is_udid, part, text
from edgekit.bench.drivers.program import Done

__all__ = ["GO_IOS"]

_DEVELOPER_MODE = 16  # the version of iOS that brought it; older ones answer "false" too
_NOT_RUN = "Failed running"
_XCTEST = re.compile(r"\berror: -\[[^\]\n]{1,200}\] : ([^\n]+)")  # the app's other "error:" lines are its own affair
_DEEP = 20  # levels of its test report that are looked into


def _fsync(udid: str, bundle: str, *words: str) -> Argv:
    return ("ios", "fsync", f"--app={bundle}", f"--udid={udid}", *words)


def _listed(document: Any) -> dict[str, str]:
    udids = part(document, "deviceList")
    return {udid: "connected" for udid in udids if is_udid(udid)} if isinstance(udids, list) else {}


def _asked(documents: Sequence[Any]) -> Facts:
    info, mode = documents
    version = text(part(info, "ProductVersion"))
    trouble, major = None, re.match(r"\d{1,3}", version or "")
    if major and int(major[0]) >= _DEVELOPER_MODE and part(mode, "DeveloperModeEnabled") is False:
        trouble = NO_MODE
    return Facts(text(part(info, "ProductType")), f"iOS {version}" if version else None, trouble)


def _pushing(udid: str, bundle: str, folder: Path) -> list[Argv]:
    """It pushes single files into folders that are there."""
    commands = [_fsync(udid, bundle, "mkdir", f"--path=/{FOLDER}")]
    for root, folders, files in os.walk(folder):
        folders.sort()
        below = Path(root).relative_to(folder).as_posix()
        there = f"/{FOLDER}" if below == "." else f"/{FOLDER}/{below}"
        commands += [_fsync(udid, bundle, "mkdir", f"--path={there}/{name}") for name in folders]
        for name in sorted(files):
            source = f"--srcPath={Path(root) / name}"
            commands.append(_fsync(udid, bundle, "push", source, f"--dstPath={there}/{name}"))
    return commands


def _testing(udid: str, products: Products, scratch: Path) -> Argv:
    """The whole class: how it names a single asynchronous method is not documented."""
    host = f"--test-runner-bundle-id={products.bundle}"
    return (
        *("ios", "runtest", host, f"--xctest-config={TESTS}.xctest", "--xctest"),
        *(f"--test-to-run={TESTS}.{TEST_CLASS}", "--log-output=-", f"--udid={udid}"),
    )


def _says(done: Done) -> str:
    """Why a test failed, or its error lines, which are JSON with much else between them."""
    errors = [words for level, words in _log(done) if level in ("ERROR", "FATAL") or words.startswith(_NOT_RUN)]
    lines = _test_failures(done) or errors
    return "; ".join(dict.fromkeys(lines)) or (done.errors if done.code else "")


def _failed(done: Done) -> bool:
    """A run that failed ends with 0 too."""
    return done.code != 0 or bool(_test_failures(done)) or any(words.startswith(_NOT_RUN) for _, words in _log(done))


def _log(done: Done) -> Iterator[tuple[Any, str]]:
    for line in done.errors.splitlines():
        entry = _parsed(line)
        what, why = part(entry, "msg"), part(entry, "err") or part(entry, "error")
        if isinstance(what, str):
            yield part(entry, "level"), f"{what}: {why}" if why else what


def _test_failures(done: Done) -> list[str]:
    messages = [message for line in done.text.splitlines() for message in _failures(_parsed(line))]
    return messages or _XCTEST.findall(done.text)


def _failures(report: Any, level: int = 0) -> Iterator[str]:
    """Messages of failed tests in its report."""
    inner = report.items() if isinstance(report, dict) else enumerate(report if isinstance(report, list) else ())
    for name, value in inner if level < _DEEP else ():
        if name == "Message" and isinstance(value, str) and value:
            yield value
        else:
            yield from _failures(value, level + 1)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


GO_IOS = Tools(
    provider="go-ios",
    harness="go-ios",
    missing="install go-ios and usbmuxd (npm install -g go-ios; Debian: apt-get install usbmuxd)",
    listing=lambda json: ("ios", "list"),
    listed=_listed,
    asking=lambda udid, json: [("ios", "info", f"--udid={udid}"), ("ios", "devmode", "get", f"--udid={udid}")],
    asked=_asked,
    installing=lambda udid, products: ("ios", "install", f"--path={products.app}", f"--udid={udid}"),
    cleaning=lambda udid, bundle: [_fsync(udid, bundle, "rm", "--r", f"--path=/{FOLDER}")],
    pushing=_pushing,
    testing=_testing,
    fetching=lambda udid, bundle, name, into: _fsync(
        udid, bundle, "pull", f"--srcPath=/{FOLDER}/{name}", f"--dstPath={into}"
    ),
    stopping=lambda udid, bundle: [("ios", "kill", bundle, f"--udid={udid}")],
    removing=lambda udid, bundle, almost_empty: _fsync(udid, bundle, "rm", "--r", f"--path=/{FOLDER}"),
    absent="afc error code: 8",
    says=_says,
    failed=_failed,
)
