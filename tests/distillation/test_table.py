from __future__ import annotations

import builtins
import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from edgekit.data.catalog import Catalog
from edgekit.data.catalog.writer import write_catalog
from edgekit.distillation.sources import open_source
from edgekit.distillation.sources.folder import FolderSource
from edgekit.distillation.sources.table import TableSource
from edgekit.errors import InputError, MissingDependencyError
from edgekit.recipe.training import DataSpec

SIZE = (32, 32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    for seed, name in enumerate(("a.jpg", "b/c.PNG", "d.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def csv_of(root: Path, *rows: Sequence[str], name: str = "t.csv") -> Path:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (root / name).write_text(text.getvalue(), encoding="utf-8", newline="")
    return root / name


def parquet_of(root: Path, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), root / "t.parquet")
    return root / "t.parquet"


def opened(table: Path, root: Path | None = None, *, listing: str | None = None, **labels: str) -> TableSource:
    return TableSource("shop", table, root or table.parent, path="path", listing=listing, labels=labels)


def refused(table: Path, *parts: str, listing: str | None = None, **labels: str) -> None:
    with pytest.raises(InputError) as caught:
        opened(table, None, listing=listing, **labels)
    message = str(caught.value)
    assert message.startswith("data shop: ")
    assert message.isprintable()
    assert len(message) < 1500
    for part in parts:
        assert part in message


# -- what is read -----------------------------------------------------------------------------------------------------


def test_csv_rows_become_photos_in_order(root: Path) -> None:
    table = csv_of(root, ("path", "who", "colour"), ("d.png", "7", "red"), ("a.jpg", "", ""), ("b/c.PNG", "7", "blue"))
    source = opened(table, listing="who", hue="colour")
    assert len(source) == 3
    assert [source.photo_name(i) for i in range(3)] == ["d.png", "a.jpg", "b/c.PNG"]
    assert source.listings.dtype == np.int64
    assert source.listings.tolist() == [0, -1, 0]
    assert source.labels["hue"].codes.dtype == np.int32
    assert source.labels["hue"].codes.tolist() == [1, -1, 0]
    assert source.labels["hue"].names == ["blue", "red"]
    assert source.chunks is None


def test_photos_are_read_as_from_a_folder(root: Path) -> None:
    source = opened(csv_of(root, ("path",), ("a.jpg",), ("b/../b/c.PNG",), ("d.png",)))
    folder = FolderSource("f", root, "class", {})
    for index in range(3):
        image = source.read(index, (24, 20))
        assert image.dtype == np.uint8
        assert image.shape == (24, 20, 3)
        assert np.array_equal(image, folder.read(index, (24, 20)))
    assert (source.listings == -1).all()
    assert source.labels == {}


def test_root_is_the_tables_folder_unless_given(root: Path) -> None:
    table = csv_of(root, ("file",), ("a.jpg",))
    other = csv_of(root.parent, ("file",), ("a.jpg",))
    for spec in (DataSpec(name="s", table=table, path="file"), DataSpec(name="s", table=other, root=root, path="file")):
        assert open_source(spec).read(0, SIZE).shape == (32, 32, 3)


def test_a_byte_order_mark_quotes_and_blank_lines_are_understood(root: Path) -> None:
    (root / "t.csv").write_bytes('\ufeffpath,tag\r\n"a.jpg","red, ""deep""\nand more"\r\n\r\nd.png,grün\r\n'.encode())
    source = opened(root / "t.csv", tag="tag")
    assert source.labels["tag"].names == ["grün", 'red, "deep"\nand more']
    assert len(source) == 2


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["3", "12", ""], ["12", "3"]),
        (["007", "7", "+7"], ["+7", "007", "7"]),
        (["True", "false", "TRUE"], ["false", "true"]),
        (["true", "maybe", ""], ["maybe", "true"]),
        (["1.2.3", "v2", "1e5"], ["1.2.3", "1e5", "v2"]),
        (["", "", ""], []),
    ],
)
def test_csv_labels_become_text(root: Path, cells: list[str], names: list[str]) -> None:
    source = opened(csv_of(root, ("path", "x"), *(("a.jpg", cell) for cell in cells)), task="x")
    assert source.labels["task"].names == names
    assert [code == -1 for code in source.labels["task"].codes] == [cell == "" for cell in cells]


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (pa.array(["b", None, "a"]), ["a", "b"]),
        (pa.array(["b", "", "a"], pa.large_string()), ["a", "b"]),
        (pa.array(["b", None, "a"]).dictionary_encode(), ["a", "b"]),
        (pa.array([3, None, 12], pa.uint8()), ["12", "3"]),
        (pa.array([True, None, False]), ["false", "true"]),
    ],
)
def test_parquet_columns_become_codes(root: Path, column: Any, names: list[str]) -> None:
    source = opened(parquet_of(root, path=["a.jpg", "b/c.PNG", "d.png"], x=column), listing="x", task="x")
    assert source.labels["task"].names == names
    assert source.labels["task"].codes.tolist() == source.listings.tolist() == [1, -1, 0]
    assert source.read(2, SIZE).shape == (32, 32, 3)


