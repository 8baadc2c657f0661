"""Verify a release, a bundle or an archive: signature and hashes before anything of it is read by a parser."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from edgekit.errors import InputError, UsageError
from edgekit.release.bundle import ARCHIVE_SIGNATURE, BUNDLE, RELEASE, SIGNATURE, Bundle, Release, ReleasedBundle
from edgekit.release.certificates import check_certificate
from edgekit.release.containers import places
from edgekit.release.content import below, compare, hash_files, list_content
from edgekit.release.documents import Expected, check_documents, check_entry, read_bundle, read_release
from edgekit.release.keys import PublicKey, load_public
from edgekit.release.reasons import Refused
from edgekit.release.self_test import self_test
from edgekit.release.signature import ARCHIVE, check_key, read_signature, signed_files
from edgekit.release.unpack import form_of, unpack
from edgekit.support.drafts import scratch
from edgekit.support.fields import Converted, OptionalPath, PathField, PathsField, optional_path, paths
from edgekit.support.files import sha256_file
from edgekit.support.progress import Reporter, Silent

__all__ = ["UNSIGNED", "Verified", "VerifyRequest", "check_files", "verify"]

UNSIGNED: Final = "unsigned"
_VERSION: Final = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class VerifyRequest:
    """What to verify, whom to trust, and what it must be."""

    path: PathField = Converted(Path)  # a release, a bundle's folder, or an archive
    public_key: PathsField = Converted(paths, ())  # PEM; any of them may have signed, while keys are changed
    certificate_roots: PathsField = Converted(paths, ())  # PEM; of certificates, where these sign
    signature: OptionalPath = Converted(optional_path, None)  # None: model.sig in the folder, ARCHIVE.sig beside it
    name: str | None = None
    minimum_version: str | None = None
    space: str | None = None
    allow_unsigned: bool = False  # what has no signature; one that is there must hold all the same
    self_test: bool = True  # with the runtimes that this machine has

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        if self.public_key and self.certificate_roots:
            raise UsageError("`public_key` and `certificate_roots` exclude each other; give one", field="public_key")
        if not (self.public_key or self.certificate_roots or self.allow_unsigned):
            raise UsageError("nothing says whom to trust; give the publisher's key as `public_key`", field="public_key")
        if self.minimum_version is not None and not _VERSION.fullmatch(self.minimum_version):
            raise UsageError(
                f"`minimum_version` is {self.minimum_version!r}; give a version like 1.2.0", field="minimum_version"
            )


@dataclass(frozen=True)
class Verified:
    """What was verified, and by what; a release has its bundles in `bundles`."""

    path: str
    kind: Literal["release", "bundle", "archive"]
    key: str  # the fingerprint of the key that signed, or "unsigned"
    files: int
    name: str
    version: str
    space: str
    self_test: dict[str, str] = field(default_factory=dict)  # artifact -> what came of it
    bundles: tuple[Verified, ...] = ()


@dataclass(frozen=True)
class _Trust:
    """Whose signatures count, and who says how far it is."""

    request: VerifyRequest
    keys: Sequence[PublicKey]
    reporter: Reporter
    listed: tuple[Release, ReleasedBundle] | None = None  # where the bundle is one of a release, what its index says

    @property
    def expected(self) -> Expected:
        return Expected(self.request.name, self.request.minimum_version, self.request.space)


def verify(request: VerifyRequest, reporter: Reporter | None = None) -> Verified:
    """Verify signature and hashes, then documents and expectations, then run the self-test. Needs no network.

    Raises:
        Refused: says why it is not accepted.
        EdgeKitError: a key or a file cannot be read, or a package is missing.
    """
    path = request.path
    trust = _Trust(request, [load_public(key) for key in request.public_key], reporter or Silent())
    if path.is_dir():
        if not (path / SIGNATURE).exists() and not (path / RELEASE).exists() and not (path / BUNDLE).exists():
            raise InputError(f"{path}: holds no {RELEASE} and no {BUNDLE}; give what `edgekit package` wrote")
        signature = request.signature or path / SIGNATURE
        key, found = _folder(path, signature, trust, {})
        # Which of the two it is, its own files say, and these are known to be signed now.
        if RELEASE in found:
            return _release(path, key, found, trust)
        return _bundle(path, key, found, trust)
    if not path.exists():
        raise InputError(f"{path}: does not exist; give a release, a bundle or an archive")
    if form_of(path) is None:
        raise InputError(f"{path}: is no archive of a bundle (.zip, .tgz or .tar.zst); give one, or a folder")
    return _archive(path, request.signature or path.with_name(path.name + ARCHIVE_SIGNATURE), trust)


def _signed(signature: Path, path: Path, trust: _Trust) -> tuple[str, dict[str, str] | None]:
    """The fingerprint of who signed, and the signed hashes by name; ("unsigned", None) where that is allowed."""
    try:
        read = read_signature(signature)
    except Refused as refused:
        if refused.reason == UNSIGNED and trust.request.allow_unsigned:
            return UNSIGNED, None
        raise
    if trust.request.certificate_roots:
        key = check_certificate(read, path, trust.request.certificate_roots)
    elif trust.keys:
        key = check_key(read, trust.keys)
    else:
        raise UsageError(f"{signature}: is a signature; give the key to verify it with as `public_key`")
    return key.fingerprint, signed_files(read, archive=not path.is_dir())


def check_files(path: Path, due: dict[str, str] | None, reporter: Reporter, known: Mapping[str, str]) -> dict[str, str]:
    """The SHA-256 of every file of a folder; Refused where they are not those that are `due`.

    `known` are hashes that were taken before, of the release that has the folder.
    """
    names = list_content(path)
    if due is not None:
        compare(path, due, dict.fromkeys(names, ""))
    found = {name: known[name] for name in names if name in known}
    if missing := [name for name in names if name not in known]:
        with reporter.stage(f"hash {len(missing)} files of {path.name}") as tick:
            found |= hash_files(path, missing, tick)
    if due is not None:
        compare(path, due, found)
    return found


def _folder(path: Path, signature: Path, trust: _Trust, known: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    key, due = _signed(signature, path, trust)
    return key, check_files(path, due, trust.reporter, known)


def _bundle(path: Path, key: str, found: dict[str, str], trust: _Trust) -> Verified:
    bundle = read_bundle(path, found)
    trust.expected.check(bundle, path)
    if trust.listed is not None:
        _check_listed(path, bundle, *trust.listed)
    with places(path, bundle) as found_places:
        check_documents(path, bundle, found_places)
        tests = self_test(found_places, trust.reporter) if trust.request.self_test else []
    return _verified(path, "bundle", key, len(found), bundle, dict(zip(_folders(bundle), tests, strict=False)))


def _archive(path: Path, signature: Path, trust: _Trust, digest: str | None = None) -> Verified:
    """`digest` is the archive's SHA-256, where it was taken before."""
    key, due = _signed(signature, path, trust)
    if due is not None:
        if digest is None:
            with trust.reporter.stage(f"hash {path.name}"):
                digest = sha256_file(path)
        compare(path.parent, {path.name: due[ARCHIVE]}, {path.name: digest})
    with _unpacked(path, trust.reporter) as (folder, found):
        # A message names the archive, for the folder will be gone.
        try:
            inside = _bundle(folder, key, found, trust)
        except Refused as refused:
            refused.move(folder, path)
            raise
    return _verified(path, "archive", key, len(found), inside, inside.self_test)


