"""Damaged versions of good files: bytes, lengths and numbers changed, parts repeated, moved, cut off, or put in."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from random import Random

from hypothesis import strategies as st

__all__ = ["damaged", "mutated"]

_MOST = 6  # edits of one input
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1)
_LITERAL = re.compile(rb"-?\d+(?:\.\d+)?|\"[^\"\n]{0,80}\"|true|false|null|\[\]|\{\}")
_WORDS = (
    b"0", b"-1", b"1e999", b"NaN", b"9" * 5000, b"1.5", b'""', b"null", b"true", b"[]", b"{}",
    b"[[" * 600, b'{"":' * 600,
    b'"\\ud800"', b'"\\u0000"', b'"../../etc/passwd"', b'"/dev/zero"', b"1979-05-27", b"inf", b"\xff\xfe", b"\n",
    b'"' + b"a" * 5000 + b'"',
)  # fmt: skip


def _flip(data: bytearray, dice: Random) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _byte(data: bytearray, dice: Random) -> None:
    data[dice.randrange(len(data))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _length(data: bytearray, dice: Random) -> None:
    """A number of 2, 4 or 8 bytes, most often near the start or where one may be that is aligned."""
    size, order = dice.choice((2, 4, 8)), dice.choice("<<>")
    at = dice.randrange(max(1, min(len(data), dice.choice((64, 512, len(data))))))
    at -= at % size if dice.random() < 0.7 else 0
    number = dice.choice((*_NUMBERS, len(data), len(data) - 1, len(data) + 1)) & ((1 << 8 * size) - 1)
    data[at : at + size] = struct.pack(order + {2: "H", 4: "I", 8: "Q"}[size], number)


def _varint(data: bytearray, dice: Random) -> None:
    """A number as protobuf and MLIR write it, in place of one byte."""
    number, coded = dice.choice(_NUMBERS), bytearray()
    while number >= 0x80:
        coded.append(number & 0x7F | 0x80)
        number >>= 7
    at = dice.randrange(len(data))
    data[at : at + 1] = bytes((*coded, number))


def _cut(data: bytearray, dice: Random) -> None:
    del data[dice.randrange(len(data)) :]


def _remove(data: bytearray, dice: Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 4, 16, 256))]


def _repeat(data: bytearray, dice: Random) -> None:
    start, size = dice.randrange(len(data)), dice.choice((1, 4, 16, 64, 1024))
    part = bytes(data[start : start + size])
    at = dice.randrange(len(data))
    data[at:at] = part * dice.choice((1, 2, 8))


def _splice(data: bytearray, dice: Random) -> None:
    start, at, size = dice.randrange(len(data)), dice.randrange(len(data)), dice.choice((4, 16, 64, 512))
    data[at : at + size] = data[start : start + size]


def _word(data: bytearray, dice: Random) -> None:
    """In a text, one literal in place of another; else somewhere."""
    found = [match.span() for match in _LITERAL.finditer(bytes(data[: 1 << 16]))] if data[:1].isascii() else []
    start, end = dice.choice(found) if found else (dice.randrange(len(data)),) * 2
    data[start:end] = dice.choice(_WORDS)


def _line(data: bytearray, dice: Random) -> None:
    """A line is gone, or is there twice."""
    lines = bytes(data).split(b"\n")
    at = dice.randrange(len(lines))
    lines[at : at + 1] = dice.choice(([], [lines[at]] * 2, [dice.choice(lines)]))
    data[:] = b"\n".join(lines)


_EDITS = (_flip, _byte, _length, _varint, _cut, _remove, _repeat, _splice, _word, _line)


def damaged(seed: bytes, number: int) -> bytes:
    """The damaged version of a good file that has this number."""
    dice, data = Random(number), bytearray(seed)
    for _ in range(dice.randint(1, _MOST)):
        if data:
            dice.choice(_EDITS)(data, dice)
    return bytes(data)


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Hypothesis's choice of a seed and of how it is damaged; a few inputs are any bytes."""
    edited = st.builds(damaged, st.sampled_from(list(seeds)), st.integers(0, (1 << 48) - 1))
    return st.one_of(edited, edited, edited, edited, st.binary(max_size=200))
