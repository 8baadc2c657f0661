"""A tiny bundle, and signatures and archives made by hand, so that each byte of them can be wrong on purpose."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import zstandard
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgekit.artifact.manifest import EmbeddingInfo, FileEntry, ParitySummary, TargetInfo
from edgekit.release.bundle import BUNDLE, RELEASE, Bundle, BundledArtifact, ParityFigure, Release, ReleasedBundle
from edgekit.release.reasons import LIMITS
from tests.artifact.conftest import example

__all__ = ["Files", "Member", "bundle", "entry", "envelope", "key", "pem", "private_pem", "sign", "statement", "tar"]
__all__ += ["release", "relisted", "signed", "write", "zipped"]

Files = dict[str, bytes]
Verdict = Literal["pass", "fail", "inconclusive", "unverified"]
NAME, VERSION, SPACE = "shop-embedder", "1.9.0", "shop/1"


@cache
def _made(name: str, curve: type[ec.EllipticCurve]) -> ec.EllipticCurvePrivateKey:
    assert name
    return ec.generate_private_key(curve())


def key(name: str, curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    """The key that the tests of this process know by that name."""
    return _made(name, curve)


def pem(name: str = "good", curve: type[ec.EllipticCurve] = ec.SECP256R1) -> bytes:
    """Its public part, as `openssl ec -pubout` writes it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key(name, curve).public_key().public_bytes(serialization.Encoding.PEM, form)


def private_pem(name: str = "good", curve: type[ec.EllipticCurve] = ec.SECP256R1, password: bytes = b"") -> bytes:
    """The key as a PEM file, under a password where one is given."""
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key(name, curve).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def entry(name: str, content: bytes) -> FileEntry:
    return FileEntry(path=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def bundle(
    name: str = NAME, version: str = VERSION, space: str = SPACE, verdict: Verdict = "pass", **changes: Any
) -> Files:
    """The files of a plain bundle of one artifact, whose model is a few bytes; `changes` are of its bundle.json."""
    model = f"weights of {name} {version} ".encode() * 40
    component = {"type": "machine-learning-model", "name": name, "version": version}
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.7", "version": 1, "metadata": {"component": component}}
    about = {
        "artifact": "model.onnx",
        "target": TargetInfo(name="onnx", format="onnx"),
        "precision": "fp32",
        "embedding": EmbeddingInfo(dim=192, space=space),
        "parity": ParitySummary(verdict=verdict, images=64, min_cosine=0.99999),
    }
    manifest = example([entry("model.onnx", model)], **about).to_json().encode()
    files: Files = {
        "CHANGELOG.md": f"# {version}\n\nThe first.\n".encode(),
        "LICENSES/Apache-2.0.txt": b"Apache License, Version 2.0\n",
        "MODEL_CARD.md": f"# {name}\n".encode(),
        "bom.cdx.json": json.dumps(bom, indent=1).encode(),
        "catalog/manifest.json": manifest,
        "catalog/model.onnx": model,
        "golden/catalog/photos/a.png": b"\x89PNG and so on",
    }
    artifact = BundledArtifact(
        folder="catalog",
        target="onnx",
        format="onnx",
        precision="fp32",
        bytes=len(model),
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        parity=[ParityFigure(obtained="host", verdict=verdict, runtime="onnxruntime", images=64, min_cosine=0.99999)],
    )
    content: dict[str, Any] = {
        "name": name,
        "version": version,
        "kind": "plain",
        "space": space,
        "license": "Apache-2.0",
        "update": "nothing: this is the first release",
        "artifacts": [artifact],
        "files": [entry(path, files[path]) for path in sorted(files)],
    }
    files[BUNDLE] = Bundle(**(content | changes)).to_json().encode()
    return files


def relisted(files: Files) -> Files:
    """The same files, with a bundle.json that lists them."""
    about = json.loads(files[BUNDLE])
    about["files"] = [entry(path, files[path]).model_dump() for path in sorted(files) if path != BUNDLE]
    return files | {BUNDLE: json.dumps(about).encode()}


def statement(resources: Sequence[Mapping[str, Any]], **changes: Any) -> dict[str, Any]:
    """An in-toto statement over resources, as model-signing makes it; `changes` replace its fields."""
    digests = b"".join(bytes.fromhex(str(resource["digest"])) for resource in resources)
    root = {"sha256": hashlib.sha256(digests).hexdigest()}
    serialization = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
    return {
        "_type": LIMITS["statement_type"],
        "subject": [{"name": "bundle", "digest": root}],
        "predicateType": LIMITS["predicate_type"],
        "predicate": {"serialization": serialization, "resources": list(resources)},
    } | changes


def resources(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    """What a statement says of files, sorted as model-signing does."""
    return [
        {"name": name, "algorithm": "sha256", "digest": hashlib.sha256(files[name]).hexdigest()}
        for name in sorted(files)
    ]


def envelope(payload: bytes, signer: ec.EllipticCurvePrivateKey, **changes: Any) -> dict[str, Any]:
    """A Sigstore bundle around a payload; `changes` are of the DSSE envelope."""
    kind = LIMITS["payload_type"]
    digest = {256: hashes.SHA256(), 384: hashes.SHA384()}[signer.curve.key_size]
    pae = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload])
    public = signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signature = base64.b64encode(signer.sign(pae, ec.ECDSA(digest))).decode()
    dsse = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"sig": signature, "keyid": ""}],
    }
    return {
        "mediaType": LIMITS["media_type"],
        "verificationMaterial": {"publicKey": {"hint": hashlib.sha256(public).hexdigest()}, "tlogEntries": []},
        "dsseEnvelope": dsse | changes,
    }


