"""iPhones from macOS: `xcrun devicectl` (Xcode 15 or later) for files, `xcodebuild` for the run.

Its JSON files are stable between versions, its other output is not: https://developer.apple.com/documentation/xcode
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekit.bench.drivers.ios.app import TEST_CLASS, TEST_METHOD, TESTS, Products
from edgekit.bench.drivers.ios.tools import FOLDER, LOCKED, NO_MODE, NO_TRUST, Argv, Facts, Tools, is_udid, part, text
from edgekit.bench.drivers.program import Done

__all__ = ["DEVICECTL"]

_CTL = ("xcrun", "devicectl")
_ERROR = re.compile(
    r"(?:^ERROR: |\berror: )(?:-\[[^\]\n]{1,200}\] : )?([^\n]+)"
    r"|^Testing failed:\s+([^\n]+)|(Unlock [^\n]{1,80} to Continue)",
    re.M,
)


def _domain(udid: str, bundle: str) -> Argv:
    return ("--device", udid, "--domain-type", "appDataContainer", "--domain-identifier", bundle)


def _replacing(udid: str, bundle: str, folder: Path) -> Argv:
    """Put a folder in the place of whatever is there: a folder's contents land at the destination."""
    copy = (*_CTL, "device", "copy", "to", *_domain(udid, bundle))
    return (*copy, "--source", str(folder), "--destination", FOLDER, "--remove-existing-content", "true")


def _listed(document: Any) -> dict[str, str]:
    devices = part(document, "result", "devices")
    phones = {}
    for device in devices if isinstance(devices, list) else ():
        udid, hardware = part(device, "hardwareProperties", "udid"), part(device, "hardwareProperties")
        here = part(device, "connectionProperties", "tunnelState") != "unavailable"  # it lists all that it ever knew
        if here and is_udid(udid) and part(hardware, "platform") == "iOS" and part(hardware, "reality") != "virtual":
            phones[udid] = _facts(device).trouble or text(part(hardware, "marketingName")) or "ready"
    return phones


def _facts(device: Any) -> Facts:
    connection, state = part(device, "connectionProperties"), part(device, "deviceProperties")
    hardware, version = part(device, "hardwareProperties"), text(part(state, "osVersionNumber"))
    trouble = None
    if part(connection, "pairingState") not in ("paired", None):
        trouble = NO_TRUST
    elif part(state, "developerModeStatus") not in ("enabled", None):
        trouble = NO_MODE
    model = text(part(hardware, "marketingName")) or text(part(hardware, "productType"))
    return Facts(model, f"iOS {version}" if version else None, trouble)


def _asked(documents: Sequence[Any]) -> Facts:
    details, lock = (part(document, "result") for document in documents)
    facts = _facts(details if part(details, "hardwareProperties") is not None else part(details, "device"))
    if facts.trouble is None and part(lock, "passcodeRequired") is True:
        return Facts(facts.model, facts.os, LOCKED)
    return facts


def _testing(udid: str, products: Products, scratch: Path) -> Argv:
    return (
        *("xcodebuild", "test-without-building", "-xctestrun", str(products.xctestrun)),
        *("-destination", f"platform=iOS,id={udid}", "-destination-timeout", "60"),
        *(f"-only-testing:{TESTS}/{TEST_CLASS}/{TEST_METHOD}", "-collect-test-diagnostics", "never"),
        *("-derivedDataPath", str(scratch / "derived"), "-resultBundlePath", str(scratch / "run.xcresult")),
    )


def _says(done: Done) -> str:
    """Its error lines; all of stderr where there are none."""
    lines = dict.fromkeys("".join(words) for words in _ERROR.findall(f"{done.errors}\n{done.text}"))
    return "; ".join(list(lines)[:5]) or done.errors[-2000:]


DEVICECTL = Tools(
    provider="devicectl",
    harness="xcodebuild",
    missing="install Xcode 15 or later, and choose it by `sudo xcode-select -s /Applications/Xcode.app`",
    listing=lambda json: (*_CTL, "list", "devices", "--json-output", str(json)),
    listed=_listed,
    asking=lambda udid, json: [
        (*_CTL, "device", "info", what, "--device", udid, "--json-output", str(json))
        for what in ("details", "lockState")
    ],
    asked=_asked,
    installing=lambda udid, products: (*_CTL, "device", "install", "app", "--device", udid, str(products.app)),
    cleaning=lambda udid, bundle: (),
    pushing=lambda udid, bundle, folder: [_replacing(udid, bundle, folder)],
    testing=_testing,
    fetching=lambda udid, bundle, name, into: (
        *(*_CTL, "device", "copy", "from", *_domain(udid, bundle)),
        *("--source", f"{FOLDER}/{name}", "--destination", str(into / name)),
    ),
    stopping=lambda udid, bundle: (),
    # It has no command to remove: a folder with one empty file replaces the job (an empty folder is refused).
    removing=_replacing,
    absent="no such file",
    says=_says,
    failed=lambda done: done.code != 0,
)
