"""Releases, certificates, self-tests, expectations, and what the command says; single bundles: test_tampered.py."""

from __future__ import annotations

import datetime
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

import edgekit
from edgekit.artifact.folder import read_manifest
from edgekit.errors import InputError, MissingDependencyError, UsageError
from edgekit.release import self_test
from edgekit.release.bundle import BUNDLE, RELEASE, SIGNATURE, BundledArtifact, ParityFigure
from edgekit.release.sign import SignRequest, sign
from edgekit.release.verify import UNSIGNED, VerifyRequest, verify
from edgekit.support.files import sha256_file
from tests.conftest import Invoke, one_line
from tests.release import craft
from tests.release.craft import NAME, SPACE, VERSION, Files, bundle, key, pem, private_pem, release, signed, write

ARCHIVES = [f"{NAME}-{VERSION}.{form}" for form in ("zip", "tgz", "tar.zst")]


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "good.pub"
    write({"good.pub": pem(), "good.key": private_pem(), "other.pub": pem("other")}, path.parent)
    (path.parent / "good.key").chmod(0o600)
    return path


@pytest.fixture
def whole(tmp_path: Path, public: Path) -> Path:
    """A signed release."""
    folder = write(release(), tmp_path / "release")
    sign(SignRequest(folder, public.with_name("good.key")))
    return folder


def resign(folder: Path) -> None:
    """Sign the release's root again, by hand, whatever it says."""
    (folder / SIGNATURE).unlink()
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / SIGNATURE).write_bytes(signed(files))


def refused(path: Path, public: Path, **wanted: Any) -> str:
    with pytest.raises(edgekit.Refused) as caught:
        verify(VerifyRequest(path, public_key=public, **wanted))
    return caught.value.reason


def test_a_release_is_verified_with_all_that_is_in_it(whole: Path, public: Path, invoke: Invoke) -> None:
    result = invoke("verify", whole, "--public-key", public, "--json")
    content = json.loads(result.stdout)
    assert content["accepted"] is True
    assert [one["path"] for one in content["bundles"]] == [str(whole / name) for name in ("web", *ARCHIVES)]
    assert {one["key"] for one in (content, *content["bundles"])} == {content["key"]}
    shown = invoke("verify", whole, "--public-key", public, "--quiet")
    assert shown.exit_code == 0
    for word in (NAME, VERSION, SPACE, content["key"][:16], self_test.NO_GOLDEN, *ARCHIVES):
        assert word in shown.stdout


