"""What a Parquet file that anyone may have written must be like, to be read as embeddings in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from edgekit.errors import InputError
from edgekit.support.text import shown

__all__ = ["check_ids", "check_schema", "check_vectors", "is_text", "twice"]

MAX_DIM: Final = 65536
_SHORTEST, _LONGEST = 1e-15, 1e18  # of a row, whose square is then a float32 with all its digits
MAX_ID: Final = 4096  # characters
_STORED: Final = {"halffloat": "float16", "float": "float32", "int8": "int8"}


def check_schema(schema: Any) -> tuple[int, str, list[str]]:
    """How many values an embedding has, how they are stored, and the names of the further columns of text.

    Raises:
        InputError: `id` or `embedding` is not there, or of another kind.
    """
    from pyarrow import types

    names = schema.names
    for name in ("id", "embedding"):
        if names.count(name) != 1:
            state = "has no" if name not in names else "has more than one"
            raise InputError(f"{state} column {name!r}; a file of embeddings has `id` and `embedding`")
    if not is_text(kind := schema.field("id").type):
        raise InputError(f"column 'id' is of type {shown(str(kind))}, but ids are text; convert them")
    kind = schema.field("embedding").type
    stored = _STORED.get(str(kind.value_type)) if types.is_fixed_size_list(kind) else None
    if stored is None or not 0 < kind.list_size <= MAX_DIM:
        raise InputError(
            f"column 'embedding' is of type {shown(str(kind), 100)}, but embeddings are lists of one fixed length "
            f"(at most {MAX_DIM}) of float32, float16 or int8"
        )
    further = [name for name in names if name not in ("id", "embedding") and is_text(schema.field(name).type)]
    if len(set(further)) < len(further):
        raise InputError("has two columns of one name; rename one")
    return kind.list_size, stored, further


def is_text(kind: Any) -> bool:
    """Whether a column of this type is text."""
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(value) or types.is_large_string(value) or str(value) == "string_view")


def check_ids(texts: Sequence[str | None], before: int) -> np.ndarray:
    """A hash of each id, int64 [n]; the same for equal ids of this process. `before` is the count of rows before.

    Raises:
        InputError: an id is missing, endless, or there twice.
    """
    for row, text in enumerate(texts, start=before + 1):
        if not text:
            raise InputError(f"row {row} has no id; give every row one")
        if len(text) > MAX_ID:
            raise InputError(f"row {row} has an id of {len(text)} characters, more than the {MAX_ID} allowed")
    if len(set(texts)) < len(texts):
        raise twice(str(Counter(texts).most_common(1)[0][0]))
    return np.fromiter(map(hash, texts), np.int64, len(texts))


def twice(id: str) -> InputError:
    """The error that says so."""
    return InputError(f"id {shown(id, 100)!r} is there twice; ids name one row each")


def check_vectors(values: np.ndarray, ids: list[str]) -> None:
    """Refuse rows of float32 [n,D] that are no embeddings.

    Raises:
        InputError: names the first that has a value which is no finite number, only zeros, or a length whose square
            float32 does not hold.
    """
    with np.errstate(all="ignore"):
        squares = np.einsum("nd,nd->n", values, values)
        kinds = (
            (~np.isfinite(values).all(axis=1), "NaN or infinity"),
            (~(values != 0).any(axis=1), "only zeros"),
            (~((squares >= _SHORTEST**2) & (squares <= _LONGEST**2)), f"no length from {_SHORTEST:g} to {_LONGEST:g}"),
        )
    for bad, what in kinds:
        if bad.any():
            first = shown(ids[int(bad.argmax())], 100)
            raise InputError(f"{int(bad.sum())} rows have {what}, the first is {first!r}; embed them again")
