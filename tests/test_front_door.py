"""`import edgekit`: every name is there, nothing heavy is imported for it, and ten lines go the whole road."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit

README = Path(__file__).parent.parent / "README.md"
HEAVY = {"torch", "numpy", "pydantic", "click", "rich", "timm", "PIL", "edgekit.recipe", "edgekit.targets"}


def test_every_name_resolves_to_what_its_module_has() -> None:
    assert sorted(edgekit._MODULES) == sorted({*edgekit.__all__} - {"__version__"})
    assert edgekit.__all__ == sorted(edgekit.__all__)
    for name, module in edgekit._MODULES.items():
        assert getattr(edgekit, name) is getattr(sys.modules[module], name)
    assert set(edgekit.__all__) <= set(dir(edgekit))
    with pytest.raises(AttributeError, match="no attribute 'exprot'"):
        edgekit.exprot  # type: ignore[attr-defined]


def test_no_package_hides_a_name() -> None:
    modules = {path.stem for path in Path(edgekit.__file__).parent.iterdir()}
    assert not modules & set(edgekit.__all__)


def test_the_import_is_light() -> None:
    code = "import sys, edgekit; dir(edgekit); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_ten_lines_export_verify_and_embed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")

    request = edgekit.ExportRequest("tests.toys:tower", targets=["onnx"], out="exported", samples=24)
    result = edgekit.export(request)
    result.raise_for_failures()
    folder = result.exports[0].folder

    report = edgekit.check_parity(folder, "tests.toys:tower", samples=24)
    report.raise_for_verdict()

    embeddings = edgekit.run(folder, "photos")
    assert embeddings.values.shape == (2, 24)
    assert (folder, report.verdict) == (Path("exported/tests.toys-tower-onnx-fp32"), "pass")
    lengths = np.linalg.norm(embeddings.values, axis=1)
    assert lengths == pytest.approx([1, 1], abs=1e-5)


def test_the_readme_says_the_same() -> None:
    (code,) = re.findall(r"## From Python\n.*?```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    for call in ("edgekit.ExportRequest(", "edgekit.export(", "edgekit.check_parity(", "edgekit.run("):
        assert call in code
    compile(code, "README.md", "exec")