def test_csv_and_parquet_of_the_same_rows_are_the_same_data(root: Path) -> None:
    rows = [("a.jpg", "4", "red", "true"), ("b/c.PNG", "", "", "false"), ("d.png", "4", "blue", "")]
    one = opened(csv_of(root, ("path", "l", "c", "new"), *rows), listing="l", c="c", new="new")
    columns = {"path": [r[0] for r in rows], "l": [4, None, 4], "c": ["red", None, "blue"], "new": [True, False, None]}
    two = opened(parquet_of(root, **columns), listing="l", c="c", new="new")
    assert one.listings.tolist() == two.listings.tolist()
    assert one.digest() == two.digest()


def test_the_catalogues_own_table_is_read(tmp_path: Path) -> None:
    out = write_catalog(Catalog(3, 1, size=32), tmp_path / "catalog")
    rows = parquet.read_table(out / "listings.parquet").to_pylist()
    paths = sorted(path.relative_to(out / "images").as_posix() for path in out.glob("images/*/*.png"))
    table = parquet_of(tmp_path, path=paths, **{key: [row[key] for row in rows] for key in ("index", "color")})
    source = opened(table, out / "images", listing="index", color="color")
    assert source.labels["color"].names == sorted({row["color"] for row in rows})
    assert source.read(0, SIZE).shape == (32, 32, 3)
    with pytest.raises(InputError, match="has no column 'path'"):
        opened(out / "listings.parquet")


# -- what is refused --------------------------------------------------------------------------------------------------


def test_files_that_are_no_tables_are_refused(root: Path) -> None:
    refused(root / "absent.csv", "no such file")
    refused(root / "absent" / "t.csv", "no such file")
    refused(root / "nul\0.csv", "no such file")
    refused(root / "a.jpg", ".csv or .parquet")
    (root / "folder.csv").mkdir()
    refused(root / "folder.csv", "not a regular file")
    (root / "t.csv").write_bytes("path\nä.jpg\n".encode("latin-1"))
    refused(root / "t.csv", "UTF-8")
    (root / "t.csv").write_bytes("path\na.jpg\n".encode("utf-16"))
    refused(root / "t.csv", "UTF-8")
    table = csv_of(root, ("path",), ("a.jpg",))
    with pytest.raises(InputError, match=r"data shop: .*does not exist"):
        opened(table, root / "elsewhere")


def test_tables_without_rows_are_refused(root: Path) -> None:
    (root / "t.csv").write_bytes(b"")
    refused(root / "t.csv", "no column 'path'")
    refused(csv_of(root, ("path", "x")), "no rows")
    refused(parquet_of(root, path=pa.array([], pa.string())), "no rows")


