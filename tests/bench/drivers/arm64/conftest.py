"""An "arm64" machine that is this one: programs that stand for qemu and the cross compiler, wheels of what is here."""

from __future__ import annotations

import shlex
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.bench.drivers.arm64 import wheels
from edgekit.bench.drivers.arm64.wheels import Wheel
from edgekit.support.drafts import user_cache
from tests.bench.drivers.arm64.test_wheels import wheel_of
from tests.bench_native.harness import ZIG, host_library, lite_library

HERE = {"onnxruntime/capi/libonnxruntime.so.1": host_library, "ai_edge_litert/libLiteRt.so": lite_library}
_QEMU = 'shift 2; exec "$@"'
# The C library is this machine's, which libraries here find beside themselves first, as they do on arm64.
_COMPILER = """case "$1" in -print-file-name=*)
for p in /lib/x86_64-linux-gnu /lib/aarch64-linux-gnu /usr/lib; do
  [ -e "$p/${1#*=}" ] && echo "$p/${1#*=}" && exit
done
echo library >"$(dirname "$0")/${1#*=}"; echo "$(dirname "$0")/${1#*=}"; exit;; esac"""


def program(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fetched(wheel: Wheel, folder: Path) -> Path:
    """A wheel with this machine's library in the place of the arm64 one."""
    files = {name: find().read_bytes() for name, find in HERE.items() if name.startswith(wheel.members[:6])}
    path = wheel_of(folder / f"{wheel.package}.whl", files)
    assert zipfile.is_zipfile(path)
    return path


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the programs; the machine's cache is empty."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program(tools, "qemu-aarch64-static", _QEMU)
    for name in ("gcc", "g++"):
        program(tools, f"aarch64-linux-gnu-{name}", f'{_COMPILER}\nexec {shlex.join(ZIG)} "$@"')
    program(tools, "env", 'exec /usr/bin/env "$@"')
    program(tools, "dirname", 'exec /usr/bin/dirname "$@"')
    monkeypatch.setenv("PATH", f"{tools}:{Path(sys.executable).parent}")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(user_cache() / "zig"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(wheels, "WHEELS", wheels.WHEELS[:2])  # ExecuTorch's part needs a real g++
    monkeypatch.setattr(wheels, "fetch", fetched)
    yield tools
