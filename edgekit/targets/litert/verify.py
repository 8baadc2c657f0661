"""A `.tflite` looked at as if it were hostile, before a runtime in C++ sees it.

A flatbuffer says where its parts are by offsets, and LiteRT follows them unchecked. Every part that the runtime reads
is looked at here: that it lies inside the file, that numbers of tensors, buffers and operators are those of some, and
that constants have as many bytes as their shapes say.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from edgekit.errors import InputError

__all__ = ["verified"]

_IDENTIFIER = b"TFL3"
_MOST_PARTS = 200_000  # of one kind in a file
_MOST_AXES = 8
_MOST_VALUES = 2**31 - 1  # of one tensor
_CUSTOM, _PLACEHOLDER = 32, 127
_LAST_OPERATOR = 209
# Operators that reach outside of their own inputs and outputs, or run graphs or hold state: an embedder has none.
_REFUSED = {
    31: "CALL", 32: "CUSTOM", 51: "DELEGATE", 118: "IF", 119: "WHILE", 129: "CALL_ONCE", 136: "HASHTABLE",
    137: "HASHTABLE_FIND", 138: "HASHTABLE_IMPORT", 139: "HASHTABLE_SIZE", 142: "VAR_HANDLE", 143: "READ_VARIABLE",
    144: "ASSIGN_VARIABLE", 173: "STABLEHLO_CUSTOM_CALL", 199: "STABLEHLO_WHILE", 206: "STABLEHLO_COMPOSITE",
}  # fmt: skip
# Bytes of a value, by the number of its type; those of strings, resources and variants are not an embedder's.
_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 8: 8, 9: 1, 10: 8, 12: 8, 15: 4, 16: 2, 17: 0.5, 18: 2}


class _Broken(Exception):
    """What is wrong with a file, in words."""


def _broken(what: str) -> NoReturn:
    raise _Broken(what)


class _Table:
    """A table of a flatbuffer: its fields by number, each read inside the file."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at
        back = _number(content, "<i", at)
        table = at - back
        size, self.inline = _number(content, "<H", table), _number(content, "<H", table + 2)
        if size < 4 or size % 2 or table + size > len(content) or at + self.inline > len(content):
            _broken("a table reaches beyond the file")
        self._places = struct.unpack_from(f"<{size // 2 - 2}H", content, table + 4)
        if any(place and not 4 <= place < self.inline for place in self._places):
            _broken("a field reaches beyond its table")

    def place(self, field: int, width: int) -> int | None:
        """Where a field's own bytes are; None where the file leaves it out."""
        offset = self._places[field] if field < len(self._places) else 0
        if not offset:
            return None
        if offset < 4 or offset + width > self.inline:
            _broken("a field reaches beyond its table")
        return self.at + offset

    def number(self, field: int, code: str, default: int = 0) -> int:
        place = self.place(field, struct.calcsize(code))
        return default if place is None else int(struct.unpack_from(code, self.content, place)[0])

    def target(self, field: int) -> int | None:
        """Where what a field points to begins."""
        place = self.place(field, 4)
        return None if place is None else _followed(self.content, place)

    def vector(self, field: int, width: int) -> tuple[int, int] | None:
        """Where a vector's entries begin, and how many there are."""
        start = self.target(field)
        if start is None:
            return None
        count = _number(self.content, "<I", start)
        if start + 4 + count * width > len(self.content):
            _broken("a list reaches beyond the file")
        return start + 4, count

    def numbers(self, field: int, code: str) -> list[Any] | None:
        found = self.vector(field, struct.calcsize(code))
        if found is None:
            return None
        start, count = found
        if count > _MOST_PARTS and code != "B":
            _broken("a list is too long")
        return list(struct.unpack_from(f"<{count}{code[-1]}", self.content, start))

    def tables(self, field: int) -> list[_Table]:
        found = self.vector(field, 4)
        if found is None:
            return []
        start, count = found
        if count > _MOST_PARTS:
            _broken("a list is too long")
        return [_Table(self.content, _followed(self.content, start + 4 * place)) for place in range(count)]

    def table(self, field: int) -> _Table | None:
        at = self.target(field)
        return None if at is None else _Table(self.content, at)

    def text(self, field: int) -> None:
        """Look at a text, which ends with a zero."""
        found = self.vector(field, 1)
        if found is not None and (sum(found) >= len(self.content) or self.content[sum(found)]):
            _broken("a text has no end")


