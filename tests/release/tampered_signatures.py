"""Signatures of a folder that is as it was: the file, the key, and what was signed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from edgekit.release.reasons import LIMITS
from tests.release.cases import BAD_NAMES, Made, Row
from tests.release.craft import Files, bundle, envelope, key, pem, resources, sign, signed, statement
from tests.release.tampered_folders import MODEL, link_the_model

__all__ = ["SIGNATURES"]


def _signature(change: Callable[[dict[str, Any]], object] = lambda _: None, **changes: Any) -> Made:
    """A good bundle whose signature file says something else."""
    files = bundle()
    content = envelope(json.dumps(statement(resources(files))).encode(), key("good"), **changes)
    change(content)
    return Made(files, json.dumps(content).encode())


def _bytes(make: Callable[[bytes], bytes | None]) -> Made:
    files = bundle()
    return Made(files, make(signed(files)))


def _sig(make: Callable[[bytes], bytes]) -> Made:
    """The signature's own bytes, which are DER, are others."""

    def change(content: dict[str, Any]) -> None:
        (one,) = content["dsseEnvelope"]["signatures"]
        one["sig"] = base64.b64encode(make(base64.b64decode(one["sig"]))).decode()

    return _signature(change)


def _high_s(der: bytes) -> bytes:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
    r, s = utils.decode_dss_signature(der)
    return utils.encode_dss_signature(r, max(s, order - s))


def _raw(der: bytes) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in utils.decode_dss_signature(der))