def test_columns_that_are_missing_or_double_are_named(root: Path) -> None:
    table = csv_of(root, ("path", "colour", "shape"), ("a.jpg", "red", "round"))
    refused(table, "'color'", "did you mean 'colour'", "path, colour, shape", hue="color")
    refused(table, "'who'", "it has path", listing="who")
    refused(csv_of(root, ("file",), ("a.jpg",)), "has no column 'path'", "file")
    for mark, called in ((";", "semicolons"), ("\t", "tabs")):  # as spreadsheets of many countries save them
        (root / "parted.csv").write_text(f"path{mark}x\na.jpg{mark}1\n")
        refused(root / "parted.csv", f"parted by {called}; save it with commas")
    refused(csv_of(root, ("path", "x", "x"), ("a.jpg", "1", "2")), "two columns called 'x'")
    refused(csv_of(root, [f"column {i}" * 50 for i in range(3000)], ["a.jpg"] * 3000), "has no column 'path'")
    refused(parquet_of(root, path=["a.jpg"], colour=["red"]), "did you mean 'colour'", hue="color")
    twice = pa.table([pa.array(["a.jpg"]), pa.array(["b.jpg"])], names=["path", "path"])
    parquet.write_table(twice, root / "t.parquet")
    refused(root / "t.parquet", "two columns called 'path'")


def test_ragged_and_unfinished_rows_are_named(root: Path) -> None:
    refused(csv_of(root, ("path", "x"), ("a.jpg", "1"), ("d.png", "1", "2")), "row 2", "3 fields", "header 2")
    refused(csv_of(root, ("path", "x"), ("a.jpg",)), "row 1", "1 fields")
    (root / "t.csv").write_text('path\na.jpg\n"d.png\n')
    refused(root / "t.csv", "after row 1")
    refused(csv_of(root, ("path", "x"), ("a.jpg", "y" * 200_000)), "after row 0", "field limit")


def test_label_columns_of_mixed_or_other_types_are_refused(root: Path) -> None:
    table = csv_of(root, ("path", "size"), ("a.jpg", ""), ("a.jpg", "38"), ("a.jpg", "40"), ("a.jpg", "M"))
    refused(table, "'size'", "number in row 2", "text in row 4", task="size")
    assert opened(table, listing="size").listings.tolist() == [-1, 0, 1, 2]
    refused(csv_of(root, ("path", "size"), ("a.jpg", "3"), ("a.jpg", "7.5")), "'size'", "7.5", "row 2", task="size")
    for column in (
        pa.array([1.5]),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([b"x"]),
        pa.array([0], pa.timestamp("s")),
        pa.array([1.5]).dictionary_encode(),
    ):
        refused(parquet_of(root, path=["a.jpg"], x=column), "'x'", "type", task="x")
        refused(parquet_of(root, path=["a.jpg"], x=column), "'x'", "type", listing="x")
    refused(parquet_of(root, path=[1, 2]), "'path'", "int64", "paths are text")


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("", "empty"),
        ("/etc/a.jpg", "leaves"),
        ("../a.jpg", "leaves"),
        ("b/../../photos/a.jpg", "leaves"),
        ("..", "leaves"),
        ("a\0.jpg", "NUL"),
        ("a.txt", "'a.txt' is not an image's name"),
        ("b", "not an image's name"),
        (".jpg", "not an image's name"),
        ("\x1b[31m\n.txt", "not an image's name"),
    ],
)
def test_paths_that_are_not_an_image_below_the_root_are_refused(root: Path, path: str, part: str) -> None:
    refused(csv_of(root, ("path", "x"), ("a.jpg", "1"), (path, "1")), "row 2", "'path'", part)
    refused(parquet_of(root, path=["a.jpg", path or None]), "row 2", "'path'", part)


