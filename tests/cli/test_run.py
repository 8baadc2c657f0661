"""`edgekit run`: embeddings of any of the three formats."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekit.data.images import Folder
from edgekit.model.embedder import build_embedder
from edgekit.recipe import resolve_model
from tests.conftest import TOWER, Invoke, one_line


@pytest.mark.parametrize("kind", ["android-fp32", "ios-fp16", "onnx-fp32"])
def test_run_gives_the_original_s_embeddings(
    invoke: Invoke, published: Path, photo: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "embeddings.npy"
    result = invoke("run", published / f"tests.toys-tower-{kind}", photo, "--out", out)
    assert result.exit_code == 0, result.output
    embedder = build_embedder(resolve_model("tests.toys:tower").override(input={"size": (64, 64)}))
    original = embedder.embed(np.stack([picture.image for picture in Folder(photo, embedder.spec)]))
    assert (np.load(out) * original).sum(axis=1).min() > 0.999
    printed = json.loads(invoke("run", published / f"tests.toys-tower-{kind}", photo, "--json").stdout)
    np.testing.assert_allclose(printed["embeddings"], np.load(out), atol=1e-6)


def test_images_of_several_folders_keep_their_names(
    invoke: Invoke, published: Path, photo: Path, tmp_path: Path
) -> None:
    shutil.copytree(photo, tmp_path / "again")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "embeddings.json"
    artifact = published / "tests.toys-tower-onnx-fp32"
    result = invoke("run", artifact, photo, tmp_path / "empty", tmp_path / "again", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    saved = json.loads(out.read_text())
    assert len({item["image"] for item in saved}) == 4
    assert np.shape([item["embedding"] for item in saved]) == (4, 24)
    assert [item["image"] for item in json.loads(result.stdout)["skipped"]] == [str(tmp_path / "empty")]


def test_a_bare_file_runs_only_when_asked(invoke: Invoke, published: Path, photo: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.onnx"
    bare.write_bytes(next(published.rglob("*.onnx")).read_bytes())
    one_line(invoke("run", bare, photo, "--quiet"), 3, "--no-manifest")
    assert invoke("run", bare, photo, "--no-manifest", "--quiet").exit_code == 0


def test_images_that_cannot_be_read_are_skipped_named_and_counted(
    invoke: Invoke, published: Path, photo: Path, tmp_path: Path
) -> None:
    (photo / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (photo / "empty.jpg").write_bytes(b"")
    result = invoke("run", published / "tests.toys-tower-onnx-fp32", photo, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert len(found["images"]) == 2
    assert sorted(Path(item["image"]).name for item in found["skipped"]) == ["broken.png", "empty.jpg"]
    only = tmp_path / "only"
    only.mkdir()
    (photo / "broken.png").rename(only / "broken.png")
    one_line(invoke("run", published / "tests.toys-tower-onnx-fp32", only, "--quiet"), 3, "broken.png")
    one_line(
        invoke("export", *TOWER, "--target", "onnx", "--images", only, "--out", tmp_path / "out", "--quiet"),
        3,
        "broken.png",
    )
