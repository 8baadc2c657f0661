"""A signature in the form of OpenSSF model-signing, read as strictly as phones read it.

model-signing's own verifier takes more: what versions before 1.0 signed, shards, links, and what a statement says is to
be ignored. Here all files count, and nothing of the statement is read before the key is known to have signed it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgekit.errors import InputError
from edgekit.release.keys import PublicKey
from edgekit.release.names import first_fault
from edgekit.release.reasons import LIMITS, Refused
from edgekit.support.files import parse_json

__all__ = ["ARCHIVE", "Signature", "check_key", "decoded", "read_signature", "signed_files"]

ARCHIVE: Final = "."  # the name of the one file of which an archive's statement speaks
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Signature:
    """What a signature file holds; nothing of it is to be trusted before `check_key`."""

    path: Path
    content: bytes  # of the file
    payload: bytes  # the statement, as it was signed
    sig: bytes  # DER
    material: object  # what the signer says of the key, in JSON; of use with certificates alone

    @property
    def signed(self) -> bytes:
        """The pre-authentication encoding of DSSE 1: what the key signed."""
        kind = LIMITS["payload_type"].encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)


def read_signature(path: Path) -> Signature:
    """Read a signature file.

    Raises:
        Refused: unsigned, not-a-plain-file, or signature-damaged.
        InputError: it cannot be read.
    """
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise Refused("not-a-plain-file", path)
        with path.open("rb") as file:
            content = file.read(LIMITS["signature_bytes"] + 1)
    except FileNotFoundError as error:
        raise Refused("unsigned", path) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > LIMITS["signature_bytes"]:
        raise Refused("signature-damaged", path, f"over {LIMITS['signature_bytes'] >> 20} MiB")
    try:
        return _parse(path, content)
    except (InputError, KeyError, TypeError, ValueError) as error:
        said = str(error).removeprefix(f"{path}: ") if isinstance(error, InputError) else type(error).__name__
        raise Refused("signature-damaged", path, said) from error


def _parse(path: Path, content: bytes) -> Signature:
    """Raises whatever the first thing that is not as it should be leads to."""
    file: dict[str, Any] = parse_json(content, path, max_depth=LIMITS["depth"])
    envelope: dict[str, Any] = file["dsseEnvelope"]
    if file["mediaType"] != LIMITS["media_type"] or envelope["payloadType"] != LIMITS["payload_type"]:
        raise InputError("its mediaType or payloadType is another")
    if not isinstance(envelope["signatures"], list):
        raise InputError("its signatures are no list")
    (one,) = envelope["signatures"]
    return Signature(path, content, decoded(envelope["payload"]), decoded(one["sig"]), file.get("verificationMaterial"))


def decoded(text: object) -> bytes:
    """Canonical base64 (RFC 4648, section 4) as bytes; InputError where it is none: one text for the same bytes."""
    if not isinstance(text, str):
        raise InputError("base64 is expected")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("not base64") from error
    if base64.b64encode(content).decode() != text:
        raise InputError("not canonical base64")
    return content


def check_key(signature: Signature, keys: Sequence[PublicKey]) -> PublicKey:
    """Which of the keys made the signature; Refused (wrong-key) where none did."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    for public in keys:
        try:
            public.key.verify(signature.sig, signature.signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return public
    raise Refused("wrong-key", signature.path)


def signed_files(signature: Signature, *, archive: bool) -> dict[str, str]:
    """The SHA-256 of each file that was signed, by name; of an archive under the name `ARCHIVE`.

    Raises:
        Refused: statement-unknown, too-many-files, bad-name, duplicate-name or name-collision.
    """
    where = signature.path
    try:
        statement: dict[str, Any] = parse_json(signature.payload, where, max_depth=LIMITS["depth"])
        listed = _resources(statement)
    except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        said = str(error).removeprefix(f"{where}: ") if isinstance(error, InputError) else type(error).__name__
        raise Refused("statement-unknown", where, said) from error
    names = [name for name, _ in listed]
    if archive:
        if names != [ARCHIVE]:
            raise Refused("statement-unknown", where, "it is not of one archive")
        return dict(listed)
    if len(listed) > LIMITS["files"]:
        raise Refused("too-many-files", where, f"{len(listed)}, at most {LIMITS['files']}")
    if fault := first_fault(names):
        raise Refused(fault.reason, where, f"{fault.name!r} {fault.why}")
    return dict(listed)


def _resources(statement: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and digests as they are stated; InputError and its kin where the statement has another form."""
    predicate = statement["predicate"]
    serialization = predicate["serialization"]
    due = (LIMITS["statement_type"], LIMITS["predicate_type"], LIMITS["serialization_method"], LIMITS["algorithm"])
    given = (statement["_type"], statement["predicateType"], serialization["method"], serialization["hash_type"])
    if given != due:
        raise InputError(f"it is {given}, not {due}")
    if not isinstance(predicate["resources"], list) or not predicate["resources"]:
        raise InputError("it names no file")
    listed, total = [], hashlib.sha256()
    for resource in predicate["resources"]:
        name, digest = resource["name"], resource["digest"]
        if resource["algorithm"] != LIMITS["algorithm"] or not isinstance(name, str) or not _DIGEST.fullmatch(digest):
            raise InputError(f"{name!r} has no SHA-256 in hex")
        total.update(bytes.fromhex(digest))
        listed.append((name, digest))
    (subject,) = statement["subject"]
    if subject["digest"]["sha256"] != total.hexdigest():
        raise InputError("the digest of all is another than that of the files")
    return listed
