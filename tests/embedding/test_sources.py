"""Data to embed: each kind gives its rows in order, and what is wrong with one is said in one line."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from edgekit.data.datasets import CatalogPictures
from edgekit.data.images import load_image, preprocess
from edgekit.embedding.sources import Item, Source, open_source
from edgekit.embedding.sources.base import FilePhoto
from edgekit.errors import EdgeKitError, InputError, UsageError
from edgekit.recipe import InputSpec

SPEC = InputSpec(size=(24, 24))


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


JPEGS = [jpeg(seed) for seed in range(6)]


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def items(data: object) -> tuple[Source, list[Item]]:
    source = open_source(str(data))
    return source, source.part(0, len(source))


def pixels(item: Item) -> np.ndarray:
    """What a process reads that the item was sent to."""
    sent = pickle.loads(pickle.dumps(item))
    assert isinstance(sent, Item)
    return sent.photo.read(SPEC, "photo")


def expected(seed: int) -> np.ndarray:
    return preprocess(load_image(JPEGS[seed]), SPEC)


def shop(path: Path) -> Path:
    for seed, name in enumerate(("b/2.jpg", "a/1.jpg", "a/0.jpg", "top.jpg")):
        write(path / name, JPEGS[seed])
    return path


def test_a_folder_gives_paths_and_the_first_subfolder_as_label(tmp_path: Path) -> None:
    source, rows = items(shop(tmp_path / "shop"))
    assert [(row.id, row.texts) for row in rows] == [
        ("a/0.jpg", ("a",)),
        ("a/1.jpg", ("a",)),
        ("b/2.jpg", ("b",)),
        ("top.jpg", ("",)),
    ]
    assert (source.name, source.columns, len(source)) == ("shop", ("label",), 4)
    np.testing.assert_array_equal(pixels(rows[0]), expected(2))


def test_a_flat_folder_has_no_label(tmp_path: Path) -> None:
    write(tmp_path / "x.jpg", JPEGS[0])
    source, rows = items(tmp_path)
    assert (source.columns, [row.texts for row in rows]) == ((), [()])


def test_links_that_leave_a_folder_are_skipped_by_name(tmp_path: Path) -> None:
    outside, inside = write(tmp_path / "secret.jpg", JPEGS[0]), write(tmp_path / "shop" / "x.jpg", JPEGS[1])
    (inside.parent / "link.jpg").symlink_to(outside)
    source, rows = items(inside.parent)
    assert [row.id for row in rows] == ["x.jpg"]
    assert [name for name, _ in source.skipped] == ["link.jpg"]
    inside.unlink()
    inside.symlink_to(outside)  # after it was looked at
    with pytest.raises(InputError, match="photo: a link that leaves the folder"):
        pixels(rows[0])


def table(path: Path, columns: dict[str, list[str | None]]) -> Path:
    if path.suffix == ".csv":
        with open(path, "w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    else:
        parquet.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_paths_keeps_its_columns_of_text(tmp_path: Path, suffix: str) -> None:
    shop(tmp_path)
    columns: dict[str, list[str | None]] = {
        "id": ["2", "1"],
        "path": ["a/1.jpg", "b/2.jpg"],
        "style": ["seller", None],
        "label": ["x", "y"],
    }
    source, rows = items(table(tmp_path / f"t{suffix}", columns))
    assert source.columns == ("style", "label")
    assert [(row.id, tuple(row.texts)) for row in rows] == [("2", ("seller", "x")), ("1", ("", "y"))]
    np.testing.assert_array_equal(pixels(rows[0]), expected(1))


@pytest.mark.parametrize(("mark", "called"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_that_is_parted_by_something_else_is_told_so(tmp_path: Path, mark: str, called: str) -> None:
    (tmp_path / "t.csv").write_text(f"id{mark}path\na{mark}a.jpg\n")
    with pytest.raises(InputError, match=rf"t.csv: its columns are parted by {called}; save it with commas"):
        open_source(str(tmp_path / "t.csv"))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), None], ids=str)
def test_a_table_of_images_is_read_forward_in_parts(tmp_path: Path, kind: pa.DataType | None) -> None:
    count = 100
    images = [JPEGS[row % 6] for row in range(count)]
    cells = pa.array(images, kind) if kind else pa.array([{"bytes": data, "path": None} for data in images])
    columns = {
        "id": [f"i{row}" for row in range(count)],
        "image": cells,
        "price": [1.5] * count,
        "label": ["x"] * count,
    }
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=33)
    source = open_source(str(tmp_path / "t.parquet"))
    assert (len(source), source.columns) == (count, ("label",))
    for start, stop in ((0, 10), (64, 80), (80, 200), (3, 5)):
        rows = source.part(start, stop)
        assert [row.id for row in rows] == [f"i{row}" for row in range(start, min(stop, count))]
        np.testing.assert_array_equal(pixels(rows[-1]), expected(int(rows[-1].id[1:]) % 6))


Member = tuple[str, bytes]


def tar_of(path: Path, members: Sequence[Member]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def two_shards(folder: Path) -> Path:
    facts = json.dumps({"style": "seller", "price": 1.5, "number": 7, "id": "other"}).encode()
    tar_of(folder / "s-000.tar", [("a.jpg", JPEGS[0]), ("a.json", facts), ("b.jpg", JPEGS[1])])
    tar_of(folder / "s-001.tar", [("c.cls", b"3\n"), ("c.png.jpg", JPEGS[2]), ("c.txt", b"words")])
    return folder


@pytest.mark.parametrize("data", ["", "s-{000..001}.tar", "s-*.tar"])
def test_shards_give_keys_and_the_fields_of_their_samples(tmp_path: Path, data: str) -> None:
    source, rows = items(f"{two_shards(tmp_path)}/{data}")
    assert source.columns == ("label", "number", "style")
    assert [(row.id, tuple(row.texts)) for row in rows] == [
        ("a", ("", "7", "seller")),
        ("b", ("", "", "")),
        ("c", ("3", "", "")),
    ]
    np.testing.assert_array_equal(pixels(rows[2]), expected(2))


def test_links_in_shards_are_skipped_by_name(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, kind in (("a.jpg", tarfile.SYMTYPE), ("b.jpg", tarfile.LNKTYPE), ("c.jpg", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            info.size = len(JPEGS[0]) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(JPEGS[0]))
    source, rows = items(tmp_path / "s.tar")
    assert [row.id for row in rows] == ["c"]
    assert [name for name, _ in source.skipped] == ["s.tar/a.jpg", "s.tar/b.jpg"]


def test_the_catalogue_knows_listing_attributes_and_style() -> None:
    source, rows = items("catalog:5")
    pictures = list(CatalogPictures(5, SPEC))
    assert [row.id for row in rows] == [picture.name for picture in pictures]
    assert [row.texts[-2] for row in rows] == ["seller", "review", "seller", "review", "seller"]
    assert [row.texts[-3] for row in rows] == ["yes", "yes", "no", "no", "no"]
    assert {row.texts[-1] for row in rows} <= {"dark", "even", "bright"}
    assert [row.texts[0] for row in rows] == [f"listing-{number:06d}" for number in (0, 0, 1, 1, 2)]
    for row, picture in zip(rows, pictures, strict=True):
        np.testing.assert_array_equal(pixels(row), picture.image)
    assert len(open_source("catalog")) == 200
    assert source.fingerprint() != open_source("catalog:7").fingerprint()


def nulls(folder: Path) -> Path:
    return table(shop(folder) / "t.parquet", {"id": ["a", None], "path": ["top.jpg", "b/2.jpg"]})


def claim(folder: Path) -> Path:
    """A table whose footer claims more bytes than the file has."""
    path = folder / "t.parquet"
    image = pa.array([b"".join(JPEGS) * 5], pa.binary())
    parquet.write_table(pa.table({"id": ["a"], "image": image}), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[: len(content) // 4] + content[-8 - footer :])
    return path


def pictures_as_text(folder: Path) -> Path:
    """A table whose column `image` has names."""
    path = folder / "t.parquet"
    parquet.write_table(pa.table({"id": ["a"], "image": ["a.jpg"]}), path)
    return path


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda folder: folder / "nowhere", "does not exist; give a folder of images"),
    "another kind": (lambda folder: write(folder / "photos.zip", b"PK"), "is none of these; give a folder"),
    "no image": (lambda folder: write(folder / "notes.txt", b"words").parent, "holds no image"),
    "an empty folder": (lambda folder: folder, "holds no image"),
    "most of a kind that is not read": (
        lambda folder: (
            write(folder / "a.psd", b"x") and write(folder / "b.jpg", JPEGS[0]) and write(folder / "c.psd", b"x").parent
        ),
        "2 of 3 images left out",
    ),
    "no id": (lambda folder: table(folder / "t.csv", {"path": ["a.jpg"]}), "has no column 'id'"),
    "no path": (lambda folder: table(folder / "t.csv", {"id": ["a"], "image": ["x"]}), "has no column 'path'"),
    "an image that is no bytes": (pictures_as_text, "'image' is of type string, but images are the bytes of a file"),
    "null ids": (nulls, "row 2 has no id"),
    "empty ids": (lambda folder: table(folder / "t.csv", {"id": ["", "b"], "path": ["a.jpg"] * 2}), "row 1 has no id"),
    "an id twice": (
        lambda folder: table(folder / "t.csv", {"id": ["a", "a"], "path": ["a.jpg"] * 2}),
        "'a' is there twice",
    ),
    "a path that leaves": (
        lambda folder: table(folder / "t.csv", {"id": ["a"], "path": ["x/../../secret.jpg"]}),
        "leaves the folder of images",
    ),
    "an absolute path": (
        lambda folder: table(folder / "t.csv", {"id": ["a"], "path": ["/etc/x.jpg"]}),
        "leaves the folder",
    ),
    "no path in a row": (lambda folder: table(folder / "t.parquet", {"id": ["a"], "path": [None]}), "type null"),
    "not CSV": (lambda folder: write(folder / "t.csv", b"id,path\n\xff\xfe"), "not CSV in UTF-8"),
    "not Parquet": (lambda folder: write(folder / "t.parquet", b"id,path\n"), "damaged, or not Parquet"),
    "a missing table": (lambda folder: folder / "t.parquet", "no such file"),
    "a hostile row group": (claim, "damaged (Invalid column metadata"),
    "no shard": (lambda folder: folder / "s-{0..3}.tar", "no shard"),
    "a shard that is none": (lambda folder: write(folder / "s.tar", b"words" * 200), "not a plain .tar file"),
    "a name that leads out": (
        lambda folder: tar_of(folder / "s.tar", [("../../x.jpg", JPEGS[0])]),
        "leads out of a folder",
    ),
    "a key twice": (
        lambda folder: (
            tar_of(folder / "s.tar", [("a.jpg", JPEGS[0])]) and tar_of(folder / "t.tar", [("a.jpg", JPEGS[0])]).parent
        ),
        "'a' is there twice",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_embedded_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(InputError) as error:
        items(make(tmp_path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", ["catalog:0", "catalog:999999999"])
def test_the_catalogue_gives_some_photos(data: str) -> None:
    with pytest.raises(UsageError, match="the catalogue gives 1 to"):
        open_source(data)


def test_a_shard_with_endless_fields_is_refused(tmp_path: Path) -> None:
    facts = json.dumps({f"field-{number}": "x" for number in range(300)}).encode()
    tar_of(tmp_path / "s.tar", [("a.jpg", JPEGS[0]), ("a.json", facts)])
    with pytest.raises(InputError, match=r"s\.tar/a: with it there are more than 200 fields"):
        open_source(str(tmp_path / "s.tar"))


@settings(max_examples=40)
@given(data=st.data())
def test_no_byte_of_a_table_that_is_changed_gives_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "t.parquet"
    parquet.write_table(
        pa.table({"id": ["a", "b"], "image": pa.array(JPEGS[:2], pa.binary()), "label": ["x", "y"]}), path
    )
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(-700, -1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        _, rows = items(path)
        for row in rows:
            pixels(row)
    except EdgeKitError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["folder", "table", "shards"])
def test_the_fingerprint_changes_with_a_file(tmp_path: Path, kind: str) -> None:
    if kind == "shards":
        data, file = two_shards(tmp_path), tmp_path / "s-000.tar"
    else:
        shop(tmp_path)
        table(tmp_path / "t.csv", {"id": ["a"], "path": ["top.jpg"]})
        data, file = (tmp_path if kind == "folder" else tmp_path / "t.csv"), tmp_path / "top.jpg"
    before = open_source(str(data)).fingerprint()
    assert open_source(str(data)).fingerprint() == before
    os.utime(file, ns=(1, 1))
    assert open_source(str(data)).fingerprint() != before


def test_a_photos_file_is_given_as_it_is(tmp_path: Path) -> None:
    """Of each kind of data, what `read` makes of it is made of these bytes."""
    write(tmp_path / "photos" / "a.jpg", JPEGS[0])
    write(tmp_path / "b.jpg", JPEGS[1])
    write(tmp_path / "paths.csv", b"id,path\nx,b.jpg\n")
    table = pa.table({"id": ["y"], "image": [JPEGS[2]]})
    parquet.write_table(table, tmp_path / "inline.parquet")
    with tarfile.open(tmp_path / "s-000.tar", "w") as archive:
        member = tarfile.TarInfo("z.jpg")
        member.size = len(JPEGS[3])
        archive.addfile(member, io.BytesIO(JPEGS[3]))
    for seed, data in enumerate(("photos", "paths.csv", "inline.parquet", "s-000.tar")):
        (item,) = items(tmp_path / data)[1]
        assert item.photo.content("photo") == JPEGS[seed]
    rendered = items("catalog:2")[1][1].photo.content("photo")
    assert load_image(rendered).shape == (224, 224, 3)
    (tmp_path / "photos" / "a.jpg").unlink()
    gone = FilePhoto(tmp_path / "photos", "a.jpg")
    with pytest.raises(InputError, match=r"^photo: "):
        gone.content("photo")
    os.mkfifo(tmp_path / "photos" / "a.jpg")
    with pytest.raises(InputError, match=r"^photo: is not a file"):
        gone.content("photo")
    with pytest.raises(InputError, match="leaves the folder"):
        FilePhoto(tmp_path / "photos", "../b.jpg").content("photo")
