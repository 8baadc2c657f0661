"""A runtime that dies of a damaged file dies in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.artifact.open import open_artifact
from edgekit.artifact.trial import survives
from edgekit.errors import InputError
from edgekit.targets.executorch import ANDROID
from edgekit.targets.onnx import ONNX
from tests.fuzz.parsers import CORPUS


def test_a_file_that_aborts_executorch_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "model.pte"
    file.write_bytes((CORPUS / "executorch" / "aborts").read_bytes())
    with pytest.raises(InputError, match="crashes on this file") as caught:
        open_artifact(file, allow_bare=True)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_whole_survives(tmp_path: Path) -> None:
    file = tmp_path / "model.pte"
    file.write_bytes((CORPUS / "executorch" / "tower").read_bytes())
    survives(file, ANDROID)


def test_a_runtime_that_looks_at_its_files_is_not_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", None)  # would fail
    survives(tmp_path / "missing.onnx", ONNX)