def sign(content: object, name: str = "good", curve: type[ec.EllipticCurve] = ec.SECP256R1, **changes: Any) -> bytes:
    """A statement, or whatever is given instead of one, signed: the bytes of a signature file."""
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return json.dumps(envelope(payload, key(name, curve), **changes)).encode()


def signed(files: Mapping[str, bytes] | bytes, name: str = "good") -> bytes:
    """The signature of a folder's files, or of an archive."""
    return sign(statement(resources({".": files} if isinstance(files, bytes) else files)), name)


@dataclass(frozen=True)
class Member:
    """A member of a ZIP archive; what is None is as it should be."""

    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    mode: int = 0o100644
    crc: int | None = None
    size: int | None = None  # that the headers state
    packed: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    extra: bytes = b""
    comment: bytes = b""
    at: int | None = None  # where the central directory says that it lies


@dataclass(frozen=True)
class Zip:
    """A ZIP archive, member by member."""

    members: tuple[Member, ...]
    prefix: bytes = b""
    suffix: bytes = b""
    comment: bytes = b""
    count: int | None = None
    start: int | None = None  # where the end says that the central directory is
    length: int | None = None
    shift: bool = True  # offsets count the prefix
    gap: bytes = b""  # before the central directory

    def with_(self, name: str, **changes: Any) -> Zip:
        """The member whose name ends so, changed."""
        assert any(member.name.endswith(name.encode()) for member in self.members), name
        members = (replace(m, **changes) if m.name.endswith(name.encode()) else m for m in self.members)
        return replace(self, members=tuple(members))

    def plus(self, *members: Member) -> Zip:
        """With more members."""
        return replace(self, members=(*self.members, *members))

    def build(self) -> bytes:
        """The archive's bytes."""
        body, central = io.BytesIO(), io.BytesIO()
        body.write(self.prefix)
        for m in self.members:
            crc = zlib.crc32(m.data) if m.crc is None else m.crc
            size = len(m.data) if m.size is None else m.size
            packed = size if m.packed is None else m.packed
            data = zlib.compress(m.data)[2:-4] if m.method == 8 else m.data
            if m.method == 8:
                size, packed = len(m.data), len(data)
            at = (body.tell() - (0 if self.shift else len(self.prefix))) if m.at is None else m.at
            stamp = (m.method, 0, 0x21, crc)
            local, stated = m.local_name or m.name, size if m.local_size is None else m.local_size
            body.write(struct.pack("<4s5H3I2H", b"PK\3\4", 20, m.flags, *stamp, packed, stated, len(local), 0))
            body.write(local + data)
            central.write(struct.pack("<4s6H3I5H2I", b"PK\1\2", 0x314, 20, m.flags, *stamp, packed, size, len(m.name),
                                      len(m.extra), len(m.comment), 0, 0, m.mode << 16, at))  # fmt: skip
            central.write(m.name + m.extra + m.comment)
        body.write(self.gap)
        start = body.tell() if self.start is None else self.start
        directory = central.getvalue()
        count = len(self.members) if self.count is None else self.count
        length = len(directory) if self.length is None else self.length
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, length, start, len(self.comment))
        return body.getvalue() + directory + end + self.comment + self.suffix


