"""Archives: changed after they were signed, and signed although they do not have the one form that is read."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import zstandard

from edgekit.release.bundle import BUNDLE
from edgekit.release.reasons import LIMITS
from tests.release.cases import BAD_NAMES, Made, Row
from tests.release.craft import (
    NAME,
    VERSION,
    Files,
    Member,
    Tar,
    Zip,
    bundle,
    resources,
    sign,
    signed,
    statement,
    zipped,
)

__all__ = ["ARCHIVES"]

TOP: Final = f"{NAME}-{VERSION}"
_MODEL: Final = f"{TOP}/catalog/model.onnx".encode()


def _after(change: Callable[[bytes], bytes]) -> Made:
    """A good archive that changes after it was signed."""
    content = zipped(bundle()).build()
    return Made(change(content), signed(content), "zip")


def _said(make: Callable[[bytes], bytes | None]) -> Made:
    """A good archive with another signature."""
    content = zipped(bundle()).build()
    return Made(content, make(content), "zip")


def _zip(change: Callable[[Zip], Zip | bytes]) -> Made:
    """An archive that is changed, and then signed by the good key."""
    made = change(zipped(bundle()))
    content = made if isinstance(made, bytes) else made.build()
    return Made(content, signed(content), "zip")


def _resource(name: str, content: bytes) -> bytes:
    return sign(statement(resources({name: content})))


def _flipped(content: bytes) -> bytes:
    return content[:200] + bytes([content[200] ^ 1]) + content[201:]


def _head(share: float, content: bytes) -> bytes:
    return content[: int(len(content) * share)]


_CHANGED = [
    Row("ZIP good", "nothing", None, lambda: _after(lambda content: content)),
    Row("ZIP unsigned", "the signature is removed", "unsigned", lambda: _said(lambda _: None)),
    Row("ZIP signature empty", "it has no byte", "signature-damaged", lambda: _said(lambda _: b"")),
    Row("ZIP another key", "somebody else signed it", "wrong-key", lambda: _said(lambda c: signed(c, "other"))),
    Row("ZIP of another name signed", "the one signed file has a name", "statement-unknown",
        lambda: _said(lambda content: _resource("bundle.zip", content))),
    Row("ZIP signed as a folder", "the signature is that of the files in it", "statement-unknown",
        lambda: _said(lambda _: signed(bundle()))),
    Row("ZIP another signature", "it is that of another archive", "file-changed",
        lambda: _said(lambda _: signed(zipped(bundle(version="2.0.0")).build()))),
    Row("ZIP changed", "one bit is flipped", "file-changed", lambda: _after(_flipped)),
    *(
        Row(f"ZIP cut to {share:.0%}", "the rest is gone", "file-changed",
            partial(_after, partial(_head, share)))
        for share in (0, 0.01, 0.5, 0.9, 0.999)
    ),
    Row("ZIP with more behind", "a byte is added", "file-changed", lambda: _after(lambda content: content + b"\0")),
    Row("ZIP with more before", "a script is put before it", "file-changed",
        lambda: _after(lambda content: b"#!/bin/sh\n" + content)),
]  # fmt: skip


def _twice(archive: Zip, **changes: Any) -> Zip:
    """The model is there once more, with something else in it."""
    (model,) = [member for member in archive.members if member.name == _MODEL]
    return archive.plus(replace(model, **changes))


def _overlapping(archive: Zip) -> Zip:
    """Two members share their bytes, as in archives that unpack to many times their size."""
    return _twice(archive, name=_MODEL + b"2", at=0)


def _end_in_comment(archive: Zip) -> Zip:
    """The comment looks like the archive's end."""
    return replace(archive, comment=replace(archive, members=()).build())


def _documents(archive: Files, change: Callable[[dict[str, Any]], object]) -> Made:
    content = json.loads(archive[BUNDLE])
    change(content)
    made = zipped(archive | {BUNDLE: json.dumps(content).encode()}).build()
    return Made(made, signed(made), "zip")


def _expected(**expectations: str) -> Made:
    content = zipped(bundle()).build()
    return Made(content, signed(content), "zip", expectations=expectations)


