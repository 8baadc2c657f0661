"""What Xcode built for the phones: the folder with the signed app and its .xctestrun file."""

from __future__ import annotations

import plistlib
import re
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ExpatError

from edgekit.errors import InputError

__all__ = ["TESTS", "TEST_CLASS", "TEST_METHOD", "Products", "find_products"]

TESTS, TEST_CLASS, TEST_METHOD = "EdgeKitBenchTests", "BenchTests", "testMeasure"
_BUNDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,199}")
_MAX_PLIST = 1 << 20


@dataclass(frozen=True)
class Products:
    """The signed app, the .xctestrun file that runs the test in it, and the app's bundle identifier."""

    app: Path
    xctestrun: Path
    bundle: str


def find_products(folder: Path) -> Products:
    """What `xcodebuild build-for-testing` put into Build/Products; InputError where one is missing or twice there."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder for `app`; ios_bench/README.md says how to build it", field="app")
    apps = [path for path in sorted(folder.glob("*-iphoneos/*.app")) if (path / f"PlugIns/{TESTS}.xctest").is_dir()]
    runs = sorted(folder.glob("*iphoneos*.xctestrun"))
    for what, paths in ((f"app for phones with {TESTS} in it (*-iphoneos/*.app)", apps), (".xctestrun file", runs)):
        if len(paths) != 1:
            raise InputError(
                f"{folder}: {len(paths) or 'no'} {what}, one is needed; build it as ios_bench/README.md says"
            )
    return Products(apps[0].absolute(), runs[0].absolute(), _bundle(apps[0] / "Info.plist"))


def _bundle(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = plistlib.loads(file.read(_MAX_PLIST))
    except (OSError, ValueError, ExpatError, RecursionError, plistlib.InvalidFileException) as error:
        raise InputError(f"{path}: cannot be read as a property list; build the app again") from error
    bundle = content.get("CFBundleIdentifier") if isinstance(content, dict) else None
    if not isinstance(bundle, str) or not _BUNDLE.fullmatch(bundle):
        raise InputError(f"{path}: has no bundle identifier; build the app again")
    return bundle
