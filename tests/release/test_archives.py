"""Archives: equal bytes for equal files, and readable by those who did not write them."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.release.archives import ARCHIVES, files_of, write_archive, write_tgz, write_zip

CONTENT = {"a.txt": b"one", "b/c.bin": bytes(range(256)) * 1000, "b/empty": b"", "z": b"\0" * 65535}


def _fill(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def _read(path: Path) -> dict[str, bytes]:
    """What independent readers find."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    data = path.read_bytes()
    plain = (
        gzip.decompress(data)
        if path.suffix == ".tgz"
        else zstandard.ZstdDecompressor().decompressobj().decompress(data)
    )
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        found = {}
        for member in archive:
            assert member.isreg() and member.mode == 0o644 and member.mtime == member.uid == member.gid == 0
            assert not member.uname and not member.gname
            inside = archive.extractfile(member)
            assert inside is not None
            found[member.name] = inside.read()
        return found


@pytest.mark.parametrize("form", ARCHIVES)
def test_archive_holds_every_file_below_one_folder(form: str, tmp_path: Path) -> None:
    path = write_archive(form, _fill(tmp_path / "in", CONTENT), tmp_path, "toy", "1.2.3")
    assert path.name == f"toy-1.2.3.{form}"
    top = ARCHIVES[form].top.format(name="toy", version="1.2.3")
    assert _read(path) == {f"{top}/{name}": data for name, data in CONTENT.items()}
    assert list(_read(path)) == sorted(f"{top}/{name}" for name in CONTENT)


@pytest.mark.parametrize("form", ARCHIVES)
def test_bytes_depend_on_nothing_else(form: str, tmp_path: Path) -> None:
    first = write_archive(form, _fill(tmp_path / "one", CONTENT), tmp_path, "toy", "1.0.0").read_bytes()
    turned = _fill(tmp_path / "elsewhere" / "two", dict(reversed(CONTENT.items())))
    for path in turned.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    assert write_archive(form, turned, turned.parent, "toy", "1.0.0").read_bytes() == first


def test_members_of_a_zip_are_stored(tmp_path: Path) -> None:
    path = write_archive("zip", _fill(tmp_path / "in", CONTENT), tmp_path, "toy", "1.0.0")
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            assert member.compress_type == zipfile.ZIP_STORED
            assert member.date_time == (1980, 1, 1, 0, 0, 0)
            assert member.create_system == 3 and not member.extra and not member.flag_bits


@given(sizes=st.lists(st.integers(0, 140_000), min_size=1, max_size=4))
def test_any_size_goes_through_stored_blocks(sizes: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("sizes")
    content = {f"f{at}": os.urandom(size) for at, size in enumerate(sizes)}
    write_tgz(files_of(_fill(folder / "in", content)), folder / "out.tgz")
    assert _read(folder / "out.tgz") == content


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    path = write_archive("tgz", _fill(tmp_path / "in", CONTENT), tmp_path, "toy", "1.0.0")
    subprocess.run(["tar", "xzf", path, "-C", tmp_path], check=True)
    assert {name: (tmp_path / "package" / name).read_bytes() for name in CONTENT} == CONTENT


def test_long_names_fit_a_tar_header(tmp_path: Path) -> None:
    name = "/".join(["x" * 57] * 4)
    path = write_archive("tgz", _fill(tmp_path / "in", {name: b"1"}), tmp_path, "toy", "1.0.0")
    assert _read(path) == {f"package/{name}": b"1"}


def test_links_and_bad_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="symbolic link"):
        files_of(tmp_path / "in")
    (tmp_path / "in" / "link").unlink()
    _fill(tmp_path / "in", {"A": b"", "a": b""})
    with pytest.raises(InputError, match="one name where case does not count"):
        files_of(tmp_path / "in")
    with pytest.raises(InputError, match="stays inside"):
        write_zip({"../a": tmp_path / "in" / "a"}, tmp_path / "out.zip")
