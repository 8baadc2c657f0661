"""What `edgekit quantize` and `--precision int8` search for, by themselves: no plan is shared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit import quantization as quantize
from edgekit.data.datasets import CatalogPictures
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.recipe import resolve_model
from edgekit.targets import find
from tests.conftest import TOWER
from tests.quantization.conftest import Invoke
from tests.quantization.test_command import followed

SEARCH = (*TOWER, "--samples", 32, "--min-cosine", 0.995)


def test_convolutions_that_xnnpack_cannot_scale_together_are_not(invoke: Invoke, tmp_path: Path) -> None:
    """Each alone it scales as the model runs; where both do, executorch 1.5.1 gives cosine 0.98 and no error."""
    forked = ("tests.toys:forked", "--size", "64")
    more = ("--scheme", "w8a8-dynamic", "--out", tmp_path, "--quiet")
    assert invoke("quantize", *forked, *more).exit_code == 0
    rows = {row.name: row for row in quantize.read_plan(tmp_path / "plan.json").layers}
    assert rows["backbone.near"].on("executorch") == rows["backbone.far"].on("executorch") == "float"
    assert rows["backbone.near"].on("onnx") == "w8"
    export = ("--plan", tmp_path / "plan.json", "--target", "android", "--no-verify", "--out", tmp_path, "--quiet")
    assert invoke("export", *forked, *export).exit_code == 0
    own = build_embedder(resolve_model("tests.toys:forked").override(input={"size": (64, 64)}))
    images = np.stack([picture.image for picture in CatalogPictures(8, own.spec)])
    path = tmp_path / "tests.toys-forked-android-w8a8-dynamic" / "tests.toys-forked.pte"
    found = find("android", "executorch").backend().open(path).embed(images)
    assert (found * own.embed(images)).sum(axis=1).min() > 0.9999


@pytest.fixture(scope="module")
def searched(invoke: Invoke, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of the tower's plan, and what its search said."""
    out = tmp_path_factory.mktemp("searched")
    result = invoke("quantize", *SEARCH, "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    return out, json.loads(result.stdout)


def test_a_plan_is_searched_for(searched: tuple[Path, dict[str, Any]], embedder: Embedder, images: np.ndarray) -> None:
    """The schemes that the search chose lose in the quantized program what they lost in the search."""
    folder, lost = searched[0], searched[1]["targets"]["onnx"]
    assert lost["min_cosine"] > 0.995
    plan = quantize.read_plan(folder / "plan.json")
    assert plan.scheme == "auto"
    assert any(row.scheme != "float" and row.damage for row in plan.layers)
    cosines = (followed(embedder, folder / "plan.json", "onnx", images) * embedder.embed(images)).sum(axis=1)
    assert cosines.min() == pytest.approx(lost["min_cosine"], abs=0.005)


def test_a_second_search_and_a_second_export_write_the_same_bytes(
    searched: tuple[Path, dict[str, Any]], invoke: Invoke, tmp_path: Path
) -> None:
    folders = searched[0], tmp_path / "again"
    assert invoke("quantize", *SEARCH, "--out", folders[1], "--json").exit_code == 0
    for folder in folders:
        more = ("--target", "onnx", "--target", "android", "--no-verify", "--out", folder / "files", "--quiet")
        assert invoke("export", *TOWER, "--plan", folder / "plan.json", *more).exit_code == 0
    files, again = ({path.relative_to(one) for path in one.rglob("*") if path.is_file()} for one in folders)
    assert files == again
    assert len(files) >= 5  # the plan, what may stand beside it, and each target's file and manifest
    for path in files:
        assert (folders[0] / path).read_bytes() == (folders[1] / path).read_bytes(), path


def test_explain_tells_the_worst_layer_first(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("quantize", *TOWER, "--samples", 32, "--explain", "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    plan = quantize.read_plan(tmp_path / "plan.json")
    damage = {row.name: max(row.damage.values()) for row in plan.layers if row.damage}
    worst, least = max(damage, key=damage.__getitem__), min(damage, key=damage.__getitem__)
    printed = result.stdout[result.stdout.index("most sensitive") :]
    assert printed.index(worst) < printed.index(least)
    with Image.open(tmp_path / "sensitivity.png") as image:
        assert image.size[0] > 1000
    refused = invoke("quantize", *TOWER, "--scheme", "w8", "--explain", "--out", tmp_path / "other")
    assert refused.exit_code == 2
    assert not (tmp_path / "other").exists()


def test_bad_calibration_images_are_one_line(invoke: Invoke, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for folder, count in (("few", 3), ("equal", 20)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    for folder, said in (("few", "too few"), ("equal", "all calibration images are the same")):
        result = invoke("quantize", *TOWER, "--images", tmp_path / folder, "--out", tmp_path / "out", "--quiet")
        assert result.exit_code == 3
        assert said in result.stderr
        assert not (tmp_path / "out").exists()


def test_a_layer_that_is_always_zero_stays_in_float(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("quantize", "tests.toys:silent", "--size", "64", "--samples", 32, "--out", tmp_path, "--quiet")
    assert result.exit_code == 0, result.stderr
    rows = {row.name: row for row in quantize.read_plan(tmp_path / "plan.json").layers}
    assert rows["backbone.out"].scheme == "float"
    assert "zero on every calibration image" in (rows["backbone.out"].why or "")
    assert rows["backbone.stem"].scheme == "w8a8"


@pytest.mark.parametrize("scheme", ["auto", "w8a8", "palette4"])
def test_a_layer_that_is_infinite_is_one_line(invoke: Invoke, tmp_path: Path, scheme: str) -> None:
    overflowing = ("tests.toys:overflowing", "--size", "64", "--scheme", scheme)
    result = invoke("quantize", *overflowing, "--samples", 32, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 4
    assert "is not finite on a calibration image" in result.stderr
    assert not (tmp_path / "out").exists()


def test_int8_plans_on_the_fly(embedder: Embedder, images: np.ndarray, invoke: Invoke, tmp_path: Path) -> None:
    export = ("export", *TOWER, "--precision", "int8", "--target", "onnx", "--no-verify")
    result = invoke(*export, "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.stderr
    (export,) = json.loads(result.stdout)["exports"]
    plan = export["manifest"]["quantization"]
    assert (export["precision"], plan["scheme"]) == ("int8", "auto")
    assert "w8a8" in {row["scheme"] for row in plan["layers"]}
    found = find("onnx", "onnx").backend().open(tmp_path / "tests.toys-tower-onnx-int8" / "tests.toys-tower.onnx")
    assert (found.embed(images) * embedder.embed(images)).sum(axis=1).min() >= 0.99


def test_int8_parts_a_folder_of_images(embedder: Embedder, invoke: Invoke, tmp_path: Path) -> None:
    """Ranges come from some, parity is judged on the others, and the manifest says so."""
    (tmp_path / "photos").mkdir()
    for picture in CatalogPictures(48, embedder.spec, seed=3):
        Image.fromarray(picture.image).save(tmp_path / "photos" / f"{picture.name.replace('/', '-')}.png")
    export = ("export", *TOWER, "--precision", "int8", "--target", "onnx", "--images", tmp_path / "photos")
    result = invoke(*export, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    (export,) = json.loads(result.stdout)["exports"]
    calibration, parity = (export["manifest"][key] for key in ("quantization", "parity"))
    calibration = calibration["calibration"]
    assert (calibration["dataset"], parity["dataset"]) == ("photos (calibration)", "photos (the other images)")
    assert (calibration["images"], calibration["others"], parity["images"]) == (24, 24, 24)
    assert calibration["sha256"] != parity["dataset_sha256"]


def test_int8_on_a_folder_of_few_images_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(20):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    export = ("export", *TOWER, "--precision", "int8", "--target", "onnx", "--images", tmp_path / "photos", "--quiet")
    result = invoke(*export, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "20 different images are too few to calibrate on some and judge the files on the others" in result.stderr
    assert not (tmp_path / "out").exists()


def test_parts_of_a_concatenation_share_one_range(invoke: Invoke, tmp_path: Path) -> None:
    """XNNPACK refuses, as it loads the file, to join integers of other ranges than the whole has."""
    joined = ("tests.toys:joined", "--size", "64")
    plan = tmp_path / "plan.json"
    result = invoke("quantize", *joined, "--scheme", "w8a8", "--samples", 32, "--out", tmp_path, "--quiet")
    assert result.exit_code == 0, result.stderr
    result = invoke(
        "export", *joined, "--plan", plan, "--target", "android", "--target", "onnx", "--samples", 24,
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    exports = json.loads(result.stdout)["exports"]
    assert all(row["parity"]["min_cosine"] > 0.98 for row in exports), result.stderr
