"""Keys and certificates in PEM: loaded, checked, and named by their fingerprint. None is printed, kept or copied."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgekit.errors import InputError, MissingDependencyError, UsageError
from edgekit.support.progress import Reporter

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = [
    "PASSWORD",
    "PublicKey",
    "as_public",
    "check_certificates",
    "check_private",
    "load_public",
    "needs_password",
    "read_password",
    "ready",
]

PASSWORD: Final = "EDGEKIT_KEY_PASSWORD"  # the environment's variable
_LONGEST: Final = 1 << 16  # bytes of a PEM file
_CURVE: Final = "secp256r1"
_MAKE: Final = "openssl ecparam -name prime256v1 -genkey -noout -out release.key"


@dataclass(frozen=True, eq=False)
class PublicKey:
    """A key on P-256, and the SHA-256 of its DER form (SubjectPublicKeyInfo), in hex, by which people know it."""

    key: ec.EllipticCurvePublicKey
    fingerprint: str


def as_public(key: ec.EllipticCurvePublicKey) -> PublicKey:
    """The key with its fingerprint."""
    from cryptography.hazmat.primitives import serialization

    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(key, hashlib.sha256(der).hexdigest())


def load_public(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        InputError: the file cannot be read, or holds no public key.
        UsageError: the key is not on P-256, the one curve that phones verify.
    """
    ready()
    from cryptography.hazmat.primitives import serialization

    data = _read(path, "public_key")
    advice = "give a public key in PEM, which `openssl pkey -pubout` writes"
    if b"PRIVATE KEY" in data:
        raise UsageError(f"{path}: holds a private key, which does not belong here; {advice}", field="public_key")
    if data.count(b"-----BEGIN ") > 1:
        raise UsageError(f"{path}: holds several keys; give each in a file of its own", field="public_key")
    key = _parsed(lambda: serialization.load_pem_public_key(data), path, "public_key", advice, "no public key")
    return as_public(_on_p256(key, path, "public_key"))


def check_private(path: Path, password: str | None, reporter: Reporter) -> PublicKey:
    """The public part of the private key in a PEM file; a note where others may read the file.

    Raises:
        InputError: the file cannot be read, or holds no private key.
        UsageError: the key is not on P-256, or the password is missing or wrong.
    """
    ready()
    from cryptography.hazmat.primitives import serialization

    data = _read(path, "private_key")
    advice = f"give a private key in PEM, for example of `{_MAKE}`"
    locked = b"ENCRYPTED" in data
    if locked and not password:
        raise UsageError(
            f"{path}: is under a password; give it in a file (`password_file`) or in {PASSWORD}", field="password_file"
        )
    secret = password.encode() if locked and password else None
    try:
        parse = partial(serialization.load_pem_private_key, data, secret)
        key = _parsed(parse, path, "private_key", advice, "no private key")
    except InputError as error:
        if secret is None:
            raise
        raise UsageError(
            f"{path}: this password does not open it; give the right one in a file (`password_file`) or in {PASSWORD}",
            field="password_file",
        ) from error
    public = as_public(_on_p256(key, path, "private_key").public_key())
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        reporter.note(f"{path}: others may read this private key; `chmod 600` it, and consider making a new one")
    return public


def needs_password(path: Path) -> bool:
    """Whether a PEM file holds a key under a password; InputError where it cannot be read."""
    return b"ENCRYPTED" in _read(path, "private_key")


def read_password(path: Path | None) -> str | None:
    """The password of a file's first line, or of the environment; None without one. InputError: cannot be read."""
    if path is None:
        return os.environ.get(PASSWORD) or None
    try:
        return _read(path, "password_file").decode().split("\n")[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no UTF-8 text; write the password on its first line") from error


def check_certificates(paths: Sequence[Path], field: str) -> None:
    """Refuse what holds no certificate in PEM.

    Raises:
        InputError: names the file.
    """
    ready()
    from cryptography import x509

    for path in paths:
        data = _read(path, field)
        parse = partial(x509.load_pem_x509_certificates, data)
        _parsed(parse, path, field, "give certificates in PEM", "no certificate")


def ready(*packages: str) -> None:
    """MissingDependencyError where cryptography, or one of `packages`, is not installed."""
    missing = [name for name in ("cryptography", *packages) if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(f"{', '.join(missing)} not installed; pip install 'edgekit[release]'")


def _read(path: Path, field: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not hang the reader
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{path}: not a regular file; give a PEM file as `{field}`", field=field)
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a file as `{field}`", field=field) from error
    if len(data) > _LONGEST:
        raise InputError(f"{path}: over {_LONGEST >> 10} KiB, more than a key or certificate takes", field=field)
    return data


def _parsed(parse: Callable[[], Any], path: Path, field: str, advice: str, wrong: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return parse()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's own words may quote the key.
        raise InputError(f"{path}: {wrong} ({type(error).__name__}); {advice}", field=field) from error


def _on_p256(key: Any, path: Path, field: str) -> Any:
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve != _CURVE:
        kind = f"is on the curve {curve}" if curve else "is no elliptic-curve key"
        raise UsageError(f"{path}: the key {kind}, and phones verify P-256 alone; make one with `{_MAKE}`", field=field)
    return key