@contextlib.contextmanager
def _unpacked(path: Path, reporter: Reporter) -> Iterator[tuple[Path, dict[str, str]]]:
    with scratch(path.stat().st_size) as place:
        with reporter.stage(f"unpack {path.name}"):
            unpacked = unpack(path, place)
        yield unpacked


def _release(path: Path, key: str, found: dict[str, str], trust: _Trust) -> Verified:
    release = read_release(path, found)
    trust.expected.check(release, path)
    bundles = []
    for entry in release.bundles:
        check_entry(path, entry, found)
        where, signature, of_this = path / entry.path, path / entry.signature, replace(trust, listed=(release, entry))
        if entry.archive:
            bundles.append(_archive(where, signature, of_this, found[entry.path]))
        else:
            signed = _folder(where, signature, of_this, below(found, entry.path))
            bundles.append(_bundle(where, *signed, of_this))
    return _verified(path, "release", key, len(found), release, {}, tuple(bundles))


def _check_listed(where: Path, bundle: Bundle, release: Release, entry: ReleasedBundle) -> None:
    """Refused (wrong-index) where a bundle says something else than the index of its release."""
    if bundle.kind != entry.kind:
        raise Refused("wrong-index", where, f"its kind is {bundle.kind}, the index says {entry.kind}")
    for name in ("name", "version", "space", "license", "previous", "update"):
        if getattr(bundle, name) != getattr(release, name):
            raise Refused("wrong-index", where, f"its {name} is {getattr(bundle, name)}, not {getattr(release, name)}")


def _folders(bundle: Bundle) -> list[str]:
    return [artifact.folder for artifact in bundle.artifacts]


def _verified(
    path: Path,
    kind: Literal["release", "bundle", "archive"],
    key: str,
    files: int,
    of: Bundle | Release | Verified,
    tests: dict[str, str],
    bundles: tuple[Verified, ...] = (),
) -> Verified:
    return Verified(str(path), kind, key, files, of.name, of.version, of.space, tests, bundles)
