"""ONNX Runtime Web is the pinned package to the last bit, or one line says what to do."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from edgekit.errors import InputError, IntegrityError, MissingDependencyError, OutputError
from edgekit.support.progress import Silent
from edgekit.web import runtime
from edgekit.web.runtime import FILES, PACKAGE, runtime_files
from tests.conftest import tree


def test_only_named_files_are_taken_out_and_kept(small_runtime: Path, tmp_path: Path) -> None:
    folder = runtime_files(small_runtime, Silent())
    assert folder.is_relative_to(tmp_path / "cache")
    assert set(tree(tmp_path / "cache")) == {f"edgekit/{folder.name}/{file.name}" for file in FILES}
    assert not (tmp_path / "outside").exists()
    small_runtime.unlink()
    assert runtime_files(None, Silent()) == folder  # from the cache: nothing is fetched


def test_a_damaged_cache_is_filled_again(small_runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = runtime_files(small_runtime, Silent())
    (folder / FILES[0].name).write_text("something else")
    assert runtime_files(small_runtime, Silent()) == folder
    assert (folder / FILES[0].name).read_text() == f"// {FILES[0].name}"
    (folder / FILES[0].name).write_text("something else")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError):
        runtime_files(None, Silent())


@pytest.mark.parametrize("below", ["", "dist", "package/dist"])
def test_a_folder_is_taken_as_it_is(small_runtime: Path, tmp_path: Path, below: str) -> None:
    unpacked = runtime_files(small_runtime, Silent())
    given = tmp_path / "given"
    shutil.copytree(unpacked, given / below)
    assert runtime_files(given, Silent()) == given / below
    (given / below / FILES[2].name).write_text("x" * (given / below / FILES[2].name).stat().st_size)
    with pytest.raises(IntegrityError, match=re.escape(f"not the file of {PACKAGE}")):
        runtime_files(given, Silent())


def test_another_package_is_refused_before_it_is_parsed(
    small_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.tgz"
    other.write_bytes(small_runtime.read_bytes() + b"\0")
    monkeypatch.setattr(tarfile, "open", lambda *_args, **_more: pytest.fail("it was parsed"))
    with pytest.raises(IntegrityError, match="is not onnxruntime-web@"):
        runtime_files(other, Silent())
    assert not (tmp_path / "cache" / "edgekit" / f"onnxruntime-web-{runtime.VERSION}").exists()


def test_what_is_no_package_is_refused(small_runtime: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tgz")  # nobody writes to it: reading it would never end
    for given, words in (
        (tmp_path / "none.tgz", "no such file"),
        (tmp_path / "pipe.tgz", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path, f"holds no {FILES[0].name}"),
    ):
        with pytest.raises(InputError, match=words):
            runtime_files(given, Silent())


def test_a_file_of_any_size_is_refused_without_being_read(small_runtime: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.tgz"
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)  # sparse
    with pytest.raises(IntegrityError, match="is not onnxruntime-web@"):
        runtime_files(huge, Silent())


def test_a_cache_that_cannot_be_written_is_one_line_on_the_cache(
    small_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set XDG_CACHE_HOME to a folder that can be written") as caught:
        runtime_files(small_runtime, Silent())
    assert caught.value.field == "runtime"
    assert "`out`" not in str(caught.value) and "\n" not in str(caught.value)


def test_without_npm_or_network_it_says_what_to_do(
    small_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = f"`npm pack {PACKAGE}`"
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(MissingDependencyError, match=r"not installed: install Node\.js, or run") as caught:
        runtime_files(None, Silent())
    assert advice in str(caught.value)
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho npm error network is unreachable >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(MissingDependencyError, match="network is unreachable") as caught:
        runtime_files(None, Silent())
    assert advice in str(caught.value)
    npm.write_text(f"#!/bin/sh\ncp '{small_runtime}' onnxruntime-web.tgz\n".replace("cp", shutil.which("cp") or "cp"))
    monkeypatch.setenv("PATH", f"{npm.parent}:/bin:/usr/bin")
    assert set(tree(runtime_files(None, Silent()))) == {file.name for file in FILES}


@pytest.mark.toolchain
def test_npm_gives_the_pinned_package(runtime: Path) -> None:
    assert {path.name: path.stat().st_size for path in runtime.iterdir()} == {file.name: file.bytes for file in FILES}
