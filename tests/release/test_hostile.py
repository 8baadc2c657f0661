"""Whatever a byte of a signed bundle becomes: it is not accepted, and it is refused in one line; the same for names and
for signatures that nobody made."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edgekit.errors import EdgeKitError
from edgekit.release.reasons import REASONS, Refused
from edgekit.release.signature import check_key, read_signature, signed_files
from edgekit.release.verify import VerifyRequest, verify
from tests.release import craft
from tests.release.cases import Made, put
from tests.release.craft import Files, bundle, key, pem, sign, signed, zipped

FILES = bundle()
SIGNATURES = {"folder": signed(FILES)}
ARCHIVES = {
    "zip": zipped(FILES).build(),
    "tgz": craft.tar(FILES).build(),
    "tar.zst": craft.tar(FILES, "tar.zst").build(),
}
SIGNATURES |= {form: signed(content) for form, content in ARCHIVES.items()}


@st.composite
def _edits(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` with some bytes flipped, cut out, put in, or moved."""
    made = content
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(made)))
        to = draw(st.integers(at, min(len(made), at + 64)))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "end", "repeat"]))
        if kind == "flip" and at < len(made):
            made = made[:at] + bytes([made[at] ^ draw(st.integers(1, 255))]) + made[at + 1 :]
        elif kind == "cut":
            made = made[:at] + made[to:]
        elif kind == "insert":
            made = made[:at] + draw(st.binary(max_size=16)) + made[at:]
        elif kind == "end":
            made = made[:at]
        elif kind == "repeat":
            made = made[:to] + made[at:]
    return made


def outcome(made: Made) -> str | None:
    """The reason why it is refused; None where it is accepted. Anything but a refusal in one line fails."""
    with tempfile.TemporaryDirectory() as place:
        public = Path(place) / "key.pem"
        public.write_bytes(pem())
        path, _ = put(made, Path(place) / "case")
        try:
            verify(VerifyRequest(path, public_key=public))
        except Refused as refused:
            assert refused.reason in REASONS
            assert "\n" not in str(refused)
            return refused.reason
    return None


@settings(max_examples=60)
@given(st.data())
@pytest.mark.parametrize("form", ARCHIVES)
def test_an_archive_with_other_bytes_is_refused(form: str, data: st.DataObject) -> None:
    content = data.draw(_edits(ARCHIVES[form]))
    assume(content != ARCHIVES[form])
    assert outcome(Made(content, SIGNATURES[form], form)) == "file-changed"


@settings(max_examples=120)
@given(st.data())
@pytest.mark.parametrize("form", ARCHIVES)
def test_a_signed_archive_with_any_bytes_is_read_or_refused(form: str, data: st.DataObject) -> None:
    content = data.draw(_edits(ARCHIVES[form]))
    outcome(Made(content, signed(content), form))


@settings(max_examples=60)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_folder_with_other_bytes_in_a_file_is_refused(name: str, data: st.DataObject) -> None:
    content = data.draw(_edits(FILES[name]))
    assume(content != FILES[name])
    assert outcome(Made(FILES | {name: content}, SIGNATURES["folder"])) == "file-changed"


@settings(max_examples=150)
@given(st.data())
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_signature_with_other_bytes_is_never_accepted_for_other_content(form: str, data: st.DataObject) -> None:
    """Spaces and what nobody relies on may differ; then it still is the same payload and the same key's signature."""
    due = SIGNATURES[form]
    signature = data.draw(_edits(due))
    content: Files | bytes = FILES if form == "folder" else ARCHIVES[form]
    if outcome(Made(content, signature, form)) is None:
        assert _relied_on(signature) == _relied_on(due)
    if isinstance(content, dict):
        changed = content | {"MODEL_CARD.md": b"changed"}
        assert outcome(Made(changed, signature)) is not None


def _relied_on(signature: bytes) -> tuple[object, ...]:
    envelope = json.loads(signature)["dsseEnvelope"]
    (one,) = envelope["signatures"]
    return base64.b64decode(envelope["payload"]), base64.b64decode(one["sig"]), envelope["payloadType"]


_WORDS = st.sampled_from(
    ["mediaType", "dsseEnvelope", "payload", "payloadType", "signatures", "sig", "verificationMaterial", "subject",
     "x509CertificateChain", "certificates", "rawBytes", "predicate", "resources", "serialization", "name", "digest",
     "_type", "predicateType", "sha256", "algorithm", "method", "hash_type"]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.binary(max_size=200) | _JSON.map(lambda content: json.dumps(content).encode()))
@example(b'{"dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": [1]}}')
@example(b"\xef\xbb\xbf{}")
@example(b'{"mediaType": 1e999}')
def test_any_signature_file_is_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.sig"
        path.write_bytes(content)
        with pytest.raises(Refused) as caught:
            check_key(read_signature(path), [])
        assert caught.value.reason in ("signature-damaged", "wrong-key")


def _statement(change: list[tuple[str, Any]]) -> dict[str, Any]:
    made = craft.statement(craft.resources(FILES))
    for path, value in change:
        at: Any = made
        *above, last = path.split(".")
        for step in above:
            if isinstance(at, list):
                at = at[int(step)] if step.isdigit() and int(step) < len(at) else None
            else:
                at = at.get(step) if isinstance(at, dict) else None
        if isinstance(at, dict):
            at[last] = value
    return made


_PLACES = st.sampled_from(
    ["_type", "subject", "subject.0.digest", "predicate", "predicate.resources", "predicate.resources.0.name",
     "predicate.resources.1.digest", "predicate.resources.2.algorithm", "predicate.serialization",
     "predicate.serialization.method", "predicateType"]
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.tuples(_PLACES, _JSON), min_size=1, max_size=3))
def test_any_signed_statement_is_read_or_refused(change: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.sig"
        path.write_bytes(sign(_statement(change)))
        signature = read_signature(path)
        check_key(signature, [_public()])
        try:
            assert signed_files(signature, archive=False).keys() <= {*FILES, *_names(change)}
        except EdgeKitError as error:
            assert isinstance(error, Refused)


def _names(change: list[tuple[str, Any]]) -> set[str]:
    return {value for _, value in change if isinstance(value, str)}


def _public() -> Any:
    from edgekit.release.keys import as_public

    return as_public(key("good").public_key())
