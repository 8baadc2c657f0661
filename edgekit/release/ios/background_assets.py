"""Apple's managed asset packs, iOS 26 and newer: a model that the system downloads beside the app, not inside it.

https://developer.apple.com/documentation/backgroundassets/creating-managed-asset-packs
"""

from __future__ import annotations

import json
import plistlib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from edgekit.artifact.manifest import RelativePath
from edgekit.errors import InputError
from edgekit.support.documents import Part, mistake_in

__all__ = ["FOLDER", "INFO", "AssetPack", "read", "write"]

FOLDER: Final = "background-assets"
MANIFEST: Final = "Manifest.json"
# What the app's Info.plist needs; Xcode puts the build setting's value in. With Apple's hosting no other key may stand.
INFO: Final[dict[str, object]] = {
    "BAAppGroupID": "$(EDGEKIT_APP_GROUP)",
    "BAHasManagedAssetPacks": True,
    "BAUsesAppleHosting": True,
}
_MOST: Final = 1 << 20  # bytes


class _When(Part):
    """At which installations the system downloads by itself."""

    installationEventTypes: Annotated[
        list[Literal["firstInstallation", "subsequentUpdate"]], Field(min_length=1, max_length=2)
    ]


class _Never(Part):
    """The system downloads nothing by itself."""


class _Policy(Part):
    """Exactly one of three."""

    essential: _When | None = None
    prefetch: _When | None = None
    onDemand: _Never | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise ValueError("give one of essential, prefetch and onDemand")
        return self


class _Selector(Part):
    """A file, or a folder with all that is in it, from where the packaging tool is started."""

    file: RelativePath | None = None
    directory: RelativePath | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.directory is None):
            raise ValueError("give a file or a directory")
        return self


class AssetPack(Part):
    """The manifest that `xcrun ba-package` takes; Apple's names of its fields."""

    ADVICE: ClassVar[str] = "`xcrun ba-package template` prints one"

    assetPackID: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    downloadPolicy: _Policy
    fileSelectors: Annotated[list[_Selector], Field(min_length=1)]
    platforms: Annotated[list[Literal["iOS", "macOS", "tvOS", "visionOS"]], Field(min_length=1)]


def write(name: str, folder: Path) -> None:
    """Write the manifest of an asset pack that holds the whole bundle, and the app's keys, below `folder`.

    The pack has every file that is signed, so that an app verifies it as it verifies a folder. The tool is started in
    the folder of the release.
    """
    installations = {"installationEventTypes": ["firstInstallation", "subsequentUpdate"]}
    content = {
        "assetPackID": name,
        "downloadPolicy": {"prefetch": installations},
        "fileSelectors": [{"directory": folder.name}],
        "platforms": ["iOS"],
    }
    target = folder / FOLDER
    target.mkdir()
    manifest = target / MANIFEST
    manifest.write_text(json.dumps(_checked(content, manifest), indent=2) + "\n", "utf-8")
    (target / "Info.plist").write_bytes(plistlib.dumps(INFO))


def read(path: Path) -> AssetPack:
    """The manifest of an asset pack; InputError where it is none."""
    from edgekit.support.files import read_json

    content = read_json(path, max_bytes=_MOST)
    _checked(content, path)
    return AssetPack.model_validate(content)


def _checked(content: Any, path: Path) -> Any:
    """`content`, which is that of an asset pack's manifest; InputError names what is wrong with it."""
    try:
        AssetPack.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: not an asset pack's manifest ({mistake_in(error)}); {AssetPack.ADVICE}") from error
    return content