def test_nothing_is_asked_of_a_network(whole: Path, public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    sign(SignRequest(whole, public.with_name("good.key")))
    assert verify(VerifyRequest(whole, public_key=public)).kind == "release"


def test_any_of_several_keys_may_have_signed(whole: Path, public: Path) -> None:
    both = [public.with_name("other.pub"), public]
    assert verify(VerifyRequest(whole, public_key=both)).name == NAME
    assert refused(whole, both[0]) == "wrong-key"


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a file of a bundle": ("file-changed", lambda r: (r / "web/MODEL_CARD.md").write_text("changed")),
    "an archive": ("file-changed", lambda r: (r / ARCHIVES[0]).write_bytes((r / ARCHIVES[0]).read_bytes() + b"\0")),
    "a bundle's signature": ("file-changed", lambda r: (r / "web" / SIGNATURE).write_bytes(signed(bundle()))),
    "an archive's signature is gone": ("file-missing", lambda r: (r / f"{ARCHIVES[0]}.sig").unlink()),
    "a bundle is gone": ("file-missing", lambda r: shutil.rmtree(r / "web")),
    "a bundle is added": ("file-extra", lambda r: shutil.copytree(r / "web", r / "other")),
    "the index": ("file-changed", lambda r: (r / RELEASE).write_text((r / RELEASE).read_text() + "\n")),
    "the index is gone": ("file-missing", lambda r: (r / RELEASE).unlink()),
    "unsigned": ("unsigned", lambda r: (r / SIGNATURE).unlink()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_release_that_was_changed_is_refused(change: str, whole: Path, public: Path) -> None:
    reason, act = CHANGES[change]
    act(whole)
    assert refused(whole, public) == reason


def test_an_index_of_another_signed_release_is_refused(whole: Path, public: Path, tmp_path: Path) -> None:
    other = write(release(version="2.0.0"), tmp_path / "other")
    (other / SIGNATURE).touch()
    resign(other)
    (whole / RELEASE).write_bytes((other / RELEASE).read_bytes())
    assert refused(whole, public) == "file-changed"
    (whole / SIGNATURE).write_bytes((other / SIGNATURE).read_bytes())
    assert refused(whole, public) == "file-extra"  # the signatures of bundles, which the other lacks


def _index(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        content = json.loads((folder / RELEASE).read_text())
        change(content)
        (folder / RELEASE).write_text(json.dumps(content))

    return act


SIGNED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "another bundle.json": ("wrong-index", _index(lambda c: c["bundles"][0].update(sha256="0" * 64))),
    "another archive": ("wrong-index", _index(lambda c: c["bundles"][1].update(sha256="0" * 64))),
    "a bundle that is not there": ("schema", _index(lambda c: c["bundles"][0].update(path="ios"))),
    "another version": ("wrong-index", _index(lambda c: c.update(version="2.0.0"))),
    "another name": ("wrong-index", _index(lambda c: c.update(name="other"))),
    "another kind": ("wrong-index", _index(lambda c: c["bundles"][0].update(kind="ios"))),
    "another licence": ("wrong-index", _index(lambda c: c.update(license="CC0-1.0"))),
    "another advice": ("wrong-index", _index(lambda c: c.update(update="nothing to do"))),
    "another release before": ("wrong-index", _index(lambda c: c.update(previous={"version": "1.0.0", "space": "s"}))),
    "a bundle twice": ("schema", _index(lambda c: c["bundles"].append(c["bundles"][0]))),
    "a file twice": ("schema", _index(lambda c: c["files"].append(c["files"][0]))),
    "another size": ("schema", _index(lambda c: c["files"][0].update(bytes=1))),
    "a file called a signature": ("schema", lambda r: (r / "CHANGELOG.md.sig").write_text("more")),
    "a signature in a folder that is no bundle": (
        "schema",
        lambda r: write({SIGNATURE: b"more"}, r / "more"),
    ),
    "another space": ("wrong-index", _index(lambda c: c.update(space="other/1"))),
    "one file less": ("schema", _index(lambda c: c["files"].pop())),
    "another hash": ("schema", _index(lambda c: c["files"][0].update(sha256="0" * 64))),
    "no schema": ("schema", _index(lambda c: c.pop("schema"))),
    "a bundle whose signature is gone": ("unsigned", lambda r: (r / "web" / SIGNATURE).unlink()),
    "an archive whose signature is gone": ("unsigned", lambda r: (r / f"{ARCHIVES[1]}.sig").unlink()),
    "a bundle that another key signed": (
        "wrong-key",
        lambda r: (r / "web" / SIGNATURE).write_bytes(signed(bundle(), "other")),
    ),
}


@pytest.mark.parametrize("change", SIGNED)
def test_a_release_that_was_signed_with_a_fault_is_refused(change: str, whole: Path, public: Path) -> None:
    reason, act = SIGNED[change]
    act(whole)
    resign(whole)
    assert refused(whole, public) == reason


def test_what_is_expected_of_a_release(whole: Path, public: Path) -> None:
    assert verify(VerifyRequest(whole, public_key=public, name=NAME, minimum_version=VERSION, space=SPACE)).version
    assert refused(whole, public, name="other") == "wrong-name"
    assert refused(whole, public, minimum_version="1.10.0") == "downgraded"
    assert refused(whole, public, space="other/1") == "wrong-space"


def test_unsigned_content_is_accepted_where_that_is_asked_for(tmp_path: Path, public: Path, invoke: Invoke) -> None:
    folder = write(release(), tmp_path / "release")
    result = verify(VerifyRequest(folder, allow_unsigned=True))
    assert {one.key for one in (result, *result.bundles)} == {UNSIGNED}
    assert UNSIGNED in invoke("verify", folder, "--allow-unsigned").stdout
    one_line(invoke("verify", folder, "--public-key", public), 7, "unsigned")
    (folder / "web/MODEL_CARD.md").write_text("changed")
    with pytest.raises(edgekit.Refused, match="schema"):
        verify(VerifyRequest(folder, allow_unsigned=True))
    (folder / SIGNATURE).write_text("{}")
    with pytest.raises(edgekit.Refused, match="signature-damaged"):
        verify(VerifyRequest(folder, public_key=public, allow_unsigned=True))
    (folder / SIGNATURE).write_bytes(signed(bundle()))
    with pytest.raises(UsageError, match="public_key"):
        verify(VerifyRequest(folder, allow_unsigned=True))


def test_a_signature_may_lie_elsewhere(tmp_path: Path, public: Path) -> None:
    content = craft.zipped(bundle()).build()
    write({"a.zip": content, "kept/a.signature": signed(content)}, tmp_path)
    assert refused(tmp_path / "a.zip", public) == "unsigned"
    request = VerifyRequest(tmp_path / "a.zip", public_key=public, signature=tmp_path / "kept/a.signature")
    assert verify(request).kind == "archive"


def test_what_is_refused_is_said_to_machines_too(whole: Path, public: Path, invoke: Invoke) -> None:
    (whole / "web/MODEL_CARD.md").write_text("changed")
    result = invoke("verify", whole, "--public-key", public, "--json")
    one_line(result, 7, "file-changed", "web/MODEL_CARD.md")
    content = json.loads(result.stdout)
    assert (content["accepted"], content["reason"]) == (False, "file-changed")


def test_an_archives_fault_names_the_archive(tmp_path: Path, public: Path) -> None:
    files = craft.relisted(bundle() | {"bom.cdx.json": b"{}"})
    content = craft.zipped(files).build()
    write({"a.zip": content, "a.zip.sig": signed(content)}, tmp_path)
    with pytest.raises(edgekit.Refused, match=f"{tmp_path}/a.zip/bom.cdx.json: schema"):
        verify(VerifyRequest(tmp_path / "a.zip", public_key=public))


def test_what_a_request_cannot_mean(tmp_path: Path, public: Path) -> None:
    for keys, roots in (((), ()), (public, public)):
        with pytest.raises(UsageError) as caught:
            VerifyRequest(tmp_path, public_key=keys, certificate_roots=roots)
        assert caught.value.field == "public_key"
    for version in ("1", "1.2", "v1.2.3", "1.2.3-rc", "9999999999.0.0", "1.2.3\n"):
        with pytest.raises(UsageError) as caught:
            VerifyRequest(tmp_path, public_key=public, minimum_version=version)
        assert caught.value.field == "minimum_version"
    for path in (tmp_path, tmp_path / "missing", public):
        with pytest.raises(InputError):
            verify(VerifyRequest(path, public_key=public))


def certificate(subject: str, issuer: str, *, signs: bool = True, authority: bool = False) -> bytes:
    """A certificate in PEM of the key of one name, signed by that of another."""
    name, above = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (subject, issuer))
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(above)
        .public_key(key(subject).public_key())
        .serial_number(7 + len(subject))
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=signs, key_cert_sign=authority, crl_sign=False, encipher_only=False,
                          decipher_only=False, **usage),
            critical=True,
        )
        .sign(key(issuer), hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM)


