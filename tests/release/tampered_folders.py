"""Folders: what may happen to the files, and what the documents may say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from edgekit.release.bundle import BUNDLE, SIGNATURE
from edgekit.release.reasons import LIMITS
from tests.release.cases import BAD_NAMES, Made, Row
from tests.release.craft import Files, bundle, relisted, signed

__all__ = ["FOLDERS", "MODEL", "link_the_model"]

MODEL: Final = "catalog/model.onnx"


def _tampered(change: Callable[[Files], object], then: Callable[[Path], object] | None = None) -> Made:
    """A good bundle whose files change after it was signed."""
    files = bundle()
    signature = signed(files)
    change(files)
    return Made(files, signature, then=then)


def _nothing(files: Files) -> None:
    """The files stay as they are."""


def _flip(name: str, files: Files) -> None:
    middle = len(files[name]) // 2
    files[name] = files[name][:middle] + bytes([files[name][middle] ^ 1]) + files[name][middle + 1 :]


def _cut(name: str, files: Files) -> None:
    files[name] = files[name][:-1]


def _put(name: str, files: Files) -> None:
    files[name] = b"an unsigned file"


def _rename(old: str, new: str, files: Files) -> None:
    files[new] = files.pop(old)


def _swap(files: Files) -> None:
    files["MODEL_CARD.md"], files["CHANGELOG.md"] = files["CHANGELOG.md"], files["MODEL_CARD.md"]


def _replace(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Put something else where a file of the bundle is."""

    def act(folder: Path) -> None:
        (folder / name).rename(folder.parent / "moved")
        make(folder / name)

    return act


def link_the_model(folder: Path) -> None:
    """The model becomes a link to the same content outside of the bundle."""
    (folder / MODEL).rename(folder.parent / "moved")
    (folder / MODEL).symlink_to("../../moved")


def _folder_link(folder: Path) -> None:
    (folder / "catalog").rename(folder.parent / "moved")
    (folder / "catalog").symlink_to("../moved")


def _signature_link(folder: Path) -> None:
    (folder / SIGNATURE).rename(folder.parent / "moved")
    (folder / SIGNATURE).symlink_to("../moved")


def _another(*names: str) -> Made:
    """A good bundle in which some files are those of another version, which the same key signed."""
    files, other = bundle(), bundle(version="2.0.0")
    both = files | {SIGNATURE: signed(files)}
    both |= {name: content for name, content in (other | {SIGNATURE: signed(other)}).items() if name in names}
    return Made({name: both[name] for name in files}, both[SIGNATURE])


