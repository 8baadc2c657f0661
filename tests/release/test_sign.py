"""Signing, and what is not signed; the keys it takes, and what becomes of them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

import edgekit
from edgekit.errors import InputError, OutputError, ParityError, UsageError
from edgekit.release.bundle import BUNDLE, RELEASE, SIGNATURE
from edgekit.release.keys import PASSWORD, load_public
from edgekit.release.sign import SignRequest, sign
from edgekit.release.verify import VerifyRequest, verify
from tests.conftest import Invoke, one_line, tree
from tests.release import craft
from tests.release.craft import bundle, pem, private_pem, release, write, zipped

SECRET = "correct horse"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder of keys: good and other, locked (the good one under a password), and one on another curve."""
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    for name in ("good", "other"):
        (folder / f"{name}.pub").write_bytes(pem(name))
        (folder / f"{name}.key").write_bytes(private_pem(name))
    (folder / "locked.key").write_bytes(private_pem(password=SECRET.encode()))
    (folder / "curve.key").write_bytes(private_pem("third", ec.SECP384R1))
    (folder / "curve.pub").write_bytes(pem("third", ec.SECP384R1))
    for path in folder.iterdir():
        path.chmod(0o600)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(bundle(), tmp_path / "bundle")


def accepted(path: Path, keys: Path) -> str:
    return verify(VerifyRequest(path, public_key=keys / "good.pub")).key


def test_a_bundle_is_signed_and_signed_again(folder: Path, keys: Path) -> None:
    signed = sign(SignRequest(folder, keys / "good.key"))
    assert signed.signatures == {str(folder / SIGNATURE): len(bundle())}
    assert accepted(folder, keys) == signed.key == load_public(keys / "good.pub").fingerprint
    sign(SignRequest(folder, keys / "other.key"))
    assert verify(VerifyRequest(folder, public_key=keys / "other.pub")).key != signed.key
    assert tree(folder).keys() == bundle().keys() | {SIGNATURE}


@pytest.mark.parametrize("form", ["zip", "tgz", "tar.zst"])
def test_an_archive_is_signed_beside_it(form: str, keys: Path, tmp_path: Path) -> None:
    archive = tmp_path / f"a.{form}"
    content = zipped(bundle()).build() if form == "zip" else craft.tar(bundle(), form).build()
    archive.write_bytes(content)
    assert sign(SignRequest(archive, keys / "good.key")).signatures == {f"{archive}.sig": 1}
    assert accepted(archive, keys)
    assert archive.read_bytes() == content


