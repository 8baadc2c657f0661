"""Signatures by certificate: the chain is verified by model-signing, the signature itself as for a key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import InputError
from edgekit.release.bundle import SIGNATURE
from edgekit.release.keys import PublicKey, as_public, check_certificates, ready
from edgekit.release.reasons import Refused
from edgekit.release.signature import Signature, check_key, decoded
from edgekit.support.drafts import scratch
from edgekit.support.text import reason_of

__all__ = ["check_certificate"]


def check_certificate(signature: Signature, path: Path, roots: Sequence[Path]) -> PublicKey:
    """The key of the certificate that signed `path`, which leads to one of the roots.

    model-signing verifies the chain as of the day on which the certificate became valid, for a signature has no time
    stamp: one that has expired since is accepted.

    Raises:
        Refused: certificate-refused, or wrong-key where the certificate's key did not sign.
        InputError: a root cannot be read.
    """
    check_certificates(roots, "certificate_roots")
    ready("OpenSSL", "model_signing")
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from model_signing import hashing, verifying

    if isinstance(signature.material, dict) and "publicKey" in signature.material:
        raise Refused("certificate-refused", signature.path, "it was made with a key; give `public_key`")
    try:
        material: Any = signature.material
        first = decoded(material["x509CertificateChain"]["certificates"][0]["rawBytes"])
        key = x509.load_der_x509_certificate(first).public_key()
    except (ValueError, TypeError, LookupError, InputError, UnsupportedAlgorithm) as error:
        raise Refused("certificate-refused", signature.path, "it cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise Refused("certificate-refused", signature.path, "its key is not on P-256")
    public = check_key(signature, [as_public(key)])
    everything = hashing.Config().set_ignored_paths(
        paths=[(path / SIGNATURE).absolute()] if path.is_dir() else [], ignore_git_paths=False
    )
    with scratch() as place:
        copy = place / "signature"
        copy.write_bytes(signature.content)  # what was read above, whatever is written there meanwhile
        try:
            config = verifying.Config().use_certificate_verifier(certificate_chain=[*roots])
            config.set_hashing_config(everything).verify(path.absolute(), copy)
        except Exception as error:  # the library names no kinds; whatever it says of a certificate, the answer is no
            if str(error) == "Signature mismatch":  # of the hashes, which `signed_files` and `compare` tell better
                return public
            raise Refused("certificate-refused", signature.path, reason_of(error)) from error
    return public
