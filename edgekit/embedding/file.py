"""The file of embeddings: Parquet with an id, an embedding and texts a row, and where the vectors came from."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from edgekit.data.tables import check_footer
from edgekit.embedding.about import CODES, About, Model, Preprocessing
from edgekit.embedding.checks import check_ids, check_schema, check_vectors, twice
from edgekit.errors import InputError, MissingDependencyError, UsageError
from edgekit.support.fields import AnyPath
from edgekit.support.files import write_atomically
from edgekit.support.text import reason_of, shown

__all__ = [
    "About",
    "EmbeddingFile",
    "Model",
    "Preprocessing",
    "Rows",
    "holds_embeddings",
    "need_arrow",
    "read_embeddings",
    "same_space",
    "write_embeddings",
]

_GROUP: Final = 8192  # rows of a row group that is written, and of a batch that is read


class Rows(NamedTuple):
    """Some rows in order: ids, float32 [n,D], and the texts of each further column."""

    ids: Sequence[str]
    values: np.ndarray
    columns: dict[str, list[str]]


class EmbeddingFile:
    """A file of N embeddings, which was checked when it was opened; nothing of it is held before it is asked for.

    `about` is None for a file that others wrote; `dim` is D and `dtype` how values are stored.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self.name = shown(str(path) if name is None else name, 200)  # what messages call it
        self.about: About | None = None
        with _opened(self.path, self.name) as file:
            check_footer(file.metadata)
            self.dim, self.dtype, self._names = check_schema(file.schema_arrow)
            self.about = About.from_metadata(file.schema_arrow.metadata, path)
            if self.about is not None and (self.about.dim, self.about.dtype) != (self.dim, self.dtype):
                raise InputError(
                    f"its metadata says {self.about.dtype} [{self.about.dim}], its column is {self.dtype} "
                    f"[{self.dim}]; embed the images again"
                )
        self._count = self._check()

    def __len__(self) -> int:
        return self._count

    @cached_property
    def ids(self) -> list[str]:
        """The id of each row."""
        return list(itertools.chain.from_iterable(batch.column("id").to_pylist() for batch in self._batches(["id"])))

    @cached_property
    def values(self) -> np.ndarray:
        """All embeddings, decoded: float32 [N,D]."""
        values, at = np.empty((self._count, self.dim), np.float32), 0
        for batch in self._batches(["embedding"]):
            values[at : at + batch.num_rows] = self._decode(batch)
            at += batch.num_rows
        return values

    @cached_property
    def columns(self) -> dict[str, list[str]]:
        """The text of each further column by its name, "" where a row has none."""
        found: dict[str, list[str]] = {name: [] for name in self._names}
        for batch in self._batches(self._names) if self._names else ():
            for name, texts in found.items():
                texts += _texts(batch, name)
        return found

    def iter_batches(self, rows: int = _GROUP) -> Iterator[Rows]:
        """All rows in order, decoded, at most `rows` at a time; no more than a few batches are in memory."""
        for batch in self._batches(["id", "embedding", *self._names], rows):
            columns = {name: _texts(batch, name) for name in self._names}
            yield Rows(batch.column("id").to_pylist(), self._decode(batch), columns)

    def _batches(self, names: Sequence[str], rows: int = _GROUP) -> Iterator[Any]:
        with _opened(self.path, self.name) as file:
            yield from file.iter_batches(batch_size=rows, columns=list(names), use_threads=False)

    def _decode(self, batch: Any) -> np.ndarray:
        """The embeddings of a batch: float32 [n,D]."""
        column = batch.column("embedding")
        if column.null_count or column.flatten().null_count:
            raise InputError("a row has no embedding, or one with a null in it; embed it again")
        values: np.ndarray = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, self.dim).astype(np.float32)
        if self.about is not None and self.about.scale is not None:
            values *= np.float32(self.about.scale)
        return values

    def _check(self) -> int:
        """How many rows there are. Raises InputError for a row that is no embedding, and for an id that is no id."""
        hashes, count = [np.empty(0, np.int64)], 0
        with _opened(self.path, self.name) as file:
            for batch in file.iter_batches(batch_size=_GROUP, columns=["id", "embedding"], use_threads=False):
                ids = batch.column("id").to_pylist()
                hashes.append(check_ids(ids, count))
                check_vectors(self._decode(batch), ids)
                count += batch.num_rows
            if not count:
                raise InputError("has no rows; embed some images")
        every = np.sort(np.concatenate(hashes))
        if suspects := set(every[1:][every[1:] == every[:-1]].tolist()):
            self._refuse_twice(suspects)
        return count

    def _refuse_twice(self, suspects: set[int]) -> None:
        """Raise for the first id that is there twice, of those with a hash in `suspects`."""
        seen: set[str] = set()
        for id in self.ids:
            if hash(id) in suspects:
                if id in seen:
                    raise InputError(f"{self.name}: {twice(id)}")
                seen.add(id)


def read_embeddings(path: AnyPath, name: str | None = None) -> EmbeddingFile:
    """Open a file of embeddings, after all of its rows were checked, a batch at a time.

    A Parquet file that others wrote is taken as well, where it has the columns `id` (text) and `embedding` (lists of
    one fixed length of float32, float16 or int8); its further columns count where they are text. Errors call it `name`,
    by default its path.

    Raises:
        InputError: the file is missing, damaged or empty; a column is missing, or of another kind; an id is missing or
            there twice; a row has a value that is no finite number, or only zeros. The row is named.
        MissingDependencyError: pyarrow is not installed.
    """
    return EmbeddingFile(Path(path), name)