def zipped(files: Mapping[str, bytes], top: str = f"{NAME}-{VERSION}") -> Zip:
    """Files below one folder, as `edgekit package` stores them."""
    return Zip(tuple(Member(f"{top}/{name}".encode(), files[name]) for name in sorted(files)))


@dataclass(frozen=True)
class Tar:
    """A tar archive: regular files, then whatever else is given."""

    files: Mapping[str, bytes]
    more: tuple[tarfile.TarInfo, ...] = ()
    form: str = "tgz"
    top: str = f"{NAME}-{VERSION}"
    tail: bytes = b""  # after the end of the tar
    cut: int = 0  # bytes missing at the end of the tar
    content: Mapping[str, bytes] = field(default_factory=dict)  # of regular files in `more`

    def build(self) -> bytes:
        """The archive's bytes."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name in sorted(self.files):
                about = tarfile.TarInfo(f"{self.top}/{name}")
                about.size, about.mode = len(self.files[name]), 0o644
                archive.addfile(about, io.BytesIO(self.files[name]))
            for about in self.more:
                archive.addfile(about, io.BytesIO(self.content.get(about.name, b"")) if about.isreg() else None)
        data = stream.getvalue() + self.tail
        data = data[: len(data) - self.cut]
        if self.form == "tar.zst":
            return zstandard.ZstdCompressor(level=3).compress(data)
        return gzip.compress(data, 1, mtime=0)


def tar(files: Mapping[str, bytes], form: str = "tgz", **changes: Any) -> Tar:
    """Files below one folder, in a tar archive."""
    return Tar(files, form=form, **changes)


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write files below a folder; returns it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def release(**changes: Any) -> Files:
    """The files of a release: a folder, and the same bundle as three archives. `changes` are of its release.json."""
    inside = bundle()
    files: Files = {f"web/{name}": content for name, content in inside.items()}
    files["CHANGELOG.md"] = inside["CHANGELOG.md"]
    archives = {
        "zip": zipped(inside).build(),
        "tgz": Tar(inside).build(),
        "tar.zst": Tar(inside, form="tar.zst").build(),
    }
    entries = [
        ReleasedBundle(kind="plain", path="web", archive=False, bytes=1, sha256=entry(BUNDLE, inside[BUNDLE]).sha256)
    ]
    for form, archive in archives.items():
        path = f"{NAME}-{VERSION}.{form}"
        files[path] = archive
        digest = entry(path, archive).sha256
        entries.append(ReleasedBundle(kind="plain", path=path, archive=True, bytes=len(archive), sha256=digest))
    content: dict[str, Any] = {
        "name": NAME,
        "version": VERSION,
        "space": SPACE,
        "license": "Apache-2.0",
        "update": "nothing: this is the first release",
        "bundles": entries,
        "files": [entry(path, files[path]) for path in sorted(files)],
    }
    files[RELEASE] = Release(**(content | changes)).to_json().encode()
    return files