def test_a_certificate_signs_where_its_root_is_trusted(tmp_path: Path, public: Path) -> None:
    files = {
        "root.pem": certificate("root", "root", authority=True),
        "stranger.pem": certificate("stranger", "stranger", authority=True),
        "middle.pem": certificate("middle", "root", authority=True),
        "leaf.pem": certificate("good", "middle"),
        "mute.pem": certificate("good", "middle", signs=False),
    }
    place = write(files, tmp_path / "certificates")
    folder = write(bundle(), tmp_path / "bundle")

    def request(name: str) -> SignRequest:
        return SignRequest(folder, public.with_name("good.key"), None, place / name, place / "middle.pem")

    def reason(root: str) -> str:
        with pytest.raises(edgekit.Refused) as caught:
            verify(VerifyRequest(folder, certificate_roots=place / root))
        return caught.value.reason

    (place / "direct.pem").write_bytes(certificate("good", "root"))
    sign(SignRequest(folder, public.with_name("good.key"), None, place / "direct.pem"))  # of the root itself
    assert verify(VerifyRequest(folder, certificate_roots=place / "root.pem")).name == NAME
    (place / "locked.key").write_bytes(craft.private_pem(password=b"x"))
    with pytest.raises(UsageError, match="without a password alone"):
        sign(SignRequest(folder, place / "locked.key", "x", place / "leaf.pem", place / "middle.pem"))
    sign(request("leaf.pem"))
    trusted = verify(VerifyRequest(folder, certificate_roots=place / "root.pem"))
    assert trusted.key == verify(VerifyRequest(folder, public_key=public)).key
    assert reason("stranger.pem") == "certificate-refused"
    (folder / "MODEL_CARD.md").write_text("changed")
    assert reason("root.pem") == "file-changed"
    write(bundle(), folder)
    content = json.loads((folder / SIGNATURE).read_text())
    chain = content["verificationMaterial"]["x509CertificateChain"]["certificates"]
    (folder / SIGNATURE).write_text(json.dumps(content | {"verificationMaterial": {}}))
    assert reason("root.pem") == "certificate-refused"
    chain[0]["rawBytes"] = "AAAA"
    (folder / SIGNATURE).write_text(json.dumps(content))
    assert reason("root.pem") == "certificate-refused"
    sign(request("mute.pem"))
    assert reason("root.pem") == "certificate-refused"
    (folder / SIGNATURE).write_bytes(signed(bundle()))
    assert reason("root.pem") == "certificate-refused"
    with pytest.raises(InputError, match="certificate"):
        verify(VerifyRequest(folder, certificate_roots=public))