_CHANGED = ("catalog/model.onnx", "catalog/manifest.json", "golden/catalog/photos/a.png", "MODEL_CARD.md", BUNDLE)
_FILES = [
    Row("good", "nothing", None, lambda: Made(bundle(), signed(bundle()))),
    *(
        Row(f"{name} changed", "one bit is flipped", "file-changed", partial(_tampered, partial(_flip, name)))
        for name in (*_CHANGED, "bom.cdx.json", "LICENSES/Apache-2.0.txt", "CHANGELOG.md")
    ),
    Row("model cut", "its last byte is gone", "file-changed", lambda: _tampered(partial(_cut, MODEL))),
    Row("model emptied", "it has no byte", "file-changed", lambda: _tampered(lambda files: files.update({MODEL: b""}))),
    Row("contents swapped", "two files have each other's content", "file-changed", lambda: _tampered(_swap)),
    Row("model missing", "it is removed", "file-missing", lambda: _tampered(lambda files: files.pop(MODEL))),
    Row("bundle.json missing", "it is removed", "file-missing", lambda: _tampered(lambda files: files.pop(BUNDLE))),
    Row("extra file", "one is added", "file-extra", lambda: _tampered(partial(_put, "catalog/extra.bin"))),
    *(
        Row(f"extra {name}", "one that tools leave out is added", "file-extra", partial(_tampered, partial(_put, name)))
        for name in (".gitignore", ".gitattributes", ".git/config", ".github/a.yml", ".DS_Store", "catalog/model.sig")
    ),
    Row("renamed", "a file has another name", "file-missing", lambda: _tampered(partial(_rename, MODEL, "catalog/b"))),
    Row("case changed", "a file has its name in capitals", "file-missing",
        lambda: _tampered(partial(_rename, MODEL, "catalog/MODEL.ONNX"))),
    Row("case collision", "a file is added with a file's name in capitals", "name-collision",
        lambda: _tampered(partial(_put, "catalog/MODEL.ONNX"))),
    Row("folder in capitals", "a folder is added with a folder's name in capitals", "name-collision",
        lambda: _tampered(partial(_put, "CATALOG/other"))),
    Row("look-alike file", "a file is added whose name looks like another's", "bad-name",
        lambda: _tampered(partial(_put, BAD_NAMES["look-alike letter"]))),
    Row("look-alike instead", "a file's name has a letter of another alphabet", "bad-name",
        lambda: _tampered(partial(_rename, MODEL, BAD_NAMES["look-alike letter"]))),
    Row("decomposed file", "a file is added whose name is not composed", "bad-name",
        lambda: _tampered(partial(_put, BAD_NAMES["decomposed accent"]))),
    Row("backslash file", "a file is added with a backslash in its name", "bad-name",
        lambda: _tampered(partial(_put, "catalog\\other"))),
    Row("empty folder", "an empty folder is added, which is nothing", None,
        lambda: _tampered(_nothing, lambda folder: (folder / "empty").mkdir())),
    Row("folder for a file", "a folder is where the model was", "file-missing",
        lambda: _tampered(_nothing, _replace(MODEL, Path.mkdir))),
    Row("linked file", "the model is a link to the same content elsewhere", "not-a-plain-file",
        lambda: _tampered(_nothing, link_the_model)),
    Row("linked folder", "a folder is a link to the same content elsewhere", "not-a-plain-file",
        lambda: _tampered(_nothing, _folder_link)),
    Row("dangling link", "a link to nothing is added", "not-a-plain-file",
        lambda: _tampered(_nothing, lambda folder: (folder / "link").symlink_to("nowhere"))),
    Row("link to a device", "a link to a device is added", "not-a-plain-file",
        lambda: _tampered(_nothing, lambda folder: (folder / "link").symlink_to("/dev/zero"))),
    Row("pipe", "a named pipe is added", "not-a-plain-file",
        lambda: _tampered(_nothing, lambda folder: os.mkfifo(folder / "pipe"))),
    Row("pipe for a file", "the model is a named pipe", "not-a-plain-file",
        lambda: _tampered(_nothing, _replace(MODEL, os.mkfifo))),
    Row("sparse file", "the model claims more than the bound, and hardly takes room", "too-large",
        lambda: _tampered(_nothing, lambda folder: os.truncate(folder / MODEL, int(LIMITS["total_bytes"])))),
    Row("linked signature", "the signature is a link", "not-a-plain-file",
        lambda: _tampered(_nothing, _signature_link)),
    Row("signature is a folder", "a folder has the signature's name", "not-a-plain-file",
        lambda: _tampered(_nothing, _replace(SIGNATURE, Path.mkdir))),
    Row("another bundle.json", "it is that of another signed bundle", "file-changed", lambda: _another(BUNDLE)),
    Row("another signature", "it is that of another signed bundle", "file-changed", lambda: _another(SIGNATURE)),
    Row("another bundle.json and signature", "both are those of another signed bundle", "file-changed",
        lambda: _another(BUNDLE, SIGNATURE)),
]  # fmt: skip


def _document(make: Callable[[bytes], bytes | None]) -> Made:
    """bundle.json says something else, and all is signed by the good key."""
    files = bundle()
    content = make(files.pop(BUNDLE))
    if content is not None:
        files[BUNDLE] = content
    return Made(files, signed(files))


def _edited(change: Callable[[dict[str, Any]], object]) -> Made:
    def make(text: bytes) -> bytes:
        content = json.loads(text)
        change(content)
        return json.dumps(content, indent=2).encode()

    return _document(make)


def _with(name: str, content: bytes) -> Made:
    """A file has that content in a bundle that lists and signs it."""
    files = relisted(bundle() | {name: content})
    return Made(files, signed(files))