def test_a_bundle_signed_alone_in_a_signed_release_tells_that_the_whole_must_be(
    keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(release(), tmp_path / "release")
    sign(SignRequest(folder, keys / "good.key"))
    assert "holds no longer" not in capsys.readouterr().err
    bundle_of = next(path.parent for path in sorted(folder.glob(f"*/{BUNDLE}")))
    sign(SignRequest(bundle_of, keys / "good.key"))
    assert f"{folder}: its own signature holds no longer" in capsys.readouterr().err


def test_of_a_release_each_bundle_is_signed_and_then_the_whole(keys: Path, tmp_path: Path) -> None:
    folder = write(release(), tmp_path / "release")
    signed = sign(SignRequest(folder, keys / "good.key"))
    names = [Path(path).relative_to(folder).as_posix() for path in signed.signatures]
    archives = [f"{craft.NAME}-{craft.VERSION}.{form}.sig" for form in ("zip", "tgz", "tar.zst")]
    assert names == ["web/model.sig", *archives, "model.sig"]
    result = verify(VerifyRequest(folder, public_key=keys / "good.pub"))
    assert (result.kind, [one.kind for one in result.bundles]) == ("release", ["bundle", *["archive"] * 3])
    assert accepted(folder / "web", keys)
    sign(SignRequest(folder, keys / "good.key"))
    assert accepted(folder, keys)


def test_what_git_would_ignore_is_signed_as_well(keys: Path, tmp_path: Path) -> None:
    files = craft.relisted(bundle() | {".gitignore": b"*.bin\n", ".github/workflow.yml": b"on: push\n"})
    folder = write(files, tmp_path / "bundle")
    assert list(sign(SignRequest(folder, keys / "good.key")).signatures.values()) == [len(files)]
    assert accepted(folder, keys)


def test_a_key_under_a_password(folder: Path, keys: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = keys / "locked.key"
    monkeypatch.delenv(PASSWORD, raising=False)
    one_line(invoke("sign", folder, "--private-key", locked), 2, "--password-file", PASSWORD)
    (keys / "wrong").write_text("wrong\n")
    one_line(invoke("sign", folder, "--private-key", locked, "--password-file", keys / "wrong"), 2, "password")
    assert not (folder / SIGNATURE).exists()
    (keys / "right").write_text(f"{SECRET}\n")
    assert invoke("sign", folder, "--private-key", locked, "--password-file", keys / "right").exit_code == 0
    assert accepted(folder, keys)
    (folder / SIGNATURE).unlink()
    monkeypatch.setenv(PASSWORD, "")
    one_line(invoke("sign", folder, "--private-key", locked), 2, "--password-file", PASSWORD)
    monkeypatch.setenv(PASSWORD, SECRET)
    assert invoke("sign", folder, "--private-key", keys / "good.key").exit_code == 0  # which has none
    assert accepted(folder, keys)
    result = invoke("sign", folder, "--private-key", locked, "--json")
    assert json.loads(result.stdout)["signatures"] == {str(folder / SIGNATURE): len(bundle())}
    assert SECRET not in result.output
    assert accepted(folder, keys)


def test_no_byte_of_a_key_is_left_anywhere(folder: Path, keys: Path, invoke: Invoke, tmp_path: Path) -> None:
    inside = private_pem().decode().splitlines()[1]
    result = invoke("sign", folder, "--private-key", keys / "good.key")
    assert result.exit_code == 0
    written = {path: text for path, text in tree(tmp_path).items() if not path.startswith("keys/")}
    assert inside not in result.output
    assert all(inside.encode() not in text and b"PRIVATE" not in text for text in written.values())


def test_keys_that_are_none(folder: Path, keys: Path, invoke: Invoke) -> None:
    (keys / "text.key").write_text("no key\n")
    (keys / "large.key").write_bytes(bytes(1 << 17))
    os.mkfifo(keys / "pipe.key")
    for name, code, words in (
        ("good.pub", 3, "no private key"),
        ("text.key", 3, "no private key"),
        ("large.key", 3, "KiB"),
        ("pipe.key", 3, "regular"),
        ("missing.key", 3, "cannot be read"),
        ("curve.key", 2, "P-256"),
    ):
        one_line(invoke("sign", folder, "--private-key", keys / name), code, words)
    for name, code, words in (
        ("good.key", 2, "private key"),
        ("text.key", 3, "no public key"),
        ("curve.pub", 2, "P-256"),
    ):
        one_line(invoke("verify", folder, "--public-key", keys / name), code, words)
    assert not (folder / SIGNATURE).exists()


def test_a_key_that_others_may_read_gives_a_warning(folder: Path, keys: Path, invoke: Invoke) -> None:
    assert "chmod" not in invoke("sign", folder, "--private-key", keys / "good.key", "--quiet").stderr
    (keys / "good.key").chmod(0o644)
    assert "chmod 600" in invoke("sign", folder, "--private-key", keys / "good.key", "--quiet").stderr


def test_what_does_not_hold_is_not_signed(folder: Path, keys: Path, tmp_path: Path) -> None:
    request = SignRequest(folder, keys / "good.key")
    (folder / "extra").write_text("unlisted")
    with pytest.raises(edgekit.Refused, match="schema") as caught:
        sign(request)
    assert caught.value.reason == "schema"
    (folder / "extra").unlink()
    (folder / "catalog/model.onnx").write_bytes(b"another")
    with pytest.raises(edgekit.Refused, match=r"catalog/model\.onnx"):
        sign(request)
    (folder / BUNDLE).unlink()
    with pytest.raises(InputError, match="package"):
        sign(request)
    with pytest.raises(InputError, match="archive"):
        sign(SignRequest(tmp_path / "missing.zip", keys / "good.key"))
    assert not (folder / SIGNATURE).exists()


def test_a_release_whose_index_names_another_bundle_is_not_signed(keys: Path, tmp_path: Path) -> None:
    files = release()
    about = json.loads(files[RELEASE])
    about["bundles"][0]["sha256"] = "0" * 64
    folder = write(files | {RELEASE: json.dumps(about).encode()}, tmp_path / "release")
    with pytest.raises(edgekit.Refused) as caught:
        sign(SignRequest(folder, keys / "good.key"))
    assert caught.value.reason == "wrong-index"
    assert not list(folder.rglob("*.sig"))


def test_unverified_artifacts_are_signed_where_that_is_asked_for(keys: Path, tmp_path: Path) -> None:
    folder = write(bundle(verdict="unverified"), tmp_path / "bundle")
    with pytest.raises(ParityError, match="unverified") as caught:
        sign(SignRequest(folder, keys / "good.key"))
    assert caught.value.field == "allow_unverified"
    sign(SignRequest(folder, keys / "good.key", allow_unverified=True))
    assert accepted(folder, keys)


def test_a_file_of_several_public_keys_is_refused(keys: Path) -> None:
    """Only the first of them would count."""
    (keys / "both.pub").write_bytes((keys / "other.pub").read_bytes() + (keys / "good.pub").read_bytes())
    with pytest.raises(UsageError, match="several keys"):
        load_public(keys / "both.pub")


def test_what_a_request_cannot_mean(folder: Path, keys: Path) -> None:
    with pytest.raises(UsageError, match="certificate"):
        SignRequest(folder, keys / "good.key", certificate_chain=keys / "good.pub")


def test_a_signature_that_cannot_be_written_is_one_line(folder: Path, keys: Path, invoke: Invoke) -> None:
    (folder / SIGNATURE / "inside").mkdir(parents=True)
    before = tree(folder)
    one_line(invoke("sign", folder, "--private-key", keys / "good.key"), 8, SIGNATURE)
    assert tree(folder) == before


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
def test_a_disk_that_takes_no_signature_is_named(
    code: int, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_signing import signing

    def unwritable(*_: object) -> None:
        raise OSError(code, os.strerror(code), "signature")

    monkeypatch.setattr(signing.Config, "sign", unwritable)
    folder = write(bundle(), tmp_path / "bundle")
    with pytest.raises(OutputError, match="signature cannot be written"):
        sign(SignRequest(folder, keys / "good.key"))
    assert not (folder / SIGNATURE).exists()
