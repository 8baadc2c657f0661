"""Several data sets of every kind, several teachers, labels that are missing, and an image that is damaged."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgekit.data.catalog import Catalog
from edgekit.distillation.run import DistillRequest, distill
from edgekit.errors import InputError
from edgekit.recipe import Recipe, load_recipe
from edgekit.recipe.training import DataSpec, TeacherSpec
from tests.distillation.test_run import Lines, changed, log, train, write


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shop three ways: folders of listings, a table with labels, and shards."""
    root = tmp_path_factory.mktemp("shop")
    catalog = Catalog(110, 2, size=48, split="train")
    with (root / "table.csv").open("w", newline="") as stream, tarfile.open(root / "shard-00.tar", "w") as shard:
        rows = csv.writer(stream)
        rows.writerow(["path", "item", "colour"])
        for index in range(110):
            listing = catalog.listing(index)
            folder = root / "folders" / listing.id
            folder.mkdir(parents=True)
            for photo in range(2):
                buffer = io.BytesIO()
                Image.fromarray(catalog.render(index, photo)).save(buffer, "JPEG", quality=90)
                name = f"{photo}.jpg"
                (folder / name).write_bytes(buffer.getvalue())
                rows.writerow([f"folders/{listing.id}/{name}", listing.id, listing.color if index % 3 else ""])
                facts = json.dumps({"item": listing.id, "kind": listing.category}).encode()
                for suffix, data in (("jpg", buffer.getvalue()), ("json", facts)):
                    entry = tarfile.TarInfo(f"{listing.id}-{photo}.{suffix}")
                    entry.size = len(data)
                    shard.addfile(entry, io.BytesIO(data))
    (root / "folders" / "listing-000003" / "1.jpg").write_bytes(b"\xff\xd8\xff but no more")
    return root


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return load_recipe(write(tmp_path, photos=1400))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


def three(root: Path) -> tuple[DataSpec, ...]:
    return (
        DataSpec(name="folders", folder=root / "folders", folders="listing"),
        DataSpec(name="table", table=root / "table.csv", listing="item", labels={"color": "colour"}),
        DataSpec(name="shards", shards=str(root / "shard-{00..00}.tar"), listing="item", labels={"category": "kind"}),
    )


def test_three_kinds_of_data_teach_one_student(recipe: Any, photos: Any, tmp_path: Path, cache: Path) -> None:
    validation = recipe.distill.validation.model_copy(update={"tasks": ("color",)})
    mixed = changed(recipe, data=three(photos), sampling="temperature", validation=validation)
    out = tmp_path / "out"
    lines = Lines()
    result = distill(DistillRequest(mixed, out, cache=cache), lines)
    card = json.loads((out / "card.json").read_text())
    assert [(data["name"], data["photos"], data["unreadable"]) for data in card["data"]] == [
        ("folders", 220, 1), ("table", 220, 1), ("shards", 220, 0),
    ]  # fmt: skip
    said = [line for line in lines.said if "skipped" in line]
    assert len(said) == 2
    assert all("listing-000003/1.jpg" in line for line in said)
    assert result is not None
    assert set(result.figures.table["knn"]) == {"color"}
    assert log(out, "train")[-1]["losses"]["labels"] > 0


def test_too_many_damaged_images_stop_the_run(recipe: Any, photos: Any, tmp_path: Path, cache: Path) -> None:
    strict = three(photos)[1].model_copy(update={"max_corrupt": 0.001})
    with pytest.raises(InputError, match=r"data table: 1 of 220 images .*listing-000003/1\.jpg"):
        train(changed(recipe, data=(strict,)), tmp_path / "out", tmp_path / "fresh")


def test_two_teachers_are_weighed(recipe: Any, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "second.toml").write_text((tmp_path / "teacher.toml").read_text().replace("other_tower", "tower"))
    both = (
        recipe.distill.teachers[0].model_copy(update={"weight": 3.0}),
        TeacherSpec(model=str(tmp_path / "second.toml"), weight=1.0, projection=True),
    )
    out = tmp_path / "out"
    train(changed(recipe, teachers=both, photos=160), out, cache)
    assert [teacher["weight"] for teacher in json.loads((out / "card.json").read_text())["teachers"]] == [3.0, 1.0]
    assert log(out, "train")[-1]["losses"]["cosine"] < 1.0


@pytest.mark.slow
def test_a_compiled_student_learns(recipe: Any, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out"
    train(changed(recipe, compile=True, photos=160), out, cache)
    assert log(out, "train")[-1]["losses"]["cosine"] < 1.0
