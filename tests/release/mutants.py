"""Bundles whose bytes were changed at random, and what Python says of each: the other verifiers are held against it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from edgekit.errors import EdgeKitError
from edgekit.release.bundle import BUNDLE, SIGNATURE
from edgekit.release.reasons import Refused
from edgekit.release.verify import VerifyRequest, verify
from tests.release import craft

__all__ = ["disagreements", "materialize"]

SEED: Final = 20
_FORM: Final = {"archive-damaged", "bad-name", "compressed-member", "not-a-plain-file", "truncated"}
Made = tuple[Mapping[str, bytes] | bytes, bytes]  # the files of a folder, or an archive; and the signature


def _changed(rng: random.Random, data: bytes) -> bytes:
    """The bytes with up to four changes: flipped, replaced, cut out, put in or repeated."""
    made = bytearray(data)
    while bytes(made) == data:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            at = rng.randrange(len(made) + 1)
            end = min(len(made), at + rng.choice((1, 1, 2, 4, 30)))
            span = end - at
            what = rng.randrange(5)
            if what == 0 and span:
                made[at] ^= 1 << rng.randrange(8)
            elif what == 1:
                made[at:end] = bytes([rng.choice((0, 0x20, 0x7F, 0x80, 0xFF))]) * span
            elif what == 2:
                del made[at:end]
            elif what == 3:
                made[at:at] = rng.randbytes(rng.choice((1, 2, 4)))
            else:
                made[at:at] = made[at:end]
    return bytes(made)


def _statement(files: Mapping[str, bytes] | bytes) -> bytes:
    listed = craft.resources({".": files} if isinstance(files, bytes) else files)
    return json.dumps(craft.statement(listed)).encode()


def _resigned_folder(rng: random.Random) -> Made:
    files = craft.bundle()
    files[BUNDLE] = _changed(rng, files[BUNDLE])
    return files, craft.signed(files)


def _one_file(rng: random.Random) -> Made:
    files = craft.bundle()
    name = rng.choice(sorted(files))
    return files | {name: _changed(rng, files[name])}, craft.signed(files)


def _archive() -> bytes:
    return craft.zipped(craft.bundle()).build()


def _resigned_archive(rng: random.Random) -> Made:
    archive = _changed(rng, _archive())
    return archive, craft.signed(archive)


# What is changed -> how; whether the files are those that the key signed: such a signature may hold all the same.
_WAYS: Final[dict[str, tuple[Callable[[random.Random], Made], bool]]] = {
    "archive": (lambda rng: (_changed(rng, _archive()), craft.signed(_archive())), False),
    "archive-signature": (lambda rng: (_archive(), _changed(rng, craft.signed(_archive()))), True),
    "archive-statement": (lambda rng: (_archive(), craft.sign(_changed(rng, _statement(_archive())))), True),
    "archive-again": (_resigned_archive, True),
    "folder": (_one_file, False),
    "folder-signature": (lambda rng: (craft.bundle(), _changed(rng, craft.signed(craft.bundle()))), True),
    "folder-statement": (lambda rng: (craft.bundle(), craft.sign(_changed(rng, _statement(craft.bundle())))), True),
    "folder-again": (_resigned_folder, True),
}


def materialize(folder: Path, count: int) -> Path:
    """Write `count` of each way below `folder`, with an index as that of tampered.py; returns index.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.pem").write_bytes(craft.pem())
    cases = []
    for way, (make, signed) in _WAYS.items():
        rng = random.Random(f"{SEED} {way}")
        for number in range(count):
            path, kind = _put(folder / f"{way}-{number:04d}", *make(rng))
            cases.append(
                {
                    "case": path.relative_to(folder).as_posix(),
                    "kind": kind,
                    "path": path.relative_to(folder).as_posix(),
                    "signature": _signature(path, kind).relative_to(folder).as_posix(),
                    "public_key": "key.pem",
                    "expectations": {},
                    "signed": signed,
                    "expected": _told(path, folder / "key.pem"),
                }
            )
    index = folder / "index.json"
    index.write_text(json.dumps({"cases": cases}) + "\n")
    return index


def _signature(path: Path, kind: str) -> Path:
    return path / SIGNATURE if kind == "folder" else path.with_name(f"{path.name}.sig")


def _put(place: Path, content: Mapping[str, bytes] | bytes, signature: bytes) -> tuple[Path, str]:
    place.mkdir()
    if isinstance(content, bytes):
        path, kind = place / "bundle.zip", "zip"
        path.write_bytes(content)
    else:
        path, kind = place, "folder"
        for name, data in content.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    _signature(path, kind).write_bytes(signature)
    return path, kind


def _told(path: Path, key: Path) -> str | None:
    """What Python says: null where it accepts, a reason, or "other" where it is no bundle at all to it."""
    try:
        verify(VerifyRequest(path, public_key=[key], self_test=False))
    except Refused as refused:
        return refused.reason
    except EdgeKitError:
        return "other"
    return None


def disagreements(index: Path, answers: Mapping[str, str | None]) -> list[tuple[str, str | None, str | None]]:
    """Cases, with Python's answer and the other's (null: accepted), in which one takes what the other refuses.

    Python reads documents that phones do not: it may find fault with these alone, in what the key signed again. An
    archive of several faults is refused for one of them, by each for the one that it comes to first.
    """
    cases: list[dict[str, Any]] = json.loads(index.read_text())["cases"]
    assert answers.keys() == {case["case"] for case in cases}
    wrong = []
    for case in cases:
        due, said = case["expected"], answers[case["case"]]
        same = said == due or (due == "other" and said is not None)
        same = same or (None not in (due, said) and {due, said} <= _FORM)
        reads_more = case["signed"] and due == "schema" and said is None
        if not (same or reads_more) or not (case["signed"] or said):
            wrong.append((case["case"], due, said))
    return wrong
