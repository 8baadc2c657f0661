"""`edgekit golden`: the first command need not be named; tests/bench/test_preprocessing.py has what is written."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Invoke, one_line


def test_vectors_are_made_and_checked(invoke: Invoke, published: Path, photo: Path, tmp_path: Path) -> None:
    artifact, out = published / "tests.toys-tower-onnx-fp32", tmp_path / "golden"
    result = invoke("golden", artifact, photo, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["folder"], facts["embedding"], facts["left_out"]) == (str(out), 24, None)
    checked = invoke("golden", "check", out, out / "inputs.bin", artifact, "--max-levels", 0)
    assert checked.exit_code == 0, checked.output
    assert "0 of 255 levels" in checked.stdout
    one_line(invoke("golden", "check", out, out / "golden.bin", artifact), 3, "golden.bin")
