"""The page that several tests look at, and the browser that they look with."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import edgekit
from edgekit.support.progress import Silent
from edgekit.web import runtime as runtime_module
from edgekit.web.runtime import runtime_files
from tests.report.browser import Browser, browser
from tests.web.made import write_photos


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 photos of several kinds. Read only."""
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ONNX Runtime Web as npm gives it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return runtime_files(None, Silent())


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, tower_file: Path, photos: Path, runtime: Path) -> Path:
    """The page of the toy tower, not verified. Read only."""
    out = tmp_path_factory.mktemp("demo") / "site"
    edgekit.demo(edgekit.DemoRequest(tower_file, str(photos), out, runtime=runtime, verify=False))
    return out


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, as a visitor's own Python serves it."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        yield f"http://127.0.0.1:{words[words.index('port') + 1]}/"
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    with served(site) as url:
        yield url


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def small_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of npm's form whose files are small; it is taken for the known one in this test."""
    files, package = [], tmp_path / "runtime.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for file in runtime_module.FILES:
            content = f"// {file.name}".encode()
            member = tarfile.TarInfo(f"package/dist/{file.name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            files.append(file._replace(bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
        archive.addfile(tarfile.TarInfo("package/../../outside"))
    monkeypatch.setattr(runtime_module, "FILES", tuple(files))
    monkeypatch.setattr(runtime_module, "_SHA512", hashlib.sha512(package.read_bytes()).digest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return package