def _cut_inside(archive: Zip, before_end: int) -> bytes:
    content = archive.build()
    return content[: len(content) - before_end]


_FORMS: Final[Mapping[str, tuple[str, Callable[[Zip], Zip | bytes]]]] = {
    "empty": ("truncated", lambda z: b""),
    "no archive": ("truncated", lambda z: b"this is no archive " * 20),
    "signed half": ("truncated", lambda z: z.build()[: len(z.build()) // 2]),
    "signed without the end": ("truncated", lambda z: _cut_inside(z, 22)),
    "signed with half an end": ("truncated", lambda z: _cut_inside(z, 7)),
    "signed within the directory": ("truncated", lambda z: _cut_inside(z, 100)),
    "more behind": ("archive-damaged", lambda z: replace(z, suffix=b"more")),
    "comment": ("archive-damaged", lambda z: replace(z, comment=b"hello")),
    "end in the comment": ("archive-damaged", _end_in_comment),
    "prefix": ("archive-damaged", lambda z: replace(z, prefix=b"#!/bin/sh\n")),
    "prefix that offsets leave out": ("archive-damaged", lambda z: replace(z, prefix=b"#!/bin/sh\n", shift=False)),
    "gap": ("archive-damaged", lambda z: replace(z, gap=b"between")),
    "directory elsewhere": ("archive-damaged", lambda z: replace(z, start=4)),
    "directory beyond the end": ("archive-damaged", lambda z: replace(z, start=0x7FFFFFFF)),
    "directory too long": ("archive-damaged", lambda z: replace(z, length=0x7FFFFFFF)),
    "one member more stated": ("archive-damaged", lambda z: replace(z, count=len(z.members) + 1)),
    "one member less stated": ("archive-damaged", lambda z: replace(z, count=len(z.members) - 1)),
    "ZIP64 count": ("archive-damaged", lambda z: replace(z, count=0xFFFF)),
    "ZIP64 directory": ("archive-damaged", lambda z: replace(z, start=0xFFFFFFFF)),
    "ZIP64 size": ("archive-damaged", lambda z: z.with_("model.onnx", extra=b"\1\0\x10\0" + b"\1" + bytes(15))),
    "another path in the extra field": (
        "archive-damaged", lambda z: z.with_("model.onnx", extra=b"up\6\0\1" + bytes(4) + b"x")),
    "comment of a member": ("archive-damaged", lambda z: z.with_("model.onnx", comment=b"hello")),
    "encrypted": ("archive-damaged", lambda z: z.with_("model.onnx", flags=1)),
    "size after the data": ("archive-damaged", lambda z: z.with_("model.onnx", flags=8)),
    "another name before the data": (
        "archive-damaged", lambda z: z.with_("model.onnx", local_name=_MODEL.replace(b"model", b"other"))),
    "another size before the data": ("archive-damaged", lambda z: z.with_("model.onnx", local_size=3)),
    "another CRC": ("archive-damaged", lambda z: z.with_("model.onnx", crc=1)),
    "other sizes": ("archive-damaged", lambda z: z.with_("model.onnx", packed=7)),
    "a larger size": ("archive-damaged", lambda z: z.with_("model.onnx", size=4000)),
    "members overlap": ("archive-damaged", _overlapping),
    "member elsewhere": ("archive-damaged", lambda z: z.with_("model.onnx", at=0)),
    "huge size stated": ("too-large", lambda z: z.with_("model.onnx", size=0xFFFFFFFE)),
    "compressed": ("compressed-member", lambda z: z.with_("model.onnx", method=8)),
    "compressed bomb": ("compressed-member", lambda z: z.with_("model.onnx", method=8, data=bytes(4 << 20))),
    "unknown method": ("compressed-member", lambda z: z.with_("model.onnx", method=99)),
    "link": ("not-a-plain-file", lambda z: z.with_("model.onnx", mode=0o120777, data=b"/etc/passwd")),
    "pipe": ("not-a-plain-file", lambda z: z.with_("model.onnx", mode=0o010644, data=b"")),
    "device": ("not-a-plain-file", lambda z: z.with_("model.onnx", mode=0o020644, data=b"")),
    "folder's mode": ("not-a-plain-file", lambda z: z.with_("model.onnx", mode=0o040755, data=b"")),
    "name twice": ("duplicate-name", lambda z: _twice(z, data=b"another model")),
    "case collision": ("name-collision", lambda z: _twice(z, name=f"{TOP}/catalog/MODEL.onnx".encode())),
    "file and folder": ("name-collision", lambda z: _twice(z, name=f"{TOP}/catalog".encode())),
    "two folders at the top": ("bad-name", lambda z: _twice(z, name=b"other/model.onnx")),
    "file at the top": ("bad-name", lambda z: _twice(z, name=b"model.onnx")),
    "file beside the folder": ("bad-name", lambda z: _twice(z, name=TOP.encode() + b".txt")),
    "name no UTF-8": ("bad-name", lambda z: _twice(z, name=TOP.encode() + b"/\xff\xfe")),
    "too many members": ("too-many-files", lambda z: z.plus(
        *(Member(f"{TOP}/f{number}".encode(), b"") for number in range(int(LIMITS["files"]))))),
    "no member": ("schema", lambda z: replace(z, members=())),
    "without bundle.json": ("schema", lambda z: replace(
        z, members=tuple(m for m in z.members if not m.name.endswith(b"/bundle.json")))),
    "unlisted member": ("schema", lambda z: _twice(z, name=f"{TOP}/unlisted.bin".encode())),
    "member that differs": ("schema", lambda z: z.with_("model.onnx", data=b"another model")),
}  # fmt: skip
_SIGNED = [
    *(
        Row(f"ZIP {name}", "signed by the good key as it is", reason, partial(_zip, change))
        for name, (reason, change) in _FORMS.items()
    ),
    *(
        Row(f"ZIP name: {name}", "a member has a name that no bundle can have", "bad-name",
            partial(_zip, partial(_twice, name=f"{TOP}/{bad}".encode())))
        for name, bad in BAD_NAMES.items()
    ),
    Row("ZIP name: absolute without a folder", "a member's name begins with a slash", "bad-name",
        lambda: _zip(lambda z: _twice(z, name=b"/etc/passwd"))),
    Row("ZIP name: out of the top folder", "a member's name begins with two dots", "bad-name",
        lambda: _zip(lambda z: _twice(z, name=b"../escaped"))),
    Row("ZIP bundle.json of another schema", "it was signed so", "schema",
        lambda: _documents(bundle(), lambda content: content.update(schema="edgekit.bundle/9"))),
    Row("ZIP good, as expected", "name, version and space are the expected ones", None,
        lambda: _expected(name=NAME, minimum_version="1.8.10", space="shop/1")),
    Row("ZIP another name", "it is another model's bundle", "wrong-name", lambda: _expected(name="other-embedder")),
    Row("ZIP downgraded", "it is an earlier version", "downgraded", lambda: _expected(minimum_version="1.10.0")),
    Row("ZIP another space", "its embeddings cannot be compared", "wrong-space", lambda: _expected(space="shop/2")),
]  # fmt: skip


def _tar(form: str, change: Callable[[Tar], Tar | bytes]) -> Made:
    made = change(Tar(bundle(), form=form))
    content = made if isinstance(made, bytes) else made.build()
    return Made(content, signed(content), form)


def _special(kind: bytes, name: str = "catalog/other", target: str = "") -> tarfile.TarInfo:
    about = tarfile.TarInfo(f"{TOP}/{name}")
    about.type, about.linkname = kind, target
    return about


def _adding(about: tarfile.TarInfo) -> Callable[[Tar], Tar]:
    return lambda made: replace(made, more=(about,))


def _bomb(form: str) -> Made:
    """Zeros, which hardly take room in the archive."""
    about = tarfile.TarInfo(f"{TOP}/zeros")
    about.size = 24 << 20
    return _tar(form, lambda made: replace(made, more=(about,), content={about.name: bytes(about.size)}))


def _pax(made: Tar) -> bytes:
    """A header of POSIX.1-2001 that says more of the next member than its name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        about = tarfile.TarInfo(f"{TOP}/plain")
        about.pax_headers = {"path": f"{TOP}/other", "comment": "more"}
        archive.addfile(about)
    return _packed(made.form, stream.getvalue())


def _end(made: Tar) -> int:
    """Bytes after the last member: the blocks of zeros that say that it was the last."""
    return len(_plain(made)) - sum(512 + -(-len(content) // 512) * 512 for content in made.files.values())


def _packed(form: str, data: bytes) -> bytes:
    """A tar's bytes as an archive."""
    return zstandard.ZstdCompressor(level=3).compress(data) if form == "tar.zst" else gzip.compress(data, 1, mtime=0)


_TARS: Final[Mapping[str, tuple[str | None, Callable[[Tar], Tar | bytes]]]] = {
    "good": (None, lambda t: t),
    "link": ("not-a-plain-file", _adding(_special(tarfile.SYMTYPE, target="/etc/passwd"))),
    "hard link": ("not-a-plain-file", _adding(_special(tarfile.LNKTYPE, target=f"{TOP}/catalog/model.onnx"))),
    "hard link out": ("not-a-plain-file", _adding(_special(tarfile.LNKTYPE, target="/etc/passwd"))),
    "character device": ("not-a-plain-file", _adding(_special(tarfile.CHRTYPE))),
    "block device": ("not-a-plain-file", _adding(_special(tarfile.BLKTYPE))),
    "pipe": ("not-a-plain-file", _adding(_special(tarfile.FIFOTYPE))),
    "folder": ("not-a-plain-file", _adding(_special(tarfile.DIRTYPE))),
    "sparse file": ("not-a-plain-file", _adding(_special(tarfile.GNUTYPE_SPARSE))),
    "long name of GNU": ("not-a-plain-file", _adding(_special(tarfile.GNUTYPE_LONGNAME))),
    "extended header": ("not-a-plain-file", _pax),
    "parent": ("bad-name", _adding(_special(tarfile.REGTYPE, "../../escaped"))),
    "device of Windows": ("bad-name", _adding(_special(tarfile.REGTYPE, "catalog/aux"))),
    "name twice": ("duplicate-name", _adding(_special(tarfile.REGTYPE, "catalog/model.onnx"))),
    "case collision": ("name-collision", _adding(_special(tarfile.REGTYPE, "Catalog/x"))),
    "unlisted member": ("schema", _adding(_special(tarfile.REGTYPE, "catalog/unlisted"))),
    "cut in a member": ("truncated", lambda t: replace(t, cut=len(_plain(t)) // 2)),
    "cut before the end": ("truncated", lambda t: replace(t, cut=_end(t))),
    "archive cut": ("truncated", lambda t: t.build()[:-9]),
    "archive half": ("truncated", lambda t: t.build()[: len(t.build()) // 2]),
    "empty": ("truncated", lambda t: b""),
    "no archive": ("archive-damaged", lambda t: b"this is no archive " * 20),
    "no tar": ("archive-damaged", lambda t: _packed(t.form, b"this is no tar " * 100)),
    "more behind the end": ("archive-damaged", lambda t: replace(t, tail=b"more".ljust(512))),
    "more behind": ("archive-damaged", lambda t: t.build() + b"more"),
    "two archives": ("archive-damaged", lambda t: t.build() * 2),
}  # fmt: skip


def _plain(made: Tar) -> bytes:
    """The tar without its compression."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in made.files.items():
            about = tarfile.TarInfo(f"{TOP}/{name}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return stream.getvalue()


_TAR_ROWS = [
    *(
        Row(f"{form} {name}", "signed by the good key as it is", reason, partial(_tar, form, change))
        for form in ("tgz", "tar.zst")
        for name, (reason, change) in _TARS.items()
    ),
    *(
        Row(f"{form} bomb", "zeros that hardly take room", "too-large", partial(_bomb, form))
        for form in ("tgz", "tar.zst")
    ),
]

ARCHIVES: Final[list[Row]] = [*_CHANGED, *_SIGNED, *_TAR_ROWS]