def _before_1_0(content: dict[str, Any]) -> None:
    """What model-signing 0.2 signed: not the payload but how Python prints it."""
    payload = base64.b64decode(content["dsseEnvelope"]["payload"])
    kind = LIMITS["payload_type"]
    wrong = f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode()
    signature = key("good").sign(wrong, ec.ECDSA(hashes.SHA256()))
    content["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()


def _payload(make: Callable[[bytes], bytes]) -> Made:
    def change(content: dict[str, Any]) -> None:
        dsse = content["dsseEnvelope"]
        dsse["payload"] = base64.b64encode(make(base64.b64decode(dsse["payload"]))).decode()

    return _signature(change)


def _hint(content: dict[str, Any], name: str) -> None:
    content["verificationMaterial"]["publicKey"]["hint"] = hashlib.sha256(pem(name)).hexdigest()


def _of_other(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Made:
    files = bundle()
    content = envelope(json.dumps(statement(resources(files))).encode(), key("other"))
    change(content)
    return Made(files, json.dumps(content).encode())


def _p384() -> bytes:
    return sign(statement(resources(bundle())), "third", ec.SECP384R1)


_DAMAGED: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _: b"",
    "garbage": lambda _: bytes(range(256)),
    "words": lambda _: b"this is no signature",
    "an array": lambda good: b"[" + good + b"]",
    "a number": lambda _: b"1",
    "cut": lambda good: good[:-20],
    "with more behind": lambda good: good + b"{}",
    "over the bound": lambda good: good + b" " * int(LIMITS["signature_bytes"]),
    "nested deep": lambda good: good[:-1] + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "not UTF-8": lambda good: good[:-1] + b', "x": "\xff"}',
}
_FORMS: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "of another media type": lambda c: c.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
    "without a media type": lambda c: c.pop("mediaType"),
    "without an envelope": lambda c: c.pop("dsseEnvelope"),
    "with an envelope that is text": lambda c: c.update(dsseEnvelope="{}"),
    "of another payload type": lambda c: c["dsseEnvelope"].update(payloadType="text/plain"),
    "without a payload": lambda c: c["dsseEnvelope"].pop("payload"),
    "with a payload that is no base64": lambda c: c["dsseEnvelope"].update(payload="*" * 12),
    "with a payload that is not canonical base64": lambda c: c["dsseEnvelope"].update(payload="AB=="),
    "with more padding than base64 has": lambda c: c["dsseEnvelope"].update(payload=c["dsseEnvelope"]["payload"] + "="),
    "without signatures": lambda c: c["dsseEnvelope"].update(signatures=[]),
    "with two signatures": lambda c: c["dsseEnvelope"].update(signatures=c["dsseEnvelope"]["signatures"] * 2),
    "with signatures that are no list": lambda c: c["dsseEnvelope"].update(signatures={"sig": "AAAA"}),
    "with a sig that is no base64": lambda c: c["dsseEnvelope"]["signatures"][0].update(sig="no base64!"),
    "with a sig that is not canonical base64": lambda c: c["dsseEnvelope"]["signatures"][0].update(sig="AB=="),
    "with a sig that is a number": lambda c: c["dsseEnvelope"]["signatures"][0].update(sig=1),
}
_SIGNATURES = [
    Row("unsigned", "the signature is removed", "unsigned", lambda: _bytes(lambda _: None)),
    *(
        Row(f"signature {name}", "the signature file is something else", "signature-damaged", partial(_bytes, make))
        for name, make in _DAMAGED.items()
    ),
    *(
        Row(f"signature {name}", "the signature has another form", "signature-damaged", partial(_signature, change))
        for name, change in _FORMS.items()
    ),
    Row("sig changed", "one bit of the signature is flipped", "wrong-key",
        lambda: _sig(lambda der: der[:-1] + bytes([der[-1] ^ 1]))),
    Row("sig cut", "the DER is cut", "wrong-key", lambda: _sig(lambda der: der[:-3])),
    Row("sig garbage", "the signature is no DER", "wrong-key", lambda: _sig(lambda _: b"no DER at all")),
    Row("sig empty", "the signature has no byte", "wrong-key", lambda: _sig(lambda _: b"")),
    Row("sig of zeros", "r and s are 0", "wrong-key", lambda: _sig(lambda _: utils.encode_dss_signature(0, 0))),
    Row("sig raw", "r and s without DER", "wrong-key", lambda: _sig(_raw)),
    Row("sig high", "s is in the upper half, which is as valid", None, lambda: _sig(_high_s)),
    Row("payload changed", "a hash in what was signed is another", "wrong-key",
        lambda: _payload(lambda text: text.replace(b'"digest": "', b'"digest": "0', 1))),
    Row("payload respelled", "the same statement with a space more", "wrong-key", lambda: _payload(lambda t: t + b" ")),
    Row("signed as before 1.0", "what is signed is how old versions spelled it", "wrong-key",
        lambda: _signature(_before_1_0)),
    Row("another key", "somebody else signed it", "wrong-key", _of_other),
    Row("another key, good hint", "somebody else signed it and names the good key", "wrong-key",
        lambda: _of_other(lambda content: _hint(content, "good"))),
    Row("another curve", "a key on P-384 signed it", "wrong-key", lambda: Made(bundle(), _p384())),
    Row("good, another hint", "the hint, which nobody relies on, names another key", None,
        lambda: _signature(lambda content: _hint(content, "other"))),
    Row("good, odd material", "what nobody relies on is something else", None,
        lambda: _signature(lambda content: content.update(verificationMaterial={"x509CertificateChain": 7}))),
    Row("good, no material", "what nobody relies on is not there", None,
        lambda: _signature(lambda content: content.pop("verificationMaterial"))),
]  # fmt: skip


def _said(change: Callable[[dict[str, Any]], object], extra: Files | None = None, then: Any = None) -> Made:
    """The good key signed a statement that is changed first."""
    files = bundle()
    content = statement(resources(files))
    change(content)
    return Made(files | (extra or {}), sign(content), then=then)


def _listed(change: Callable[[list[Any]], object], *, keep: bool = True) -> Made:
    """The good key signed a list of resources that is changed first; the digest of all is the new list's if `keep`."""
    files = bundle()
    listed: list[Any] = [dict(resource) for resource in resources(files)]
    before = statement(listed)["subject"]
    change(listed)
    content = statement(listed) if keep else statement([]) | {"subject": before}
    content["predicate"]["resources"] = listed
    return Made(files, sign(content))


def _named(name: str) -> Made:
    return _listed(lambda listed: listed.append({"name": name, "algorithm": "sha256", "digest": "0" * 64}))


