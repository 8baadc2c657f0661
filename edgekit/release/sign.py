"""Sign a release, a bundle's folder or an archive in the form of OpenSSF model-signing, with that library."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import InputError, OutputError, ParityError, UsageError
from edgekit.release.bundle import BUNDLE, RELEASE, SIGNATURE, Bundle, signature_of
from edgekit.release.containers import places
from edgekit.release.content import below
from edgekit.release.documents import check_documents, check_entry, read_bundle, read_release
from edgekit.release.keys import PublicKey, check_certificates, check_private, needs_password, ready
from edgekit.release.reasons import Refused
from edgekit.release.signature import ARCHIVE, check_key, read_signature, signed_files
from edgekit.release.unpack import form_of, unpack
from edgekit.release.verify import check_files
from edgekit.support.drafts import is_full, scratch
from edgekit.support.fields import Converted, OptionalPath, PathField, PathsField, optional_path, paths
from edgekit.support.files import sha256_file, write_atomically
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import reason_of

__all__ = ["SignRequest", "Signed", "sign"]


@dataclass(frozen=True)
class SignRequest:
    """What to sign, and with which key."""

    path: PathField = Converted(Path)  # a release, a bundle's folder, or an archive
    private_key: PathField = Converted(Path)  # PEM, on P-256
    password: str | None = None  # of the key
    certificate: OptionalPath = Converted(optional_path, None)  # PEM; of the key, where verifiers trust a root
    certificate_chain: PathsField = Converted(paths, ())  # PEM; between the certificate and the root
    allow_unverified: bool = False  # also artifacts that were not compared with the original, or did not pass

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        if self.certificate_chain and self.certificate is None:
            raise UsageError("`certificate_chain` goes with a `certificate`; give both", field="certificate_chain")


@dataclass(frozen=True)
class Signed:
    """What was signed."""

    key: str  # fingerprint
    signatures: dict[str, int]  # signature file -> files that it signs


def sign(request: SignRequest, reporter: Reporter | None = None) -> Signed:
    """Sign what holds: its documents are valid, and its files are those that they list.

    Of a release each bundle's folder and archive, then the whole. Each signature is verified before it is put in place,
    in one step; an earlier one is replaced.

    Raises:
        Refused: a bundle does not hold.
        ParityError: an artifact was not verified, or did not pass.
        OutputError: a signature cannot be written.
        EdgeKitError: the key cannot be used.
    """
    reporter, path = reporter or Silent(), request.path
    key = check_private(request.private_key, request.password, reporter)
    if request.certificate is not None:
        if needs_password(request.private_key):
            raise UsageError(
                "model-signing signs by certificate with a key without a password alone; give such a `private_key`",
                field="private_key",
            )
        check_certificates([request.certificate], "certificate")
        check_certificates(request.certificate_chain, "certificate_chain")
    config = _config(request)
    signatures: dict[str, int] = {}
    for subject in _subjects(path, request, reporter):
        signature = Path(signature_of(str(subject), archive=not subject.is_dir()))
        signatures[str(signature)] = _sign(subject, signature, config, key, reporter)
    return Signed(key.fingerprint, signatures)


def _subjects(path: Path, request: SignRequest, reporter: Reporter) -> list[Path]:
    """What is to be signed, in order; each was looked at."""
    if path.is_dir() and (path / RELEASE).exists():
        found = check_files(path, None, reporter, {})
        release = read_release(path, found)
        subjects = [path / entry.path for entry in release.bundles]
        for entry, subject in zip(release.bundles, subjects, strict=True):
            check_entry(path, entry, found)
            _look_at(subject, request, reporter, below(found, entry.path))
        return [*subjects, path]
    _look_at(path, request, reporter, {})
    around = path.absolute().parent
    if (around / RELEASE).exists() and (around / SIGNATURE).exists():
        reporter.note(f"{around}: its own signature holds no longer; sign it as a whole again")
    return [path]


def _look_at(path: Path, request: SignRequest, reporter: Reporter, known: dict[str, str]) -> None:
    """Refused or ParityError where a bundle is not one to sign; `known` are hashes of files in its folder."""
    if path.is_dir():
        if not (path / BUNDLE).exists():
            raise InputError(f"{path}: holds no {RELEASE} and no {BUNDLE}; give what `edgekit package` wrote")
        _check(path, check_files(path, None, reporter, known), request)
        return
    if not path.exists() or form_of(path) is None:
        raise InputError(f"{path}: is no folder and no archive of a bundle (.zip, .tgz, .tar.zst); give one")
    with scratch(path.stat().st_size) as place, reporter.stage(f"look into {path.name}"):
        folder, found = unpack(path, place)
        try:
            _check(folder, found, request)
        except Refused as refused:
            refused.move(folder, path)
            raise


def _check(folder: Path, found: dict[str, str], request: SignRequest) -> Bundle:
    bundle = read_bundle(folder, found)
    with places(folder, bundle) as found_places:
        check_documents(folder, bundle, found_places)
    for artifact in bundle.artifacts:
        verdicts = [figure.verdict for figure in artifact.parity]
        if not request.allow_unverified and ("pass" not in verdicts or "fail" in verdicts):
            raise ParityError(
                f"{artifact.folder} of {bundle.name} {bundle.version}: its parity is {' and '.join(verdicts)}; verify "
                "it and package again, or sign it with `allow_unverified=True`",
                field="allow_unverified",
            )
    return bundle


def _sign(subject: Path, signature: Path, config: Callable[[Path], Any], key: PublicKey, reporter: Reporter) -> int:
    """Write one signature; the number of files that it signs."""
    with scratch() as place, reporter.stage(f"sign {subject.name}"):
        draft = place / "signature"
        try:
            config(signature).sign(subject.absolute(), draft)
        except (ValueError, TypeError, OSError) as error:
            if is_full(error) or getattr(error, "errno", None) == errno.EROFS:
                raise OutputError(
                    f"{place}: the signature cannot be written ({reason_of(error)}); make room there, or set TMPDIR to "
                    "another folder"
                ) from error
            raise InputError(f"{subject}: model-signing could not sign it ({reason_of(error)})") from error
        read = read_signature(draft)
        check_key(read, [key])
        due = signed_files(read, archive=not subject.is_dir())
        if subject.is_dir():
            check_files(subject, due, Silent(), {})
        elif due[ARCHIVE] != sha256_file(subject):
            raise Refused("file-changed", subject, "while it was signed")
        write_atomically(signature, read.content, "sign again")
        return len(due)


def _config(request: SignRequest) -> Callable[[Path], Any]:
    """model-signing's configuration, which signs all of a folder but the signature itself.

    MissingDependencyError where a package is missing.
    """
    ready("OpenSSL", "model_signing")
    from model_signing import hashing, signing

    class Offline(signing.Config):
        """Its constructor would fetch Sigstore's roots of trust from the network, which no key needs."""

        def use_sigstore_signer(self, **_: Any) -> Offline:
            return self

    def config(signature: Path) -> Any:
        everything = hashing.Config().set_ignored_paths(paths=[signature.absolute()], ignore_git_paths=False)
        made = Offline().set_hashing_config(everything)
        if request.certificate is not None:
            return made.use_certificate_signer(
                private_key=request.private_key,
                signing_certificate=request.certificate,
                certificate_chain=request.certificate_chain or [request.certificate],  # none at all it cannot read
            )
        locked = request.password is not None and needs_password(request.private_key)
        password = request.password.encode() if request.password is not None and locked else None
        return made.use_elliptic_key_signer(private_key=request.private_key, password=password)

    return config
