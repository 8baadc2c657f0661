"""Libraries out of wheels: what pip gives is checked again, and damaged or foreign wheels are refused in one line."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bench.drivers.arm64 import wheels
from edgekit.bench.drivers.arm64.wheels import WHEELS, Wheel, fetch, installed, take
from edgekit.errors import IntegrityError, MissingDependencyError

ORT = WHEELS[0]
LIBRARY = "onnxruntime/capi/libonnxruntime.so.1.2.3"
FILES = {LIBRARY: b"\x7fELF one", "onnxruntime/capi/other.so": b"other", "onnxruntime/__init__.py": b""}


def recorded(files: dict[str, bytes]) -> bytes:
    rows = []
    for name, content in files.items():
        digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join([*rows, "x-1.dist-info/RECORD,,"]).encode()


def wheel_of(path: Path, files: dict[str, bytes], record: bytes | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("x-1.dist-info/RECORD", recorded(files) if record is None else record)
    return path


def test_what_a_runtime_needs_is_taken_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert take(ORT, wheel_of(tmp_path / "a.whl", FILES), out) == ["libonnxruntime.so"]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"libonnxruntime.so": FILES[LIBRARY]}


def test_the_installed_executorch_has_what_is_taken_of_its_arm64_wheel() -> None:
    import re
    from importlib.metadata import files

    names = {str(path) for path in files("executorch") or ()}
    (row,) = (wheel for wheel in WHEELS if wheel.format == "executorch")
    taken = {match["name"] for name in names if (match := re.fullmatch(row.members, name))}
    kinds = ("", "_backend_xnnpack", "_kernels_optimized", "_kernels_quantized", "_threadpool")
    assert taken == {f"libexecutorch{kind}.so" for kind in kinds}


@pytest.mark.parametrize(
    ("files", "record", "told"),
    [
        ({"onnxruntime/__init__.py": b""}, None, "has no file"),
        ({**FILES, LIBRARY + ".4": b"two"}, None, "has two files"),
        (FILES, b"", "is not what the wheel's RECORD says"),
        (FILES, recorded({**FILES, LIBRARY: b"\x7fELF two"}), "is not what the wheel's RECORD says"),
        (FILES, b"\xff\xfe", "is no whole wheel"),
    ],
)
def test_wheels_that_are_refused(tmp_path: Path, files: dict[str, bytes], record: bytes | None, told: str) -> None:
    with pytest.raises(IntegrityError, match=told):
        take(ORT, wheel_of(tmp_path / "a.whl", files, record), tmp_path)


def test_a_wheel_without_a_record(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(LIBRARY, b"one")
    with pytest.raises(IntegrityError, match=r"a\.whl: is no whole wheel"):
        take(ORT, path, tmp_path)


@given(st.data())
def test_damaged_wheels_give_the_same_bytes_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = wheel_of(folder / "a.whl", FILES)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        (name,) = take(ORT, path, folder)
    except IntegrityError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert (folder / name).read_bytes() == FILES[LIBRARY]


def pip(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """A program in the place of Python that is asked to run pip; its arguments go into the file that is returned."""
    program, asked = folder / "python", folder / "asked"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{asked}"\n{body}\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return asked


def test_pip_is_asked_for_the_installed_version_on_arm64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    asked = pip(tmp_path, monkeypatch, f'echo >"{out}/a.whl"')
    assert fetch(ORT, out) == out / "a.whl"
    words = asked.read_text().split()
    assert words[:3] == ["-m", "pip", "download"] and words[-1] == f"onnxruntime=={ORT.version}"
    assert "--platform=manylinux_2_28_aarch64" in words and "--only-binary=:all:" in words


@pytest.mark.parametrize("body", ["echo 'ERROR: No matching distribution' >&2; exit 1", "exit 0", "exit 3"])
def test_what_pip_cannot_get_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    pip(tmp_path, monkeypatch, body)
    with pytest.raises(MissingDependencyError, match=rf"onnxruntime=={ORT.version} for arm64") as caught:
        fetch(ORT, tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    assert ("No matching distribution" in str(caught.value)) == ("matching" in body)


def test_without_any_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "WHEELS", (Wheel("none", "edgekit-has-no-such-package", "", ""),))
    with pytest.raises(MissingDependencyError, match="pip install edgekit-has-no-such-package"):
        installed()
