"""The library of an Android package is compiled against declarations: it calls what the real classes have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from edgekit.release.android.library import classes_jar
from tests.waiting import PATIENCE

from ..bench_native.harness import tool
from .harness import Built

pytestmark = pytest.mark.toolchain
SHARED = ("OnnxModel", "ExecuTorchModel", "LiteRtModel", "DecodeKt")
_CALL = re.compile(r"(?:Method|Field) ((?:android|org/pytorch|ai/onnxruntime|com/google)/\S+)")


def calls(name: str, *classes: Path) -> set[str]:
    """What a compiled class calls of Android and of the runtimes, with the types of arguments and results."""
    path = ":".join(map(str, classes))
    command = [tool("javap", "openjdk-17-jdk-headless"), "-c", "-p", "-cp", path, f"dev.edgekit.embedder.{name}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return set(_CALL.findall(done.stdout))


@pytest.mark.parametrize("name", SHARED)
def test_the_library_calls_what_the_app_calls(built: Built, name: str) -> None:
    """The app's are compiled against Android's, ExecuTorch's and ONNX Runtime's own classes."""
    due = calls(name, *built.classes)
    assert len(due) > 5
    assert calls(name, classes_jar()) == due