def _many() -> Made:
    count = int(LIMITS["files"]) + 1
    listed = [{"name": f"f{number}", "algorithm": "sha256", "digest": "0" * 64} for number in range(count)]
    return Made(bundle(), sign(statement(listed)))


def _serialization(content: dict[str, Any], **changes: Any) -> None:
    content["predicate"]["serialization"].update(changes)


_UNKNOWN: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "of another predicate type": lambda c: c.update(predicateType="https://slsa.dev/provenance/v1"),
    "of model-signing 0.2": lambda c: c.update(predicateType="https://model_signing/Digests/v0.1"),
    "of another type": lambda c: c.update(_type="https://in-toto.io/Statement/v0.1"),
    "without a predicate": lambda c: c.pop("predicate"),
    "without resources": lambda c: c["predicate"].pop("resources"),
    "with no resource": lambda c: c["predicate"].update(resources=[]),
    "in shards": lambda c: _serialization(c, method="shards", shard_size=1_000_000),
    "with hashes of another kind": lambda c: _serialization(c, hash_type="blake2"),
    "without a serialization": lambda c: c["predicate"].pop("serialization"),
    "with another digest of all": lambda c: c["subject"][0].update(digest={"sha256": "0" * 64}),
    "with two subjects": lambda c: c.update(subject=c["subject"] * 2),
}
_RESOURCES: Final[Mapping[str, Callable[[list[Any]], object]]] = {
    "with another algorithm": lambda r: r[0].update(algorithm="sha512"),
    "without an algorithm": lambda r: r[0].pop("algorithm"),
    "with a short digest": lambda r: r[0].update(digest=r[0]["digest"][:-2]),
    "with a digest in capitals": lambda r: r[0].update(digest=r[0]["digest"].upper()),
    "with a digest that is no hex": lambda r: r[0].update(digest="xy" * 32),
    "with a name that is a number": lambda r: r[0].update(name=7),
    "with a resource that is text": lambda r: r.append("catalog/model.onnx"),
}
_STATEMENTS = [
    *(
        Row(f"statement {name}", "the good key signed another statement", "statement-unknown", partial(_said, change))
        for name, change in _UNKNOWN.items()
    ),
    *(
        Row(f"statement {name}", "the good key signed another list", "statement-unknown",
            partial(_listed, change, keep=False))
        for name, change in _RESOURCES.items()
    ),
    Row("statement no JSON", "the good key signed text", "statement-unknown", lambda: Made(bundle(), sign(b"hello"))),
    Row("statement an array", "the good key signed an array", "statement-unknown", lambda: Made(bundle(), sign([]))),
    *(
        Row(f"signed name: {name}", "a signed name is one that no bundle can have", "bad-name", partial(_named, bad))
        for name, bad in (BAD_NAMES | {"an archive's": "."}).items()
    ),
    Row("signed name twice", "a name is signed twice", "duplicate-name", lambda: _named(MODEL)),
    Row("signed case collision", "a name is signed in capitals too", "name-collision", lambda: _named(MODEL.upper())),
    Row("signed file and folder", "a folder's name is signed as a file", "name-collision", lambda: _named("catalog")),
    Row("signed too many", "more names are signed than any bundle has", "too-many-files", _many),
    Row("signed without the model", "a file is not in what was signed", "file-extra",
        lambda: _listed(lambda listed: listed.pop(-2))),
    Row("signed with one more", "a file that was signed was never there", "file-missing", lambda: _named("more.bin")),
    Row("ignored paths", "the statement says to ignore a file that is added", "file-extra",
        lambda: _said(lambda c: _serialization(c, ignore_paths=["evil.bin"]), {"evil.bin": b"evil"})),
    Row("good, ignored paths", "the statement says to ignore what is not there, as model-signing 1.1 does", None,
        lambda: _said(lambda c: _serialization(c, ignore_paths=["model.sig"]))),
    Row("allowed links", "the statement allows links, and one is added", "not-a-plain-file",
        lambda: _said(lambda c: _serialization(c, allow_symlinks=True), then=link_the_model)),
]  # fmt: skip

SIGNATURES: Final[list[Row]] = [*_SIGNATURES, *_STATEMENTS]
