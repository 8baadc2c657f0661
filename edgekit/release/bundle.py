"""What a bundle and a release say of themselves: bundle.json in each bundle, and release.json, the index of all."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from edgekit.artifact.manifest import FileEntry, RelativePath, Sha256
from edgekit.model.space import SPACE
from edgekit.recipe.recipe import RELEASE_NAME, RELEASE_VERSION
from edgekit.support.documents import Document, Part
from edgekit.support.version import VERSION

__all__ = [
    "ARCHIVE_SIGNATURE",
    "BUNDLE",
    "RELEASE",
    "SIGNATURE",
    "Bundle",
    "BundledArtifact",
    "Name",
    "ParityFigure",
    "Previous",
    "Release",
    "ReleasedBundle",
    "Version",
    "numbers_of",
    "signature_of",
]

BUNDLE: Final = "bundle.json"
RELEASE: Final = "release.json"
SIGNATURE: Final = "model.sig"  # in the folder that it signs; model-signing's own name for it
ARCHIVE_SIGNATURE: Final = ".sig"  # after the name of the archive that it signs, which it lies beside

Name = Annotated[str, Field(pattern=f"^{RELEASE_NAME}$")]
Version = Annotated[str, Field(pattern=f"^{RELEASE_VERSION}$")]
Space = Annotated[str, Field(pattern=f"^{SPACE}$")]


def signature_of(path: str, *, archive: bool) -> str:
    """Where the signature of a bundle or a release lies: in its folder, or beside the archive."""
    return f"{path}{ARCHIVE_SIGNATURE}" if archive else f"{path}/{SIGNATURE}"


def numbers_of(version: str) -> tuple[int, ...]:
    """The numbers of a version, by which versions are ordered."""
    return tuple(map(int, version.split(".")))


class ParityFigure(Part):
    """One comparison of an artifact with the original, and how it was obtained."""

    obtained: Literal["reference", "host", "emulated", "device"] = Field(
        description="reference: a stand-in for the device's runtime; host: the vendor's runtime on a computer; "
        "emulated: arm64 under an emulator; device: a phone."
    )
    verdict: Literal["pass", "fail", "inconclusive", "unverified"]
    runtime: str | None = None
    images: int = Field(default=0, ge=0)
    min_cosine: float | None = None


class BundledArtifact(Part):
    """One artifact of a bundle: the folder of an export, as it was published."""

    folder: RelativePath = Field(description="Where its manifest.json lies, in the bundle or in `container`.")
    container: RelativePath | None = Field(default=None, description="The archive of the bundle that holds it, an AAR.")
    target: str
    format: str
    precision: str
    bytes: int = Field(gt=0, description="Of the model, without its documents.")
    manifest_sha256: Sha256
    parity: list[ParityFigure] = Field(min_length=1)
    golden: RelativePath | None = Field(
        default=None, description="Folder of edgekit.golden/1 for its self-test, beside or in the same container."
    )


class Previous(Part):
    """The release that this one follows."""

    version: Version
    space: Space


class Bundle(Document):
    """bundle.json, at the root of a bundle: what it is, and a hash of every other file but the signature."""

    ADVICE: ClassVar[str] = "get an unchanged copy"

    schema_: Literal["edgekit.bundle/1"] = Field(default="edgekit.bundle/1", alias="schema")
    edgekit: str = Field(default=VERSION, description="Version of EdgeKit that wrote this.")
    created: str | None = Field(default=None, description="UTC time of SOURCE_DATE_EPOCH; null without it.")
    name: Name
    version: Version
    kind: str = Field(description="ios, android, web or plain.")
    space: Space = Field(description="Id of the embedding space; embeddings of one space can be compared.")
    license: str = Field(description="Licence of the weights.")
    previous: Previous | None = None
    update: str = Field(description="What a search team must do for this version, in one line.")
    artifacts: list[BundledArtifact] = Field(min_length=1)
    files: list[FileEntry] = Field(min_length=1, description="Every file but this one and the signature, sorted.")


class ReleasedBundle(Part):
    """One bundle of a release: a folder with a bundle.json, or an archive of such a folder."""

    kind: str
    path: RelativePath
    archive: bool
    bytes: int = Field(gt=0)
    sha256: Sha256 = Field(description="Of an archive; of a folder's bundle.json.")

    @property
    def hashed(self) -> str:
        """The file that `sha256` is of, by its name in the release."""
        return self.path if self.archive else f"{self.path}/{BUNDLE}"

    @property
    def signature(self) -> str:
        """The bundle's signature, by its name in the release; the index does not list it."""
        return signature_of(self.path, archive=self.archive)


class Release(Document):
    """release.json, the index of a release."""

    schema_: Literal["edgekit.release/1"] = Field(default="edgekit.release/1", alias="schema")
    edgekit: str = Field(default=VERSION)
    created: str | None = None
    name: Name
    version: Version
    space: Space
    license: str
    previous: Previous | None = None
    update: str
    bundles: list[ReleasedBundle] = Field(min_length=1)
    files: list[FileEntry] = Field(description="Every file of the release but this one and signatures, sorted.")
