"""Golden vectors: real photographs in every EXIF orientation, and an app's pixels compared with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import click.testing
import jsonschema
import numpy as np
import pytest
from PIL import Image

from edgekit.artifact.open import open_artifact
from edgekit.bench import preprocessing as golden
from edgekit.data.images import load_image, preprocess
from edgekit.errors import ParityError
from edgekit.support.files import list_files, sha256_file

Invoke = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs, one taller than wide."""
    from sklearn.datasets import load_sample_images

    folder = tmp_path_factory.mktemp("photos")
    first, second = load_sample_images().images
    Image.fromarray(first).save(folder / "temple.jpg", quality=95)
    Image.fromarray(second).rotate(90, expand=True).save(folder / "flower.png")
    return folder


@pytest.fixture(scope="module")
def tower(published: Path) -> Path:
    (found,) = published.glob("*onnx*/*.onnx")
    return found


@pytest.fixture(scope="module")
def made(photos: Path, tower: Path, tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    out = tmp_path_factory.mktemp("made") / "golden"
    result = invoke("golden", tower, photos, "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    return out


def pixels_of(folder: Path) -> np.ndarray:
    return np.fromfile(folder / "inputs.bin", np.uint8).reshape(golden.read(folder).shape)


def test_the_folder_holds_what_a_phone_needs_and_nothing_else(made: Path, tower: Path) -> None:
    document = json.loads((made / "golden.json").read_text())
    jsonschema.Draft202012Validator(golden.GoldenFolder.model_json_schema()).validate(document)
    found = golden.read(made)
    assert found.model.sha256 == sha256_file(tower)
    assert set(list_files(made)) == {"golden.json", "inputs.bin", "golden.bin"} | {one.file for one in found.items}
    for item in found.items:
        assert sha256_file(made / item.file) == item.sha256
        with Image.open(made / item.file) as image:
            assert image.getexif().get(0x0112) == item.orientation
    assert [one.orientation for one in found.items if one.file.endswith("jpg")] == [*range(1, 9)] * 2
    embeddings = np.fromfile(made / "golden.bin", "<f4").reshape(len(found.items), found.dim)
    np.testing.assert_array_equal(embeddings, open_artifact(tower).runner.embed(pixels_of(made)))
    assert found.inputs_sha256 == sha256_file(made / "inputs.bin")
    assert found.embeddings_sha256 == sha256_file(made / "golden.bin")


def test_all_orientations_show_the_same_photo(made: Path) -> None:
    found, pixels = golden.read(made), pixels_of(made).astype(int)
    for stem in ("000", "001"):
        mine = [index for index, one in enumerate(found.items) if one.file.startswith(f"photos/{stem}-")]
        # Only JPEG's blocks lie elsewhere in a turned picture; a wrong turn is off by ten times that.
        apart = [np.abs(pixels[index] - pixels[mine[0]]).mean() for index in mine]
        assert max(apart) < 3
        wrong = np.abs(pixels[mine[0]] - pixels[mine[0]][:, ::-1]).mean()
        assert wrong > 5 * max(apart)


def test_equal_input_gives_equal_bytes(made: Path, photos: Path, tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("golden", "make", tower, photos, "--out", tmp_path / "again", "--quiet").exit_code == 0
    for name in list_files(made):
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes(), name


def test_right_pixels_agree(made: Path, tower: Path, invoke: Invoke) -> None:
    result = invoke("golden", "check", made, made / "inputs.bin", tower, "--max-levels", 0, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) | {"worst": ""} == {
        "items": 20,
        "max_levels": 0,
        "equal": 1.0,
        "min_cosine": pytest.approx(1.0),
        "mean_cosine": pytest.approx(1.0),
        "worst": "",
        "max_levels_file": None,
    }


def test_the_file_with_the_largest_difference_is_named_and_equal_is_said_of_equal_values_only(
    made: Path, tower: Path, tmp_path: Path, invoke: Invoke
) -> None:
    off = pixels_of(made)
    value = int(off[0, 5, 7, 1])
    off[0, 5, 7, 1] = value + 67 if value < 128 else value - 67
    off[1] = np.clip(off[1].astype(int) + np.where(off[1] < 128, 40, -40), 0, 255)  # far off in cosine, less in levels
    off.tofile(tmp_path / "off.bin")
    check = ("golden", "check", made, tmp_path / "off.bin", tower, "--min-cosine", -1, "--max-levels", 4)
    files = [one.file for one in golden.read(made).items]
    found = invoke(*check, "--json")
    assert found.exit_code == 5
    assert json.loads(found.stdout) | {"equal": 0} == json.loads(found.stdout) | {
        "equal": 0,
        "max_levels": 67,
        "max_levels_file": files[0],
        "worst": files[1],
    }
    assert f"{files[0]}: a value is 67 levels off, more than 4" in found.stderr.splitlines()[-1]

    off = pixels_of(made)
    off[-1, -1, -1, -1] ^= 1
    off.tofile(tmp_path / "off.bin")
    found = invoke(*check, "--json")
    assert found.exit_code == 0
    document = json.loads(found.stdout)
    assert (document["equal"], document["max_levels"], document["max_levels_file"]) == (0.9999, 1, files[-1])
    shown = invoke(*check)
    assert "99.99%" in shown.stdout and "100.00%" not in shown.stdout
    assert "100.00%" in invoke("golden", "check", made, made / "inputs.bin", tower).stdout


def test_an_app_that_forgets_the_orientation_is_told_so(
    made: Path, tower: Path, tmp_path: Path, invoke: Invoke
) -> None:
    found = golden.read(made)
    spec = open_artifact(tower).spec
    lying = []
    for item in found.items:
        with Image.open(made / item.file) as image:
            lying.append(preprocess(np.asarray(image.convert("RGB")), spec))
    np.stack(lying).tofile(tmp_path / "lying.bin")
    result = invoke("golden", "check", made, tmp_path / "lying.bin", tower)
    assert result.exit_code == 5
    assert "cosine is" in result.stderr and "Traceback" not in result.stderr
    assert "photos/00" in result.stderr


def test_a_level_too_many_fails_only_where_that_is_asked(
    made: Path, tower: Path, tmp_path: Path, invoke: Invoke
) -> None:
    off = pixels_of(made).copy()
    off[3, 5, 7, 1] = (int(off[3, 5, 7, 1]) + 2) if off[3, 5, 7, 1] < 200 else int(off[3, 5, 7, 1]) - 2
    off.tofile(tmp_path / "off.bin")
    assert invoke("golden", "check", made, tmp_path / "off.bin", tower).exit_code == 0
    strict = invoke("golden", "check", made, tmp_path / "off.bin", tower, "--max-levels", 1)
    assert strict.exit_code == 5
    assert f"{golden.read(made).items[3].file}: a value is 2 levels off" in strict.stderr


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("name", ["inputs.bin", "golden.bin"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "removed"])
def test_a_damaged_golden_folder_is_not_taken_for_wrong_pixels(
    made: Path, tower: Path, tmp_path: Path, invoke: Invoke, name: str, damage: str, hashed: bool
) -> None:
    folder = tmp_path / "golden"
    shutil.copytree(made, folder)
    if not hashed:  # as written before golden.json had the hashes: a changed length is still seen
        document = json.loads((folder / "golden.json").read_text())
        del document["inputs_sha256"], document["embeddings_sha256"]
        (folder / "golden.json").write_text(json.dumps(document))
    content = bytearray((folder / name).read_bytes())
    if damage == "removed":
        (folder / name).unlink()
    else:
        content[-1] ^= 1
        (folder / name).write_bytes(content if damage == "altered" else content[:-1])
    check = ("golden", "check", folder, made / "inputs.bin", tower, "--max-levels", 255)
    result = invoke(*check)
    if damage == "altered" and not hashed:
        assert result.exit_code == 0
        return
    assert result.exit_code == 7, result.output
    told = result.stderr.splitlines()[-1]
    assert str(folder / name) in told
    assert "the golden folder is damaged, make it again with `edgekit golden make`" in told
    assert "Traceback" not in result.stderr and "preprocess all items" not in result.stderr


def test_bad_input_is_one_line(
    made: Path, tower: Path, photos: Path, published: Path, tmp_path: Path, invoke: Invoke
) -> None:
    (tmp_path / "short.bin").write_bytes(b"\0" * 100)
    (tmp_path / "note.txt").write_text("mine")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    (other,) = published.glob("*/*.pte")
    for arguments, code, told in (
        (("check", made, tmp_path / "short.bin", tower), 3, "100 bytes"),
        (("check", made, tmp_path / "none.bin", tower), 3, "none.bin"),
        (("check", photos, made / "inputs.bin", tower), 3, "golden.json"),
        (("check", made, made / "inputs.bin", other), 2, "another file"),
        ((tower, photos, "--out", tmp_path), 8, "did not publish"),
        ((tower, tmp_path / "broken.jpg", "--out", tmp_path / "new"), 3, "broken.jpg"),
        ((tower, tmp_path / "none.jpg", "--out", tmp_path / "new"), 3, "none.jpg"),
    ):
        result = invoke("golden", *arguments)
        assert result.exit_code == code, (arguments, result.output)
        assert told in result.stderr.splitlines()[-1], result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_writing_and_reading_an_orientation_are_each_other_s_inverse(orientation: int) -> None:
    upright = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    np.testing.assert_array_equal(load_image(golden._encode(upright, orientation, "PNG")), upright)


def test_a_cosine_that_is_no_number_fails() -> None:
    nan = golden.Agreement(1, 0, 1.0, float("nan"), float("nan"), "photos/000-1.jpg", None)
    with pytest.raises(ParityError):
        nan.require(None, 0.999)


def test_its_own_output_is_no_photo(photos: Path, tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    for _ in range(2):
        assert invoke("golden", tower, folder, "--out", folder / "golden", "--quiet").exit_code == 0
        assert len(golden.read(folder / "golden").items) == 20


def test_a_document_that_claims_a_person_s_file_does_not_get_it(
    photos: Path, tower: Path, tmp_path: Path, invoke: Invoke
) -> None:
    (tmp_path / "thesis.docx").write_text("years")
    claim = {"schema": golden.SCHEMA, "items": [{"file": "thesis.docx"}]}
    (tmp_path / "golden.json").write_text(json.dumps(claim))
    assert invoke("golden", tower, photos, "--out", tmp_path, "--quiet").exit_code == 8
    assert (tmp_path / "thesis.docx").read_text() == "years"
