"""Parity in a real browser, on wasm: the command prints it, and writes no page that differs from Python."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.artifact.open import open_artifact
from edgekit.errors import ParityError
from edgekit.support.progress import Silent
from edgekit.web.browser import Tab
from edgekit.web.document import Parity
from edgekit.web.gallery import Sample
from edgekit.web.parity import compare
from tests.conftest import Invoke
from tests.web.made import jpeg, png

pytestmark = pytest.mark.toolchain
FORMS: dict[str, tuple[str, ...]] = {
    "fp32": (),
    "fp16": ("--precision", "fp16"),
    "int8": ("--precision", "int8"),
    "uint8": ("--input", "uint8"),
}


def export(out: Path, invoke: Invoke, *told: str) -> Path:
    result = invoke("export", *told, "--target", "onnx", "--samples", 24, "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    (artifact,) = out.glob("*/*.onnx")
    return artifact


def command(invoke: Invoke, artifact: Path, photos: object, out: Path, runtime: Path) -> dict[str, Any]:
    result = invoke("demo", artifact, photos, "--out", out, "--runtime", runtime, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    assert Parity.read(out / "parity.json").model_dump(mode="json") == answer["parity"]
    return answer


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_model_embeds_in_the_browser_as_in_python(
    form: str, invoke: Invoke, photos: Path, runtime: Path, tmp_path: Path
) -> None:
    artifact = export(tmp_path / "exported", invoke, "tests.toys:tower", "--size", "64", *FORMS[form])
    found = command(invoke, artifact, photos, tmp_path / "site", runtime)["parity"]
    assert (found["verdict"], found["provider"], found["reason"]) == ("pass", "wasm", None)
    kinds = {case["files"]: case for case in found["cases"]}
    assert set(kinds) == {"photos saved as PNG", "JPEG files as they are", "PNG files as they are"}
    assert kinds["photos saved as PNG"]["images"] == 32
    assert sum(case["images"] for case in found["cases"]) == 64
    for case in found["cases"]:
        assert case["min_cosine"] >= (0.9999 if case["lossless"] and form in ("fp32", "uint8") else 0.999)


def test_the_bundled_model_does(invoke: Invoke, photos: Path, runtime: Path, tmp_path: Path) -> None:
    artifact = export(tmp_path / "exported", invoke, "catalog-s0")
    answer = command(invoke, artifact, photos, tmp_path / "site", runtime)
    assert all(case["min_cosine"] >= (0.9999 if case["lossless"] else 0.999) for case in answer["parity"]["cases"])
    assert set(answer["browser_ms"]) == {"decode", "prepare", "run"}


def samples_in(folder: Path) -> list[Sample]:
    folder.mkdir()
    for name, data in (("a.png", png(1)), ("b.jpg", jpeg(2)), ("c.png", png(3))):
        (folder / name).write_bytes(data)
    return [Sample(file.name, file) for file in sorted(folder.iterdir())]


def test_files_of_every_kind_are_compared_where_browsers_read_them(
    site: Path, tower_file: Path, tmp_path: Path
) -> None:
    photo = Image.open(io.BytesIO(png(4))).convert("RGB")
    frames = [Image.open(io.BytesIO(png(seed))).convert("RGB") for seed in (5, 6)]
    grey16 = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    saved: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "a.webp": (photo, {"lossless": True}),
        "animated.webp": (photo, {"lossless": True, "save_all": True, "append_images": frames}),
        "animated.gif": (photo, {"save_all": True, "append_images": frames}),
        "phone.mpo": (photo, {"save_all": True, "append_images": frames}),
        "print.tif": (photo, {}),  # which no browser reads
        "cmyk.jpg": (photo.convert("CMYK"), {"quality": 95}),
        "grey16.png": (grey16, {}),
    }
    samples = []
    for name, (image, more) in saved.items():
        image.save(tmp_path / name, **more)
        samples.append(Sample(name, tmp_path / name))
    found, _ = compare(site, open_artifact(tower_file), "fp32", samples, tmp_path / "profile", Silent())
    kinds = {case.files.split(" ")[0]: case.images for case in found.cases}
    assert kinds == {"photos": 7, "WEBP": 2, "GIF": 1, "MPO": 1, "JPEG": 1, "PNG": 1}


def test_a_page_that_differs_from_python_is_no_parity(
    site: Path, tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = Tab.run_on_file

    def wrong(tab: Tab, function: str, file: Path) -> Any:
        answer = embed(tab, function, file)
        if file.name == "c.png":
            answer["embedding"] = list(np.roll(answer["embedding"], 1))
        return answer

    monkeypatch.setattr(Tab, "run_on_file", wrong)
    with pytest.raises(ParityError, match=r"^c\.png \(photos saved as PNG\): the cosine of Chrome/"):
        compare(site, open_artifact(tower_file), "fp32", samples_in(tmp_path / "s"), tmp_path / "profile", Silent())


def test_a_page_that_does_not_work_is_told_in_one_line(
    site: Path, tower_file: Path, invoke: Invoke, photos: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(site, broken)
    for name, text, words in (
        ("embedder.js", "export const embed = ;", "does not work in chromium"),
        ("page.js", f"console.log('hm');\n{(site / 'page.js').read_text()}", "complains in Chrome"),
    ):
        (broken / name).write_text(text)
        with pytest.raises(ParityError, match=words):
            folder = tmp_path / name
            compare(broken, open_artifact(tower_file), "fp32", samples_in(folder), tmp_path / f"{name}-p", Silent())
        shutil.copy(site / name, broken / name)


def test_without_a_browser_nothing_is_claimed(
    site: Path, tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("edgekit.web.browser._MAC_APPS", ())
    found, timing = compare(site, open_artifact(tower_file), "fp32", [], tmp_path / "profile", Silent())
    assert (found.verdict, found.reason, found.cases, timing) == ("unverified", "no browser found", (), None)
