"""A runtime with versions, and wheels of it: ONNX files that the package `old-runtime` has a say in."""

from __future__ import annotations

import importlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.targets import Runner, Runtime, onnx

__all__ = ["ROW", "open", "wheel", "write_wheels"]

RUNTIME = Runtime("old-runtime", "CPU", "old_runtime", beside=("old-beside", "=={lowest}.*"))
ROW = replace(onnx.ONNX, module=__name__, runtime=RUNTIME)
RIGHT = "def check(path): pass\ndef answer(rows): return rows\n"
VERSIONS = {
    "0.9.0": "raise ImportError('libold.so.1: cannot open shared object file')\n",
    "1.0.0": "import os, signal\ndef check(path): os.kill(os.getpid(), signal.SIGSEGV)\n",
    "1.1.0": "def check(path): raise ValueError('Opset 99 is too new.\\n\\nSee the manual.')\n",
    "1.2.0": "def check(path): pass\ndef answer(rows): return rows[:, ::-1]\n",
    "1.3.0": "raise ImportError('a version that nobody should take')\n",
    "1.3.1": f"from old_beside import TOLD\nassert TOLD == '2.1.5'\n{RIGHT}",
    "1.4.0": RIGHT,
}


class _Runner:
    runtime = "old-runtime"
    reference = False

    def __init__(self, path: Path) -> None:
        self._package = importlib.import_module("old_runtime")
        self._package.check(path)
        backend = importlib.import_module("edgekit.targets.onnx.backend")
        self._inner: Runner = backend.open(path)
        self.input_size = self._inner.input_size

    def embed(self, images: np.ndarray) -> np.ndarray:
        rows: np.ndarray = self._package.answer(self._inner.embed(images))
        return rows


def open(path: Path, *, threads: int = 1) -> Runner:
    return _Runner(path)


def wheel(folder: Path, name: str, version: str, source: str, requires: str = "") -> Path:
    """A wheel of one module."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    out = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return out


def write_wheels(folder: Path) -> Path:
    """All versions, and of what they are built beside a lowest line, its last release and a newer line."""
    for version, source in VERSIONS.items():
        wheel(folder, "old-runtime", version, source, "Requires-Dist: old-beside >=2.1.0a0\n")
    for version in ("2.1.0", "2.1.5", "2.2.0"):
        wheel(folder, "old-beside", version, f"TOLD = {version!r}\n")
    return folder