@pytest.fixture(scope="module")
def real(tower_file: Path, tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Files:
    """A bundle with a real model and its golden vectors."""
    place = tmp_path_factory.mktemp("golden")
    photos = place / "photos"
    assert invoke("catalog", photos, "--listings", 1, "--photos", 1, "--size", 80).exit_code == 0
    made = invoke("golden", tower_file.parent, photos, "--out", place / "golden")
    assert made.exit_code == 0, made.output
    files = bundle()
    about = json.loads(files[BUNDLE])
    about["artifacts"] = [_artifact(tower_file, "catalog").model_dump()]
    about["space"] = read_manifest(tower_file.parent).embedding.space
    for name in [name for name in files if name.startswith(("catalog/", "golden/"))]:
        del files[name]
    for top, folder in (("catalog", tower_file.parent), ("golden/catalog", place / "golden")):
        files |= {f"{top}/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return craft.relisted(files | {BUNDLE: json.dumps(about).encode()})


def _artifact(model: Path, folder: str) -> BundledArtifact:
    manifest = read_manifest(model.parent)
    return BundledArtifact(
        folder=folder,
        target=manifest.target.name,
        format=manifest.target.format,
        precision=manifest.precision,
        bytes=model.stat().st_size,
        manifest_sha256=sha256_file(model.parent / "manifest.json"),
        parity=[ParityFigure(obtained="host", verdict="pass")],
        golden=f"golden/{folder}",
    )


def put(files: Files, folder: Path) -> Path:
    write(files | {SIGNATURE: signed(files)}, folder)
    return folder


def test_a_model_gives_its_golden_vectors(real: Files, public: Path, tmp_path: Path) -> None:
    folder = put(real, tmp_path / "bundle")
    result = verify(VerifyRequest(folder, public_key=public))
    assert result.self_test["catalog"].startswith(self_test.PASSED)
    assert verify(VerifyRequest(folder, public_key=public, self_test=False)).self_test == {}


def test_a_model_that_gives_other_vectors_is_refused(real: Files, public: Path, tmp_path: Path) -> None:
    due = np.frombuffer(real["golden/catalog/golden.bin"], "<f4")
    about = json.loads(real["golden/catalog/golden.json"])
    about["embeddings_sha256"] = craft.entry("x", (-due).tobytes()).sha256
    files = {"golden/catalog/golden.bin": (-due).tobytes(), "golden/catalog/golden.json": json.dumps(about).encode()}
    assert refused(put(craft.relisted(real | files), tmp_path / "bundle"), public) == "self-test-failed"


def test_damaged_golden_vectors_are_refused(real: Files, public: Path, tmp_path: Path) -> None:
    cut = craft.relisted(real | {"golden/catalog/golden.bin": b""})
    assert refused(put(cut, tmp_path / "cut"), public) == "self-test-failed"
    none = craft.relisted(real | {"golden/catalog/golden.json": b"{}"})
    assert refused(put(none, tmp_path / "none"), public) == "schema"


def test_without_a_runtime_the_rest_is_verified(
    real: Files, public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> NoReturn:
        raise MissingDependencyError("onnxruntime is not installed")

    monkeypatch.setattr("edgekit.artifact.open.open_artifact", missing)
    result = verify(VerifyRequest(put(real, tmp_path / "bundle"), public_key=public))
    assert result.self_test["catalog"].startswith(self_test.NO_RUNTIME)


def packed(real: Files, **changes: bytes) -> Files:
    """The bundle, with its artifact and golden vectors in an archive of it, as an AAR has them."""
    inside = {name: content for name, content in real.items() if name.startswith(("catalog/", "golden/"))}
    files = {name: content for name, content in real.items() if name not in inside}
    inside |= {"AndroidManifest.xml": b"<manifest/>", **changes}
    members = tuple(craft.Member(name.encode(), inside[name]) for name in sorted(inside))
    about = json.loads(files[BUNDLE])
    about["artifacts"][0]["container"] = "maven/a.aar"
    return craft.relisted(files | {"maven/a.aar": craft.Zip(members).build(), BUNDLE: json.dumps(about).encode()})


def test_an_artifact_in_an_archive_of_the_bundle_is_tested_too(real: Files, public: Path, tmp_path: Path) -> None:
    folder = put(packed(real), tmp_path / "bundle")
    before = sorted(tmp_path.rglob("*"))
    result = verify(VerifyRequest(folder, public_key=public))
    assert result.self_test["catalog"].startswith(self_test.PASSED)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_wrong_in_an_archive_of_the_bundle_names_it(real: Files, public: Path, tmp_path: Path) -> None:
    folder = put(packed(real, **{"catalog/manifest.json": b"{}"}), tmp_path / "other")
    with pytest.raises(edgekit.Refused, match=r"other/maven/a\.aar/catalog/manifest\.json: schema"):
        verify(VerifyRequest(folder, public_key=public))
    cut = packed(real)
    cut = craft.relisted(cut | {"maven/a.aar": cut["maven/a.aar"][:-30]})
    assert refused(put(cut, tmp_path / "cut"), public) == "truncated"
    gone = craft.relisted({name: content for name, content in packed(real).items() if name != "maven/a.aar"})
    assert refused(put(gone, tmp_path / "gone"), public) == "schema"
