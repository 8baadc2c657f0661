"""The forms in which a gallery is kept: whole, its first values alone, in codes of 8 bits, product-quantized.

A form is a row of `FORMS`; one from outside is added to that list. What a form keeps stays as it is in memory, and is
decoded a block at a time where it is searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekit.errors import UsageError
from edgekit.evaluation.libraries import library

__all__ = ["FORMS", "Form", "Gallery", "gallery_of", "int8_gallery", "plain_gallery", "unit"]

_STEP = 1 << 16  # rows that are encoded at a time
_TRAINED_ON = 1 << 16  # rows at most from which the centroids of a product quantizer are learned
_LONG = 1e-6  # how far the squared length of a row of unit length may be from 1
_CODES = 127


@dataclass(frozen=True, eq=False)
class Gallery:
    """`rows` vectors of `dim` values, kept in `size` bytes.

    `block(start, stop)` decodes some of them to float32 [stop - start, dim]; `query` makes float32 [Q,dim] of unit
    length of the embeddings that ask. The score of a pair is their dot product. `held` is the whole gallery where it is
    in memory as float32 rows of unit length, and needs no decoding.
    """

    rows: int
    dim: int
    size: int
    block: Callable[[int, int], np.ndarray]
    query: Callable[[np.ndarray], np.ndarray]
    held: np.ndarray | None = None


@dataclass(frozen=True)
class Form:
    """How `key`, or `key=NUMBER` where it `takes` one, keeps a gallery of float32 [N,D]."""

    key: str
    takes: str  # what the number is; "" where there is none
    help: str
    make: Callable[[np.ndarray, int], Gallery]


def unit(rows: np.ndarray) -> np.ndarray:
    """The rows [N,D] as float32 of unit length: the same array where they are so already; a zero row stays zero."""
    values = np.ascontiguousarray(rows, np.float32)
    squares = _squares(values)
    if _are_one(squares):
        return values
    lengths = np.sqrt(squares)[:, None]
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)


def _squares(values: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", values, values)


def _are_one(squares: np.ndarray) -> bool:
    return bool(np.abs(squares - 1.0).max(initial=0.0) <= _LONG)


def plain_gallery(values: np.ndarray, dim: int | None = None) -> Gallery:
    """The embeddings [N,D] as they are, or their first `dim` values, scaled to unit length as they are searched."""
    kept = values[:, :dim]
    ready = kept.dtype == np.float32 and kept.flags.c_contiguous and _are_one(_squares(kept))
    return Gallery(
        len(kept),
        kept.shape[1],
        len(kept) * kept.shape[1] * values.itemsize,
        lambda start, stop: unit(kept[start:stop]),
        lambda asked: unit(asked[:, :dim]),
        kept if ready else None,
    )


def int8_gallery(codes: np.ndarray, scale: float = 1 / _CODES) -> Gallery:
    """Codes int8 [N,D], each of the value code * scale. Scores are of the codes: rows are not scaled again."""

    def block(start: int, stop: int) -> np.ndarray:
        values = codes[start:stop].astype(np.float32)
        values *= np.float32(scale)
        return values

    return Gallery(len(codes), codes.shape[1], codes.nbytes, block, unit)


def gallery_of(form: str, values: np.ndarray) -> Gallery:
    """Keep float32 [N,D] in a form: `plain`, `truncate=64`, `int8`, `pq=32`.

    Raises:
        UsageError: there is no such form, or its number does not suit embeddings of D values.
    """
    key, _, number = form.partition("=")
    row = next((row for row in FORMS if row.key == key), None)
    if row is None:
        known = ", ".join(f"{row.key}=N" if row.takes else row.key for row in FORMS)
        raise UsageError(f"`forms` has no {form[:40]!r}; give some of {known}", field="forms")
    if bool(row.takes) != (number.isascii() and number.isdigit() and len(number) < 6):
        wanted = f"{key}=N, N being the {row.takes}" if row.takes else key
        raise UsageError(f"`forms` has {form[:40]!r}; write {wanted}", field="forms")
    return row.make(values, int(number or 0))


def _plain(values: np.ndarray, _number: int) -> Gallery:
    return plain_gallery(values)


def _truncated(values: np.ndarray, dim: int) -> Gallery:
    if not 1 <= dim <= values.shape[1]:
        raise UsageError(f"`forms` truncates to {dim} values; embeddings have 1 to {values.shape[1]}", field="forms")
    return plain_gallery(values, dim)


def _int8(values: np.ndarray, _number: int) -> Gallery:
    codes = np.empty(values.shape, np.int8)
    for start in range(0, len(values), _STEP):
        some = unit(values[start : start + _STEP])
        codes[start : start + _STEP] = np.clip(np.rint(some * _CODES), -_CODES, _CODES)
    return int8_gallery(codes)


def _product_quantized(values: np.ndarray, parts: int) -> Gallery:
    """Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", 2011; by faiss."""
    count, dim = values.shape
    if parts < 1 or dim % parts:
        fitting = ", ".join(str(n) for n in range(1, dim + 1) if dim % n == 0 and n <= 128)
        raise UsageError(f"`forms` cuts {dim} values into {parts} parts; give one of {fitting}", field="forms")
    if count < 2:
        raise UsageError("`forms` has pq, which needs a gallery of 2 rows or more", field="forms")
    faiss = library("faiss")
    bits = min(8, count.bit_length() - 1)  # no more centroids than rows
    quantizer = faiss.ProductQuantizer(dim, parts, bits)
    quantizer.cp.min_points_per_centroid = 1  # faiss else warns of small galleries, on stderr
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(count, min(count, _TRAINED_ON), replace=False))
    quantizer.train(unit(values[chosen]))
    codes = np.empty((count, quantizer.code_size), np.uint8)
    for start in range(0, count, _STEP):
        codes[start : start + _STEP] = quantizer.compute_codes(unit(values[start : start + _STEP]))
    size = codes.nbytes + 4 * dim * 2**bits
    return Gallery(count, dim, size, lambda start, stop: quantizer.decode(codes[start:stop]), unit)


FORMS = [
    Form("plain", "", "The embeddings as they are.", _plain),
    Form("truncate", "number of first values that are kept", "Matryoshka: scaled to unit length again.", _truncated),
    Form("int8", "", "One signed byte a value.", _int8),
    Form("pq", "number of parts, one byte each", "Product quantization.", _product_quantized),
]
