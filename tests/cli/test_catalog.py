"""`edgekit catalog`: the folder that it writes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Invoke


def test_the_catalogue_is_written_as_an_image_folder(invoke: Invoke, tmp_path: Path) -> None:
    out = tmp_path / "catalogue"
    result = invoke("catalog", out, "--listings", 3, "--photos", 2, "--size", 32, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["images"] == 6
    assert len(list(out.rglob("*.png"))) == 6
