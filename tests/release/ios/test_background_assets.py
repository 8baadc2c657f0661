"""The manifest of an asset pack: what is written, and what is refused."""

from __future__ import annotations

import json
import plistlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import InputError
from edgekit.release.ios.background_assets import FOLDER, INFO, read, write


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "ios"
    folder.mkdir()
    write("catalog-s0", folder)
    return folder


def test_the_pack_has_the_whole_bundle(bundle: Path) -> None:
    content = json.loads((bundle / FOLDER / "Manifest.json").read_text())
    assert content == {
        "assetPackID": "catalog-s0",
        "downloadPolicy": {"prefetch": {"installationEventTypes": ["firstInstallation", "subsequentUpdate"]}},
        "fileSelectors": [{"directory": "ios"}],
        "platforms": ["iOS"],
    }
    pack = read(bundle / FOLDER / "Manifest.json")
    (selector,) = pack.selectors
    assert (bundle.parent / str(selector.directory)).is_dir()


def test_the_apps_keys(bundle: Path) -> None:
    assert plistlib.loads((bundle / FOLDER / "Info.plist").read_bytes()) == INFO
    assert all(key.startswith("BA") for key in INFO)


def _policy(value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update(downloadPolicy=value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.pop("assetPackID"), "assetPackID"),
        (lambda c: c.update(assetPackID="two words"), "assetPackID"),
        (lambda c: c.update(pack_id="x"), "pack_id"),
        (_policy({}), "give one of essential"),
        (_policy({"essential": {"installationEventTypes": ["firstInstallation"]}, "onDemand": {}}), "give one of"),
        (_policy({"essential": None}), "give one of"),
        (_policy({"prefetch": {"installationEventTypes": []}}), "installationEventTypes"),
        (_policy({"prefetch": {"installationEventTypes": ["always"]}}), "firstInstallation"),
        (_policy({"onDemand": {"installationEventTypes": ["firstInstallation"]}}), "onDemand"),
        (lambda c: c.update(fileSelectors=[]), "fileSelectors"),
        (lambda c: c.update(fileSelectors=[{}]), "a file or a directory"),
        (lambda c: c.update(fileSelectors=[{"directory": "../ios"}]), "fileSelectors"),
        (lambda c: c.update(fileSelectors=[{"file": "a", "directory": "b"}]), "a file or a directory"),
        (lambda c: c.update(platforms=["android"]), "platforms"),
    ],
)
def test_another_manifest_is_refused(bundle: Path, change: Callable[[dict[str, Any]], object], told: str) -> None:
    path = bundle / FOLDER / "Manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        read(path)
    assert told in str(caught.value) and "ba-package template" in str(caught.value)


def test_an_on_demand_pack_is_one(bundle: Path) -> None:
    path = bundle / FOLDER / "Manifest.json"
    content = json.loads(path.read_text()) | {"downloadPolicy": {"onDemand": {}}}
    path.write_text(json.dumps(content))
    assert read(path).policy.on_demand is not None


def test_a_name_that_app_store_connect_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="assetPackID"):
        write("two words", tmp_path)
