"""Files of embeddings: what is written comes back, and what is no such file is refused in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from edgekit.data.tables import MAX_ROW_GROUP, check_footer
from edgekit.embedding.about import CODES, KEY, Dtype
from edgekit.embedding.checks import MAX_ID
from edgekit.embedding.file import (
    About,
    EmbeddingFile,
    Model,
    Preprocessing,
    Rows,
    read_embeddings,
    same_space,
    write_embeddings,
)
from edgekit.errors import InputError, OutputError, UsageError

ROWS, DIM = 20, 8


def about(dtype: Dtype = "float32", dim: int = DIM, sha256: str = "ab" * 32, space: str | None = None) -> About:
    triple = (0.5, 0.5, 0.5)
    return About(
        model=Model(name="toy", sha256=sha256, space=space, kind="pytorch", runtime="torch"),
        preprocessing=Preprocessing(
            size=(32, 32), interpolation="bicubic", crop_pct=1.0, crop_mode="center", mean=triple, std=triple
        ),
        dim=dim,
        dtype=dtype,
        scale=1 / CODES if dtype == "int8" else None,
        source="toys",
    )


def unit(rows: int = ROWS, dim: int = DIM, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def rows_of(values: np.ndarray, first: int = 0) -> Rows:
    ids = [f"photo-{first + number}" for number in range(len(values))]
    return Rows(ids, values, {"label": [f"class-{number % 3}" for number in range(len(values))]})


def cut(rows: Rows, sizes: list[int]) -> Iterator[Rows]:
    at = 0
    for size in [*sizes, len(rows.ids)]:
        part = slice(at, at + size)
        yield Rows(rows.ids[part], rows.values[part], {name: texts[part] for name, texts in rows.columns.items()})
        at += size


def written(path: Path, dtype: Dtype = "float32") -> EmbeddingFile:
    assert write_embeddings(path, about(dtype), [rows_of(unit())], ["label"]) == ROWS
    return read_embeddings(path)


@pytest.mark.parametrize(("dtype", "most"), [("float32", 0), ("float16", 1e-3), ("int8", 0.5 / CODES + 1e-7)])
def test_what_is_written_comes_back(tmp_path: Path, dtype: Dtype, most: float) -> None:
    file, values = written(tmp_path / "a.parquet", dtype), unit()
    assert (len(file), file.dim, file.dtype, file.about) == (ROWS, DIM, dtype, about(dtype))
    assert file.ids == rows_of(values).ids
    assert file.columns == rows_of(values).columns
    assert (file.values.dtype, file.values.shape) == (np.dtype(np.float32), (ROWS, DIM))
    assert np.abs(file.values - values).max() <= most
    batches = list(file.iter_batches(7))
    assert [len(batch.ids) for batch in batches] == [7, 7, 6]
    assert [id for batch in batches for id in batch.ids] == file.ids
    assert [text for batch in batches for text in batch.columns["label"]] == file.columns["label"]
    np.testing.assert_array_equal(np.concatenate([batch.values for batch in batches]), file.values)
    schema = parquet.read_schema(tmp_path / "a.parquet")
    assert [str(schema.field(name).type) for name in ("id", "label")] == ["string", "string"]


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(0, 9000), max_size=4), dtype=st.sampled_from(["float16", "int8"]))
def test_equal_rows_give_equal_bytes_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], dtype: Dtype
) -> None:
    folder, rows = tmp_path_factory.mktemp("cut"), rows_of(unit(20_000, 2))
    write_embeddings(folder / "whole.parquet", about(dtype, 2), [rows], ["label"])
    write_embeddings(folder / "cut.parquet", about(dtype, 2), cut(rows, sizes), ["label"])
    assert (folder / "cut.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()


def foreign(path: Path, **columns: Any) -> Path:
    table: dict[str, Any] = {"id": ["a", "b"], "embedding": vectors([[1, 0], [0, 1]])} | columns
    parquet.write_table(pa.table({name: column for name, column in table.items() if column is not None}), path)
    return path


def vectors(rows: list[list[float]], kind: Any = None) -> Any:
    flat = [value for row in rows for value in row]
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, kind or pa.float32()), len(rows[0]))


def test_a_file_that_others_wrote_is_taken(tmp_path: Path) -> None:
    file = read_embeddings(foreign(tmp_path / "a.parquet", style=["seller", None], price=[1.0, 2.0]))
    assert (file.about, file.ids, file.columns) == (None, ["a", "b"], {"style": ["seller", ""]})
    np.testing.assert_array_equal(file.values, np.eye(2, dtype=np.float32))
    codes = read_embeddings(foreign(tmp_path / "b.parquet", embedding=vectors([[3, 0], [0, -4]], pa.int8())))
    np.testing.assert_array_equal(codes.values, [[3, 0], [0, -4]])


NAN, INF = float("nan"), float("inf")
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no ids": ({"id": None}, "has no column 'id'"),
    "no embeddings": ({"embedding": None}, "has no column 'embedding'"),
    "ids of numbers": ({"id": [1, 2]}, "column 'id' is of type int64, but ids are text"),
    "a null id": ({"id": ["a", None]}, "row 2 has no id"),
    "an empty id": ({"id": ["", "b"]}, "row 1 has no id"),
    "an endless id": ({"id": ["a", "b" * (MAX_ID + 1)]}, "row 2 has an id of 4097 characters"),
    "an id twice": ({"id": ["a", "a"]}, "id 'a' is there twice"),
    "lists of any length": ({"embedding": [[1.0, 2.0], [3.0]]}, "column 'embedding' is of type list"),
    "doubles": ({"embedding": vectors([[1, 0], [0, 1]], pa.float64())}, "is of type fixed_size_list"),
    "a text": ({"embedding": ["x", "y"]}, "column 'embedding' is of type string"),
    "a null row": (
        {"embedding": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))},
        "a row has no embedding",
    ),
    "not a number": ({"embedding": vectors([[1, 0], [0, NAN]])}, "1 rows have NaN or infinity, the first is 'b'"),
    "infinity": ({"embedding": vectors([[INF, 0], [0, NAN]])}, "2 rows have NaN or infinity, the first is 'a'"),
    "too long": (
        {"embedding": vectors([[1, 0], [1e30, 0]])},
        "1 rows have no length from 1e-15 to 1e+18, the first is 'b'",
    ),
    "too short": (
        {"embedding": vectors([[1e-30, 0], [1, 0]])},
        "1 rows have no length from 1e-15 to 1e+18, the first is 'a'",
    ),
    "zeros": ({"embedding": vectors([[1, 0], [0, 0]])}, "1 rows have only zeros, the first is 'b'"),
    "no rows": ({"id": pa.array([], pa.string()), "embedding": pa.array([], pa.list_(pa.float32(), 2))}, "no rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_file_of_embeddings_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    columns, message = BAD[case]
    with pytest.raises(InputError) as error:
        read_embeddings(foreign(tmp_path / "bad.parquet", **columns))
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'bad.parquet'}: ")
    assert "\n" not in str(error.value)


def test_an_id_that_comes_again_far_away_is_found(tmp_path: Path) -> None:
    rows = rows_of(unit(20_000, 2))
    ids = [*rows.ids[:-1], rows.ids[5]]
    write_embeddings(tmp_path / "a.parquet", about(dim=2), [Rows(ids, rows.values, {})])
    with pytest.raises(InputError, match="id 'photo-5' is there twice"):
        read_embeddings(tmp_path / "a.parquet")


def rewritten(path: Path, change: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]) -> Path:
    table = parquet.read_table(path)
    parquet.write_table(table.replace_schema_metadata(change(dict(table.schema.metadata))), path)
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"edgekit.embeddings/1", b"edgekit.embeddings/2", "its metadata has schema 'edgekit.embeddings/2'"),
        (b'"dim":8', b'"dim":9', r"its metadata says float32 \[9\], its column is float32 \[8\]"),
        (b'"dim":8', b'"dim":"8"', "not a valid about.*dim"),
        (b'"dim":8', b'"dim":8,"more":1', "not a valid about.*more"),
        (b'"scale":null', b'"scale":0.5', "int8 has one"),
        (b"{", b"[", "its metadata is not JSON"),
        (b'"scale":null', b'"scale":' + b"[" * 100_000, "its metadata is not JSON"),
    ],
)
def test_damaged_metadata_is_refused(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    path = written(tmp_path / "a.parquet").path
    rewritten(path, lambda metadata: metadata | {KEY: metadata[KEY].replace(old, new, 1)})
    with pytest.raises(InputError, match=message) as error:
        read_embeddings(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500 + len(str(path))


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_byte_that_is_changed_gives_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    content = bytearray(written(folder / "a.parquet").path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.parquet").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        file = read_embeddings(folder / "a.parquet")
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert np.isfinite(file.values).all()


class Footer:
    """What a footer claims, as pyarrow gives it, without the columns, where a damaged one would end the process."""

    num_columns, num_row_groups, num_rows = 2, 1, 1

    def __init__(self, whole: int) -> None:
        self.total_byte_size = whole

    def row_group(self, _number: int) -> Footer:
        return self


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        (MAX_ROW_GROUP + 1, "more than the 8589934592 allowed; write smaller row groups"),
        (-1, "damaged, or not Parquet"),
    ],
)
def test_a_row_group_that_claims_too_much_is_refused(whole: int, message: str) -> None:
    check_footer(Footer(1 << 20))
    with pytest.raises(InputError, match=message):
        check_footer(Footer(whole))


@pytest.mark.parametrize("name", ["missing.parquet", "folder.parquet", "text.parquet", "empty.parquet"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "text.parquet").write_text("id,embedding\n")
    (tmp_path / "empty.parquet").touch()
    with pytest.raises(InputError, match=r"no such file|not a regular file|not Parquet"):
        read_embeddings(tmp_path / name)


def test_files_of_one_space_can_be_compared_and_others_cannot(tmp_path: Path) -> None:
    def made(name: str, model: About) -> EmbeddingFile:
        write_embeddings(tmp_path / name, model, [rows_of(unit(dim=model.dim))], ["label"])
        return read_embeddings(tmp_path / name)

    plain, wide, other = (
        made("a.parquet", about()),
        made("b.parquet", about(dim=9)),
        made("c.parquet", about(sha256="c" * 64)),
    )
    mine, theirs = made("d.parquet", about(space="s")), made("e.parquet", about(sha256="c" * 64, space="s"))
    same_space(plain, plain)
    same_space(mine, theirs)
    same_space(plain, other, other_models=True)
    same_space(read_embeddings(foreign(tmp_path / "f.parquet", embedding=vectors([[1.0] * DIM] * 2))), other)
    with pytest.raises(InputError, match=r"of 8 values, .* of 9"):
        same_space(plain, wide, other_models=True)
    with pytest.raises(InputError, match=r"toy \(pytorch, abababababab\).*`other_models=True`"):
        same_space(plain, other)


def test_only_parquet_is_written_and_nothing_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"saved as \.parquet"):
        write_embeddings(tmp_path / "a.npy", about(), [rows_of(unit())], ["label"])
    with pytest.raises(OutputError, match="cannot write"):
        write_embeddings(tmp_path / "missing" / "a.parquet", about(), [rows_of(unit())], ["label"])
    assert not list(tmp_path.iterdir())


def test_a_row_that_breaks_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet").path
    before = path.read_bytes()

    def broken() -> Iterator[Rows]:
        yield rows_of(unit())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_embeddings(path, about(), broken(), ["label"])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_is_no_utf8_is_refused_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    label = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"abc\x8b")])
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0.0], pa.float32()), 2)
    parquet.write_table(pa.table({"id": ["a"], "embedding": vectors, "label": label}), path)
    with pytest.raises(InputError, match="'label' holds text that is not UTF-8"):
        read_embeddings(path).columns
