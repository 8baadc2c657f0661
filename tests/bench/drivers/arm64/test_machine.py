"""The emulated machine is made whole or not at all, is told from a changed one, and says what it lacks."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from edgekit.bench.drivers.arm64 import machine, wheels
from edgekit.bench.drivers.arm64.build import digest_of_sources
from edgekit.bench.drivers.arm64.machine import INSTALL, open_machine, set_up
from edgekit.errors import DeviceError, IntegrityError, MissingDependencyError
from tests.bench.drivers.arm64.conftest import program
from tests.conftest import Invoke, one_line, tree


def test_it_is_made_once_and_holds_what_it_says(stand_in: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="run `edgekit setup arm64`"):
        open_machine()
    made = set_up()
    assert made == open_machine()
    assert made.versions == {"onnx": version("onnxruntime"), "litert": version("ai-edge-litert")}
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    assert set_up() == made and before == {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    for name in ("onnx", "litert"):
        assert made.library(name).is_file()
    with pytest.raises(MissingDependencyError, match="no runtime for executorch"):
        made.library("executorch")
    done = subprocess.run([*made.prefix, str(made.runner), "--help"], capture_output=True, text=True, check=True)
    assert "--format onnx|litert|executorch" in done.stdout
    features = (made.folder / "proc/cpuinfo").read_text()
    assert features.count("asimddp") == features.count("processor") > 1
    assert [path.name for path in made.folder.parent.iterdir()] == [made.folder.name]


@pytest.mark.parametrize("change", ["other", "missing", "more", "sums"])
def test_a_changed_machine_is_refused_and_made_anew(stand_in: Path, change: str) -> None:
    made = set_up()
    before = tree(made.folder)
    library = made.library("onnx")
    if change == "other":
        library.write_bytes(b"other")
    elif change == "missing":
        library.unlink()
    elif change == "more":
        (made.folder / "lib/more.so").write_bytes(b"more")
    else:
        (made.folder / "SHA256SUMS").write_bytes(b"\xff")
    with pytest.raises(IntegrityError, match="not what was set up"):
        open_machine()
    assert tree(set_up().folder) == before


def test_nothing_is_left_where_it_fails(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(wheel: wheels.Wheel, folder: Path) -> Path:
        raise MissingDependencyError("no such wheel")

    with monkeypatch.context() as patch:
        patch.setattr(wheels, "fetch", absent)
        with pytest.raises(MissingDependencyError, match="no such wheel"):
            set_up()
    program(stand_in, "qemu-aarch64-static", "echo 'Exec format error' >&2; exit 126")
    with pytest.raises(DeviceError, match=r"does not start.*Exec format error"):
        set_up()
    program(stand_in, "aarch64-linux-gnu-gcc", "echo 'main.c:1: error: no' >&2; exit 1")
    with pytest.raises(MissingDependencyError):
        set_up()
    assert not list((tmp_path / "cache").rglob("*.so*"))


@pytest.mark.parametrize("name", ["qemu-aarch64-static", "aarch64-linux-gnu-g++"])
def test_what_is_missing_is_told_with_what_to_install(stand_in: Path, invoke: Invoke, name: str) -> None:
    (stand_in / name).unlink()
    one_line(invoke("setup", "arm64"), 9, name, INSTALL)


def test_another_version_of_a_runtime_is_another_machine(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = set_up()
    monkeypatch.setattr(wheels.Wheel, "version", "1.2.3")
    with pytest.raises(MissingDependencyError, match=r"onnxruntime 1\.2\.3"):
        open_machine()
    monkeypatch.undo()
    assert made.folder.is_dir()
    assert len(digest_of_sources()) == 64 and machine.CPU == "neoverse-n1"


def test_the_command(stand_in: Path, invoke: Invoke) -> None:
    result = invoke("setup", "arm64", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["runtimes"] == dict(open_machine().versions) and Path(told["folder"]).is_dir()
    assert "Runtimes for arm64" in invoke("setup", "arm64").stdout
