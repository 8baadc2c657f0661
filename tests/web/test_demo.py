"""`edgekit demo`: what is written, that it is the same again, and what is refused in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.artifact.folder import read_manifest, write_manifest
from edgekit.embedding.file import read_embeddings
from edgekit.embedding.run import Dtype, EmbedRequest, embed
from edgekit.errors import UsageError
from edgekit.web.document import DemoPage, Parity
from edgekit.web.parity import MOST
from edgekit.web.runtime import FILES
from tests.conftest import Invoke, one_line, tree
from tests.web.made import PLACE

HERE = Path(edgekit.__file__).parent / "web" / "site"


@pytest.fixture
def written(small_runtime: Path, tower_file: Path, photos: Path, tmp_path: Path, invoke: Invoke) -> Path:
    """A page that no browser has seen."""
    out = tmp_path / "site"
    told = ("demo", tower_file, photos, "--out", out, "--runtime", small_runtime, "--no-verify", "--quiet")
    result = invoke(*told)
    assert result.exit_code == 0, result.output
    assert "unverified: not asked for" in result.stdout
    return out


def test_a_page_has_all_that_it_needs_and_is_the_same_again(
    written: Path, small_runtime: Path, tower_file: Path, photos: Path, tmp_path: Path
) -> None:
    files = tree(written)
    assert files["model.onnx"] == tower_file.read_bytes()
    assert sum(name.startswith("thumbs/") for name in files) == 40
    assert {name for name in files if name.startswith("ort/")} == {"ort/LICENSE.txt", *(f"ort/{f.name}" for f in FILES)}
    assert not any(PLACE in content for content in files.values())
    assert b"Content-Security-Policy" in files["index.html"]
    page = DemoPage.of(json.loads(files["demo.json"]), written / "demo.json")
    assert (page.gallery.count, page.gallery.dim, page.gallery.dtype) == (40, 24, "float16")
    assert Parity.read(written / "parity.json").verdict == "unverified"
    out = tmp_path / "again"
    request = edgekit.DemoRequest(tower_file, photos, out, runtime=small_runtime, verify=False, workers=1)
    assert edgekit.demo(request).bytes == sum(map(len, files.values()))
    assert tree(out) == files


@pytest.mark.parametrize(("dtype", "kind"), [("fp32", "<f4"), ("fp16", "<f2"), ("int8", "i1")])
def test_rows_are_stored_as_embed_stores_them(
    small_runtime: Path, tower_file: Path, photos: Path, tmp_path: Path, dtype: Dtype, kind: str
) -> None:
    out, file = tmp_path / "site", tmp_path / "rows.parquet"
    request = edgekit.DemoRequest(tower_file, photos, out, dtype=dtype, runtime=small_runtime, verify=False)
    edgekit.demo(request)
    embed(EmbedRequest(photos, tower_file, file, dtype=dtype))
    wanted = read_embeddings(file)
    stored = np.fromfile(out / "gallery.bin", kind).astype(np.float32).reshape(wanted.values.shape)
    scale = 127 if dtype == "int8" else 1
    np.testing.assert_allclose(stored / scale, wanted.values, rtol=1e-6, atol=0)
    assert len(json.loads((out / "demo.json").read_text())["gallery"]["names"]) == len(wanted.ids)


def test_a_title_is_text(small_runtime: Path, tower_file: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    title = "</title><script>alert(1)</script>{{ 7*7 }}"
    edgekit.demo(edgekit.DemoRequest(tower_file, photos, out, title, runtime=small_runtime, verify=False))
    html = (out / "index.html").read_text()
    assert "<script>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}") == 2


def test_a_page_is_replaced_and_nothing_else_is(
    written: Path, small_runtime: Path, tower_file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "a.png").write_bytes((written / "check.png").read_bytes())
    told = ("demo", tower_file, few, "--runtime", small_runtime, "--no-verify", "--json")
    result = invoke(*told, "--out", written)
    answer = json.loads(result.stdout)
    assert (answer["photos"], answer["parity"]["verdict"], answer["browser_ms"]) == (1, "unverified", None)
    assert [name for name in tree(written) if name.startswith("thumbs/")] == ["thumbs/00000.jpg"]
    (written / "notes.txt").write_text("mine")
    one_line(invoke(*told, "--out", written), 8, "notes.txt")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "index.html").write_text("mine")
    one_line(invoke(*told, "--out", foreign), 8, "EdgeKit did not publish")
    assert tree(foreign) == {"index.html": b"mine"}


def test_it_says_so_where_there_is_no_browser(
    small_runtime: Path, tower_file: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    monkeypatch.setattr("edgekit.web.parity.find_browser", lambda: None)
    out = tmp_path / "site"
    result = invoke("demo", tower_file, photos, "--out", out, "--runtime", small_runtime)
    assert result.exit_code == 0, result.output
    assert "unverified: no browser found" in result.stdout
    assert Parity.read(out / "parity.json").reason == "no browser found"


@pytest.mark.parametrize("verdict", ["unverified", "fail", "inconclusive"])
def test_an_artifact_that_did_not_pass_is_refused_unless_asked(
    small_runtime: Path, tower_file: Path, photos: Path, tmp_path: Path, verdict: str, invoke: Invoke
) -> None:
    folder = tmp_path / "artifact"
    shutil.copytree(tower_file.parent, folder)
    manifest = read_manifest(folder)
    parity = manifest.parity.model_copy(update={"verdict": verdict})
    write_manifest(manifest.model_copy(update={"parity": parity}), folder)
    out = tmp_path / "site"
    told = ("demo", folder, photos, "--out", out, "--runtime", small_runtime, "--no-verify", "--quiet")
    one_line(invoke(*told), 5, f"says {verdict}", "--allow-unverified")
    assert not out.exists()
    assert invoke(*told, "--allow-unverified").exit_code == 0


def test_what_cannot_be_searched_by_is_one_line(
    published: Path, tower_file: Path, photos: Path, tmp_path: Path, invoke: Invoke
) -> None:
    bare, damaged = tmp_path / "bare.onnx", tmp_path / "damaged"
    shutil.copy(tower_file, bare)
    shutil.copytree(tower_file.parent, damaged)
    (damaged / tower_file.name).write_bytes(tower_file.read_bytes() + b"\0")
    (other,) = published.glob("*-android-*")
    out = tmp_path / "site"
    for artifact, code, words in (
        (bare, 3, "no manifest.json"),
        (damaged, 7, "manifest says"),
        (other, 3, "browsers run ONNX files alone; export the model for the target onnx"),
        (tmp_path / "none", 3, "does not exist"),
    ):
        one_line(invoke("demo", artifact, photos, "--out", out, "--quiet"), code, words)
    one_line(invoke("demo", tower_file, tmp_path / "none", "--out", out, "--quiet"), 3, "does not exist")
    one_line(invoke("demo", tower_file, "catalog:10001", "--out", out, "--quiet"), 2, "more than the 10000")
    assert not out.exists()


def test_a_field_that_cannot_be_meant_is_refused_by_its_name(photos: Path) -> None:
    for field, more in (
        ("neighbours", {"neighbours": 0}),
        ("dtype", {"dtype": "fp8"}),
        ("workers", {"workers": 0}),
        ("out", {"out": photos / "site"}),
        ("out", {"out": photos.parent}),
    ):
        with pytest.raises(UsageError) as caught:
            edgekit.DemoRequest("a.onnx", photos, **more)
        assert caught.value.field == field


def test_the_catalogue_is_searched_too(small_runtime: Path, tower_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    request = edgekit.DemoRequest(tower_file, "catalog:6", out, runtime=small_runtime, verify=False)
    assert edgekit.demo(request).photos == 6
    assert MOST > 6  # all of them are samples