def _number(content: bytes, code: str, at: int) -> int:
    if at < 0 or at + struct.calcsize(code) > len(content):
        _broken("an offset points beyond the file")
    return int(struct.unpack_from(code, content, at)[0])


def _followed(content: bytes, at: int) -> int:
    offset = _number(content, "<I", at)
    if offset < 4 or at + offset + 4 > len(content):
        _broken("an offset points beyond the file")
    return at + offset


def verified(content: bytes, path: Path) -> None:
    """Look at a whole file.

    Raises:
        InputError: it is no LiteRT file, it is cut off or damaged, or it has what no embedder has.
    """
    if len(content) < 8 or content[4:8] != _IDENTIFIER:
        raise InputError(f"{path} is not a LiteRT file (it does not say {_IDENTIFIER.decode()}): give a .tflite")
    try:
        _model(_Table(content, _followed(content, 0)))
    except _Broken as error:
        raise InputError(f"{path} is damaged or not an embedder ({error}): export it again") from None


def _model(model: _Table) -> None:
    if model.number(0, "<I") != 3:
        _broken("its version is not 3")
    codes = [_code(table) for table in model.tables(1)]
    buffers = [_buffer(table) for table in model.tables(4)]
    graphs = model.tables(2)
    if len(graphs) != 1 or not buffers or buffers[0]:
        _broken(f"it has {len(graphs)} graphs")
    model.text(3)
    count = _graph(graphs[0], codes, buffers)
    for entry in model.tables(6):
        entry.text(0)
        if entry.number(1, "<I") >= len(buffers):
            _broken("its metadata are not there")
    if model.vector(8, 4) or model.vector(9, 4):
        _broken("it keeps constants outside of the file")
    for signature in model.tables(7):
        signature.text(2)
        if signature.number(4, "<I"):
            _broken("a signature is of no graph")
        for entry in (*signature.tables(0), *signature.tables(1)):
            entry.text(0)
            if entry.number(1, "<I") >= count or entry.target(0) is None:
                _broken("a signature names no tensor")


def _code(table: _Table) -> int:
    code = max(table.number(0, "<b"), table.number(3, "<i"))
    table.text(1)
    if not 0 <= code <= _LAST_OPERATOR or code == _PLACEHOLDER:
        _broken(f"it has an operator {code}, which LiteRT does not know")
    if code in _REFUSED:
        _broken(f"it has an operator {_REFUSED[code]}, which no embedder has")
    if not 0 < table.number(2, "<i", 1) < 100:
        _broken("an operator has no version")
    return code


def _buffer(table: _Table) -> int:
    """The bytes that a buffer holds."""
    if table.number(1, "<Q") or table.number(2, "<Q"):
        _broken("it keeps constants behind its end")
    found = table.vector(0, 1)
    return 0 if found is None else found[1]


def _graph(graph: _Table, codes: list[int], buffers: list[int]) -> int:
    tensors = [_tensor(table, buffers) for table in graph.tables(0)]
    graph.text(4)
    made = set()
    for field in (1, 2):
        ends = graph.numbers(field, "<i") or []
        if len(ends) != 1 or not 0 <= ends[0] < len(tensors):
            _broken("it does not have one input and one output")
        if field == 1:
            if tensors[ends[0]]:
                _broken("its input is a constant")
            made.add(ends[0])
        else:
            end = ends[0]
    for operator in graph.tables(3):
        for index in _operator(operator, codes, len(tensors)):
            if index >= 0 and index not in made and not tensors[index]:
                _broken("an operator reads what is not there yet")
        for index in operator.numbers(2, "<i") or []:
            if tensors[index] or index in made:
                _broken("an operator writes to what is there")
            made.add(index)
    if end not in made:
        _broken("nothing gives its output")
    return len(tensors)