_BAD_DOCUMENTS: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "of another schema": lambda c: c.update(schema="edgekit.bundle/2"),
    "without a schema": lambda c: c.pop("schema"),
    "with a version that is none": lambda c: c.update(version="1.9"),
    "with digits of another script": lambda c: c.update(version="1.9.1\uff11"),
    "without a name": lambda c: c.pop("name"),
    "with a space that is a number": lambda c: c.update(space=1),
    "that lists another hash": lambda c: c["files"][0].update(sha256="0" * 64),
    "that states another size": lambda c: c["files"][0].update(bytes=c["files"][0]["bytes"] + 1),
    "that lists one file less": lambda c: c["files"].pop(),
    "that lists a file that is not there": lambda c: c["files"].append({"path": "x", "bytes": 1, "sha256": "0" * 64}),
    "that lists a file twice": lambda c: c["files"].append(c["files"][0]),
    "without files": lambda c: c.pop("files"),
}
_BESIDE_MANIFEST: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "of another space": lambda c: c.update(space="shop/2"),
    "of another precision": lambda c: c["artifacts"][0].update(precision="int8"),
    "of another format": lambda c: c["artifacts"][0].update(format="litert"),
    "of another target": lambda c: c["artifacts"][0].update(target="android"),
    "of another verdict": lambda c: c["artifacts"][0]["parity"][0].update(verdict="unverified"),
    "with an artifact twice": lambda c: c["artifacts"].append(c["artifacts"][0]),
}
_DOCUMENTS = [
    *(Row(f"bundle.json {name}", "it was signed so", "schema", partial(_edited, change))
      for name, change in _BAD_DOCUMENTS.items()),
    Row("no bundle.json", "the bundle was signed without it", "schema", lambda: _document(lambda _: None)),
    Row("bundle.json no JSON", "it was signed so", "schema", lambda: _document(lambda text: text[:-9])),
    Row("bundle.json an array", "it was signed so", "schema", lambda: _document(lambda text: b"[" + text + b"]")),
    Row("bundle.json too long", "it is over the bound", "schema",
        lambda: _document(lambda text: text + b" " * int(LIMITS["document_bytes"]))),
    Row("bundle.json nested deep", "it was signed so", "schema",
        lambda: _document(lambda _: b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}")),
    Row("manifest no manifest", "it was signed so", "schema", lambda: _with("catalog/manifest.json", b"{}"),
        phones=False),
    *(Row(f"bundle.json {name}", "it was signed so, and a manifest says something else", "schema",
          partial(_edited, change), phones=False)
      for name, change in _BESIDE_MANIFEST.items()),
    Row("BOM no BOM", "it was signed so", "schema", lambda: _with("bom.cdx.json", b'{"bomFormat": "none"}'),
        phones=False),
]  # fmt: skip


def _expected(version: str = "1.9.0", **expectations: str) -> Made:
    files = bundle(version=version)
    return Made(files, signed(files), expectations=expectations)


_EXPECTATIONS = [
    Row("good, as expected", "name, version and space are the expected ones", None,
        lambda: _expected(name="shop-embedder", minimum_version="1.9.0", space="shop/1")),
    Row("good, newer", "10 is more than 9", None, lambda: _expected("1.10.0", minimum_version="1.9.9")),
    Row("another name", "it is another model's bundle", "wrong-name", lambda: _expected(name="other-embedder")),
    Row("downgraded", "it is an earlier version", "downgraded", lambda: _expected(minimum_version="2.0.0")),
    Row("downgraded, by number", "9 is less than 10", "downgraded", lambda: _expected(minimum_version="1.10.0")),
    Row("another space", "its embeddings cannot be compared", "wrong-space", lambda: _expected(space="shop/2")),
    Row("another name and version", "the name is looked at first", "wrong-name",
        lambda: _expected(name="other-embedder", minimum_version="2.0.0")),
]  # fmt: skip

FOLDERS: Final[list[Row]] = [*_FILES, *_DOCUMENTS, *_EXPECTATIONS]