def test_damaged_parquet_is_refused(root: Path) -> None:
    table = parquet_of(root, path=[f"{i}.jpg" for i in range(1000)])
    whole = table.read_bytes()
    for damaged in (b"", b"PAR1", whole[: len(whole) // 2], whole[:-1], whole[len(whole) // 2 :], b"path\na.jpg\n"):
        table.write_bytes(damaged)
        refused(table, "damaged, or not Parquet")
    parquet.write_table(pa.table({"path": pa.array([b"\xff.jpg"]).cast(pa.string(), safe=False)}), table)
    refused(table, "damaged, or not Parquet")


def test_parquet_without_pyarrow_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, real = parquet_of(root, path=["a.jpg"]), builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgekit\[distill\]'"):
        opened(table)


# -- images that cannot be read ---------------------------------------------------------------------------------------


def test_missing_and_damaged_images_fail_only_when_read(root: Path) -> None:
    (root / "bad.jpg").write_bytes(b"\xff\xd8\xffnothing")
    names = ("absent.jpg", "bad.jpg", "a.jpg/x.jpg", "n" * 300 + ".jpg")
    source = opened(csv_of(root, ("path",), *((name,) for name in names)))
    for index, name in enumerate(names):
        with pytest.raises(InputError) as caught:
            source.read(index, SIZE)
        assert str(caught.value).startswith(name[:300])
        assert str(caught.value).isprintable()
    assert len(source.digest()) == 64


def test_links_out_of_the_root_are_not_read(root: Path) -> None:
    secret = root.parent / "secret.png"
    Image.new("RGB", (32, 32)).save(secret)
    (root / "link.png").symlink_to(secret)
    (root / "up").symlink_to(root.parent)
    (root / "own.png").symlink_to(root / "d.png")
    (root / "loop.png").symlink_to(root / "loop.png")
    names = ("link.png", "up/secret.png", "b/../up/secret.png", "loop.png", "own.png")
    source = opened(csv_of(root, ("path",), *((name,) for name in names)))
    for index, name in enumerate(names[:4]):
        with pytest.raises(InputError, match=rf"^{name}: "):
            source.read(index, SIZE)
    assert np.array_equal(source.read(4, SIZE), np.asarray(Image.open(root / "d.png")))
    before = source.digest()
    secret.write_bytes(b"other")
    assert source.digest() == before


def test_control_characters_in_names_are_not_printed(root: Path) -> None:
    source = opened(csv_of(root, ("path",), ("\x1b[31mred\n.jpg",)))
    assert source.photo_name(0) == "?[31mred?.jpg"
    with pytest.raises(InputError, match=r"^\?\[31mred\?\.jpg: "):
        source.read(0, SIZE)


# -- digest -----------------------------------------------------------------------------------------------------------


def test_the_digest_follows_all_that_is_read(root: Path) -> None:
    header, rows = ("path", "l", "c"), [("a.jpg", "1", "red"), ("d.png", "2", "blue")]

    def digest(*rows: Sequence[str], listing: str | None = "l", **labels: str) -> str:
        return opened(csv_of(root, header, *rows), None, listing=listing, **labels).digest()

    digests = [
        digest(*rows, c="c"),
        digest(*rows, hue="c"),
        digest(*rows, c="l"),
        digest(*rows),
        digest(*rows, listing=None, c="c"),
        digest(*rows[::-1], c="c"),
        digest(rows[0], ("d.png", "1", "blue"), c="c"),
        digest(rows[0], ("d.png", "2", ""), c="c"),
        digest(rows[0], ("d.png", "2", "green"), c="c"),
        digest(rows[0], ("e.png", "2", "blue"), c="c"),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(*rows, c="c") == digests[0]
    with (root / "d.png").open("ab") as stream:
        stream.write(b"\0")
    changed = digest(*rows, c="c")
    (root / "d.png").unlink()
    assert len({*digests, changed, digest(*rows, c="c")}) == len(digests) + 2


# -- anything at all --------------------------------------------------------------------------------------------------


@given(
    start=st.sampled_from([b"", b"path,x\n", b"path,x\na.jpg,1\n", b'\xef\xbb\xbf"path",x\r']),
    rest=st.one_of(st.binary(max_size=60), st.text(max_size=60, alphabet='path.jg,x1"\r\n\0/ \u2028').map(str.encode)),
)
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_nothing_but_input_error(start: bytes, rest: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "t.csv")
        table.write_bytes(start + rest)
        try:
            source = opened(table, listing="x", task="x")
        except InputError as error:
            assert str(error).startswith("data shop: ")
            assert str(error).isprintable()
        else:
            assert len(source) == len(source.listings) == len(source.labels["task"].codes) > 0