def holds_embeddings(path: AnyPath) -> bool:
    """Whether that is a file of embeddings and no data to embed: a .parquet file without a column of photos.

    A damaged or a missing one counts as such, so that who reads it says what is wrong.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        return False
    try:
        with _opened(path, path.name) as file:
            names = file.schema_arrow.names
    except InputError:
        return True
    return "embedding" in names or not {"path", "image"} & set(names)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Any]:
    """A Parquet file; whatever is wrong with it, here or where it is read, is one line that begins with `name`."""
    parquet = need_arrow()
    import pyarrow as pa

    if not path.is_file():
        state = "is not a regular file" if path.exists() else "no such file"
        raise InputError(f"{name}: {state}; give a .parquet file of embeddings")
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            yield file
    except InputError as error:
        raise InputError(f"{name}: {str(error).removeprefix(f'{path}: ')}") from None
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise InputError(f"{name}: damaged, or not Parquet ({reason_of(error, 160)}); get or write it again") from None


def same_space(a: EmbeddingFile, b: EmbeddingFile, *, other_models: bool = False) -> None:
    """Refuse two files whose embeddings cannot be compared.

    Models are one where both name the same space, or their hashes agree; a file without metadata counts as of the same
    model. `other_models` allows two models.

    Raises:
        InputError: other dimensions, or other models.
    """
    left, right = a.name, b.name
    if a.dim != b.dim:
        raise InputError(f"{left} has embeddings of {a.dim} values, {right} of {b.dim}; give files of one model")
    if other_models or a.about is None or b.about is None:
        return
    one, other = a.about.model, b.about.model
    if one.sha256 != other.sha256 and (one.space is None or one.space != other.space):
        raise InputError(
            f"{left} is of the model {_called(one)}, {right} of {_called(other)}; give files of one model, or say with "
            "`other_models=True` that they share a space",
            field="other_models",
        )


def write_embeddings(path: AnyPath, about: About, batches: Iterable[Rows], columns: Sequence[str] = ()) -> int:
    """Write rows of unit length as a file of embeddings, in one step; returns how many they were.

    `batches` may be of any size, and as much memory is used as one batch and one row group take. Each has the further
    `columns`. Equal rows give equal bytes, however they are cut into batches.

    Raises:
        UsageError: the name does not end in .parquet.
        OutputError: it cannot be written.
        MissingDependencyError: pyarrow is not installed.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        raise UsageError(f"{path}: embeddings are saved as .parquet; give `out` such a name", field="out")
    parquet, written = need_arrow(), 0
    schema = _schema(about, columns)

    def write(part: Path) -> None:
        nonlocal written
        with parquet.ParquetWriter(part, schema, compression="zstd", use_dictionary=list(columns)) as writer:
            for group in _groups(schema, batches, about):
                writer.write_table(group, row_group_size=_GROUP)
                written += group.num_rows

    write_atomically(path, write)
    return written


def need_arrow() -> Any:
    """The module pyarrow.parquet. Raises MissingDependencyError where it is not installed."""
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependencyError(
            "files of embeddings need pyarrow: run `pip install 'edgekit[evaluate]'`"
        ) from error


def _schema(about: About, columns: Sequence[str]) -> Any:
    import pyarrow as pa

    value = pa.field("element", {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8()}[about.dtype])
    vector = pa.list_(value.with_nullable(False), about.dim)
    fields = [pa.field("id", pa.string(), nullable=False), pa.field("embedding", vector, nullable=False)]
    fields += [pa.field(name, pa.string(), nullable=False) for name in columns]
    return pa.schema(fields, metadata=about.to_metadata())


def _groups(schema: Any, batches: Iterable[Rows], about: About) -> Iterator[Any]:
    """Tables of _GROUP rows each, the last of what is left."""
    import pyarrow as pa

    waiting = schema.empty_table()
    for rows in batches:
        waiting = pa.concat_tables([waiting, _table(schema, rows, about)])
        while waiting.num_rows >= _GROUP:
            yield waiting.slice(0, _GROUP).combine_chunks()
            waiting = waiting.slice(_GROUP)
    if waiting.num_rows:
        yield waiting.combine_chunks()


def _table(schema: Any, rows: Rows, about: About) -> Any:
    import pyarrow as pa

    values = rows.values
    if about.scale is None:
        stored = values.astype(about.dtype)
    else:
        stored = np.clip(np.rint(values / np.float32(about.scale)), -CODES, CODES).astype(np.int8)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(stored.reshape(-1)), type=schema.field("embedding").type)
    texts = [pa.array(rows.columns[name], pa.string()) for name in schema.names[2:]]
    return pa.Table.from_arrays([pa.array(rows.ids, pa.string()), vectors, *texts], schema=schema)


def _texts(batch: Any, name: str) -> list[str]:
    try:
        return [text or "" for text in batch.column(name).to_pylist()]
    except UnicodeDecodeError:
        raise InputError(f"the column {shown(name, 60)!r} holds text that is not UTF-8; write the file again") from None


def _called(model: Model) -> str:
    return f"{shown(model.name, 60)} ({model.kind}, {model.sha256[:12]})"