def _operator(operator: _Table, codes: list[int], count: int) -> Iterator[int]:
    """Look at an operator; the tensors that it reads, -1 for one that is left out."""
    if operator.number(0, "<I") >= len(codes):
        _broken("an operator has no name")
    inputs, outputs = operator.numbers(1, "<i") or [], operator.numbers(2, "<i") or []
    if not inputs or not outputs or not all(-1 <= index < count for index in inputs):
        _broken("an operator reads no tensor")
    if not all(0 <= index < count for index in outputs):
        _broken("an operator writes to no tensor")
    for field in (5, 7, 8):
        operator.vector(field, 1 if field != 8 else 4)
    if operator.vector(7, 1) or operator.vector(8, 4) or operator.vector(5, 1) or operator.target(12) is not None:
        _broken("an operator has options that no embedder has")
    kind, options = operator.number(3, "<B"), operator.table(4)
    if (kind == 0) != (options is None) and kind:
        _broken("an operator has no options")
    if options is not None:
        _options(kind, options)
    yield from inputs


def _options(kind: int, options: _Table) -> None:
    """Look at the lists that options hold: shapes of RESHAPE and SQUEEZE; the others hold numbers."""
    if kind == 17:
        sizes = options.numbers(0, "<i") or []
        if len(sizes) > _MOST_AXES:
            _broken("a shape has too many axes")
    elif kind == 30:
        if len(options.numbers(0, "<i") or []) > _MOST_AXES:
            _broken("a shape has too many axes")
    elif kind in (92, 93):
        _broken("an operator has options that no embedder has")


def _tensor(table: _Table, buffers: list[int]) -> bool:
    """Look at a tensor; whether it is a constant."""
    shape, kind, buffer = table.numbers(0, "<i") or [], table.number(1, "<b"), table.number(2, "<I")
    table.text(3)
    if kind not in _BYTES or buffer >= len(buffers):
        _broken("a tensor is of no type or has no values")
    if len(shape) > _MOST_AXES or not all(0 < size <= _MOST_VALUES for size in shape):
        _broken("a tensor has no shape")
    if math.prod(shape) > _MOST_VALUES:
        _broken("a tensor is too large")
    if table.number(5, "<B") or table.target(6) is not None or table.vector(9, 4) or table.number(10, "<I"):
        _broken("a tensor is sparse or keeps something from one image to the next")
    signature = table.numbers(7, "<i")
    if signature and signature != shape:
        _broken("a tensor has no fixed shape")
    held = buffers[buffer]
    if held and held != math.ceil(math.prod(shape) * _BYTES[kind]):
        _broken("a constant has another number of values than its shape")
    steps = table.table(4)
    if steps is not None:
        _steps(steps, shape)
    return held > 0


def _steps(steps: _Table, shape: list[int]) -> None:
    scales, zeros = steps.numbers(2, "<f") or [], steps.numbers(3, "<q") or []
    axis = steps.number(6, "<i")
    for field in (0, 1):
        steps.numbers(field, "<f")
    if steps.number(4, "<B") or steps.target(5) is not None:
        _broken("a tensor is quantized as no embedder's is")
    if not scales:
        return
    if not all(0 < scale < math.inf for scale in scales) or not all(-(2**31) <= zero < 2**31 for zero in zeros):
        _broken("a tensor has no scale")
    if len(zeros) != len(scales):
        _broken("a tensor has other zeros than scales")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        _broken("a tensor has other scales than channels")
