"""What EdgeKit signs, model-signing verifies, and the other way round; and what its verifier takes that we refuse."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

import edgekit
from edgekit.release.bundle import SIGNATURE
from edgekit.release.sign import SignRequest, sign
from edgekit.release.verify import VerifyRequest, verify
from tests.release import tampered
from tests.release.cases import put
from tests.release.craft import bundle, pem, private_pem, write, zipped

# What a program of model-signing's own does with a folder or an archive, a signature and a key.
VERIFY = """
import sys
from model_signing import hashing, verifying
subject, signature, key = sys.argv[1:]
everything = hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=False)
verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(everything).verify(subject, signature)
"""
SIGN = """
import sys
from model_signing import hashing, signing
class Offline(signing.Config):
    def use_sigstore_signer(self, **_):
        return self
subject, signature, key = sys.argv[1:]
everything = hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=False)
Offline().use_elliptic_key_signer(private_key=key).set_hashing_config(everything).sign(subject, signature)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Keys, a bundle and an archive, unsigned."""
    write(bundle(), tmp_path / "bundle")
    files = {"good.pub": pem(), "good.key": private_pem(), "a.zip": zipped(bundle()).build()}
    write(files, tmp_path)
    (tmp_path / "good.key").chmod(0o600)
    return tmp_path


def run(python: str, program: str, *args: Path) -> bool:
    done = subprocess.run([python, "-c", program, *map(str, args)], capture_output=True, text=True, check=False)
    return done.returncode == 0


def both_ways(place: Path, python: str) -> None:
    """Sign with one and verify with the other, a folder and an archive; a change is seen by both."""
    public, private = place / "good.pub", place / "good.key"
    for path, signature in (
        (place / "bundle", place / "bundle" / SIGNATURE),
        (place / "a.zip", place / "a.zip.sig"),
    ):
        sign(SignRequest(path, private))
        assert run(python, VERIFY, path, signature, public)
        signature.unlink()
        assert run(python, SIGN, path, signature, private)
        assert verify(VerifyRequest(path, public_key=public)).files == len(bundle())
        changed = path / "MODEL_CARD.md" if path.is_dir() else path
        changed.write_bytes(changed.read_bytes() + b"\0")
        assert not run(python, VERIFY, path, signature, public)
        with pytest.raises(edgekit.Refused, match="file-changed"):
            verify(VerifyRequest(path, public_key=public))


def test_with_the_model_signing_that_is_installed(place: Path) -> None:
    both_ways(place, sys.executable)


def test_model_signing_alone_would_accept_less_strict_forms(tmp_path: Path) -> None:
    (row,) = [row for row in tampered.ROWS if row.name == "signed as before 1.0"]
    path, signature = put(row.make(), tmp_path / "case")
    (tmp_path / "good.pub").write_bytes(pem())
    assert run(sys.executable, VERIFY, path, signature, tmp_path / "good.pub")
    with pytest.raises(edgekit.Refused, match="wrong-key"):
        verify(VerifyRequest(path, public_key=tmp_path / "good.pub"))


@pytest.mark.slow
def test_with_model_signing_1_1(place: Path, tmp_path: Path) -> None:
    """In an environment of its own, for what else EdgeKit uses does not go with it."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "model-signing==1.1.1", "pyOpenSSL"], check=True, timeout=600
    )
    both_ways(place, python)
