"""MLIR bytecode, as far as EdgeKit reads it: the header, the sections, and the table of strings, which names weights.

The format: https://mlir.llvm.org/docs/BytecodeFormat/
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MAGIC", "NEWEST", "steady_names", "version_of"]

MAGIC = b"ML\xefR"
NEWEST = 6  # the version of bytecode that coreai-core 1.0 writes
_STRINGS = 0  # the kind of the section of strings
_ALIGNED = 0x80
_WEIGHT = re.compile(rb"resource_\d+")


class _Section(NamedTuple):
    kind: int
    header: int  # where it begins
    start: int  # where its content does
    end: int


def version_of(head: bytes) -> int | None:
    """The version of the bytecode that begins with `head`; None where that is no MLIR bytecode."""
    if not head.startswith(MAGIC):
        return None
    try:
        return _number(head, len(MAGIC))[0]
    except ValueError:
        return None


def steady_names(code: bytes) -> bytes:
    """The same program, its weights called by their place in the file.

    Core AI calls them by a hash whose seed is another one in each process.
    Raises ValueError where `code` is no bytecode of this layout.
    """
    section = _strings_of(code)
    content = code[section.start : section.end]
    count, at = _number(content, 0)
    if count > len(content):
        raise ValueError("more strings than bytes")
    lengths = []
    for _ in range(count):
        length, at = _number(content, at)
        lengths.append(length)
    if sum(lengths) != len(content) - at or 0 in lengths:
        raise ValueError("the strings do not fill their section")
    strings = []
    for length in reversed(lengths):  # they are told from the last to the first
        strings.append(content[at : at + length - 1])
        at += length
    weights = [index for index, text in enumerate(strings) if _WEIGHT.fullmatch(text)]
    for number, index in enumerate(weights):
        strings[index] = b"weight_%d" % number
    sizes = b"".join(_varint(len(text) + 1) for text in reversed(strings))
    table = _varint(count) + sizes + b"".join(text + b"\0" for text in strings)
    return code[: section.header] + bytes([_STRINGS]) + _varint(len(table)) + table + code[section.end :]


def _strings_of(code: bytes) -> _Section:
    if version_of(code[:16]) is None:
        raise ValueError("no MLIR bytecode")
    at = code.index(b"\0", _number(code, len(MAGIC))[1]) + 1  # after the version stands who wrote it
    sections = []
    while at < len(code):
        sections.append(_section(code, at))
        at = sections[-1].end
    place = next((number for number, section in enumerate(sections) if section.kind == _STRINGS), None)
    if place is None or any(code[section.header] & _ALIGNED for section in sections[place:]):
        raise ValueError("what follows the strings has its place in the file")
    return sections[place]


def _section(code: bytes, header: int) -> _Section:
    kind = code[header]
    length, start = _number(code, header + 1)
    if kind & _ALIGNED:
        alignment, start = _number(code, start)
        if not 0 < alignment <= 1 << 16:
            raise ValueError(f"an alignment of {alignment}")
        start += -start % alignment
    if start + length > len(code):
        raise ValueError("a section ends after the file")
    return _Section(kind & ~_ALIGNED, header, start, start + length)


def _number(code: bytes, at: int) -> tuple[int, int]:
    """A number of variable length at `at`, and where it ends: zeros at the low end of its first byte count the rest."""
    if at >= len(code):
        raise ValueError("a number after the end")
    first = code[at]
    size = 9 if first == 0 else (first & -first).bit_length()
    if at + size > len(code):
        raise ValueError("a number that is cut off")
    if size == 9:
        return int.from_bytes(code[at + 1 : at + 9], "little"), at + 9
    return int.from_bytes(code[at : at + size], "little") >> size, at + size


def _varint(number: int) -> bytes:
    for size in range(1, 9):
        if number < 1 << (7 * size):
            return ((number << size) | (1 << (size - 1))).to_bytes(size, "little")
    return b"\0" + number.to_bytes(8, "little")
